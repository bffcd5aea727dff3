//! The life of alerts: raised by signals and by silence, escalated until somebody takes them on, resolved.

use elders::wire::write_time;
use proto::eldercare::alerts::v1 as pb;

use crate::support::{COUNTY, Ground, VILLAGE, at, id, levels, reason, signal};

#[tokio::test]
async fn a_press_raises_an_alert_that_escalates_until_somebody_takes_it_on() {
    let ground = Ground::at("2024-11-11 09:00:00").await;
    let running = ground.start().await;
    let elder = ground.elder(&["13800000001", "13800000002"]).await;
    running
        .device("SB0001", pb::DeviceKind::SosButton, elder)
        .await;
    running
        .recipient(pb::RecipientRole::DutyCentre, COUNTY, "12349")
        .await;
    running
        .recipient(pb::RecipientRole::GridWorker, VILLAGE, "13900000001")
        .await;

    running.advance("2024-11-11 09:30:00").await;
    running.says("SB0001", pb::SignalKind::Press).await;
    let alert = running.alert().await;
    assert_eq!(alert.kind(), pb::AlertKind::Sos);
    assert_eq!(alert.severity(), pb::Severity::Critical);
    assert_eq!(alert.stage(), pb::AlertStage::Raised);
    assert_eq!(alert.elder_id, elder.to_string());
    assert_eq!(alert.division_code, VILLAGE);
    assert_eq!(alert.device_id, "SB0001");
    assert_eq!(alert.raised_at, Some(write_time(at("2024-11-11 09:30:00"))));
    assert_eq!(levels(&alert), [(0, 0)]);
    // All contacts and the duty centre, at once.
    assert_eq!(
        ground.told.addresses(),
        ["12349", "13800000001", "13800000002"]
    );

    running.pass(2).await;
    assert_eq!(levels(&running.alert().await), [(0, 0), (1, 120)]);
    assert_eq!(ground.told.addresses().len(), 4);
    running.acknowledge(&alert.alert_id).await.unwrap();
    running.pass(60).await;
    let alert = running.alert().await;
    assert_eq!(levels(&alert), [(0, 0), (1, 120)]);
    assert_eq!(alert.stage(), pb::AlertStage::Acknowledged);
    assert_eq!(ground.told.addresses().len(), 4);

    running
        .resolve(&alert.alert_id, pb::AlertOutcome::Assisted)
        .await;
    let alert = running.alert().await;
    assert_eq!(alert.outcome(), pb::AlertOutcome::Assisted);
    let refused = running.acknowledge(&alert.alert_id).await.unwrap_err();
    assert_eq!(reason(&refused), "ALREADY_RESOLVED");
    running.stop().await;
}

#[tokio::test]
async fn a_second_press_joins_and_the_same_one_again_does_not() {
    let ground = Ground::at("2024-11-11 09:00:00").await;
    let running = ground.start().await;
    let elder = ground.elder(&[]).await;
    running
        .device("SB0001", pb::DeviceKind::SosButton, elder)
        .await;
    let press = signal("SB0001", pb::SignalKind::Press, ground.clock.now());
    // A heartbeat under the same id, of a device that counts wrongly, takes nobody's press away.
    let heartbeat = pb::Signal {
        kind: pb::SignalKind::Heartbeat.into(),
        ..press.clone()
    };
    running
        .say(vec![heartbeat, press.clone(), press.clone()])
        .await;
    running.says("SB0001", pb::SignalKind::Press).await;
    assert_eq!(running.alert().await.joined, 1);
    let alert = running.alert().await.alert_id;
    running.resolve(&alert, pb::AlertOutcome::FalseAlarm).await;
    // Hours later, when it has long been forgotten otherwise, the alerts themselves know it.
    running.pass(5 * 60).await;
    running.say(vec![press]).await;
    assert_eq!(running.alerts().await.len(), 1);
    running.stop().await;
}

#[tokio::test]
async fn water_that_does_not_run_raises_an_alert_unless_nobody_is_at_home() {
    let ground = Ground::at("2024-11-11 00:00:00").await;
    let running = ground.start().await;
    let (one, away) = (ground.elder(&[]).await, ground.elder(&[]).await);
    running
        .device("WM0001", pb::DeviceKind::WaterMeter, one)
        .await;
    running
        .device("WM0002", pb::DeviceKind::WaterMeter, away)
        .await;
    let mark = pb::MarkAwayRequest {
        request_id: id(),
        elder_id: away.to_string(),
        reason: pb::AwayReason::Family.into(),
    };
    running.client().mark_away(mark).await.unwrap();
    let flows =
        ["WM0001", "WM0002"].map(|meter| signal(meter, pb::SignalKind::Flow, ground.clock.now()));
    running.say(flows.into()).await;
    for _ in 0..12 {
        running.pass(60).await;
        let beats = ["WM0001", "WM0002"]
            .map(|meter| signal(meter, pb::SignalKind::Heartbeat, ground.clock.now()));
        running.say(beats.into()).await;
    }
    let alert = running.alert().await;
    assert_eq!(alert.kind(), pb::AlertKind::Inactivity);
    assert_eq!(alert.elder_id, one.to_string());
    assert_eq!(alert.raised_at, Some(write_time(at("2024-11-11 12:00:00"))));
    let end = pb::EndAwayRequest {
        request_id: id(),
        elder_id: away.to_string(),
    };
    running.client().end_away(end.clone()).await.unwrap();
    let again = pb::EndAwayRequest {
        request_id: id(),
        ..end
    };
    let refused = running.client().end_away(again).await.unwrap_err();
    assert_eq!(reason(&refused), "NOT_AWAY");
    running.stop().await;
}

