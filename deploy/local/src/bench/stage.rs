//! What a bench plays on: fresh servers, and the service under test as a process of its own.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use backing_services::{Nats, NatsOptions, Postgres, PostgresOptions, Syncing};
use registry::RegistrySettings;
use service::{Claims, Config, TokenIssuer, config::Loader};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};
use toml::{Table, Value};

use super::{Ground, Measured, service::Role};
use crate::{client::Client, connection::Connection, keys::Keys, keys::write_private};

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
    /// The database of the service under test.
    pub(super) database: String,
}

impl Stage {
    /// Starts servers as an office would have them, but for how the log's server syncs.
    pub(super) async fn set(ground: &Ground, name: &str, syncing: Syncing) -> anyhow::Result<Self> {
        let folder = ground.folder.join(name);
        let step = ground.progress.begin("servers", 0);
        let mut options = NatsOptions::new(folder.join("nats"));
        options.syncing = syncing;
        let (nats, postgres) = tokio::join!(
            Nats::start(&ground.tools, options),
            Postgres::start(&ground.tools, PostgresOptions::new(folder.join("postgres"))),
        );
        let (nats, postgres) = (nats?, postgres?);
        let database = postgres.ensure_database("bench").await?;
        let keys = Keys::of(&folder)?;
        let issuer = keys.token_issuer()?;
        let config = folder.join("service.toml");
        let settings = configuration(&nats, syncing, &database, &keys, &issuer)?;
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
        let section = settings
            .entry(section)
            .or_insert_with(|| Value::Table(Table::new()));
        section
            .as_table_mut()
            .context("a section of settings")?
            .insert(key.to_owned(), value.into());
        write_private(&self.config, toml::to_string(&settings)?.as_bytes())
    }

    /// Has what is started from now on work on a database of its own, and ask the registry at an address for keys.
    pub(super) async fn become_peer(&mut self, name: &str, registry: &str) -> anyhow::Result<()> {
        self.database = self.postgres.ensure_database(name).await?;
        let claims = Claims::system(name, "platform")
            .division("*")
            .role("service");
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

    /// A connection to the log's server.
    pub(super) async fn nats_client(&self) -> anyhow::Result<async_nats::Client> {
        Ok(async_nats::connect(self.nats.url()).await?)
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

    /// The processor time that the servers took up to now.
    pub(super) fn processor_times(&self) -> ServersTimes {
        ServersTimes {
            nats: processor_time(self.nats.pid()),
            postgres: with_children(self.postgres.pid()),
        }
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

/// The processor time of servers, where the system tells.
#[derive(Debug, Clone, Copy)]
pub(super) struct ServersTimes {
    pub(super) nats: Option<Duration>,
    /// With all its processes, one for each connection.
    pub(super) postgres: Option<Duration>,
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
        peak_rss(format!("/proc/{}/status", self.pid))
    }

    /// The memory that it holds now, in bytes.
    pub(super) fn rss(&self) -> Option<u64> {
        resident(format!("/proc/{}/status", self.pid), "VmRSS:")
    }

    /// The processor time that it took up to now.
    pub(super) fn processor_time(&self) -> Option<Duration> {
        processor_time(self.pid)
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

/// The fields of what the system says of a process, after its name, which may hold spaces.
fn stat(pid: u32) -> Option<Vec<String>> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields = stat.rsplit_once(')')?.1.split_whitespace();
    Some(fields.map(str::to_owned).collect())
}

/// The processor time that a process took up to now, where the system tells (Linux).
fn processor_time(pid: u32) -> Option<Duration> {
    spent(&stat(pid)?, 11..13)
}

/// The same with its children, those that ended too.
fn with_children(pid: u32) -> Option<Duration> {
    let mut all = spent(&stat(pid)?, 11..15)?;
    let parent = pid.to_string();
    for process in std::fs::read_dir("/proc").ok()?.flatten() {
        let child = process
            .file_name()
            .to_str()
            .and_then(|pid| pid.parse().ok());
        if let Some(fields) = child.and_then(stat)
            && fields.get(1) == Some(&parent)
        {
            all += spent(&fields, 11..13).unwrap_or_default();
        }
    }
    Some(all)
}

/// User and system time are the 12th and 13th fields after the name, those of children that ended the next two.
fn spent(fields: &[String], which: std::ops::Range<usize>) -> Option<Duration> {
    let ticks = fields.get(which)?.iter().map(|ticks| ticks.parse::<u64>());
    let ticks: u64 = ticks.sum::<Result<_, _>>().ok()?;
    // Linux counts hundredths of seconds for programs, whatever it counts by itself.
    Some(Duration::from_millis(ticks * 10))
}

/// The peak of a process's resident memory, in bytes, where the system tells (Linux).
pub(super) fn peak_rss(status: impl AsRef<Path>) -> Option<u64> {
    resident(status, "VmHWM:")
}

fn resident(status: impl AsRef<Path>, field: &str) -> Option<u64> {
    let status = std::fs::read_to_string(status).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_of_memory_is_read_where_the_system_tells() {
        if cfg!(target_os = "linux") {
            assert!(peak_rss("/proc/self/status").unwrap() > 1 << 20);
        }
        assert_eq!(peak_rss("/nowhere"), None);
    }
}
