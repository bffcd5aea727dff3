//! Stories of elders' files, and of divisions.

use civic::{
    Assistance, CapabilityLevel, Category, CircumstanceKind, ConsentGiver, ConsentState, ElderId,
    HandicapGrade, Observation, ServiceKind, Set, Sex,
};
use elders::event::{
    Capability, Circumstance, Consent, Event, IdentityCorrected, Merge, ProfileUpdated, Registered,
    Residence, Source, Spoken,
};
use elders::testing::sealed;
use elders::{codec, purpose};
use eventlog::RawEvent;
use proto::eldercare::registry::v1 as pb;
use proto::eldercare::r#type::v1 as types;

use super::{
    COUNTY, OTHER_VILLAGE, Story, VILLAGE, day, elder, id, malformed, subject, unknown, uuid,
};

/// Of elders whose files go through all that can happen; one is erased, the beginning of another's can't be read.
pub fn stories() -> Vec<Story> {
    vec![
        story(elder(1), all_that_happens()),
        story(elder(2), consents()),
        story(elder(3), comes_and_goes()),
        erased(),
        unreadable(),
        merged(),
        divisions(),
        others(),
    ]
}

/// Some events of an elder at a time.
fn story(elder: ElderId, told: Vec<Vec<Event>>) -> Story {
    let registered = vec![Event::Registered(Box::new(registered(elder)))];
    let told = std::iter::once(registered).chain(told);
    let told = told.map(|events| step(elder, events.iter().map(codec::encode).collect()));
    told.collect()
}

fn step(elder: ElderId, events: Vec<RawEvent>) -> (eventlog::Subject, Vec<RawEvent>) {
    (subject("registry", "elder", &elder.to_string()), events)
}

fn registered(elder: ElderId) -> Registered {
    Registered {
        elder,
        source: Source::Api,
        identity: sealed(purpose::IDENTITY, &pb::Identity::default()),
        identity_claim: "k1-00ff".to_owned(),
        birth_date: day("1940-03-01"),
        sex: Sex::Female,
        residence: living_in(VILLAGE),
        categories: Category::LivingAlone.into(),
        assistance: Set::new(),
        capability: Capability::unassessed(),
        observations: Set::new(),
        handicap_grade: None,
        circumstances: vec![],
        contacts: None,
        consent: Consent {
            state: ConsentState::Granted,
            spoken: Spoken { by: None, at: None },
        },
        wanted_services: Set::new(),
        remarks: None,
        import: None,
    }
}

fn living_in(village: &str) -> Residence {
    Residence {
        village: village.parse().expect("a village"),
        home: Some(sealed(purpose::HOME, &pb::Home::default())),
    }
}

fn contacts() -> Event {
    Event::ContactsSet(sealed(purpose::CONTACTS, &pb::ContactList::default()))
}

fn corrected(birth_date: &str) -> Event {
    Event::IdentityCorrected(IdentityCorrected {
        identity: sealed(purpose::IDENTITY, &pb::Identity::default()),
        identity_claim: "k1-00fe".to_owned(),
        birth_date: day(birth_date),
        sex: Sex::Male,
        reason: "TYPING_ERROR".to_owned(),
    })
}

fn moved(village: &str, on: &str) -> Event {
    Event::Relocated(living_in(village), day(on))
}

fn circumstance(last_day: Option<&str>) -> Event {
    Event::CircumstanceRecorded(Circumstance {
        id: uuid(100),
        kind: CircumstanceKind::Accident,
        first_day: day("2024-09-01"),
        last_day: last_day.map(day),
    })
}

/// Also what is put right: where somebody moved, in the past; an assessment; when a blow was over.
fn all_that_happens() -> Vec<Vec<Event>> {
    let profile = ProfileUpdated {
        on: Some(day("2024-10-02")),
        categories: Some([Category::EmptyNest, Category::Disabled].into()),
        assistance: Some(Assistance::MinimumLiving.into()),
        wanted_services: Some(ServiceKind::DailyCare.into()),
        remarks: Some(sealed(purpose::REMARKS, &pb::Remarks::default())),
    };
    let assessed = |level, on: &str| {
        let capability = Capability {
            level,
            assessed_on: Some(day(on)),
            source: "GB_T_42195".to_owned(),
        };
        let items = sealed(purpose::ASSESSMENT_ITEMS, &pb::AssessmentItems::default());
        Event::CapabilityAssessed(capability, Some(items))
    };
    let graded = |grade| Event::HandicapRecorded { grade, on: None };
    let observation = Observation::MobilityImpaired;
    vec![
        vec![corrected("1941-03-01")],
        vec![moved(OTHER_VILLAGE, "2024-10-01"), contacts()],
        vec![moved(VILLAGE, "2024-09-15")],
        vec![Event::ProfileUpdated(profile)],
        vec![assessed(CapabilityLevel::Severe, "2024-10-02")],
        vec![assessed(CapabilityLevel::Mild, "2024-09-20")],
        vec![graded(Some(HandicapGrade::First))],
        vec![graded(None)],
        vec![Event::ObservationRecorded {
            observation,
            on: Some(day("2024-09-01")),
        }],
        vec![Event::ObservationEnded {
            observation,
            on: day("2024-10-03"),
        }],
        vec![circumstance(None)],
        vec![Event::CircumstanceEnded {
            id: uuid(100),
            last_day: day("2024-10-01"),
        }],
        vec![circumstance(Some("2024-09-20"))],
        vec![contacts(), corrected("1940-03-01")],
    ]
}

