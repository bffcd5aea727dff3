//! Sharing put together, by its own process, by the launcher that runs all services in one, and by the tests alike.

use std::sync::Arc;

use anyhow::Context as _;
use eventlog::{EventLog, Repository};
use futures::future::BoxFuture;
use proto::eldercare::sharing::v1::sharing_service_server::SharingServiceServer;
use readmodel::{Follower, Projection, Runner};
use service::elder_keys::Erasures;
use service::person_keys::Keys;
use service::{
    Application, Background, Clock, Connections, RequestDigests, Server, Settings, Shutdown,
    connections,
};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use vault::Vault;

use crate::alerts_table::AlertsTable;
use crate::auditing::{self, AuditKeys, Auditor};
use crate::book_table::{self, BookTable};
use crate::cards_table;
use crate::claims_table::ClaimsTable;
use crate::codec::CONTEXT;
use crate::elders_table::EldersTable;
use crate::grpc::{self, SharingFace};
use crate::recorder;
use crate::settings::SharingSettings;
use crate::sharing::{Logs, Sharing};
use crate::tiers_table::TiersTable;
use crate::visits_table::VisitsTable;

/// Sharing, connected to its servers. It answers once it is added to a server and its background runs.
pub struct App {
    sharing: Sharing,
    background: Background,
}

impl Application for App {
    type Own = SharingSettings;

    async fn connect(
        settings: &Settings,
        own: &SharingSettings,
        clock: Clock,
    ) -> anyhow::Result<Self> {
        let keys = Keys::of_registry(settings)?;
        Self::with_keys(settings, own, clock, keys).await
    }

    fn add_to(&self, server: Server, _: &Shutdown) -> Server {
        let most = server.max_message_bytes();
        let face = SharingServiceServer::new(SharingFace::new(self.sharing.clone()));
        server.service(
            face.max_decoding_message_size(most)
                .max_encoding_message_size(most),
            grpc::actions(),
        )
    }

    fn background(&self) -> &Background {
        &self.background
    }

    /// Waits until all that is in the logs can be read. What is chained and signed is nobody's business who only asks.
    fn ready(&self, given_up: CancellationToken) -> BoxFuture<'static, ()> {
        let sharing = self.sharing.clone();
        Box::pin(async move {
            given_up.run_until_cancelled(sharing.catch_up()).await;
        })
    }

    /// Waits until the chain over our log is signed as is due, and all that is in the logs can be read.
    fn settled(&self, given_up: CancellationToken) -> BoxFuture<'static, ()> {
        let sharing = self.sharing.clone();
        Box::pin(async move {
            let settling = async {
                sharing.audited().await;
                sharing.catch_up().await;
            };
            given_up.run_until_cancelled(settling).await;
        })
    }
}

/// Runs the projections, and knows who follows which.
struct ReadModels {
    pool: PgPool,
    background: Background,
    followers: Vec<Follower>,
}

impl ReadModels {
    fn with<P>(
        mut self,
        name: &'static str,
        log: &Arc<dyn EventLog>,
        make: impl Fn() -> P + Send + Sync + 'static,
    ) -> Self
    where
        P: Projection + Sync + 'static,
    {
        let runner = Runner::new(self.pool.clone(), Arc::clone(log), make);
        self.followers.push(runner.follower());
        self.background = self.background.with(name, |stopped| runner.run(stopped));
        self
    }
}

impl App {
    /// Connects in one process with the registry, whose vault it shares.
    ///
    /// # Errors
    /// Where a server does not answer, or a stream could lose data.
    pub async fn beside_registry(
        settings: &Settings,
        own: &SharingSettings,
        clock: Clock,
        vault: Vault,
    ) -> anyhow::Result<Self> {
        Self::with_keys(settings, own, clock, Keys::own(vault)).await
    }

    async fn with_keys(
        settings: &Settings,
        own: &SharingSettings,
        clock: Clock,
        keys: Keys,
    ) -> anyhow::Result<Self> {
        AuditKeys::check(settings, own)?;
        let connections = Connections::open(CONTEXT, settings).await?;
        let logs = Logs {
            registry: connections.log_of("registry").await?,
            tiering: connections.log_of("tiering").await?,
            visits: connections.log_of("visits").await?,
            alerts: connections.log_of("alerts").await?,
            claims: connections.log_of("claims").await?,
            own: connections.own_log().await?,
        };
        // What is asked tells of persons; what is kept of requests for ever must not give them away.
        let digests = RequestDigests::from_settings(settings)?;
        Self::over(logs, connections.database, clock, keys, digests, own).await
    }

