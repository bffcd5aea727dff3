//! Visits put together, by its own process, by the launcher that runs all services in one, and by the tests alike.

use std::sync::Arc;
use std::time::Duration;

use eventlog::{EventLog, Repository};
use futures::future::BoxFuture;
use proto::eldercare::visits::v1::visit_service_server::VisitServiceServer;
use readmodel::{Follower, ReactorRunner, ReaderFollower, ReaderLag, Runner};
use service::access::Access;
use service::elder_keys::Erasures;
use service::person_keys::Keys;
use service::{
    Application, Background, Clock, Connections, RequestDigests, Server, Settings, Shutdown,
    connections, peer,
};
use sqlx::PgPool;
use sqlx::migrate::Migrator;
use tokio::sync::{Mutex, Semaphore};
use tokio_util::sync::CancellationToken;
use vault::Vault;
use workbooks::Exports;

use crate::book_table::BookTable;
use crate::closing::{self, Closer};
use crate::codec::CONTEXT;
use crate::grpc::{self, VisitsFace};
use crate::on_visit_missed::{self, Alerts, OnVisitMissed};
use crate::on_visit_recorded::Examiner;
use crate::policies_table::PoliciesTable;
use crate::progress::{Examined, LaidOut};
use crate::settings::VisitsSettings;
use crate::standing::Standings;
use crate::standings_kept::Keeper;
use crate::visits::Visits;
use crate::{campaign_rows, cards_table, facts_table, visiting_rows};

/// How many plans are kept in memory: each is a county's week, of thousands of elders.
const PLANS: u64 = 64;

/// Visits, connected to its servers. It answers once it is added to a server and its background runs.
pub struct App {
    visits: Visits,
    background: Background,
    access: Access,
}

/// The logs that visits reads.
#[derive(Clone)]
pub struct Logs {
    /// The registry's.
    pub registry: Arc<dyn EventLog>,
    /// Tiering's.
    pub tiering: Arc<dyn EventLog>,
    /// Our own.
    pub own: Arc<dyn EventLog>,
}

impl Application for App {
    type Own = VisitsSettings;

    fn migrations() -> Option<Migrator> {
        Some(sqlx::migrate!())
    }

    async fn connect(
        settings: &Settings,
        _own: &VisitsSettings,
        clock: Clock,
    ) -> anyhow::Result<Self> {
        let keys = Keys::of_registry(settings)?;
        Self::with_keys(settings, clock, keys).await
    }

    fn add_to(&self, server: Server, _: &Shutdown) -> Server {
        let most = server.max_message_bytes();
        let face = VisitServiceServer::new(VisitsFace::new(self.visits.clone()));
        server.recording(self.access.clone()).service(
            face.max_decoding_message_size(most)
                .max_encoding_message_size(most),
            grpc::actions(),
        )
    }

    fn background(&self) -> &Background {
        &self.background
    }

    /// Waits until all facts, policies and records are taken into account, every period that is over is closed, and the
    /// outcome can be read.
    fn settled(&self, given_up: CancellationToken) -> BoxFuture<'static, ()> {
        let visits = self.visits.clone();
        Box::pin(async move {
            let settling = async {
                let registry = connections::last_sequence(visits.registry.as_ref()).await;
                let tiering = connections::last_sequence(visits.tiering.as_ref()).await;
                // A replica of the version before may have laid out by tables of its own.
                visits.facts.reaches(registry).await;
                visits.policies.reaches(tiering).await;
                visits
                    .standings
                    .wait_until(|laid_out| {
                        laid_out.facts >= registry && laid_out.policies >= tiering
                    })
                    .await;
                visits.cards.reaches(registry).await;
                let own = connections::last_sequence(visits.own.as_ref()).await;
                visits.examined_up_to(own).await;
                closed(&visits).await;
                let own = connections::last_sequence(visits.own.as_ref()).await;
                visits.book.reaches(own).await;
                let today = visits.today();
                visits
                    .standings
                    .wait_until(|kept| kept.book >= own && kept.day >= Some(today))
                    .await;
            };
            given_up.run_until_cancelled(settling).await;
        })
    }
}

