//! Why an elder has this tier, or none: each rule with its outcome, and each fact with the event that gave it, as known
//! at the end of a day.

use chrono::{DateTime, Utc};
use civic::{Age, ElderId, LocalDay, Set, Term};
use elders::{Event, Facts, FactsOnDay, codec};
use eventlog::Record;

use crate::evaluate::{Assignment, Judge, PolicyRef};
use crate::facts_key::FactsKey;
use crate::facts_table::stands_for;
use crate::policies_in_force::PoliciesInForce;

/// An elder's tier explained.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// Why out of scope; empty when in scope.
    pub out_of_scope: Vec<&'static str>,
    /// The policy that held where the elder lived; none before the elder was registered.
    pub policy: Option<PolicyRef>,
    /// What the policy gives.
    pub assignment: Option<Assignment>,
    /// Every rule of the policy, in its order.
    pub rules: Vec<RuleOutcome>,
    /// Every fact.
    pub facts: Vec<FactOrigin>,
    /// The next day on which time alone changes something.
    pub next_change_on: Option<LocalDay>,
}

/// A rule and whether it applies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleOutcome {
    /// The tier that it gives.
    pub tier: String,
    /// Its name.
    pub rule: String,
    /// Its condition.
    pub condition: String,
    /// The document that it comes from.
    pub source: String,
    /// Whether it applies.
    pub applies: bool,
}

/// A fact and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FactOrigin {
    /// Its name, as in conditions.
    pub fact: &'static str,
    /// Its value on the day.
    pub value: String,
    /// The event that gave it.
    pub event: &'static str,
    /// That event's sequence in the registry.
    pub sequence: u64,
    /// When it was recorded.
    pub recorded_at: DateTime<Utc>,
    /// The day from which it holds; none: since ever.
    pub holds_from: Option<LocalDay>,
}

/// What the records of a file tell by an instant.
#[derive(Clone, Debug, PartialEq)]
pub enum Known {
    /// There is no such file in the registry.
    Nobody,
    /// The file is erased: nothing is told of it any more.
    Erased,
    /// Nothing was known yet by then.
    NotYet,
    /// The facts, with where each comes from.
    Facts(Box<Facts>, Vec<FactOrigin>),
}

/// Goes through an elder's records as far as they were written before an instant.
#[must_use]
pub fn known(
    elder: ElderId,
    records: &[Record],
    day: LocalDay,
    before: Option<DateTime<Utc>>,
) -> Known {
    let mut facts: Option<Facts> = None;
    let mut origins: Vec<FactOrigin> = Vec::new();
    let mut somebody = false;
    for record in records {
        // An event of a kind that this version does not know is passed by, as the read models do.
        for event in record
            .events
            .iter()
            .filter_map(|raw| codec::decode(raw).ok())
        {
            somebody = true;
            if matches!(event, Event::Erased { .. }) {
                return Known::Erased;
            }
            if before.is_some_and(|before| record.metadata.time >= before) {
                continue;
            }
            facts = Facts::after(facts, &event, elder);
            if let Some(facts) = &facts {
                trace(&mut origins, &facts.on(day), &event, record);
            }
        }
    }
    match facts {
        Some(facts) => Known::Facts(Box::new(facts), origins),
        None if somebody => Known::NotYet,
        None => Known::Nobody,
    }
}

/// The file that stood for an elder's by an instant, where another did.
#[must_use]
pub fn standing_for(
    elder: ElderId,
    records: &[Record],
    before: Option<DateTime<Utc>>,
) -> Option<ElderId> {
    let known = records
        .iter()
        .filter(|record| before.is_none_or(|before| record.metadata.time < before));
    known
        .flat_map(|record| record.events.iter())
        .filter_map(|raw| codec::decode(raw).ok())
        .fold(None, |standing, event| stands_for(standing, &event, elder))
}

