//! Malformed commands and questions about plans of weeks, and about a visitor's day.

use proto::eldercare::visits::v1::{self as visits, adjust_plan_request::Adjustment};
use rand::{Rng as _, rngs::StdRng, seq::IndexedRandom as _};

use super::{WEEK, no_id_of_a_caller};
use crate::{
    county, date,
    malformed::{Break, Known, Maker, maker, wrong_values::*},
    new_id,
};

/// No ISO week.
fn no_week(random: &mut StdRng) -> String {
    match random.random_range(0..4) {
        0 => String::new(),
        1 => "2024-W54".to_owned(),
        2 => "2024-10".to_owned(),
        _ => garbage(random, 100),
    }
}

pub(super) fn about_plans(known: &Known) -> Vec<Maker> {
    use visits::*;
    vec![
        maker(
            method!("PlanWeek"),
            PlanWeekRequest {
                request_id: new_id(),
                division_code: county::COUNTY.to_owned(),
                week: WEEK.to_owned(),
                ..Default::default()
            },
            asked!(PlanWeekRequest:
                "division_code" => |m, r| m.division_code = no_division(r),
                "a province" => |m, _| m.division_code = "35".to_owned(),
                "week" => |m, r| m.week = no_week(r),
                "min_position" => |m, r| m.min_position = no_position(r),
            ),
        ),
        maker(
            method!("GetPlan"),
            GetPlanRequest {
                division_code: county::COUNTY.to_owned(),
                week: WEEK.to_owned(),
                ..Default::default()
            },
            listed!(GetPlanRequest:
                "a city" => |m, _| m.division_code = "3505".to_owned(),
                "week" => |m, r| m.week = no_week(r),
            ),
        ),
        maker(
            method!("AdjustPlan"),
            AdjustPlanRequest {
                request_id: new_id(),
                week: WEEK.to_owned(),
                elder_id: known.elder.clone(),
                adjustment: Some(Adjustment::Mark(PlanMark::Pinned.into())),
                ..Default::default()
            },
            asked!(AdjustPlanRequest:
                "week" => |m, r| m.week = no_week(r),
                "elder_id" => |m, r| m.elder_id = no_uuid(r),
                "etag" => |m, r| m.etag = no_etag(r),
                "no adjustment" => |m, _| m.adjustment = None,
                "mark" => |m, r| m.adjustment = Some(Adjustment::Mark(no_word(r))),
                "no mark" => |m, _| m.adjustment = Some(Adjustment::Mark(0)),
                "skip" => |m, r| m.adjustment = Some(Adjustment::Skip(no_word(r))),
                "no skip" => |m, _| m.adjustment = Some(Adjustment::Skip(0)),
                "move" => |m, r| m.adjustment = Some(Adjustment::Move(no_move(r))),
                "min_position" => |m, r| m.min_position = no_position(r),
            ),
        ),
        maker(
            method!("GetWorklist"),
            GetWorklistRequest {
                visitor_id: known.visitor.clone(),
                day: Some(date("2024-10-01")),
                ..Default::default()
            },
            breaks!(GetWorklistRequest:
                "visitor_id" => |m, r| m.visitor_id = no_uuid(r),
                "day" => |m, r| m.day = no_date(r),
                "no day" => |m, _| m.day = None,
                "min_position" => |m, r| m.min_position = no_position(r),
            ),
        ),
    ]
}

/// Nobody can go there.
fn no_move(random: &mut StdRng) -> visits::PlanMove {
    let valid = visits::PlanMove {
        visitor_id: new_id(),
        day: Some(date("2024-10-02")),
        place: 1,
    };
    match random.random_range(0..4) {
        0 => visits::PlanMove {
            visitor_id: no_uuid(random),
            ..valid
        },
        1 => visits::PlanMove {
            day: no_date(random),
            ..valid
        },
        2 => visits::PlanMove { day: None, ..valid },
        _ => visits::PlanMove {
            place: *[-1, 65_536, i32::MAX, i32::MIN]
                .choose(random)
                .expect("not empty"),
            ..valid
        },
    }
}