fn consents() -> Vec<Vec<Event>> {
    let spoken = Spoken {
        by: Some(ConsentGiver::Elder),
        at: None,
    };
    vec![
        vec![Event::ConsentRefused(spoken)],
        vec![Event::ConsentGranted(spoken)],
        vec![contacts(), Event::ConsentWithdrawn(spoken)],
        vec![corrected("1945-07-30")],
    ]
}

/// Neither the move nor the death is true.
fn comes_and_goes() -> Vec<Vec<Event>> {
    let reinstated = |on: &str| Event::Reinstated {
        on: day(on),
        reason: "RETURNED".to_owned(),
    };
    vec![
        vec![Event::MovedOut {
            on: day("2024-09-20"),
        }],
        vec![reinstated("2024-10-01")],
        vec![Event::Died {
            on: day("2024-10-02"),
        }],
        vec![reinstated("2024-10-02")],
        vec![moved(OTHER_VILLAGE, "2024-10-03")],
    ]
}

fn erased() -> Story {
    let erased = Event::Erased {
        reason: "REQUEST".to_owned(),
    };
    let told = vec![
        vec![moved(OTHER_VILLAGE, "2024-10-01")],
        vec![corrected("1938-01-01"), contacts()],
        vec![erased],
    ];
    story(elder(4), told)
}

/// Of one file the beginning, of another one something in the middle; and what is no elder's.
fn unreadable() -> Story {
    let (nobody, somebody) = (elder(5), elder(6));
    let beginning = codec::encode(&Event::Registered(Box::new(registered(nobody))));
    let beginnings = codec::encode(&Event::Registered(Box::new(registered(somebody))));
    let move_on = |on: &str| codec::encode(&moved(OTHER_VILLAGE, on));
    vec![
        step(nobody, vec![malformed(beginning)]),
        step(somebody, vec![beginnings]),
        step(nobody, vec![move_on("2024-10-01")]),
        step(
            somebody,
            vec![unknown("registry"), codec::encode(&contacts())],
        ),
        step(somebody, vec![malformed(move_on("2024-10-01"))]),
        step(somebody, vec![move_on("2024-10-02"), unknown("registry")]),
        (
            subject("registry", "elder", "nobody"),
            vec![move_on("2024-10-01")],
        ),
    ]
}

/// Two files of one person, and of two after all, and of one again.
fn merged() -> Story {
    let (surviving, merged) = (elder(7), elder(8));
    let merge = || Merge {
        surviving,
        merged,
        reason: "ONE_PERSON".to_owned(),
    };
    let both = |event: &Event| {
        let raw = codec::encode(event);
        [step(surviving, vec![raw.clone()]), step(merged, vec![raw])]
    };
    let mut told = vec![];
    told.extend(story(surviving, vec![]));
    told.extend(story(merged, vec![vec![contacts()]]));
    told.extend(both(&Event::Merged(merge())));
    told.extend(both(&Event::Unmerged(merge())));
    told.extend(both(&Event::Merged(merge())));
    told
}

/// A county's table, one that takes its place, and one that can't be read; and another county's.
fn divisions() -> Story {
    let published = |county: &str, divisions: &[(&str, &str)]| {
        let divisions = divisions.iter().map(|(code, name)| types::Division {
            code: (*code).to_owned(),
            name: (*name).to_owned(),
            ..types::Division::default()
        });
        let event = RawEvent::of(&pb::DivisionsPublished {
            divisions: divisions.collect(),
        });
        (subject("registry", "divisions", county), vec![event])
    };
    let (of_county, unreadable) = published(COUNTY, &[]);
    let unreadable = unreadable.into_iter().map(malformed).collect();
    vec![
        published(COUNTY, &[(COUNTY, "安溪县"), ("350524100", "凤城镇")]),
        published("350525", &[("350525", "永春县")]),
        published(COUNTY, &[(COUNTY, "安溪"), ("350524101", "蓬莱镇")]),
        (of_county, unreadable),
    ]
}

/// What is told of others than elders' files.
fn others() -> Story {
    let (one, other) = (id(7), id(8));
    let pair = format!("{one}_{other}");
    let tell = |aggregate: &str, of: &str, event: RawEvent| {
        (subject("registry", aggregate, of), vec![event])
    };
    let elder_id = one.clone();
    let claimed = pb::IdentityClaimed { elder_id };
    let released = pb::IdentityReleased {
        elder_id: one.clone(),
    };
    let reported = pb::DuplicateReported {
        elder_id: one,
        other_elder_id: other,
        reason: "SAME_HOME".to_owned(),
    };
    let dismissed = pb::DuplicateDismissed {
        reason: "TWO_PERSONS".to_owned(),
    };
    let adopted = pb::LookupKeyAdopted::default();
    vec![
        tell("identity", "k1-00ff", RawEvent::of(&claimed)),
        tell("duplicate", &pair, RawEvent::of(&reported)),
        tell("lookup_keys", "keys", RawEvent::of(&adopted)),
        tell("duplicate", &pair, RawEvent::of(&dismissed)),
        tell("identity", "k1-00ff", RawEvent::of(&released)),
    ]
}
