//! `timers`: a million devices whose silence is waited for; how soon the watch is there after a restart, and how late ten
//! thousand silences are that end within one second.

use std::time::Duration;

use alerts::{
    alert_line::{AlertLine, Event, Raised},
    codec,
};
use anyhow::{Context as _, ensure};
use backing_services::Syncing;
use chrono::{DateTime, TimeDelta, Utc};
use civic::{AlertKind, DeviceKind};
use eventlog::{Aggregate as _, Deliveries, Delivery, EventLog as _};
use futures::StreamExt as _;
use proto::eldercare::alerts::v1 as pb;
use sqlx::Row as _;
use tokio::time::Instant;
use uuid::Uuid;

use crate::bench::{
    Ground, Measured, callers::Latencies, homes, seed, seed::Seeded, service::Role, stage::Stage,
};

/// How many timers wait, and how many of them fall due in the same second.
const PENDING: usize = 1_000_000;
const DUE: u64 = 10_000;
/// When the watch begins, and how long after the restart the second is.
const BEGINS: &str = "2024-11-12T00:00:00+08:00";
const UNTIL_DUE: TimeDelta = TimeDelta::seconds(90);

pub(super) async fn run(ground: &Ground) -> anyhow::Result<Vec<Measured>> {
    let mut stage = Stage::set(ground, "timers", Syncing::EveryTwoMinutes).await?;
    Seeded::registered(&stage, 256, ground.progress).await?;
    let pending = ground.scaled(PENDING) as u64;
    let due = DUE.min(pending / 2);
    let begins: DateTime<Utc> = BEGINS.parse()?;
    // Off line after 24 hours without a signal; nobody has sent any.
    let second = begins + UNTIL_DUE - TimeDelta::hours(24);
    let home = |number: u64| {
        let at = if number < due {
            let micros = i64::try_from(number * 1_000_000 / due).unwrap_or_default();
            second + TimeDelta::microseconds(micros)
        } else {
            begins - TimeDelta::hours(1)
        };
        (
            DeviceKind::SosButton,
            Uuid::from_u128(u128::from(number) + 1),
            at,
        )
    };
    homes::register(&stage, pending, home, ground.progress).await?;
    let registry = stage.start(Role::Registry).await?;
    stage.become_peer("alerts", &registry.endpoint()).await?;
    homes::notices_in_the_log(&stage)?;
    // Before the second comes the watch is made once and kept.
    stage.set_clock(&(begins - TimeDelta::minutes(50)).to_rfc3339())?;
    let step = ground.progress.begin("the watch is made from the log", 0);
    let served = stage.start(Role::Alerts).await?;
    kept(&stage).await?;
    step.done("");
    served.stop().await?;

    stage.set_clock(BEGINS)?;
    let since = Instant::now();
    let log = seed::log_of(&stage, codec::CONTEXT).await?;
    let mut raised = Raisings {
        records: log.subscribe(log.last_sequence().await?).await?,
    };
    let step = ground.progress.begin("the watch is there again", 0);
    let served = stage.start(Role::Alerts).await?;
    // It is there once it answers a press of the button.
    let clients = homes::gateways(&stage, &served, 1)?;
    let mut gateway = homes::Gateway::open(&clients[0]).await?;
    let press = homes::signal(pending - 1, pb::SignalKind::Press, 1);
    gateway.send(vec![press]).await?;
    let patience = Instant::now() + Duration::from_secs(60);
    while !(raised.next(patience).await?.iter()).any(|(raised, _)| raised.kind == AlertKind::Sos) {}
    let started = since.elapsed();
    step.done("");

    let step = ground.progress.begin("silences", due);
    let mut late = Vec::new();
    let deadline = Instant::now() + UNTIL_DUE.to_std()? + Duration::from_secs(60);
    while (late.len() as u64) < due {
        let told = raised.next(deadline).await;
        let told = told.with_context(|| format!("{} of {due} silences were told", late.len()))?;
        for (raised, at) in told {
            late.push((at - raised.at).to_std().unwrap_or_default());
            step.advance(1);
        }
    }
    step.done("");
    let worst = late.iter().max().copied().unwrap_or_default();
    let latencies = Latencies::of(late);
    let measured = Measured::new("timers", started.as_secs_f64(), "s to start")
        .latencies(&latencies)
        .peak(served.peak_rss())
        .with("pending", pending)
        .with("due_in_one_second", due)
        .with_rounded("latest_fired_after_s", worst.as_secs_f64());
    let measured = stage.note(measured);
    served.stop().await?;
    registry.stop().await?;
    stage.strike().await;
    ensure!(
        worst < Duration::from_secs(60),
        "the silences were told too late"
    );
    Ok(vec![measured])
}

/// The alerts that are raised, as the log tells them.
struct Raisings {
    records: Deliveries,
}

impl Raisings {
    /// The next ones, with the time at which each was written.
    async fn next(&mut self, deadline: Instant) -> anyhow::Result<Vec<(Raised, DateTime<Utc>)>> {
        let batch = tokio::time::timeout_at(deadline, self.records.next()).await;
        let batch = batch.context("no alert is raised")?;
        let mut found = Vec::new();
        for delivery in batch.context("the log has ended")?? {
            let Delivery::Record(record) = delivery else {
                continue;
            };
            let events = record.events.iter();
            for event in events.filter_map(|raw| AlertLine::decode(raw).ok()) {
                if let Event::Raised(raised) = event {
                    found.push((raised, record.metadata.time));
                }
            }
        }
        Ok(found)
    }
}

/// Waits until the watch has been kept.
async fn kept(stage: &Stage) -> anyhow::Result<()> {
    let mut db = stage.database().await?;
    let deadline = Instant::now() + Duration::from_secs(600);
    loop {
        let row = sqlx::query("SELECT count(*) FROM alerts_kept.watch")
            .fetch_one(&mut db)
            .await?;
        if row.try_get::<i64, _>(0)? > 0 {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "the watch is not kept");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
