//! Coverage of a division on a day (探访覆盖率): of the elders in scope how many were met in its month, and of the visits that they owe
//! in their week or month how many took place.
//!
//! Rule: section 3, "Coverage" and "Duty". Who is in scope follows from the facts, as visits counts it, and not from the tiers that were
//! written down; how often a visit is owed follows from the tier.

use civic::{DivisionCode, LocalDay};
use sqlx::{AssertSqlSafe, PgExecutor, Row as _};

use crate::{elders_table, tiers_table, visits_table};

/// Coverage, and what is owed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Coverage {
    /// Elders in scope.
    pub(crate) in_scope: i64,
    /// Those of them who were met in the month, up to the day.
    pub(crate) covered: i64,
    /// Visits that are owed in the week or the month.
    pub(crate) owed: i64,
    /// Those of them that took place, up to the day.
    pub(crate) met: i64,
}

/// The coverage of a division on a day.
///
/// # Errors
/// The database's.
pub(crate) async fn coverage(
    db: impl PgExecutor<'_>,
    division: &DivisionCode,
    on: LocalDay,
) -> Result<Coverage, sqlx::Error> {
    let (homes, tiers, visits) = (elders_table::NAME, tiers_table::NAME, visits_table::NAME);
    // Of each elder the last day of a visit is enough: one in the month, or in the period in which a visit is owed, there was if
    // that day lies in it.
    let statement = format!(
        "SELECT count(*), count(*) FILTER (WHERE last_met >= $4), count(owed_from), \
             count(*) FILTER (WHERE last_met >= owed_from) \
         FROM (SELECT h.elder_id, period.first_day AS owed_from, max(r.day) AS last_met FROM {homes}.home h \
             LEFT JOIN {tiers}.spell s ON s.elder_id = h.elder_id \
                 AND s.from_day <= $3 AND (s.to_day IS NULL OR s.to_day > $3) \
             LEFT JOIN (VALUES ('MONTHLY', $4), ('WEEKLY', $5)) AS period (visit_interval, first_day) \
                 ON period.visit_interval = s.visit_interval AND EXISTS (SELECT 1 FROM {visits}.visiting v \
                     WHERE starts_with(h.village, v.division) AND v.start_on <= period.first_day) \
             LEFT JOIN {visits}.record r ON r.elder_id = h.elder_id AND r.counted \
                 AND r.day BETWEEN least($4, $5) AND $3 \
             WHERE h.village >= $1 AND h.village < $2 AND h.in_scope \
                 AND h.from_day <= $3 AND (h.to_day IS NULL OR h.to_day > $3) \
             GROUP BY h.elder_id, period.first_day) AS elder"
    );
    // Planned each time: a village is joined otherwise than a province.
    let row = sqlx::query(AssertSqlSafe(statement))
        .persistent(false)
        .bind(division.as_str())
        .bind(division.beyond())
        .bind(on.date())
        .bind(on.month().first_day().date())
        .bind(on.iso_week().first_day().date())
        .fetch_one(db)
        .await?;
    Ok(Coverage {
        in_scope: row.try_get(0)?,
        covered: row.try_get(1)?,
        owed: row.try_get(2)?,
        met: row.try_get(3)?,
    })
}
