//! The rows of erasures: one for each department that was asked to erase what it holds of an elder.

use civic::ElderId;
use eventlog::Record;
use sqlx::PgConnection;

use crate::erasure::Event;

/// Writes what happened to the word of an elder's erasure. There are few, so each event is written by itself.
pub(crate) async fn write(
    db: &mut PgConnection,
    record: &Record,
    elder: ElderId,
    event: &Event,
) -> Result<(), sqlx::Error> {
    match event {
        Event::Asked { departments } => {
            let departments: Vec<&str> = departments.iter().map(String::as_str).collect();
            sqlx::query(
                "INSERT INTO erasure (elder_id, department, sequence, place, asked_at, confirmed_by) \
                 SELECT $1, department, $2, place::integer, $3, '' \
                 FROM unnest($4::text[]) WITH ORDINALITY AS asked (department, place) ON CONFLICT DO NOTHING",
            )
            .bind(elder.as_uuid())
            .bind(record.sequence.cast_signed())
            .bind(record.metadata.time)
            .bind(departments)
            .execute(db)
            .await?;
        }
        Event::Confirmed { department, by } => {
            sqlx::query(
                "UPDATE erasure SET confirmed_at = $3, confirmed_by = $4 WHERE elder_id = $1 AND department = $2",
            )
            .bind(elder.as_uuid())
            .bind(department)
            .bind(record.metadata.time)
            .bind(by)
            .execute(db)
            .await?;
        }
    }
    Ok(())
}
