//! How far our readers have got, as `claims_kept` keeps it.

use async_trait::async_trait;
use readmodel::Reached;
use sqlx::postgres::PgRow;
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
    /// The first record of our own log by which something has ended, while orders of the days after it are still to be looked at.
    pub ended: Option<u64>,
}

impl Adjudicated {
    /// As the table says; none before the first start.
    ///
    /// # Errors
    /// The database's.
    pub async fn known(db: impl PgExecutor<'_>) -> Result<Option<Self>, sqlx::Error> {
        let statement = "SELECT first, second FROM claims_kept.progress WHERE reader = $1";
        let row = sqlx::query(statement)
            .bind(adjudicator::NAME)
            .fetch_optional(db)
            .await?;
        row.map(|row| {
            let [read, written] = numbers(&row)?;
            Ok(Self { read, written })
        })
        .transpose()
    }

    /// Writes it.
    ///
    /// # Errors
    /// The database's.
    pub async fn write(&self, db: &mut PgConnection) -> Result<(), sqlx::Error> {
        sqlx::query(
            "INSERT INTO claims_kept.progress (reader, first, second) VALUES ($1, $2, $3) \
             ON CONFLICT (reader) DO UPDATE SET first = excluded.first, second = excluded.second",
        )
        .bind(adjudicator::NAME)
        .bind(self.read.cast_signed())
        .bind(self.written.cast_signed())
        .execute(db)
        .await?;
        Ok(())
    }
}

impl Rechecked {
    /// As the tables say; none before the first start.
    ///
    /// # Errors
    /// The database's.
    pub async fn known(db: impl PgExecutor<'_>) -> Result<Option<Self>, sqlx::Error> {
        let statement = "SELECT first, greatest(second, third), (SELECT min(sequence) FROM claims_kept.ended) \
             FROM claims_kept.progress WHERE reader = $1";
        let row = sqlx::query(statement)
            .bind(on_elder_facts::NAME)
            .fetch_optional(db)
            .await?;
        row.map(|row| {
            let [registry, own] = numbers(&row)?;
            let ended: Option<i64> = row.try_get(2)?;
            Ok(Self {
                registry,
                own,
                ended: ended.map(i64::cast_unsigned),
            })
        })
        .transpose()
    }

    /// Writes how far both logs are read; the same with what has ended by then, which has rows of its own that are written before.
    ///
    /// # Errors
    /// The database's.
    pub async fn write(self, db: &mut PgConnection) -> Result<Self, sqlx::Error> {
        let ended: Option<i64> = sqlx::query_scalar(
            "INSERT INTO claims_kept.progress (reader, first, second, third) \
             VALUES ($1, $2, least($3, (SELECT min(sequence) - 1 FROM claims_kept.ended)), $3) \
             ON CONFLICT (reader) DO UPDATE \
             SET first = excluded.first, second = excluded.second, third = excluded.third \
             RETURNING (SELECT min(sequence) FROM claims_kept.ended)",
        )
        .bind(on_elder_facts::NAME)
        .bind(self.registry.cast_signed())
        .bind(self.own.cast_signed())
        .fetch_one(db)
        .await?;
        Ok(Self {
            ended: ended.map(i64::cast_unsigned),
            ..self
        })
    }

    /// Our own log up to this sequence, with all that follows from it.
    #[must_use]
    pub fn own_followed(&self) -> u64 {
        let before = |first: u64| first.saturating_sub(1);
        self.ended.map_or(self.own, before)
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

fn numbers(row: &PgRow) -> Result<[u64; 2], sqlx::Error> {
    let (first, second): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
    Ok([first, second].map(i64::cast_unsigned))
}
