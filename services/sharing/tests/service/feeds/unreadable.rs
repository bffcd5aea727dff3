//! Rows that can't be read are passed by, and made up for.

use std::collections::BTreeSet;

use civic::ElderId;
use readmodel::parked;
use serde_json::Value;
use tokio::time::timeout;
use uuid::Uuid;

use crate::support::feeds::{PATIENCE, granted, held, lying, of_elder};
use crate::support::{Ground, Running, at, doctor};

/// Writes how a visit took place into its row; 99 is no such way.
async fn write_mode(running: &Running, visit: Uuid, mode: i32) {
    sqlx::query("UPDATE sharing_visits.record SET mode = $2 WHERE record_id = $1")
        .bind(visit)
        .bind(mode)
        .execute(&running.app.pool())
        .await
        .unwrap();
}

#[tokio::test]
async fn rows_that_cannot_be_read_are_passed_by_and_made_up_for_once_they_can_be() {
    let ground = Ground::at("2024-03-01 09:10").with_feeds().await;
    let running = ground.start().await;
    let (unknown, known) = (ground.known_to_all().await, ground.known_to_all().await);
    let visits = ground.visited(known, &[at("2024-02-20 09:00")]).await;
    running.settled().await;
    let pool = running.app.pool();
    let (person, visit): (Uuid, Uuid) = (unknown.as_uuid(), visits[0].parse().unwrap());
    let facts: Vec<u8> =
        sqlx::query_scalar("SELECT facts FROM sharing_elders.elder WHERE elder_id = $1")
            .bind(person)
            .fetch_one(&pool)
            .await
            .unwrap();
    let write_facts = async |facts: &[u8]| {
        sqlx::query("UPDATE sharing_elders.elder SET facts = $2 WHERE elder_id = $1")
            .bind(person)
            .bind(facts.to_vec())
            .execute(&pool)
            .await
            .unwrap();
    };
    write_facts([0xff].as_slice()).await;
    write_mode(&running, visit, 99).await;

    let agreed = timeout(PATIENCE, running.agreed(&granted())).await;
    agreed.expect("the rest is told");
    ground.visited(unknown, &[at("2024-03-01 09:00")]).await;
    let other = ground.visited(known, &[at("2024-03-01 09:00")]).await;
    let told = running.feed(&doctor()).await;
    assert!(told.iter().any(|one| one.key == other[0]), "{told:?}");
    let of_whom: BTreeSet<String> = held(&told).into_values().map(|(elder, _)| elder).collect();
    assert_eq!(of_whom, BTreeSet::from([known.to_string()]));
    // The file, the tier and two of three visits.
    assert_eq!(held(&told).len(), 4);
    let parked = parked::list(&pool, Some("sharing_feeds"), 0, 10).await;
    let parked = parked.unwrap();
    let rows: BTreeSet<&str> = parked.iter().map(|one| one.event_type.as_str()).collect();
    let (file, record) = (format!("elder {person}"), format!("visit {visit}"));
    assert_eq!(rows, BTreeSet::from([file.as_str(), record.as_str()]));
    assert!(parked.iter().all(|one| one.payload.is_empty()));

    write_facts(facts.as_slice()).await;
    write_mode(&running, visit, 0).await;
    running.advance("2024-03-02 00:00");
    let held = held(&running.feed(&doctor()).await);
    let of = |elder: ElderId| {
        let documents = held.values();
        documents
            .filter(|(one, _)| *one == elder.to_string())
            .count()
    };
    // The file, the tier and all visits, also the one that was recorded meanwhile.
    assert_eq!((of(unknown), of(known)), (4, 5));
    let left = parked::count(&pool, Some("sharing_feeds")).await;
    assert_eq!(left.unwrap(), 0);
    running.stop().await;
}

/// The publisher's position, as it lies in the stream.
async fn position(ground: &Ground) -> Value {
    let messages = lying(ground).await;
    let mut positions = messages.iter().rev();
    let last = positions.find(|one| one.subject.as_str() == "feeds.position");
    serde_json::from_slice(&last.unwrap().payload).unwrap()
}

#[tokio::test]
async fn what_was_passed_by_is_made_up_for_also_where_the_database_was_lost_with_it() {
    let ground = Ground::at("2024-03-01 09:10").with_feeds().await;
    let running = ground.start().await;
    let (elder, other) = (ground.known_to_all().await, ground.known_to_all().await);
    let visits = ground.visited(elder, &[at("2024-02-20 09:00")]).await;
    running.settled().await;
    write_mode(&running, visits[0].parse().unwrap(), 99).await;
    let agreed = timeout(PATIENCE, running.agreed(&granted())).await;
    agreed.expect("the rest is told");
    let before = running.feed(&doctor()).await;
    let visit = ("visit".to_owned(), visits[0].clone());
    assert!(!held(&before).contains_key(&visit), "{before:?}");
    let left_out = serde_json::json!({ "elders": [elder.to_string()] });
    assert_eq!(position(&ground).await["left_out"], left_out);

    let (ground, _) = running.stop().await;
    let running = ground.start().await;
    let told = running.feed(&doctor()).await;
    let held = held(&told);
    assert_eq!(held[&visit].0, elder.to_string());
    // The files, the tiers and three visits.
    assert_eq!(held.len(), 7);
    assert_eq!(of_elder(&told, other), of_elder(&before, other));
    assert_eq!(position(&ground).await["left_out"], Value::Null);
    // Once: nobody is left out any more.
    let (ground, _) = running.stop().await;
    let running = ground.start().await;
    assert_eq!(running.feed(&doctor()).await, told);
    running.stop().await;
}
