//! The commands that work on servers, for an operator who has nothing but settings, as in a cluster: no data folder.

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    process::{Command, Output},
};

use eldercare::{connection::ConnectionFile, keys::Keys};
use serde_json::Value;

use crate::desk::{Desk, county, text};

/// Two towns of the sample county, by their workbooks.
const TOWNS: [&str; 2] = ["350524100", "350524101"];

/// An operator somewhere else, with variables as services have them.
struct Operator {
    ground: tempfile::TempDir,
    variables: BTreeMap<String, String>,
}

impl Operator {
    fn with(variables: &[(&str, &str)]) -> Self {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Self {
            ground: tempfile::tempdir().unwrap(),
            variables: variables.iter().map(owned).collect(),
        }
    }

    /// One who comes to the servers of a desk's system: to the log as this user, to each database with its password apart.
    fn of(desk: &Desk, user: &str) -> Self {
        let ConnectionFile {
            nats_url,
            databases,
            ..
        } = desk.running();
        let keys = Keys::of(&desk.path("county")).unwrap();
        let password = keys.nats_passwords().unwrap();
        let mut operator = Self::with(&[
            ("ELDERCARE_NATS__URL", &nats_url),
            ("ELDERCARE_NATS__USER", user),
            ("ELDERCARE_NATS__PASSWORD", &password(user)),
        ]);
        for (service, url) in databases {
            let (scheme, rest) = url.split_once("://").unwrap();
            let (who, place) = rest.split_once('@').unwrap();
            let (user, password) = who.split_once(':').unwrap();
            let service = service.to_uppercase();
            operator.sets(
                &format!("{service}_ELDERCARE_POSTGRES__URL"),
                &format!("{scheme}://{place}"),
            );
            operator.sets(&format!("{service}_PGUSER"), user);
            operator.sets(&format!("{service}_PGPASSWORD"), password);
        }
        operator
    }

    fn sets(&mut self, name: &str, value: &str) {
        self.variables.insert(name.to_owned(), value.to_owned());
    }

    /// The registry's keys, those of the key file of a desk's system: persons' keys under this one, lookups under their own.
    fn has_keys(&mut self, keys: &toml::Table, kek: &str) {
        let key = |value: &toml::Value| value.as_str().unwrap().to_owned();
        let (kek_itself, index) = (key(&keys["keks"][kek]), key(&keys["index_key"]));
        self.sets("REGISTRY_ELDERCARE_VAULT__KEK_ID", kek);
        self.sets("REGISTRY_ELDERCARE_VAULT__KEK", &kek_itself);
        self.sets("REGISTRY_ELDERCARE_VAULT__INDEX_KEY", &index);
    }

    fn path(&self, name: &str) -> PathBuf {
        self.ground.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_eldercare"));
        command.args(arguments).current_dir(self.ground.path());
        for of_others in [
            "ELDERCARE_DATA_DIR",
            "ELDERCARE_ENDPOINT",
            "ELDERCARE_TOKEN",
        ] {
            command.env_remove(of_others);
        }
        command
    }

    /// The document of a command that does what it is asked for.
    fn done(&self, arguments: &[&str]) -> Value {
        let mut command = self.command(arguments);
        document(command.args(["--output", "json"]).envs(&self.variables))
    }

    /// The same with the settings in a file.
    fn done_by_file(&self, arguments: &[&str]) -> Value {
        let file = self.path("installation.env");
        let lines = self.variables.iter();
        let lines: Vec<_> = lines
            .map(|(name, value)| format!("{name}={value}\n"))
            .collect();
        fs::write(&file, format!("# Of a trial\n{}", lines.concat())).unwrap();
        let mut command = self.command(arguments);
        document(command.args(["--output", "json", "--settings"]).arg(file))
    }

    /// The document of a command that does what it is asked for, and finds something wrong.
    fn finds_fault(&self, arguments: &[&str]) -> Value {
        let mut command = self.command(arguments);
        command.args(["--output", "json"]).envs(&self.variables);
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// The message of a command that fails.
    fn fails(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).envs(&self.variables).output();
        let Output { status, stderr, .. } = output.unwrap();
        assert_eq!(status.code(), Some(1), "{arguments:?}");
        String::from_utf8(stderr).unwrap()
    }
}

fn document(command: &mut Command) -> Value {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What the entries of a list in a document are called.
fn names<'a>(document: &'a Value, list: &str, name: &str) -> Vec<&'a str> {
    let entries = document[list].as_array().unwrap().iter();
    entries.map(|entry| text(&entry[name])).collect()
}

fn with_divisions() -> Desk {
    let mut desk = Desk::new();
    desk.up();
    let divisions = county().join("divisions.csv");
    desk.done(&["import", "divisions", divisions.to_str().unwrap()]);
    desk
}

