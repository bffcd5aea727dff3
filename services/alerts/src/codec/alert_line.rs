//! Events of a line of alerts become wire bytes and back.

use elders::codec::write_day;
use elders::terms::{WireTerm as _, set_from_wire, wire_set};
use elders::wire::{self, write_time};
use eventlog::{Aggregate, DecodeError, RawEvent};
use prost::Name as _;
use proto::eldercare::alerts::v1 as pb;

use super::CONTEXT;
use super::attempts::level;
use crate::alert_line::{AlertLine, Cause, Event, Raised, Source};
use crate::alert_policy::LevelDue;
use crate::signal::DeviceId;

impl Aggregate for AlertLine {
    const CONTEXT: &'static str = CONTEXT;
    const NAME: &'static str = "line";

    fn encode(event: &Event) -> RawEvent {
        match event {
            Event::WentOffline { device, at } => RawEvent::of(&pb::DeviceWentOffline {
                device_id: device.to_string(),
                at: Some(write_time(*at)),
            }),
            Event::CameOnline { device, at } => RawEvent::of(&pb::DeviceCameOnline {
                device_id: device.to_string(),
                at: Some(write_time(*at)),
            }),
            Event::Raised(raised) => RawEvent::of(&write_raised(raised)),
            Event::Joined {
                alert,
                joined_as,
                cause,
                at,
            } => RawEvent::of(&pb::SignalJoined {
                alert_id: alert.to_string(),
                joined_as: joined_as.to_string(),
                at: Some(write_time(*at)),
                cause: joined_cause(cause),
            }),
            Event::Noted { alert, source, at } => RawEvent::of(&pb::SignalNoted {
                alert_id: alert.to_string(),
                at: Some(write_time(*at)),
                signal: Some(write_source(source)),
            }),
            Event::Escalated { alert, level, at } => RawEvent::of(&pb::AlertEscalated {
                alert_id: alert.to_string(),
                level: (*level).into(),
                at: Some(write_time(*at)),
            }),
            Event::Acknowledged { alert, at } => RawEvent::of(&pb::AlertAcknowledged {
                alert_id: alert.to_string(),
                at: Some(write_time(*at)),
            }),
            Event::Assigned {
                alert,
                recipient,
                at,
            } => RawEvent::of(&pb::AlertAssigned {
                alert_id: alert.to_string(),
                recipient_id: recipient.to_string(),
                at: Some(write_time(*at)),
            }),
            Event::Dispatched { alert, at } => RawEvent::of(&pb::HelpDispatched {
                alert_id: alert.to_string(),
                at: Some(write_time(*at)),
            }),
            Event::Arrived { alert, at } => RawEvent::of(&pb::HelpArrived {
                alert_id: alert.to_string(),
                at: Some(write_time(*at)),
            }),
            Event::Resolved { alert, outcome, at } => RawEvent::of(&pb::AlertResolved {
                alert_id: alert.to_string(),
                outcome: outcome.wire(),
                at: Some(write_time(*at)),
            }),
        }
    }

