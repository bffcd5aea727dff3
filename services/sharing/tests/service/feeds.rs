//! Feeds over a real server: what comes out, to whom, once, and what is taken back.
//!
//! - [`agreements`]: feeds begin and end with them; [`beginnings`]: they do while somebody reads; [`elders`]: who comes, leaves, and
//!   is erased; [`forgotten`]: what lies in no file any more; [`readers`]: who may read; [`reading`]: who has read by gRPC, on
//!   record; [`unreadable`]: rows that can't be read; [`withdrawn`]: what is fetched over NATS, and what no more.

mod agreements;
mod beginnings;
mod elders;
mod forgotten;
mod readers;
mod reading;
mod unreadable;
mod withdrawn;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::support::feeds::{granted, held, of_event, sorted_names};
use super::support::{
    COUNTY, FAR_VILLAGE, Ground, OTHER_VILLAGE, VILLAGE, at, doctor, fields, keys, looks_by,
    officer,
};

#[tokio::test]
async fn a_feed_begins_with_what_there_is_and_goes_on_with_what_happens() {
    let ground = Ground::at("2024-03-01 09:10").with_feeds().await;
    let running = ground.start().await;
    let elder = ground.known_to_all().await;
    let elsewhere = ground.elder_in(FAR_VILLAGE).await;
    running.agreed(&granted()).await;
    let begun = running.feed(&doctor()).await;
    assert_eq!(
        sorted_names(&begun),
        [
            "elder DocumentShared",
            "elder FeedBegun",
            "elder FeedCaughtUp",
            "tier DocumentShared",
            "tier FeedBegun",
            "tier FeedCaughtUp",
            "visit DocumentShared",
            "visit FeedBegun",
            "visit FeedCaughtUp",
        ]
    );
    assert!(begun.iter().all(|one| one.division_code == COUNTY));
    let shared = begun
        .iter()
        .find(|one| one.product == "elder" && one.event == "DocumentShared");
    let shared = shared.unwrap();
    assert_eq!(shared.masked, ["name"]);
    let expected = serde_json::json!({
        "elder_id": elder.to_string(), "status": "ACTIVE", "name": "王**",
    });
    assert_eq!(of_event(shared), expected);

    let from = running.end_of_feeds(&doctor()).await;
    let visit = ground.visited(elder, &[at("2024-03-01 09:00")]).await;
    ground.visited(elsewhere, &[at("2024-03-01 09:00")]).await;
    ground.alerted(elder, "2024-03-01 09:05").await;
    let changed = ground.tiered(elder, "GENERAL", "2024-03-01").await;
    let after = running.feed_from(&doctor(), 100, Some(from)).await;
    assert_eq!(
        sorted_names(&after),
        ["tier TierAssigned", "visit VisitRecorded"]
    );
    let recorded = after.iter().find(|one| one.product == "visit").unwrap();
    assert_eq!(recorded.key, visit[0]);
    assert_eq!(recorded.elder_id, elder.to_string());
    assert_eq!(recorded.source, "/eldercare/visits");
    let expected = serde_json::json!({
        "record_id": visit[0], "start_time": "2024-03-01T09:00:00+08:00", "result": "MET",
    });
    assert_eq!(of_event(recorded), expected);
    let tier = after.iter().find(|one| one.product == "tier").unwrap();
    assert_eq!(tier.source_position, changed);
    assert_eq!(of_event(tier)["tier"], "GENERAL");
    running.stop().await;
}

#[tokio::test]
async fn what_a_feed_bears_is_on_record_before() {
    let ground = Ground::at("2024-03-01 09:10").with_feeds().await;
    let running = ground.start().await;
    let elder = ground.known_to_all().await;
    let agreement = running.agreed(&granted()).await;
    let supervisor = officer("chief", "civil_affairs", "*", &["supervisor"]);
    let looks = running
        .history(&supervisor, looks_by("department:health"), 0)
        .await
        .unwrap();
    let told: Vec<_> = looks.iter().map(|one| one.look.clone().unwrap()).collect();
    assert!(!told.is_empty());
    for (look, recorded) in told.iter().zip(&looks) {
        assert_eq!(look.elder_ids, [elder.to_string()]);
        assert_eq!(look.purpose, "家庭医生签约");
        assert_eq!(look.method, "Feed");
        assert_eq!(recorded.agreement_ids, std::slice::from_ref(&agreement));
    }
    let fields: BTreeSet<&String> = told.iter().flat_map(|look| &look.fields).collect();
    assert_eq!(
        fields.into_iter().collect::<Vec<_>>(),
        ["elder.name:masked"]
    );
    running.stop().await;
}

#[tokio::test]
async fn what_a_department_holds_by_its_feeds_is_what_its_dossiers_tell() {
    let ground = Ground::at("2024-03-01 09:10").with_feeds().await;
    let running = ground.start().await;
    let mut elders = vec![ground.known_to_all().await];
    running.agreed(&granted()).await;
    for (number, village) in [VILLAGE, OTHER_VILLAGE, FAR_VILLAGE, VILLAGE]
        .into_iter()
        .enumerate()
    {
        let elder = ground.elder_in(village).await;
        ground.tiered(elder, "GENERAL", "2024-02-01").await;
        if number % 2 == 0 {
            ground
                .visited(elder, &[at("2024-02-20 09:00"), at("2024-02-21 09:00")])
                .await;
        }
        elders.push(elder);
    }
    ground.moves(elders[1], FAR_VILLAGE, "2024-02-28").await;
    ground.moves(elders[3], OTHER_VILLAGE, "2024-02-28").await;
    ground.is_erased(elders[4]).await;
    let held = held(&running.feed(&doctor()).await);
    for elder in elders {
        let by_feed: BTreeMap<(String, String), Value> = held
            .iter()
            .filter(|(_, (one, _))| *one == elder.to_string())
            .map(|(key, (_, document))| (key.clone(), document.clone()))
            .collect();
        let dossier = running.dossier(&doctor(), elder).await;
        let by_dossier: BTreeMap<(String, String), Value> = match &dossier {
            Ok(dossier) => {
                let documents = dossier.documents.iter();
                documents
                    .map(|one| ((one.product.clone(), one.key.clone()), fields(one)))
                    .collect()
            }
            Err(_nobody) => BTreeMap::new(),
        };
        assert_eq!(by_feed, by_dossier);
        if let Ok(dossier) = dossier {
            assert_eq!(keys(&dossier, "elder"), [elder.to_string()]);
        }
    }
    running.stop().await;
}
