//! `register`: elders are registered, each with a key of their own, a sealed record and the claim to an ID number.

use std::sync::Arc;

use backing_services::Syncing;
use proto::eldercare::registry::v1::RegisterElderRequest;

use super::append::CALLERS;
use crate::{
    bench::{
        Ground, Measured, callers,
        people::{self, Person},
        processes::per_command,
        raw,
        service::Role,
        stage::Stage,
    },
    client::Client,
};

/// Messages that a registration leaves: the key, the claim and the file's first record.
pub(super) const MESSAGES: usize = 3;

/// Claims and files that a bare atomic batch holds: as many as there are callers.
const PAIRS: usize = CALLERS;

/// How many bare atomic batches there are.
const BATCHES: usize = 100;

pub(super) async fn run(ground: &Ground) -> anyhow::Result<Vec<Measured>> {
    let stage = Stage::set(ground, "register", Syncing::EveryTwoMinutes).await?;
    let served = stage.start(Role::Registry).await?;
    served.clients()?[0]
        .registry()
        .import_divisions(people::divisions())
        .await?;

    let (warm, commands) = (ground.scaled(4_000), ground.scaled(100_000));
    let requests: Vec<_> = (0..(warm + commands) as u64)
        .map(|number| Person(number).registration())
        .collect();
    let requests = Arc::new(requests);
    let call = |client: Client, request: RegisterElderRequest| async move {
        client.registry().register_elder(request).await
    };
    let step = ground.progress.begin("RegisterElder", commands as u64);
    let before = served.processor_time();
    let latencies = callers::ask(&served, CALLERS, requests, warm, commands, &step, call).await?;
    step.done(&format!("{:.0}/s", latencies.rate()));
    let processor = served.processor_time_since(before);
    let peak = served.peak_rss();

    let limits = limits(ground, &stage, 70_000).await?;
    served.stop().await?;
    let measured = Measured::new("register", latencies.rate(), "elders/s")
        .limit(limits.publishes)
        .latencies(&latencies)
        .peak(peak)
        .with("sync_interval", "2m")
        .with("callers", CALLERS)
        .with("commands", commands)
        .with("messages_each", MESSAGES)
        .with_rounded("limit_atomic_batches_of_64", limits.batches)
        .with(
            "service_processor_us",
            per_command(processor, warm + commands),
        );
    let measured = stage.note(measured);
    stage.strike().await;
    Ok(vec![measured])
}

/// How many elders a second the server could take at most.
pub(super) struct Limits {
    /// By bare publishes of all their messages.
    pub(super) publishes: f64,
    /// By bare atomic batches of claims and files, one after the other.
    pub(super) batches: f64,
}

/// Measures them with the messages of the last registration.
pub(super) async fn limits(
    ground: &Ground,
    stage: &Stage,
    elders: usize,
) -> anyhow::Result<Limits> {
    let written = [
        ("VAULT", "eldercare.vault."),
        ("REGISTRY", "eldercare.registry.identity."),
        ("REGISTRY", "eldercare.registry.elder."),
    ];
    let samples = raw::samples(stage, &written).await?;
    let publishes = MESSAGES * ground.scaled(elders);
    let singly = raw::same_bytes(stage, &samples, CALLERS, publishes, ground.progress).await?;
    let step = ground
        .progress
        .begin("bare atomic batches of claims and files", BATCHES as u64);
    let batches = raw::batches(stage, &samples[1..], PAIRS, BATCHES, &step).await?;
    step.done(&format!("{batches:.0}/s"));
    Ok(Limits {
        publishes: singly.rate() / MESSAGES as f64,
        batches,
    })
}
