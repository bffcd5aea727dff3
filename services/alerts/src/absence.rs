//! Whether an elder is away from home (离家): then no running water means nothing.

use civic::AwayReason;
use decider::Decider;

/// Whether an elder is away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Absence {
    /// Why, while that lasts.
    pub away: Option<AwayReason>,
}

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub enum Command {
    /// Nobody is at home from now on.
    Mark(AwayReason),
    /// Somebody is at home again.
    End,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Nobody is at home from now on.
    Marked(AwayReason),
    /// Somebody is at home again.
    Ended,
}

/// Why the rules refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The elder is marked away already.
    AlreadyAway,
    /// The elder is not marked away.
    NotAway,
}

impl Decider for Absence {
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Refusal> {
        match (self.away, command) {
            (None, Command::Mark(reason)) => Ok(vec![Event::Marked(*reason)]),
            (Some(_), Command::Mark(_)) => Err(Refusal::AlreadyAway),
            (Some(_), Command::End) => Ok(vec![Event::Ended]),
            (None, Command::End) => Err(Refusal::NotAway),
        }
    }

    fn evolve(self, event: &Event) -> Self {
        match event {
            Event::Marked(reason) => Self {
                away: Some(*reason),
            },
            Event::Ended => Self { away: None },
        }
    }
}

#[cfg(test)]
mod tests {
    use decider::testing::{given, given_nothing};

    use super::*;

    #[test]
    fn who_is_away_comes_back_before_leaving_again() {
        let mark = Command::Mark(AwayReason::Hospital);
        let marked = Event::Marked(AwayReason::Hospital);
        given_nothing::<Absence>().when(mark).then([marked]);
        given::<Absence>([marked])
            .when(mark)
            .then_refused(Refusal::AlreadyAway);
        given::<Absence>([marked])
            .when(Command::End)
            .then([Event::Ended]);
        given::<Absence>([marked, Event::Ended])
            .when(Command::End)
            .then_refused(Refusal::NotAway);
    }
}
