//! A PostgreSQL server, which keeps the read models on one machine.

use std::fmt;
use std::fs::{self, DirBuilder, File};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
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
use crate::tls::Tls;
use crate::tools::{PostgresPrograms, Tools, Version};

/// How many free ports are tried before giving up.
const PORTS_TRIED: usize = 10;

/// PostgreSQL's own files in the data folder.
const CLUSTER: &str = "cluster";

/// The superuser and owner of everything.
const USER: &str = "postgres";

/// PostgreSQL's code for a database that is there already.
const DUPLICATE_DATABASE: &str = "42P04";

/// How a PostgreSQL server is started.
#[derive(Clone, Debug)]
pub struct PostgresOptions {
    /// Where the database, its log and its password lie. As root it may hold a link to the database: see [`Postgres`].
    pub data_folder: PathBuf,
    /// The port on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// Settings that override ours, by PostgreSQL's names.
    pub settings: Vec<(String, String)>,
    /// How it and its clients know each other, if they are to speak TLS: nobody comes in without it then.
    pub tls: Option<Tls>,
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
            tls: None,
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

/// What runs where.
#[derive(Clone, Debug)]
struct Place {
    programs: PostgresPrograms,
    account: Account,
    /// The data folder, for what is ours: the log and the password.
    home: PathBuf,
    /// PostgreSQL's own files.
    cluster: PathBuf,
    lasting: Lasting,
}

/// A PostgreSQL server of our own.
///
/// PostgreSQL refuses to run as root: for root it runs under the account "nobody". Where that account can't enter the
/// data folder, PostgreSQL's own files are kept in `/var/lib/eldercare`, and `cluster` in the data folder is a link to
/// them.
///
/// It ends when the handle is dropped or this process is gone, however it went. The handle depends on no async runtime.
pub struct Postgres {
    options: PostgresOptions,
    place: Place,
    password: String,
    server: Server,
}

/// Without the password.
impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres")
            .field("place", &self.place)
            .field("port", &self.options.port)
            .finish_non_exhaustive()
    }
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
        let folder = options.data_folder.clone();
        let place = aside(move || {
            let account = Account::for_postgres()?;
            let home =
                std::path::absolute(&folder).doing(|| format!("resolve {}", folder.display()))?;
            let making = || format!("make the folder {}", home.display());
            DirBuilder::new()
                .recursive(true)
                .mode(0o755)
                .create(&home)
                .doing(making)?;
            let making_lock = File::create(home.join(".making.lock")).doing(making)?;
            making_lock.lock().doing(making)?;
            let cluster = account.settle(&home.join(CLUSTER))?;
            let programs = tools.postgres(Some(&cluster))?;
            if !cluster.exists() {
                make_database(&programs, account, &home, &cluster, Lasting::Yes)?;
            }
            Ok(Place {
                programs,
                account,
                home,
                cluster,
                lasting: Lasting::Yes,
            })
        })
        .await?;
        Self::run(options, place).await
    }

    /// Starts a server for a test: an empty database, gone with the handle, never synced to disk. Fast, because the
    /// database is made once for these tools and copied for each start.
    ///
    /// # Errors
    /// As for [`Postgres::start`].
    pub async fn for_tests(tools: &Tools) -> Result<Self, Error> {
        Self::for_tests_with(tools, |_| {}).await
    }

    /// As [`Postgres::for_tests`], with options that the test changes; where its data lies is not the test's to say.
    ///
    /// # Errors
    /// As for [`Postgres::start`].
    pub async fn for_tests_with(
        tools: &Tools,
        change: impl FnOnce(&mut PostgresOptions),
    ) -> Result<Self, Error> {
        let tools = tools.clone();
        let place = aside(move || {
            let account = Account::for_postgres()?;
            let programs = tools.postgres(None)?;
            let template = template(&tools, &programs, account)?;
            let home = scratch::fast_folder(account)?;
            copy_folder(&template, &home, account, false)
                .doing(|| format!("copy {}", template.display()))?;
            let cluster = home.join(CLUSTER);
            Ok(Place {
                programs,
                account,
                home,
                cluster,
                lasting: Lasting::Scratch,
            })
        })
        .await?;
        let mut options = PostgresOptions::new(&place.home);
        change(&mut options);
        Self::run(options, place).await
    }

    async fn run(options: PostgresOptions, place: Place) -> Result<Self, Error> {
        let password = fs::read_to_string(password_file(&place.home))
            .doing(|| "read the database's password")?;
        let mut tried = 0;
        loop {
            let mut settled = options.clone();
            if settled.port == 0 {
                settled.port = free_port();
            }
            tried += 1;
            match launch(&settled, &place).await {
                Ok(process) => {
                    let server = Server::new(process);
                    let started = Self {
                        options: settled,
                        place,
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
        self.url_by(database, Tls::verifying)
    }

    /// The url of a database for a client that goes about TLS so, where there is any.
    fn url_by(&self, database: &str, way: impl FnOnce(&Tls) -> String) -> String {
        let tls = self.options.tls.as_ref();
        let way = tls.map_or_else(|| "sslmode=disable".to_owned(), way);
        format!(
            "postgres://{USER}:{}@127.0.0.1:{}/{database}?{way}",
            self.password, self.options.port
        )
    }

    /// The server's port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.options.port
    }

    /// The server's version.
    pub fn version(&self) -> Version {
        self.place.programs.version
    }

    /// The programs in use; `pg_dump` and `psql` lie beside them.
    pub fn programs(&self) -> &PostgresPrograms {
        &self.place.programs
    }

    /// Where PostgreSQL's own files really lie.
    pub fn cluster(&self) -> &Path {
        &self.place.cluster
    }

    /// The server's log file.
    pub fn log(&self) -> PathBuf {
        log_file(&self.place.home)
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
            match sqlx::raw_sql(AssertSqlSafe(statement))
                .execute(&mut connection)
                .await
            {
                Ok(_) => {}
                // Another was faster.
                Err(sqlx::Error::Database(answer))
                    if answer.code().as_deref() == Some(DUPLICATE_DATABASE) => {}
                Err(source) => return Err(refused(source)),
            }
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
        PgConnection::connect(&self.url_by(USER, Tls::trusting))
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
        let started = launch(&self.options, &self.place).await?;
        self.server.replace(started);
        self.connect("answer").await?;
        Ok(())
    }
}

fn password_file(home: &Path) -> PathBuf {
    home.join("password")
}

fn log_file(home: &Path) -> PathBuf {
    home.join("postgres.log")
}

/// Makes an empty database in `cluster`, whole or not at all, and its password in `home`.
fn make_database(
    programs: &PostgresPrograms,
    account: Account,
    home: &Path,
    cluster: &Path,
    lasting: Lasting,
) -> Result<(), Error> {
    let password: String = rand::rng()
        .sample_iter(Alphanumeric)
        .take(32)
        .map(char::from)
        .collect();
    write_private(&password_file(home), &password)?;
    let unfinished = cluster.with_extension("unfinished");
    let making = || format!("make the folder {}", unfinished.display());
    // An attempt that was cut short left half a database, which holds nothing.
    let _absent = fs::remove_dir_all(&unfinished);
    if let Some(parent) = unfinished.parent() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(parent)
            .doing(making)?;
    }
    DirBuilder::new()
        .mode(0o700)
        .create(&unfinished)
        .doing(making)?;
    account.own(&unfinished).doing(making)?;
    // The account can't enter every data folder, so initdb reads the password beside the database.
    let told = cluster.with_extension("password");
    write_private(&told, &password)?;
    account.own(&told).doing(making)?;
    let mut initdb = Command::new(programs.bin.join("initdb"));
    initdb.env("LC_ALL", "C").arg("-D").arg(&unfinished).args([
        "-U",
        USER,
        "--encoding=UTF8",
        "--locale=C",
    ]);
    initdb
        .arg(format!("--pwfile={}", told.display()))
        .args(["--no-instructions", "--data-checksums"]);
    if lasting == Lasting::Scratch {
        initdb.args(["--no-sync", "--wal-segsize=1"]);
    }
    initdb.arg(format!("--auth={}", proof(lasting)));
    let made = account.run(&mut initdb).output().doing(|| "run initdb");
    fs::remove_file(&told).doing(|| format!("remove {}", told.display()))?;
    let made = made?;
    if !made.status.success() {
        let reason = String::from_utf8_lossy(&made.stderr).trim().to_owned();
        return Err(Error::DidNotStart {
            server: "initdb",
            reason,
        });
    }
    fs::rename(&unfinished, cluster).doing(making)
}

/// Only we may read it.
pub(crate) fn write_private(file: &Path, content: &str) -> Result<(), Error> {
    let writing = || format!("write {}", file.display());
    let _absent = fs::remove_file(file);
    let mut private = fs::OpenOptions::new();
    let mut opened = private
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(file)
        .doing(writing)?;
    opened.write_all(content.as_bytes()).doing(writing)
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
            let made = scratch::fast_folder(account)?;
            let done = make_database(
                programs,
                account,
                &made,
                &made.join(CLUSTER),
                Lasting::Scratch,
            )
            .and_then(|()| {
                copy_folder(&made, unfinished, Account::Ours, false)
                    .doing(|| format!("copy {}", made.display()))
            });
            let _left = fs::remove_dir_all(&made);
            done
        },
    )
}

