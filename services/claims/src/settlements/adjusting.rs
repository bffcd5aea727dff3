//! By how much a paid settlement may be put right: no more comes back than was paid for its orders, and for none of them is more
//! paid than it costs.

use civic::{Fen, SettlementStage};
use uuid::Uuid;

use super::{Refusal, Settlements};

impl Settlements {
    /// Whether a settlement may be put right by so much. What is given to a provider was taken back before, by adjustments that
    /// are about the same order, or about none.
    pub(super) fn may_adjust(
        &self,
        number: u32,
        amount: Fen,
        order: Option<&Uuid>,
    ) -> Result<(), Refusal> {
        let settlement = self.get(number).ok_or(Refusal::Unknown)?;
        if settlement.stage != SettlementStage::Paid {
            return Err(Refusal::NotPaid);
        }
        let has = |order: &Uuid| settlement.lines.iter().any(|line| line.order == *order);
        if order.is_some_and(|order| !has(order)) {
            return Err(Refusal::OrderNotInIt);
        }
        let (mut paid, mut about_it) = (settlement.orders_total(), Fen::ZERO);
        for one in self.adjustments.values() {
            if one.corrected != number {
                continue;
            }
            paid = plus(paid, one.amount)?;
            if one.order.as_ref() == order {
                about_it = plus(about_it, one.amount)?;
            }
        }
        if plus(paid, amount)? < Fen::ZERO {
            return Err(Refusal::MoreThanPaid);
        }
        if amount > Fen::ZERO && plus(about_it, amount)? > Fen::ZERO {
            return Err(Refusal::MoreThanTakenBack);
        }
        Ok(())
    }
}

fn plus(sum: Fen, amount: Fen) -> Result<Fen, Refusal> {
    sum.checked_add(amount).ok_or(Refusal::TooLarge)
}