    fn decode(raw: &RawEvent) -> Result<Event, DecodeError> {
        let name = raw.event_type.as_str();
        if name == pb::DeviceWentOffline::full_name() {
            let message: pb::DeviceWentOffline = wire::message(raw)?;
            Ok(Event::WentOffline {
                device: device(&message.device_id)?,
                at: wire::time(message.at, "at")?,
            })
        } else if name == pb::DeviceCameOnline::full_name() {
            let message: pb::DeviceCameOnline = wire::message(raw)?;
            Ok(Event::CameOnline {
                device: device(&message.device_id)?,
                at: wire::time(message.at, "at")?,
            })
        } else if name == pb::AlertRaised::full_name() {
            read_raised(wire::message(raw)?).map(Event::Raised)
        } else if name == pb::SignalJoined::full_name() {
            let message: pb::SignalJoined = wire::message(raw)?;
            Ok(Event::Joined {
                alert: wire::id(&message.alert_id, "alert_id")?,
                joined_as: wire::id(&message.joined_as, "joined_as")?,
                cause: read_joined_cause(message.cause)?,
                at: wire::time(message.at, "at")?,
            })
        } else if name == pb::SignalNoted::full_name() {
            let message: pb::SignalNoted = wire::message(raw)?;
            Ok(Event::Noted {
                alert: wire::id(&message.alert_id, "alert_id")?,
                source: read_source(wire::present(message.signal, "signal")?)?,
                at: wire::time(message.at, "at")?,
            })
        } else if name == pb::AlertEscalated::full_name() {
            let message: pb::AlertEscalated = wire::message(raw)?;
            Ok(Event::Escalated {
                alert: wire::id(&message.alert_id, "alert_id")?,
                level: level(message.level)?,
                at: wire::time(message.at, "at")?,
            })
        } else if name == pb::AlertAcknowledged::full_name() {
            let message: pb::AlertAcknowledged = wire::message(raw)?;
            Ok(Event::Acknowledged {
                alert: wire::id(&message.alert_id, "alert_id")?,
                at: wire::time(message.at, "at")?,
            })
        } else if name == pb::AlertAssigned::full_name() {
            let message: pb::AlertAssigned = wire::message(raw)?;
            Ok(Event::Assigned {
                alert: wire::id(&message.alert_id, "alert_id")?,
                recipient: wire::id(&message.recipient_id, "recipient_id")?,
                at: wire::time(message.at, "at")?,
            })
        } else if name == pb::HelpDispatched::full_name() {
            let message: pb::HelpDispatched = wire::message(raw)?;
            Ok(Event::Dispatched {
                alert: wire::id(&message.alert_id, "alert_id")?,
                at: wire::time(message.at, "at")?,
            })
        } else if name == pb::HelpArrived::full_name() {
            let message: pb::HelpArrived = wire::message(raw)?;
            Ok(Event::Arrived {
                alert: wire::id(&message.alert_id, "alert_id")?,
                at: wire::time(message.at, "at")?,
            })
        } else if name == pb::AlertResolved::full_name() {
            let message: pb::AlertResolved = wire::message(raw)?;
            Ok(Event::Resolved {
                alert: wire::id(&message.alert_id, "alert_id")?,
                outcome: wire::term(message.outcome, "outcome")?,
                at: wire::time(message.at, "at")?,
            })
        } else {
            Err(DecodeError::unknown(raw))
        }
    }
}

/// An alert as it is raised, as a message.
fn write_raised(raised: &Raised) -> pb::AlertRaised {
    use pb::alert_raised::Cause as Told;
    let cause = match &raised.cause {
        Cause::Signal(source) => Told::Signal(write_source(source)),
        Cause::Silence {
            device,
            device_kind,
            since,
        } => Told::Silence(pb::SilenceCause {
            device_id: device.to_string(),
            device_kind: device_kind.wire(),
            since: Some(write_time(*since)),
        }),
        missed @ Cause::MissedVisit { .. } => match missed_visit(missed) {
            Some(missed) => Told::MissedVisit(missed),
            None => Told::Request(pb::RequestCause {}),
        },
        Cause::Request => Told::Request(pb::RequestCause {}),
    };
    let levels = raised.levels.iter().map(|level| pb::LevelDue {
        level: level.level.into(),
        at: Some(write_time(level.at)),
        roles: wire_set(level.roles),
    });
    pb::AlertRaised {
        alert_id: raised.alert.to_string(),
        kind: raised.kind.wire(),
        severity: raised.severity().wire(),
        elder_id: raised.elder.to_string(),
        division_code: raised
            .village
            .map_or_else(String::new, |village| village.to_string()),
        raised_at: Some(write_time(raised.at)),
        cause: Some(cause),
        levels: levels.collect(),
    }
}