/// Waits until every period that is over is closed.
async fn closed(visits: &Visits) {
    let now = visits.clock.now();
    loop {
        // A database that is away is waited for.
        let visitings = visiting_rows::all(&visits.pool).await;
        let campaigns = campaign_rows::open(&visits.pool).await;
        if let (Ok(visitings), Ok(campaigns)) = (visitings, campaigns) {
            let next = closing::next(&visitings, campaigns);
            if next.is_none_or(|closing| closing.period().end() > now) {
                return;
            }
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

impl App {
    /// Connects in one process with the registry, whose vault it shares.
    ///
    /// # Errors
    /// Where a server does not answer, or a stream could lose data.
    pub async fn beside_registry(
        settings: &Settings,
        clock: Clock,
        vault: Vault,
    ) -> anyhow::Result<Self> {
        Self::with_keys(settings, clock, Keys::own(vault)).await
    }

    async fn with_keys(settings: &Settings, clock: Clock, keys: Keys) -> anyhow::Result<Self> {
        let connections = Connections::open(CONTEXT, settings).await?;
        let logs = Logs {
            own: connections.own_log().await?,
            registry: connections.log_of("registry").await?,
            tiering: connections.log_of("tiering").await?,
        };
        // Records hold personal data; what is kept of requests for ever must not give it away.
        let digests = RequestDigests::from_settings(settings)?;
        let alerts = match settings.peers.contains_key("alerts") {
            true => Some(Alerts::new(peer::channel(settings, "alerts")?)),
            // Who is missed stands in the log, and is told once there is somebody to tell.
            false => None,
        };
        Ok(Self {
            access: connections.access(clock.clone()).await?,
            ..Self::over(logs, connections.database, clock, keys, digests, alerts).await?
        })
    }

    /// Puts visits together over logs and a database that are there already; looks are kept in memory.
    ///
    /// # Errors
    /// Where the database can't be brought up to date.
    pub async fn over(
        logs: Logs,
        pool: PgPool,
        clock: Clock,
        keys: Keys,
        digests: RequestDigests,
        alerts: Option<Alerts>,
    ) -> anyhow::Result<Self> {
        connections::migrate(&pool, Self::migrations()).await?;
        let Logs {
            registry,
            tiering,
            own,
        } = logs;
        let facts = Runner::new(pool.clone(), Arc::clone(&registry), || facts_table::TABLE);
        let cards = Runner::new(pool.clone(), Arc::clone(&registry), || cards_table::TABLE);
        let policies = Runner::new(pool.clone(), Arc::clone(&tiering), PoliciesTable::default);
        let book = Runner::new(pool.clone(), Arc::clone(&own), BookTable::default);
        let erasures = Erasures::from_now(keys.vault.clone(), Arc::clone(&registry)).await;
        let visits = Visits {
            visitors: Repository::new(Arc::clone(&own)),
            visitings: Repository::new(Arc::clone(&own)),
            campaigns: Repository::new(Arc::clone(&own)),
            years: Repository::new(Arc::clone(&own)),
            plans: Repository::new(Arc::clone(&own)).caching(PLANS),
            facts: facts.follower(),
            cards: cards.follower(),
            policies: policies.follower(),
            book: book.follower(),
            standings: ReaderFollower::new(pool.clone()),
            examined: ReaderFollower::new(pool.clone()),
            forgotten: erasures.forgotten(),
            rules: Arc::new(Mutex::new((0, Standings::default()))),
            planning: Arc::new(Semaphore::new(1)),
            exports: Exports::default(),
            pool,
            registry,
            tiering,
            own,
            clock,
            keys,
            digests,
        };
        let (keeper, examiner, closer) = (keeper(&visits), examiner(&visits), closer(&visits));
        let (keeping, examining) = lags(&visits);
        let notices = alerts.map(|alerts| {
            let own = Arc::clone(&visits.own);
            let stream = own.stream().to_owned();
            ReactorRunner::new(visits.pool.clone(), Arc::clone(&own), own, move || {
                OnVisitMissed::new(alerts.clone(), stream.clone())
            })
        });
        let mut background = Background::new();
        if let Some(notices) = notices {
            background = background.with(on_visit_missed::NAME, |stopped| notices.run(stopped));
        }
        Ok(Self {
            access: Access::in_memory(visits.clock.clone()),
            visits,
            background: background
                .with("visits_elders", |stopped| facts.run(stopped))
                .with("visits_cards", |stopped| cards.run(stopped))
                .with("visits_policies", |stopped| policies.run(stopped))
                .with("visits_book", |stopped| book.run(stopped))
                .with("visits_standings", |stopped| keeper.run(stopped))
                .with("on_visit_recorded", |stopped| examiner.run(stopped))
                .with("visits_closing", |stopped| closer.run(stopped))
                .with("visits_standings_lag", |stopped| keeping.run(stopped))
                .with("on_visit_recorded_lag", |stopped| examining.run(stopped))
                .with("visits_erasures", |stopped| erasures.run(stopped)),
        })
    }

    /// Where looks go on record.
    #[must_use]
    pub fn access(&self) -> Access {
        self.access.clone()
    }

    /// Our own log, for operators' commands and for tests.
    #[must_use]
    pub fn log(&self) -> Arc<dyn EventLog> {
        Arc::clone(&self.visits.own)
    }

    /// The registry's log, as visits reads it.
    #[must_use]
    pub fn registry_log(&self) -> Arc<dyn EventLog> {
        Arc::clone(&self.visits.registry)
    }

    /// Tiering's log, as visits reads it.
    #[must_use]
    pub fn tiering_log(&self) -> Arc<dyn EventLog> {
        Arc::clone(&self.visits.tiering)
    }

    /// Visits' database.
    #[must_use]
    pub fn pool(&self) -> PgPool {
        self.visits.pool.clone()
    }

    /// Follows the read models: of the facts, of the names, of the policies, and of our own log.
    #[must_use]
    pub fn followers(&self) -> [Follower; 4] {
        let visits = &self.visits;
        [&visits.facts, &visits.cards, &visits.policies, &visits.book].map(Clone::clone)
    }
}

/// How far the readers of logs are behind.
fn lags(visits: &Visits) -> (ReaderLag<LaidOut>, ReaderLag<Examined>) {
    let keeping = ReaderLag::of("visits standings", visits.pool.clone())
        .in_log(&visits.registry, |done: &LaidOut| done.facts)
        .in_log(&visits.tiering, |done: &LaidOut| done.policies)
        .in_log(&visits.own, |done: &LaidOut| done.book);
    let examining = ReaderLag::of("visits on_visit_recorded", visits.pool.clone())
        .in_log(&visits.own, |done: &Examined| done.judged);
    (keeping, examining)
}

fn keeper(visits: &Visits) -> Keeper {
    Keeper {
        pool: visits.pool.clone(),
        facts: visits.facts.clone(),
        policies: visits.policies.clone(),
        book: visits.book.clone(),
        clock: visits.clock.clone(),
        progress: visits.standings.clone(),
    }
}

fn examiner(visits: &Visits) -> Examiner {
    Examiner {
        pool: visits.pool.clone(),
        own: Arc::clone(&visits.own),
        years: visits.years.clone(),
        vault: visits.keys.vault.clone(),
        clock: visits.clock.clone(),
        book: visits.book.clone(),
        progress: visits.examined.clone(),
    }
}

fn closer(visits: &Visits) -> Closer {
    Closer {
        pool: visits.pool.clone(),
        registry: Arc::clone(&visits.registry),
        tiering: Arc::clone(&visits.tiering),
        own: Arc::clone(&visits.own),
        years: visits.years.clone(),
        visitings: visits.visitings.clone(),
        campaigns: visits.campaigns.clone(),
        clock: visits.clock.clone(),
        facts: visits.facts.clone(),
        policies: visits.policies.clone(),
        book: visits.book.clone(),
        examined: visits.examined.clone(),
    }
}
