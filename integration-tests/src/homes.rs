//! Watched homes in few words: what watches one, who is told, what a device says, and what of that is stored.

use futures::{TryStreamExt as _, stream};
use proto::eldercare::alerts::v1::{
    self as pb, Device, IngestSignalsRequest, IngestSignalsResponse, ListDevicesRequest,
    RaiseAlertRequest, Recipient, RecipientChannel, RecipientRole, RegisterDeviceRequest,
    RegisterRecipientRequest, Signal,
};
use tonic::Status;

use crate::{System, callers::Alerts, county::COUNTY, days::timestamp, elders::VILLAGE, new_id};

/// A button for help in an elder's home, to be registered.
pub fn a_device(id: &str, elder: &str) -> RegisterDeviceRequest {
    RegisterDeviceRequest {
        request_id: new_id(),
        device: Some(Device {
            device_id: id.to_owned(),
            kind: pb::DeviceKind::SosButton.into(),
            elder_id: elder.to_owned(),
            ..Device::default()
        }),
    }
}

/// Registers a button for help, which everybody knows of from now on.
pub async fn device(system: &System, id: &str, elder: &str) {
    let mut alerts = system.alerts();
    let registered = alerts.register_device(a_device(id, elder)).await.unwrap();
    let seen = ListDevicesRequest {
        division_code: VILLAGE.to_owned(),
        min_position: registered.into_inner().position,
        ..ListDevicesRequest::default()
    };
    alerts.list_devices(seen).await.unwrap();
}

/// Somebody of the county who is told by lines in the log, to be registered.
pub fn a_recipient(role: RecipientRole, name: &str) -> RegisterRecipientRequest {
    RegisterRecipientRequest {
        request_id: new_id(),
        recipient: Some(Recipient {
            role: role.into(),
            division_code: COUNTY.to_owned(),
            name: name.to_owned(),
            channels: vec![RecipientChannel {
                channel: pb::NoticeChannel::Log.into(),
                address: String::new(),
            }],
            active: true,
            ..Recipient::default()
        }),
    }
}

/// Registers somebody who is told of alerts: the id.
pub async fn recipient(system: &System, role: RecipientRole, name: &str) -> String {
    let mut alerts = system.alerts();
    let registered = alerts.register_recipient(a_recipient(role, name)).await;
    registered.unwrap().into_inner().recipient_id
}

/// A call for help that came to the hotline a minute ago, to be raised.
pub fn a_call(elder: &str) -> RaiseAlertRequest {
    RaiseAlertRequest {
        request_id: new_id(),
        kind: pb::AlertKind::Sos.into(),
        elder_id: elder.to_owned(),
        division_code: VILLAGE.to_owned(),
        occurred_at: Some(timestamp("2024-10-01T08:59:00+08:00")),
        cause: None,
    }
}

/// Raises an alert: its id.
pub async fn raised(system: &System, call: &RaiseAlertRequest) -> String {
    let raised = system.alerts().raise_alert(call.clone()).await.unwrap();
    raised.into_inner().alert_id
}

/// That a device works, which calls for nobody.
pub fn a_signal(device: &str) -> Signal {
    Signal {
        signal_id: new_id(),
        device_id: device.to_owned(),
        kind: pb::SignalKind::Heartbeat.into(),
        ..Signal::default()
    }
}

/// Passes signals on in one batch: the receipt.
///
/// # Errors
/// Why the batch was refused, or that the stream ended without a receipt.
pub async fn say(
    mut alerts: Alerts,
    signals: Vec<Signal>,
) -> Result<IngestSignalsResponse, Status> {
    let batch = stream::iter([IngestSignalsRequest { signals }]);
    let receipts = alerts.ingest_signals(batch).await?;
    let receipts: Vec<_> = receipts.into_inner().try_collect().await?;
    let receipt = receipts.into_iter().next();
    receipt.ok_or_else(|| Status::unavailable("no receipt"))
}

impl System {
    /// What devices said through a gateway, in the order in which it stands in the stream: the device, and its id of the signal.
    pub async fn signals_stored(&self) -> Vec<(String, String)> {
        let signals = self.jetstream().await.get_stream("SIGNALS").await.unwrap();
        let mut stored = Vec::new();
        for sequence in 1..=signals.cached_info().state.last_sequence {
            let message = signals.direct_get(sequence).await.unwrap();
            let device = message.subject.strip_prefix("eldercare.signals.");
            let device = device.and_then(|device| device.strip_suffix(".arrived"));
            let sent: serde_json::Value = serde_json::from_slice(&message.payload).unwrap();
            let id = sent["signal_id"].as_str().unwrap().to_owned();
            stored.push((device.unwrap().to_owned(), id));
        }
        stored
    }
}
