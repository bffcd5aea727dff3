//! Bad input gets a typed error that names the field, and changes nothing; a bad signal spoils no batch.

use proto::eldercare::alerts::v1 as pb;
use service::Claims;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::support::{COUNTY, Ground, VILLAGE, id, reason, recipient, registration, signal};

fn fields(status: &Status) -> Vec<String> {
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    let details = status.get_details_bad_request().unwrap();
    let violations = details.field_violations.into_iter();
    violations.map(|violation| violation.field).collect()
}

#[tokio::test]
async fn a_bad_signal_is_named_in_the_receipt_and_spoils_no_other() {
    let ground = Ground::at("2024-11-11 09:00:00").await;
    let running = ground.start().await;
    let elder = ground.elder(&[]).await;
    running
        .device("SB0001", pb::DeviceKind::SosButton, elder)
        .await;
    let good = signal("SB0001", pb::SignalKind::Press, ground.clock.now());
    let batch = vec![
        pb::Signal {
            signal_id: String::new(),
            ..good.clone()
        },
        pb::Signal {
            device_id: "a.b".to_owned(),
            ..good.clone()
        },
        good.clone(),
        pb::Signal {
            kind: 99,
            ..good.clone()
        },
        pb::Signal {
            litres: f64::NAN,
            ..good.clone()
        },
        pb::Signal {
            position: Some(pb::GeoPoint {
                latitude: 91.0,
                longitude: 0.0,
            }),
            ..good.clone()
        },
        pb::Signal {
            device_time: Some(prost_types::Timestamp {
                seconds: i64::MAX,
                nanos: 0,
            }),
            ..good
        },
    ];
    let receipt = running.say(batch).await;
    assert_eq!(receipt.stored, 1);
    let refused: Vec<_> = receipt
        .refused
        .iter()
        .map(|refused| (refused.index, refused.field.as_str()))
        .collect();
    assert_eq!(
        refused,
        [
            (0, "signal_id"),
            (1, "device_id"),
            (3, "kind"),
            (4, "litres"),
            (5, "position"),
            (6, "device_time")
        ]
    );
    assert!(
        receipt
            .refused
            .iter()
            .all(|one| !one.message_zh.is_empty() && !one.message_en.is_empty())
    );
    assert_eq!(running.alerts().await.len(), 1);
    running.stop().await;
}

#[tokio::test]
async fn wrong_fields_are_named() {
    let ground = Ground::at("2024-11-11 09:00:00").await;
    let running = ground.start().await;
    let elder = ground.elder(&[]).await;
    let mut client = running.client();
    let device = registration("水表", pb::DeviceKind::Unspecified, elder);
    let refused = client.register_device(device).await.unwrap_err();
    assert_eq!(fields(&refused), ["device.device_id", "device.kind"]);
    let request = pb::RegisterRecipientRequest {
        request_id: "x".to_owned(),
        recipient: Some(pb::Recipient {
            channels: vec![],
            ..recipient(pb::RecipientRole::EmergencyContact, "35", "1")
        }),
    };
    let refused = client.register_recipient(request).await.unwrap_err();
    assert_eq!(
        fields(&refused),
        ["request_id", "recipient.role", "recipient.channels"]
    );
    let raise = pb::RaiseAlertRequest {
        request_id: id(),
        kind: pb::AlertKind::VisitMissed.into(),
        elder_id: elder.to_string(),
        division_code: COUNTY.to_owned(),
        occurred_at: None,
        cause: None,
    };
    let refused = client.raise_alert(raise).await.unwrap_err();
    assert_eq!(
        fields(&refused),
        ["division_code", "occurred_at", "missed_visit"]
    );
    let resolve = pb::ResolveAlertRequest {
        request_id: id(),
        alert_id: id(),
        outcome: pb::AlertOutcome::SelfCleared.into(),
    };
    let refused = client.resolve_alert(resolve).await.unwrap_err();
    assert_eq!(fields(&refused), ["outcome"]);
    let policy = pb::PublishAlertPolicyRequest {
        request_id: id(),
        division_code: VILLAGE.to_owned(),
        policy: Some(pb::AlertPolicy::default()),
    };
    let refused = client.publish_alert_policy(policy).await.unwrap_err();
    assert_eq!(fields(&refused), ["division_code", "policy.inactive_after"]);
    let unknown = pb::AcknowledgeAlertRequest {
        request_id: id(),
        alert_id: id(),
    };
    let refused = client.acknowledge_alert(unknown).await.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound);
    running.stop().await;
}

#[tokio::test]
async fn nobody_sees_or_changes_what_lies_beyond_their_divisions() {
    let ground = Ground::at("2024-11-11 09:00:00").await;
    let running = ground.start().await;
    let elder = ground.elder(&[]).await;
    running
        .device("SB0001", pb::DeviceKind::SosButton, elder)
        .await;
    running.says("SB0001", pb::SignalKind::Press).await;
    let alert = running.alert().await.alert_id;
    let elsewhere = Claims::officer("clerk", "civil_affairs")
        .division("350525")
        .purpose("test")
        .role("clerk")
        .role("viewer");
    let mut client = running.client_of(&elsewhere);
    let acknowledge = pb::AcknowledgeAlertRequest {
        request_id: id(),
        alert_id: alert.clone(),
    };
    let unknown = client.acknowledge_alert(acknowledge).await.unwrap_err();
    assert_eq!(reason(&unknown), "ALERT_NOT_FOUND");
    let get = pb::GetAlertRequest {
        alert_id: alert,
        ..Default::default()
    };
    let unknown = client.get_alert(get).await.unwrap_err();
    assert_eq!(reason(&unknown), "ALERT_NOT_FOUND");
    let device = registration("SB0002", pb::DeviceKind::SosButton, elder);
    let unknown = client.register_device(device).await.unwrap_err();
    assert_eq!(reason(&unknown), "ELDER_NOT_FOUND");
    let list = pb::ListAlertsRequest {
        division_code: VILLAGE.to_owned(),
        ..Default::default()
    };
    let refused = client.list_alerts(list).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    // An officer is no gateway.
    let batch = pb::IngestSignalsRequest::default();
    let refused = running
        .client()
        .ingest_signals(tokio_stream::iter([batch]))
        .await;
    assert_eq!(refused.unwrap_err().code(), Code::PermissionDenied);
    // A gateway of another county passes on nothing of this one.
    let gateway = Claims::system("gateway", "civil_affairs")
        .division("350525")
        .role("device_gateway");
    let press = signal("SB0001", pb::SignalKind::Press, ground.clock.now());
    let batch = pb::IngestSignalsRequest {
        signals: vec![press],
    };
    let mut receipts = running
        .client_of(&gateway)
        .ingest_signals(tokio_stream::iter([batch]))
        .await
        .unwrap()
        .into_inner();
    let receipt = receipts.message().await.unwrap().unwrap();
    assert_eq!(receipt.stored, 0);
    assert_eq!(receipt.refused[0].reason, "DEVICE_NOT_YOURS");
    running.stop().await;
}
