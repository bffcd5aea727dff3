//! What somebody asked for under one id of theirs: one alert about one elder, and no other.
//!
//! Alerts of different kinds stand on different lines, of which none knows the requests of another.

use std::convert::Infallible;

use civic::{AlertKind, ElderId};
use decider::Decider;

/// What was asked for under an id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AlertRequest {
    asked: bool,
}

/// An alert was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Requested {
    /// What it is about.
    pub kind: AlertKind,
    /// Whom it is about.
    pub elder: ElderId,
}

impl Decider for AlertRequest {
    type Command = Requested;
    type Event = Requested;
    /// Another request under the same id is refused as such before the rules are asked.
    type Refusal = Infallible;

    fn decide(&self, command: &Requested) -> Result<Vec<Requested>, Infallible> {
        Ok((!self.asked).then_some(*command).into_iter().collect())
    }

    fn evolve(self, _: &Requested) -> Self {
        Self { asked: true }
    }
}

#[cfg(test)]
mod tests {
    use decider::testing::{given, given_nothing};
    use uuid::Uuid;

    use super::*;

    #[test]
    fn an_alert_is_asked_for_once() {
        let requested = Requested {
            kind: AlertKind::Sos,
            elder: ElderId(Uuid::from_u128(1)),
        };
        given_nothing::<AlertRequest>()
            .when(requested)
            .then([requested]);
        given::<AlertRequest>([requested]).when(requested).then([]);
    }
}
