//! Events of devices, absences and recipients become wire bytes and back.

use civic::VillageCode;
use elders::terms::WireTerm as _;
use elders::wire;
use eventlog::{Aggregate, DecodeError, RawEvent};
use prost::Name as _;
use proto::eldercare::alerts::v1 as pb;
use proto::eldercare::r#type::v1 as types;
use uuid::Uuid;

use super::CONTEXT;
use crate::absence::{self, Absence};
use crate::alert_request::{AlertRequest, Requested};
use crate::device::{self, Device};
use crate::recipient::{self, Recipient};

impl Aggregate for Device {
    const CONTEXT: &'static str = CONTEXT;
    const NAME: &'static str = "device";

    fn encode(event: &device::Event) -> RawEvent {
        match event {
            device::Event::Registered(registered) => RawEvent::of(&pb::DeviceRegistered {
                kind: registered.kind.wire(),
                elder_id: registered.elder.to_string(),
                maintainer_id: maybe(registered.maintainer),
                credential_id: registered.credential.to_string(),
                division_code: maybe(registered.village),
            }),
            device::Event::Updated {
                elder,
                maintainer,
                village,
            } => RawEvent::of(&pb::DeviceUpdated {
                elder_id: elder.to_string(),
                maintainer_id: maybe(*maintainer),
                division_code: maybe(*village),
            }),
            device::Event::Retired => RawEvent::of(&pb::DeviceRetired {}),
        }
    }

    fn decode(raw: &RawEvent) -> Result<device::Event, DecodeError> {
        let name = raw.event_type.as_str();
        if name == pb::DeviceRegistered::full_name() {
            let message: pb::DeviceRegistered = wire::message(raw)?;
            Ok(device::Event::Registered(device::Registered {
                kind: wire::term(message.kind, "kind")?,
                elder: wire::elder(&message.elder_id)?,
                maintainer: maybe_id(&message.maintainer_id, "maintainer_id")?,
                credential: wire::id(&message.credential_id, "credential_id")?,
                village: maybe_village(&message.division_code)?,
            }))
        } else if name == pb::DeviceUpdated::full_name() {
            let message: pb::DeviceUpdated = wire::message(raw)?;
            Ok(device::Event::Updated {
                elder: wire::elder(&message.elder_id)?,
                maintainer: maybe_id(&message.maintainer_id, "maintainer_id")?,
                village: maybe_village(&message.division_code)?,
            })
        } else if name == pb::DeviceRetired::full_name() {
            Ok(device::Event::Retired)
        } else {
            Err(DecodeError::unknown(raw))
        }
    }
}

impl Aggregate for Absence {
    const CONTEXT: &'static str = CONTEXT;
    const NAME: &'static str = "home";

    fn encode(event: &absence::Event) -> RawEvent {
        match event {
            absence::Event::Marked(reason) => RawEvent::of(&pb::AwayMarked {
                reason: reason.wire(),
            }),
            absence::Event::Ended => RawEvent::of(&pb::AwayEnded {}),
        }
    }

    fn decode(raw: &RawEvent) -> Result<absence::Event, DecodeError> {
        let name = raw.event_type.as_str();
        if name == pb::AwayMarked::full_name() {
            let message: pb::AwayMarked = wire::message(raw)?;
            Ok(absence::Event::Marked(wire::term(
                message.reason,
                "reason",
            )?))
        } else if name == pb::AwayEnded::full_name() {
            Ok(absence::Event::Ended)
        } else {
            Err(DecodeError::unknown(raw))
        }
    }
}

impl Aggregate for AlertRequest {
    const CONTEXT: &'static str = CONTEXT;
    const NAME: &'static str = "request";

    fn encode(requested: &Requested) -> RawEvent {
        RawEvent::of(&pb::AlertRequested {
            kind: requested.kind.wire(),
            elder_id: requested.elder.to_string(),
        })
    }

    fn decode(raw: &RawEvent) -> Result<Requested, DecodeError> {
        if raw.event_type != pb::AlertRequested::full_name() {
            return Err(DecodeError::unknown(raw));
        }
        let message: pb::AlertRequested = wire::message(raw)?;
        Ok(Requested {
            kind: wire::term(message.kind, "kind")?,
            elder: wire::elder(&message.elder_id)?,
        })
    }
}

impl Aggregate for Recipient {
    const CONTEXT: &'static str = CONTEXT;
    const NAME: &'static str = "recipient";

    fn encode(said: &recipient::Said) -> RawEvent {
        RawEvent::of(&pb::RecipientRegistered {
            role: said.role.wire(),
            division_code: said.division.to_string(),
            active: said.active,
            details: Some(types::Sealed::from(&said.details)),
        })
    }

    fn decode(raw: &RawEvent) -> Result<recipient::Said, DecodeError> {
        if raw.event_type != pb::RecipientRegistered::full_name() {
            return Err(DecodeError::unknown(raw));
        }
        let message: pb::RecipientRegistered = wire::message(raw)?;
        Ok(recipient::Said {
            role: wire::term(message.role, "role")?,
            division: wire::division(&message.division_code)?,
            active: message.active,
            details: wire::sealed(message.details, "details")?,
        })
    }
}

fn maybe(value: Option<impl ToString>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

fn maybe_village(text: &str) -> Result<Option<VillageCode>, DecodeError> {
    (!text.is_empty()).then(|| wire::village(text)).transpose()
}

fn maybe_id(text: &str, field: &str) -> Result<Option<Uuid>, DecodeError> {
    if text.is_empty() {
        Ok(None)
    } else {
        wire::id(text, field).map(Some)
    }
}
