//! One runner among replicas leads, and another takes over when it dies.

use std::sync::Arc;
use std::time::{Duration, Instant};

use eventlog::{MemoryLog, Position};
use readmodel::{ActiveRunner, Follower, Runner};
use sqlx::PgPool;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::ledger::{Ledger, Writer, pool, soon};

struct Replica {
    follower: Follower,
    running: JoinHandle<()>,
}

fn replica(pool: &PgPool, writer: &Writer) -> Replica {
    let runner = Runner::new(pool.clone(), Arc::clone(&writer.log), Ledger::default);
    Replica {
        follower: runner.follower(),
        running: tokio::spawn(runner.run(CancellationToken::new())),
    }
}

/// Who leads, as anybody sees it who asks the database.
async fn active_runner(pool: &PgPool) -> Option<ActiveRunner> {
    let mut status = readmodel::status(pool, &[]).await.unwrap();
    assert_eq!(status.len(), 1);
    status.remove(0).runner
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_takes_over_within_two_seconds_of_the_leaders_death() {
    let url = backing_services::testing::fresh_database().await;
    let (one, two) = (pool(&url).await, pool(&url).await);
    let writer = Writer::to(Arc::new(MemoryLog::new("TEST")));
    let first = replica(&one, &writer);
    first
        .follower
        .wait_for(&writer.add(1).await, soon())
        .await
        .unwrap();
    let second = replica(&two, &writer);
    // The standby's callers read their writes too.
    second
        .follower
        .wait_for(&writer.add(1).await, soon())
        .await
        .unwrap();
    assert!(first.follower.leading() && !second.follower.leading());
    let leading = active_runner(&one).await.expect("somebody leads");

    first.running.abort();
    let died = Instant::now();
    second
        .follower
        .wait_for(&writer.add(2).await, soon())
        .await
        .unwrap();
    println!("taken over after {:?}", died.elapsed());
    assert!(died.elapsed() < Duration::from_secs(2));
    assert!(second.follower.leading());
    let next = active_runner(&one).await.expect("the standby leads");
    assert_ne!(next.connected_at, leading.connected_at);
    // Whoever asks in the process whose runner died is told by the checkpoint.
    first
        .follower
        .wait_for(&writer.add(3).await, soon())
        .await
        .unwrap();
    writer.assert_told(&two).await;
    second.running.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_answers_soon_though_somebody_waits_for_what_never_comes() {
    let url = backing_services::testing::fresh_database().await;
    let (one, two) = (pool(&url).await, pool(&url).await);
    let writer = Writer::to(Arc::new(MemoryLog::new("TEST")));
    let leader = replica(&one, &writer);
    let first = writer.add(1).await;
    leader.follower.wait_for(&first, soon()).await.unwrap();
    let standby = Follower::new(two.clone(), "ledger", "TEST");
    // It waits for the next event, as a service at rest does, until it looks as seldom as it ever does.
    let never = Position::new("TEST", u64::MAX >> 1);
    let idle = tokio::spawn({
        let standby = standby.clone();
        async move { standby.wait_for(&never, soon()).await }
    });
    let at_rest = tokio::time::Instant::now() + Duration::from_millis(400);
    let _ = standby
        .wait_for(&Position::new("TEST", u64::MAX >> 2), at_rest)
        .await;

    let mut took = vec![];
    for _ in 0..9 {
        let written = writer.add(1).await;
        leader.follower.wait_for(&written, soon()).await.unwrap();
        let asked = Instant::now();
        standby.wait_for(&written, soon()).await.unwrap();
        took.push(asked.elapsed());
    }
    took.sort_unstable();
    println!("the standby knew after {took:?}");
    assert!(took[4] < Duration::from_millis(25), "{took:?}");
    idle.abort();
    leader.running.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_whose_connection_is_cut_loses_the_lead_and_nothing_else() {
    let url = backing_services::testing::fresh_database().await;
    let (one, two) = (pool(&url).await, pool(&url).await);
    let writer = Writer::to(Arc::new(MemoryLog::new("TEST")));
    let replicas = [replica(&one, &writer), replica(&two, &writer)];
    replicas[0]
        .follower
        .wait_for(&writer.add(1).await, soon())
        .await
        .unwrap();
    for _ in 0..10 {
        let cut: Vec<bool> = sqlx::query_scalar(
            "SELECT pg_terminate_backend(pid) FROM pg_locks \
             WHERE locktype = 'advisory' AND granted \
               AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
               AND (classid::bigint << 32 | objid::bigint) = hashtextextended('readmodel live ledger', 0)",
        )
        .fetch_all(&one)
        .await
        .unwrap();
        assert!(cut.len() <= 1, "at most one leads");
        let start = Instant::now();
        let end = writer.add_many(20, 5).await;
        for replica in &replicas {
            replica.follower.wait_for(&end, soon()).await.unwrap();
        }
        assert!(
            start.elapsed() < Duration::from_secs(3),
            "{:?}",
            start.elapsed()
        );
    }
    writer.assert_told(&one).await;
    for replica in replicas {
        replica.running.abort();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_superseded_runner_changes_nothing_and_starts_over() {
    let pool = pool(&backing_services::testing::fresh_database().await).await;
    let writer = Writer::to(Arc::new(MemoryLog::new("TEST")));
    let replica = replica(&pool, &writer);
    replica
        .follower
        .wait_for(&writer.add_many(50, 5).await, soon())
        .await
        .unwrap();
    for _ in 0..5 {
        sqlx::query("UPDATE readmodel.checkpoint SET generation = generation + 1")
            .execute(&pool)
            .await
            .unwrap();
        replica
            .follower
            .wait_for(&writer.add_many(50, 5).await, soon())
            .await
            .unwrap();
    }
    writer.assert_told(&pool).await;
    replica.running.abort();
}
