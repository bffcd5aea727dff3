//! Whatever dies when, each order has one verdict, each fen is booked once, and answers stay the same.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use civic::ElderId;
use claims::adjudication::{Event as Verdict, Runs};
use eventlog::{
    Aggregate as _, Delivery, EventLog as _, Fault, MemoryLog, NewRecord, RawEvent, Record,
};
use futures::StreamExt as _;
use proto::eldercare::claims::v1 as pb;

use crate::support::{
    COUNTY, Ground, HOMECARE, LTCI, Running, all_in, at, enrolment, file, id, order,
    outcome_in_words, short_order, timestamp,
};

/// All that is answered about orders, appeals, settlements and the fund.
async fn answers(running: &Running, elders: &[ElderId]) -> Vec<String> {
    let mut told = Vec::new();
    let orders = running.orders(all_in(COUNTY)).await;
    for order in &orders {
        told.push(format!("{:?}", running.order(&order.order_id).await));
    }
    told.push(format!("{orders:?}"));
    for elder in elders {
        told.push(format!(
            "{:?}",
            running.entitlement(*elder, "2024-03-01").await
        ));
    }
    for groups in [
        &[][..],
        &[pb::FigureGroup::Code],
        &[pb::FigureGroup::ApprovalMonth],
    ] {
        told.push(format!(
            "{:?}",
            running.figures(all_in(COUNTY), groups).await
        ));
    }
    told.push(format!("{:?}", running.fund("LTCI").await));
    told.push(format!("{:?}", running.settlement("P01", 1).await));
    let mut client = running.client();
    let request = pb::GetFundLedgerRequest {
        programme_code: "LTCI".to_owned(),
        ..Default::default()
    };
    told.push(format!(
        "{:?}",
        client.get_fund_ledger(request).await.unwrap().into_inner()
    ));
    let request = pb::ListSettlementsRequest {
        programme_code: "LTCI".to_owned(),
        ..Default::default()
    };
    told.push(format!(
        "{:?}",
        client.list_settlements(request).await.unwrap().into_inner()
    ));
    let request = pb::ListAppealsRequest {
        division_code: COUNTY.to_owned(),
        ..Default::default()
    };
    told.push(format!(
        "{:?}",
        client.list_appeals(request).await.unwrap().into_inner()
    ));
    let request = pb::ListProgrammesRequest::default();
    told.push(format!(
        "{:?}",
        client.list_programmes(request).await.unwrap().into_inner()
    ));
    told
}

#[tokio::test]
async fn without_its_database_claims_give_the_same_answers_and_write_nothing_again() {
    let ground = Ground::at("2024-03-01 09:00");
    let running = ground.start().await;
    let caregiver = running.insurance().await;
    let elders = [running.insured().await, running.insured().await];
    for (elder, name) in elders.into_iter().zip(["E", "F"]) {
        for number in 1..=14 {
            let start = format!("2024-02-{number:02} 09:00");
            let order = if number == 5 || number == 6 {
                short_order(&format!("{name}{number}"), elder, &caregiver, &start)
            } else {
                order(&format!("{name}{number}"), elder, &caregiver, &start)
            };
            running.told(&order).await;
        }
    }
    let other = running.insured().await;
    running.granted("LTCI", 1_000_000).await;
    running.appeal("E5").await.unwrap();
    running.decide("E5", true).await.unwrap();
    running.appeal("F5").await.unwrap();
    running.decide("F5", false).await.unwrap();
    running.paid("P01", "2024-03-01").await;
    let elders = [elders[0], elders[1], other];
    running.advance("2024-03-20 09:00").await;
    let before = answers(&running, &elders).await;
    let end = ground.end().await;
    let (ground, database) = running.stop().await;

    // With its database first, and then without.
    let running = ground.start_on(database).await;
    assert_eq!(answers(&running, &elders).await, before);
    assert_eq!(ground.end().await, end);
    let (ground, _) = running.stop().await;
    let running = ground.start().await;
    assert_eq!(answers(&running, &elders).await, before);
    assert_eq!(ground.end().await, end);
    assert!(
        ground
            .first_verdicts()
            .await
            .values()
            .all(|count| *count == 1)
    );
    // And it goes on from there.
    let more = order("G1", other, &caregiver, "2024-03-10 09:00");
    assert_eq!(running.told(&more).await, "APPROVED");
    running.stop().await;
}

