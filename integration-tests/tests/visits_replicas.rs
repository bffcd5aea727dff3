//! Two replicas of visits over one log and database: whichever is asked answers alike, and one goes on where the other was killed.

use futures::future::join_all;
use integration_tests::{
    Setup, System, born,
    callers::Caller,
    county, date, each_once, new_id,
    process::Part,
    visiting::{
        a_visit, a_visitor, counted, duties, in_words, planned, record_alone, start_visiting,
        visited,
    },
};
use proto::eldercare::{
    simulation::v1::AdvanceClockRequest,
    visits::v1::{
        AdjustPlanRequest, DutyFilter, DutyMet, GetCoverageRequest, GetPlanRequest,
        GetPlanResponse, PairEldersRequest, PeriodClosed, PlanMark, PlanWeekRequest, SkipReason,
        UpdateVisitorRequest, VisitMissed, VisitRecorded, Visitor, adjust_plan_request::Adjustment,
        plan_entry::Planned,
    },
};

const WEEK: &str = "2024-W41";

async fn plan_of(caller: &Caller) -> GetPlanResponse {
    let request = GetPlanRequest {
        division_code: county::COUNTY.to_owned(),
        week: WEEK.to_owned(),
        ..GetPlanRequest::default()
    };
    caller
        .visits()
        .get_plan(request)
        .await
        .unwrap()
        .into_inner()
}

fn adjustment(elder: &str, etag: &str, adjustment: Adjustment) -> AdjustPlanRequest {
    AdjustPlanRequest {
        request_id: new_id(),
        week: WEEK.to_owned(),
        elder_id: elder.to_owned(),
        etag: etag.to_owned(),
        adjustment: Some(adjustment),
        min_position: String::new(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whichever_replica_is_asked_and_whichever_is_killed() {
    let mut system = System::start_with(Setup::with_visits()).await;
    let one = system.officer();
    let (_process, other) = system.replica_of_visits().await;
    let elders = [
        system.register(born("1940-01-01", "林甲")).await,
        system.register(born("1941-01-01", "林乙")).await,
        system.register(born("1942-01-01", "林丙")).await,
    ];

    // Commands go to either in turn, each at once after the one before.
    let registered = one.visits().register_visitor(a_visitor("王网格")).await;
    let visitor = registered.unwrap().into_inner().visitor_id;
    let pair = PairEldersRequest {
        request_id: new_id(),
        visitor_id: visitor.clone(),
        elder_ids: elders.to_vec(),
        since: Some(date("2024-10-01")),
    };
    system.settled().await;
    other.visits().pair_elders(pair).await.unwrap();
    let update = |capacity| UpdateVisitorRequest {
        request_id: new_id(),
        visitor: Some(Visitor {
            visitor_id: visitor.clone(),
            weekly_capacity: capacity,
            ..Visitor::default()
        }),
        update_mask: Some(prost_types::FieldMask {
            paths: vec!["weekly_capacity".to_owned()],
        }),
    };
    for (caller, capacity) in [(&one, 40), (&other, 50), (&one, 60)] {
        caller
            .visits()
            .update_visitor(update(capacity))
            .await
            .unwrap();
    }
    start_visiting(&system, "2024-09-30").await;

    // One record, sent to both many times over.
    let record = a_visit(&visitor, &elders[0], "2024-10-01T08:00:00+08:00");
    let callers = [&one, &other];
    let sent = (0..32).map(|call| record_alone(callers[call % 2].visits(), &record, ""));
    let outcomes = join_all(sent).await;
    let outcomes: Vec<_> = outcomes.into_iter().map(Result::unwrap).collect();
    assert!(
        outcomes
            .iter()
            .all(|one| in_words(one) == "COUNTED" && one.position == outcomes[0].position)
    );
    assert_eq!(
        outcomes.iter().filter(|one| !one.repeated_record).count(),
        1
    );
    // What one has kept the other doubts by, and tells.
    let overlap = a_visit(&visitor, &elders[1], "2024-10-01T08:10:00+08:00");
    let doubted = record_alone(other.visits(), &overlap, "").await;
    let doubted = doubted.unwrap();
    assert_eq!(in_words(&doubted), "DOUBTFUL OVERLAP");
    let coverage = GetCoverageRequest {
        division_code: county::COUNTY.to_owned(),
        min_position: doubted.position,
        ..GetCoverageRequest::default()
    };
    for caller in callers {
        let told = caller
            .visits()
            .get_coverage(coverage.clone())
            .await
            .unwrap();
        let total = told.into_inner().total.unwrap();
        assert_eq!((total.visited, total.in_scope), (1, 3));
    }

    // A plan that one makes and both change.
    let plan = PlanWeekRequest {
        request_id: new_id(),
        division_code: county::COUNTY.to_owned(),
        week: WEEK.to_owned(),
        ..PlanWeekRequest::default()
    };
    let plan = planned(one.visits(), &plan).await;
    assert_eq!(plan.entries.len(), 3);
    let before = plan_of(&other).await;
    assert_eq!((before.visits, before.entries.len()), (3, 3));
    let pin = Adjustment::Mark(PlanMark::Pinned.into());
    let pin = adjustment(&elders[0], &before.etag, pin);
    let pinned = other.visits().adjust_plan(pin).await.unwrap().into_inner();
    let skip = || Adjustment::Skip(SkipReason::Away.into());
    let stale = adjustment(&elders[1], &before.etag, skip());
    let refused = one.visits().adjust_plan(stale).await.unwrap_err();
    assert_eq!(integration_tests::reason(&refused), "ETAG_MISMATCH");
    let fresh = adjustment(&elders[1], &pinned.etag, skip());
    one.visits().adjust_plan(fresh).await.unwrap();
    let plans = [plan_of(&one).await, plan_of(&other).await];
    assert_eq!(plans[0], plans[1]);
    assert_eq!((plans[0].visits, plans[0].skipped), (2, 1));
    let is_pinned = |entry: &proto::eldercare::visits::v1::PlanEntry| matches!(&entry.planned, Some(Planned::Visit(visit)) if visit.pinned);
    assert_eq!(
        plans[0].entries.iter().filter(|one| is_pinned(one)).count(),
        1
    );

    // The first one is killed; the other one closes the week, once.
    system.kill_one(Part::Visits).await;
    system.advance_to("2024-10-07T00:00:00+08:00").await;
    let to = Some(integration_tests::timestamp("2024-10-07T00:00:00+08:00"));
    let mut clock = other.simulation(Part::Visits);
    clock
        .advance_clock(AdvanceClockRequest { to })
        .await
        .unwrap();
    system.restart_one(Part::Visits).await;
    system.settled().await;
    assert_eq!(counted(&system, "2024-W40", "").await, (3, 1, 2, 2, true));
    let missed = duties(&system, "2024-W40", DutyFilter::Missed, "").await;
    assert_eq!(missed.duties.len(), 2);
    let missed = system.events::<VisitMissed>("visits").await;
    let met = system.events::<DutyMet>("visits").await;
    assert_eq!((missed.len(), met.len()), (2, 1));
    assert_eq!(system.events::<PeriodClosed>("visits").await.len(), 1);
    let recorded = system.events::<VisitRecorded>("visits").await;
    let recorded = each_once(recorded.into_iter().map(|event| event.record_id));
    assert_eq!(recorded, [record.record_id, overlap.record_id].into());
    assert_eq!(visited(&system, "").await, (1, 3));
    system.verify().await;
}
