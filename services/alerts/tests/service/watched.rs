//! WatchAlerts: the open ones, a mark, then each change; resumed from a position.

use proto::eldercare::alerts::v1 as pb;
use proto::eldercare::alerts::v1::watch_alerts_response::Told;
use tonic::Streaming;

use crate::support::{COUNTY, Ground};

async fn next(stream: &mut Streaming<pb::WatchAlertsResponse>) -> (Option<pb::Alert>, String) {
    let response = stream.message().await.unwrap().unwrap();
    match response.told.unwrap() {
        Told::Alert(alert) => (Some(alert), response.position),
        Told::CaughtUp(_) => (None, response.position),
    }
}

#[tokio::test]
async fn changes_are_told_as_they_happen_and_from_a_position_on() {
    let ground = Ground::at("2024-11-11 09:00:00").await;
    let running = ground.start().await;
    let elder = ground.elder(&[]).await;
    running
        .device("SB0001", pb::DeviceKind::SosButton, elder)
        .await;
    running
        .device("SB0002", pb::DeviceKind::SosButton, ground.elder(&[]).await)
        .await;
    running.says("SB0001", pb::SignalKind::Press).await;
    let watch = |after: &str| pb::WatchAlertsRequest {
        division_code: COUNTY.to_owned(),
        after_position: after.to_owned(),
    };
    let mut stream = running
        .client()
        .watch_alerts(watch(""))
        .await
        .unwrap()
        .into_inner();
    let (open, _) = next(&mut stream).await;
    let open = open.unwrap();
    assert_eq!(open.device_id, "SB0001");
    let (mark, position) = next(&mut stream).await;
    assert_eq!(mark, None);

    running.acknowledge(&open.alert_id).await.unwrap();
    let (changed, _) = next(&mut stream).await;
    assert_eq!(changed.unwrap().stage(), pb::AlertStage::Acknowledged);
    running.says("SB0002", pb::SignalKind::Press).await;
    let (raised, _) = next(&mut stream).await;
    assert_eq!(raised.unwrap().device_id, "SB0002");

    // What changed since the mark, each as it stands now.
    let mut resumed = running
        .client()
        .watch_alerts(watch(&position))
        .await
        .unwrap()
        .into_inner();
    let (first, _) = next(&mut resumed).await;
    assert_eq!(first.unwrap().stage(), pb::AlertStage::Acknowledged);
    let (second, _) = next(&mut resumed).await;
    assert_eq!(second.unwrap().device_id, "SB0002");
    drop((stream, resumed));
    running.stop().await;
}
