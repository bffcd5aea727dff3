//! Alerts as they stand: listed, one with its whole course, and as they change.

use chrono::{DateTime, Utc};
use civic::{AlertKind, DivisionCode, ElderId, Set, Severity};
use elders::wire::{read_time, write_time};
use eventlog::Position;
use prost::{Message as _, Name as _};
use proto::eldercare::alerts::v1 as pb;
use service::{Caller, Deadline, errors, paging};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Row as _};
use tokio::sync::mpsc::Sender;
use tonic::Status;
use uuid::Uuid;

use crate::alerts::{Alerts, reaches};
use crate::board_table::{self, place};
use crate::refusals;

/// How many changes are read at once.
const CHANGES: i64 = 500;

/// What is told of an elder whom an alert is about.
const ALERT: &[&str] = &[
    "alert.alert_id",
    "alert.kind",
    "alert.severity",
    "alert.raised_at",
    "alert.level",
    "alert.state",
    "alert.outcome",
];
/// What is told with an alert's whole course.
const COURSE: &[&str] = &[
    "alert.alert_id",
    "alert.kind",
    "alert.severity",
    "alert.raised_at",
    "alert.level",
    "alert.state",
    "alert.outcome",
    "alert.course",
    "alert.position",
];

/// Which alerts are listed.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    pub(crate) division: DivisionCode,
    pub(crate) kinds: Set<AlertKind>,
    pub(crate) severities: Set<Severity>,
    pub(crate) open_only: bool,
    pub(crate) elder: Option<ElderId>,
    pub(crate) from: Option<DateTime<Utc>>,
    pub(crate) before: Option<DateTime<Utc>>,
}

impl Filter {
    /// The kinds that are meant; all where none is named.
    fn kinds(&self) -> Vec<i32> {
        let meant = |kind: &&AlertKind| {
            (self.kinds.is_empty() || self.kinds.contains(**kind))
                && (self.severities.is_empty() || self.severities.contains(kind.severity()))
        };
        let kinds = AlertKind::ALL.iter().filter(meant);
        kinds.map(|kind| place(*kind)).collect()
    }
}

/// After which alert a page begins.
pub(crate) type Cursor = (DateTime<Utc>, Uuid);

impl Alerts {
    /// A page of alerts, the latest first, and the cursor of the next one.
    pub(crate) async fn list_alerts(
        &self,
        caller: &Caller,
        filter: &Filter,
        after: Option<Cursor>,
        size: u32,
    ) -> Result<(Vec<pb::Alert>, Option<Cursor>), Status> {
        caller.may_here(&filter.division)?;
        let statement = format!(
            "SELECT alert, changed FROM {}.alert WHERE division >= $1 AND division < $2 AND kind = ANY($3) \
             AND ($4 = false OR open) AND ($5::uuid IS NULL OR elder_id = $5) \
             AND ($6::timestamptz IS NULL OR raised_at >= $6) AND ($7::timestamptz IS NULL OR raised_at < $7) \
             AND ($8::timestamptz IS NULL OR (raised_at, alert_id) < ($8, $9)) \
             ORDER BY raised_at DESC, alert_id DESC LIMIT $10",
            board_table::NAME
        );
        let rows = sqlx::query(AssertSqlSafe(statement))
            .bind(filter.division.as_str())
            .bind(filter.division.beyond())
            .bind(filter.kinds())
            .bind(filter.open_only)
            .bind(filter.elder.map(|elder| elder.as_uuid()))
            .bind(filter.from)
            .bind(filter.before)
            .bind(after.map(|(at, _)| at))
            .bind(after.map(|(_, id)| id))
            .bind(i64::from(size) + 1)
            .fetch_all(&self.pool)
            .await
            .map_err(errors::of_database)?;
        let alerts = rows
            .iter()
            .map(|row| self.alert(row))
            .collect::<Result<Vec<_>, _>>();
        let mut alerts = alerts.map_err(errors::of_database)?;
        let next = paging::cut(&mut alerts, size).and_then(|last| {
            let at = last.raised_at.and_then(read_time)?;
            Some((at, last.alert_id.parse().ok()?))
        });
        let told = alerts.iter().map(|alert| &alert.elder_id);
        caller.told("ListAlerts", told, ALERT).await?;
        Ok((alerts, next))
    }

