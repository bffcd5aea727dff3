//! Changes of tiers are told as they are written.

use civic::CapabilityLevel;
use elders::event::Event;
use proto::eldercare::tiering::v1 as pb;

use crate::support::*;

#[tokio::test]
async fn changes_in_a_division_are_told_from_a_position_on_and_the_stream_ends_with_the_service() {
    let world = Running::on("2024-10-01").await;
    let (here, elsewhere) = (elder(1), elder(2));
    world
        .record(here, &[registered(here, "1950-05-05", |_| {})])
        .await;
    world
        .record(
            elsewhere,
            &[registered(elsewhere, "1950-05-05", |elder| {
                elder.residence = residence("370303100001")
            })],
        )
        .await;
    world.settled().await;
    let mut client = world.client();
    let request = pb::WatchTiersRequest {
        division_code: "3505".to_owned(),
        after_position: "TIERING:0".to_owned(),
    };
    let mut changes = client.watch_tiers(request).await.unwrap().into_inner();
    let first = changes.message().await.unwrap().unwrap();
    assert_eq!(
        (first.change(), first.tier.unwrap().elder_id),
        (pb::TierChange::Assigned, here.to_string())
    );

    world
        .record(
            elsewhere,
            &[assessed(CapabilityLevel::Severe, "2024-10-01")],
        )
        .await;
    world
        .record(here, &[assessed(CapabilityLevel::Severe, "2024-10-01")])
        .await;
    let second = changes.message().await.unwrap().unwrap();
    assert_eq!(second.change(), pb::TierChange::Changed);
    let tier = second.tier.unwrap();
    assert_eq!(
        (
            tier.elder_id.clone(),
            tier.assignment.unwrap().tier.as_str()
        ),
        (here.to_string(), "PRIORITY")
    );

    world
        .record(
            here,
            &[Event::Died {
                on: day("2024-10-01"),
            }],
        )
        .await;
    let third = changes.message().await.unwrap().unwrap();
    assert_eq!(third.change(), pb::TierChange::Ended);
    assert_eq!(
        third.tier.unwrap().assignment.unwrap().reasons,
        ["SEVERE_DISABILITY"]
    );

    // Whoever was told of is on record.
    let looks = world.instance.app.access().looks();
    let watched = looks.iter().filter(|look| look.method == "WatchTiers");
    let watched: Vec<_> = watched.map(|look| look.elder_ids.as_slice()).collect();
    assert_eq!(watched, [[here.to_string()].as_slice(); 3]);

    // Without a position only what comes.
    let request = pb::WatchTiersRequest {
        division_code: "35".to_owned(),
        after_position: String::new(),
    };
    let mut later = client.watch_tiers(request).await.unwrap().into_inner();
    world
        .record(
            here,
            &[Event::Reinstated {
                on: day("2024-10-01"),
                reason: "ERROR".to_owned(),
            }],
        )
        .await;
    assert_eq!(
        later.message().await.unwrap().unwrap().change(),
        pb::TierChange::Assigned
    );
    assert_eq!(
        changes.message().await.unwrap().unwrap().change(),
        pb::TierChange::Assigned
    );
    world.stop().await;
    assert!(changes.message().await.is_ok_and(|end| end.is_none()));
    assert!(later.message().await.is_ok_and(|end| end.is_none()));
}
