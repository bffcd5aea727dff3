//! An elder's file: given what happened, when this is asked, then that follows.

use civic::{
    Assistance, CapabilityLevel, Category, CircumstanceKind, ConsentState, ElderId, HandicapGrade,
    LocalDay, Observation, Set, Sex,
};
use decider::{Decider as _, testing::given};
use elders::{
    Event,
    event::{
        Capability, Circumstance, Consent, Merge, ProfileUpdated, Registered, Residence, Source,
        Spoken,
    },
    purpose,
    testing::{ELDER, sealed},
};
use proto::eldercare::registry::v1 as pb;
use registry::elder::{Command, File, Refusal};
use uuid::Uuid;

const OTHER: ElderId = ElderId(Uuid::from_u128(2));

fn day(text: &str) -> LocalDay {
    text.parse().unwrap()
}

fn today() -> LocalDay {
    day("2024-10-15")
}

fn registration() -> Registered {
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
        capability: Capability::unassessed(),
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

fn registered() -> Event {
    Event::Registered(Box::new(registration()))
}

fn mild(on: &str) -> Capability {
    Capability {
        level: CapabilityLevel::Mild,
        assessed_on: Some(day(on)),
        source: "ASSESSMENT_AGENCY".into(),
    }
}

fn assess(capability: Capability) -> Command {
    Command::RecordAssessment {
        capability,
        items: None,
        today: today(),
    }
}

fn accident() -> Circumstance {
    Circumstance {
        id: Uuid::from_u128(77),
        kind: CircumstanceKind::Accident,
        first_day: day("2024-10-01"),
        last_day: None,
    }
}

fn at(instant: &str) -> Spoken {
    Spoken {
        by: None,
        at: Some(instant.parse().unwrap()),
    }
}

fn merge() -> Merge {
    Merge {
        surviving: OTHER,
        merged: ELDER,
        reason: "ONE_PERSON".into(),
    }
}

fn reinstate(on: &str) -> Command {
    Command::Reinstate {
        on: day(on),
        reason: "RECORDED_IN_ERROR".into(),
    }
}

#[test]
fn a_file_is_opened_once() {
    // Sealed twice, the same content would be two envelopes.
    let registration = Box::new(registration());
    let register = Command::Register(registration.clone());
    given::<File>([])
        .when(register.clone())
        .then([Event::Registered(registration)]);
    given::<File>([registered()])
        .when(register)
        .then_refused(Refusal::AlreadyRegistered);
}

#[test]
fn nothing_can_be_asked_of_a_file_that_is_not_there() {
    given::<File>([])
        .when(assess(mild("2024-10-01")))
        .then_refused(Refusal::NotRegistered);
    given::<File>([])
        .when(Command::Erase {
            reason: "ON_REQUEST".into(),
        })
        .then_refused(Refusal::NotRegistered);
}

#[test]
fn an_assessment_is_recorded_with_its_day() {
    given::<File>([registered()])
        .when(assess(mild("2024-10-01")))
        .then([Event::CapabilityAssessed(mild("2024-10-01"), None)]);
}

#[test]
fn the_same_assessment_again_is_known() {
    given::<File>([
        registered(),
        Event::CapabilityAssessed(mild("2024-10-01"), None),
    ])
    .when(assess(mild("2024-10-01")))
    .then_nothing();
}

#[test]
fn nobody_is_assessed_in_the_future_or_before_birth() {
    given::<File>([registered()])
        .when(assess(mild("2024-10-16")))
        .then_refused(Refusal::InFuture("assessed_on"));
    given::<File>([registered()])
        .when(assess(mild("1944-11-04")))
        .then_refused(Refusal::BeforeBirth("assessed_on"));
}

#[test]
fn a_refusal_after_a_grant_is_a_withdrawal() {
    let refuse = |instant: &str| Command::RecordConsent {
        state: ConsentState::Refused,
        spoken: at(instant),
    };
    given::<File>([registered()])
        .when(refuse("2024-10-01T09:00:00+08:00"))
        .then([Event::ConsentRefused(at("2024-10-01T09:00:00+08:00"))]);
    given::<File>([
        registered(),
        Event::ConsentGranted(at("2024-09-01T09:00:00+08:00")),
    ])
    .when(refuse("2024-10-01T09:00:00+08:00"))
    .then([Event::ConsentWithdrawn(at("2024-10-01T09:00:00+08:00"))]);
}

#[test]
fn a_blow_of_the_same_kind_and_days_is_the_same_blow() {
    let again = Circumstance {
        id: Uuid::from_u128(78),
        ..accident()
    };
    given::<File>([registered(), Event::CircumstanceRecorded(accident())])
        .when(Command::RecordCircumstance(again))
        .then_nothing();
}

#[test]
fn a_circumstance_ends_on_or_after_its_first_day() {
    let end = |id, last_day: &str| Command::EndCircumstance {
        id: Uuid::from_u128(id),
        last_day: day(last_day),
    };
    let given_accident = || given::<File>([registered(), Event::CircumstanceRecorded(accident())]);
    given_accident()
        .when(end(77, "2024-10-01"))
        .then([Event::CircumstanceEnded {
            id: Uuid::from_u128(77),
            last_day: day("2024-10-01"),
        }]);
    given_accident()
        .when(end(77, "2024-09-30"))
        .then_refused(Refusal::LastDayBeforeFirst);
    given_accident()
        .when(end(99, "2024-10-02"))
        .then_refused(Refusal::UnknownCircumstance);
}

#[test]
fn a_day_of_death_can_be_corrected_to_an_earlier_one_only() {
    let die = |on: &str| Command::RecordDeath {
        on: day(on),
        today: today(),
    };
    let dead = || {
        given::<File>([
            registered(),
            Event::Died {
                on: day("2024-10-10"),
            },
        ])
    };
    dead().when(die("2024-10-10")).then_nothing();
    dead().when(die("2024-10-08")).then([Event::Died {
        on: day("2024-10-08"),
    }]);
    dead()
        .when(die("2024-10-12"))
        .then_refused(Refusal::Deceased);
    given::<File>([registered()])
        .when(die("2024-10-16"))
        .then_refused(Refusal::InFuture("on"));
}

#[test]
fn the_dead_do_not_move() {
    given::<File>([
        registered(),
        Event::Died {
            on: day("2024-10-10"),
        },
    ])
    .when(Command::RecordMoveOut {
        on: day("2024-10-11"),
    })
    .then_refused(Refusal::Deceased);
}

#[test]
fn only_a_closed_file_is_reinstated_and_not_before_it_was_closed() {
    given::<File>([registered()])
        .when(reinstate("2024-10-10"))
        .then_refused(Refusal::NotClosed);
    let moved = || {
        given::<File>([
            registered(),
            Event::MovedOut {
                on: day("2024-10-05"),
            },
        ])
    };
    moved()
        .when(reinstate("2024-10-04"))
        .then_refused(Refusal::ClosedLater);
    moved()
        .when(reinstate("2024-10-05"))
        .then([Event::Reinstated {
            on: day("2024-10-05"),
            reason: "RECORDED_IN_ERROR".into(),
        }]);
}

#[test]
fn a_merged_file_sends_its_commands_on() {
    given::<File>([registered(), Event::Merged(merge())])
        .when(assess(mild("2024-10-01")))
        .then_refused(Refusal::MergedInto(OTHER));
}

#[test]
fn a_file_is_merged_once_and_not_with_itself() {
    given::<File>([registered()])
        .when(Command::Merge(merge()))
        .then([Event::Merged(merge())]);
    given::<File>([registered(), Event::Merged(merge())])
        .when(Command::Merge(merge()))
        .then_nothing();
    let itself = Merge {
        surviving: ELDER,
        ..merge()
    };
    given::<File>([registered()])
        .when(Command::Merge(itself))
        .then_refused(Refusal::MergeWithItself);
}

#[test]
fn a_surviving_file_absorbs_another_once() {
    let absorbs = Merge {
        surviving: ELDER,
        merged: OTHER,
        reason: "ONE_PERSON".into(),
    };
    given::<File>([registered(), Event::Merged(absorbs.clone())])
        .when(Command::Merge(absorbs.clone()))
        .then_nothing();
    given::<File>([registered(), Event::Merged(absorbs.clone())])
        .when(Command::Unmerge(absorbs.clone()))
        .then([Event::Unmerged(absorbs)]);
}

#[test]
fn only_a_merge_that_stands_is_taken_back() {
    given::<File>([registered()])
        .when(Command::Unmerge(merge()))
        .then_refused(Refusal::NotMerged);
    given::<File>([registered(), Event::Merged(merge())])
        .when(Command::Unmerge(merge()))
        .then([Event::Unmerged(merge())]);
}

#[test]
fn erasing_is_final_and_asked_twice_is_no_error() {
    let erase = || Command::Erase {
        reason: "ON_REQUEST".into(),
    };
    let erased = || Event::Erased {
        reason: "ON_REQUEST".into(),
    };
    given::<File>([registered()]).when(erase()).then([erased()]);
    given::<File>([registered(), Event::Merged(merge())])
        .when(erase())
        .then([erased()]);
    given::<File>([registered(), erased()])
        .when(erase())
        .then_nothing();
    given::<File>([registered(), erased()])
        .when(assess(mild("2024-10-01")))
        .then_refused(Refusal::Erased);
}

#[test]
fn what_a_profile_says_already_is_not_written_again() {
    let update = |categories| ProfileUpdated {
        on: Some(day("2024-10-01")),
        categories: Some(categories),
        ..ProfileUpdated::default()
    };
    let disabled = Set::from(Category::Disabled);
    given::<File>([registered()])
        .when(Command::UpdateProfile(update(disabled)))
        .then([Event::ProfileUpdated(update(disabled))]);
    given::<File>([registered(), Event::ProfileUpdated(update(disabled))])
        .when(Command::UpdateProfile(update(disabled)))
        .then_nothing();
}

#[test]
fn observations_and_grades_bear_their_day() {
    given::<File>([registered()])
        .when(Command::RecordObservation {
            observation: Observation::Dementia,
            on: day("2024-10-01"),
        })
        .then([Event::ObservationRecorded {
            observation: Observation::Dementia,
            on: Some(day("2024-10-01")),
        }]);
    given::<File>([registered()])
        .when(Command::RecordHandicap {
            grade: Some(HandicapGrade::First),
            on: day("1940-01-01"),
        })
        .then_refused(Refusal::BeforeBirth("on"));
}

#[test]
fn a_fact_said_again_from_a_later_day_stands_against_one_recorded_late() {
    let living = |category, on: &str| ProfileUpdated {
        on: Some(day(on)),
        categories: Some(Set::from(category)),
        ..ProfileUpdated::default()
    };
    let alone = living(Category::LivingAlone, "2024-09-20");
    given::<File>([registered()])
        .when(Command::UpdateProfile(alone.clone()))
        .then([Event::ProfileUpdated(alone.clone())]);
    given::<File>([registered(), Event::ProfileUpdated(alone.clone())])
        .when(Command::UpdateProfile(alone.clone()))
        .then_nothing();
    let nested = Event::ProfileUpdated(living(Category::EmptyNest, "2024-09-10"));
    let file =
        File::default().evolve_all(&[registered(), Event::ProfileUpdated(alone.clone()), nested]);
    let facts = &file.0.open().unwrap().facts;
    let on = |on: &str| facts.on(day(on)).categories;
    assert_eq!(on("2024-09-15"), Set::from(Category::EmptyNest));
    assert_eq!(on("2024-09-25"), Set::from(Category::LivingAlone));

    // Of a profile the parts that say something new are written.
    let more = ProfileUpdated {
        assistance: Some(Set::from(Assistance::MinimumLiving)),
        ..alone.clone()
    };
    given::<File>([registered(), Event::ProfileUpdated(alone)])
        .when(Command::UpdateProfile(more.clone()))
        .then([Event::ProfileUpdated(ProfileUpdated {
            categories: None,
            ..more
        })]);
    let home = registration().residence;
    given::<File>([registered()])
        .when(Command::Relocate {
            residence: home.clone(),
            on: day("2024-09-20"),
        })
        .then([Event::Relocated(home.clone(), day("2024-09-20"))]);
    given::<File>([
        registered(),
        Event::Relocated(home.clone(), day("2024-09-20")),
    ])
    .when(Command::Relocate {
        residence: home,
        on: day("2024-09-20"),
    })
    .then_nothing();
}

#[test]
fn nothing_happens_before_birth() {
    let before = day("1944-11-04");
    let refuses = |command: Command, field| {
        given::<File>([registered()])
            .when(command)
            .then_refused(Refusal::BeforeBirth(field));
    };
    refuses(
        Command::UpdateProfile(ProfileUpdated {
            on: Some(before),
            categories: Some(Set::EMPTY),
            ..ProfileUpdated::default()
        }),
        "on",
    );
    refuses(
        Command::RecordCircumstance(Circumstance {
            first_day: before,
            ..accident()
        }),
        "circumstance.first_day",
    );
    refuses(
        Command::RecordConsent {
            state: ConsentState::Granted,
            spoken: at("1944-11-04T23:59:59+08:00"),
        },
        "at",
    );
    let registers = |registered: Registered, field| {
        given::<File>([])
            .when(Command::Register(Box::new(registered)))
            .then_refused(Refusal::BeforeBirth(field));
    };
    registers(
        Registered {
            capability: mild("1944-11-04"),
            ..registration()
        },
        "capability.assessed_on",
    );
    registers(
        Registered {
            circumstances: vec![Circumstance {
                first_day: before,
                ..accident()
            }],
            ..registration()
        },
        "circumstances.first_day",
    );
    registers(
        Registered {
            consent: Consent {
                state: ConsentState::Granted,
                spoken: at("1944-11-04T23:59:59+08:00"),
            },
            ..registration()
        },
        "consent.at",
    );
}
