//! What follows from signals and timers becomes deeds of lines of alerts.

use std::collections::HashSet;

use eventlog::Repository;
use sqlx::{AssertSqlSafe, PgPool};
use uuid::Uuid;

use crate::alert_line::AlertLine;
use crate::board_table;
use crate::deeds::{Deed, MANY};
use crate::reader::Failed;

/// The id of the alert that a request raises.
pub(crate) fn alert_of(request: Uuid) -> Uuid {
    Uuid::new_v5(&request, b"alert")
}

/// Most homes have never had an alert of the kind: where there are many at once, their lines need not be looked for in the
/// log one by one.
pub(crate) async fn assume_new(
    lines: &Repository<AlertLine>,
    pool: &PgPool,
    deeds: &[Deed<AlertLine>],
) -> Result<(), Failed> {
    if deeds.len() < MANY {
        return Ok(());
    }
    let wanted: HashSet<&str> = deeds.iter().map(|deed| deed.id.as_str()).collect();
    let wanted: Vec<&str> = wanted.into_iter().collect();
    let statement = format!(
        "SELECT DISTINCT line FROM {}.alert WHERE line = ANY($1)",
        board_table::NAME
    );
    let known: Vec<String> = sqlx::query_scalar(AssertSqlSafe(statement))
        .bind(&wanted)
        .fetch_all(pool)
        .await?;
    let known: HashSet<&str> = known.iter().map(String::as_str).collect();
    for line in wanted.into_iter().filter(|line| !known.contains(line)) {
        lines
            .assume_new(line)
            .map_err(|error| Failed::unwritten(&error))?;
    }
    Ok(())
}