/// Explains facts by the policies of the day.
#[must_use]
pub fn explain(
    facts: &Facts,
    origins: Vec<FactOrigin>,
    day: LocalDay,
    in_force: &PoliciesInForce,
) -> Explanation {
    let on_day = facts.on(day);
    let (policy_ref, policy) = in_force.of_village(on_day.village());
    let key = FactsKey::of(&on_day);
    let assignment = key.map(|key| {
        let mut judge = Judge::new(policy.clone());
        let verdict = judge.verdict(key);
        judge.assignment(&verdict, *policy_ref, *on_day.village())
    });
    let rules = policy.tiers.iter().flat_map(|tier| {
        tier.rules.iter().map(|rule| RuleOutcome {
            tier: tier.name.clone(),
            rule: rule.name.clone(),
            condition: rule.condition.text().to_owned(),
            source: rule.source.clone(),
            applies: key.is_some_and(|key| rule.condition.holds(key).unwrap_or(false)),
        })
    });
    Explanation {
        out_of_scope: on_day
            .out_of_scope()
            .into_iter()
            .map(elders::OutOfScope::name)
            .collect(),
        policy: Some(*policy_ref),
        assignment,
        rules: rules.collect(),
        facts: origins,
        next_change_on: facts.next_change_after(day),
    }
}

/// Facts that an event made others than they were.
fn trace(origins: &mut Vec<FactOrigin>, now: &FactsOnDay, event: &Event, record: &Record) {
    for (place, (fact, value)) in told(now).into_iter().enumerate() {
        if origins.get(place).is_some_and(|known| known.value == value) {
            continue;
        }
        let origin = FactOrigin {
            fact,
            value,
            event: event.name(),
            sequence: record.sequence,
            recorded_at: record.metadata.time,
            holds_from: holds_from(fact, event, now),
        };
        match origins.get_mut(place) {
            Some(known) => *known = origin,
            None => origins.push(origin),
        }
    }
}

/// All facts that matter, in a fixed order.
fn told(facts: &FactsOnDay) -> [(&'static str, String); 12] {
    [
        ("status", facts.status.name().to_owned()),
        ("merged", facts.merged.to_string()),
        ("division", facts.village().to_string()),
        ("age", facts.age.to_string()),
        ("capability", facts.capability_level().name().to_owned()),
        ("observations", names(facts.observations)),
        (
            "handicap_grade",
            facts
                .handicap_grade
                .map_or_else(|| "0".to_owned(), |grade| grade.number().to_string()),
        ),
        ("categories", names(facts.categories)),
        ("assistance", names(facts.assistance)),
        ("circumstances", names(facts.circumstances)),
        ("sex", facts.sex.name().to_owned()),
        ("consent", facts.consent.state.name().to_owned()),
    ]
}

fn names<T: Term>(set: Set<T>) -> String {
    set.names().collect::<Vec<_>>().join(", ")
}

/// The day from which a fact holds that an event gave.
fn holds_from(fact: &str, event: &Event, facts: &FactsOnDay) -> Option<LocalDay> {
    if fact == "age" {
        return Some(Age::birthday_reaching(facts.birth_date, facts.age));
    }
    match event {
        Event::Registered(registered) => match fact {
            "capability" => registered.capability.assessed_on,
            "consent" => registered.consent.spoken.at.map(LocalDay::of),
            "circumstances" => {
                let holding = registered
                    .circumstances
                    .iter()
                    .filter(|one| one.holds_on(facts.day));
                holding.map(|one| one.first_day).max()
            }
            _ => None,
        },
        Event::Relocated(_, on)
        | Event::ObservationEnded { on, .. }
        | Event::Died { on }
        | Event::MovedOut { on }
        | Event::Reinstated { on, .. } => Some(*on),
        Event::ProfileUpdated(update) => update.on,
        Event::CapabilityAssessed(capability, _) => capability.assessed_on,
        Event::HandicapRecorded { on, .. } | Event::ObservationRecorded { on, .. } => *on,
        Event::CircumstanceRecorded(circumstance) => Some(circumstance.first_day),
        Event::CircumstanceEnded { last_day, .. } => Some(last_day.next()),
        Event::ConsentGranted(spoken)
        | Event::ConsentRefused(spoken)
        | Event::ConsentWithdrawn(spoken) => spoken.at.map(LocalDay::of),
        Event::IdentityCorrected(_)
        | Event::ContactsSet(_)
        | Event::Merged(_)
        | Event::Unmerged(_)
        | Event::Erased { .. } => None,
    }
}
