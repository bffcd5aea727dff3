//! Waiting for a position: callers read what they wrote.

use std::sync::Arc;
use std::time::Duration;

use eventlog::{MemoryLog, Position};
use readmodel::{Follower, Runner, WaitError};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::ledger::{Ledger, Writer, database, soon};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_position_is_waited_for_until_the_deadline() {
    let pool = database().await;
    let writer = Writer::to(Arc::new(MemoryLog::new("TEST")));
    let runner = Runner::new(pool.clone(), Arc::clone(&writer.log), Ledger::default);
    let follower = runner.follower();
    let _running = AbortOnDropHandle::new(tokio::spawn(runner.run(CancellationToken::new())));
    let written = writer.add(1).await;
    follower.wait_for(&written, soon()).await.unwrap();

    let beyond = Position {
        sequence: written.sequence + 1,
        ..written.clone()
    };
    let deadline = Instant::now() + Duration::from_millis(30);
    assert_eq!(
        follower.wait_for(&beyond, deadline).await,
        Err(WaitError::TimedOut)
    );
    let elsewhere = Position {
        stream: "OTHER".to_owned(),
        ..written
    };
    assert_eq!(
        follower.wait_for(&elsewhere, soon()).await,
        Err(WaitError::OtherStream)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_waiters_of_a_process_that_runs_nothing_are_told_by_the_checkpoint() {
    let pool = database().await;
    let writer = Writer::to(Arc::new(MemoryLog::new("TEST")));
    let runner = Runner::new(pool.clone(), Arc::clone(&writer.log), Ledger::default);
    let apart = Follower::new(pool.clone(), "ledger", "TEST");
    let waiting: Vec<_> = (1..=100)
        .map(|sequence| {
            let apart = apart.clone();
            tokio::spawn(async move {
                apart
                    .wait_for(
                        &Position {
                            stream: "TEST".to_owned(),
                            sequence,
                        },
                        soon(),
                    )
                    .await
            })
        })
        .collect();
    let _running = AbortOnDropHandle::new(tokio::spawn(runner.run(CancellationToken::new())));
    writer.add_many(100, 5).await;
    for waiter in waiting {
        waiter.await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_lost_the_lead_looks_at_what_there_is() {
    let pool = database().await;
    let writer = Writer::to(Arc::new(MemoryLog::new("TEST")));
    let runner = Runner::new(pool.clone(), Arc::clone(&writer.log), Ledger::default);
    let follower = runner.follower();
    let stop = CancellationToken::new();
    let running = tokio::spawn(runner.run(stop.clone()));
    let written = writer.add(1).await;
    follower.wait_for(&written, soon()).await.unwrap();
    stop.cancel();
    running.await.unwrap();

    // As where an older backup was put back.
    sqlx::query("UPDATE readmodel.checkpoint SET sequence = 0")
        .execute(&pool)
        .await
        .unwrap();
    let deadline = Instant::now() + Duration::from_millis(30);
    assert_eq!(
        follower.wait_for(&written, deadline).await,
        Err(WaitError::TimedOut)
    );
}
