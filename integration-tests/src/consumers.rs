//! Programs of departments, in other languages, that follow feeds: installed, started, cut off, and what they hold.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use backing_services::testing;
use serde_json::{Map, Value};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStderr, ChildStdout, Command},
    sync::OnceCell,
    task::JoinHandle,
    time::timeout,
};

use crate::{node::Node, sources};

/// The longest that a story waits for a program's next line.
const PATIENCE: Duration = Duration::from_secs(120);

/// In which language a program is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// `python/feed_consumer.py`.
    Python,
    /// `javascript/feed_consumer.mjs`.
    JavaScript,
}

impl Language {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Python, Self::JavaScript];
}

/// The sample programs, with what they need.
#[derive(Debug)]
pub struct Programs {
    /// Packages for Python.
    python: PathBuf,
    /// The program of Node.js.
    node: PathBuf,
    /// The program in JavaScript, beside its packages: it looks for them nowhere else.
    javascript: PathBuf,
}

impl Programs {
    /// The programs, installed once for all stories.
    pub async fn installed() -> &'static Self {
        static INSTALLED: OnceCell<Programs> = OnceCell::const_new();
        INSTALLED.get_or_init(Self::install).await
    }

    async fn install() -> Self {
        let (for_python, for_javascript) = (sources().join("python"), sources().join("javascript"));
        let python =
            testing::python_packages("integration-tests", &for_python.join("requirements.txt"))
                .await;
        let node = Node::installed().await;
        let folder = node.place("feed-consumer");
        node.put(&for_javascript, &folder).await;
        Self {
            python,
            node: node.program(),
            javascript: folder.join("feed_consumer.mjs"),
        }
    }

    /// Packages for the program in Python.
    pub fn for_python(&self) -> &Path {
        &self.python
    }

    /// Starts a program for a department: it keeps what it holds in the file `state`.
    pub fn start(
        &self,
        language: Language,
        department: &Department,
        state: &Path,
        arguments: &[&str],
    ) -> Consumer {
        let mut command = match language {
            Language::Python => {
                let mut command = Command::new("python3");
                command
                    .arg(sources().join("python/feed_consumer.py"))
                    .env("PYTHONPATH", &self.python)
                    .env("PYTHONIOENCODING", "utf-8");
                command
            }
            Language::JavaScript => {
                let mut command = Command::new(&self.node);
                command.arg(&self.javascript);
                command
            }
        };
        if let Some(authority) = &department.authority {
            // Of OpenSSL, and of Node.js.
            command
                .env("SSL_CERT_FILE", authority)
                .env("NODE_EXTRA_CA_CERTS", authority);
        }
        let mut child = command
            .args(arguments)
            .env("FEED_SERVER", &department.server)
            .env("FEED_USER", &department.user)
            .env("FEED_PASSWORD", &department.password)
            .env("FEED_INBOX_PREFIX", &department.inbox_prefix)
            .env("FEED_CONSUMER", &department.consumer)
            .env("FEED_STATE", state)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let told = BufReader::new(child.stdout.take().unwrap()).lines();
        let complaints = Complaints::of(child.stderr.take().unwrap());
        Consumer {
            child,
            told,
            complaints,
        }
    }
}

/// What a department shows to the log's server.
#[derive(Clone, Debug)]
pub struct Department {
    /// The server's address.
    pub server: String,
    /// The authority of its certificate, where it speaks TLS.
    pub authority: Option<PathBuf>,
    /// Its user.
    pub user: String,
    /// The password.
    pub password: String,
    /// The prefix of its inboxes.
    pub inbox_prefix: String,
    /// Its consumer of `FEEDS`.
    pub consumer: String,
}

/// What a program says on standard error, read as it comes.
#[derive(Debug)]
struct Complaints {
    said: Arc<Mutex<String>>,
    reading: JoinHandle<()>,
}

impl Complaints {
    fn of(error: ChildStderr) -> Self {
        let said = Arc::<Mutex<String>>::default();
        let heard = Arc::clone(&said);
        let reading = tokio::spawn(async move {
            let mut lines = BufReader::new(error).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
                heard.push_str(&line);
                heard.push('\n');
            }
        });
        Self { said, reading }
    }

    /// All of it, of a program that has ended; of another one what it said by now.
    async fn said(&mut self) -> String {
        if !self.reading.is_finished() {
            // Of one that goes on there is no end to wait for.
            let _ = timeout(Duration::from_secs(1), &mut self.reading).await;
        }
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.clone()
    }
}

