//! Requests become domain types, here and nowhere else.

use std::collections::BTreeSet;

use civic::{Category, DivisionCode, ElderId, LocalDay, Set};
use elders::codec::read_day;
use eventlog::Position;
use prost::Message as _;
use proto::eldercare::sharing::v1 as pb;
use proto::eldercare::sharing::v1::{
    get_access_history_request as history_request, query_feed_request, subscribe_feed_request,
};
use proto::eldercare::r#type::v1 as types;
use service::{Asked, Checks, List, PageBounds, Paged, RequestDigests};
use tonic::Status;
use uuid::Uuid;

use crate::agreement::{State, Terms};
use crate::cut::{Cut, Grants};
use crate::dossier::DossierAsked;
use crate::erasures::ErasureFilter;
use crate::feeds::{FeedAsked, Start, stream};
use crate::find::FindAsked;
use crate::history::Whose;
use crate::products::{ProductName, product};
use crate::{agreements, history};

const LISTS: PageBounds = PageBounds {
    default: 100,
    most: 500,
};
/// The longest purpose or legal basis.
const LONGEST_WORDS: usize = 500;
/// The longest name of a caller.
const LONGEST_CALLER: usize = 300;
/// The most products of an agreement or a dossier.
const MOST_PRODUCTS: usize = 20;
/// The most fields of a product.
const MOST_FIELDS: usize = 100;
/// The most divisions of an agreement.
const MOST_DIVISIONS: usize = 100;
/// The most tiers, or categories, that elders are searched by.
const MOST_WORDS: usize = 20;
/// The longest name of a tier, or code of a programme.
const LONGEST_NAME: usize = 64;
/// How many years an agreement lasts at most.
const MOST_YEARS: i32 = 5;
/// How many visits, alerts and orders a dossier has unless it is said.
const NEWEST: i32 = 20;
/// How many it has at most.
const MOST_NEWEST: i32 = 200;

/// Reads requests: knows the streams that positions may lie in, and the digests of requests.
#[derive(Clone, Debug)]
pub(crate) struct Parse {
    /// The registry's, those of tiering, visits, alerts and claims, and our own.
    pub(crate) streams: [String; 6],
    pub(crate) digests: RequestDigests,
}

type Parsed<T> = Result<T, Status>;

