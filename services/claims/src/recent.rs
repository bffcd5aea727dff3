//! Programmes that were loaded a moment ago: nobody who asks by one waits for the log each time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::claims::Known;

/// How long a programme is answered from memory before somebody looks for what came since.
const FRESH: Duration = Duration::from_secs(1);

/// How long it is while that somebody looks; who comes later looks first.
const LONGEST: Duration = Duration::from_secs(2);

/// What was loaded, by programme. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recent(Arc<Mutex<HashMap<String, Loaded>>>);

#[derive(Debug)]
struct Loaded {
    /// When it was asked for, and when somebody last began to look for what came since.
    at: Instant,
    looked: Instant,
    known: Arc<Known>,
}

/// What is remembered of a programme.
#[derive(Debug)]
pub(crate) enum Recalled {
    /// It is good for an answer.
    Fresh(Arc<Known>),
    /// It still is, and whoever is told so looks for what came since, for all others.
    Aging(Arc<Known>),
    /// Nothing that would be.
    Nothing,
}

impl Recent {
    /// What is remembered at an instant.
    pub(crate) fn recall(&self, code: &str, now: Instant) -> Recalled {
        let mut loaded = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match loaded.get_mut(code) {
            Some(loaded) if now < loaded.at + LONGEST => {
                let known = Arc::clone(&loaded.known);
                if now < loaded.looked + FRESH {
                    return Recalled::Fresh(known);
                }
                loaded.looked = now;
                Recalled::Aging(known)
            }
            Some(_) | None => Recalled::Nothing,
        }
    }

    /// Keeps what was asked for at an instant, unless something later is there.
    pub(crate) fn keep(&self, code: &str, at: Instant, known: Arc<Known>) {
        let mut loaded = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if loaded.get(code).is_none_or(|there| there.at <= at) {
            let looked = at;
            loaded.insert(code.to_owned(), Loaded { at, looked, known });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Arc<Known> {
        Arc::new(Known {
            division: "350524".parse().unwrap(),
            versions: vec![],
        })
    }

    #[test]
    fn one_looks_for_what_came_since_while_the_others_are_answered() {
        let (recent, now) = (Recent::default(), Instant::now());
        assert!(matches!(recent.recall("LTCI", now), Recalled::Nothing));
        recent.keep("LTCI", now, known());
        assert!(matches!(recent.recall("LTCI", now), Recalled::Fresh(_)));
        let later = now + FRESH;
        assert!(matches!(recent.recall("LTCI", later), Recalled::Aging(_)));
        assert!(matches!(recent.recall("LTCI", later), Recalled::Fresh(_)));
        // Nobody has come back with something newer.
        let later = now + LONGEST;
        assert!(matches!(recent.recall("LTCI", later), Recalled::Nothing));
    }

    #[test]
    fn what_was_asked_for_earlier_takes_nothing_later_away() {
        let (recent, before) = (Recent::default(), Instant::now());
        let (first, second) = (known(), known());
        let now = before + FRESH;
        recent.keep("LTCI", now, Arc::clone(&second));
        recent.keep("LTCI", before, first);
        let Recalled::Fresh(there) = recent.recall("LTCI", now) else {
            panic!("it was loaded just now");
        };
        assert!(Arc::ptr_eq(&there, &second));
    }
}
