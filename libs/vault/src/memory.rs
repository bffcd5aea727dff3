//! A key store in memory, for tests.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;

use crate::{Entry, KeyStore, PersonId, PutError, StoreError, StoredKey};

/// Keys that last as long as the process; behaves as the store on JetStream does.
#[derive(Debug, Default)]
pub struct MemoryKeyStore {
    messages: Mutex<Messages>,
}

#[derive(Debug, Default)]
struct Messages {
    last_sequence: u64,
    /// `None` stands for a divider.
    by_sequence: BTreeMap<u64, Option<(PersonId, Bytes)>>,
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
    fn write(&mut self, message: Option<(PersonId, Bytes)>) -> u64 {
        self.last_sequence += 1;
        self.by_sequence.insert(self.last_sequence, message);
        self.last_sequence
    }

    fn keys(&self) -> impl DoubleEndedIterator<Item = StoredKey> {
        self.by_sequence.iter().filter_map(|(sequence, message)| {
            let (person, wrapped) = message.clone()?;
            Some(StoredKey {
                person,
                sequence: *sequence,
                wrapped,
            })
        })
    }

    fn last(&self, person: PersonId) -> Option<StoredKey> {
        self.keys().rev().find(|stored| stored.person == person)
    }
}

#[async_trait]
impl KeyStore for MemoryKeyStore {
    async fn put(&self, person: PersonId, expected: u64, wrapped: Bytes) -> Result<u64, PutError> {
        let mut messages = self.asked().await;
        if messages.last(person).map_or(0, |last| last.sequence) != expected {
            return Err(PutError::Conflict);
        }
        Ok(messages.write(Some((person, wrapped))))
    }

    async fn last(&self, person: PersonId) -> Result<Option<StoredKey>, StoreError> {
        Ok(self.asked().await.last(person))
    }

    async fn last_of(&self, persons: &[PersonId]) -> Result<Vec<StoredKey>, StoreError> {
        let messages = self.asked().await;
        let mut last: BTreeMap<_, _> = messages
            .keys()
            .map(|stored| (stored.person, stored))
            .collect();
        Ok(persons
            .iter()
            .filter_map(|person| last.remove(person))
            .collect())
    }

    async fn scan(&self, after: u64, limit: usize) -> Result<Vec<Entry>, StoreError> {
        let entry = |(sequence, message): (&u64, &Option<(PersonId, Bytes)>)| match message.clone()
        {
            None => Entry::Divider {
                sequence: *sequence,
                complete: true,
            },
            Some((person, wrapped)) => Entry::Key(StoredKey {
                person,
                sequence: *sequence,
                wrapped,
            }),
        };
        let messages = self.asked().await;
        let following = messages.by_sequence.range(after.saturating_add(1)..);
        Ok(following.take(limit).map(entry).collect())
    }

    async fn divide(&self) -> Result<(), StoreError> {
        self.asked().await.write(None);
        Ok(())
    }

    async fn drop_before(&self, sequence: u64) -> Result<(), StoreError> {
        let mut messages = self.asked().await;
        messages.by_sequence = messages.by_sequence.split_off(&sequence);
        Ok(())
    }

    async fn destroy(&self, sequence: u64) -> Result<(), StoreError> {
        self.asked().await.by_sequence.remove(&sequence);
        Ok(())
    }

    async fn count(&self) -> Result<u64, StoreError> {
        Ok(self.asked().await.by_sequence.len() as u64)
    }
}
