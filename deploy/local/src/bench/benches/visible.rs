//! `visible`: how long after a command is sent its effect can be read in the read model, one at a time on a system at rest.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use backing_services::Syncing;
use sqlx::PgConnection;
use uuid::Uuid;

use super::append::seeded;
use crate::bench::{Ground, Measured, callers::Latencies, people, service::Role, stage::Stage};

/// The system is at rest for so long between two commands.
const REST: Duration = Duration::from_millis(5);

/// A row that does not come in this time is no matter of speed.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) async fn run(ground: &Ground) -> anyhow::Result<Vec<Measured>> {
    let stage = Stage::set(ground, "visible", Syncing::EveryTwoMinutes).await?;
    let elders = seeded(ground, &stage, 20_000).await?;
    let served = stage.start(Role::Registry).await?;
    let client = served.clients()?.swap_remove(0);
    let mut db = stage.database().await?;

    let (warm, count) = (ground.scaled(200), ground.scaled(3_000));
    let step = ground.progress.begin("append, then read", count as u64);
    let (mut from_sending, mut from_answer) =
        (Vec::with_capacity(count), Vec::with_capacity(count));
    for number in 0..warm + count {
        let elder = &elders[number % elders.len()];
        let request = people::assessment(elder, 1 + (number / elders.len()) as u64);
        let elder: Uuid = elder.parse()?;
        tokio::time::sleep(REST).await;
        let sent = Instant::now();
        let answer = client
            .registry()
            .record_assessment(request)
            .await?
            .into_inner();
        let answered = Instant::now();
        let position = answer.committed.unwrap_or_default().position;
        let position: eventlog::Position = position.parse().context("the position of a record")?;
        until_visible(&mut db, elder, position.sequence).await?;
        if number >= warm {
            from_sending.push(sent.elapsed());
            from_answer.push(answered.elapsed());
        }
        step.advance(1);
    }
    let (from_sending, from_answer) = (Latencies::of(from_sending), Latencies::of(from_answer));
    step.done(&format!("p50 {:.2} ms", from_sending.permille(500)));

    let limit = bare(&stage, count).await?;
    let peak = served.peak_rss();
    served.stop().await?;
    let measured = Measured::new("visible", from_sending.permille(500), "ms (p50)")
        .limit_at_least(limit.permille(500))
        .latencies(&from_sending)
        .peak(peak)
        .with("from", "sending the command over gRPC")
        .with("until", "a SELECT on another connection finds the row")
        .with_rounded("from_answer_p50_ms", from_answer.permille(500))
        .with_rounded("from_answer_p99_ms", from_answer.permille(990))
        .with(
            "limit_is",
            "one bare acknowledged publish, then a commit of one row",
        )
        .with("samples", count);
    let measured = stage.note(measured);
    stage.strike().await;
    Ok(vec![measured])
}

async fn until_visible(db: &mut PgConnection, elder: Uuid, version: u64) -> anyhow::Result<()> {
    let since = Instant::now();
    let version = i64::try_from(version)?;
    while since.elapsed() < PATIENCE {
        let found: Option<i64> = sqlx::query_scalar(
            "SELECT version FROM registry_elders.elder WHERE elder_id = $1 AND version >= $2",
        )
        .bind(elder)
        .bind(version)
        .fetch_optional(&mut *db)
        .await?;
        if found.is_some() {
            return Ok(());
        }
    }
    anyhow::bail!("a record is not visible after {PATIENCE:?}")
}

/// The least that must happen: an acknowledged publish, and a commit of a row, one after the other.
async fn bare(stage: &Stage, count: usize) -> anyhow::Result<Latencies> {
    let server = async_nats::jetstream::new(stage.nats_client().await?);
    let config = async_nats::jetstream::stream::Config {
        name: "BARE".to_owned(),
        subjects: vec!["bare.>".to_owned()],
        ..Default::default()
    };
    server.create_stream(config).await?;
    let mut db = stage.database().await?;
    sqlx::raw_sql(
        "SET synchronous_commit = off; CREATE TABLE bare (id int PRIMARY KEY, payload bytea)",
    )
    .execute(&mut db)
    .await?;
    let body = vec![7_u8; 300];
    let mut single = Vec::with_capacity(count);
    for number in 0..i32::try_from(count)? {
        tokio::time::sleep(REST).await;
        let since = Instant::now();
        server
            .publish(format!("bare.{number}"), body.clone().into())
            .await?
            .await?;
        sqlx::query("INSERT INTO bare VALUES ($1, $2)")
            .bind(number)
            .bind(&body)
            .execute(&mut db)
            .await?;
        single.push(since.elapsed());
    }
    Ok(Latencies::of(single))
}
