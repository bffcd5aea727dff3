//! How fast it is: prints figures, checks none.

use std::sync::Arc;
use std::time::{Duration, Instant};

use eventlog::MemoryLog;
use readmodel::{Follower, Runner, copy_rows, rebuild, verify};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::ledger::{Ledger, Writer, database, soon};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "prints figures, takes a minute"]
async fn figures() {
    let pool = database().await;
    let writer = Writer::to(Arc::new(MemoryLog::new("TEST")));
    let runner = Runner::new(pool.clone(), Arc::clone(&writer.log), Ledger::default);
    let follower = runner.follower();
    let _running = AbortOnDropHandle::new(tokio::spawn(runner.run(CancellationToken::new())));
    follower
        .wait_for(&writer.add_many(100, 100).await, soon())
        .await
        .unwrap();

    let mut delays = vec![];
    for number in 0..2_000 {
        let start = Instant::now();
        let position = writer.add(number % 100).await;
        follower.wait_for(&position, soon()).await.unwrap();
        delays.push(start.elapsed());
    }
    delays.sort_unstable();
    println!(
        "visible at rest: p50 {:?}, p99 {:?}",
        delays[1_000], delays[1_980]
    );

    let nats = backing_services::testing::nats().await;
    visible_over_jetstream(&nats.url()).await;

    let start = Instant::now();
    let end = writer.add_many(30_000, 5_000).await;
    follower.wait_for(&end, soon()).await.unwrap();
    println!("live tail: {:.0} records/s", rate(30_000, start.elapsed()));

    let count = 300_000;
    let end = writer.add_many(count - end.sequence, 20_000).await;
    follower.wait_for(&end, soon()).await.unwrap();
    let start = Instant::now();
    rebuild(&pool, Arc::clone(&writer.log), Ledger::default(), |_| {})
        .await
        .unwrap();
    println!("rebuild: {:.0} records/s", rate(count, start.elapsed()));
    let start = Instant::now();
    assert!(
        verify(&pool, Arc::clone(&writer.log), Ledger::default(), |_| {})
            .await
            .unwrap()
            .is_empty()
    );
    println!("verify: {:.0} records/s", rate(count, start.elapsed()));

    let mut db = pool.acquire().await.unwrap();
    sqlx::raw_sql(
        "CREATE TABLE raw (sequence bigint, subject text); CREATE TABLE raw_account (subject text, n bigint, m bigint)",
    )
    .execute(&mut *db)
    .await
    .unwrap();
    let entries: Vec<(i64, String)> = (0..count as i64)
        .map(|number| {
            (
                number,
                format!("eldercare.test.account.a{}", number % 20_000),
            )
        })
        .collect();
    let start = Instant::now();
    copy_rows(
        &mut db,
        "raw",
        &["sequence", "subject"],
        &entries,
        |row, (sequence, subject)| {
            row.put(sequence).put(subject);
        },
    )
    .await
    .unwrap();
    copy_rows(
        &mut db,
        "raw_account",
        &["subject", "n", "m"],
        &entries[..20_000],
        |row, (sequence, subject)| {
            row.put(subject).put(sequence).put(sequence);
        },
    )
    .await
    .unwrap();
    println!("COPY alone: {:.0} records/s", rate(count, start.elapsed()));
    sqlx::raw_sql(
        "ALTER TABLE raw ADD PRIMARY KEY (sequence); CREATE INDEX ON raw (subject); ALTER TABLE raw_account ADD PRIMARY KEY (subject)",
    )
    .execute(&mut *db)
    .await
    .unwrap();
    println!(
        "COPY, then the same keys: {:.0} records/s",
        rate(count, start.elapsed())
    );
}

async fn visible(what: &str, writer: &Writer, follower: &Follower) {
    let mut delays = vec![];
    for number in 0..2_000 {
        let start = Instant::now();
        let position = writer.add(number % 100).await;
        follower.wait_for(&position, soon()).await.unwrap();
        delays.push(start.elapsed());
    }
    delays.sort_unstable();
    println!("{what}: p50 {:?}, p99 {:?}", delays[1_000], delays[1_980]);
}

async fn visible_over_jetstream(url: &str) {
    let pool = database().await;
    let writer = Writer::to(crate::over_jetstream::log(url, "visible").await);
    let runner = Runner::new(pool.clone(), Arc::clone(&writer.log), Ledger::default);
    let follower = runner.follower();
    let _running = AbortOnDropHandle::new(tokio::spawn(runner.run(CancellationToken::new())));
    follower
        .wait_for(&writer.add_many(100, 100).await, soon())
        .await
        .unwrap();
    visible(
        "visible at rest, JetStream, from before the append",
        &writer,
        &follower,
    )
    .await;
    let apart = Follower::new(pool, "ledger", "VISIBLE");
    visible("the same, seen by a standby", &writer, &apart).await;
}

fn rate(count: u64, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}
