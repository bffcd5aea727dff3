//! `append`: assessments are recorded, each durable before it is answered, beside bare acknowledged publishes of the same bytes.

use std::sync::Arc;

use backing_services::Syncing;
use proto::eldercare::registry::v1::RecordAssessmentRequest;

use crate::{
    bench::{
        Ground, Measured,
        callers::{self, Latencies},
        people,
        processes::per_command,
        raw,
        seed::Seeded,
        service::Role,
        stage::{Served, Stage},
    },
    client::Client,
    output::Step,
};

/// The elders whose files take the assessments in turn.
const ELDERS: u64 = 100_000;

/// How many callers there are, and how many bare publishes are on their way.
pub(super) const CALLERS: usize = 64;

pub(super) async fn run(ground: &Ground) -> anyhow::Result<Vec<Measured>> {
    let default = measure(ground, Syncing::EveryTwoMinutes, 100_000, 200_000).await?;
    let always = measure(ground, Syncing::Always, 60_000, 30_000).await?;
    Ok(vec![default, always])
}

async fn measure(
    ground: &Ground,
    syncing: Syncing,
    commands: usize,
    publishes: usize,
) -> anyhow::Result<Measured> {
    let (name, interval) = match syncing {
        Syncing::Always => ("always", "always"),
        Syncing::EveryTwoMinutes => ("default", "2m"),
    };
    let stage = Stage::set(ground, name, syncing).await?;
    // All elders' files are in memory; `decide` is about those that are not.
    stage.configure("registry", "remembered_files", 2 * ELDERS.cast_signed())?;
    let elders = seeded(ground, &stage, ELDERS).await?;
    let served = stage.start(Role::Registry).await?;

    let (warm, commands) = (elders.len(), ground.scaled(commands));
    // Elders are visited in turn, so that no two callers want the same one.
    let requests: Vec<_> = (0..warm + commands)
        .map(|number| {
            people::assessment(
                &elders[number % elders.len()],
                (number / elders.len()) as u64,
            )
        })
        .collect();
    let step = ground.progress.begin(
        format!("RecordAssessment, sync_interval {interval}"),
        commands as u64,
    );
    let before = served.processor_time();
    let bare_requests = requests.clone();
    let latencies = assess(&served, requests, warm, commands, &step).await?;
    step.done(&format!("{:.0}/s", latencies.rate()));
    let processor = served.processor_time_since(before);
    let peak = served.peak_rss();

    let samples = raw::samples(&stage, &[("REGISTRY", "eldercare.registry.elder.")]).await?;
    let publishes = ground.scaled(publishes);
    let limit = raw::same_bytes(&stage, &samples, CALLERS, publishes, ground.progress).await?;
    served.stop().await?;

    // What any gRPC server could do at most, on the same cores with the same callers.
    let served = stage.start(Role::BareAppend).await?;
    let step = ground
        .progress
        .begin("a bare publish for each call", (warm + commands) as u64);
    let over_grpc = assess(&served, bare_requests, warm, commands, &step).await?;
    step.done(&format!("{:.0}/s", over_grpc.rate()));
    served.stop().await?;
    let measured = Measured::new("append", latencies.rate(), "commands/s")
        .limit(limit.rate())
        .latencies(&latencies)
        .peak(peak)
        .with("sync_interval", interval)
        .with("elders", elders.len())
        .with("remembered_files", 2 * ELDERS)
        .with("callers", CALLERS)
        .with("commands", commands)
        .with(
            "service_processor_us",
            per_command(processor, warm + commands),
        )
        .with_rounded("limit_p50_ms", limit.permille(500))
        .with_rounded("limit_over_grpc", over_grpc.rate())
        .with_rounded(
            "ratio_over_grpc",
            latencies.rate() / over_grpc.rate().max(1e-9),
        );
    let measured = stage.note(measured);
    stage.strike().await;
    Ok(measured)
}

/// The first elders of the county in the log, as ids.
pub(super) async fn seeded(
    ground: &Ground,
    stage: &Stage,
    count: u64,
) -> anyhow::Result<Vec<String>> {
    let count = ground.scaled(usize::try_from(count)?) as u64;
    Ok(Seeded::registered(stage, count, ground.progress)
        .await?
        .ids())
}

/// Has callers record these assessments, each once, and measures all but the first `warm` ones.
pub(super) async fn assess(
    served: &Served,
    requests: Vec<RecordAssessmentRequest>,
    warm: usize,
    count: usize,
    step: &Step,
) -> anyhow::Result<Latencies> {
    let call = |client: Client, request: RecordAssessmentRequest| async move {
        client.registry().record_assessment(request).await
    };
    let requests = Arc::new(requests);
    callers::ask(served, CALLERS, requests, warm, count, step, call).await
}
