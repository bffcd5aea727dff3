//! How far our readers have got, as `alerts_kept.progress` keeps it.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use readmodel::Reached;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, PgExecutor, PgPool, Row as _};

use crate::{telling, watching};

/// How far homes are watched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Watched {
    /// By the signals up to this sequence.
    pub signals: u64,
    /// By our own log up to this sequence.
    pub own: u64,
    /// The last sequence of our own log that came of it.
    pub written: u64,
    /// By where elders live up to this sequence of the registry's log.
    pub facts: u64,
    /// When the next timer falls due.
    pub next_due: Option<DateTime<Utc>>,
}

/// How far people are told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Whoever is to be told by our own log up to this sequence was, or is beyond reach and operators see it by now.
    pub own: u64,
    /// The same but for what is still gathered, or operators may not see yet: that is what lag is measured by.
    pub live: u64,
    /// The last sequence of our own log that came of it.
    pub written: u64,
}

impl Watched {
    /// Writes it.
    ///
    /// # Errors
    /// The database's.
    pub async fn write(&self, db: &mut PgConnection) -> Result<(), sqlx::Error> {
        let numbers = [self.signals, self.own, self.written, self.facts];
        write(db, watching::NAME, numbers, self.next_due).await
    }
}

impl Told {
    /// As the table says; none before the first start.
    ///
    /// # Errors
    /// The database's.
    pub async fn read(db: impl PgExecutor<'_>) -> Result<Option<Self>, sqlx::Error> {
        let row = read(db, telling::NAME).await?;
        Ok(row.map(|([own, written, live, _], _)| Self {
            own,
            // The version before did not write it.
            live: own.max(live),
            written,
        }))
    }

    /// Writes it.
    ///
    /// # Errors
    /// The database's.
    pub async fn write(&self, db: &mut PgConnection) -> Result<(), sqlx::Error> {
        let numbers = [self.own, self.written, self.live, 0];
        write(db, telling::NAME, numbers, None).await
    }
}

#[async_trait]
impl Reached for Watched {
    async fn told(pool: &PgPool) -> Result<Option<Self>, sqlx::Error> {
        let row = read(pool, watching::NAME).await?;
        Ok(row.map(|([signals, own, written, facts], next_due)| Self {
            signals,
            own,
            written,
            facts,
            next_due,
        }))
    }
}

#[async_trait]
impl Reached for Told {
    async fn told(pool: &PgPool) -> Result<Option<Self>, sqlx::Error> {
        Self::read(pool).await
    }
}

/// What a row says: numbers, and when something falls due.
type Kept = ([u64; 4], Option<DateTime<Utc>>);

async fn read(db: impl PgExecutor<'_>, reader: &str) -> Result<Option<Kept>, sqlx::Error> {
    let statement =
        "SELECT first, second, third, fourth, next_due FROM alerts_kept.progress WHERE reader = $1";
    let row = sqlx::query(statement)
        .bind(reader)
        .fetch_optional(db)
        .await?;
    row.map(|row| {
        let number = |row: &PgRow, column: usize| row.try_get(column).map(i64::cast_unsigned);
        let numbers = [
            number(&row, 0)?,
            number(&row, 1)?,
            number(&row, 2)?,
            number(&row, 3)?,
        ];
        Ok((numbers, row.try_get(4)?))
    })
    .transpose()
}

async fn write(
    db: &mut PgConnection,
    reader: &str,
    numbers: [u64; 4],
    next_due: Option<DateTime<Utc>>,
) -> Result<(), sqlx::Error> {
    let [first, second, third, fourth] = numbers.map(u64::cast_signed);
    sqlx::query(
        "INSERT INTO alerts_kept.progress (reader, first, second, third, fourth, next_due) \
         VALUES ($1, $2, $3, $4, $5, $6) \
         ON CONFLICT (reader) DO UPDATE SET first = excluded.first, second = excluded.second, third = excluded.third, \
             fourth = excluded.fourth, next_due = excluded.next_due",
    )
    .bind(reader)
    .bind(first)
    .bind(second)
    .bind(third)
    .bind(fourth)
    .bind(next_due)
    .execute(db)
    .await?;
    Ok(())
}
