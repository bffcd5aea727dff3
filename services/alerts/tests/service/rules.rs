//! Rules by division, and the figures of how fast help came.

use proto::eldercare::alerts::v1 as pb;

use crate::support::{COUNTY, Ground, TOWN, VILLAGE, id, reason, signal};

async fn policy(running: &crate::support::Running, division: &str) -> pb::GetAlertPolicyResponse {
    let request = pb::GetAlertPolicyRequest {
        division_code: division.to_owned(),
        min_position: String::new(),
    };
    let answer = running.client().get_alert_policy(request).await;
    answer.unwrap().into_inner()
}

#[tokio::test]
async fn a_towns_rules_hold_in_its_villages_and_bad_ones_are_refused() {
    let ground = Ground::at("2024-11-11 00:00:00").await;
    let running = ground.start().await;
    let elder = ground.elder(&[]).await;
    running
        .device("WM0001", pb::DeviceKind::WaterMeter, elder)
        .await;
    let own = policy(&running, VILLAGE).await;
    assert_eq!((own.version, own.published_for.as_str()), (0, ""));
    let hours = |hours: i64| pb::AlertPolicy {
        inactive_after: Some(prost_types::Duration {
            seconds: hours * 3_600,
            nanos: 0,
        }),
        ..own.policy.clone().unwrap()
    };
    let publish = |policy| pb::PublishAlertPolicyRequest {
        request_id: id(),
        division_code: TOWN.to_owned(),
        policy: Some(policy),
    };
    let mut client = running.client();
    let refused = client
        .publish_alert_policy(publish(hours(0)))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), tonic::Code::InvalidArgument);
    let published = client
        .publish_alert_policy(publish(hours(3)))
        .await
        .unwrap();
    assert_eq!(published.into_inner().version, 1);
    running.settled().await;
    assert_eq!(policy(&running, VILLAGE).await.published_for, TOWN);
    assert_eq!(policy(&running, COUNTY).await.version, 0);
    for _ in 0..3 {
        running.pass(60).await;
        running
            .say(vec![signal(
                "WM0001",
                pb::SignalKind::Heartbeat,
                ground.clock.now(),
            )])
            .await;
    }
    assert_eq!(running.alert().await.kind(), pb::AlertKind::Inactivity);
    running.stop().await;
}

#[tokio::test]
async fn figures_tell_how_fast_help_came_and_how_many_alarms_were_false() {
    let ground = Ground::at("2024-11-11 09:00:00").await;
    let running = ground.start().await;
    let (one, two) = (
        ground.elder(&["13800000001"]).await,
        ground.elder(&[]).await,
    );
    running
        .recipient(pb::RecipientRole::DutyCentre, COUNTY, "12349")
        .await;
    running
        .device("SB0001", pb::DeviceKind::SosButton, one)
        .await;
    running
        .device("SB0002", pb::DeviceKind::SosButton, two)
        .await;
    running.says("SB0001", pb::SignalKind::Press).await;
    running.says("SB0002", pb::SignalKind::Press).await;
    let alerts = running.alerts().await;
    let (first, second) = (&alerts[0].alert_id, &alerts[1].alert_id);
    running.pass(1).await;
    running.acknowledge(first).await.unwrap();
    running.pass(9).await;
    let arrival = pb::RecordArrivalRequest {
        request_id: id(),
        alert_id: second.clone(),
    };
    running.client().record_arrival(arrival).await.unwrap();
    running.resolve(first, pb::AlertOutcome::FalseAlarm).await;
    let day = elders::codec::write_day("2024-11-11".parse().unwrap());
    let request = pb::GetResponseFiguresRequest {
        division_code: COUNTY.to_owned(),
        first_day: Some(day),
        last_day: Some(day),
        min_position: String::new(),
    };
    let figures = running.client().get_response_figures(request).await;
    let figures = figures.unwrap().into_inner();
    let sos = &figures.kinds[0];
    assert_eq!(
        (sos.kind(), sos.raised, sos.open),
        (pb::AlertKind::Sos, 2, 1)
    );
    let delay = |figures: &Option<pb::DelayFigures>| {
        let figures = figures.as_ref().unwrap();
        (
            figures.count,
            figures.longest.map(|longest| longest.seconds),
        )
    };
    assert_eq!(delay(&sos.to_first_notice), (2, Some(0)));
    assert_eq!(delay(&sos.to_acknowledgement), (2, Some(600)));
    assert_eq!(delay(&sos.to_arrival), (1, Some(600)));
    assert_eq!(delay(&sos.to_resolution), (1, Some(600)));
    let wolf = &figures.false_alarms[0];
    assert_eq!(
        (wolf.device_kind(), wolf.closed, wolf.false_alarms),
        (pb::DeviceKind::SosButton, 1, 1)
    );
    running.stop().await;
}

#[tokio::test]
async fn an_assignment_names_somebody_who_is_there() {
    let ground = Ground::at("2024-11-11 09:00:00").await;
    let running = ground.start().await;
    let elder = ground.elder(&[]).await;
    running
        .device("SB0001", pb::DeviceKind::SosButton, elder)
        .await;
    running.says("SB0001", pb::SignalKind::Press).await;
    let alert = running.alert().await.alert_id;
    let assign = |recipient: String| pb::AssignAlertRequest {
        request_id: id(),
        alert_id: alert.clone(),
        recipient_id: recipient,
    };
    let refused = running
        .client()
        .assign_alert(assign(id()))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), tonic::Code::NotFound);
    let worker = running
        .recipient(pb::RecipientRole::GridWorker, VILLAGE, "13900000001")
        .await;
    running
        .client()
        .assign_alert(assign(worker.clone()))
        .await
        .unwrap();
    running.settled().await;
    let alert = running.alert().await;
    assert_eq!(alert.assigned_to, worker);
    assert_eq!(alert.stage(), pb::AlertStage::Acknowledged);
    let again = running.acknowledge(&alert.alert_id).await.unwrap_err();
    assert_eq!(reason(&again), "ALREADY_ACKNOWLEDGED");
    running.stop().await;
}
