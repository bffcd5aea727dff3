//! What follows from what is found against orders once they are approved: they are in no settlement until a reviewer decides, or
//! what was paid for them is to come back.

use civic::{HoldState, OrderCode, Set, SettlementStage, Term as _};
use uuid::Uuid;

use super::{Event, Refusal, Settlements};

/// What follows from a fact that stands against an approved order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Where it stands.
    pub state: HoldState,
    /// What stands against the order: all that is still to be decided upon, or what the last decision was about.
    pub codes: Set<OrderCode>,
}

/// The version of what stands against an order, by which a reviewer says what was read: another one for other codes.
#[must_use]
pub fn version(codes: Set<OrderCode>) -> u64 {
    codes
        .iter()
        .fold(0, |version, code| version | 1_u64 << code.index())
}

impl Settlements {
    /// Whether an approved order may be in a settlement as things stand.
    pub(super) fn may_settle(&self, order: &Uuid) -> bool {
        self.holds.get(order).is_none_or(|hold| match hold.state {
            HoldState::OnHold | HoldState::Withdrawn => false,
            HoldState::Kept | HoldState::ForRecovery | HoldState::Recovered => true,
        })
    }

    /// What follows from what is found against an approved order. Whatever was found is decided upon before the order is
    /// paid: until a reviewer decides, what comes later stands beside what was said before.
    pub(super) fn doubt(
        &self,
        order: Uuid,
        found: Set<OrderCode>,
        registry_sequence: u64,
    ) -> Vec<Event> {
        let hold = self.holds.get(&order);
        if hold.is_some_and(|hold| found.is_subset(&hold.codes)) {
            // Somebody is to look at it already, or has seen all of this.
            return vec![];
        }
        let codes = match hold.map(|hold| (hold.state, hold.codes)) {
            // It is never paid.
            Some((HoldState::Withdrawn, _)) => return vec![],
            Some((HoldState::OnHold | HoldState::ForRecovery | HoldState::Recovered, before)) => {
                before.union(found)
            }
            Some((HoldState::Kept, _)) | None => found,
        };
        let settlement = self.settlement_of(&order);
        if let Some((number, settlement, amount)) = settlement
            && settlement.stage == SettlementStage::Paid
        {
            return vec![Event::RecoveryListed {
                order,
                codes,
                number,
                amount,
                registry_sequence,
            }];
        }
        vec![Event::PutOnHold {
            order,
            codes,
            left: settlement.map(|(number, ..)| number),
            registry_sequence,
        }]
    }

    /// Whether a reviewer may decide on an order who had read this of it.
    pub(super) fn may_decide(&self, order: &Uuid, read: Option<u64>) -> Result<(), Refusal> {
        let hold = self.holds.get(order);
        let hold = hold.filter(|hold| hold.state == HoldState::OnHold);
        let hold = hold.ok_or(Refusal::NotOnHold)?;
        if read.is_some_and(|read| read != version(hold.codes)) {
            return Err(Refusal::HoldChanged);
        }
        Ok(())
    }

    pub(super) fn hold(&mut self, order: Uuid, state: HoldState, codes: Set<OrderCode>) {
        self.holds.insert(order, Hold { state, codes });
    }

    /// Whether adjustments that name an order have taken back all that was paid for it.
    fn taken_back(&self, order: &Uuid) -> bool {
        let paid = self.settlement_of(order).map(|(.., amount)| amount.0);
        let adjustments = self.adjustments.values();
        let about = adjustments.filter(|one| one.order.as_ref() == Some(order));
        let adjusted: i128 = about.map(|one| i128::from(one.amount.0)).sum();
        paid.is_some_and(|paid| i128::from(paid) + adjusted <= 0)
    }

    /// An order leaves the list of those to be recovered once its money is back, and returns to it where that is undone.
    pub(super) fn follow_recovery(&mut self, order: &Uuid) {
        let state = if self.taken_back(order) {
            HoldState::Recovered
        } else {
            HoldState::ForRecovery
        };
        let listed = |hold: &&mut Hold| {
            hold.state == HoldState::ForRecovery || hold.state == HoldState::Recovered
        };
        if let Some(hold) = self.holds.get_mut(order).filter(listed) {
            hold.state = state;
        }
    }
}
