//! Who works elsewhere learns nothing of an elder, a device, an alert or a recipient by the id: each method answers as for an id
//! that nobody has heard of.

use chrono::{DateTime, Utc};
use civic::ElderId;
use elders::event::Event;
use elders::wire::write_time;
use eventlog::EventLog as _;
use proto::eldercare::alerts::v1 as pb;
use service::Claims;
use service::testing::{AskedFor, anybody, every_method_is_asked};

use crate::support::{
    COUNTY, Client, Ground, Running, TOWN, VILLAGE, id, recipient, registration, signal,
};

const OTHER_TOWN: &str = "350524101";
const OTHER_VILLAGE: &str = "350524101001";

/// The methods that name divisions, and IngestSignals, which tells of each signal by itself.
const OTHERS: [&str; 8] = [
    "ListDevices",
    "IngestSignals",
    "ListAlerts",
    "WatchAlerts",
    "GetResponseFigures",
    "PublishAlertPolicy",
    "GetAlertPolicy",
    "ListRecipients",
];

/// Asks methods for something: `ask!(asked, client, get_alert: request, …)`.
macro_rules! ask {
    ($asked:ident, $client:ident, $($method:ident: $request:expr,)+) => {$(
        $asked.heard(stringify!($method), $client.$method($request).await);
    )+};
}

/// What the caller knows.
struct Own {
    elder: ElderId,
    device: &'static str,
    alert: String,
    recipient: String,
    now: DateTime<Utc>,
}

/// A change of one field of a device.
fn update(device: pb::Device, path: &str) -> pb::UpdateDeviceRequest {
    pb::UpdateDeviceRequest {
        request_id: id(),
        device: Some(device),
        update_mask: Some(prost_types::FieldMask {
            paths: vec![path.to_owned()],
        }),
    }
}

/// An elder. A device that is another's already is told of too early where it is told.
async fn elder(client: &mut Client, elder: ElderId, own: &Own) -> AskedFor {
    let mut asked = AskedFor::new(elder.to_string());
    let moved = pb::Device {
        device_id: own.device.to_owned(),
        elder_id: asked.id(),
        ..Default::default()
    };
    let stale = pb::Device {
        etag: service::etag(1),
        ..moved.clone()
    };
    let away = pb::MarkAwayRequest {
        request_id: id(),
        elder_id: asked.id(),
        reason: pb::AwayReason::Family.into(),
    };
    let back = pb::EndAwayRequest {
        request_id: id(),
        elder_id: asked.id(),
    };
    let raise = pb::RaiseAlertRequest {
        request_id: id(),
        kind: pb::AlertKind::Sos.into(),
        elder_id: asked.id(),
        division_code: OTHER_VILLAGE.to_owned(),
        occurred_at: Some(write_time(own.now)),
        cause: None,
    };
    ask! {
        asked, client,
        register_device: registration("SB9999", pb::DeviceKind::SosButton, elder),
        register_device: registration("SB0001", pb::DeviceKind::SosButton, elder),
        update_device: update(moved, "elder_id"),
        update_device: update(stale, "elder_id"),
        mark_away: away,
        end_away: back,
        raise_alert: raise,
    }
    asked
}

/// A device.
async fn device(client: &mut Client, device_id: &str, own: &Own) -> AskedFor {
    let mut asked = AskedFor::new(device_id);
    let device = |etag: String| pb::Device {
        device_id: device_id.to_owned(),
        elder_id: own.elder.to_string(),
        maintainer_id: own.recipient.clone(),
        etag,
        ..Default::default()
    };
    let retire = pb::RetireDeviceRequest {
        request_id: id(),
        device_id: device_id.to_owned(),
    };
    ask! {
        asked, client,
        update_device: update(device(String::new()), "elder_id"),
        update_device: update(device(String::new()), "maintainer_id"),
        update_device: update(device(service::etag(1)), "maintainer_id"),
        retire_device: retire,
    }
    asked
}

