//! What a condition came to, by the facts that it asks about: computed once for all of whom these are the same.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use super::Failure;

/// The most outcomes of one condition that are kept; beyond, they are computed again.
const MOST_KEPT: usize = 10_000;

/// By the bits of a key that matter to the condition.
#[derive(Debug, Default)]
pub(super) struct Outcomes(RwLock<HashMap<u64, Result<bool, Failure>>>);

impl Outcomes {
    /// The outcome for these facts; `compute` tells it where it is not known.
    pub(super) fn of(
        &self,
        facts: u64,
        compute: impl FnOnce() -> Result<bool, Failure>,
    ) -> Result<bool, Failure> {
        let kept = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let known = kept.get(&facts).copied();
        drop(kept);
        known.unwrap_or_else(|| {
            let outcome = compute();
            let mut kept = self.0.write().unwrap_or_else(PoisonError::into_inner);
            if kept.len() >= MOST_KEPT {
                kept.clear();
            }
            kept.insert(facts, outcome);
            outcome
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_outcome_is_computed_once_while_there_are_not_too_many() {
        let outcomes = Outcomes::default();
        let mut computed = 0;
        let mut ask = |facts: u64| {
            outcomes.of(facts, || {
                computed += 1;
                if facts == 13 {
                    Err(Failure)
                } else {
                    Ok(facts.is_multiple_of(2))
                }
            })
        };
        for _ in 0..3 {
            assert_eq!(ask(7), Ok(false));
            assert_eq!(ask(8), Ok(true));
            assert_eq!(ask(13), Err(Failure));
        }
        for facts in 100..100 + MOST_KEPT as u64 {
            assert_eq!(ask(facts), Ok(facts.is_multiple_of(2)));
        }
        assert_eq!(ask(7), Ok(false));
        assert_eq!(computed, 3 + MOST_KEPT + 1);
        assert!(outcomes.0.read().unwrap().len() <= MOST_KEPT);
    }
}
