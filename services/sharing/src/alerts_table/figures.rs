//! What a situation counts of alerts: those that are open, and how fast help came.

use chrono::{DateTime, Utc};
use civic::{AlertKind, DivisionCode, HelpStage, LocalDay, Severity};
use elder_tables::columns::{place, word};
use sqlx::{AssertSqlSafe, PgExecutor, Row as _};

use super::NAME;

/// How many alerts of a kind were not over at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OpenAlerts {
    /// How urgent they are.
    pub(crate) severity: Severity,
    /// What they are about.
    pub(crate) kind: AlertKind,
    /// How many.
    pub(crate) alerts: i64,
}

/// The alerts of a division that were not over at an instant, by severity and kind, the most urgent first.
///
/// # Errors
/// The database's; a row of another version of the program.
pub(crate) async fn open(
    db: impl PgExecutor<'_>,
    division: &DivisionCode,
    at: DateTime<Utc>,
) -> Result<Vec<OpenAlerts>, sqlx::Error> {
    // The state stands in the text, so that the index of open alerts serves.
    let statement = format!(
        "SELECT severity, kind, count(*) FROM {NAME}.alert \
         WHERE village >= $1 AND village < $2 AND raised_at < $3 AND (state <> {} OR resolved_at >= $3) \
         GROUP BY severity, kind ORDER BY severity, kind",
        place(HelpStage::Resolved)
    );
    let rows = sqlx::query(AssertSqlSafe(statement))
        .bind(division.as_str())
        .bind(division.beyond())
        .bind(at)
        .fetch_all(db)
        .await?;
    rows.iter()
        .map(|row| {
            Ok(OpenAlerts {
                severity: word(row.try_get(0)?)?,
                kind: word(row.try_get(1)?)?,
                alerts: row.try_get(2)?,
            })
        })
        .collect()
}

/// How long it took from alerts to something that followed, in whole seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Delay {
    /// Of how many alerts it followed.
    pub(crate) alerts: i64,
    /// The median; none where it followed of no alert.
    pub(crate) median: Option<i64>,
    /// The 90th percentile.
    pub(crate) ninetieth: Option<i64>,
}

/// How fast help came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ResponseTimes {
    /// How many alerts there were.
    pub(crate) alerts: i64,
    /// Until somebody took them on.
    pub(crate) acknowledged: Delay,
    /// Until somebody came.
    pub(crate) arrived: Delay,
}

/// How fast help came in a division, of alerts of some severities that were raised on some days, both included. What
/// followed after these days is left out, so that figures of past days stay as they were.
///
/// # Errors
/// The database's.
pub(crate) async fn response_times(
    db: impl PgExecutor<'_>,
    division: &DivisionCode,
    severities: &[Severity],
    first: LocalDay,
    last: LocalDay,
) -> Result<ResponseTimes, sqlx::Error> {
    let delays = ["acknowledged_at", "arrived_at"].map(|until| {
        // What an alert bears a later time than, such as a device's fast clock, took no time.
        let seconds =
            format!("greatest(floor(extract(epoch FROM {until} - raised_at)), 0)::bigint");
        let there = format!("FILTER (WHERE {until} < $4)");
        format!(
            "count(*) {there}, percentile_disc(0.5) WITHIN GROUP (ORDER BY {seconds}) {there}, \
             percentile_disc(0.9) WITHIN GROUP (ORDER BY {seconds}) {there}"
        )
    });
    let statement = format!(
        "SELECT count(*), {} FROM {NAME}.alert \
         WHERE village >= $1 AND village < $2 AND raised_at >= $3 AND raised_at < $4 AND severity = ANY($5)",
        delays.join(", ")
    );
    let row = sqlx::query(AssertSqlSafe(statement))
        .bind(division.as_str())
        .bind(division.beyond())
        .bind(first.start())
        .bind(last.end())
        .bind(severities.iter().copied().map(place).collect::<Vec<_>>())
        .fetch_one(db)
        .await?;
    let delay = |column: usize| -> Result<Delay, sqlx::Error> {
        Ok(Delay {
            alerts: row.try_get(column)?,
            median: row.try_get(column + 1)?,
            ninetieth: row.try_get(column + 2)?,
        })
    };
    Ok(ResponseTimes {
        alerts: row.try_get(0)?,
        acknowledged: delay(1)?,
        arrived: delay(4)?,
    })
}
