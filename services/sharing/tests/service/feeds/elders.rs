//! Whom feeds tell of: who comes, who leaves, and who is erased.

use std::collections::BTreeSet;

use proto::eldercare::sharing::v1 as pb;
use tonic::Code;

use crate::support::feeds::{granted, held, of_elder, sorted_names};
use crate::support::{
    COUNTY, FAR_VILLAGE, Ground, OTHER_VILLAGE, TOWN, VILLAGE, at, confirm_request, doctor,
    officer, refused,
};

#[tokio::test]
async fn who_moves_in_is_told_of_and_who_moves_out_is_withdrawn() {
    let ground = Ground::at("2024-03-01 09:10").with_feeds().await;
    let running = ground.start().await;
    let inside = ground.known_to_all().await;
    let outside = ground.elder_in(OTHER_VILLAGE).await;
    let visits = ground.visited(outside, &[at("2024-02-01 09:00")]).await;
    let town = pb::AgreementTerms {
        division_codes: vec![TOWN.to_owned()],
        ..granted()
    };
    running.agreed(&town).await;
    let from = running.end_of_feeds(&doctor()).await;
    ground.moves(inside, OTHER_VILLAGE, "2024-03-01").await;
    ground.moves(outside, VILLAGE, "2024-03-01").await;
    // From tomorrow on.
    ground.moves(inside, VILLAGE, "2024-03-02").await;
    let moved = running.feed_from(&doctor(), 100, Some(from.clone())).await;
    let left: BTreeSet<String> = moved
        .iter()
        .filter(|one| one.event == "ElderWithdrawn")
        .map(|one| one.product.clone())
        .collect();
    assert_eq!(left.len(), 3, "{moved:?}");
    let all = running.feed(&doctor()).await;
    let keys: Vec<(String, String)> = held(&all).into_keys().collect();
    let expected = [
        ("elder".to_owned(), outside.to_string()),
        ("visit".to_owned(), visits[0].clone()),
    ];
    assert_eq!(keys, expected);

    running.advance("2024-03-02 00:00");
    let all = running.feed(&doctor()).await;
    let back: Vec<_> = held(&all)
        .into_iter()
        .filter(|(_, (elder, _))| *elder == inside.to_string())
        .map(|((product, _), _)| product)
        .collect();
    assert_eq!(back, ["elder", "tier", "visit"]);
    running.stop().await;
}

#[tokio::test]
async fn a_feed_that_told_nothing_of_an_elder_tells_of_no_end_either() {
    let ground = Ground::at("2024-03-01 09:10").with_feeds().await;
    let running = ground.start().await;
    // Nobody but the registry knows anything of them.
    let (erased, moving) = (ground.elder().await, ground.elder().await);
    running.agreed(&granted()).await;
    let from = running.end_of_feeds(&doctor()).await;
    ground.is_erased(erased).await;
    ground.moves(moving, FAR_VILLAGE, "2024-03-01").await;
    let after = running.feed_from(&doctor(), 100, Some(from)).await;
    assert_eq!(
        sorted_names(&after),
        ["elder ElderErased", "elder ElderWithdrawn"]
    );
    // Who comes back with something is told of, also where there was nothing to tell before.
    let from = running.end_of_feeds(&doctor()).await;
    ground.visited(moving, &[at("2024-03-01 09:00")]).await;
    // Of the visit nothing is told while the elder lives elsewhere.
    running.settled().await;
    ground.moves(moving, VILLAGE, "2024-03-01").await;
    let after = running.feed_from(&doctor(), 100, Some(from)).await;
    assert_eq!(
        sorted_names(&after),
        ["elder DocumentShared", "visit DocumentShared"]
    );
    running.stop().await;
}

#[tokio::test]
async fn an_erased_elder_is_taken_out_of_the_feeds_and_each_department_confirms() {
    let ground = Ground::at("2024-03-01 09:10").with_feeds().await;
    let running = ground.start().await;
    let elder = ground.known_to_all().await;
    let other = ground.known_to_all().await;
    running.agreed(&granted()).await;
    ground.visited(elder, &[at("2024-03-01 09:00")]).await;
    assert_eq!(held(&running.feed(&doctor()).await).len(), 7);
    ground.is_erased(elder).await;
    let after = running.feed(&doctor()).await;
    assert_eq!(
        of_elder(&after, elder),
        ["elder ElderErased", "tier ElderErased", "visit ElderErased"]
    );
    let held = held(&after);
    assert!(held.values().all(|(one, _)| *one == other.to_string()));
    assert_eq!(held.len(), 3);

    let outstanding = pb::ListErasuresRequest {
        outstanding: true,
        ..Default::default()
    };
    let mut client = running.client_of(&doctor());
    let listed = client.list_erasures(outstanding.clone()).await.unwrap();
    let receipts = listed.into_inner().receipts;
    assert_eq!(receipts.len(), 1);
    assert_eq!(receipts[0].elder_id, elder.to_string());
    assert_eq!(receipts[0].department, "health");
    assert!(receipts[0].confirmed_at.is_none());
    let privacy = officer("privacy", "health", COUNTY, &["privacy_officer"]);
    let mut privacy = running.client_of(&privacy);
    let nobody = privacy.confirm_erasure(confirm_request(other)).await;
    refused(nobody, Code::NotFound, "ERASURE_NOT_FOUND");
    let finance = officer("head", "finance", COUNTY, &["supervisor"]);
    let mut finance = running.client_of(&finance);
    let not_asked = finance.confirm_erasure(confirm_request(elder)).await;
    refused(not_asked, Code::NotFound, "ERASURE_NOT_FOUND");
    privacy
        .confirm_erasure(confirm_request(elder))
        .await
        .unwrap();
    let again = privacy.confirm_erasure(confirm_request(elder)).await;
    refused(again, Code::FailedPrecondition, "ALREADY_CONFIRMED");
    running.settled().await;
    let listed = client.list_erasures(outstanding).await.unwrap();
    assert_eq!(listed.into_inner().receipts, []);
    let all = client.list_erasures(pb::ListErasuresRequest::default());
    let receipts = all.await.unwrap().into_inner().receipts;
    assert_eq!(receipts[0].confirmed_by, "officer:privacy");
    running.stop().await;
}
