//! Leaves a receiver alone that fails again and again, and tries it with one attempt at a time after a while.
//!
//! What counts is failures in a row: no connection, no answer in time, a broken answer, 5xx. Any other answer shows that
//! the receiver is alive, also a refusal.

use std::{
    collections::HashMap,
    future::Future,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::time::Instant;

use crate::{Failure, Reason, settings};

/// Beyond so many failing destinations those are forgotten that are not left alone at present.
const REMEMBERED: usize = 4_096;

/// The circuits of all destinations of a channel. Of those that work there is nothing to remember.
#[derive(Debug)]
pub(crate) struct Circuits {
    /// Of which sort the destinations are, for the log.
    what: &'static str,
    settings: settings::Circuit,
    failing: Mutex<HashMap<String, Circuit>>,
}

#[derive(Debug, Default)]
struct Circuit {
    /// In a row, while it is closed.
    failures: u32,
    /// Left alone until then, and tried after it.
    open_until: Option<Instant>,
    /// Whether one attempt is let through at present.
    trying: bool,
}

/// What an attempt says about its destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    Alive,
    Failing,
    Nothing,
}

impl Sign {
    fn of<T>(outcome: &Result<T, Failure>) -> Self {
        let Err(failure) = outcome else {
            return Self::Alive;
        };
        match failure.reason() {
            Reason::Timeout
            | Reason::Unreachable
            | Reason::Untrusted
            | Reason::ReceiverFailed
            | Reason::BrokenAnswer => Self::Failing,
            Reason::Overloaded | Reason::Unauthorized | Reason::Refused => Self::Alive,
            // Nobody was asked.
            Reason::CircuitOpen
            | Reason::AddressInvalid
            | Reason::AddressForbidden
            | Reason::NotConfigured => Self::Nothing,
        }
    }
}

impl Circuits {
    pub(crate) fn new(what: &'static str, settings: settings::Circuit) -> Self {
        Self {
            what,
            settings,
            failing: Mutex::default(),
        }
    }

    /// Makes an attempt, unless the destination is to be left alone.
    pub(crate) async fn attempt<T>(
        &self,
        destination: &str,
        attempt: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let entry = self.enter(destination)?;
        let outcome = attempt.await;
        entry.end(Sign::of(&outcome));
        outcome
    }

    fn enter<'a>(&'a self, destination: &'a str) -> Result<Entry<'a>, Failure> {
        let mut failing = self.failing();
        let trial = match failing.get_mut(destination) {
            None => false,
            Some(circuit) => match circuit.open_until {
                None => false,
                Some(until) if circuit.trying || Instant::now() < until => {
                    return Err(Reason::CircuitOpen.into());
                }
                Some(_) => {
                    circuit.trying = true;
                    true
                }
            },
        };
        Ok(Entry {
            circuits: self,
            destination,
            trial,
        })
    }

    fn failing(&self) -> MutexGuard<'_, HashMap<String, Circuit>> {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An attempt under way. Dropped without an end, it leaves the circuit as it was.
struct Entry<'a> {
    circuits: &'a Circuits,
    destination: &'a str,
    trial: bool,
}

