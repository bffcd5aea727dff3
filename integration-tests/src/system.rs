//! A system of a story's own: a log server and databases that nobody else uses, and the process that serves.

mod asking;
mod callers;
mod crashes;
mod databases;
mod processes;
mod rolling;
mod setup;

use std::{fs, net::SocketAddr, path::PathBuf};

use backing_services::{Nats, Postgres};
use chrono::{DateTime, Utc};
use proto::eldercare::simulation::v1::AdvanceClockRequest;
use service::TokenIssuer;
use tempfile::TempDir;

use self::databases::{Databases, Urls};
pub use self::{crashes::Backup, setup::Setup};
use crate::{
    at,
    balanced::Balanced,
    cluster::Cluster,
    doors::Doors,
    front::Front,
    lines::{Lines, nowhere},
    log_server::{self, LogServer},
    places::Places,
    process::{Part, Process},
};

/// A system under test: registry, tiering and a clock in one process, visits, alerts, claims and sharing with a clock in others
/// where a story needs them, over servers of its own.
#[derive(Debug)]
pub struct System {
    pub(crate) log_server: LogServer,
    /// What opens the log's server; none where everybody may come in.
    pub(crate) doors: Option<Doors>,
    databases: Databases,
    urls: Urls,
    folder: TempDir,
    places: Places,
    issuer: TokenIssuer,
    pub(crate) now: DateTime<Utc>,
    told_of_missed: Option<SocketAddr>,
    collector: Option<String>,
    calls: Option<usize>,
    /// Where services find the registry, if at an address that stays.
    front: Option<Front>,
    /// The lines to all replicas of each part, where callers have such lines.
    balanced: Option<[Balanced; Part::ALL.len()]>,
    elders: Option<Process>,
    visits: Option<Process>,
    alerts: Option<Process>,
    claims: Option<Process>,
    sharing: Option<Process>,
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
        let (log_server, databases) = tokio::join!(
            LogServer::start(setup.cluster, folder.path(), doors.as_ref()),
            Databases::start(setup.own_postgres)
        );
        let runs = [setup.visits, setup.homes, setup.claims, setup.sharing];
        let urls = Urls::fresh(&databases, runs).await;
        let mut system = Self {
            log_server,
            doors,
            databases,
            urls,
            folder,
            places: Places::kept(),
            issuer: TokenIssuer::generate(),
            now: setup.as_of,
            told_of_missed: setup.alerts,
            collector: setup.collector,
            calls: setup.calls,
            front: if setup.rolling {
                Some(Front::open().await)
            } else {
                None
            },
            balanced: None,
            elders: None,
            visits: None,
            alerts: None,
            claims: None,
            sharing: None,
            lines: Lines {
                elders: nowhere(),
                visits: nowhere(),
                alerts: nowhere(),
                claims: nowhere(),
                sharing: nowhere(),
            },
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
        &self.urls.registry
    }

    /// The address of visits' database.
    pub fn visits_database(&self) -> &str {
        self.urls.visits.as_deref().expect("visits run")
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

    /// Waits until all that is due by the clock is done, first in registry and tiering, then in visits, alerts,
    /// claims and sharing where they run.
    pub async fn settled(&self) {
        let to = Some(eldercare::wire::timestamp(self.now));
        let officer = self.officer();
        let mut clocks = vec![officer.simulation()];
        if self.visits.is_some() {
            clocks.push(officer.simulation_of_visits());
        }
        if self.alerts.is_some() {
            clocks.push(officer.simulation_of_alerts());
        }
        if self.claims.is_some() {
            clocks.push(officer.simulation_of_claims());
        }
        if self.sharing.is_some() {
            clocks.push(officer.simulation_of_sharing());
        }
        for mut clock in clocks {
            let moved = clock.advance_clock(AdvanceClockRequest { to }).await;
            moved.unwrap();
        }
    }

    pub(crate) fn settings_file(&self, part: Part) -> PathBuf {
        self.folder.path().join(format!("{part}.toml"))
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("system.log")
    }
}

/// A failed story shows what the processes had to say.
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
