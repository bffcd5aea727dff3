//! Requests become domain types, here and nowhere else.

use civic::{CalendarMonth, DivisionCode, DivisionLevel, ElderId, LocalDay, ReferralOutcome};
use elders::codec::read_day;
use eventlog::Position;
use prost::Message as _;
use proto::eldercare::r#type::v1 as types;
use proto::eldercare::visits::v1 as pb;
use service::{Checks, List, Page, PageBounds, RequestDigests};
use tonic::Status;
use uuid::Uuid;

use crate::codec::VisitTerm as _;
use crate::desk::Arrived;
use crate::duties::{AskedFor, Which};
use crate::exports::Whose;
use crate::visitors::{Asked, Change, Said};
use crate::{coverage, decisions, duties, visitors};

pub(crate) mod campaign;
mod plan;
mod record;
mod visitor;

use visitor::{change, said};

/// The most elders paired at once.
const MOST_ELDERS: usize = 1_000;
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

/// A list with the page asked for.
#[derive(Clone, Debug)]
pub(crate) struct Paged<T> {
    pub(crate) filter: T,
    pub(crate) list: List,
    pub(crate) page: Page,
    pub(crate) position: Option<Position>,
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

    pub(crate) fn register_visitor(
        &self,
        mut request: pb::RegisterVisitorRequest,
    ) -> Parsed<(Asked, Said, LocalDay)> {
        let mut checks = Checks::new();
        let id = std::mem::take(&mut request.request_id);
        let asked = self.asked(&mut checks, &id, &request);
        let visitor = checks.present("visitor", request.visitor);
        let (said, from) = visitor.map_or((None, None), |visitor| {
            checks.within("visitor", |checks| {
                (
                    said(checks, &visitor),
                    day(checks, "active_from", visitor.active_from),
                )
            })
        });
        checks.all((asked, said, from))
    }

    pub(crate) fn update_visitor(
        &self,
        mut request: pb::UpdateVisitorRequest,
    ) -> Parsed<(Asked, (Uuid, Option<u64>), Change)> {
        let mut checks = Checks::new();
        let id = std::mem::take(&mut request.request_id);
        let asked = self.asked(&mut checks, &id, &request);
        let fields = [
            "kind",
            "name",
            "phone",
            "home_division_code",
            "weekly_capacity",
            "modes",
        ];
        let mask = checks.field_mask("update_mask", request.update_mask.as_ref(), &fields);
        let visitor = checks.present("visitor", request.visitor);
        let change = visitor.zip(mask).and_then(|(visitor, mask)| {
            checks.within("visitor", |checks| {
                let which = checks.id("visitor_id", &visitor.visitor_id);
                let etag = checks.etag(&visitor.etag);
                let change = change(checks, &visitor, &mask);
                Some(((which?, etag?), change))
            })
        });
        let (asked, (which, change)) = checks.all((asked, change))?;
        Ok((asked, which, change))
    }

    pub(crate) fn retire_visitor(
        &self,
        mut request: pb::RetireVisitorRequest,
    ) -> Parsed<(Asked, Uuid, LocalDay)> {
        let mut checks = Checks::new();
        let id = std::mem::take(&mut request.request_id);
        let asked = self.asked(&mut checks, &id, &request);
        let visitor = checks.id("visitor_id", &request.visitor_id);
        let last = day(&mut checks, "last_day", request.last_day);
        checks.all((asked, visitor, last))
    }

    pub(crate) fn pair_elders(
        &self,
        mut request: pb::PairEldersRequest,
    ) -> Parsed<(Asked, Uuid, Vec<ElderId>, LocalDay)> {
        let mut checks = Checks::new();
        let id = std::mem::take(&mut request.request_id);
        let asked = self.asked(&mut checks, &id, &request);
        let visitor = checks.id("visitor_id", &request.visitor_id);
        let elders = elders(&mut checks, &request.elder_ids);
        let since = day(&mut checks, "since", request.since);
        checks.all((asked, visitor, elders, since))
    }

    pub(crate) fn unpair_elders(
        &self,
        mut request: pb::UnpairEldersRequest,
    ) -> Parsed<(Asked, Uuid, Vec<ElderId>, LocalDay)> {
        let mut checks = Checks::new();
        let id = std::mem::take(&mut request.request_id);
        let asked = self.asked(&mut checks, &id, &request);
        let visitor = checks.id("visitor_id", &request.visitor_id);
        let elders = elders(&mut checks, &request.elder_ids);
        let last = day(&mut checks, "last_day", request.last_day);
        checks.all((asked, visitor, elders, last))
    }

