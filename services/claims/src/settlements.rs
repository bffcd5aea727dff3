//! What a provider is paid by a programme (结算): settlements in their order, each order in one, corrections in later ones.

use std::collections::{BTreeMap, HashSet};

use civic::{CalendarMonth, Fen, HoldState, LocalDay, OrderCode, Set, SettlementStage};
use decider::Decider;
use uuid::Uuid;

/// The settlements of a provider and a programme, as the events leave them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settlements {
    /// In their order: the first one has the number 1.
    pub settlements: Vec<Settlement>,
    /// What paid settlements got wrong.
    pub adjustments: BTreeMap<Uuid, Adjustment>,
    /// Orders against which a fact stands that was recorded after their approval.
    pub holds: BTreeMap<Uuid, Hold>,
}

/// What follows from a fact that stands against an approved order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Where it stands.
    pub state: HoldState,
    /// What stands against the order, as it was last said.
    pub codes: Set<OrderCode>,
}

/// A settlement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// The month of approval.
    pub month: CalendarMonth,
    /// Where it stands.
    pub stage: SettlementStage,
    /// Its orders.
    pub lines: Vec<Line>,
    /// The adjustments that it bears.
    pub adjustments: Vec<Uuid>,
    /// The sum.
    pub total: Fen,
    /// When it was paid, and by which voucher.
    pub paid: Option<(LocalDay, String)>,
}

/// An order of a settlement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// Its key.
    pub order: Uuid,
    /// What it costs.
    pub amount: Fen,
}

/// What a paid settlement got wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adjustment {
    /// The settlement that is put right.
    pub corrected: u32,
    /// How much; below nought the provider got too much.
    pub amount: Fen,
    /// The order that it is about.
    pub order: Option<Uuid>,
    /// Why.
    pub reason: String,
    /// The settlement that bears it; none: it waits.
    pub borne_by: Option<u32>,
}

impl Settlement {
    /// The sum of its orders.
    #[must_use]
    pub fn orders_total(&self) -> Fen {
        Fen(self.lines.iter().map(|line| line.amount.0).sum())
    }
}

/// What is asked.
#[derive(Clone, Debug)]
pub enum Command {
    /// Put together what was approved in a month and is in no settlement.
    Draft {
        /// The month.
        month: CalendarMonth,
        /// All orders that were approved in it.
        approved: Vec<Line>,
        /// The most that one settlement takes: the rest goes into the next one of the month.
        most: usize,
    },
    /// Fix a draft.
    Confirm {
        /// Which.
        number: u32,
        /// The sum that was seen.
        total: Fen,
    },
    /// It was paid.
    Pay {
        /// Which.
        number: u32,
        /// What was paid.
        amount: Fen,
        /// When.
        paid_on: LocalDay,
        /// The voucher.
        reference: String,
    },
    /// Put right what a paid one got wrong.
    Adjust {
        /// The adjustment.
        adjustment: Uuid,
        /// Which settlement.
        number: u32,
        /// How much.
        amount: Fen,
        /// About which order.
        order: Option<Uuid>,
        /// Why.
        reason: String,
    },
    /// A fact that was recorded later stands against an approved order.
    Doubt {
        /// Which.
        order: Uuid,
        /// What stands against it.
        codes: Set<OrderCode>,
        /// The record of the registry's log that says so.
        registry_sequence: u64,
    },
    /// A reviewer decides on an order on hold.
    Decide {
        /// Which.
        order: Uuid,
        /// Whether the approval is withdrawn.
        withdraw: bool,
        /// Who decides.
        by: String,
    },
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A draft is there, in place of the one of this number.
    Drafted {
        /// Its number.
        number: u32,
        /// The month of approval.
        month: CalendarMonth,
        /// Its orders.
        lines: Vec<Line>,
        /// The adjustments that it bears.
        adjustments: Vec<Uuid>,
        /// The sum.
        total: Fen,
    },
    /// A draft is fixed.
    Confirmed {
        /// Its number.
        number: u32,
    },
    /// A settlement was paid.
    Paid {
        /// Its number.
        number: u32,
        /// What was paid.
        amount: Fen,
        /// When.
        paid_on: LocalDay,
        /// The voucher.
        reference: String,
    },
    /// Something is put right.
    Adjusted {
        /// The adjustment.
        adjustment: Uuid,
        /// Which settlement.
        number: u32,
        /// How much.
        amount: Fen,
        /// About which order.
        order: Option<Uuid>,
        /// Why.
        reason: String,
    },
    /// An order leaves its settlement until a reviewer decides.
    PutOnHold {
        /// Which.
        order: Uuid,
        /// What stands against it.
        codes: Set<OrderCode>,
        /// The settlement that it leaves; none: it was in none.
        left: Option<u32>,
        /// The record of the registry's log that says so.
        registry_sequence: u64,
    },
    /// A reviewer has decided.
    HoldEnded {
        /// On which order.
        order: Uuid,
        /// Whether the approval is withdrawn.
        withdrawn: bool,
        /// Who decided.
        by: String,
    },
    /// What was paid for an order is to come back.
    RecoveryListed {
        /// Which.
        order: Uuid,
        /// What stands against it.
        codes: Set<OrderCode>,
        /// The settlement by which it was paid.
        number: u32,
        /// What was paid for it.
        amount: Fen,
        /// The record of the registry's log that says so.
        registry_sequence: u64,
    },
}

