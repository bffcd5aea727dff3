//! Events of a division that visits become wire bytes and back.

use elders::codec::write_day;
use elders::wire::{self, day, division};
use eventlog::{Aggregate, DecodeError, RawEvent};
use prost::Name as _;
use proto::eldercare::visits::v1 as pb;

use super::{CONTEXT, period, write_period};
use crate::visiting::{self, Visiting};

impl Aggregate for Visiting {
    const CONTEXT: &'static str = CONTEXT;
    const NAME: &'static str = "visiting";

    fn encode(event: &visiting::Event) -> RawEvent {
        match event {
            visiting::Event::Started { division, on } => RawEvent::of(&pb::VisitingStarted {
                division_code: division.to_string(),
                on: Some(write_day(*on)),
            }),
            visiting::Event::Closed {
                division,
                period,
                duties,
                missed,
            } => RawEvent::of(&pb::PeriodClosed {
                division_code: division.to_string(),
                period: Some(write_period(*period)),
                duties: duties.cast_signed(),
                missed: missed.cast_signed(),
            }),
        }
    }

    fn decode(raw: &RawEvent) -> Result<visiting::Event, DecodeError> {
        let name = raw.event_type.as_str();
        if name == pb::VisitingStarted::full_name() {
            let message: pb::VisitingStarted = wire::message(raw)?;
            Ok(visiting::Event::Started {
                division: division(&message.division_code)?,
                on: day(message.on, "on")?,
            })
        } else if name == pb::PeriodClosed::full_name() {
            let message: pb::PeriodClosed = wire::message(raw)?;
            Ok(visiting::Event::Closed {
                division: division(&message.division_code)?,
                period: period(message.period)?,
                duties: message.duties.cast_unsigned(),
                missed: message.missed.cast_unsigned(),
            })
        } else {
            Err(DecodeError::unknown(raw))
        }
    }
}
