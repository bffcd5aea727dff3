//! `rebuild`: the registry's read model is built anew from a log of a million events, beside a COPY of the very same rows.

use anyhow::Context as _;
use backing_services::Syncing;

use crate::bench::{
    Ground, Measured, callers::rate, raw, seed::Seeded, service::Role, stage::Stage,
};

/// The schema of the registry's read model.
const SCHEMA: &str = registry::registry_elders::NAME;

/// What a log is made of: elders (each with two events, claim and registration), and how many of them change later.
struct History {
    name: &'static str,
    elders: usize,
    changed: usize,
    rounds: u64,
}

/// A million events each: just after a survey, and some years later.
const HISTORIES: [History; 2] = [
    History {
        name: "survey",
        elders: 500_000,
        changed: 0,
        rounds: 0,
    },
    History {
        name: "changes",
        elders: 350_000,
        changed: 150_000,
        rounds: 2,
    },
];

pub(super) async fn run(ground: &Ground) -> anyhow::Result<Vec<Measured>> {
    let mut results = Vec::new();
    for history in &HISTORIES {
        results.push(measure(ground, history).await?);
    }
    Ok(results)
}

async fn measure(ground: &Ground, history: &History) -> anyhow::Result<Measured> {
    let stage = Stage::set(ground, history.name, Syncing::EveryTwoMinutes).await?;
    let elders = ground.scaled(history.elders);
    let mut seeded = Seeded::registered(&stage, elders as u64, ground.progress).await?;
    for round in 1..=history.rounds {
        let changed = history.changed * elders / history.elders;
        seeded.change(round, changed, ground.progress).await?;
    }
    let events = seeded.events;
    drop(seeded);

    let step = ground.progress.begin("rebuild", 0);
    let (seconds, peak) = rebuilt(&stage).await?;
    step.done(&format!("{:.0} events/s", rate(events, seconds)));

    let step = ground.progress.begin("COPY of the same rows", 2);
    let copied = raw::copy(&stage, SCHEMA, &step).await?;
    step.done(&format!("{:.1} s", copied.keys_in_place.as_secs_f64()));
    let measured = Measured::new("rebuild", rate(events, seconds), "events/s")
        .limit(rate(events, copied.keys_in_place.as_secs_f64()))
        .peak(Some(peak))
        .with("history", history.name)
        .with("events", events)
        .with("elders", elders)
        .with("rows", copied.rows)
        .with("row_bytes", copied.bytes)
        .with_rounded("seconds", seconds)
        .with_rounded(
            "copy_keys_in_place_seconds",
            copied.keys_in_place.as_secs_f64(),
        )
        .with_rounded(
            "copy_keys_afterwards_seconds",
            copied.keys_afterwards.as_secs_f64(),
        );
    let measured = stage.note(measured);
    stage.strike().await;
    Ok(measured)
}

/// Has a process build the registry's read model anew; how many seconds it took, and the most memory that it held.
pub(super) async fn rebuilt(stage: &Stage) -> anyhow::Result<(f64, u64)> {
    let mut served = stage.start(Role::Rebuild).await?;
    let seconds: f64 = served.says("seconds").await?.parse().context("seconds")?;
    let peak: u64 = served.says("peak").await?.parse().context("bytes")?;
    served.stop().await?;
    Ok((seconds, peak))
}
