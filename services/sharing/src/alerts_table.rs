//! The read model of the log of alerts: each alert with how far help has come (预警与响应).

mod figures;
mod standing;

use std::collections::BTreeMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use civic::{AlertKind, AlertOutcome, ElderId, HelpStage, Severity};
use elder_tables::columns::place;
use elders::wire::{id, message, present, term, time, village};
use eventlog::{DecodeError, RawEvent, Record};
use proto::eldercare::alerts::v1 as pb;
use readmodel::{ApplyError, Parked, Phase, Projection, read_events};
use sqlx::PgConnection;
use uuid::Uuid;

pub(crate) use self::figures::{Delay, OpenAlerts, ResponseTimes, open, response_times};
pub(crate) use self::standing::{AlertRow, by_key, of_all, of_asked, whose};

use crate::feeds::changes::{self, Which, of_events};
use crate::products::ProductName;

/// The projection's name and schema.
pub const NAME: &str = "sharing_alerts";

/// The aggregate whose records tell of alerts.
const LINE: &str = "line";

/// The aggregates that tell of other things: devices, who is away, notices, recipients, rules and requests.
const OTHERS: [&str; 6] = [
    "device",
    "home",
    "notices",
    "policy",
    "recipient",
    "request",
];

/// Folds the records of alerts.
#[derive(Debug, Default)]
pub struct AlertsTable;

#[async_trait]
impl Projection for AlertsTable {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> u32 {
        1
    }

    fn ddl(&self) -> &'static str {
        // Words are kept by their places. The village is empty where it was not known.
        "CREATE TABLE alert (
            alert_id uuid PRIMARY KEY,
            elder_id uuid NOT NULL,
            village text COLLATE \"C\" NOT NULL,
            kind integer NOT NULL,
            severity integer NOT NULL,
            raised_at timestamptz NOT NULL,
            level integer,
            state integer NOT NULL,
            acknowledged_at timestamptz,
            dispatched_at timestamptz,
            arrived_at timestamptz,
            resolved_at timestamptz,
            outcome integer
        ) WITH (fillfactor = 70);"
    }

    fn post_load_ddl(&self) -> &'static str {
        // State 4 is RESOLVED.
        "CREATE INDEX alert_elder ON alert (elder_id, raised_at DESC, alert_id DESC);
        CREATE INDEX alert_raised ON alert (raised_at, village);
        CREATE INDEX alert_open ON alert (village) WHERE state <> 4;
        CREATE INDEX alert_resolved ON alert (resolved_at, village);"
    }

    async fn apply(
        &mut self,
        db: &mut PgConnection,
        records: &[Record],
        _: Phase,
    ) -> Result<Vec<Parked>, ApplyError> {
        let mut parked = Vec::new();
        let mut rows = Rows::default();
        for record in records {
            let aggregate = record.subject.aggregate();
            if aggregate == LINE {
                for said in read_events(record, decode, &mut parked)
                    .into_iter()
                    .flatten()
                {
                    rows.fold(said);
                }
            } else if !OTHERS.contains(&aggregate) {
                let events = record.events.iter();
                parked.extend(events.map(|event| Parked::unknown_type(record, event)));
            }
        }
        rows.insert(db).await?;
        rows.update(db).await?;
        Ok(parked)
    }
}

/// Which documents a record changes: the alerts that its events tell of. What only comes to an alert's file changes none.
pub(crate) fn changes(record: &Record) -> Vec<changes::Change> {
    if record.subject.aggregate() != LINE {
        return Vec::new();
    }
    of_events(record, |raw| {
        let said = decode(raw)?;
        Ok(said.map(|said| (ProductName::Alert, Which::One(said.alert))))
    })
}

/// What an event says of an alert.
struct Said {
    alert: Uuid,
    what: What,
}

enum What {
    Raised(Raised),
    Escalated(i32),
    Acknowledged(DateTime<Utc>),
    Dispatched(DateTime<Utc>),
    Arrived(DateTime<Utc>),
    Resolved(AlertOutcome, DateTime<Utc>),
}

struct Raised {
    elder: ElderId,
    village: String,
    kind: AlertKind,
    severity: Severity,
    at: DateTime<Utc>,
    /// The level that is reached with it.
    level: Option<i32>,
}

