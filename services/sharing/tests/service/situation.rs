//! How things stand in a division, today and on a past day.

use proto::eldercare::sharing::v1 as pb;
use tonic::{Code, Status};

use crate::support::{Ground, Running, date, doctor, officer, refused};

const TOWN: &str = "350524100";
const OTHER_TOWN: &str = "350524101";

async fn situation(
    running: &Running,
    division: &str,
    on: Option<&str>,
) -> Result<pb::Situation, Status> {
    let request = pb::GetSituationRequest {
        division_code: division.to_owned(),
        day: on.and_then(date),
        min_position: String::new(),
    };
    let answer = running.client_of(&doctor()).get_situation(request).await?;
    Ok(answer.into_inner().situation.unwrap())
}

fn tiers(situation: &pb::Situation) -> Vec<(&str, i64)> {
    let tiers = situation.tiers.iter();
    tiers.map(|one| (one.tier.as_str(), one.elders)).collect()
}

#[tokio::test]
async fn a_situation_counts_elders_where_they_live_and_alerts_that_are_open() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let (one, two) = (ground.elder().await, ground.elder().await);
    ground.tiered(one, "PRIORITY", "2024-02-01").await;
    ground.tiered(two, "SECONDARY", "2024-02-01").await;
    ground.tiered(two, "PRIORITY", "2024-02-20").await;
    ground.alerted(one, "2024-02-28 08:00").await;
    running.settled().await;

    let now = situation(&running, TOWN, None).await.unwrap();
    assert_eq!(now.elders, 2);
    assert_eq!(tiers(&now), [("PRIORITY", 2)]);
    let open: i64 = now.open_alerts.iter().map(|one| one.alerts).sum();
    assert_eq!(open, 1);
    assert_eq!(situation(&running, "350524", None).await.unwrap().elders, 2);

    let past = situation(&running, TOWN, Some("2024-02-10")).await.unwrap();
    assert_eq!(tiers(&past), [("PRIORITY", 1), ("SECONDARY", 1)]);
    assert_eq!(past.open_alerts, []);
    let before = situation(&running, TOWN, Some("2024-01-31")).await.unwrap();
    assert_eq!(tiers(&before), []);
    running.stop().await;
}

#[tokio::test]
async fn who_moves_is_counted_where_they_live_on_the_day() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let elder = ground.elder().await;
    ground.tiered(elder, "PRIORITY", "2024-02-01").await;
    ground.moves(elder, "350524101007", "2024-02-15").await;
    running.settled().await;
    let of = async |town: &str, on: &str| {
        let told = situation(&running, town, Some(on)).await.unwrap();
        (told.elders, tiers(&told).len())
    };
    assert_eq!(of(TOWN, "2024-02-14").await, (1, 1));
    assert_eq!(of(OTHER_TOWN, "2024-02-14").await, (0, 0));
    assert_eq!(of(TOWN, "2024-02-15").await, (0, 0));
    assert_eq!(of(OTHER_TOWN, "2024-02-15").await, (1, 1));

    ground.is_erased(elder).await;
    running.settled().await;
    assert_eq!(of(OTHER_TOWN, "2024-02-15").await, (0, 0));
    running.stop().await;
}

#[tokio::test]
async fn a_situation_that_cannot_be_is_refused() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let outcome = situation(&running, TOWN, Some("2024-03-02")).await;
    assert_eq!(outcome.unwrap_err().code(), Code::InvalidArgument);
    let outcome = situation(&running, "1234567", None).await;
    assert_eq!(outcome.unwrap_err().code(), Code::InvalidArgument);
    let elsewhere = officer("viewer", "health", "350525", &["viewer"]);
    let request = pb::GetSituationRequest {
        division_code: TOWN.to_owned(),
        ..Default::default()
    };
    let outcome = running.client_of(&elsewhere).get_situation(request).await;
    refused(outcome, Code::PermissionDenied, "DIVISION_OUT_OF_REACH");
    running.stop().await;
}