    fn alert(&self, row: &PgRow) -> Result<pb::Alert, sqlx::Error> {
        let mut alert = pb::Alert::decode(row.try_get::<&[u8], _>(0)?)
            .map_err(|_broken| sqlx::Error::Decode("column alert holds no alert".into()))?;
        let changed = row.try_get::<i64, _>(1)?.cast_unsigned();
        alert.position = Position::new(self.own.stream(), changed).to_string();
        Ok(alert)
    }

    /// An alert with its whole course.
    pub(crate) async fn get_alert(
        &self,
        caller: &Caller,
        id: Uuid,
    ) -> Result<pb::GetAlertResponse, Status> {
        let statement = format!(
            "SELECT alert, changed FROM {}.alert WHERE alert_id = $1",
            board_table::NAME
        );
        let row = sqlx::query(AssertSqlSafe(statement))
            .bind(id)
            .fetch_optional(&self.pool)
            .await
            .map_err(errors::of_database)?;
        let row = row.ok_or_else(|| refusals::no_alert(id))?;
        let alert = self.alert(&row).map_err(errors::of_database)?;
        let division = alert.division_code.parse::<DivisionCode>().ok();
        if !reaches(caller, division.as_ref()) {
            return Err(refusals::no_alert(id));
        }
        let statement = format!(
            "SELECT recorded_at, actor, event_type, event FROM {}.course WHERE alert_id = $1 ORDER BY sequence, place",
            board_table::NAME
        );
        let rows = sqlx::query(AssertSqlSafe(statement))
            .bind(id)
            .fetch_all(&self.pool)
            .await
            .map_err(errors::of_database)?;
        let course = rows.iter().map(entry).collect::<Result<Vec<_>, _>>();
        let course = course.map_err(errors::of_database)?;
        let position = match course.iter().find_map(signal_of) {
            Some(sequence) => self.signals.place(sequence).await.unwrap_or_else(|error| {
                tracing::warn!(%error, "the place of a signal can't be had");
                None
            }),
            None => None,
        };
        caller.told("GetAlert", [&alert.elder_id], COURSE).await?;
        Ok(pb::GetAlertResponse {
            alert: Some(alert),
            course,
            position: position.map(|place| pb::GeoPoint {
                latitude: place.latitude,
                longitude: place.longitude,
            }),
        })
    }

    /// Tells of the open alerts of a division, then of each change, until the receiver is gone.
    pub(crate) async fn watch_alerts(
        &self,
        caller: &Caller,
        division: &DivisionCode,
        after: Option<u64>,
        sender: &Sender<Result<pb::WatchAlertsResponse, Status>>,
    ) -> Result<(), Status> {
        let mut told = match after {
            Some(after) => after,
            None => {
                self.catch_up(Deadline::after(std::time::Duration::from_secs(60)))
                    .await?;
                let from = self.board.known();
                let (open, _) = self.changed(division, 0, true, i64::MAX).await?;
                if !tell(caller, open, sender).await? {
                    return Ok(());
                }
                let position = Position::new(self.own.stream(), from).to_string();
                let caught_up = pb::watch_alerts_response::Told::CaughtUp(pb::CaughtUp {});
                if !send(sender, caught_up, position).await {
                    return Ok(());
                }
                from
            }
        };
        loop {
            let known = self.board.known().max(told);
            let (changed, last) = self.changed(division, told, false, CHANGES).await?;
            let full = i64::try_from(changed.len()).unwrap_or(i64::MAX) >= CHANGES;
            if !tell(caller, changed, sender).await? {
                return Ok(());
            }
            told = if full { last } else { last.max(known) };
            if !full {
                self.board.reaches(told + 1).await;
            }
        }
    }

