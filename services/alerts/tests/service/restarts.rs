//! Nothing is lost and nothing is done twice while alerts stand still, or lose their database.

use elders::wire::write_time;
use proto::eldercare::alerts::v1 as pb;

use crate::support::{COUNTY, Ground, VILLAGE, at, levels, signal};

#[tokio::test]
async fn what_falls_due_while_nobody_is_there_is_raised_afterwards_with_its_time() {
    let ground = Ground::at("2024-11-11 00:00:00").await;
    let running = ground.start().await;
    let elder = ground.elder(&["13800000001"]).await;
    running
        .recipient(pb::RecipientRole::DutyCentre, COUNTY, "12349")
        .await;
    running
        .recipient(pb::RecipientRole::GridWorker, VILLAGE, "13900000001")
        .await;
    running
        .device("SD0001", pb::DeviceKind::SmokeDetector, elder)
        .await;
    running
        .device("SB0001", pb::DeviceKind::SosButton, elder)
        .await;
    running.advance("2024-11-11 10:00:00").await;
    running.says("SB0001", pb::SignalKind::Press).await;
    let (ground, database) = running.stop().await;
    ground.clock.advance_to(at("2024-11-12 12:00:00")).unwrap();
    let running = ground.start_on(database).await;
    let alerts = running.alerts().await;
    let of = |kind: pb::AlertKind| alerts.iter().find(|alert| alert.kind() == kind).unwrap();
    assert_eq!(levels(of(pb::AlertKind::Sos)), [(0, 0), (1, 120), (2, 300)]);
    assert_eq!(
        ground.told.addresses(),
        ["12349", "12349", "13800000001", "13900000001"]
    );
    let smoke = |alert: &&pb::Alert| alert.device_id == "SD0001";
    let offline = alerts.iter().find(smoke).unwrap();
    assert_eq!(offline.kind(), pb::AlertKind::DeviceOffline);
    assert_eq!(
        offline.raised_at,
        Some(write_time(at("2024-11-12 00:00:00")))
    );
    running.stop().await;
}

#[tokio::test]
async fn a_lost_database_raises_and_tells_nothing_again() {
    let ground = Ground::at("2024-11-11 00:00:00").await;
    let running = ground.start().await;
    let elder = ground.elder(&["13800000001"]).await;
    running
        .recipient(pb::RecipientRole::DutyCentre, COUNTY, "12349")
        .await;
    running
        .recipient(pb::RecipientRole::Maintainer, COUNTY, "13700000001")
        .await;
    running
        .device("WM0001", pb::DeviceKind::WaterMeter, elder)
        .await;
    running
        .device("SB0001", pb::DeviceKind::SosButton, elder)
        .await;
    running.says("SB0001", pb::SignalKind::Press).await;
    let sos = running.alert().await.alert_id;
    running.resolve(&sos, pb::AlertOutcome::Rescued).await;
    for _ in 0..14 {
        running.pass(60).await;
        running
            .say(vec![signal(
                "WM0001",
                pb::SignalKind::Heartbeat,
                ground.clock.now(),
            )])
            .await;
    }
    running.advance("2024-11-12 01:00:00").await;
    running.pass(2).await;
    let before = running.alerts().await;
    let told = ground.told.heard();
    assert_eq!(before.len(), 3, "{before:#?}");
    let (ground, _) = running.stop().await;
    // On an empty database, from the log and the signals alone.
    let running = ground.start().await;
    let mut after = running.alerts().await;
    let mut before = before;
    for alerts in [&mut before, &mut after] {
        alerts.sort_by(|one, other| one.alert_id.cmp(&other.alert_id));
    }
    assert_eq!(before, after);
    assert_eq!(told, ground.told.heard());
    // And it goes on: the silent button is still known to be off line.
    running.says("SB0001", pb::SignalKind::Heartbeat).await;
    let open = running.alerts().await;
    let open = open
        .iter()
        .filter(|alert| alert.stage() != pb::AlertStage::Resolved);
    assert_eq!(open.count(), 1);
    running.stop().await;
}

#[tokio::test]
async fn without_older_signals_nothing_is_concluded_from_before_them_and_a_press_is_heard() {
    let ground = Ground::at("2024-11-08 00:00:00").await;
    let running = ground.start().await;
    let elder = ground.elder(&[]).await;
    running
        .device("WM0001", pb::DeviceKind::WaterMeter, elder)
        .await;
    running
        .device("SB0001", pb::DeviceKind::SosButton, elder)
        .await;
    // Nobody's device, whose signals are gone in the end, the very first among them.
    running.says("XX0001", pb::SignalKind::Heartbeat).await;
    let xx = "XX0001".parse().unwrap();
    // Three days on line.
    for _ in 0..12 {
        let now = ground.clock.now();
        running
            .say(vec![
                signal("WM0001", pb::SignalKind::Flow, now),
                signal("SB0001", pb::SignalKind::Heartbeat, now),
                signal("XX0001", pb::SignalKind::Heartbeat, now),
            ])
            .await;
        running.pass(6 * 60).await;
    }
    running.app.signals().forget(&xx).await.unwrap();
    let signals = running.app.signals();
    assert!(signals.before_first().await.unwrap() > 0);
    let (ground, _) = running.stop().await;
    // It came while nobody heard.
    let device = "SB0001".parse().unwrap();
    let press = alerts::signals::Sent {
        signal_id: "1".to_owned(),
        kind: civic::SignalKind::Press,
        device_time: None,
        litres: None,
        latitude: None,
        longitude: None,
    };
    signals.store(&[(device, press)]).await.unwrap();
    let running = ground.start().await;
    let alert = running.alert().await;
    assert_eq!(alert.kind(), pb::AlertKind::Sos);
    running.stop().await;
}
