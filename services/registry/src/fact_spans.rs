//! An elder's facts as spans of days in which none of them changes: what lists and counts of any day are made from.
//!
//! Spans rest on the log alone and not on today, so that a rebuilt read model holds the same ones. What holds today is
//! the span that today lies in; when days pass, nothing need be written. Age is not in them: it follows from the birth
//! date, which like the sex is the same in all of them.

use civic::{
    Assistance, CapabilityLevel, Category, CircumstanceKind, ConsentState, ElderStatus,
    HandicapGrade, LocalDay, Observation, Set, Sex, VillageCode,
};
use elders::Facts;

/// Days in which the facts that lists and counts look at stay the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) first_day: LocalDay,
    pub(crate) last_day: LocalDay,
    pub(crate) facts: SpanFacts,
}

/// The facts of a span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SpanFacts {
    pub(crate) birth_date: LocalDay,
    pub(crate) sex: Sex,
    pub(crate) village: VillageCode,
    pub(crate) status: ElderStatus,
    pub(crate) categories: Set<Category>,
    pub(crate) assistance: Set<Assistance>,
    pub(crate) capability: CapabilityLevel,
    pub(crate) observations: Set<Observation>,
    pub(crate) handicap_grade: Option<HandicapGrade>,
    pub(crate) consent: ConsentState,
    pub(crate) circumstances: Set<CircumstanceKind>,
}

/// The spans of an elder, from the first to the last day of the calendar without a gap.
pub(crate) fn spans(facts: &Facts) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::with_capacity(1);
    let mut turns = facts.turning_days();
    for circumstance in facts.circumstances() {
        turns.insert(circumstance.first_day);
        turns.extend(circumstance.last_day.map(LocalDay::next));
    }
    for first_day in
        std::iter::once(LocalDay::MIN).chain(turns.into_iter().filter(|day| *day > LocalDay::MIN))
    {
        let on_day = facts.on(first_day);
        let facts = SpanFacts {
            birth_date: on_day.birth_date,
            sex: on_day.sex,
            village: on_day.residence.village,
            status: on_day.status,
            categories: on_day.categories,
            assistance: on_day.assistance,
            capability: on_day.capability.level,
            observations: on_day.observations,
            handicap_grade: on_day.handicap_grade,
            consent: on_day.consent.state,
            circumstances: on_day.circumstances,
        };
        if let Some(before) = spans.last_mut() {
            if before.facts == facts {
                continue;
            }
            before.last_day = first_day.prev();
        }
        spans.push(Span {
            first_day,
            last_day: LocalDay::MAX,
            facts,
        });
    }
    spans
}

#[cfg(test)]
mod tests {
    use elders::{Event, event::Registered, testing};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn each_day_lies_in_one_span_which_says_what_the_file_says(
            registered in testing::registered(),
            changes in prop::collection::vec(testing::change(), 0..12),
            day in testing::day(),
        ) {
            let facts = facts(&registered, &changes);
            let found: Vec<_> =
                spans(&facts).into_iter().filter(|span| span.first_day <= day && day <= span.last_day).collect();
            prop_assert_eq!(found.len(), 1);
            let (span, on_day) = (&found[0].facts, facts.on(day));
            prop_assert_eq!(span.village, on_day.residence.village);
            prop_assert_eq!(span.status, on_day.status);
            prop_assert_eq!(span.categories, on_day.categories);
            prop_assert_eq!(span.assistance, on_day.assistance);
            prop_assert_eq!(span.capability, on_day.capability.level);
            prop_assert_eq!(span.observations, on_day.observations);
            prop_assert_eq!(span.handicap_grade, on_day.handicap_grade);
            prop_assert_eq!(span.consent, on_day.consent.state);
            prop_assert_eq!(span.circumstances, on_day.circumstances);
        }

        #[test]
        fn neighbouring_spans_differ(
            registered in testing::registered(),
            changes in prop::collection::vec(testing::change(), 0..12),
        ) {
            let spans = spans(&facts(&registered, &changes));
            for pair in spans.windows(2) {
                prop_assert_ne!(&pair[0].facts, &pair[1].facts);
                prop_assert_eq!(pair[0].last_day.next(), pair[1].first_day);
            }
        }
    }

    fn facts(registered: &Registered, changes: &[Event]) -> Facts {
        let mut facts = Facts::registered(registered);
        for change in changes {
            facts.apply(change, registered.elder);
        }
        facts
    }
}