    /// Alerts that changed after a sequence, in the order of their last changes, and the last of these.
    async fn changed(
        &self,
        division: &DivisionCode,
        after: u64,
        open_only: bool,
        most: i64,
    ) -> Result<(Vec<pb::Alert>, u64), Status> {
        let statement = format!(
            "SELECT alert, changed FROM {}.alert WHERE changed > $1 AND division >= $2 AND division < $3 \
             AND ($4 = false OR open) ORDER BY changed, alert_id LIMIT $5",
            board_table::NAME
        );
        let rows = sqlx::query(AssertSqlSafe(statement))
            .bind(after.cast_signed())
            .bind(division.as_str())
            .bind(division.beyond())
            .bind(open_only)
            .bind(most)
            .fetch_all(&self.pool)
            .await
            .map_err(errors::of_database)?;
        let mut last = after;
        let mut alerts = Vec::with_capacity(rows.len());
        for row in &rows {
            let changed: i64 = row.try_get(1).map_err(errors::of_database)?;
            last = last.max(changed.cast_unsigned());
            alerts.push(self.alert(row).map_err(errors::of_database)?);
        }
        Ok((alerts, last))
    }
}

/// Tells of alerts in their order, and puts on record whose these are; whether the receiver is still there.
async fn tell(
    caller: &Caller,
    alerts: Vec<pb::Alert>,
    sender: &Sender<Result<pb::WatchAlertsResponse, Status>>,
) -> Result<bool, Status> {
    let elders = alerts.iter().map(|alert| &alert.elder_id);
    caller.told("WatchAlerts", elders, ALERT).await?;
    for alert in alerts {
        let position = alert.position.clone();
        let alert = pb::watch_alerts_response::Told::Alert(alert);
        if !send(sender, alert, position).await {
            return Ok(false);
        }
    }
    Ok(true)
}

async fn send(
    sender: &Sender<Result<pb::WatchAlertsResponse, Status>>,
    told: pb::watch_alerts_response::Told,
    position: String,
) -> bool {
    let response = pb::WatchAlertsResponse {
        told: Some(told),
        position,
    };
    sender.send(Ok(response)).await.is_ok()
}

fn entry(row: &PgRow) -> Result<pb::CourseEntry, sqlx::Error> {
    let recorded_at: DateTime<Utc> = row.try_get(0)?;
    Ok(pb::CourseEntry {
        recorded_at: Some(write_time(recorded_at)),
        actor: row.try_get(1)?,
        event: event(row.try_get(2)?, row.try_get(3)?),
    })
}

/// The event of an entry; one that this version does not know is left out, and the entry stays.
fn event(name: &str, bytes: &[u8]) -> Option<pb::course_entry::Event> {
    use pb::course_entry::Event;
    fn read<M: prost::Message + Default>(bytes: &[u8]) -> Option<M> {
        M::decode(bytes).ok()
    }
    if name == pb::AlertRaised::full_name() {
        read(bytes).map(Event::Raised)
    } else if name == pb::SignalJoined::full_name() {
        read(bytes).map(Event::Joined)
    } else if name == pb::SignalNoted::full_name() {
        read(bytes).map(Event::Noted)
    } else if name == pb::AlertEscalated::full_name() {
        read(bytes).map(Event::Escalated)
    } else if name == pb::NoticeSent::full_name() {
        read(bytes).map(Event::NoticeSent)
    } else if name == pb::NoticeFailed::full_name() {
        read(bytes).map(Event::NoticeFailed)
    } else if name == pb::AlertAcknowledged::full_name() {
        read(bytes).map(Event::Acknowledged)
    } else if name == pb::AlertAssigned::full_name() {
        read(bytes).map(Event::Assigned)
    } else if name == pb::HelpDispatched::full_name() {
        read(bytes).map(Event::Dispatched)
    } else if name == pb::HelpArrived::full_name() {
        read(bytes).map(Event::Arrived)
    } else if name == pb::AlertResolved::full_name() {
        read(bytes).map(Event::Resolved)
    } else {
        None
    }
}

/// Where in the stream of signals the one stands by which an alert was raised.
fn signal_of(entry: &pb::CourseEntry) -> Option<u64> {
    match &entry.event {
        Some(pb::course_entry::Event::Raised(raised)) => match &raised.cause {
            Some(pb::alert_raised::Cause::Signal(signal)) => Some(signal.sequence),
            Some(
                pb::alert_raised::Cause::Silence(_)
                | pb::alert_raised::Cause::MissedVisit(_)
                | pb::alert_raised::Cause::Request(_),
            )
            | None => None,
        },
        Some(_) | None => None,
    }
}
