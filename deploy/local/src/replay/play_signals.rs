//! Plays devices and what they say, spells in which elders are away, and what people did about alerts.

use std::collections::{BTreeMap, HashSet};

use backon::BackoffBuilder as _;
use futures::{SinkExt as _, channel::mpsc};
use proto::eldercare::alerts::v1::{
    self as pb, AcknowledgeAlertRequest, DispatchAlertRequest, EndAwayRequest,
    IngestSignalsRequest, IngestSignalsResponse, ListAlertsRequest, MarkAwayRequest, Recipient,
    RecipientChannel, RegisterDeviceRequest, RegisterRecipientRequest, ResolveAlertRequest,
    alert_service_client::AlertServiceClient,
};
use tokio::time::sleep;
use tonic::{Status, Streaming};

use super::elders::Directory;
use crate::{
    client::{Channel, Client, call, in_words, is_lost, patience, try_call},
    county::{Action, Away, County, Device, Line, Response, Signal},
    load::{FailedLine, refused_line},
    wire,
};

/// The file of the devices.
const DEVICES: &str = "devices.csv";
/// The file of what people did.
const RESPONSES: &str = "acknowledgements.ndjson";
/// The most signals that one batch may hold.
const BATCH: usize = 1_000;

/// What was played of devices.
#[derive(Debug, Default)]
pub(super) struct Homes {
    /// How many lines of signals were sent.
    pub(super) lines: u64,
    /// Each signal, however often it came.
    pub(super) signals: HashSet<(String, String)>,
    /// How many deeds found no alert.
    pub(super) without_alert: u64,
    line: Option<GatewayLine>,
}

/// The line of a gateway: it stays open, and each batch is answered before the next one is sent.
#[derive(Debug)]
struct GatewayLine {
    batches: mpsc::Sender<IngestSignalsRequest>,
    receipts: Streaming<IngestSignalsResponse>,
}

impl Homes {
    /// Registers whoever is told of alerts, and the devices.
    pub(super) async fn register(
        &mut self,
        client: &Client,
        county: &County,
        directory: &mut Directory,
        devices: &[Line<Device>],
    ) -> anyhow::Result<Vec<FailedLine>> {
        // The set names nobody who could be reached: a line in the log will do.
        for (role, name) in [
            (pb::RecipientRole::DutyCentre, "12349 值守中心"),
            (pb::RecipientRole::VillageCommittee, "村（居）委会"),
        ] {
            register_recipient(client, county, role, name).await?;
        }
        let mut maintainers = BTreeMap::new();
        for name in devices
            .iter()
            .filter_map(|line| line.what.maintainer.as_ref())
        {
            if !maintainers.contains_key(name) {
                let role = pb::RecipientRole::Maintainer;
                let id = register_recipient(client, county, role, name).await?;
                maintainers.insert(name.clone(), id);
            }
        }
        let mut failed = Vec::new();
        for line in devices {
            let device = &line.what;
            let elder = directory.elder_of(client, &device.id_number, (DEVICES, line.number));
            let elder_id = match elder.await? {
                Ok(elder_id) => elder_id,
                Err(about_nobody) => {
                    failed.push(about_nobody);
                    continue;
                }
            };
            let maintainer = device.maintainer.as_ref();
            let maintainer_id = maintainer.and_then(|name| maintainers.get(name));
            let request = RegisterDeviceRequest {
                request_id: line.request_id.to_string(),
                device: Some(pb::Device {
                    device_id: device.device_id.clone(),
                    kind: device.kind.into(),
                    elder_id,
                    maintainer_id: maintainer_id.cloned().unwrap_or_default(),
                    ..Default::default()
                }),
            };
            let registered = try_call(request, async |request| {
                client.alerts().register_device(request).await
            });
            if let Err(status) = registered.await {
                failed.push(refused_line(DEVICES, line.number, &status)?);
            }
        }
        Ok(failed)
    }

    /// Passes on what devices say that arrived at one instant, as a gateway does.
    pub(super) async fn hear(
        &mut self,
        client: &Client,
        lines: &[Line<Signal>],
    ) -> anyhow::Result<Vec<FailedLine>> {
        let mut failed = Vec::new();
        for lines in lines.chunks(BATCH) {
            let signals = lines.iter().map(|line| line.what.signal.clone());
            let request = IngestSignalsRequest {
                signals: signals.collect(),
            };
            let receipt = self.send(client, request).await?;
            failed.extend(receipt.refused.iter().map(|refused| {
                let place = usize::try_from(refused.index).unwrap_or_default();
                FailedLine {
                    file: "signals.ndjson".to_owned(),
                    line: lines.get(place).map_or(0, |line| line.number),
                    reason: format!("{}: {}", refused.field, refused.reason),
                }
            }));
            self.lines += lines.len() as u64;
            let ids = lines.iter().map(|line| &line.what.signal);
            self.signals
                .extend(ids.map(|signal| (signal.device_id.clone(), signal.signal_id.clone())));
        }
        Ok(failed)
    }

    /// Sends a batch, and sends it again on another line where one is lost: a signal is known by its id, so that one that comes
    /// twice counts once.
    async fn send(
        &mut self,
        client: &Client,
        batch: IngestSignalsRequest,
    ) -> anyhow::Result<IngestSignalsResponse> {
        let mut gateway = client.gateway()?;
        let mut pauses = patience().build();
        loop {
            let status = match self.try_send(&mut gateway, batch.clone()).await {
                Ok(receipt) => return Ok(receipt),
                Err(status) => status,
            };
            self.line = None;
            let pause = pauses.next().filter(|_| is_lost(&status));
            let Some(pause) = pause else {
                return Err(in_words(&status));
            };
            sleep(pause).await;
        }
    }

