//! Malformed requests to visits: commands about visitors, records, plans, campaigns and referrals, and questions.

use proto::eldercare::{
    r#type::v1 as types,
    visits::v1::{self as visits, adjust_plan_request::Adjustment, export_records_request::Whose},
};
use rand::{Rng as _, rngs::StdRng, seq::IndexedRandom as _};
use uuid::Uuid;

use super::{Break, Known, Maker, maker, wrong_values::*};
use crate::{
    county, date,
    days::timestamp,
    visiting::{a_visit, a_visitor},
};

/// The week that is planned.
const WEEK: &str = "2024-W40";

/// What begins every command, and what follows.
macro_rules! asked {
    ($kind:ty: $($wrong:literal => $change:expr),* $(,)?) => {
        breaks!($kind:
            "request_id" => |m, r| m.request_id = no_id_of_a_caller(r),
            $($wrong => $change),*
        )
    };
}

/// What is asked of a list of a division, and what follows.
macro_rules! listed {
    ($kind:ty: $($wrong:literal => $change:expr),* $(,)?) => {
        breaks!($kind:
            "division_code" => |m, r| m.division_code = no_division(r),
            "page_size" => |m, r| m.page_size = no_page(r),
            "page_token" => |m, r| m.page_token = no_token(r),
            "min_position" => |m, r| m.min_position = no_position(r),
            $($wrong => $change),*
        )
    };
}

/// A method of visits.
macro_rules! method {
    ($name:literal) => {
        concat!("/eldercare.visits.v1.VisitService/", $name)
    };
}

/// Requests to visits.
pub(super) fn of_visits(known: &Known) -> Vec<Maker> {
    let mut makers = about_visitors(known);
    makers.extend(about_plans(known));
    makers.extend(about_campaigns());
    makers.push(of_a_record(known));
    makers.extend(about_records(known));
    makers.extend(questions(known));
    makers
}

/// An id of the system's own, or none.
fn no_id_of_a_caller(random: &mut StdRng) -> String {
    if random.random() {
        Uuid::new_v8(random.random()).to_string()
    } else {
        no_uuid(random)
    }
}

/// No ISO week.
fn no_week(random: &mut StdRng) -> String {
    match random.random_range(0..4) {
        0 => String::new(),
        1 => "2024-W54".to_owned(),
        2 => "2024-10".to_owned(),
        _ => garbage(random, 100),
    }
}

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

