//! Requests become domain types, here and nowhere else.

use std::collections::BTreeSet;

use civic::{DivisionCode, LocalDay};
use elders::codec::read_day;
use eventlog::Position;
use proto::eldercare::r#type::v1 as types;
use service::{Asked, Checks, List, PageBounds, Paged, RequestDigests};
use tonic::Status;

use crate::products::ProductName;

mod agreements;
mod dossiers;
mod feeds;
mod histories;
mod searches;

pub(crate) use self::feeds::{query_feed, subscribe_feed};
pub(crate) use self::histories::export;
pub(crate) use self::searches::watch;

const LISTS: PageBounds = PageBounds {
    default: 100,
    most: 500,
};
/// The most products of an agreement or a dossier.
const MOST_PRODUCTS: usize = 20;
/// The most divisions of an agreement.
const MOST_DIVISIONS: usize = 100;

/// Reads requests: knows the streams that positions may lie in, and the digests of requests.
#[derive(Clone, Debug)]
pub(crate) struct Parse {
    /// The registry's, those of tiering, visits, alerts and claims, and our own.
    pub(crate) streams: [String; 6],
    pub(crate) digests: RequestDigests,
}

type Parsed<T> = Result<T, Status>;

impl Parse {
    /// The checks of a command, begun with its id; and the id, with the digest of the rest of its request.
    fn command<M: prost::Name>(&self, id: &str, rest: &M) -> (Checks, Option<Asked>) {
        let mut checks = Checks::new();
        // Suspending and ending say the same of an agreement: what tells them apart is what is asked.
        let named = prost_types::Any {
            type_url: M::full_name(),
            value: rest.encode_to_vec(),
        };
        let request_id = checks.request_id(id);
        let asked = request_id.map(|request_id| Asked {
            request_id,
            digest: self.digests.of(&named),
        });
        (checks, asked)
    }

    fn position(&self, checks: &mut Checks, text: &str) -> Option<Option<Position>> {
        checks.position_in(
            &self.streams,
            "min_position",
            text,
            "must lie in the log of the registry, tiering, visits, alerts, claims or sharing",
            "必须是台账、分级、探访、预警、结算或共享日志的位置",
        )
    }

    /// A page of the list that is asked for: by the method, and by its request without the page and the position.
    fn paged<M: prost::Message, T>(
        &self,
        mut checks: Checks,
        (method, rest): (&str, &M),
        ((size, token), position): ((i32, String), String),
        filter: Option<T>,
    ) -> Parsed<Paged<T>> {
        let position = self.position(&mut checks, &position);
        let list = List::new(method, &rest.encode_to_vec());
        checks.paged(list, (size, &token, LISTS), position, filter)
    }
}

/// A department's code: 2 to 32 small letters, digits and `_`.
fn department(checks: &mut Checks, code: &str) -> Option<String> {
    let well_formed = (2..=32).contains(&code.len())
        && code
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    checks.that(
        well_formed,
        "department",
        "DEPARTMENT_INVALID",
        "needs 2 to 32 small letters, digits and `_`",
        "应为 2 至 32 个小写字母、数字或下划线",
    );
    well_formed.then(|| code.to_owned())
}

/// A department's code; none where it is empty.
fn maybe_department(checks: &mut Checks, code: &str) -> Option<Option<String>> {
    if code.is_empty() {
        Some(None)
    } else {
        department(checks, code).map(Some)
    }
}

/// A reason: 1 to 64 capital letters, digits and `_`.
fn reason(checks: &mut Checks, code: &str) -> Option<String> {
    let well_formed = (1..=64).contains(&code.len())
        && code
            .bytes()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    checks.that(
        well_formed,
        "reason",
        "REASON_INVALID",
        "needs a code of 1 to 64 capital letters, digits and `_`",
        "应为 1 至 64 个大写字母、数字或下划线组成的代码",
    );
    well_formed.then(|| code.to_owned())
}

/// A set of so many words at most, each of which is read by its own path.
fn set<T: Ord>(
    checks: &mut Checks,
    field: &str,
    words: &[String],
    most: usize,
    read: impl Fn(&mut Checks, &str, &str) -> Option<T>,
) -> Option<BTreeSet<T>> {
    checks.count(field, words.len(), 0..=most)?;
    let words = words.iter().enumerate();
    let set: Vec<Option<T>> = words
        .map(|(number, word)| read(checks, &format!("{field}[{number}]"), word))
        .collect();
    set.into_iter().collect()
}

fn known_product(checks: &mut Checks, field: &str, name: &str) -> Option<ProductName> {
    let known = ProductName::parse(name);
    if known.is_none() {
        let named = named(name);
        checks.refuse(
            field,
            "PRODUCT_UNKNOWN",
            format!("is no product of the catalogue{named}"),
            format!("不是数据目录中的产品{named}"),
        );
    }
    known
}

/// Repeats a name that looks like one of the catalogue. Anything else might be a person's.
fn named(name: &str) -> String {
    let looks_like_one =
        (1..=32).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    if looks_like_one {
        format!(": `{name}`")
    } else {
        String::new()
    }
}

fn divisions(checks: &mut Checks, codes: &[String]) -> Option<BTreeSet<DivisionCode>> {
    checks.count("division_codes", codes.len(), 1..=MOST_DIVISIONS)?;
    let mut divisions = BTreeSet::new();
    let mut whole = true;
    for (number, code) in codes.iter().enumerate() {
        let path = format!("division_codes[{number}]");
        let Some(division) = checks.division(&path, code) else {
            whole = false;
            continue;
        };
        let new = divisions.insert(division);
        checks.that(
            new,
            &path,
            "DIVISION_TWICE",
            "stands there twice",
            "行政区划重复",
        );
        whole &= new;
    }
    whole.then_some(divisions)
}

fn day(checks: &mut Checks, field: &str, date: Option<types::Date>) -> Option<LocalDay> {
    let date = checks.present(field, date)?;
    checks.parsed(
        field,
        read_day(date).ok_or(()),
        "DAY_INVALID",
        "is no day of the calendar",
        "日期无效",
    )
}

fn maybe_day(
    checks: &mut Checks,
    field: &str,
    date: Option<types::Date>,
) -> Option<Option<LocalDay>> {
    match date {
        None => Some(None),
        some => day(checks, field, some).map(Some),
    }
}

fn page_of(size: &mut i32, token: &mut String) -> (i32, String) {
    (std::mem::take(size), std::mem::take(token))
}