/// Why the rules refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such settlement.
    Unknown,
    /// Nothing was approved that is in no settlement, and no adjustment waits.
    NothingToSettle,
    /// It is no draft any more.
    NotADraft,
    /// It is not confirmed, or paid already.
    NotConfirmed,
    /// It was not paid yet: a draft is drafted anew.
    NotPaid,
    /// The sum is another one.
    TotalChanged,
    /// The order is not in that settlement.
    OrderNotInIt,
    /// More would come back than was paid for its orders.
    MoreThanPaid,
    /// The order is not on hold.
    NotOnHold,
    /// The sum is too large to count.
    TooLarge,
}

impl Settlements {
    /// A settlement by its number.
    #[must_use]
    pub fn get(&self, number: u32) -> Option<&Settlement> {
        let place = usize::try_from(number.checked_sub(1)?).ok()?;
        self.settlements.get(place)
    }

    fn get_mut(&mut self, number: u32) -> Option<&mut Settlement> {
        let place = usize::try_from(number.checked_sub(1)?).ok()?;
        self.settlements.get_mut(place)
    }

    /// Whether an approved order may be in a settlement as things stand.
    fn may_settle(&self, order: &Uuid) -> bool {
        self.holds.get(order).is_none_or(|hold| match hold.state {
            HoldState::OnHold | HoldState::Withdrawn => false,
            HoldState::Kept | HoldState::ForRecovery => true,
        })
    }

    /// The settlement that an order is in.
    fn settlement_of(&self, order: &Uuid) -> Option<(u32, &Settlement, Fen)> {
        let mut numbered = (1_u32..).zip(&self.settlements);
        numbered.find_map(|(number, settlement)| {
            let line = settlement.lines.iter().find(|line| line.order == *order)?;
            Some((number, settlement, line.amount))
        })
    }

    fn doubt(
        &self,
        order: Uuid,
        codes: Set<OrderCode>,
        registry_sequence: u64,
    ) -> Result<Vec<Event>, Refusal> {
        if let Some(hold) = self.holds.get(&order) {
            let settled = match hold.state {
                // Somebody is to look at it already, or has seen all of this.
                HoldState::OnHold | HoldState::Withdrawn | HoldState::ForRecovery => true,
                HoldState::Kept => codes.iter().all(|code| hold.codes.contains(code)),
            };
            if settled {
                return Ok(vec![]);
            }
        }
        let settlement = self.settlement_of(&order);
        if let Some((number, settlement, amount)) = settlement
            && settlement.stage == SettlementStage::Paid
        {
            return Ok(vec![Event::RecoveryListed {
                order,
                codes,
                number,
                amount,
                registry_sequence,
            }]);
        }
        Ok(vec![Event::PutOnHold {
            order,
            codes,
            left: settlement.map(|(number, ..)| number),
            registry_sequence,
        }])
    }

    fn hold(&mut self, order: Uuid, state: HoldState, codes: Set<OrderCode>) {
        self.holds.insert(order, Hold { state, codes });
    }

