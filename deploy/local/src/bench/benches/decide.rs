//! `decide`: assessments of elders whose ten events lie far apart in the log and are in no memory, also just after a restart.

use backing_services::Syncing;

use super::append::{CALLERS, assess};
use crate::bench::{
    Ground, Measured, people, processes::per_command, raw, seed::Seeded, service::Role,
    stage::Stage,
};

/// The events of each elder.
const EVENTS: u64 = 10;

pub(super) async fn run(ground: &Ground) -> anyhow::Result<Vec<Measured>> {
    let stage = Stage::set(ground, "decide", Syncing::EveryTwoMinutes).await?;
    let (warm, commands) = (ground.scaled(500), ground.scaled(20_000));
    // Each elder is decided about once, so that none is remembered.
    let each = warm + commands;
    let mut seeded = Seeded::registered(&stage, 2 * each as u64, ground.progress).await?;
    for round in 1..EVENTS {
        seeded.change(round, 2 * each, ground.progress).await?;
    }
    let (elders, events) = (seeded.ids(), seeded.events);
    drop(seeded);
    // The registry builds its read model first.
    stage.start(Role::Registry).await?.stop().await?;

    let mut results = Vec::new();
    for (when, elders) in ["running", "just after a restart"]
        .into_iter()
        .zip(elders.chunks(each))
    {
        if when != "running" {
            stage.restart_servers().await?;
        }
        let served = stage.start(Role::Registry).await?;
        let requests: Vec<_> = elders
            .iter()
            .map(|elder| people::assessment(elder, 1))
            .collect();
        let step = ground
            .progress
            .begin(format!("RecordAssessment, {when}"), commands as u64);
        let before = served.processor_time();
        // Just after a restart the first calls count too.
        let (warm, measured) = if when == "running" {
            (warm, commands)
        } else {
            (0, each)
        };
        let latencies = assess(&served, requests, warm, measured, &step).await?;
        step.done(&format!("{:.0}/s", latencies.rate()));
        let processor = served.processor_time_since(before);
        let peak = served.peak_rss();
        let samples = raw::samples(&stage, &[("REGISTRY", "eldercare.registry.elder.")]).await?;
        let publishes = ground.scaled(100_000);
        let limit = raw::same_bytes(&stage, &samples, CALLERS, publishes, ground.progress).await?;
        served.stop().await?;
        results.push(
            stage.note(
                Measured::new("decide", latencies.rate(), "commands/s")
                    .limit(limit.rate())
                    .latencies(&latencies)
                    .peak(peak)
                    .with("when", when)
                    .with("events_each", EVENTS)
                    .with("events_in_the_log", events)
                    .with("callers", CALLERS)
                    .with("commands", measured)
                    .with_rounded("p999_ms", latencies.permille(999))
                    .with("service_processor_us", per_command(processor, each)),
            ),
        );
    }
    stage.strike().await;
    Ok(results)
}
