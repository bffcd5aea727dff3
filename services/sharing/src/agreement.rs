//! An agreement with a department (共享协议): proposed by one officer, approved by another, suspended and ended.

use std::collections::BTreeSet;

use civic::{DivisionCode, LocalDay};
use decider::Decider;

use crate::cut::Grants;

/// What is agreed. It never changes: other terms are another agreement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The department that receives.
    pub department: String,
    /// What for.
    pub purpose: String,
    /// By which law or document.
    pub legal_basis: String,
    /// Which products, and how much of each.
    pub products: Grants,
    /// Elders of which divisions.
    pub divisions: BTreeSet<DivisionCode>,
    /// The last day, included.
    pub until: LocalDay,
}

impl Terms {
    /// Whether elders who live there are in one of their divisions.
    #[must_use]
    pub fn covers(&self, division: &DivisionCode) -> bool {
        self.divisions.iter().any(|own| own.contains(division))
    }
}

/// An agreement as the events leave it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Agreement {
    /// What was proposed; none before.
    pub proposal: Option<Proposal>,
    /// How far it has come.
    pub stage: Stage,
}

/// What was proposed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// The terms.
    pub terms: Terms,
    /// Who proposed them.
    pub by: String,
}

/// How far an agreement has come, whatever the day.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Stage {
    /// It waits for approval.
    #[default]
    Proposed,
    /// It was approved.
    Approved,
    /// It waits to be approved anew.
    Suspended {
        /// Who suspended it.
        by: String,
    },
    /// It is over for good.
    Ended,
}

impl Stage {
    /// How an agreement of this stage and last day stands on a day.
    #[must_use]
    pub fn state_on(&self, day: LocalDay, until: LocalDay) -> State {
        match self {
            Self::Proposed => State::Proposed,
            // What nobody can approve any more is no longer suspended.
            Self::Approved | Self::Suspended { .. } if day > until => State::Expired,
            Self::Approved => State::InForce,
            Self::Suspended { .. } => State::Suspended,
            Self::Ended => State::Ended,
        }
    }
}

/// How an agreement stands on a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// It waits for approval (待批准).
    Proposed,
    /// It grants what its terms say (生效).
    InForce,
    /// It grants nothing until it is approved anew (中止).
    Suspended,
    /// It is over for good (终止).
    Ended,
    /// It was approved, and its last day is over (到期).
    Expired,
}

impl Agreement {
    /// How it stands on a day; none where nobody has proposed it.
    #[must_use]
    pub fn state_on(&self, day: LocalDay) -> Option<State> {
        let proposal = self.proposal.as_ref()?;
        Some(self.stage.state_on(day, proposal.terms.until))
    }
}

/// What is asked.
#[derive(Clone, Debug)]
pub enum Command {
    /// Propose it.
    Propose {
        /// The terms.
        terms: Terms,
        /// Who asks.
        by: String,
        /// Today.
        today: LocalDay,
    },
    /// Put it in force, or lift its suspension.
    Approve {
        /// Who asks.
        by: String,
        /// Today.
        today: LocalDay,
    },
    /// Stop it until it is approved anew.
    Suspend {
        /// Why, as a short code.
        reason: String,
        /// Who asks.
        by: String,
    },
    /// End it for good, or turn the proposal down.
    End {
        /// Why, as a short code.
        reason: String,
    },
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It was proposed.
    Proposed {
        /// The terms.
        terms: Terms,
        /// Who proposed them.
        by: String,
    },
    /// It grants what its terms say.
    Approved {
        /// Who approved it.
        by: String,
    },
    /// It grants nothing.
    Suspended {
        /// Why.
        reason: String,
        /// Who suspended it.
        by: String,
    },
    /// It is over.
    Ended {
        /// Why.
        reason: String,
    },
}

/// Why the rules refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such agreement.
    Unknown,
    /// The id stands for another agreement.
    AlreadyProposed,
    /// Whoever proposed it does not approve it.
    OwnProposal,
    /// Whoever suspended it does not lift the suspension.
    OwnSuspension,
    /// It is in force already.
    AlreadyInForce,
    /// It is not in force, so that nothing is to be suspended.
    NotInForce,
    /// It is over for good.
    Ended,
    /// Its last day is over.
    Over,
}

impl Decider for Agreement {
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Refusal> {
        let Some(proposal) = &self.proposal else {
            return match command {
                Command::Propose { terms, today, .. } if *today > terms.until => Err(Refusal::Over),
                Command::Propose { terms, by, .. } => Ok(vec![Event::Proposed {
                    terms: terms.clone(),
                    by: by.clone(),
                }]),
                Command::Approve { .. } | Command::Suspend { .. } | Command::End { .. } => {
                    Err(Refusal::Unknown)
                }
            };
        };
        match command {
            Command::Propose { .. } => Err(Refusal::AlreadyProposed),
            Command::Approve { by, today } => {
                let over = *today > proposal.terms.until;
                match &self.stage {
                    Stage::Ended => Err(Refusal::Ended),
                    Stage::Approved if over => Err(Refusal::Over),
                    Stage::Approved => Err(Refusal::AlreadyInForce),
                    Stage::Suspended { by: suspended_by } if suspended_by == by => {
                        Err(Refusal::OwnSuspension)
                    }
                    Stage::Proposed | Stage::Suspended { .. } if proposal.by == *by => {
                        Err(Refusal::OwnProposal)
                    }
                    Stage::Proposed | Stage::Suspended { .. } if over => Err(Refusal::Over),
                    Stage::Proposed | Stage::Suspended { .. } => {
                        Ok(vec![Event::Approved { by: by.clone() }])
                    }
                }
            }
            Command::Suspend { reason, by } => match &self.stage {
                Stage::Proposed | Stage::Suspended { .. } => Err(Refusal::NotInForce),
                // Also after its last day, where it changes nothing: a clock that is behind stops nobody in a hurry.
                Stage::Approved => Ok(vec![Event::Suspended {
                    reason: reason.clone(),
                    by: by.clone(),
                }]),
                Stage::Ended => Err(Refusal::Ended),
            },
            Command::End { reason } => match &self.stage {
                Stage::Proposed | Stage::Approved | Stage::Suspended { .. } => {
                    Ok(vec![Event::Ended {
                        reason: reason.clone(),
                    }])
                }
                Stage::Ended => Err(Refusal::Ended),
            },
        }
    }

    fn evolve(mut self, event: &Event) -> Self {
        match event {
            Event::Proposed { terms, by } => {
                self.proposal = Some(Proposal {
                    terms: terms.clone(),
                    by: by.clone(),
                });
            }
            Event::Approved { .. } => self.stage = Stage::Approved,
            Event::Suspended { by, .. } => self.stage = Stage::Suspended { by: by.clone() },
            Event::Ended { .. } => self.stage = Stage::Ended,
        }
        self
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use super::Terms;
    use crate::cut::{Cut, Grants};
    use crate::products::ProductName;

    /// What health is granted of the elders of some divisions until the end of 2024.
    pub(crate) fn terms(divisions: &[&str], grants: &[(ProductName, &'static str, Cut)]) -> Terms {
        let mut products = Grants::default();
        for (product, field, cut) in grants {
            products.grant(*product, field, *cut);
        }
        Terms {
            department: "health".to_owned(),
            purpose: "家庭医生签约".to_owned(),
            legal_basis: "川民〔2023〕100号".to_owned(),
            products,
            divisions: divisions.iter().map(|code| code.parse().unwrap()).collect(),
            until: "2024-12-31".parse().unwrap(),
        }
    }
}
