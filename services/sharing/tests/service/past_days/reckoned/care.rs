//! Orders, and what came into funds and went out of them, each with the day from which on it holds.

use std::collections::BTreeMap;
use std::sync::Arc;

use civic::LocalDay;
use elders::wire;
use eventlog::EventLog;
use proto::eldercare::claims::v1 as claims;
use proto::eldercare::sharing::v1 as pb;

use crate::logs::{Told, events};

/// As they are told, one after the other.
const STATES: [&str; 6] = [
    "WAITING",
    "APPROVED",
    "ABNORMAL",
    "APPEALED",
    "NOT_SETTLED",
    "PAID",
];

/// What claims tells.
#[derive(Default)]
pub(super) struct Care {
    orders: BTreeMap<String, Order>,
    entries: Vec<Entry>,
    settlements: BTreeMap<(String, i32), Settlement>,
}

/// The orders of a settlement, when it was confirmed, and on which day the money went out.
#[derive(Default)]
struct Settlement {
    orders: Vec<String>,
    confirmed_on: Option<LocalDay>,
    paid_on: Option<LocalDay>,
}

/// An order, and what was said of it, each on its day.
struct Order {
    village: String,
    programme: String,
    served: LocalDay,
    amount: i64,
    said: Vec<(LocalDay, &'static str)>,
}

/// What moved a fund on a day.
struct Entry {
    programme: String,
    on: LocalDay,
    /// The settlement that it pays, if it pays one.
    pays: Option<(String, i32)>,
    came_in: i64,
    reserved: i64,
    paid: i64,
}

impl Care {
    pub(super) async fn of(log: &Arc<dyn EventLog>) -> Self {
        let mut care = Self::default();
        for told in events(log).await {
            care.hear(&told);
        }
        care
    }

    fn hear(&mut self, told: &Told) {
        let recorded = LocalDay::of(told.at);
        match told.name() {
            "OrderSubmitted" => {
                let submitted: claims::OrderSubmitted = told.read();
                let start = wire::time(submitted.check_in_at, "check_in_at").unwrap();
                let order = Order {
                    village: submitted.division_code,
                    programme: submitted.programme_code,
                    served: LocalDay::of(start),
                    amount: submitted.amount_fen,
                    said: vec![(recorded, "WAITING")],
                };
                self.orders.insert(told.id.clone(), order);
            }
            "AppealFiled" => self.say(&told.id, recorded, "APPEALED"),
            "OrderApproved" => {
                let told: claims::OrderApproved = told.read();
                self.say(&told.order_key, recorded, "APPROVED");
            }
            "OrderHeldAbnormal" => {
                let told: claims::OrderHeldAbnormal = told.read();
                self.say(&told.order_key, recorded, "ABNORMAL");
            }
            "OrderNotSettled" => {
                let told: claims::OrderNotSettled = told.read();
                self.say(&told.order_key, recorded, "NOT_SETTLED");
            }
            "SettlementDrafted" => {
                let drafted: claims::SettlementDrafted = told.read();
                let orders = drafted.lines.into_iter().map(|line| line.order_key);
                let settlement = Settlement {
                    orders: orders.collect(),
                    ..Settlement::default()
                };
                let number = (told.id.clone(), drafted.number);
                self.settlements.insert(number, settlement);
            }
            "SettlementConfirmed" => {
                let confirmed: claims::SettlementConfirmed = told.read();
                let number = (told.id.clone(), confirmed.number);
                let settlement = self.settlements.get_mut(&number).unwrap();
                settlement.confirmed_on = Some(recorded);
            }
            "SettlementPaid" => {
                let paid: claims::SettlementPaid = told.read();
                let on = wire::day(paid.paid_on, "paid_on").unwrap();
                let number = (told.id.clone(), paid.number);
                let settlement = self.settlements.get_mut(&number).unwrap();
                settlement.paid_on = Some(on);
                for order in settlement.orders.clone() {
                    self.say(&order, on, "PAID");
                }
            }
            _ => self.moves(told, recorded),
        }
    }

    fn say(&mut self, order: &str, on: LocalDay, state: &'static str) {
        let order = self.orders.get_mut(order).unwrap();
        // What it is already it does not become.
        if order.said.last().is_none_or(|(_, last)| *last != state) {
            order.said.push((on, state));
        }
    }

    /// What a fund tells.
    fn moves(&mut self, told: &Told, recorded: LocalDay) {
        let programme = told.id.clone();
        let mut entry = Entry {
            programme,
            on: recorded,
            pays: None,
            came_in: 0,
            reserved: 0,
            paid: 0,
        };
        match told.name() {
            "FundDeposited" => {
                let told: claims::FundDeposited = told.read();
                entry.came_in = told.amount_fen;
            }
            "FundReserved" => {
                let told: claims::FundReserved = told.read();
                entry.reserved = told.amount_fen;
            }
            "FundPaid" => {
                let paid: claims::FundPaid = told.read();
                let settlements = format!("{}-{}", told.id, paid.provider_id);
                entry.pays = Some((settlements, paid.settlement_number));
                entry.reserved = -paid.reserved_fen;
                entry.paid = paid.amount_fen;
            }
            other => panic!("nobody tells {other} here"),
        }
        self.entries.push(entry);
    }

    /// Orders of services of the month, each where it had come by the end of the day.
    pub(super) fn orders(&self, division: &str, on: LocalDay) -> Vec<pb::OrderCount> {
        let mut counts = STATES.map(|state| pb::OrderCount {
            state: state.to_owned(),
            ..Default::default()
        });
        for order in self.orders.values() {
            let here = order.village.starts_with(division);
            if !here || order.served > on || order.served.month() != on.month() {
                continue;
            }
            // What follows from something waits for it.
            let said = order.said.iter();
            let said = said.take_while(|(day, _)| *day <= on);
            if let Some((_, state)) = said.last() {
                let count = counts.iter_mut().find(|count| count.state == *state);
                let count = count.unwrap();
                count.orders += 1;
                count.amount_fen += order.amount;
            }
        }
        let counts = counts.into_iter();
        counts.filter(|count| count.orders > 0).collect()
    }

    /// The funds of programmes of which somebody there ever had an order.
    pub(super) fn funds(&self, division: &str, on: LocalDay) -> Vec<pb::FundFigures> {
        let mut funds: BTreeMap<&str, pb::FundFigures> = BTreeMap::new();
        for entry in &self.entries {
            // The settlement knows when the money went out, and since when it could.
            let settlement = entry.pays.as_ref().map(|number| &self.settlements[number]);
            let counts_from = settlement.and_then(|settlement| {
                let paid_on = settlement.paid_on.unwrap_or(entry.on);
                Some(paid_on).max(settlement.confirmed_on)
            });
            if counts_from.unwrap_or(entry.on) > on {
                continue;
            }
            let fund = funds.entry(&entry.programme).or_default();
            fund.programme_code.clone_from(&entry.programme);
            fund.in_fen += entry.came_in;
            fund.reserved_fen += entry.reserved;
            fund.paid_fen += entry.paid;
            fund.balance_fen += entry.came_in - entry.paid;
        }
        let concerns = |programme: &str| {
            let mut orders = self.orders.values();
            orders.any(|order| order.programme == programme && order.village.starts_with(division))
        };
        let began = |programme: &str| {
            let mut entries = self.entries.iter();
            entries
                .any(|entry| entry.programme == programme && entry.pays.is_none() && entry.on <= on)
        };
        let funds = funds.into_iter();
        let funds = funds.filter(|(programme, _)| concerns(programme) && began(programme));
        funds.map(|(_, fund)| fund).collect()
    }
}
