//! Generated events, for property tests of whoever writes or reads them.

use chrono::{DateTime, Utc};
use civic::{
    Assistance, CapabilityLevel, Category, CircumstanceKind, ConsentGiver, ConsentState, ElderId,
    HandicapGrade, LocalDay, Observation, ServiceKind, Set, Sex, Term, VillageCode,
};
use proptest::{collection::vec, option, prelude::*, sample::select};
use proto::eldercare::registry::v1 as pb;
use uuid::Uuid;
use vault::{Algorithm, DataKey, Sealed};

use crate::{
    event::{
        Capability, Circumstance, Consent, Event, IdentityCorrected, Merge, ProfileUpdated,
        Registered, Residence, Source, Spoken,
    },
    purpose,
};

/// The elder of all generated events.
pub const ELDER: ElderId = ElderId(Uuid::from_u128(0x0190_0000_0000_8000_8000_0000_0000_0001));

/// A word of a closed list.
pub fn word<T: Term>() -> impl Strategy<Value = T> {
    select(T::ALL)
}

/// A set of words.
pub fn words<T: Term>() -> impl Strategy<Value = Set<T>> {
    vec(word::<T>(), 0..4).prop_map(|words| words.into_iter().collect())
}

/// A day of the years 2020 to 2029.
pub fn day() -> impl Strategy<Value = LocalDay> {
    (18_262..21_915).prop_map(|days| LocalDay::from_epoch_days(days).expect("a day of these years"))
}

/// A day of birth, 1920 to 1969.
pub fn birth_date() -> impl Strategy<Value = LocalDay> {
    (-18_262..0).prop_map(|days| LocalDay::from_epoch_days(days).expect("a day of these years"))
}

/// An instant of the years 2020 to 2029, to the microsecond.
pub fn instant() -> impl Strategy<Value = DateTime<Utc>> {
    (1_577_836_800_000_000_i64..1_893_456_000_000_000).prop_map(|micros| {
        DateTime::from_timestamp_micros(micros).expect("an instant of these years")
    })
}

/// A value sealed under the key of [`ELDER`].
pub fn sealed<T: prost::Message>(purpose: &'static str, value: &T) -> Sealed<T> {
    let key = DataKey::from_bytes(Algorithm::Sm4Gcm, &[7; 16]).expect("an SM4 key has 16 bytes");
    key.seal(purpose, ELDER.as_uuid(), value)
}

/// A village.
pub fn village() -> impl Strategy<Value = VillageCode> {
    (350_524_100_001_u64..350_524_100_300)
        .prop_map(|code| code.to_string().parse().expect("twelve digits"))
}

/// A home with its village.
pub fn residence() -> impl Strategy<Value = Residence> {
    (village(), option::of("[一-龥]{1,12}")).prop_map(|(village, address)| Residence {
        village,
        home: address.map(|address| {
            sealed(
                purpose::HOME,
                &pb::Home {
                    address,
                    position: None,
                },
            )
        }),
    })
}

/// A capability; an assessed one bears its day.
pub fn capability() -> impl Strategy<Value = Capability> {
    (word::<CapabilityLevel>(), option::of(day()), "[A-Z_]{0,12}").prop_map(
        |(level, assessed_on, source)| Capability {
            level,
            assessed_on,
            source,
        },
    )
}

/// A handicap grade, or none.
pub fn grade() -> impl Strategy<Value = Option<HandicapGrade>> {
    option::of(select(HandicapGrade::ALL))
}

/// The id of a circumstance, of a few, so that generated events speak of the same ones.
pub fn circumstance_id() -> impl Strategy<Value = Uuid> {
    (0..6_u128).prop_map(the_circumstance)
}

fn the_circumstance(number: u128) -> Uuid {
    Uuid::from_u128(0xc1c0_0000 + number)
}

/// A circumstance; its last day is not before its first.
pub fn circumstance() -> impl Strategy<Value = Circumstance> {
    (
        circumstance_id(),
        word::<CircumstanceKind>(),
        day(),
        option::of(0..400_i64),
    )
        .prop_map(|(id, kind, first_day, days)| Circumstance {
            id,
            kind,
            first_day,
            last_day: days.map(|days| first_day.plus_days(days)),
        })
}

/// Somebody who spoke, at an instant or since ever.
pub fn spoken() -> impl Strategy<Value = Spoken> {
    (option::of(word::<ConsentGiver>()), option::of(instant()))
        .prop_map(|(by, at)| Spoken { by, at })
}

/// A merge in which [`ELDER`] is one of the two, and another of a few the other.
pub fn merge() -> impl Strategy<Value = Merge> {
    (2..5_u128, any::<bool>(), "[A-Z_]{1,12}").prop_map(|(other, survives, reason)| {
        let other = ElderId(Uuid::from_u128(other));
        let (surviving, merged) = if survives {
            (ELDER, other)
        } else {
            (other, ELDER)
        };
        Merge {
            surviving,
            merged,
            reason,
        }
    })
}