impl Parse {
    /// A command's id, and the digest of the rest of its request.
    fn asked<M: prost::Name>(&self, checks: &mut Checks, id: &str, rest: &M) -> Option<Asked> {
        // Suspending and ending say the same of an agreement: what tells them apart is what is asked.
        let named = prost_types::Any {
            type_url: M::full_name(),
            value: rest.encode_to_vec(),
        };
        Some(Asked {
            request_id: checks.request_id(id)?,
            digest: self.digests.of(&named),
        })
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

    pub(crate) fn proposal(
        &self,
        mut request: pb::ProposeAgreementRequest,
        today: LocalDay,
    ) -> Parsed<(Asked, Terms)> {
        let mut checks = Checks::new();
        let id = std::mem::take(&mut request.request_id);
        let asked = self.asked(&mut checks, &id, &request);
        let message = checks.present("terms", request.terms);
        let terms = message
            .and_then(|message| checks.within("terms", |checks| terms(checks, &message, today)));
        checks.all((asked, terms))
    }

    pub(crate) fn approval(
        &self,
        mut request: pb::ApproveAgreementRequest,
    ) -> Parsed<(Asked, Uuid)> {
        let mut checks = Checks::new();
        let id = std::mem::take(&mut request.request_id);
        let asked = self.asked(&mut checks, &id, &request);
        let agreement = checks.id("agreement_id", &request.agreement_id);
        checks.all((asked, agreement))
    }

    pub(crate) fn suspension(
        &self,
        mut request: pb::SuspendAgreementRequest,
    ) -> Parsed<(Asked, Uuid, String)> {
        let mut checks = Checks::new();
        let id = std::mem::take(&mut request.request_id);
        let asked = self.asked(&mut checks, &id, &request);
        let agreement = checks.id("agreement_id", &request.agreement_id);
        let reason = reason(&mut checks, &request.reason);
        checks.all((asked, agreement, reason))
    }

    pub(crate) fn end(
        &self,
        mut request: pb::EndAgreementRequest,
    ) -> Parsed<(Asked, Uuid, String)> {
        let mut checks = Checks::new();
        let id = std::mem::take(&mut request.request_id);
        let asked = self.asked(&mut checks, &id, &request);
        let agreement = checks.id("agreement_id", &request.agreement_id);
        let reason = reason(&mut checks, &request.reason);
        checks.all((asked, agreement, reason))
    }

    pub(crate) fn get_agreement(
        &self,
        request: &pb::GetAgreementRequest,
    ) -> Parsed<(Uuid, Option<Position>)> {
        let mut checks = Checks::new();
        let agreement = checks.id("agreement_id", &request.agreement_id);
        let position = self.position(&mut checks, &request.min_position);
        checks.all((agreement, position))
    }

    pub(crate) fn list_agreements(
        &self,
        mut request: pb::ListAgreementsRequest,
    ) -> Parsed<Paged<agreements::Filter>> {
        let mut checks = Checks::new();
        let department = maybe_department(&mut checks, &request.department);
        let state = maybe_state(&mut checks, request.state);
        let filter = department.zip(state);
        let filter = filter.map(|(department, state)| agreements::Filter { department, state });
        let (size, token) = page_of(&mut request.page_size, &mut request.page_token);
        let position = self.position(&mut checks, &std::mem::take(&mut request.min_position));
        let list = List::new("ListAgreements", &request.encode_to_vec());
        checks.paged(list, (size, &token, LISTS), position, filter)
    }

    pub(crate) fn dossier(
        &self,
        request: &pb::GetDossierRequest,
    ) -> Parsed<(DossierAsked, Option<Position>)> {
        let mut checks = Checks::new();
        let elder = checks.id("elder_id", &request.elder_id).map(ElderId);
        let agreement = checks.maybe_id("agreement_id", &request.agreement_id);
        let products = products(&mut checks, &request.products);
        let newest = newest(&mut checks, request.newest);
        let position = self.position(&mut checks, &request.min_position);
        let parts = (elder, agreement, products, newest, position);
        let (elder, agreement, products, newest, position) = checks.all(parts)?;
        let asked = DossierAsked {
            elder,
            agreement,
            products,
            newest,
        };
        Ok((asked, position))
    }

    pub(crate) fn break_glass(
        &self,
        mut request: pb::BreakGlassRequest,
    ) -> Parsed<(Asked, ElderId, String, i64)> {
        let mut checks = Checks::new();
        let id = std::mem::take(&mut request.request_id);
        let asked = self.asked(&mut checks, &id, &request);
        let elder = checks.id("elder_id", &request.elder_id).map(ElderId);
        let reason = checks.string("reason", request.reason.trim(), 10..=1_000);
        let newest = newest(&mut checks, request.newest);
        checks.all((asked, elder, reason, newest))
    }

    pub(crate) fn find(
        &self,
        mut request: pb::FindEldersRequest,
        today: LocalDay,
    ) -> Parsed<Paged<FindAsked>> {
        let mut checks = Checks::new();
        let filter = find(&mut checks, &request, today);
        let (size, token) = page_of(&mut request.page_size, &mut request.page_token);
        let position = self.position(&mut checks, &std::mem::take(&mut request.min_position));
        let list = List::new("FindElders", &request.encode_to_vec());
        checks.paged(list, (size, &token, LISTS), position, filter)
    }

    pub(crate) fn issue_credential(
        &self,
        mut request: pb::IssueFeedCredentialRequest,
    ) -> Parsed<(Asked, String)> {
        let mut checks = Checks::new();
        let id = std::mem::take(&mut request.request_id);
        let asked = self.asked(&mut checks, &id, &request);
        let department = department(&mut checks, &request.department);
        checks.all((asked, department))
    }

    pub(crate) fn revoke_credential(
        &self,
        mut request: pb::RevokeFeedCredentialRequest,
    ) -> Parsed<(Asked, String, String)> {
        let mut checks = Checks::new();
        let id = std::mem::take(&mut request.request_id);
        let asked = self.asked(&mut checks, &id, &request);
        let department = department(&mut checks, &request.department);
        let reason = reason(&mut checks, &request.reason);
        checks.all((asked, department, reason))
    }

    pub(crate) fn list_erasures(
        &self,
        mut request: pb::ListErasuresRequest,
    ) -> Parsed<Paged<ErasureFilter>> {
        let mut checks = Checks::new();
        let department = maybe_department(&mut checks, &request.department);
        let outstanding = request.outstanding;
        let filter = department.map(|department| ErasureFilter {
            department,
            outstanding,
        });
        let (size, token) = page_of(&mut request.page_size, &mut request.page_token);
        let position = self.position(&mut checks, &std::mem::take(&mut request.min_position));
        let list = List::new("ListErasures", &request.encode_to_vec());
        checks.paged(list, (size, &token, LISTS), position, filter)
    }

    pub(crate) fn confirm_erasure(
        &self,
        mut request: pb::ConfirmErasureRequest,
    ) -> Parsed<(Asked, ElderId)> {
        let mut checks = Checks::new();
        let id = std::mem::take(&mut request.request_id);
        let asked = self.asked(&mut checks, &id, &request);
        let elder = checks.id("elder_id", &request.elder_id).map(ElderId);
        checks.all((asked, elder))
    }

    pub(crate) fn situation(
        &self,
        request: &pb::GetSituationRequest,
        today: LocalDay,
    ) -> Parsed<(DivisionCode, LocalDay, Option<Position>)> {
        let mut checks = Checks::new();
        let division = checks.division("division_code", &request.division_code);
        let on = past_day(&mut checks, "day", request.day, today);
        let on = on.map(|on| on.unwrap_or(today));
        let position = self.position(&mut checks, &request.min_position);
        checks.all((division, on, position))
    }

    pub(crate) fn history(
        &self,
        mut request: pb::GetAccessHistoryRequest,
    ) -> Parsed<Paged<history::Filter>> {
        let mut checks = Checks::new();
        let whose = match &request.whose {
            Some(history_request::Whose::ElderId(elder)) => {
                let elder = checks.id("elder_id", elder);
                elder.map(|elder| Whose::Elder(ElderId(elder)))
            }
            Some(history_request::Whose::Caller(caller)) => checks
                .string("caller", caller, 1..=LONGEST_CALLER)
                .map(Whose::Caller),
            None => {
                checks.refuse(
                    "whose",
                    "REQUIRED",
                    "needs either `elder_id` or `caller`",
                    "须填写 elder_id 或 caller",
                );
                None
            }
        };
        let first = maybe_day(&mut checks, "first_day", request.first_day);
        let last = maybe_day(&mut checks, "last_day", request.last_day);
        let days = first.flatten().zip(last.flatten());
        checks.that(
            days.is_none_or(|(first, last)| first <= last),
            "last_day",
            "DAYS_INVALID",
            "must not lie before the first day",
            "不得早于起始日",
        );
        let filter = whose.zip(first).zip(last);
        let filter = filter.map(|((whose, first), last)| history::Filter { whose, first, last });
        let (size, token) = page_of(&mut request.page_size, &mut request.page_token);
        let position = self.position(&mut checks, &std::mem::take(&mut request.min_position));
        let list = List::new("GetAccessHistory", &request.encode_to_vec());
        checks.paged(list, (size, &token, LISTS), position, filter)
    }
}

/// The first sequence of an export.
pub(crate) fn export(request: &pb::ExportAuditRequest) -> Parsed<u64> {
    let mut checks = Checks::new();
    let first = checks.number("first_sequence", request.first_sequence, 0..=i64::MAX);
    let first = checks.all(first)?;
    Ok(first.cast_unsigned().max(1))
}

/// The division that is watched.
pub(crate) fn watch(request: &pb::WatchSituationRequest) -> Parsed<DivisionCode> {
    let mut checks = Checks::new();
    let division = checks.division("division_code", &request.division_code);
    checks.all(division)
}

/// Which events of feeds are asked for, and how many at most.
pub(crate) fn query_feed(request: &pb::QueryFeedRequest) -> Parsed<(FeedAsked, u32)> {
    use query_feed_request::Start as From;
    let mut checks = Checks::new();
    let start = match &request.start {
        None => Some(None),
        Some(From::AfterPosition(position)) => after_position(&mut checks, position).map(Some),
        Some(From::StartTime(time)) => start_time(&mut checks, *time).map(Some),
    };
    let feeds = feeds(&mut checks, &request.product, &request.division_code, start);
    // Of no list: a position says where to go on.
    let page = List::new("QueryFeed", &[]).page(request.page_size, "", LISTS);
    let size = match page {
        Ok(page) => Some(page.size),
        Err(violation) => {
            checks.add(violation);
            None
        }
    };
    checks.all((feeds, size))
}

/// Which events of feeds are asked for, and all that come after.
pub(crate) fn subscribe_feed(request: &pb::SubscribeFeedRequest) -> Parsed<FeedAsked> {
    use subscribe_feed_request::Start as From;
    let mut checks = Checks::new();
    let start = match &request.start {
        None => Some(None),
        Some(From::AfterPosition(position)) => after_position(&mut checks, position).map(Some),
        Some(From::StartTime(time)) => start_time(&mut checks, *time).map(Some),
    };
    let feeds = feeds(&mut checks, &request.product, &request.division_code, start);
    checks.all(feeds)
}

fn feeds(
    checks: &mut Checks,
    product: &str,
    division: &str,
    start: Option<Option<Start>>,
) -> Option<FeedAsked> {
    let product = if product.is_empty() {
        Some(None)
    } else {
        known_product(checks, "product", product).map(Some)
    };
    let division = if division.is_empty() {
        Some(None)
    } else {
        checks.division("division_code", division).map(Some)
    };
    Some(FeedAsked {
        product: product?,
        division: division?,
        start: start?,
    })
}

fn after_position(checks: &mut Checks, text: &str) -> Option<Start> {
    let field = "after_position";
    if text.is_empty() {
        checks.refuse(field, "REQUIRED", "is required", "不能为空");
        return None;
    }
    let (en, zh) = ("must lie in the stream of feeds", "必须是数据流的位置");
    let position = checks.position_in(&[stream::STREAM], field, text, en, zh)??;
    Some(Start::After(position.sequence))
}

fn start_time(checks: &mut Checks, time: prost_types::Timestamp) -> Option<Start> {
    let time = checks.instant("start_time", Some(time))??;
    Some(Start::At(time))
}

fn find(
    checks: &mut Checks,
    request: &pb::FindEldersRequest,
    today: LocalDay,
) -> Option<FindAsked> {
    let divisions = if request.division_codes.is_empty() {
        Some(BTreeSet::new())
    } else {
        divisions(checks, &request.division_codes)
    };
    let tiers = tiers(checks, &request.tiers);
    let categories = categories(checks, &request.categories);
    let since = past_day(
        checks,
        "not_visited_since",
        request.not_visited_since,
        today,
    );
    let programme = if request.programme_code.is_empty() {
        Some(None)
    } else {
        let code = checks.string("programme_code", &request.programme_code, 1..=LONGEST_NAME);
        code.map(Some)
    };
    Some(FindAsked {
        divisions: divisions?,
        tiers: tiers?,
        categories: categories?,
        not_visited_since: since?,
        open_alert: request.with_open_alert,
        missed_visit: request.with_missed_visit,
        programme: programme?,
    })
}

/// Tiers by their names in policies, which may be any.
fn tiers(checks: &mut Checks, names: &[String]) -> Option<BTreeSet<String>> {
    checks.count("tiers", names.len(), 0..=MOST_WORDS)?;
    let names = names.iter().enumerate();
    let tiers: Vec<Option<String>> = names
        .map(|(number, name)| checks.string(&format!("tiers[{number}]"), name, 1..=LONGEST_NAME))
        .collect();
    tiers.into_iter().collect()
}

fn categories(checks: &mut Checks, names: &[String]) -> Option<Set<Category>> {
    checks.count("categories", names.len(), 0..=MOST_WORDS)?;
    let mut categories = Some(Set::new());
    for (number, name) in names.iter().enumerate() {
        let category = Category::from_name(name);
        if category.is_none() {
            checks.unknown(&format!("categories[{number}]"));
        }
        categories = categories.zip(category).map(|(mut known, category)| {
            known.insert(category);
            known
        });
    }
    categories
}

fn terms(checks: &mut Checks, message: &pb::AgreementTerms, today: LocalDay) -> Option<Terms> {
    let department = department(checks, &message.department);
    let purpose = checks.string("purpose", &message.purpose, 1..=LONGEST_WORDS);
    let legal_basis = checks.string("legal_basis", &message.legal_basis, 1..=LONGEST_WORDS);
    let products = grants(checks, &message.products);
    let divisions = divisions(checks, &message.division_codes);
    let until = last_day(checks, message.until, today);
    Some(Terms {
        department: department?,
        purpose: purpose?,
        legal_basis: legal_basis?,
        products: products?,
        divisions: divisions?,
        until: until?,
    })
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

fn grants(checks: &mut Checks, products: &[pb::ProductGrant]) -> Option<Grants> {
    checks.count("products", products.len(), 1..=MOST_PRODUCTS)?;
    let mut grants = Grants::default();
    let mut whole = true;
    for (number, granted) in products.iter().enumerate() {
        let path = format!("products[{number}]");
        let taken = checks.within(&path, |checks| grant(checks, &mut grants, granted));
        whole &= taken.is_some();
    }
    whole.then_some(grants)
}

/// Takes in what is granted of a product.
fn grant(checks: &mut Checks, grants: &mut Grants, granted: &pb::ProductGrant) -> Option<()> {
    let name = known_product(checks, "product", &granted.product)?;
    if grants.has(name) {
        let (en, zh) = ("stands there twice", "产品重复");
        checks.refuse("product", "PRODUCT_TWICE", en, zh);
        return None;
    }
    checks.count("fields", granted.fields.len(), 1..=MOST_FIELDS)?;
    let mut whole = true;
    for (number, field) in granted.fields.iter().enumerate() {
        let path = format!("fields[{number}]");
        let taken = checks.within(&path, |checks| grant_field(checks, grants, name, field));
        whole &= taken.is_some();
    }
    whole.then_some(())
}

/// Takes in one field.
fn grant_field(
    checks: &mut Checks,
    grants: &mut Grants,
    name: ProductName,
    granted: &pb::FieldGrant,
) -> Option<()> {
    let Some(field) = product(name).field(&granted.field) else {
        let named = named(&granted.field);
        checks.refuse(
            "field",
            "FIELD_UNKNOWN",
            format!("is no field of the product `{}`{named}", name.name()),
            format!("不是产品 {} 的字段{named}", name.name()),
        );
        return None;
    };
    if grants.get(name, field.name).is_some() {
        let (en, zh) = ("stands there twice", "字段重复");
        checks.refuse("field", "FIELD_TWICE", en, zh);
        return None;
    }
    let cut = how_much(checks, granted.cut)?;
    if cut == Cut::Masked && !field.maskable() {
        checks.refuse(
            "cut",
            "NOT_MASKABLE",
            format!(
                "the field `{}` has no mask: grant it plain or not at all",
                field.name
            ),
            format!("字段 {} 不能脱敏，只能明文提供或不提供", field.name),
        );
        return None;
    }
    grants.grant(name, field.name, cut);
    Some(())
}

fn how_much(checks: &mut Checks, number: i32) -> Option<Cut> {
    match pb::Cut::try_from(number) {
        Ok(pb::Cut::Masked) => Some(Cut::Masked),
        Ok(pb::Cut::Plain) => Some(Cut::Plain),
        Ok(pb::Cut::Unspecified) => {
            checks.refuse("cut", "REQUIRED", "is required", "不能为空");
            None
        }
        Err(_) => {
            checks.unknown("cut");
            None
        }
    }
}

/// The products that a dossier is asked for.
fn products(checks: &mut Checks, names: &[String]) -> Option<BTreeSet<ProductName>> {
    checks.count("products", names.len(), 0..=MOST_PRODUCTS)?;
    let products: Vec<Option<ProductName>> = names
        .iter()
        .enumerate()
        .map(|(number, name)| known_product(checks, &format!("products[{number}]"), name))
        .collect();
    products.into_iter().collect()
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

/// The last day of an agreement.
fn last_day(checks: &mut Checks, date: Option<types::Date>, today: LocalDay) -> Option<LocalDay> {
    let until = day(checks, "until", date)?;
    let (year, month) = (today.year() + MOST_YEARS, today.month_of_year());
    let latest = LocalDay::from_ymd(year, month, today.day_of_month())
        // 29 February.
        .or_else(|_no_such_day| LocalDay::from_ymd(year, month, 28))
        .unwrap_or(LocalDay::MAX);
    // Whether it is over is asked of the rules: a late retry is answered as before.
    let within = until <= latest;
    checks.that(
        within,
        "until",
        "UNTIL_INVALID",
        "must be within five years",
        "须在五年之内",
    );
    within.then_some(until)
}

fn maybe_state(checks: &mut Checks, number: i32) -> Option<Option<State>> {
    match pb::AgreementState::try_from(number) {
        Ok(pb::AgreementState::Unspecified) => Some(None),
        Ok(pb::AgreementState::Proposed) => Some(Some(State::Proposed)),
        Ok(pb::AgreementState::InForce) => Some(Some(State::InForce)),
        Ok(pb::AgreementState::Suspended) => Some(Some(State::Suspended)),
        Ok(pb::AgreementState::Ended) => Some(Some(State::Ended)),
        Ok(pb::AgreementState::Expired) => Some(Some(State::Expired)),
        Err(_) => {
            checks.unknown("state");
            None
        }
    }
}

/// How many visits, alerts and orders of each; of too many the most.
fn newest(checks: &mut Checks, number: i32) -> Option<i64> {
    let number = checks.number("newest", number, 0..=i32::MAX)?;
    let number = if number == 0 { NEWEST } else { number };
    Some(number.min(MOST_NEWEST).into())
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

/// A day that may be absent, today or before.
fn past_day(
    checks: &mut Checks,
    field: &str,
    date: Option<types::Date>,
    today: LocalDay,
) -> Option<Option<LocalDay>> {
    let day = maybe_day(checks, field, date)?;
    let past = day.is_none_or(|day| day <= today);
    checks.that(
        past,
        field,
        "DAY_IN_THE_FUTURE",
        "must not be after today",
        "不能晚于今天",
    );
    past.then_some(day)
}

fn page_of(size: &mut i32, token: &mut String) -> (i32, String) {
    (std::mem::take(size), std::mem::take(token))
}
