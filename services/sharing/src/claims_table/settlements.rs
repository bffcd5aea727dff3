//! Which orders a settlement bears, so that they are paid when it is.

use std::collections::BTreeSet;

use civic::LocalDay;
use elders::wire::{self, id, message};
use eventlog::{DecodeError, RawEvent, Record};
use proto::eldercare::claims::v1 as pb;
use sqlx::PgConnection;
use uuid::Uuid;

use super::orders::Orders;
use super::payments::{Payments, Settlement};
use super::short_name;
use crate::feeds::changes::Which;
use crate::products::ProductName;

/// What is said of a settlement.
pub(super) enum SettlementSaid {
    /// It bears these orders; a draft of that number that was there before is replaced.
    Drafted(i32, BTreeSet<Uuid>),
    /// It is fixed.
    Confirmed(i32),
    Paid(i32, LocalDay),
    /// An order leaves its settlement.
    Left(Uuid),
    /// Nothing that is kept here.
    Nothing,
}

pub(super) fn decode(raw: &RawEvent) -> Result<SettlementSaid, DecodeError> {
    match short_name(raw)? {
        "SettlementDrafted" => {
            let said: pb::SettlementDrafted = message(raw)?;
            let orders = said.lines.iter().map(|line| id(&line.order_key, "lines"));
            let orders = orders.collect::<Result<BTreeSet<Uuid>, DecodeError>>()?;
            Ok(SettlementSaid::Drafted(said.number, orders))
        }
        "SettlementPaid" => {
            let said: pb::SettlementPaid = message(raw)?;
            let on = wire::day(said.paid_on, "paid_on")?;
            Ok(SettlementSaid::Paid(said.number, on))
        }
        "OrderPutOnHold" => {
            let said: pb::OrderPutOnHold = message(raw)?;
            id(&said.order_key, "order_key").map(SettlementSaid::Left)
        }
        "SettlementConfirmed" => {
            let said: pb::SettlementConfirmed = message(raw)?;
            Ok(SettlementSaid::Confirmed(said.number))
        }
        "SettlementAdjusted" | "OrderHoldEnded" | "RecoveryListed" => Ok(SettlementSaid::Nothing),
        _ => Err(DecodeError::unknown(raw)),
    }
}

impl SettlementSaid {
    /// Which documents it changes, said of some settlements. Until one is paid its orders stay as they are.
    pub(super) fn changes(self, settlements: &str) -> Option<(ProductName, Which)> {
        match self {
            Self::Paid(number, _on) => {
                let settlements = settlements.to_owned();
                let which = Which::Settlement {
                    settlements,
                    number,
                };
                Some((ProductName::Order, which))
            }
            Self::Drafted(..) | Self::Confirmed(_) | Self::Left(_) | Self::Nothing => None,
        }
    }
}

/// Writes which orders a settlement bears; where it is paid, so are they, and the fund's money went out on that day. There are few
/// of these, each of many orders.
pub(super) async fn write(
    db: &mut PgConnection,
    record: &Record,
    said: SettlementSaid,
    orders: &mut Orders,
    payments: &mut Payments,
) -> Result<(), sqlx::Error> {
    let settlements = record.subject.id();
    match said {
        SettlementSaid::Drafted(number, lines) => {
            // A draft may have lost orders.
            sqlx::query("DELETE FROM settled WHERE settlements = $1 AND number = $2")
                .persistent(false)
                .bind(settlements)
                .bind(number)
                .execute(&mut *db)
                .await?;
            let lines: Vec<Uuid> = lines.into_iter().collect();
            sqlx::query(
                "INSERT INTO settled (order_key, settlements, number) \
                 SELECT order_key, $2, $3 FROM unnest($1::uuid[]) AS line (order_key) \
                 ON CONFLICT (order_key) DO UPDATE SET settlements = excluded.settlements, number = excluded.number",
            )
            .bind(lines)
            .bind(settlements)
            .bind(number)
            .execute(&mut *db)
            .await?;
        }
        SettlementSaid::Confirmed(number) => {
            let recorded = LocalDay::of(record.metadata.time);
            payments.confirmed_on(Settlement::among(settlements, number), recorded);
        }
        SettlementSaid::Paid(number, on) => {
            let paid: Vec<Uuid> = sqlx::query_scalar(
                "SELECT order_key FROM settled WHERE settlements = $1 AND number = $2",
            )
            .persistent(false)
            .bind(settlements)
            .bind(number)
            .fetch_all(&mut *db)
            .await?;
            for key in paid {
                orders.paid(key, on);
            }
            payments.paid_on(Settlement::among(settlements, number), on);
        }
        SettlementSaid::Left(order) => {
            sqlx::query("DELETE FROM settled WHERE order_key = $1")
                .persistent(false)
                .bind(order)
                .execute(&mut *db)
                .await?;
        }
        SettlementSaid::Nothing => {}
    }
    Ok(())
}
