//! What a gRPC server could append at most: a bare acknowledged publish of the same bytes for each call, and nothing else.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use anyhow::Context as _;
use async_nats::jetstream;
use proto::eldercare::registry::v1 as pb;
use service::{Settings, Shutdown};
use tonic::Status;

use super::one_method::{self, Method};
use crate::bench::raw::{self, Sample};

/// Numbers beyond those of other raw messages, so that each message has a subject of its own.
const FIRST: usize = 1 << 30;

#[derive(Clone)]
struct Bare {
    server: jetstream::Context,
    sample: Arc<Sample>,
    number: Arc<AtomicUsize>,
}

/// Serves until `shutdown`.
pub(super) async fn serve(settings: &Settings, shutdown: &Shutdown) -> anyhow::Result<()> {
    let client = async_nats::connect(settings.nats.url.expose()).await?;
    let samples = raw::samples_from(client.clone(), &[("REGISTRY", "eldercare.registry.elder.")]);
    let bare = Bare {
        sample: Arc::new(samples.await?.pop().context("a record of the registry")?),
        server: raw::stream(client).await?,
        number: Arc::new(AtomicUsize::new(FIRST)),
    };
    one_method::serve(bare, settings, shutdown).await
}

impl Method for Bare {
    type Asked = pb::RecordAssessmentRequest;
    type Told = pb::RecordAssessmentResponse;

    async fn answer(self, asked: Self::Asked) -> Result<Self::Told, Status> {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let published = self.sample.publish(&self.server, number).await;
        published.map_err(|_| Status::unavailable("log"))?;
        let committed = pb::Committed {
            position: format!("RAW@{number}"),
            changed: true,
            elder_id: asked.elder_id,
            ..pb::Committed::default()
        };
        Ok(pb::RecordAssessmentResponse {
            committed: Some(committed),
            ..pb::RecordAssessmentResponse::default()
        })
    }
}
