//! What a gRPC server could append at most: a bare acknowledged publish of the same bytes for each call, and nothing else.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use anyhow::Context as _;
use async_nats::jetstream;
use proto::eldercare::registry::v1 as pb;
use service::{Settings, Shutdown};
use tonic::{
    Request, Response, Status,
    body::Body,
    codegen::{Service, http},
    server::{Grpc, NamedService, UnaryService},
    transport::server::TcpIncoming,
};

use super::raw::{self, Sample};

/// Numbers beyond those of other raw messages, so that each message has a subject of its own.
const FIRST: usize = 1 << 30;

type Answer<T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;

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
    let incoming = TcpIncoming::bind(settings.grpc.listen)?.with_nodelay(Some(true));
    println!("ready {}", incoming.local_addr()?);
    let served = tonic::transport::Server::builder()
        .add_service(bare)
        .serve_with_incoming_shutdown(incoming, shutdown.requested().cancelled_owned());
    Ok(served.await?)
}

impl NamedService for Bare {
    const NAME: &'static str = "eldercare.registry.v1.RegistryService";
}

impl Service<http::Request<Body>> for Bare {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Answer<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let bare = self.clone();
        Box::pin(async move {
            let codec = tonic_prost::ProstCodec::default();
            Ok(Grpc::new(codec).unary(bare, request).await)
        })
    }
}

impl UnaryService<pb::RecordAssessmentRequest> for Bare {
    type Response = pb::RecordAssessmentResponse;
    type Future = Answer<Response<Self::Response>, Status>;

    fn call(&mut self, request: Request<pb::RecordAssessmentRequest>) -> Self::Future {
        let bare = self.clone();
        Box::pin(async move {
            let number = bare.number.fetch_add(1, Ordering::Relaxed);
            let published = bare.sample.publish(&bare.server, number).await;
            published.map_err(|_| Status::unavailable("log"))?;
            let committed = pb::Committed {
                position: format!("RAW@{number}"),
                changed: true,
                elder_id: request.into_inner().elder_id,
                ..pb::Committed::default()
            };
            Ok(Response::new(pb::RecordAssessmentResponse {
                committed: Some(committed),
                ..pb::RecordAssessmentResponse::default()
            }))
        })
    }
}
