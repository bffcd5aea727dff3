//! The same records in any order, twice, and in many batch sizes give the same duties and the same coverage.

use chrono::TimeDelta;
use civic::ElderId;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use proto::eldercare::visits::v1 as pb;

use crate::planned::Person;
use crate::support::{Ground, at, in_words, place, timestamp, visit};

/// A visit.
#[derive(Clone, Debug)]
struct Made {
    /// Whom, and by whom.
    elder: usize,
    visitor: usize,
    /// On which day from the first Monday on.
    day: i64,
    what: What,
}

/// What there is to say of a visit.
#[derive(Clone, Copy, Debug, PartialEq)]
enum What {
    Met,
    NotMet,
    /// It was too short, and a supervisor lets it count, or not, or has not decided.
    Short(Option<bool>),
}

/// The first of them are owed a visit each week, the others each month.
const ELDERS: usize = 6;
const WEEKLY: usize = 3;
const VISITORS: usize = 2;

/// Visits of two weeks, in which nothing hangs on what was earlier: each has a time of the day for itself, and no place.
fn any_visits() -> impl Strategy<Value = Vec<Made>> {
    let what = prop_oneof![
        5 => Just(What::Met),
        1 => Just(What::NotMet),
        2 => any::<Option<bool>>().prop_map(What::Short),
    ];
    let one = (0..ELDERS, 0..VISITORS, 0..14_i64, what);
    let one = one.prop_map(|(elder, visitor, day, what)| Made {
        elder,
        visitor,
        day,
        what,
    });
    prop::collection::vec(one, 1..16)
}

fn records(visits: &[Made], visitors: &[String], elders: &[ElderId]) -> Vec<pb::VisitRecord> {
    let monday = at("2024-10-07 08:00");
    visits
        .iter()
        .zip(0..)
        .map(|(made, place)| {
            let start = monday + TimeDelta::days(made.day) + TimeDelta::minutes(35 * place);
            let mut record = visit(
                &visitors[made.visitor],
                elders[made.elder],
                "2024-10-07 08:00",
            );
            let minutes = match made.what {
                What::Met => 30,
                What::NotMet => {
                    record.result = pb::VisitResult::NotAtHome.into();
                    30
                }
                What::Short(_) => 4,
            };
            record.start_time = Some(timestamp(start));
            record.end_time = Some(timestamp(start + TimeDelta::minutes(minutes)));
            record.check_in = None;
            record
        })
        .collect()
}

/// What comes of records that arrive in an order and in batches: coverage, and the duties of both weeks and of the month.
async fn what_comes_of(
    visits: &[Made],
    order: &[usize],
    size: usize,
) -> impl PartialEq + std::fmt::Debug {
    let ground = Ground::at("2024-10-07 07:00");
    let mut elders = Vec::new();
    for place in 0..ELDERS {
        elders.push(if place < WEEKLY {
            ground.weekly().await
        } else {
            ground.monthly().await
        });
    }
    let running = ground.start().await;
    running.start_visiting("2024-10-01").await;
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
        let expected = match visits[*place].what {
            What::Met => "COUNTED",
            What::NotMet => "NOT_MET",
            What::Short(_) => "DOUBTFUL TOO_SHORT",
        };
        assert_eq!(in_words(outcome), expected);
    }
    let first = outcomes.iter().filter(|outcome| !outcome.repeated_record);
    assert_eq!(first.count(), visits.len());
    for (made, record) in visits.iter().zip(&records) {
        if let What::Short(Some(counts)) = made.what {
            running.decide(record, counts).await.unwrap();
        }
    }
    let weeks = (
        running.duties("2024-W41").await,
        running.duties("2024-W42").await,
        running.duties("2024-10").await,
    );
    running.advance("2024-11-01 00:00").await;
    let in_the_end = (
        running.coverage("2024-10").await,
        weeks,
        running.duties("2024-W42").await,
        running.duties("2024-10").await,
    );
    running.stop().await;
    in_the_end
}