#[test]
fn a_system_is_looked_at_compared_and_built_anew_while_it_serves() {
    let mut desk = with_divisions();
    let elders = desk.import(TOWNS[0]);
    let mut operator = Operator::of(&desk, "maintenance");
    operator.has_keys(&toml::from_str(&desk.keys()).unwrap(), "kek_1");

    let status = operator.done(&["status"]);
    assert_eq!(status["endpoint"], Value::Null);
    assert_eq!(status["log"], desk.running().nats_url);
    let here = desk.done(&["status"]);
    assert_eq!(here["log"], Value::Null);
    for (list, name) in [("streams", "name"), ("projections", "projection")] {
        assert_eq!(names(&status, list, name), names(&here, list, name));
    }
    assert_eq!(status["absent"].as_array().unwrap().len(), 0, "{status}");
    assert_eq!(status["streams"][0]["replicas"], 1);
    for projection in status["projections"].as_array().unwrap() {
        let runner = text(&projection["runner"]["name"]);
        let whose = text(&projection["projection"]);
        assert!(
            whose.starts_with(runner) || whose.starts_with("on_"),
            "{projection}"
        );
        assert_eq!(projection["runner"]["address"], "127.0.0.1");
    }
    let top = operator.done(&["top", "--once"]);
    assert_eq!(top["log"], status["log"]);
    assert_eq!(
        names(&top, "streams", "name"),
        names(&status, "streams", "name")
    );

    let verified = |elders: usize| {
        let verified = operator.done(&["verify"]);
        assert_eq!(verified["equal"], true, "{verified}");
        assert_eq!(verified["verified"].as_array().unwrap().len(), 19);
        assert_eq!(verified["tiers"]["elders"], elders, "{verified}");
    };
    verified(elders.len());
    let rebuilt = operator.done(&["rebuild", "visits_elders", "registry_elders"]);
    assert_eq!(
        names(&rebuilt, "rebuilt", "projection"),
        ["visits_elders", "registry_elders"]
    );
    let rebuilt = operator.done_by_file(&["rebuild", "all"]);
    assert_eq!(rebuilt["rebuilt"].as_array().unwrap().len(), 19);
    // Who serves goes on with what was put in its place.
    let others = desk.import(TOWNS[1]);
    let shown = desk.done(&["elder", "show", &others[0]]);
    assert!(!text(&shown["name"]).is_empty(), "{shown}");
    verified(elders.len() + others.len());
    assert!(!operator.path(".eldercare").exists());
    desk.down();
    // It still answers for its data folder, and nobody brings anything on there.
    let status = desk.done(&["status"]);
    assert_eq!(status["projections"][0]["runner"], Value::Null, "{status}");
}

#[test]
fn databases_that_are_away_hide_nothing_else() {
    let mut desk = with_divisions();
    let mut operator = Operator::of(&desk, "maintenance");
    let all = operator.done(&["status"]);
    for service in ["VISITS", "ALERTS"] {
        let nobody = format!("postgres://127.0.0.1:1/{service}");
        operator.sets(&format!("{service}_ELDERCARE_POSTGRES__URL"), &nobody);
    }
    let status = operator.finds_fault(&["status"]);
    assert_eq!(
        names(&status, "databases_away", "name"),
        ["visits", "alerts"]
    );
    assert_eq!(
        names(&status, "streams", "name"),
        names(&all, "streams", "name")
    );
    let there = names(&status, "projections", "projection");
    let known = names(&all, "projections", "projection");
    assert!(there.contains(&"registry_elders") && !there.contains(&"visits_book"));
    assert!(there.len() < known.len() && there.iter().all(|one| known.contains(one)));
    let top = operator.finds_fault(&["top", "--once"]);
    assert_eq!(top["databases_away"], status["databases_away"]);
    assert_eq!(top["alerts"], Value::Null);
    assert_eq!(names(&top, "projections", "projection").len(), there.len());
    desk.down();
}

