//! Events become wire bytes and back, here and nowhere else.

use chrono::{DateTime, Utc};
use civic::{ConsentGiver, ElderId, HandicapGrade, LocalDay};
use eventlog::{DecodeError, RawEvent};
use proto::eldercare::{registry::v1 as pb, r#type::v1 as types};

use crate::{
    event::{
        Capability, Circumstance, Consent, Event, IdentityCorrected, Merge, ProfileUpdated,
        Registered, Residence, Source, Spoken,
    },
    terms::{WireTerm, set_from_wire, wire_set},
    wire::{id, maybe_sealed, message, sealed, term, village},
};

/// The bytes of an event, with the full name of its protobuf message.
#[must_use]
pub fn encode(event: &Event) -> RawEvent {
    match event {
        Event::Registered(registered) => RawEvent::of(&write_registered(registered)),
        Event::IdentityCorrected(corrected) => RawEvent::of(&pb::IdentityCorrected {
            identity: Some((&corrected.identity).into()),
            identity_claim: corrected.identity_claim.clone(),
            birth_date: Some(write_day(corrected.birth_date)),
            sex: corrected.sex.wire(),
            reason: corrected.reason.clone(),
        }),
        Event::Relocated(residence, on) => RawEvent::of(&pb::ElderRelocated {
            on: Some(write_day(*on)),
            division_code: residence.village.as_str().to_owned(),
            home: residence.home.as_ref().map(Into::into),
        }),
        Event::ProfileUpdated(update) => RawEvent::of(&pb::ProfileUpdated {
            on: update.on.map(write_day),
            categories: update.categories.map(|set| pb::CategorySet {
                values: wire_set(set),
            }),
            assistance: update.assistance.map(|set| pb::AssistanceSet {
                values: wire_set(set),
            }),
            wanted_services: update.wanted_services.map(|set| pb::ServiceSet {
                values: wire_set(set),
            }),
            remarks: update.remarks.as_ref().map(Into::into),
        }),
        Event::CapabilityAssessed(capability, items) => RawEvent::of(&pb::CapabilityAssessed {
            capability: Some(write_capability(capability)),
            items: items.as_ref().map(Into::into),
        }),
        Event::HandicapRecorded { grade, on } => RawEvent::of(&pb::HandicapRecorded {
            grade: write_grade(*grade),
            on: on.map(write_day),
        }),
        Event::ObservationRecorded { observation, on } => RawEvent::of(&pb::ObservationRecorded {
            observation: observation.wire(),
            on: on.map(write_day),
        }),
        Event::ObservationEnded { observation, on } => RawEvent::of(&pb::ObservationEnded {
            observation: observation.wire(),
            on: Some(write_day(*on)),
        }),
        Event::CircumstanceRecorded(circumstance) => RawEvent::of(&pb::CircumstanceRecorded {
            circumstance: Some(write_circumstance(circumstance)),
        }),
        Event::CircumstanceEnded { id, last_day } => RawEvent::of(&pb::CircumstanceEnded {
            circumstance_id: id.to_string(),
            last_day: Some(write_day(*last_day)),
        }),
        Event::ContactsSet(contacts) => RawEvent::of(&pb::ContactsSet {
            contacts: Some(contacts.into()),
        }),
        Event::ConsentGranted(spoken) => RawEvent::of(&pb::ConsentGranted {
            by: write_giver(spoken.by),
            at_unix_micros: spoken.at.map(|at| at.timestamp_micros()),
        }),
        Event::ConsentRefused(spoken) => RawEvent::of(&pb::ConsentRefused {
            by: write_giver(spoken.by),
            at_unix_micros: spoken.at.map(|at| at.timestamp_micros()),
        }),
        Event::ConsentWithdrawn(spoken) => RawEvent::of(&pb::ConsentWithdrawn {
            by: write_giver(spoken.by),
            at_unix_micros: spoken.at.map(|at| at.timestamp_micros()),
        }),
        Event::Died { on } => RawEvent::of(&pb::ElderDied {
            on: Some(write_day(*on)),
        }),
        Event::MovedOut { on } => RawEvent::of(&pb::ElderMovedOut {
            on: Some(write_day(*on)),
        }),
        Event::Reinstated { on, reason } => RawEvent::of(&pb::ElderReinstated {
            on: Some(write_day(*on)),
            reason: reason.clone(),
        }),
        Event::Merged(merge) => RawEvent::of(&write_merged(merge)),
        Event::Unmerged(merge) => RawEvent::of(&write_unmerged(merge)),
        Event::Erased { reason } => RawEvent::of(&pb::ElderErased {
            reason: reason.clone(),
        }),
    }
}

/// The event of such bytes.
///
/// # Errors
/// [`DecodeError::UnknownType`] where the name is none of an elder's events,
/// [`DecodeError::Malformed`] where the bytes are not what the name says.
pub fn decode(raw: &RawEvent) -> Result<Event, DecodeError> {
    let Some(name) = raw.event_type.strip_prefix("eldercare.registry.v1.") else {
        return Err(DecodeError::unknown(raw));
    };
    Ok(match name {
        "ElderRegistered" => Event::Registered(Box::new(read_registered(message(raw)?)?)),
        "IdentityCorrected" => {
            let message: pb::IdentityCorrected = message(raw)?;
            Event::IdentityCorrected(IdentityCorrected {
                identity: sealed(message.identity, "identity")?,
                identity_claim: message.identity_claim,
                birth_date: required_day(message.birth_date, "birth_date")?,
                sex: term(message.sex, "sex")?,
                reason: message.reason,
            })
        }
        "ElderRelocated" => {
            let message: pb::ElderRelocated = message(raw)?;
            Event::Relocated(
                Residence {
                    village: village(&message.division_code)?,
                    home: maybe_sealed(message.home, "home")?,
                },
                required_day(message.on, "on")?,
            )
        }
        "ProfileUpdated" => {
            let message: pb::ProfileUpdated = message(raw)?;
            Event::ProfileUpdated(ProfileUpdated {
                on: day(message.on, "on")?,
                categories: message
                    .categories
                    .map(|set| term_set(&set.values, "categories"))
                    .transpose()?,
                assistance: message
                    .assistance
                    .map(|set| term_set(&set.values, "assistance"))
                    .transpose()?,
                wanted_services: message
                    .wanted_services
                    .map(|set| term_set(&set.values, "wanted_services"))
                    .transpose()?,
                remarks: maybe_sealed(message.remarks, "remarks")?,
            })
        }
        "CapabilityAssessed" => {
            let message: pb::CapabilityAssessed = message(raw)?;
            Event::CapabilityAssessed(
                read_capability(message.capability)?,
                maybe_sealed(message.items, "items")?,
            )
        }
        "HandicapRecorded" => {
            let message: pb::HandicapRecorded = message(raw)?;
            Event::HandicapRecorded {
                grade: read_grade(message.grade)?,
                on: day(message.on, "on")?,
            }
        }
        "ObservationRecorded" => {
            let message: pb::ObservationRecorded = message(raw)?;
            Event::ObservationRecorded {
                observation: term(message.observation, "observation")?,
                on: day(message.on, "on")?,
            }
        }
        "ObservationEnded" => {
            let message: pb::ObservationEnded = message(raw)?;
            Event::ObservationEnded {
                observation: term(message.observation, "observation")?,
                on: required_day(message.on, "on")?,
            }
        }
        "CircumstanceRecorded" => {
            let message: pb::CircumstanceRecorded = message(raw)?;
            let circumstance = message
                .circumstance
                .ok_or_else(|| malformed("circumstance"))?;
            Event::CircumstanceRecorded(read_circumstance(circumstance)?)
        }
        "CircumstanceEnded" => {
            let message: pb::CircumstanceEnded = message(raw)?;
            Event::CircumstanceEnded {
                id: id(&message.circumstance_id, "circumstance_id")?,
                last_day: required_day(message.last_day, "last_day")?,
            }
        }
        "ContactsSet" => {
            let message: pb::ContactsSet = message(raw)?;
            Event::ContactsSet(sealed(message.contacts, "contacts")?)
        }
        "ConsentGranted" => {
            let message: pb::ConsentGranted = message(raw)?;
            Event::ConsentGranted(read_spoken(message.by, message.at_unix_micros)?)
        }
        "ConsentRefused" => {
            let message: pb::ConsentRefused = message(raw)?;
            Event::ConsentRefused(read_spoken(message.by, message.at_unix_micros)?)
        }
        "ConsentWithdrawn" => {
            let message: pb::ConsentWithdrawn = message(raw)?;
            Event::ConsentWithdrawn(read_spoken(message.by, message.at_unix_micros)?)
        }
        "ElderDied" => Event::Died {
            on: required_day(message::<pb::ElderDied>(raw)?.on, "on")?,
        },
        "ElderMovedOut" => Event::MovedOut {
            on: required_day(message::<pb::ElderMovedOut>(raw)?.on, "on")?,
        },
        "ElderReinstated" => {
            let message: pb::ElderReinstated = message(raw)?;
            Event::Reinstated {
                on: required_day(message.on, "on")?,
                reason: message.reason,
            }
        }
        "EldersMerged" => Event::Merged(read_merged(message(raw)?)?),
        "EldersUnmerged" => Event::Unmerged(read_unmerged(message(raw)?)?),
        "ElderErased" => Event::Erased {
            reason: message::<pb::ElderErased>(raw)?.reason,
        },
        _ => return Err(DecodeError::unknown(raw)),
    })
}

/// The message of a merge; the pair's own record bears it too.
#[must_use]
pub fn write_merged(merge: &Merge) -> pb::EldersMerged {
    pb::EldersMerged {
        surviving_elder_id: merge.surviving.to_string(),
        merged_elder_id: merge.merged.to_string(),
        reason: merge.reason.clone(),
    }
}

/// The message of a merge taken back; the pair's own record bears it too.
#[must_use]
pub fn write_unmerged(merge: &Merge) -> pb::EldersUnmerged {
    pb::EldersUnmerged {
        surviving_elder_id: merge.surviving.to_string(),
        merged_elder_id: merge.merged.to_string(),
        reason: merge.reason.clone(),
    }
}

/// The merge of such a message.
///
/// # Errors
/// [`DecodeError::Malformed`] where an id is none.
pub fn read_merged(message: pb::EldersMerged) -> Result<Merge, DecodeError> {
    Ok(Merge {
        surviving: elder_id(&message.surviving_elder_id, "surviving_elder_id")?,
        merged: elder_id(&message.merged_elder_id, "merged_elder_id")?,
        reason: message.reason,
    })
}

/// The merge that such a message took back.
///
/// # Errors
/// [`DecodeError::Malformed`] where an id is none.
pub fn read_unmerged(message: pb::EldersUnmerged) -> Result<Merge, DecodeError> {
    Ok(Merge {
        surviving: elder_id(&message.surviving_elder_id, "surviving_elder_id")?,
        merged: elder_id(&message.merged_elder_id, "merged_elder_id")?,
        reason: message.reason,
    })
}

/// A day as a protobuf date.
#[must_use]
pub fn write_day(day: LocalDay) -> types::Date {
    // Year 1 to 9999, month and day of month: all fit.
    types::Date {
        year: day.year(),
        month: day.month_of_year().cast_signed(),
        day: day.day_of_month().cast_signed(),
    }
}

/// The day of a protobuf date; none where a field is out of range.
#[must_use]
pub fn read_day(date: types::Date) -> Option<LocalDay> {
    LocalDay::from_ymd(
        date.year,
        u32::try_from(date.month).ok()?,
        u32::try_from(date.day).ok()?,
    )
    .ok()
}

/// A circumstance as a protobuf message.
#[must_use]
pub fn write_circumstance(circumstance: &Circumstance) -> types::Circumstance {
    types::Circumstance {
        circumstance_id: circumstance.id.to_string(),
        kind: circumstance.kind.wire(),
        first_day: Some(write_day(circumstance.first_day)),
        last_day: circumstance.last_day.map(write_day),
    }
}

/// A capability as a protobuf message.
#[must_use]
pub fn write_capability(capability: &Capability) -> types::Capability {
    types::Capability {
        level: capability.level.wire(),
        assessed_on: capability.assessed_on.map(write_day),
        source: capability.source.clone(),
    }
}

fn write_registered(registered: &Registered) -> pb::ElderRegistered {
    pb::ElderRegistered {
        elder_id: registered.elder.to_string(),
        source: match registered.source {
            Source::Api => pb::RegistrationSource::Api,
            Source::Survey => pb::RegistrationSource::Survey,
        }
        .into(),
        identity: Some((&registered.identity).into()),
        identity_claim: registered.identity_claim.clone(),
        birth_date: Some(write_day(registered.birth_date)),
        sex: registered.sex.wire(),
        division_code: registered.residence.village.as_str().to_owned(),
        home: registered.residence.home.as_ref().map(Into::into),
        categories: wire_set(registered.categories),
        assistance: wire_set(registered.assistance),
        capability: Some(write_capability(&registered.capability)),
        observations: wire_set(registered.observations),
        handicap_grade: write_grade(registered.handicap_grade),
        circumstances: registered
            .circumstances
            .iter()
            .map(write_circumstance)
            .collect(),
        contacts: registered.contacts.as_ref().map(Into::into),
        consent: Some(pb::Consent {
            state: registered.consent.state.wire(),
            by: write_giver(registered.consent.spoken.by),
            at_unix_micros: registered.consent.spoken.at.map(|at| at.timestamp_micros()),
        }),
        wanted_services: wire_set(registered.wanted_services),
        remarks: registered.remarks.as_ref().map(Into::into),
        import_id: registered
            .import
            .map(|import| import.to_string())
            .unwrap_or_default(),
    }
}

fn read_registered(message: pb::ElderRegistered) -> Result<Registered, DecodeError> {
    let consent = message.consent.ok_or_else(|| malformed("consent"))?;
    Ok(Registered {
        elder: elder_id(&message.elder_id, "elder_id")?,
        source: match pb::RegistrationSource::try_from(message.source) {
            Ok(pb::RegistrationSource::Api) => Source::Api,
            Ok(pb::RegistrationSource::Survey) => Source::Survey,
            Ok(pb::RegistrationSource::Unspecified) | Err(_) => return Err(malformed("source")),
        },
        identity: sealed(message.identity, "identity")?,
        identity_claim: message.identity_claim,
        birth_date: required_day(message.birth_date, "birth_date")?,
        sex: term(message.sex, "sex")?,
        residence: Residence {
            village: village(&message.division_code)?,
            home: maybe_sealed(message.home, "home")?,
        },
        categories: term_set(&message.categories, "categories")?,
        assistance: term_set(&message.assistance, "assistance")?,
        capability: read_capability(message.capability)?,
        observations: term_set(&message.observations, "observations")?,
        handicap_grade: read_grade(message.handicap_grade)?,
        circumstances: message
            .circumstances
            .into_iter()
            .map(read_circumstance)
            .collect::<Result<_, _>>()?,
        contacts: maybe_sealed(message.contacts, "contacts")?,
        consent: Consent {
            state: term(consent.state, "consent.state")?,
            spoken: read_spoken(consent.by, consent.at_unix_micros)?,
        },
        wanted_services: term_set(&message.wanted_services, "wanted_services")?,
        remarks: maybe_sealed(message.remarks, "remarks")?,
        import: (!message.import_id.is_empty())
            .then(|| id(&message.import_id, "import_id"))
            .transpose()?,
    })
}

fn read_circumstance(message: types::Circumstance) -> Result<Circumstance, DecodeError> {
    Ok(Circumstance {
        id: id(&message.circumstance_id, "circumstance_id")?,
        kind: term(message.kind, "kind")?,
        first_day: required_day(message.first_day, "first_day")?,
        last_day: day(message.last_day, "last_day")?,
    })
}

fn read_capability(message: Option<types::Capability>) -> Result<Capability, DecodeError> {
    let message = message.ok_or_else(|| malformed("capability"))?;
    Ok(Capability {
        level: term(message.level, "capability.level")?,
        assessed_on: day(message.assessed_on, "capability.assessed_on")?,
        source: message.source,
    })
}

fn read_spoken(by: i32, at_unix_micros: Option<i64>) -> Result<Spoken, DecodeError> {
    let at = at_unix_micros
        .map(|micros| {
            DateTime::<Utc>::from_timestamp_micros(micros)
                .ok_or_else(|| malformed("at_unix_micros"))
        })
        .transpose()?;
    Ok(Spoken {
        by: ConsentGiver::from_wire(by),
        at,
    })
}

fn write_giver(by: Option<ConsentGiver>) -> i32 {
    by.map_or(types::ConsentGiver::Unspecified.into(), WireTerm::wire)
}

fn write_grade(grade: Option<HandicapGrade>) -> i32 {
    grade.map_or(0, |grade| i32::from(grade.number()))
}

fn read_grade(grade: i32) -> Result<Option<HandicapGrade>, DecodeError> {
    match u8::try_from(grade) {
        Ok(0) => Ok(None),
        Ok(number) => HandicapGrade::try_from(number)
            .map(Some)
            .map_err(|_none| malformed("handicap_grade")),
        Err(_) => Err(malformed("handicap_grade")),
    }
}

fn malformed(field: &'static str) -> DecodeError {
    DecodeError::malformed(field)
}

fn term_set<T: WireTerm>(
    numbers: &[i32],
    field: &'static str,
) -> Result<civic::Set<T>, DecodeError> {
    set_from_wire(numbers).map_err(|_index| malformed(field))
}

fn day(date: Option<types::Date>, field: &'static str) -> Result<Option<LocalDay>, DecodeError> {
    date.map(|date| read_day(date).ok_or_else(|| malformed(field)))
        .transpose()
}

fn required_day(date: Option<types::Date>, field: &'static str) -> Result<LocalDay, DecodeError> {
    day(date, field)?.ok_or_else(|| malformed(field))
}

fn elder_id(text: &str, field: &'static str) -> Result<ElderId, DecodeError> {
    id(text, field).map(ElderId::from)
}
