//! Who works elsewhere learns nothing of an elder, an order, a provider, a caregiver or a settlement by the id: each method
//! answers as for an id that nobody has heard of.

use proto::eldercare::claims::v1 as pb;
use service::testing::{AskedFor, every_method_is_asked};
use tonic::{Code, Status};

use crate::support::{
    BY_ID, COUNTY, Ground, Named, OTHER_COUNTY, Running, every_call, officer, order, reason,
    word_for_word,
};

/// The methods that name divisions, or programmes, which all may know of; and the two whose streams tell of each item by itself.
const OTHERS: [&str; 17] = [
    "DefineProgramme",
    "GetProgramme",
    "ListProgrammes",
    "EnrolPersons",
    "ListEnrolments",
    "ContractProvider",
    "SubmitOrders",
    "ListOrders",
    "ListAppeals",
    "ListHeldOrders",
    "DraftSettlement",
    "ListSettlements",
    "ListSuspicions",
    "FundDeposit",
    "GetFund",
    "GetFundLedger",
    "GetFigures",
];

type Outcome = (&'static str, Result<(), Status>);

/// What those methods were told that ask for somebody or something by its id, and what all others were.
async fn told(running: &Running, division: &str, named: &Named) -> (Vec<AskedFor>, Vec<Outcome>) {
    let client = running.client_of(&officer("clerk", division));
    let outcomes = every_call(client, named).await.into_iter();
    let (by_id, others): (Vec<Outcome>, Vec<Outcome>) =
        outcomes.partition(|(method, _)| BY_ID.contains(method));
    let asked = by_id.into_iter().map(|(method, outcome)| {
        let id = match method {
            "get_entitlement" | "submit_order" => named.elder.to_string(),
            "register_caregiver" => named.provider.clone(),
            "retire_caregiver" => named.caregiver.clone(),
            // These refusals bear no id.
            other => other.to_owned(),
        };
        let mut asked = AskedFor::new(id);
        asked.heard(method, outcome);
        asked
    });
    (asked.collect(), others)
}

#[tokio::test]
async fn what_lies_elsewhere_is_as_unknown_as_what_never_was() {
    let ground = Ground::at("2024-03-01 09:00");
    let running = ground.start().await;
    let named = running.county().await;
    running.settled().await;
    let nothing = Named::nothing();
    let end = ground.end().await;
    let (there, refused) = told(&running, OTHER_COUNTY, &named).await;
    let (unknown, refused_alike) = told(&running, OTHER_COUNTY, &nothing).await;
    for (there, unknown) in there.iter().zip(&unknown) {
        there.is_told_as(unknown);
    }
    // Where it is the programme or the division that is refused, it is so whatever else is asked for.
    for ((method, one), (_, other)) in refused.into_iter().zip(refused_alike) {
        let [one, other] = [one, other].map(|outcome| word_for_word(&outcome.unwrap_err()));
        assert_eq!(one, other, "{method}");
    }
    assert_eq!(ground.end().await, end);
    // The county's own officers are told the same of what is not there.
    let (unknown, _) = told(&running, COUNTY, &nothing).await;
    for (there, unknown) in there.iter().zip(&unknown) {
        there.is_told_as(unknown);
    }
    let there: Vec<&AskedFor> = there.iter().collect();
    every_method_is_asked("eldercare.claims.v1.ClaimsService", &there, &OTHERS);
    running.stop().await;
}

#[tokio::test]
async fn the_key_of_an_elder_of_elsewhere_is_not_asked_for() {
    let mut ground = Ground::at("2024-03-01 09:00");
    let there = ground.elder().await;
    // Whoever asks for the key is told that it can't be had.
    ground.loses_the_key_of(there).await;
    let running = ground.start().await;
    let caregiver = running.insurance().await;
    running.settled().await;
    let told_in = async |county: &str| {
        let request = pb::SubmitOrderRequest {
            order: Some(order("A", there, &caregiver, "2024-02-10 09:00")),
            min_position: String::new(),
        };
        let mut client = running.client_of(&officer("clerk", county));
        client.submit_order(request).await.unwrap_err()
    };
    assert_eq!(reason(&told_in(OTHER_COUNTY).await), "ELDER_NOT_FOUND");
    assert_eq!(told_in(COUNTY).await.code(), Code::Unavailable);
    running.stop().await;
}
