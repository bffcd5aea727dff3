//! A department's credential for its feeds (数据流凭证): issued, replaced by another one, revoked.

use decider::Decider;
use uuid::Uuid;

/// A department's credential as the events leave it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Credential {
    /// The one that is good; none before the first one, or once it is revoked.
    pub current: Option<Uuid>,
}

/// What is asked.
#[derive(Clone, Debug)]
pub enum Command {
    /// Issue one. The one before is worth nothing any more.
    Issue {
        /// The new one: the password follows from it.
        credential: Uuid,
        /// Who asks.
        by: String,
    },
    /// Take it away.
    Revoke {
        /// Why, as a short code.
        reason: String,
    },
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// One was issued.
    Issued {
        /// Which one.
        credential: Uuid,
        /// Who issued it.
        by: String,
    },
    /// It is worth nothing any more.
    Revoked {
        /// Which one.
        credential: Uuid,
        /// Why.
        reason: String,
    },
}

/// Why the rules refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The department has no credential.
    NothingToRevoke,
}

impl Decider for Credential {
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Refusal> {
        match (command, self.current) {
            (Command::Issue { credential, .. }, Some(current)) if current == *credential => {
                Ok(Vec::new())
            }
            (Command::Issue { credential, by }, Some(_) | None) => Ok(vec![Event::Issued {
                credential: *credential,
                by: by.clone(),
            }]),
            (Command::Revoke { reason }, Some(credential)) => Ok(vec![Event::Revoked {
                credential,
                reason: reason.clone(),
            }]),
            (Command::Revoke { .. }, None) => Err(Refusal::NothingToRevoke),
        }
    }

    fn evolve(self, event: &Event) -> Self {
        let current = match event {
            Event::Issued { credential, .. } => Some(*credential),
            Event::Revoked { .. } => None,
        };
        Self { current }
    }
}
