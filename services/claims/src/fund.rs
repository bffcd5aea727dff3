//! A programme's fund (基金), in double entry: what came in, what approved orders will cost, what was paid.

use civic::{DepositKind, Fen, FundAccount};
use decider::Decider;

/// A fund as the events leave it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fund {
    /// What came in.
    pub deposited: Fen,
    /// Of this, premiums.
    pub premiums: Fen,
    /// What approved orders will cost.
    pub reserved: Fen,
    /// What was paid.
    pub paid: Fen,
}

/// What is asked of a fund.
#[derive(Clone, Debug)]
pub enum Command {
    /// Money comes in.
    Deposit {
        /// From where.
        kind: DepositKind,
        /// How much, above nought.
        amount: Fen,
        /// The payer's reference.
        reference: String,
        /// Of premiums: of how many persons.
        persons: u32,
    },
    /// Verdicts take money, or set it free; never refused but where it can't be counted.
    Reserve {
        /// How much.
        amount: Fen,
        /// How many orders.
        orders: u32,
    },
    /// A settlement is paid.
    Pay {
        /// To whom.
        provider: String,
        /// Which.
        number: u32,
        /// How much; below nought where the provider pays back.
        amount: Fen,
        /// What of it was reserved.
        reserved: Fen,
    },
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Money came in.
    Deposited {
        /// From where.
        kind: DepositKind,
        /// How much.
        amount: Fen,
        /// The payer's reference.
        reference: String,
        /// Of premiums: of how many persons.
        persons: u32,
    },
    /// Verdicts took money, or set it free.
    Reserved {
        /// How much.
        amount: Fen,
        /// How many orders.
        orders: u32,
    },
    /// A settlement was paid.
    Paid {
        /// To whom.
        provider: String,
        /// Which.
        number: u32,
        /// How much.
        amount: Fen,
        /// What of it was reserved.
        reserved: Fen,
    },
}

/// Why the rules refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The fund holds less.
    Overdrawn,
    /// The sum is too large to count.
    TooLarge,
}

/// As much is debited to one account as is credited to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Above nought.
    pub amount: Fen,
    /// What is debited.
    pub debit: FundAccount,
    /// What is credited.
    pub credit: FundAccount,
}

impl Fund {
    /// What is there: what came in, less what was paid.
    #[must_use]
    pub fn balance(&self) -> Fen {
        // Both were summed up without overflow, and neither is below nought.
        Fen(self.deposited.0 - self.paid.0)
    }
}

impl Event {
    /// The double entries of an event.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        use FundAccount::{Benefits, Cash, Grants, Payable, Premiums};
        let entry = |amount: Fen, debit, credit| {
            // Less than nought goes the other way.
            let (debit, credit) = if amount < Fen::ZERO {
                (credit, debit)
            } else {
                (debit, credit)
            };
            (amount != Fen::ZERO).then_some(Entry {
                amount: Fen(amount.0.saturating_abs()),
                debit,
                credit,
            })
        };
        match self {
            Self::Deposited { kind, amount, .. } => {
                let income = match kind {
                    DepositKind::Premium => Premiums,
                    DepositKind::Grant => Grants,
                };
                entry(*amount, Cash, income).into_iter().collect()
            }
            Self::Reserved { amount, .. } => {
                entry(*amount, Benefits, Payable).into_iter().collect()
            }
            Self::Paid {
                amount, reserved, ..
            } => {
                let adjusted = Fen(amount.0 - reserved.0);
                // What was never reserved becomes a cost when it is paid.
                [
                    entry(adjusted, Benefits, Payable),
                    entry(*amount, Payable, Cash),
                ]
                .into_iter()
                .flatten()
                .collect()
            }
        }
    }
}

impl Decider for Fund {
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Refusal> {
        match command {
            Command::Deposit {
                kind,
                amount,
                reference,
                persons,
            } => {
                let sum = self.deposited.checked_add(*amount);
                sum.ok_or(Refusal::TooLarge)?;
                Ok(vec![Event::Deposited {
                    kind: *kind,
                    amount: *amount,
                    reference: reference.clone(),
                    persons: *persons,
                }])
            }
            Command::Reserve { amount, orders } => {
                let sum = self.reserved.checked_add(*amount);
                sum.ok_or(Refusal::TooLarge)?;
                Ok(vec![Event::Reserved {
                    amount: *amount,
                    orders: *orders,
                }])
            }
            Command::Pay {
                provider,
                number,
                amount,
                reserved,
            } => {
                let paid = self.paid.checked_add(*amount).ok_or(Refusal::TooLarge)?;
                (amount.checked_sub(*reserved)).ok_or(Refusal::TooLarge)?;
                if *amount > Fen::ZERO && paid > self.deposited {
                    return Err(Refusal::Overdrawn);
                }
                // More can't come back than went out.
                if paid < Fen::ZERO {
                    return Err(Refusal::TooLarge);
                }
                Ok(vec![Event::Paid {
                    provider: provider.clone(),
                    number: *number,
                    amount: *amount,
                    reserved: *reserved,
                }])
            }
        }
    }

