//! A care provider and its contracts (签约机构).

use civic::LocalDay;
use decider::Decider;
use uuid::Uuid;

/// A provider as the events leave it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Provider {
    /// Its contracts, in the order in which they came.
    pub contracts: Vec<Contract>,
}

/// A contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contract {
    /// The provider.
    pub provider: String,
    /// Its id.
    pub contract: Uuid,
    /// The programme's code.
    pub programme: String,
    /// What the provider is called.
    pub name: String,
    /// First day.
    pub first: LocalDay,
    /// Last day; none while it is open.
    pub last: Option<LocalDay>,
}

/// What is asked.
#[derive(Clone, Debug)]
pub enum Command {
    /// Contract it.
    Contract {
        /// The contract.
        contract: Contract,
        /// Whether all its contracts are of divisions that have nothing to do with that of the programme.
        elsewhere: bool,
    },
    /// Give a contract a last day.
    End {
        /// Whose.
        provider: String,
        /// Which.
        contract: Uuid,
        /// The last day.
        last: LocalDay,
    },
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It is contracted.
    Contracted(Contract),
    /// A contract has a last day.
    Ended {
        /// Whose.
        provider: String,
        /// Which.
        contract: Uuid,
        /// The last day.
        last: LocalDay,
    },
}

/// Why the rules refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The id stands for a provider of another division.
    AnotherDivision,
    /// Contracted for the programme on one of these days already.
    AlreadyContracted,
    /// There is no such contract.
    Unknown,
    /// It ends on that day or before already.
    NotEarlier,
    /// The day lies before the first one.
    BeforeFirst,
}

/// The last of all days, where there is no other.
fn last(day: Option<LocalDay>) -> LocalDay {
    day.unwrap_or(LocalDay::MAX)
}

impl Decider for Provider {
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Refusal> {
        match command {
            Command::Contract {
                contract,
                elsewhere,
            } => {
                if *elsewhere {
                    return Err(Refusal::AnotherDivision);
                }
                let overlaps = |other: &Contract| {
                    other.programme == contract.programme
                        && other.first <= last(contract.last)
                        && contract.first <= last(other.last)
                };
                if self.contracts.iter().any(overlaps) {
                    return Err(Refusal::AlreadyContracted);
                }
                Ok(vec![Event::Contracted(contract.clone())])
            }
            Command::End {
                provider,
                contract,
                last,
            } => {
                let mut contracts = self.contracts.iter();
                let known = contracts.find(|known| known.contract == *contract);
                let known = known.ok_or(Refusal::Unknown)?;
                if known.last.is_some_and(|known| *last >= known) {
                    return Err(Refusal::NotEarlier);
                }
                if *last < known.first {
                    return Err(Refusal::BeforeFirst);
                }
                Ok(vec![Event::Ended {
                    provider: provider.clone(),
                    contract: *contract,
                    last: *last,
                }])
            }
        }
    }

    fn evolve(mut self, event: &Event) -> Self {
        match event {
            Event::Contracted(contract) => self.contracts.push(contract.clone()),
            Event::Ended { contract, last, .. } => {
                let mut contracts = self.contracts.iter_mut();
                if let Some(known) = contracts.find(|known| known.contract == *contract) {
                    known.last = Some(*last);
                }
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use decider::testing::{given, given_nothing};

    use super::*;

    fn contract(id: u128, first: &str, last: Option<&str>) -> Contract {
        Contract {
            provider: "P01".to_owned(),
            contract: Uuid::from_u128(id),
            programme: "LTCI".to_owned(),
            name: "禾康".to_owned(),
            first: first.parse().unwrap(),
            last: last.map(|last| last.parse().unwrap()),
        }
    }

    /// By a division that the others have to do with.
    fn conclude(contract: &Contract) -> Command {
        Command::Contract {
            contract: contract.clone(),
            elsewhere: false,
        }
    }

    #[test]
    fn an_id_stands_for_no_provider_of_another_division() {
        let open = contract(1, "2023-07-01", None);
        given::<Provider>([Event::Contracted(open)])
            .when(Command::Contract {
                contract: contract(2, "2025-07-01", None),
                elsewhere: true,
            })
            .then_refused(Refusal::AnotherDivision);
    }

    #[test]
    fn a_provider_has_one_contract_for_a_programme_on_a_day() {
        let open = contract(1, "2023-07-01", None);
        given_nothing::<Provider>()
            .when(conclude(&open))
            .then([Event::Contracted(open.clone())]);
        let other = contract(2, "2025-07-01", Some("2026-06-30"));
        given::<Provider>([Event::Contracted(open.clone())])
            .when(conclude(&other))
            .then_refused(Refusal::AlreadyContracted);
        let ended = Event::Ended {
            provider: "P01".to_owned(),
            contract: open.contract,
            last: "2025-06-30".parse().unwrap(),
        };
        given::<Provider>([Event::Contracted(open), ended])
            .when(conclude(&other))
            .then([Event::Contracted(other)]);
    }

    #[test]
    fn a_contract_ends_once_and_not_before_it_began() {
        let open = contract(1, "2023-07-01", Some("2025-06-30"));
        let end = |id: u128, last: &str| Command::End {
            provider: "P01".to_owned(),
            contract: Uuid::from_u128(id),
            last: last.parse().unwrap(),
        };
        given::<Provider>([Event::Contracted(open.clone())])
            .when(end(1, "2025-06-30"))
            .then_refused(Refusal::NotEarlier);
        given::<Provider>([Event::Contracted(open.clone())])
            .when(end(1, "2023-06-30"))
            .then_refused(Refusal::BeforeFirst);
        given::<Provider>([Event::Contracted(open)])
            .when(end(2, "2024-06-30"))
            .then_refused(Refusal::Unknown);
    }
}
