//! Programmes, elders and moments in few words.

use chrono::{DateTime, Utc};
use civic::{
    Assistance, CapabilityLevel, ConsentState, ElderId, HandicapGrade, LocalDay, Set, Sex,
};
use claims::definition::Definition;
use elders::event::{Capability, Consent, Event, Registered, Residence, Source, Spoken};
use elders::{Facts, purpose, testing};
use proto::eldercare::registry::v1 as registry;

pub(crate) const LTCI: &str = include_str!("../programmes/ltci.yaml");
pub(crate) const HOMECARE: &str = include_str!("../programmes/homecare.yaml");

/// The elder of these tests.
pub(crate) const ELDER: ElderId = testing::ELDER;

pub(crate) fn day(text: &str) -> LocalDay {
    text.parse().unwrap()
}

/// A second of local time, such as `2024-05-10 09:00:00`.
pub(crate) fn at(text: &str) -> DateTime<Utc> {
    let (day, time) = text.split_once(' ').unwrap();
    format!("{day}T{time}+08:00").parse().unwrap()
}

pub(crate) fn definition(yaml: &str) -> Definition {
    Definition::parse(yaml).unwrap()
}

/// Seventy years old in 2020, on minimum living allowance and severely disabled.
pub(crate) fn registered() -> Registered {
    Registered {
        elder: ELDER,
        source: Source::Api,
        identity: testing::sealed(purpose::IDENTITY, &registry::Identity::default()),
        identity_claim: "k1-00ff".to_owned(),
        birth_date: day("1950-03-01"),
        sex: Sex::Female,
        residence: Residence {
            village: "350524100001".parse().unwrap(),
            home: None,
        },
        categories: Set::new(),
        assistance: Assistance::MinimumLiving.into(),
        capability: Capability {
            level: CapabilityLevel::Severe,
            assessed_on: None,
            source: String::new(),
        },
        observations: Set::new(),
        handicap_grade: None,
        circumstances: vec![],
        contacts: None,
        consent: Consent {
            state: ConsentState::Unknown,
            spoken: Spoken { by: None, at: None },
        },
        wanted_services: Set::new(),
        remarks: None,
        import: None,
    }
}

/// The same with changes.
pub(crate) fn facts(change: impl FnOnce(&mut Registered)) -> Facts {
    let mut registered = registered();
    change(&mut registered);
    Facts::registered(&registered)
}

/// The same after events.
pub(crate) fn after(mut facts: Facts, events: &[Event]) -> Facts {
    for event in events {
        facts.apply(event, ELDER);
    }
    facts
}

pub(crate) fn grade(number: u8) -> Option<HandicapGrade> {
    Some(number.try_into().unwrap())
}
