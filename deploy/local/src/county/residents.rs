//! The elders of `residents.ndjson`, whom the county knows beside its survey.

use chrono::{DateTime, Utc};
use proto::eldercare::{registry::v1 as pb, r#type::v1 as types};
use uuid::Uuid;

use super::fields::{Fields, Problem};
use crate::wire;

/// An elder to be registered.
#[derive(Debug, Clone, PartialEq)]
pub struct Resident(pb::RegisterElderRequest);

impl Resident {
    pub(super) fn read(fields: &Fields<'_>) -> Result<Self, Problem> {
        let grade = fields
            .optional_integer("handicap_grade")?
            .unwrap_or_default();
        Ok(Self(pb::RegisterElderRequest {
            request_id: String::new(),
            name: fields.text("name")?.to_owned(),
            id_number: fields.text("id_number")?.to_owned(),
            division_code: fields.text("division_code")?.to_owned(),
            address: fields
                .optional_text("address")?
                .unwrap_or_default()
                .to_owned(),
            position: fields.position()?,
            categories: numbers(fields.words::<types::Category>("categories")?),
            assistance: numbers(fields.words::<types::Assistance>("assistance")?),
            capability: fields
                .object("capability")?
                .map(|fields| capability(&fields))
                .transpose()?,
            observations: numbers(fields.words::<types::Observation>("observations")?),
            handicap_grade: i32::try_from(grade)
                .map_err(|_| fields.problem("handicap_grade", "is out of range"))?,
            circumstances: fields
                .objects("circumstances")?
                .iter()
                .map(circumstance)
                .collect::<Result<_, _>>()?,
            contacts: fields
                .objects("contacts")?
                .iter()
                .map(contact)
                .collect::<Result<_, _>>()?,
            consent: fields
                .object("home_visit_consent")?
                .map(|fields| consent(&fields))
                .transpose()?,
            wanted_services: numbers(fields.words::<types::ServiceKind>("wanted_services")?),
            remarks: fields
                .optional_text("remarks")?
                .unwrap_or_default()
                .to_owned(),
        }))
    }

    /// The ID number, as written.
    pub fn id_number(&self) -> &str {
        &self.0.id_number
    }

    /// When the elder, or who speaks for the home, said something about home visits.
    pub fn consent_at(&self) -> Option<DateTime<Utc>> {
        self.0.consent.as_ref()?.at.and_then(wire::from_timestamp)
    }

    /// The request that registers the elder.
    pub fn into_request(self, request_id: Uuid) -> pb::RegisterElderRequest {
        pb::RegisterElderRequest {
            request_id: request_id.to_string(),
            ..self.0
        }
    }
}

fn numbers<W: Into<i32>>(words: Vec<W>) -> Vec<i32> {
    words.into_iter().map(Into::into).collect()
}

pub(super) fn capability(fields: &Fields<'_>) -> Result<types::Capability, Problem> {
    Ok(types::Capability {
        level: fields.word::<types::CapabilityLevel>("level")?.into(),
        assessed_on: fields.optional_day("assessed_on")?.map(wire::date),
        source: fields
            .optional_text("source")?
            .unwrap_or_default()
            .to_owned(),
    })
}

pub(super) fn circumstance(fields: &Fields<'_>) -> Result<types::Circumstance, Problem> {
    Ok(types::Circumstance {
        circumstance_id: String::new(),
        kind: fields.word::<types::CircumstanceKind>("kind")?.into(),
        first_day: Some(wire::date(fields.day("first_day")?)),
        last_day: fields.optional_day("last_day")?.map(wire::date),
    })
}

fn contact(fields: &Fields<'_>) -> Result<types::Contact, Problem> {
    Ok(types::Contact {
        name: fields.text("name")?.to_owned(),
        relation: fields
            .optional_text("relation")?
            .unwrap_or_default()
            .to_owned(),
        phone: fields
            .optional_text("phone")?
            .unwrap_or_default()
            .to_owned(),
        call_order: 0,
        supporter: false,
    })
}

pub(super) fn consent(fields: &Fields<'_>) -> Result<pb::HomeVisitConsent, Problem> {
    let by = fields.optional_word::<types::ConsentGiver>("by")?;
    Ok(pb::HomeVisitConsent {
        state: fields.word::<types::ConsentState>("state")?.into(),
        by: by.unwrap_or(types::ConsentGiver::Unspecified).into(),
        at: fields.optional_instant("at")?.map(wire::timestamp),
    })
}
