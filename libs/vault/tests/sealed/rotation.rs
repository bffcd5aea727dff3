//! The key that locks the keys can be changed while people register and are erased, and an interrupted change goes on.

use std::sync::{Arc, Mutex};

use crate::support::{self, over_every_store, ring, vault};
use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::Notify;
use vault::{
    Entry, KeyError, KeyStore, PersonId, PutError, RotationError, RotationProgress, StoreError,
    StoredKey, UnwrapError,
};

over_every_store!(
    every_key_is_wrapped_anew_and_stays_the_same,
    an_interrupted_rotation_goes_on,
    keys_made_under_either_key_before_a_rotation_come_through,
    a_rotation_that_died_between_its_two_steps_leaves_no_old_wrapping,
    people_register_and_are_erased_while_keys_are_rotated,
    no_rotation_brings_an_erased_key_back,
    who_registers_during_and_after_a_rotation_is_under_the_new_key,
    keys_that_cannot_be_unwrapped_are_counted_and_stop_nothing,
);

type Store = Arc<dyn KeyStore>;

fn persons(count: usize) -> Vec<PersonId> {
    (0..count).map(|_| PersonId::now_v7()).collect()
}

/// All of them have the same keys as before, under the new key-encryption key alone.
async fn all_under_the_new_key(store: &Store, before: &[(PersonId, Vec<u8>)]) {
    let only_new = vault(store, ring(&["new"]));
    let people: Vec<_> = before.iter().map(|(person, _)| *person).collect();
    let keys = only_new.keys(&people).await.unwrap();
    for (person, key) in before {
        assert_eq!(keys[person].expose(), key);
    }
    assert_eq!(store.count().await.unwrap(), before.len() as u64);
}

async fn stored_keys(store: &Store) -> Vec<StoredKey> {
    let entries = store.scan(0, 1_000).await.unwrap();
    let key = |entry| match entry {
        Entry::Key(stored) => Some(stored),
        Entry::Divider { .. } => None,
    };
    entries.into_iter().filter_map(key).collect()
}

async fn registered(store: &Store, count: usize) -> Vec<(PersonId, Vec<u8>)> {
    let people = persons(count);
    let keys = vault(store, ring(&["old"]))
        .create_all(&people)
        .await
        .unwrap();
    people
        .into_iter()
        .zip(keys)
        .map(|(person, key)| (person, key.expose().to_vec()))
        .collect()
}

async fn every_key_is_wrapped_anew_and_stays_the_same(store: Store) {
    let before = registered(&store, 1_200).await;
    let vault = vault(&store, ring(&["old"]));
    let mut reports = Vec::new();
    let done = vault
        .rotate(ring(&["new", "old"]), |progress| reports.push(progress))
        .await
        .unwrap();
    assert_eq!(
        done,
        // Each comes again at the end of the store, and is current then.
        RotationProgress {
            total: 1_200,
            examined: 2_400,
            rewrapped: 1_200,
            current: 1_200,
            ..Default::default()
        }
    );
    assert!(reports.len() > 1_200);
    assert_eq!(reports.last(), Some(&done));
    all_under_the_new_key(&store, &before).await;

    // New keys are under the new one at once.
    let person = PersonId::now_v7();
    vault.create(person).await.unwrap();
    assert!(
        support::vault(&store, ring(&["new"]))
            .key(person)
            .await
            .is_ok()
    );

    let again = vault.rotate(ring(&["new", "old"]), |_| {}).await.unwrap();
    assert_eq!((again.rewrapped, again.current), (0, 1_201));
}

async fn an_interrupted_rotation_goes_on(store: Store) {
    let before = registered(&store, 600).await;
    let enough = Notify::new();
    {
        let vault = vault(&store, ring(&["old"]));
        let rotation = vault.rotate(ring(&["new", "old"]), |progress| {
            if progress.rewrapped == 250 {
                enough.notify_one();
            }
        });
        // As when the process is killed: what is under way is dropped.
        tokio::select! {
            biased;
            () = enough.notified() => {}
            done = rotation => panic!("it was to be interrupted: {done:?}"),
        }
    }
    let done = vault(&store, ring(&["old"]))
        .rotate(ring(&["new", "old"]), |_| {})
        .await
        .unwrap();
    assert!(done.rewrapped < 600, "{done:?}");
    all_under_the_new_key(&store, &before).await;
}

