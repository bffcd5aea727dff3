//! One turn at a time for each aggregate, so that commands of one process about the same one don't refuse each other.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

/// Locks by name. A lock exists only while somebody holds it or waits for it.
#[derive(Debug, Default)]
pub(crate) struct KeyedLocks(Mutex<HashMap<Box<str>, Arc<AsyncMutex<()>>>>);

/// The turn of one caller; it ends when dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    locks: Arc<KeyedLocks>,
    key: Box<str>,
    held: Option<OwnedMutexGuard<()>>,
}

impl KeyedLocks {
    /// Waits for the key's turn; callers are served in the order in which they came.
    pub(crate) async fn turn(self: &Arc<Self>, key: &str) -> Turn {
        let lock = {
            let mut locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            match locks.get(key) {
                Some(lock) => Arc::clone(lock),
                None => Arc::clone(locks.entry(key.into()).or_default()),
            }
        };
        // Made before waiting, so that a caller who gives up waiting tidies up too.
        let mut turn = Turn {
            locks: Arc::clone(self),
            key: key.into(),
            held: None,
        };
        turn.held = Some(lock.lock_owned().await);
        turn
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        drop(self.held.take());
        let mut locks = self.locks.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Who holds or waits has a share of the lock; new shares are given out only under the map's own lock.
        if locks
            .get(&self.key)
            .is_some_and(|lock| Arc::strong_count(lock) == 1)
        {
            locks.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn a_key_is_held_by_one_at_a_time_and_forgotten_afterwards() {
        let locks = Arc::new(KeyedLocks::default());
        let first = locks.turn("a").await;
        let other = locks.turn("b").await;
        assert!(
            locks.turn("a").now_or_never().is_none(),
            "a second holder waits"
        );
        drop(first);
        drop(locks.turn("a").await);
        drop(other);
        assert_eq!(locks.len(), 0);
    }
}
