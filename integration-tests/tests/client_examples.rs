//! The sample clients in Python and JavaScript, made from the contracts, get through by what the service configuration grants them, and
//! do nothing twice.

use std::collections::BTreeSet;

use integration_tests::{
    System,
    clients::{Clients, Tree, commands, page},
    officer,
    process::Part,
    turnstile::Turnstile,
};
use proto::eldercare::registry::v1::{ElderRegistered, ProfileUpdated, RegistrationSource};

/// The page that says how the clients are started.
const PAGE: &str = "proto/README.md";

/// Where the page has them look for the system.
const BESIDE: &str = "export ELDERCARE_CONNECTION=.eldercare/connection.json\n";

/// How many elders a client registers by itself, and how often it changes one.
const REGISTERED: usize = 3;
const CHANGED: usize = 2;

/// The methods that a client calls.
const CALLED: [&str; 6] = [
    "GetElder",
    "GetStatistics",
    "ImportSurvey",
    "RegisterElder",
    "SearchElders",
    "UpdateElder",
];

/// Starts a client as its page says, before a turnstile: what it prints.
async fn through_a_turnstile(system: &System, tree: &Tree, program: &str) -> String {
    let turnstile = Turnstile::before(system.address_of(Part::Elders));
    tree.write("authority.pem", turnstile.certificate());
    let commands = commands(&page(PAGE), program);
    assert!(commands.contains(BESIDE), "{commands}");
    let (endpoint, token) = (turnstile.endpoint(), system.token(&officer()));
    let environment = [
        ("ELDERCARE_ENDPOINT", endpoint.as_str()),
        ("ELDERCARE_TOKEN", token.as_str()),
        ("ELDERCARE_CA", "authority.pem"),
    ];
    let told = tree.run(&commands.replace(BESIDE, ""), &environment).await;
    let called = CALLED.map(str::to_owned);
    assert_eq!(turnstile.turned_away(), BTreeSet::from(called));
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_get_through_by_themselves_where_nobody_is_there_at_first() {
    let (system, clients) = tokio::join!(System::start(), Clients::installed());
    let tree = clients.tree();
    for program in ["first_steps.py", "first_steps.mjs"] {
        let told = through_a_turnstile(&system, &tree, program).await;
        let lines: Vec<&str> = told.lines().collect();
        assert!(lines.contains(&"sent again: the same answer"), "{told}");
        assert!(lines.contains(&"found: 3 elders on 2 pages"), "{told}");
        assert_eq!(lines.last(), Some(&"done"), "{told}");
    }
    // Each call of which the first answer was that nobody is there was carried out, and once.
    let registered: Vec<ElderRegistered> = system.events("registry").await;
    let by_calls = registered
        .iter()
        .filter(|one| one.source() == RegistrationSource::Api);
    assert_eq!(by_calls.count(), 2 * REGISTERED);
    let changed: Vec<ProfileUpdated> = system.events("registry").await;
    assert_eq!(changed.len(), 2 * CHANGED);
}
