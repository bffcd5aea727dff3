//! A system of a story's own: a log server and databases that nobody else uses, and the process that serves.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_nats::jetstream;
use backing_services::{Nats, Postgres, testing};
use chrono::{DateTime, Utc};
use eventlog::{Delivery, EventLog, Gather, JetStreamLog, Record, StreamSettings};
use futures::StreamExt as _;
use proto::eldercare::{
    registry::v1::{
        Elder, ElderChange, GetElderHistoryRequest, ImportDivisionsRequest, ListDivisionsRequest,
        RegisterElderRequest, SearchEldersRequest,
    },
    simulation::v1::AdvanceClockRequest,
    tiering::v1::{GetTierRequest, Tier},
};
use registry::RegistrySettings;
use serde_json::json;
use service::{Application as _, Clock, Config, Section, TokenIssuer, config::Loader};
use tempfile::TempDir;
use tiering::{TieringSettings, facts_table::FactsTable, tiers_table::TiersTable};
use tonic::{
    Code,
    transport::{Channel, Endpoint},
};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use uuid::Uuid;

use crate::{
    Registry, Tiering, at,
    callers::{Caller, officer, service_of_the_system},
    county,
    process::Process,
};

/// How a system is set up.
#[derive(Debug)]
pub struct Setup {
    /// What the clock says at the start. It stands still until it is moved.
    pub as_of: DateTime<Utc>,
    /// A PostgreSQL of its own, for stories that kill it or look into its files.
    pub own_postgres: bool,
    /// Whether the sample county's table of divisions is imported.
    pub divisions: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            as_of: at("2024-10-01T09:00:00+08:00"),
            own_postgres: false,
            divisions: true,
        }
    }
}

/// The databases' server.
#[derive(Debug)]
enum Databases {
    Shared(&'static Postgres),
    Own(Box<Postgres>),
}

/// A system under test: registry, tiering and a clock in one process, over servers of its own.
#[derive(Debug)]
pub struct System {
    nats: Nats,
    databases: Databases,
    /// The databases of registry and tiering.
    urls: [String; 2],
    folder: TempDir,
    issuer: TokenIssuer,
    now: DateTime<Utc>,
    process: Option<Process>,
    channel: Channel,
}

impl System {
    /// An empty registry on the morning of 1 October 2024 that knows the sample county's divisions.
    pub async fn start() -> Self {
        Self::start_with(Setup::default()).await
    }

    /// The same, set up in another way.
    pub async fn start_with(setup: Setup) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("streams");
        let (nats, databases) = tokio::join!(
            testing::own_nats_with(|options| options.store = Some(store)),
            async {
                if setup.own_postgres {
                    Databases::Own(Box::new(testing::own_postgres().await))
                } else {
                    Databases::Shared(testing::postgres().await)
                }
            }
        );
        let urls = fresh_databases(&databases).await;
        let mut system = Self {
            nats,
            databases,
            urls,
            folder,
            issuer: TokenIssuer::generate(),
            now: setup.as_of,
            process: None,
            channel: Endpoint::from_static("http://127.0.0.1:9").connect_lazy(),
        };
        system.start_process().await;
        if setup.divisions {
            system.import_divisions().await;
        }
        system
    }

    /// Where clients that are no programs of ours call.
    pub fn address(&self) -> &str {
        self.running().address()
    }

    /// An officer of civil affairs with every role, for all divisions.
    pub fn officer(&self) -> Caller {
        self.caller(&officer())
    }

    /// Whoever the claims say.
    pub fn caller(&self, claims: &service::Claims) -> Caller {
        Caller::new(self.channel.clone(), &self.issuer, claims)
    }

    /// A service of the system, which may ask for keys.
    pub fn service(&self) -> Caller {
        self.caller(&service_of_the_system())
    }

    /// A token for these claims.
    pub fn token(&self, claims: &service::Claims) -> String {
        self.issuer.issue(claims)
    }

