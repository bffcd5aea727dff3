//! Visits in few words: who visits, what a phone sends, how far elders are visited, and what the log of visits says.

use chrono::TimeDelta;
use futures::stream;
use proto::eldercare::{
    r#type::v1 as types,
    visits::v1::{
        self as pb, GetCoverageRequest, GetCoverageResponse, ListDutiesRequest, ListDutiesResponse,
        ListVisitorsRequest, PlanWeekRequest, RecordOutcome, RecordVisitRequest,
        RecordVisitsRequest, RegisterVisitorRequest, StartVisitingRequest, VisitRecord, WeekPlan,
        plan_week_response::Step,
    },
};
use tonic::{Code, Status};

use crate::{System, Visits, at, county::COUNTY, date, elders::VILLAGE, new_id};

/// How many elders or duties stand on one page of these stories.
const PAGE: i32 = 5_000;

/// How often a record is sent again that loses against others.
const TRIES: usize = 100;

/// A grid worker of the village who visits at home and by telephone, to be registered.
pub fn a_visitor(name: &str) -> RegisterVisitorRequest {
    RegisterVisitorRequest {
        request_id: new_id(),
        visitor: Some(pb::Visitor {
            kind: pb::VisitorKind::GridWorker.into(),
            name: name.to_owned(),
            phone: "13600136000".to_owned(),
            home_division_code: VILLAGE.to_owned(),
            weekly_capacity: 100,
            modes: vec![
                types::VisitMode::Home.into(),
                types::VisitMode::Phone.into(),
            ],
            active_from: Some(date("2024-01-01")),
            ..pb::Visitor::default()
        }),
    }
}

/// Registers a visitor, whom records may name from now on: the id.
pub async fn visitor(system: &System, name: &str) -> String {
    let mut visits = system.visits();
    let registered = visits.register_visitor(a_visitor(name)).await;
    let registered = registered.unwrap().into_inner();
    let seen = ListVisitorsRequest {
        division_code: VILLAGE.to_owned(),
        min_position: registered.position,
        ..ListVisitorsRequest::default()
    };
    visits.list_visitors(seen).await.unwrap();
    registered.visitor_id
}

/// Has the county visit its elders from a day on.
pub async fn start_visiting(system: &System, on: &str) {
    let request = StartVisitingRequest {
        request_id: new_id(),
        division_code: COUNTY.to_owned(),
        on: Some(date(on)),
    };
    let position = system.visits().start_visiting(request).await;
    let position = position.unwrap().into_inner().position;
    coverage(system, &position).await;
}

/// The record of a visit at home of half an hour, beginning at an instant such as `2024-10-08T09:00:00+08:00`.
pub fn a_visit(visitor: &str, elder: &str, start: &str) -> VisitRecord {
    let start = at(start);
    VisitRecord {
        record_id: new_id(),
        elder_id: elder.to_owned(),
        visitor_id: visitor.to_owned(),
        mode: types::VisitMode::Home.into(),
        result: pb::VisitResult::Met.into(),
        start_time: Some(eldercare::wire::timestamp(start)),
        end_time: Some(eldercare::wire::timestamp(start + TimeDelta::minutes(30))),
        services: vec![types::ServiceKind::SpiritualComfort.into()],
        signed: true,
        ..VisitRecord::default()
    }
}

/// The messages of a stream that sends records.
pub fn messages(records: &[VisitRecord], min_position: &str) -> Vec<RecordVisitsRequest> {
    let message = |record: &VisitRecord| RecordVisitsRequest {
        record: Some(record.clone()),
        min_position: min_position.to_owned(),
    };
    records.iter().map(message).collect()
}

/// Sends records in one stream, none of which is judged before the position is taken into account: an outcome for each.
///
/// # Errors
/// Why the stream ended before.
pub async fn record(
    system: &System,
    records: &[VisitRecord],
    min_position: &str,
) -> Result<Vec<RecordOutcome>, Status> {
    let sent = stream::iter(messages(records, min_position));
    let mut answers = system.visits().record_visits(sent).await?.into_inner();
    let mut outcomes = Vec::new();
    while let Some(answer) = answers.message().await? {
        outcomes.push(answer.outcome.expect("each answer has an outcome"));
    }
    Ok(outcomes)
}