fn about_visitors(known: &Known) -> Vec<Maker> {
    use visits::*;
    let id = || Uuid::new_v4().to_string();
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
                request_id: id(),
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
                request_id: id(),
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
                request_id: id(),
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
                request_id: id(),
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
                request_id: id(),
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

fn about_campaigns() -> Vec<Maker> {
    use visits::*;
    let id = || Uuid::new_v4().to_string();
    vec![
        maker(
            method!("StartCampaign"),
            StartCampaignRequest {
                request_id: id(),
                division_code: county::COUNTY.to_owned(),
                kind: CampaignKind::Festival.into(),
                name: "重阳节走访".to_owned(),
                first_day: Some(date("2024-10-08")),
                last_day: Some(date("2024-10-14")),
                selection: Some(CampaignSelection::default()),
            },
            asked!(StartCampaignRequest:
                "division_code" => |m, r| m.division_code = no_division(r),
                "a province" => |m, _| m.division_code = "35".to_owned(),
                "kind" => |m, r| m.kind = no_word(r),
                "no kind" => |m, _| m.kind = 0,
                "name" => |m, r| m.name = no_name(r),
                "first_day" => |m, r| m.first_day = no_date(r),
                "no first_day" => |m, _| m.first_day = None,
                "last_day" => |m, r| m.last_day = no_date(r),
                "no last_day" => |m, _| m.last_day = None,
                "too many tiers" => |m, _| selection(m).tiers = vec!["PRIORITY".to_owned(); 11],
                "a tier that there isn't" => |m, r| selection(m).tiers = vec![garbage(r, 500)],
                "condition" => |m, r| selection(m).condition = no_condition(r),
            ),
        ),
        maker(
            method!("EndCampaign"),
            EndCampaignRequest {
                request_id: id(),
                campaign_id: id(),
            },
            asked!(EndCampaignRequest: "campaign_id" => |m, r| m.campaign_id = no_uuid(r)),
        ),
        maker(
            method!("ListCampaigns"),
            ListCampaignsRequest {
                division_code: county::COUNTY.to_owned(),
                ..Default::default()
            },
            listed!(ListCampaignsRequest: "no division" => |m, _| m.division_code.clear()),
        ),
    ]
}

fn selection(request: &mut visits::StartCampaignRequest) -> &mut visits::CampaignSelection {
    request.selection.as_mut().expect("there")
}

/// No condition on an elder's facts.
fn no_condition(random: &mut StdRng) -> String {
    match random.random_range(0..5) {
        0 => "age +".to_owned(),
        1 => "name == '林'".to_owned(),
        2 => "age".to_owned(),
        3 => "age >= ".repeat(5_000),
        _ => format!("({}", garbage(random, 2_000)),
    }
}

fn about_plans(known: &Known) -> Vec<Maker> {
    use visits::*;
    let id = || Uuid::new_v4().to_string();
    vec![
        maker(
            method!("PlanWeek"),
            PlanWeekRequest {
                request_id: id(),
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
                request_id: id(),
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
        visitor_id: Uuid::new_v4().to_string(),
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

/// Of one record. Its messages are, byte for byte, also those of a stream of records.
pub(super) fn of_a_record(known: &Known) -> Maker {
    use visits::*;
    let record = VisitRecord {
        remarks: "一切安好".to_owned(),
        check_in: Some(types::GeoPosition {
            latitude: 25.06,
            longitude: 118.18,
        }),
        photo_hashes: vec![vec![7; 32].into()],
        findings: vec![FoundProblem {
            kind: FindingKind::Medical.into(),
            note: String::new(),
        }],
        ..a_visit(&known.visitor, &known.elder, "2024-10-01T08:00:00+08:00")
    };
    maker(
        method!("RecordVisit"),
        RecordVisitRequest {
            record: Some(record),
            min_position: String::new(),
        },
        breaks!(RecordVisitRequest:
            "no record" => |m, _| m.record = None,
            "min_position" => |m, r| m.min_position = no_position(r),
            "record_id" => |m, r| of(m).record_id = no_id_of_a_caller(r),
            "elder_id" => |m, r| of(m).elder_id = no_uuid(r),
            "visitor_id" => |m, r| of(m).visitor_id = no_uuid(r),
            "mode" => |m, r| of(m).mode = no_word(r),
            "no mode" => |m, _| of(m).mode = 0,
            "result" => |m, r| of(m).result = no_word(r),
            "no result" => |m, _| of(m).result = 0,
            "start_time" => |m, r| of(m).start_time = no_time(r),
            "no start_time" => |m, _| of(m).start_time = None,
            "end_time" => |m, r| of(m).end_time = no_time(r),
            "no end_time" => |m, _| of(m).end_time = None,
            "services" => |m, r| of(m).services = vec![1, no_word(r)],
            "remarks" => |m, r| of(m).remarks = too_long(r),
            "check_in" => |m, r| of(m).check_in = no_place(r),
            "a photo of another length" => |m, r| of(m).photo_hashes = vec![vec![1; *[0, 16, 31, 33, 64].choose(r).expect("not empty")].into()],
            "too many photos" => |m, r| of(m).photo_hashes = vec![vec![1; 32].into(); r.random_range(21..500)],
            "finding" => |m, r| of(m).findings[0].kind = no_word(r),
            "no finding" => |m, _| of(m).findings[0].kind = 0,
            "note" => |m, r| of(m).findings[0].note = too_long(r),
            "too many findings" => |m, _| { let one = of(m).findings[0].clone(); of(m).findings = vec![one; 10]; },
        ),
    )
}

fn of(request: &mut visits::RecordVisitRequest) -> &mut visits::VisitRecord {
    request.record.as_mut().expect("there")
}

/// No instant at all. One to come is an instant, which the rules refuse.
fn no_time(random: &mut StdRng) -> Option<prost_types::Timestamp> {
    let none = prost_types::Timestamp {
        seconds: i64::MAX,
        nanos: 0,
    };
    let to_come = timestamp("2100-01-01T00:00:00Z");
    no_instant(random)
        .filter(|at| *at != to_come)
        .or(Some(none))
}

fn about_records(known: &Known) -> Vec<Maker> {
    use visits::*;
    let id = || Uuid::new_v4().to_string();
    vec![
        maker(
            method!("ConfirmRecord"),
            ConfirmRecordRequest {
                request_id: id(),
                record_id: id(),
                min_position: String::new(),
            },
            asked!(ConfirmRecordRequest:
                "record_id" => |m, r| m.record_id = no_uuid(r),
                "min_position" => |m, r| m.min_position = no_position(r),
            ),
        ),
        maker(
            method!("RejectRecord"),
            RejectRecordRequest {
                request_id: id(),
                record_id: id(),
                min_position: String::new(),
            },
            asked!(RejectRecordRequest:
                "record_id" => |m, r| m.record_id = no_uuid(r),
                "min_position" => |m, r| m.min_position = no_position(r),
            ),
        ),
        maker(
            method!("AnswerReferral"),
            AnswerReferralRequest {
                request_id: id(),
                referral_id: id(),
                answer: "已安排修缮".to_owned(),
                min_position: String::new(),
            },
            asked!(AnswerReferralRequest:
                "referral_id" => |m, r| m.referral_id = no_uuid(r),
                "answer" => |m, r| m.answer = too_long(r),
                "no answer" => |m, _| m.answer.clear(),
                "min_position" => |m, r| m.min_position = no_position(r),
            ),
        ),
        maker(
            method!("CloseReferral"),
            CloseReferralRequest {
                request_id: id(),
                referral_id: id(),
                outcome: ReferralOutcome::Solved.into(),
                min_position: String::new(),
            },
            asked!(CloseReferralRequest:
                "referral_id" => |m, r| m.referral_id = no_uuid(r),
                "outcome" => |m, r| m.outcome = no_word(r),
                "no outcome" => |m, _| m.outcome = 0,
                "min_position" => |m, r| m.min_position = no_position(r),
            ),
        ),
        maker(
            method!("ExportRecords"),
            ExportRecordsRequest {
                whose: Some(Whose::ElderId(known.elder.clone())),
                first_day: Some(date("2024-09-01")),
                last_day: Some(date("2024-09-30")),
                min_position: String::new(),
            },
            breaks!(ExportRecordsRequest:
                "nobody" => |m, _| m.whose = None,
                "elder_id" => |m, r| m.whose = Some(Whose::ElderId(no_uuid(r))),
                "division_code" => |m, r| m.whose = Some(Whose::DivisionCode(no_division(r))),
                "first_day" => |m, r| m.first_day = no_date(r),
                "no first_day" => |m, _| m.first_day = None,
                "last_day" => |m, r| m.last_day = no_date(r),
                "no last_day" => |m, _| m.last_day = None,
                "the last day before the first" => |m, _| m.last_day = Some(date("2024-08-31")),
                "more than a year" => |m, _| m.last_day = Some(date("2025-09-02")),
                "min_position" => |m, r| m.min_position = no_position(r),
            ),
        ),
    ]
}

fn questions(known: &Known) -> Vec<Maker> {
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
                "both a period and a campaign" => |m, _| m.campaign_id = Uuid::new_v4().to_string(),
            ),
        ),
        maker(
            method!("GetCoverage"),
            GetCoverageRequest {
                division_code: county(),
                ..Default::default()
            },
            listed!(GetCoverageRequest:
                "month" => |m, _| m.month = "2024-00".to_owned(),
                "a month to come" => |m, _| m.month = "2024-11".to_owned(),
                "no month" => |m, r| m.month = garbage(r, 100),
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
            listed!(ListReferralsRequest: "no division" => |m, _| m.division_code.clear()),
        ),
    ]
}
