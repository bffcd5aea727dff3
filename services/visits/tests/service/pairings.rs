//! Who is paired with whom, and on which days.

use civic::ElderId;
use elders::event::{Event, Residence};
use proto::eldercare::visits::v1 as pb;
use uuid::Uuid;

use crate::support::{COUNTY, Ground, Running, date, day, reason};

fn pair(visitor: &str, elder: ElderId, since: &str) -> pb::PairEldersRequest {
    pb::PairEldersRequest {
        request_id: Uuid::now_v7().to_string(),
        visitor_id: visitor.to_owned(),
        elder_ids: vec![elder.to_string()],
        since: Some(date(since)),
    }
}

/// The elders who are paired with the county's only visitor today.
async fn paired(running: &Running) -> Vec<String> {
    running.settled().await;
    let request = pb::ListVisitorsRequest {
        division_code: COUNTY.to_owned(),
        ..Default::default()
    };
    let mut listed = running.client().list_visitors(request).await.unwrap();
    listed.get_mut().visitors.remove(0).paired_elder_ids
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pairing_is_told_from_its_first_day_to_its_last() {
    let running = Ground::at("2024-10-01 09:00").start().await;
    let (visitor, elder) = (running.visitor().await, running.ground.weekly().await);
    let mut client = running.client();
    client
        .pair_elders(pair(&visitor, elder, "2024-10-08"))
        .await
        .unwrap();
    assert_eq!(paired(&running).await, Vec::<String>::new());
    running.advance("2024-10-08 08:00").await;
    assert_eq!(paired(&running).await, [elder.to_string()]);
    let end = pb::UnpairEldersRequest {
        request_id: Uuid::now_v7().to_string(),
        visitor_id: visitor,
        elder_ids: vec![elder.to_string()],
        last_day: Some(date("2024-10-31")),
    };
    client.unpair_elders(end).await.unwrap();
    assert_eq!(paired(&running).await, [elder.to_string()]);
    running.advance("2024-11-01 08:00").await;
    assert_eq!(paired(&running).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_paired_over_the_border_of_a_county_and_a_retry_is_answered_as_before() {
    let running = Ground::at("2024-10-01 09:00").start().await;
    let (visitor, elder) = (running.visitor().await, running.ground.weekly().await);
    let mut client = running.client();
    let first = pair(&visitor, elder, "2024-10-01");
    client.pair_elders(first.clone()).await.unwrap();
    let elsewhere = Residence {
        village: "370303001001".parse().unwrap(),
        home: None,
    };
    let moved = Event::Relocated(elsewhere, day("2024-10-01"));
    running.ground.record(elder, &[moved]).await;
    let refused = client
        .pair_elders(pair(&visitor, elder, "2024-10-01"))
        .await;
    assert_eq!(reason(&refused.unwrap_err()), "ELDER_OF_ANOTHER_COUNTY");
    client.pair_elders(first).await.unwrap();
}
