//! When a visit to a priority elder was missed, alerts are told: once, as soon as that service can be reached, however long
//! it was away.
//!
//! Rule: section 3, "Duty". A duty that waits for consent calls for a talk and not for an alert.

use std::collections::HashSet;
use std::pin::pin;
use std::time::Duration;

use async_trait::async_trait;
use elders::codec::write_day;
use elders::wire::write_time;
use eventlog::{Aggregate as _, Position, RawEvent, Record};
use futures::{StreamExt as _, stream};
use proto::eldercare::alerts::v1::alert_service_client::AlertServiceClient;
use proto::eldercare::alerts::v1::raise_alert_request::Cause;
use proto::eldercare::alerts::v1::{AlertKind, MissedVisit, RaiseAlertRequest};
use readmodel::{ApplyError, Parked, Reactor, reaction_request_id};
use service::peer::PeerChannel;
use service::telemetry;
use sqlx::PgConnection;
use tonic::Code;
use tracing::Instrument as _;
use uuid::Uuid;

use crate::elder_year::{ElderYear, Event, Missed};
use crate::period::Period;

/// The reactor's name; it never changes.
pub const NAME: &str = "on_visit_missed";
/// The tier whose missed visits are told.
const PRIORITY: &str = "PRIORITY";
/// How many notices are under way at once.
const AT_ONCE: usize = 16;
/// How long alerts may take for one.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the notices of one batch may take before the batch is handed out again.
const AT_MOST: Duration = Duration::from_secs(60);
/// The pauses before what failed is told again.
const PAUSES: [Duration; 3] = [
    Duration::from_millis(100),
    Duration::from_millis(500),
    Duration::from_secs(2),
];

/// The alerts service.
pub type Alerts = AlertServiceClient<PeerChannel>;

/// Tells alerts of missed visits. Told twice, they recognise it by its request id.
pub struct OnVisitMissed {
    alerts: Alerts,
    /// Our own stream.
    stream: String,
    /// What alerts have taken of the batch in hand: when that is handed out again, it need not be told again.
    taken: HashSet<Uuid>,
    /// One that they have taken, of this batch or of an earlier one.
    known: Option<RaiseAlertRequest>,
}

/// A notice, and what gave rise to it.
struct Notice<'a> {
    record: &'a Record,
    event: &'a RawEvent,
    request: Uuid,
    missed: Missed,
}

/// What alerts say to a notice.
enum Answer {
    Taken,
    /// They will never take it.
    Refused,
    /// They failed over it: they are disturbed, or it is at fault itself.
    Failed,
    /// Away, overloaded, not configured rightly yet: it is told until it is taken.
    Away,
}

impl OnVisitMissed {
    /// The reactor on a stream of ours.
    #[must_use]
    pub fn new(alerts: Alerts, stream: String) -> Self {
        Self {
            alerts,
            stream,
            taken: HashSet::new(),
            known: None,
        }
    }

    /// The notices that records give rise to.
    fn notices<'a>(&self, records: &'a [Record]) -> Vec<Notice<'a>> {
        let of_years = records
            .iter()
            .filter(|record| record.subject.aggregate() == ElderYear::NAME);
        of_years.flat_map(|record| self.of_record(record)).collect()
    }

    fn of_record<'a>(&self, record: &'a Record) -> impl Iterator<Item = Notice<'a>> {
        let position = Position::new(self.stream.as_str(), record.sequence);
        // What can't be read is parked by the read model.
        let readable = record
            .events
            .iter()
            .filter_map(|raw| Some((raw, ElderYear::decode(raw).ok()?)));
        readable
            .zip(0..)
            .filter_map(move |((event, decoded), nth)| match decoded {
                Event::Missed(missed) if missed.tier == PRIORITY && !missed.blocked_by_consent => {
                    Some(Notice {
                        record,
                        event,
                        request: reaction_request_id(NAME, &position, nth),
                        missed,
                    })
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
    }

    /// Tells notices until each is taken or refused; those that were refused.
    ///
    /// One over which alerts fail time after time while they answer for another one is at fault itself: it is passed by,
    /// where an operator sees it, and holds up nobody else's. From a start on that takes a first one that they have taken.
    async fn tell_all(&mut self, notices: Vec<Notice<'_>>) -> Result<Vec<Parked>, ApplyError> {
        let away = Err(ApplyError::Unavailable("alerts"));
        let mut open = notices;
        open.retain(|notice| !self.taken.contains(&notice.request));
        let mut parked = Vec::new();
        let mut pauses = PAUSES.iter();
        loop {
            let mut failed = Vec::new();
            let mut are_away = false;
            let alerts = &self.alerts;
            let mut telling = Vec::with_capacity(open.len());
            for notice in open {
                telling.push(async {
                    let trace = notice.record.metadata.traceparent.as_deref();
                    let span = telemetry::span_of("tell alerts", trace);
                    let answer = tell(alerts, notice.request()).instrument(span).await;
                    (notice, answer)
                });
            }
            let mut answers = pin!(stream::iter(telling).buffer_unordered(AT_ONCE));
            while let Some((notice, answer)) = answers.next().await {
                match answer {
                    Answer::Taken => {
                        self.taken.insert(notice.request);
                        self.known = Some(notice.request());
                    }
                    Answer::Refused => parked.push(notice.parked("refused by alerts")),
                    Answer::Failed => failed.push(notice),
                    Answer::Away => {
                        are_away = true;
                        failed.push(notice);
                    }
                }
            }
            if failed.is_empty() {
                return Ok(parked);
            }
            if let Some(pause) = pauses.next() {
                tokio::time::sleep(*pause).await;
                open = failed;
                continue;
            }
            let Some(known) = self.known.clone().filter(|_| !are_away) else {
                return away;
            };
            let Answer::Taken = tell(&self.alerts, known).await else {
                return away;
            };
            let at_fault = failed.iter();
            parked.extend(at_fault.map(|notice| notice.parked("alerts fail over it")));
            return Ok(parked);
        }
    }
}

async fn tell(alerts: &Alerts, notice: RaiseAlertRequest) -> Answer {
    let mut request = tonic::Request::new(notice);
    request.set_timeout(PATIENCE);
    let Err(status) = alerts.clone().raise_alert(request).await else {
        return Answer::Taken;
    };
    match status.code() {
        Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::FailedPrecondition
        | Code::OutOfRange => Answer::Refused,
        Code::Unknown | Code::Internal | Code::DataLoss => Answer::Failed,
        Code::Ok
        | Code::Cancelled
        | Code::DeadlineExceeded
        | Code::PermissionDenied
        | Code::ResourceExhausted
        | Code::Aborted
        | Code::Unimplemented
        | Code::Unavailable
        | Code::Unauthenticated => Answer::Away,
    }
}

impl Notice<'_> {
    fn request(&self) -> RaiseAlertRequest {
        notice(&self.missed, self.request)
    }

    fn parked(&self, reason: &'static str) -> Parked {
        Parked::because(self.record, self.event, reason)
    }
}

fn notice(missed: &Missed, request_id: Uuid) -> RaiseAlertRequest {
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
        let notices = self.notices(records);
        let telling = tokio::time::timeout(AT_MOST, self.tell_all(notices)).await;
        let parked = telling.unwrap_or(Err(ApplyError::Unavailable("alerts")))?;
        self.taken.clear();
        Ok(parked)
    }
}
