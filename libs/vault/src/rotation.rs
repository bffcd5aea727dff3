//! Changes the key that locks the keys: each stored key is wrapped anew, and its old wrapping destroyed.

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};

use crate::{Entry, KeyRing, KeyStore, PutError, StoreError, StoredKey, Unavailable, UnwrapError};

/// Stored keys read at a time.
const AT_ONCE: usize = 1_000;

/// Stored keys rewrapped at a time.
const CONCURRENT: usize = 200;

/// How far a rotation has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RotationProgress {
    /// Stored keys when it began.
    pub total: u64,
    /// Stored keys looked at. What is stored anew is looked at again, at the end.
    pub examined: u64,
    /// Of these, wrapped anew.
    pub rewrapped: u64,
    /// Of these, under the current key already: of this or an earlier run, or made meanwhile.
    pub current: u64,
    /// Of these, stored anew as they are, since they may share a file with keys that are dropped.
    pub moved: u64,
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
    /// The key-encryption key is not configured here, and nothing was changed.
    #[error("the key-encryption key `{0}` is not configured")]
    UnknownKey(String),
    /// Some stored keys could not be unwrapped and are as they were; all others are rewrapped.
    #[error("{count} stored keys could not be rewrapped; the first: {first}")]
    Unreadable {
        /// How many.
        count: u64,
        /// The reason of the first; mostly that its key-encryption key is not configured.
        first: UnwrapError,
    },
}

/// Destroying keys one by one costs the server some ten milliseconds each, for
/// it overwrites them. So all old wrappings that stand before the first message
/// that stays are dropped at the end, together with the files that hold them. A
/// divider sees to it that no message that stays is in such a file. Only the
/// old wrappings behind the first message that stays are destroyed one by one:
/// those that others wrote under the old key meanwhile.
struct Rotation<'a> {
    store: &'a dyn KeyStore,
    ring: &'a KeyRing,
    so_far: RotationProgress,
    first_unreadable: Option<UnwrapError>,
    /// The first message that stays.
    first_kept: Option<u64>,
    /// Whether there is anything to drop before it.
    droppable: bool,
    /// Whether the next message may share a file with something that is to be dropped.
    shared: bool,
    /// Whether this run has written its divider.
    divided: bool,
    /// Dividers behind the first message that stays.
    dividers: Vec<u64>,
}

/// A key that is to be stored anew, and with what body.
struct Renewal {
    stored: StoredKey,
    body: Bytes,
    rewrapped: bool,
}

pub(crate) async fn rotate(
    store: &dyn KeyStore,
    ring: &KeyRing,
    mut progress: impl FnMut(RotationProgress) + Send,
) -> Result<RotationProgress, RotationError> {
    let mut rotation = Rotation {
        store,
        ring,
        so_far: RotationProgress {
            total: store.count().await.map_err(Unavailable::Store)?,
            ..RotationProgress::default()
        },
        first_unreadable: None,
        first_kept: None,
        droppable: false,
        shared: false,
        divided: false,
        dividers: Vec::new(),
    };
    rotation
        .run(&mut progress)
        .await
        .map_err(Unavailable::Store)?;
    match rotation.first_unreadable {
        None => Ok(rotation.so_far),
        Some(first) => Err(RotationError::Unreadable {
            count: rotation.so_far.unreadable,
            first,
        }),
    }
}

impl Rotation<'_> {
    async fn run(
        &mut self,
        progress: &mut (impl FnMut(RotationProgress) + Send),
    ) -> Result<(), StoreError> {
        let mut after = 0;
        // What is stored anew comes again at the end of the store and stays
        // there, and so does what others make meanwhile.
        loop {
            let page = self.store.scan(after, AT_ONCE).await?;
            let Some(last) = page.last() else { break };
            after = last.sequence();
            let renewals: Vec<_> = page
                .into_iter()
                .filter_map(|entry| self.judge(entry))
                .collect();
            progress(self.so_far);
            if !renewals.is_empty() {
                self.renew(renewals, progress).await?;
            }
        }
        // Each key before the first message that stays has been stored anew by
        // now, or was destroyed: nothing is dropped that counts.
        if self.droppable {
            let keep_from = self.first_kept.unwrap_or(after + 1);
            self.store.drop_before(keep_from).await?;
        }
        stream::iter(std::mem::take(&mut self.dividers))
            .map(|sequence| self.store.destroy(sequence))
            .buffer_unordered(CONCURRENT)
            .try_collect()
            .await
    }

    /// Decides, in the order of the store, what stays and what is stored anew.
    fn judge(&mut self, entry: Entry) -> Option<Renewal> {
        let stored = match entry {
            Entry::Key(stored) => stored,
            Entry::Divider { sequence, complete } => {
                self.shared &= !complete;
                match self.first_kept {
                    None => self.droppable = true,
                    Some(_) => self.dividers.push(sequence),
                }
                return None;
            }
        };
        self.so_far.examined += 1;
        let rewrapped = match self.ring.rewrap(stored.person, &stored.wrapped) {
            Ok(Some(body)) => Some(body),
            Ok(None) | Err(_) if self.shared => None,
            Ok(None) => {
                self.so_far.current += 1;
                self.first_kept.get_or_insert(stored.sequence);
                return None;
            }
            Err(reason) => {
                tracing::warn!(sequence = stored.sequence, %reason, "a stored key was left as it is");
                self.so_far.unreadable += 1;
                self.first_unreadable.get_or_insert(reason);
                self.first_kept.get_or_insert(stored.sequence);
                return None;
            }
        };
        if self.first_kept.is_none() {
            self.droppable = true;
            self.shared = true;
        }
        Some(Renewal {
            rewrapped: rewrapped.is_some(),
            body: rewrapped.unwrap_or_else(|| stored.wrapped.clone()),
            stored,
        })
    }

    async fn renew(
        &mut self,
        renewals: Vec<Renewal>,
        progress: &mut (impl FnMut(RotationProgress) + Send),
    ) -> Result<(), StoreError> {
        if self.droppable && !self.divided {
            self.store.divide().await?;
            self.divided = true;
        }
        let (store, first_kept) = (self.store, self.first_kept);
        let mut outcomes = stream::iter(renewals)
            .map(
                async |Renewal {
                           stored,
                           body,
                           rewrapped,
                       }| {
                    // The new one first, so that there is a key at every moment. It
                    // is refused where the key was destroyed meanwhile: no rotation
                    // brings a key back.
                    let done = match store.put(stored.person, stored.sequence, body).await {
                        Ok(_) => true,
                        // Destroyed meanwhile, or left behind by an interrupted run: then a newer one is there.
                        Err(PutError::Conflict) => false,
                        Err(PutError::Unavailable(error)) => return Err(error),
                    };
                    if first_kept.is_some_and(|kept| kept < stored.sequence) {
                        store.destroy(stored.sequence).await?;
                    }
                    Ok((done, rewrapped))
                },
            )
            .buffer_unordered(CONCURRENT);
        while let Some(outcome) = outcomes.try_next().await? {
            match outcome {
                (true, true) => self.so_far.rewrapped += 1,
                (true, false) => self.so_far.moved += 1,
                (false, _) => self.so_far.superseded += 1,
            }
            progress(self.so_far);
        }
        Ok(())
    }
}