/// What an event says; none where it says nothing that is kept here.
fn decode(raw: &RawEvent) -> Result<Option<Said>, DecodeError> {
    let Some(name) = raw.event_type.strip_prefix("eldercare.alerts.v1.") else {
        return Err(DecodeError::unknown(raw));
    };
    let (alert, what) = match name {
        "AlertRaised" => {
            let said: pb::AlertRaised = message(raw)?;
            (id(&said.alert_id, "alert_id")?, What::Raised(raised(said)?))
        }
        "AlertEscalated" => {
            let said: pb::AlertEscalated = message(raw)?;
            let level = level(said.level)?;
            (id(&said.alert_id, "alert_id")?, What::Escalated(level))
        }
        "AlertAcknowledged" => {
            let said: pb::AlertAcknowledged = message(raw)?;
            let at = time(said.at, "at")?;
            (id(&said.alert_id, "alert_id")?, What::Acknowledged(at))
        }
        "HelpDispatched" => {
            let said: pb::HelpDispatched = message(raw)?;
            let at = time(said.at, "at")?;
            (id(&said.alert_id, "alert_id")?, What::Dispatched(at))
        }
        "HelpArrived" => {
            let said: pb::HelpArrived = message(raw)?;
            let at = time(said.at, "at")?;
            (id(&said.alert_id, "alert_id")?, What::Arrived(at))
        }
        "AlertResolved" => {
            let said: pb::AlertResolved = message(raw)?;
            let outcome = term(said.outcome, "outcome")?;
            let at = time(said.at, "at")?;
            (id(&said.alert_id, "alert_id")?, What::Resolved(outcome, at))
        }
        "DeviceWentOffline" | "DeviceCameOnline" | "SignalJoined" | "SignalNoted"
        | "AlertAssigned" => {
            return Ok(None);
        }
        _ => return Err(DecodeError::unknown(raw)),
    };
    Ok(Some(Said { alert, what }))
}

fn raised(said: pb::AlertRaised) -> Result<Raised, DecodeError> {
    let at = time(said.raised_at, "raised_at")?;
    let at_once = match said.levels.first() {
        Some(first) if time(first.at, "levels.at")? <= at => Some(level(first.level)?),
        Some(_) | None => None,
    };
    if !said.division_code.is_empty() {
        village(&said.division_code)?;
    }
    Ok(Raised {
        elder: elders::wire::elder(&said.elder_id)?,
        village: said.division_code,
        kind: term(said.kind, "kind")?,
        severity: term(said.severity, "severity")?,
        at,
        level: at_once,
    })
}

fn level(number: i32) -> Result<i32, DecodeError> {
    present((number >= 0).then_some(number), "level")
}

/// What the records of a batch say: new alerts, and what happened to these and to older ones.
#[derive(Default)]
struct Rows {
    new: BTreeMap<Uuid, Raised>,
    changed: BTreeMap<Uuid, Change>,
}

/// What happened to an alert; nothing where nothing is said.
#[derive(Default)]
struct Change {
    state: Option<HelpStage>,
    level: Option<i32>,
    acknowledged_at: Option<DateTime<Utc>>,
    dispatched_at: Option<DateTime<Utc>>,
    arrived_at: Option<DateTime<Utc>>,
    resolved_at: Option<DateTime<Utc>>,
    outcome: Option<AlertOutcome>,
}

impl Change {
    fn reaches(&mut self, state: HelpStage) {
        self.state = self.state.max(Some(state));
    }
}

impl Rows {
    fn fold(&mut self, said: Said) {
        let Said { alert, what } = said;
        match what {
            What::Raised(raised) => {
                self.new.entry(alert).or_insert(raised);
            }
            What::Escalated(level) => {
                let change = self.change(alert);
                change.level = change.level.max(Some(level));
            }
            What::Acknowledged(at) => {
                let change = self.change(alert);
                change.reaches(HelpStage::Acknowledged);
                change.acknowledged_at.get_or_insert(at);
            }
            What::Dispatched(at) => {
                let change = self.change(alert);
                change.reaches(HelpStage::Dispatched);
                change.dispatched_at.get_or_insert(at);
            }
            What::Arrived(at) => {
                let change = self.change(alert);
                change.reaches(HelpStage::Arrived);
                change.arrived_at.get_or_insert(at);
            }
            What::Resolved(outcome, at) => {
                let change = self.change(alert);
                change.reaches(HelpStage::Resolved);
                change.resolved_at.get_or_insert(at);
                change.outcome.get_or_insert(outcome);
            }
        }
    }

    fn change(&mut self, alert: Uuid) -> &mut Change {
        self.changed.entry(alert).or_default()
    }

    async fn insert(&self, db: &mut PgConnection) -> Result<(), sqlx::Error> {
        if self.new.is_empty() {
            return Ok(());
        }
        let (mut ids, mut elders, mut villages) = (vec![], vec![], vec![]);
        let (mut kinds, mut severities) = (vec![], vec![]);
        let (mut raised, mut levels) = (vec![], vec![]);
        for (alert, new) in &self.new {
            ids.push(*alert);
            elders.push(new.elder.as_uuid());
            villages.push(new.village.as_str());
            kinds.push(place(new.kind));
            severities.push(place(new.severity));
            raised.push(new.at);
            levels.push(new.level);
        }
        sqlx::query(
            "INSERT INTO alert (alert_id, elder_id, village, kind, severity, raised_at, level, state) \
             SELECT *, 0 FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::integer[], $5::integer[], $6::timestamptz[], \
                 $7::integer[]) \
             ON CONFLICT (alert_id) DO NOTHING",
        )
        .bind(ids)
        .bind(elders)
        .bind(villages)
        .bind(kinds)
        .bind(severities)
        .bind(raised)
        .bind(levels)
        .execute(db)
        .await?;
        Ok(())
    }

