//! Which policy holds where: the nearest upwards (town, county, city, province), else the one that the system ships.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use chrono::NaiveDate;
use civic::{DivisionCode, LocalDay, VillageCode};
use sqlx::{AssertSqlSafe, PgConnection, PgExecutor};

use crate::evaluate::{Jurisdiction, PolicyRef};
use crate::policy::{NATIONAL_YAML, Policy};
use crate::tiers_table::PolicyRow;

/// The policy that the system ships.
pub const NATIONAL: PolicyRef = PolicyRef {
    jurisdiction: Jurisdiction::National,
    version: 1,
};

/// A policy with its place.
pub type InForce = (PolicyRef, Arc<Policy>);

/// The policies that hold on a day.
#[derive(Clone, Debug)]
pub struct PoliciesInForce {
    national: InForce,
    divisions: BTreeMap<DivisionCode, InForce>,
}

impl Default for PoliciesInForce {
    /// No division has a policy of its own.
    fn default() -> Self {
        Self {
            national: (NATIONAL, Policy::national()),
            divisions: BTreeMap::new(),
        }
    }
}

impl PoliciesInForce {
    /// The policy for those who live in a village.
    #[must_use]
    pub fn of_village(&self, village: &VillageCode) -> &InForce {
        self.of(&village.division())
    }

    /// The policy that holds in a division.
    #[must_use]
    pub fn of(&self, division: &DivisionCode) -> &InForce {
        division
            .upwards()
            .find_map(|code| self.divisions.get(&code))
            .unwrap_or(&self.national)
    }

    /// The policy above a division's own.
    #[must_use]
    pub fn above(&self, division: &DivisionCode) -> &InForce {
        division
            .parent()
            .map_or(&self.national, |parent| self.of(&parent))
    }

    /// The same, but for one division's policy.
    #[must_use]
    pub fn with(mut self, division: DivisionCode, policy: InForce) -> Self {
        self.divisions.insert(division, policy);
        self
    }

    /// The divisions within a division that have policies of their own, itself included.
    pub fn within(&self, division: &DivisionCode) -> impl Iterator<Item = &DivisionCode> {
        let division = *division;
        self.divisions
            .keys()
            .filter(move |code| division.contains(code))
    }
}

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
                in_force.divisions.insert(division, (row.policy, policy));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> DivisionCode {
        text.parse().unwrap()
    }

    fn policy(division: &str) -> InForce {
        let jurisdiction = Jurisdiction::Division(code(division));
        (
            PolicyRef {
                jurisdiction,
                version: 3,
            },
            Policy::national(),
        )
    }

    #[test]
    fn the_nearest_policy_upwards_holds() {
        let policies = PoliciesInForce::default()
            .with(code("35"), policy("35"))
            .with(code("350524100"), policy("350524100"));
        let of = |village: &str| {
            policies
                .of_village(&village.parse().unwrap())
                .0
                .jurisdiction
                .to_string()
        };
        assert_eq!(of("350524100001"), "350524100");
        assert_eq!(of("350524101001"), "35");
        assert_eq!(of("370303100001"), "0");
        assert_eq!(
            policies
                .above(&code("350524100"))
                .0
                .jurisdiction
                .to_string(),
            "35"
        );
        assert_eq!(policies.above(&code("35")).0.jurisdiction.to_string(), "0");
        assert_eq!(
            policies
                .within(&code("3505"))
                .map(ToString::to_string)
                .collect::<Vec<_>>(),
            ["350524100"]
        );
    }
}
