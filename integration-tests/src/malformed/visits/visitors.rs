//! Malformed commands about who visits whom, and since when.

use proto::eldercare::visits::v1 as visits;
use rand::{Rng as _, rngs::StdRng, seq::IndexedRandom as _};

use super::no_id_of_a_caller;
use crate::{
    county, date,
    malformed::{Break, Known, Maker, maker, wrong_values::*},
    new_id,
    visiting::a_visitor,
};

/// No visitor that could be registered.
fn break_visitor(visitor: &mut visits::Visitor, random: &mut StdRng) {
    match random.random_range(0..9) {
        0 => visitor.kind = *[0, -1, 14, i32::MAX].choose(random).expect("not empty"),
        1 => visitor.name = no_name(random),
        2 => visitor.phone = "1".repeat(random.random_range(33..2_000)),
        3 => visitor.home_division_code = no_division(random),
        4 => visitor.home_division_code = "3505".to_owned(),
        5 => visitor.weekly_capacity = *[0, -1, 201, i32::MAX].choose(random).expect("not empty"),
        6 => visitor.modes.clear(),
        7 => visitor.modes = vec![1, no_word(random)],
        _ => visitor.modes = vec![0],
    }
}

pub(super) fn about_visitors(known: &Known) -> Vec<Maker> {
    use visits::*;
    let visitor = || known.visitor.clone();
    vec![
        maker(
            method!("RegisterVisitor"),
            a_visitor("林探访"),
            asked!(RegisterVisitorRequest:
                "no visitor" => |m, _| m.visitor = None,
                "visitor" => |m, r| break_visitor(m.visitor.as_mut().expect("there"), r),
                "active_from" => |m, r| m.visitor.as_mut().expect("there").active_from = no_date(r),
                "no active_from" => |m, _| m.visitor.as_mut().expect("there").active_from = None,
            ),
        ),
        maker(
            method!("UpdateVisitor"),
            UpdateVisitorRequest {
                visitor: Some(Visitor {
                    visitor_id: visitor(),
                    ..a_visitor("林改名").visitor.expect("there")
                }),
                request_id: new_id(),
                update_mask: Some(prost_types::FieldMask {
                    paths: [
                        "kind",
                        "name",
                        "phone",
                        "home_division_code",
                        "weekly_capacity",
                        "modes",
                    ]
                    .map(str::to_owned)
                    .to_vec(),
                }),
            },
            asked!(UpdateVisitorRequest:
                "no visitor" => |m, _| m.visitor = None,
                "visitor_id" => |m, r| m.visitor.as_mut().expect("there").visitor_id = no_uuid(r),
                "etag" => |m, r| m.visitor.as_mut().expect("there").etag = no_etag(r),
                "visitor" => |m, r| break_visitor(m.visitor.as_mut().expect("there"), r),
                "no mask" => |m, _| m.update_mask = None,
                "a mask of nothing" => |m, _| m.update_mask = Some(prost_types::FieldMask::default()),
                "a mask of a field that there isn't" => |m, r| m.update_mask = Some(prost_types::FieldMask { paths: vec![garbage(r, 200)] }),
                "a mask of a field that it may not name" => |m, _| m.update_mask = Some(prost_types::FieldMask { paths: vec!["active_until".to_owned()] }),
            ),
        ),
        maker(
            method!("RetireVisitor"),
            RetireVisitorRequest {
                request_id: new_id(),
                visitor_id: visitor(),
                last_day: Some(date("2024-12-31")),
            },
            asked!(RetireVisitorRequest:
                "visitor_id" => |m, r| m.visitor_id = no_uuid(r),
                "last_day" => |m, r| m.last_day = no_date(r),
                "no last_day" => |m, _| m.last_day = None,
            ),
        ),
        maker(
            method!("PairElders"),
            PairEldersRequest {
                request_id: new_id(),
                visitor_id: visitor(),
                elder_ids: vec![known.elder.clone()],
                since: Some(date("2024-10-01")),
            },
            asked!(PairEldersRequest:
                "visitor_id" => |m, r| m.visitor_id = no_uuid(r),
                "elder_ids" => |m, r| m.elder_ids = no_ids(r),
                "since" => |m, r| m.since = no_date(r),
                "no since" => |m, _| m.since = None,
            ),
        ),
        maker(
            method!("UnpairElders"),
            UnpairEldersRequest {
                request_id: new_id(),
                visitor_id: visitor(),
                elder_ids: vec![known.elder.clone()],
                last_day: Some(date("2024-10-01")),
            },
            asked!(UnpairEldersRequest:
                "visitor_id" => |m, r| m.visitor_id = no_uuid(r),
                "elder_ids" => |m, r| m.elder_ids = no_ids(r),
                "last_day" => |m, r| m.last_day = no_date(r),
                "no last_day" => |m, _| m.last_day = None,
            ),
        ),
        maker(
            method!("StartVisiting"),
            StartVisitingRequest {
                request_id: new_id(),
                division_code: county::COUNTY.to_owned(),
                on: Some(date("2024-09-30")),
            },
            asked!(StartVisitingRequest:
                "division_code" => |m, r| m.division_code = no_division(r),
                "a village" => |m, _| m.division_code = crate::elders::VILLAGE.to_owned(),
                "on" => |m, r| m.on = no_date(r),
                "no day" => |m, _| m.on = None,
                "a day too long ago" => |m, _| m.on = Some(date("2023-08-01")),
            ),
        ),
    ]
}
