//! Requests become domain types, here and nowhere else.

mod enrolments;
mod money;
mod orders;
mod programmes;
mod providers;

use civic::LocalDay;
use elders::codec::read_day;
use elders::terms::WireTerm;
use eventlog::Position;
use proto::eldercare::r#type::v1 as types;
use service::{Asked, Checks, PageBounds, RequestDigests};
use tonic::Status;

const LISTS: PageBounds = PageBounds {
    default: 100,
    most: 1_000,
};

/// Reads requests: knows the streams that positions may lie in, and the digests of requests.
#[derive(Clone, Debug)]
pub(crate) struct Parse {
    /// Our own, the registry's.
    pub(crate) streams: [String; 2],
    pub(crate) digests: RequestDigests,
}

type Parsed<T> = Result<T, Status>;

impl Parse {
    /// A command's id, and the digest of the rest of its request.
    fn asked<M: prost::Message>(&self, checks: &mut Checks, id: &str, rest: &M) -> Option<Asked> {
        Some(Asked {
            request_id: checks.request_id(id)?,
            digest: self.digests.of(rest),
        })
    }

    pub(crate) fn position(&self, checks: &mut Checks, text: &str) -> Option<Option<Position>> {
        checks.position_in(
            &self.streams,
            "min_position",
            text,
            "must lie in the log of claims or in the registry's log",
            "必须是结算日志或台账日志的位置",
        )
    }
}

/// A programme's code: 2 to 24 capital letters, digits and `_`, beginning with a letter.
fn programme_code(checks: &mut Checks, code: &str) -> Option<String> {
    let well_formed = (2..=24).contains(&code.len())
        && code.starts_with(|c: char| c.is_ascii_uppercase())
        && code
            .bytes()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    checks.that(
        well_formed,
        "programme_code",
        "PROGRAMME_CODE_INVALID",
        "needs 2 to 24 capital letters, digits and `_`, a letter first",
        "应为 2 至 24 个大写字母、数字或下划线，以字母开头",
    );
    well_formed.then(|| code.to_owned())
}

/// A provider's id: 1 to 32 letters, digits and `-`.
fn provider_id(checks: &mut Checks, id: &str) -> Option<String> {
    let well_formed =
        (1..=32).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    checks.that(
        well_formed,
        "provider_id",
        "PROVIDER_ID_INVALID",
        "needs 1 to 32 letters, digits and `-`",
        "应为 1 至 32 个字母、数字或连字符",
    );
    well_formed.then(|| id.to_owned())
}

fn maybe_provider(checks: &mut Checks, id: &str) -> Option<Option<String>> {
    if id.is_empty() {
        Some(None)
    } else {
        provider_id(checks, id).map(Some)
    }
}

fn count(checks: &mut Checks, field: &str, number: i32) -> Option<u32> {
    let number = checks.number(field, number, 0..=i32::MAX)?;
    Some(number.cast_unsigned())
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

fn term<T: WireTerm>(checks: &mut Checks, field: &str, number: i32) -> Option<T> {
    if number == 0 {
        checks.refuse(field, "REQUIRED", "is required", "不能为空");
        return None;
    }
    let known = T::from_wire(number);
    if known.is_none() {
        checks.unknown(field);
    }
    known
}

fn maybe_term<T: WireTerm>(checks: &mut Checks, field: &str, number: i32) -> Option<Option<T>> {
    if number == 0 {
        Some(None)
    } else {
        term(checks, field, number).map(Some)
    }
}

fn page_of(size: &mut i32, token: &mut String) -> (i32, String) {
    (std::mem::take(size), std::mem::take(token))
}
