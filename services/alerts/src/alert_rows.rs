//! The rows of alerts and of their course.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use civic::{AlertOutcome, DeviceKind, NoticeChannel};
use elders::terms::WireTerm as _;
use elders::wire::{read_time, write_time};
use eventlog::Record;
use prost::Message as _;
use proto::eldercare::alerts::v1 as pb;
use readmodel::ApplyError;
use sqlx::{PgConnection, Row as _};
use uuid::Uuid;

use crate::alert_line::{Event, Raised};
use crate::attempts::{Attempt, Outcome};
use crate::board_table::{NO_WORD, place};

/// What the records of a batch say of alerts.
#[derive(Default)]
pub(crate) struct AlertRows {
    said: Vec<Said>,
    course: Vec<Entry>,
    /// Whether a device is off line, by the last that was said.
    offline: BTreeMap<String, bool>,
}

struct Said {
    alert: Uuid,
    sequence: u64,
    line: String,
    what: What,
}

enum What {
    Line(Event),
    Told(DateTime<Utc>),
    /// An attempt that failed, or a record that nobody hears of: the course alone.
    Tried,
}

struct Entry {
    alert: Uuid,
    sequence: u64,
    place: usize,
    recorded_at: DateTime<Utc>,
    actor: String,
    event_type: String,
    event: Vec<u8>,
}

/// A row on its way.
struct Row {
    line: String,
    alert: pb::Alert,
    changed: u64,
}

impl AlertRows {
    /// What happened on a line.
    pub(crate) fn fold_line(&mut self, record: &Record, events: Vec<Event>) {
        for event in events {
            let alert = match &event {
                Event::WentOffline { device, .. } => {
                    self.offline.insert(device.to_string(), true);
                    continue;
                }
                Event::CameOnline { device, .. } => {
                    self.offline.insert(device.to_string(), false);
                    continue;
                }
                Event::Raised(Raised { alert, .. })
                | Event::Joined { alert, .. }
                | Event::Noted { alert, .. }
                | Event::Escalated { alert, .. }
                | Event::Acknowledged { alert, .. }
                | Event::Assigned { alert, .. }
                | Event::Dispatched { alert, .. }
                | Event::Arrived { alert, .. }
                | Event::Resolved { alert, .. } => *alert,
            };
            self.enter(
                record,
                alert,
                &<crate::alert_line::AlertLine as eventlog::Aggregate>::encode(&event),
            );
            self.said.push(Said {
                alert,
                sequence: record.sequence,
                line: record.subject.id().to_owned(),
                what: What::Line(event),
            });
        }
    }

    /// Who was told.
    pub(crate) fn fold_notices(&mut self, record: &Record, attempts: Vec<Attempt>) {
        for attempt in attempts {
            self.enter(
                record,
                attempt.alert,
                &<crate::attempts::Notices as eventlog::Aggregate>::encode(&attempt),
            );
            let told = matches!(attempt.outcome, Outcome::Sent { .. })
                && attempt.channel != NoticeChannel::Record;
            self.said.push(Said {
                alert: attempt.alert,
                sequence: record.sequence,
                line: record.subject.id().to_owned(),
                what: if told {
                    What::Told(attempt.at)
                } else {
                    What::Tried
                },
            });
        }
    }

    fn enter(&mut self, record: &Record, alert: Uuid, event: &eventlog::RawEvent) {
        let same = self.course.iter().rev();
        let place = same
            .take_while(|entry| entry.sequence == record.sequence)
            .count();
        self.course.push(Entry {
            alert,
            sequence: record.sequence,
            place,
            recorded_at: record.metadata.time,
            actor: record.metadata.actor.clone(),
            event_type: event.event_type.clone(),
            event: event.data.to_vec(),
        });
    }

    /// Writes it.
    pub(crate) async fn write(self, db: &mut PgConnection) -> Result<(), ApplyError> {
        write_offline(db, &self.offline).await?;
        if self.said.is_empty() {
            return Ok(());
        }
        let mut rows = known(db, &self.said).await?;
        for said in self.said {
            let Said {
                alert,
                sequence,
                line,
                what,
            } = said;
            let raises = matches!(what, What::Line(Event::Raised(_)));
            if !raises && !rows.contains_key(&alert) {
                // Of an alert whose beginning could not be read nobody can be told.
                continue;
            }
            let row = rows.entry(alert).or_insert_with(|| Row {
                line,
                alert: pb::Alert::default(),
                changed: sequence,
            });
            row.changed = sequence;
            match what {
                What::Line(event) => change(&mut row.alert, &event),
                What::Told(at) => {
                    row.alert.first_notice_at.get_or_insert(write_time(at));
                }
                What::Tried => {}
            }
        }
        write_rows(db, rows).await?;
        write_course(db, self.course).await
    }
}

