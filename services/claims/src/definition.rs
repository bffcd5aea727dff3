//! What a programme says, as data (项目定义): who may be enrolled, who is entitled, what is paid for which service.
//!
//! It is written in YAML, as `DefineProgrammeRequest` in `proto/eldercare/claims/v1/claims_service.proto` says.
//!
//! Rule: section 5, the table of programmes.

mod reading;
mod trial;

use std::collections::{BTreeMap, HashSet};

use civic::{Assistance, EntitlementUnit, EvidenceKind, Fen, LocalDay};
use elders::FactsOnDay;
use tier_policy::condition::Condition;
use tier_policy::facts_key::{FactsKey, Variable};
use tier_policy::policy::Fault;

/// The minutes of a day: no service is longer.
const DAY_MINUTES: i64 = 24 * 60;

/// A programme's definition whose parts are well formed.
#[derive(Debug)]
pub struct Definition {
    /// What it is called.
    pub name: String,
    /// The first service day that goes by it.
    pub effective_from: LocalDay,
    /// The premium of a person and calendar year.
    pub premium: Fen,
    /// Whether only poor persons are meant, whatever rule admits them.
    pub requires_poverty: bool,
    /// Who may be enrolled.
    pub enrolment: Vec<Rule>,
    /// Who is entitled to service.
    pub entitlement: Vec<Rule>,
    /// The entitlement of a calendar year.
    pub quota: Quota,
    /// The least length of a service, in minutes.
    pub least_minutes: i64,
    /// What a service costs.
    pub price: Price,
    /// What is done in a service.
    pub items: Items,
    /// The least number of files of each kind.
    pub evidence: BTreeMap<EvidenceKind, usize>,
    /// An order is handed in so many days after the service day at the latest.
    pub submission_days: i64,
    /// An appeal is filed so many days after the day of submission at the latest.
    pub appeal_days: i64,
}

/// A rule: to whom it applies.
#[derive(Debug)]
pub struct Rule {
    /// Its name, UPPER_SNAKE_CASE.
    pub name: String,
    /// To whom it applies.
    pub condition: Condition,
    /// The public document that it comes from; may be empty.
    pub source: String,
    /// Where its condition stands in the YAML, from 1.
    pub line: u32,
}

/// The entitlement of a calendar year.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// What is counted.
    pub unit: EntitlementUnit,
    /// How many.
    pub units: i64,
}

/// What a service costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Price {
    /// The same for each.
    AService(Fen),
    /// For each hour, by the minute, rounded down to the fen.
    AnHour(Fen),
}

/// What is done in a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Items {
    /// By code, what each is called.
    pub base: BTreeMap<String, String>,
    /// The same.
    pub optional: BTreeMap<String, String>,
    /// Which of them a service has.
    pub rule: ItemsRule,
}

/// Which items a service has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemsRule {
    /// All base items, and exactly one optional one.
    AllBaseAndOneOptional,
    /// One or more of any.
    OneOrMore,
}

impl Definition {
    /// Reads a definition, and checks each part.
    ///
    /// What was defined once is read by this: whether its conditions can be computed is another matter ([`Definition::tried`]).
    ///
    /// # Errors
    /// Everything that is wrong, by line.
    pub fn parse(yaml: &str) -> Result<Self, Vec<Fault>> {
        reading::read(yaml)
    }

    /// The rule by which somebody may be enrolled; none where nobody of these facts may.
    #[must_use]
    pub fn admits(&self, facts: &FactsOnDay) -> Option<&str> {
        self.first(&self.enrolment, facts)
    }

    /// The rule by which somebody is entitled to service; none where nobody of these facts is.
    #[must_use]
    pub fn entitles(&self, facts: &FactsOnDay) -> Option<&str> {
        self.first(&self.entitlement, facts)
    }

    fn first<'r>(&self, rules: &'r [Rule], facts: &FactsOnDay) -> Option<&'r str> {
        let poor = [Assistance::ExtremePoverty, Assistance::MinimumLiving];
        if self.requires_poverty && !poor.iter().any(|word| facts.assistance.contains(*word)) {
            return None;
        }
        // Policies of visits ask of no age below 60; programmes do.
        let key = FactsKey::of_anybody(facts).with(
            Variable::Age,
            u64::from(facts.age.min(tier_policy::facts_key::OLDEST)),
        );
        // Conditions of former versions were not tried: one that can't be computed (a division by nought) holds for nobody.
        let rule = rules
            .iter()
            .find(|rule| rule.condition.recalled(key).unwrap_or(false));
        rule.map(|rule| rule.name.as_str())
    }

    /// What a service of so many minutes takes of a year's entitlement.
    #[must_use]
    pub fn units(&self, minutes: i64) -> i64 {
        match self.quota.unit {
            EntitlementUnit::Services => 1,
            EntitlementUnit::Minutes => minutes,
        }
    }

    /// What the shortest service takes of a year's entitlement: where less is left, none can be approved.
    #[must_use]
    pub fn least_units(&self) -> i64 {
        self.units(self.least_minutes).max(1)
    }

    /// What a service of so many minutes costs; at most a day's.
    #[must_use]
    pub fn costs(&self, minutes: i64) -> Fen {
        match self.price {
            Price::AService(price) => price,
            // A million yuan for each hour of a day: no sum of these is too large to count.
            Price::AnHour(Fen(price)) => Fen(price * minutes.clamp(0, DAY_MINUTES) / 60),
        }
    }
}

impl Items {
    /// Whether these items are what a service has; none may stand twice.
    #[must_use]
    pub fn allow(&self, items: &[String]) -> bool {
        let mut seen = HashSet::new();
        if !items.iter().all(|item| seen.insert(item.as_str())) {
            return false;
        }
        let known =
            |item: &&str| self.base.contains_key(*item) || self.optional.contains_key(*item);
        if !seen.iter().all(known) {
            return false;
        }
        match self.rule {
            ItemsRule::OneOrMore => !seen.is_empty(),
            ItemsRule::AllBaseAndOneOptional => {
                let optional = seen
                    .iter()
                    .filter(|item| self.optional.contains_key(**item));
                self.base.keys().all(|item| seen.contains(item.as_str())) && optional.count() == 1
            }
        }
    }

    /// What an item is called.
    #[must_use]
    pub fn name(&self, item: &str) -> Option<&str> {
        let name = self.base.get(item).or_else(|| self.optional.get(item));
        name.map(String::as_str)
    }
}
