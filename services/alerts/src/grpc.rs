//! The gRPC face of alerts: parse, execute, answer. No rule lives here.

use std::pin::Pin;

use chrono::{DateTime, Utc};
use futures::{Stream, StreamExt as _};
use proto::eldercare::alerts::v1 as pb;
use proto::eldercare::alerts::v1::alert_service_server::{AlertService, SERVICE_NAME};
use service::{Action, Actions, Asked, Caller, Deadline};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};
use tracing::Instrument as _;
use uuid::Uuid;

use crate::alerts::Alerts;
use crate::listing::Cursor;
use crate::parse::Parse;
use crate::responding::Done;
use crate::signals::STREAM;

/// How many answers wait for a slow reader.
const UNREAD: usize = 500;

/// The gRPC face.
#[derive(Clone)]
pub(crate) struct AlertsFace {
    alerts: Alerts,
    parse: Parse,
    draining: CancellationToken,
}

impl AlertsFace {
    /// Answers from these parts; streams end with `draining`.
    pub(crate) fn new(alerts: Alerts, draining: CancellationToken) -> Self {
        let parse = Parse {
            streams: [
                alerts.own.stream().to_owned(),
                STREAM.to_owned(),
                alerts.registry.stream().to_owned(),
            ],
            digests: alerts.digests.clone(),
        };
        Self {
            alerts,
            parse,
            draining,
        }
    }

    async fn respond(
        &self,
        (caller, deadline): (Caller, Deadline),
        (asked, alert, done): (Asked, Uuid, Done),
    ) -> Result<String, Status> {
        let responded = self.alerts.respond(&caller, asked, alert, done, deadline);
        Ok(responded.await?.to_string())
    }

    /// Stores the batches of a stream, one receipt for each.
    async fn receive(
        self,
        caller: Caller,
        mut batches: Streaming<pb::IngestSignalsRequest>,
        sender: mpsc::Sender<Result<pb::IngestSignalsResponse, Status>>,
    ) {
        // A gateway keeps its line open: when we go down it ends between two batches.
        let draining = self.draining.clone();
        while let Some(Some(batch)) = draining.run_until_cancelled(batches.next()).await {
            let receipt = match batch {
                Ok(batch) => self.alerts.ingest(&caller, batch).await,
                Err(status) => Err(status),
            };
            let failed = receipt.is_err();
            if sender.send(receipt).await.is_err() || failed {
                return;
            }
        }
    }
}

/// What somebody's help depends on: that a call is heard, and that those who come can say so.
const URGENT: &[&str] = &[
    "IngestSignals",
    "RaiseAlert",
    "AcknowledgeAlert",
    "AssignAlert",
    "DispatchAlert",
    "RecordArrival",
    "ResolveAlert",
];

/// What each method does, as the policies of permission speak of it, and which are urgent.
pub fn actions() -> Actions {
    let declared = Actions::new().declare(
        SERVICE_NAME,
        &[
            ("RegisterDevice", Action::Write),
            ("UpdateDevice", Action::Write),
            ("RetireDevice", Action::Write),
            ("ListDevices", Action::ReadPersonal),
            ("IngestSignals", Action::Signal),
            ("MarkAway", Action::Write),
            ("EndAway", Action::Write),
            ("RaiseAlert", Action::Write),
            ("ListAlerts", Action::ReadPersonal),
            ("GetAlert", Action::ReadPersonal),
            ("WatchAlerts", Action::ReadPersonal),
            ("AcknowledgeAlert", Action::Write),
            ("AssignAlert", Action::Write),
            ("DispatchAlert", Action::Write),
            ("RecordArrival", Action::Write),
            ("ResolveAlert", Action::Write),
            ("GetResponseFigures", Action::ReadStatistics),
            ("PublishAlertPolicy", Action::Administer),
            ("GetAlertPolicy", Action::ReadReference),
            ("RegisterRecipient", Action::Write),
            ("ListRecipients", Action::ReadPersonal),
        ],
    );
    declared.urgent(SERVICE_NAME, URGENT)
}

