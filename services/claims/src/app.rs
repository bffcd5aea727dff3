//! Claims put together, by its own process, by the launcher that runs all services in one, and by the tests alike.

use std::sync::Arc;
use std::time::Duration;

use eventlog::{EventLog, Repository};
use futures::future::BoxFuture;
use proto::eldercare::claims::v1::claims_service_server::ClaimsServiceServer;
use readmodel::{Follower, ReaderFollower, ReaderLag, Runner};
use service::access::Access;
use service::elder_keys::Erasures;
use service::person_keys::Keys;
use service::{
    Application, Background, Clock, Connections, RequestDigests, Server, Settings, Shutdown,
    connections,
};
use sqlx::PgPool;
use sqlx::migrate::Migrator;
use tokio_util::sync::CancellationToken;
use vault::Vault;
use workbooks::Exports;

use crate::adjudicator::Adjudicator;
use crate::appeals_closing::{self, AppealsCloser};
use crate::book_table::BookTable;
use crate::claims::{Claims, Definitions};
use crate::codec::CONTEXT;
use crate::entitlements::Entitlements;
use crate::facts_table;
use crate::grpc::{self, ClaimsFace};
use crate::on_elder_facts::{self, Rechecker};
use crate::progress::{Adjudicated, Rechecked};
use crate::recent::Recent;
use crate::settings::ClaimsSettings;

/// Before it is looked again whether a time for an appeal is closed.
const AGAIN: Duration = Duration::from_millis(10);

/// Claims, connected to their servers. They answer once they are added to a server and their background runs.
pub struct App {
    claims: Claims,
    rechecked: ReaderFollower<Rechecked>,
    background: Background,
    access: Access,
}

impl Application for App {
    type Own = ClaimsSettings;

    fn migrations() -> Option<Migrator> {
        Some(sqlx::migrate!())
    }

    async fn connect(
        settings: &Settings,
        _own: &ClaimsSettings,
        clock: Clock,
    ) -> anyhow::Result<Self> {
        let keys = Keys::of_registry(settings)?;
        Self::with_keys(settings, clock, keys).await
    }

    fn add_to(&self, server: Server, _: &Shutdown) -> Server {
        let most = server.max_message_bytes();
        let face = ClaimsServiceServer::new(ClaimsFace::new(self.claims.clone()));
        server.recording(self.access.clone()).service(
            face.max_decoding_message_size(most)
                .max_encoding_message_size(most),
            grpc::actions(),
        )
    }

    fn background(&self) -> &Background {
        &self.background
    }

    /// Waits until all facts are there, every order has its verdict, every time limit that has passed is closed, and all of
    /// it can be read.
    fn settled(&self, given_up: CancellationToken) -> BoxFuture<'static, ()> {
        let (claims, rechecked) = (self.claims.clone(), self.rechecked.clone());
        Box::pin(async move {
            let settling = settle(&claims, &rechecked);
            given_up.run_until_cancelled(settling).await;
        })
    }

    /// Waits for what was there when this was called: while orders come in all the time the log is never at rest. Nor does it wait
    /// for all orders of a large provider whose contract has ended, which are looked at again while others are answered.
    fn ready(&self, given_up: CancellationToken) -> BoxFuture<'static, ()> {
        let (claims, rechecked) = (self.claims.clone(), self.rechecked.clone());
        Box::pin(async move {
            let reading = async {
                let registry = connections::last_sequence(claims.registry.as_ref()).await;
                claims.facts.reaches(registry).await;
                let read = |done: &Rechecked| done.own;
                while settle_once(&claims, &rechecked, registry, read)
                    .await
                    .is_none()
                {
                    tokio::time::sleep(AGAIN).await;
                }
            };
            given_up.run_until_cancelled(reading).await;
        })
    }
}

async fn settle(claims: &Claims, rechecked: &ReaderFollower<Rechecked>) {
    let registry = connections::last_sequence(claims.registry.as_ref()).await;
    claims.facts.reaches(registry).await;
    loop {
        let followed = Rechecked::own_followed;
        let Some(last) = settle_once(claims, rechecked, registry, followed).await else {
            tokio::time::sleep(AGAIN).await;
            continue;
        };
        // Whatever was written meanwhile has effects of its own.
        if connections::last_sequence(claims.own.as_ref()).await <= last {
            return;
        }
    }
}

