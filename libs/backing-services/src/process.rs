//! One running server and the little supervisor that sees to it that the server never outlives us.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::account::Account;
use crate::error::{Error, While};

/// A log longer than this (8 MiB) is set aside when the server starts.
const LOG_LIMIT: u64 = 8 << 20;

/// How long a predecessor may take to let go of the data folder.
const HANDOVER: Duration = Duration::from_secs(60);

/// How a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit {
    /// Its exit code; 128 and the signal's number when a signal ended it (137: killed).
    pub code: i32,
}

impl From<ExitStatus> for Exit {
    fn from(status: ExitStatus) -> Self {
        Self {
            code: status
                .code()
                .unwrap_or_else(|| 128 + status.signal().unwrap_or(0)),
        }
    }
}

/// What to run, and how it is stopped.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// The server's name, for messages.
    pub(crate) server: &'static str,
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<OsString>,
    /// The signal for a stop in good order, as `kill -s` knows it.
    pub(crate) stop_signal: &'static str,
    /// How long the server may take to stop before it is killed.
    pub(crate) grace: Duration,
    /// Where the server's output is appended. Whoever holds this file open holds the data folder.
    pub(crate) log: PathBuf,
    /// Removed when we are gone.
    pub(crate) scratch: Option<PathBuf>,
    pub(crate) account: Account,
}

/// A server under its supervisor. It depends on no async runtime, so it may live in a static.
#[derive(Debug)]
pub(crate) struct Process {
    plan: Plan,
    pid: u32,
    orders: Mutex<Option<ChildStdin>>,
    exit: watch::Receiver<Option<Exit>>,
    /// How long the log was before this start.
    log_began: u64,
}

impl Process {
    /// Starts the server; it is not ready yet. Blocks while a predecessor still holds the data folder.
    pub(crate) fn start(plan: Plan) -> Result<Self, Error> {
        let log = claim_log(&plan)?;
        let log_began = log
            .metadata()
            .doing(|| format!("read {}", plan.log.display()))?
            .len();
        let mut command = Command::new("/bin/sh");
        command.args(["-c", include_str!("supervisor.sh"), "supervisor"]);
        command
            .arg(plan.stop_signal)
            .arg(plan.grace.as_secs().to_string());
        command.arg(plan.scratch.as_deref().unwrap_or(Path::new("")));
        command.arg(&plan.program).args(&plan.arguments);
        // Messages are read by us; PostgreSQL must not take its settings from the caller's surroundings.
        command
            .env("LC_ALL", "C")
            .env_remove("PGDATA")
            .env_remove("PGPORT")
            .env_remove("PGOPTIONS");
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log);
        // A Ctrl-C at the terminal is for us: the servers are stopped after the drain.
        command.process_group(0);
        plan.account.run(&mut command);
        let starting = || format!("start the supervisor of {}", plan.server);
        let mut supervisor = command.spawn().doing(starting)?;
        let orders = supervisor.stdin.take();
        let mut pid = String::new();
        if let Some(output) = supervisor.stdout.take() {
            BufReader::new(output).read_line(&mut pid).doing(starting)?;
        }
        let (ended, exit) = watch::channel(None);
        std::thread::Builder::new()
            .name(format!("{} exit", plan.server))
            .spawn(move || {
                let exit = supervisor.wait().map_or(Exit { code: -1 }, Exit::from);
                ended.send_replace(Some(exit));
            })
            .doing(starting)?;
        let pid = pid.trim().parse().map_err(|_| Error::DidNotStart {
            server: plan.server,
            reason: log_since(&plan.log, log_began),
        })?;
        Ok(Self {
            plan,
            pid,
            orders: Mutex::new(orders),
            exit,
            log_began,
        })
    }

    /// The server's process id.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// How the server ended, if it has.
    pub(crate) fn ended(&self) -> Option<Exit> {
        *self.exit.borrow()
    }

    /// Waits until the server has ended.
    pub(crate) fn exited(&self) -> impl Future<Output = Exit> + Send + use<> {
        let mut exit = self.exit.clone();
        async move {
            match exit.wait_for(Option::is_some).await {
                Ok(exit) => exit.unwrap_or(Exit { code: -1 }),
                Err(_) => Exit { code: -1 },
            }
        }
    }

    /// Stops the server in good order, or kills it when that takes longer than its grace.
    pub(crate) async fn stop(&self) -> Exit {
        self.order("stop");
        match tokio::time::timeout(self.plan.grace, self.exited()).await {
            Ok(exit) => exit,
            Err(_) => {
                tracing::warn!(
                    server = self.plan.server,
                    "did not stop in time and is killed"
                );
                self.kill().await
            }
        }
    }

    /// Kills the server at once.
    pub(crate) async fn kill(&self) -> Exit {
        self.order("kill");
        self.exited().await
    }

    /// Halts the server where it stands, until [`Process::resume`].
    pub(crate) fn pause(&self) {
        self.order("pause");
    }

    /// Has the server go on after [`Process::pause`].
    pub(crate) fn resume(&self) {
        self.order("resume");
    }

    fn order(&self, order: &str) {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pipe) = orders.as_mut() {
            // A supervisor that is gone has no server left to order about.
            let _gone = writeln!(pipe, "{order}");
        }
    }

    /// The memory that the server's main process holds, in bytes, where the system tells (Linux).
    pub(crate) fn resident_bytes(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).ok()?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kibibytes * 1024)
    }

    /// What the server has written since this start.
    pub(crate) fn log(&self) -> String {
        log_since(&self.plan.log, self.log_began)
    }

    /// The failure of a server that ended before it was ready.
    pub(crate) fn failed_start(&self, port: u16) -> Error {
        let log = self.log();
        if log.to_ascii_lowercase().contains("address already in use") {
            return Error::PortTaken {
                server: self.plan.server,
                port,
            };
        }
        let lines: Vec<&str> = log.trim_end().lines().collect();
        let last = lines
            .get(lines.len().saturating_sub(8)..)
            .unwrap_or_default()
            .join("\n");
        Error::DidNotStart {
            server: self.plan.server,
            reason: last,
        }
    }
}

