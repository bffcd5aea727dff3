//! Whatever is evaluated and published in whatever order, tiers and books of policies stay what the rules allow.

use decider::Decider as _;
use eventlog::Aggregate as _;
use proptest::{collection::vec, prelude::*};
use tiering::{
    evaluate::Jurisdiction,
    policy_book::{self, PolicyBook},
    tier::{self, Tier},
};

use crate::{
    generated::{evaluation, publication},
    support::elder,
};

proptest! {
    #[test]
    fn no_sequence_of_evaluations_breaks_a_tier(commands in vec(evaluation(elder(1)), 1..40)) {
        let mut tier = Tier::default();
        let mut written = Vec::new();
        for command in commands {
            let before = tier.clone();
            let Ok(events) = before.decide(&command);
            tier = tier.evolve_all(&events);
            let tier::Command::Evaluate { assignment, on, .. } = &command;
            let as_before = before.is_as_due(assignment.as_ref());
            prop_assert_eq!(events.len(), usize::from(!as_before), "only what changes is written");
            prop_assert!(tier.is_as_due(assignment.as_ref()), "it is as it was found due");
            prop_assert_eq!(tier.assignment().is_some(), assignment.is_some());
            for event in &events {
                prop_assert_eq!(&Tier::decode(&Tier::encode(event)).unwrap(), event);
                let (tier::Event::Assigned { elder: whose, .. }
                | tier::Event::Changed { elder: whose, .. }
                | tier::Event::Ended { elder: whose, .. }) = event;
                prop_assert_eq!(*whose, elder(1));
                let follows = match event {
                    tier::Event::Assigned { .. } => before.assignment().is_none(),
                    tier::Event::Changed { .. } | tier::Event::Ended { .. } => before.assignment().is_some(),
                };
                prop_assert!(follows, "who has a tier is given none, and none changes or ends that is not there");
                let day = before.since().map_or(*on, |since| since.max(*on));
                prop_assert_eq!(tier.since(), Some(day), "days never go back");
            }
            prop_assert!(!events.is_empty() || tier == before, "only events change the tier");
            let Ok(again) = tier.decide(&command);
            prop_assert_eq!(again, vec![], "asked again, nothing more happens");
            written.extend(events);
        }
        prop_assert_eq!(Tier::default().evolve_all(&written), tier, "what is written gives the tier");
    }

    #[test]
    fn no_sequence_of_publications_breaks_a_book(
        commands in vec(publication(Jurisdiction::National), 1..30),
    ) {
        let mut book = PolicyBook::default();
        let mut versions = Vec::new();
        for command in commands {
            let before = book.clone();
            let Ok(events) = before.decide(&command);
            book = book.evolve_all(&events);
            let policy_book::Command::Publish { yaml, .. } = &command;
            prop_assert_eq!(&book.yaml, yaml, "what was published last holds");
            let in_force = before.version > 0 && before.yaml == *yaml;
            prop_assert_eq!(events.len(), usize::from(!in_force), "only what changes is written");
            for event in &events {
                prop_assert_eq!(&PolicyBook::decode(&PolicyBook::encode(event)).unwrap(), event);
                let policy_book::Event::Published { jurisdiction, version, .. } = event;
                prop_assert_eq!(*jurisdiction, Jurisdiction::National);
                versions.push(*version);
            }
            prop_assert!(!events.is_empty() || book == before, "only events change the book");
            let Ok(again) = book.decide(&command);
            prop_assert_eq!(again, vec![], "asked again, nothing more happens");
        }
        let counted: Vec<u64> = (1..=book.version).collect();
        prop_assert_eq!(versions, counted, "versions count from one, without a gap");
    }
}
