//! Feeds begin and end with agreements, and change with them.

use crate::support::feeds::{granted, held, lying, named, of_event};
use crate::support::{Ground, approver, at, doctor, grant, guard, terms};

#[tokio::test]
async fn an_agreement_that_is_suspended_takes_its_feeds_back_and_they_begin_anew_after_it() {
    let ground = Ground::at("2024-03-01 09:10").with_feeds().await;
    let running = ground.start().await;
    let elder = ground.known_to_all().await;
    let agreement = running.agreed(&granted()).await;
    assert!(!held(&running.feed(&doctor()).await).is_empty());
    running.suspend_as(&guard(), &agreement).await.unwrap();
    assert_eq!(named(&running.feed(&doctor()).await), [""; 0]);
    ground.visited(elder, &[at("2024-03-01 09:00")]).await;
    // Nothing that was told lies in the stream any more, and nothing new has come there.
    let lying: Vec<String> = lying(&ground)
        .await
        .iter()
        .map(|message| message.subject.to_string())
        .filter(|subject| subject.starts_with("feed."))
        .collect();
    assert!(
        lying.iter().all(|subject| subject.ends_with(".FeedEnded")),
        "{lying:?}"
    );
    running.approve_as(&approver(), &agreement).await.unwrap();
    let anew = running.feed(&doctor()).await;
    assert_eq!(held(&anew).len(), 4, "{anew:?}");
    assert!(named(&anew).contains(&"visit FeedBegun".to_owned()));
    running.stop().await;
}

#[tokio::test]
async fn less_that_is_granted_is_told_anew_and_more_is_told_beside() {
    let ground = Ground::at("2024-03-01 09:10").with_feeds().await;
    let running = ground.start().await;
    ground.known_to_all().await;
    running.agreed(&granted()).await;
    let more = terms(&[grant("elder", &["name", "sex"], &[])]);
    let more = running.agreed(&more).await;
    let told = held(&running.feed(&doctor()).await);
    let elder = told.iter().find(|((product, _), _)| product == "elder");
    let (_, (_, document)) = elder.unwrap();
    assert_eq!(document["name"], "王秀英");
    assert_eq!(document["sex"], "FEMALE");
    running.end_as(&guard(), &more).await.unwrap();
    let left = running.feed(&doctor()).await;
    let documents = left.iter().filter(|one| one.fields.is_some());
    for document in documents.filter(|one| one.product == "elder") {
        assert_eq!(of_event(document)["name"], "王**");
    }
    running.stop().await;
}
