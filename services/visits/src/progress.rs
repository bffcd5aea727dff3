//! How far our readers of the logs have got, as `visits_kept.progress` keeps it.

use async_trait::async_trait;
use readmodel::Reached;
use sqlx::{PgConnection, PgExecutor, PgPool, Row as _};

use crate::{on_visit_recorded, standings_kept};

/// How far elders' standings are laid out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LaidOut {
    /// By the facts up to this sequence of the registry's log.
    pub facts: u64,
    /// By the policies up to this sequence of tiering's log.
    pub policies: u64,
}

/// How far records are examined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Examined {
    /// Those up to this sequence of our own log.
    pub judged: u64,
    /// The last sequence of our own log that came of it.
    pub appended: u64,
}

impl LaidOut {
    /// As the table says; none before the first start.
    ///
    /// # Errors
    /// The database's.
    pub async fn read(db: impl PgExecutor<'_>) -> Result<Option<Self>, sqlx::Error> {
        let row = read(db, standings_kept::NAME).await?;
        Ok(row.map(|(facts, policies)| Self { facts, policies }))
    }

    /// Writes it, in the transaction of what it tells.
    ///
    /// # Errors
    /// The database's.
    pub async fn write(&self, db: &mut PgConnection) -> Result<(), sqlx::Error> {
        write(db, standings_kept::NAME, (self.facts, self.policies)).await
    }
}

impl Examined {
    /// As the table says; none before the first start.
    ///
    /// # Errors
    /// The database's.
    pub async fn read(db: impl PgExecutor<'_>) -> Result<Option<Self>, sqlx::Error> {
        let row = read(db, on_visit_recorded::NAME).await?;
        Ok(row.map(|(judged, appended)| Self { judged, appended }))
    }

    /// Writes it, in the transaction of what it tells.
    ///
    /// # Errors
    /// The database's.
    pub async fn write(&self, db: &mut PgConnection) -> Result<(), sqlx::Error> {
        write(db, on_visit_recorded::NAME, (self.judged, self.appended)).await
    }
}

#[async_trait]
impl Reached for LaidOut {
    async fn told(pool: &PgPool) -> Result<Option<Self>, sqlx::Error> {
        Self::read(pool).await
    }
}

#[async_trait]
impl Reached for Examined {
    /// Before the first record of an empty log there is no row, and nothing to wait for either.
    async fn told(pool: &PgPool) -> Result<Option<Self>, sqlx::Error> {
        Ok(Some(Self::read(pool).await?.unwrap_or_default()))
    }
}

async fn read(db: impl PgExecutor<'_>, reader: &str) -> Result<Option<(u64, u64)>, sqlx::Error> {
    let row = sqlx::query("SELECT first, second FROM visits_kept.progress WHERE reader = $1")
        .bind(reader)
        .fetch_optional(db)
        .await?;
    row.map(|row| {
        let number = |column: usize| row.try_get::<i64, _>(column).map(i64::cast_unsigned);
        Ok((number(0)?, number(1)?))
    })
    .transpose()
}

async fn write(
    db: &mut PgConnection,
    reader: &str,
    (first, second): (u64, u64),
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO visits_kept.progress (reader, first, second) VALUES ($1, $2, $3) \
         ON CONFLICT (reader) DO UPDATE SET first = excluded.first, second = excluded.second",
    )
    .bind(reader)
    .bind(first.cast_signed())
    .bind(second.cast_signed())
    .execute(db)
    .await?;
    Ok(())
}
