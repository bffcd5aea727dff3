//! A system of a story's own: a log server and databases that nobody else uses, and the process that serves.

use std::{fs, net::SocketAddr, path::PathBuf};

use backing_services::{Nats, Postgres, testing};
use chrono::{DateTime, Utc};
use proto::eldercare::{
    registry::v1::{
        Elder, ElderChange, EraseElderRequest, GetElderHistoryRequest, ImportDivisionsRequest,
        ListDivisionsRequest, RegisterElderRequest, SearchEldersRequest,
    },
    simulation::v1::AdvanceClockRequest,
    tiering::v1::{GetTierRequest, Tier},
};
use service::TokenIssuer;
use tempfile::TempDir;
use tonic::Code;

use crate::{
    Registry, Tiering, Visits, at,
    callers::{Alerts, Caller, Care, Sharing, officer, reviewer, service_of_the_system},
    county,
    doors::Doors,
    lines::{Lines, line_to, nowhere, ready},
    new_id,
    process::{Part, Process},
    settings::Told,
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
    /// Whether visits run too, in a process of their own.
    pub visits: bool,
    /// Where visits tell of those who were missed; nobody is told where there is nobody.
    pub alerts: Option<SocketAddr>,
    /// Whether alerts run too, in a process of their own.
    pub homes: bool,
    /// Whether claims run too, in a process of their own.
    pub claims: bool,
    /// Whether sharing runs too, in a process of its own, and departments may come in to the log's server. It reads the logs of
    /// all others, which must run.
    pub sharing: bool,
}

impl Setup {
    /// The usual one with visits beside registry and tiering.
    pub fn with_visits() -> Self {
        Self {
            visits: true,
            ..Self::default()
        }
    }

    /// All but sharing.
    pub fn with_all() -> Self {
        Self {
            visits: true,
            homes: true,
            claims: true,
            ..Self::default()
        }
    }

    /// All that there is.
    pub fn with_sharing() -> Self {
        Self {
            sharing: true,
            ..Self::with_all()
        }
    }

    /// The usual one with alerts beside registry and tiering.
    pub fn with_alerts() -> Self {
        Self {
            homes: true,
            ..Self::default()
        }
    }

    /// The usual one with claims beside registry and tiering.
    pub fn with_claims() -> Self {
        Self {
            claims: true,
            ..Self::default()
        }
    }
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            as_of: at("2024-10-01T09:00:00+08:00"),
            own_postgres: false,
            divisions: true,
            visits: false,
            alerts: None,
            homes: false,
            claims: false,
            sharing: false,
        }
    }
}

/// The databases' server.
#[derive(Debug)]
enum Databases {
    Shared(&'static Postgres),
    Own(Box<Postgres>),
}

/// Where the services keep their read models.
#[derive(Debug)]
struct Urls {
    registry: String,
    tiering: String,
    /// None where visits don't run.
    visits: Option<String>,
    /// None where alerts don't run.
    alerts: Option<String>,
    /// None where claims don't run.
    claims: Option<String>,
    /// None where sharing doesn't run.
    sharing: Option<String>,
}

/// A system under test: registry, tiering and a clock in one process, visits, alerts, claims and sharing with a clock in others
/// where a story needs them, over servers of its own.
#[derive(Debug)]
pub struct System {
    nats: Nats,
    /// What opens the log's server; none where everybody may come in.
    pub(crate) doors: Option<Doors>,
    databases: Databases,
    urls: Urls,
    folder: TempDir,
    issuer: TokenIssuer,
    pub(crate) now: DateTime<Utc>,
    told_of_missed: Option<SocketAddr>,
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
        let store = folder.path().join("streams");
        let doors = setup.sharing.then(Doors::new);
        let (nats, databases) = tokio::join!(
            testing::own_nats_with(|options| {
                options.store = Some(store);
                if let Some(doors) = &doors {
                    options.configuration = doors.server_configuration();
                }
            }),
            async {
                if setup.own_postgres {
                    Databases::Own(Box::new(testing::own_postgres().await))
                } else {
                    Databases::Shared(testing::postgres().await)
                }
            }
        );
        let runs = [setup.visits, setup.homes, setup.claims, setup.sharing];
        let urls = Urls::fresh(&databases, runs).await;
        let mut system = Self {
            nats,
            doors,
            databases,
            urls,
            folder,
            issuer: TokenIssuer::generate(),
            now: setup.as_of,
            told_of_missed: setup.alerts,
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
        if setup.divisions {
            system.import_divisions().await;
        }
        system
    }

