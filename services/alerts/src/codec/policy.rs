//! Rules of divisions become wire bytes and back.

use chrono::TimeDelta;
use elders::terms::{WireTerm as _, set_from_wire, wire_set};
use elders::wire::{self, write_span};
use eventlog::{Aggregate, DecodeError, RawEvent};
use prost::Name as _;
use proto::eldercare::alerts::v1 as pb;

use super::CONTEXT;
use crate::alert_policy::{AlertPolicy, Level};
use crate::division_policy::{DivisionPolicy, Published};

impl Aggregate for DivisionPolicy {
    const CONTEXT: &'static str = CONTEXT;
    const NAME: &'static str = "policy";

    fn encode(event: &Published) -> RawEvent {
        RawEvent::of(&pb::AlertPolicyPublished {
            division_code: event.division.to_string(),
            version: event.version.cast_signed(),
            policy: Some(write_policy(&event.policy)),
        })
    }

    fn decode(raw: &RawEvent) -> Result<Published, DecodeError> {
        if raw.event_type != pb::AlertPolicyPublished::full_name() {
            return Err(DecodeError::unknown(raw));
        }
        let message: pb::AlertPolicyPublished = wire::message(raw)?;
        Ok(Published {
            division: wire::division(&message.division_code)?,
            version: message.version.cast_unsigned(),
            policy: read_policy(&wire::present(message.policy, "policy")?)?,
        })
    }
}

/// Rules as a message.
#[must_use]
pub fn write_policy(policy: &AlertPolicy) -> pb::AlertPolicy {
    pb::AlertPolicy {
        inactive_after: Some(write_span(policy.inactive_after)),
        unheard_after: Some(write_span(policy.unheard_after)),
        offline_after: Some(write_span(policy.offline_after)),
        critical: write_levels(&policy.critical),
        high: write_levels(&policy.high),
        notice: write_levels(&policy.notice),
        notice_minute: policy.notice_minute.into(),
        gather_low: Some(write_span(policy.gather_low)),
        contact_channels: policy
            .contact_channels
            .iter()
            .map(|channel| channel.wire())
            .collect(),
    }
}

/// Rules from a message; whether they make sense is another matter.
///
/// # Errors
/// The field that is missing or can't be read.
pub fn read_policy(message: &pb::AlertPolicy) -> Result<AlertPolicy, DecodeError> {
    let channels = message.contact_channels.iter();
    Ok(AlertPolicy {
        inactive_after: span(message.inactive_after, "inactive_after")?,
        unheard_after: span(message.unheard_after, "unheard_after")?,
        offline_after: span(message.offline_after, "offline_after")?,
        critical: read_levels(&message.critical, "critical")?,
        high: read_levels(&message.high, "high")?,
        notice: read_levels(&message.notice, "notice")?,
        notice_minute: wire::present(message.notice_minute.try_into().ok(), "notice_minute")?,
        gather_low: span(message.gather_low, "gather_low")?,
        contact_channels: channels
            .map(|channel| wire::term(*channel, "contact_channels"))
            .collect::<Result<_, _>>()?,
    })
}

fn write_levels(levels: &[Level]) -> Vec<pb::EscalationLevel> {
    let levels = levels.iter().map(|level| pb::EscalationLevel {
        after: Some(write_span(level.after)),
        roles: wire_set(level.roles),
    });
    levels.collect()
}

fn read_levels(levels: &[pb::EscalationLevel], field: &str) -> Result<Vec<Level>, DecodeError> {
    let levels = levels.iter().map(|level| {
        Ok(Level {
            after: span(level.after, field)?,
            roles: set_from_wire(&level.roles).map_err(|_role| DecodeError::malformed(field))?,
        })
    });
    levels.collect()
}

fn span(value: Option<prost_types::Duration>, field: &str) -> Result<TimeDelta, DecodeError> {
    wire::span(value, field)
}
