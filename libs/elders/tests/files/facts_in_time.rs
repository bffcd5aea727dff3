//! What holds of an elder on a day, told as stories.

use civic::{
    CapabilityLevel, Category, CircumstanceKind, ConsentState, ElderStatus, HandicapGrade,
    LocalDay, Observation, Set, Sex,
};
use elders::{
    Elder, Event, File, OutOfScope,
    event::{
        Capability, Circumstance, Consent, Merge, ProfileUpdated, Registered, Residence, Source,
        Spoken,
    },
    purpose,
    testing::{ELDER, change, day as any_day, event, registered as any_registered, sealed},
};
use proptest::prelude::*;
use proto::eldercare::registry::v1 as pb;
use uuid::Uuid;

fn day(text: &str) -> LocalDay {
    text.parse().unwrap()
}

fn registered() -> Registered {
    Registered {
        elder: ELDER,
        source: Source::Api,
        identity: sealed(purpose::IDENTITY, &pb::Identity::default()),
        identity_claim: "k1-00".into(),
        birth_date: day("1944-11-05"),
        sex: Sex::Female,
        residence: Residence {
            village: "350524100001".parse().unwrap(),
            home: None,
        },
        categories: Set::from(Category::LivingAlone),
        assistance: Set::EMPTY,
        capability: Capability {
            level: CapabilityLevel::Mild,
            assessed_on: Some(day("2023-04-12")),
            source: "ASSESSMENT_AGENCY".into(),
        },
        observations: Set::EMPTY,
        handicap_grade: None,
        circumstances: Vec::new(),
        contacts: None,
        consent: Consent::unknown(),
        wanted_services: Set::EMPTY,
        remarks: None,
        import: None,
    }
}

fn after(events: impl IntoIterator<Item = Event>) -> Elder {
    let opened = File::default().evolve(&Event::Registered(Box::new(registered())));
    let file = events
        .into_iter()
        .fold(opened, |file, event| file.evolve(&event));
    file.open().unwrap().clone()
}

fn assessed(level: CapabilityLevel, on: &str) -> Event {
    let capability = Capability {
        level,
        assessed_on: Some(day(on)),
        source: "ASSESSMENT_AGENCY".into(),
    };
    Event::CapabilityAssessed(capability, None)
}

fn spoken(at: &str) -> Spoken {
    Spoken {
        by: None,
        at: Some(at.parse().unwrap()),
    }
}

#[test]
fn what_bears_no_day_holds_since_ever() {
    let facts = after([]).facts.on(day("2001-01-01"));
    assert_eq!(facts.categories, Set::from(Category::LivingAlone));
    assert_eq!(
        facts.capability_level(),
        CapabilityLevel::Unassessed,
        "the assessment bears a later day"
    );
}

#[test]
fn the_later_assessment_prevails_whenever_it_was_recorded() {
    let elder = after([
        assessed(CapabilityLevel::Severe, "2024-10-10"),
        assessed(CapabilityLevel::Moderate, "2024-09-01"),
    ]);
    assert_eq!(
        elder.facts.on(day("2024-09-30")).capability_level(),
        CapabilityLevel::Moderate
    );
    assert_eq!(
        elder.facts.on(day("2024-10-10")).capability_level(),
        CapabilityLevel::Severe
    );
}

#[test]
fn a_day_of_death_is_out_of_scope_already() {
    let elder = after([Event::Died {
        on: day("2024-10-02"),
    }]);
    assert!(elder.facts.on(day("2024-10-01")).in_scope());
    assert_eq!(
        elder.facts.on(day("2024-10-02")).out_of_scope(),
        [OutOfScope::NotActive]
    );
    assert_eq!(
        elder.facts.next_change_after(day("2024-10-02")),
        None,
        "the dead have no birthdays"
    );
}

#[test]
fn a_death_recorded_in_error_never_was() {
    let elder = after([
        Event::Died {
            on: day("2024-10-02"),
        },
        Event::Reinstated {
            on: day("2024-10-02"),
            reason: "RECORDED_IN_ERROR".into(),
        },
    ]);
    assert_eq!(
        elder.facts.on(day("2024-10-02")).status,
        ElderStatus::Active
    );
}

#[test]
fn somebody_who_came_back_was_away_in_between() {
    let elder = after([
        Event::MovedOut {
            on: day("2024-03-01"),
        },
        Event::Reinstated {
            on: day("2024-06-01"),
            reason: "CAME_BACK".into(),
        },
    ]);
    assert_eq!(
        elder.facts.on(day("2024-05-31")).status,
        ElderStatus::MovedOut
    );
    assert!(elder.facts.on(day("2024-06-01")).in_scope());
}

#[test]
fn a_last_day_is_included_and_the_day_after_is_a_change() {
    let circumstance = Circumstance {
        id: Uuid::nil(),
        kind: CircumstanceKind::Accident,
        first_day: day("2024-09-23"),
        last_day: Some(day("2024-10-12")),
    };
    let facts = after([Event::CircumstanceRecorded(circumstance)]).facts;
    assert_eq!(
        facts.next_change_after(day("2024-09-01")),
        Some(day("2024-09-23"))
    );
    assert!(
        facts
            .on(day("2024-10-12"))
            .circumstances
            .contains(CircumstanceKind::Accident)
    );
    assert_eq!(
        facts.next_change_after(day("2024-10-12")),
        Some(day("2024-10-13"))
    );
    assert!(facts.on(day("2024-10-13")).circumstances.is_empty());
    assert_eq!(
        facts.next_change_after(day("2024-10-13")),
        Some(day("2024-11-05")),
        "the 80th birthday"
    );
}

