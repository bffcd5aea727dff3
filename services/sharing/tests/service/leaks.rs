//! An officer of one town asks for an elder of another one in every way that there is, and is told what is told of an elder
//! who is not there, and of a town where nobody lives.

use std::collections::BTreeSet;

use civic::ElderId;
use eventlog::Position;
use proto::eldercare::sharing::v1 as pb;
use proto::eldercare::sharing::v1::subscribe_feed_request::Start;
use service::testing::{self, knock, methods_of};
use service::{Application as _, Claims, Server, Shutdown, TokenIssuer};
use tonic::{Code, Status};
use uuid::Uuid;

use crate::support::{
    CIVIL_AFFAIRS, Client, EMPTY_TOWN, FOR_ALL, Ground, OTHER_TOWN, SERVICE, TOWN,
    break_glass_request, confirm_request, dossier_request, id, in_full, looks_at, officer,
    some_terms,
};

/// The methods that take neither an elder nor a town.
const OTHERS: [&str; 10] = [
    "ListProducts",
    "ApproveAgreement",
    "SuspendAgreement",
    "EndAgreement",
    "GetAgreement",
    "ListAgreements",
    "IssueFeedCredential",
    "RevokeFeedCredential",
    "GetAuditHead",
    "ExportAudit",
];

/// What is told, in words that are the same whoever and wherever was asked for.
fn in_words<T: std::fmt::Debug>(outcome: Result<T, Status>, elder: ElderId, town: &str) -> String {
    let elder = elder.to_string();
    let text = match outcome {
        Ok(answer) => format!("{answer:?}"),
        Err(status) => in_full(&status, &elder),
    };
    text.replace(&elder, "ID").replace(town, "TOWN")
}

/// What a subscriber to the feeds of a town is told first, from their beginning on.
async fn subscribed(
    client: &mut Client,
    town: &str,
) -> Result<Option<pb::SubscribeFeedResponse>, Status> {
    let beginning = Position::new("FEEDS", 0).to_string();
    let request = pb::SubscribeFeedRequest {
        division_code: town.to_owned(),
        start: Some(Start::AfterPosition(beginning)),
        ..Default::default()
    };
    let mut events = client.subscribe_feed(request).await?.into_inner();
    events.message().await
}

/// Every question that names an elder or a town, and what is told.
async fn every_question(
    mut client: Client,
    elder: ElderId,
    town: &str,
) -> Vec<(&'static str, String)> {
    let mut told = Vec::new();
    macro_rules! ask {
        ($method:ident, $request:expr) => {
            let outcome = client.$method($request).await;
            let outcome = outcome.map(|answer| answer.into_inner());
            told.push((stringify!($method), in_words(outcome, elder, town)));
        };
    }
    ask!(get_dossier, dossier_request(elder));
    ask!(break_glass, break_glass_request(elder));
    ask!(get_access_history, looks_at(elder));
    ask!(confirm_erasure, confirm_request(elder));
    ask!(list_erasures, pb::ListErasuresRequest::default());
    ask!(
        propose_agreement,
        pb::ProposeAgreementRequest {
            request_id: id(),
            terms: Some(pb::AgreementTerms {
                division_codes: vec![town.to_owned()],
                ..some_terms()
            }),
        }
    );
    // The town by its name, and whoever has something that the elder has, wherever that is.
    ask!(
        find_elders,
        pb::FindEldersRequest {
            division_codes: vec![town.to_owned()],
            ..Default::default()
        }
    );
    ask!(
        find_elders,
        pb::FindEldersRequest {
            division_codes: vec![town.to_owned()],
            tiers: vec!["PRIORITY".to_owned()],
            with_open_alert: true,
            ..Default::default()
        }
    );
    ask!(
        find_elders,
        pb::FindEldersRequest {
            tiers: vec!["PRIORITY".to_owned()],
            ..Default::default()
        }
    );
    ask!(
        get_situation,
        pb::GetSituationRequest {
            division_code: town.to_owned(),
            ..Default::default()
        }
    );
    ask!(
        watch_situation,
        pb::WatchSituationRequest {
            division_code: town.to_owned(),
        }
    );
    let request = pb::QueryFeedRequest {
        division_code: town.to_owned(),
        ..Default::default()
    };
    // How far it was looked is another position each time.
    let events = client.query_feed(request).await;
    let events = events.map(|answer| answer.into_inner().events);
    told.push(("query_feed", in_words(events, elder, town)));
    let first = subscribed(&mut client, town).await;
    told.push(("subscribe_feed", in_words(first, elder, town)));
    told
}