type Answer<T> = Result<Response<T>, Status>;
type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl AlertService for AlertsFace {
    async fn register_device(
        &self,
        request: Request<pb::RegisterDeviceRequest>,
    ) -> Answer<pb::RegisterDeviceResponse> {
        let (caller, deadline) = call(&request)?;
        let (asked, device, said) = self.parse.register_device(request.into_inner())?;
        let (credential, position) = self
            .alerts
            .register_device(&caller, asked, device, said, deadline)
            .await?;
        Ok(Response::new(pb::RegisterDeviceResponse {
            credential,
            position: position.to_string(),
        }))
    }

    async fn update_device(
        &self,
        request: Request<pb::UpdateDeviceRequest>,
    ) -> Answer<pb::UpdateDeviceResponse> {
        let (caller, deadline) = call(&request)?;
        let (asked, which, change) = self.parse.update_device(request.into_inner())?;
        let position = self
            .alerts
            .update_device(&caller, asked, which, change, deadline)
            .await?;
        Ok(Response::new(pb::UpdateDeviceResponse {
            position: position.to_string(),
        }))
    }

    async fn retire_device(
        &self,
        request: Request<pb::RetireDeviceRequest>,
    ) -> Answer<pb::RetireDeviceResponse> {
        let (caller, _) = call(&request)?;
        let (asked, device) = self.parse.retire_device(request.into_inner())?;
        let position = self.alerts.retire_device(&caller, asked, device).await?;
        Ok(Response::new(pb::RetireDeviceResponse {
            position: position.to_string(),
        }))
    }

    async fn list_devices(
        &self,
        request: Request<pb::ListDevicesRequest>,
    ) -> Answer<pb::ListDevicesResponse> {
        let (caller, deadline) = call(&request)?;
        let asked = self.parse.list_devices(request.into_inner())?;
        self.alerts.wait(asked.position, deadline).await?;
        let after = asked.page.after.as_deref();
        let after = after.and_then(|cursor| std::str::from_utf8(cursor).ok());
        let (devices, next) = self
            .alerts
            .list_devices(&caller, &asked.filter, after, asked.page.size)
            .await?;
        let next = next.map_or_else(String::new, |next| asked.list.token(next.as_bytes()));
        Ok(Response::new(pb::ListDevicesResponse {
            devices,
            next_page_token: next,
        }))
    }

    type IngestSignalsStream = Answers<pb::IngestSignalsResponse>;

    async fn ingest_signals(
        &self,
        request: Request<Streaming<pb::IngestSignalsRequest>>,
    ) -> Answer<Self::IngestSignalsStream> {
        let (caller, _) = call(&request)?;
        let (sender, answers) = mpsc::channel(UNREAD);
        let receiving = self.clone().receive(caller, request.into_inner(), sender);
        tokio::spawn(receiving.in_current_span());
        Ok(Response::new(Box::pin(ReceiverStream::new(answers))))
    }

    async fn mark_away(
        &self,
        request: Request<pb::MarkAwayRequest>,
    ) -> Answer<pb::MarkAwayResponse> {
        let (caller, deadline) = call(&request)?;
        let (asked, elder, reason) = self.parse.mark_away(request.into_inner())?;
        let position = self
            .alerts
            .mark_away(&caller, asked, elder, reason, deadline)
            .await?;
        Ok(Response::new(pb::MarkAwayResponse {
            position: position.to_string(),
        }))
    }

    async fn end_away(&self, request: Request<pb::EndAwayRequest>) -> Answer<pb::EndAwayResponse> {
        let (caller, deadline) = call(&request)?;
        let (asked, elder) = self.parse.end_away(request.into_inner())?;
        let position = self
            .alerts
            .end_away(&caller, asked, elder, deadline)
            .await?;
        Ok(Response::new(pb::EndAwayResponse {
            position: position.to_string(),
        }))
    }

    async fn raise_alert(
        &self,
        request: Request<pb::RaiseAlertRequest>,
    ) -> Answer<pb::RaiseAlertResponse> {
        let (caller, deadline) = call(&request)?;
        let now = self.alerts.clock.now();
        let (asked, wanted) = self.parse.raise_alert(request.into_inner(), now)?;
        let (alert, position) = self
            .alerts
            .raise_alert(&caller, asked, wanted, deadline)
            .await?;
        Ok(Response::new(pb::RaiseAlertResponse {
            alert_id: alert.to_string(),
            position: position.to_string(),
        }))
    }

    async fn list_alerts(
        &self,
        request: Request<pb::ListAlertsRequest>,
    ) -> Answer<pb::ListAlertsResponse> {
        let (caller, deadline) = call(&request)?;
        let asked = self.parse.list_alerts(request.into_inner())?;
        self.alerts.wait(asked.position, deadline).await?;
        let after = asked.page.after.as_deref().and_then(cursor_of);
        let (alerts, next) = self
            .alerts
            .list_alerts(&caller, &asked.filter, after, asked.page.size)
            .await?;
        Ok(Response::new(pb::ListAlertsResponse {
            alerts,
            next_page_token: next
                .map_or_else(String::new, |next| asked.list.token(&cursor_bytes(next))),
        }))
    }

    async fn get_alert(
        &self,
        request: Request<pb::GetAlertRequest>,
    ) -> Answer<pb::GetAlertResponse> {
        let (caller, deadline) = call(&request)?;
        let (alert, position) = self.parse.get_alert(request.get_ref())?;
        self.alerts.wait(position, deadline).await?;
        Ok(Response::new(self.alerts.get_alert(&caller, alert).await?))
    }

    type WatchAlertsStream = Answers<pb::WatchAlertsResponse>;

    async fn watch_alerts(
        &self,
        request: Request<pb::WatchAlertsRequest>,
    ) -> Answer<Self::WatchAlertsStream> {
        let (caller, _) = call(&request)?;
        let (division, after) = self.parse.watch_alerts(request.get_ref())?;
        caller.may_where_asked(&division)?;
        let (sender, answers) = mpsc::channel(UNREAD);
        let (alerts, draining) = (self.alerts.clone(), self.draining.clone());
        let watching = async move {
            let watching = alerts.watch_alerts(&caller, &division, after, &sender);
            let outcome = tokio::select! {
                () = draining.cancelled() => return,
                () = sender.closed() => return,
                outcome = watching => outcome,
            };
            if let Err(status) = outcome {
                // The caller may have gone.
                let _ = sender.send(Err(status)).await;
            }
        };
        tokio::spawn(watching.in_current_span());
        Ok(Response::new(Box::pin(ReceiverStream::new(answers))))
    }

    async fn acknowledge_alert(
        &self,
        request: Request<pb::AcknowledgeAlertRequest>,
    ) -> Answer<pb::AcknowledgeAlertResponse> {
        let call = call(&request)?;
        let what = self.parse.acknowledge(request.into_inner())?;
        let position = self.respond(call, what).await?;
        Ok(Response::new(pb::AcknowledgeAlertResponse { position }))
    }

    async fn assign_alert(
        &self,
        request: Request<pb::AssignAlertRequest>,
    ) -> Answer<pb::AssignAlertResponse> {
        let call = call(&request)?;
        let what = self.parse.assign(request.into_inner())?;
        let position = self.respond(call, what).await?;
        Ok(Response::new(pb::AssignAlertResponse { position }))
    }

    async fn dispatch_alert(
        &self,
        request: Request<pb::DispatchAlertRequest>,
    ) -> Answer<pb::DispatchAlertResponse> {
        let call = call(&request)?;
        let what = self.parse.dispatch(request.into_inner())?;
        let position = self.respond(call, what).await?;
        Ok(Response::new(pb::DispatchAlertResponse { position }))
    }

    async fn record_arrival(
        &self,
        request: Request<pb::RecordArrivalRequest>,
    ) -> Answer<pb::RecordArrivalResponse> {
        let call = call(&request)?;
        let what = self.parse.arrival(request.into_inner())?;
        let position = self.respond(call, what).await?;
        Ok(Response::new(pb::RecordArrivalResponse { position }))
    }

    async fn resolve_alert(
        &self,
        request: Request<pb::ResolveAlertRequest>,
    ) -> Answer<pb::ResolveAlertResponse> {
        let call = call(&request)?;
        let what = self.parse.resolve(request.into_inner())?;
        let position = self.respond(call, what).await?;
        Ok(Response::new(pb::ResolveAlertResponse { position }))
    }

    async fn get_response_figures(
        &self,
        request: Request<pb::GetResponseFiguresRequest>,
    ) -> Answer<pb::GetResponseFiguresResponse> {
        let (caller, deadline) = call(&request)?;
        let (division, days, position) = self.parse.figures(request.get_ref())?;
        self.alerts.wait(position, deadline).await?;
        let figures = self.alerts.figures(&caller, &division, days).await?;
        Ok(Response::new(figures))
    }

    async fn publish_alert_policy(
        &self,
        request: Request<pb::PublishAlertPolicyRequest>,
    ) -> Answer<pb::PublishAlertPolicyResponse> {
        let (caller, _) = call(&request)?;
        let (asked, division, policy) = self.parse.publish_policy(request.into_inner())?;
        let (version, position) = self
            .alerts
            .publish_policy(&caller, asked, division, policy)
            .await?;
        Ok(Response::new(pb::PublishAlertPolicyResponse {
            version: version.cast_signed(),
            position: position.to_string(),
        }))
    }

    async fn get_alert_policy(
        &self,
        request: Request<pb::GetAlertPolicyRequest>,
    ) -> Answer<pb::GetAlertPolicyResponse> {
        let (_, deadline) = call(&request)?;
        let (division, position) = self.parse.get_policy(request.get_ref())?;
        self.alerts.wait(position, deadline).await?;
        Ok(Response::new(self.alerts.policy(&division).await?))
    }

    async fn register_recipient(
        &self,
        request: Request<pb::RegisterRecipientRequest>,
    ) -> Answer<pb::RegisterRecipientResponse> {
        let (caller, _) = call(&request)?;
        let (asked, known, named) = self.parse.register_recipient(request.into_inner())?;
        let (recipient, position) = self
            .alerts
            .register_recipient(&caller, asked, known, named)
            .await?;
        Ok(Response::new(pb::RegisterRecipientResponse {
            recipient_id: recipient.to_string(),
            position: position.to_string(),
        }))
    }

    async fn list_recipients(
        &self,
        request: Request<pb::ListRecipientsRequest>,
    ) -> Answer<pb::ListRecipientsResponse> {
        let (caller, deadline) = call(&request)?;
        let asked = self.parse.list_recipients(request.into_inner())?;
        self.alerts.wait(asked.position, deadline).await?;
        let after = asked.page.after.as_deref();
        let after = after.and_then(|cursor| Uuid::from_slice(cursor).ok());
        let (recipients, next) = self
            .alerts
            .list_recipients(&caller, &asked.filter, after, asked.page.size)
            .await?;
        let next = next.map_or_else(String::new, |next| asked.list.token(next.as_bytes()));
        Ok(Response::new(pb::ListRecipientsResponse {
            recipients,
            next_page_token: next,
        }))
    }
}

fn call<T>(request: &Request<T>) -> Result<(Caller, Deadline), Status> {
    Ok((Caller::from_request(request)?, Deadline::of(request)))
}

fn cursor_bytes((at, alert): Cursor) -> Vec<u8> {
    let mut bytes = at.timestamp_micros().to_be_bytes().to_vec();
    bytes.extend_from_slice(alert.as_bytes());
    bytes
}

fn cursor_of(bytes: &[u8]) -> Option<Cursor> {
    let (at, alert) = bytes.split_at_checked(8)?;
    let at = i64::from_be_bytes(at.try_into().ok()?);
    let at = DateTime::<Utc>::from_timestamp_micros(at)?;
    Some((at, Uuid::from_slice(alert).ok()?))
}