/// How a client proves that it knows the password.
fn proof(lasting: Lasting) -> &'static str {
    match lasting {
        Lasting::Yes => "scram-sha-256",
        // Tests connect by the thousand: it is asked for, but not proved by 4,096 rounds of hashing.
        Lasting::Scratch => "password",
    }
}

fn settings(lasting: Lasting) -> &'static [(&'static str, &'static str)] {
    match lasting {
        Lasting::Yes => &[
            ("max_connections", "400"),
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
            ("max_connections", "300"),
            ("shared_buffers", "32MB"),
            // A killed server loses nothing that the operating system has; a machine that loses power does.
            ("fsync", "off"),
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

async fn launch(options: &PostgresOptions, place: &Place) -> Result<Arc<Process>, Error> {
    let mut arguments = vec!["-D".into(), place.cluster.clone().into_os_string()];
    let port = ("port", options.port.to_string());
    let fixed = ALWAYS
        .iter()
        .chain(settings(place.lasting))
        .map(|(name, value)| (*name, (*value).to_owned()));
    let tls = options.tls.clone();
    let secured = tls.iter().flat_map(|tls| tls.of_postgres(&place.cluster));
    let own = options
        .settings
        .iter()
        .map(|(name, value)| (name.as_str(), value.clone()));
    for (name, value) in fixed.chain([port]).chain(secured).chain(own) {
        arguments.extend(["-c".into(), format!("{name}={value}").into()]);
    }
    let plan = Plan {
        server: POSTGRES.server,
        program: place.programs.bin.join("postgres"),
        arguments,
        // "Fast": sessions are ended, what is committed is written. (TERM would wait for every client to leave.)
        stop_signal: "INT",
        grace: Duration::from_secs(60),
        log: log_file(&place.home),
        scratch: (place.lasting == Lasting::Scratch).then(|| place.home.clone()),
        account: place.account,
    };
    let (cluster, lasting) = (place.cluster.clone(), place.lasting);
    let started = aside(move || {
        if let Some(tls) = tls {
            tls.lay(&cluster, plan.account, proof(lasting))?;
        }
        Process::start(plan)
    });
    let process = Arc::new(started.await?);
    let since = Instant::now();
    loop {
        if process.ended().is_some() {
            return Err(process.failed_start(options.port));
        }
        if is_ready(&place.cluster, process.pid()) {
            return Ok(process);
        }
        if since.elapsed() > options.ready_within {
            process.kill().await;
            let seconds = options.ready_within.as_secs();
            return Err(Error::NotReady {
                server: POSTGRES.server,
                seconds,
                log: log_file(&place.home),
            });
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// PostgreSQL tells in its lock file, after its process id and much else, whether it accepts connections: unlike an
/// answer at the port, this can't come from a stranger.
fn is_ready(cluster: &Path, pid: u32) -> bool {
    let text = fs::read_to_string(cluster.join("postmaster.pid")).unwrap_or_default();
    let mut lines = text.lines().map(str::trim);
    lines.next().and_then(|line| line.parse().ok()) == Some(pid)
        && lines.any(|line| line == "ready")
}
