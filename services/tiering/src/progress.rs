//! How far the evaluator has got: whoever has just recorded a fact waits for it, and sees the tier that follows.

use async_trait::async_trait;
use chrono::NaiveDate;
use civic::LocalDay;
use readmodel::Reached;
use sqlx::{PgConnection, PgExecutor, PgPool, Row as _};

/// How far the evaluator has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Facts up to this sequence of the registry have been evaluated.
    pub registry: u64,
    /// Policies up to this sequence of our own log have been applied.
    pub tiering: u64,
    /// The last sequence of our own log that came of it.
    pub appended: u64,
    /// The day as of which all elders have been evaluated.
    pub day: LocalDay,
    /// Whether the first evaluation of everybody is done.
    pub begun: bool,
}

impl Progress {
    /// As the table says; none before the first start.
    ///
    /// # Errors
    /// The database's.
    pub async fn read(db: impl PgExecutor<'_>) -> Result<Option<Self>, sqlx::Error> {
        let row = sqlx::query(
            "SELECT registry, tiering, appended, day, begun FROM tiering_today.progress",
        )
        .fetch_optional(db)
        .await?;
        row.map(|row| {
            let day: NaiveDate = row.try_get(3)?;
            Ok(Self {
                registry: row.try_get::<i64, _>(0)?.cast_unsigned(),
                tiering: row.try_get::<i64, _>(1)?.cast_unsigned(),
                appended: row.try_get::<i64, _>(2)?.cast_unsigned(),
                day: LocalDay::try_from(day)
                    .map_err(|_day| sqlx::Error::Decode("column day holds no day".into()))?,
                begun: row.try_get(4)?,
            })
        })
        .transpose()
    }

    /// Writes it, in the transaction of what it tells.
    ///
    /// # Errors
    /// The database's.
    pub async fn write(&self, db: &mut PgConnection) -> Result<(), sqlx::Error> {
        sqlx::query(
            "INSERT INTO tiering_today.progress (registry, tiering, appended, day, begun) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (single) DO UPDATE SET registry = excluded.registry, tiering = excluded.tiering, \
             appended = excluded.appended, day = excluded.day, begun = excluded.begun",
        )
        .bind(self.registry.cast_signed())
        .bind(self.tiering.cast_signed())
        .bind(self.appended.cast_signed())
        .bind(self.day.date())
        .bind(self.begun)
        .execute(db)
        .await?;
        Ok(())
    }
}

#[async_trait]
impl Reached for Progress {
    /// Before everybody has been judged once nobody has been waited for long enough.
    async fn told(pool: &PgPool) -> Result<Option<Self>, sqlx::Error> {
        let progress = Self::read(pool).await?;
        Ok(progress.filter(|progress| progress.begun))
    }
}