#[tokio::test]
async fn what_was_handed_in_while_nobody_adjudicated_is_adjudicated_afterwards() {
    let ground = Ground::at("2024-03-01 09:00");
    let running = ground.start().await;
    let caregiver = running.insurance().await;
    let elder = running.insured().await;
    // As after a crash: the order is in the log, and the adjudicator's run on it is not.
    let good = order("A", elder, &caregiver, "2024-02-10 09:00");
    assert_eq!(running.told(&good).await, "APPROVED");
    running.stop().await;
    let ground = ground.with_own(copied(&ground, |record| !says_a_verdict(record)).await);
    assert!(ground.verdicts().await.is_empty());
    let running = ground.start().await;
    assert_eq!(running.standing("A").await, "APPROVED");
    let fund = running.fund("LTCI").await;
    assert_eq!((fund.premiums_fen, fund.reserved_fen), (30_000, 20_000));
    running.stop().await;
}

/// Whether a record is a run of the adjudicator, or what that did to a fund.
fn says_a_verdict(record: &Record) -> bool {
    let funds = record.subject.aggregate() == "fund" && record.metadata.actor == "system:claims";
    record.subject.aggregate() == Runs::NAME || funds
}

/// Another log, with those records of ours that are wanted.
pub(crate) async fn copied(ground: &Ground, wanted: impl Fn(&Record) -> bool) -> MemoryLog {
    let put = |delivery: Delivery| match delivery {
        Delivery::Record(record) => wanted(&record).then_some(Delivery::Record(record)),
        Delivery::Unreadable { .. } => panic!("{delivery:?}"),
    };
    rewritten(ground, put).await
}

/// Another log, with what is put in the place of each message of ours.
pub(crate) async fn rewritten(
    ground: &Ground,
    put: impl Fn(Delivery) -> Option<Delivery>,
) -> MemoryLog {
    let copy = MemoryLog::new("CLAIMS");
    let end = ground.end().await;
    let mut deliveries = ground.own.subscribe(0).await.unwrap();
    let mut seen = 0;
    let mut last: BTreeMap<String, u64> = BTreeMap::new();
    while seen < end {
        for delivery in deliveries.next().await.unwrap().unwrap() {
            seen = delivery.sequence();
            let record = match put(delivery) {
                None => continue,
                Some(Delivery::Record(record)) => record,
                Some(Delivery::Unreadable {
                    subject, payload, ..
                }) => {
                    let sequence = copy.write_unreadable(&subject, payload);
                    last.insert(subject, sequence);
                    continue;
                }
            };
            let expected = last.entry(record.subject.to_string()).or_default();
            let copied = NewRecord {
                subject: record.subject,
                expected: *expected,
                metadata: record.metadata,
                events: record.events,
            };
            *expected = copy.append(copied).await.unwrap();
        }
    }
    copy
}

