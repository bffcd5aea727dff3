//! What a gRPC server could do at most: the query of GetElder over PostgreSQL, a ready answer, and nothing else.

use std::{path::Path, sync::Arc};

use anyhow::Context as _;
use prost::Message as _;
use proto::eldercare::registry::v1 as pb;
use service::{Settings, Shutdown};
use sqlx::{PgPool, Row as _, postgres::PgConnectOptions};
use tonic::Status;
use uuid::Uuid;

use super::one_method::{self, Method};

/// Where the answer to every call lies, beside the configuration.
pub(in crate::bench) const ANSWER: &str = "answer";

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
    one_method::serve(bare, settings, shutdown).await
}

impl Method for Bare {
    type Asked = pb::GetElderRequest;
    type Told = pb::GetElderResponse;

    async fn answer(self, asked: Self::Asked) -> Result<Self::Told, Status> {
        let elder: Uuid = asked
            .elder_id
            .parse()
            .map_err(|_| Status::invalid_argument("elder_id"))?;
        // The statement of the registry, for each call by itself.
        let row = sqlx::query(
            "SELECT elder_id, version, registered_at, file FROM registry_elders.elder WHERE elder_id = ANY($1)",
        )
        .bind([elder].as_slice())
        .fetch_optional(&self.pool)
        .await
        .map_err(|_| Status::unavailable("database"))?;
        let row = row.ok_or_else(|| Status::not_found("elder"))?;
        let file: &[u8] = row.try_get(3).map_err(|_| Status::internal("row"))?;
        if file.is_empty() {
            return Err(Status::internal("file"));
        }
        Ok((*self.answer).clone())
    }
}
