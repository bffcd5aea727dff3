//! The read model of the registry's facts: one row for each elder, with all that is known for any day.
//!
//! It says nothing about today: what holds today is kept beside it (`today_table.rs`) by the evaluator, which finds what
//! is new by the sequence.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use async_trait::async_trait;
use chrono::NaiveDate;
use civic::{ElderId, LocalDay};
use elders::{Event, Facts, codec};
use eventlog::{DecodeError, Record};
use readmodel::{ApplyError, Parked, Phase, Projection};
use sqlx::{PgConnection, Row as _};
use uuid::Uuid;

/// The projection's name and schema.
pub const NAME: &str = "tiering_facts";

/// Folds the registry's records of elders.
#[derive(Debug, Default)]
pub struct FactsTable;

/// A row on its way.
struct Kept {
    /// None before the registration, and after the erasure.
    facts: Option<Facts>,
    sequence: u64,
    /// The day on which that was written.
    on: LocalDay,
    record: Uuid,
    correlation: Uuid,
    traceparent: Option<String>,
}

#[async_trait]
impl Projection for FactsTable {
    fn name(&self) -> &'static str {
        NAME
    }

    // To be raised too when the form of `elders::Facts` changes: rows of another form can't be read.
    fn version(&self) -> u32 {
        1
    }

    // Of an erased elder the row stays without facts, so that the evaluator ends the tier.
    fn ddl(&self) -> &'static str {
        "CREATE TABLE elder (
            elder_id uuid PRIMARY KEY,
            facts bytea,
            sequence bigint NOT NULL,
            recorded_on date NOT NULL,
            record_id uuid NOT NULL,
            correlation_id uuid NOT NULL,
            traceparent text
        );
        ALTER TABLE elder ALTER COLUMN facts SET STORAGE EXTERNAL;"
    }

    fn post_load_ddl(&self) -> &'static str {
        "CREATE UNIQUE INDEX elder_sequence ON elder (sequence);"
    }

    async fn apply(
        &mut self,
        db: &mut PgConnection,
        records: &[Record],
        _: Phase,
    ) -> Result<Vec<Parked>, ApplyError> {
        let mut parked = Vec::new();
        let mut decoded = Vec::with_capacity(records.len());
        for record in records
            .iter()
            .filter(|record| record.subject.aggregate() == "elder")
        {
            match record.subject.id().parse::<ElderId>() {
                Ok(elder) => decoded.push((elder, record, read(record, &mut parked))),
                Err(_) => parked.extend(
                    record
                        .events
                        .iter()
                        .map(|event| Parked::malformed(record, event)),
                ),
            }
        }
        if decoded.is_empty() {
            return Ok(parked);
        }
        let mut kept = load(db, &decoded).await?;
        for (elder, record, events) in &decoded {
            let facts = kept.remove(elder).and_then(|kept| kept.facts);
            kept.insert(
                *elder,
                Kept {
                    facts: events
                        .iter()
                        .fold(facts, |facts, event| after(facts, event, *elder)),
                    sequence: record.sequence,
                    on: LocalDay::of(record.metadata.time),
                    record: record.metadata.id,
                    correlation: record.metadata.correlation_id,
                    traceparent: record.metadata.traceparent.clone(),
                },
            );
        }
        write(db, kept).await?;
        Ok(parked)
    }
}

/// The events of a record that can be read.
fn read(record: &Record, parked: &mut Vec<Parked>) -> Vec<Event> {
    let events = record
        .events
        .iter()
        .filter_map(|raw| match codec::decode(raw) {
            Ok(event) => Some(event),
            Err(DecodeError::UnknownType(_)) => {
                parked.push(Parked::unknown_type(record, raw));
                None
            }
            Err(DecodeError::Malformed(_)) => {
                parked.push(Parked::malformed(record, raw));
                None
            }
        });
    events.collect()
}

/// An elder's facts after an event; none where there is no file, or none any more.
pub fn after(facts: Option<Facts>, event: &Event, elder: ElderId) -> Option<Facts> {
    match (facts, event) {
        (_, Event::Registered(registered)) => Some(Facts::registered(registered)),
        (_, Event::Erased { .. }) => None,
        (Some(mut facts), event) => {
            facts.apply(event, elder);
            Some(facts)
        }
        (None, _) => None,
    }
}