#[test]
fn keys_are_wrapped_under_the_key_that_the_settings_name() {
    let mut desk = with_divisions();
    let elders = desk.import(TOWNS[0]);
    let keys: toml::Table = toml::from_str(&desk.keys()).unwrap();
    let mut operator = Operator::of(&desk, "registry");
    operator.has_keys(&keys, "kek_2");

    let told = operator.fails(&["rotate-keys"]);
    assert!(told.contains("leave it in vault.previous_keks"), "{told}");
    operator.sets(
        "REGISTRY_ELDERCARE_VAULT__PREVIOUS_KEKS__KEK_1",
        keys["keks"]["kek_1"].as_str().unwrap(),
    );
    let rotated = |kept: usize| {
        let rotated = operator.done(&["rotate-keys"]);
        assert_eq!(rotated["kek_id"], "kek_2");
        assert_eq!(rotated["former"][0], "kek_1", "{rotated}");
        assert_eq!(rotated["rewrapped"], kept, "{rotated}");
    };
    rotated(elders.len());
    // A registry that still has the former key wraps new ones under it: these are found the next time.
    let others = desk.import(TOWNS[1]);
    rotated(others.len());
    rotated(0);

    operator
        .variables
        .remove("REGISTRY_ELDERCARE_VAULT__PREVIOUS_KEKS__KEK_1");
    let rotated = operator.done(&["rotate-keys"]);
    assert_eq!(rotated["rewrapped"], 0);
    assert_eq!(rotated["former"].as_array().unwrap().len(), 0);
    // A registry that has both reads everybody, also one that remembers nobody's key.
    desk.down();
    desk.up();
    for elder in [&elders[0], &others[0]] {
        let shown = desk.done(&["elder", "show", elder]);
        assert!(!text(&shown["name"]).is_empty(), "{shown}");
    }
    desk.down();
}

#[test]
fn a_setting_that_is_missing_or_wrong_is_named_in_one_line() {
    let visits = (
        "VISITS_ELDERCARE_POSTGRES__URL",
        "postgres://127.0.0.1:1/visits",
    );
    let visits_twice = ("CLAIMS_ELDERCARE_POSTGRES__URL", visits.1);
    let nonsense = ("VISITS_ELDERCARE_POSTGRES__URL", "nonsense");
    let unknown = ("VISITS_ELDERCARE_NATS__USERS", "visits");
    let log = ("REGISTRY_ELDERCARE_NATS__URL", "nats://127.0.0.1:1");
    let rebuild = ["rebuild", "visits_book"];
    for (variables, arguments, words) in [
        (
            vec![visits],
            ["status", "--output=json"],
            [
                "the database of registry is not known",
                "REGISTRY_ELDERCARE_POSTGRES__URL",
            ],
        ),
        (
            vec![visits],
            ["verify", "nothing"],
            ["`nothing`", "registry_elders"],
        ),
        (
            vec![
                visits,
                ("VISITS_PGUSER", "visits"),
                ("VISITS_PGPASSWORD", "hunter2"),
            ],
            rebuild,
            ["does not let visits in", "VISITS_PGPASSWORD"],
        ),
        (
            vec![visits, visits_twice],
            rebuild,
            ["have the same database", "CLAIMS_ELDERCARE_POSTGRES__URL"],
        ),
        (
            vec![nonsense],
            rebuild,
            ["VISITS_ELDERCARE_POSTGRES__URL", "is no address"],
        ),
        (
            vec![visits, unknown],
            rebuild,
            ["the settings of visits", "users"],
        ),
        (
            vec![log],
            ["rotate-keys", "--output=json"],
            ["`vault.kek` is missing", "REGISTRY_ELDERCARE_VAULT__"],
        ),
        (
            vec![visits],
            ["rebuild", "--settings=missing.env"],
            ["the file of settings", "missing.env"],
        ),
    ] {
        let told = Operator::with(&variables).fails(&arguments);
        let all = words.iter().all(|words| told.contains(words));
        assert!(all && told.starts_with("error: "), "{variables:?}: {told}");
        assert_eq!(told.trim_end().lines().count(), 1, "{told}");
        assert!(!told.contains("hunter2"), "{told}");
    }

    // A file is never quoted.
    let operator = Operator::with(&[]);
    fs::write(
        operator.path("trial.env"),
        "VISITS_PGUSER=visits\nhunter2\n",
    )
    .unwrap();
    let told = operator.fails(&["status", "--settings", "trial.env"]);
    assert!(told.contains("trial.env: line 2"), "{told}");
    assert!(!told.contains("hunter2"), "{told}");
    // With nothing it is the data folder, and that is not there either.
    let told = operator.fails(&["status"]);
    assert!(
        told.contains("holds no system") && told.contains("--settings"),
        "{told}"
    );
    // Where a data folder is named, variables are of no account.
    let told = Operator::with(&[visits]).fails(&["status", "--data-dir", "county"]);
    assert!(told.contains("county holds no system"), "{told}");
}

#[test]
fn a_log_that_does_not_let_the_operator_in_is_told_and_not_waited_for() {
    let operator = Operator::with(&[
        ("REGISTRY_ELDERCARE_NATS__URL", "nats://127.0.0.1:1"),
        ("ELDERCARE_NATS__USER", "registry"),
        ("ELDERCARE_NATS__PASSWORD", "hunter2"),
        (
            "REGISTRY_ELDERCARE_VAULT__KEK",
            "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=",
        ),
    ]);
    let told = operator.fails(&["rotate-keys"]);
    assert!(
        told.contains("NATS at nats://127.0.0.1:1 does not let registry in"),
        "{told}"
    );
    assert!(!told.contains("hunter2"), "{told}");
}
