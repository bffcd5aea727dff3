//! The rows of absences, recipients and rules.

use eventlog::Record;
use prost::Message as _;
use readmodel::ApplyError;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::absence;
use crate::board_table::place;
use crate::codec;
use crate::division_policy::Published;
use crate::recipient;

/// Writes that somebody left or came back.
pub(crate) async fn write_absence(
    db: &mut PgConnection,
    record: &Record,
    event: absence::Event,
) -> Result<(), ApplyError> {
    let Ok(elder) = record.subject.id().parse::<Uuid>() else {
        return Ok(());
    };
    match event {
        absence::Event::Marked(reason) => {
            sqlx::query(
                "INSERT INTO away (elder_id, reason, since) VALUES ($1, $2, $3) \
                 ON CONFLICT (elder_id) DO UPDATE SET reason = excluded.reason, since = excluded.since",
            )
            .bind(elder)
            .bind(place(reason))
            .bind(record.metadata.time)
            .execute(db)
            .await?;
        }
        absence::Event::Ended => {
            sqlx::query("DELETE FROM away WHERE elder_id = $1")
                .bind(elder)
                .execute(db)
                .await?;
        }
    }
    Ok(())
}

/// Writes what is said of a recipient.
pub(crate) async fn write_recipient(
    db: &mut PgConnection,
    record: &Record,
    said: &recipient::Said,
) -> Result<(), ApplyError> {
    let Ok(id) = record.subject.id().parse::<Uuid>() else {
        return Ok(());
    };
    sqlx::query(
        "INSERT INTO recipient (recipient_id, role, division, active, details) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (recipient_id) DO UPDATE SET role = excluded.role, division = excluded.division, \
             active = excluded.active, details = excluded.details",
    )
    .bind(id)
    .bind(place(said.role))
    .bind(said.division.as_str())
    .bind(said.active)
    .bind(said.details.as_bytes().to_vec())
    .execute(db)
    .await?;
    Ok(())
}

/// Writes a division's rules.
pub(crate) async fn write_policy(
    db: &mut PgConnection,
    record: &Record,
    published: &Published,
) -> Result<(), ApplyError> {
    sqlx::query(
        "INSERT INTO policy (division, version, policy, sequence) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (division) DO UPDATE SET version = excluded.version, policy = excluded.policy, \
             sequence = excluded.sequence",
    )
    .bind(published.division.as_str())
    .bind(published.version.cast_signed())
    .bind(codec::write_policy(&published.policy).encode_to_vec())
    .bind(record.sequence.cast_signed())
    .execute(db)
    .await?;
    Ok(())
}
