//! The whole system in one process: the two servers under it, all services behind one port, and the clock that they go by.

use std::{
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    sync::Arc,
};

use alerts::AlertsSettings;
use anyhow::Context as _;
use backing_services::Tools;
use chrono::TimeDelta;
use civic::LocalDay;
use claims::ClaimsSettings;
use eventlog::EventLog;
use proto::eldercare::simulation::v1::simulation_service_server::SimulationServiceServer;
use readmodel::Follower;
use registry::RegistrySettings;
use service::{
    Application as _, Claims, Clock, Server, Settings, Shutdown, Supervised, TokenIssuer,
    config::Loader, connections, settings::Mode,
};
use sharing::SharingSettings;
use sqlx::PgPool;
use tiering::TieringSettings;
use tokio::{
    sync::{Mutex, oneshot},
    task::JoinHandle,
};
use visits::VisitsSettings;

use crate::{
    connection::{Connection, ConnectionFile, GATEWAY, REVIEWER},
    data_folder::DataFolder,
    keys::Keys,
    nats_users,
    notices_here::tell_here,
    output::Progress,
    servers::Servers,
    simulation::{NextDue, Settled, Settling, Simulation},
};

/// How long tokens of the launcher are valid.
const TOKENS: TimeDelta = TimeDelta::days(30);

/// How long the token is valid by which visits tell alerts: as long as a system may run without a stop.
const SERVICE_TOKEN: TimeDelta = TimeDelta::days(3_650);

/// All roles of civil affairs: what the operator of one machine may do.
const ROLES: [&str; 5] = [
    "viewer",
    "clerk",
    "supervisor",
    "administrator",
    "privacy_officer",
];

/// Departments that get tokens to try with, as in the sample county.
const DEPARTMENTS: [&str; 5] = [
    "civil_affairs",
    "health",
    "disability_federation",
    "finance",
    "public_security",
];

/// What a system is started with.
#[derive(Debug)]
pub struct Start {
    /// Where it keeps everything.
    pub folder: DataFolder,
    /// Where the servers' programs come from.
    pub tools: Tools,
    /// Settings of the services: the file and the environment.
    pub loader: Loader,
    /// The clock.
    pub clock: Clock,
    /// Where it serves; port 0 takes a free one.
    pub listen: SocketAddr,
}

/// A system that serves.
#[derive(Debug)]
pub struct System {
    /// Where it keeps everything.
    pub folder: DataFolder,
    /// What `up` writes down for the other commands.
    pub connection: ConnectionFile,
    /// The clock.
    pub clock: Clock,
    servers: Servers,
    shutdown: Shutdown,
    serving: JoinHandle<anyhow::Result<()>>,
}

/// The services, connected but not serving: also for the operator's commands that work beside a system.
pub struct Services {
    /// The registry.
    pub registry: registry::App,
    /// Tiering.
    pub tiering: tiering::App,
    /// Visits.
    pub visits: visits::App,
    /// Alerts.
    pub alerts: alerts::App,
    /// Claims.
    pub claims: claims::App,
    /// Sharing.
    pub sharing: sharing::App,
}

/// Where the services reach each other, the token that they show there, and the file with what is told where nobody is named.
#[derive(Debug)]
pub struct Peers {
    endpoint: String,
    token: String,
    notices: PathBuf,
}

impl std::fmt::Debug for Services {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Services").finish_non_exhaustive()
    }
}

/// All that has to be done by a day in tiering, visits and claims: what falls due on it, and what follows from facts and policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Due {
    day: LocalDay,
    /// The last record of the registry's log.
    registry: u64,
    /// The last record of tiering's log.
    tiering: u64,
}

/// What there was to do when all of it was done last.
#[derive(Debug, Clone, Copy, Default)]
struct LastTime {
    due: Option<Due>,
    /// The last record of alerts' log.
    alerts: Option<u64>,
}

/// The settings of one service on this machine.
///
/// # Errors
/// A database that isn't there.
pub fn settings_of(
    service: &str,
    common: &Settings,
    servers: &Servers,
    keys: &Keys,
) -> anyhow::Result<Settings> {
    let mut settings = common.clone();
    settings.nats.url = service::settings::Address::new(&servers.nats_url);
    let password = keys.nats_passwords()?;
    nats_users::come_in(&mut settings.nats, service, &password(service));
    // They are there by then, and nobody but an operator may make any.
    settings.nats.create_streams = false;
    settings.nats.sync_always = servers.sync_always;
    settings.postgres.url = service::settings::Address::new(servers.database(service)?);
    settings.vault = service::settings::Vault {
        algorithm: common.vault.algorithm.clone(),
        ..keys.vault()
    };
    settings.auth.mode = Mode::Local;
    Ok(settings)
}