/// Orders of three elders and two caregivers on four days, at all hours, with files that stand twice; the same each time.
fn jumble(elders: &[ElderId], caregivers: &[String]) -> Vec<pb::ServiceOrder> {
    let mut state = 20_240_301_u64;
    let mut next = |below: u64| {
        // A generator that needs no crate: numbers of an MMIX.
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut pick = |below: usize| usize::try_from(next(below as u64)).unwrap();
    (0..120)
        .map(|number| {
            let start =
                at("2024-02-10 06:00") + TimeDelta::minutes(15 * i64::try_from(pick(384)).unwrap());
            let minutes = [30, 60, 120, 150][pick(4)];
            let insured = pick(3) > 0;
            let mut order = pb::ServiceOrder {
                check_in_at: timestamp(start),
                check_out_at: timestamp(start + TimeDelta::minutes(minutes)),
                evidence: vec![file(pb::EvidenceKind::Video, &pick(90).to_string())],
                ..order(
                    &format!("J{number}"),
                    elders[pick(elders.len())],
                    &caregivers[pick(caregivers.len())],
                    "2024-02-10 09:00",
                )
            };
            if !insured {
                order.programme_code = "HOMECARE".to_owned();
                order.items = vec!["COOKING".to_owned()];
                order
                    .evidence
                    .push(file(pb::EvidenceKind::Photo, &pick(90).to_string()));
            }
            order
        })
        .collect()
}

/// What the adjudicator said, without what it said in the same breath.
async fn verdicts(ground: &Ground) -> Vec<Verdict> {
    let verdicts = ground.verdicts().await.into_iter();
    verdicts
        .filter(|verdict| !matches!(verdict, Verdict::PremiumsBooked { .. }))
        .collect()
}

/// Appeals against every seventh order, as far as they were held, are accepted; then one more order comes.
async fn reviewed(running: &Running, orders: &[pb::ServiceOrder], told: &BTreeMap<String, String>) {
    for order in orders.iter().step_by(7) {
        if told[&order.order_id].starts_with("ABNORMAL") {
            running.appeal(&order.order_id).await.unwrap();
            running.decide(&order.order_id, true).await.unwrap();
        }
    }
    let more = pb::ServiceOrder {
        order_id: "K".to_owned(),
        ..orders[0].clone()
    };
    running.told(&more).await;
    running.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn verdicts_are_the_same_one_by_one_all_at_once_and_after_a_crash() {
    let ground = Ground::at("2024-03-01 09:00");
    let running = ground.start().await;
    let few = LTCI.replace("services: 12", "services: 4");
    let caregiver = running.insurance_by(&few).await;
    let limited = HOMECARE
        .replace("minutes: 2880", "minutes: 300")
        .replace("submission_days: 7", "submission_days: 30");
    running.define("HOMECARE", &limited).await.unwrap();
    running.contract("P01", "HOMECARE").await.unwrap();
    let caregivers = [caregiver, running.caregiver("P01").await];
    let mut elders = Vec::new();
    for _ in 0..3 {
        let elder = running.insured().await;
        let enrolment = enrolment("HOMECARE", elder, "2024-01-01");
        running.enrol_all(&[enrolment]).await;
        elders.push(elder);
    }
    let registers = copied(&ground, |_| true).await;

    // Given orders that are handed in and judged one after the other.
    let orders = jumble(&elders, &caregivers);
    let mut told = BTreeMap::new();
    for order in &orders {
        told.insert(order.order_id.clone(), running.told(order).await);
    }
    let before = copied(&ground, |_| true).await;
    reviewed(&running, &orders, &told).await;
    let one_by_one = verdicts(&ground).await;
    let count = |kind: fn(&Verdict) -> bool| one_by_one.iter().filter(|one| kind(one)).count();
    assert!(
        count(|one| matches!(
            one,
            Verdict::Approved {
                on_appeal: false,
                ..
            }
        )) > 10
    );
    assert!(
        count(|one| matches!(
            one,
            Verdict::Approved {
                on_appeal: true,
                ..
            }
        )) > 0
    );
    assert!(count(|one| matches!(one, Verdict::Held { .. })) > 30);
    assert!(count(|one| matches!(one, Verdict::NotSettled { .. })) > 0);
    let fund = running.fund("LTCI").await;
    running.stop().await;

    // When they come all at once, or are judged all at once by a process that finds them in the log.
    for (own, in_the_log) in [(registers, false), (before, true)] {
        let mut again = ground.with_own(own);
        if in_the_log {
            again = ground.with_own(copied(&again, |record| !says_a_verdict(record)).await);
        }
        let running = again.start().await;
        let outcomes = running.stream(&orders).await;
        assert!(
            outcomes
                .iter()
                .all(|outcome| outcome.repeated_order == in_the_log)
        );
        for outcome in &outcomes {
            assert_eq!(
                outcome_in_words(outcome),
                told[&outcome.order_id],
                "{}",
                outcome.order_id
            );
        }
        reviewed(&running, &orders, &told).await;
        let at_once = verdicts(&again).await;
        for (one, other) in at_once.iter().zip(&one_by_one) {
            assert_eq!(one, other);
        }
        assert_eq!(at_once.len(), one_by_one.len());
        assert_eq!(running.fund("LTCI").await, fund);
        running.stop().await;
    }
}

#[tokio::test]
async fn a_lost_answer_of_the_log_doubles_no_order_and_no_verdict() {
    let ground = Ground::at("2024-03-01 09:00");
    let running = ground.start().await;
    let caregiver = running.insurance().await;
    let elder = running.insured().await;
    running.settled().await;
    let mut approved = 0;
    // The first fault befalls the order's own record or the adjudicator's run, whichever comes first.
    for (number, faults) in (1..).zip([
        &[Fault::AfterWriting][..],
        &[Fault::BeforeWriting],
        &[Fault::BeforeWriting, Fault::AfterWriting],
        &[Fault::AfterWriting, Fault::AfterWriting],
    ]) {
        for fault in faults {
            ground.memory.fail_next(*fault);
        }
        let start = format!("2024-02-{number:02} 09:00");
        let sent = order(&format!("O{number}"), elder, &caregiver, &start);
        let outcome = running.submit(&sent).await;
        // Whatever was answered, sent again it is answered as it stands.
        let told = running.told(&sent).await;
        assert_eq!(told, "APPROVED", "{faults:?} after {outcome:?}");
        approved += 1;
        running.settled().await;
        assert_eq!(running.fund("LTCI").await.reserved_fen, approved * 20_000);
    }
    let counts: Vec<_> = ground.first_verdicts().await.into_values().collect();
    assert_eq!(counts, [1; 4]);
    running.stop().await;
}

#[tokio::test]
async fn a_run_whose_answer_is_lost_is_not_written_twice() {
    let ground = Ground::at("2024-03-01 09:00");
    let running = ground.start().await;
    let caregiver = running.insurance().await;
    let elder = running.insured().await;
    let good = order("A", elder, &caregiver, "2024-02-10 09:00");
    assert_eq!(running.told(&good).await, "APPROVED");
    running.stop().await;
    for fault in [Fault::BeforeWriting, Fault::AfterWriting] {
        let ground = ground.with_own(copied(&ground, |record| !says_a_verdict(record)).await);
        // The adjudicator is the only one that writes.
        ground.memory.fail_next(fault);
        let running = ground.start().await;
        assert_eq!(running.standing("A").await, "APPROVED");
        let counts: Vec<_> = ground.first_verdicts().await.into_values().collect();
        assert_eq!(counts, [1], "{fault:?}");
        let fund = running.fund("LTCI").await;
        assert_eq!((fund.premiums_fen, fund.reserved_fen), (30_000, 20_000));
        running.stop().await;
    }
}

#[tokio::test]
async fn a_crash_after_a_run_and_before_its_row_writes_nothing_twice() {
    let ground = Ground::at("2024-03-01 09:00");
    let running = ground.start().await;
    let caregiver = running.insurance().await;
    let elder = running.insured().await;
    for number in 1..=3 {
        let start = format!("2024-02-{number:02} 09:00");
        let order = order(&format!("O{number}"), elder, &caregiver, &start);
        assert_eq!(running.told(&order).await, "APPROVED");
    }
    let (pool, end) = (running.app.pool(), ground.end().await);
    // As if the last steps of the adjudicator had not been committed.
    sqlx::query(
        "UPDATE claims_kept.progress SET first = 1, second = 0 WHERE reader = 'adjudicator'",
    )
    .execute(&pool)
    .await
    .unwrap();
    let (ground, database) = running.stop().await;
    let running = ground.start_on(database).await;
    assert_eq!(ground.end().await, end);
    let more = order("O4", elder, &caregiver, "2024-02-04 09:00");
    assert_eq!(running.told(&more).await, "APPROVED");
    assert_eq!(running.entitlement(elder, "2024-03-01").await.units_used, 4);
    running.stop().await;
}

#[tokio::test]
async fn records_that_cannot_be_read_stop_nothing() {
    let ground = Ground::at("2024-03-01 09:00");
    let running = ground.start().await;
    let caregiver = running.insurance().await;
    let elder = running.insured().await;
    let subject = |name: &str| format!("eldercare.claims.order.{name}");
    let some_metadata = ground.metadata();
    ground.memory.write_unreadable(&subject(&id()), "no record");
    // A record of an event that this version does not know, and one that is no event at all.
    for (event_type, data) in [
        ("eldercare.claims.v1.OrderPraised", vec![]),
        ("eldercare.claims.v1.OrderSubmitted", vec![0xff; 9]),
    ] {
        let garbage = NewRecord {
            subject: eventlog::Subject::new("claims", "order", &id()).unwrap(),
            expected: 0,
            metadata: some_metadata.clone(),
            events: vec![RawEvent {
                event_type: event_type.to_owned(),
                data: data.into(),
            }],
        };
        ground.own.append(garbage).await.unwrap();
    }
    let good = order("A", elder, &caregiver, "2024-02-10 09:00");
    assert_eq!(running.told(&good).await, "APPROVED");
    let parked: i64 = sqlx::query_scalar("SELECT count(*) FROM readmodel.parked")
        .fetch_one(&running.app.pool())
        .await
        .unwrap();
    assert_eq!(parked, 3);
    // Without the database too.
    let (ground, _) = running.stop().await;
    let running = ground.start().await;
    assert_eq!(running.standing("A").await, "APPROVED");
    running.stop().await;
}

#[tokio::test]
async fn a_stream_that_is_sent_while_claims_go_down_is_answered_when_it_is_sent_again() {
    let ground = Ground::at("2024-03-01 09:00");
    let running = ground.start().await;
    let caregiver = running.insurance().await;
    let mut orders = Vec::new();
    for elder in 0..10 {
        let insured = running.insured().await;
        for number in 1..=5 {
            let start = format!(
                "2024-02-{:02} {:02}:00",
                number + 5 * (elder / 5),
                4 * (elder % 5)
            );
            orders.push(order(
                &format!("O{elder}-{number}"),
                insured,
                &caregiver,
                &start,
            ));
        }
    }
    running.settled().await;
    let requests: Vec<_> = orders
        .iter()
        .map(|order| pb::SubmitOrdersRequest {
            order: Some(order.clone()),
            min_position: String::new(),
        })
        .collect();
    let mut client = running.client();
    let sending = tokio::spawn(async move {
        let answers = client.submit_orders(tokio_stream::iter(requests)).await;
        let mut answers = answers?.into_inner();
        while answers.message().await?.is_some() {}
        Ok::<_, tonic::Status>(())
    });
    let (ground, database) = running.stop().await;
    // It may have been answered in part, in whole or not at all.
    let _ = sending.await.unwrap();
    let running = ground.start_on(database).await;
    let outcomes = running.stream(&orders).await;
    assert_eq!(outcomes.len(), 50);
    assert!(
        outcomes
            .iter()
            .all(|outcome| outcome_in_words(outcome) == "APPROVED")
    );
    running.settled().await;
    let counts = ground.first_verdicts().await;
    assert_eq!(counts.len(), 50);
    assert!(counts.values().all(|count| *count == 1));
    assert_eq!(running.fund("LTCI").await.reserved_fen, 50 * 20_000);
    running.stop().await;
}
