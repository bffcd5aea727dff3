//! Every method of every service: whoever is not known is let in nowhere, and whoever has no role only where all may read.

use std::collections::BTreeSet;

use integration_tests::{
    Setup, System, callers::Authorised, contracts, officer, process::Part, reason,
};
use service::{
    Claims, TokenIssuer,
    testing::{Bearer, knock},
};
use tonic::{Code, service::interceptor::InterceptedService};

use super::bare_line;

/// The services, each with the methods that are for all.
const SERVICES: [(&str, &[&str]); 8] = [
    ("eldercare.registry.v1.RegistryService", &["ListDivisions"]),
    ("eldercare.registry.v1.VaultService", &[]),
    (
        "eldercare.tiering.v1.TieringService",
        &["GetPolicy", "ListPolicies"],
    ),
    ("eldercare.visits.v1.VisitService", &[]),
    ("eldercare.alerts.v1.AlertService", &["GetAlertPolicy"]),
    (
        "eldercare.claims.v1.ClaimsService",
        &["GetProgramme", "ListProgrammes"],
    ),
    (
        "eldercare.sharing.v1.SharingService",
        &[
            "ListProducts",
            "GetAgreement",
            "ListAgreements",
            "ListErasures",
            "GetAuditHead",
        ],
    ),
    ("eldercare.simulation.v1.SimulationService", &["GetClock"]),
];

/// The line of somebody with a token of another issuer.
fn line_of_a_stranger(system: &System, service: &str) -> Authorised {
    let address = system.address_of(Part::serving(service));
    let token = TokenIssuer::generate().issue(&officer());
    InterceptedService::new(bare_line(address), Bearer::of(&token))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_role_no_method_is_called_but_those_for_all_and_without_a_token_none() {
    let named = SERVICES.iter().map(|(service, _)| (*service).to_owned());
    let named: BTreeSet<String> = named.collect();
    assert_eq!(named, contracts::services(), "every service is tried");
    let system = System::start_with(Setup::with_sharing()).await;
    let before = system.written().await;
    let nobody = Claims::officer("nobody", "civil_affairs").purpose("test");
    let nobody = system.caller(&nobody);
    for (service, for_all) in SERVICES {
        // What they send is empty, which most methods refuse: who may not call is told so before it is looked at.
        for (method, outcome) in knock(&nobody.channel(Part::serving(service)), service).await {
            let name = format!("{service}/{method}");
            if for_all.contains(&method.as_str()) {
                let code = outcome.map_or_else(|refused| refused.code(), |()| Code::Ok);
                let refused = [Code::PermissionDenied, Code::Unauthenticated];
                assert!(!refused.contains(&code), "{name}: {code:?}");
            } else {
                let refused = outcome.expect_err(&name);
                assert_eq!(refused.code(), Code::PermissionDenied, "{name}");
                assert_eq!(reason(&refused), "ACTION_NOT_PERMITTED", "{name}");
            }
        }
        let stranger = line_of_a_stranger(&system, service);
        for (method, outcome) in knock(&stranger, service).await {
            let refused = outcome.expect_err(&method);
            assert_eq!(refused.code(), Code::Unauthenticated, "{service}/{method}");
        }
    }
    assert_eq!(system.written().await, before);
}
