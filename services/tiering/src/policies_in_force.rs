//! The policies in force, as the read model of our own log knows them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::NaiveDate;
use civic::LocalDay;
use sqlx::{AssertSqlSafe, PgConnection, PgExecutor};
pub use tier_policy::in_force::{InForce, NATIONAL, PoliciesInForce};

use crate::evaluate::{Jurisdiction, PolicyRef};
use crate::policy::{NATIONAL_YAML, Policy};
use crate::tiers_table::PolicyRow;

/// The policies of every day: those that hold from a day on, until others are published.
#[derive(Clone, Debug, Default)]
pub struct PoliciesOverTime {
    /// Before anything was published.
    shipped: PoliciesInForce,
    /// The earliest first.
    since: Vec<(LocalDay, PoliciesInForce)>,
}

impl PoliciesOverTime {
    /// From the days on which something was published, the earliest first.
    #[must_use]
    pub fn of(since: impl IntoIterator<Item = (LocalDay, PoliciesInForce)>) -> Self {
        Self {
            shipped: PoliciesInForce::default(),
            since: since.into_iter().collect(),
        }
    }

    /// Those of a day.
    #[must_use]
    pub fn on(&self, day: LocalDay) -> &PoliciesInForce {
        let published = self.since.partition_point(|(since, _)| *since <= day);
        self.since[..published]
            .last()
            .map_or(&self.shipped, |(_, policies)| policies)
    }

    /// The days of publication after one and up to another.
    pub fn days_within(
        &self,
        after: LocalDay,
        until: LocalDay,
    ) -> impl Iterator<Item = LocalDay> + use<'_> {
        self.since
            .iter()
            .map(|(since, _)| *since)
            .filter(move |day| *day > after && *day <= until)
    }
}

/// Reads the policies in force, and compiles each but once.
#[derive(Debug, Default)]
pub struct Policies {
    compiled: Mutex<HashMap<PolicyRef, Arc<Policy>>>,
}

impl Policies {
    /// The policies that hold on a day, as far as the read model knows them.
    ///
    /// # Errors
    /// The database's.
    pub async fn on(
        &self,
        db: impl PgExecutor<'_>,
        day: LocalDay,
    ) -> Result<PoliciesInForce, sqlx::Error> {
        let statement = format!(
            "SELECT DISTINCT ON (division) {} FROM {}.policy WHERE on_day <= $1 ORDER BY division, version DESC",
            PolicyRow::COLUMNS,
            crate::tiers_table::NAME,
        );
        let rows = sqlx::query(AssertSqlSafe(statement))
            .bind(day.date())
            .fetch_all(db)
            .await?;
        let mut in_force = PoliciesInForce::default();
        for row in &rows {
            let row = PolicyRow::of(row)?;
            if let (Jurisdiction::Division(division), Some(policy)) =
                (row.policy.jurisdiction, self.compile(&row))
            {
                in_force = in_force.with(division, (row.policy, policy));
            }
        }
        Ok(in_force)
    }

    /// The policies of every day up to one, as far as the read model knows them.
    ///
    /// # Errors
    /// The database's.
    pub async fn until(
        &self,
        db: &mut PgConnection,
        day: LocalDay,
    ) -> Result<PoliciesOverTime, sqlx::Error> {
        let statement = format!(
            "SELECT DISTINCT on_day FROM {}.policy WHERE on_day <= $1 ORDER BY on_day",
            crate::tiers_table::NAME,
        );
        let days: Vec<NaiveDate> = sqlx::query_scalar(AssertSqlSafe(statement))
            .bind(day.date())
            .fetch_all(&mut *db)
            .await?;
        let mut over_time = PoliciesOverTime::default();
        for day in days {
            let day = LocalDay::try_from(day)
                .map_err(|_day| sqlx::Error::Decode("column on_day holds no day".into()))?;
            over_time.since.push((day, self.on(&mut *db, day).await?));
        }
        Ok(over_time)
    }

    /// None for a policy that can't be read any more: by our own mistake, since each was checked when it was published.
    fn compile(&self, row: &PolicyRow) -> Option<Arc<Policy>> {
        let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = compiled.get(&row.policy) {
            return Some(Arc::clone(known));
        }
        match Policy::parse(&row.yaml) {
            Ok(policy) => Some(Arc::clone(
                compiled.entry(row.policy).or_insert(Arc::new(policy)),
            )),
            Err(faults) => {
                let (division, version) = (row.policy.jurisdiction, row.policy.version);
                let reason = faults.first().map(|fault| fault.reason);
                tracing::error!(%division, version, reason, "a published policy can't be read: the one above it holds");
                None
            }
        }
    }
}

/// The shipped policy, as a published one is told.
#[must_use]
pub fn national_row() -> PolicyRow {
    PolicyRow {
        policy: NATIONAL,
        yaml: NATIONAL_YAML.to_owned(),
        on: LocalDay::MIN,
        published_at: LocalDay::MIN.start(),
        published_by: String::new(),
        sequence: 0,
    }
}
