//! Sharing put together, by its own process, by the launcher that runs all services in one, and by the tests alike.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use eventlog::{EventLog, Repository};
use futures::future::BoxFuture;
use proto::eldercare::sharing::v1::sharing_service_server::SharingServiceServer;
use readmodel::{Follower, LookUp, Projection, ReaderFollower, Runner};
use service::elder_keys::Erasures;
use service::person_keys::Keys;
use service::{
    Application, Background, Clock, Connections, RequestDigests, Server, Settings, Shutdown,
    connections, settings,
};
use sqlx::PgPool;
use sqlx::migrate::Migrator;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use vault::Vault;

use crate::access_mover::{self, Mover};
use crate::alerts_table::AlertsTable;
use crate::auditing::{self, AuditKeys, Auditor};
use crate::book_table::{self, BookTable};
use crate::cards_table;
use crate::claims_table::ClaimsTable;
use crate::codec::CONTEXT;
use crate::dossier::DossierRows;
use crate::elders_table::{self, EldersTable};
use crate::feeds::access::{FeedDoors, FeedPasswords};
use crate::feeds::index::Published;
use crate::feeds::publisher::{self, Publisher};
use crate::feeds::stream::FeedStream;
use crate::glass_notices::{self, GlassNotices};
use crate::granting;
use crate::grpc::{self, SharingFace};
use crate::in_force::InForce;
use crate::measures::{self, GlassMeasures};
use crate::recorder;
use crate::settings::SharingSettings;
use crate::sharing::{Logs, Sharing};
use crate::tiers_table::TiersTable;
use crate::visits_table::VisitsTable;

/// While records stream in, read models take what has come at most this often: feeds wait for them.
const PACE: Duration = Duration::from_millis(5);

/// What nobody else may know: keys of persons, and those under which requests and passwords stand.
pub struct Secrets {
    /// The keys of persons.
    pub keys: Keys,
    /// The digests of requests.
    pub digests: RequestDigests,
    /// The passwords of departments.
    pub passwords: FeedPasswords,
}

/// What sharing has at the NATS server beside the logs.
pub struct SideStreams {
    /// Where feeds are kept.
    feeds: FeedStream,
    /// How departments are let in to them.
    doors: Option<FeedDoors>,
    /// Where the other services put what they told on record.
    accesses: Option<(async_nats::Client, settings::Nats)>,
}

impl SideStreams {
    /// Feeds that nobody reads over NATS, and no other services.
    #[must_use]
    pub const fn feeds_alone(feeds: FeedStream) -> Self {
        Self {
            feeds,
            doors: None,
            accesses: None,
        }
    }

    /// The same feeds, which departments that are let in read over NATS too.
    #[must_use]
    pub fn feeds_behind(feeds: FeedStream, doors: FeedDoors) -> Self {
        Self {
            doors: Some(doors),
            ..Self::feeds_alone(feeds)
        }
    }

    async fn open(
        connections: &Connections,
        settings: &Settings,
        own: &SharingSettings,
    ) -> anyhow::Result<Self> {
        let nats = &settings.nats;
        let client = connections.nats.clone();
        let feeds = FeedStream::open(client.clone(), nats.replicas, nats.create_streams);
        let feeds = feeds.await?;
        let doors = match &own.feeds.access {
            Some(access) => Some(FeedDoors::connect(client.clone(), settings, access).await?),
            None => None,
        };
        Ok(Self {
            feeds,
            doors,
            accesses: Some((client, nats.clone())),
        })
    }
}

/// Sharing, connected to its servers. It answers once it is added to a server and its background runs.
pub struct App {
    sharing: Sharing,
    background: Background,
    /// How far the feeds have come, where there are any.
    published: Option<ReaderFollower<Published>>,
}

impl Application for App {
    type Own = SharingSettings;

    fn migrations() -> Option<Migrator> {
        Some(sqlx::migrate!())
    }

    async fn connect(
        settings: &Settings,
        own: &SharingSettings,
        clock: Clock,
    ) -> anyhow::Result<Self> {
        let keys = Keys::of_registry(settings)?;
        Self::with_keys(settings, own, clock, keys).await
    }

