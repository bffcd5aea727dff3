//! Whatever is asked in whatever order, elders' files, claims to ID numbers, pairs of files and counties' tables stay what the
//! rules allow.

use civic::{DivisionCode, DivisionLevel, ElderId, ElderStatus};
use decider::Decider as _;
use elders::{
    Event,
    event::{Merge, ProfileUpdated},
    testing::{
        ELDER, capability, change, circumstance, circumstance_id, contacts, day as any_day, grade,
        identity_corrected, merge as any_merge, registered as any_registered, residence,
        spoken as any_spoken, word, words,
    },
};
use eventlog::Aggregate as _;
use proptest::{
    collection::vec,
    option,
    prelude::*,
    sample::{select, subsequence},
};
use registry::{
    divisions::{Division, Divisions, Publish},
    duplicate::{self, Duplicate, Pair},
    elder::{Command, File},
    identity::{self, Claim},
};
use uuid::Uuid;

const ONE: ElderId = ElderId(Uuid::from_u128(1));
const OTHER: ElderId = ElderId(Uuid::from_u128(2));
const THIRD: ElderId = ElderId(Uuid::from_u128(3));

fn claim_command() -> impl Strategy<Value = identity::Command> {
    (select(vec![ONE, OTHER, THIRD]), any::<bool>()).prop_map(|(elder, claims)| {
        if claims {
            identity::Command::Claim(elder)
        } else {
            identity::Command::Release(elder)
        }
    })
}

fn merge() -> impl Strategy<Value = Merge> {
    any::<bool>().prop_map(|first| Merge {
        surviving: if first { ONE } else { OTHER },
        merged: if first { OTHER } else { ONE },
        reason: "ONE_PERSON".into(),
    })
}

fn pair_command() -> impl Strategy<Value = duplicate::Command> {
    let pair = Pair::of(ONE, OTHER).unwrap();
    prop_oneof![
        Just(duplicate::Command::Report(pair, "SAME_HOME".into())),
        Just(duplicate::Command::Dismiss("TWO_PERSONS".into())),
        merge().prop_map(duplicate::Command::Merge),
        merge().prop_map(duplicate::Command::Unmerge),
    ]
}

proptest! {
    #[test]
    fn no_sequence_of_commands_gives_a_number_to_two(commands in vec(claim_command(), 1..30)) {
        let mut claim = Claim::default();
        for command in commands {
            let before = claim.holder();
            let decided = claim.decide(&command);
            let expected = match (before, command) {
                (None, identity::Command::Claim(elder)) => Some(elder),
                (Some(holder), identity::Command::Release(elder)) if holder == elder => None,
                (holder, identity::Command::Claim(_) | identity::Command::Release(_)) => holder,
            };
            let refused = matches!(
                (before, command),
                (Some(holder), identity::Command::Claim(elder)) if holder != elder
            );
            prop_assert_eq!(decided.is_err(), refused, "who holds the number keeps it");
            let events = decided.unwrap_or_default();
            for event in &events {
                prop_assert_eq!(&Claim::decode(&Claim::encode(event)).unwrap(), event);
            }
            prop_assert_eq!(events.is_empty(), before == expected, "only what changes is written");
            claim = claim.evolve_all(&events);
            prop_assert_eq!(claim.holder(), expected);
            let again = claim.decide(&command);
            prop_assert!(again.is_err() || again == Ok(Vec::new()), "asked again, nothing more happens");
        }
    }

    #[test]
    fn no_sequence_of_commands_merges_a_pair_in_two_ways(commands in vec(pair_command(), 1..30)) {
        let mut pair = Duplicate::default();
        // Which file stands for both, by the commands that were carried out.
        let mut stands: Option<ElderId> = None;
        for command in commands {
            let decided = pair.decide(&command);
            match &command {
                duplicate::Command::Merge(merge) => {
                    prop_assert_eq!(decided.is_ok(), stands.is_none_or(|stands| stands == merge.surviving));
                }
                duplicate::Command::Unmerge(merge) => {
                    prop_assert_eq!(decided.is_ok(), stands == Some(merge.surviving));
                }
                duplicate::Command::Report(..) | duplicate::Command::Dismiss(_) => {
                    prop_assert!(stands.is_none() || decided.is_err(), "what is merged is decided");
                }
            }
            let Ok(events) = decided else { continue };
            for event in &events {
                prop_assert_eq!(&Duplicate::decode(&Duplicate::encode(event)).unwrap(), event);
            }
            let before = pair.clone();
            pair = pair.evolve_all(&events);
            prop_assert_eq!(events.is_empty(), before == pair, "only what changes is written");
            match &command {
                duplicate::Command::Merge(merge) => stands = Some(merge.surviving),
                duplicate::Command::Unmerge(_) => stands = None,
                duplicate::Command::Report(..) | duplicate::Command::Dismiss(_) => {}
            }
            let merged_into = match &pair {
                Duplicate::Merged { surviving } => Some(*surviving),
                Duplicate::Unreported | Duplicate::Open | Duplicate::Dismissed => None,
            };
            prop_assert_eq!(merged_into, stands);
            let again = pair.decide(&command);
            prop_assert!(again.is_err() || again == Ok(Vec::new()), "asked again, nothing more happens");
        }
    }
}