impl Entry<'_> {
    fn end(mut self, sign: Sign) {
        match sign {
            Sign::Alive => {
                self.trial = false;
                let circuit = self.circuits.failing().remove(self.destination);
                if circuit.is_some_and(|circuit| circuit.open_until.is_some()) {
                    let receiver = self.circuits.what;
                    tracing::info!(receiver, "a receiver of notices answers again");
                }
            }
            Sign::Failing => self.failed(),
            Sign::Nothing => {}
        }
    }

    fn failed(&mut self) {
        let settings = &self.circuits.settings;
        let now = Instant::now();
        let mut failing = self.circuits.failing();
        if failing.len() >= REMEMBERED && !failing.contains_key(self.destination) {
            failing.retain(|_, circuit| {
                circuit
                    .open_until
                    .is_some_and(|until| circuit.trying || until > now)
            });
        }
        let circuit = failing.entry(self.destination.to_owned()).or_default();
        if std::mem::take(&mut self.trial) {
            circuit.trying = false;
            circuit.open_until = Some(now + settings.open);
        } else if circuit.open_until.is_none() {
            circuit.failures += 1;
            if circuit.failures >= settings.failures {
                circuit.open_until = Some(now + settings.open);
                tracing::warn!(
                    receiver = self.circuits.what,
                    "a receiver of notices failed repeatedly and is left alone for a while"
                );
            }
        }
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        if self.trial
            && let Some(circuit) = self.circuits.failing().get_mut(self.destination)
        {
            circuit.trying = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{future::pending, time::Duration};

    use futures::FutureExt as _;

    use super::*;

    const HERE: &str = "https://here";
    const OPEN: Duration = Duration::from_secs(30);

    fn circuits() -> Circuits {
        Circuits::new("webhook", settings::Circuit::default())
    }

    async fn ends(circuits: &Circuits, outcome: Result<(), Reason>) -> Result<(), Reason> {
        let attempt = async { outcome.map_err(Failure::from) };
        let outcome = circuits.attempt(HERE, attempt).await;
        outcome.map_err(Failure::reason)
    }

    async fn fails(circuits: &Circuits, times: u32) {
        for _ in 0..times {
            assert_eq!(
                ends(circuits, Err(Reason::Timeout)).await,
                Err(Reason::Timeout)
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn five_failures_in_a_row_open_it_and_a_trial_closes_it_again() {
        let circuits = circuits();
        fails(&circuits, 5).await;
        assert_eq!(ends(&circuits, Ok(())).await, Err(Reason::CircuitOpen));
        tokio::time::advance(OPEN - Duration::from_millis(1)).await;
        assert_eq!(ends(&circuits, Ok(())).await, Err(Reason::CircuitOpen));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(ends(&circuits, Ok(())).await, Ok(()));
        // Closed: it takes five again.
        fails(&circuits, 4).await;
        assert_eq!(ends(&circuits, Ok(())).await, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_trial_that_fails_opens_it_for_as_long_again() {
        let circuits = circuits();
        fails(&circuits, 5).await;
        tokio::time::advance(OPEN).await;
        fails(&circuits, 1).await;
        assert_eq!(ends(&circuits, Ok(())).await, Err(Reason::CircuitOpen));
        tokio::time::advance(OPEN).await;
        assert_eq!(ends(&circuits, Ok(())).await, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn one_trial_is_let_through_at_a_time_and_the_next_when_it_is_given_up() {
        let circuits = circuits();
        fails(&circuits, 5).await;
        tokio::time::advance(OPEN).await;
        let mut trial = Box::pin(circuits.attempt(HERE, pending::<Result<(), _>>()));
        assert!(trial.as_mut().now_or_never().is_none());
        assert_eq!(ends(&circuits, Ok(())).await, Err(Reason::CircuitOpen));
        drop(trial);
        assert_eq!(ends(&circuits, Ok(())).await, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_shows_that_somebody_is_there() {
        let circuits = circuits();
        for reason in [Reason::Refused, Reason::Overloaded, Reason::Unauthorized] {
            fails(&circuits, 4).await;
            assert_eq!(ends(&circuits, Err(reason)).await, Err(reason));
        }
        fails(&circuits, 4).await;
        // Nobody was asked: that says nothing.
        let forbidden = Err(Reason::AddressForbidden);
        assert_eq!(ends(&circuits, forbidden).await, forbidden);
        fails(&circuits, 1).await;
        assert_eq!(ends(&circuits, Ok(())).await, Err(Reason::CircuitOpen));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_began_before_does_not_keep_it_open_for_longer() {
        let circuits = circuits();
        let late = circuits.enter(HERE).unwrap();
        let answered = circuits.enter(HERE).unwrap();
        fails(&circuits, 5).await;
        tokio::time::advance(OPEN).await;
        late.end(Sign::Failing);
        fails(&circuits, 1).await;
        assert_eq!(ends(&circuits, Ok(())).await, Err(Reason::CircuitOpen));
        // But an answer is an answer.
        answered.end(Sign::Alive);
        assert_eq!(ends(&circuits, Ok(())).await, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn each_destination_stands_alone_and_few_are_remembered() {
        let circuits = circuits();
        fails(&circuits, 5).await;
        for number in 0..2 * REMEMBERED {
            let destination = format!("https://receiver-{number}");
            circuits.enter(&destination).unwrap().end(Sign::Failing);
        }
        assert!(circuits.failing().len() <= REMEMBERED);
        assert_eq!(ends(&circuits, Ok(())).await, Err(Reason::CircuitOpen));
    }
}
