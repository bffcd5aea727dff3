//! What somebody asked for under one id of theirs: one alert about one elder, and no other.
//!
//! Alerts of different kinds stand on different lines, of which none knows the requests of another.

use civic::{AlertKind, ElderId};
use decider::Decider;

/// What was asked for under an id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AlertRequest(Option<Requested>);

/// An alert was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Requested {
    /// What it is about.
    pub kind: AlertKind,
    /// Whom it is about.
    pub elder: ElderId,
}

/// Never: another request under the same id is refused as such before the rules are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {}

impl Decider for AlertRequest {
    type Command = Requested;
    type Event = Requested;
    type Refusal = Refusal;

    fn decide(&self, command: &Requested) -> Result<Vec<Requested>, Refusal> {
        Ok(match self.0 {
            None => vec![*command],
            Some(_) => vec![],
        })
    }

    fn evolve(self, event: &Requested) -> Self {
        Self(Some(*event))
    }
}