#[tokio::test]
async fn order_repetition_and_batches_change_nothing() {
    let mut runner = TestRunner::deterministic();
    for _ in 0..6 {
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
async fn a_record_that_comes_again_much_later_in_its_stream_is_known() {
    const VISITORS: usize = 20;
    const EACH: usize = 30;
    let ground = Ground::at("2024-10-08 20:00");
    let mut elders = Vec::new();
    for _ in 0..EACH {
        elders.push(ground.weekly().await);
    }
    let running = ground.start().await;
    let mut records = Vec::new();
    for _ in 0..VISITORS {
        let visitor = running.visitor().await;
        for (elder, place) in elders.iter().zip(0..) {
            let mut record = visit(&visitor, *elder, "2024-10-08 08:00");
            let start = at("2024-10-08 08:00") + TimeDelta::minutes(20 * place);
            record.start_time = Some(timestamp(start));
            record.end_time = Some(timestamp(start + TimeDelta::minutes(10)));
            let number = u32::try_from(records.len()).unwrap();
            record.photo_hashes = vec![number.to_be_bytes().repeat(8).into()];
            records.push(record);
        }
    }
    // More than one batch lies between a record and its repetition.
    let again = [0, 7, 40].map(|place: usize| records[place].clone());
    let mut of_another = records[1].clone();
    of_another.elder_id = elders[0].to_string();
    records.extend(again);
    records.push(of_another);
    records.push(records[2].clone());
    let outcomes = running.stream(&records).await;
    let all = VISITORS * EACH;
    for (place, outcome) in outcomes.iter().enumerate() {
        let expected = if place == all + 3 {
            "INVALID RECORD_ID_REUSED"
        } else {
            "COUNTED"
        };
        assert_eq!(in_words(outcome), expected, "record {place}");
        assert_eq!(outcome.repeated_record, place >= all && place != all + 3);
    }
    running.settled().await;
    let events = running.events().await;
    let count = |name: &str| events.iter().filter(|event| *event == name).count();
    assert_eq!((count("VisitRecorded"), count("RecordDoubted")), (all, 0));
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

#[tokio::test]
async fn of_two_with_one_photo_the_later_in_the_log_is_in_doubt() {
    let ground = Ground::at("2024-10-08 18:00");
    let (one, other) = (ground.weekly().await, ground.weekly().await);
    let running = ground.start().await;
    let (visitor, another) = (running.visitor().await, running.visitor().await);
    let mut first = visit(&visitor, one, "2024-10-08 09:00");
    let mut second = visit(&another, other, "2024-10-08 11:00");
    for record in [&mut first, &mut second] {
        record.photo_hashes = vec![vec![7; 32].into()];
    }
    let outcomes = running.stream(&[second, first]).await;
    let told: Vec<_> = outcomes.iter().map(in_words).collect();
    assert_eq!(told, ["COUNTED", "DOUBTFUL EVIDENCE_REUSED"]);
    running.stop().await;
}

#[tokio::test]
async fn of_two_too_far_from_each_other_the_later_in_the_log_is_in_doubt() {
    let ground = Ground::at("2024-10-08 18:00");
    // Sixty kilometres in half an hour; each is at the elder's door.
    let near = Person::default().on(&ground).await;
    let far = Person {
        metres: Some(60_000.0),
        ..Person::default()
    };
    let far = far.on(&ground).await;
    let running = ground.start().await;
    let visitor = running.visitor().await;
    let mut first = visit(&visitor, near, "2024-10-08 09:00");
    let mut second = visit(&visitor, far, "2024-10-08 09:32");
    first.check_in = Some(place(0.0));
    second.check_in = Some(place(60_000.0));
    let outcomes = running.stream(&[second, first]).await;
    let told: Vec<_> = outcomes.iter().map(in_words).collect();
    assert_eq!(told, ["COUNTED", "DOUBTFUL IMPOSSIBLE_TRAVEL"]);
    running.stop().await;
}
