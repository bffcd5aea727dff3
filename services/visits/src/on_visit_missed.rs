//! When a visit to a priority elder was missed, alerts are told: once, as soon as that service can be reached, however long
//! it was away.
//!
//! Rule: section 3, "Duty". A duty that waits for consent calls for a talk and not for an alert.

use async_trait::async_trait;
use elders::codec::write_day;
use eventlog::{Aggregate as _, Position, Record};
use futures::{StreamExt as _, TryStreamExt as _};
use proto::eldercare::alerts::v1::alert_service_client::AlertServiceClient;
use proto::eldercare::alerts::v1::raise_alert_request::Cause;
use proto::eldercare::alerts::v1::{AlertKind, MissedVisit, RaiseAlertRequest};
use readmodel::{ApplyError, Parked, Reactor, reaction_request_id};
use service::peer::PeerChannel;
use sqlx::PgConnection;
use tonic::Code;

use crate::codec::write_time;
use crate::elder_year::{ElderYear, Event, Missed};
use crate::period::Period;

/// The reactor's name; it never changes.
pub const NAME: &str = "on_visit_missed";
/// The tier whose missed visits are told.
const PRIORITY: &str = "PRIORITY";
/// How many notices are under way at once.
const AT_ONCE: usize = 16;

/// The alerts service.
pub type Alerts = AlertServiceClient<PeerChannel>;

/// Tells alerts of missed visits. Told twice, they recognise it by its request id.
pub struct OnVisitMissed {
    alerts: Alerts,
    /// Our own stream.
    stream: String,
}

impl OnVisitMissed {
    /// The reactor on a stream of ours.
    #[must_use]
    pub fn new(alerts: Alerts, stream: String) -> Self {
        Self { alerts, stream }
    }

    /// The notices that a record gives rise to.
    fn notices(&self, record: &Record) -> Vec<RaiseAlertRequest> {
        let position = Position::new(self.stream.as_str(), record.sequence);
        record
            .events
            .iter()
            // What can't be read is parked by the read model.
            .filter_map(|raw| ElderYear::decode(raw).ok())
            .zip(0..)
            .filter_map(|(event, nth)| match event {
                Event::Missed(missed) if missed.tier == PRIORITY && !missed.blocked_by_consent => {
                    Some(notice(&missed, reaction_request_id(NAME, &position, nth)))
                }
                Event::Missed(_)
                | Event::Recorded(_)
                | Event::Doubted { .. }
                | Event::Confirmed { .. }
                | Event::Rejected { .. }
                | Event::DutyMet { .. }
                | Event::ReferralOpened { .. }
                | Event::ReferralAnswered { .. }
                | Event::ReferralClosed { .. } => None,
            })
            .collect()
    }

    /// Tells one; parked where alerts will never take it.
    async fn tell(
        &self,
        record: &Record,
        notice: RaiseAlertRequest,
    ) -> Result<Option<Parked>, ApplyError> {
        let Err(status) = self.alerts.clone().raise_alert(notice).await else {
            return Ok(None);
        };
        match status.code() {
            Code::InvalidArgument
            | Code::NotFound
            | Code::FailedPrecondition
            | Code::OutOfRange => {
                let event = record.events.first();
                Ok(event.map(|event| Parked::because(record, event, "refused by alerts")))
            }
            // Away, overloaded, not configured rightly yet: it is told until it is taken.
            Code::Ok
            | Code::Cancelled
            | Code::Unknown
            | Code::DeadlineExceeded
            | Code::AlreadyExists
            | Code::PermissionDenied
            | Code::ResourceExhausted
            | Code::Aborted
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
            | Code::Unauthenticated => Err(ApplyError::Unavailable("alerts")),
        }
    }
}

fn notice(missed: &Missed, request_id: uuid::Uuid) -> RaiseAlertRequest {
    let campaign = match missed.period {
        Period::Week(_) | Period::Month(_) => None,
        Period::Campaign(days) => Some(days.campaign),
    };
    RaiseAlertRequest {
        request_id: request_id.to_string(),
        kind: AlertKind::VisitMissed.into(),
        elder_id: missed.elder.to_string(),
        division_code: missed.village.to_string(),
        occurred_at: Some(write_time(missed.period.end())),
        cause: Some(Cause::MissedVisit(MissedVisit {
            first_day: Some(write_day(missed.period.first_day())),
            last_day: Some(write_day(missed.period.last_day())),
            campaign_id: campaign.map_or_else(String::new, |campaign| campaign.to_string()),
        })),
    }
}

#[async_trait]
impl Reactor for OnVisitMissed {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn react(
        &mut self,
        _db: &mut PgConnection,
        records: &[Record],
    ) -> Result<Vec<Parked>, ApplyError> {
        let mut telling = Vec::new();
        for record in records {
            if record.subject.aggregate() == ElderYear::NAME {
                for notice in self.notices(record) {
                    telling.push(self.tell(record, notice));
                }
            }
        }
        let parked: Vec<Option<Parked>> = futures::stream::iter(telling)
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        Ok(parked.into_iter().flatten().collect())
    }
}
