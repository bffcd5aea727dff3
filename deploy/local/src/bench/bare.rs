//! What a gRPC server could do at most: the query of GetElder over PostgreSQL, a ready answer, and nothing else.

use std::{
    convert::Infallible,
    path::Path,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use anyhow::Context as _;
use prost::Message as _;
use proto::eldercare::registry::v1 as pb;
use service::{Settings, Shutdown};
use sqlx::{PgPool, Row as _, postgres::PgConnectOptions};
use tonic::{
    Request, Response, Status,
    body::Body,
    codegen::{Service, http},
    server::{Grpc, NamedService, UnaryService},
    transport::server::TcpIncoming,
};
use uuid::Uuid;

/// Where the answer to every call lies, beside the configuration.
pub(super) const ANSWER: &str = "answer";

type Answer<T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;

#[derive(Clone)]
struct Bare {
    pool: PgPool,
    answer: Arc<pb::GetElderResponse>,
}

/// Serves until `shutdown`.
pub(super) async fn serve(
    settings: &Settings,
    config: &Path,
    shutdown: &Shutdown,
) -> anyhow::Result<()> {
    let answer = std::fs::read(config.with_extension(ANSWER)).context("the answer")?;
    let options: PgConnectOptions = settings.postgres.url.expose().parse()?;
    let pool = service::connections::pool_options(&settings.postgres)
        .connect_with(options)
        .await?;
    let bare = Bare {
        pool,
        answer: Arc::new(pb::GetElderResponse::decode(answer.as_slice())?),
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

impl UnaryService<pb::GetElderRequest> for Bare {
    type Response = pb::GetElderResponse;
    type Future = Answer<Response<Self::Response>, Status>;

    fn call(&mut self, request: Request<pb::GetElderRequest>) -> Self::Future {
        let bare = self.clone();
        Box::pin(async move {
            let elder: Uuid = request
                .get_ref()
                .elder_id
                .parse()
                .map_err(|_| Status::invalid_argument("elder_id"))?;
            // The statement of the registry, for each call by itself.
            let row = sqlx::query(
                "SELECT elder_id, version, registered_at, file FROM registry_elders.elder WHERE elder_id = ANY($1)",
            )
            .bind([elder].as_slice())
            .fetch_optional(&bare.pool)
            .await
            .map_err(|_| Status::unavailable("database"))?;
            let row = row.ok_or_else(|| Status::not_found("elder"))?;
            let file: &[u8] = row.try_get(3).map_err(|_| Status::internal("row"))?;
            if file.is_empty() {
                return Err(Status::internal("file"));
            }
            Ok(Response::new((*bare.answer).clone()))
        })
    }
}