impl Services {
    /// Connects all services to their servers. Whose peers are known tell each other what happens.
    ///
    /// # Errors
    /// Settings that can't be read, or servers that don't answer.
    pub async fn connect(
        loader: &Loader,
        servers: &Servers,
        keys: &Keys,
        clock: &Clock,
        peers: Option<&Peers>,
    ) -> anyhow::Result<Self> {
        servers.make_streams(keys).await?;
        let config = loader.load::<RegistrySettings>()?;
        let settings = settings_of("registry", &config.common, servers, keys)?;
        let registry = registry::App::connect(&settings, &config.own, clock.clone())
            .await
            .context("the registry")?;
        // After the registry, whose stream it reads.
        let config = loader.load::<TieringSettings>()?;
        let settings = settings_of("tiering", &config.common, servers, keys)?;
        let tiering = tiering::App::connect(&settings, &config.own, clock.clone())
            .await
            .context("tiering")?;
        let config = loader.load::<VisitsSettings>()?;
        let mut settings = settings_of("visits", &config.common, servers, keys)?;
        if let Some(peers) = peers {
            let alerts = ("alerts".to_owned(), peers.endpoint.clone());
            settings.peers.extend([alerts]);
            settings.auth.service_token = Some(service::Secret::new(&peers.token));
        }
        let visits = visits::App::beside_registry(&settings, clock.clone(), registry.vault())
            .await
            .context("visits")?;
        let mut config = loader.load::<AlertsSettings>()?;
        // On one machine there is no gateway unless somebody names one.
        config.own.notices.log = true;
        config.own.devices = Some(keys.nats_doors()?);
        let settings = settings_of("alerts", &config.common, servers, keys)?;
        let vault = registry.vault();
        let alerts = alerts::App::beside_registry(&settings, &config.own, clock.clone(), vault)
            .await
            .context("alerts")?;
        let config = loader.load::<ClaimsSettings>()?;
        let settings = settings_of("claims", &config.common, servers, keys)?;
        let claims = claims::App::beside_registry(&settings, clock.clone(), registry.vault())
            .await
            .context("claims")?;
        // After all others, whose streams it reads.
        let mut config = loader.load::<SharingSettings>()?;
        config.own.audit = keys.audit();
        config.own.feeds.access = Some(keys.nats_doors()?);
        if let Some(peers) = peers {
            tell_here(&peers.notices, &mut config.own.notices);
        }
        let settings = settings_of("sharing", &config.common, servers, keys)?;
        let vault = registry.vault();
        let sharing = sharing::App::beside_registry(&settings, &config.own, clock.clone(), vault)
            .await
            .context("sharing")?;
        Ok(Self {
            registry,
            tiering,
            visits,
            alerts,
            claims,
            sharing,
        })
    }

    /// The database of a service; none where there is no such service.
    pub(crate) fn pool(&self, service: &str) -> Option<PgPool> {
        match service {
            "registry" => Some(self.registry.pool()),
            "tiering" => Some(self.tiering.pool()),
            "visits" => Some(self.visits.pool()),
            "alerts" => Some(self.alerts.pool()),
            "claims" => Some(self.claims.pool()),
            "sharing" => Some(self.sharing.pool()),
            _ => None,
        }
    }

    /// The log of a service; none where there is no such service.
    pub(crate) fn log(&self, service: &str) -> Option<Arc<dyn EventLog>> {
        match service {
            "registry" => Some(self.registry.log()),
            "tiering" => Some(self.tiering.log()),
            "visits" => Some(self.visits.log()),
            "alerts" => Some(self.alerts.log()),
            "claims" => Some(self.claims.log()),
            "sharing" => Some(self.sharing.log()),
            _ => None,
        }
    }

