//! Requests become domain types, here and nowhere else.

use civic::{DivisionCode, DivisionLevel, ElderId, LocalDay};
use elders::codec::read_day;
use eventlog::Position;
use prost::Message as _;
use proto::eldercare::r#type::v1 as types;
use proto::eldercare::visits::v1 as pb;
use service::{Asked, Checks, List, PageBounds, Paged, RequestDigests};
use tonic::Status;

use crate::exports::Whose;

pub(crate) mod campaign;
mod duties;
mod plan;
mod record;
mod referral;
mod visitor;

/// The most days of one export.
const MOST_DAYS: i64 = 366;
/// The longest free text.
const LONGEST_TEXT: usize = 1_000;

const LISTS: PageBounds = PageBounds {
    default: 100,
    most: 1_000,
};
const LONG_LISTS: PageBounds = PageBounds {
    default: 100,
    most: 5_000,
};

/// Reads requests: knows the streams that positions may lie in, and the digests of requests.
#[derive(Clone, Debug)]
pub(crate) struct Parse {
    pub(crate) streams: [String; 3],
    pub(crate) digests: RequestDigests,
}

type Parsed<T> = Result<T, Status>;

impl Parse {
    /// A command's id, and the digest of the rest of its request.
    fn asked<M: prost::Message>(&self, checks: &mut Checks, id: &str, rest: &M) -> Option<Asked> {
        Some(Asked {
            request_id: record::callers_id(checks, "request_id", id)?,
            digest: self.digests.of(rest),
        })
    }

    pub(crate) fn start_visiting(
        &self,
        mut request: pb::StartVisitingRequest,
    ) -> Parsed<(Asked, DivisionCode, LocalDay)> {
        let mut checks = Checks::new();
        let id = std::mem::take(&mut request.request_id);
        let asked = self.asked(&mut checks, &id, &request);
        let division = checks.division("division_code", &request.division_code);
        checks.that(
            division.is_none_or(|division| division.level() != DivisionLevel::Village),
            "division_code",
            "DIVISION_TOO_SMALL",
            "a village starts with its town",
            "村（社区）随乡镇启动探访",
        );
        let on = day(&mut checks, "on", request.on);
        checks.all((asked, division, on))
    }

    pub(crate) fn elder_visits(
        &self,
        mut request: pb::GetElderVisitsRequest,
    ) -> Parsed<Paged<ElderId>> {
        let mut checks = Checks::new();
        let elder = checks.id("elder_id", &request.elder_id).map(ElderId);
        let (size, token) = page_of(&mut request.page_size, &mut request.page_token);
        let position = self.position(&mut checks, &std::mem::take(&mut request.min_position));
        let list = List::new("GetElderVisits", &request.encode_to_vec());
        checks.paged(list, (size, &token, LISTS), position, elder)
    }

    pub(crate) fn export_records(
        &self,
        request: &pb::ExportRecordsRequest,
    ) -> Parsed<(Whose, (LocalDay, LocalDay), Option<Position>)> {
        use pb::export_records_request::Whose as Asked;
        let mut checks = Checks::new();
        let whose = match checks.present("whose", request.whose.as_ref()) {
            Some(Asked::ElderId(id)) => checks.id("elder_id", id).map(ElderId).map(Whose::Elder),
            Some(Asked::DivisionCode(code)) => {
                checks.division("division_code", code).map(Whose::Division)
            }
            None => None,
        };
        let first = day(&mut checks, "first_day", request.first_day);
        let last = day(&mut checks, "last_day", request.last_day);
        let days = first.zip(last);
        checks.that(
            days.is_none_or(|(first, last)| (0..MOST_DAYS).contains(&first.days_until(last))),
            "last_day",
            "DAYS_INVALID",
            "must not lie before the first day, nor a year or more after it",
            "不得早于起始日，且期间不超过一年",
        );
        let position = self.position(&mut checks, &request.min_position);
        checks.all((whose, days, position))
    }

    fn position(&self, checks: &mut Checks, text: &str) -> Option<Option<Position>> {
        checks.position_in(
            &self.streams,
            "min_position",
            text,
            "must lie in the log of visits, of the registry or of tiering",
            "必须是探访、台账或分级服务日志的位置",
        )
    }
}

fn day(checks: &mut Checks, field: &str, date: Option<types::Date>) -> Option<LocalDay> {
    let date = checks.present(field, date)?;
    let day = read_day(date);
    if day.is_none() {
        checks.refuse(
            field,
            "DATE_INVALID",
            "is no day of the calendar",
            "不是有效日期",
        );
    }
    day
}

fn instant(
    checks: &mut Checks,
    field: &str,
    at: Option<prost_types::Timestamp>,
) -> Option<chrono::DateTime<chrono::Utc>> {
    let at = checks.present(field, at)?;
    checks.instant(field, Some(at))?
}

/// A free text; none where it is blank.
fn text(checks: &mut Checks, field: &str, text: &str) -> Option<Option<String>> {
    let text = checks.string(field, text, 0..=LONGEST_TEXT)?;
    Some(Some(text).filter(|text| !text.trim().is_empty()))
}

fn page_of(size: &mut i32, token: &mut String) -> (i32, String) {
    (std::mem::take(size), std::mem::take(token))
}