    /// The registry, as an officer sees it.
    pub fn registry(&self) -> Registry {
        self.officer().registry()
    }

    /// Tiering, as an officer sees it.
    pub fn tiering(&self) -> Tiering {
        self.officer().tiering()
    }

    /// The process that serves.
    pub fn running(&self) -> &Process {
        self.process.as_ref().expect("the system runs")
    }

    /// Whether the process still runs.
    pub fn is_running(&mut self) -> bool {
        self.process.as_mut().is_some_and(Process::is_running)
    }

    /// The log's server.
    pub fn nats(&self) -> &Nats {
        &self.nats
    }

    /// The databases' server.
    pub fn postgres(&self) -> &Postgres {
        match &self.databases {
            Databases::Shared(postgres) => postgres,
            Databases::Own(postgres) => postgres,
        }
    }

    /// Where the log's server keeps its streams.
    pub fn streams_folder(&self) -> PathBuf {
        self.folder.path().join("streams")
    }

    /// The address of registry's database.
    pub fn registry_database(&self) -> &str {
        &self.urls[0]
    }

    /// Everything that the process has logged so far.
    pub fn logged(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// Registers an elder: its id.
    pub async fn register(&self, elder: RegisterElderRequest) -> String {
        self.registry()
            .register_elder(elder)
            .await
            .unwrap()
            .into_inner()
            .elder_id
    }

    /// The files that a search finds.
    pub async fn found(&self, search: SearchEldersRequest) -> Vec<Elder> {
        let answer = self.registry().search_elders(search).await.unwrap();
        answer.into_inner().elders
    }

    /// Every change of an elder's file, oldest first.
    pub async fn changes(&self, elder_id: &str) -> Vec<ElderChange> {
        let request = GetElderHistoryRequest {
            elder_id: elder_id.to_owned(),
            page_size: 1_000,
            ..GetElderHistoryRequest::default()
        };
        let answer = self.registry().get_elder_history(request).await.unwrap();
        answer.into_inner().changes
    }

    /// An elder's tier once the position is taken into account; none where the elder has none.
    pub async fn tier(&self, elder_id: &str, min_position: &str) -> Option<Tier> {
        let request = GetTierRequest {
            elder_id: elder_id.to_owned(),
            min_position: min_position.to_owned(),
        };
        match self.tiering().get_tier(request).await {
            Ok(answer) => Some(answer.into_inner().tier.unwrap()),
            Err(status) => {
                assert_eq!(status.code(), Code::NotFound, "{status}");
                None
            }
        }
    }

    /// Imports the sample county's divisions, and waits until they can be listed.
    pub async fn import_divisions(&self) {
        let request = ImportDivisionsRequest {
            request_id: Uuid::new_v4().to_string(),
            divisions: county::divisions(),
        };
        let mut registry = self.registry();
        let imported = registry
            .import_divisions(request)
            .await
            .unwrap()
            .into_inner();
        let min_position = imported.committed.unwrap().position;
        let request = ListDivisionsRequest {
            min_position,
            ..ListDivisionsRequest::default()
        };
        registry.list_divisions(request).await.unwrap();
    }

    /// Kills the process at once, as a crash would.
    pub async fn kill(&mut self) {
        self.process.take().expect("the system runs").kill().await;
    }

    /// Starts the process again after [`System::kill`], and waits until it is ready.
    pub async fn restart(&mut self) {
        assert!(self.process.is_none(), "it still runs");
        self.start_process().await;
    }

    /// Starts the process again with the clock at a later instant: it was down meanwhile.
    pub async fn restart_at(&mut self, instant: &str) {
        self.now = at(instant);
        self.restart().await;
        self.settled().await;
    }

    /// Gives the services new, empty databases, as if the old ones had been lost. The process must not run.
    pub async fn lose_databases(&mut self) {
        assert!(self.process.is_none(), "it still runs");
        self.urls = fresh_databases(&self.databases).await;
    }

    /// Moves the clock, and waits until all that falls due up to then is done.
    pub async fn advance_to(&mut self, instant: &str) {
        self.now = at(instant);
        self.settled().await;
    }

    /// Waits until all that is due by the clock is done.
    pub async fn settled(&self) {
        let to = Some(eldercare::wire::timestamp(self.now));
        self.officer()
            .simulation()
            .advance_clock(AdvanceClockRequest { to })
            .await
            .unwrap();
    }

    /// A stream of the log, opened beside the process: `registry` or `tiering`.
    pub async fn log(&self, context: &str) -> Arc<dyn EventLog> {
        let settings = StreamSettings {
            create: false,
            ..StreamSettings::of(context, Gather::GroupsOnly)
        };
        Arc::new(
            JetStreamLog::open(self.client().await, settings)
                .await
                .unwrap(),
        )
    }

    /// The log's server, for looking at it directly.
    pub async fn client(&self) -> async_nats::Client {
        async_nats::connect(self.nats.url()).await.unwrap()
    }

    /// The same, as JetStream.
    pub async fn jetstream(&self) -> jetstream::Context {
        jetstream::new(self.client().await)
    }

    /// The last sequence of a stream: who wrote nothing has left it as it was.
    pub async fn last_sequence(&self, context: &str) -> u64 {
        self.log(context).await.last_sequence().await.unwrap()
    }

    /// All records of a stream.
    pub async fn records(&self, context: &str) -> Vec<Record> {
        let log = self.log(context).await;
        let last = log.last_sequence().await.unwrap();
        let mut records = Vec::new();
        let mut deliveries = log.subscribe(0).await.unwrap();
        while records.last().map_or(0, |record: &Record| record.sequence) < last {
            for delivery in deliveries.next().await.unwrap().unwrap() {
                match delivery {
                    Delivery::Record(record) => records.push(record),
                    Delivery::Unreadable {
                        sequence, reason, ..
                    } => panic!("message {sequence}: {reason}"),
                }
            }
        }
        records
    }

    /// The records of a stream about one aggregate.
    pub async fn records_of(&self, context: &str, aggregate: &str, id: &str) -> Vec<Record> {
        let mut records = self.records(context).await;
        records
            .retain(|record| record.subject.aggregate() == aggregate && record.subject.id() == id);
        records
    }

    /// The registry's parts, opened beside the process: log, vault, database. Nothing runs in it.
    pub async fn registry_parts(&self) -> registry::App {
        let (config, own) = self.settings::<RegistrySettings>();
        registry::App::connect(&config, &own, Clock::stopped_at(self.now))
            .await
            .unwrap()
    }

    /// The same of tiering.
    pub async fn tiering_parts(&self) -> tiering::App {
        let (mut config, own) = self.settings::<TieringSettings>();
        config.postgres.url = service::settings::Address::new(&self.urls[1]);
        tiering::App::connect(&config, &own, Clock::stopped_at(self.now))
            .await
            .unwrap()
    }

    /// Rebuilds each read model aside and compares: neither may differ from the log.
    pub async fn verify(&self) {
        let registry = self.registry_parts().await;
        let (pool, log, files) = (registry.pool(), registry.log(), registry.projection());
        holds_what_the_log_says(readmodel::verify(&pool, log, files, |_| {}).await.unwrap());
        let tiering = self.tiering_parts().await;
        let (pool, facts, tiers) = (tiering.pool(), tiering.registry_log(), tiering.log());
        holds_what_the_log_says(
            readmodel::verify(&pool, facts, FactsTable, |_| {})
                .await
                .unwrap(),
        );
        holds_what_the_log_says(
            readmodel::verify(&pool, tiers, TiersTable, |_| {})
                .await
                .unwrap(),
        );
    }

    fn settings<S: Section>(&self) -> (service::Settings, S) {
        let loader = Loader::new(Some(&self.settings_file()), []).unwrap();
        let config: Config<Own> = loader.load().unwrap();
        (config.common, loader.section().unwrap())
    }

    fn settings_file(&self) -> PathBuf {
        self.folder.path().join("settings.toml")
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("system.log")
    }

    async fn start_process(&mut self) {
        self.write_settings();
        let process = Process::start(&self.settings_file(), &self.log_file()).await;
        let endpoint = Endpoint::from_shared(format!("http://{}", process.address())).unwrap();
        self.channel = endpoint
            .http2_adaptive_window(true)
            .tcp_nodelay(true)
            .connect_lazy();
        self.process = Some(process);
        self.ready().await;
    }

    /// Waits until readiness is told.
    async fn ready(&self) {
        let request = HealthCheckRequest {
            service: "readiness".to_owned(),
        };
        let told = HealthClient::new(self.channel.clone()).watch(request).await;
        let mut told = told.unwrap().into_inner();
        while told.message().await.unwrap().expect("it goes on").status() != ServingStatus::Serving
        {
        }
    }

    fn write_settings(&self) {
        let key = self.issuer.public_key();
        let settings = json!({
            "grpc": { "listen": "127.0.0.1:0", "default_deadline": "60s" },
            "nats": { "url": self.nats.url() },
            "postgres": { "url": self.urls[0], "max_connections": 8 },
            "auth": { "mode": "local", "keys": [key] },
            "clock": { "as_of": self.now.to_rfc3339(), "stopped": true },
            "telemetry": { "log_filter": "warn" },
            Own::NAME: { "tiering_database": self.urls[1] },
        });
        let text = toml::to_string(&toml::Value::try_from(settings).unwrap()).unwrap();
        fs::write(self.settings_file(), text).unwrap();
    }
}

/// A failed story shows what the process had to say.
impl Drop for System {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let logged = self.logged();
            let lines: Vec<_> = logged.lines().collect();
            eprintln!(
                "the system's log:\n{}",
                lines[lines.len().saturating_sub(60)..].join("\n")
            );
        }
    }
}