    fn evolve(mut self, event: &Event) -> Self {
        // What was decided was counted then.
        let plus = |sum: Fen, amount: Fen| Fen(sum.0.saturating_add(amount.0));
        match event {
            Event::Deposited { kind, amount, .. } => {
                self.deposited = plus(self.deposited, *amount);
                if *kind == DepositKind::Premium {
                    self.premiums = plus(self.premiums, *amount);
                }
            }
            Event::Reserved { amount, .. } => self.reserved = plus(self.reserved, *amount),
            Event::Paid {
                amount, reserved, ..
            } => {
                self.paid = plus(self.paid, *amount);
                self.reserved = Fen(self.reserved.0.saturating_sub(reserved.0));
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use decider::testing::given;
    use proptest::prelude::*;

    use super::*;

    fn deposited(amount: i64) -> Event {
        Event::Deposited {
            kind: DepositKind::Grant,
            amount: Fen(amount),
            reference: "财社〔2024〕1号".to_owned(),
            persons: 0,
        }
    }

    fn pay(amount: i64, reserved: i64) -> Command {
        Command::Pay {
            provider: "P01".to_owned(),
            number: 1,
            amount: Fen(amount),
            reserved: Fen(reserved),
        }
    }

    #[test]
    fn the_last_fen_is_paid_and_none_beyond() {
        given::<Fund>([deposited(100)])
            .when(pay(101, 101))
            .then_refused(Refusal::Overdrawn);
        let paid = Event::Paid {
            provider: "P01".to_owned(),
            number: 1,
            amount: Fen(100),
            reserved: Fen(100),
        };
        given::<Fund>([deposited(100)])
            .when(pay(100, 100))
            .then([paid.clone()]);
        given::<Fund>([deposited(100), paid])
            .when(pay(1, 1))
            .then_refused(Refusal::Overdrawn);
    }

    #[test]
    fn sums_that_cannot_be_counted_are_refused() {
        let more = Command::Deposit {
            kind: DepositKind::Grant,
            amount: Fen(1),
            reference: "x".to_owned(),
            persons: 0,
        };
        given::<Fund>([deposited(i64::MAX)])
            .when(more)
            .then_refused(Refusal::TooLarge);
        given::<Fund>([deposited(100)])
            .when(pay(-1, 0))
            .then_refused(Refusal::TooLarge);
    }

    fn commands() -> impl Strategy<Value = Command> {
        prop_oneof![
            (1_i64..1_000).prop_map(|amount| Command::Deposit {
                kind: if amount % 2 == 0 {
                    DepositKind::Grant
                } else {
                    DepositKind::Premium
                },
                amount: Fen(amount),
                reference: String::new(),
                persons: 0,
            }),
            (-500_i64..500).prop_map(|amount| Command::Reserve {
                amount: Fen(amount),
                orders: 1,
            }),
            (-200_i64..1_000, 0_i64..500).prop_map(|(amount, reserved)| pay(amount, reserved)),
        ]
    }

    proptest! {
        #[test]
        fn accounts_balance_and_the_fund_is_never_overdrawn(
            commands in proptest::collection::vec(commands(), 1..60),
        ) {
            let mut fund = Fund::default();
            let mut accounts = std::collections::BTreeMap::<FundAccount, i64>::new();
            for command in &commands {
                let Ok(events) = fund.decide(command) else { continue };
                for event in &events {
                    for entry in event.entries() {
                        prop_assert!(entry.amount > Fen::ZERO);
                        *accounts.entry(entry.debit).or_default() += entry.amount.0;
                        *accounts.entry(entry.credit).or_default() -= entry.amount.0;
                    }
                }
                fund = fund.evolve_all(&events);
                prop_assert!(fund.balance() >= Fen::ZERO);
                prop_assert_eq!(fund.balance().0, fund.deposited.0 - fund.paid.0);
                prop_assert_eq!(accounts.values().sum::<i64>(), 0);
                let of = |account| accounts.get(&account).copied().unwrap_or_default();
                prop_assert_eq!(of(FundAccount::Cash), fund.balance().0);
                prop_assert_eq!(of(FundAccount::Payable), -fund.reserved.0);
            }
        }
    }
}
