//! Sample programs that call the system by clients made from its contracts, in Python and JavaScript, with the pages that say how
//! they are started.

use std::{
    env, fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use backing_services::testing;
use tempfile::TempDir;
use tokio::{process::Command, sync::OnceCell, time::timeout};

use crate::{node::Node, sources};

/// The longest that a story waits for commands of a page.
const PATIENCE: Duration = Duration::from_secs(120);

/// How a line of a page begins that installs packages.
const INSTALLING: [&str; 2] = ["python3 -m pip install ", "npm ci "];

/// The sample clients, with what they need.
#[derive(Debug)]
pub struct Clients {
    /// Packages for Python.
    python: PathBuf,
    /// The client in JavaScript, beside its packages.
    javascript: PathBuf,
    /// Where Node.js has its programs.
    node: PathBuf,
}

impl Clients {
    /// The clients, installed once for all stories.
    pub async fn installed() -> &'static Self {
        static INSTALLED: OnceCell<Clients> = OnceCell::const_new();
        INSTALLED.get_or_init(Self::install).await
    }

    async fn install() -> Self {
        let pins = sources().join("python/client/requirements.txt");
        let python = testing::python_packages("client", &pins).await;
        let node = Node::installed().await;
        // As in a clone, so that it finds the contracts.
        let clone = node.place("client");
        let javascript = clone.join("integration-tests/javascript/client");
        node.put(&sources().join("javascript/client"), &javascript)
            .await;
        let contracts = clone.join("proto");
        // The tree may have moved.
        let _ = fs::remove_file(&contracts);
        symlink(sources().join("../proto"), contracts).unwrap();
        Self {
            python,
            javascript,
            node: node.programs(),
        }
    }

    /// A tree as whoever clones the project has it, after the lines that install the clients' packages.
    pub fn tree(&self) -> Tree {
        let tree = Tree {
            folder: tempfile::tempdir().unwrap(),
            programs: self.node.clone(),
        };
        for part in ["proto", "deploy", "integration-tests/python"] {
            tree.link(part, &sources().join("..").join(part));
        }
        tree.link("integration-tests/javascript/client", &self.javascript);
        tree.link("target/client/packages", &self.python);
        tree
    }
}

/// A tree as whoever clones the project has it, in which commands of its pages are run.
#[derive(Debug)]
pub struct Tree {
    folder: TempDir,
    programs: PathBuf,
}

impl Tree {
    /// Puts a link to a file or folder where a page looks for it.
    pub fn link(&self, name: &str, to: &Path) {
        symlink(to, self.place(name)).unwrap();
    }

    /// Writes a file.
    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.place(name), text).unwrap();
    }

    /// Where something is.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The same, with the folder in which it is to be.
    fn place(&self, name: &str) -> PathBuf {
        let place = self.path(name);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        place
    }

    /// Runs commands to their end, all of which succeed: what they print.
    pub async fn run(&self, commands: &str, environment: &[(&str, &str)]) -> String {
        let mut programs = vec![self.programs.clone()];
        programs.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
        let mut bash = Command::new("bash");
        bash.args(["-e", "-u", "-c", commands])
            .current_dir(self.folder.path())
            .env("PATH", env::join_paths(programs).unwrap())
            .env("PYTHONIOENCODING", "utf-8")
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let output = timeout(PATIENCE, bash.output()).await;
        let output = output.expect("the commands come to an end").unwrap();
        let told = String::from_utf8(output.stdout).unwrap();
        let failed = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{commands}\n{told}\n{failed}");
        told
    }
}

/// A page of the project.
pub fn page(name: &str) -> String {
    fs::read_to_string(sources().join("..").join(name)).unwrap()
}

/// The blocks of a page that are in a language, such as `sh`.
pub fn blocks<'a>(page: &'a str, language: &str) -> Vec<&'a str> {
    let opening = format!("```{language}\n");
    let after = page.split(&opening).skip(1);
    after
        .map(|after| after.split_once("```").expect("a block has an end").0)
        .collect()
}

/// The block of a page that starts a program, but for the lines that install packages.
pub fn commands(page: &str, program: &str) -> String {
    let mut starting = blocks(page, "sh")
        .into_iter()
        .filter(|block| block.contains(program));
    let block = starting.next().expect("the page starts the program");
    assert_eq!(starting.next(), None, "the page starts it once");
    let installs = |line: &&str| INSTALLING.iter().any(|start| line.starts_with(*start));
    let lines = block.lines();
    assert_eq!(lines.clone().filter(installs).count(), 1, "{block}");
    let rest: Vec<&str> = lines.filter(|line| !installs(line)).collect();
    rest.join("\n")
}
