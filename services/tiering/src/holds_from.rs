//! From which day on something holds that is only known now: a death that is recorded late ended the tier on the day of death.
//!
//! A change of fact holds from its own day on (rule: section 2, "Change"). So the day that an event of tiering bears is the
//! first of the unbroken run of days, up to the day of judging, on which the facts known now and the policies of those
//! days give the same as on the day of judging.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use civic::{LocalDay, VillageCode};
use elders::Facts;

use crate::evaluate::{Assignment, Judge, PolicyRef};
use crate::facts_key::FactsKey;
use crate::policies_in_force::{InForce, PoliciesInForce, PoliciesOverTime};

/// The judges that are at hand, by policy.
pub(crate) type Judges = HashMap<PolicyRef, Judge>;

/// What the policy in force gives to somebody in a village.
pub(crate) fn assign(
    judges: &mut Judges,
    in_force: &PoliciesInForce,
    key: FactsKey,
    village: VillageCode,
) -> Assignment {
    let (policy, rules): &InForce = in_force.of_village(&village);
    let judge = judges
        .entry(*policy)
        .or_insert_with(|| Judge::new(Arc::clone(rules)));
    let verdict = judge.verdict(key);
    judge.assignment(&verdict, *policy, village)
}

/// The first day of the run, not before `earliest`.
///
/// A merge bears no day: it holds from the day of judging on.
pub(crate) fn holds_from(
    facts: &Facts,
    day: LocalDay,
    earliest: LocalDay,
    policies: &PoliciesOverTime,
    judges: &mut Judges,
) -> LocalDay {
    if earliest >= day || facts.on(day).merged {
        return day;
    }
    let mut turning: BTreeSet<LocalDay> = policies.days_within(earliest, day).collect();
    let mut last = earliest;
    while let Some(next) = facts.next_change_after(last).filter(|next| *next <= day) {
        turning.insert(next);
        last = next;
    }
    let mut given = |day: LocalDay| {
        let on_day = facts.on(day);
        let key = FactsKey::of(&on_day)?;
        Some(assign(judges, policies.on(day), key, *on_day.village()))
    };
    let due = given(day);
    let mut from = None;
    for day in std::iter::once(earliest).chain(turning) {
        let same = match (given(day), &due) {
            (Some(then), Some(due)) => then.means_the_same(due),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        from = if same { from.or(Some(day)) } else { None };
    }
    from.unwrap_or(day)
}

#[cfg(test)]
mod tests {
    use civic::{CapabilityLevel, Category, ElderId, Set, Sex};
    use elders::event::{Capability, Consent, Event, Merge, Registered, Residence, Source};
    use proto::eldercare::registry::v1::Identity;
    use uuid::Uuid;

    use super::*;

    const ELDER: ElderId = ElderId(Uuid::from_u128(7));

    fn day(text: &str) -> LocalDay {
        text.parse().unwrap()
    }

    /// Eighty on 10 October 2024, healthy, living alone.
    fn facts(events: &[Event]) -> Facts {
        let registered = Registered {
            elder: ELDER,
            source: Source::Api,
            identity: elders::testing::sealed(elders::purpose::IDENTITY, &Identity::default()),
            identity_claim: "k1-00ff".to_owned(),
            birth_date: day("1944-10-10"),
            sex: Sex::Female,
            residence: Residence {
                village: "350524100001".parse().unwrap(),
                home: None,
            },
            categories: Category::LivingAlone.into(),
            assistance: Set::new(),
            capability: capability(CapabilityLevel::Intact, None),
            observations: Set::new(),
            handicap_grade: None,
            circumstances: vec![],
            contacts: None,
            consent: Consent::unknown(),
            wanted_services: Set::new(),
            remarks: None,
            import: None,
        };
        let mut facts = Facts::registered(&registered);
        for event in events {
            facts.apply(event, ELDER);
        }
        facts
    }

    fn capability(level: CapabilityLevel, on: Option<&str>) -> Capability {
        Capability {
            level,
            assessed_on: on.map(day),
            source: String::new(),
        }
    }

    fn assessed(level: CapabilityLevel, on: &str) -> Event {
        Event::CapabilityAssessed(capability(level, Some(on)), None)
    }

    fn from(events: &[Event], on: &str, earliest: &str) -> LocalDay {
        holds_from(
            &facts(events),
            day(on),
            day(earliest),
            &PoliciesOverTime::default(),
            &mut Judges::new(),
        )
    }

    #[test]
    fn a_death_ends_on_its_own_day_however_late_it_is_recorded() {
        let died = [Event::Died {
            on: day("2024-10-05"),
        }];
        assert_eq!(from(&died, "2024-10-20", "2024-09-01"), day("2024-10-05"));
        assert_eq!(from(&died, "2024-10-20", "2024-10-12"), day("2024-10-12"));
        assert_eq!(from(&died, "2024-10-05", "2024-10-05"), day("2024-10-05"));
    }

    #[test]
    fn the_run_begins_with_the_last_change_of_what_is_given() {
        // The birthday on 10 October adds a reason to the one that an assessment gave.
        let severe = [assessed(CapabilityLevel::Severe, "2024-10-02")];
        assert_eq!(from(&severe, "2024-10-08", "2024-09-01"), day("2024-10-02"));
        assert_eq!(from(&severe, "2024-10-20", "2024-09-01"), day("2024-10-10"));
        // What came between counts, though the same held before.
        let back = [
            assessed(CapabilityLevel::Mild, "2024-09-10"),
            assessed(CapabilityLevel::Intact, "2024-09-20"),
        ];
        assert_eq!(from(&back, "2024-10-08", "2024-09-01"), day("2024-09-20"));
        // Nothing changed: as early as may be.
        assert_eq!(from(&[], "2024-10-08", "2024-09-01"), day("2024-09-01"));
    }

    #[test]
    fn a_merge_bears_no_day() {
        let merged = Event::Merged(Merge {
            surviving: ElderId(Uuid::from_u128(8)),
            merged: ELDER,
            reason: "SAME_PERSON".to_owned(),
        });
        assert_eq!(
            from(&[merged], "2024-10-08", "2024-09-01"),
            day("2024-10-08")
        );
    }

    #[test]
    fn a_policy_counts_from_its_own_day_on() {
        let yaml = crate::policy::NATIONAL_YAML.replace("interval: MONTHLY", "interval: WEEKLY");
        let policy = Arc::new(crate::policy::Policy::parse(&yaml).unwrap());
        let county: civic::DivisionCode = "350524".parse().unwrap();
        let in_force = |division| {
            let policy_ref = PolicyRef {
                jurisdiction: crate::evaluate::Jurisdiction::Division(division),
                version: 1,
            };
            PoliciesInForce::default().with(division, (policy_ref, Arc::clone(&policy)))
        };
        let policies = PoliciesOverTime::of([
            (day("2024-10-03"), in_force(county)),
            (day("2024-10-05"), in_force(county)),
        ]);
        let from = holds_from(
            &facts(&[assessed(CapabilityLevel::Moderate, "2024-10-01")]),
            day("2024-10-08"),
            day("2024-09-01"),
            &policies,
            &mut Judges::new(),
        );
        assert_eq!(from, day("2024-10-03"));
    }
}