    async fn update(&self, db: &mut PgConnection) -> Result<(), sqlx::Error> {
        if self.changed.is_empty() {
            return Ok(());
        }
        let changes: Vec<(&Uuid, &Change)> = self.changed.iter().collect();
        let number = |of: fn(&Change) -> Option<i32>| {
            changes.iter().map(|(_, one)| of(one)).collect::<Vec<_>>()
        };
        let instants = |of: fn(&Change) -> Option<DateTime<Utc>>| {
            changes.iter().map(|(_, one)| of(one)).collect::<Vec<_>>()
        };
        let ids: Vec<Uuid> = changes.iter().map(|(alert, _)| **alert).collect();
        // `greatest` passes by what is null. Of an alert whose beginning could not be read nothing is kept.
        // Planned each time: a plan that was made while there were few alerts would read all of them.
        sqlx::query(
            "UPDATE alert SET state = greatest(alert.state, now.state), level = greatest(alert.level, now.level), \
                 acknowledged_at = coalesce(alert.acknowledged_at, now.acknowledged_at), \
                 dispatched_at = coalesce(alert.dispatched_at, now.dispatched_at), \
                 arrived_at = coalesce(alert.arrived_at, now.arrived_at), \
                 resolved_at = coalesce(alert.resolved_at, now.resolved_at), \
                 outcome = coalesce(alert.outcome, now.outcome) \
             FROM unnest($1::uuid[], $2::integer[], $3::integer[], $4::timestamptz[], $5::timestamptz[], $6::timestamptz[], \
                 $7::timestamptz[], $8::integer[]) \
                 AS now (alert_id, state, level, acknowledged_at, dispatched_at, arrived_at, resolved_at, outcome) \
             WHERE alert.alert_id = now.alert_id",
        )
        .persistent(false)
        .bind(ids)
        .bind(number(|change| change.state.map(place)))
        .bind(number(|change| change.level))
        .bind(instants(|change| change.acknowledged_at))
        .bind(instants(|change| change.dispatched_at))
        .bind(instants(|change| change.arrived_at))
        .bind(instants(|change| change.resolved_at))
        .bind(number(|change| change.outcome.map(place)))
        .execute(db)
        .await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use elders::terms::WireTerm as _;
    use elders::wire::write_time;

    use super::*;

    const ALERT: Uuid = Uuid::from_u128(7);

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn raised() -> RawEvent {
        let at = write_time(at("2024-10-01T09:00:00+08:00"));
        RawEvent::of(&pb::AlertRaised {
            alert_id: ALERT.to_string(),
            kind: AlertKind::Sos.wire(),
            severity: Severity::Critical.wire(),
            elder_id: Uuid::from_u128(1).to_string(),
            raised_at: Some(at),
            levels: vec![pb::LevelDue {
                level: 0,
                at: Some(at),
                roles: vec![],
            }],
            ..pb::AlertRaised::default()
        })
    }

    fn folded<const N: usize>(events: [RawEvent; N]) -> Rows {
        let mut rows = Rows::default();
        for said in events.iter().filter_map(|event| decode(event).unwrap()) {
            rows.fold(said);
        }
        rows
    }

    #[test]
    fn what_is_due_at_once_is_reached_with_the_alert() {
        let rows = folded([raised()]);
        let new = rows.new.get(&ALERT).unwrap();
        assert_eq!((new.level, new.village.as_str()), (Some(0), ""));
        assert!(rows.changed.is_empty());
    }

    #[test]
    fn a_state_never_goes_back_and_the_first_instant_holds() {
        let (early, late) = ("2024-10-01T09:10:00+08:00", "2024-10-01T09:20:00+08:00");
        let arrived = |text: &str| {
            RawEvent::of(&pb::HelpArrived {
                alert_id: ALERT.to_string(),
                at: Some(write_time(at(text))),
            })
        };
        let dispatched = RawEvent::of(&pb::HelpDispatched {
            alert_id: ALERT.to_string(),
            at: Some(write_time(at(late))),
        });
        let rows = folded([arrived(early), dispatched, arrived(late)]);
        let change = rows.changed.get(&ALERT).unwrap();
        assert_eq!(change.state, Some(HelpStage::Arrived));
        assert_eq!(change.arrived_at, Some(at(early)));
    }

    #[test]
    fn events_of_other_things_are_passed_by_and_unknown_ones_are_not() {
        let joined = RawEvent::of(&pb::SignalJoined::default());
        assert!(decode(&joined).unwrap().is_none());
        let unknown = RawEvent::of(&pb::RecipientRegistered::default());
        assert!(matches!(decode(&unknown), Err(DecodeError::UnknownType(_))));
    }
}
