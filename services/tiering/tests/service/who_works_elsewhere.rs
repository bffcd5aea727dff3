//! Who works elsewhere learns nothing of an elder by the id: each method answers as for an id that nobody has heard of.

use civic::ElderId;
use elders::event::{Event, Merge, Registered};
use proto::eldercare::tiering::v1 as pb;
use service::testing::{AskedFor, anybody_of, every_method_is_asked};

use crate::support::{Client, Running, date, elder, registered, residence};

/// The methods that name divisions, and BatchGetTiers, which passes by what it can't answer.
const OTHERS: [&str; 8] = [
    "BatchGetTiers",
    "ListTiers",
    "CountTiers",
    "PublishPolicy",
    "GetPolicy",
    "ListPolicies",
    "SimulatePolicy",
    "WatchTiers",
];

/// Asks by every method for an elder.
async fn asked_for(client: &mut Client, elder: ElderId) -> AskedFor {
    let mut asked = AskedFor::new(elder.to_string());
    let tier = pb::GetTierRequest {
        elder_id: asked.id(),
        ..Default::default()
    };
    asked.heard("get_tier", client.get_tier(tier).await);
    // Today, on a past day, and before anybody was registered.
    for on in [None, Some("2024-10-01"), Some("2024-01-01")] {
        let explain = pb::ExplainTierRequest {
            elder_id: asked.id(),
            on: on.map(date),
            ..Default::default()
        };
        asked.heard("explain_tier", client.explain_tier(explain).await);
    }
    asked
}

#[tokio::test]
async fn an_elder_of_elsewhere_is_as_unknown_as_one_who_never_was() {
    let world = Running::on("2024-10-01").await;
    let own = elder(1);
    world
        .record(own, &[registered(own, "1950-05-05", |_| {})])
        .await;
    let there = |one: ElderId, birth: &str| {
        let elsewhere = |elder: &mut Registered| elder.residence = residence("370303100001");
        registered(one, birth, elsewhere)
    };
    // One with a tier, one out of scope, one erased, and one whose file is merged into the first one's.
    let [tiered, without, erased, merged] = [2, 3, 4, 5].map(elder);
    for (one, birth) in [
        (tiered, "1950-05-05"),
        (without, "1980-05-05"),
        (erased, "1950-05-05"),
        (merged, "1950-05-05"),
    ] {
        world.record(one, &[there(one, birth)]).await;
    }
    let erasure = Event::Erased {
        reason: "REQUEST".to_owned(),
    };
    world.record(erased, &[erasure]).await;
    let merging = Event::Merged(Merge {
        surviving: tiered,
        merged,
        reason: "ONE_PERSON".to_owned(),
    });
    for file in [tiered, merged] {
        world.record(file, std::slice::from_ref(&merging)).await;
    }
    world.advance("2024-10-02").await;
    assert!(world.tier(tiered).await.is_some());
    assert!(world.tier(without).await.is_none());

    let mut client = world.instance.client(&anybody_of("350524"));
    let unknown = asked_for(&mut client, elder(99)).await;
    for elsewhere in [tiered, without, erased, merged] {
        asked_for(&mut client, elsewhere).await.is_told_as(&unknown);
    }
    let service = "eldercare.tiering.v1.TieringService";
    every_method_is_asked(service, &[&unknown], &OTHERS);

    // In a batch they are missing alike.
    let elder_ids: Vec<String> = [own, elder(99), tiered, without, erased, merged]
        .iter()
        .map(ElderId::to_string)
        .collect();
    let batch = pb::BatchGetTiersRequest {
        elder_ids: elder_ids.clone(),
        ..Default::default()
    };
    let batch = client.batch_get_tiers(batch).await.unwrap().into_inner();
    assert_eq!(batch.tiers.len(), 1);
    assert_eq!(batch.missing_elder_ids, elder_ids[1..]);
    world.stop().await;
}
