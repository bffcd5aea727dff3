//! What an elder is owed on a day: by the facts of the file and the policy in force.
//!
//! Rules: sections 1 (scope), 2 (tiers, modes) and 3 (duties). A fact holds from its own day on, whenever it was recorded,
//! so that this is asked of the facts and not of the tiers that were written down day by day.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use civic::{Age, ConsentState, DivisionCode, LocalDay, Set, VillageCode, VisitMode};
use elders::facts::AGE_IN_SCOPE;
use elders::{Facts, FactsOnDay};
use tier_policy::evaluate::{Judge, Jurisdiction, PolicyRef};
use tier_policy::facts_key::{FactsKey, OLDEST};
use tier_policy::in_force::{InForce, PoliciesInForce};
use tier_policy::policy::{Interval, Policy};

/// A policy that was published.
#[derive(Clone, Debug)]
pub struct Published {
    /// The division.
    pub division: DivisionCode,
    /// The version.
    pub version: u64,
    /// The first day on which it holds.
    pub on: LocalDay,
    /// When it was published.
    pub at: DateTime<Utc>,
    /// The policy.
    pub policy: Arc<Policy>,
}

/// What an elder in scope is owed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Where the elder lives.
    pub village: VillageCode,
    /// The tier's name.
    pub tier: String,
    /// How often a visit is owed.
    pub interval: Interval,
    /// How visits may take place.
    pub modes: Set<VisitMode>,
    /// Only visits at home are allowed, and consent was not granted at the end of the day.
    pub blocked_by_consent: bool,
}

/// Days on which an elder has one standing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first day.
    pub from: LocalDay,
    /// The first day after; none where it does not end.
    pub until: Option<LocalDay>,
    /// What is owed.
    pub standing: Standing,
}

/// Judges elders by all policies that were published.
#[derive(Debug, Default)]
pub struct Standings {
    policies: Vec<Published>,
    in_force: BTreeMap<LocalDay, PoliciesInForce>,
    judges: HashMap<PolicyRef, Judge>,
}

impl Standings {
    /// Judges by these policies.
    #[must_use]
    pub fn new(mut policies: Vec<Published>) -> Self {
        policies.sort_by_key(|published| (published.on, published.version));
        Self {
            policies,
            in_force: BTreeMap::new(),
            judges: HashMap::new(),
        }
    }

    /// How somebody could be visited on a day, in scope or not.
    pub fn modes(&mut self, facts: &Facts, day: LocalDay) -> Set<VisitMode> {
        self.modes_then(&facts.on(day))
    }

    /// The same by the facts of the day.
    pub fn modes_then(&mut self, then: &FactsOnDay) -> Set<VisitMode> {
        let policy = self.policy(then.village(), then.day);
        self.judge(policy).modes(FactsKey::of_anybody(then))
    }

    /// What somebody is owed on a day; nothing out of scope.
    pub fn on(&mut self, facts: &Facts, day: LocalDay) -> Option<Standing> {
        let facts = facts.on(day);
        let key = FactsKey::of(&facts)?;
        let village = *facts.village();
        let policy = self.policy(&village, day);
        let judge = self.judge(policy);
        let verdict = judge.verdict(key);
        let tier = judge.tier(&verdict);
        Some(Standing {
            village,
            tier: tier.name.clone(),
            interval: tier.interval,
            modes: verdict.modes,
            blocked_by_consent: verdict.modes == Set::from(VisitMode::Home)
                && facts.consent.state != ConsentState::Granted,
        })
    }

    /// What somebody is owed on all days, by what is recorded now.
    pub fn spans(&mut self, facts: &Facts) -> Vec<Span> {
        let mut spans: Vec<Span> = Vec::new();
        // Facts that hold before somebody is 60 matter to nobody.
        let mut next = Some(first_possible_day(facts));
        while let Some(day) = next {
            let standing = self.on(facts, day);
            next = self.changes_after(facts, day);
            match (spans.last_mut(), standing) {
                (Some(last), Some(standing))
                    if last.until == Some(day) && last.standing == standing =>
                {
                    last.until = next;
                }
                (_, Some(standing)) => spans.push(Span {
                    from: day,
                    until: next,
                    standing,
                }),
                (_, None) => {}
            }
        }
        spans
    }

    /// The next day on which facts or policies may change the standing.
    fn changes_after(&self, facts: &Facts, day: LocalDay) -> Option<LocalDay> {
        // Consent is said at an instant; it counts by the end of the day.
        let turning = facts.turning_days();
        let turn = turning.range(day.next()..).next().copied();
        let policy = self
            .policies
            .iter()
            .map(|published| published.on)
            .find(|on| *on > day);
        // Policies take everybody who is older for as old.
        let oldest = Age::birthday_reaching(facts.birth_date(), OLDEST);
        let change = facts.next_change_after(day).filter(|_| day < oldest);
        [change, turn, policy]
            .into_iter()
            .flatten()
            .filter(|change| *change > day)
            .min()
    }

    fn policy(&mut self, village: &VillageCode, day: LocalDay) -> InForce {
        // Between two publications the same policies hold.
        let since = self
            .policies
            .iter()
            .map(|published| published.on)
            .take_while(|on| *on <= day)
            .last()
            .unwrap_or(LocalDay::MIN);
        let policies = &self.policies;
        let in_force = self.in_force.entry(since).or_insert_with(|| {
            policies
                .iter()
                .filter(|published| published.on <= since)
                .fold(PoliciesInForce::default(), |in_force, published| {
                    let policy = PolicyRef {
                        jurisdiction: Jurisdiction::Division(published.division),
                        version: published.version,
                    };
                    in_force.with(published.division, (policy, Arc::clone(&published.policy)))
                })
        });
        in_force.of_village(village).clone()
    }

    fn judge(&mut self, (policy, rules): InForce) -> &mut Judge {
        self.judges
            .entry(policy)
            .or_insert_with(|| Judge::new(rules))
    }
}

/// A day of the month of the sixtieth birthday, and not after it.
fn first_possible_day(facts: &Facts) -> LocalDay {
    let birth = facts.birth_date();
    let year = birth.year() + i32::from(AGE_IN_SCOPE);
    LocalDay::from_ymd(year, birth.month_of_year(), 1).unwrap_or(LocalDay::MAX)
}

/// Whether consent to home visits was granted at an instant.
#[must_use]
pub fn consent_granted(facts: &Facts, at: DateTime<Utc>) -> bool {
    facts.consent_at(at).state == ConsentState::Granted
}
