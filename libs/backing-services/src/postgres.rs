//! A PostgreSQL server, which keeps the read models on one machine.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::Rng;
use rand::distr::Alphanumeric;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::account::{Account, copy_folder};
use crate::error::{Error, While};
use crate::install::{POSTGRES, make_once};
use crate::ports::free_port;
use crate::process::{Exit, Plan, Process, Server, aside};
use crate::scratch;
use crate::tools::{PostgresPrograms, Tools, Version};

/// How many free ports are tried before giving up.
const PORTS_TRIED: usize = 10;

/// The superuser and owner of everything.
const USER: &str = "postgres";

/// How a PostgreSQL server is started.
#[derive(Clone, Debug)]
pub struct PostgresOptions {
    /// Where the database, its log and its password lie. As root it may become a link: see [`Postgres`].
    pub data_folder: PathBuf,
    /// The port on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// Settings that override ours, by PostgreSQL's names.
    pub settings: Vec<(String, String)>,
    /// How long it may take until it serves: after a crash it first redoes what was lost.
    pub ready_within: Duration,
}

impl PostgresOptions {
    /// What suits real data on a small machine, on a free port.
    pub fn new(data_folder: impl Into<PathBuf>) -> Self {
        Self {
            data_folder: data_folder.into(),
            port: 0,
            settings: Vec::new(),
            ready_within: Duration::from_secs(300),
        }
    }
}

/// Whether the data is to last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lasting {
    /// Durable, with the settings for real data.
    Yes,
    /// Gone with the handle, and never synced.
    Scratch,
}

/// A PostgreSQL server of our own.
///
/// PostgreSQL refuses to run as root: for root it runs under the account "nobody". Where that account can't enter the
/// data folder, the files are kept in `/var/lib/eldercare` and the data folder is a link to them.
///
/// It ends when the handle is dropped or this process is gone, however it went. The handle depends on no async runtime.
#[derive(Debug)]
pub struct Postgres {
    options: PostgresOptions,
    lasting: Lasting,
    programs: PostgresPrograms,
    account: Account,
    home: PathBuf,
    password: String,
    server: Server,
}

impl Postgres {
    /// Starts the server and waits until it serves. On an empty folder it first makes the database, with a random
    /// password.
    ///
    /// # Errors
    /// No usable programs, a folder that they can't enter or that is in use, a port that is taken, or a setting that
    /// the server refuses.
    pub async fn start(tools: &Tools, options: PostgresOptions) -> Result<Self, Error> {
        let tools = tools.clone();
        let wanted = options.data_folder.clone();
        let (account, home, programs) = aside(move || {
            let account = Account::for_postgres()?;
            let home = account.settle(&wanted)?;
            let programs = tools.postgres(Some(&cluster(&home)))?;
            if !cluster(&home).join("PG_VERSION").exists() {
                // An attempt that was cut short left half a database, which holds nothing.
                let _absent = fs::remove_dir_all(cluster(&home));
                make_database(&programs, account, &home, Lasting::Yes)?;
            }
            Ok((account, home, programs))
        })
        .await?;
        Self::run(options, Lasting::Yes, programs, account, home).await
    }

    /// Starts a server for a test: an empty database, gone with the handle, never synced to disk. Fast, because the
    /// database is made once for these tools and copied for each start.
    ///
    /// # Errors
    /// As for [`Postgres::start`].
    pub async fn for_tests(tools: &Tools) -> Result<Self, Error> {
        let tools = tools.clone();
        let (account, home, programs) = aside(move || {
            let account = Account::for_postgres()?;
            let programs = tools.postgres(None)?;
            let template = template(&tools, &programs, account)?;
            let home = scratch::folder(account)?;
            copy_folder(&template, &home, account, false)
                .doing(|| format!("copy {}", template.display()))?;
            Ok((account, home, programs))
        })
        .await?;
        let options = PostgresOptions::new(&home);
        Self::run(options, Lasting::Scratch, programs, account, home).await
    }

    async fn run(
        options: PostgresOptions,
        lasting: Lasting,
        programs: PostgresPrograms,
        account: Account,
        home: PathBuf,
    ) -> Result<Self, Error> {
        let password =
            fs::read_to_string(password_file(&home)).doing(|| "read the database's password")?;
        let mut tried = 0;
        loop {
            let mut settled = options.clone();
            if settled.port == 0 {
                settled.port = free_port();
            }
            tried += 1;
            match launch(&settled, lasting, &programs, account, &home).await {
                Ok(process) => {
                    let server = Server::new(process);
                    let started = Self {
                        options: settled,
                        lasting,
                        programs,
                        account,
                        home,
                        password,
                        server,
                    };
                    started.connect("answer").await?;
                    return Ok(started);
                }
                Err(Error::PortTaken { .. }) if options.port == 0 && tried < PORTS_TRIED => {}
                Err(failed) => return Err(failed),
            }
        }
    }