fn read_raised(message: pb::AlertRaised) -> Result<Raised, DecodeError> {
    use pb::alert_raised::Cause as Told;
    let cause = match wire::present(message.cause, "cause")? {
        Told::Signal(source) => Cause::Signal(read_source(source)?),
        Told::Silence(silence) => Cause::Silence {
            device: device(&silence.device_id)?,
            device_kind: wire::term(silence.device_kind, "device_kind")?,
            since: wire::time(silence.since, "since")?,
        },
        Told::MissedVisit(missed) => read_missed_visit(&missed)?,
        Told::Request(pb::RequestCause {}) => Cause::Request,
    };
    let levels = message.levels.into_iter().map(|due| {
        Ok(LevelDue {
            level: level(due.level)?,
            at: wire::time(due.at, "at")?,
            roles: set_from_wire(&due.roles).map_err(|_role| DecodeError::malformed("roles"))?,
        })
    });
    let village = message.division_code;
    Ok(Raised {
        alert: wire::id(&message.alert_id, "alert_id")?,
        kind: wire::term(message.kind, "kind")?,
        elder: wire::elder(&message.elder_id)?,
        village: (!village.is_empty())
            .then(|| wire::village(&village))
            .transpose()?,
        at: wire::time(message.raised_at, "raised_at")?,
        cause,
        levels: levels.collect::<Result<_, DecodeError>>()?,
    })
}

/// What joins is never a silence: that raises, or nothing.
fn joined_cause(cause: &Cause) -> Option<pb::signal_joined::Cause> {
    use pb::signal_joined::Cause as Told;
    match cause {
        Cause::Signal(source) => Some(Told::Signal(write_source(source))),
        Cause::MissedVisit { .. } => missed_visit(cause).map(Told::MissedVisit),
        Cause::Request => Some(Told::Request(pb::RequestCause {})),
        Cause::Silence { .. } => None,
    }
}

fn read_joined_cause(cause: Option<pb::signal_joined::Cause>) -> Result<Cause, DecodeError> {
    use pb::signal_joined::Cause as Told;
    match wire::present(cause, "cause")? {
        Told::Signal(source) => read_source(source).map(Cause::Signal),
        Told::MissedVisit(missed) => read_missed_visit(&missed),
        Told::Request(pb::RequestCause {}) => Ok(Cause::Request),
    }
}

/// A signal as a message.
fn write_source(source: &Source) -> pb::SignalCause {
    pb::SignalCause {
        device_id: source.device.to_string(),
        device_kind: source.device_kind.wire(),
        signal_id: source.signal.clone(),
        signal_kind: source.kind.wire(),
        sequence: source.sequence,
    }
}

fn read_source(source: pb::SignalCause) -> Result<Source, DecodeError> {
    Ok(Source {
        device: device(&source.device_id)?,
        device_kind: wire::term(source.device_kind, "device_kind")?,
        signal: source.signal_id,
        kind: wire::term(source.signal_kind, "signal_kind")?,
        sequence: source.sequence,
    })
}

fn missed_visit(cause: &Cause) -> Option<pb::MissedVisit> {
    match cause {
        Cause::MissedVisit {
            first,
            last,
            campaign,
        } => Some(pb::MissedVisit {
            first_day: Some(write_day(*first)),
            last_day: Some(write_day(*last)),
            campaign_id: campaign.map_or_else(String::new, |campaign| campaign.to_string()),
        }),
        Cause::Signal(_) | Cause::Silence { .. } | Cause::Request => None,
    }
}

fn read_missed_visit(missed: &pb::MissedVisit) -> Result<Cause, DecodeError> {
    let campaign = missed.campaign_id.as_str();
    Ok(Cause::MissedVisit {
        first: wire::day(missed.first_day, "first_day")?,
        last: wire::day(missed.last_day, "last_day")?,
        campaign: (!campaign.is_empty())
            .then(|| wire::id(campaign, "campaign_id"))
            .transpose()?,
    })
}

fn device(text: &str) -> Result<DeviceId, DecodeError> {
    wire::present(text.parse().ok(), "device_id")
}
