//! The system's own processes, which can be killed at any moment and started again.

use std::{
    fmt,
    fs::{self, File},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, ChildStdin, Command},
    time::timeout,
};

/// The longest that a process may take to find out that it can't start.
const STARTING: Duration = Duration::from_secs(180);

/// The longest that a process may take to go down in order.
const GOING_DOWN: Duration = Duration::from_secs(180);

/// What a process of the system is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Registry and tiering.
    Elders,
    /// Visits.
    Visits,
    /// Alerts.
    Alerts,
    /// Claims.
    Claims,
    /// Sharing.
    Sharing,
}

impl Part {
    /// All of them, in the order in which they start: after those whose streams they read.
    pub const ALL: [Self; 5] = [
        Self::Elders,
        Self::Visits,
        Self::Alerts,
        Self::Claims,
        Self::Sharing,
    ];

    /// Who serves this: a service or a method of one, by its full name.
    pub fn serving(name: &str) -> Self {
        let context = name.split('.').nth(1).unwrap_or_default();
        Self::ALL
            .into_iter()
            .find(|part| part.to_string() == context)
            .unwrap_or(Self::Elders)
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Elders => "elders",
            Self::Visits => "visits",
            Self::Alerts => "alerts",
            Self::Claims => "claims",
            Self::Sharing => "sharing",
        })
    }
}

/// A running process of the system. It is gone with the handle, and with the process that holds the handle.
#[derive(Debug)]
pub struct Process {
    child: Child,
    /// The process ends when this closes.
    _lifeline: ChildStdin,
    address: String,
}

impl Process {
    /// Starts a part of the system by these settings and waits until it listens. Its log is added to `log`.
    pub async fn start(part: Part, settings: &Path, log: &Path) -> Self {
        let log = File::options().create(true).append(true).open(log).unwrap();
        let mut child = Command::new(program())
            .arg(part.to_string())
            .arg(settings)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lifeline = child.stdin.take().unwrap();
        let mut told = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = told.next_line().await.unwrap();
        let address = first.and_then(|line| line.strip_prefix("listening on ").map(str::to_owned));
        let address =
            address.expect("the process ended before it listened; its log is printed below");
        Self {
            child,
            _lifeline: lifeline,
            address,
        }
    }

    /// Starts a part of the system by settings with which it can't start: what it said before it ended. It never listened.
    pub(crate) async fn refused(part: Part, settings: &Path) -> String {
        let mut child = Command::new(program())
            .arg(part.to_string())
            .arg(settings)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let _lifeline = child.stdin.take();
        let ended = timeout(STARTING, child.wait_with_output()).await;
        let ended = ended.expect("it goes on").unwrap();
        assert!(!ended.status.success(), "it went down in order");
        assert_eq!(ended.stdout, b"", "it listened");
        String::from_utf8(ended.stderr).unwrap()
    }

    /// Where it listens.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id().expect("the process runs")
    }

    /// Asks it to go down in order (SIGTERM), as a platform does.
    pub async fn ask_to_go_down(&self) {
        let pid = self.pid().to_string();
        let asked = Command::new("sh")
            .args(["-c", "kill -s TERM \"$1\"", "sh", &pid])
            .status()
            .await;
        assert!(asked.unwrap().success(), "it runs no more");
    }

    /// Waits until it has gone down after [`Process::ask_to_go_down`], and without a failure.
    pub async fn has_gone_down(mut self) {
        let ended = timeout(GOING_DOWN, self.child.wait()).await;
        let ended = ended.expect("it does not go down").unwrap();
        assert!(ended.success(), "it went down with a failure: {ended}");
    }

    /// Kills it at once (SIGKILL), as a crash would.
    pub async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// The processor time that it has taken so far, in the machine's ticks. Linux only.
    pub fn processor_ticks(&self) -> u64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        // The program's name stands in brackets, and may hold anything.
        let (_, numbers) = stat.rsplit_once(')').unwrap();
        // What it did itself, and what the kernel did for it.
        let ticks = numbers.split_whitespace().skip(11).take(2);
        ticks.map(|ticks| ticks.parse::<u64>().unwrap()).sum()
    }

    /// The most memory that it has held so far, in bytes. Linux only.
    pub fn peak_resident_bytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmHWM:"))
            .unwrap();
        let kibibytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        kibibytes << 10
    }
}

/// Cargo puts the program one folder above the tests.
fn program() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let folder = tests.ancestors().nth(2).unwrap();
    folder.join(format!("system-under-test{}", std::env::consts::EXE_SUFFIX))
}