    /// Waits for all that is due by the clock to be done, in each service, and sees whether it goes on.
    fn settled(services: &Arc<Self>, shutdown: &Shutdown) -> Settled {
        let (services, given_up) = (Arc::clone(services), shutdown.requested());
        let last_time: Arc<Mutex<LastTime>> = Arc::default();
        Arc::new(move |moved, patience| {
            let services = Arc::clone(&services);
            let last_time = Arc::clone(&last_time);
            let tiering = services.tiering.settled(given_up.clone());
            let visits = services.visits.settled(given_up.clone());
            let alerts = services.alerts.settled(given_up.clone());
            let claims = services.claims.settled(given_up.clone());
            let sharing = services.sharing.settled(given_up.clone());
            Box::pin(async move {
                // Whoever does not move the clock asks for all that is under way, records of visits and orders too.
                let asks_for_all = moved.from >= moved.to;
                let before = services.read_so_far();
                let settling = async {
                    services.alerts.keeps_up().await;
                    let due = services.due_on(LocalDay::of(moved.to));
                    let own = services.alerts.log();
                    let (due, own) = tokio::join!(due, connections::last_sequence(own.as_ref()));
                    let mut last_time = last_time.lock().await;
                    // Between two midnights only what is new in the logs that others follow brings something about in
                    // tiering, visits and claims.
                    if asks_for_all || last_time.due != Some(due) {
                        tokio::join!(tiering, visits, claims);
                        last_time.due = Some(due);
                    }
                    // What fell due at alerts stands in their log: somebody may have to be told of it.
                    if asks_for_all || last_time.alerts != Some(own) {
                        alerts.await;
                        last_time.alerts = Some(own);
                    }
                    // Sharing only reads: it is waited for by who asks for all.
                    if asks_for_all {
                        sharing.await;
                    }
                };
                match tokio::time::timeout(patience, settling).await {
                    Ok(()) => Settling::Done,
                    Err(_elapsed) if services.read_so_far() == before => Settling::StandsStill,
                    Err(_elapsed) => Settling::GoesOn,
                }
            })
        })
    }

    /// When something falls due next at an hour of the day: only alerts wait for hours.
    fn next_due(services: &Arc<Self>) -> NextDue {
        let services = Arc::clone(services);
        Arc::new(move || {
            let services = Arc::clone(&services);
            Box::pin(async move { services.alerts.keeps_up().await })
        })
    }

    /// What falls due on a day in tiering, visits and claims.
    async fn due_on(&self, day: LocalDay) -> Due {
        let (registry, tiering) = (self.registry.log(), self.tiering.log());
        let (registry, tiering) = tokio::join!(
            connections::last_sequence(registry.as_ref()),
            connections::last_sequence(tiering.as_ref()),
        );
        Due {
            day,
            registry,
            tiering,
        }
    }

    /// How far the read models have got: whatever is done is written to a log, and then read.
    fn read_so_far(&self) -> Vec<u64> {
        let tiering = self.tiering.followers();
        let visits = self.visits.followers();
        let alerts = self.alerts.followers();
        let claims = self.claims.followers();
        let sharing = self.sharing.followers();
        let all = tiering.iter().chain(&visits).chain(&alerts);
        let all = all.chain(&claims).chain(sharing);
        all.map(Follower::known).collect()
    }

    /// Waits until the read models are where the logs are.
    fn caught_up(&self, shutdown: &Shutdown) -> impl Future<Output = ()> + Send + use<> {
        let registry = self.registry.settled(shutdown.requested());
        let tiering = self.tiering.settled(shutdown.requested());
        let visits = self.visits.settled(shutdown.requested());
        let alerts = self.alerts.settled(shutdown.requested());
        let claims = self.claims.settled(shutdown.requested());
        let sharing = self.sharing.settled(shutdown.requested());
        async move {
            tokio::join!(registry, tiering, visits, alerts, claims, sharing);
        }
    }
}

impl System {
    /// Starts servers and services, and waits until they are ready.
    ///
    /// # Errors
    /// Whatever keeps a part from starting; what was started already ends again.
    pub async fn start(start: Start, progress: Progress) -> anyhow::Result<Self> {
        let Start {
            folder,
            tools,
            loader,
            clock,
            listen,
        } = start;
        let keys = folder.keys()?;
        let issuer = keys.token_issuer()?;
        let servers = Servers::start(&folder, &tools, &keys, progress).await?;
        let step = progress.begin("启动 starting the services", 0);
        let listen = at_a_known_port(listen)?;
        let peers = Peers {
            endpoint: format!("http://{listen}"),
            token: issuer.issue(&service_of_the_platform()),
            notices: folder.notices(),
        };
        let services = Services::connect(&loader, &servers, &keys, &clock, Some(&peers)).await?;

        let mut settings = loader.load::<()>()?.common;
        settings.grpc.listen = listen;
        settings.auth.mode = Mode::Local;
        settings.auth.keys = vec![issuer.public_key()];
        let shutdown = Shutdown::new(&settings.shutdown);
        let mut tasks = Supervised::new(&shutdown);
        services.registry.background().start(&mut tasks, &shutdown);
        services.tiering.background().start(&mut tasks, &shutdown);
        services.visits.background().start(&mut tasks, &shutdown);
        services.alerts.background().start(&mut tasks, &shutdown);
        services.claims.background().start(&mut tasks, &shutdown);
        services.sharing.background().start(&mut tasks, &shutdown);
        let services = Arc::new(services);
        let simulation = Simulation::new(clock.clone(), Services::settled(&services, &shutdown))
            .stopping_at(Services::next_due(&services));
        let server = Server::new(&settings);
        let server = services.registry.add_to(server, &shutdown);
        let server = services.tiering.add_to(server, &shutdown);
        let server = services.visits.add_to(server, &shutdown);
        let server = services.alerts.add_to(server, &shutdown);
        let server = services.claims.add_to(server, &shutdown);
        let server = services.sharing.add_to(server, &shutdown);
        let server = server.service(
            SimulationServiceServer::new(simulation),
            Simulation::actions(),
        );
        let (ready, begun) = oneshot::channel();
        let caught_up = services.caught_up(&shutdown);
        let bound = server
            .ready_when(async move {
                caught_up.await;
                let _nobody_waits = ready.send(());
            })
            .bind()
            .await?;
        let endpoint = format!("http://{}", bound.address());
        let mut serving = tokio::spawn({
            let shutdown = shutdown.clone();
            async move { tasks.run(bound.serve(&shutdown)).await }
        });
        tokio::select! {
            _all_read = begun => {}
            served = &mut serving => {
                served.context("the services")??;
                anyhow::bail!("the services ended before they were ready");
            }
        }
        step.done(&endpoint);
        let connection = connection_file(endpoint, &issuer, &servers, &keys);
        Ok(Self {
            folder,
            connection,
            clock,
            servers,
            shutdown,
            serving,
        })
    }