    fn draft(
        &self,
        month: CalendarMonth,
        approved: &[Line],
        most: usize,
    ) -> Result<Vec<Event>, Refusal> {
        let numbers = 1..=u32::try_from(self.settlements.len()).unwrap_or(u32::MAX);
        let mut numbered = numbers.zip(&self.settlements);
        let draft = numbered.find(|(_, settlement)| {
            settlement.month == month && settlement.stage == SettlementStage::Draft
        });
        let number = match draft {
            Some((number, _)) => number,
            None => u32::try_from(self.settlements.len() + 1).unwrap_or(u32::MAX),
        };
        let others = self.settlements.iter().zip(1_u32..);
        let others = others.filter(|(_, other)| *other != number);
        let elsewhere: HashSet<Uuid> = others
            .flat_map(|(settlement, _)| settlement.lines.iter().map(|line| line.order))
            .collect();
        let mut once = HashSet::new();
        let lines: Vec<Line> = approved
            .iter()
            .filter(|line| self.may_settle(&line.order))
            .filter(|line| !elsewhere.contains(&line.order) && once.insert(line.order))
            .copied()
            .take(most)
            .collect();
        let waiting = self.adjustments.iter().filter(|(_, adjustment)| {
            adjustment
                .borne_by
                .is_none_or(|borne_by| borne_by == number)
        });
        let (adjustments, amounts): (Vec<Uuid>, Vec<Fen>) = waiting
            .map(|(id, adjustment)| (*id, adjustment.amount))
            .unzip();
        if lines.is_empty() && adjustments.is_empty() {
            return Err(Refusal::NothingToSettle);
        }
        let mut sums = lines.iter().map(|line| line.amount).chain(amounts);
        let total = sums.try_fold(Fen::ZERO, Fen::checked_add);
        let total = total.ok_or(Refusal::TooLarge)?;
        if let Some((_, draft)) = draft
            && draft.lines == lines
            && draft.adjustments == adjustments
        {
            return Ok(vec![]);
        }
        Ok(vec![Event::Drafted {
            number,
            month,
            lines,
            adjustments,
            total,
        }])
    }
}

impl Decider for Settlements {
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Refusal> {
        match command {
            Command::Draft {
                month,
                approved,
                most,
            } => self.draft(*month, approved, *most),
            Command::Confirm { number, total } => {
                let settlement = self.get(*number).ok_or(Refusal::Unknown)?;
                if settlement.stage != SettlementStage::Draft {
                    return Err(Refusal::NotADraft);
                }
                if settlement.total != *total {
                    return Err(Refusal::TotalChanged);
                }
                Ok(vec![Event::Confirmed { number: *number }])
            }
            Command::Pay {
                number,
                amount,
                paid_on,
                reference,
            } => {
                let settlement = self.get(*number).ok_or(Refusal::Unknown)?;
                if settlement.stage != SettlementStage::Confirmed {
                    return Err(Refusal::NotConfirmed);
                }
                if settlement.total != *amount {
                    return Err(Refusal::TotalChanged);
                }
                Ok(vec![Event::Paid {
                    number: *number,
                    amount: *amount,
                    paid_on: *paid_on,
                    reference: reference.clone(),
                }])
            }
            Command::Adjust {
                adjustment,
                number,
                amount,
                order,
                reason,
            } => {
                if self.adjustments.contains_key(adjustment) {
                    return Ok(vec![]);
                }
                let settlement = self.get(*number).ok_or(Refusal::Unknown)?;
                if settlement.stage != SettlementStage::Paid {
                    return Err(Refusal::NotPaid);
                }
                let has = |order: &Uuid| settlement.lines.iter().any(|line| line.order == *order);
                if order.as_ref().is_some_and(|order| !has(order)) {
                    return Err(Refusal::OrderNotInIt);
                }
                let adjusted = self.adjustments.values();
                let adjusted = adjusted.filter(|one| one.corrected == *number);
                let mut sums = adjusted.map(|one| one.amount).chain([*amount]);
                let left = sums.try_fold(settlement.orders_total(), Fen::checked_add);
                if left.ok_or(Refusal::TooLarge)? < Fen::ZERO {
                    return Err(Refusal::MoreThanPaid);
                }
                Ok(vec![Event::Adjusted {
                    adjustment: *adjustment,
                    number: *number,
                    amount: *amount,
                    order: *order,
                    reason: reason.clone(),
                }])
            }
            Command::Doubt {
                order,
                codes,
                registry_sequence,
            } => self.doubt(*order, *codes, *registry_sequence),
            Command::Decide {
                order,
                withdraw,
                by,
            } => {
                let hold = self.holds.get(order);
                if hold.is_none_or(|hold| hold.state != HoldState::OnHold) {
                    return Err(Refusal::NotOnHold);
                }
                Ok(vec![Event::HoldEnded {
                    order: *order,
                    withdrawn: *withdraw,
                    by: by.clone(),
                }])
            }
        }
    }

