//! What can't be applied is parked where an operator sees it, and stops nothing.

use std::sync::Arc;

use eventlog::MemoryLog;
use readmodel::{Runner, Settings, parked, rebuild, verify};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::ledger::{Ledger, Writer, database, soon};

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