/// The alert after an event.
fn change(alert: &mut pb::Alert, event: &Event) {
    match event {
        Event::Raised(raised) => {
            let device = raised.cause.device();
            *alert = pb::Alert {
                alert_id: raised.alert.to_string(),
                kind: raised.kind.wire(),
                severity: raised.severity().wire(),
                stage: pb::AlertStage::Raised.into(),
                elder_id: raised.elder.to_string(),
                division_code: raised
                    .village
                    .map_or_else(String::new, |village| village.to_string()),
                device_id: device.map_or_else(String::new, |(device, _)| device.to_string()),
                device_kind: device.map_or(0, |(_, kind)| kind.wire()),
                raised_at: Some(write_time(raised.at)),
                ..pb::Alert::default()
            };
            if let Some(level) = raised.level_at_once() {
                alert.levels.push(reached(level, raised.at));
            }
        }
        Event::Joined { .. } => alert.joined += 1,
        Event::Escalated { level, at, .. } => alert.levels.push(reached(*level, *at)),
        Event::Acknowledged { at, .. } => {
            alert.stage = pb::AlertStage::Acknowledged.into();
            alert.acknowledged_at.get_or_insert(write_time(*at));
        }
        Event::Assigned { recipient, .. } => alert.assigned_to = recipient.to_string(),
        Event::Dispatched { at, .. } => {
            alert.stage = pb::AlertStage::Dispatched.into();
            alert.dispatched_at.get_or_insert(write_time(*at));
        }
        Event::Arrived { at, .. } => {
            alert.arrived_at.get_or_insert(write_time(*at));
        }
        Event::Resolved { outcome, at, .. } => {
            alert.stage = pb::AlertStage::Resolved.into();
            alert.resolved_at = Some(write_time(*at));
            alert.outcome = outcome.wire();
        }
        Event::WentOffline { .. } | Event::CameOnline { .. } | Event::Noted { .. } => {}
    }
}

fn reached(level: u8, at: DateTime<Utc>) -> pb::LevelReached {
    pb::LevelReached {
        level: level.into(),
        at: Some(write_time(at)),
    }
}

async fn known(db: &mut PgConnection, said: &[Said]) -> Result<BTreeMap<Uuid, Row>, ApplyError> {
    let raised: BTreeSet<Uuid> = said
        .iter()
        .filter(|said| matches!(said.what, What::Line(Event::Raised(_))))
        .map(|said| said.alert)
        .collect();
    let wanted: BTreeSet<Uuid> = said
        .iter()
        .map(|said| said.alert)
        .filter(|alert| !raised.contains(alert))
        .collect();
    if wanted.is_empty() {
        return Ok(BTreeMap::new());
    }
    let wanted: Vec<Uuid> = wanted.into_iter().collect();
    let rows =
        sqlx::query("SELECT alert_id, line, alert, changed FROM alert WHERE alert_id = ANY($1)")
            .bind(&wanted)
            .fetch_all(db)
            .await?;
    rows.iter()
        .map(|row| {
            let alert = pb::Alert::decode(row.try_get::<&[u8], _>(2)?)
                .map_err(|_broken| sqlx::Error::Decode("column alert holds no alert".into()))?;
            let row_of = Row {
                line: row.try_get(1)?,
                alert,
                changed: row.try_get::<i64, _>(3)?.cast_unsigned(),
            };
            Ok((row.try_get(0)?, row_of))
        })
        .collect::<Result<_, sqlx::Error>>()
        .map_err(ApplyError::from)
}

