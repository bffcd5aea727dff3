//! Tiering put together, by its own process, by the launcher that runs all services in one, and by the tests alike.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use eventlog::{EventLog, Repository};
use proto::eldercare::tiering::v1::tiering_service_server::TieringServiceServer;
use readmodel::{DatabaseError, Follower, Runner};
use service::{Clock, RequestDigests, Server, Settings, Shutdown, Supervised};
use sqlx::{Connection as _, PgConnection, PgPool};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::audit::{self, Audit};
use crate::connections;
use crate::facts_table::FactsTable;
use crate::grpc::{self, TieringFace};
use crate::on_elder_facts::Evaluator;
use crate::policies_in_force::Policies;
use crate::progress::{Progress, ProgressFollower};
use crate::settings::TieringSettings;
use crate::tiering::Tiering;
use crate::tiers_table::TiersTable;

/// How many policies are checked or tried at once: each takes a core for a second or two.
const TRIALS: usize = 2;

/// Tiering, connected to its servers. It answers once it is added to a server and its background runs.
pub struct App {
    tiering: Tiering,
    settings: Settings,
    facts: Follower,
    background: Mutex<Option<Background>>,
}

/// What runs beside the server.
struct Background {
    facts: Runner<FactsTable>,
    tiers: Runner<TiersTable>,
    evaluator: Evaluator,
}

impl App {
    /// Connects to NATS and PostgreSQL, and opens both logs.
    ///
    /// # Errors
    /// Where a server does not answer, or a stream could lose data.
    pub async fn connect(
        settings: &Settings,
        own: &TieringSettings,
        clock: Clock,
    ) -> anyhow::Result<Self> {
        let (client, pool) = tokio::try_join!(
            connections::nats(&settings.nats),
            connections::postgres(&settings.postgres),
        )?;
        let tiering: Arc<dyn EventLog> =
            Arc::new(connections::own_log(client.clone(), settings, own).await?);
        let registry: Arc<dyn EventLog> = Arc::new(connections::registry_log(client).await?);
        Self::over(settings, registry, tiering, pool, clock).await
    }

    /// Puts tiering together over logs and a database that are there already.
    ///
    /// # Errors
    /// Where the database can't be brought up to date.
    pub async fn over(
        settings: &Settings,
        registry: Arc<dyn EventLog>,
        own: Arc<dyn EventLog>,
        pool: PgPool,
        clock: Clock,
    ) -> anyhow::Result<Self> {
        readmodel::migrate(&pool).await?;
        migrate(&pool).await?;
        let facts = Runner::new(pool.clone(), Arc::clone(&registry), FactsTable::default);
        let tiers = Runner::new(pool.clone(), Arc::clone(&own), TiersTable::default);
        let progress = ProgressFollower::new(pool.clone());
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
        let tiering = Tiering {
            pool,
            registry,
            books: Repository::new(Arc::clone(&own)),
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
            settings: settings.clone(),
            facts: facts.follower(),
            background: Mutex::new(Some(Background {
                facts,
                tiers,
                evaluator,
            })),
        })
    }

    /// Adds tiering's service to a server, with what its methods do.
    #[must_use]
    pub fn add_to(&self, server: Server, shutdown: &Shutdown) -> Server {
        let most = self.settings.grpc.max_message_bytes;
        let face =
            TieringServiceServer::new(TieringFace::new(self.tiering.clone(), shutdown.draining()));
        server.service(
            face.max_decoding_message_size(most)
                .max_encoding_message_size(most),
            grpc::actions(),
        )
    }

    /// Runs the read models and the evaluator until the service stops. Once only.
    pub fn run_background(&self, tasks: &mut Supervised, shutdown: &Shutdown) {
        let background = self
            .background
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some(Background {
            facts,
            tiers,
            evaluator,
        }) = background
        else {
            return;
        };
        let stopped = shutdown.stopped();
        tasks.spawn("tiering_facts", running(facts.run(stopped.clone())));
        tasks.spawn("tiering_tiers", running(tiers.run(stopped.clone())));
        tasks.spawn("on_elder_facts", running(evaluator.run(stopped)));
    }

    /// Waits until all that is due by now is done: every fact in the registry's log, every day up to today and every
    /// policy is judged, and the outcome can be read.
    ///
    /// It ends early when `given_up` is cancelled.
    pub fn settled(&self, given_up: CancellationToken) -> impl Future<Output = ()> + Send + use<> {
        let tiering = self.tiering.clone();
        async move {
            let settling = async {
                let (registry, own) = (tip(&tiering.registry).await, tip(&tiering.tiering).await);
                let today = tiering.clock.today();
                let enough = |progress: &Progress| {
                    progress.day >= today
                        && progress.registry >= registry
                        && progress.tiering >= own
                };
                let progress = tiering.progress.wait_until(enough).await;
                tiering.tiers_reach(progress.appended.max(own)).await;
            };
            given_up.run_until_cancelled(settling).await;
        }
    }

    /// Judges everybody once more, and compares with what holds and what was written; at rest nothing differs.
    ///
    /// # Errors
    /// The database's.
    pub async fn audit(&self) -> Result<Audit, DatabaseError> {
        Ok(audit::audit(&self.tiering.pool).await?)
    }

    /// Serves by itself, as tiering's own process does.
    ///
    /// # Errors
    /// If the port can't be bound, or a part of the service fails.
    pub async fn serve(self, shutdown: &Shutdown) -> anyhow::Result<()> {
        let server = self.add_to(Server::new(&self.settings), shutdown);
        let bound = server
            .ready_when(self.settled(shutdown.requested()))
            .bind()
            .await?;
        let mut tasks = Supervised::new(shutdown);
        self.run_background(&mut tasks, shutdown);
        tasks.run(bound.serve(shutdown)).await
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
    pub fn progress(&self) -> ProgressFollower {
        self.tiering.progress.clone()
    }
}

/// Makes the tables of what holds today, on a connection of its own: many processes may start at once.
async fn migrate(pool: &PgPool) -> anyhow::Result<()> {
    let mut conn = PgConnection::connect_with(&pool.connect_options()).await?;
    let migrated = {
        let migrator = sqlx::migrate!();
        migrator.run(&mut conn).await
    };
    conn.close().await?;
    Ok(migrated?)
}

/// The last sequence of a log; it is waited for while the log is away.
async fn tip(log: &Arc<dyn EventLog>) -> u64 {
    loop {
        match log.last_sequence().await {
            Ok(tip) => return tip,
            Err(_) => tokio::time::sleep(Duration::from_millis(250)).await,
        }
    }
}

async fn running(task: impl Future<Output = ()>) -> anyhow::Result<()> {
    task.await;
    Ok(())
}