/// An alert.
async fn alert(client: &mut Client, alert_id: &str, own: &Own) -> AskedFor {
    let mut asked = AskedFor::new(alert_id);
    let get = pb::GetAlertRequest {
        alert_id: alert_id.to_owned(),
        ..Default::default()
    };
    let acknowledge = pb::AcknowledgeAlertRequest {
        request_id: id(),
        alert_id: alert_id.to_owned(),
    };
    let assign = pb::AssignAlertRequest {
        request_id: id(),
        alert_id: alert_id.to_owned(),
        recipient_id: own.recipient.clone(),
    };
    let dispatch = pb::DispatchAlertRequest {
        request_id: id(),
        alert_id: alert_id.to_owned(),
    };
    let arrival = pb::RecordArrivalRequest {
        request_id: id(),
        alert_id: alert_id.to_owned(),
    };
    let resolve = pb::ResolveAlertRequest {
        request_id: id(),
        alert_id: alert_id.to_owned(),
        outcome: pb::AlertOutcome::NoOneHome.into(),
    };
    ask! {
        asked, client,
        get_alert: get,
        acknowledge_alert: acknowledge,
        assign_alert: assign,
        dispatch_alert: dispatch,
        record_arrival: arrival,
        resolve_alert: resolve,
    }
    asked
}

fn assign(own: &Own, recipient_id: &str) -> pb::AssignAlertRequest {
    pb::AssignAlertRequest {
        request_id: id(),
        alert_id: own.alert.clone(),
        recipient_id: recipient_id.to_owned(),
    }
}

/// A recipient.
async fn told(client: &mut Client, recipient_id: &str, own: &Own) -> AskedFor {
    let mut asked = AskedFor::new(recipient_id);
    let change = pb::RegisterRecipientRequest {
        request_id: id(),
        recipient: Some(pb::Recipient {
            recipient_id: recipient_id.to_owned(),
            ..recipient(pb::RecipientRole::GridWorker, OTHER_VILLAGE, "1")
        }),
    };
    let mut registered = registration("SB9999", pb::DeviceKind::SosButton, own.elder);
    let maintained = pb::Device {
        device_id: own.device.to_owned(),
        maintainer_id: recipient_id.to_owned(),
        ..Default::default()
    };
    registered.device.as_mut().unwrap().maintainer_id = recipient_id.to_owned();
    ask! {
        asked, client,
        register_recipient: change,
        assign_alert: assign(own, recipient_id),
        register_device: registered,
        update_device: update(maintained, "maintainer_id"),
    }
    asked
}

fn officer(division: &str) -> Claims {
    Claims {
        divisions: vec![division.to_owned()],
        ..anybody()
    }
}

/// The alert about an elder.
async fn alert_of(running: &Running, elder: ElderId) -> String {
    let alerts = running.alerts().await;
    let mut alerts = alerts.into_iter();
    let alert = alerts.find(|alert| alert.elder_id == elder.to_string());
    alert.unwrap().alert_id
}

/// How far our own log is written.
async fn written(ground: &Ground) -> u64 {
    ground.own.last_sequence().await.unwrap()
}

