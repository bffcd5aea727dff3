//! What a draft policy would change against the registry as it stands: who moves from which tier to which, and what
//! visiting load follows.
//!
//! Elders of equal facts are counted by the database and judged once, so that a province takes seconds.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use civic::{DivisionCode, Set, VisitMode};
use futures::TryStreamExt as _;
use sqlx::{PgExecutor, Row as _};

use crate::evaluate::{Judge, PolicyRef};
use crate::facts_key::FactsKey;
use crate::policies_in_force::PoliciesInForce;
use crate::policy::Interval;

/// Progress is told each time that so many groups of elders are judged.
const TOLD_EACH: usize = 10_000;

/// What a draft would change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// How many elders move from a tier to a tier; those who stay included.
    pub moves: BTreeMap<(String, String), u64>,
    /// Visits owed now.
    pub before: Load,
    /// Visits owed by the draft.
    pub after: Load,
    /// Elders in scope.
    pub in_scope: u64,
    /// Sets of facts that differ.
    pub distinct_facts: u64,
}

/// What tiers ask of the visitors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Elders who are owed a visit a week.
    pub weekly: u64,
    /// Elders who are owed a visit a month.
    pub monthly: u64,
    /// Elders who may be visited at home only.
    pub home_only: u64,
}

impl Load {
    /// Visits a month: one for each monthly elder, 52 / 12 for each weekly one, rounded up.
    #[must_use]
    pub fn visits_per_month(&self) -> u64 {
        self.monthly + (self.weekly * 52).div_ceil(12)
    }

    fn add(&mut self, interval: Interval, modes: Set<VisitMode>, elders: u64) {
        match interval {
            Interval::Weekly => self.weekly += elders,
            Interval::Monthly => self.monthly += elders,
        }
        if modes == VisitMode::Home.into() {
            self.home_only += elders;
        }
    }
}

/// Elders of equal facts in one place.
struct Group {
    place: DivisionCode,
    key: FactsKey,
    elders: u64,
}

/// Judges everybody in scope of a division by the policies as they are and as they would be.
///
/// `told` is given how many elders are judged, of how many.
///
/// # Errors
/// The database's.
pub async fn simulate(
    db: impl PgExecutor<'_>,
    division: &DivisionCode,
    before: &PoliciesInForce,
    after: &PoliciesInForce,
    mut told: impl FnMut(u64, u64),
) -> Result<Outcome, sqlx::Error> {
    let groups = groups(db, division, before, after).await?;
    let total = groups.iter().map(|group| group.elders).sum();
    told(0, total);
    let mut outcome = Outcome {
        in_scope: total,
        ..Outcome::default()
    };
    let (mut as_is, mut as_drafted) = (Judges::default(), Judges::default());
    let mut moves: HashMap<(PolicyRef, usize, PolicyRef, usize), u64> = HashMap::new();
    let mut done = 0;
    for (number, group) in groups.iter().enumerate() {
        let (from_policy, from) = as_is.judge(before, group, &mut outcome.before);
        let (to_policy, to) = as_drafted.judge(after, group, &mut outcome.after);
        *moves.entry((from_policy, from, to_policy, to)).or_default() += group.elders;
        done += group.elders;
        if (number + 1) % TOLD_EACH == 0 {
            told(done, total);
            // Judging is all computation: others on this thread get their turn.
            tokio::task::yield_now().await;
        }
    }
    outcome.distinct_facts = groups
        .iter()
        .map(|group| group.key)
        .collect::<HashSet<_>>()
        .len() as u64;
    for ((from_policy, from, to_policy, to), elders) in moves {
        let names = (
            as_is.tier(from_policy, from),
            as_drafted.tier(to_policy, to),
        );
        *outcome.moves.entry(names).or_default() += elders;
    }
    told(total, total);
    Ok(outcome)
}

/// Judges by policy.
#[derive(Default)]
struct Judges(HashMap<PolicyRef, Judge>);

impl Judges {
    fn judge(
        &mut self,
        policies: &PoliciesInForce,
        group: &Group,
        load: &mut Load,
    ) -> (PolicyRef, usize) {
        let (policy, rules) = policies.of(&group.place);
        let judge = self
            .0
            .entry(*policy)
            .or_insert_with(|| Judge::new(Arc::clone(rules)));
        let verdict = judge.verdict(group.key);
        load.add(judge.tier(&verdict).interval, verdict.modes, group.elders);
        (*policy, verdict.tier)
    }

    fn tier(&self, policy: PolicyRef, place: usize) -> String {
        self.0
            .get(&policy)
            .map(|judge| judge.policy().tiers[place].name.clone())
            .unwrap_or_default()
    }
}

/// Counts elders of equal facts, by the smallest divisions that have policies of their own.
async fn groups(
    db: impl PgExecutor<'_>,
    division: &DivisionCode,
    before: &PoliciesInForce,
    after: &PoliciesInForce,
) -> Result<Vec<Group>, sqlx::Error> {
    let own = before.within(division).chain(after.within(division));
    let digits = own
        .map(|code| code.level().digits())
        .max()
        .unwrap_or_default()
        .max(division.level().digits());
    let mut rows = sqlx::query(
        "SELECT left(village, $3) AS place, facts_key, count(*) FROM tiering_today.elder \
         WHERE village >= $1 AND village < $2 AND facts_key IS NOT NULL GROUP BY place, facts_key",
    )
    .bind(division.as_str())
    .bind(division.beyond())
    .bind(i32::try_from(digits).unwrap_or(i32::MAX))
    .fetch(db);
    let mut groups = Vec::new();
    while let Some(row) = rows.try_next().await? {
        let place: &str = row.try_get(0)?;
        groups.push(Group {
            place: place
                .parse()
                .map_err(|_code| sqlx::Error::Decode("column village holds no village".into()))?,
            key: FactsKey::from_stored(row.try_get(1)?),
            elders: row.try_get::<i64, _>(2)?.cast_unsigned(),
        });
    }
    Ok(groups)
}
