//! Whether everybody has the tier that is due: all elders judged once more, and compared with what holds and what was written.

use std::collections::HashMap;
use std::sync::Arc;

use civic::{ElderId, LocalDay};
use futures::TryStreamExt as _;
use sqlx::{AssertSqlSafe, PgPool, Row as _};

use crate::evaluate::{Judge, PolicyRef};
use crate::facts_key::FactsKey;
use crate::facts_table;
use crate::policies_in_force::Policies;
use crate::progress::Progress;
use crate::tiers_table::{self, TierRow};
use crate::today_table::Today;

/// How many elders are named.
const NAMED: usize = 20;

/// What an audit found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// Elders judged.
    pub elders: u64,
    /// The day as of which they were.
    pub day: Option<LocalDay>,
    /// Elders of whom something else holds today than follows from their facts, or whose facts can't be read.
    pub stale: Vec<ElderId>,
    /// How many these are.
    pub stale_count: u64,
    /// Elders whose tier on record is another than the policy in force gives.
    pub mistaken: Vec<ElderId>,
    /// How many these are.
    pub mistaken_count: u64,
}

impl Audit {
    /// Whether all is as it should be.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.stale_count == 0 && self.mistaken_count == 0
    }
}

/// Judges everybody as of the evaluator's day, in one snapshot of the database. The evaluator should be at rest: what it
/// has not come to yet counts as a difference.
///
/// # Errors
/// The database's.
pub async fn audit(pool: &PgPool) -> Result<Audit, sqlx::Error> {
    let mut tx = pool
        .begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        .await?;
    let Some(Progress { day, .. }) = Progress::read(&mut *tx).await? else {
        return Ok(Audit::default());
    };
    let in_force = Policies::default().on(&mut *tx, LocalDay::MAX).await?;
    let mut judges: HashMap<PolicyRef, Judge> = HashMap::new();
    let mut audit = Audit {
        day: Some(day),
        ..Audit::default()
    };
    let statement = format!(
        "SELECT {}, f.elder_id, f.facts, e.village, e.facts_key, e.next_change_on \
         FROM {}.elder f LEFT JOIN {}.tier t USING (elder_id) LEFT JOIN tiering_today.elder e USING (elder_id)",
        TierRow::COLUMNS,
        facts_table::NAME,
        tiers_table::NAME,
    );
    let mut rows = sqlx::query(AssertSqlSafe(statement)).fetch(&mut *tx);
    while let Some(row) = rows.try_next().await? {
        let elder = ElderId(row.try_get(10)?);
        audit.elders += 1;
        let facts = row
            .try_get::<Option<&[u8]>, _>(11)?
            .map(facts_table::kept)
            .transpose();
        let Ok(facts) = facts else {
            // What holds can't be said to follow from facts that nobody can read.
            note(elder, &mut audit.stale, &mut audit.stale_count);
            continue;
        };
        let due = facts.map(|facts| Today::of(elder, &facts, day));
        let holds = (
            row.try_get::<Option<String>, _>(12)?,
            row.try_get::<Option<i64>, _>(13)?,
            row.try_get::<Option<chrono::NaiveDate>, _>(14)?,
        );
        let expected = due.map_or((None, None, None), |due| {
            (
                Some(due.village.to_string()),
                due.key.map(FactsKey::stored),
                due.next_change_on.map(LocalDay::date),
            )
        });
        if holds != expected {
            note(elder, &mut audit.stale, &mut audit.stale_count);
        }
        let assignment = due.and_then(|due| {
            let (policy, rules) = in_force.of_village(&due.village);
            let judge = judges
                .entry(*policy)
                .or_insert_with(|| Judge::new(Arc::clone(rules)));
            let verdict = judge.verdict(due.key?);
            Some(judge.assignment(&verdict, *policy, due.village))
        });
        let written = match row.try_get::<Option<uuid::Uuid>, _>(0)? {
            Some(_) => Some(TierRow::of(&row)?),
            None => None,
        };
        let tier = written.map(|row| row.tier).unwrap_or_default();
        if !tier.is_as_due(assignment.as_ref()) {
            note(elder, &mut audit.mistaken, &mut audit.mistaken_count);
        }
    }
    Ok(audit)
}

fn note(elder: ElderId, named: &mut Vec<ElderId>, count: &mut u64) {
    *count += 1;
    if named.len() < NAMED {
        named.push(elder);
    }
}
