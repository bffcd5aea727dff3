//! `register`: elders are registered, each with a key of their own, a sealed record and the claim to an ID number.

use backing_services::Syncing;

use super::{
    Ground, Measured,
    append::{CALLERS, per_command},
    callers,
    people::{self, Person},
    raw,
    service::Role,
    stage::Stage,
};

/// Messages that a registration leaves: the key, the claim and the file's first record.
const MESSAGES: usize = 3;

/// Claims and files that a bare atomic batch holds: as many as there are callers.
pub(super) const PAIRS: usize = CALLERS;

/// How many bare atomic batches there are.
pub(super) const BATCHES: usize = 100;

pub(super) async fn run(ground: &Ground) -> anyhow::Result<Vec<Measured>> {
    let stage = Stage::set(ground, "register", Syncing::EveryTwoMinutes).await?;
    let served = stage.start(Role::Registry).await?;
    let clients = served.clients()?;
    clients[0]
        .registry()
        .import_divisions(people::divisions())
        .await?;

    let (warm, commands) = (ground.scaled(4_000), ground.scaled(100_000));
    let requests: Vec<_> = (0..(warm + commands) as u64)
        .map(|number| Person(number).registration())
        .collect();
    let requests = std::sync::Arc::new(requests);
    let step = ground.progress.begin("RegisterElder", commands as u64);
    let before = served.processor_time();
    let latencies = callers::drive(CALLERS, warm, commands, &step, move |caller, number| {
        let (client, requests) = (
            clients[caller % clients.len()].clone(),
            std::sync::Arc::clone(&requests),
        );
        async move {
            client
                .registry()
                .register_elder(requests[number].clone())
                .await?;
            Ok(())
        }
    })
    .await?;
    step.done(&format!("{:.0}/s", latencies.rate()));
    let processor = served
        .processor_time()
        .zip(before)
        .map(|(after, before)| after - before);
    let peak = served.peak_rss();

    let written = [
        ("VAULT", "eldercare.vault."),
        ("REGISTRY", "eldercare.registry.identity."),
        ("REGISTRY", "eldercare.registry.elder."),
    ];
    let samples = raw::samples(&stage, &written).await?;
    let publishes = MESSAGES * ground.scaled(70_000);
    let step = ground
        .progress
        .begin("bare publishes of the same bytes", publishes as u64);
    let limit = raw::publishes(&stage, &samples, CALLERS, publishes, &step).await?;
    step.done(&format!("{:.0}/s", limit.rate()));
    let together = ground
        .progress
        .begin("bare atomic batches of claims and files", BATCHES as u64);
    let pairs = raw::batches(&stage, &samples[1..], PAIRS, BATCHES, &together).await?;
    together.done(&format!("{pairs:.0}/s"));
    served.stop().await?;
    let measured = Measured::new("register", latencies.rate(), "elders/s")
        .limit(limit.rate() / MESSAGES as f64)
        .latencies(&latencies)
        .peak(peak)
        .with("sync_interval", "2m")
        .with("callers", CALLERS)
        .with("commands", commands)
        .with("messages_each", MESSAGES)
        .with_rounded("limit_atomic_batches_of_64", pairs)
        .with(
            "service_processor_us",
            per_command(processor, warm + commands),
        );
    let measured = stage.note(measured);
    stage.strike().await;
    Ok(vec![measured])
}