#[tokio::test]
async fn what_lies_elsewhere_is_as_unknown_as_what_never_was() {
    let ground = Ground::at("2024-11-11 09:00:00").await;
    let running = ground.start().await;
    let there = ground.elder(&[]).await;
    let gone = ground.elder(&[]).await;
    let elder_here = ground.elder_in(OTHER_VILLAGE, &[]).await;
    let erasure = Event::Erased {
        reason: "REQUEST".to_owned(),
    };
    ground.record(gone, std::slice::from_ref(&erasure)).await;
    for (device, elder) in [("SB0001", there), ("SB0002", elder_here), ("SB0003", there)] {
        let kind = pb::DeviceKind::SosButton;
        running.device(device, kind, elder).await;
        running.says(device, pb::SignalKind::Press).await;
    }
    let mut everybody = running.client();
    let retire = pb::RetireDeviceRequest {
        request_id: id(),
        device_id: "SB0003".to_owned(),
    };
    everybody.retire_device(retire).await.unwrap();
    let worker = pb::RecipientRole::GridWorker;
    let theirs = running.recipient(worker, VILLAGE, "1").await;
    let centre = pb::RecipientRole::DutyCentre;
    let of_the_county = running.recipient(centre, COUNTY, "12349").await;
    let own = Own {
        elder: elder_here,
        device: "SB0002",
        alert: alert_of(&running, elder_here).await,
        recipient: running.recipient(worker, OTHER_VILLAGE, "2").await,
        now: ground.clock.now(),
    };
    let away = pb::MarkAwayRequest {
        request_id: id(),
        elder_id: there.to_string(),
        reason: pb::AwayReason::Family.into(),
    };
    everybody.mark_away(away.clone()).await.unwrap();
    running.settled().await;
    let before = written(&ground).await;

    let client = &mut running.client_of(&officer(OTHER_TOWN));
    let nobody = elder(client, ElderId(uuid::Uuid::now_v7()), &own).await;
    for one in [there, gone] {
        elder(client, one, &own).await.is_told_as(&nobody);
    }
    let no_device = device(client, "SB9999", &own).await;
    for one in ["SB0001", "SB0003"] {
        device(client, one, &own).await.is_told_as(&no_device);
    }
    let no_alert = alert(client, &id(), &own).await;
    let alert_there = alert_of(&running, there).await;
    alert(client, &alert_there, &own)
        .await
        .is_told_as(&no_alert);
    let no_recipient = told(client, &id(), &own).await;
    told(client, &theirs, &own).await.is_told_as(&no_recipient);
    let asked = [&nobody, &no_device, &no_alert, &no_recipient];
    every_method_is_asked("eldercare.alerts.v1.AlertService", &asked, &OTHERS);
    over_a_gateway(&running, own.now).await;

    // Nor does it help to know which requests others have made.
    let of_nobody = pb::MarkAwayRequest {
        elder_id: nobody.id(),
        ..away.clone()
    };
    let mut unknown = AskedFor::new(nobody.id());
    unknown.heard("mark_away", client.mark_away(of_nobody).await);
    let altered = pb::MarkAwayRequest {
        reason: pb::AwayReason::Hospital.into(),
        ..away.clone()
    };
    for request in [away.clone(), altered] {
        let mut repeated = AskedFor::new(there.to_string());
        repeated.heard("mark_away", client.mark_away(request).await);
        repeated.is_told_as(&unknown);
    }
    running.settled().await;
    assert_eq!(written(&ground).await, before);

    // Who answers for the county may be given what happens in its towns.
    assert!(
        client
            .assign_alert(assign(&own, &of_the_county))
            .await
            .is_ok()
    );
    // Those who work there are answered again, whatever has become of the elder.
    ground.record(there, &[erasure]).await;
    running.settled().await;
    let before = written(&ground).await;
    let mut theirs = running.client_of(&officer(TOWN));
    assert!(theirs.mark_away(away).await.is_ok());
    assert_eq!(written(&ground).await, before);
    running.stop().await;
}

/// A gateway of the other town passes on signals of a device there, and of none.
async fn over_a_gateway(running: &Running, now: DateTime<Utc>) {
    let gateway = Claims::system("gateway", "civil_affairs")
        .division(OTHER_TOWN)
        .role("device_gateway");
    let press = |device| signal(device, pb::SignalKind::Press, now);
    let batch = pb::IngestSignalsRequest {
        signals: ["SB0001", "SB0003", "SB9999"].map(press).to_vec(),
    };
    let answers = running
        .client_of(&gateway)
        .ingest_signals(tokio_stream::iter([batch]))
        .await;
    let receipt = answers.unwrap().into_inner().message().await;
    let receipt = receipt.unwrap().unwrap();
    assert_eq!((receipt.stored, receipt.refused.len()), (0, 3));
    let refused = receipt.refused.iter().map(|refused| pb::RefusedSignal {
        index: 0,
        ..refused.clone()
    });
    let refused: Vec<_> = refused.collect();
    assert!(refused.iter().all(|one| *one == refused[2]), "{refused:?}");
}
