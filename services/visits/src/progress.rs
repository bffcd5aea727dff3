//! How far our readers of the logs have got, as `visits_kept.progress` keeps it.

use async_trait::async_trait;
use chrono::NaiveDate;
use civic::LocalDay;
use readmodel::Reached;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, PgExecutor, PgPool, Row as _};

use crate::{on_visit_recorded, standings_kept, visits};

/// How far elders' standings are laid out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LaidOut {
    /// By the facts up to this sequence of the registry's log.
    pub facts: u64,
    /// By the policies up to this sequence of tiering's log.
    pub policies: u64,
    /// Coverage is counted by the records up to this sequence of our own log.
    pub book: u64,
    /// The day as of which the current month's coverage is counted; none before it is counted at all.
    pub day: Option<LocalDay>,
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
        let row = sqlx::query(
            "SELECT first, second, third, (SELECT max(on_day) FROM visits_kept.counted_month) \
             FROM visits_kept.progress WHERE reader = $1",
        )
        .bind(standings_kept::NAME)
        .fetch_optional(db)
        .await?;
        row.map(|row| {
            let day: Option<NaiveDate> = row.try_get(3)?;
            Ok(Self {
                facts: number(&row, 0)?,
                policies: number(&row, 1)?,
                book: number(&row, 2)?,
                day: day.map(visits::day).transpose()?,
            })
        })
        .transpose()
    }

    /// Writes it, in the transaction of what it tells.
    ///
    /// # Errors
    /// The database's.
    pub async fn write(&self, db: &mut PgConnection) -> Result<(), sqlx::Error> {
        let numbers = [self.facts, self.policies, self.book];
        write(db, standings_kept::NAME, numbers).await
    }
}

impl Examined {
    /// As the table says; none before the first start.
    ///
    /// # Errors
    /// The database's.
    pub async fn read(db: impl PgExecutor<'_>) -> Result<Option<Self>, sqlx::Error> {
        let row = sqlx::query("SELECT first, second FROM visits_kept.progress WHERE reader = $1")
            .bind(on_visit_recorded::NAME)
            .fetch_optional(db)
            .await?;
        row.map(|row| {
            Ok(Self {
                judged: number(&row, 0)?,
                appended: number(&row, 1)?,
            })
        })
        .transpose()
    }

    /// Writes it, in the transaction of what it tells.
    ///
    /// # Errors
    /// The database's.
    pub async fn write(&self, db: &mut PgConnection) -> Result<(), sqlx::Error> {
        let numbers = [self.judged, self.appended, 0];
        write(db, on_visit_recorded::NAME, numbers).await
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

fn number(row: &PgRow, column: usize) -> Result<u64, sqlx::Error> {
    row.try_get(column).map(i64::cast_unsigned)
}

async fn write(db: &mut PgConnection, reader: &str, numbers: [u64; 3]) -> Result<(), sqlx::Error> {
    let [first, second, third] = numbers.map(u64::cast_signed);
    sqlx::query(
        "INSERT INTO visits_kept.progress (reader, first, second, third) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (reader) DO UPDATE SET first = excluded.first, second = excluded.second, third = excluded.third",
    )
    .bind(reader)
    .bind(first)
    .bind(second)
    .bind(third)
    .execute(db)
    .await?;
    Ok(())
}
