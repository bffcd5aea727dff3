//! What was found against an order once it was approved is told with the order, with what is behind it.

use proto::eldercare::claims::v1 as pb;

use crate::holds::{approved, decide, held, held_orders};
use crate::providers::system_of;
use crate::support::{COUNTY, Ground, end_of_contract};

#[tokio::test]
async fn an_order_on_hold_tells_why_to_officers_and_to_its_provider() {
    let ground = Ground::at("2024-03-01 09:00");
    let (running, elder, _) = approved(&ground).await;
    assert_eq!(running.order("B").await.hold, None);
    ground.dies(elder, "2024-02-15").await;
    let listed = held_orders(&running).await.remove(0);

    // Officers are told what the list says, why, and the facts as they are known by now.
    let told = running.order("B").await;
    let hold = told.hold.unwrap();
    assert!(told.explanations.is_empty());
    assert_eq!((hold.held_at, &hold.etag), (listed.held_at, &listed.etag));
    let why = &hold.explanations[0];
    assert_eq!(hold.explanations.len(), 1);
    assert_eq!(why.code(), pb::OrderCode::NotAliveOrPresent);
    assert_eq!(why.en, "the elder had died or moved out before 2024-02-20");
    let (then, now) = (told.facts.unwrap(), hold.facts.unwrap());
    assert_ne!(then.status, now.status);
    assert!(then.registry_sequence < now.registry_sequence);
    assert_eq!(then.metres_from_home, now.metres_from_home);

    // Its provider's system is told why, and neither facts nor what is for reviewers.
    let asked = pb::GetOrderRequest {
        provider_id: "P01".to_owned(),
        order_id: "B".to_owned(),
        min_position: String::new(),
    };
    let mut own = running.client_of(&system_of("P01", COUNTY));
    let told = own.get_order(asked).await.unwrap().into_inner();
    let own = told.hold.unwrap();
    assert_eq!(own.explanations, hold.explanations);
    assert_eq!((own.facts, own.etag.as_str()), (None, ""));

    // Once it is withdrawn, what the decision was about is still told.
    decide(&running, "reviewer", "B", true).await.unwrap();
    running.settled().await;
    let told = running.order("B").await;
    assert_eq!(told.standing.unwrap().hold(), pb::HoldState::Withdrawn);
    assert_eq!(told.hold.unwrap().explanations, hold.explanations);
    running.stop().await;
}

#[tokio::test]
async fn an_order_that_is_to_be_recovered_tells_which_contract_had_ended() {
    let ground = Ground::at("2024-03-01 09:00");
    let running = ground.start().await;
    running.define("LTCI", crate::support::LTCI).await.unwrap();
    let contract = running.contract("P01", "LTCI").await.unwrap();
    let caregiver = running.caregiver("P01").await;
    running.granted("LTCI", 100_000).await;
    let elder = running.insured().await;
    let order = crate::support::order("A", elder, &caregiver, "2024-02-20 09:00");
    assert_eq!(running.told(&order).await, "APPROVED");
    running.paid("P01", "2024-03-01").await;
    let end = end_of_contract("P01", &contract, "2024-02-15");
    running.client().end_contract(end).await.unwrap();
    assert_eq!(held(&running).await, ["A FOR_RECOVERY PROVIDER_INVALID"]);
    let told = running.order("A").await.hold.unwrap();
    let why: Vec<_> = told
        .explanations
        .iter()
        .map(|one| one.en.as_str())
        .collect();
    let expected =
        "the provider had no contract for LTCI on 2024-02-20 (but 2024-01-01 to 2024-02-15)";
    assert_eq!(why, [expected]);
    running.stop().await;
}
