//! A key store in memory, for tests.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;

use crate::{KeyStore, PersonId, PutError, StoreError, StoredKey};

/// Keys that last as long as the process; behaves as the store on JetStream does.
#[derive(Debug, Default)]
pub struct MemoryKeyStore {
    messages: Mutex<Messages>,
}

#[derive(Debug, Default)]
struct Messages {
    last_sequence: u64,
    by_sequence: BTreeMap<u64, (PersonId, Bytes)>,
}

impl MemoryKeyStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// A store over the network lets others run while it is asked; so does this one, for tests to see what may come in between.
    async fn asked(&self) -> MutexGuard<'_, Messages> {
        tokio::task::yield_now().await;
        self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, Messages> {
        // Each change is one insertion or removal: a panic leaves nothing half done.
        self.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Messages {
    fn last(&self, person: PersonId) -> Option<StoredKey> {
        let (sequence, (_, wrapped)) = self
            .by_sequence
            .iter()
            .rev()
            .find(|(_, (owner, _))| *owner == person)?;
        Some(StoredKey {
            person,
            sequence: *sequence,
            wrapped: wrapped.clone(),
        })
    }
}

#[async_trait]
impl KeyStore for MemoryKeyStore {
    async fn put(&self, person: PersonId, expected: u64, wrapped: Bytes) -> Result<u64, PutError> {
        let mut messages = self.asked().await;
        if messages.last(person).map_or(0, |last| last.sequence) != expected {
            return Err(PutError::Conflict);
        }
        messages.last_sequence += 1;
        let sequence = messages.last_sequence;
        messages.by_sequence.insert(sequence, (person, wrapped));
        Ok(sequence)
    }

    async fn last(&self, person: PersonId) -> Result<Option<StoredKey>, StoreError> {
        Ok(self.asked().await.last(person))
    }

    async fn last_of(&self, persons: &[PersonId]) -> Result<Vec<StoredKey>, StoreError> {
        let messages = self.asked().await;
        let mut last = BTreeMap::new();
        for (sequence, (person, wrapped)) in &messages.by_sequence {
            last.insert(*person, (*sequence, wrapped));
        }
        Ok(persons
            .iter()
            .filter_map(|person| {
                let (sequence, wrapped) = last.remove(person)?;
                Some(StoredKey {
                    person: *person,
                    sequence,
                    wrapped: wrapped.clone(),
                })
            })
            .collect())
    }

    async fn scan(&self, after: u64, limit: usize) -> Result<Vec<StoredKey>, StoreError> {
        Ok(self
            .lock()
            .by_sequence
            .range(after.saturating_add(1)..)
            .take(limit)
            .map(|(sequence, (person, wrapped))| StoredKey {
                person: *person,
                sequence: *sequence,
                wrapped: wrapped.clone(),
            })
            .collect())
    }

    async fn destroy(&self, sequence: u64) -> Result<(), StoreError> {
        self.asked().await.by_sequence.remove(&sequence);
        Ok(())
    }

    async fn count(&self) -> Result<u64, StoreError> {
        Ok(self.asked().await.by_sequence.len() as u64)
    }
}
