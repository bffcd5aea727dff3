//! Attempts to tell somebody become wire bytes and back.

use elders::terms::WireTerm as _;
use elders::wire::{self, write_time};
use eventlog::{Aggregate, DecodeError, RawEvent};
use prost::Name as _;
use proto::eldercare::alerts::v1 as pb;

use super::CONTEXT;
use crate::attempts::{Attempt, Notices, Outcome};

impl Aggregate for Notices {
    const CONTEXT: &'static str = CONTEXT;
    const NAME: &'static str = "notices";

    fn encode(attempt: &Attempt) -> RawEvent {
        match &attempt.outcome {
            Outcome::Sent { reference } => RawEvent::of(&pb::NoticeSent {
                notice_id: attempt.notice.to_string(),
                alert_id: attempt.alert.to_string(),
                level: attempt.level.into(),
                recipient_id: attempt.recipient.to_string(),
                role: attempt.role.wire(),
                channel: attempt.channel.wire(),
                attempt: attempt.number.cast_signed(),
                at: Some(write_time(attempt.at)),
                reference: reference.clone().unwrap_or_default(),
                alerts: attempt.alerts.cast_signed(),
            }),
            Outcome::Failed { reason, given_up } => RawEvent::of(&pb::NoticeFailed {
                notice_id: attempt.notice.to_string(),
                alert_id: attempt.alert.to_string(),
                level: attempt.level.into(),
                recipient_id: attempt.recipient.to_string(),
                role: attempt.role.wire(),
                channel: attempt.channel.wire(),
                attempt: attempt.number.cast_signed(),
                at: Some(write_time(attempt.at)),
                reason: reason.clone(),
                given_up: *given_up,
                alerts: attempt.alerts.cast_signed(),
            }),
        }
    }

    fn decode(raw: &RawEvent) -> Result<Attempt, DecodeError> {
        let name = raw.event_type.as_str();
        if name == pb::NoticeSent::full_name() {
            let message: pb::NoticeSent = wire::message(raw)?;
            Ok(Attempt {
                notice: wire::id(&message.notice_id, "notice_id")?,
                alert: wire::id(&message.alert_id, "alert_id")?,
                level: level(message.level)?,
                recipient: wire::id(&message.recipient_id, "recipient_id")?,
                role: wire::term(message.role, "role")?,
                channel: wire::term(message.channel, "channel")?,
                number: message.attempt.cast_unsigned(),
                at: wire::time(message.at, "at")?,
                alerts: message.alerts.cast_unsigned(),
                outcome: Outcome::Sent {
                    reference: Some(message.reference).filter(|text| !text.is_empty()),
                },
            })
        } else if name == pb::NoticeFailed::full_name() {
            let message: pb::NoticeFailed = wire::message(raw)?;
            Ok(Attempt {
                notice: wire::id(&message.notice_id, "notice_id")?,
                alert: wire::id(&message.alert_id, "alert_id")?,
                level: level(message.level)?,
                recipient: wire::id(&message.recipient_id, "recipient_id")?,
                role: wire::term(message.role, "role")?,
                channel: wire::term(message.channel, "channel")?,
                number: message.attempt.cast_unsigned(),
                at: wire::time(message.at, "at")?,
                alerts: message.alerts.cast_unsigned(),
                outcome: Outcome::Failed {
                    reason: message.reason,
                    given_up: message.given_up,
                },
            })
        } else {
            Err(DecodeError::unknown(raw))
        }
    }
}

pub(super) fn level(number: i32) -> Result<u8, DecodeError> {
    wire::present(number.try_into().ok(), "level")
}
