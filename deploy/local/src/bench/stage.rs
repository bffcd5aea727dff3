//! What a bench plays on: fresh servers, and the service under test as a process of its own.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use async_nats::ConnectOptions;
use backing_services::{Nats, NatsOptions, Postgres, PostgresOptions, Syncing};
use registry::RegistrySettings;
use service::{Claims, Config, TokenIssuer, config::Loader};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};
use toml::{Table, Value};

use super::{
    Ground, Measured,
    processes::{self, processor_time},
    service::Role,
};
use crate::{
    client::Client,
    connection::{Connection, ConnectionFile},
    keys::{Keys, write_private},
    servers::SERVICES,
};

/// How long a service may take until it says that it is ready: it may first have to build its read model.
const PATIENCE: Duration = Duration::from_secs(1_800);

/// How many HTTP/2 connections the callers share.
pub(super) const CONNECTIONS: usize = 4;

/// Servers with nothing in them.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) nats: Nats,
    pub(super) postgres: Postgres,
    folder: PathBuf,
    config: PathBuf,
    token: String,
    /// The services' user of a log's server that asks who comes, and its password.
    nats_user: Option<(String, String)>,
    /// The database of the service under test.
    pub(super) database: String,
}

impl Stage {
    /// Starts servers as an office would have them, but for how the log's server syncs, and that it lets everybody in.
    pub(super) async fn set(ground: &Ground, name: &str, syncing: Syncing) -> anyhow::Result<Self> {
        Self::with_doors(ground, name, syncing, false).await
    }

    /// The same with a log's server that lets the services in alone, and others by their word.
    pub(super) async fn guarded(
        ground: &Ground,
        name: &str,
        syncing: Syncing,
    ) -> anyhow::Result<Self> {
        Self::with_doors(ground, name, syncing, true).await
    }

    async fn with_doors(
        ground: &Ground,
        name: &str,
        syncing: Syncing,
        guarded: bool,
    ) -> anyhow::Result<Self> {
        let folder = ground.folder.join(name);
        let step = ground.progress.begin("servers", 0);
        std::fs::create_dir_all(&folder)?;
        let keys = Keys::of(&folder)?;
        let mut options = NatsOptions::new(folder.join("nats"));
        options.syncing = syncing;
        if guarded {
            options.configuration = keys.server_access()?.server_configuration();
        }
        let nats_user = guarded.then(|| keys.nats_user()).transpose()?;
        let (nats, postgres) = tokio::join!(
            Nats::start(&ground.tools, options),
            Postgres::start(&ground.tools, PostgresOptions::new(folder.join("postgres"))),
        );
        let (nats, postgres) = (nats?, postgres?);
        let database = postgres.ensure_database("bench").await?;
        let issuer = keys.token_issuer()?;
        let config = folder.join("service.toml");
        let mut settings = configuration(&nats, syncing, &database, &keys, &issuer)?;
        if let Some((user, password)) = &nats_user {
            set(&mut settings, "nats", "user", user.as_str())?;
            set(&mut settings, "nats", "password", password.as_str())?;
        }
        write_private(&config, toml::to_string(&settings)?.as_bytes())?;
        step.done(&format!(
            "NATS {}, PostgreSQL {}",
            nats.version(),
            postgres.version()
        ));
        let roles = ["viewer", "clerk", "supervisor", "administrator"];
        let claims = roles.into_iter().fold(
            Claims::officer("bench", "civil_affairs")
                .division("*")
                .purpose("bench"),
            Claims::role,
        );
        Ok(Self {
            nats,
            postgres,
            token: issuer.issue(&claims),
            folder,
            config,
            nats_user,
            database,
        })
    }

    /// The settings that the service is started with.
    pub(super) fn settings(&self) -> anyhow::Result<Config<RegistrySettings>> {
        Ok(Loader::new(Some(&self.config), [])?.load()?)
    }

    /// A token for a caller.
    pub(super) fn token_of(&self, claims: &Claims) -> anyhow::Result<String> {
        Ok(Keys::of(&self.folder)?.token_issuer()?.issue(claims))
    }

    /// Sets one more key of the service's settings.
    pub(super) fn configure(
        &self,
        section: &str,
        key: &str,
        value: impl Into<Value>,
    ) -> anyhow::Result<()> {
        let mut settings: Table = toml::from_str(&std::fs::read_to_string(&self.config)?)?;
        set(&mut settings, section, key, value)?;
        write_private(&self.config, toml::to_string(&settings)?.as_bytes())
    }

    /// Has what is started from now on work on a database of its own, and ask the registry at an address for keys.
    pub(super) async fn become_peer(&mut self, name: &str, registry: &str) -> anyhow::Result<()> {
        self.database = self.postgres.ensure_database(name).await?;
        let claims = Claims::system(name, "platform")
            .division("*")
            .role("service")
            .purpose("bench");
        let token = self.token_of(&claims)?;
        self.configure("postgres", "url", self.database.as_str())?;
        self.configure("peers", "registry", registry)?;
        self.configure("auth", "service_token", token)
    }

