//! Changes the key that locks the keys: each stored key is wrapped anew, and its old wrapping destroyed.

use futures::{StreamExt as _, TryStreamExt as _, stream};

use crate::{KeyRing, KeyStore, PutError, StoreError, StoredKey, Unavailable, UnwrapError};

/// Stored keys read at a time.
const AT_ONCE: usize = 1_000;

/// Stored keys rewrapped at a time.
const CONCURRENT: usize = 200;

/// How far a rotation has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RotationProgress {
    /// Stored keys when it began.
    pub total: u64,
    /// Stored keys looked at; more than `total` where keys are made meanwhile.
    pub examined: u64,
    /// Of these, wrapped anew.
    pub rewrapped: u64,
    /// Of these, under the current key already: of an earlier run, or made meanwhile.
    pub current: u64,
    /// Of these, destroyed or replaced meanwhile by another.
    pub superseded: u64,
    /// Of these, not to be unwrapped.
    pub unreadable: u64,
}

/// Why a rotation did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum RotationError {
    /// The keys cannot be read or changed now; running it again goes on.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// Some stored keys could not be unwrapped and are as they were; all others are rewrapped.
    #[error("{count} stored keys could not be rewrapped; the first: {first}")]
    Unreadable {
        /// How many.
        count: u64,
        /// The reason of the first; mostly that its key-encryption key is not configured.
        first: UnwrapError,
    },
}

enum Outcome {
    Rewrapped,
    Current,
    Superseded,
    Unreadable(UnwrapError),
}

pub(crate) async fn rotate(
    store: &dyn KeyStore,
    ring: &KeyRing,
    mut progress: impl FnMut(RotationProgress) + Send,
) -> Result<RotationProgress, RotationError> {
    let total = store.count().await.map_err(Unavailable::Store)?;
    let mut so_far = RotationProgress {
        total,
        ..RotationProgress::default()
    };
    let mut first_unreadable = None;
    let mut after = 0;
    // Rewrapped keys come again at the end of the store, and are skipped there;
    // so do keys that others made meanwhile under the old key, and are not.
    loop {
        let stored = store
            .scan(after, AT_ONCE)
            .await
            .map_err(Unavailable::Store)?;
        let Some(last) = stored.last() else { break };
        after = last.sequence;
        let mut outcomes = stream::iter(stored)
            .map(|stored| rewrap(store, ring, stored))
            .buffer_unordered(CONCURRENT);
        while let Some(outcome) = outcomes.try_next().await.map_err(Unavailable::Store)? {
            so_far.examined += 1;
            match outcome {
                Outcome::Rewrapped => so_far.rewrapped += 1,
                Outcome::Current => so_far.current += 1,
                Outcome::Superseded => so_far.superseded += 1,
                Outcome::Unreadable(reason) => {
                    so_far.unreadable += 1;
                    first_unreadable.get_or_insert(reason);
                }
            }
            progress(so_far);
        }
    }
    match first_unreadable {
        None => Ok(so_far),
        Some(first) => Err(RotationError::Unreadable {
            count: so_far.unreadable,
            first,
        }),
    }
}

async fn rewrap(
    store: &dyn KeyStore,
    ring: &KeyRing,
    stored: StoredKey,
) -> Result<Outcome, StoreError> {
    let wrapped = match ring.rewrap(stored.person, &stored.wrapped) {
        Ok(Some(wrapped)) => wrapped,
        Ok(None) => return Ok(Outcome::Current),
        Err(reason) => {
            tracing::warn!(sequence = stored.sequence, %reason, "a stored key was left as it is");
            return Ok(Outcome::Unreadable(reason));
        }
    };
    // The new one first, so that there is a key at every moment. It is refused
    // where the key was destroyed meanwhile: no rotation brings a key back.
    match store.put(stored.person, stored.sequence, wrapped).await {
        Ok(_) => {
            store.destroy(stored.sequence).await?;
            Ok(Outcome::Rewrapped)
        }
        Err(PutError::Conflict) => {
            // Destroyed meanwhile, or left behind by a run that ended between its two steps: then a newer one is there.
            if store
                .last(stored.person)
                .await?
                .is_some_and(|last| last.sequence > stored.sequence)
            {
                store.destroy(stored.sequence).await?;
            }
            Ok(Outcome::Superseded)
        }
        Err(PutError::Unavailable(error)) => Err(error),
    }
}
