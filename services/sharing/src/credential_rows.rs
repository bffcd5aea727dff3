//! The rows of credentials: the one of each department that is good.

use sqlx::{AssertSqlSafe, PgConnection, PgExecutor};
use uuid::Uuid;

use crate::book_table::NAME;
use crate::credential::Event;

/// Writes what happened to a department's credential.
pub(crate) async fn write(
    db: &mut PgConnection,
    department: &str,
    event: &Event,
) -> Result<(), sqlx::Error> {
    let written = match event {
        Event::Issued { credential, .. } => {
            sqlx::query(
                "INSERT INTO feed_credential (department, credential_id) VALUES ($1, $2) \
                 ON CONFLICT (department) DO UPDATE SET credential_id = EXCLUDED.credential_id",
            )
            .bind(department)
            .bind(credential)
            .execute(db)
            .await
        }
        Event::Revoked { .. } => {
            sqlx::query("DELETE FROM feed_credential WHERE department = $1")
                .bind(department)
                .execute(db)
                .await
        }
    };
    written.map(drop)
}

/// The credential of a department that is good.
pub(crate) async fn current(
    db: impl PgExecutor<'_>,
    department: &str,
) -> Result<Option<Uuid>, sqlx::Error> {
    let statement =
        format!("SELECT credential_id FROM {NAME}.feed_credential WHERE department = $1");
    sqlx::query_scalar(AssertSqlSafe(statement))
        .bind(department)
        .fetch_optional(db)
        .await
}
