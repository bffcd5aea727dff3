//! The read model of the registry's log: all facts of each elder, by which a service judges.

use std::collections::HashMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use civic::ElderId;
use elders::event::Event;
use elders::{Facts, codec};
use eventlog::Record;
use readmodel::{ApplyError, Parked, Phase, Projection, read_events};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection, PgExecutor, Row as _};
use uuid::Uuid;

/// Folds the registry's records, and is asked for the rows.
#[derive(Clone, Copy, Debug)]
pub struct FactsTable {
    schema: &'static str,
}

/// An elder's row.
#[derive(Clone, Debug)]
pub struct Kept {
    /// The facts; none once the elder is erased.
    pub facts: Option<Facts>,
    /// The sequence of the last record about the elder.
    pub sequence: u64,
    /// When that was recorded.
    pub recorded_at: DateTime<Utc>,
}

impl FactsTable {
    /// The table of a service, by the projection's name and schema: `<service>_elders`.
    #[must_use]
    pub const fn named(schema: &'static str) -> Self {
        Self { schema }
    }

    /// The projection's name and schema.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.schema
    }

    /// The rows of some elders; who is not known is missing.
    ///
    /// # Errors
    /// The database's; a row of another version of the program.
    pub async fn of(
        &self,
        db: impl PgExecutor<'_>,
        elders: &[ElderId],
    ) -> Result<HashMap<ElderId, Kept>, sqlx::Error> {
        let schema = self.schema;
        of_elders(db, &format!("{schema}.elder"), elders).await
    }

    /// A row of a statement of the service's own that has `elder_id, facts, sequence, recorded_at` as its first columns.
    ///
    /// # Errors
    /// A row of another version of the program.
    pub fn read(row: &PgRow) -> Result<(ElderId, Kept), sqlx::Error> {
        self::row(row)
    }

    /// The rows that records after a sequence have changed, in the order of the log.
    ///
    /// # Errors
    /// The database's; a row of another version of the program.
    pub async fn changed_after(
        &self,
        db: impl PgExecutor<'_>,
        sequence: u64,
        most: i64,
    ) -> Result<Vec<(ElderId, Kept)>, sqlx::Error> {
        let schema = self.schema;
        let statement = format!(
            "SELECT elder_id, facts, sequence, recorded_at FROM {schema}.elder WHERE sequence > $1 ORDER BY sequence LIMIT $2"
        );
        let rows = sqlx::query(AssertSqlSafe(statement))
            .bind(sequence.cast_signed())
            .bind(most)
            .fetch_all(db)
            .await?;
        rows.iter().map(row).collect()
    }

    /// The rows after an elder, in the order of ids.
    ///
    /// # Errors
    /// The database's; a row of another version of the program.
    pub async fn page(
        &self,
        db: impl PgExecutor<'_>,
        after: Option<ElderId>,
        most: i64,
    ) -> Result<Vec<(ElderId, Kept)>, sqlx::Error> {
        let schema = self.schema;
        let statement = format!(
            "SELECT elder_id, facts, sequence, recorded_at FROM {schema}.elder \
             WHERE $1::uuid IS NULL OR elder_id > $1 ORDER BY elder_id LIMIT $2"
        );
        let rows = sqlx::query(AssertSqlSafe(statement))
            .bind(after.map(|elder| elder.as_uuid()))
            .bind(most)
            .fetch_all(db)
            .await?;
        rows.iter().map(row).collect()
    }
}

#[async_trait]
impl Projection for FactsTable {
    fn name(&self) -> &'static str {
        self.schema
    }

    fn version(&self) -> u32 {
        1
    }

    // An erased elder keeps a row without facts, so that whoever follows sees that there is nothing any more.
    fn ddl(&self) -> &'static str {
        "CREATE TABLE elder (
            elder_id uuid PRIMARY KEY,
            facts bytea,
            sequence bigint NOT NULL,
            recorded_at timestamptz NOT NULL
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
        let known: Vec<ElderId> = decoded
            .iter()
            // Nobody is registered twice, so that the row of a new elder need not be looked for.
            .filter(|(_, _, events)| !matches!(events.first(), Some(Event::Registered(_))))
            .map(|(elder, _, _)| *elder)
            .collect();
        let mut rows = of_elders(&mut *db, "elder", &known).await?;
        for (elder, record, events) in &decoded {
            let facts = rows.remove(elder).and_then(|kept| kept.facts);
            let kept = Kept {
                facts: events
                    .iter()
                    .fold(facts, |facts, event| Facts::after(facts, event, *elder)),
                sequence: record.sequence,
                recorded_at: record.metadata.time,
            };
            rows.insert(*elder, kept);
        }
        write(db, rows).await?;
        Ok(parked)
    }
}

async fn of_elders(
    db: impl PgExecutor<'_>,
    table: &str,
    elders: &[ElderId],
) -> Result<HashMap<ElderId, Kept>, sqlx::Error> {
    if elders.is_empty() {
        return Ok(HashMap::new());
    }
    let ids: Vec<Uuid> = elders.iter().map(ElderId::as_uuid).collect();
    let statement = format!(
        "SELECT elder_id, facts, sequence, recorded_at FROM {table} WHERE elder_id = ANY($1)"
    );
    let rows = sqlx::query(AssertSqlSafe(statement))
        .bind(&ids)
        .fetch_all(db)
        .await?;
    rows.iter().map(row).collect()
}

fn row(row: &PgRow) -> Result<(ElderId, Kept), sqlx::Error> {
    let facts = row
        .try_get::<Option<&[u8]>, _>(1)?
        .map(postcard::from_bytes)
        .transpose()
        .map_err(|_unreadable| sqlx::Error::Decode("column facts holds no facts".into()))?;
    let kept = Kept {
        facts,
        sequence: row.try_get::<i64, _>(2)?.cast_unsigned(),
        recorded_at: row.try_get(3)?,
    };
    Ok((ElderId(row.try_get(0)?), kept))
}

async fn write(db: &mut PgConnection, rows: HashMap<ElderId, Kept>) -> Result<(), ApplyError> {
    if rows.is_empty() {
        return Ok(());
    }
    let mut elders = Vec::with_capacity(rows.len());
    let mut facts = Vec::with_capacity(rows.len());
    let mut sequences = Vec::with_capacity(rows.len());
    let mut recorded = Vec::with_capacity(rows.len());
    for (elder, kept) in rows {
        elders.push(elder.as_uuid());
        facts.push(
            kept.facts
                .as_ref()
                .map(|facts| postcard::to_stdvec(facts).expect("facts are plain data")),
        );
        sequences.push(kept.sequence.cast_signed());
        recorded.push(kept.recorded_at);
    }
    sqlx::query(
        "INSERT INTO elder (elder_id, facts, sequence, recorded_at) \
         SELECT * FROM unnest($1::uuid[], $2::bytea[], $3::bigint[], $4::timestamptz[]) \
         ON CONFLICT (elder_id) DO UPDATE SET facts = excluded.facts, sequence = excluded.sequence, \
         recorded_at = excluded.recorded_at",
    )
    .bind(&elders)
    .bind(&facts)
    .bind(&sequences)
    .bind(&recorded)
    .execute(db)
    .await?;
    Ok(())
}
