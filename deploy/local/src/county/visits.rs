//! Visitors, pairings, records of visits, and what supervisors decided on doubtful ones.

use chrono::{DateTime, Utc};
use civic::LocalDay;
use proto::eldercare::{r#type::v1 as types, visits::v1 as pb};

use super::fields::{Fields, Problem};

/// The file of the visitors.
pub const VISITORS: &str = "visitors.csv";

/// A row of `visitors.csv`.
#[derive(Debug, Clone, PartialEq)]
pub struct Visitor {
    /// The visitor's number in the set.
    pub visitor_id: String,
    /// The visitor, but for the id that the system gives.
    pub visitor: pb::Visitor,
    /// The last day; none while still active.
    pub active_until: Option<LocalDay>,
}

/// A row of `pairings.csv`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pairing {
    /// The visitor's number in the set.
    pub visitor_id: String,
    /// Whom the visitor is paired with.
    pub id_number: String,
    /// From this day on.
    pub since: LocalDay,
}

/// A line of the visits of a month.
#[derive(Debug, Clone, PartialEq)]
pub struct Visit {
    /// The record's own id.
    pub record_id: String,
    /// When it arrived.
    pub submitted_at: DateTime<Utc>,
    /// Who was visited.
    pub id_number: String,
    /// The visitor's number in the set.
    pub visitor_id: String,
    /// How.
    pub mode: types::VisitMode,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub ended_at: DateTime<Utc>,
    /// The services given.
    pub services: Vec<types::ServiceKind>,
    /// Remarks.
    pub remarks: String,
    /// Where the visitor checked in.
    pub position: Option<types::GeoPosition>,
    /// Hashes of the photos, as the set writes them.
    pub photo_hashes: Vec<String>,
}

/// A line of `confirmations.ndjson`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirmation {
    /// The record.
    pub record_id: String,
    /// When it was decided.
    pub at: DateTime<Utc>,
    /// Whether it shall count.
    pub confirm: bool,
}

impl Visitor {
    pub(super) fn read(fields: &Fields<'_>) -> Result<Self, Problem> {
        let modes: Vec<types::VisitMode> = fields.separated("modes", '|')?;
        Ok(Self {
            visitor_id: fields.text("visitor_id")?.to_owned(),
            visitor: pb::Visitor {
                kind: fields.word::<pb::VisitorKind>("type")?.into(),
                name: fields.text("name")?.to_owned(),
                phone: fields
                    .optional_text("phone")?
                    .unwrap_or_default()
                    .to_owned(),
                // Of visitors from elsewhere only the county is known.
                home_division_code: match fields.optional_text("home_village")? {
                    Some(village) => village,
                    None => fields.text("county")?,
                }
                .to_owned(),
                weekly_capacity: fields.integer_cell("weekly_capacity")?,
                modes: modes.into_iter().map(Into::into).collect(),
                active_from: Some(crate::wire::date(fields.day("active_from")?)),
                ..Default::default()
            },
            active_until: fields.optional_day("active_until")?,
        })
    }
}

impl Pairing {
    pub(super) fn read(fields: &Fields<'_>) -> Result<Self, Problem> {
        Ok(Self {
            visitor_id: fields.text("visitor_id")?.to_owned(),
            id_number: fields.text("id_number")?.to_owned(),
            since: fields.day("since")?,
        })
    }
}

impl Visit {
    pub(super) fn read(fields: &Fields<'_>) -> Result<Self, Problem> {
        Ok(Self {
            record_id: fields.text("record_id")?.to_owned(),
            submitted_at: fields.instant("submitted_at")?,
            id_number: fields.text("id_number")?.to_owned(),
            visitor_id: fields.text("visitor_id")?.to_owned(),
            mode: fields.word("mode")?,
            started_at: fields.instant("started_at")?,
            ended_at: fields.instant("ended_at")?,
            services: fields.words("services")?,
            remarks: fields
                .optional_text("remarks")?
                .unwrap_or_default()
                .to_owned(),
            position: fields.position()?,
            photo_hashes: fields.texts("photo_hashes")?,
        })
    }
}

impl Confirmation {
    pub(super) fn read(fields: &Fields<'_>) -> Result<Self, Problem> {
        let confirm = match fields.text("decision")? {
            "CONFIRM" => true,
            "REJECT" => false,
            _ => return Err(fields.problem("decision", "is neither CONFIRM nor REJECT")),
        };
        Ok(Self {
            record_id: fields.text("record_id")?.to_owned(),
            at: fields.instant("at")?,
            confirm,
        })
    }
}
