//! A runner: each event takes effect once.

use std::sync::Arc;

use eventlog::{MemoryLog, Position};
use readmodel::{Runner, Settings, status};
use tokio_util::sync::CancellationToken;

use crate::ledger::{Dice, Ledger, Writer, database, soon};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_in_the_log_comes_into_the_read_model() {
    let pool = database().await;
    let writer = Writer::to(Arc::new(MemoryLog::new("TEST")));
    writer.add_many(500, 20).await;
    let runner = Runner::new(pool.clone(), Arc::clone(&writer.log), Ledger::default);
    let follower = runner.follower();
    let shutdown = CancellationToken::new();
    let running = tokio::spawn(runner.run(shutdown.clone()));
    let end = writer.add_many(500, 20).await;
    follower.wait_for(&end, soon()).await.unwrap();
    writer.assert_told(&pool).await;

    let status = status(&pool, &[Arc::clone(&writer.log)]).await.unwrap();
    assert_eq!(status.len(), 1);
    assert_eq!(
        (
            status[0].projection.as_str(),
            status[0].position,
            status[0].lag
        ),
        ("ledger", 1_000, Some(0))
    );

    shutdown.cancel();
    running.await.unwrap();
    assert!(!follower.leading());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_fill_of_a_long_log_is_done_in_bulk_and_goes_on_live() {
    let pool = database().await;
    let writer = Writer::to(Arc::new(MemoryLog::new("TEST")));
    writer.add_many(6_000, 50).await;
    let runner = Runner::new(pool.clone(), Arc::clone(&writer.log), Ledger::default);
    let follower = runner.follower();
    let _running = tokio_util::task::AbortOnDropHandle::new(tokio::spawn(
        runner.run(CancellationToken::new()),
    ));
    follower
        .wait_for(&writer.add(1).await, soon())
        .await
        .unwrap();
    follower
        .wait_for(&writer.add(2).await, soon())
        .await
        .unwrap();
    writer.assert_told(&pool).await;
    let generation: i64 = sqlx::query_scalar("SELECT generation FROM readmodel.checkpoint")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(generation, 1, "it was built beside, and switched to");
}

/// The runner is killed again and again, at whatever it is doing, and comes back with other batches.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_event_takes_effect_once_however_often_the_runner_is_killed() {
    let pool = database().await;
    let writer = Writer::to(Arc::new(MemoryLog::new("TEST")));
    let mut dice = Dice::new();
    let writing = tokio::spawn({
        let writer = writer.clone();
        async move {
            for number in 0..4_000 {
                writer.add(number * 7 % 30).await;
                if number % 16 == 0 {
                    tokio::task::yield_now().await;
                }
            }
        }
    });
    let mut reached = 0;
    for _ in 0..40 {
        let settings = Settings {
            live_records: dice.roll(150) as usize + 1,
            rebuild_records: dice.roll(500) as usize + 1,
            bulk_from: 1_000 + dice.roll(2_000),
            ..Settings::default()
        };
        let runner = Runner::new(pool.clone(), Arc::clone(&writer.log), Ledger::default)
            .with_settings(settings);
        let follower = runner.follower();
        let running = tokio::spawn(runner.run(CancellationToken::new()));
        let target = Position {
            stream: "TEST".to_owned(),
            sequence: (reached + dice.roll(150)).min(4_000),
        };
        follower.wait_for(&target, soon()).await.unwrap();
        for _ in 0..dice.roll(300) {
            tokio::task::yield_now().await;
        }
        running.abort();
        assert!(running.await.is_err_and(|error| error.is_cancelled()));
        reached = follower.known();
    }
    writing.await.unwrap();
    let runner = Runner::new(pool.clone(), Arc::clone(&writer.log), Ledger::default);
    let follower = runner.follower();
    let _running = tokio_util::task::AbortOnDropHandle::new(tokio::spawn(
        runner.run(CancellationToken::new()),
    ));
    follower
        .wait_for(&writer.add(1).await, soon())
        .await
        .unwrap();
    writer.assert_told(&pool).await;
    let differences = readmodel::verify(&pool, Arc::clone(&writer.log), Ledger::default(), |_| {})
        .await
        .unwrap();
    assert!(differences.is_empty(), "{differences:?}");
}