async fn keys_made_under_either_key_before_a_rotation_come_through(store: Store) {
    let mut all = registered(&store, 30).await;
    for ring in [ring(&["new", "old"]), ring(&["old"]), ring(&["new", "old"])] {
        let people = persons(20);
        let keys = vault(&store, ring).create_all(&people).await.unwrap();
        all.extend(
            people
                .into_iter()
                .zip(keys)
                .map(|(person, key)| (person, key.expose().to_vec())),
        );
    }
    let done = vault(&store, ring(&["old"]))
        .rotate(ring(&["new", "old"]), |_| {})
        .await
        .unwrap();
    assert_eq!((done.rewrapped, done.moved, done.current), (50, 40, 90));
    all_under_the_new_key(&store, &all).await;
}

async fn a_rotation_that_died_between_its_two_steps_leaves_no_old_wrapping(store: Store) {
    let before = registered(&store, 1).await;
    let (person, _) = before[0];
    // What a run does that gets the new wrapping stored and dies then.
    let old = store.last(person).await.unwrap().unwrap();
    let dying: Store = Arc::new(Undying(Arc::clone(&store)));
    vault(&dying, ring(&["old"]))
        .rotate(ring(&["new", "old"]), |_| {})
        .await
        .unwrap_err();
    assert_eq!(stored_keys(&store).await.len(), 2);

    let done = vault(&store, ring(&["old"]))
        .rotate(ring(&["new", "old"]), |_| {})
        .await
        .unwrap();
    assert_eq!((done.superseded, done.current), (1, 1));
    assert!(
        stored_keys(&store)
            .await
            .iter()
            .all(|stored| stored.sequence != old.sequence)
    );
    all_under_the_new_key(&store, &before).await;
}

async fn who_registers_during_and_after_a_rotation_is_under_the_new_key(store: Store) {
    let before = registered(&store, 300).await;
    let vault = vault(&store, ring(&["old", "new"]));
    let unknown = vault.rotate_to("other", |_| {}).await.unwrap_err();
    assert!(matches!(unknown, RotationError::UnknownKey(id) if id == "other"));
    let (during, after) = (persons(300), persons(3));
    let (made, rotated) = tokio::join!(vault.create_all(&during), vault.rotate_to("new", |_| {}));
    rotated.unwrap();
    let mut all = before;
    for (people, keys) in [
        (during, made.unwrap()),
        (after.clone(), vault.create_all(&after).await.unwrap()),
    ] {
        let keys = keys.iter().map(|key| key.expose().to_vec());
        all.extend(people.into_iter().zip(keys));
    }
    all_under_the_new_key(&store, &all).await;
}

async fn people_register_and_are_erased_while_keys_are_rotated(store: Store) {
    let before = registered(&store, 400).await;
    let vault = vault(&store, ring(&["old"]));
    let (erased, kept) = before.split_at(200);
    let (newcomers, leavers) = (persons(100), &erased);
    let rotating = vault.rotate(ring(&["new", "old"]), |_| {});
    let erasing = async {
        for (person, _) in leavers.iter() {
            vault.erase(*person).await.unwrap();
        }
    };
    let registering = vault.create_all(&newcomers);
    let (rotated, (), made) = tokio::join!(rotating, erasing, registering);
    rotated.unwrap();
    // Erasures and registrations that came after the rotation had passed count as well.
    let mut now = kept.to_vec();
    now.extend(
        newcomers
            .into_iter()
            .zip(made.unwrap())
            .map(|(person, key)| (person, key.expose().to_vec())),
    );
    all_under_the_new_key(&store, &now).await;
    let fresh = support::vault(&store, ring(&["new"]));
    for (person, _) in erased {
        assert!(matches!(fresh.key(*person).await, Err(KeyError::Erased)));
    }
}