/// Waits until what is in our own log now has its verdicts, and what was recorded since is judged as far as `own` counts it: the
/// last sequence of that; none while a time for an appeal that is over is still to be closed.
async fn settle_once(
    claims: &Claims,
    rechecked: &ReaderFollower<Rechecked>,
    registry: u64,
    own: fn(&Rechecked) -> u64,
) -> Option<u64> {
    let last = connections::last_sequence(claims.own.as_ref()).await;
    claims.adjudicated_up_to(last).await;
    let enough = |done: &Rechecked| done.registry >= registry && own(done) >= last;
    rechecked.wait_until(enough).await;
    // A database that is away is waited for.
    let next = appeals_closing::next(&claims.pool).await;
    let closed = matches!(next, Ok(day) if day.is_none_or(|day| day > claims.clock.today()));
    closed.then_some(last)
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
        let own = connections.own_log().await?;
        let registry = connections.log_of("registry").await?;
        // Orders tell of persons; what is kept of requests for ever must not give them away.
        let digests = RequestDigests::from_settings(settings)?;
        Ok(Self {
            access: connections.access(clock.clone()).await?,
            ..Self::over((registry, own), connections.database, clock, keys, digests).await?
        })
    }

    /// Puts claims together over the registry's log, our own, and a database, that are there already; looks are kept in memory.
    ///
    /// # Errors
    /// Where the database can't be brought up to date.
    pub async fn over(
        (registry, own): (Arc<dyn EventLog>, Arc<dyn EventLog>),
        pool: PgPool,
        clock: Clock,
        keys: Keys,
        digests: RequestDigests,
    ) -> anyhow::Result<Self> {
        connections::migrate(&pool, Self::migrations()).await?;
        let facts = Runner::new(pool.clone(), Arc::clone(&registry), || facts_table::TABLE);
        let book = Runner::new(pool.clone(), Arc::clone(&own), BookTable::default);
        let erasures = Erasures::from_now(keys.vault.clone(), Arc::clone(&registry)).await;
        let claims = Claims {
            programmes: Repository::new(Arc::clone(&own)),
            enrolments: Repository::new(Arc::clone(&own)),
            providers: Repository::new(Arc::clone(&own)),
            caregivers: Repository::new(Arc::clone(&own)),
            orders: Repository::new(Arc::clone(&own)),
            funds: Repository::new(Arc::clone(&own)),
            settlements: Repository::new(Arc::clone(&own)),
            definitions: Definitions::default(),
            recent: Recent::default(),
            entitlements: Entitlements::new(pool.clone()),
            exports: Exports::default(),
            facts: facts.follower(),
            book: book.follower(),
            adjudicated: ReaderFollower::new(pool.clone()),
            pool,
            registry,
            own,
            clock,
            keys,
            digests,
        };
        let (adjudicator, closer) = (adjudicator(&claims), closer(&claims));
        let rechecked = ReaderFollower::new(claims.pool.clone());
        let rechecker = Rechecker {
            claims: claims.clone(),
            progress: rechecked.clone(),
        };
        let (adjudicating, rechecking) = lags(&claims);
        Ok(Self {
            access: Access::in_memory(claims.clock.clone()),
            claims,
            rechecked,
            background: Background::new()
                .with("claims_elders", |stopped| facts.run(stopped))
                .with("claims_book", |stopped| book.run(stopped))
                .with("claims_adjudicator", |stopped| adjudicator.run(stopped))
                .with("claims_appeals_closing", |stopped| closer.run(stopped))
                .with(on_elder_facts::NAME, |stopped| rechecker.run(stopped))
                .with("claims_adjudicator_lag", |stopped| {
                    adjudicating.run(stopped)
                })
                .with("claims_on_elder_facts_lag", |stopped| {
                    rechecking.run(stopped)
                })
                .with("claims_erasures", |stopped| erasures.run(stopped)),
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
        Arc::clone(&self.claims.own)
    }

    /// The registry's log, as claims read it.
    #[must_use]
    pub fn registry_log(&self) -> Arc<dyn EventLog> {
        Arc::clone(&self.claims.registry)
    }

    /// Claims' database.
    #[must_use]
    pub fn pool(&self) -> PgPool {
        self.claims.pool.clone()
    }

    /// Follows the read models: of the facts, and of our own log.
    #[must_use]
    pub fn followers(&self) -> [Follower; 2] {
        [&self.claims.facts, &self.claims.book].map(Clone::clone)
    }
}

/// How far both readers are behind.
fn lags(claims: &Claims) -> (ReaderLag<Adjudicated>, ReaderLag<Rechecked>) {
    let adjudicating = ReaderLag::of("claims adjudicator", claims.pool.clone())
        .in_log(&claims.own, |done: &Adjudicated| done.read);
    let rechecking = ReaderLag::of("claims on_elder_facts", claims.pool.clone())
        .in_log(&claims.registry, |done: &Rechecked| done.registry)
        .in_log(&claims.own, Rechecked::own_followed);
    (adjudicating, rechecking)
}

fn adjudicator(claims: &Claims) -> Adjudicator {
    Adjudicator {
        pool: claims.pool.clone(),
        own: Arc::clone(&claims.own),
        funds: claims.funds.clone(),
        clock: claims.clock.clone(),
        book: claims.book.clone(),
        progress: claims.adjudicated.clone(),
    }
}

fn closer(claims: &Claims) -> AppealsCloser {
    AppealsCloser {
        pool: claims.pool.clone(),
        orders: claims.orders.clone(),
        clock: claims.clock.clone(),
        book: claims.book.clone(),
    }
}
