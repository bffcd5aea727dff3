//! Events of the adjudicator's runs become wire bytes and back.

use civic::Fen;
use elders::codec::write_day;
use elders::terms::{WireTerm as _, set_from_wire, wire_set};
use elders::wire;
use eventlog::{Aggregate, DecodeError, RawEvent};
use prost::Name as _;
use proto::eldercare::claims::v1 as pb;

use super::CONTEXT;
use super::register::count;
use crate::adjudication::{Event, Runs, Year};

impl Aggregate for Runs {
    const CONTEXT: &'static str = CONTEXT;
    const NAME: &'static str = "adjudication";

    fn encode(event: &Event) -> RawEvent {
        match event {
            Event::Approved {
                order,
                programme,
                provider,
                elder,
                day,
                amount,
                on_appeal,
            } => RawEvent::of(&pb::OrderApproved {
                order_key: order.to_string(),
                programme_code: programme.clone(),
                provider_id: provider.clone(),
                elder_id: elder.to_string(),
                service_day: Some(write_day(*day)),
                amount_fen: amount.0,
                on_appeal: *on_appeal,
            }),
            Event::Held {
                order,
                codes,
                conflicts,
            } => RawEvent::of(&pb::OrderHeldAbnormal {
                order_key: order.to_string(),
                codes: wire_set(*codes),
                conflicts: conflicts
                    .iter()
                    .map(|(code, order)| pb::Conflict {
                        code: code.wire(),
                        order_key: order.to_string(),
                    })
                    .collect(),
            }),
            Event::Consumed { order, year, units } => RawEvent::of(&pb::EntitlementConsumed {
                order_key: order.to_string(),
                programme_code: year.programme.clone(),
                elder_id: year.elder.to_string(),
                year: year.year,
                units: *units,
            }),
            Event::Released { order, year, units } => RawEvent::of(&pb::EntitlementReleased {
                order_key: order.to_string(),
                programme_code: year.programme.clone(),
                elder_id: year.elder.to_string(),
                year: year.year,
                units: *units,
            }),
            Event::PremiumsBooked {
                programme,
                amount,
                premiums,
            } => RawEvent::of(&pb::PremiumsBooked {
                programme_code: programme.clone(),
                amount_fen: amount.0,
                premiums: premiums.cast_signed(),
            }),
            Event::NotSettled { order, reason } => RawEvent::of(&pb::OrderNotSettled {
                order_key: order.to_string(),
                reason: reason.wire(),
            }),
        }
    }

    fn decode(raw: &RawEvent) -> Result<Event, DecodeError> {
        let name = raw.event_type.as_str();
        let order = |key: &str| wire::id(key, "order_key");
        if name == pb::OrderApproved::full_name() {
            let message: pb::OrderApproved = wire::message(raw)?;
            Ok(Event::Approved {
                order: order(&message.order_key)?,
                programme: message.programme_code,
                provider: message.provider_id,
                elder: wire::elder(&message.elder_id)?,
                day: wire::day(message.service_day, "service_day")?,
                amount: Fen(message.amount_fen),
                on_appeal: message.on_appeal,
            })
        } else if name == pb::OrderHeldAbnormal::full_name() {
            let message: pb::OrderHeldAbnormal = wire::message(raw)?;
            let conflicts = message.conflicts.iter().map(|conflict| {
                let code = wire::term(conflict.code, "conflicts.code")?;
                Ok((code, order(&conflict.order_key)?))
            });
            Ok(Event::Held {
                order: order(&message.order_key)?,
                codes: set_from_wire(&message.codes)
                    .map_err(|_index| DecodeError::malformed("codes"))?,
                conflicts: conflicts.collect::<Result<_, DecodeError>>()?,
            })
        } else if name == pb::EntitlementConsumed::full_name() {
            let message: pb::EntitlementConsumed = wire::message(raw)?;
            Ok(Event::Consumed {
                order: order(&message.order_key)?,
                year: Year {
                    programme: message.programme_code,
                    elder: wire::elder(&message.elder_id)?,
                    year: message.year,
                },
                units: message.units,
            })
        } else if name == pb::EntitlementReleased::full_name() {
            let message: pb::EntitlementReleased = wire::message(raw)?;
            Ok(Event::Released {
                order: order(&message.order_key)?,
                year: Year {
                    programme: message.programme_code,
                    elder: wire::elder(&message.elder_id)?,
                    year: message.year,
                },
                units: message.units,
            })
        } else if name == pb::PremiumsBooked::full_name() {
            let message: pb::PremiumsBooked = wire::message(raw)?;
            Ok(Event::PremiumsBooked {
                programme: message.programme_code,
                amount: Fen(message.amount_fen),
                premiums: count(message.premiums, "premiums")?,
            })
        } else if name == pb::OrderNotSettled::full_name() {
            let message: pb::OrderNotSettled = wire::message(raw)?;
            Ok(Event::NotSettled {
                order: order(&message.order_key)?,
                reason: wire::term(message.reason, "reason")?,
            })
        } else {
            Err(DecodeError::unknown(raw))
        }
    }
}