    /// The superuser's url of the database `postgres`, password included.
    pub fn url(&self) -> String {
        self.url_of(USER)
    }

    /// The superuser's url of a database of this server, password included.
    pub fn url_of(&self, database: &str) -> String {
        format!(
            "postgres://{USER}:{}@127.0.0.1:{}/{database}?sslmode=disable",
            self.password, self.options.port
        )
    }

    /// The server's port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.options.port
    }

    /// The server's version.
    pub fn version(&self) -> Version {
        self.programs.version
    }

    /// The programs in use; `pg_dump` and `psql` lie beside them.
    pub fn programs(&self) -> &PostgresPrograms {
        &self.programs
    }

    /// Where the files really lie.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// The server's log file.
    pub fn log(&self) -> PathBuf {
        log_file(&self.home)
    }

    /// The main process's id.
    pub fn pid(&self) -> u32 {
        self.server.present().pid()
    }

    /// The memory that the main process holds, in bytes, where the system tells (Linux). Its workers hold their own.
    pub fn resident_bytes(&self) -> Option<u64> {
        self.server.present().resident_bytes()
    }

    /// Waits until the server ends, whoever ended it. After a restart, ask again.
    pub fn exited(&self) -> impl Future<Output = Exit> + Send + use<> {
        self.server.present().exited()
    }

    /// Makes the database unless it is there, and returns its url.
    ///
    /// # Errors
    /// The server can't be reached, or refuses.
    pub async fn ensure_database(&self, name: &str) -> Result<String, Error> {
        let doing = "make a database";
        let mut connection = self.connect(doing).await?;
        let refused = |source| Error::Refused { doing, source };
        let known: Option<i32> = sqlx::query_scalar("SELECT 1 FROM pg_database WHERE datname = $1")
            .bind(name)
            .fetch_optional(&mut connection)
            .await
            .map_err(refused)?;
        if known.is_none() {
            let quoted = name.replace('"', "\"\"");
            let statement = format!("CREATE DATABASE \"{quoted}\" TEMPLATE template0");
            sqlx::raw_sql(AssertSqlSafe(statement))
                .execute(&mut connection)
                .await
                .map_err(refused)?;
        }
        let _gone = connection.close().await;
        Ok(self.url_of(name))
    }

    /// Makes a new, empty database that nobody else uses, and returns its url.
    ///
    /// # Errors
    /// The server can't be reached, or refuses.
    pub async fn fresh_database(&self) -> Result<String, Error> {
        self.ensure_database(&format!("fresh_{:016x}", rand::random::<u64>()))
            .await
    }

    async fn connect(&self, doing: &'static str) -> Result<PgConnection, Error> {
        PgConnection::connect(&self.url())
            .await
            .map_err(|source| Error::Refused { doing, source })
    }

    /// Stops the server in good order: open transactions are rolled back. Its data stays.
    pub async fn stop(&self) -> Exit {
        self.server.present().stop().await
    }

    /// Kills the server and its workers at once, as a crash would.
    pub async fn kill(&self) -> Exit {
        self.server.present().kill().await
    }

    /// Starts the server again on its port and data, after stopping it in good order if it still runs.
    ///
    /// # Errors
    /// As for [`Postgres::start`].
    pub async fn restart(&self) -> Result<(), Error> {
        self.stop().await;
        let started = launch(
            &self.options,
            self.lasting,
            &self.programs,
            self.account,
            &self.home,
        )
        .await?;
        self.server.replace(started);
        self.connect("answer").await?;
        Ok(())
    }
}

fn cluster(home: &Path) -> PathBuf {
    home.join("cluster")
}

fn password_file(home: &Path) -> PathBuf {
    home.join("password")
}

fn log_file(home: &Path) -> PathBuf {
    home.join("postgres.log")
}

/// Makes an empty database and its password in `home`, which the account owns.
fn make_database(
    programs: &PostgresPrograms,
    account: Account,
    home: &Path,
    lasting: Lasting,
) -> Result<(), Error> {
    let password: String = rand::rng()
        .sample_iter(Alphanumeric)
        .take(32)
        .map(char::from)
        .collect();
    let file = password_file(home);
    let writing = || format!("write {}", file.display());
    let mut private = fs::OpenOptions::new();
    let mut opened = private
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o600)
        .open(&file)
        .doing(writing)?;
    opened.write_all(password.as_bytes()).doing(writing)?;
    account.own(&file).doing(writing)?;
    let mut initdb = Command::new(programs.bin.join("initdb"));
    initdb
        .env("LC_ALL", "C")
        .arg("-D")
        .arg(cluster(home))
        .args(["-U", USER, "--encoding=UTF8", "--locale=C"]);
    initdb
        .arg(format!("--pwfile={}", file.display()))
        .args(["--no-instructions", "--data-checksums"]);
    match lasting {
        Lasting::Yes => initdb.arg("--auth=scram-sha-256"),
        // Tests connect by the thousand: the password is still asked for, but not proved by 4,096 rounds of hashing.
        Lasting::Scratch => initdb.args(["--auth=password", "--no-sync", "--wal-segsize=1"]),
    };
    let made = account.run(&mut initdb).output().doing(|| "run initdb")?;
    if made.status.success() {
        return Ok(());
    }
    let reason = String::from_utf8_lossy(&made.stderr).trim().to_owned();
    Err(Error::DidNotStart {
        server: "initdb",
        reason,
    })
}