fn holds_what_the_log_says(differences: readmodel::Differences) {
    assert_ne!(differences.position.sequence, 0, "nothing was compared");
    assert!(
        differences.is_empty(),
        "a read model differs from the log: {differences:?}"
    );
}

async fn fresh_databases(databases: &Databases) -> [String; 2] {
    let postgres: &Postgres = match databases {
        Databases::Shared(postgres) => postgres,
        Databases::Own(postgres) => postgres,
    };
    [
        postgres.fresh_database().await.unwrap(),
        postgres.fresh_database().await.unwrap(),
    ]
}

/// What the process needs to know beside the services' settings.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Own {
    /// The database of tiering; `postgres.url` is the registry's.
    pub tiering_database: String,
}

impl Section for Own {
    const NAME: &'static str = "system";
}

/// The settings that a process of the system was started with: those of registry and tiering, and what they share.
pub struct ProcessSettings {
    /// Shared, with the registry's database.
    pub registry: service::Settings,
    /// The registry's own.
    pub registry_own: RegistrySettings,
    /// Shared, with tiering's database.
    pub tiering: service::Settings,
    /// Tiering's own.
    pub tiering_own: TieringSettings,
}

impl ProcessSettings {
    /// Reads the file that [`System`] wrote.
    ///
    /// # Errors
    /// An unknown key or a value of the wrong kind.
    pub fn read(file: &Path) -> anyhow::Result<Self> {
        let loader = Loader::new(Some(file), [])?;
        let config: Config<Own> = loader.load()?;
        let mut tiering = config.common.clone();
        tiering.postgres.url = service::settings::Address::new(&config.own.tiering_database);
        Ok(Self {
            registry: config.common,
            registry_own: loader.section()?,
            tiering,
            tiering_own: loader.section()?,
        })
    }
}
