//! Alerts put together, by their own process, by the launcher that runs all services in one, and by the tests alike.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use eventlog::{EventLog, Repository};
use futures::future::BoxFuture;
use notices::Channels;
use proto::eldercare::alerts::v1::alert_service_server::AlertServiceServer;
use readmodel::{Follower, ReactorRunner, ReaderFollower, ReaderLag, Runner};
use service::access::Access;
use service::elder_keys::Erasures;
use service::lateness::watch_overdue;
use service::person_keys::Keys;
use service::{
    Application, Background, Clock, Connections, RequestDigests, Server, Settings, Shutdown,
    connections,
};
use sqlx::PgPool;
use sqlx::migrate::Migrator;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use vault::Vault;

use crate::alerts::Alerts;
use crate::board_table::BoardTable;
use crate::codec::CONTEXT;
use crate::credentials::Credentials;
use crate::doors::Doors;
use crate::elders_tables::{CARDS, FACTS};
use crate::grpc::{self, AlertsFace};
use crate::measures::Measures;
use crate::on_elder_erased::{self, OnElderErased};
use crate::progress::{Told, Watched};
use crate::rules::Rules;
use crate::settings::AlertsSettings;
use crate::signal::DeviceId;
use crate::signals::{SignalSettings, Signals};
use crate::telling::Teller;
use crate::untold::Untold;
use crate::watching::Watchman;
use crate::whom::Finder;

/// Alerts, connected to their servers. They answer once they are added to a server and their background runs.
pub struct App {
    alerts: Alerts,
    background: Background,
    access: Access,
}

/// What alerts stand on, beside their database.
#[derive(Clone)]
pub struct Ground {
    /// The registry's log.
    pub registry: Arc<dyn EventLog>,
    /// Our own log.
    pub own: Arc<dyn EventLog>,
    /// The signals.
    pub signals: Signals,
    /// Keys of elders and recipients.
    pub keys: Keys,
    /// The ways to tell somebody.
    pub channels: Channels,
    /// Digests of requests.
    pub digests: RequestDigests,
    /// Passwords of devices.
    pub credentials: Credentials,
    /// How devices are let in to the NATS server; none: they are not.
    pub doors: Option<Doors>,
}

impl Application for App {
    type Own = AlertsSettings;

    fn migrations() -> Option<Migrator> {
        Some(sqlx::migrate!())
    }

    async fn connect(
        settings: &Settings,
        own: &AlertsSettings,
        clock: Clock,
    ) -> anyhow::Result<Self> {
        let keys = Keys::of_registry(settings)?;
        Self::with_keys(settings, own, clock, keys).await
    }

    fn add_to(&self, server: Server, shutdown: &Shutdown) -> Server {
        let most = server.max_message_bytes();
        let face = AlertsFace::new(self.alerts.clone(), shutdown.requested());
        let face = AlertServiceServer::new(face);
        server.recording(self.access.clone()).service(
            face.max_decoding_message_size(most)
                .max_encoding_message_size(most),
            grpc::actions(),
        )
    }

    fn background(&self) -> &Background {
        &self.background
    }

    /// Waits until every signal is heard, whatever fell due is done, whoever is to be told was, and all of it can be read.
    fn settled(&self, given_up: CancellationToken) -> BoxFuture<'static, ()> {
        let alerts = self.alerts.clone();
        Box::pin(async move {
            let settling = settle(&alerts);
            given_up.run_until_cancelled(settling).await;
        })
    }

    /// Waits for nobody to be told: a recipient who can't be reached makes nobody else wait.
    fn ready(&self, given_up: CancellationToken) -> BoxFuture<'static, ()> {
        let alerts = self.alerts.clone();
        Box::pin(async move {
            // Whatever falls due is another process' concern where another one watches.
            let hearing = heard(&alerts, |alerts| alerts.watched.active_here().is_some());
            given_up.run_until_cancelled(hearing).await;
        })
    }
}

/// Waits until what was there is heard, whatever fell due of it is written where that concerns this process, and all of it can be
/// read; the last sequence of our own log then.
async fn heard(alerts: &Alerts, due_concerns: impl Fn(&Alerts) -> bool) -> u64 {
    let registry = connections::last_sequence(alerts.registry.as_ref()).await;
    alerts.facts.reaches(registry).await;
    alerts.cards.reaches(registry).await;
    // A server that is away is waited for.
    let signals = loop {
        match alerts.signals.last_sequence().await {
            Ok(last) => break last,
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(100)).await,
        }
    };
    let own = connections::last_sequence(alerts.own.as_ref()).await;
    let now = alerts.clock.now();
    let watched = alerts
        .watched
        .wait_until(|watched: &Watched| {
            watched.signals >= signals
                && watched.own >= own
                && watched.facts >= registry
                && (watched.next_due.is_none_or(|due| due > now) || !due_concerns(alerts))
        })
        .await;
    let last = own.max(watched.written);
    alerts.board.reaches(last).await;
    last
}

