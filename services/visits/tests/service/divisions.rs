//! Divisions that visit: what one of them starts takes nothing from the others.

use proto::eldercare::visits::v1 as pb;
use uuid::Uuid;

use crate::support::{Ground, date, reason};

fn start(division: &str, on: &str) -> pb::StartVisitingRequest {
    pb::StartVisitingRequest {
        request_id: Uuid::now_v7().to_string(),
        division_code: division.to_owned(),
        on: Some(date(on)),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_town_that_starts_by_itself_takes_no_duty_from_its_county() {
    let running = Ground::at("2024-10-01 09:00").start().await;
    running.ground.weekly().await;
    running.start_visiting("2024-10-01").await;
    running.advance("2024-10-14 00:30").await;
    assert_eq!(running.duties("2024-W41").await, (1, 0, 1, 1, true));
    let mut client = running.client();
    for (town, on) in [("350524100", "2099-01-01"), ("350524101", "2024-10-02")] {
        client.start_visiting(start(town, on)).await.unwrap();
    }
    assert_eq!(running.duties("2024-W41").await, (1, 0, 1, 1, true));
    running.advance("2024-10-21 00:30").await;
    assert_eq!(running.duties("2024-W42").await, (1, 0, 1, 1, true));
    let missed = running.events().await;
    let missed = missed.iter().filter(|event| *event == "VisitMissed");
    assert_eq!(missed.count(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_town_that_started_before_its_county_closes_its_own_periods_alone() {
    let running = Ground::at("2024-10-01 09:00").start().await;
    running.ground.weekly().await;
    let mut client = running.client();
    client
        .start_visiting(start("350524100", "2024-10-01"))
        .await
        .unwrap();
    running.settled().await;
    running.start_visiting("2024-10-14").await;
    running.advance("2024-10-21 00:30").await;
    assert_eq!(running.duties("2024-W41").await, (1, 0, 1, 1, true));
    assert_eq!(running.duties("2024-W42").await, (1, 0, 1, 1, true));
    let missed = running.events().await;
    let missed = missed.iter().filter(|event| *event == "VisitMissed");
    assert_eq!(missed.count(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_division_starts_years_ago() {
    let running = Ground::at("2024-10-01 09:00").start().await;
    let refused = running
        .client()
        .start_visiting(start("350524", "0204-09-30"))
        .await;
    assert_eq!(reason(&refused.unwrap_err()), "DAY_TOO_EARLY");
    assert_eq!(running.events().await, Vec::<String>::new());
}
