//! Devices in homes, what they say, who is away, and what people did about alerts.

use chrono::{DateTime, Utc};
use proto::eldercare::alerts::v1 as pb;

use super::fields::{Fields, Problem};

/// A row of `devices.csv`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// The device.
    pub device_id: String,
    /// What it is.
    pub kind: pb::DeviceKind,
    /// In whose home it is.
    pub id_number: String,
    /// Who looks after it, as the set calls them.
    pub maintainer: Option<String>,
}

/// A line of `signals.ndjson`.
#[derive(Debug, Clone, PartialEq)]
pub struct Signal {
    /// When it arrived.
    pub arrived_at: DateTime<Utc>,
    /// What the device says.
    pub signal: pb::Signal,
}

/// A line of `away.ndjson`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Away {
    /// Who is away.
    pub id_number: String,
    /// From this instant on.
    pub from: DateTime<Utc>,
    /// Until this instant; none while still away.
    pub to: Option<DateTime<Utc>>,
    /// Why.
    pub reason: pb::AwayReason,
}

/// A line of `acknowledgements.ndjson`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// When.
    pub at: DateTime<Utc>,
    /// What was done.
    pub action: Action,
    /// About whom the alert is.
    pub id_number: String,
    /// What the alert is about.
    pub kind: pb::AlertKind,
    /// The device, of alerts about devices.
    pub device_id: Option<String>,
    /// When the alert was raised.
    pub alert_raised_at: DateTime<Utc>,
}

/// What somebody did about an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Took it on.
    Acknowledged,
    /// Sent somebody.
    Dispatched,
    /// Ended it.
    Resolved(pb::AlertOutcome),
}

impl Device {
    pub(super) fn read(fields: &Fields<'_>) -> Result<Self, Problem> {
        Ok(Self {
            device_id: fields.text("device_id")?.to_owned(),
            kind: fields.word("kind")?,
            id_number: fields.text("id_number")?.to_owned(),
            maintainer: fields.optional_text("maintainer")?.map(str::to_owned),
        })
    }
}

impl Signal {
    pub(super) fn read(fields: &Fields<'_>) -> Result<Self, Problem> {
        let device_time = fields.optional_instant("device_time")?;
        let position = fields.position()?;
        Ok(Self {
            arrived_at: fields.instant("arrived_at")?,
            signal: pb::Signal {
                signal_id: fields.text("signal_id")?.to_owned(),
                device_id: fields.text("device_id")?.to_owned(),
                kind: fields.word::<pb::SignalKind>("kind")?.into(),
                device_time: device_time.map(crate::wire::timestamp),
                litres: fields.optional_number("litres")?.unwrap_or_default(),
                position: position.map(|position| pb::GeoPoint {
                    latitude: position.latitude,
                    longitude: position.longitude,
                }),
            },
        })
    }
}

impl Away {
    pub(super) fn read(fields: &Fields<'_>) -> Result<Self, Problem> {
        Ok(Self {
            id_number: fields.text("id_number")?.to_owned(),
            from: fields.instant("from")?,
            to: fields.optional_instant("to")?,
            reason: fields.word("reason")?,
        })
    }
}

impl Response {
    pub(super) fn read(fields: &Fields<'_>) -> Result<Self, Problem> {
        let action = match fields.text("action")? {
            "ACKNOWLEDGED" => Action::Acknowledged,
            "DISPATCHED" => Action::Dispatched,
            "RESOLVED" => Action::Resolved(fields.word("outcome")?),
            _ => {
                let what = "is none of ACKNOWLEDGED, DISPATCHED and RESOLVED";
                return Err(fields.problem("action", what));
            }
        };
        Ok(Self {
            at: fields.instant("at")?,
            action,
            id_number: fields.text("id_number")?.to_owned(),
            kind: fields.word("kind")?,
            device_id: fields.optional_text("device_id")?.map(str::to_owned),
            alert_raised_at: fields.instant("alert_raised_at")?,
        })
    }
}
