//! What can't be applied is parked where an operator sees it, and stops nothing.

use std::sync::Arc;

use eventlog::{MemoryLog, Position, Subject};
use readmodel::{Parked, Runner, Settings, migrate, parked, rebuild, verify};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::ledger::{Ledger, Writer, database, record, soon};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unreadable_unknown_and_poisonous_events_are_parked_and_passed_by() {
    let pool = database().await;
    let log = MemoryLog::new("TEST");
    let writer = Writer::to(Arc::new(log.clone()));
    let mut parked_at = vec![];
    writer.add_many(40, 5).await;
    parked_at.push((
        writer.write(100, "test.Unknown").await.sequence,
        "unknown event type",
    ));
    writer.add_many(40, 5).await;
    parked_at.push((
        log.write_unreadable("eldercare.test.account.x", vec![0xff; 9]),
        "",
    ));
    parked_at.push((writer.write(101, "test.Poison").await.sequence, "poison"));
    parked_at.push((
        writer.write(102, "test.Null").await.sequence,
        "database: SQLSTATE 23502, table entry, column subject",
    ));
    writer.add_many(40, 5).await;
    parked_at.push((
        writer.write(103, "test.Panics").await.sequence,
        "the fold panicked",
    ));

    let settings = Settings {
        live_records: 64,
        ..Settings::default()
    };
    let runner =
        Runner::new(pool.clone(), Arc::clone(&writer.log), Ledger::default).with_settings(settings);
    let follower = runner.follower();
    let _running = AbortOnDropHandle::new(tokio::spawn(runner.run(CancellationToken::new())));
    follower
        .wait_for(&writer.add_many(40, 5).await, soon())
        .await
        .unwrap();
    writer.assert_told(&pool).await;

    let check = async || {
        let list = parked::list(&pool, Some("ledger"), 0, 100).await.unwrap();
        let mut found: Vec<_> = list
            .iter()
            .map(|event| (event.sequence, event.reason.as_str()))
            .collect();
        found.sort_unstable();
        assert_eq!(found.len(), parked_at.len(), "{found:?}");
        for (found, expected) in found.iter().zip(&parked_at) {
            assert_eq!(found.0, expected.0);
            assert!(expected.1.is_empty() || found.1 == expected.1, "{found:?}");
        }
        list
    };
    let list = check().await;
    let unreadable = list
        .iter()
        .find(|event| event.sequence == parked_at[1].0)
        .unwrap();
    assert_eq!(unreadable.payload, vec![0xff; 9]);

    // Building it anew comes upon the same ones.
    assert!(
        verify(&pool, Arc::clone(&writer.log), Ledger::default(), |_| {})
            .await
            .unwrap()
            .is_empty()
    );
    rebuild(&pool, Arc::clone(&writer.log), Ledger::default(), |_| {})
        .await
        .unwrap();
    let list = check().await;
    assert_eq!(
        parked::count(&pool, None).await.unwrap(),
        parked_at.len() as u64
    );
    assert!(parked::discard(&pool, list[0].id).await.unwrap());
    assert!(!parked::discard(&pool, list[0].id).await.unwrap());
    assert_eq!(
        parked::count(&pool, Some("ledger")).await.unwrap(),
        parked_at.len() as u64 - 1
    );
    follower
        .wait_for(&writer.add(1).await, soon())
        .await
        .unwrap();
    writer.assert_told(&pool).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_bad_events_of_one_type_in_one_record_are_both_parked() {
    let pool = database().await;
    let writer = Writer::to(Arc::new(MemoryLog::new("TEST")));
    let subject = Subject::new("test", "account", "twice").unwrap();
    let mut twice = record(subject, 0, "test.Unknown");
    let mut another = twice.events[0].clone();
    another.data = vec![8; 40].into();
    twice.events.extend([another, twice.events[0].clone()]);
    let payloads: Vec<_> = twice
        .events
        .iter()
        .map(|event| event.data.to_vec())
        .collect();
    let sequence = writer.log.append(twice).await.unwrap();

    let runner = Runner::new(pool.clone(), Arc::clone(&writer.log), Ledger::default);
    let follower = runner.follower();
    let _running = AbortOnDropHandle::new(tokio::spawn(runner.run(CancellationToken::new())));
    let position = Position::new("TEST", sequence);
    follower.wait_for(&position, soon()).await.unwrap();
    let list = parked::list(&pool, Some("ledger"), 0, 100).await.unwrap();
    let found: Vec<_> = list
        .into_iter()
        .map(|event| (event.place, event.payload))
        .collect();
    assert_eq!(found, (0..).zip(payloads).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_parked_by_an_older_program_stays_on_the_list() {
    let pool = database().await;
    let before = include_str!("../../migrations/0001_checkpoints_and_parked_events.sql");
    sqlx::raw_sql("CREATE SCHEMA readmodel")
        .execute(&pool)
        .await
        .unwrap();
    sqlx::raw_sql(before).execute(&pool).await.unwrap();
    sqlx::raw_sql(
        "INSERT INTO readmodel.parked (projection, stream, sequence, subject, event_type, reason, payload) \
         VALUES ('ledger', 'TEST', 7, 's', 'test.One', 'r', ''), ('ledger', 'TEST', 7, 's', 'test.Two', 'r', '')",
    )
    .execute(&pool)
    .await
    .unwrap();
    let after = include_str!("../../migrations/0002_place_of_parked_events.sql");
    sqlx::raw_sql(after).execute(&pool).await.unwrap();
    assert_eq!(parked::count(&pool, Some("ledger")).await.unwrap(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_a_reader_passes_by_is_parked_once() {
    let pool = database().await;
    migrate(&pool).await.unwrap();
    let mut conn = pool.acquire().await.unwrap();
    let rows = ["visit 1", "visit 2"].map(|row| Parked::row(row.to_owned(), "whose".to_owned()));
    for (some, new) in [(&rows[..1], 1), (&rows[..], 1), (&rows[..], 0)] {
        let parking = parked::park(&mut conn, "a_reader", "VISITS", some);
        assert_eq!(parking.await.unwrap(), new);
    }
    let list = parked::list(&pool, Some("a_reader"), 0, 10).await.unwrap();
    let found: Vec<_> = list
        .iter()
        .map(|one| (one.event_type.as_str(), one.subject.as_str()))
        .collect();
    assert_eq!(found, [("visit 1", "whose"), ("visit 2", "whose")]);
    assert!(parked::discard(&pool, list[0].id).await.unwrap());
    let left = parked::count(&pool, Some("a_reader")).await.unwrap();
    assert_eq!(left, 1);
}
