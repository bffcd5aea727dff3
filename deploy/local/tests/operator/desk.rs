//! An operator's desk, from which the commands are called as they are on a command line.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::BufReader,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use eldercare::{
    client::{Client, call},
    connection::ConnectionFile,
};
use proto::eldercare::registry::v1::EraseElderRequest;
use serde_json::Value;
use tokio::runtime::Runtime;
use uuid::Uuid;

/// An operator's desk: a data folder, and the system that runs in it.
pub(crate) struct Desk {
    ground: tempfile::TempDir,
    up: Option<(Child, String)>,
    /// What a system that is started finds in its environment.
    environment: Vec<(String, String)>,
}

impl Desk {
    pub(crate) fn new() -> Self {
        let ground = tempfile::tempdir().unwrap();
        // PostgreSQL runs under another account where the tests run as root, and must be able to pass.
        fs::set_permissions(ground.path(), fs::Permissions::from_mode(0o755)).unwrap();
        Self {
            ground,
            up: None,
            environment: Vec::new(),
        }
    }

    /// Has a system that is started from now on find these in its environment.
    pub(crate) fn tells(&mut self, environment: &[(&str, &str)]) {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        self.environment = environment.iter().map(owned).collect();
    }

    /// What the systems of this desk have logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("up.log")).unwrap()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.ground.path().join(name)
    }

    pub(crate) fn command<S: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = S>,
    ) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_eldercare"));
        command
            .args(arguments)
            .current_dir(self.ground.path())
            .env("ELDERCARE_TOOLS", backing_services::testing::tools().folder)
            .env("ELDERCARE_DATA_DIR", self.path("county"))
            .env_remove("ELDERCARE_ENDPOINT")
            .env_remove("ELDERCARE_TOKEN");
        command
    }

    /// Starts a system without people in it; it serves when this returns.
    pub(crate) fn up(&mut self) {
        self.up_with(&["--empty"]);
    }

    /// Starts a system; it serves when this returns.
    pub(crate) fn up_with(&mut self, arguments: &[&str]) {
        let path = self.path("up.log");
        let log = File::options().create(true).append(true).open(path);
        let mut child = self
            .command(["up", "--listen", "127.0.0.1:0", "--output", "json"])
            .args(arguments)
            .envs(self.environment.iter().cloned())
            .stdout(Stdio::piped())
            .stderr(log.unwrap())
            .spawn()
            .unwrap();
        let told = BufReader::new(child.stdout.take().unwrap());
        let serving = serde_json::Deserializer::from_reader(told)
            .into_iter()
            .next();
        let Some(Ok::<Value, _>(serving)) = serving else {
            panic!("{:?}: {}", child.wait_with_output(), self.log());
        };
        let endpoint = serving["endpoint"].as_str().unwrap().to_owned();
        self.up = Some((child, endpoint));
    }

    pub(crate) fn endpoint(&self) -> &str {
        &self.up.as_ref().unwrap().1
    }

    /// Has the system go down in order.
    pub(crate) fn down(&mut self) {
        let Some((mut child, _)) = self.up.take() else {
            return;
        };
        let pid = child.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &pid]).status();
        assert!(asked.unwrap().success());
        assert!(child.wait().unwrap().success());
    }

    /// The exit code and the document of a command.
    pub(crate) fn json(&self, arguments: &[&str]) -> (i32, Value) {
        let output = self
            .command(arguments)
            .args(["--output", "json"])
            .output()
            .unwrap();
        let document = serde_json::from_slice(&output.stdout);
        let document =
            document.unwrap_or_else(|error| panic!("{arguments:?}: {error}: {output:?}"));
        (output.status.code().unwrap(), document)
    }

    /// The document of a command that does what it is asked for.
    pub(crate) fn done(&self, arguments: &[&str]) -> Value {
        let (code, document) = self.json(arguments);
        assert_eq!(code, 0, "{arguments:?}: {document}");
        document
    }

    /// The table of a command.
    pub(crate) fn table(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The exit code and the message of a command that fails.
    pub(crate) fn fails(&self, arguments: &[&str]) -> (i32, String) {
        let Output { status, stderr, .. } = self.command(arguments).output().unwrap();
        (status.code().unwrap(), String::from_utf8(stderr).unwrap())
    }

    /// Imports a town's workbook: the elders that were accepted.
    pub(crate) fn import(&self, town: &str) -> Vec<String> {
        let (_, survey) = self.json(&["import", "survey", workbook(town).to_str().unwrap()]);
        let rows = survey["files"][0]["rows"].as_array().unwrap();
        let accepted = rows.iter().filter(|row| row["outcome"] == "ACCEPTED");
        let accepted: Vec<_> = accepted
            .map(|row| row["elder_id"].as_str().unwrap().to_owned())
            .collect();
        assert!(!accepted.is_empty(), "{survey}");
        accepted
    }

    /// Proposes an agreement on these terms, and tells what became of it.
    pub(crate) fn propose(&self, terms: &str) -> Value {
        let file = self.path("terms.yaml");
        fs::write(&file, terms).unwrap();
        self.done(&["sharing", "propose", file.to_str().unwrap()])
    }

    /// Puts an agreement on these terms in force.
    pub(crate) fn agree(&self, terms: &str) {
        let proposed = self.propose(terms);
        let agreement = text(&proposed["agreements"][0]["agreement_id"]);
        self.done(&["sharing", "approve", agreement]);
    }

    /// What the running system left for commands.
    pub(crate) fn running(&self) -> ConnectionFile {
        let running = ConnectionFile::of_running(&self.path("county"));
        running.unwrap().expect("a system runs")
    }

    /// Makes calls for which there is no command, as the operator.
    pub(crate) fn as_operator(&self, calls: impl AsyncFnOnce(Client)) {
        let running = self.running();
        Runtime::new().unwrap().block_on(async {
            let client = Client::new(&running.connection()).unwrap();
            calls(client).await;
        });
    }

    /// Erases an elder in the running system.
    pub(crate) fn erase(&self, elder: &str) {
        let request = EraseElderRequest {
            request_id: Uuid::now_v7().to_string(),
            elder_id: elder.to_owned(),
            reason: "ASKED_BY_ELDER".to_owned(),
            ..Default::default()
        };
        self.as_operator(async |client| {
            let erased = call(request, async |request| {
                client.registry().erase_elder(request).await
            });
            erased.await.unwrap();
        });
    }

    pub(crate) fn keys(&self) -> String {
        fs::read_to_string(self.path("county/keys.toml")).unwrap()
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        if let Some((mut child, _)) = self.up.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

pub(crate) fn county() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data/anxi")
}

/// The workbook of a town, by the beginning of its name.
pub(crate) fn workbook(town: &str) -> PathBuf {
    let mut workbooks = fs::read_dir(county().join("survey")).unwrap();
    workbooks
        .find_map(|file| {
            let file = file.unwrap();
            let name = file.file_name().into_string().unwrap();
            name.starts_with(town).then(|| file.path())
        })
        .unwrap()
}

pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value}"))
}
