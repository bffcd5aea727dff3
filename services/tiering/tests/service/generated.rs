//! Generated commands of tiers and of books of policies: of few values, so that the same comes again.

use civic::{ElderId, LocalDay, VisitMode};
use proptest::{option, prelude::*, sample::select, sample::subsequence};
use tiering::{
    evaluate::{Assignment, Jurisdiction, PolicyRef},
    policy::Interval,
    policy_book, tier,
};

/// A day of a few weeks.
fn a_day() -> impl Strategy<Value = LocalDay> {
    (19_900..19_940).prop_map(|days| LocalDay::from_epoch_days(days).unwrap())
}

fn an_assignment() -> impl Strategy<Value = Assignment> {
    (
        select(vec!["PRIORITY", "GENERAL"]),
        subsequence(vec!["AGE_80", "DEMENTIA"], 0..=2),
        select(Interval::ALL.as_slice()),
        any::<bool>(),
        1..3_u64,
        select(vec!["350524100001", "350524101001"]),
    )
        .prop_map(
            |(tier, reasons, interval, by_phone, version, village)| Assignment {
                tier: tier.to_owned(),
                reasons: reasons.into_iter().map(str::to_owned).collect(),
                interval,
                modes: [Some(VisitMode::Home), by_phone.then_some(VisitMode::Phone)]
                    .into_iter()
                    .flatten()
                    .collect(),
                policy: PolicyRef {
                    jurisdiction: Jurisdiction::National,
                    version,
                },
                village: village.parse().unwrap(),
            },
        )
}

/// An elder is evaluated, in scope or not, for days in any order.
pub(crate) fn evaluation(elder: ElderId) -> impl Strategy<Value = tier::Command> {
    (option::of(an_assignment()), a_day()).prop_map(move |(assignment, on)| {
        tier::Command::Evaluate {
            elder,
            assignment,
            on,
        }
    })
}

/// One of a few texts is published.
pub(crate) fn publication(
    jurisdiction: Jurisdiction,
) -> impl Strategy<Value = policy_book::Command> {
    (select(vec!["a", "b", "c"]), a_day()).prop_map(move |(yaml, on)| {
        policy_book::Command::Publish {
            jurisdiction,
            yaml: yaml.to_owned(),
            on,
        }
    })
}