    /// How to speak with it as the operator.
    pub fn connection(&self) -> Connection {
        self.connection.connection()
    }

    /// Waits until a part of it ends by itself, which none should.
    pub async fn failed(&mut self) -> anyhow::Error {
        tokio::select! {
            why = self.servers.failed() => anyhow::anyhow!(why),
            served = &mut self.serving => match served {
                Ok(Ok(())) => anyhow::anyhow!("the services ended though nobody asked them to"),
                Ok(Err(error)) => error,
                Err(error) => anyhow::Error::new(error),
            },
        }
    }

    /// Drains: calls in flight finish, read models commit, and then the servers stop.
    ///
    /// # Errors
    /// What went wrong on the way down; everything is stopped nevertheless.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.shutdown.request();
        let served = if self.serving.is_finished() {
            Ok(Ok(()))
        } else {
            self.serving.await
        };
        self.servers.stop().await;
        served.context("the services")?
    }
}

/// The services are told where they reach each other before any of them listens.
fn at_a_known_port(listen: SocketAddr) -> anyhow::Result<SocketAddr> {
    if listen.port() != 0 {
        return Ok(listen);
    }
    let free = TcpListener::bind(listen).context("find a free port")?;
    Ok(free.local_addr()?)
}

/// What a service shows to its peers.
fn service_of_the_platform() -> Claims {
    everywhere(Claims::system("visits", "platform").role("service")).valid_for(SERVICE_TOKEN)
}

fn everywhere(claims: Claims) -> Claims {
    claims
        .division("*")
        .purpose("trial on one machine")
        .valid_for(TOKENS)
}

fn connection_file(
    endpoint: String,
    issuer: &TokenIssuer,
    servers: &Servers,
    keys: &Keys,
) -> ConnectionFile {
    let with_roles = |claims: Claims| ROLES.into_iter().fold(claims, Claims::role);
    let operator = with_roles(everywhere(Claims::officer("operator", "civil_affairs")))
        .role("operator")
        .role("simulator");
    let tokens = DEPARTMENTS.map(|department| {
        let claims = everywhere(Claims::officer(format!("{department}-officer"), department));
        let claims = if department == "civil_affairs" {
            with_roles(claims)
        } else {
            // They confirm erasures, too.
            claims.role("viewer").role("privacy_officer")
        };
        (department.to_owned(), issuer.issue(&claims))
    });
    let gateway = everywhere(Claims::system(GATEWAY, "platform").role(GATEWAY));
    let gateway = (GATEWAY.to_owned(), issuer.issue(&gateway));
    // An appeal is decided by somebody else than who handed in the order or filed the appeal.
    let reviewer = everywhere(Claims::officer(REVIEWER, "civil_affairs").role("supervisor"));
    let reviewer = (REVIEWER.to_owned(), issuer.issue(&reviewer));
    ConnectionFile {
        endpoint,
        token: issuer.issue(&operator),
        tokens: tokens.into_iter().chain([gateway, reviewer]).collect(),
        nats_url: servers.nats_url.clone(),
        nats_user: servers.nats_user.clone(),
        mqtt_url: servers
            .mqtt_port
            .map(|port| format!("mqtt://127.0.0.1:{port}")),
        databases: servers.databases.clone(),
        kek_id: keys.kek_id.clone(),
        pid: std::process::id(),
    }
}