#[tokio::test]
async fn a_silent_device_is_told_of_and_clears_itself_when_it_is_heard() {
    let ground = Ground::at("2024-11-11 00:00:00").await;
    let running = ground.start().await;
    let elder = ground.elder(&["13800000001"]).await;
    running
        .device("SD0001", pb::DeviceKind::SmokeDetector, elder)
        .await;
    running
        .recipient(pb::RecipientRole::Maintainer, COUNTY, "13700000001")
        .await;
    running.advance("2024-11-12 00:00:00").await;
    let alert = running.alert().await;
    assert_eq!(alert.kind(), pb::AlertKind::DeviceOffline);
    assert_eq!(alert.raised_at, Some(write_time(at("2024-11-12 00:00:00"))));
    assert_eq!(levels(&alert), []);
    let of = |state: pb::DeviceState| pb::ListDevicesRequest {
        division_code: COUNTY.to_owned(),
        state: state.into(),
        ..Default::default()
    };
    let offline = running
        .client()
        .list_devices(of(pb::DeviceState::Offline))
        .await;
    assert_eq!(offline.unwrap().into_inner().devices.len(), 1);
    // The maintainer alone, once the village's are gathered.
    running.pass(1).await;
    assert_eq!(ground.told.addresses(), ["13700000001"]);

    running.says("SD0001", pb::SignalKind::Heartbeat).await;
    let alert = running.alert().await;
    assert_eq!(alert.outcome(), pb::AlertOutcome::SelfCleared);
    let online = running
        .client()
        .list_devices(of(pb::DeviceState::Online))
        .await;
    let online = online.unwrap().into_inner().devices;
    assert_eq!(
        online[0].last_signal_at,
        Some(write_time(ground.clock.now()))
    );
    running.says("SD0001", pb::SignalKind::LowBattery).await;
    let faulty = running
        .client()
        .list_devices(of(pb::DeviceState::Faulty))
        .await;
    assert_eq!(faulty.unwrap().into_inner().devices.len(), 1);
    running.stop().await;
}

#[tokio::test]
async fn the_hotline_raises_an_alert_and_asks_again_without_raising_another() {
    let ground = Ground::at("2024-11-11 09:00:00").await;
    let running = ground.start().await;
    // Nobody whom alerts have heard of.
    let request = |kind: pb::AlertKind, request_id: &str| pb::RaiseAlertRequest {
        request_id: request_id.to_owned(),
        kind: kind.into(),
        elder_id: "0192d1a8-0000-7000-8000-000000000001".to_owned(),
        division_code: VILLAGE.to_owned(),
        occurred_at: Some(write_time(at("2024-11-11 08:59:00"))),
        cause: None,
    };
    let (first, second) = (id(), id());
    let raise = |request_id: String| {
        let mut client = running.client();
        async move {
            let asked = request(pb::AlertKind::Sos, &request_id);
            client.raise_alert(asked).await.unwrap().into_inner()
        }
    };
    let one = raise(first.clone()).await;
    let joined = raise(second.clone()).await;
    assert_eq!(one.alert_id, joined.alert_id);
    running.settled().await;
    running
        .resolve(&one.alert_id, pb::AlertOutcome::NoOneHome)
        .await;
    assert_eq!(raise(first).await, one);
    assert_eq!(raise(second).await, joined);
    assert_eq!(running.alert().await.joined, 1);
    let of_devices = request(pb::AlertKind::DeviceFault, &id());
    let refused = running.client().raise_alert(of_devices).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::InvalidArgument);
    running.stop().await;
}

#[tokio::test]
async fn a_missed_visit_goes_to_the_committee_at_half_past_eight_and_to_nobody_else() {
    let ground = Ground::at("2024-11-11 00:00:01").await;
    let running = ground.start().await;
    let elder = ground.elder(&["13800000001"]).await;
    running
        .recipient(pb::RecipientRole::DutyCentre, COUNTY, "12349")
        .await;
    running
        .recipient(pb::RecipientRole::VillageCommittee, VILLAGE, "13900000002")
        .await;
    running
        .recipient(pb::RecipientRole::Town, crate::support::TOWN, "13900000003")
        .await;
    let date = |text: &str| elders::codec::write_day(text.parse().unwrap());
    let missed = pb::RaiseAlertRequest {
        request_id: id(),
        kind: pb::AlertKind::VisitMissed.into(),
        elder_id: elder.to_string(),
        division_code: VILLAGE.to_owned(),
        occurred_at: Some(write_time(at("2024-11-11 00:00:00"))),
        cause: Some(pb::raise_alert_request::Cause::MissedVisit(
            pb::MissedVisit {
                first_day: Some(date("2024-11-04")),
                last_day: Some(date("2024-11-10")),
                campaign_id: String::new(),
            },
        )),
    };
    running.client().raise_alert(missed).await.unwrap();
    running.advance("2024-11-11 08:29:59").await;
    assert!(ground.told.heard().is_empty());
    running.advance("2024-11-11 08:30:00").await;
    // Those of a village are gathered for a minute.
    running.pass(1).await;
    assert_eq!(ground.told.addresses(), ["13900000002"]);
    running.advance("2024-11-12 08:30:00").await;
    running.pass(1).await;
    assert_eq!(ground.told.addresses(), ["13900000002", "13900000003"]);
    let alert = running.alert().await;
    assert_eq!(alert.severity(), pb::Severity::Notice);
    assert_eq!(alert.levels.len(), 2);
    running.stop().await;
}
