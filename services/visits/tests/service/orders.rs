//! The same records in any order, twice, and in many batch sizes give the same duties and the same coverage.

use chrono::TimeDelta;
use civic::ElderId;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use proto::eldercare::visits::v1 as pb;

use crate::support::{Ground, at, in_words, timestamp, visit};

/// Records of several visitors, in which nothing hangs on what was earlier.
fn records(visitors: &[String], elders: &[ElderId]) -> Vec<pb::VisitRecord> {
    let mut records = Vec::new();
    for (place, elder) in elders.iter().enumerate() {
        // The first elder is never visited, the second only in the first week.
        let days = ["2024-10-08", "2024-10-10", "2024-10-16"];
        for on in days.iter().take(place) {
            let start = format!("{on} {:02}:{:02}", 8 + place / 2, 30 * (place % 2));
            records.push(visit(&visitors[place % visitors.len()], *elder, &start));
        }
    }
    records
}

#[tokio::test]
async fn order_repetition_and_batches_change_nothing() {
    let mut runner = TestRunner::deterministic();
    let mut answers = Vec::new();
    for _ in 0..3 {
        let ground = Ground::at("2024-10-07 09:00");
        let mut elders = Vec::new();
        for _ in 0..6 {
            elders.push(ground.weekly().await);
        }
        let running = ground.start().await;
        running.start_visiting("2024-10-07").await;
        let visitors = [running.visitor().await, running.visitor().await];
        running.advance("2024-10-20 12:00").await;
        let mut sent = records(&visitors, &elders);
        let count = sent.len();
        sent.extend(sent.clone());
        let order = Just(sent).prop_shuffle();
        let (sent, size) = (order, 1_usize..9).new_tree(&mut runner).unwrap().current();
        let mut outcomes = Vec::new();
        for batch in sent.chunks(size) {
            outcomes.extend(running.stream(batch).await);
        }
        assert!(
            outcomes
                .iter()
                .all(|outcome| in_words(outcome) == "COUNTED")
        );
        let first = outcomes.iter().filter(|outcome| !outcome.repeated_record);
        assert_eq!(first.count(), count);
        answers.push((
            running.coverage("2024-10").await,
            running.duties("2024-W41").await,
            running.duties("2024-W42").await,
        ));
    }
    assert_eq!(answers[0].0, "5/6");
    assert!(
        answers.iter().all(|answer| *answer == answers[0]),
        "{answers:?}"
    );
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
