//! Malformed questions about visitors, duties, coverage, records and referrals.

use proto::eldercare::{r#type::v1 as types, visits::v1 as visits};
use rand::{Rng as _, rngs::StdRng};

use super::WEEK;
use crate::{
    county, date,
    malformed::{Break, Known, Maker, maker, wrong_values::*},
    new_id,
};

/// No week or month, or one to come.
fn no_period(random: &mut StdRng) -> String {
    match random.random_range(0..5) {
        0 => String::new(),
        1 => "2024-13".to_owned(),
        2 => "2024-W53".to_owned(),
        3 => "2024-11".to_owned(),
        _ => garbage(random, 100),
    }
}

pub(super) fn questions(known: &Known) -> Vec<Maker> {
    use visits::*;
    let county = || county::COUNTY.to_owned();
    vec![
        maker(
            method!("ListVisitors"),
            ListVisitorsRequest {
                division_code: county(),
                ..Default::default()
            },
            listed!(ListVisitorsRequest: "no division" => |m, _| m.division_code.clear()),
        ),
        maker(
            method!("GetVisitorFigures"),
            GetVisitorFiguresRequest {
                visitor_id: known.visitor.clone(),
                first_day: Some(date("2024-09-01")),
                last_day: Some(date("2024-09-30")),
                ..Default::default()
            },
            breaks!(GetVisitorFiguresRequest:
                "visitor_id" => |m, r| m.visitor_id = no_uuid(r),
                "first_day" => |m, r| m.first_day = no_date(r),
                "no first_day" => |m, _| m.first_day = None,
                "last_day" => |m, r| m.last_day = no_date(r),
                "no last_day" => |m, _| m.last_day = None,
                "min_position" => |m, r| m.min_position = no_position(r),
            ),
        ),
        maker(
            method!("ListDoubtfulRecords"),
            ListDoubtfulRecordsRequest {
                division_code: county(),
                ..Default::default()
            },
            listed!(ListDoubtfulRecordsRequest: "no division" => |m, _| m.division_code.clear()),
        ),
        maker(
            method!("ListDuties"),
            ListDutiesRequest {
                division_code: county(),
                period: WEEK.to_owned(),
                ..Default::default()
            },
            listed!(ListDutiesRequest:
                "period" => |m, r| m.period = no_period(r),
                "filter" => |m, r| m.filter = no_word(r),
                "campaign_id" => |m, r| { m.period.clear(); m.campaign_id = no_uuid(r); },
                "both a period and a campaign" => |m, _| m.campaign_id = new_id(),
            ),
        ),
        maker(
            method!("GetCoverage"),
            GetCoverageRequest {
                division_code: county(),
                ..Default::default()
            },
            listed!(GetCoverageRequest:
                "month 00" => |m, _| m.month = "2024-00".to_owned(),
                "a month to come" => |m, _| m.month = "2024-11".to_owned(),
                "a month that is none" => |m, r| m.month = garbage(r, 100),
                "by" => |m, r| m.by = no_word(r),
                "a level that is not below" => |m, _| m.by = types::DivisionLevel::City.into(),
                "elders" => |m, r| m.elders = no_word(r),
            ),
        ),
        maker(
            method!("GetElderVisits"),
            GetElderVisitsRequest {
                elder_id: known.elder.clone(),
                ..Default::default()
            },
            breaks!(GetElderVisitsRequest:
                "elder_id" => |m, r| m.elder_id = no_uuid(r),
                "page_size" => |m, r| m.page_size = no_page(r),
                "page_token" => |m, r| m.page_token = no_token(r),
                "min_position" => |m, r| m.min_position = no_position(r),
            ),
        ),
        maker(
            method!("ListClosedDoors"),
            ListClosedDoorsRequest {
                division_code: county(),
                ..Default::default()
            },
            listed!(ListClosedDoorsRequest: "no division" => |m, _| m.division_code.clear()),
        ),
        maker(
            method!("ListReferrals"),
            ListReferralsRequest {
                division_code: county(),
                ..Default::default()
            },
            listed!(ListReferralsRequest:
                "no division" => |m, _| m.division_code.clear(),
                "referred_to" => |m, _| m.referred_to = "housing".to_owned(),
            ),
        ),
    ]
}
