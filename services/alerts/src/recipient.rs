//! Somebody who is told of alerts (通知对象): a grid worker, a committee, a town, a duty centre, a maintainer.

use civic::{DivisionCode, RecipientRole};
use decider::Decider;
use proto::eldercare::alerts::v1 as pb;
use vault::Sealed;

/// A recipient as the events leave it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recipient {
    /// What is said of it; none where nobody is registered.
    pub said: Option<Said>,
}

/// What is said of a recipient.
#[derive(Clone, Debug, PartialEq)]
pub struct Said {
    /// As what.
    pub role: RecipientRole,
    /// Where.
    pub division: DivisionCode,
    /// Whether they are told now.
    pub active: bool,
    /// Name, and ways to reach them.
    pub details: Sealed<pb::RecipientDetails>,
}

/// What is asked of a recipient.
#[derive(Clone, Debug)]
pub enum Command {
    /// Register somebody new.
    Register(Said),
    /// Everything that is said changes.
    Change(Said),
}

/// Why the rules refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Nobody is registered under this id.
    Unknown,
    /// Somebody is registered under this id.
    AlreadyRegistered,
}

impl Decider for Recipient {
    type Command = Command;
    type Event = Said;
    type Refusal = Refusal;

    fn decide(&self, command: &Command) -> Result<Vec<Said>, Refusal> {
        match (&self.said, command) {
            (None, Command::Register(said)) => Ok(vec![said.clone()]),
            (Some(_), Command::Register(_)) => Err(Refusal::AlreadyRegistered),
            (None, Command::Change(_)) => Err(Refusal::Unknown),
            (Some(known), Command::Change(said)) if known == said => Ok(vec![]),
            (Some(_), Command::Change(said)) => Ok(vec![said.clone()]),
        }
    }

    fn evolve(self, event: &Said) -> Self {
        Self {
            said: Some(event.clone()),
        }
    }
}
