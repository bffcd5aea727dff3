//! The read model of tiering's log: the policies that were published, by which elders are judged.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::NaiveDate;
use civic::LocalDay;
use elders::codec::read_day;
use eventlog::{RawEvent, Record};
use prost::{Message as _, Name as _};
use proto::eldercare::tiering::v1::PolicyPublished;
use readmodel::{ApplyError, Parked, Phase, Projection};
use sqlx::{AssertSqlSafe, PgConnection, PgExecutor, Row as _};
use tier_policy::policy::Policy;

use crate::standing::Published;

/// The projection's name and schema.
pub const NAME: &str = "visits_policies";

/// Folds tiering's records; of the tiers it takes nothing, since what holds on any day is asked of facts and policies.
#[derive(Debug, Default)]
pub struct PoliciesTable;

#[async_trait]
impl Projection for PoliciesTable {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> u32 {
        1
    }

    fn ddl(&self) -> &'static str {
        "CREATE TABLE policy (
            division text COLLATE \"C\" NOT NULL,
            version bigint NOT NULL,
            on_day date NOT NULL,
            published_at timestamptz NOT NULL,
            yaml text NOT NULL,
            sequence bigint NOT NULL,
            PRIMARY KEY (division, version)
        )"
    }

    async fn apply(
        &mut self,
        db: &mut PgConnection,
        records: &[Record],
        _: Phase,
    ) -> Result<Vec<Parked>, ApplyError> {
        let mut parked = Vec::new();
        for record in records
            .iter()
            .filter(|record| record.subject.aggregate() == "policy")
        {
            for event in &record.events {
                if event.event_type != PolicyPublished::full_name() {
                    parked.push(Parked::unknown_type(record, event));
                    continue;
                }
                match published(event) {
                    Some((message, on)) => write(db, record, &message, on).await?,
                    None => parked.push(Parked::malformed(record, event)),
                }
            }
        }
        Ok(parked)
    }
}

fn published(event: &RawEvent) -> Option<(PolicyPublished, LocalDay)> {
    let message = PolicyPublished::decode(event.data.clone()).ok()?;
    let on = message.on.and_then(read_day)?;
    Some((message, on))
}

async fn write(
    db: &mut PgConnection,
    record: &Record,
    message: &PolicyPublished,
    on: LocalDay,
) -> Result<(), ApplyError> {
    sqlx::query(
        "INSERT INTO policy (division, version, on_day, published_at, yaml, sequence) VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(&message.division_code)
    .bind(message.version)
    .bind(on.date())
    .bind(record.metadata.time)
    .bind(&message.yaml)
    .bind(record.sequence.cast_signed())
    .execute(db)
    .await?;
    Ok(())
}

/// All policies that were published, and the sequence of the last of them.
///
/// # Errors
/// The database's.
pub async fn all(db: impl PgExecutor<'_>) -> Result<(Vec<Published>, u64), sqlx::Error> {
    let statement = format!(
        "SELECT division, version, on_day, published_at, yaml, sequence FROM {NAME}.policy ORDER BY sequence"
    );
    let rows = sqlx::query(AssertSqlSafe(statement)).fetch_all(db).await?;
    let (mut policies, mut last) = (Vec::with_capacity(rows.len()), 0);
    for row in rows {
        last = row.try_get::<i64, _>(5)?.cast_unsigned();
        let (division, version) = (row.try_get::<&str, _>(0)?, row.try_get::<i64, _>(1)?);
        let on: NaiveDate = row.try_get(2)?;
        let policy = Policy::parse(row.try_get::<&str, _>(4)?);
        // Each was checked when it was published; the national one is the one that we ship, and has no division.
        let (Ok(code), Ok(on), Ok(policy)) = (division.parse(), LocalDay::try_from(on), policy)
        else {
            tracing::error!(
                division,
                version,
                "a published policy can't be read: the one above it holds"
            );
            continue;
        };
        policies.push(Published {
            division: code,
            version: version.cast_unsigned(),
            on,
            at: row.try_get(3)?,
            policy: Arc::new(policy),
        });
    }
    Ok((policies, last))
}
