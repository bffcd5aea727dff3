//! Events of funds and settlements become wire bytes and back.

use civic::{Fen, OrderCode, Set};
use elders::codec::write_day;
use elders::terms::{WireTerm as _, set_from_wire, wire_set};
use elders::wire;
use eventlog::{Aggregate, DecodeError, RawEvent};
use prost::Name as _;
use proto::eldercare::claims::v1 as pb;
use uuid::Uuid;

use super::CONTEXT;
use super::register::count;
use crate::fund::{self, Fund};
use crate::settlements::{self, Line, Settlements};

impl Aggregate for Fund {
    const CONTEXT: &'static str = CONTEXT;
    const NAME: &'static str = "fund";

    fn encode(event: &fund::Event) -> RawEvent {
        match event {
            fund::Event::Deposited {
                kind,
                amount,
                reference,
                persons,
            } => RawEvent::of(&pb::FundDeposited {
                kind: kind.wire(),
                amount_fen: amount.0,
                reference: reference.clone(),
                persons: persons.cast_signed(),
            }),
            fund::Event::Reserved { amount, orders } => RawEvent::of(&pb::FundReserved {
                amount_fen: amount.0,
                orders: orders.cast_signed(),
            }),
            fund::Event::Paid {
                provider,
                number,
                amount,
                reserved,
            } => RawEvent::of(&pb::FundPaid {
                provider_id: provider.clone(),
                settlement_number: number.cast_signed(),
                amount_fen: amount.0,
                reserved_fen: reserved.0,
            }),
        }
    }

    fn decode(raw: &RawEvent) -> Result<fund::Event, DecodeError> {
        let name = raw.event_type.as_str();
        if name == pb::FundDeposited::full_name() {
            let message: pb::FundDeposited = wire::message(raw)?;
            Ok(fund::Event::Deposited {
                kind: wire::term(message.kind, "kind")?,
                amount: Fen(message.amount_fen),
                reference: message.reference,
                persons: count(message.persons, "persons")?,
            })
        } else if name == pb::FundReserved::full_name() {
            let message: pb::FundReserved = wire::message(raw)?;
            Ok(fund::Event::Reserved {
                amount: Fen(message.amount_fen),
                orders: count(message.orders, "orders")?,
            })
        } else if name == pb::FundPaid::full_name() {
            let message: pb::FundPaid = wire::message(raw)?;
            Ok(fund::Event::Paid {
                provider: message.provider_id,
                number: count(message.settlement_number, "settlement_number")?,
                amount: Fen(message.amount_fen),
                reserved: Fen(message.reserved_fen),
            })
        } else {
            Err(DecodeError::unknown(raw))
        }
    }
}

impl Aggregate for Settlements {
    const CONTEXT: &'static str = CONTEXT;
    const NAME: &'static str = "settlements";

    fn encode(event: &settlements::Event) -> RawEvent {
        match event {
            settlements::Event::Drafted {
                number,
                month,
                lines,
                adjustments,
                total,
            } => RawEvent::of(&pb::SettlementDrafted {
                number: number.cast_signed(),
                month: Some(write_day(month.first_day())),
                lines: lines
                    .iter()
                    .map(|line| pb::SettlementLine {
                        order_key: line.order.to_string(),
                        amount_fen: line.amount.0,
                    })
                    .collect(),
                adjustment_ids: adjustments.iter().map(Uuid::to_string).collect(),
                total_fen: total.0,
            }),
            settlements::Event::Confirmed { number, on } => {
                RawEvent::of(&pb::SettlementConfirmed {
                    number: number.cast_signed(),
                    confirmed_on: on.map(write_day),
                })
            }
            settlements::Event::Paid {
                number,
                amount,
                paid_on,
                reference,
            } => RawEvent::of(&pb::SettlementPaid {
                number: number.cast_signed(),
                amount_fen: amount.0,
                paid_on: Some(write_day(*paid_on)),
                reference: reference.clone(),
            }),
            settlements::Event::Adjusted {
                adjustment,
                number,
                amount,
                order,
                reason,
            } => RawEvent::of(&pb::SettlementAdjusted {
                adjustment_id: adjustment.to_string(),
                corrected_number: number.cast_signed(),
                amount_fen: amount.0,
                order_key: order.map_or_else(String::new, |order| order.to_string()),
                reason: reason.clone(),
            }),
            settlements::Event::PutOnHold {
                order,
                codes,
                left,
                registry_sequence,
            } => RawEvent::of(&pb::OrderPutOnHold {
                order_key: order.to_string(),
                codes: wire_set(*codes),
                settlement_number: left.unwrap_or_default().cast_signed(),
                registry_sequence: registry_sequence.cast_signed(),
            }),
            settlements::Event::HoldEnded {
                order,
                withdrawn,
                by,
            } => RawEvent::of(&pb::OrderHoldEnded {
                order_key: order.to_string(),
                withdrawn: *withdrawn,
                decided_by: by.clone(),
            }),
            settlements::Event::RecoveryListed {
                order,
                codes,
                number,
                amount,
                registry_sequence,
            } => RawEvent::of(&pb::RecoveryListed {
                order_key: order.to_string(),
                codes: wire_set(*codes),
                settlement_number: number.cast_signed(),
                amount_fen: amount.0,
                registry_sequence: registry_sequence.cast_signed(),
            }),
        }
    }