    /// Has what is started from now on begin at an instant (RFC 3339), as on one user's own machine.
    pub(super) fn set_clock(&self, as_of: &str) -> anyhow::Result<()> {
        self.configure("auth", "mode", "local")?;
        self.configure("clock", "as_of", as_of)
    }

    /// Has sharing, started from now on, let departments in to the guarded log's server.
    pub(super) fn let_departments_in(&self) -> anyhow::Result<()> {
        let doors = Keys::of(&self.folder)?.nats_doors()?;
        let sealing = doors.sealing_seed.as_ref();
        let told = [
            ("issuer_seed", Some(doors.issuer_seed.expose())),
            ("sealing_seed", sealing.map(service::Secret::expose)),
            ("system_user", Some(doors.system_user.as_str())),
            ("system_password", Some(doors.system_password.expose())),
        ];
        let told = told.into_iter().filter_map(|(key, value)| {
            let value = value.map(Value::from)?;
            Some((key.to_owned(), value))
        });
        let access = Value::Table(told.collect());
        let feeds = Table::from_iter([("access".to_owned(), access)]);
        self.configure("sharing", "feeds", feeds)
    }

    /// How to speak with a service also as somebody who decides on what the caller handed in: nobody does so on their own.
    pub(super) fn reviewed(&self, served: &Served) -> anyhow::Result<Connection> {
        let reviewer = Claims::officer("reviewer", "civil_affairs")
            .division("*")
            .role("supervisor");
        Ok(Connection {
            reviewer: Some(service::Secret::new(self.token_of(&reviewer)?)),
            ..served.connection()
        })
    }

    /// What a system would leave for the operator's commands beside it: where the servers are, with a database for each
    /// service.
    pub(super) async fn connection_file(&self) -> anyhow::Result<ConnectionFile> {
        let mut databases = BTreeMap::new();
        for service in SERVICES {
            let database = self.postgres.ensure_database(service).await?;
            databases.insert(service.to_owned(), database);
        }
        Ok(ConnectionFile {
            endpoint: String::new(),
            token: self.token.clone(),
            tokens: BTreeMap::new(),
            nats_url: self.nats.url(),
            nats_user: self.nats_user.clone().unwrap_or_default(),
            mqtt_url: None,
            databases,
            kek_id: Keys::of(&self.folder)?.kek_id,
            pid: std::process::id(),
        })
    }

    /// A connection to the log's server.
    pub(super) async fn nats_client(&self) -> anyhow::Result<async_nats::Client> {
        let options = match self.nats_user.clone() {
            Some((user, password)) => ConnectOptions::with_user_and_password(user, password),
            None => ConnectOptions::new(),
        };
        Ok(options.connect(self.nats.url()).await?)
    }

    /// A connection to the database.
    pub(super) async fn database(&self) -> anyhow::Result<sqlx::PgConnection> {
        Ok(<sqlx::PgConnection as sqlx::Connection>::connect(&self.database).await?)
    }

    /// A file that a service under test finds beside its configuration.
    pub(super) fn leave(&self, extension: &str, content: &[u8]) -> anyhow::Result<()> {
        write_private(&self.config.with_extension(extension), content)
    }

    /// Starts a process of the service under test, and waits until it is ready.
    pub(super) async fn start(&self, role: Role) -> anyhow::Result<Served> {
        let log = self.folder.join(format!("{}.log", role.name()));
        let mut child = Command::new(std::env::current_exe()?)
            .arg("bench-service")
            .arg(role.name())
            .arg("--config")
            .arg(&self.config)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(&log)?)
            .kill_on_drop(true)
            .spawn()
            .context("start the service under test")?;
        let pid = child.id().context("the service under test ended at once")?;
        let stdin = child.stdin.take().context("its standard input")?;
        let stdout = child.stdout.take().context("its standard output")?;
        let mut served = Served {
            child,
            stdin,
            said: BufReader::new(stdout).lines(),
            pid,
            log,
            address: String::new(),
            token: self.token.clone(),
        };
        served.address = served.says("ready").await?;
        Ok(served)
    }

    /// Stops the servers and starts them again on the same data, as after a restart of the machine.
    pub(super) async fn restart_servers(&self) -> anyhow::Result<()> {
        let (nats, postgres) = tokio::join!(self.nats.restart(), self.postgres.restart());
        nats?;
        postgres?;
        Ok(())
    }

    /// Stops the servers.
    pub(super) async fn strike(self) {
        tokio::join!(self.nats.stop(), self.postgres.stop());
    }

    /// Notes on what a figure was measured.
    pub(super) fn note(&self, measured: Measured) -> Measured {
        measured
            .with("nats", self.nats.version().to_string())
            .with("postgres", self.postgres.version().to_string())
            .with(
                "cores",
                std::thread::available_parallelism().map_or(0, usize::from),
            )
    }
}

