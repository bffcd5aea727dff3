//! The rows of agreements: one for each, as it stands.

use civic::{DivisionCode, LocalDay};
use eventlog::Record;
use prost::Message as _;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection, PgExecutor};
use uuid::Uuid;

use crate::agreement::{Event, Stage};
use crate::book_table::NAME;
use crate::codec;

/// It waits for approval.
pub(crate) const PROPOSED: &str = "PROPOSED";
/// It was approved.
pub(crate) const APPROVED: &str = "APPROVED";
/// It waits to be approved anew.
pub(crate) const SUSPENDED: &str = "SUSPENDED";
/// It is over for good.
pub(crate) const ENDED: &str = "ENDED";

/// The stage of a row.
pub(crate) fn stage(word: &str, suspended_by: String) -> Option<Stage> {
    match word {
        PROPOSED => Some(Stage::Proposed),
        APPROVED => Some(Stage::Approved),
        SUSPENDED => Some(Stage::Suspended { by: suspended_by }),
        ENDED => Some(Stage::Ended),
        _ => None,
    }
}

/// The ids of the agreements that are in force on a day, the first proposed first. Terms never change: the ids tell all.
///
/// # Errors
/// The database's.
pub(crate) async fn ids_in_force(
    db: impl PgExecutor<'_>,
    on: LocalDay,
) -> Result<Vec<Uuid>, sqlx::Error> {
    let statement = format!(
        "SELECT agreement_id FROM {NAME}.agreement WHERE stage = $1 AND last_day >= $2 ORDER BY sequence"
    );
    sqlx::query_scalar(AssertSqlSafe(statement))
        .bind(APPROVED)
        .bind(on.date())
        .fetch_all(db)
        .await
}

/// The rows (`agreement_id, terms`) of the agreements that are in force on a day, with a department or with all, the first
/// proposed first.
///
/// # Errors
/// The database's.
pub(crate) async fn rows_in_force(
    db: impl PgExecutor<'_>,
    on: LocalDay,
    department: Option<&str>,
) -> Result<Vec<PgRow>, sqlx::Error> {
    let statement = format!(
        "SELECT agreement_id, terms FROM {NAME}.agreement WHERE stage = $1 AND last_day >= $2 \
         AND ($3::text IS NULL OR department = $3) ORDER BY sequence"
    );
    sqlx::query(AssertSqlSafe(statement))
        .bind(APPROVED)
        .bind(on.date())
        .bind(department)
        .fetch_all(db)
        .await
}

/// The rows (`agreement_id, terms`) of some agreements.
///
/// # Errors
/// The database's.
pub(crate) async fn rows_of(
    db: impl PgExecutor<'_>,
    agreements: &[Uuid],
) -> Result<Vec<PgRow>, sqlx::Error> {
    let statement =
        format!("SELECT agreement_id, terms FROM {NAME}.agreement WHERE agreement_id = ANY($1)");
    let rows = sqlx::query(AssertSqlSafe(statement)).bind(agreements);
    rows.fetch_all(db).await
}

/// Writes what happened to an agreement. There are few, so each event is written by itself.
pub(crate) async fn write(
    db: &mut PgConnection,
    record: &Record,
    agreement: Uuid,
    event: &Event,
) -> Result<(), sqlx::Error> {
    let written = match event {
        Event::Proposed { terms, by } => {
            let divisions: Vec<&str> = terms.divisions.iter().map(DivisionCode::as_str).collect();
            sqlx::query(
                "INSERT INTO agreement (agreement_id, sequence, department, stage, terms, divisions, last_day, \
                 proposed_by, proposed_at, approved_by, suspended_by, reason) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, '', '', '') ON CONFLICT DO NOTHING",
            )
            .bind(agreement)
            .bind(record.sequence.cast_signed())
            .bind(&terms.department)
            .bind(PROPOSED)
            .bind(codec::write_terms(terms).encode_to_vec())
            .bind(divisions)
            .bind(terms.until.date())
            .bind(by)
            .bind(record.metadata.time)
            .execute(db)
            .await
        }
        Event::Approved { by } => {
            sqlx::query(
                "UPDATE agreement SET stage = $2, approved_by = $3, approved_at = $4, suspended_by = '', reason = '' \
                 WHERE agreement_id = $1",
            )
            .bind(agreement)
            .bind(APPROVED)
            .bind(by)
            .bind(record.metadata.time)
            .execute(db)
            .await
        }
        Event::Suspended { reason, by } => {
            sqlx::query(
                "UPDATE agreement SET stage = $2, suspended_by = $3, reason = $4 WHERE agreement_id = $1",
            )
            .bind(agreement)
            .bind(SUSPENDED)
            .bind(by)
            .bind(reason)
            .execute(db)
            .await
        }
        Event::Ended { reason } => {
            sqlx::query("UPDATE agreement SET stage = $2, reason = $3 WHERE agreement_id = $1")
                .bind(agreement)
                .bind(ENDED)
                .bind(reason)
                .execute(db)
                .await
        }
    };
    written.map(drop)
}
