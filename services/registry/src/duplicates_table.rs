//! The read model of pairs of files that may be one person's, with where the reviewer's decision stands.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use civic::{DivisionCode, ElderId, LocalDay};
use eventlog::{Aggregate as _, DecodeError, Record};
use proto::eldercare::registry::v1 as pb;
use readmodel::{ApplyError, Parked};
use sqlx::{PgConnection, PgPool, Row as _};
use uuid::Uuid;

use crate::duplicate::{Duplicate, Event, Pair};

/// The table.
pub(crate) const DDL: &str = "
CREATE TABLE duplicate (
    duplicate_id uuid PRIMARY KEY,
    elder_id uuid NOT NULL,
    other_elder_id uuid NOT NULL,
    state smallint NOT NULL,
    reason text NOT NULL,
    decided_by text NOT NULL,
    changed_at timestamptz NOT NULL
);
";

/// What only readers need.
pub(crate) const INDEXES: &str = "CREATE INDEX duplicate_state ON duplicate (state, duplicate_id);";

/// A pair as it stands after a record.
struct Decision {
    pair: Pair,
    state: pb::DuplicateState,
    reason: String,
    actor: String,
    at: DateTime<Utc>,
}

/// Applies the records of pairs, in their order.
pub(crate) async fn apply(
    db: &mut PgConnection,
    records: &[&Record],
    parked: &mut Vec<Parked>,
) -> Result<(), ApplyError> {
    let mut decisions: HashMap<Uuid, Decision> = HashMap::new();
    let mut dismissed: Vec<(Uuid, &Record, String)> = Vec::new();
    for record in records {
        for raw in &record.events {
            let event = match Duplicate::decode(raw) {
                Ok(event) => event,
                Err(DecodeError::UnknownType(_)) => {
                    parked.push(Parked::unknown_type(record, raw));
                    continue;
                }
                Err(DecodeError::Malformed(_)) => {
                    parked.push(Parked::malformed(record, raw));
                    continue;
                }
            };
            let (pair, state, reason) = match event {
                Event::Reported(pair, reason) => (Some(pair), pb::DuplicateState::Open, reason),
                Event::Merged(merge) => (
                    Pair::of(merge.surviving, merge.merged),
                    pb::DuplicateState::Merged,
                    merge.reason,
                ),
                Event::Unmerged(merge) => (
                    Pair::of(merge.surviving, merge.merged),
                    pb::DuplicateState::Dismissed,
                    merge.reason,
                ),
                Event::Dismissed(reason) => {
                    // The pair was named when it was reported.
                    let Ok(id) = record.subject.id().parse::<Uuid>() else {
                        parked.push(Parked::malformed(record, raw));
                        continue;
                    };
                    match decisions.get_mut(&id) {
                        Some(known) => known.decide(pb::DuplicateState::Dismissed, reason, record),
                        None => dismissed.push((id, record, reason)),
                    }
                    continue;
                }
            };
            let Some(pair) = pair else {
                parked.push(Parked::malformed(record, raw));
                continue;
            };
            dismissed.retain(|(id, _, _)| *id != pair.id());
            let decision = decisions.entry(pair.id()).or_insert_with(|| Decision {
                pair,
                state,
                reason: String::new(),
                actor: String::new(),
                at: record.metadata.time,
            });
            decision.decide(state, reason, record);
        }
    }
    for (id, record, reason) in dismissed {
        sqlx::query(
            "UPDATE duplicate SET state = $2, reason = $3, decided_by = $4, changed_at = $5 WHERE duplicate_id = $1",
        )
        .bind(id)
        .bind(number(pb::DuplicateState::Dismissed))
        .bind(reason)
        .bind(&record.metadata.actor)
        .bind(record.metadata.time)
        .execute(&mut *db)
        .await?;
    }
    for (id, decision) in decisions {
        sqlx::query(
            "INSERT INTO duplicate (duplicate_id, elder_id, other_elder_id, state, reason, decided_by, changed_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7) \
             ON CONFLICT (duplicate_id) DO UPDATE SET \
                 state = excluded.state, reason = excluded.reason, decided_by = excluded.decided_by, \
                 changed_at = excluded.changed_at",
        )
        .bind(id)
        .bind(decision.pair.elder.as_uuid())
        .bind(decision.pair.other.as_uuid())
        .bind(number(decision.state))
        .bind(decision.reason)
        .bind(decision.actor)
        .bind(decision.at)
        .execute(&mut *db)
        .await?;
    }
    Ok(())
}

impl Decision {
    fn decide(&mut self, state: pb::DuplicateState, reason: String, record: &Record) {
        self.state = state;
        self.reason = reason;
        self.actor.clone_from(&record.metadata.actor);
        self.at = record.metadata.time;
    }
}

fn number(state: pb::DuplicateState) -> i16 {
    i16::try_from(i32::from(state)).expect("there are four states")
}

/// A page of the pairs in a state of which at least one file lies in the division today. A merged file lies nowhere: its
/// pair is listed where the surviving one is. A pair of which a file was erased is none any more.
pub(crate) async fn list(
    pool: &PgPool,
    division: &DivisionCode,
    state: pb::DuplicateState,
    today: LocalDay,
    after: Option<Uuid>,
    limit: usize,
) -> Result<Vec<pb::Duplicate>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT d.duplicate_id, d.elder_id, d.other_elder_id, d.state, d.reason, d.decided_by, d.changed_at \
         FROM registry_elders.duplicate d \
         WHERE d.state = $1 AND d.duplicate_id > $2 \
           AND EXISTS (SELECT 1 FROM registry_elders.fact f \
                       WHERE f.elder_id IN (d.elder_id, d.other_elder_id) \
                         AND f.division_code >= $3 AND f.division_code < $4 \
                         AND f.first_day <= $5 AND f.last_day >= $5) \
           AND (SELECT count(*) FROM registry_elders.elder e WHERE e.elder_id IN (d.elder_id, d.other_elder_id)) = 2 \
         ORDER BY d.duplicate_id LIMIT $6",
    )
    .bind(number(state))
    .bind(after.unwrap_or(Uuid::nil()))
    .bind(division.as_str())
    .bind(division.beyond())
    .bind(today.date())
    .bind(i64::try_from(limit).unwrap_or(i64::MAX))
    .fetch_all(pool)
    .await?;
    rows.into_iter()
        .map(|row| {
            let changed_at: DateTime<Utc> = row.try_get(6)?;
            Ok(pb::Duplicate {
                duplicate_id: row.try_get::<Uuid, _>(0)?.to_string(),
                elder_id: ElderId(row.try_get(1)?).to_string(),
                other_elder_id: ElderId(row.try_get(2)?).to_string(),
                state: i32::from(row.try_get::<i16, _>(3)?),
                reason: row.try_get(4)?,
                decided_by: row.try_get(5)?,
                changed_at: Some(crate::answer::timestamp(changed_at)),
            })
        })
        .collect()
}
