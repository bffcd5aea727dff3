//! What a provider is paid by a programme (结算): settlements in their order, each order in one, corrections in later ones.

mod adjusting;
mod doubts;
mod drafting;

use std::collections::BTreeMap;

use civic::{CalendarMonth, Fen, HoldState, LocalDay, OrderCode, Set, SettlementStage};
use decider::Decider;
use uuid::Uuid;

pub use self::doubts::{Hold, version};

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
    /// When it was confirmed, where that is known.
    pub confirmed_on: Option<LocalDay>,
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
        /// Orders that were approved in it, those first that come first; none that such a settlement can't take need be
        /// among them.
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
        /// The present day.
        today: LocalDay,
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
        /// The [`version`] of what the reviewer had read; none: whatever stands against the order.
        read: Option<u64>,
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
        /// When; none: it was confirmed before that was told.
        on: Option<LocalDay>,
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
    /// An order leaves its settlement until a reviewer decides; or more stands against one that waits for that already.
    PutOnHold {
        /// Which.
        order: Uuid,
        /// All that stands against it and that the reviewer is to decide upon.
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
    /// What was paid for an order is to come back; or more stands against one of which that was said already.
    RecoveryListed {
        /// Which.
        order: Uuid,
        /// All that stands against it.
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
    /// It is said to have been paid on a day before it was confirmed.
    PaidBeforeConfirmed,
    /// It was not paid yet: a draft is drafted anew.
    NotPaid,
    /// The sum is another one.
    TotalChanged,
    /// The order is not in that settlement.
    OrderNotInIt,
    /// More would come back than was paid for its orders.
    MoreThanPaid,
    /// More would be given back than was taken back before.
    MoreThanTakenBack,
    /// The order is not on hold.
    NotOnHold,
    /// Something else stands against the order than the reviewer had read.
    HoldChanged,
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

    /// The settlement that an order is in.
    fn settlement_of(&self, order: &Uuid) -> Option<(u32, &Settlement, Fen)> {
        let mut numbered = (1_u32..).zip(&self.settlements);
        numbered.find_map(|(number, settlement)| {
            let line = settlement.lines.iter().find(|line| line.order == *order)?;
            Some((number, settlement, line.amount))
        })
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
            Command::Confirm {
                number,
                total,
                today,
            } => {
                let settlement = self.get(*number).ok_or(Refusal::Unknown)?;
                if settlement.stage != SettlementStage::Draft {
                    return Err(Refusal::NotADraft);
                }
                if settlement.total != *total {
                    return Err(Refusal::TotalChanged);
                }
                Ok(vec![Event::Confirmed {
                    number: *number,
                    on: Some(*today),
                }])
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
                if settlement.confirmed_on.is_some_and(|day| *paid_on < day) {
                    return Err(Refusal::PaidBeforeConfirmed);
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
                self.may_adjust(*number, *amount, order.as_ref())?;
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
            } => Ok(self.doubt(*order, *codes, *registry_sequence)),
            Command::Decide {
                order,
                withdraw,
                by,
                read,
            } => {
                self.may_decide(order, *read)?;
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
                    confirmed_on: None,
                    paid: None,
                };
                match self.get_mut(*number) {
                    Some(settlement) => *settlement = drafted,
                    None => self.settlements.push(drafted),
                }
            }
            Event::Confirmed { number, on } => {
                if let Some(settlement) = self.get_mut(*number) {
                    settlement.stage = SettlementStage::Confirmed;
                    settlement.confirmed_on = *on;
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
                if let Some(order) = order {
                    self.follow_recovery(order);
                }
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
                self.follow_recovery(order);
            }
        }
        self
    }
}

#[cfg(test)]
mod tests;
