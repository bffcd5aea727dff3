//! The rows of visitors and of their pairings.

use eventlog::Record;
use readmodel::ApplyError;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::book_table::{bits, place};
use crate::visitor::{Event, Profile};

/// Writes what happened to a visitor.
pub(crate) async fn write(
    db: &mut PgConnection,
    record: &Record,
    event: &Event,
) -> Result<(), ApplyError> {
    let sequence = record.sequence.cast_signed();
    match event {
        Event::Registered {
            visitor,
            profile,
            active_from,
        } => {
            sqlx::query(
                "INSERT INTO visitor (visitor_id, kind, home, weekly_capacity, modes, active_from, name, sequence) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            )
            .bind(visitor)
            .bind(place(profile.kind))
            .bind(profile.home.as_str())
            .bind(i32::from(profile.weekly_capacity))
            .bind(bits(profile.modes))
            .bind(active_from.date())
            .bind(profile.name.as_bytes().as_ref())
            .bind(sequence)
            .execute(&mut *db)
            .await?;
        }
        Event::Updated { visitor, profile } => update(db, *visitor, profile, sequence).await?,
        Event::Retired { visitor, last_day } => {
            sqlx::query(
                "UPDATE visitor SET active_until = $2, sequence = $3 WHERE visitor_id = $1",
            )
            .bind(visitor)
            .bind(last_day.date())
            .bind(sequence)
            .execute(&mut *db)
            .await?;
        }
        Event::Paired {
            visitor,
            elders,
            since,
        } => {
            let elders: Vec<Uuid> = elders.iter().map(|elder| elder.as_uuid()).collect();
            sqlx::query(
                "INSERT INTO pairing (visitor_id, elder_id, since) SELECT $1, elder_id, $3 FROM unnest($2::uuid[]) AS elder_id \
                 ON CONFLICT (visitor_id, elder_id) DO UPDATE SET since = excluded.since, last_day = NULL",
            )
            .bind(visitor)
            .bind(&elders)
            .bind(since.date())
            .execute(&mut *db)
            .await?;
            moved(db, *visitor, sequence).await?;
        }
        Event::Unpaired {
            visitor,
            elders,
            last_day,
        } => {
            let elders: Vec<Uuid> = elders.iter().map(|elder| elder.as_uuid()).collect();
            sqlx::query(
                "UPDATE pairing SET last_day = $3 WHERE visitor_id = $1 AND elder_id = ANY($2)",
            )
            .bind(visitor)
            .bind(&elders)
            .bind(last_day.date())
            .execute(&mut *db)
            .await?;
            moved(db, *visitor, sequence).await?;
        }
    }
    Ok(())
}

async fn update(
    db: &mut PgConnection,
    visitor: Uuid,
    profile: &Profile,
    sequence: i64,
) -> Result<(), ApplyError> {
    sqlx::query(
        "UPDATE visitor SET kind = $2, home = $3, weekly_capacity = $4, modes = $5, name = $6, sequence = $7 \
         WHERE visitor_id = $1",
    )
    .bind(visitor)
    .bind(place(profile.kind))
    .bind(profile.home.as_str())
    .bind(i32::from(profile.weekly_capacity))
    .bind(bits(profile.modes))
    .bind(profile.name.as_bytes().as_ref())
    .bind(sequence)
    .execute(db)
    .await?;
    Ok(())
}

async fn moved(db: &mut PgConnection, visitor: Uuid, sequence: i64) -> Result<(), ApplyError> {
    sqlx::query("UPDATE visitor SET sequence = $2 WHERE visitor_id = $1")
        .bind(visitor)
        .bind(sequence)
        .execute(db)
        .await?;
    Ok(())
}