async fn write_rows(db: &mut PgConnection, rows: BTreeMap<Uuid, Row>) -> Result<(), ApplyError> {
    let (mut ids, mut lines, mut kinds, mut open) = (vec![], vec![], vec![], vec![]);
    let (mut elders, mut divisions, mut devices) = (vec![], vec![], vec![]);
    let (mut raised, mut noticed, mut acknowledged) = (vec![], vec![], vec![]);
    let (mut arrived, mut resolved, mut outcomes) = (vec![], vec![], vec![]);
    let (mut alerts, mut changed) = (vec![], vec![]);
    for (id, row) in rows {
        let alert = row.alert;
        let (Some(kind), Some(raised_at)) = (
            civic::AlertKind::from_wire(alert.kind),
            alert.raised_at.and_then(read_time),
        ) else {
            continue;
        };
        ids.push(id);
        lines.push(row.line);
        kinds.push(place(kind));
        open.push(alert.stage != i32::from(pb::AlertStage::Resolved));
        elders.push(alert.elder_id.parse::<Uuid>().unwrap_or_default());
        divisions.push(alert.division_code.clone());
        devices.push(DeviceKind::from_wire(alert.device_kind).map_or(NO_WORD, place));
        raised.push(raised_at);
        noticed.push(alert.first_notice_at.and_then(read_time));
        acknowledged.push(alert.acknowledged_at.and_then(read_time));
        arrived.push(alert.arrived_at.and_then(read_time));
        resolved.push(alert.resolved_at.and_then(read_time));
        outcomes.push(AlertOutcome::from_wire(alert.outcome).map_or(NO_WORD, place));
        alerts.push(alert.encode_to_vec());
        changed.push(row.changed.cast_signed());
    }
    sqlx::query(
        "INSERT INTO alert (alert_id, line, kind, open, elder_id, division, device_kind, raised_at, first_notice_at, \
             acknowledged_at, arrived_at, resolved_at, outcome, alert, changed) \
         SELECT * FROM unnest($1::uuid[], $2::text[], $3::integer[], $4::boolean[], $5::uuid[], $6::text[], $7::integer[], \
             $8::timestamptz[], $9::timestamptz[], $10::timestamptz[], $11::timestamptz[], $12::timestamptz[], \
             $13::integer[], $14::bytea[], $15::bigint[]) \
         ON CONFLICT (alert_id) DO UPDATE SET open = excluded.open, first_notice_at = excluded.first_notice_at, \
             acknowledged_at = excluded.acknowledged_at, arrived_at = excluded.arrived_at, \
             resolved_at = excluded.resolved_at, outcome = excluded.outcome, alert = excluded.alert, \
             changed = excluded.changed",
    )
    .bind(ids)
    .bind(lines)
    .bind(kinds)
    .bind(open)
    .bind(elders)
    .bind(divisions)
    .bind(devices)
    .bind(raised)
    .bind(noticed)
    .bind(acknowledged)
    .bind(arrived)
    .bind(resolved)
    .bind(outcomes)
    .bind(alerts)
    .bind(changed)
    .execute(db)
    .await?;
    Ok(())
}

async fn write_course(db: &mut PgConnection, course: Vec<Entry>) -> Result<(), ApplyError> {
    let (mut alerts, mut sequences, mut places) = (vec![], vec![], vec![]);
    let (mut recorded, mut actors, mut types, mut events) = (vec![], vec![], vec![], vec![]);
    for entry in course {
        alerts.push(entry.alert);
        sequences.push(entry.sequence.cast_signed());
        places.push(i32::try_from(entry.place).unwrap_or(i32::MAX));
        recorded.push(entry.recorded_at);
        actors.push(entry.actor);
        types.push(entry.event_type);
        events.push(entry.event);
    }
    sqlx::query(
        "INSERT INTO course (alert_id, sequence, place, recorded_at, actor, event_type, event) \
         SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::integer[], $4::timestamptz[], $5::text[], $6::text[], $7::bytea[])",
    )
    .bind(alerts)
    .bind(sequences)
    .bind(places)
    .bind(recorded)
    .bind(actors)
    .bind(types)
    .bind(events)
    .execute(db)
    .await?;
    Ok(())
}

async fn write_offline(
    db: &mut PgConnection,
    offline: &BTreeMap<String, bool>,
) -> Result<(), ApplyError> {
    let of = |wanted: bool| -> Vec<&str> {
        let devices = offline.iter().filter(|(_, offline)| **offline == wanted);
        devices.map(|(device, _)| device.as_str()).collect()
    };
    let (gone, back) = (of(true), of(false));
    if !gone.is_empty() {
        sqlx::query(
            "INSERT INTO offline (device_id) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING",
        )
        .bind(&gone)
        .execute(&mut *db)
        .await?;
    }
    if !back.is_empty() {
        sqlx::query("DELETE FROM offline WHERE device_id = ANY($1)")
            .bind(&back)
            .execute(db)
            .await?;
    }
    Ok(())
}