/// Sends one record by itself, and again while it loses against too many others: its outcome.
///
/// # Errors
/// Why it was refused.
pub async fn record_alone(
    mut visits: Visits,
    record: &VisitRecord,
    min_position: &str,
) -> Result<RecordOutcome, Status> {
    for _ in 0..TRIES {
        let request = RecordVisitRequest {
            record: Some(record.clone()),
            min_position: min_position.to_owned(),
        };
        match visits.record_visit(request).await {
            Ok(answer) => {
                let outcome = answer.into_inner().outcome;
                return Ok(outcome.expect("each answer has an outcome"));
            }
            Err(status) if status.code() == Code::Aborted => {}
            Err(status) => return Err(status),
        }
    }
    panic!("a record lost against others {TRIES} times")
}

/// Records that were sent again are answered as the first time.
pub fn are_answered_again(again: &[RecordOutcome], first: &[RecordOutcome]) {
    assert_eq!(again.len(), first.len(), "each record has an outcome");
    for (again, first) in again.iter().zip(first) {
        let repeated = RecordOutcome {
            repeated_record: true,
            ..first.clone()
        };
        assert_eq!(again, &repeated, "what was told before is told otherwise");
    }
}

/// Has a week planned: the plan, which is told last.
pub async fn planned(mut visits: Visits, request: &PlanWeekRequest) -> WeekPlan {
    let steps = visits.plan_week(request.clone()).await.unwrap();
    let mut steps = steps.into_inner();
    let mut plan = None;
    while let Some(step) = steps.message().await.unwrap() {
        assert!(plan.is_none(), "the plan is not told last");
        if let Some(Step::Plan(told)) = step.step {
            plan = Some(told);
        }
    }
    plan.expect("planning ends with a plan")
}

/// An outcome in words: what became of the record, with doubts and reasons.
pub fn in_words(outcome: &RecordOutcome) -> String {
    let plain = |name: &str, prefix: &str| name.trim_start_matches(prefix).to_owned();
    let mut words = vec![plain(
        outcome.outcome().as_str_name(),
        "RECORD_OUTCOME_KIND_",
    )];
    let doubts = outcome.doubts();
    words.extend(doubts.map(|doubt| plain(doubt.as_str_name(), "DOUBT_")));
    if outcome.refusal() != pb::RecordRefusal::Unspecified {
        words.push(plain(outcome.refusal().as_str_name(), "RECORD_REFUSAL_"));
    }
    words.extend([&outcome.invalid_reason, &outcome.invalid_field].map(Clone::clone));
    words.retain(|word| !word.is_empty());
    words.join(" ")
}

/// The county's coverage in the month of the clock, with the elders still to visit.
pub async fn coverage(system: &System, min_position: &str) -> GetCoverageResponse {
    let request = GetCoverageRequest {
        division_code: COUNTY.to_owned(),
        elders: pb::CoverageElders::ToVisit.into(),
        page_size: PAGE,
        min_position: min_position.to_owned(),
        ..GetCoverageRequest::default()
    };
    system
        .visits()
        .get_coverage(request)
        .await
        .unwrap()
        .into_inner()
}

/// The county's figures of a month.
pub async fn coverage_of(system: &System, month: &str) -> pb::Coverage {
    let request = GetCoverageRequest {
        division_code: COUNTY.to_owned(),
        month: month.to_owned(),
        ..GetCoverageRequest::default()
    };
    let coverage = system.visits().get_coverage(request).await;
    coverage.unwrap().into_inner().total.unwrap()
}

/// How many of the county's elders were visited, of how many in scope.
pub async fn visited(system: &System, min_position: &str) -> (i64, i64) {
    let total = coverage(system, min_position).await.total.unwrap();
    (total.visited, total.in_scope)
}

/// The county's duties of a period.
pub async fn duties(
    system: &System,
    period: &str,
    filter: pb::DutyFilter,
    min_position: &str,
) -> ListDutiesResponse {
    let request = ListDutiesRequest {
        division_code: COUNTY.to_owned(),
        period: period.to_owned(),
        filter: filter.into(),
        page_size: PAGE,
        min_position: min_position.to_owned(),
        ..ListDutiesRequest::default()
    };
    system
        .visits()
        .list_duties(request)
        .await
        .unwrap()
        .into_inner()
}

/// How many duties a period has: owed, met, unmet, missed when it closed; and whether it is closed.
pub async fn counted(
    system: &System,
    period: &str,
    min_position: &str,
) -> (i64, i64, i64, i64, bool) {
    let told = duties(system, period, pb::DutyFilter::Unspecified, min_position).await;
    (told.owed, told.met, told.unmet, told.missed, told.closed)
}
