//! How far our readers have got, as `claims_kept.progress` keeps it.

use async_trait::async_trait;
use readmodel::Reached;
use sqlx::{PgConnection, PgExecutor, PgPool, Row as _};

use crate::{adjudicator, on_elder_facts};

/// How far orders are adjudicated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Adjudicated {
    /// Our own log up to this sequence.
    pub read: u64,
    /// The sequence of the last run.
    pub written: u64,
}

/// How far facts and approvals are looked at again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rechecked {
    /// The registry's log up to this sequence.
    pub registry: u64,
    /// Our own log up to this sequence.
    pub own: u64,
}

impl Adjudicated {
    /// As the table says; none before the first start.
    ///
    /// # Errors
    /// The database's.
    pub async fn known(db: impl PgExecutor<'_>) -> Result<Option<Self>, sqlx::Error> {
        let numbers = known(db, adjudicator::NAME).await?;
        Ok(numbers.map(|[read, written]| Self { read, written }))
    }

    /// Writes it.
    ///
    /// # Errors
    /// The database's.
    pub async fn write(&self, db: &mut PgConnection) -> Result<(), sqlx::Error> {
        write(db, adjudicator::NAME, [self.read, self.written]).await
    }
}

impl Rechecked {
    /// As the table says; none before the first start.
    ///
    /// # Errors
    /// The database's.
    pub async fn known(db: impl PgExecutor<'_>) -> Result<Option<Self>, sqlx::Error> {
        let numbers = known(db, on_elder_facts::NAME).await?;
        Ok(numbers.map(|[registry, own]| Self { registry, own }))
    }

    /// Writes it.
    ///
    /// # Errors
    /// The database's.
    pub async fn write(&self, db: &mut PgConnection) -> Result<(), sqlx::Error> {
        write(db, on_elder_facts::NAME, [self.registry, self.own]).await
    }
}

#[async_trait]
impl Reached for Adjudicated {
    async fn told(pool: &PgPool) -> Result<Option<Self>, sqlx::Error> {
        Self::known(pool).await
    }
}

#[async_trait]
impl Reached for Rechecked {
    async fn told(pool: &PgPool) -> Result<Option<Self>, sqlx::Error> {
        Self::known(pool).await
    }
}

async fn known(db: impl PgExecutor<'_>, reader: &str) -> Result<Option<[u64; 2]>, sqlx::Error> {
    let statement = "SELECT first, second FROM claims_kept.progress WHERE reader = $1";
    let row = sqlx::query(statement)
        .bind(reader)
        .fetch_optional(db)
        .await?;
    row.map(|row| {
        let (first, second): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
        Ok([first, second].map(i64::cast_unsigned))
    })
    .transpose()
}

async fn write(db: &mut PgConnection, reader: &str, numbers: [u64; 2]) -> Result<(), sqlx::Error> {
    let [first, second] = numbers.map(u64::cast_signed);
    sqlx::query(
        "INSERT INTO claims_kept.progress (reader, first, second) VALUES ($1, $2, $3) \
         ON CONFLICT (reader) DO UPDATE SET first = excluded.first, second = excluded.second",
    )
    .bind(reader)
    .bind(first)
    .bind(second)
    .execute(db)
    .await?;
    Ok(())
}