    pub(crate) fn list_visitors(
        &self,
        mut request: pb::ListVisitorsRequest,
    ) -> Parsed<Paged<visitors::Filter>> {
        let mut checks = Checks::new();
        let filter = checks
            .division("division_code", &request.division_code)
            .map(|division| visitors::Filter {
                division,
                retired_too: request.include_retired,
            });
        let (size, token) = page_of(&mut request.page_size, &mut request.page_token);
        let position = self.position(&mut checks, &std::mem::take(&mut request.min_position));
        let list = List::new("ListVisitors", &request.encode_to_vec());
        paged(checks, list, (size, &token, LISTS), position, filter)
    }

    pub(crate) fn visitor_figures(
        &self,
        request: &pb::GetVisitorFiguresRequest,
    ) -> Parsed<(Uuid, (LocalDay, LocalDay), Option<Position>)> {
        let mut checks = Checks::new();
        let visitor = checks.id("visitor_id", &request.visitor_id);
        let first = day(&mut checks, "first_day", request.first_day);
        let last = day(&mut checks, "last_day", request.last_day);
        let days = first.zip(last);
        checks.that(
            days.is_none_or(|(first, last)| first <= last),
            "last_day",
            "DAYS_INVALID",
            "must not lie before the first day",
            "不得早于起始日",
        );
        let position = self.position(&mut checks, &request.min_position);
        checks.all((visitor, days, position))
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

    /// One record; without a record at all the field is missing.
    pub(crate) fn record_visit(
        &self,
        request: pb::RecordVisitRequest,
    ) -> Parsed<(Arrived, Option<Position>)> {
        let mut checks = Checks::new();
        let position = self.position(&mut checks, &request.min_position);
        let record = checks.present("record", request.record);
        let arrived = record
            .and_then(|record| checks.within("record", |checks| self.arrived(checks, &record)));
        checks.all((arrived, position))
    }

    /// One record of a stream.
    pub(crate) fn streamed(&self, record: Option<&pb::VisitRecord>) -> Parsed<Arrived> {
        let mut checks = Checks::new();
        let arrived = match record {
            Some(record) => self.arrived(&mut checks, record),
            None => checks.present("record", None),
        };
        checks.all(arrived)
    }

    /// The position that a streamed record must not be judged before.
    pub(crate) fn streamed_position(&self, text: &str) -> Parsed<Option<Position>> {
        let mut checks = Checks::new();
        let position = self.position(&mut checks, text);
        checks.all(position)
    }

    pub(crate) fn confirm_record(
        &self,
        mut request: pb::ConfirmRecordRequest,
    ) -> Parsed<(Asked, Uuid, Option<Position>)> {
        let mut checks = Checks::new();
        let id = std::mem::take(&mut request.request_id);
        let position = self.position(&mut checks, &std::mem::take(&mut request.min_position));
        let asked = self.asked(&mut checks, &id, &request);
        let record = checks.id("record_id", &request.record_id);
        checks.all((asked, record, position))
    }

    pub(crate) fn reject_record(
        &self,
        mut request: pb::RejectRecordRequest,
    ) -> Parsed<(Asked, Uuid, Option<Position>)> {
        let mut checks = Checks::new();
        let id = std::mem::take(&mut request.request_id);
        let position = self.position(&mut checks, &std::mem::take(&mut request.min_position));
        let asked = self.asked(&mut checks, &id, &request);
        let record = checks.id("record_id", &request.record_id);
        checks.all((asked, record, position))
    }

    pub(crate) fn list_doubtful(
        &self,
        mut request: pb::ListDoubtfulRecordsRequest,
    ) -> Parsed<Paged<decisions::Filter>> {
        let mut checks = Checks::new();
        let filter = checks
            .division("division_code", &request.division_code)
            .map(|division| decisions::Filter {
                division,
                done_too: request.include_decided,
            });
        let (size, token) = page_of(&mut request.page_size, &mut request.page_token);
        let position = self.position(&mut checks, &std::mem::take(&mut request.min_position));
        let list = List::new("ListDoubtfulRecords", &request.encode_to_vec());
        paged(checks, list, (size, &token, LISTS), position, filter)
    }

    pub(crate) fn list_duties(
        &self,
        mut request: pb::ListDutiesRequest,
        today: LocalDay,
    ) -> Parsed<Paged<duties::Filter>> {
        let mut checks = Checks::new();
        let division = checks.division("division_code", &request.division_code);
        let asked_for = if request.campaign_id.is_empty() {
            let period: Option<crate::period::Period> = checks.parsed(
                "period",
                request.period.parse(),
                "PERIOD_INVALID",
                "is no week (2024-W40) and no month (2024-10)",
                "应为周（2024-W40）或月（2024-10）",
            );
            begun(
                &mut checks,
                "period",
                period.map(|one| one.first_day()),
                today,
            );
            period.map(AskedFor::Period)
        } else {
            checks.that(
                request.period.is_empty(),
                "period",
                "PERIOD_AND_CAMPAIGN",
                "must be empty where a campaign is asked for",
                "查询专项探访时应为空",
            );
            checks
                .id("campaign_id", &request.campaign_id)
                .map(AskedFor::Campaign)
        };
        let which = match pb::DutyFilter::try_from(request.filter) {
            Ok(pb::DutyFilter::Unspecified) => Some(Which::All),
            Ok(pb::DutyFilter::Met) => Some(Which::Met),
            Ok(pb::DutyFilter::Unmet) => Some(Which::Unmet),
            Ok(pb::DutyFilter::Missed) => Some(Which::Missed),
            Err(_) => {
                unknown(&mut checks, "filter");
                None
            }
        };
        let filter = division.zip(asked_for).zip(which);
        let filter = filter.map(|((division, asked_for), which)| duties::Filter {
            division,
            asked_for,
            which,
        });
        let (size, token) = page_of(&mut request.page_size, &mut request.page_token);
        let position = self.position(&mut checks, &std::mem::take(&mut request.min_position));
        let list = List::new("ListDuties", &request.encode_to_vec());
        paged(checks, list, (size, &token, LONG_LISTS), position, filter)
    }

    pub(crate) fn coverage(
        &self,
        mut request: pb::GetCoverageRequest,
        today: LocalDay,
    ) -> Parsed<Paged<coverage::Filter>> {
        let mut checks = Checks::new();
        let division = checks.division("division_code", &request.division_code);
        let month: Option<CalendarMonth> = if request.month.is_empty() {
            Some(CalendarMonth::of(today))
        } else {
            checks.parsed(
                "month",
                request.month.parse(),
                "MONTH_INVALID",
                "is no month (2024-10)",
                "应为月份（2024-10）",
            )
        };
        begun(
            &mut checks,
            "month",
            month.map(CalendarMonth::first_day),
            today,
        );
        let by = level(&mut checks, request.by, division);
        let visited = match pb::CoverageElders::try_from(request.elders) {
            Ok(pb::CoverageElders::Unspecified) => Some(None),
            Ok(pb::CoverageElders::Visited) => Some(Some(true)),
            Ok(pb::CoverageElders::ToVisit) => Some(Some(false)),
            Err(_) => {
                unknown(&mut checks, "elders");
                None
            }
        };
        let filter = division.zip(month).zip(by).zip(visited);
        let filter = filter.map(|(((division, month), by), visited)| coverage::Filter {
            division,
            month,
            by,
            visited,
        });
        let (size, token) = page_of(&mut request.page_size, &mut request.page_token);
        let position = self.position(&mut checks, &std::mem::take(&mut request.min_position));
        let list = List::new("GetCoverage", &request.encode_to_vec());
        paged(checks, list, (size, &token, LONG_LISTS), position, filter)
    }

    pub(crate) fn closed_doors(
        &self,
        mut request: pb::ListClosedDoorsRequest,
    ) -> Parsed<Paged<DivisionCode>> {
        let mut checks = Checks::new();
        let division = checks.division("division_code", &request.division_code);
        let (size, token) = page_of(&mut request.page_size, &mut request.page_token);
        let position = self.position(&mut checks, &std::mem::take(&mut request.min_position));
        let list = List::new("ListClosedDoors", &request.encode_to_vec());
        paged(checks, list, (size, &token, LISTS), position, division)
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
        paged(checks, list, (size, &token, LISTS), position, elder)
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

    pub(crate) fn list_referrals(
        &self,
        mut request: pb::ListReferralsRequest,
    ) -> Parsed<Paged<decisions::Filter>> {
        let mut checks = Checks::new();
        let filter = checks
            .division("division_code", &request.division_code)
            .map(|division| decisions::Filter {
                division,
                done_too: request.include_closed,
            });
        let (size, token) = page_of(&mut request.page_size, &mut request.page_token);
        let position = self.position(&mut checks, &std::mem::take(&mut request.min_position));
        let list = List::new("ListReferrals", &request.encode_to_vec());
        paged(checks, list, (size, &token, LISTS), position, filter)
    }

    pub(crate) fn answer_referral(
        &self,
        mut request: pb::AnswerReferralRequest,
    ) -> Parsed<(Asked, Uuid, String, Option<Position>)> {
        let mut checks = Checks::new();
        let id = std::mem::take(&mut request.request_id);
        let position = self.position(&mut checks, &std::mem::take(&mut request.min_position));
        let asked = self.asked(&mut checks, &id, &request);
        let referral = checks.id("referral_id", &request.referral_id);
        let answer = checks.string("answer", &request.answer, 1..=LONGEST_TEXT);
        checks.all((asked, referral, answer, position))
    }

    pub(crate) fn close_referral(
        &self,
        mut request: pb::CloseReferralRequest,
    ) -> Parsed<(Asked, Uuid, ReferralOutcome, Option<Position>)> {
        let mut checks = Checks::new();
        let id = std::mem::take(&mut request.request_id);
        let position = self.position(&mut checks, &std::mem::take(&mut request.min_position));
        let asked = self.asked(&mut checks, &id, &request);
        let referral = checks.id("referral_id", &request.referral_id);
        let outcome = checks.known::<pb::ReferralOutcome>("outcome", request.outcome);
        let outcome = outcome.and_then(|outcome| ReferralOutcome::of_number(outcome.into()));
        checks.all((asked, referral, outcome, position))
    }

    fn position(&self, checks: &mut Checks, text: &str) -> Option<Option<Position>> {
        let position = checks.position("min_position", text)?;
        let known = position
            .as_ref()
            .is_none_or(|position| self.streams.contains(&position.stream));
        checks.that(
            known,
            "min_position",
            "POSITION_INVALID",
            "must lie in the log of visits, of the registry or of tiering",
            "必须是探访、台账或分级服务日志的位置",
        );
        Some(position)
    }
}

fn unknown(checks: &mut Checks, field: &str) {
    checks.refuse(
        field,
        "VALUE_UNKNOWN",
        "is none of the known values",
        "取值无法识别",
    );
}

/// A period must have begun.
fn begun(checks: &mut Checks, field: &str, first: Option<LocalDay>, today: LocalDay) {
    checks.that(
        first.is_none_or(|first| first <= today),
        field,
        "PERIOD_IN_THE_FUTURE",
        "has not begun yet",
        "尚未开始",
    );
}

/// The level of figures below a division; none where the division has nothing below.
fn level(
    checks: &mut Checks,
    by: i32,
    division: Option<DivisionCode>,
) -> Option<Option<DivisionLevel>> {
    let next = division.and_then(|division| {
        let mut levels = DivisionLevel::ALL.into_iter();
        levels.find(|level| level.parent() == Some(division.level()))
    });
    let level = match types::DivisionLevel::try_from(by) {
        Ok(types::DivisionLevel::Unspecified) => return Some(next),
        Ok(types::DivisionLevel::Province) => DivisionLevel::Province,
        Ok(types::DivisionLevel::City) => DivisionLevel::City,
        Ok(types::DivisionLevel::County) => DivisionLevel::County,
        Ok(types::DivisionLevel::Town) => DivisionLevel::Town,
        Ok(types::DivisionLevel::Village) => DivisionLevel::Village,
        Err(_) => {
            unknown(checks, "by");
            return None;
        }
    };
    checks.that(
        division.is_none_or(|division| division.level().digits() < level.digits()),
        "by",
        "LEVEL_NOT_BELOW",
        "must be a level below the division",
        "应为该区划以下的级别",
    );
    Some(Some(level))
}

fn elders(checks: &mut Checks, ids: &[String]) -> Option<Vec<ElderId>> {
    checks.count("elder_ids", ids.len(), 1..=MOST_ELDERS)?;
    let ids: Vec<_> = ids
        .iter()
        .enumerate()
        .map(|(place, id)| checks.id(&format!("elder_ids[{place}]"), id).map(ElderId))
        .collect();
    ids.into_iter().collect()
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

fn paged<T>(
    mut checks: Checks,
    list: List,
    (size, token, bounds): (i32, &str, PageBounds),
    position: Option<Option<Position>>,
    filter: Option<T>,
) -> Parsed<Paged<T>> {
    let page = match list.page(size, token, bounds) {
        Ok(page) => Some(page),
        Err(violation) => {
            checks.add(violation);
            None
        }
    };
    let (filter, page, position) = checks.all((filter, page, position))?;
    Ok(Paged {
        filter,
        list,
        page,
        position,
    })
}