async fn no_rotation_brings_an_erased_key_back(store: Store) {
    let before = registered(&store, 20).await;
    let erasing = Arc::new(ErasedInBetween {
        store: Arc::clone(&store),
        seen: Mutex::default(),
    });
    let erasing_store: Store = erasing.clone();
    let done = vault(&erasing_store, ring(&["old"]))
        .rotate(ring(&["new", "old"]), |_| {})
        .await
        .unwrap();
    assert_eq!((done.rewrapped, done.superseded), (0, 20));
    assert_eq!(erasing.seen.lock().unwrap().len(), before.len());
    assert_eq!(store.count().await.unwrap(), 0);
}

async fn keys_that_cannot_be_unwrapped_are_counted_and_stop_nothing(store: Store) {
    vault(&store, ring(&["lost"]))
        .create_all(&persons(3))
        .await
        .unwrap();
    store
        .put(PersonId::now_v7(), 0, Bytes::from_static(b"\xff"))
        .await
        .unwrap();
    let people = registered(&store, 30).await;
    match vault(&store, ring(&["old"]))
        .rotate(ring(&["new", "old"]), |_| {})
        .await
    {
        Err(RotationError::Unreadable { count, first }) => {
            assert_eq!(count, 4);
            assert!(
                [
                    UnwrapError::UnknownKey("lost".into()),
                    UnwrapError::Malformed
                ]
                .contains(&first)
            );
        }
        other => panic!("{other:?}"),
    }
    let only_new = vault(&store, ring(&["new"]));
    for (person, key) in &people {
        assert_eq!(only_new.key(*person).await.unwrap().expose(), key);
    }
    assert_eq!(store.count().await.unwrap(), 34);
}

/// A store whose keys cannot be destroyed.
struct Undying(Store);

#[async_trait]
impl KeyStore for Undying {
    async fn put(&self, person: PersonId, expected: u64, wrapped: Bytes) -> Result<u64, PutError> {
        self.0.put(person, expected, wrapped).await
    }
    async fn last(&self, person: PersonId) -> Result<Option<StoredKey>, StoreError> {
        self.0.last(person).await
    }
    async fn last_of(&self, persons: &[PersonId]) -> Result<Vec<StoredKey>, StoreError> {
        self.0.last_of(persons).await
    }
    async fn scan(&self, after: u64, limit: usize) -> Result<Vec<Entry>, StoreError> {
        self.0.scan(after, limit).await
    }
    async fn divide(&self) -> Result<(), StoreError> {
        self.0.divide().await
    }
    async fn drop_before(&self, _sequence: u64) -> Result<(), StoreError> {
        Err(StoreError::new("dropping keys", "killed"))
    }
    async fn destroy(&self, _sequence: u64) -> Result<(), StoreError> {
        Err(StoreError::new("destroying a key", "killed"))
    }
    async fn count(&self) -> Result<u64, StoreError> {
        self.0.count().await
    }
}

/// A store in which each person is erased after a rotation read the key and before it stores the new wrapping.
struct ErasedInBetween {
    store: Store,
    seen: Mutex<Vec<PersonId>>,
}

#[async_trait]
impl KeyStore for ErasedInBetween {
    async fn put(&self, person: PersonId, expected: u64, wrapped: Bytes) -> Result<u64, PutError> {
        vault(&self.store, ring(&["old"]))
            .erase(person)
            .await
            .unwrap();
        self.seen.lock().unwrap().push(person);
        self.store.put(person, expected, wrapped).await
    }
    async fn last(&self, person: PersonId) -> Result<Option<StoredKey>, StoreError> {
        self.store.last(person).await
    }
    async fn last_of(&self, persons: &[PersonId]) -> Result<Vec<StoredKey>, StoreError> {
        self.store.last_of(persons).await
    }
    async fn scan(&self, after: u64, limit: usize) -> Result<Vec<Entry>, StoreError> {
        self.store.scan(after, limit).await
    }
    async fn divide(&self) -> Result<(), StoreError> {
        self.store.divide().await
    }
    async fn drop_before(&self, sequence: u64) -> Result<(), StoreError> {
        self.store.drop_before(sequence).await
    }
    async fn destroy(&self, sequence: u64) -> Result<(), StoreError> {
        self.store.destroy(sequence).await
    }
    async fn count(&self) -> Result<u64, StoreError> {
        self.store.count().await
    }
}
