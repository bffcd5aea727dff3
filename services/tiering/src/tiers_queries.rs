//! Questions to the read models: who has which tier, how many there are, which policies were published.
//!
//! A tier is as its last event says, but for the village: a move alone is no event, so where an elder lives comes from
//! what holds today.

use std::collections::{BTreeMap, HashMap};

use civic::{DivisionCode, DivisionLevel, ElderId, VillageCode};
use sqlx::{AssertSqlSafe, PgExecutor, PgPool, Row as _};
use uuid::Uuid;

use crate::evaluate::{Jurisdiction, PolicyRef};
use crate::tiers_table::{self, PolicyRow, TierRow};
use crate::today_table::village;

/// A tier with where the elder lives today.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The tier.
    pub row: TierRow,
    /// The village.
    pub village: VillageCode,
}

/// Which tiers are listed.
#[derive(Clone, Debug)]
pub struct Filter {
    /// The subtree.
    pub division: DivisionCode,
    /// Only these tiers; all where empty.
    pub tiers: Vec<String>,
    /// Only with one of these reasons; any where empty.
    pub reasons: Vec<String>,
}

/// Counts of a subtree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// By tier.
    pub tiers: BTreeMap<String, u64>,
    /// By reason.
    pub reasons: BTreeMap<String, u64>,
    /// By division one level below, and there by tier.
    pub divisions: BTreeMap<String, BTreeMap<String, u64>>,
}

/// The tiers of elders; those without one are left out.
///
/// # Errors
/// The database's.
pub async fn of_elders(
    db: impl PgExecutor<'_>,
    elders: &[ElderId],
) -> Result<HashMap<ElderId, Found>, sqlx::Error> {
    let ids: Vec<Uuid> = elders.iter().map(ElderId::as_uuid).collect();
    let statement = format!(
        "SELECT {}, e.village FROM {}.tier t JOIN tiering_today.elder e USING (elder_id) \
         WHERE t.elder_id = ANY($1) AND t.tier IS NOT NULL",
        TierRow::COLUMNS,
        tiers_table::NAME,
    );
    let rows = sqlx::query(AssertSqlSafe(statement))
        .bind(&ids)
        .fetch_all(db)
        .await?;
    rows.iter()
        .map(|row| found(row).map(|found| (found.row.elder, found)))
        .collect()
}

/// A page of a subtree's tiers, in the order of elders' ids.
///
/// # Errors
/// The database's.
pub async fn list(
    db: impl PgExecutor<'_>,
    filter: &Filter,
    after: Option<ElderId>,
    most: u32,
) -> Result<Vec<Found>, sqlx::Error> {
    let statement = format!(
        "SELECT {}, e.village FROM {}.tier t JOIN tiering_today.elder e USING (elder_id) \
         WHERE e.village >= $1 AND e.village < $2 AND t.tier IS NOT NULL \
         AND ($3::uuid IS NULL OR t.elder_id > $3) \
         AND (cardinality($4::text[]) = 0 OR t.tier = ANY($4)) AND (cardinality($5::text[]) = 0 OR t.reasons && $5) \
         ORDER BY t.elder_id LIMIT $6",
        TierRow::COLUMNS,
        tiers_table::NAME,
    );
    let rows = sqlx::query(AssertSqlSafe(statement))
        .bind(filter.division.as_str())
        .bind(filter.division.beyond())
        .bind(after.map(|elder| elder.as_uuid()))
        .bind(&filter.tiers)
        .bind(&filter.reasons)
        .bind(i64::from(most))
        .fetch_all(db)
        .await?;
    rows.iter().map(found).collect()
}

