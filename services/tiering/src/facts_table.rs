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
use eventlog::Record;
use readmodel::{ApplyError, Parked, Phase, Projection, read_events};
use sqlx::{AssertSqlSafe, PgConnection, PgExecutor, Row as _};
use uuid::Uuid;

/// The projection's name and schema.
pub const NAME: &str = "tiering_facts";

/// The longest chain of merges that is followed.
pub(crate) const LONGEST_CHAIN: usize = 16;

/// Folds the registry's records of elders.
#[derive(Debug, Default)]
pub struct FactsTable;

/// A row on its way.
struct Kept {
    /// None before the registration, and after the erasure.
    facts: Option<Facts>,
    /// The file that stands for this one.
    merged_into: Option<ElderId>,
    /// Whether another one ever stood for it: on a past day it may have.
    once_merged: bool,
    /// The day on which the file was opened: nobody is visited by a file that is not there.
    opened_on: LocalDay,
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
        3
    }

    // Of an erased elder the row stays without facts, so that the evaluator ends the tier.
    fn ddl(&self) -> &'static str {
        "CREATE TABLE elder (
            elder_id uuid PRIMARY KEY,
            facts bytea,
            merged_into uuid,
            once_merged boolean NOT NULL,
            opened_on date NOT NULL,
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
                Ok(elder) => decoded.push((
                    elder,
                    record,
                    read_events(record, codec::decode, &mut parked),
                )),
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
            let on = LocalDay::of(record.metadata.time);
            let (facts, merged_into, once_merged, opened_on) =
                kept.remove(elder).map_or((None, None, false, on), |kept| {
                    (
                        kept.facts,
                        kept.merged_into,
                        kept.once_merged,
                        kept.opened_on,
                    )
                });
            kept.insert(
                *elder,
                Kept {
                    facts: events
                        .iter()
                        .fold(facts, |facts, event| Facts::after(facts, event, *elder)),
                    merged_into: events
                        .iter()
                        .fold(merged_into, |into, event| stands_for(into, event, *elder)),
                    once_merged: once_merged || events.iter().any(|event| merges(event, *elder)),
                    opened_on,
                    sequence: record.sequence,
                    on,
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

/// Which file stands for an elder's after an event.
pub(crate) fn stands_for(
    before: Option<ElderId>,
    event: &Event,
    elder: ElderId,
) -> Option<ElderId> {
    if let Event::Merged(merge) = event
        && merge.merged == elder
    {
        return Some(merge.surviving);
    }
    let taken_back = matches!(event, Event::Unmerged(merge) if merge.merged == elder);
    let erased = matches!(event, Event::Erased { .. });
    before.filter(|_| !taken_back && !erased)
}

/// Whether an event merges an elder's file into another.
pub(crate) fn merges(event: &Event, elder: ElderId) -> bool {
    stands_for(None, event, elder).is_some()
}

/// Of merged files among these, the files that stand for them.
///
/// # Errors
/// The database's.
pub async fn standing_for(
    db: impl PgExecutor<'_>,
    elders: &[ElderId],
) -> Result<HashMap<ElderId, ElderId>, sqlx::Error> {
    let ids: Vec<Uuid> = elders.iter().map(ElderId::as_uuid).collect();
    let statement = format!(
        "WITH RECURSIVE standing (asked, elder_id, steps) AS ( \
             SELECT elder_id, merged_into, 1 FROM {NAME}.elder WHERE elder_id = ANY($1) AND merged_into IS NOT NULL \
             UNION ALL \
             SELECT s.asked, e.merged_into, s.steps + 1 FROM standing s JOIN {NAME}.elder e ON e.elder_id = s.elder_id \
             WHERE e.merged_into IS NOT NULL AND s.steps < {LONGEST_CHAIN}) \
         SELECT DISTINCT ON (asked) asked, elder_id FROM standing ORDER BY asked, steps DESC"
    );
    let rows = sqlx::query(AssertSqlSafe(statement))
        .bind(&ids)
        .fetch_all(db)
        .await?;
    rows.iter()
        .map(|row| Ok((ElderId(row.try_get(0)?), ElderId(row.try_get(1)?))))
        .collect()
}

/// What is kept of an elder.
pub(crate) struct KeptFacts {
    pub(crate) facts: Facts,
    /// Whether the file was ever merged into another, be it that this was taken back.
    pub(crate) once_merged: bool,
    /// The last record that they hold.
    pub(crate) sequence: u64,
}

/// An elder's facts as far as they are kept; none where nobody is known, or nobody any more.
///
/// # Errors
/// The database's; a row of another version of the program.
pub(crate) async fn facts_of(
    db: impl PgExecutor<'_>,
    elder: ElderId,
) -> Result<Option<KeptFacts>, sqlx::Error> {
    let statement = format!(
        "SELECT facts, once_merged, sequence FROM {NAME}.elder WHERE elder_id = $1 AND facts IS NOT NULL"
    );
    let row = sqlx::query(AssertSqlSafe(statement))
        .bind(elder.as_uuid())
        .fetch_optional(db)
        .await?;
    row.map(|row| {
        let facts = kept(row.try_get(0)?);
        Ok(KeptFacts {
            facts: facts.map_err(|error| sqlx::Error::Decode(error.into()))?,
            once_merged: row.try_get(1)?,
            sequence: row.try_get::<i64, _>(2)?.cast_unsigned(),
        })
    })
    .transpose()
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
            merged_into: None,
            once_merged: false,
            opened_on: LocalDay::of(metadata.time),
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
    let statement = "SELECT elder_id, facts, merged_into, opened_on, once_merged FROM elder WHERE elder_id = ANY($1)";
    let found = sqlx::query(statement).bind(&known).fetch_all(db).await?;
    for row in found {
        let facts = row.try_get::<Option<&[u8]>, _>(1)?.map(kept).transpose();
        let facts = facts
            .map_err(|_unreadable| ApplyError::Poison("facts of the read model can't be read"))?;
        let merged_into = row.try_get::<Option<Uuid>, _>(2)?.map(ElderId);
        let opened_on = LocalDay::try_from(row.try_get::<NaiveDate, _>(3)?)
            .map_err(|_day| ApplyError::Poison("a day of the read model can't be read"))?;
        let once_merged = row.try_get(4)?;
        if let Some(row) = rows.get_mut(&ElderId(row.try_get(0)?)) {
            row.facts = facts;
            row.merged_into = merged_into;
            row.opened_on = opened_on;
            row.once_merged = once_merged;
        }
    }
    Ok(rows)
}

async fn write(db: &mut PgConnection, rows: HashMap<ElderId, Kept>) -> Result<(), ApplyError> {
    let mut elders = Vec::with_capacity(rows.len());
    let mut facts = Vec::with_capacity(rows.len());
    let mut survivors = Vec::with_capacity(rows.len());
    let mut once_merged = Vec::with_capacity(rows.len());
    let mut openings: Vec<NaiveDate> = Vec::with_capacity(rows.len());
    let mut sequences = Vec::with_capacity(rows.len());
    let mut days: Vec<NaiveDate> = Vec::with_capacity(rows.len());
    let mut records = Vec::with_capacity(rows.len());
    let mut correlations = Vec::with_capacity(rows.len());
    let mut traces = Vec::with_capacity(rows.len());
    for (elder, kept) in rows {
        elders.push(elder.as_uuid());
        facts.push(kept.facts.as_ref().map(stored));
        survivors.push(kept.merged_into.map(|survivor| survivor.as_uuid()));
        once_merged.push(kept.once_merged);
        openings.push(kept.opened_on.date());
        sequences.push(kept.sequence.cast_signed());
        days.push(kept.on.date());
        records.push(kept.record);
        correlations.push(kept.correlation);
        traces.push(kept.traceparent);
    }
    sqlx::query(
        "INSERT INTO elder (elder_id, facts, merged_into, once_merged, opened_on, sequence, recorded_on, record_id, correlation_id, traceparent) \
         SELECT * FROM unnest($1::uuid[], $2::bytea[], $3::uuid[], $4::bool[], $5::date[], $6::bigint[], $7::date[], $8::uuid[], $9::uuid[], $10::text[]) \
         ON CONFLICT (elder_id) DO UPDATE SET facts = excluded.facts, merged_into = excluded.merged_into, \
         once_merged = excluded.once_merged, sequence = excluded.sequence, \
         recorded_on = excluded.recorded_on, record_id = excluded.record_id, correlation_id = excluded.correlation_id, traceparent = excluded.traceparent",
    )
    .bind(&elders)
    .bind(&facts)
    .bind(&survivors)
    .bind(&once_merged)
    .bind(&openings)
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
            let mut facts = Facts::after(None, &Event::Registered(Box::new(registered)), testing::ELDER);
            for change in &changes {
                facts = Facts::after(facts, change, testing::ELDER);
            }
            if let Some(facts) = facts {
                prop_assert_eq!(kept(&stored(&facts)), Ok(facts));
            }
        }
    }
}