/// Every method of the contract was asked, or is one of the others.
#[track_caller]
fn every_method_stands_in(told: &[(&str, String)]) {
    let asked = told.iter().map(|(method, _)| method.replace('_', ""));
    let asked: BTreeSet<String> = asked.collect();
    let methods = methods_of(SERVICE);
    assert!(methods.len() > OTHERS.len());
    for method in methods {
        let is_asked = asked.contains(&method.to_lowercase());
        let is_other = OTHERS.contains(&method.as_str());
        assert_ne!(is_asked, is_other, "{method}");
    }
}

#[tokio::test]
async fn whoever_asks_for_an_elder_of_another_town_learns_nothing() {
    let ground = Ground::at("2024-03-01 09:10").with_feeds().await;
    let running = ground.start().await;
    let there = ground.known_to_all().await;
    // What health is granted, it is granted of both towns: where the officer works is all that stands between.
    running.agreed(&some_terms()).await;
    running.settled().await;
    let written = ground.written().await;
    let roles = [
        "viewer",
        "clerk",
        "supervisor",
        "administrator",
        "privacy_officer",
    ];
    for department in [CIVIL_AFFAIRS, "health"] {
        let caller = officer("officer", department, OTHER_TOWN, &roles);
        let client = running.client_of(&caller);
        let of_elder = every_question(client.clone(), there, TOWN).await;
        every_method_stands_in(&of_elder);
        let subscribed = of_elder.iter().any(|(_, told)| told.contains("CaughtUp"));
        assert!(subscribed, "{department}: {of_elder:?}");
        let of_nobody = every_question(client, ElderId(Uuid::now_v7()), EMPTY_TOWN).await;
        assert_eq!(of_elder, of_nobody, "{department}");
    }
    // Nobody was told anything, so that nothing went on record.
    assert_eq!(ground.written().await, written);
    running.stop().await;
}

#[tokio::test]
async fn without_a_role_no_method_is_called_but_those_for_all_and_without_a_token_none() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let issuer = TokenIssuer::generate();
    let settings = testing::settings(&issuer);
    let server = Server::new(&settings);
    let server = running
        .app
        .add_to(server, &Shutdown::new(&settings.shutdown));
    let gate = testing::Running::start(server, &settings).await.unwrap();
    let nobody = Claims::officer("nobody", CIVIL_AFFAIRS).purpose("test");
    let channel = gate.channel_of(&issuer.issue(&nobody));
    for (method, outcome) in knock(&channel, SERVICE).await {
        if FOR_ALL.contains(&method.as_str()) {
            let code = outcome.map_or_else(|refused| refused.code(), |()| Code::Ok);
            let refused = [Code::PermissionDenied, Code::Unauthenticated];
            assert!(!refused.contains(&code), "{method}: {code:?}");
        } else {
            let refused = outcome.expect_err(&method);
            let told = testing::reason(&refused);
            assert_eq!(refused.code(), Code::PermissionDenied, "{method}");
            assert_eq!(told, "ACTION_NOT_PERMITTED", "{method}");
        }
    }
    let stranger = gate.channel_of(&TokenIssuer::generate().issue(&nobody));
    for (method, outcome) in knock(&stranger, SERVICE).await {
        let refused = outcome.expect_err(&method);
        assert_eq!(refused.code(), Code::Unauthenticated, "{method}");
    }
    gate.stop().await.unwrap();
    running.stop().await;
}
