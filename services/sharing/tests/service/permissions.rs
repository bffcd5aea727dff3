//! Who may do what: each role what it is for, nobody beyond their divisions, and of persons nobody without a purpose.

use std::collections::BTreeSet;

use civic::ElderId;
use proto::eldercare::sharing::v1 as pb;
use service::Claims;
use service::testing::{AskedFor, every_method_is_asked, reason};
use tonic::{Code, Status};

use crate::support::{
    CIVIL_AFFAIRS, COUNTY, Client, FOR_ALL, Ground, OTHER_COUNTY, OTHER_TOWN, Running, SERVICE,
    break_glass_request, confirm_request, dossier_request, id, looks_at, officer, refused,
    some_terms,
};

/// The county with an elder of whom all is known, what health is granted of it, and a proposal that nobody has approved.
async fn county(ground: &Ground) -> (Running, ElderId, String) {
    let running = ground.start().await;
    let elder = ground.known_to_all().await;
    running.agreed(&some_terms()).await;
    let agreement = running.propose(&some_terms()).await.unwrap();
    running.settled().await;
    (running, elder, agreement)
}

/// Names of calls, each with nothing where it is answered.
type Outcomes = Vec<(&'static str, Result<(), Status>)>;

macro_rules! call {
    ($outcomes:ident, $client:ident.$method:ident($request:expr)) => {
        let outcome = $client.$method($request).await;
        $outcomes.push((stringify!($method), outcome.map(|_| ())));
    };
}

/// What becomes of every call about the county in the name of a caller.
async fn every_call(client: Client, elder: ElderId, agreement: &str) -> Outcomes {
    let mut outcomes = of_agreements(client.clone(), agreement).await;
    outcomes.extend(of_persons(client.clone(), elder).await);
    outcomes.extend(of_the_county(client.clone()).await);
    outcomes.extend(of_feeds(client).await);
    outcomes
}

async fn of_agreements(mut client: Client, agreement: &str) -> Outcomes {
    let mut outcomes = Vec::new();
    let proposal = pb::ProposeAgreementRequest {
        request_id: id(),
        terms: Some(some_terms()),
    };
    call!(outcomes, client.propose_agreement(proposal));
    let approval = pb::ApproveAgreementRequest {
        request_id: id(),
        agreement_id: agreement.to_owned(),
    };
    call!(outcomes, client.approve_agreement(approval));
    let suspension = pb::SuspendAgreementRequest {
        request_id: id(),
        agreement_id: agreement.to_owned(),
        reason: "LEAK".to_owned(),
    };
    call!(outcomes, client.suspend_agreement(suspension));
    let end = pb::EndAgreementRequest {
        request_id: id(),
        agreement_id: agreement.to_owned(),
        reason: "NO_NEED".to_owned(),
    };
    call!(outcomes, client.end_agreement(end));
    let one = pb::GetAgreementRequest {
        agreement_id: agreement.to_owned(),
        min_position: String::new(),
    };
    call!(outcomes, client.get_agreement(one));
    let all = pb::ListAgreementsRequest::default();
    call!(outcomes, client.list_agreements(all));
    outcomes
}

async fn of_persons(mut client: Client, elder: ElderId) -> Outcomes {
    let mut outcomes = Vec::new();
    call!(outcomes, client.get_dossier(dossier_request(elder)));
    call!(outcomes, client.break_glass(break_glass_request(elder)));
    call!(outcomes, client.get_access_history(looks_at(elder)));
    let erased = confirm_request(elder);
    call!(outcomes, client.confirm_erasure(erased));
    let receipts = pb::ListErasuresRequest::default();
    call!(outcomes, client.list_erasures(receipts));
    outcomes
}

async fn of_the_county(mut client: Client) -> Outcomes {
    let mut outcomes = Vec::new();
    let search = pb::FindEldersRequest {
        division_codes: vec![COUNTY.to_owned()],
        ..Default::default()
    };
    call!(outcomes, client.find_elders(search));
    let situation = pb::GetSituationRequest {
        division_code: COUNTY.to_owned(),
        ..Default::default()
    };
    call!(outcomes, client.get_situation(situation));
    let watch = pb::WatchSituationRequest {
        division_code: COUNTY.to_owned(),
    };
    call!(outcomes, client.watch_situation(watch));
    call!(outcomes, client.list_products(pb::ListProductsRequest {}));
    call!(outcomes, client.get_audit_head(pb::GetAuditHeadRequest {}));
    let export = pb::ExportAuditRequest { first_sequence: 0 };
    call!(outcomes, client.export_audit(export));
    outcomes
}

async fn of_feeds(mut client: Client) -> Outcomes {
    let mut outcomes = Vec::new();
    let lying = pb::QueryFeedRequest::default();
    call!(outcomes, client.query_feed(lying));
    let coming = pb::SubscribeFeedRequest::default();
    call!(outcomes, client.subscribe_feed(coming));
    let issue = pb::IssueFeedCredentialRequest {
        request_id: id(),
        department: "health".to_owned(),
    };
    call!(outcomes, client.issue_feed_credential(issue));
    let revocation = pb::RevokeFeedCredentialRequest {
        request_id: id(),
        department: "health".to_owned(),
        reason: "LEAK".to_owned(),
    };
    call!(outcomes, client.revoke_feed_credential(revocation));
    outcomes
}

/// The calls that are answered, or refused by the rules only.
fn let_in(outcomes: Outcomes) -> Vec<&'static str> {
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

/// As [`FOR_ALL`], by the names of the calls.
const REFERENCE: [&str; 5] = [
    "list_products",
    "get_agreement",
    "list_agreements",
    "list_erasures",
    "get_audit_head",
];
const STATISTICS: [&str; 2] = ["get_situation", "watch_situation"];
const FEEDS: [&str; 2] = ["query_feed", "subscribe_feed"];
const SHARED: [&str; 5] = [
    "find_elders",
    "get_access_history",
    "get_dossier",
    "query_feed",
    "subscribe_feed",
];
const ADMINISTERED: [&str; 5] = [
    "propose_agreement",
    "suspend_agreement",
    "end_agreement",
    "issue_feed_credential",
    "revoke_feed_credential",
];

#[track_caller]
fn assert_let_in(outcomes: Outcomes, expected: &[&[&'static str]], who: &str) {
    let mut expected = expected.concat();
    expected.sort_unstable();
    assert_eq!(let_in(outcomes), expected, "{who}");
}

#[tokio::test]
async fn every_method_is_open_to_somebody_and_closed_to_somebody_unless_it_is_for_all() {
    let ground = Ground::at("2024-03-01 09:10").with_feeds().await;
    let (running, elder, agreement) = county(&ground).await;
    let nobody = officer("nobody", CIVIL_AFFAIRS, OTHER_COUNTY, &[]);
    let outcomes = every_call(running.client_of(&nobody), elder, &agreement).await;
    let called: BTreeSet<&str> = outcomes.iter().map(|(method, _)| *method).collect();
    let (for_all, others): (Outcomes, Outcomes) = outcomes
        .into_iter()
        .partition(|(method, _)| REFERENCE.contains(method));
    assert_let_in(for_all, &[&REFERENCE], "nobody");
    let mut closed = AskedFor::new(elder.to_string());
    for (method, outcome) in others {
        let code = outcome.as_ref().err().map(Status::code);
        assert_eq!(code, Some(Code::PermissionDenied), "{method}");
        closed.heard(method, outcome);
    }
    every_method_is_asked(SERVICE, &[&closed], &FOR_ALL);

    let roles = ["administrator", "supervisor"];
    let mut open = BTreeSet::new();
    for caller in [
        officer("head", CIVIL_AFFAIRS, COUNTY, &roles),
        officer("operator", "platform", "*", &["operator"]),
    ] {
        let outcomes = every_call(running.client_of(&caller), elder, &agreement).await;
        open.extend(let_in(outcomes));
    }
    assert_eq!(open, called);
    running.stop().await;
}

#[tokio::test]
async fn each_role_may_do_what_it_is_for() {
    let ground = Ground::at("2024-03-01 09:10").with_feeds().await;
    let (running, elder, _) = county(&ground).await;
    for (role, expected) in [
        ("viewer", &[&SHARED[..]][..]),
        ("clerk", &[&SHARED]),
        (
            "supervisor",
            &[
                &SHARED,
                &["break_glass", "confirm_erasure", "approve_agreement"],
            ],
        ),
        ("administrator", &[&SHARED, &ADMINISTERED]),
        ("privacy_officer", &[&SHARED, &["confirm_erasure"]]),
        ("operator", &[]),
    ] {
        let agreement = running.propose(&some_terms()).await.unwrap();
        running.settled().await;
        let caller = officer("officer", CIVIL_AFFAIRS, COUNTY, &[role]);
        let outcomes = every_call(running.client_of(&caller), elder, &agreement).await;
        let expected = [expected, &[&REFERENCE, &STATISTICS]].concat();
        assert_let_in(outcomes, &expected, role);
    }
    running.stop().await;
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
    let expected: [&[_]; 4] = [
        &REFERENCE,
        &STATISTICS,
        &SHARED,
        &["break_glass", "confirm_erasure"],
    ];
    assert_let_in(outcomes, &expected, "health");
    // What nobody grants them they can't search by either.
    let caller = officer("officer", "finance", COUNTY, &all);
    let outcomes = of_the_county(running.client_of(&caller)).await;
    let search = outcomes
        .into_iter()
        .find(|(call, _)| *call == "find_elders");
    let (_, outcome) = search.unwrap();
    refused(outcome, Code::PermissionDenied, "SEARCH_NOT_GRANTED");
    running.stop().await;
}

/// What becomes of a caller's word that the department has erased what it held of an elder.
async fn confirmation(running: &Running, caller: &Claims, elder: ElderId) -> Result<(), Status> {
    let request = confirm_request(elder);
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
    let expected: [&[_]; 3] = [&REFERENCE, &STATISTICS, &["export_audit"]];
    assert_let_in(outcomes, &expected, "operator");
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
    let ground = Ground::at("2024-03-01 09:10").with_feeds().await;
    let (running, elder, agreement) = county(&ground).await;
    let written = ground.written().await;
    let all = ["viewer", "clerk", "supervisor", "administrator"];
    for (department, division) in [
        (CIVIL_AFFAIRS, OTHER_COUNTY),
        ("health", OTHER_COUNTY),
        // A town is not its county, nor another town.
        (CIVIL_AFFAIRS, OTHER_TOWN),
    ] {
        let caller = officer("officer", department, division, &all);
        let outcomes = every_call(running.client_of(&caller), elder, &agreement).await;
        for (method, outcome) in outcomes {
            if REFERENCE.contains(&method) {
                continue;
            }
            if FEEDS.contains(&method) {
                // They are their department's own, and bear nothing for other divisions.
                outcome.unwrap();
                continue;
            }
            let refused = outcome.unwrap_err();
            let told = matches!(refused.code(), Code::PermissionDenied | Code::NotFound);
            assert!(told, "{method}: {refused:?}");
        }
        assert_eq!(running.feed(&caller).await, []);
    }
    assert_eq!(ground.written().await, written);
    running.stop().await;
}

#[tokio::test]
async fn whoever_reads_of_persons_says_what_for() {
    let ground = Ground::at("2024-03-01 09:10");
    let (running, elder, agreement) = county(&ground).await;
    let of_officers = [&["break_glass"][..], &SHARED].concat();
    let officer = |department| (Claims::officer("officer", department), of_officers.clone());
    // No purpose lets a system break the glass.
    let system = |department| (Claims::system("his", department), SHARED.to_vec());
    for (without, expected) in [
        officer(CIVIL_AFFAIRS),
        officer("health"),
        system(CIVIL_AFFAIRS),
        system("health"),
    ] {
        let without = without.division(COUNTY).role("viewer").role("supervisor");
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
        assert_eq!(told, expected, "{without:?}");
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
