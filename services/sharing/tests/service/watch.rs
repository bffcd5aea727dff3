//! How things stand in a division, told anew each time that it changes.

use std::time::{Duration, Instant};

use proto::eldercare::sharing::v1 as pb;
use service::Claims;
use tonic::{Code, Status, Streaming};

use crate::support::{
    COUNTY, Ground, OTHER_COUNTY, OTHER_VILLAGE, Running, TOWN, doctor, officer, refused,
};

/// Longer than any answer takes, and than the pause between two looks.
const PATIENCE: Duration = Duration::from_secs(30);
/// Long enough for a look after the pause.
const A_WHILE: Duration = Duration::from_millis(2_500);

type Situations = Streaming<pb::WatchSituationResponse>;

async fn watch(running: &Running, caller: &Claims, division: &str) -> Result<Situations, Status> {
    let request = pb::WatchSituationRequest {
        division_code: division.to_owned(),
    };
    let watching = running.client_of(caller).watch_situation(request).await?;
    Ok(watching.into_inner())
}

/// What is told next.
async fn next(situations: &mut Situations) -> pb::Situation {
    let told = tokio::time::timeout(PATIENCE, situations.message()).await;
    told.unwrap().unwrap().unwrap().situation.unwrap()
}

#[tokio::test]
async fn a_situation_is_told_at_once_and_each_time_that_it_changes() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let elder = ground.elder().await;
    running.settled().await;
    let began = Instant::now();
    let mut situations = watch(&running, &doctor(), TOWN).await.unwrap();
    let first = next(&mut situations).await;
    assert_eq!((first.elders, first.tiers.len()), (1, 0));
    ground.tiered(elder, "PRIORITY", "2024-02-01").await;
    let second = next(&mut situations).await;
    assert_eq!(second.tiers[0].elders, 1);
    // Two looks lie a second apart.
    assert!(began.elapsed() >= Duration::from_secs(1));
    ground.alerted(elder, "2024-02-28 08:00").await;
    let third = next(&mut situations).await;
    assert_eq!(third.open_alerts.len(), 1);
    running.stop().await;
}

#[tokio::test]
async fn what_changes_nothing_there_is_not_told() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    running.settled().await;
    let mut situations = watch(&running, &doctor(), TOWN).await.unwrap();
    assert_eq!(next(&mut situations).await.elders, 0);
    ground.elder_in(OTHER_VILLAGE).await;
    let silence = tokio::time::timeout(A_WHILE, situations.message()).await;
    assert!(silence.is_err(), "{silence:?}");
    ground.elder().await;
    assert_eq!(next(&mut situations).await.elders, 1);
    running.stop().await;
}

#[tokio::test]
async fn another_day_is_another_situation() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let elder = ground.elder().await;
    ground.moves(elder, OTHER_VILLAGE, "2024-03-02").await;
    running.settled().await;
    let mut situations = watch(&running, &doctor(), TOWN).await.unwrap();
    assert_eq!(next(&mut situations).await.elders, 1);
    running.advance("2024-03-02 00:00");
    let tomorrow = next(&mut situations).await;
    assert_eq!((tomorrow.elders, tomorrow.day.unwrap().day), (0, 2));
    running.stop().await;
}

#[tokio::test]
async fn only_who_reaches_a_division_may_watch_it() {
    let running = Ground::at("2024-03-01 09:10").start().await;
    let elsewhere = officer("viewer", "health", OTHER_COUNTY, &["viewer"]);
    let outcome = watch(&running, &elsewhere, COUNTY).await;
    refused(
        outcome.map(|_| ()),
        Code::PermissionDenied,
        "DIVISION_OUT_OF_REACH",
    );
    let outcome = watch(&running, &doctor(), "35").await;
    refused(
        outcome.map(|_| ()),
        Code::PermissionDenied,
        "DIVISION_OUT_OF_REACH",
    );
    running.stop().await;
}

#[tokio::test]
async fn whoever_watches_holds_up_no_server_that_goes_down() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let mut situations = watch(&running, &doctor(), TOWN).await.unwrap();
    next(&mut situations).await;
    let stopping = tokio::time::timeout(PATIENCE, running.stop());
    let (stopped, last) = tokio::join!(stopping, situations.message());
    assert!(stopped.is_ok());
    assert_eq!(last.unwrap(), None);
}
