//! The commands of the pages for those who call, operate and consume work as they stand there.

use std::path::Path;

use clap::Parser as _;
use eldercare::{
    cli::Cli,
    client::Client,
    connection::Connection,
    departments::{Terms, approve, issue, propose},
};
use integration_tests::{
    Setup, System,
    agreements::DEPARTMENT,
    an_elder,
    callers::reviewer,
    clients::{Clients, blocks, commands, page},
    consumers::Programs,
    officer,
    process::Part,
};
use serde_json::{Value, json};
use service::Secret;

/// For those who call.
const CALLING: &str = "proto/README.md";
/// For those who consume.
const CONSUMING: &str = "proto/feeds/README.md";
/// All pages on which commands stand.
const ALL: [&str; 4] = [CALLING, CONSUMING, "deploy/README.md", "README.md"];

/// Where `up` leaves what programs on the same machine go by.
const CONNECTION: &str = ".eldercare/connection.json";

/// What became of the survey's rows that were not rejected, where it was not imported before; and where it was.
const NEW: &str = "29 ACCEPTED, 1 DUPLICATE,";
const KNOWN: &str = "30 DUPLICATE,";

/// What a client prints, but for the ids that are others each time.
fn shown(told: &str) -> Vec<String> {
    let line = |line: &str| match line.split_once(": ") {
        Some(("registered", _)) => "registered".to_owned(),
        _ => line.to_owned(),
    };
    told.lines().map(line).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_print_what_their_page_says() {
    let (system, clients) = tokio::join!(System::start(), Clients::installed());
    let tree = clients.tree();
    let left = json!({
        "endpoint": format!("http://{}", system.address_of(Part::Elders)),
        "token": system.token(&officer()),
    });
    tree.write(CONNECTION, &left.to_string());
    let page = page(CALLING);
    let known = blocks(&page, "text")[0];
    assert!(known.contains(KNOWN), "{known}");
    let new = known.replace(KNOWN, NEW);
    for (program, expected) in [("first_steps.py", new.as_str()), ("first_steps.mjs", known)] {
        let told = tree.run(&commands(&page, program), &[]).await;
        assert_eq!(shown(&told), shown(expected), "{program}");
    }
}

/// Sharing, as the launcher's commands speak with it.
fn sharing(system: &System) -> Client {
    let connection = Connection {
        endpoint: format!("http://{}", system.address_of(Part::Sharing)),
        token: Secret::new(system.token(&officer())),
        gateway: None,
        reviewer: Some(Secret::new(system.token(&reviewer()))),
        departments: Default::default(),
    };
    Client::new(&connection).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_department_has_its_first_message_as_its_page_says() {
    let setup = System::start_with(Setup::with_sharing());
    let (system, clients, programs) =
        tokio::join!(setup, Clients::installed(), Programs::installed());
    let elder = system.register(an_elder("林月娥")).await;
    // Feeds have passed it, too: else they may tell of the registration as well, after what is there.
    system.settled().await;
    let tree = clients.tree();
    tree.link("target/feeds/packages", programs.for_python());
    let left = json!({ "nats_url": system.nats().url() });
    tree.write(CONNECTION, &left.to_string());

    // What the commands before do.
    let sharing = sharing(&system);
    let terms = Terms::read(&tree.path("proto/feeds/terms.yaml")).unwrap();
    assert_eq!(terms.department, DEPARTMENT);
    let (agreement, _) = propose(&sharing, &terms).await.unwrap();
    approve(&sharing, &agreement).await.unwrap();
    let file = tree.path("target/health.json");
    issue(&sharing, DEPARTMENT, &file).await.unwrap();

    let page = page(CONSUMING);
    let told = tree.run(&commands(&page, "feed_consumer.py"), &[]).await;
    let told: Vec<Value> = told.lines().map(|line| line.parse().unwrap()).collect();
    let (first, rest) = told.split_first().unwrap();
    let (last, documents) = rest.split_last().unwrap();
    assert_eq!(first["event"], "FeedBegun");
    assert_eq!(last["event"], "FeedCaughtUp");
    assert!(!documents.is_empty());
    for document in documents {
        assert_eq!(document["key"], elder.as_str());
        let fields = json!(["division_code", "elder_id", "name"]);
        assert_eq!(document["fields"], fields);
    }
    // The page shows lines of the same form.
    let keys = |one: &Value| one.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    for line in blocks(&page, "text")[0].lines().filter(|line| *line != "…") {
        let shown = keys(&line.parse().unwrap());
        assert!(told.iter().any(|one| keys(one) == shown), "{line}");
    }
}

/// The commands of the launcher on a page, as it reads them.
fn of_the_launcher(page: &str) -> Vec<Vec<String>> {
    let lines = blocks(page, "sh").into_iter().flat_map(str::lines);
    let lines = lines.filter_map(|line| {
        let line = line.trim_start();
        line.strip_prefix("eldercare ")
            .or_else(|| line.strip_prefix("cargo run --release -- "))
    });
    let words = |line: &str| {
        let words = line
            .split_whitespace()
            // A remark, or where the output goes.
            .take_while(|word| !["#", ">", "|"].contains(word));
        words
            .map(|word| word.trim_matches(['"', '\'']).to_owned())
            .collect::<Vec<_>>()
    };
    lines.map(words).collect()
}

#[test]
fn the_launcher_understands_every_command_on_a_page() {
    for name in ALL {
        let commands = of_the_launcher(&page(name));
        assert!(!commands.is_empty(), "{name}");
        for words in commands {
            let command = words.join(" ");
            let all = ["eldercare".to_owned()].into_iter().chain(words);
            let read = Cli::try_parse_from(all);
            let refused = read.err().filter(|told| told.use_stderr());
            assert!(refused.is_none(), "{name}: {command}\n{}", refused.unwrap());
        }
    }
}

#[test]
fn pages_lead_to_what_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for name in ALL {
        let folder = root.join(name);
        let text = page(name);
        for link in text.split("](").skip(1) {
            let (link, _) = link.split_once(')').unwrap();
            let (file, _) = link.split_once('#').unwrap_or((link, ""));
            let there = folder.parent().unwrap().join(file);
            assert!(link.contains("://") || there.exists(), "{name}: {link}");
        }
    }
}