async fn settle(alerts: &Alerts) {
    loop {
        let registry = connections::last_sequence(alerts.registry.as_ref()).await;
        alerts.forgotten.reaches(registry).await;
        let heard = heard(alerts, |_| true).await;
        let told = |told: &Told| told.live >= heard;
        let told = alerts.told.wait_until(told).await;
        let last = heard.max(told.written);
        alerts.board.reaches(last).await;
        // Whatever was written meanwhile has effects of its own.
        if connections::last_sequence(alerts.own.as_ref()).await <= last {
            return;
        }
    }
}

impl App {
    /// Connects in one process with the registry, whose vault it shares.
    ///
    /// # Errors
    /// Where a server does not answer, or a stream could lose data.
    pub async fn beside_registry(
        settings: &Settings,
        own: &AlertsSettings,
        clock: Clock,
        vault: Vault,
    ) -> anyhow::Result<Self> {
        Self::with_keys(settings, own, clock, Keys::own(vault)).await
    }

    async fn with_keys(
        settings: &Settings,
        own: &AlertsSettings,
        clock: Clock,
        keys: Keys,
    ) -> anyhow::Result<Self> {
        let connections = Connections::open(CONTEXT, settings).await?;
        let signals = SignalSettings {
            kept_for: own.signals_kept_for,
            replicas: settings.nats.replicas,
            create: settings.nats.create_streams,
        };
        let ground = Ground {
            own: connections.own_log().await?,
            registry: connections.log_of("registry").await?,
            signals: Signals::open(connections.nats.clone(), &signals, clock.clone()).await?,
            keys,
            channels: Channels::new(&own.notices)?,
            digests: RequestDigests::from_settings(settings)?,
            credentials: Credentials::from_settings(settings)?,
            doors: match &own.devices {
                Some(access) => {
                    Some(Doors::connect(connections.nats.clone(), settings, access).await?)
                }
                None => None,
            },
        };
        Ok(Self {
            access: connections.access(clock.clone()).await?,
            ..Self::over(ground, connections.database, clock).await?
        })
    }