#[test]
fn consent_holds_from_its_instant() {
    let elder = after([
        Event::ConsentWithdrawn(spoken("2024-10-01T10:00:00+08:00")),
        Event::ConsentGranted(spoken("2024-09-01T10:00:00+08:00")),
    ]);
    let at = |instant: &str| elder.facts.consent_at(instant.parse().unwrap()).state;
    assert_eq!(at("2024-08-01T00:00:00+08:00"), ConsentState::Unknown);
    assert_eq!(at("2024-10-01T09:59:59+08:00"), ConsentState::Granted);
    assert_eq!(at("2024-10-01T10:00:00+08:00"), ConsentState::Refused);
}

#[test]
fn observations_stay_until_they_are_ended() {
    let elder = after([
        Event::ObservationRecorded {
            observation: Observation::Bedridden,
            on: None,
        },
        assessed(CapabilityLevel::Intact, "2024-05-01"),
        Event::ObservationEnded {
            observation: Observation::Bedridden,
            on: day("2024-06-01"),
        },
    ]);
    assert!(
        elder
            .facts
            .on(day("2024-05-31"))
            .observations
            .contains(Observation::Bedridden)
    );
    assert!(elder.facts.on(day("2024-06-01")).observations.is_empty());
}

#[test]
fn a_certificate_can_be_withdrawn() {
    let elder = after([
        Event::HandicapRecorded {
            grade: Some(HandicapGrade::Second),
            on: Some(day("2024-02-01")),
        },
        Event::HandicapRecorded {
            grade: None,
            on: Some(day("2024-08-01")),
        },
    ]);
    assert_eq!(
        elder.facts.on(day("2024-07-31")).handicap_grade,
        Some(HandicapGrade::Second)
    );
    assert_eq!(elder.facts.on(day("2024-08-01")).handicap_grade, None);
}

#[test]
fn without_a_category_birthdays_change_nothing() {
    let elder = after([Event::ProfileUpdated(ProfileUpdated {
        on: Some(day("2024-10-01")),
        categories: Some(Set::EMPTY),
        ..ProfileUpdated::default()
    })]);
    assert_eq!(
        elder.facts.on(day("2024-10-01")).out_of_scope(),
        [OutOfScope::NoCategory]
    );
    assert_eq!(elder.facts.next_change_after(day("2024-10-01")), None);
    assert_eq!(
        elder.facts.next_change_after(day("2024-09-30")),
        Some(day("2024-10-01"))
    );
}

#[test]
fn the_merged_file_is_out_of_scope_until_the_merge_is_taken_back() {
    let other = civic::ElderId(Uuid::from_u128(2));
    let merge = Merge {
        surviving: other,
        merged: ELDER,
        reason: "ONE_PERSON".into(),
    };
    let merged = after([Event::Merged(merge.clone())]);
    assert_eq!(
        merged.facts.on(day("2024-10-01")).out_of_scope(),
        [OutOfScope::Merged]
    );
    assert!(
        after([Event::Merged(merge.clone()), Event::Unmerged(merge)])
            .facts
            .on(day("2024-10-01"))
            .in_scope()
    );
}

#[test]
fn erasing_leaves_nothing() {
    let opened = File::default().evolve(&Event::Registered(Box::new(registered())));
    let erased = opened.evolve(&Event::Erased {
        reason: "ON_REQUEST".into(),
    });
    assert_eq!(erased, File::Erased);
    assert_eq!(
        erased.evolve(&assessed(CapabilityLevel::Mild, "2024-10-10")),
        File::Erased
    );
}

proptest! {
    #[test]
    fn every_event_survives_the_wire(event in event()) {
        let raw = elders::codec::encode(&event);
        let name = raw.event_type.rsplit('.').next().unwrap().to_owned();
        prop_assert_eq!(name, event.name());
        prop_assert_eq!(elders::codec::decode(&raw).unwrap(), event);
    }

    #[test]
    fn cut_bytes_are_an_error_and_no_panic(event in event(), cut in any::<prop::sample::Index>()) {
        let mut raw = elders::codec::encode(&event);
        raw.data = raw.data.slice(..cut.index(raw.data.len() + 1));
        let _either = elders::codec::decode(&raw);
    }

    #[test]
    fn every_file_survives_its_snapshot(registered in any_registered(), events in prop::collection::vec(change(), 0..12)) {
        let opened = File::default().evolve(&Event::Registered(Box::new(registered)));
        let file = events.iter().fold(opened, |file, event| file.evolve(event));
        let bytes = postcard::to_stdvec(&file).unwrap();
        prop_assert_eq!(postcard::from_bytes::<File>(&bytes).unwrap(), file);
    }

    /// Between today and the next change that is announced, nothing that decides about visits changes.
    #[test]
    fn nothing_changes_before_the_next_change(
        registered in any_registered(),
        events in prop::collection::vec(change(), 0..12),
        today in any_day(),
        ahead in 1..800_i64,
    ) {
        let opened = File::default().evolve(&Event::Registered(Box::new(registered)));
        let file = events.iter().fold(opened, |file, event| file.evolve(event));
        if let Some(elder) = file.open() {
            let later = today.plus_days(ahead);
            if elder.facts.next_change_after(today).is_none_or(|changes| later < changes) {
                let (now, then) = (elder.facts.on(today), elder.facts.on(later));
                prop_assert_eq!(now.in_scope(), then.in_scope());
                if now.in_scope() {
                    prop_assert_eq!(
                        (now.age, now.capability, now.observations, now.handicap_grade, now.categories, now.circumstances),
                        (then.age, then.capability, then.observations, then.handicap_grade, then.categories, then.circumstances)
                    );
                }
            }
        }
    }
}
