//! How far the adjudicator has got, as `claims_kept.progress` keeps it.

use async_trait::async_trait;
use readmodel::Reached;
use sqlx::{PgConnection, PgExecutor, PgPool, Row as _};

use crate::adjudicator;

/// How far orders are adjudicated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Adjudicated {
    /// Our own log up to this sequence.
    pub read: u64,
    /// The sequence of the last run.
    pub written: u64,
}

impl Adjudicated {
    /// As the table says; none before the first start.
    ///
    /// # Errors
    /// The database's.
    pub async fn known(db: impl PgExecutor<'_>) -> Result<Option<Self>, sqlx::Error> {
        let statement = "SELECT read, written FROM claims_kept.progress WHERE reader = $1";
        let row = sqlx::query(statement)
            .bind(adjudicator::NAME)
            .fetch_optional(db)
            .await?;
        row.map(|row| {
            Ok(Self {
                read: row.try_get::<i64, _>(0)?.cast_unsigned(),
                written: row.try_get::<i64, _>(1)?.cast_unsigned(),
            })
        })
        .transpose()
    }

    /// Writes it.
    ///
    /// # Errors
    /// The database's.
    pub async fn write(&self, db: &mut PgConnection) -> Result<(), sqlx::Error> {
        sqlx::query(
            "INSERT INTO claims_kept.progress (reader, read, written) VALUES ($1, $2, $3) \
             ON CONFLICT (reader) DO UPDATE SET read = excluded.read, written = excluded.written",
        )
        .bind(adjudicator::NAME)
        .bind(self.read.cast_signed())
        .bind(self.written.cast_signed())
        .execute(db)
        .await?;
        Ok(())
    }
}

#[async_trait]
impl Reached for Adjudicated {
    async fn told(pool: &PgPool) -> Result<Option<Self>, sqlx::Error> {
        Self::known(pool).await
    }
}
