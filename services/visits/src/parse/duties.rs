//! Requests about duties and coverage.

use civic::{CalendarMonth, DivisionCode, DivisionLevel, LocalDay};
use prost::Message as _;
use proto::eldercare::r#type::v1 as types;
use proto::eldercare::visits::v1 as pb;
use service::{Checks, List, Paged};

use super::{LISTS, LONG_LISTS, Parse, Parsed, page_of};
use crate::coverage;
use crate::duties::{self, AskedFor, Which};
use crate::period::Period;

impl Parse {
    pub(crate) fn list_duties(
        &self,
        mut request: pb::ListDutiesRequest,
        today: LocalDay,
    ) -> Parsed<Paged<duties::Filter>> {
        let mut checks = Checks::new();
        let division = checks.division("division_code", &request.division_code);
        let asked_for = if request.campaign_id.is_empty() {
            let period: Option<Period> = checks.parsed(
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
                checks.unknown("filter");
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
        checks.paged(list, (size, &token, LONG_LISTS), position, filter)
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
                checks.unknown("elders");
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
        checks.paged(list, (size, &token, LONG_LISTS), position, filter)
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
        checks.paged(list, (size, &token, LISTS), position, division)
    }
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
            checks.unknown("by");
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