/// A registration of [`ELDER`].
pub fn registered() -> impl Strategy<Value = Registered> {
    let person = (identity(), birth_date(), word::<Sex>(), residence());
    let facts = (
        words::<Category>(),
        words::<Assistance>(),
        capability(),
        words::<Observation>(),
        grade(),
    );
    let rest = (
        vec(circumstance(), 0..3).prop_map(|mut circumstances| {
            // An id names one of them.
            for (circumstance, number) in circumstances.iter_mut().zip(0..) {
                circumstance.id = the_circumstance(number);
            }
            circumstances
        }),
        option::of(contacts()),
        (word::<ConsentState>(), spoken()).prop_map(|(state, spoken)| Consent { state, spoken }),
        words::<ServiceKind>(),
        option::of(remarks()),
        option::of(any::<u128>().prop_map(Uuid::from_u128)),
    );
    (person, facts, rest).prop_map(|(person, facts, rest)| Registered {
        elder: ELDER,
        source: if rest.5.is_some() {
            Source::Survey
        } else {
            Source::Api
        },
        identity: person.0,
        identity_claim: "k1-00ff".into(),
        birth_date: person.1,
        sex: person.2,
        residence: person.3,
        categories: facts.0,
        assistance: facts.1,
        capability: facts.2,
        observations: facts.3,
        handicap_grade: facts.4,
        circumstances: rest.0,
        contacts: rest.1,
        consent: rest.2,
        wanted_services: rest.3,
        remarks: rest.4,
        import: rest.5,
    })
}

/// Any event that can follow a registration.
pub fn change() -> impl Strategy<Value = Event> {
    prop_oneof![
        identity_corrected().prop_map(Event::IdentityCorrected),
        (residence(), day()).prop_map(|(residence, on)| Event::Relocated(residence, on)),
        (
            option::of(day()),
            option::of(words()),
            option::of(words()),
            option::of(words()),
            option::of(remarks())
        )
            .prop_map(|(on, categories, assistance, wanted_services, remarks)| {
                Event::ProfileUpdated(ProfileUpdated {
                    on,
                    categories,
                    assistance,
                    wanted_services,
                    remarks,
                })
            }),
        (capability(), option::of(items()))
            .prop_map(|(capability, items)| Event::CapabilityAssessed(capability, items)),
        (grade(), option::of(day())).prop_map(|(grade, on)| Event::HandicapRecorded { grade, on }),
        (word(), option::of(day()))
            .prop_map(|(observation, on)| Event::ObservationRecorded { observation, on }),
        (word(), day()).prop_map(|(observation, on)| Event::ObservationEnded { observation, on }),
        circumstance().prop_map(Event::CircumstanceRecorded),
        (circumstance_id(), day())
            .prop_map(|(id, last_day)| Event::CircumstanceEnded { id, last_day }),
        contacts().prop_map(Event::ContactsSet),
        spoken().prop_map(Event::ConsentGranted),
        spoken().prop_map(Event::ConsentRefused),
        spoken().prop_map(Event::ConsentWithdrawn),
        day().prop_map(|on| Event::Died { on }),
        day().prop_map(|on| Event::MovedOut { on }),
        (day(), "[A-Z_]{1,12}").prop_map(|(on, reason)| Event::Reinstated { on, reason }),
        merge().prop_map(Event::Merged),
        merge().prop_map(Event::Unmerged),
        "[A-Z_]{1,12}".prop_map(|reason| Event::Erased { reason }),
    ]
}

/// Any event.
pub fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        1 => registered().prop_map(|registered| Event::Registered(Box::new(registered))),
        8 => change(),
    ]
}

fn identity() -> impl Strategy<Value = Sealed<pb::Identity>> {
    "[一-龥]{2,4}".prop_map(|name| {
        sealed(
            purpose::IDENTITY,
            &pb::Identity {
                name,
                id_number: "110101194001010010".into(),
            },
        )
    })
}

/// Contacts.
pub fn contacts() -> impl Strategy<Value = Sealed<pb::ContactList>> {
    Just(()).prop_map(|()| sealed(purpose::CONTACTS, &pb::ContactList::default()))
}

/// A right name and ID number.
pub fn identity_corrected() -> impl Strategy<Value = IdentityCorrected> {
    (identity(), birth_date(), word::<Sex>()).prop_map(|(identity, birth_date, sex)| {
        IdentityCorrected {
            identity,
            identity_claim: "k1-00fe".into(),
            birth_date,
            sex,
            reason: "TYPING_ERROR".into(),
        }
    })
}

fn remarks() -> impl Strategy<Value = Sealed<pb::Remarks>> {
    "[一-龥]{0,8}".prop_map(|text| sealed(purpose::REMARKS, &pb::Remarks { text }))
}

fn items() -> impl Strategy<Value = Sealed<pb::AssessmentItems>> {
    vec(0..5, 26)
        .prop_map(|scores| sealed(purpose::ASSESSMENT_ITEMS, &pb::AssessmentItems { scores }))
}