/// Counts a subtree, in one snapshot.
///
/// # Errors
/// The database's.
pub async fn count(pool: &PgPool, division: &DivisionCode) -> Result<Counts, sqlx::Error> {
    let mut tx = pool
        .begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        .await?;
    let below = DivisionLevel::ALL
        .into_iter()
        .find(|level| level.parent() == Some(division.level()));
    let tiers = tiers_table::NAME;
    let subtree = format!(
        "FROM {tiers}.tier t JOIN tiering_today.elder e USING (elder_id){{}} \
         WHERE e.village >= $1 AND e.village < $2 AND t.tier IS NOT NULL GROUP BY"
    );
    let by_tier = format!(
        "SELECT t.tier, left(e.village, $3) AS below, count(*) {} t.tier, below",
        subtree.replace("{}", "")
    );
    let rows = sqlx::query(AssertSqlSafe(by_tier))
        .bind(division.as_str())
        .bind(division.beyond())
        .bind(below.map_or(0, |level| i32::try_from(level.digits()).unwrap_or_default()))
        .fetch_all(&mut *tx)
        .await?;
    let mut counts = Counts::default();
    for row in rows {
        let (tier, place, elders) = (
            row.try_get::<String, _>(0)?,
            row.try_get::<String, _>(1)?,
            row.try_get::<i64, _>(2)?,
        );
        let elders = elders.cast_unsigned();
        *counts.tiers.entry(tier.clone()).or_default() += elders;
        if below.is_some() {
            *counts
                .divisions
                .entry(place)
                .or_default()
                .entry(tier)
                .or_default() += elders;
        }
    }
    let by_reason = format!(
        "SELECT reason, count(*) {} reason",
        subtree.replace("{}", " CROSS JOIN LATERAL unnest(t.reasons) AS reason")
    );
    let rows = sqlx::query(AssertSqlSafe(by_reason))
        .bind(division.as_str())
        .bind(division.beyond())
        .fetch_all(&mut *tx)
        .await?;
    for row in rows {
        counts
            .reasons
            .insert(row.try_get(0)?, row.try_get::<i64, _>(1)?.cast_unsigned());
    }
    tx.commit().await?;
    Ok(counts)
}

fn found(row: &sqlx::postgres::PgRow) -> Result<Found, sqlx::Error> {
    Ok(Found {
        village: village(row.try_get(10)?)?,
        row: TierRow::of(row)?,
    })
}

/// A published policy: this version, or without one the last.
///
/// # Errors
/// The database's.
pub async fn policy(
    db: impl PgExecutor<'_>,
    jurisdiction: Jurisdiction,
    version: Option<u64>,
) -> Result<Option<PolicyRow>, sqlx::Error> {
    let statement = format!(
        "SELECT {} FROM {}.policy WHERE division = $1 AND ($2::bigint IS NULL OR version = $2) ORDER BY version DESC LIMIT 1",
        PolicyRow::COLUMNS,
        tiers_table::NAME,
    );
    let row = sqlx::query(AssertSqlSafe(statement))
        .bind(jurisdiction.as_str())
        .bind(version.map(u64::cast_signed))
        .fetch_optional(db)
        .await?;
    row.as_ref().map(PolicyRow::of).transpose()
}

/// A policy in a list, and whether it is its division's latest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The policy.
    pub row: PolicyRow,
    /// Whether it is the latest.
    pub latest: bool,
}

/// A page of the policies of some divisions (of all where there are none), by division and version.
///
/// # Errors
/// The database's.
pub async fn policies(
    db: impl PgExecutor<'_>,
    divisions: &[DivisionCode],
    after: Option<&PolicyRef>,
    most: u32,
) -> Result<Vec<Listed>, sqlx::Error> {
    let divisions: Vec<String> = divisions.iter().map(ToString::to_string).collect();
    let statement = format!(
        "SELECT {}, version = max(version) OVER (PARTITION BY division) AS latest FROM {}.policy \
         WHERE cardinality($1::text[]) = 0 OR division = ANY($1)",
        PolicyRow::COLUMNS,
        tiers_table::NAME,
    );
    let page = format!(
        "SELECT * FROM ({statement}) AS listed \
         WHERE $2::text IS NULL OR (division, version) > ($2, $3) ORDER BY division, version LIMIT $4"
    );
    let rows = sqlx::query(AssertSqlSafe(page))
        .bind(&divisions)
        .bind(after.map(|policy| policy.jurisdiction.to_string()))
        .bind(after.map_or(0, |policy| policy.version.cast_signed()))
        .bind(i64::from(most))
        .fetch_all(db)
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Listed {
                row: PolicyRow::of(row)?,
                latest: row.try_get(7)?,
            })
        })
        .collect()
}
