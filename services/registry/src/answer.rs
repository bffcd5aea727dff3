//! Files become answers: the facts of a day, and what is personal where the caller may see it and it can still be opened.

use chrono::{DateTime, Utc};
use civic::LocalDay;
use elders::{
    Elder,
    codec::{write_capability, write_circumstance, write_day},
    event::{Consent, Source},
    purpose,
    terms::{WireTerm, wire_set},
};
use prost::Message;
use proto::eldercare::registry::v1 as pb;
use uuid::Uuid;
use vault::{DataKey, Sealed};

/// When the facts of an answer hold: on a day, and for consent at an instant of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) day: LocalDay,
    pub(crate) instant: DateTime<Utc>,
}

impl Moment {
    /// An instant and its day.
    pub(crate) fn at(instant: DateTime<Utc>) -> Self {
        Self {
            day: LocalDay::of(instant),
            instant,
        }
    }
}

/// A file with what is told beside it, on its way to an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shown<'a> {
    pub(crate) elder: &'a Elder,
    pub(crate) version: u64,
    pub(crate) registered_at: DateTime<Utc>,
}

/// The answer. Without a key it holds nothing personal.
pub(crate) fn elder(shown: Shown<'_>, moment: Moment, key: Option<&DataKey>) -> pb::Elder {
    let Shown {
        elder,
        version,
        registered_at,
    } = shown;
    let facts = elder.facts.on(moment.day);
    let person = elder.id.as_uuid();
    let identity = open(key, purpose::IDENTITY, person, Some(&elder.identity)).unwrap_or_default();
    let home = open(key, purpose::HOME, person, facts.residence.home.as_ref()).unwrap_or_default();
    let contacts =
        open(key, purpose::CONTACTS, person, elder.contacts.as_ref()).unwrap_or_default();
    let remarks = open(key, purpose::REMARKS, person, elder.remarks.as_ref()).unwrap_or_default();
    let since = elder
        .facts
        .status()
        .iter()
        .rfind(|(from, _)| *from <= Some(moment.day));
    pb::Elder {
        elder_id: elder.id.to_string(),
        etag: service::etag(version),
        status: facts.status.wire(),
        status_on: since.and_then(|(from, _)| from).map(write_day),
        name: identity.name,
        id_number: identity.id_number,
        sex: facts.sex.wire(),
        birth_date: Some(write_day(facts.birth_date)),
        age: i32::from(facts.age),
        division_code: facts.residence.village.as_str().to_owned(),
        address: home.address,
        position: home.position,
        categories: wire_set(facts.categories),
        assistance: wire_set(facts.assistance),
        capability: Some(write_capability(&facts.capability)),
        observations: wire_set(facts.observations),
        handicap_grade: facts
            .handicap_grade
            .map_or(0, |grade| i32::from(grade.number())),
        circumstances: elder
            .facts
            .circumstances()
            .iter()
            .map(write_circumstance)
            .collect(),
        contacts: contacts.contacts,
        consent: Some(consent(&elder.facts.consent_at(moment.instant))),
        wanted_services: wire_set(facts.wanted_services),
        remarks: remarks.text,
        registered_at: Some(timestamp(registered_at)),
        source: source(elder.source).to_owned(),
        in_scope: facts.in_scope(),
    }
}

/// Where a file came from, by its name.
pub(crate) fn source(source: Source) -> &'static str {
    match source {
        Source::Api => "API",
        Source::Survey => "SURVEY",
    }
}

fn consent(consent: &Consent) -> pb::HomeVisitConsent {
    pb::HomeVisitConsent {
        state: consent.state.wire(),
        by: consent.spoken.by.map(WireTerm::wire).unwrap_or_default(),
        at: consent.spoken.at.map(timestamp),
    }
}

/// Opens a sealed field. What does not open is left out: an answer without it is better than none, and the log says it.
pub(crate) fn open<T: Message + Default>(
    key: Option<&DataKey>,
    purpose: &'static str,
    person: Uuid,
    sealed: Option<&Sealed<T>>,
) -> Option<T> {
    let (key, sealed) = (key?, sealed?);
    key.open(purpose, person, sealed)
        .inspect_err(
            |error| tracing::error!(%person, purpose, %error, "a sealed field does not open"),
        )
        .ok()
}

/// An instant as a protobuf timestamp.
pub(crate) fn timestamp(instant: DateTime<Utc>) -> prost_types::Timestamp {
    let nanos = instant
        .timestamp_subsec_nanos()
        .min(999_999_999)
        .cast_signed();
    prost_types::Timestamp {
        seconds: instant.timestamp(),
        nanos,
    }
}
