//! The same over the real log.

use std::sync::Arc;

use eventlog::{EventLog, Gather, JetStreamLog, StreamSettings};
use readmodel::{Runner, rebuild, verify};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::ledger::{Ledger, Writer, database, soon};

pub(crate) async fn log(url: &str, context: &str) -> Arc<dyn EventLog> {
    let client = async_nats::connect(url).await.unwrap();
    Arc::new(
        JetStreamLog::open(client, StreamSettings::of(context, Gather::GroupsOnly))
            .await
            .unwrap(),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_real_log_is_followed_rebuilt_from_and_verified_against() {
    let pool = database().await;
    let writer = Writer::to(log(&backing_services::testing::nats().await.url(), "followed").await);
    let runner = Runner::new(pool.clone(), Arc::clone(&writer.log), Ledger::default);
    let follower = runner.follower();
    let _running = AbortOnDropHandle::new(tokio::spawn(runner.run(CancellationToken::new())));
    follower
        .wait_for(&writer.add_many(2_000, 30).await, soon())
        .await
        .unwrap();
    writer.assert_told(&pool).await;
    let (built, end) = tokio::join!(
        rebuild(&pool, Arc::clone(&writer.log), Ledger::default(), |_| {}),
        writer.add_many(1_000, 30)
    );
    built.unwrap();
    follower.wait_for(&end, soon()).await.unwrap();
    writer.assert_told(&pool).await;
    assert!(
        verify(&pool, Arc::clone(&writer.log), Ledger::default(), |_| {})
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_of_the_log_costs_nothing_but_time() {
    let pool = database().await;
    let server = backing_services::testing::own_nats().await;
    let writer = Writer::to(log(&server.url(), "test").await);
    let runner = Runner::new(pool.clone(), Arc::clone(&writer.log), Ledger::default);
    let follower = runner.follower();
    let _running = AbortOnDropHandle::new(tokio::spawn(runner.run(CancellationToken::new())));
    for _ in 0..2 {
        follower
            .wait_for(&writer.add_many(300, 10).await, soon())
            .await
            .unwrap();
        server.kill().await;
        server.restart().await.unwrap();
        while writer.log.last_sequence().await.is_err() {
            tokio::task::yield_now().await;
        }
    }
    follower
        .wait_for(&writer.add_many(300, 10).await, soon())
        .await
        .unwrap();
    writer.assert_told(&pool).await;
}
