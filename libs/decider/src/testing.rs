//! Rules told as examples: given what has happened, when somebody asks for this, then that is the answer.
//!
//! ```text
//! given::<Elder>([registered()]).when(record_death()).then([died()]);
//! given_nothing::<Elder>().when(record_death()).then_refused(Refusal::NotRegistered);
//! ```
//!
//! Failures point at the line of the example, and show all of the answer.

use std::fmt::Debug;

use crate::Decider;

/// What has happened so far, oldest first.
#[must_use = "an example without `when` proves nothing"]
pub fn given<D: Decider>(events: impl IntoIterator<Item = D::Event>) -> Given<D> {
    given_nothing().and(events)
}

/// Nothing has happened yet.
#[must_use = "an example without `when` proves nothing"]
pub fn given_nothing<D: Decider>() -> Given<D> {
    Given {
        state: D::default(),
    }
}

/// The first part of an example: the state that past events have led to.
#[must_use = "an example without `when` proves nothing"]
#[derive(Debug, Clone)]
pub struct Given<D> {
    state: D,
}

impl<D: Decider> Given<D> {
    /// What has happened after that.
    pub fn and(self, events: impl IntoIterator<Item = D::Event>) -> Self {
        let state = events
            .into_iter()
            .fold(self.state, |state, event| state.evolve(&event));
        Self { state }
    }

    /// What is asked for now.
    pub fn when(self, command: D::Command) -> Answer<D> {
        let answer = self.state.decide(&command);
        Answer {
            state: self.state,
            answer,
        }
    }

    /// The state so far, for a test of the fold alone.
    #[must_use]
    pub fn state(self) -> D {
        self.state
    }
}

/// The second part of an example: what was decided, still to be compared.
#[must_use = "an example without `then` proves nothing"]
#[derive(Debug)]
pub struct Answer<D: Decider> {
    state: D,
    answer: Result<Vec<D::Event>, D::Refusal>,
}

impl<D> Answer<D>
where
    D: Decider,
    D::Event: Debug + PartialEq,
    D::Refusal: Debug + PartialEq,
{
    /// Exactly these events are the answer, in this order.
    ///
    /// # Panics
    ///
    /// When the answer is another.
    #[track_caller]
    pub fn then(self, expected: impl IntoIterator<Item = D::Event>) {
        let expected: Vec<_> = expected.into_iter().collect();
        match self.answer {
            Ok(events) if events == expected => {}
            Ok(events) => panic!(
                "other events than expected\n{}",
                difference(&expected, &events)
            ),
            Err(refusal) => {
                panic!(
                    "refused, where events were expected\n expected: {expected:#?}\n  refusal: {refusal:#?}"
                )
            }
        }
    }

    /// The command is refused for this reason.
    ///
    /// # Panics
    ///
    /// When it is accepted, or refused for another reason.
    #[track_caller]
    pub fn then_refused(self, expected: D::Refusal) {
        match self.answer {
            Err(refusal) if refusal == expected => {}
            Err(refusal) => {
                panic!(
                    "refused for another reason\n expected: {expected:#?}\n  refusal: {refusal:#?}"
                )
            }
            Ok(events) => {
                panic!(
                    "accepted, where a refusal was expected\n expected: {expected:#?}\n   events: {events:#?}"
                )
            }
        }
    }

    /// The command is accepted and changes nothing.
    ///
    /// # Panics
    ///
    /// When it is refused, or brings about any event.
    #[track_caller]
    pub fn then_nothing(self) {
        match self.answer {
            Ok(events) if events.is_empty() => {}
            Ok(events) => panic!("events, where nothing was to happen\n events: {events:#?}"),
            Err(refusal) => panic!("refused, where nothing was to happen\n refusal: {refusal:#?}"),
        }
    }

    /// The state once the answer's events have happened, for an example whose point is what follows from it.
    ///
    /// # Panics
    ///
    /// When the command is refused.
    #[track_caller]
    #[must_use]
    pub fn state(self) -> D {
        match self.answer {
            Ok(events) => self.state.evolve_all(&events),
            Err(refusal) => panic!("refused, where events were expected\n refusal: {refusal:#?}"),
        }
    }
}

