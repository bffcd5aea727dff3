//! Who may do what: each role what it is for, nobody beyond their divisions, and no officer without a purpose.

use civic::ElderId;
use proto::eldercare::sharing::v1 as pb;
use service::Claims;
use service::testing::reason;
use tonic::{Code, Status};

use crate::support::{
    CIVIL_AFFAIRS, COUNTY, Client, Ground, OTHER_COUNTY, Running, break_glass_request,
    dossier_request, id, looks_at, officer, refused, some_terms,
};

/// The county with an elder of whom all is known, and a proposal that nobody has approved.
async fn county(ground: &Ground) -> (Running, ElderId, String) {
    let running = ground.start().await;
    let elder = ground.known_to_all().await;
    let agreement = running.propose(&some_terms()).await.unwrap();
    running.settled().await;
    (running, elder, agreement)
}

/// What becomes of every call about the county in the name of a caller; its name, and nothing where it is answered.
async fn every_call(
    mut client: Client,
    elder: ElderId,
    agreement: &str,
) -> Vec<(&'static str, Result<(), Status>)> {
    let mut outcomes = Vec::new();
    macro_rules! call {
        ($method:ident, $request:expr) => {
            let outcome = client.$method($request).await;
            outcomes.push((stringify!($method), outcome.map(|_| ())));
        };
    }
    call!(list_products, pb::ListProductsRequest {});
    call!(
        propose_agreement,
        pb::ProposeAgreementRequest {
            request_id: id(),
            terms: Some(some_terms()),
        }
    );
    call!(
        approve_agreement,
        pb::ApproveAgreementRequest {
            request_id: id(),
            agreement_id: agreement.to_owned(),
        }
    );
    call!(
        suspend_agreement,
        pb::SuspendAgreementRequest {
            request_id: id(),
            agreement_id: agreement.to_owned(),
            reason: "LEAK".to_owned(),
        }
    );
    call!(
        end_agreement,
        pb::EndAgreementRequest {
            request_id: id(),
            agreement_id: agreement.to_owned(),
            reason: "NO_NEED".to_owned(),
        }
    );
    call!(
        get_agreement,
        pb::GetAgreementRequest {
            agreement_id: agreement.to_owned(),
            min_position: String::new(),
        }
    );
    call!(list_agreements, pb::ListAgreementsRequest::default());
    call!(get_dossier, dossier_request(elder));
    call!(break_glass, break_glass_request(elder));
    call!(
        confirm_erasure,
        pb::ConfirmErasureRequest {
            request_id: id(),
            elder_id: elder.to_string(),
        }
    );
    call!(get_access_history, looks_at(elder));
    call!(get_audit_head, pb::GetAuditHeadRequest {});
    call!(export_audit, pb::ExportAuditRequest { first_sequence: 0 });
    outcomes
}

