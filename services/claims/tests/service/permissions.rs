//! Who may do what: nobody reaches beyond their division, and no refusal tells what lies there.

use proto::eldercare::claims::v1 as pb;
use service::Claims;
use tonic::{Code, Status};

use crate::support::{
    BY_ID, COUNTY, Ground, Named, OTHER_COUNTY, Running, enrolment, every_call, officer, order,
    outcome_in_words, reason, word_for_word,
};

async fn county(ground: &Ground) -> (Running, Named) {
    let running = ground.start().await;
    let named = running.county().await;
    (running, named)
}

#[tokio::test]
async fn a_caller_of_another_division_is_refused_every_call() {
    let ground = Ground::at("2024-03-01 09:00");
    let (running, named) = county(&ground).await;
    let end = ground.end().await;
    let elsewhere = running.client_of(&officer("clerk", OTHER_COUNTY));
    for (method, outcome) in every_call(elsewhere, &named).await {
        let refused = outcome.unwrap_err();
        let expected = if BY_ID.contains(&method) {
            Code::NotFound
        } else {
            Code::PermissionDenied
        };
        assert_eq!(refused.code(), expected, "{method}: {refused:?}");
    }
    assert_eq!(ground.end().await, end);
    // A town is not its county either; what is about persons of the town it may read.
    let town = running.client_of(&officer("clerk", "350524101"));
    for (method, outcome) in every_call(town, &named).await {
        assert!(outcome.is_err(), "{method}");
    }
    assert_eq!(ground.end().await, end);
    running.stop().await;
}

#[tokio::test]
async fn streams_refuse_each_item_about_another_division() {
    let ground = Ground::at("2024-03-01 09:00");
    let (running, named) = county(&ground).await;
    let kept = enrolment("LTCI", ground.elder().await, "2024-01-01");
    let enrolled = running.enrol_all(std::slice::from_ref(&kept)).await;
    assert_eq!(enrolled[0].basis, "LOW_INCOME");
    // What follows from it by itself has come.
    running.settled().await;
    let end = ground.end().await;
    let mut client = running.client_of(&officer("clerk", OTHER_COUNTY));
    let request = pb::SubmitOrdersRequest {
        order: Some(order(
            "C",
            named.elder,
            &named.caregiver,
            "2024-02-12 09:00",
        )),
        min_position: String::new(),
    };
    let answers = client.submit_orders(tokio_stream::iter([request])).await;
    let told = answers.unwrap().into_inner().message().await.unwrap();
    assert_eq!(outcome_in_words(&told.unwrap()), "ELDER_NOT_FOUND");
    // Nor is a retry answered to others: neither on what basis somebody is enrolled nor for which premium.
    for enrolment in [enrolment("LTCI", named.elder, "2024-01-01"), kept] {
        let request = pb::EnrolPersonsRequest {
            enrolment: Some(enrolment),
            min_position: String::new(),
        };
        let answers = client.enrol_persons(tokio_stream::iter([request])).await;
        let told = answers.unwrap().into_inner().message().await.unwrap();
        let told = told.unwrap();
        assert_eq!(told.reason, "ELDER_NOT_FOUND");
        assert_eq!((told.basis.as_str(), told.premium_fen), ("", 0));
    }
    assert_eq!(ground.end().await, end);
    running.stop().await;
}

#[tokio::test]
async fn an_elder_of_another_division_is_told_of_as_one_who_is_not_there() {
    let ground = Ground::at("2024-03-01 09:00");
    let (running, named) = county(&ground).await;
    let there = named.elder;
    let erased = ground.elder().await;
    ground.is_erased(erased).await;
    running.settled().await;
    let unknown = || civic::ElderId(uuid::Uuid::now_v7());
    let mut texts = Vec::new();
    for (division, elder) in [
        (COUNTY, unknown()),
        (COUNTY, erased),
        (OTHER_COUNTY, unknown()),
        (OTHER_COUNTY, there),
        ("350524101", there),
    ] {
        let request = pb::GetEntitlementRequest {
            programme_code: "LTCI".to_owned(),
            elder_id: elder.to_string(),
            on: None,
            min_position: String::new(),
        };
        let mut client = running.client_of(&officer("clerk", division));
        let refused = client.get_entitlement(request).await.unwrap_err();
        let text = word_for_word(&refused);
        texts.push(text.replace(&elder.to_string(), "ID"));
    }
    texts.dedup();
    assert_eq!(texts.len(), 1, "{texts:#?}");
    assert!(texts[0].contains("ELDER_NOT_FOUND"), "{texts:?}");
    running.stop().await;
}

