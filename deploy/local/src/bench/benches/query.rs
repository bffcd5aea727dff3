//! `query`: files are read by id, beside a bare gRPC server that does the same SQL.

use std::sync::Arc;

use backing_services::Syncing;
use prost::Message as _;
use proto::eldercare::registry::v1 as pb;

use super::append::{CALLERS, seeded};
use crate::{
    bench::{
        Ground, Measured,
        callers::{self, Latencies},
        processes::per_command,
        service::{Role, bare},
        stage::{Served, Stage},
    },
    client::Client,
    output::Step,
};

/// The elders whose files are read in turn; the keys of all of them are remembered after the first round.
const ELDERS: u64 = 40_000;

pub(super) async fn run(ground: &Ground) -> anyhow::Result<Vec<Measured>> {
    let stage = Stage::set(ground, "query", Syncing::EveryTwoMinutes).await?;
    let elders = seeded(ground, &stage, ELDERS).await?;
    let (warm, count) = (elders.len() + elders.len() / 10, ground.scaled(120_000));
    let requests: Vec<_> = elders
        .iter()
        .map(|elder| pb::GetElderRequest {
            elder_id: elder.clone(),
            ..pb::GetElderRequest::default()
        })
        .collect();
    let requests = Arc::new(requests);

    let served = stage.start(Role::Registry).await?;
    let one = served.clients()?[0]
        .registry()
        .get_elder(requests[0].clone())
        .await?
        .into_inner();
    stage.leave(bare::ANSWER, &one.encode_to_vec())?;
    let step = ground.progress.begin("GetElder", (warm + count) as u64);
    let before = served.processor_time();
    let latencies = read(&served, &requests, warm, count, &step).await?;
    step.done(&format!("{:.0}/s", latencies.rate()));
    let processor = served.processor_time_since(before);
    let peak = served.peak_rss();
    served.stop().await?;

    let served = stage.start(Role::Bare).await?;
    let step = ground
        .progress
        .begin("the same by a bare server", (warm + count) as u64);
    let before = served.processor_time();
    let limit = read(&served, &requests, warm, count, &step).await?;
    step.done(&format!("{:.0}/s", limit.rate()));
    let bare_processor = served.processor_time_since(before);
    served.stop().await?;

    let measured = Measured::new("query", latencies.rate(), "calls/s")
        .limit(limit.rate())
        .latencies(&latencies)
        .peak(peak)
        .with("elders", elders.len())
        .with("callers", CALLERS)
        .with("calls", count)
        .with("view", "FULL")
        .with("answer_bytes", one.encoded_len())
        .with("service_processor_us", per_command(processor, warm + count))
        .with(
            "limit_processor_us",
            per_command(bare_processor, warm + count),
        )
        .with_rounded("limit_p99_ms", limit.permille(990));
    let measured = stage.note(measured);
    stage.strike().await;
    Ok(vec![measured])
}

async fn read(
    served: &Served,
    requests: &Arc<Vec<pb::GetElderRequest>>,
    warm: usize,
    count: usize,
    step: &Step,
) -> anyhow::Result<Latencies> {
    let call = |client: Client, request: pb::GetElderRequest| async move {
        client.registry().get_elder(request).await
    };
    let requests = Arc::clone(requests);
    callers::ask(served, CALLERS, requests, warm, count, step, call).await
}