    /// Puts sharing together over all logs and a database, that are there already.
    ///
    /// # Errors
    /// Where the database can't be brought up to date, or a key is malformed.
    pub async fn over(
        logs: Logs,
        pool: PgPool,
        clock: Clock,
        keys: Keys,
        digests: RequestDigests,
        own: &SharingSettings,
    ) -> anyhow::Result<Self> {
        let audit = AuditKeys::from_settings(own)?;
        readmodel::migrate(&pool).await?;
        connections::migrate(&pool, sqlx::migrate!()).await?;
        let models = ReadModels {
            pool: pool.clone(),
            background: Background::new(),
            followers: Vec::new(),
        };
        let models = models
            .with("sharing_elders", &logs.registry, EldersTable::default)
            .with("sharing_cards", &logs.registry, || cards_table::TABLE)
            .with("sharing_tiers", &logs.tiering, TiersTable::default)
            .with("sharing_visits", &logs.visits, VisitsTable::default)
            .with("sharing_alerts", &logs.alerts, AlertsTable::default)
            .with("sharing_claims", &logs.claims, ClaimsTable::default)
            .with("sharing_book", &logs.own, BookTable::default);
        let erasures = Erasures::from_now(keys.vault.clone(), Arc::clone(&logs.registry)).await;
        let (recorder, writer) = recorder::recording(Arc::clone(&logs.own), clock.clone());
        let sharing = Sharing {
            agreements: Repository::new(Arc::clone(&logs.own)),
            broken_glass: Repository::new(Arc::clone(&logs.own)),
            followers: models.followers.into(),
            pool,
            logs,
            clock,
            keys,
            digests,
            recorder,
            audit,
        };
        let mut followers = sharing.followers.iter();
        let book = followers.find(|one| one.projection() == book_table::NAME);
        let book = book.cloned();
        let auditor = Auditor {
            pool: sharing.pool.clone(),
            log: Arc::clone(&sharing.logs.own),
            clock: sharing.clock.clone(),
            keys: sharing.audit.clone(),
            book: book.context("nobody follows our own log")?,
        };
        Ok(Self {
            sharing,
            background: models
                .background
                .with(auditing::NAME, |stopped| auditor.run(stopped))
                .with("sharing_looks", |stopped| writer.run(stopped))
                .with("sharing_erasures", |stopped| erasures.run(stopped)),
        })
    }

    /// Our own log, for operators' commands and for tests.
    #[must_use]
    pub fn log(&self) -> Arc<dyn EventLog> {
        Arc::clone(&self.sharing.logs.own)
    }

    /// The registry's log, as sharing reads it.
    #[must_use]
    pub fn log_of_registry(&self) -> Arc<dyn EventLog> {
        Arc::clone(&self.sharing.logs.registry)
    }

    /// Tiering's log.
    #[must_use]
    pub fn log_of_tiering(&self) -> Arc<dyn EventLog> {
        Arc::clone(&self.sharing.logs.tiering)
    }

    /// The log of visits.
    #[must_use]
    pub fn log_of_visits(&self) -> Arc<dyn EventLog> {
        Arc::clone(&self.sharing.logs.visits)
    }

    /// The log of alerts.
    #[must_use]
    pub fn log_of_alerts(&self) -> Arc<dyn EventLog> {
        Arc::clone(&self.sharing.logs.alerts)
    }

    /// The log of claims.
    #[must_use]
    pub fn log_of_claims(&self) -> Arc<dyn EventLog> {
        Arc::clone(&self.sharing.logs.claims)
    }

    /// Sharing's database.
    #[must_use]
    pub fn pool(&self) -> PgPool {
        self.sharing.pool.clone()
    }

    /// Follow the read models.
    #[must_use]
    pub fn followers(&self) -> &[Follower] {
        &self.sharing.followers
    }

    /// Returns once the read models hold all that is in the logs.
    pub async fn catches_up(&self) {
        self.sharing.catch_up().await;
    }
}
