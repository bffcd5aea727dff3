//! The bytes that lie in logs since the first release: a change here is a change of history.

use civic::{
    Assistance, CapabilityLevel, Category, CircumstanceKind, ConsentGiver, ConsentState, ElderId,
    HandicapGrade, LocalDay, Observation, ServiceKind, Set, Sex,
};
use elders::{
    Event, codec,
    event::{
        Capability, Circumstance, Consent, IdentityCorrected, Merge, ProfileUpdated, Registered,
        Residence, Source, Spoken,
    },
};
use proto::eldercare::r#type::v1 as types;
use uuid::Uuid;
use vault::Sealed;

fn day(text: &str) -> LocalDay {
    text.parse().unwrap()
}

fn envelope<T>(purpose: &str) -> Sealed<T> {
    Sealed::try_from(types::Sealed {
        algorithm: types::SealingAlgorithm::Sm4Gcm.into(),
        person: vec![1; 16].into(),
        purpose: purpose.into(),
        nonce: vec![2; 12].into(),
        ciphertext: vec![3; 20].into(),
    })
    .unwrap()
}

fn events() -> Vec<Event> {
    let elder = ElderId(Uuid::from_u128(1));
    let capability = Capability {
        level: CapabilityLevel::Moderate,
        assessed_on: Some(day("2023-04-12")),
        source: "ASSESSMENT_AGENCY".into(),
    };
    let circumstance = Circumstance {
        id: Uuid::from_u128(3),
        kind: CircumstanceKind::NaturalDisaster,
        first_day: day("2024-08-20"),
        last_day: Some(day("2024-09-20")),
    };
    let spoken = Spoken {
        by: Some(ConsentGiver::Supporter),
        at: Some("2024-01-02T09:00:00+08:00".parse().unwrap()),
    };
    let merge = Merge {
        surviving: elder,
        merged: ElderId(Uuid::from_u128(2)),
        reason: "ONE_PERSON".into(),
    };
    vec![
        Event::Registered(Box::new(Registered {
            elder,
            source: Source::Survey,
            identity: envelope("registry.identity"),
            identity_claim: "k1-00ff".into(),
            birth_date: day("1944-02-29"),
            sex: Sex::Female,
            residence: Residence {
                village: "350524100001".parse().unwrap(),
                home: Some(envelope("registry.home")),
            },
            categories: Set::from([Category::LivingAlone, Category::SeverelyHandicapped]),
            assistance: Set::from(Assistance::MinimumLiving),
            capability: capability.clone(),
            observations: Set::from(Observation::Dementia),
            handicap_grade: Some(HandicapGrade::Second),
            circumstances: vec![circumstance.clone()],
            contacts: Some(envelope("registry.contacts")),
            consent: Consent {
                state: ConsentState::Granted,
                spoken,
            },
            wanted_services: Set::from(ServiceKind::DailyCare),
            remarks: Some(envelope("registry.remarks")),
            import: Some(Uuid::from_u128(4)),
        })),
        Event::IdentityCorrected(IdentityCorrected {
            identity: envelope("registry.identity"),
            identity_claim: "k1-00fe".into(),
            birth_date: day("1944-03-01"),
            sex: Sex::Male,
            reason: "TYPING_ERROR".into(),
        }),
        Event::Relocated(
            Residence {
                village: "350524101223".parse().unwrap(),
                home: None,
            },
            day("2024-09-25"),
        ),
        Event::ProfileUpdated(ProfileUpdated {
            on: Some(day("2024-10-01")),
            categories: Some(Set::EMPTY),
            assistance: None,
            wanted_services: Some(Set::from(ServiceKind::Other)),
            remarks: None,
        }),
        Event::CapabilityAssessed(capability, Some(envelope("registry.assessment_items"))),
        Event::HandicapRecorded {
            grade: None,
            on: Some(day("2024-10-01")),
        },
        Event::ObservationRecorded {
            observation: Observation::Bedridden,
            on: None,
        },
        Event::ObservationEnded {
            observation: Observation::Bedridden,
            on: day("2024-10-02"),
        },
        Event::CircumstanceRecorded(circumstance),
        Event::CircumstanceEnded {
            id: Uuid::from_u128(3),
            last_day: day("2024-10-12"),
        },
        Event::ContactsSet(envelope("registry.contacts")),
        Event::ConsentGranted(spoken),
        Event::ConsentRefused(Spoken { by: None, at: None }),
        Event::ConsentWithdrawn(spoken),
        Event::Died {
            on: day("2024-10-02"),
        },
        Event::MovedOut {
            on: day("2024-10-03"),
        },
        Event::Reinstated {
            on: day("2024-10-03"),
            reason: "CAME_BACK".into(),
        },
        Event::Merged(merge.clone()),
        Event::Unmerged(merge),
        Event::Erased {
            reason: "ON_REQUEST".into(),
        },
    ]
}

#[test]
fn every_event_has_the_bytes_that_it_always_had() {
    let written: String = events()
        .iter()
        .map(codec::encode)
        .map(|raw| {
            let hex: String = raw.data.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("{} {hex}\n", raw.event_type)
        })
        .collect();
    let golden = include_str!("golden_bytes.txt");
    for (now, then) in written.lines().zip(golden.lines()) {
        assert_eq!(now, then);
    }
    assert_eq!(
        written.lines().count(),
        golden.lines().count(),
        "every event has its line:\n{written}"
    );
}
