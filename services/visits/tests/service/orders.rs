//! The same records in any order, twice, and in many batch sizes give the same duties and the same coverage.

use chrono::TimeDelta;
use civic::ElderId;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use proto::eldercare::visits::v1 as pb;

use crate::support::{Ground, at, in_words, timestamp, visit};

/// A visit by its numbers: whom, by whom, on which day from Monday on, and whether the elder was met.
type Numbers = (usize, usize, u64, bool);

const ELDERS: usize = 5;
const VISITORS: usize = 2;

/// Visits of two weeks, in which nothing hangs on what was earlier: each has a time of the day for itself, and no place.
fn any_visits() -> impl Strategy<Value = Vec<Numbers>> {
    let one = (0..ELDERS, 0..VISITORS, 0..14_u64, prop::bool::weighted(0.8));
    prop::collection::vec(one, 1..16)
}

fn records(visits: &[Numbers], visitors: &[String], elders: &[ElderId]) -> Vec<pb::VisitRecord> {
    let monday = at("2024-10-07 08:00");
    visits
        .iter()
        .zip(0..)
        .map(|((elder, visitor, day, met), place)| {
            let start = monday
                + TimeDelta::days(i64::try_from(*day).unwrap())
                + TimeDelta::minutes(35 * place);
            let mut record = visit(&visitors[*visitor], elders[*elder], "2024-10-07 08:00");
            record.start_time = Some(timestamp(start));
            record.end_time = Some(timestamp(start + TimeDelta::minutes(30)));
            record.check_in = None;
            if !met {
                record.result = pb::VisitResult::NotAtHome.into();
            }
            record
        })
        .collect()
}

/// What comes of records that arrive in an order and in batches: coverage, and the duties of both weeks.
async fn what_comes_of(
    visits: &[Numbers],
    order: &[usize],
    size: usize,
) -> impl PartialEq + std::fmt::Debug {
    let ground = Ground::at("2024-10-07 07:00");
    let mut elders = Vec::new();
    for _ in 0..ELDERS {
        elders.push(ground.weekly().await);
    }
    let running = ground.start().await;
    running.start_visiting("2024-10-07").await;
    let visitors = [running.visitor().await, running.visitor().await];
    // The first week is closed by then: half of the duties can only be met late.
    running.advance("2024-10-20 23:00").await;
    let records = records(visits, &visitors, &elders);
    let sent: Vec<_> = order.iter().map(|place| records[*place].clone()).collect();
    let mut outcomes = Vec::new();
    for batch in sent.chunks(size) {
        outcomes.extend(running.stream(batch).await);
    }
    for (place, outcome) in order.iter().zip(&outcomes) {
        let expected = if visits[*place].3 {
            "COUNTED"
        } else {
            "NOT_MET"
        };
        assert_eq!(in_words(outcome), expected);
    }
    let first = outcomes.iter().filter(|outcome| !outcome.repeated_record);
    assert_eq!(first.count(), visits.len());
    let weeks = (
        running.duties("2024-W41").await,
        running.duties("2024-W42").await,
    );
    running.advance("2024-10-21 00:00").await;
    (
        running.coverage("2024-10").await,
        weeks,
        running.duties("2024-W42").await,
    )
}

#[tokio::test]
async fn order_repetition_and_batches_change_nothing() {
    let mut runner = TestRunner::deterministic();
    for _ in 0..4 {
        let visits = any_visits().new_tree(&mut runner).unwrap().current();
        let once: Vec<usize> = (0..visits.len()).collect();
        let twice: Vec<usize> = once.iter().chain(&once).copied().collect();
        let shuffled = (Just(twice).prop_shuffle(), 1_usize..9);
        let (twice, size) = shuffled.new_tree(&mut runner).unwrap().current();
        let (plain, disturbed) = tokio::join!(
            what_comes_of(&visits, &once, once.len()),
            what_comes_of(&visits, &twice, size),
        );
        assert_eq!(plain, disturbed, "{visits:?} as {twice:?} by {size}");
    }
}

#[tokio::test]
async fn of_two_that_overlap_the_later_in_the_log_is_in_doubt() {
    let ground = Ground::at("2024-10-08 18:00");
    let (one, other) = (ground.weekly().await, ground.weekly().await);
    let running = ground.start().await;
    let visitor = running.visitor().await;
    let (first, second) = (
        visit(&visitor, one, "2024-10-08 09:00"),
        visit(&visitor, other, "2024-10-08 09:10"),
    );
    let outcomes = running.stream(&[second, first]).await;
    let told: Vec<_> = outcomes.iter().map(in_words).collect();
    assert_eq!(told, ["COUNTED", "DOUBTFUL OVERLAP"]);
}

/// More visits in a day than one person makes.
#[tokio::test]
async fn a_stream_is_doubted_in_the_order_in_which_it_came() {
    let ground = Ground::at("2024-10-08 20:00");
    let mut records = Vec::new();
    for number in 0..60 {
        let elder = ground.weekly().await;
        let (hour, minute) = (8 + number * 7 / 60, number * 7 % 60);
        let mut record = visit("", elder, &format!("2024-10-08 {hour:02}:{minute:02}"));
        let end = at(&format!("2024-10-08 {hour:02}:{minute:02}")) + TimeDelta::minutes(6);
        record.end_time = Some(timestamp(end));
        records.push(record);
    }
    let running = ground.start().await;
    let visitor = running.visitor().await;
    for record in &mut records {
        record.visitor_id.clone_from(&visitor);
    }
    let outcomes = running.stream(&records).await;
    let counted = outcomes.iter().map(in_words).collect::<Vec<_>>();
    assert_eq!(counted[..40], vec!["COUNTED"; 40]);
    assert_eq!(counted[40..], vec!["DOUBTFUL IMPLAUSIBLE_VOLUME"; 20]);
}
