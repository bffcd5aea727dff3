//! The log's server and the databases' speak TLS, as where they are deployed: the system runs over it, takes renewed certificates as it
//! goes, and does not start with anybody whom it does not trust, or who does not trust it.

use std::time::Duration;

use backing_services::testing;
use integration_tests::{
    Setup, System,
    agreements::{agreed, credential, grant, terms},
    an_elder, asked_to_wait,
    consumers::{Consumer, Language, Programs},
    process::Part,
    trust::{Asked, Authority, Base},
};
use proto::eldercare::tiering::v1::GetTierRequest;
use serde_json::{Value, json};
use tokio::time::timeout;
use tonic::{Response, Status};

/// The longest that anything may go unanswered.
const PATIENCE: Duration = Duration::from_secs(120);

/// Asks until it is answered, as callers are bidden.
async fn answered<T, F>(ask: impl Fn() -> F) -> T
where
    F: Future<Output = Result<Response<T>, Status>>,
{
    let asking = async {
        loop {
            match ask().await {
                Ok(answer) => return answer.into_inner(),
                Err(status) => asked_to_wait(&status).await,
            }
        }
    };
    timeout(PATIENCE, asking).await.expect("it is answered")
}

/// Registers an elder, who has a tier then: the id.
async fn comes_through(system: &System) -> String {
    let elder = an_elder("林月娥");
    let registered = answered(|| {
        let (mut registry, elder) = (system.registry(), elder.clone());
        async move { registry.register_elder(elder).await }
    });
    let registered = registered.await;
    let request = GetTierRequest {
        elder_id: registered.elder_id.clone(),
        min_position: registered.committed.unwrap().position,
    };
    let tier = answered(|| {
        let (mut tiering, request) = (system.tiering(), request.clone());
        async move { tiering.get_tier(request).await }
    });
    assert!(tier.await.tier.is_some());
    registered.elder_id
}

/// Has a department's program follow its feed until it has what it may see of an elder. Whom the server does not let in, while sharing
/// is not back yet that answers for it, comes again.
async fn is_told(start: impl Fn() -> Consumer, elder: &str) {
    let following = async {
        let mut program = start();
        loop {
            match program.next().await {
                Some(told) if told.key.as_deref() == Some(elder) => return program,
                Some(_) => {}
                None => program = start(),
            }
        }
    };
    let program = timeout(PATIENCE, following).await;
    program.expect("it is told").kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_system_and_departments_go_on_over_tls_while_certificates_are_renewed() {
    let programs = Programs::installed().await;
    let mut system = System::start_with(Setup {
        tls: Some(Asked::OfServers),
        ..Setup::with_sharing()
    })
    .await;
    let granted = vec![grant("elder", &["elder_id"], &["name"])];
    agreed(&system, terms(granted)).await;
    let department = credential(&system).await;
    let folder = tempfile::tempdir().unwrap();
    let start = |language| {
        let state = folder.path().join(format!("{language:?}.json"));
        programs.start(language, &department, &state, &[])
    };
    let elder = comes_through(&system).await;
    is_told(|| start(Language::Python), &elder).await;

    // By another authority: who held on to the one of before would stay outside.
    system.trust().lay(&Authority::founded());
    for base in Base::ALL {
        system.restart_server(base).await;
    }
    let elder = comes_through(&system).await;
    is_told(|| start(Language::JavaScript), &elder).await;
    assert!(system.is_running(), "a service was started anew");
    system.settled().await;
    system.verify().await;
}

/// Has registry and tiering say why they don't start: in one line, in which nothing stands that is secret.
async fn why(system: &System, change: impl FnOnce(&mut Value)) -> String {
    let told = system.refused(Part::Elders, change).await;
    let url = system.postgres().url();
    let (_, password) = url.rsplit_once("postgres:").unwrap();
    let (password, _) = password.split_once('@').unwrap();
    assert!(!told.contains(password) && !told.contains("PRIVATE"));
    let mut lines = told.lines().filter_map(|line| line.strip_prefix("Error: "));
    let line = lines.next().unwrap_or_default().to_owned();
    assert_eq!(lines.next(), None, "{told}");
    assert!(!line.is_empty(), "it does not say why: {told}");
    line
}

/// How a line begins that speaks of a server.
fn of(base: Base) -> &'static str {
    match base {
        Base::Log => "NATS at tls://127.0.0.1:",
        Base::Databases => "PostgreSQL at postgres://***@127.0.0.1:",
    }
}

/// A line that speaks of a server, and says this of it.
#[track_caller]
fn says(line: &str, base: Base, what: &str) {
    assert!(line.starts_with(of(base)) && line.contains(what), "{line}");
}

/// Takes from the settings what is shown to a server.
fn bare(settings: &mut Value, base: Base) {
    match base {
        Base::Log => {
            let nats = settings["nats"].as_object_mut().unwrap();
            nats.remove("tls_certificate");
            nats.remove("tls_key");
        }
        Base::Databases => {
            let url = settings["postgres"]["url"].as_str().unwrap();
            let (url, _) = url.split_once("&sslcert").unwrap();
            settings["postgres"]["url"] = json!(url);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_starts_with_nobody_whom_it_does_not_trust_or_who_does_not_trust_it() {
    let mut system = System::start_with(Setup {
        tls: Some(Asked::OfBoth),
        ..Setup::default()
    })
    .await;
    comes_through(&system).await;
    system.kill().await;

    let authority = system.trust().authority();
    for base in Base::ALL {
        for (wrong, what) in authority.wrong() {
            system.shows(base, &wrong).await;
            says(&why(&system, |_| {}).await, base, what);
        }
        system.shows(base, &authority.issue()).await;
    }

    // Who shows nothing, or what somebody else has issued.
    let line = why(&system, |settings| bare(settings, Base::Log)).await;
    says(&line, Base::Log, "it refuses us");
    let line = why(&system, |settings| bare(settings, Base::Databases)).await;
    says(
        &line,
        Base::Databases,
        "requires a valid client certificate",
    );
    let stranger = system.trust().stranger(&Authority::founded().issue());
    let line = why(&system, |settings| {
        settings["nats"]["tls_certificate"] = json!(stranger.certificate);
        settings["nats"]["tls_key"] = json!(stranger.key);
    });
    says(&line.await, Base::Log, "it refuses us");

    // Servers that speak plainly, whatever their address says.
    let plain = testing::nats().await.url();
    let line = why(&system, |settings| settings["nats"]["url"] = json!(plain)).await;
    assert!(line.contains("it does not speak TLS"), "{line}");
    let plain = testing::fresh_database().await;
    let line = why(&system, |settings| {
        let trusted = system.trust().file_to_trust();
        let secured = format!("sslmode=verify-full&sslrootcert={}", trusted.display());
        settings["postgres"]["url"] = json!(plain.replace("sslmode=disable", &secured));
    });
    says(&line.await, Base::Databases, "server does not support TLS");

    system.restart().await;
    comes_through(&system).await;
}
