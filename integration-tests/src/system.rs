//! A system of a story's own: a log server and databases that nobody else uses, and the process that serves.

mod asking;
mod callers;
mod crashes;
mod databases;
mod last_words;
mod operator;
mod processes;
mod rolling;
mod secured;
mod setup;

use std::{fs, net::SocketAddr, path::PathBuf};

use backing_services::{Nats, NatsOptions, Postgres, Syncing};
use chrono::{DateTime, Utc};
use proto::eldercare::simulation::v1::AdvanceClockRequest;
use service::TokenIssuer;
use tempfile::TempDir;

pub use self::{crashes::Backup, setup::Setup};
use self::{
    databases::{Databases, Urls},
    last_words::last_words,
};
use crate::{
    at,
    balanced::Balanced,
    cluster::Cluster,
    doors::Doors,
    front::Front,
    lines::Lines,
    log_server::{self, LogServer, as_a_service},
    places::Places,
    process::{Part, Process},
    trust::{Base, Trust},
};

/// A system under test: registry, tiering and a clock in one process, visits, alerts, claims and sharing with a clock in others
/// where a story needs them, over servers of its own.
#[derive(Debug)]
pub struct System {
    pub(crate) log_server: LogServer,
    /// What opens the log's server; none where everybody may come in.
    pub(crate) doors: Option<Doors>,
    /// Whom the services trust, and who trusts them; none where servers speak plainly.
    pub(crate) trust: Option<Trust>,
    syncing: Syncing,
    databases: Databases,
    urls: Urls,
    folder: TempDir,
    places: Places,
    issuer: TokenIssuer,
    pub(crate) now: DateTime<Utc>,
    told_of_missed: Option<SocketAddr>,
    collector: Option<String>,
    replayed: bool,
    calls: Option<usize>,
    /// Where services find the registry, if at an address that stays.
    front: Option<Front>,
    /// The lines to all replicas of each part, where callers have such lines.
    balanced: Option<[Balanced; Part::ALL.len()]>,
    processes: [Option<Process>; Part::ALL.len()],
    lines: Lines,
}

impl System {
    /// An empty registry on the morning of 1 October 2024 that knows the sample county's divisions.
    pub async fn start() -> Self {
        Self::start_with(Setup::default()).await
    }

    /// The same, set up in another way.
    pub async fn start_with(setup: Setup) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let doors = setup.sharing.then(Doors::new);
        let trust = setup.tls.map(Trust::founded);
        let prepare = |options: &mut NatsOptions| {
            let configuration = doors.as_ref().map(Doors::server_configuration);
            options.configuration = configuration.unwrap_or_default();
            options.syncing = setup.syncing;
            options.tls = trust.as_ref().map(|trust| trust.of(Base::Log));
        };
        let ours = as_a_service(doors.as_ref(), trust.as_ref());
        let (log_server, databases) = tokio::join!(
            LogServer::start(setup.cluster, folder.path(), ours, prepare),
            Databases::start(setup.own_postgres, trust.as_ref())
        );
        let urls = Urls::fresh(&databases, &setup.parts()).await;
        let mut system = Self {
            log_server,
            doors,
            trust,
            syncing: setup.syncing,
            databases,
            urls,
            folder,
            places: Places::kept(),
            issuer: TokenIssuer::generate(),
            now: setup.as_of,
            told_of_missed: setup.alerts,
            collector: setup.collector,
            replayed: setup.replayed,
            calls: setup.calls,
            front: if setup.rolling {
                Some(Front::open().await)
            } else {
                None
            },
            balanced: None,
            processes: Part::ALL.map(|_| None),
            lines: Lines::nowhere(),
        };
        system.start_processes().await;
        if setup.rolling {
            system.balance();
        }
        if setup.divisions {
            system.import_divisions().await;
        }
        system
    }

    /// The log's server, which is one.
    pub fn nats(&self) -> &Nats {
        self.log_server.alone()
    }

    /// The log's servers, of which there are three.
    pub fn cluster(&self) -> &Cluster {
        self.log_server.cluster()
    }

    /// The databases' server.
    pub fn postgres(&self) -> &Postgres {
        self.databases.postgres()
    }

    /// Where the log's server keeps its streams.
    pub fn streams_folder(&self) -> PathBuf {
        self.folder.path().join(log_server::STREAMS)
    }

    /// The address of registry's database.
    pub fn registry_database(&self) -> &str {
        self.urls.first_of(Part::Elders)
    }

    /// The address of visits' database.
    pub fn visits_database(&self) -> &str {
        self.urls.first_of(Part::Visits)
    }

    /// Everything that the processes have logged so far.
    pub fn logged(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// Moves the clock, and waits until all that falls due up to then is done.
    pub async fn advance_to(&mut self, instant: &str) {
        self.now = at(instant);
        self.settled().await;
    }

    /// Waits until all that is due by the clock is done, in one part that runs after the other.
    pub async fn settled(&self) {
        let to = Some(eldercare::wire::timestamp(self.now));
        let officer = self.officer();
        for part in Part::ALL {
            // Nobody goes on without registry and tiering.
            if part == Part::Elders || self.process(part).is_some() {
                let mut clock = officer.simulation(part);
                let moved = clock.advance_clock(AdvanceClockRequest { to }).await;
                moved.unwrap();
            }
        }
    }

    /// The file of a process' settings: the part's that runs at its place, or another name.
    pub(crate) fn settings_file(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.toml"))
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("system.log")
    }
}

/// A failed story shows what the processes had to say.
impl Drop for System {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the system's log:\n{}", last_words(&self.logged()));
        }
    }
}