    async fn try_send(
        &mut self,
        gateway: &mut AlertServiceClient<Channel>,
        batch: IngestSignalsRequest,
    ) -> Result<IngestSignalsResponse, Status> {
        let line = match &mut self.line {
            Some(line) => line,
            None => {
                let (batches, coming) = mpsc::channel(1);
                let receipts = gateway.ingest_signals(coming).await?.into_inner();
                self.line.insert(GatewayLine { batches, receipts })
            }
        };
        // Where nobody takes it any more the receipts say why.
        let _ = line.batches.send(batch).await;
        let receipt = line.receipts.message().await?;
        receipt.ok_or_else(|| Status::unavailable("a batch of signals was not answered"))
    }

    /// Does what somebody did about an alert.
    pub(super) async fn respond(
        &mut self,
        client: &Client,
        county: &County,
        directory: &mut Directory,
        line: &Line<Response>,
    ) -> anyhow::Result<Option<FailedLine>> {
        let response = &line.what;
        let elder = directory.elder_of(client, &response.id_number, (RESPONSES, line.number));
        let elder_id = match elder.await? {
            Ok(elder_id) => elder_id,
            Err(about_nobody) => return Ok(Some(about_nobody)),
        };
        let Some(alert_id) = alert_of(client, county, elder_id, response).await? else {
            self.without_alert += 1;
            return Ok(None);
        };
        let request_id = line.request_id.to_string();
        let done = match response.action {
            Action::Acknowledged => {
                let request = AcknowledgeAlertRequest {
                    request_id,
                    alert_id,
                };
                let done = try_call(request, async |request| {
                    client.alerts().acknowledge_alert(request).await
                });
                done.await.map(drop)
            }
            Action::Dispatched => {
                let request = DispatchAlertRequest {
                    request_id,
                    alert_id,
                };
                let done = try_call(request, async |request| {
                    client.alerts().dispatch_alert(request).await
                });
                done.await.map(drop)
            }
            Action::Resolved(outcome) => {
                let request = ResolveAlertRequest {
                    request_id,
                    alert_id,
                    outcome: outcome.into(),
                };
                let done = try_call(request, async |request| {
                    client.alerts().resolve_alert(request).await
                });
                done.await.map(drop)
            }
        };
        match done {
            Ok(()) => Ok(None),
            Err(status) => refused_line(RESPONSES, line.number, &status).map(Some),
        }
    }
}

/// Marks an elder away, or at home again.
pub(super) async fn away(
    client: &Client,
    county: &County,
    directory: &mut Directory,
    line: &Line<Away>,
    is_back: bool,
) -> anyhow::Result<Option<FailedLine>> {
    let file = "away.ndjson";
    let away = &line.what;
    let elder = directory.elder_of(client, &away.id_number, (file, line.number));
    let elder_id = match elder.await? {
        Ok(elder_id) => elder_id,
        Err(about_nobody) => return Ok(Some(about_nobody)),
    };
    let done = if is_back {
        let name = format!("{} is back", line.request_id);
        let request_id = county.request_id(file, line.number, name.as_bytes());
        let request = EndAwayRequest {
            request_id: request_id.to_string(),
            elder_id,
        };
        let done = try_call(request, async |request| {
            client.alerts().end_away(request).await
        });
        done.await.map(drop)
    } else {
        let request = MarkAwayRequest {
            request_id: line.request_id.to_string(),
            elder_id,
            reason: away.reason.into(),
        };
        let done = try_call(request, async |request| {
            client.alerts().mark_away(request).await
        });
        done.await.map(drop)
    };
    match done {
        Ok(()) => Ok(None),
        Err(status) => refused_line(file, line.number, &status).map(Some),
    }
}

/// The alert that somebody did something about.
async fn alert_of(
    client: &Client,
    county: &County,
    elder_id: String,
    response: &Response,
) -> anyhow::Result<Option<String>> {
    let raised_at = response.alert_raised_at;
    let request = ListAlertsRequest {
        division_code: county.set.county.clone(),
        kinds: vec![response.kind.into()],
        elder_id,
        raised_from: Some(wire::timestamp(raised_at)),
        raised_before: Some(wire::timestamp(raised_at + chrono::TimeDelta::seconds(1))),
        ..Default::default()
    };
    let answer = call(request, async |request| {
        client.alerts().list_alerts(request).await
    });
    let alerts = answer.await?.alerts.into_iter();
    let meant = |alert: &pb::Alert| {
        alert.raised_at == Some(wire::timestamp(raised_at))
            && response
                .device_id
                .as_ref()
                .is_none_or(|device| *device == alert.device_id)
    };
    Ok(alerts.filter(meant).map(|alert| alert.alert_id).next())
}

async fn register_recipient(
    client: &Client,
    county: &County,
    role: pb::RecipientRole,
    name: &str,
) -> anyhow::Result<String> {
    let code = &county.set.county;
    let channel = RecipientChannel {
        channel: pb::NoticeChannel::Log.into(),
        address: String::new(),
    };
    let what = format!("{} {name}", role.as_str_name());
    let request = RegisterRecipientRequest {
        request_id: county.request_id(DEVICES, 0, what.as_bytes()).to_string(),
        recipient: Some(Recipient {
            role: role.into(),
            division_code: code.clone(),
            name: name.to_owned(),
            channels: vec![channel],
            active: true,
            ..Default::default()
        }),
    };
    let answer = call(request, async |request| {
        client.alerts().register_recipient(request).await
    });
    Ok(answer.await?.recipient_id)
}