/// The database that tests start from, made once for these tools and this version.
fn template(
    tools: &Tools,
    programs: &PostgresPrograms,
    account: Account,
) -> Result<PathBuf, Error> {
    let folder = std::path::absolute(&tools.folder).doing(|| "resolve the tools' folder")?;
    make_once(
        &folder,
        &format!("postgres-template-{}", programs.version),
        |unfinished| {
            // The account may not be able to enter the tools' folder: made elsewhere, kept here.
            let made = scratch::folder(account)?;
            let done = make_database(programs, account, &made, Lasting::Scratch).and_then(|()| {
                copy_folder(&made, unfinished, Account::Ours, false)
                    .doing(|| format!("copy {}", made.display()))
            });
            let _left = fs::remove_dir_all(&made);
            done
        },
    )
}

fn settings(lasting: Lasting) -> &'static [(&'static str, &'static str)] {
    match lasting {
        Lasting::Yes => &[
            ("max_connections", "200"),
            ("shared_buffers", "256MB"),
            // Rebuilding a read model writes gigabytes: fewer, larger checkpoints.
            ("max_wal_size", "4GB"),
            ("checkpoint_timeout", "15min"),
            // One machine, no standby: a table that is filled in the transaction that made it needs no log of its own.
            ("wal_level", "minimal"),
            ("max_wal_senders", "0"),
            ("idle_in_transaction_session_timeout", "10min"),
        ],
        Lasting::Scratch => &[
            ("max_connections", "100"),
            ("shared_buffers", "32MB"),
            ("fsync", "off"),
            ("synchronous_commit", "off"),
            ("full_page_writes", "off"),
            ("wal_level", "minimal"),
            ("max_wal_senders", "0"),
            ("autovacuum_naptime", "5min"),
        ],
    }
}

/// What holds in both cases.
const ALWAYS: &[(&str, &str)] = &[
    ("listen_addresses", "127.0.0.1"),
    ("unix_socket_directories", ""),
    ("timezone", "UTC"),
    ("log_timezone", "UTC"),
    // Short queries: compiling them costs more than it saves.
    ("jit", "off"),
    // Statements and the details of errors bear personal data, which no log may hold.
    ("log_min_error_statement", "panic"),
    ("log_error_verbosity", "terse"),
    ("log_parameter_max_length", "0"),
    ("log_parameter_max_length_on_error", "0"),
];

async fn launch(
    options: &PostgresOptions,
    lasting: Lasting,
    programs: &PostgresPrograms,
    account: Account,
    home: &Path,
) -> Result<Arc<Process>, Error> {
    let mut arguments = vec!["-D".into(), cluster(home).into_os_string()];
    let port = ("port", options.port.to_string());
    let fixed = ALWAYS
        .iter()
        .chain(settings(lasting))
        .map(|(name, value)| (*name, (*value).to_owned()));
    let own = options
        .settings
        .iter()
        .map(|(name, value)| (name.as_str(), value.clone()));
    for (name, value) in fixed.chain([port]).chain(own) {
        arguments.extend(["-c".into(), format!("{name}={value}").into()]);
    }
    let plan = Plan {
        server: POSTGRES.server,
        program: programs.bin.join("postgres"),
        arguments,
        // "Fast": sessions are ended, what is committed is written. (TERM would wait for every client to leave.)
        stop_signal: "INT",
        grace: Duration::from_secs(60),
        log: log_file(home),
        scratch: (lasting == Lasting::Scratch).then(|| home.to_owned()),
        account,
    };
    let process = Arc::new(aside(move || Process::start(plan)).await?);
    let since = Instant::now();
    loop {
        if process.ended().is_some() {
            return Err(process.failed_start(options.port));
        }
        if is_ready(home, process.pid()) {
            return Ok(process);
        }
        if since.elapsed() > options.ready_within {
            process.kill().await;
            let seconds = options.ready_within.as_secs();
            return Err(Error::NotReady {
                server: POSTGRES.server,
                seconds,
                log: log_file(home),
            });
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// PostgreSQL tells in its lock file, after its process id and much else, whether it accepts connections: unlike an
/// answer at the port, this can't come from a stranger.
fn is_ready(home: &Path, pid: u32) -> bool {
    let text = fs::read_to_string(cluster(home).join("postmaster.pid")).unwrap_or_default();
    let mut lines = text.lines().map(str::trim);
    lines.next().and_then(|line| line.parse().ok()) == Some(pid)
        && lines.any(|line| line == "ready")
}
