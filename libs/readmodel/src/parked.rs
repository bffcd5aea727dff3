//! Events that a read model passed by, for an operator to look at.
//!
//! There is no retry of a single event: the ones after it have been applied, and order matters. Once the program knows
//! what to do with them, its version is raised (or `rebuild` called), and the rebuilt model parks what still must be.
//! What a reader passed by are rows, at which it may look again by itself, and messages of an aggregate that it asked for.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{PgConnection, PgPool, Row};

use crate::checkpoint::signed;
use crate::failure::Error;
use crate::projection::Parked;

/// An event that was passed by, as it was recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ParkedEvent {
    /// Its number in the list.
    pub id: i64,
    /// The projection that passed it by.
    pub projection: String,
    /// The stream that it lies in.
    pub stream: String,
    /// Its record's sequence in the stream.
    pub sequence: u64,
    /// Its place among the events of its record, counted from 0.
    pub place: u32,
    /// The subject of its record.
    pub subject: String,
    /// Its type; empty where the record itself could not be read.
    pub event_type: String,
    /// Why, as a class of error.
    pub reason: String,
    /// Its bytes as they lie in the log, with personal data sealed.
    #[serde(skip)]
    pub payload: Vec<u8>,
    /// When it was passed by.
    pub parked_at: DateTime<Utc>,
}

/// Lists parked events of a projection, or of all, by number: at most `limit` of those after `after`.
///
/// # Errors
/// The database's.
pub async fn list(
    pool: &PgPool,
    projection: Option<&str>,
    after: i64,
    limit: u32,
) -> Result<Vec<ParkedEvent>, Error> {
    let rows = sqlx::query(
        "SELECT id, projection, stream, sequence, place, subject, event_type, reason, payload, parked_at \
         FROM readmodel.parked WHERE id > $1 AND ($2::text IS NULL OR projection = $2) ORDER BY id LIMIT $3",
    )
    .bind(after)
    .bind(projection)
    .bind(i64::from(limit))
    .fetch_all(pool)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(ParkedEvent {
                id: row.try_get(0)?,
                projection: row.try_get(1)?,
                stream: row.try_get(2)?,
                sequence: row.try_get::<i64, _>(3)?.unsigned_abs(),
                place: row.try_get::<i32, _>(4)?.unsigned_abs(),
                subject: row.try_get(5)?,
                event_type: row.try_get(6)?,
                reason: row.try_get(7)?,
                payload: row.try_get(8)?,
                parked_at: row.try_get(9)?,
            })
        })
        .collect()
}

/// How many events a projection, or all, have passed by.
///
/// # Errors
/// The database's.
pub async fn count(pool: &PgPool, projection: Option<&str>) -> Result<u64, Error> {
    let count: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM readmodel.parked WHERE $1::text IS NULL OR projection = $1",
    )
    .bind(projection)
    .fetch_one(pool)
    .await?;
    Ok(count.unsigned_abs())
}

/// Takes an event off the list once it was dealt with; says whether it was there.
///
/// # Errors
/// The database's.
pub async fn discard(pool: &PgPool, id: i64) -> Result<bool, Error> {
    let gone = sqlx::query("DELETE FROM readmodel.parked WHERE id = $1")
        .bind(id)
        .execute(pool)
        .await?;
    Ok(gone.rows_affected() > 0)
}

/// Parks what a projection or a reader passes by, and says how much of it is new; what is parked already stays as it is.
///
/// # Errors
/// The database's.
pub async fn park(
    conn: &mut PgConnection,
    passed_by: &str,
    stream: &str,
    parked: &[Parked],
) -> Result<u64, Error> {
    let mut new = 0;
    for event in parked {
        let inserted = sqlx::query(
            "INSERT INTO readmodel.parked (projection, stream, sequence, place, subject, event_type, reason, payload) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING",
        )
        .bind(passed_by)
        .bind(stream)
        .bind(signed(event.sequence))
        .bind(i32::try_from(event.place).unwrap_or(i32::MAX))
        .bind(storable(&event.subject))
        .bind(storable(&event.event_type))
        .bind(storable(&event.reason))
        .bind(event.payload.as_ref())
        .execute(&mut *conn)
        .await?;
        new += inserted.rows_affected();
    }
    Ok(new)
}

/// What came from a foreign message must not be able to fail here: PostgreSQL takes no NUL, an index no long text.
fn storable(text: &str) -> String {
    text.chars().filter(|c| *c != '\0').take(300).collect()
}