/// A division of a few, whether it belongs there or not.
fn division() -> impl Strategy<Value = Division> {
    let codes = [
        "3505",
        "350524",
        "350525",
        "350524100",
        "350524101",
        "350524100001",
        "350524101001",
    ];
    let names = ["凤城镇", "蓬莱镇", " "];
    (select(codes.to_vec()), select(names.to_vec())).prop_map(|(code, name)| Division {
        code: code.parse().unwrap(),
        name: name.to_owned(),
    })
}

/// A county's table as it should be.
fn right_table() -> impl Strategy<Value = Publish> {
    let below = [
        "350524100",
        "350524100001",
        "350524101",
        "350524101001",
        "350524101002",
    ];
    let below = subsequence(below.to_vec(), 0..=below.len());
    (below, select(vec!["旧名", "新名"])).prop_map(|(below, name)| {
        let codes = ["350524"].into_iter().chain(below);
        let codes: Vec<DivisionCode> = codes.map(|code| code.parse().unwrap()).collect();
        let within = |code: &DivisionCode| {
            let parent = code.parent().filter(|parent| codes.contains(parent));
            code.level() == DivisionLevel::County || parent.is_some()
        };
        let table = codes.iter().filter(|code| within(code));
        let table = table.map(|code| Division {
            code: *code,
            name: name.to_owned(),
        });
        Publish(table.collect())
    })
}

/// Any table, and whether it is known to be as it should be.
fn any_table() -> impl Strategy<Value = (Publish, bool)> {
    prop_oneof![
        3 => right_table().prop_map(|table| (table, true)),
        1 => vec(division(), 0..6).prop_map(|divisions| (Publish(divisions), false)),
    ]
}

proptest! {
    #[test]
    fn no_sequence_of_tables_leaves_a_division_outside_its_county(tables in vec(any_table(), 1..20)) {
        let mut divisions = Divisions::default();
        for (table, right) in tables {
            let decided = divisions.decide(&table);
            prop_assert!(decided.is_ok() || !right, "what is right is published");
            let Ok(events) = decided else { continue };
            for event in &events {
                prop_assert_eq!(&Divisions::decode(&Divisions::encode(event)).unwrap(), event);
            }
            let before = divisions.clone();
            divisions = divisions.evolve_all(&events);
            prop_assert_eq!(events.is_empty(), before == divisions, "only what changes is written");
            prop_assert_eq!(divisions.iter().count(), table.0.len(), "the table is the last one asked for");
            for Division { code, name } in &table.0 {
                prop_assert_eq!(divisions.name(code), Some(name.as_str()));
                prop_assert!(!name.trim().is_empty());
            }
            let of_counties = divisions.iter().filter(|(code, _)| code.level() == DivisionLevel::County);
            prop_assert_eq!(of_counties.count(), 1);
            for (code, _) in divisions.iter() {
                let known = code.parent().is_some_and(|parent| divisions.name(&parent).is_some());
                prop_assert!(known || code.level() == DivisionLevel::County, "each has its parent");
            }
            prop_assert_eq!(divisions.decide(&table), Ok(Vec::new()), "asked again, nothing more happens");
        }
    }
}

