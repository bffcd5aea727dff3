//! Devices: registered once, moved, retired, and registered again with another credential.

use elders::event::{Event, Residence};
use proto::eldercare::alerts::v1 as pb;

use crate::support::{COUNTY, Ground, id, reason, registration, signal};

#[tokio::test]
async fn a_device_has_a_credential_that_a_retry_is_told_again() {
    let ground = Ground::at("2024-11-11 09:00:00").await;
    let running = ground.start().await;
    let elder = ground.elder(&[]).await;
    let request = registration("SB0001", pb::DeviceKind::SosButton, elder);
    let mut client = running.client();
    let first = client
        .register_device(request.clone())
        .await
        .unwrap()
        .into_inner();
    let again = client.register_device(request).await.unwrap().into_inner();
    assert_eq!(first, again);
    let other = registration("SB0001", pb::DeviceKind::SosButton, elder);
    let refused = client.register_device(other.clone()).await.unwrap_err();
    assert_eq!(reason(&refused), "DEVICE_REGISTERED");

    let retire = pb::RetireDeviceRequest {
        request_id: id(),
        device_id: "SB0001".to_owned(),
    };
    client.retire_device(retire).await.unwrap();
    running.settled().await;
    // Nobody hears it any more.
    running.says("SB0001", pb::SignalKind::Press).await;
    assert!(running.alerts().await.is_empty());
    let anew = client.register_device(other).await.unwrap().into_inner();
    assert_ne!(first.credential, anew.credential);
    running.stop().await;
}

#[tokio::test]
async fn a_device_is_of_an_elder_whom_the_registry_knows() {
    let ground = Ground::at("2024-11-11 09:00:00").await;
    let running = ground.start().await;
    let nobody = civic::ElderId(uuid::Uuid::now_v7());
    let request = registration("SB0001", pb::DeviceKind::SosButton, nobody);
    let refused = running.client().register_device(request).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::NotFound);
    running.stop().await;
}

#[tokio::test]
async fn a_device_that_moves_raises_alerts_in_its_new_home() {
    let ground = Ground::at("2024-11-11 09:00:00").await;
    let running = ground.start().await;
    let (one, two) = (ground.elder(&[]).await, ground.elder(&[]).await);
    running
        .device("SB0001", pb::DeviceKind::SosButton, one)
        .await;
    let listed = running
        .client()
        .list_devices(pb::ListDevicesRequest {
            division_code: COUNTY.to_owned(),
            ..Default::default()
        })
        .await
        .unwrap()
        .into_inner();
    let device = &listed.devices[0];
    let update = |etag: &str| pb::UpdateDeviceRequest {
        request_id: id(),
        device: Some(pb::Device {
            elder_id: two.to_string(),
            etag: etag.to_owned(),
            ..device.clone()
        }),
        update_mask: Some(prost_types::FieldMask {
            paths: vec!["elder_id".to_owned()],
        }),
    };
    running
        .client()
        .update_device(update(&device.etag))
        .await
        .unwrap();
    let stale = running.client().update_device(update(&device.etag)).await;
    assert_eq!(stale.unwrap_err().code(), tonic::Code::Aborted);
    running.settled().await;
    running.says("SB0001", pb::SignalKind::Press).await;
    assert_eq!(running.alert().await.elder_id, two.to_string());
    running.stop().await;
}

#[tokio::test]
async fn devices_come_in_pages() {
    let ground = Ground::at("2024-11-11 09:00:00").await;
    let running = ground.start().await;
    let elder = ground.elder(&[]).await;
    for number in 0..5 {
        let request = registration(&format!("SB{number:04}"), pb::DeviceKind::SosButton, elder);
        running.client().register_device(request).await.unwrap();
    }
    running.settled().await;
    running
        .say(vec![signal(
            "SB0003",
            pb::SignalKind::Heartbeat,
            ground.clock.now(),
        )])
        .await;
    let mut request = pb::ListDevicesRequest {
        division_code: COUNTY.to_owned(),
        page_size: 2,
        ..Default::default()
    };
    let mut seen = Vec::new();
    loop {
        let page = running.client().list_devices(request.clone()).await;
        let page = page.unwrap().into_inner();
        seen.extend(page.devices);
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    let heard: Vec<_> = seen
        .iter()
        .map(|device| (device.device_id.as_str(), device.last_signal_at.is_some()))
        .collect();
    assert_eq!(
        heard,
        [
            ("SB0000", false),
            ("SB0001", false),
            ("SB0002", false),
            ("SB0003", true),
            ("SB0004", false)
        ]
    );
    running.stop().await;
}

#[tokio::test]
async fn a_device_follows_its_elder_to_another_village_and_goes_with_who_is_erased() {
    let ground = Ground::at("2024-11-11 09:00:00").await;
    let running = ground.start().await;
    let elder = ground.elder(&[]).await;
    running
        .device("SB0001", pb::DeviceKind::SosButton, elder)
        .await;
    running.says("SB0001", pb::SignalKind::Heartbeat).await;
    let moves = Event::Relocated(
        Residence {
            village: "350524101002".parse().unwrap(),
            home: None,
        },
        "2024-11-11".parse().unwrap(),
    );
    ground.record(elder, &[moves]).await;
    let device = |state: pb::DeviceState| {
        let mut client = running.client();
        async move {
            let request = pb::ListDevicesRequest {
                division_code: COUNTY.to_owned(),
                state: state.into(),
                ..Default::default()
            };
            let listed = client.list_devices(request).await.unwrap();
            listed.into_inner().devices.into_iter().next()
        }
    };
    running.settled().await;
    let moved = device(pb::DeviceState::Online).await.unwrap();
    assert_eq!(moved.division_code, "350524101002");
    assert!(moved.last_signal_at.is_some());
    running.says("SB0001", pb::SignalKind::Press).await;
    assert_eq!(running.alert().await.division_code, "350524101002");

    let erased = Event::Erased {
        reason: "REQUEST".to_owned(),
    };
    ground.record(elder, &[erased]).await;
    running.settled().await;
    let retired = device(pb::DeviceState::Retired).await.unwrap();
    assert_eq!(retired.last_signal_at, None);
    // What is gone from the signals holds nobody up.
    running.says("SB0001", pb::SignalKind::Press).await;
    running.pass(60).await;
    assert_eq!(running.alerts().await.len(), 1);
    running.stop().await;
}