/// Facts as a row keeps them.
#[must_use]
pub fn stored(facts: &Facts) -> Vec<u8> {
    postcard::to_stdvec(facts).expect("facts are plain data")
}

/// Facts of a row.
///
/// # Errors
/// The bytes are not those of facts: the table is of another version of the program.
pub fn kept(bytes: &[u8]) -> Result<Facts, postcard::Error> {
    postcard::from_bytes(bytes)
}

/// The rows that the records change, as they are before.
async fn load(
    db: &mut PgConnection,
    decoded: &[(ElderId, &Record, Vec<Event>)],
) -> Result<HashMap<ElderId, Kept>, ApplyError> {
    let mut rows = HashMap::new();
    let mut known = Vec::new();
    for (elder, record, events) in decoded {
        let Entry::Vacant(entry) = rows.entry(*elder) else {
            continue;
        };
        // Nobody is registered twice, so that the row of a new elder need not be looked for.
        if !matches!(events.first(), Some(Event::Registered(_))) {
            known.push(elder.as_uuid());
        }
        let metadata = &record.metadata;
        entry.insert(Kept {
            facts: None,
            sequence: 0,
            on: LocalDay::of(metadata.time),
            record: metadata.id,
            correlation: metadata.correlation_id,
            traceparent: None,
        });
    }
    if known.is_empty() {
        return Ok(rows);
    }
    let found = sqlx::query("SELECT elder_id, facts FROM elder WHERE elder_id = ANY($1)")
        .bind(&known)
        .fetch_all(db)
        .await?;
    for row in found {
        let facts = row.try_get::<Option<&[u8]>, _>(1)?.map(kept).transpose();
        let facts = facts
            .map_err(|_unreadable| ApplyError::Poison("facts of the read model can't be read"))?;
        if let Some(row) = rows.get_mut(&ElderId(row.try_get(0)?)) {
            row.facts = facts;
        }
    }
    Ok(rows)
}

async fn write(db: &mut PgConnection, rows: HashMap<ElderId, Kept>) -> Result<(), ApplyError> {
    let mut elders = Vec::with_capacity(rows.len());
    let mut facts = Vec::with_capacity(rows.len());
    let mut sequences = Vec::with_capacity(rows.len());
    let mut days: Vec<NaiveDate> = Vec::with_capacity(rows.len());
    let mut records = Vec::with_capacity(rows.len());
    let mut correlations = Vec::with_capacity(rows.len());
    let mut traces = Vec::with_capacity(rows.len());
    for (elder, kept) in rows {
        elders.push(elder.as_uuid());
        facts.push(kept.facts.as_ref().map(stored));
        sequences.push(kept.sequence.cast_signed());
        days.push(kept.on.date());
        records.push(kept.record);
        correlations.push(kept.correlation);
        traces.push(kept.traceparent);
    }
    sqlx::query(
        "INSERT INTO elder (elder_id, facts, sequence, recorded_on, record_id, correlation_id, traceparent) \
         SELECT * FROM unnest($1::uuid[], $2::bytea[], $3::bigint[], $4::date[], $5::uuid[], $6::uuid[], $7::text[]) \
         ON CONFLICT (elder_id) DO UPDATE SET facts = excluded.facts, sequence = excluded.sequence, \
         recorded_on = excluded.recorded_on, record_id = excluded.record_id, correlation_id = excluded.correlation_id, traceparent = excluded.traceparent",
    )
    .bind(&elders)
    .bind(&facts)
    .bind(&sequences)
    .bind(&days)
    .bind(&records)
    .bind(&correlations)
    .bind(&traces)
    .execute(db)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use elders::testing;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn facts_survive_their_row(registered in testing::registered(), changes in proptest::collection::vec(testing::change(), 0..8)) {
            let mut facts = after(None, &Event::Registered(Box::new(registered)), testing::ELDER);
            for change in &changes {
                facts = after(facts, change, testing::ELDER);
            }
            if let Some(facts) = facts {
                prop_assert_eq!(kept(&stored(&facts)), Ok(facts));
            }
        }
    }
}