    fn decode(raw: &RawEvent) -> Result<settlements::Event, DecodeError> {
        let name = raw.event_type.as_str();
        if name == pb::SettlementDrafted::full_name() {
            drafted(wire::message(raw)?)
        } else if name == pb::SettlementConfirmed::full_name() {
            let message: pb::SettlementConfirmed = wire::message(raw)?;
            let on = message.confirmed_on;
            Ok(settlements::Event::Confirmed {
                number: count(message.number, "number")?,
                on: on
                    .map(|day| wire::day(Some(day), "confirmed_on"))
                    .transpose()?,
            })
        } else if name == pb::SettlementPaid::full_name() {
            let message: pb::SettlementPaid = wire::message(raw)?;
            Ok(settlements::Event::Paid {
                number: count(message.number, "number")?,
                amount: Fen(message.amount_fen),
                paid_on: wire::day(message.paid_on, "paid_on")?,
                reference: message.reference,
            })
        } else if name == pb::SettlementAdjusted::full_name() {
            let message: pb::SettlementAdjusted = wire::message(raw)?;
            let order = &message.order_key;
            Ok(settlements::Event::Adjusted {
                adjustment: wire::id(&message.adjustment_id, "adjustment_id")?,
                number: count(message.corrected_number, "corrected_number")?,
                amount: Fen(message.amount_fen),
                order: (!order.is_empty())
                    .then(|| wire::id(order, "order_key"))
                    .transpose()?,
                reason: message.reason,
            })
        } else if name == pb::OrderPutOnHold::full_name() {
            let message: pb::OrderPutOnHold = wire::message(raw)?;
            let left = count(message.settlement_number, "settlement_number")?;
            Ok(settlements::Event::PutOnHold {
                order: wire::id(&message.order_key, "order_key")?,
                codes: codes(&message.codes)?,
                left: (left != 0).then_some(left),
                registry_sequence: message.registry_sequence.cast_unsigned(),
            })
        } else if name == pb::OrderHoldEnded::full_name() {
            let message: pb::OrderHoldEnded = wire::message(raw)?;
            Ok(settlements::Event::HoldEnded {
                order: wire::id(&message.order_key, "order_key")?,
                withdrawn: message.withdrawn,
                by: message.decided_by,
            })
        } else if name == pb::RecoveryListed::full_name() {
            let message: pb::RecoveryListed = wire::message(raw)?;
            Ok(settlements::Event::RecoveryListed {
                order: wire::id(&message.order_key, "order_key")?,
                codes: codes(&message.codes)?,
                number: count(message.settlement_number, "settlement_number")?,
                amount: Fen(message.amount_fen),
                registry_sequence: message.registry_sequence.cast_unsigned(),
            })
        } else {
            Err(DecodeError::unknown(raw))
        }
    }
}

fn codes(numbers: &[i32]) -> Result<Set<OrderCode>, DecodeError> {
    set_from_wire(numbers).map_err(|_index| DecodeError::malformed("codes"))
}

fn drafted(message: pb::SettlementDrafted) -> Result<settlements::Event, DecodeError> {
    let lines = message.lines.iter().map(|line| {
        Ok(Line {
            order: wire::id(&line.order_key, "lines.order_key")?,
            amount: Fen(line.amount_fen),
        })
    });
    let adjustments = message.adjustment_ids.iter();
    Ok(settlements::Event::Drafted {
        number: count(message.number, "number")?,
        month: wire::day(message.month, "month")?.month(),
        lines: lines.collect::<Result<_, DecodeError>>()?,
        adjustments: adjustments
            .map(|id| wire::id(id, "adjustment_ids"))
            .collect::<Result<_, DecodeError>>()?,
        total: Fen(message.total_fen),
    })
}