    /// Where clients that are no programs of ours call.
    pub fn address(&self) -> &str {
        self.running().address()
    }

    /// The same of visits.
    pub fn address_of_visits(&self) -> &str {
        self.running_visits().address()
    }

    /// The same of alerts.
    pub fn address_of_alerts(&self) -> &str {
        self.running_alerts().address()
    }

    /// The same of claims.
    pub fn address_of_claims(&self) -> &str {
        self.running_claims().address()
    }

    /// The same of sharing.
    pub fn address_of_sharing(&self) -> &str {
        self.running_sharing().address()
    }

    /// An officer of civil affairs with every role, for all divisions.
    pub fn officer(&self) -> Caller {
        self.caller(&officer())
    }

    /// Whoever the claims say.
    pub fn caller(&self, claims: &service::Claims) -> Caller {
        Caller::new(self.lines.clone(), &self.issuer, claims)
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

    /// Visits, as an officer sees them.
    pub fn visits(&self) -> Visits {
        self.officer().visits()
    }

    /// Alerts, as an officer sees them.
    pub fn alerts(&self) -> Alerts {
        self.officer().alerts()
    }

    /// Claims, as an officer sees them.
    pub fn claims(&self) -> Care {
        self.officer().claims()
    }

    /// Claims, as the officer sees them who decides on what the other one hands in.
    pub fn review(&self) -> Care {
        self.caller(&reviewer()).claims()
    }

    /// Sharing, as an officer sees it.
    pub fn sharing(&self) -> Sharing {
        self.officer().sharing()
    }

    /// Sharing, as the officer sees it who approves what the other one proposes.
    pub fn sharing_review(&self) -> Sharing {
        self.caller(&reviewer()).sharing()
    }

    /// The process of registry and tiering.
    pub fn running(&self) -> &Process {
        self.elders.as_ref().expect("the system runs")
    }

    /// The process of visits.
    pub fn running_visits(&self) -> &Process {
        self.visits.as_ref().expect("visits run")
    }

    /// The process of alerts.
    pub fn running_alerts(&self) -> &Process {
        self.alerts.as_ref().expect("alerts run")
    }

    /// The process of claims.
    pub fn running_claims(&self) -> &Process {
        self.claims.as_ref().expect("claims run")
    }

    /// The process of sharing.
    pub fn running_sharing(&self) -> &Process {
        self.sharing.as_ref().expect("sharing runs")
    }

    /// Whether all processes still run.
    pub fn is_running(&mut self) -> bool {
        let visits = self.visits.as_mut().map(Process::is_running);
        let alerts = self.alerts.as_mut().map(Process::is_running);
        let claims = self.claims.as_mut().map(Process::is_running);
        let sharing = self.sharing.as_mut().map(Process::is_running);
        visits.unwrap_or(!self.has_visits())
            && alerts.unwrap_or(!self.has_alerts())
            && claims.unwrap_or(!self.has_claims())
            && sharing.unwrap_or(!self.has_sharing())
            && self.elders.as_mut().is_some_and(Process::is_running)
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
        &self.urls.registry
    }

    /// The address of visits' database.
    pub fn visits_database(&self) -> &str {
        self.urls.visits.as_deref().expect("visits run")
    }

    /// Whether visits belong to the system.
    pub fn has_visits(&self) -> bool {
        self.urls.visits.is_some()
    }

    /// Whether alerts belong to the system.
    pub fn has_alerts(&self) -> bool {
        self.urls.alerts.is_some()
    }

    /// Whether claims belong to the system.
    pub fn has_claims(&self) -> bool {
        self.urls.claims.is_some()
    }

    /// Whether sharing belongs to the system.
    pub fn has_sharing(&self) -> bool {
        self.urls.sharing.is_some()
    }

    /// Everything that the processes have logged so far.
    pub fn logged(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// Registers an elder: its id.
    pub async fn register(&self, elder: RegisterElderRequest) -> String {
        self.registered(elder).await.0
    }

    /// Registers an elder: its id, and the position from which on it is known.
    pub async fn registered(&self, elder: RegisterElderRequest) -> (String, String) {
        let registered = self.registry().register_elder(elder).await.unwrap();
        let registered = registered.into_inner();
        (registered.elder_id, registered.committed.unwrap().position)
    }

    /// Erases an elder at the elder's own wish: the position from which on nobody knows it any more.
    pub async fn erase(&self, elder_id: &str) -> String {
        let request = EraseElderRequest {
            request_id: new_id(),
            elder_id: elder_id.to_owned(),
            reason: "ASKED_BY_ELDER".to_owned(),
            ..EraseElderRequest::default()
        };
        let erased = self.registry().erase_elder(request).await.unwrap();
        erased.into_inner().committed.unwrap().position
    }

    /// The files that a search finds.
    pub async fn found(&self, search: SearchEldersRequest) -> Vec<Elder> {
        let answer = self.registry().search_elders(search).await.unwrap();
        answer.into_inner().elders
    }

    /// The ids of the elders that a search finds.
    pub async fn ids_found(&self, search: SearchEldersRequest) -> Vec<String> {
        let found = self.found(search).await;
        found.into_iter().map(|elder| elder.elder_id).collect()
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
            request_id: new_id(),
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

    /// Kills the processes at once, as a crash would.
    pub async fn kill(&mut self) {
        if let Some(visits) = self.visits.take() {
            visits.kill().await;
        }
        if let Some(alerts) = self.alerts.take() {
            alerts.kill().await;
        }
        if let Some(claims) = self.claims.take() {
            claims.kill().await;
        }
        if let Some(sharing) = self.sharing.take() {
            sharing.kill().await;
        }
        self.elders.take().expect("the system runs").kill().await;
    }

    /// Starts the processes again after [`System::kill`], and waits until they are ready.
    pub async fn restart(&mut self) {
        assert!(self.elders.is_none(), "it still runs");
        self.start_processes().await;
    }

    /// Starts the processes again with the clock at a later instant: they were down meanwhile.
    pub async fn restart_at(&mut self, instant: &str) {
        self.now = at(instant);
        self.restart().await;
        self.settled().await;
    }

    /// Kills visits alone; registry and tiering go on.
    pub async fn kill_visits(&mut self) {
        self.visits.take().expect("visits run").kill().await;
    }

    /// Kills registry and tiering; visits go on alone.
    pub async fn kill_all_but_visits(&mut self) {
        self.elders.take().expect("the system runs").kill().await;
    }

    /// Starts visits again after [`System::kill_visits`], and waits until they are ready.
    pub async fn restart_visits(&mut self) {
        assert!(self.visits.is_none(), "they still run");
        self.start_visits().await;
        ready(&self.lines.visits).await;
    }

    /// Kills alerts alone; the others go on.
    pub async fn kill_alerts(&mut self) {
        self.alerts.take().expect("alerts run").kill().await;
    }

    /// Starts alerts again after [`System::kill_alerts`], and waits until they are ready.
    pub async fn restart_alerts(&mut self) {
        assert!(self.alerts.is_none(), "they still run");
        self.start_alerts().await;
        ready(&self.lines.alerts).await;
    }

    /// Kills claims alone; the others go on.
    pub async fn kill_claims(&mut self) {
        self.claims.take().expect("claims run").kill().await;
    }

    /// Starts claims again after [`System::kill_claims`], and waits until they are ready.
    pub async fn restart_claims(&mut self) {
        assert!(self.claims.is_none(), "they still run");
        self.start_claims().await;
        ready(&self.lines.claims).await;
    }

    /// Kills sharing alone; the others go on.
    pub async fn kill_sharing(&mut self) {
        self.sharing.take().expect("sharing runs").kill().await;
    }

    /// Starts sharing again after [`System::kill_sharing`], and waits until it is ready.
    pub async fn restart_sharing(&mut self) {
        assert!(self.sharing.is_none(), "it still runs");
        self.start_sharing().await;
        ready(&self.lines.sharing).await;
    }

    /// Starts another replica of visits, over the same log and database: the process, and an officer who calls it.
    pub async fn replica_of_visits(&self) -> (Process, Caller) {
        let (file, log) = (self.settings_file(Part::Visits), self.log_file());
        let process = Process::start(Part::Visits, &file, &log).await;
        let lines = Lines {
            visits: line_to(&process),
            ..self.lines.clone()
        };
        ready(&lines.visits).await;
        (process, Caller::new(lines, &self.issuer, &officer()))
    }

    /// Gives the services new, empty databases, as if the old ones had been lost. No process may run.
    pub async fn lose_databases(&mut self) {
        assert!(self.elders.is_none(), "it still runs");
        let runs = [
            self.has_visits(),
            self.has_alerts(),
            self.has_claims(),
            self.has_sharing(),
        ];
        self.urls = Urls::fresh(&self.databases, runs).await;
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

    fn told<'a>(&'a self, database: &'a str) -> Told<'a> {
        Told {
            nats: self.nats.url(),
            database,
            issuer: &self.issuer,
            doors: self.doors.as_ref(),
            now: self.now,
        }
    }

    async fn start_processes(&mut self) {
        let file = self.settings_file(Part::Elders);
        self.told(&self.urls.registry)
            .write_for_elders(&file, &self.urls.tiering);
        let elders = Process::start(Part::Elders, &file, &self.log_file()).await;
        self.lines.elders = line_to(&elders);
        self.elders = Some(elders);
        if self.has_visits() {
            self.start_visits().await;
            ready(&self.lines.visits).await;
        }
        if self.has_alerts() {
            self.start_alerts().await;
            ready(&self.lines.alerts).await;
        }
        if self.has_claims() {
            self.start_claims().await;
            ready(&self.lines.claims).await;
        }
        // After all others, whose streams it reads.
        if self.has_sharing() {
            self.start_sharing().await;
            ready(&self.lines.sharing).await;
        }
        ready(&self.lines.elders).await;
    }

    async fn start_visits(&mut self) {
        let file = self.settings_file(Part::Visits);
        self.told(self.visits_database()).write_for_visits(
            &file,
            self.address(),
            self.told_of_missed,
        );
        let visits = Process::start(Part::Visits, &file, &self.log_file()).await;
        self.lines.visits = line_to(&visits);
        self.visits = Some(visits);
    }

    async fn start_alerts(&mut self) {
        let file = self.settings_file(Part::Alerts);
        let database = self.urls.alerts.as_deref().expect("alerts run");
        self.told(database).write_for_alerts(&file, self.address());
        let alerts = Process::start(Part::Alerts, &file, &self.log_file()).await;
        self.lines.alerts = line_to(&alerts);
        self.alerts = Some(alerts);
    }

    async fn start_claims(&mut self) {
        let file = self.settings_file(Part::Claims);
        let database = self.urls.claims.as_deref().expect("claims run");
        self.told(database).write_for_claims(&file, self.address());
        let claims = Process::start(Part::Claims, &file, &self.log_file()).await;
        self.lines.claims = line_to(&claims);
        self.claims = Some(claims);
    }

    async fn start_sharing(&mut self) {
        let file = self.settings_file(Part::Sharing);
        let database = self.urls.sharing.as_deref().expect("sharing runs");
        self.told(database).write_for_sharing(&file, self.address());
        let sharing = Process::start(Part::Sharing, &file, &self.log_file()).await;
        self.lines.sharing = line_to(&sharing);
        self.sharing = Some(sharing);
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

impl Urls {
    /// Databases that nobody has used, for registry and tiering, and for those of visits, alerts, claims and sharing that run.
    async fn fresh(databases: &Databases, runs: [bool; 4]) -> Self {
        let postgres: &Postgres = match databases {
            Databases::Shared(postgres) => postgres,
            Databases::Own(postgres) => postgres,
        };
        let fresh = || async { postgres.fresh_database().await.unwrap() };
        let fresh_if = async |runs: bool| if runs { Some(fresh().await) } else { None };
        let [visits, alerts, claims, sharing] = runs;
        Self {
            registry: fresh().await,
            tiering: fresh().await,
            visits: fresh_if(visits).await,
            alerts: fresh_if(alerts).await,
            claims: fresh_if(claims).await,
            sharing: fresh_if(sharing).await,
        }
    }
}
