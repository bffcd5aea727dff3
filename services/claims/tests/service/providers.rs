//! Providers' own systems: each hands in its own orders and appeals, sees what becomes of them, and nothing of others.

use civic::ElderId;
use proto::eldercare::claims::v1 as pb;
use service::Claims;
use tonic::Code;

use crate::support::{
    COUNTY, Client, Ground, Named, OTHER_COUNTY, Person, Running, all_in, appeal_request,
    every_call, file, in_words, order, outcome_in_words, reason, short_order, word_for_word,
};

/// The own system of a provider that works in a division.
pub(crate) fn system_of(provider: &str, division: &str) -> Claims {
    Claims::system(format!("system-of-{provider}"), "provider")
        .division(division)
        .role("provider")
        .provider(provider)
        .purpose("settlement")
}

/// The county with providers P01 and P02, each with a caregiver, and an insured elder.
struct Two {
    running: Running,
    elder: ElderId,
    first: String,
    second: String,
}

impl Two {
    async fn on(ground: &Ground) -> Self {
        let running = ground.start().await;
        let first = running.insurance().await;
        running.contract("P02", "LTCI").await.unwrap();
        let second = running.caregiver("P02").await;
        let elder = running.insured().await;
        running.settled().await;
        Self {
            running,
            elder,
            first,
            second,
        }
    }

    fn system(&self, provider: &str) -> Client {
        self.running.client_of(&system_of(provider, COUNTY))
    }

    /// An order of P02, with a file of its own.
    fn of_second(&self, number: &str, start: &str) -> pb::ServiceOrder {
        pb::ServiceOrder {
            provider_id: "P02".to_owned(),
            evidence: vec![file(pb::EvidenceKind::Video, &format!("P02 {number}"))],
            ..order(number, self.elder, &self.second, start)
        }
    }
}

fn handed_in(order: &pb::ServiceOrder) -> pb::SubmitOrderRequest {
    pb::SubmitOrderRequest {
        order: Some(order.clone()),
        min_position: String::new(),
    }
}

fn asked(provider: &str, number: &str) -> pb::GetOrderRequest {
    pb::GetOrderRequest {
        provider_id: provider.to_owned(),
        order_id: number.to_owned(),
        min_position: String::new(),
    }
}

/// The orders that a caller is shown by a filter.
async fn listed(client: &mut Client, filter: pb::OrderFilter) -> Vec<String> {
    let request = pb::ListOrdersRequest {
        filter: Some(filter),
        ..Default::default()
    };
    let listed = client.list_orders(request).await.unwrap().into_inner();
    assert_eq!(listed.next_page_token, "");
    let names = listed.orders.iter();
    names
        .map(|one| format!("{}/{}", one.provider_id, one.order_id))
        .collect()
}

#[tokio::test]
async fn a_provider_hands_in_its_own_orders_and_none_of_another() {
    let ground = Ground::at("2024-03-01 09:00");
    let two = Two::on(&ground).await;
    let mut own = two.system("P01");
    let good = order("A", two.elder, &two.first, "2024-02-10 09:00");
    let told = own.submit_order(handed_in(&good)).await.unwrap();
    let standing = told.into_inner().standing.unwrap();
    assert_eq!(in_words(&standing), "APPROVED");
    // By which rule the elder is entitled is not the provider's business.
    assert_eq!(standing.entitled_by, "");
    assert_eq!(
        two.running.order("A").await.standing.unwrap().entitled_by,
        "LOW_INCOME"
    );
    // Of another provider it hands in nothing, whether that is there already or not.
    let theirs = two.of_second("A", "2024-02-11 09:00");
    let mut second = two.system("P02");
    second.submit_order(handed_in(&theirs)).await.unwrap();
    two.running.settled().await;
    let end = ground.end().await;
    let fresh = two.of_second("B", "2024-02-12 09:00");
    for order in [&theirs, &fresh] {
        let refused = own.submit_order(handed_in(order)).await.unwrap_err();
        assert_eq!(
            (refused.code(), reason(&refused).as_str()),
            (Code::PermissionDenied, "PROVIDER_OUT_OF_REACH")
        );
    }
    assert_eq!(ground.end().await, end);
    // In a stream each order is judged by itself.
    let more = order("C", two.elder, &two.first, "2024-02-13 09:00");
    let sent = [&fresh, &more, &theirs, &good].map(|order| pb::SubmitOrdersRequest {
        order: Some(order.clone()),
        min_position: String::new(),
    });
    let answers = own.submit_orders(tokio_stream::iter(sent)).await;
    let mut answers = answers.unwrap().into_inner();
    let mut told = Vec::new();
    while let Some(outcome) = answers.message().await.unwrap() {
        let standing = outcome.standing.as_ref();
        assert!(standing.is_none_or(|standing| standing.entitled_by.is_empty()));
        told.push(outcome_in_words(&outcome));
    }
    let refused = "PROVIDER_OUT_OF_REACH";
    assert_eq!(told, [refused, "APPROVED", refused, "APPROVED"]);
    two.running.stop().await;
}

