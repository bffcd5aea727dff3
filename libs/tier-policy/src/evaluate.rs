//! Which tier an elder has by a policy, for which reasons, how often a visit is owed, and how it may take place.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use civic::{DivisionCode, DivisionCodeError, Set, VillageCode, VisitMode};

use crate::facts_key::FactsKey;
use crate::policy::{Interval, MOST_RULES, Policy, Tier};

/// The most outcomes kept in memory; beyond, they are computed again.
const MOST_KEPT: usize = 1_000_000;

/// Whose policy: a division's, or the one that the system ships, written `0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Jurisdiction {
    /// Everywhere that has no policy of its own.
    National,
    /// A province, city, county or town.
    Division(DivisionCode),
}

impl Jurisdiction {
    /// The digits, or `0`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::National => "0",
            Self::Division(code) => code.as_str(),
        }
    }
}

impl fmt::Display for Jurisdiction {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

impl FromStr for Jurisdiction {
    type Err = DivisionCodeError;

    fn from_str(text: &str) -> Result<Self, DivisionCodeError> {
        match text {
            "0" => Ok(Self::National),
            code => code.parse().map(Self::Division),
        }
    }
}

/// A published policy by division and version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PolicyRef {
    /// Whose.
    pub jurisdiction: Jurisdiction,
    /// The version within the division, from 1.
    pub version: u64,
}

/// A tier with what gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The tier's name.
    pub tier: String,
    /// All rules of the tier that apply, in the policy's order.
    pub reasons: Vec<String>,
    /// How often a visit is owed.
    pub interval: Interval,
    /// How visits may take place; HOME is always among them.
    pub modes: Set<VisitMode>,
    /// Which policy gave it.
    pub policy: PolicyRef,
    /// Where the elder lives.
    pub village: VillageCode,
}

impl Assignment {
    /// Whether tier, reasons, interval and modes are the same: only a difference in these is worth an event (section 2,
    /// "Change"). An elder who moved, or a new version that gives the same, changes nothing.
    #[must_use]
    pub fn means_the_same(&self, other: &Self) -> bool {
        (&self.tier, &self.reasons, self.interval, self.modes)
            == (&other.tier, &other.reasons, other.interval, other.modes)
    }
}

/// What a policy says of somebody, in places of its own lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Verdict {
    /// The tier's place.
    pub tier: usize,
    /// The places of the tier's rules that apply, one bit each.
    pub reasons: u64,
    /// How visits may take place.
    pub modes: Set<VisitMode>,
}

/// Applies one policy to many elders, and judges equal facts once.
#[derive(Debug)]
pub struct Judge {
    policy: Arc<Policy>,
    verdicts: HashMap<FactsKey, Verdict>,
    /// For each condition the outcome by the facts that it asks about.
    tiers: Vec<Vec<Outcomes>>,
    modes: Vec<Outcomes>,
}

type Outcomes = HashMap<u64, bool>;

impl Judge {
    /// A judge by this policy.
    #[must_use]
    pub fn new(policy: Arc<Policy>) -> Self {
        let tiers = policy
            .tiers
            .iter()
            .map(|tier| vec![Outcomes::new(); tier.rules.len()])
            .collect();
        let modes = vec![Outcomes::new(); policy.modes.len()];
        Self {
            policy,
            verdicts: HashMap::new(),
            tiers,
            modes,
        }
    }

    /// The policy.
    #[must_use]
    pub fn policy(&self) -> &Arc<Policy> {
        &self.policy
    }

    /// What the policy says of somebody in scope.
    pub fn verdict(&mut self, key: FactsKey) -> Verdict {
        if let Some(known) = self.verdicts.get(&key) {
            return *known;
        }
        let verdict = self.judge(key);
        if self.verdicts.len() >= MOST_KEPT {
            self.verdicts.clear();
        }
        self.verdicts.insert(key, verdict);
        verdict
    }

    /// The tier of a verdict.
    #[must_use]
    pub fn tier(&self, verdict: &Verdict) -> &Tier {
        &self.policy.tiers[verdict.tier]
    }

    /// A verdict as an assignment.
    #[must_use]
    pub fn assignment(
        &self,
        verdict: &Verdict,
        policy: PolicyRef,
        village: VillageCode,
    ) -> Assignment {
        let tier = self.tier(verdict);
        let reasons = tier.rules.iter().take(MOST_RULES).enumerate();
        Assignment {
            tier: tier.name.clone(),
            reasons: reasons
                .filter(|(place, _)| verdict.reasons & (1 << place) != 0)
                .map(|(_, rule)| rule.name.clone())
                .collect(),
            interval: tier.interval,
            modes: verdict.modes,
            policy,
            village,
        }
    }

    /// How somebody may be visited, in scope or not; HOME is always among the modes.
    pub fn modes(&mut self, key: FactsKey) -> Set<VisitMode> {
        let mut modes = Set::from(VisitMode::Home);
        for (rule, outcomes) in self.policy.modes.iter().zip(&mut self.modes) {
            if outcome(outcomes, &rule.condition, key) {
                modes = modes.union(rule.modes);
            }
        }
        modes
    }

    fn judge(&mut self, key: FactsKey) -> Verdict {
        let modes = self.modes(key);
        for (place, (tier, outcomes)) in self.policy.tiers.iter().zip(&mut self.tiers).enumerate() {
            let rules = tier.rules.iter().zip(outcomes).take(MOST_RULES).enumerate();
            let reasons = rules.fold(0, |reasons, (bit, (rule, outcomes))| {
                reasons | u64::from(outcome(outcomes, &rule.condition, key)) << bit
            });
            if reasons != 0 {
                return Verdict {
                    tier: place,
                    reasons,
                    modes,
                };
            }
        }
        // Not to be reached: no policy is published that leaves somebody without a tier. Were a word added to a list
        // since, the last tier is the one for everybody else.
        tracing::error!("a policy in force gives an elder no tier; the last tier is taken");
        Verdict {
            tier: self.policy.tiers.len().saturating_sub(1),
            reasons: 0,
            modes,
        }
    }
}

fn outcome(
    outcomes: &mut Outcomes,
    condition: &crate::condition::Condition,
    key: FactsKey,
) -> bool {
    // No policy is published with a condition that fails for anybody.
    *outcomes
        .entry(key.masked(condition.mentions().mask()))
        .or_insert_with(|| condition.holds(key).unwrap_or(false))
}

#[cfg(test)]
mod tests;
