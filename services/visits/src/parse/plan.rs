//! Requests about plans.

use civic::{DivisionCode, DivisionLevel, IsoWeek, LocalDay, SkipReason};
use elders::terms::WireTerm as _;
use eventlog::Position;
use prost::Message as _;
use proto::eldercare::visits::v1 as pb;
use service::{Asked, Checks, List, Paged};
use uuid::Uuid;

use super::{LONG_LISTS, Parse, Parsed, day, page_of};
use crate::planning::ToPlan;
use crate::plans::{Filter, ToAdjust, Wish};

impl Parse {
    pub(crate) fn plan_week(
        &self,
        mut request: pb::PlanWeekRequest,
    ) -> Parsed<(Asked, ToPlan, Option<Position>)> {
        let mut checks = Checks::new();
        let id = std::mem::take(&mut request.request_id);
        let position = self.position(&mut checks, &std::mem::take(&mut request.min_position));
        let asked = self.asked(&mut checks, &id, &request);
        let division = division(&mut checks, &request.division_code);
        let week = week(&mut checks, &request.week);
        let what = division.zip(week).map(|(division, week)| ToPlan {
            division,
            week,
            seed: request.seed,
        });
        checks.all((asked, what, position))
    }

    pub(crate) fn get_plan(&self, mut request: pb::GetPlanRequest) -> Parsed<Paged<Filter>> {
        let mut checks = Checks::new();
        let division = division(&mut checks, &request.division_code);
        let week = week(&mut checks, &request.week);
        let filter = division
            .zip(week)
            .map(|(division, week)| Filter { division, week });
        let (size, token) = page_of(&mut request.page_size, &mut request.page_token);
        let position = self.position(&mut checks, &std::mem::take(&mut request.min_position));
        let list = List::new("GetPlan", &request.encode_to_vec());
        checks.paged(list, (size, &token, LONG_LISTS), position, filter)
    }

    pub(crate) fn adjust_plan(
        &self,
        mut request: pb::AdjustPlanRequest,
    ) -> Parsed<(Asked, ToAdjust, Option<Position>)> {
        use pb::adjust_plan_request::Adjustment;
        let mut checks = Checks::new();
        let id = std::mem::take(&mut request.request_id);
        let position = self.position(&mut checks, &std::mem::take(&mut request.min_position));
        let asked = self.asked(&mut checks, &id, &request);
        let week = week(&mut checks, &request.week);
        let elder = checks.id("elder_id", &request.elder_id).map(civic::ElderId);
        let etag = checks.etag(&request.etag);
        let adjustment = checks.present("adjustment", request.adjustment);
        let change = adjustment.and_then(|adjustment| match adjustment {
            Adjustment::Move(to) => checks.within("move", |checks| moved(checks, &to)),
            Adjustment::Mark(mark) => match pb::PlanMark::try_from(mark) {
                Ok(pb::PlanMark::Pinned) => Some(Wish::Pin),
                Ok(pb::PlanMark::Released) => Some(Wish::Release),
                Ok(pb::PlanMark::Unspecified) | Err(_) => {
                    checks.unknown("mark");
                    None
                }
            },
            Adjustment::Skip(reason) => {
                let reason = SkipReason::from_wire(reason);
                if reason.is_none() {
                    checks.unknown("skip");
                }
                reason.map(Wish::Skip)
            }
        });
        let (asked, week, elder, etag, change, position) =
            checks.all((asked, week, elder, etag, change, position))?;
        let what = ToAdjust {
            week,
            elder,
            etag,
            change,
        };
        Ok((asked, what, position))
    }

    pub(crate) fn worklist(
        &self,
        request: &pb::GetWorklistRequest,
    ) -> Parsed<(Uuid, LocalDay, Option<Position>)> {
        let mut checks = Checks::new();
        let visitor = checks.id("visitor_id", &request.visitor_id);
        let on = day(&mut checks, "day", request.day);
        let position = self.position(&mut checks, &request.min_position);
        checks.all((visitor, on, position))
    }
}

fn moved(checks: &mut Checks, to: &pb::PlanMove) -> Option<Wish> {
    let visitor = checks.id("visitor_id", &to.visitor_id);
    let on = day(checks, "day", to.day);
    let place = checks.number("place", to.place, 0..=i32::from(u16::MAX));
    let place = u16::try_from(place?).ok()?;
    Some(Wish::Move {
        visitor: visitor?,
        day: on?,
        place: (place > 0).then_some(place),
    })
}

/// A division that is planned: visitors visit in one county, so that no plan is larger.
fn division(checks: &mut Checks, code: &str) -> Option<DivisionCode> {
    let division = checks.division("division_code", code);
    checks.that(
        division.is_none_or(|division| division.at(DivisionLevel::County).is_some()),
        "division_code",
        "DIVISION_TOO_LARGE",
        "must be a county, or a town or village of one",
        "应为县或县以下区划",
    );
    division
}

fn week(checks: &mut Checks, text: &str) -> Option<IsoWeek> {
    checks.parsed(
        "week",
        text.parse(),
        "WEEK_INVALID",
        "is no ISO week (2024-W40)",
        "应为周（2024-W40）",
    )
}