/// A server's handle: its present process, which a restart replaces.
#[derive(Debug)]
pub(crate) struct Server {
    scratch: Option<PathBuf>,
    present: Mutex<Arc<Process>>,
}

impl Server {
    pub(crate) fn new(process: Arc<Process>) -> Self {
        Self {
            scratch: process.plan.scratch.clone(),
            present: Mutex::new(process),
        }
    }

    pub(crate) fn present(&self) -> Arc<Process> {
        self.present
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn replace(&self, process: Arc<Process>) {
        *self.present.lock().unwrap_or_else(PoisonError::into_inner) = process;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The pipe closes now, and the supervisor stops a running server and tidies up; that of an ended one is gone.
        if let (Some(scratch), Some(_)) = (&self.scratch, self.present().ended()) {
            let _left = fs::remove_dir_all(scratch);
        }
    }
}

/// Opens the log and takes the lock on it, which the server inherits: the lock lasts until the last of its processes
/// is gone, so no second server can ever run on the same data.
fn claim_log(plan: &Plan) -> Result<File, Error> {
    let opening = || format!("open {}", plan.log.display());
    let mut log = OpenOptions::new()
        .create(true)
        .append(true)
        .read(true)
        .open(&plan.log)
        .doing(opening)?;
    let since = Instant::now();
    loop {
        match log.try_lock() {
            Ok(()) => break,
            Err(TryLockError::WouldBlock) if since.elapsed() < HANDOVER => {
                std::thread::sleep(Duration::from_millis(10))
            }
            Err(TryLockError::WouldBlock) => {
                let path = plan.log.parent().unwrap_or(&plan.log).to_owned();
                return Err(Error::InUse {
                    server: plan.server,
                    path,
                });
            }
            Err(TryLockError::Error(source)) => return Err(source).doing(opening),
        }
    }
    if log.metadata().doing(opening)?.len() > LOG_LIMIT {
        fs::copy(&plan.log, plan.log.with_extension("log.1")).doing(opening)?;
        log.set_len(0).doing(opening)?;
    }
    log.flush().doing(opening)?;
    Ok(log)
}

fn log_since(log: &Path, began: u64) -> String {
    let mut text = Vec::new();
    let _unreadable = File::open(log).and_then(|mut file| {
        file.seek(SeekFrom::Start(began))?;
        file.take(1 << 20).read_to_end(&mut text)
    });
    String::from_utf8_lossy(&text).into_owned()
}

/// Runs blocking work aside, so that the async runtime goes on.
pub(crate) async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(broken) => match broken.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(Error::System {
                doing: "finish: the program is shutting down".into(),
                source: io::ErrorKind::Interrupted.into(),
            }),
        },
    }
}