/// Sets a key of settings.
fn set(
    settings: &mut Table,
    section: &str,
    key: &str,
    value: impl Into<Value>,
) -> anyhow::Result<()> {
    let section = settings
        .entry(section)
        .or_insert_with(|| Value::Table(Table::new()));
    let section = section.as_table_mut().context("a section of settings")?;
    section.insert(key.to_owned(), value.into());
    Ok(())
}

/// The configuration of a service under test, as an operator would write it.
fn configuration(
    nats: &Nats,
    syncing: Syncing,
    database: &str,
    keys: &Keys,
    issuer: &TokenIssuer,
) -> anyhow::Result<Table> {
    let text = |text: &str| Value::from(text);
    let vault = keys.vault();
    let secret = |secret: &Option<service::Secret>| {
        text(
            secret
                .as_ref()
                .map(service::Secret::expose)
                .unwrap_or_default(),
        )
    };
    let sections = [
        ("grpc", vec![("listen", text("127.0.0.1:0"))]),
        (
            "nats",
            vec![
                ("url", text(&nats.url())),
                ("sync_always", Value::from(syncing == Syncing::Always)),
            ],
        ),
        ("postgres", vec![("url", text(database))]),
        (
            "auth",
            vec![(
                "keys",
                Value::Array(vec![Value::try_from(issuer.public_key())?]),
            )],
        ),
        (
            "vault",
            vec![
                ("kek", secret(&vault.kek)),
                ("kek_id", text(&vault.kek_id)),
                ("index_key", secret(&vault.index_key)),
                ("index_key_id", text(&vault.index_key_id)),
            ],
        ),
    ];
    let table = |pairs: Vec<(&str, Value)>| {
        pairs
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect::<Table>()
    };
    Ok(sections
        .into_iter()
        .map(|(section, pairs)| (section.to_owned(), Value::Table(table(pairs))))
        .collect())
}

/// A process of the service under test. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Served {
    child: Child,
    /// It ends when this is closed.
    stdin: ChildStdin,
    said: Lines<BufReader<ChildStdout>>,
    pid: u32,
    log: PathBuf,
    address: String,
    token: String,
}

impl Served {
    /// Waits until it says this word, and returns what it says of it.
    pub(super) async fn says(&mut self, word: &str) -> anyhow::Result<String> {
        let listening = async {
            while let Some(line) = self.said.next_line().await? {
                if let Some(rest) = line.strip_prefix(word) {
                    return Ok(rest.trim().to_owned());
                }
            }
            let told = std::fs::read_to_string(&self.log).unwrap_or_default();
            let told: Vec<_> = told.lines().rev().take(5).collect();
            anyhow::bail!(
                "the service under test ended before it said `{word}`:\n{}",
                told.into_iter().rev().collect::<Vec<_>>().join("\n")
            )
        };
        tokio::time::timeout(PATIENCE, listening)
            .await
            .with_context(|| format!("the service under test does not say `{word}`"))?
    }

    /// Where it serves.
    pub(super) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How to speak with it.
    pub(super) fn connection(&self) -> Connection {
        Connection {
            endpoint: self.endpoint(),
            token: service::Secret::new(&self.token),
            gateway: None,
            reviewer: None,
            departments: Default::default(),
        }
    }

    /// Callers of it, each with a connection of its own.
    pub(super) fn clients(&self) -> anyhow::Result<Vec<Client>> {
        let connection = self.connection();
        (0..CONNECTIONS).map(|_| Client::new(&connection)).collect()
    }

    /// The most memory that it held up to now, in bytes.
    pub(super) fn peak_rss(&self) -> Option<u64> {
        processes::peak_rss(format!("/proc/{}/status", self.pid))
    }

    /// The memory that it holds now, in bytes.
    pub(super) fn rss(&self) -> Option<u64> {
        processes::rss(format!("/proc/{}/status", self.pid))
    }

    /// The processor time that it took up to now.
    pub(super) fn processor_time(&self) -> Option<Duration> {
        processor_time(self.pid)
    }

    /// The processor time that it took since it had taken so much.
    pub(super) fn processor_time_since(&self, before: Option<Duration>) -> Option<Duration> {
        let both = self.processor_time().zip(before);
        both.map(|(now, before)| now - before)
    }

    /// Brings it down in good order.
    pub(super) async fn stop(mut self) -> anyhow::Result<()> {
        drop(self.stdin);
        let since = Instant::now();
        let ended = tokio::time::timeout(Duration::from_secs(40), self.child.wait()).await;
        let status = ended.context("the service under test does not go down")??;
        ensure!(
            status.success(),
            "the service under test failed after {:?}: {status}",
            since.elapsed()
        );
        Ok(())
    }
}
