//! The changes of `changes.ndjson`: what became known about an elder, and when.

use chrono::{DateTime, Utc};
use civic::LocalDay;
use proto::eldercare::{registry::v1 as pb, r#type::v1 as types};

use super::fields::{Fields, Problem};
use super::residents::{capability, circumstance, consent};

/// What became known about one elder.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The change's own id.
    pub change_id: String,
    /// When it was recorded.
    pub recorded_at: DateTime<Utc>,
    /// Whom it is about.
    pub id_number: String,
    /// What.
    pub kind: ChangeKind,
}

/// What can become known.
#[derive(Debug, Clone, PartialEq)]
pub enum ChangeKind {
    /// Capability was assessed.
    CapabilityAssessed(types::Capability),
    /// A blow, with its days.
    Circumstance(types::Circumstance),
    /// Something was said about home visits.
    Consent(pb::HomeVisitConsent),
    /// The elder lives somewhere else.
    Relocated {
        /// From this day on.
        on: LocalDay,
        /// The village or community.
        division_code: String,
        /// The address.
        address: String,
        /// The position of the home.
        position: Option<types::GeoPosition>,
    },
    /// The elder died.
    Deceased {
        /// The day of death.
        on: LocalDay,
    },
    /// The elder left the county.
    MovedOut {
        /// The first day away.
        on: LocalDay,
    },
}

impl Change {
    pub(super) fn read(fields: &Fields<'_>) -> Result<Self, Problem> {
        let within = |field: &str| {
            fields
                .object(field)?
                .ok_or_else(|| fields.problem(field, "is missing"))
        };
        let kind = match fields.text("kind")? {
            "CAPABILITY_ASSESSED" => {
                ChangeKind::CapabilityAssessed(capability(&within("capability")?)?)
            }
            "CIRCUMSTANCE" => ChangeKind::Circumstance(circumstance(&within("circumstance")?)?),
            "CONSENT" => ChangeKind::Consent(consent(&within("home_visit_consent")?)?),
            "RELOCATED" => ChangeKind::Relocated {
                on: fields.day("on")?,
                division_code: fields.text("division_code")?.to_owned(),
                address: fields
                    .optional_text("address")?
                    .unwrap_or_default()
                    .to_owned(),
                position: fields.position()?,
            },
            "DECEASED" => ChangeKind::Deceased {
                on: fields.day("on")?,
            },
            "MOVED_OUT" => ChangeKind::MovedOut {
                on: fields.day("on")?,
            },
            _ => return Err(fields.problem("kind", "is none of the known kinds of change")),
        };
        Ok(Self {
            change_id: fields.text("change_id")?.to_owned(),
            recorded_at: fields.instant("recorded_at")?,
            id_number: fields.text("id_number")?.to_owned(),
            kind,
        })
    }
}
