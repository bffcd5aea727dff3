//! Who reads feeds, and how subscribers are told.

use eventlog::Position;
use proto::eldercare::sharing::v1 as pb;
use proto::eldercare::sharing::v1::subscribe_feed_response::What;

use crate::support::feeds::{granted, named, of_event};
use crate::support::{
    COUNTY, Ground, OTHER_COUNTY, TOWN, at, doctor, fields, grant, guard, officer, only, terms,
};

#[tokio::test]
async fn a_subscriber_is_told_what_there_is_then_a_mark_then_what_happens() {
    let ground = Ground::at("2024-03-01 09:10").with_feeds().await;
    let running = ground.start().await;
    let elder = ground.known_to_all().await;
    running.agreed(&granted()).await;
    let mut client = running.client_of(&doctor());
    let request = pb::SubscribeFeedRequest {
        product: "visit".to_owned(),
        start: Some(
            proto::eldercare::sharing::v1::subscribe_feed_request::Start::AfterPosition(
                Position::new("FEEDS", 0).to_string(),
            ),
        ),
        ..Default::default()
    };
    let told = client.subscribe_feed(request).await.unwrap();
    let mut told = told.into_inner();
    let mut names = Vec::new();
    loop {
        match told.message().await.unwrap().unwrap().what.unwrap() {
            What::Event(event) => names.push(event.event),
            What::CaughtUp(position) => {
                assert!(position.starts_with("FEEDS:"));
                break;
            }
        }
    }
    assert_eq!(names, ["FeedBegun", "DocumentShared", "FeedCaughtUp"]);
    let visits = ground.visited(elder, &[at("2024-03-01 09:00")]).await;
    let next = told.message().await.unwrap().unwrap().what.unwrap();
    let What::Event(event) = next else {
        panic!("a mark that is not the first one");
    };
    assert_eq!(
        (event.event.as_str(), &event.key),
        ("VisitRecorded", &visits[0])
    );
    running.stop().await;
}

#[tokio::test]
async fn nobody_reads_feeds_of_another_department_or_of_divisions_beyond_their_own() {
    let ground = Ground::at("2024-03-01 09:10").with_feeds().await;
    let running = ground.start().await;
    ground.known_to_all().await;
    running.agreed(&granted()).await;
    for stranger in [
        officer("clerk", "finance", COUNTY, &["viewer"]).purpose("test"),
        officer("doctor", "health", TOWN, &["viewer"]).purpose("test"),
        officer("doctor", "health", OTHER_COUNTY, &["viewer"]).purpose("test"),
    ] {
        assert_eq!(running.feed(&stranger).await, []);
    }
    assert!(!running.feed(&doctor()).await.is_empty());
    running.stop().await;
}

#[tokio::test]
async fn a_masked_number_beside_a_birth_date_is_told_as_dossiers_tell_it() {
    let ground = Ground::at("2024-03-01 09:10").with_feeds().await;
    let running = ground.start().await;
    let elder = ground.elder().await;
    let both = terms(&[grant("elder", &["birth_date"], &["id_number"])]);
    running.agreed(&both).await;
    let told = running.feed(&doctor()).await;
    let shared = told.iter().find(|one| one.event == "DocumentShared");
    let shared = shared.unwrap();
    let dossier = running.dossier(&doctor(), elder).await.unwrap();
    assert_eq!(of_event(shared), fields(&only(&dossier, "elder")));
    assert_eq!(of_event(shared)["id_number"], "350524************");
    assert_eq!(shared.masked, ["id_number"]);
    running.stop().await;
}

#[tokio::test]
async fn whoever_reads_several_feeds_hears_that_one_is_over() {
    let ground = Ground::at("2024-03-01 09:10").with_feeds().await;
    let running = ground.start().await;
    ground.known_to_all().await;
    running
        .agreed(&terms(&[grant("tier", &["tier"], &[])]))
        .await;
    let visits = terms(&[grant("visit", &["record_id"], &[])]);
    let ended = running.agreed(&visits).await;
    let from = running.end_of_feeds(&doctor()).await;
    running.end_as(&guard(), &ended).await.unwrap();
    let told = running.feed_from(&doctor(), 100, Some(from)).await;
    assert_eq!(named(&told), ["visit FeedEnded"]);
    assert_eq!((told[0].elder_id.as_str(), &told[0].fields), ("", &None));
    running.stop().await;
}
