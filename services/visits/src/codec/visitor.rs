//! Events of a visitor become wire bytes and back.

use elders::codec::write_day;
use elders::terms::{WireTerm as _, set_from_wire, wire_set};
use elders::wire::{self, day, id, sealed, term};
use eventlog::{Aggregate, DecodeError, RawEvent};
use prost::Name as _;
use proto::eldercare::r#type::v1 as types;
use proto::eldercare::visits::v1 as pb;

use super::{CONTEXT, elder_ids};
use crate::visitor::{self, Profile, Visitor};

impl Aggregate for Visitor {
    const CONTEXT: &'static str = CONTEXT;
    const NAME: &'static str = "visitor";

    fn encode(event: &visitor::Event) -> RawEvent {
        match event {
            visitor::Event::Registered {
                visitor,
                profile,
                active_from,
            } => RawEvent::of(&pb::VisitorRegistered {
                visitor_id: visitor.to_string(),
                kind: profile.kind.wire(),
                home_division_code: profile.home.to_string(),
                weekly_capacity: i32::from(profile.weekly_capacity),
                modes: wire_set(profile.modes),
                active_from: Some(write_day(*active_from)),
                name: Some((&profile.name).into()),
            }),
            visitor::Event::Updated { visitor, profile } => RawEvent::of(&pb::VisitorUpdated {
                visitor_id: visitor.to_string(),
                kind: profile.kind.wire(),
                home_division_code: profile.home.to_string(),
                weekly_capacity: i32::from(profile.weekly_capacity),
                modes: wire_set(profile.modes),
                name: Some((&profile.name).into()),
            }),
            visitor::Event::Retired { visitor, last_day } => RawEvent::of(&pb::VisitorRetired {
                visitor_id: visitor.to_string(),
                last_day: Some(write_day(*last_day)),
            }),
            visitor::Event::Paired {
                visitor,
                elders,
                since,
            } => RawEvent::of(&pb::EldersPaired {
                visitor_id: visitor.to_string(),
                elder_ids: elders.iter().map(ToString::to_string).collect(),
                since: Some(write_day(*since)),
            }),
            visitor::Event::Unpaired {
                visitor,
                elders,
                last_day,
            } => RawEvent::of(&pb::PairingEnded {
                visitor_id: visitor.to_string(),
                elder_ids: elders.iter().map(ToString::to_string).collect(),
                last_day: Some(write_day(*last_day)),
            }),
        }
    }

    fn decode(raw: &RawEvent) -> Result<visitor::Event, DecodeError> {
        let name = raw.event_type.as_str();
        if name == pb::VisitorRegistered::full_name() {
            let message: pb::VisitorRegistered = wire::message(raw)?;
            Ok(visitor::Event::Registered {
                visitor: id(&message.visitor_id, "visitor_id")?,
                profile: Box::new(profile(
                    message.kind,
                    &message.home_division_code,
                    message.weekly_capacity,
                    &message.modes,
                    message.name,
                )?),
                active_from: day(message.active_from, "active_from")?,
            })
        } else if name == pb::VisitorUpdated::full_name() {
            let message: pb::VisitorUpdated = wire::message(raw)?;
            Ok(visitor::Event::Updated {
                visitor: id(&message.visitor_id, "visitor_id")?,
                profile: Box::new(profile(
                    message.kind,
                    &message.home_division_code,
                    message.weekly_capacity,
                    &message.modes,
                    message.name,
                )?),
            })
        } else if name == pb::VisitorRetired::full_name() {
            let message: pb::VisitorRetired = wire::message(raw)?;
            Ok(visitor::Event::Retired {
                visitor: id(&message.visitor_id, "visitor_id")?,
                last_day: day(message.last_day, "last_day")?,
            })
        } else if name == pb::EldersPaired::full_name() {
            let message: pb::EldersPaired = wire::message(raw)?;
            Ok(visitor::Event::Paired {
                visitor: id(&message.visitor_id, "visitor_id")?,
                elders: elder_ids(&message.elder_ids)?,
                since: day(message.since, "since")?,
            })
        } else if name == pb::PairingEnded::full_name() {
            let message: pb::PairingEnded = wire::message(raw)?;
            Ok(visitor::Event::Unpaired {
                visitor: id(&message.visitor_id, "visitor_id")?,
                elders: elder_ids(&message.elder_ids)?,
                last_day: day(message.last_day, "last_day")?,
            })
        } else {
            Err(DecodeError::unknown(raw))
        }
    }
}

fn profile(
    kind: i32,
    home: &str,
    capacity: i32,
    modes: &[i32],
    name: Option<types::Sealed>,
) -> Result<Profile, DecodeError> {
    Ok(Profile {
        kind: term(kind, "kind")?,
        home: home
            .parse()
            .map_err(|_code| DecodeError::malformed("home_division_code"))?,
        weekly_capacity: u16::try_from(capacity)
            .map_err(|_number| DecodeError::malformed("weekly_capacity"))?,
        modes: set_from_wire(modes).map_err(|_index| DecodeError::malformed("modes"))?,
        name: sealed(name, "name")?,
    })
}