#[tokio::test]
async fn a_provider_is_shown_its_own_orders_and_knows_of_no_others() {
    let ground = Ground::at("2024-03-01 09:00");
    let two = Two::on(&ground).await;
    let (mut own, mut second) = (two.system("P01"), two.system("P02"));
    let good = order("A", two.elder, &two.first, "2024-02-10 09:00");
    own.submit_order(handed_in(&good)).await.unwrap();
    // At the same time, with the same file.
    let mut theirs = two.of_second("B", "2024-02-10 10:00");
    theirs.evidence = good.evidence.clone();
    second.submit_order(handed_in(&theirs)).await.unwrap();

    // What it handed in, and how it stands; neither facts of the elder nor the other's orders.
    let told = own.get_order(asked("P01", "A")).await.unwrap().into_inner();
    assert_eq!(
        told.order,
        Some(pb::ServiceOrder {
            programme_version: 1,
            ..good
        })
    );
    assert_eq!(in_words(told.standing.as_ref().unwrap()), "APPROVED");
    assert_eq!(told.facts, None);
    let held = second.get_order(asked("P02", "B")).await.unwrap();
    let held = held.into_inner();
    let codes = "ABNORMAL_OPEN EVIDENCE_REUSED DUPLICATE_SERVICE";
    assert_eq!(in_words(held.standing.as_ref().unwrap()), codes);
    assert_eq!(held.explanations.len(), 2);
    for explanation in &held.explanations {
        assert!(explanation.earlier.is_empty(), "{explanation:?}");
    }
    let officers = two.running.client().get_order(asked("P02", "B")).await;
    let officers = officers.unwrap().into_inner();
    assert!(officers.facts.is_some());
    let earlier = &officers.explanations[0].earlier[0];
    assert_eq!(earlier.provider_id, "P01");

    // Another's order is told of word for word as one that is not there.
    let mut texts = Vec::new();
    for (provider, number) in [("P02", "B"), ("P02", "NONE"), ("P01", "B"), ("P01", "NONE")] {
        let refused = own.get_order(asked(provider, number)).await.unwrap_err();
        texts.push(word_for_word(&refused));
        let appeal = pb::AppealOrderRequest {
            provider_id: provider.to_owned(),
            ..appeal_request(number)
        };
        let refused = own.appeal_order(appeal).await.unwrap_err();
        assert_eq!(reason(&refused), "ORDER_NOT_FOUND");
        texts.push(word_for_word(&refused));
    }
    texts.dedup();
    assert_eq!(texts.len(), 1, "{texts:#?}");

    // Lists hold its own alone, and nothing can be found out by a filter that it is not told.
    let of = |provider: &str| pb::OrderFilter {
        provider_id: provider.to_owned(),
        ..all_in(COUNTY)
    };
    assert_eq!(listed(&mut own, all_in(COUNTY)).await, ["P01/A"]);
    assert_eq!(listed(&mut own, of("P01")).await, ["P01/A"]);
    assert!(listed(&mut own, of("P02")).await.is_empty());
    assert_eq!(listed(&mut second, all_in(COUNTY)).await, ["P02/B"]);
    let entitled = pb::OrderFilter {
        entitled_by: "LOW_INCOME".to_owned(),
        ..all_in(COUNTY)
    };
    assert!(listed(&mut own, entitled).await.is_empty());
    two.running.stop().await;
}

