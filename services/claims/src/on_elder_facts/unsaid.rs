//! Orders against which something was found that could not be said, since their provider's settlements can't be read, or of which
//! something could not be asked, since their programme's version can't be, and by which record: rows of `claims_kept.unsaid`. Whoever
//! leads anew looks at them once more: it may be a program that can read them.

use eventlog::Position;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};
use uuid::Uuid;

use super::affected::PAGE;
use super::told::Cause;

/// Keeps an order, by the last record that had it looked at.
pub(super) async fn keep(
    db: &mut PgConnection,
    order: Uuid,
    cause: &Cause,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO claims_kept.unsaid (order_key, stream, sequence, record_id, correlation_id, traceparent) \
         VALUES ($1, $2, $3, $4, $5, $6) \
         ON CONFLICT (order_key) DO UPDATE SET stream = excluded.stream, sequence = excluded.sequence, \
             record_id = excluded.record_id, correlation_id = excluded.correlation_id, traceparent = excluded.traceparent",
    )
    .bind(order)
    .bind(&cause.position.stream)
    .bind(cause.position.sequence.cast_signed())
    .bind(cause.id)
    .bind(cause.correlation)
    .bind(&cause.traceparent)
    .execute(db)
    .await?;
    Ok(())
}

/// The next ones after an order; a page at the most.
pub(super) async fn after(
    db: &mut PgConnection,
    order: Uuid,
) -> Result<Vec<(Uuid, Cause)>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT order_key, stream, sequence, record_id, correlation_id, traceparent \
         FROM claims_kept.unsaid WHERE order_key > $1 ORDER BY order_key LIMIT $2",
    )
    .bind(order)
    .bind(i64::try_from(PAGE).unwrap_or(i64::MAX))
    .fetch_all(db)
    .await?;
    rows.iter().map(kept).collect()
}

fn kept(row: &PgRow) -> Result<(Uuid, Cause), sqlx::Error> {
    let sequence: i64 = row.try_get(2)?;
    let cause = Cause {
        position: Position::new(row.try_get::<String, _>(1)?, sequence.cast_unsigned()),
        id: row.try_get(3)?,
        correlation: row.try_get(4)?,
        traceparent: row.try_get(5)?,
    };
    Ok((row.try_get(0)?, cause))
}

/// Nothing is left to be said of these.
pub(super) async fn forget(db: &mut PgConnection, orders: &[Uuid]) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM claims_kept.unsaid WHERE order_key = ANY($1)")
        .bind(orders)
        .execute(db)
        .await?;
    Ok(())
}
