//! Rests that begin before the table of agreements knows why, as rows: whoever suspends or ends an agreement has the department's
//! consumer rest at once, and nobody wakes it before the table has come as far as that record of our log.

use sqlx::{PgConnection, PgPool};

use crate::book_table::NAME;

/// Has a department's consumer rest until the table of agreements holds a record of our log.
///
/// # Errors
/// The database's.
pub(super) async fn rest_until(
    pool: &PgPool,
    department: &str,
    sequence: u64,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO sharing_kept.feed_rest (department, until) VALUES ($1, $2) \
         ON CONFLICT (department) DO UPDATE SET until = greatest(feed_rest.until, excluded.until)",
    )
    .bind(department)
    .bind(sequence.cast_signed())
    .execute(pool)
    .await?;
    Ok(())
}

/// Whether the table of agreements has yet to come so far.
///
/// # Errors
/// The database's.
pub(super) async fn rests(db: &mut PgConnection, department: &str) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM sharing_kept.feed_rest r WHERE r.department = $1 AND r.until > \
             coalesce((SELECT c.sequence FROM readmodel.checkpoint c WHERE c.projection = $2), 0))",
    )
    .bind(department)
    .bind(NAME)
    .fetch_one(db)
    .await
}

/// The last record of our log that some rest lasts until; 0 where there is none.
///
/// # Errors
/// The database's.
pub(super) async fn last_until(pool: &PgPool) -> Result<u64, sqlx::Error> {
    let last: Option<i64> = sqlx::query_scalar("SELECT max(until) FROM sharing_kept.feed_rest")
        .fetch_one(pool)
        .await?;
    Ok(last.unwrap_or_default().cast_unsigned())
}

/// Forgets rests that last until a record beyond this one, up to another: our log was put back to an earlier state since they
/// began, and may never come so far.
///
/// # Errors
/// The database's.
pub(super) async fn forget_beyond(pool: &PgPool, end: u64, known: u64) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM sharing_kept.feed_rest WHERE until > $1 AND until <= $2")
        .bind(end.cast_signed())
        .bind(known.cast_signed())
        .execute(pool)
        .await?;
    Ok(())
}
