//! What clients have asked for and not taken yet: how long it waits, and what is held until it has left.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use tokio::{sync::OwnedSemaphorePermit, time::Instant};

/// The pieces of answers on one connection that wait for their client.
#[derive(Debug, Default)]
pub(crate) struct Unread(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    next: u64,
    /// Since when each waits; those with higher numbers came later.
    since: BTreeMap<u64, Instant>,
}

impl Unread {
    /// One more waits, until what is returned is dropped.
    pub(crate) fn waits(self: &Arc<Self>) -> Waits {
        let mut waiting = self.lock();
        let number = waiting.next;
        waiting.next += 1;
        waiting.since.insert(number, Instant::now());
        drop(waiting);
        Waits {
            unread: Arc::clone(self),
            number,
        }
    }

    /// Since when the one waits that has waited longest.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        let waiting = self.lock();
        waiting.since.first_key_value().map(|(_, since)| *since)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A piece of an answer that waits.
#[derive(Debug)]
pub(crate) struct Waits {
    unread: Arc<Unread>,
    number: u64,
}

impl Drop for Waits {
    fn drop(&mut self) {
        self.unread.lock().since.remove(&self.number);
    }
}

/// The same bytes, which wait until the transport lets go of them; the place of their call is held as long.
pub(crate) fn until_it_leaves(
    bytes: Bytes,
    waits: Waits,
    place: Option<OwnedSemaphorePermit>,
) -> Bytes {
    Bytes::from_owner(Leaving {
        bytes,
        _waits: waits,
        _place: place,
    })
}

struct Leaving {
    bytes: Bytes,
    _waits: Waits,
    _place: Option<OwnedSemaphorePermit>,
}

impl AsRef<[u8]> for Leaving {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::Semaphore;

    use super::*;

    #[test]
    fn the_oldest_waits_until_it_is_dropped() {
        let unread = Arc::new(Unread::default());
        assert_eq!(unread.oldest(), None);
        let first = unread.waits();
        let since = unread.oldest();
        assert!(since.is_some());
        let second = unread.waits();
        assert_eq!(unread.oldest(), since);
        drop(first);
        assert!(unread.oldest() >= since);
        drop(second);
        assert_eq!(unread.oldest(), None);
    }

    #[test]
    fn bytes_on_their_way_hold_their_place_until_the_last_of_them_is_gone() {
        let (unread, places) = (Arc::new(Unread::default()), Arc::new(Semaphore::new(1)));
        let place = Arc::clone(&places).try_acquire_owned().unwrap();
        let content = Bytes::from_static(b"an answer");
        let mut bytes = until_it_leaves(content.clone(), unread.waits(), Some(place));
        assert_eq!(bytes, content);
        // The transport sends it in pieces.
        let piece = bytes.split_to(3);
        drop(bytes);
        assert!(unread.oldest().is_some());
        assert_eq!(places.available_permits(), 0);
        drop(piece);
        assert_eq!(unread.oldest(), None);
        assert_eq!(places.available_permits(), 1);
    }
}