/// The calls that are answered, or refused by the rules only.
fn let_in(outcomes: Vec<(&'static str, Result<(), Status>)>) -> Vec<&'static str> {
    let outcomes = outcomes.into_iter();
    let mut told: Vec<_> = outcomes
        .filter(|(_, outcome)| match outcome {
            Ok(()) => true,
            Err(status) => status.code() != Code::PermissionDenied,
        })
        .map(|(method, _)| method)
        .collect();
    told.sort_unstable();
    told
}

const REFERENCE: [&str; 4] = [
    "list_products",
    "get_agreement",
    "list_agreements",
    "get_audit_head",
];
const AGREEMENTS: [&str; 3] = ["propose_agreement", "suspend_agreement", "end_agreement"];

#[track_caller]
fn assert_let_in(
    outcomes: Vec<(&'static str, Result<(), Status>)>,
    expected: &[&[&'static str]],
    who: &str,
) {
    let mut expected = expected.concat();
    expected.sort_unstable();
    assert_eq!(let_in(outcomes), expected, "{who}");
}

#[tokio::test]
async fn each_role_may_do_what_it_is_for() {
    for (role, expected) in [
        ("viewer", &[&["get_dossier", "get_access_history"][..]][..]),
        ("clerk", &[&["get_dossier", "get_access_history"]]),
        (
            "supervisor",
            &[&[
                "get_dossier",
                "get_access_history",
                "break_glass",
                "confirm_erasure",
                "approve_agreement",
            ]],
        ),
        (
            "administrator",
            &[&["get_dossier", "get_access_history"], &AGREEMENTS],
        ),
        (
            "privacy_officer",
            &[&["get_dossier", "get_access_history", "confirm_erasure"]],
        ),
        ("operator", &[]),
    ] {
        let ground = Ground::at("2024-03-01 09:10");
        let (running, elder, agreement) = county(&ground).await;
        let caller = officer("officer", CIVIL_AFFAIRS, COUNTY, &[role]);
        let outcomes = every_call(running.client_of(&caller), elder, &agreement).await;
        let expected = [expected, &[&REFERENCE]].concat();
        assert_let_in(outcomes, &expected, role);
        running.stop().await;
    }
}

#[tokio::test]
async fn other_departments_read_what_they_are_granted_and_decide_nothing() {
    let ground = Ground::at("2024-03-01 09:10");
    let (running, elder, agreement) = county(&ground).await;
    let all = [
        "viewer",
        "clerk",
        "supervisor",
        "administrator",
        "privacy_officer",
        "operator",
    ];
    let caller = officer("officer", "health", COUNTY, &all);
    let outcomes = every_call(running.client_of(&caller), elder, &agreement).await;
    let expected: [&[_]; 2] = [
        &REFERENCE,
        &[
            "get_dossier",
            "break_glass",
            "confirm_erasure",
            "get_access_history",
        ],
    ];
    assert_let_in(outcomes, &expected, "health");
    running.stop().await;
}

/// What becomes of a caller's word that the department has erased what it held of an elder.
async fn confirmation(running: &Running, caller: &Claims, elder: ElderId) -> Result<(), Status> {
    let request = pb::ConfirmErasureRequest {
        request_id: id(),
        elder_id: elder.to_string(),
    };
    let confirmed = running.client_of(caller).confirm_erasure(request).await;
    confirmed.map(|_| ())
}

#[tokio::test]
async fn an_erasure_is_confirmed_by_who_answers_for_the_department_and_by_its_system() {
    let ground = Ground::at("2024-03-01 09:10").with_feeds().await;
    let running = ground.start().await;
    running.agreed(&some_terms()).await;
    let system = |roles: &[&str]| {
        let system = Claims::system("his", "health").division(COUNTY);
        roles.iter().fold(system, |claims, role| claims.role(*role))
    };
    let readers = ["viewer", "clerk", "administrator", "operator"];
    for may in [
        officer("head", "health", COUNTY, &["supervisor"]),
        officer("privacy", "health", COUNTY, &["privacy_officer"]),
        system(&["viewer"]),
    ] {
        let elder = ground.known_to_all().await;
        // The feed has told of the elder, so that the department is asked.
        running.settled().await;
        ground.is_erased(elder).await;
        running.settled().await;
        let written = ground.written().await;
        for may_not in [
            officer("doctor", "health", COUNTY, &readers),
            system(&["clerk", "administrator", "operator"]),
            system(&["service", "device_gateway"]),
        ] {
            let outcome = confirmation(&running, &may_not, elder).await;
            refused(outcome, Code::PermissionDenied, "ACTION_NOT_PERMITTED");
        }
        // Whoever answers for another department confirms nothing for this one.
        let other = officer("head", "finance", COUNTY, &["supervisor"]);
        let outcome = confirmation(&running, &other, elder).await;
        refused(outcome, Code::NotFound, "ERASURE_NOT_FOUND");
        assert_eq!(ground.written().await, written);
        confirmation(&running, &may, elder).await.unwrap();
        assert_eq!(ground.written().await, written + 1);
    }
    running.stop().await;
}

#[tokio::test]
async fn the_log_is_given_out_to_operators_of_all_divisions_only() {
    let ground = Ground::at("2024-03-01 09:10");
    let (running, elder, agreement) = county(&ground).await;
    let caller = officer("operator", "platform", "*", &["operator"]);
    let outcomes = every_call(running.client_of(&caller), elder, &agreement).await;
    assert_let_in(outcomes, &[&REFERENCE, &["export_audit"]], "operator");
    let caller = officer("operator", "platform", COUNTY, &["operator"]);
    let request = pb::ExportAuditRequest { first_sequence: 0 };
    let outcome = running.client_of(&caller).export_audit(request).await;
    refused(
        outcome.map(|_| ()),
        Code::PermissionDenied,
        "DIVISION_OUT_OF_REACH",
    );
    running.stop().await;
}

#[tokio::test]
async fn a_caller_of_another_division_is_refused_every_call_about_this_one() {
    let ground = Ground::at("2024-03-01 09:10");
    let (running, elder, agreement) = county(&ground).await;
    let written = ground.written().await;
    let all = ["viewer", "clerk", "supervisor", "administrator"];
    for (department, division) in [
        (CIVIL_AFFAIRS, OTHER_COUNTY),
        ("health", OTHER_COUNTY),
        // A town is not its county, nor another town.
        (CIVIL_AFFAIRS, "350524101"),
    ] {
        let caller = officer("officer", department, division, &all);
        let outcomes = every_call(running.client_of(&caller), elder, &agreement).await;
        for (method, outcome) in outcomes {
            if REFERENCE.contains(&method) {
                continue;
            }
            let refused = outcome.unwrap_err();
            let told = matches!(refused.code(), Code::PermissionDenied | Code::NotFound);
            assert!(told, "{method}: {refused:?}");
        }
    }
    assert_eq!(ground.written().await, written);
    running.stop().await;
}

#[tokio::test]
async fn whoever_reads_of_persons_says_what_for() {
    let ground = Ground::at("2024-03-01 09:10");
    let (running, elder, agreement) = county(&ground).await;
    for (department, expected) in [
        (
            CIVIL_AFFAIRS,
            &["break_glass", "get_access_history", "get_dossier"][..],
        ),
        (
            "health",
            &["break_glass", "get_access_history", "get_dossier"],
        ),
    ] {
        let without = Claims::officer("officer", department)
            .division(COUNTY)
            .role("viewer")
            .role("supervisor");
        let outcomes = every_call(running.client_of(&without), elder, &agreement).await;
        let outcomes = outcomes.into_iter();
        let mut told: Vec<_> = outcomes
            .filter(|(_, outcome)| {
                let refused = outcome.as_ref().err();
                refused.is_some_and(|status| reason(status) == "PURPOSE_REQUIRED")
            })
            .map(|(method, _)| method)
            .collect();
        told.sort_unstable();
        assert_eq!(told, expected, "{department}");
    }
    assert!(ground.looks().await.is_empty() && ground.broken().await.is_empty());
    running.stop().await;
}

#[tokio::test]
async fn the_catalogue_may_be_read_by_everybody() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let anybody = Claims::officer("officer", "finance").division(OTHER_COUNTY);
    let mut client = running.client_of(&anybody);
    let listed = client.list_products(pb::ListProductsRequest {}).await;
    let products = listed.unwrap().into_inner().products;
    let names: Vec<_> = products
        .iter()
        .map(|product| product.name.as_str())
        .collect();
    assert_eq!(
        names,
        ["elder", "tier", "visit", "alert", "order", "enrolment"]
    );
    for product in &products {
        for field in &product.fields {
            assert!(!field.maskable || field.personal, "{field:?}");
            assert!(product.schema.contains(&field.name), "{field:?}");
        }
    }
    running.stop().await;
}