#[tokio::test]
async fn whoever_hands_in_an_order_of_another_division_learns_nothing_of_it() {
    let ground = Ground::at("2024-03-01 09:00");
    let (running, named) = county(&ground).await;
    let mut client = running.client_of(&officer("clerk", OTHER_COUNTY));
    // The order that is there, and another one under its number.
    for start in ["2024-02-10 09:00", "2024-02-12 09:00"] {
        let order = order("A", named.elder, &named.caregiver, start);
        let request = pb::SubmitOrderRequest {
            order: Some(order.clone()),
            min_position: String::new(),
        };
        let refused = client.submit_order(request).await.unwrap_err();
        assert_eq!(reason(&refused), "ELDER_NOT_FOUND", "{start}");
        let request = pb::SubmitOrdersRequest {
            order: Some(order),
            min_position: String::new(),
        };
        let answers = client.submit_orders(tokio_stream::iter([request])).await;
        let told = answers.unwrap().into_inner().message().await.unwrap();
        assert_eq!(told.unwrap().standing, None, "{start}");
    }
    running.stop().await;
}

/// The calls that are answered, or refused by the rules only.
fn let_in(outcomes: Vec<(&'static str, Result<(), Status>)>) -> Vec<&'static str> {
    let outcomes = outcomes.into_iter();
    outcomes
        .filter(|(_, outcome)| match outcome {
            Ok(()) => true,
            Err(status) => {
                status.code() != Code::PermissionDenied || reason(status) == "SAME_PERSON"
            }
        })
        .map(|(method, _)| method)
        .collect()
}

#[tokio::test]
async fn each_role_may_do_what_it_is_for() {
    let ground = Ground::at("2024-03-01 09:00");
    let (running, named) = county(&ground).await;
    let with = |role: &str| {
        Claims::officer("officer", "civil_affairs")
            .division(COUNTY)
            .purpose("test")
            .role(role)
    };
    let reading = [
        "list_enrolments",
        "get_entitlement",
        "get_order",
        "list_orders",
        "list_appeals",
        "list_held_orders",
        "get_settlement",
        "list_settlements",
        "get_fund",
        "get_fund_ledger",
        "get_figures",
        "list_suspicions",
    ];
    let writing = [
        "end_enrolment",
        "contract_provider",
        "end_contract",
        "register_caregiver",
        "retire_caregiver",
        "submit_order",
        "appeal_order",
        "draft_settlement",
        "fund_deposit",
    ];
    let reviewing = [
        "decide_appeal",
        "decide_hold",
        "confirm_settlement",
        "record_payment",
        "adjust_settlement",
        "export_settlement",
    ];
    let administering = ["define_programme"];
    for (role, expected) in [
        ("viewer", vec![&reading[..]]),
        ("clerk", vec![&reading, &writing]),
        ("supervisor", vec![&reading, &writing, &reviewing]),
        ("administrator", vec![&reading, &administering]),
    ] {
        let client = running.client_of(&with(role));
        let mut told = let_in(every_call(client, &named).await);
        let mut expected = expected.concat();
        told.sort_unstable();
        expected.sort_unstable();
        assert_eq!(told, expected, "{role}");
    }
    running.stop().await;
}

#[tokio::test]
async fn whoever_reads_of_persons_says_what_for() {
    let ground = Ground::at("2024-03-01 09:00");
    let (running, named) = county(&ground).await;
    for without in [
        Claims::officer("officer", "civil_affairs"),
        Claims::system("system", "civil_affairs"),
    ] {
        let without = without.division(COUNTY).role("viewer");
        let client = running.client_of(&without);
        let mut told = let_in(every_call(client, &named).await);
        told.sort_unstable();
        // Figures, sums and funds tell of nobody.
        assert_eq!(
            told,
            [
                "get_figures",
                "get_fund",
                "get_fund_ledger",
                "list_settlements"
            ],
            "{without:?}"
        );
    }
    running.stop().await;
}

#[tokio::test]
async fn programmes_may_be_read_by_everybody() {
    let ground = Ground::at("2024-03-01 09:00");
    let (running, _) = county(&ground).await;
    let anybody = Claims::officer("officer", "finance").division(OTHER_COUNTY);
    let mut client = running.client_of(&anybody);
    let request = pb::GetProgrammeRequest {
        programme_code: "LTCI".to_owned(),
        version: 0,
        min_position: String::new(),
    };
    client.get_programme(request).await.unwrap();
    let request = pb::ListProgrammesRequest::default();
    let listed = client.list_programmes(request).await.unwrap();
    assert_eq!(listed.into_inner().programmes.len(), 1);
    running.stop().await;
}