/// What a survey may say of a known elder.
fn surveyed(event: &Event) -> bool {
    match event {
        Event::Relocated(..)
        | Event::ProfileUpdated(_)
        | Event::CapabilityAssessed(..)
        | Event::HandicapRecorded { .. }
        | Event::ObservationRecorded { .. }
        | Event::ContactsSet(_)
        | Event::ConsentGranted(_)
        | Event::ConsentRefused(_)
        | Event::ConsentWithdrawn(_) => true,
        Event::Registered(_)
        | Event::IdentityCorrected(_)
        | Event::ObservationEnded { .. }
        | Event::CircumstanceRecorded(_)
        | Event::CircumstanceEnded { .. }
        | Event::Died { .. }
        | Event::MovedOut { .. }
        | Event::Reinstated { .. }
        | Event::Merged(_)
        | Event::Unmerged(_)
        | Event::Erased { .. } => false,
    }
}

fn any_command() -> impl Strategy<Value = Command> {
    prop_oneof![
        any_registered().prop_map(|registered| Command::Register(Box::new(registered))),
        (residence(), any_day()).prop_map(|(residence, on)| Command::Relocate { residence, on }),
        (
            option::of(any_day()),
            option::of(words()),
            option::of(words())
        )
            .prop_map(|(on, categories, assistance)| {
                Command::UpdateProfile(ProfileUpdated {
                    on,
                    categories,
                    assistance,
                    ..ProfileUpdated::default()
                })
            }),
        (capability(), any_day()).prop_map(|(capability, today)| Command::RecordAssessment {
            capability,
            items: None,
            today
        }),
        (grade(), any_day()).prop_map(|(grade, on)| Command::RecordHandicap { grade, on }),
        (word(), any_day())
            .prop_map(|(observation, on)| Command::RecordObservation { observation, on }),
        (word(), any_day())
            .prop_map(|(observation, on)| Command::EndObservation { observation, on }),
        circumstance().prop_map(Command::RecordCircumstance),
        (circumstance_id(), any_day())
            .prop_map(|(id, last_day)| Command::EndCircumstance { id, last_day }),
        identity_corrected().prop_map(Command::CorrectIdentity),
        contacts().prop_map(Command::SetContacts),
        (word(), any_spoken()).prop_map(|(state, spoken)| Command::RecordConsent { state, spoken }),
        (any_day(), any_day()).prop_map(|(on, today)| Command::RecordDeath { on, today }),
        any_day().prop_map(|on| Command::RecordMoveOut { on }),
        any_day().prop_map(|on| Command::Reinstate {
            on,
            reason: "CAME_BACK".into()
        }),
        any_merge().prop_map(Command::Merge),
        any_merge().prop_map(Command::Unmerge),
        vec(change(), 0..6).prop_map(|changes| {
            Command::Resurvey(changes.into_iter().filter(surveyed).collect())
        }),
        Just(Command::Erase {
            reason: "ON_REQUEST".into()
        }),
    ]
}

proptest! {
    /// Whatever is asked in whatever order, a file stays one that the rules allow.
    #[test]
    fn no_sequence_of_commands_breaks_a_file(commands in vec(any_command(), 1..40), seen_on in any_day()) {
        let mut file = File::default();
        let mut erased = false;
        for command in commands {
            let Ok(events) = file.decide(&command) else { continue };
            prop_assert!(!erased || events.is_empty(), "nothing happens to an erased file");
            let before = file.clone();
            file = file.evolve_all(&events);
            erased |= matches!(file.0, elders::File::Erased);
            prop_assert!(!events.is_empty() || before == file, "only events change the file");
            // What a survey says may be known already, or be taken back in the same row.
            if !matches!(command, Command::Resurvey(_)) && !events.is_empty() {
                prop_assert!(before != file, "each event changes the file");
                let again = file.decide(&command);
                prop_assert!(again.is_err() || again == Ok(Vec::new()), "asked again, nothing more happens");
            }
            if let Some(elder) = file.0.open() {
                prop_assert_eq!(elder.id, ELDER);
                prop_assert!(elder.merged_into != Some(ELDER));
                prop_assert!(!elder.absorbed.contains(&ELDER));
                let mut absorbed = elder.absorbed.clone();
                absorbed.sort();
                absorbed.dedup();
                prop_assert_eq!(absorbed.len(), elder.absorbed.len(), "each file is absorbed once");
                let facts = elder.facts.on(seen_on);
                prop_assert!(facts.status != ElderStatus::Erased);
                prop_assert!(facts.in_scope() == facts.out_of_scope().is_empty());
                for circumstance in elder.facts.circumstances() {
                    prop_assert!(circumstance.last_day.is_none_or(|last| last >= circumstance.first_day));
                }
            }
        }
    }
}