    fn evolve(mut self, event: &Event) -> Self {
        match event {
            Event::Drafted {
                number,
                month,
                lines,
                adjustments,
                total,
            } => {
                for (id, adjustment) in &mut self.adjustments {
                    if adjustments.contains(id) {
                        adjustment.borne_by = Some(*number);
                    }
                }
                let drafted = Settlement {
                    month: *month,
                    stage: SettlementStage::Draft,
                    lines: lines.clone(),
                    adjustments: adjustments.clone(),
                    total: *total,
                    paid: None,
                };
                match self.get_mut(*number) {
                    Some(settlement) => *settlement = drafted,
                    None => self.settlements.push(drafted),
                }
            }
            Event::Confirmed { number } => {
                if let Some(settlement) = self.get_mut(*number) {
                    settlement.stage = SettlementStage::Confirmed;
                }
            }
            Event::Paid {
                number,
                paid_on,
                reference,
                ..
            } => {
                if let Some(settlement) = self.get_mut(*number) {
                    settlement.stage = SettlementStage::Paid;
                    settlement.paid = Some((*paid_on, reference.clone()));
                }
            }
            Event::Adjusted {
                adjustment,
                number,
                amount,
                order,
                reason,
            } => {
                let adjusted = Adjustment {
                    corrected: *number,
                    amount: *amount,
                    order: *order,
                    reason: reason.clone(),
                    borne_by: None,
                };
                self.adjustments.insert(*adjustment, adjusted);
            }
            Event::PutOnHold {
                order, codes, left, ..
            } => {
                if let Some(settlement) = left.and_then(|number| self.get_mut(number)) {
                    let leaves = |line: &Line| line.order == *order;
                    let amount = settlement.lines.iter().find(|line| leaves(line));
                    // What was summed up once can be taken away again.
                    settlement.total.0 -= amount.map_or(0, |line| line.amount.0);
                    settlement.lines.retain(|line| !leaves(line));
                }
                self.hold(*order, HoldState::OnHold, *codes);
            }
            Event::HoldEnded {
                order, withdrawn, ..
            } => {
                if let Some(hold) = self.holds.get_mut(order) {
                    hold.state = if *withdrawn {
                        HoldState::Withdrawn
                    } else {
                        HoldState::Kept
                    };
                }
            }
            Event::RecoveryListed { order, codes, .. } => {
                self.hold(*order, HoldState::ForRecovery, *codes);
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use decider::testing::{given, given_nothing};
    use proptest::prelude::*;

    use super::*;

    fn month(text: &str) -> CalendarMonth {
        format!("{text}-01").parse::<LocalDay>().unwrap().month()
    }

    fn line(order: u128) -> Line {
        Line {
            order: Uuid::from_u128(order),
            amount: Fen(20_000),
        }
    }

    fn drafted(number: u32, of: &str, orders: &[u128]) -> Event {
        Event::Drafted {
            number,
            month: month(of),
            lines: orders.iter().copied().map(line).collect(),
            adjustments: vec![],
            total: Fen(20_000 * i64::try_from(orders.len()).unwrap()),
        }
    }

    fn draft(of: &str, orders: &[u128]) -> Command {
        Command::Draft {
            month: month(of),
            approved: orders.iter().copied().map(line).collect(),
            most: 1_000,
        }
    }

    fn paid(number: u32, amount: i64) -> Event {
        Event::Paid {
            number,
            amount: Fen(amount),
            paid_on: "2024-02-05".parse().unwrap(),
            reference: "V1".to_owned(),
        }
    }

    #[test]
    fn an_order_is_in_one_settlement() {
        given_nothing::<Settlements>()
            .when(draft("2024-01", &[1, 2]))
            .then([drafted(1, "2024-01", &[1, 2])]);
        // A draft is drafted anew.
        given::<Settlements>([drafted(1, "2024-01", &[1])])
            .when(draft("2024-01", &[1, 2]))
            .then([drafted(1, "2024-01", &[1, 2])]);
        // What is confirmed stays: the rest goes into another one of the month.
        let confirmed = Event::Confirmed { number: 1 };
        given::<Settlements>([drafted(1, "2024-01", &[1]), confirmed.clone()])
            .when(draft("2024-01", &[1, 2]))
            .then([drafted(2, "2024-01", &[2])]);
        given::<Settlements>([drafted(1, "2024-01", &[1]), confirmed])
            .when(draft("2024-01", &[1]))
            .then_refused(Refusal::NothingToSettle);
    }

    #[test]
    fn what_was_seen_is_what_is_confirmed_and_paid() {
        let confirm = |total| Command::Confirm {
            number: 1,
            total: Fen(total),
        };
        given::<Settlements>([drafted(1, "2024-01", &[1])])
            .when(confirm(20_001))
            .then_refused(Refusal::TotalChanged);
        let pay = |amount| Command::Pay {
            number: 1,
            amount: Fen(amount),
            paid_on: "2024-02-05".parse().unwrap(),
            reference: "V1".to_owned(),
        };
        given::<Settlements>([drafted(1, "2024-01", &[1])])
            .when(pay(20_000))
            .then_refused(Refusal::NotConfirmed);
        let confirmed = [drafted(1, "2024-01", &[1]), Event::Confirmed { number: 1 }];
        given::<Settlements>(confirmed.clone())
            .when(confirm(20_000))
            .then_refused(Refusal::NotADraft);
        given::<Settlements>(confirmed.clone())
            .when(pay(20_000))
            .then([paid(1, 20_000)]);
        given::<Settlements>([confirmed.to_vec(), vec![paid(1, 20_000)]].concat())
            .when(pay(20_000))
            .then_refused(Refusal::NotConfirmed);
    }

    #[test]
    fn corrections_go_into_a_later_settlement() {
        let adjust = Command::Adjust {
            adjustment: Uuid::from_u128(77),
            number: 1,
            amount: Fen(-20_000),
            order: Some(Uuid::from_u128(1)),
            reason: "死亡后服务".to_owned(),
        };
        let adjusted = Event::Adjusted {
            adjustment: Uuid::from_u128(77),
            number: 1,
            amount: Fen(-20_000),
            order: Some(Uuid::from_u128(1)),
            reason: "死亡后服务".to_owned(),
        };
        given::<Settlements>([drafted(1, "2024-01", &[1])])
            .when(adjust.clone())
            .then_refused(Refusal::NotPaid);
        let history = vec![
            drafted(1, "2024-01", &[1]),
            Event::Confirmed { number: 1 },
            paid(1, 20_000),
        ];
        given::<Settlements>(history.clone())
            .when(adjust)
            .then([adjusted.clone()]);
        given::<Settlements>([history, vec![adjusted]].concat())
            .when(draft("2024-02", &[3]))
            .then([Event::Drafted {
                number: 2,
                month: month("2024-02"),
                lines: vec![line(3)],
                adjustments: vec![Uuid::from_u128(77)],
                total: Fen(0),
            }]);
    }

    fn doubt(order: u128) -> Command {
        Command::Doubt {
            order: Uuid::from_u128(order),
            codes: Set::from([OrderCode::NotAliveOrPresent]),
            registry_sequence: 9,
        }
    }

    fn on_hold(order: u128, left: Option<u32>) -> Event {
        Event::PutOnHold {
            order: Uuid::from_u128(order),
            codes: Set::from([OrderCode::NotAliveOrPresent]),
            left,
            registry_sequence: 9,
        }
    }

    #[test]
    fn an_order_on_hold_leaves_its_settlement_until_a_reviewer_keeps_it() {
        given::<Settlements>([drafted(1, "2024-01", &[1, 2])])
            .when(doubt(1))
            .then([on_hold(1, Some(1))]);
        // Told once more, nothing follows.
        given::<Settlements>([drafted(1, "2024-01", &[1, 2]), on_hold(1, Some(1))])
            .when(doubt(1))
            .then([]);
        given::<Settlements>([drafted(1, "2024-01", &[1, 2]), on_hold(1, Some(1))])
            .when(draft("2024-01", &[1, 2]))
            .then([]);
        let kept = Event::HoldEnded {
            order: Uuid::from_u128(1),
            withdrawn: false,
            by: "officer:reviewer".to_owned(),
        };
        given::<Settlements>([drafted(1, "2024-01", &[1, 2]), on_hold(1, Some(1)), kept])
            .when(draft("2024-01", &[1, 2]))
            .then([drafted(1, "2024-01", &[1, 2])]);
    }

    #[test]
    fn a_confirmed_total_that_an_order_has_left_is_not_paid() {
        let pay = Command::Pay {
            number: 1,
            amount: Fen(40_000),
            paid_on: "2024-02-05".parse().unwrap(),
            reference: "V1".to_owned(),
        };
        let confirmed = Event::Confirmed { number: 1 };
        given::<Settlements>([
            drafted(1, "2024-01", &[1, 2]),
            confirmed,
            on_hold(1, Some(1)),
        ])
        .when(pay)
        .then_refused(Refusal::TotalChanged);
    }

    #[test]
    fn what_was_paid_already_is_listed_for_recovery_once() {
        let history = vec![
            drafted(1, "2024-01", &[1]),
            Event::Confirmed { number: 1 },
            paid(1, 20_000),
        ];
        let listed = Event::RecoveryListed {
            order: Uuid::from_u128(1),
            codes: Set::from([OrderCode::NotAliveOrPresent]),
            number: 1,
            amount: Fen(20_000),
            registry_sequence: 9,
        };
        given::<Settlements>(history.clone())
            .when(doubt(1))
            .then([listed.clone()]);
        given::<Settlements>([history, vec![listed]].concat())
            .when(doubt(1))
            .then([]);
    }

    #[test]
    fn no_more_comes_back_than_was_paid_for_the_orders() {
        let history = [
            drafted(1, "2024-01", &[1]),
            Event::Confirmed { number: 1 },
            paid(1, 20_000),
        ];
        let adjust = Command::Adjust {
            adjustment: Uuid::from_u128(77),
            number: 1,
            amount: Fen(-20_001),
            order: None,
            reason: "x".to_owned(),
        };
        given::<Settlements>(history)
            .when(adjust)
            .then_refused(Refusal::MoreThanPaid);
    }

    fn commands() -> impl Strategy<Value = Command> {
        prop_oneof![
            (1_u128..20).prop_map(doubt),
            (1_u128..20, any::<bool>()).prop_map(|(order, withdraw)| Command::Decide {
                order: Uuid::from_u128(order),
                withdraw,
                by: "officer:reviewer".to_owned(),
            }),
            (1_u32..4, proptest::collection::vec(1_u128..20, 0..6))
                .prop_map(|(of, orders)| { draft(&format!("2024-0{of}"), &orders) }),
            (1_u32..5, 0_i64..6).prop_map(|(number, orders)| Command::Confirm {
                number,
                total: Fen(20_000 * orders),
            }),
            (1_u32..5, 0_i64..6).prop_map(|(number, orders)| Command::Pay {
                number,
                amount: Fen(20_000 * orders),
                paid_on: "2024-02-05".parse().unwrap(),
                reference: "V".to_owned(),
            }),
            (1_u32..5, 0_u128..3).prop_map(|(number, id)| Command::Adjust {
                adjustment: Uuid::from_u128(1_000 + id),
                number,
                amount: Fen(20_000),
                order: None,
                reason: "x".to_owned(),
            }),
        ]
    }

    proptest! {
        #[test]
        fn no_order_is_in_two_settlements_and_no_adjustment_is_borne_twice(
            commands in proptest::collection::vec(commands(), 1..60),
        ) {
            let mut state = Settlements::default();
            for command in &commands {
                if let Ok(events) = state.decide(command) {
                    state = state.evolve_all(&events);
                }
                let mut orders = HashSet::new();
                let mut adjustments = HashSet::new();
                for settlement in &state.settlements {
                    for line in &settlement.lines {
                        prop_assert!(orders.insert(line.order));
                    }
                    for adjustment in &settlement.adjustments {
                        prop_assert!(adjustments.insert(*adjustment));
                    }
                    let borne = settlement.adjustments.iter().map(|id| state.adjustments[id].amount.0);
                    prop_assert_eq!(settlement.total.0, settlement.orders_total().0 + borne.sum::<i64>());
                }
            }
        }
    }
}