    /// Puts alerts together over logs and a database that are there already; looks are kept in memory.
    ///
    /// # Errors
    /// Where the database can't be brought up to date.
    pub async fn over(ground: Ground, pool: PgPool, clock: Clock) -> anyhow::Result<Self> {
        connections::migrate(&pool, Self::migrations()).await?;
        let Ground {
            registry,
            own,
            signals,
            keys,
            channels,
            digests,
            credentials,
            doors,
        } = ground;
        let facts = Runner::new(pool.clone(), Arc::clone(&registry), || FACTS);
        let cards = Runner::new(pool.clone(), Arc::clone(&registry), || CARDS);
        let board = Runner::new(pool.clone(), Arc::clone(&own), BoardTable::default);
        let forgetting = {
            let (signals, log, board) = (signals.clone(), Arc::clone(&own), board.follower());
            ReactorRunner::new(
                pool.clone(),
                Arc::clone(&registry),
                Arc::clone(&own),
                move || OnElderErased::new(signals.clone(), Arc::clone(&log), board.clone()),
            )
        };
        let erasures = Erasures::from_now(keys.vault.clone(), Arc::clone(&registry)).await;
        let alerts = Alerts {
            devices: Repository::new(Arc::clone(&own)),
            absences: Repository::new(Arc::clone(&own)),
            lines: Repository::new(Arc::clone(&own)),
            requests: Repository::new(Arc::clone(&own)),
            policies: Repository::new(Arc::clone(&own)),
            recipients: Repository::new(Arc::clone(&own)),
            rules: Rules::new(pool.clone()),
            facts: facts.follower(),
            cards: cards.follower(),
            board: board.follower(),
            forgotten: forgetting.follower(),
            watched: ReaderFollower::new(pool.clone()),
            told: ReaderFollower::new(pool.clone()),
            pool,
            registry,
            own,
            signals,
            clock,
            keys,
            credentials,
            digests,
        };
        let mut background = Background::new();
        let mut retired = None;
        if let Some(doors) = doors {
            let (relay, callout) = doors.open(alerts.pool.clone(), alerts.credentials.clone())?;
            let (sender, receiver) = mpsc::unbounded_channel();
            retired = Some(sender);
            background = background
                .with("alerts_relay", |stopped| relay.run(stopped))
                .with("alerts_callout", |stopped| callout.run(stopped))
                .with("alerts_doors", |stopped| doors.show_out(receiver, stopped));
        }
        let (watchman, teller) = (watchman(&alerts, retired), teller(&alerts, channels));
        let (watching, telling) = lags(&alerts);
        Ok(Self {
            background: background
                .with("alerts_elders", |stopped| facts.run(stopped))
                .with("alerts_cards", |stopped| cards.run(stopped))
                .with("alerts_board", |stopped| board.run(stopped))
                .with("alerts_watching", |stopped| watchman.run(stopped))
                .with("alerts_telling", |stopped| teller.run(stopped))
                .with(on_elder_erased::NAME, |stopped| forgetting.run(stopped))
                .with("alerts_watching_lag", |stopped| watching.run(stopped))
                .with("alerts_telling_lag", |stopped| telling.run(stopped))
                .with("alerts_erasures", |stopped| erasures.run(stopped)),
            access: Access::in_memory(alerts.clock.clone()),
            alerts,
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
        Arc::clone(&self.alerts.own)
    }

    /// The registry's log, as alerts read it.
    #[must_use]
    pub fn registry_log(&self) -> Arc<dyn EventLog> {
        Arc::clone(&self.alerts.registry)
    }

    /// Waits until every signal that this process stored is heard, and whatever fell due at our watch is written; when
    /// something may fall due next. Who is to be told may still be under way.
    pub async fn keeps_up(&self) -> Option<DateTime<Utc>> {
        let (stored, clock) = (self.alerts.signals.stored(), &self.alerts.clock);
        let keeps_up = |watched: &Watched| {
            watched.signals >= stored && watched.next_due.is_none_or(|due| due > clock.now())
        };
        self.alerts.watched.wait_until(keeps_up).await.next_due
    }

    /// The signals.
    #[must_use]
    pub fn signals(&self) -> Signals {
        self.alerts.signals.clone()
    }

    /// Alerts' database.
    #[must_use]
    pub fn pool(&self) -> PgPool {
        self.alerts.pool.clone()
    }

    /// Follows the read models: of the facts, of the names, and of our own log.
    #[must_use]
    pub fn followers(&self) -> [Follower; 3] {
        let alerts = &self.alerts;
        [&alerts.facts, &alerts.cards, &alerts.board].map(Clone::clone)
    }
}

/// How far both readers are behind.
fn lags(alerts: &Alerts) -> (ReaderLag<Watched>, ReaderLag<Told>) {
    let watching = ReaderLag::of("alerts watching", alerts.pool.clone())
        .in_log(&alerts.own, |watched: &Watched| watched.own)
        .in_log(&alerts.registry, |watched: &Watched| watched.facts);
    let telling = ReaderLag::of("alerts telling", alerts.pool.clone())
        .in_log(&alerts.own, |told: &Told| told.live);
    (watching, telling)
}

fn watchman(alerts: &Alerts, retired: Option<mpsc::UnboundedSender<DeviceId>>) -> Watchman {
    let watched = alerts.watched.clone();
    let next = move || watched.active_here()?.next_due;
    watch_overdue("alerts watching", alerts.clock.clone(), next);
    Watchman {
        pool: alerts.pool.clone(),
        signals: alerts.signals.clone(),
        own: Arc::clone(&alerts.own),
        lines: alerts.lines.clone(),
        devices: alerts.devices.clone(),
        registry: Arc::clone(&alerts.registry),
        facts: alerts.facts.clone(),
        clock: alerts.clock.clone(),
        progress: alerts.watched.clone(),
        retired,
    }
}

fn teller(alerts: &Alerts, channels: Channels) -> Teller {
    Teller {
        pool: alerts.pool.clone(),
        registry: Arc::clone(&alerts.registry),
        own: Arc::clone(&alerts.own),
        lines: alerts.lines.clone(),
        notices: Repository::new(Arc::clone(&alerts.own)),
        signals: alerts.signals.clone(),
        finder: Finder {
            pool: alerts.pool.clone(),
            keys: alerts.keys.clone(),
            clock: alerts.clock.clone(),
        },
        rules: alerts.rules.clone(),
        channels: Arc::new(channels),
        clock: alerts.clock.clone(),
        cards: alerts.cards.clone(),
        facts: alerts.facts.clone(),
        board: alerts.board.clone(),
        progress: alerts.told.clone(),
        measures: Measures::new(),
        untold: Untold::watched(alerts.clock.clone()),
    }
}