/// Both lists in full, and the place where they part: long events differ in one field as a rule.
fn difference<E: Debug + PartialEq>(expected: &[E], found: &[E]) -> String {
    let at = expected
        .iter()
        .zip(found)
        .take_while(|(expected, found)| expected == found)
        .count();
    let number = at + 1;
    let show = |events: &[E]| {
        events
            .get(at)
            .map_or_else(|| "none".to_owned(), |event| format!("{event:#?}"))
    };
    format!(
        "event {number} differs\n expected: {}\n    found: {}\n\n all expected: {expected:#?}\n all found: {found:#?}",
        show(expected),
        show(found),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, Clone)]
    struct Purse {
        coins: u32,
    }

    enum Command {
        Pay(u32),
    }

    #[derive(Debug, PartialEq)]
    enum Event {
        Filled(u32),
        Paid(u32),
    }

    #[derive(Debug, PartialEq)]
    enum Refusal {
        TooPoor { missing: u32 },
    }

    impl Decider for Purse {
        type Command = Command;
        type Event = Event;
        type Refusal = Refusal;

        fn decide(&self, command: &Command) -> Result<Vec<Event>, Refusal> {
            match command {
                Command::Pay(0) => Ok(vec![]),
                Command::Pay(coins) if *coins > self.coins => Err(Refusal::TooPoor {
                    missing: coins - self.coins,
                }),
                Command::Pay(coins) => Ok(vec![Event::Paid(*coins)]),
            }
        }

        fn evolve(self, event: &Event) -> Self {
            match event {
                Event::Filled(coins) => Self {
                    coins: self.coins + coins,
                },
                Event::Paid(coins) => Self {
                    coins: self.coins - coins,
                },
            }
        }
    }

    #[test]
    fn an_example_tells_what_follows() {
        given::<Purse>([Event::Filled(3)])
            .when(Command::Pay(2))
            .then([Event::Paid(2)]);
        given::<Purse>([Event::Filled(3)])
            .and([Event::Paid(2)])
            .when(Command::Pay(2))
            .then_refused(Refusal::TooPoor { missing: 1 });
        given_nothing::<Purse>()
            .when(Command::Pay(0))
            .then_nothing();
    }

    #[test]
    fn the_state_after_an_answer_holds_its_events() {
        assert_eq!(given::<Purse>([Event::Filled(3)]).state().coins, 3);
        assert_eq!(
            given::<Purse>([Event::Filled(3)])
                .when(Command::Pay(2))
                .state()
                .coins,
            1
        );
    }

    #[test]
    #[should_panic(
        expected = "event 1 differs\n expected: Paid(\n    1,\n)\n    found: Paid(\n    2,\n)"
    )]
    fn another_event_fails_the_example_and_is_shown() {
        given::<Purse>([Event::Filled(3)])
            .when(Command::Pay(2))
            .then([Event::Paid(1)]);
    }

    #[test]
    #[should_panic(expected = "event 2 differs\n expected: Paid(\n    1,\n)\n    found: none")]
    fn a_missing_event_fails_the_example() {
        given::<Purse>([Event::Filled(3)])
            .when(Command::Pay(2))
            .then([Event::Paid(2), Event::Paid(1)]);
    }

    #[test]
    #[should_panic(expected = "refused, where events were expected")]
    fn a_refusal_fails_an_example_of_events() {
        given_nothing::<Purse>()
            .when(Command::Pay(2))
            .then([Event::Paid(2)]);
    }

    #[test]
    #[should_panic(expected = "refused for another reason")]
    fn a_refusal_for_another_reason_fails_the_example() {
        given_nothing::<Purse>()
            .when(Command::Pay(2))
            .then_refused(Refusal::TooPoor { missing: 3 });
    }

    #[test]
    #[should_panic(expected = "accepted, where a refusal was expected")]
    fn an_accepted_command_fails_an_example_of_refusal() {
        given::<Purse>([Event::Filled(3)])
            .when(Command::Pay(2))
            .then_refused(Refusal::TooPoor { missing: 3 });
    }

    #[test]
    #[should_panic(expected = "events, where nothing was to happen")]
    fn an_event_fails_an_example_of_nothing() {
        given::<Purse>([Event::Filled(3)])
            .when(Command::Pay(2))
            .then_nothing();
    }
}