#[tokio::test]
async fn a_provider_appeals_and_is_told_how_it_was_decided_but_not_by_whom() {
    let ground = Ground::at("2024-03-01 09:00");
    let two = Two::on(&ground).await;
    let mut own = two.system("P01");
    let short = short_order("A", two.elder, &two.first, "2024-02-10 09:00");
    own.submit_order(handed_in(&short)).await.unwrap();
    own.appeal_order(appeal_request("A")).await.unwrap();
    let decided = two.running.decide("A", true).await.unwrap();
    assert_eq!(decided, "APPROVED DURATION_SHORT");
    let told = own.get_order(asked("P01", "A")).await.unwrap().into_inner();
    let appeal = told.appeal.unwrap();
    assert_eq!(appeal.statement, "家属可作证");
    assert_eq!(appeal.state(), pb::AppealState::Accepted);
    assert!(appeal.decided_at.is_some());
    assert_eq!(appeal.decided_by, "");
    two.running.stop().await;
}

#[tokio::test]
async fn a_provider_works_in_its_divisions_alone() {
    let ground = Ground::at("2024-03-01 09:00");
    let two = Two::on(&ground).await;
    let good = order("A", two.elder, &two.first, "2024-02-10 09:00");
    assert_eq!(two.running.told(&good).await, "APPROVED");
    let mut elsewhere = two.running.client_of(&system_of("P01", OTHER_COUNTY));
    for number in ["A", "B"] {
        let order = order(number, two.elder, &two.first, "2024-02-10 09:00");
        let refused = elsewhere.submit_order(handed_in(&order)).await;
        assert_eq!(reason(&refused.unwrap_err()), "ELDER_NOT_FOUND");
        let refused = elsewhere.get_order(asked("P01", number)).await;
        assert_eq!(reason(&refused.unwrap_err()), "ORDER_NOT_FOUND");
    }
    // Somebody of another county is nobody to it.
    let away = Person {
        village: "350525100001",
        ..Person::default()
    };
    let away = away.on(&ground).await;
    two.running.settled().await;
    let there = order("B", away, &two.first, "2024-02-11 09:00");
    let refused = two.system("P01").submit_order(handed_in(&there)).await;
    assert_eq!(reason(&refused.unwrap_err()), "ELDER_NOT_FOUND");
    two.running.stop().await;
}

#[tokio::test]
async fn a_providers_system_may_call_nothing_else() {
    let ground = Ground::at("2024-03-01 09:00");
    let running = ground.start().await;
    let named = running.county().await;
    // Whatever other roles it was given by mistake.
    let all = ["viewer", "clerk", "supervisor", "administrator", "service"];
    let system = all.into_iter().fold(system_of("P01", COUNTY), Claims::role);
    for claims in [system_of("P01", COUNTY), system] {
        let mut refused = Vec::new();
        for (method, outcome) in every_call(running.client_of(&claims), &named).await {
            if let Err(status) = outcome
                && status.code() == Code::PermissionDenied
            {
                assert_eq!(reason(&status), "ACTION_NOT_PERMITTED", "{method}");
                refused.push(method);
            }
        }
        for method in ["submit_order", "get_order", "list_orders", "appeal_order"] {
            assert!(!refused.contains(&method), "{method}");
        }
        assert_eq!(refused.len(), 24, "{refused:?}");
    }
    // What became of its orders it is told where it says what for.
    let silent = Claims {
        purpose: None,
        ..system_of("P01", COUNTY)
    };
    let mut client = running.client_of(&silent);
    let refused = client.get_order(asked("P01", "A")).await.unwrap_err();
    assert_eq!(reason(&refused), "PURPOSE_REQUIRED");
    // Programmes it may read, as everybody may.
    let mut client = running.client_of(&system_of("P01", COUNTY));
    let request = pb::ListProgrammesRequest::default();
    client.list_programmes(request).await.unwrap();
    // Without a provider the role is worth nothing; nor is the name of nobody.
    let of_nobody = Claims::system("system", "provider")
        .division(COUNTY)
        .role("provider");
    for claims in [of_nobody.clone(), of_nobody.provider("")] {
        let mut client = running.client_of(&claims);
        let refused = client.get_order(asked("P01", "A")).await.unwrap_err();
        assert_eq!(reason(&refused), "ACTION_NOT_PERMITTED");
    }
    let nothing = Named::nothing();
    let refused = client.get_order(asked("P01", &nothing.approved)).await;
    assert_eq!(reason(&refused.unwrap_err()), "ORDER_NOT_FOUND");
    running.stop().await;
}
