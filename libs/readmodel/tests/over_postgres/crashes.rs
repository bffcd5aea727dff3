//! PostgreSQL is killed in the middle: the read model goes on by itself, with nothing lost and nothing doubled.

use std::sync::Arc;

use eventlog::MemoryLog;
use readmodel::{Runner, rebuild, verify};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::ledger::{Ledger, Writer, pool, soon};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_of_the_database_costs_nothing_but_time() {
    let server = backing_services::testing::own_postgres().await;
    let pool = pool(&server.fresh_database().await.unwrap()).await;
    let writer = Writer::to(Arc::new(MemoryLog::new("TEST")));
    let runner = Runner::new(pool.clone(), Arc::clone(&writer.log), Ledger::default);
    let follower = runner.follower();
    let _running = AbortOnDropHandle::new(tokio::spawn(runner.run(CancellationToken::new())));
    follower
        .wait_for(&writer.add_many(500, 20).await, soon())
        .await
        .unwrap();
    for _ in 0..2 {
        let (_, end) = tokio::join!(server.kill(), writer.add_many(2_000, 20));
        server.restart().await.unwrap();
        follower.wait_for(&end, soon()).await.unwrap();
        writer.assert_told(&pool).await;
    }
    assert!(
        verify(&pool, Arc::clone(&writer.log), Ledger::default(), |_| {})
            .await
            .unwrap()
            .is_empty()
    );

    // In the middle of a rebuild, which goes on when it is called again.
    writer.add_many(60_000, 20).await;
    let (begun, beginning) = tokio::sync::oneshot::channel();
    let begun = std::sync::Mutex::new(Some(begun));
    let building = rebuild(
        &pool,
        Arc::clone(&writer.log),
        Ledger::default(),
        move |progress| {
            if progress.done > 0
                && let Some(begun) = begun.lock().unwrap().take()
            {
                let _ = begun.send(());
            }
        },
    );
    let killing = async {
        beginning.await.unwrap();
        server.kill().await
    };
    let (built, _) = tokio::join!(building, killing);
    assert!(built.is_err());
    server.restart().await.unwrap();
    rebuild(&pool, Arc::clone(&writer.log), Ledger::default(), |_| {})
        .await
        .unwrap();
    follower
        .wait_for(&writer.add(1).await, soon())
        .await
        .unwrap();
    writer.assert_told(&pool).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_somebody_was_told_of_stands_after_a_crash() {
    let server = backing_services::testing::own_postgres().await;
    let pool = pool(&server.fresh_database().await.unwrap()).await;
    let writer = Writer::to(Arc::new(MemoryLog::new("TEST")));
    let runner = Runner::new(pool.clone(), Arc::clone(&writer.log), Ledger::default);
    let follower = runner.follower();
    let running = AbortOnDropHandle::new(tokio::spawn(runner.run(CancellationToken::new())));
    follower
        .wait_for(&writer.add(1).await, soon())
        .await
        .unwrap();
    let last = writer.add_many(500, 20).await;
    follower.wait_for(&last, soon()).await.unwrap();
    server.kill().await;
    // Nobody mends it.
    drop(running);
    server.restart().await.unwrap();
    writer.assert_told(&pool).await;
}