    fn add_to(&self, server: Server, shutdown: &Shutdown) -> Server {
        let most = server.max_message_bytes();
        let face = SharingFace::new(self.sharing.clone(), most, shutdown.draining());
        let face = SharingServiceServer::new(face);
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

    /// Waits until the chain over our log is signed as is due, and all that is in the logs can be read, and came out on feeds.
    fn settled(&self, given_up: CancellationToken) -> BoxFuture<'static, ()> {
        let sharing = self.sharing.clone();
        let published = self.published.clone();
        Box::pin(async move {
            let settling = async {
                sharing.audited().await;
                sharing.catch_up().await;
                if let Some(published) = published {
                    sharing.feeds_catch_up(&published).await;
                    // What went out by them is on record.
                    sharing.catch_up().await;
                }
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
    /// All of them.
    fn of(pool: &PgPool, logs: &Logs) -> Self {
        let models = Self {
            pool: pool.clone(),
            background: Background::new(),
            followers: Vec::new(),
        };
        models
            .with("sharing_elders", &logs.registry, EldersTable::default)
            .with("sharing_cards", &logs.registry, || cards_table::TABLE)
            .with("sharing_tiers", &logs.tiering, TiersTable::default)
            .with("sharing_visits", &logs.visits, VisitsTable::default)
            .with("sharing_alerts", &logs.alerts, AlertsTable::default)
            .with("sharing_claims", &logs.claims, ClaimsTable::default)
            .with("sharing_book", &logs.own, BookTable::default)
    }

    fn with<P>(
        mut self,
        name: &'static str,
        log: &Arc<dyn EventLog>,
        make: impl Fn() -> P + Send + Sync + 'static,
    ) -> Self
    where
        P: Projection + Sync + 'static,
    {
        let settings = readmodel::Settings {
            live_pace: PACE,
            ..readmodel::Settings::default()
        };
        let runner = Runner::new(self.pool.clone(), Arc::clone(log), make);
        let runner = runner.with_settings(settings);
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
        if !settings.is_local() && own.notices.receivers() == 0 {
            tracing::warn!(
                "`sharing.notices.broken_glass` names no receiver: nobody is told of dossiers opened beyond all agreements"
            );
        }
        let connections = Connections::open(CONTEXT, settings).await?;
        let side = SideStreams::open(&connections, settings, own).await?;
        let logs = Logs {
            registry: connections.log_of("registry").await?,
            tiering: connections.log_of("tiering").await?,
            visits: connections.log_of("visits").await?,
            alerts: connections.log_of("alerts").await?,
            claims: connections.log_of("claims").await?,
            own: connections.own_log().await?,
        };
        let secrets = Secrets {
            keys,
            // What is asked tells of persons; what is kept of requests for ever must not give them away.
            digests: RequestDigests::from_settings(settings)?,
            passwords: FeedPasswords::from_settings(settings)?,
        };
        Self::over(logs, connections.database, clock, secrets, own, Some(side)).await
    }

    /// Puts sharing together over all logs and a database, that are there already.
    ///
    /// # Errors
    /// Where the database can't be brought up to date, or a key or a setting is malformed.
    pub async fn over(
        logs: Logs,
        pool: PgPool,
        clock: Clock,
        secrets: Secrets,
        own: &SharingSettings,
        side: Option<SideStreams>,
    ) -> anyhow::Result<Self> {
        let audit = AuditKeys::from_settings(own)?;
        let channels = own.notices.open()?;
        connections::migrate(&pool, Self::migrations()).await?;
        let models = ReadModels::of(&pool, &logs);
        let erasures = Erasures::from_now(secrets.keys.vault.clone(), Arc::clone(&logs.registry));
        let erasures = erasures.await;
        let (recorder, writer) = recorder::recording(Arc::clone(&logs.own), clock.clone());
        let (withdrawals, withdrawn) = mpsc::unbounded_channel();
        let doors = side.as_ref().and_then(|side| side.doors.as_ref());
        let consumers = doors
            .map(|doors| doors.consumers(pool.clone(), clock.clone(), secrets.passwords.clone()));
        let sharing = Sharing {
            agreements: Repository::new(Arc::clone(&logs.own)),
            broken_glass: Repository::new(Arc::clone(&logs.own)),
            credentials: Repository::new(Arc::clone(&logs.own)),
            erasures: Repository::new(Arc::clone(&logs.own)),
            followers: models.followers.into(),
            facts: LookUp::new(pool.clone(), elders_table::FACTS),
            dossier_rows: DossierRows::new(pool.clone()),
            in_force: InForce::new(pool.clone(), clock.clone()),
            pool,
            logs,
            clock,
            keys: secrets.keys,
            digests: secrets.digests,
            recorder,
            audit,
            feeds: side.as_ref().map(|side| side.feeds.clone()),
            feed_passwords: secrets.passwords,
            withdrawals: consumers.is_some().then_some(withdrawals),
            consumers,
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
        let glass_notices = GlassNotices {
            pool: sharing.pool.clone(),
            log: Arc::clone(&sharing.logs.own),
            clock: sharing.clock.clone(),
            channels,
            recipients: own.notices.broken_glass.clone(),
            measures: GlassMeasures::new(),
        };
        let receivers = own.notices.receivers();
        let chain = measures::of_the_chain(&sharing);
        let agreements = measures::of_agreements(&sharing);
        let (pool, time) = (sharing.pool.clone(), sharing.clock.clone());
        let background = models
            .background
            .with(auditing::NAME, |stopped| auditor.run(stopped))
            .with("sharing_audit_lag", |stopped| chain.run(stopped))
            .with(granting::NAME, |stopped| agreements.run(stopped))
            .with("sharing_audit_heads", |stopped| {
                measures::watch_unsigned(pool, time, stopped)
            })
            .with(glass_notices::NAME, |stopped| glass_notices.run(stopped))
            .with("sharing_glass_receivers", move |stopped| {
                measures::tell_receivers(receivers, stopped)
            })
            .with("sharing_looks", |stopped| writer.run(stopped))
            .with("sharing_erasures", |stopped| erasures.run(stopped));
        let app = Self {
            sharing,
            background,
            published: None,
        };
        match side {
            None => Ok(app),
            Some(side) => app.beside(side, withdrawn),
        }
    }

    /// The same with what runs over streams beside the logs.
    fn beside(
        mut self,
        side: SideStreams,
        withdrawn: mpsc::UnboundedReceiver<String>,
    ) -> anyhow::Result<Self> {
        let sharing = &self.sharing;
        let follower = ReaderFollower::new(sharing.pool.clone());
        let feeds = measures::of_feeds(sharing);
        let publisher = Publisher {
            sharing: sharing.clone(),
            stream: side.feeds,
            follower: follower.clone(),
        };
        self.background = self
            .background
            .with(publisher::NAME, |stopped| publisher.run(stopped))
            .with("sharing_feeds_lag", |stopped| feeds.run(stopped));
        self.published = Some(follower);
        if let Some((nats, settings)) = side.accesses {
            let looked_at = nats.clone();
            let mover = Mover {
                pool: sharing.pool.clone(),
                nats,
                settings,
                log: Arc::clone(&sharing.logs.own),
                clock: sharing.clock.clone(),
            };
            self.background = self
                .background
                .with(access_mover::NAME, |stopped| mover.run(stopped))
                .with("sharing_access_left", |stopped| {
                    measures::watch_accesses(looked_at, stopped)
                });
        }
        if let Some((doors, consumers)) = side.doors.zip(sharing.consumers.clone()) {
            let (pool, passwords) = (sharing.pool.clone(), sharing.feed_passwords.clone());
            let open = doors.open(pool, sharing.clock.clone(), passwords, consumers.clone());
            let (callout, ushers) = open?;
            let watching = sharing.clone();
            self.background = self
                .background
                .with("sharing_doors", |stopped| callout.run(stopped))
                .with("sharing_consumers", |stopped| {
                    watching.watch_consumers(consumers, stopped)
                })
                .with("sharing_ushers", |stopped| {
                    ushers.show_out(withdrawn, stopped)
                });
        }
        Ok(self)
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
