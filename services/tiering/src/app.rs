//! Tiering put together, by its own process, by the launcher that runs all services in one, and by the tests alike.

use std::sync::Arc;

use eventlog::{EventLog, Repository};
use futures::future::BoxFuture;
use proto::eldercare::tiering::v1::tiering_service_server::TieringServiceServer;
use readmodel::{DatabaseError, Follower, ReaderFollower, ReaderLag, Runner};
use service::access::Access;
use service::{
    Application, Background, Clock, Connections, RequestDigests, Server, Settings, Shutdown,
    connections,
};
use sqlx::PgPool;
use sqlx::migrate::Migrator;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::audit::{self, Audit};
use crate::codec::CONTEXT;
use crate::facts_table::FactsTable;
use crate::grpc::{self, TieringFace};
use crate::measures::NAME;
use crate::on_elder_facts::Evaluator;
use crate::policies_in_force::Policies;
use crate::progress::Progress;
use crate::settings::TieringSettings;
use crate::tiering::Tiering;
use crate::tiers_table::TiersTable;

/// How many policies are checked or tried at once: each takes a core for a second or two.
const TRIALS: usize = 2;

/// Tiering, connected to its servers. It answers once it is added to a server and its background runs.
pub struct App {
    tiering: Tiering,
    facts: Follower,
    background: Background,
    access: Access,
}

impl Application for App {
    type Own = TieringSettings;

    fn migrations() -> Option<Migrator> {
        Some(sqlx::migrate!())
    }

    async fn connect(
        settings: &Settings,
        _own: &TieringSettings,
        clock: Clock,
    ) -> anyhow::Result<Self> {
        let connections = Connections::open(CONTEXT, settings).await?;
        let own = connections.own_log().await?;
        let registry = connections.log_of("registry").await?;
        Ok(Self {
            access: connections.access(clock.clone()).await?,
            ..Self::over(registry, own, connections.database, clock).await?
        })
    }

    fn add_to(&self, server: Server, shutdown: &Shutdown) -> Server {
        let most = server.max_message_bytes();
        let face =
            TieringServiceServer::new(TieringFace::new(self.tiering.clone(), shutdown.draining()));
        server.recording(self.access.clone()).service(
            face.max_decoding_message_size(most)
                .max_encoding_message_size(most),
            grpc::actions(),
        )
    }

    fn background(&self) -> &Background {
        &self.background
    }

    /// Waits until every fact in the registry's log, every day up to today and every policy is judged, and the outcome
    /// can be read.
    fn settled(&self, given_up: CancellationToken) -> BoxFuture<'static, ()> {
        let (tiering, facts) = (self.tiering.clone(), self.facts.clone());
        Box::pin(async move {
            let settling = async {
                let registry = connections::last_sequence(tiering.registry.as_ref()).await;
                let own = connections::last_sequence(tiering.tiering.as_ref()).await;
                // A replica of the version before may have judged by tables of its own.
                facts.reaches(registry).await;
                let today = tiering.clock.today();
                let enough = |progress: &Progress| {
                    progress.day >= today
                        && progress.registry >= registry
                        && progress.tiering >= own
                };
                let progress = tiering.progress.wait_until(enough).await;
                tiering.tiers.reaches(progress.appended.max(own)).await;
            };
            given_up.run_until_cancelled(settling).await;
        })
    }
}

impl App {
    /// Puts tiering together over logs and a database that are there already; looks are kept in memory.
    ///
    /// # Errors
    /// Where the database can't be brought up to date.
    pub async fn over(
        registry: Arc<dyn EventLog>,
        own: Arc<dyn EventLog>,
        pool: PgPool,
        clock: Clock,
    ) -> anyhow::Result<Self> {
        connections::migrate(&pool, Self::migrations()).await?;
        let facts = Runner::new(pool.clone(), Arc::clone(&registry), FactsTable::default);
        let tiers = Runner::new(pool.clone(), Arc::clone(&own), TiersTable::default);
        let progress = ReaderFollower::new(pool.clone());
        let evaluating = ReaderLag::of(NAME, pool.clone())
            .in_log(&registry, |done: &Progress| done.registry)
            .in_log(&own, |done: &Progress| done.tiering);
        let policies = Arc::new(Policies::default());
        let evaluator = Evaluator {
            pool: pool.clone(),
            registry: Arc::clone(&registry),
            tiering: Arc::clone(&own),
            clock: clock.clone(),
            policies: Arc::clone(&policies),
            facts: facts.follower(),
            tiers: tiers.follower(),
            progress: progress.clone(),
        };
        let access = Access::in_memory(clock.clone());
        let tiering = Tiering {
            pool,
            registry,
            books: Repository::new(Arc::clone(&own)),
            comparisons: Repository::new(Arc::clone(&own)),
            tiering: own,
            clock,
            policies,
            tiers: tiers.follower(),
            progress,
            // Requests to tiering hold no personal data.
            digests: RequestDigests::keyed(b"tiering"),
            trials: Arc::new(Semaphore::new(TRIALS)),
        };
        Ok(Self {
            tiering,
            facts: facts.follower(),
            background: Background::new()
                .with("tiering_facts", |stopped| facts.run(stopped))
                .with("tiering_tiers", |stopped| tiers.run(stopped))
                .with("on_elder_facts", |stopped| evaluator.run(stopped))
                .with("on_elder_facts_lag", |stopped| evaluating.run(stopped)),
            access,
        })
    }

    /// Judges everybody once more, and compares with what holds and what was written; at rest nothing differs.
    ///
    /// # Errors
    /// The database's.
    pub async fn audit(&self) -> Result<Audit, DatabaseError> {
        Ok(audit::audit(&self.tiering.pool).await?)
    }

    /// Where looks go on record.
    #[must_use]
    pub fn access(&self) -> Access {
        self.access.clone()
    }

    /// Our own log, for operators' commands and for tests.
    #[must_use]
    pub fn log(&self) -> Arc<dyn EventLog> {
        Arc::clone(&self.tiering.tiering)
    }

    /// The registry's log, as tiering reads it.
    #[must_use]
    pub fn registry_log(&self) -> Arc<dyn EventLog> {
        Arc::clone(&self.tiering.registry)
    }

    /// Tiering's database.
    #[must_use]
    pub fn pool(&self) -> PgPool {
        self.tiering.pool.clone()
    }

    /// Follows the read models: of the facts, and of the tiers.
    #[must_use]
    pub fn followers(&self) -> [Follower; 2] {
        [self.facts.clone(), self.tiering.tiers.clone()]
    }

    /// Follows the evaluator.
    #[must_use]
    pub fn progress(&self) -> ReaderFollower<Progress> {
        self.tiering.progress.clone()
    }
}