/// A program that runs. It is gone with the handle.
#[derive(Debug)]
pub struct Consumer {
    child: Child,
    told: Lines<BufReader<ChildStdout>>,
    complaints: Complaints,
}

impl Consumer {
    /// The next event that it has taken into account; none when it has ended.
    pub async fn next(&mut self) -> Option<Told> {
        let Ok(line) = timeout(PATIENCE, self.told.next_line()).await else {
            let said = self.complaints.said().await;
            panic!("the program tells nothing for {PATIENCE:?}; on standard error:\n{said}");
        };
        line.unwrap()
            .map(|line| serde_json::from_str(&line).unwrap())
    }

    /// The next event of a program that goes on.
    pub async fn goes_on(&mut self) -> Told {
        if let Some(told) = self.next().await {
            return told;
        }
        let (status, said) = (self.child.wait().await, self.complaints.said().await);
        panic!("the program ended before: {status:?}; on standard error:\n{said}")
    }

    /// All events up to the first one with this name, included.
    pub async fn until(&mut self, event: &str) -> Vec<Told> {
        let mut heard = Vec::new();
        while heard.last().is_none_or(|told: &Told| told.event != event) {
            heard.push(self.goes_on().await);
        }
        heard
    }

    /// Kills it at once (SIGKILL): what it told by then.
    pub async fn kill(mut self) -> Vec<Told> {
        self.child.kill().await.unwrap();
        let mut heard = Vec::new();
        // The last line may be cut off.
        while let Ok(Some(line)) = self.told.next_line().await
            && let Ok(told) = serde_json::from_str(&line)
        {
            heard.push(told);
        }
        heard
    }

    /// Waits until it ends by itself, and well: what it told.
    pub async fn ended(mut self) -> Vec<Told> {
        let mut heard = Vec::new();
        while let Some(told) = self.next().await {
            heard.push(told);
        }
        let (status, said) = (
            self.child.wait().await.unwrap(),
            self.complaints.said().await,
        );
        assert!(status.success(), "{status}; on standard error:\n{said}");
        heard
    }
}

/// What a program tells of one event: never a value.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Told {
    /// The event.
    pub event: String,
    /// The feed's product.
    pub product: String,
    /// The feed's division.
    pub division: String,
    /// The sequence in `FEEDS`.
    pub position: u64,
    /// The document; none where it is about no single one.
    pub key: Option<String>,
    /// The names of its fields; empty of a document that is gone.
    pub fields: Option<Vec<String>>,
    /// The elder who was withdrawn or erased.
    pub elder: Option<String>,
    /// `due` of an elder who was erased.
    pub confirm_erasure: Option<String>,
}

/// What a department holds, as its program keeps it.
#[derive(Clone, Debug, Default, PartialEq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Held {
    /// Up to where it has read `FEEDS`.
    pub position: u64,
    /// How each feed stands, by product and division: `BEGUN`, `CAUGHT_UP`, `ENDED`.
    pub feeds: BTreeMap<String, BTreeMap<String, String>>,
    /// The documents, by product, division and key.
    pub documents: BTreeMap<String, BTreeMap<String, BTreeMap<String, HeldDocument>>>,
    /// Elders who were erased.
    pub erasures_due: Vec<String>,
}

impl Held {
    /// What the file says; nothing is held where there is none.
    pub fn read(state: &Path) -> Self {
        match fs::read_to_string(state) {
            Ok(text) => serde_json::from_str(&text).unwrap(),
            Err(_) => Self::default(),
        }
    }

    /// The documents of a feed.
    pub fn of(&self, product: &str, division: &str) -> BTreeMap<String, HeldDocument> {
        let divisions = self.documents.get(product);
        let feed = divisions.and_then(|divisions| divisions.get(division));
        feed.cloned().unwrap_or_default()
    }
}

/// A document that a department holds.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeldDocument {
    /// Whom it is about.
    pub elder_id: String,
    /// Its fields.
    pub fields: Map<String, Value>,
    /// Which of these are masked.
    pub masked: Vec<String>,
}
