//! Where the wrapped keys lie: one current key per person, and the means to destroy it.

use std::error::Error;

use async_trait::async_trait;
use bytes::Bytes;

use crate::PersonId;

/// Wrapped keys by person. Each write has a sequence, rising through the store;
/// of a person's messages the last one counts. An older one is left behind only
/// by a rotation that was interrupted.
#[async_trait]
pub trait KeyStore: Send + Sync + 'static {
    /// Stores a wrapped key durably, provided that the person's last message is
    /// `expected` (0: there is none), and answers its sequence.
    ///
    /// # Errors
    /// [`PutError::Conflict`] where another message is the last one, nothing
    /// being stored; [`PutError::Unavailable`] where the outcome is unknown.
    async fn put(&self, person: PersonId, expected: u64, wrapped: Bytes) -> Result<u64, PutError>;

    /// The person's last message, certainly the newest.
    ///
    /// # Errors
    /// Where the store does not answer.
    async fn last(&self, person: PersonId) -> Result<Option<StoredKey>, StoreError>;

    /// The last messages of many persons, in any order; who has none is missing.
    ///
    /// # Errors
    /// Where the store does not answer.
    async fn last_of(&self, persons: &[PersonId]) -> Result<Vec<StoredKey>, StoreError>;

    /// Up to `limit` messages after a sequence, in order; none only at the end.
    ///
    /// # Errors
    /// Where the store does not answer.
    async fn scan(&self, after: u64, limit: usize) -> Result<Vec<Entry>, StoreError>;

    /// Sees to it that what is written from now on shares no file with what was written before: writes a divider.
    ///
    /// # Errors
    /// Where the store does not answer; the divider may be incomplete then.
    async fn divide(&self) -> Result<(), StoreError>;

    /// Drops all messages before a sequence. A file that held only such messages is removed; in one that also holds
    /// the sequence itself, bytes may stay behind: [`KeyStore::divide`] first.
    ///
    /// # Errors
    /// Where the store does not answer.
    async fn drop_before(&self, sequence: u64) -> Result<(), StoreError>;

    /// Destroys one message so that its bytes are gone from the store's files; what is gone already is no error.
    ///
    /// # Errors
    /// Where the store does not answer.
    async fn destroy(&self, sequence: u64) -> Result<(), StoreError>;

    /// How many messages there are.
    ///
    /// # Errors
    /// Where the store does not answer.
    async fn count(&self) -> Result<u64, StoreError>;
}

/// A wrapped key as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredKey {
    /// Whose key.
    pub person: PersonId,
    /// Its sequence in the store.
    pub sequence: u64,
    /// The encoded `eldercare.type.v1.WrappedKey`.
    pub wrapped: Bytes,
}

/// What a store is read as, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A key.
    Key(StoredKey),
    /// Part of a divider.
    Divider {
        /// Its sequence in the store.
        sequence: u64,
        /// Whether the divider ends here: what follows shares no file with what came before it.
        complete: bool,
    },
}

impl Entry {
    /// Its sequence in the store.
    pub fn sequence(&self) -> u64 {
        match self {
            Self::Key(stored) => stored.sequence,
            Self::Divider { sequence, .. } => *sequence,
        }
    }
}

/// The store did not answer, or not as it should.
#[derive(Debug, thiserror::Error)]
#[error("the key store is not available: {doing}")]
pub struct StoreError {
    doing: &'static str,
    source: Box<dyn Error + Send + Sync>,
}

impl StoreError {
    /// An error while `doing` something.
    pub fn new(doing: &'static str, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            doing,
            source: source.into(),
        }
    }
}

/// Why a key was not stored.
#[derive(Debug, thiserror::Error)]
pub enum PutError {
    /// The person's last message is not the expected one.
    #[error("the person's stored key is not the expected one")]
    Conflict,
    /// No answer: it may be stored, or not.
    #[error(transparent)]
    Unavailable(#[from] StoreError),
}
