//! A person's key is made once, found everywhere, and gone for good after an erasure.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use crate::support::{self, over_every_store, ring, vault};
use async_trait::async_trait;
use futures::future::join_all;
use tokio::sync::Semaphore;
use vault::{
    Algorithm, DataKey, KeyError, KeySource, KeyStore, PersonId, Unavailable, UnwrapError, Vault,
    VaultOptions,
};

over_every_store!(
    a_key_is_found_by_another_process,
    sixty_four_creators_of_one_key_agree,
    many_keys_are_made_and_read_together,
    an_erased_person_has_no_key,
    a_key_under_an_unknown_key_is_unavailable_rather_than_erased,
);

type Store = Arc<dyn KeyStore>;

fn persons(count: usize) -> Vec<PersonId> {
    (0..count).map(|_| PersonId::now_v7()).collect()
}

async fn a_key_is_found_by_another_process(store: Store) {
    let person = PersonId::now_v7();
    for algorithm in [Algorithm::Sm4Gcm, Algorithm::Aes256Gcm] {
        let person = PersonId::now_v7();
        let options = VaultOptions {
            algorithm,
            ..VaultOptions::default()
        };
        let made = Vault::new(Arc::clone(&store), ring(&["a"]), options)
            .create(person)
            .await
            .unwrap();
        assert_eq!(made.algorithm(), algorithm);
        let found = vault(&store, ring(&["a"])).key(person).await.unwrap();
        let sealed = made.seal("test.name", person, &"王秀英".to_owned());
        assert_eq!(found.open("test.name", person, &sealed).unwrap(), "王秀英");
    }
    let missing = vault(&store, ring(&["a"])).key(person).await;
    assert!(matches!(missing, Err(KeyError::Erased)));
}

async fn sixty_four_creators_of_one_key_agree(store: Store) {
    let person = PersonId::now_v7();
    let racing = (0..64).map(|_| {
        // Each with a memory of its own, as processes have.
        let vault = vault(&store, ring(&["a"]));
        tokio::spawn(async move { vault.create(person).await.unwrap() })
    });
    let keys: Vec<_> = join_all(racing)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    assert!(keys.iter().all(|key| key.expose() == keys[0].expose()));
    assert_eq!(store.count().await.unwrap(), 1);
    // A retry finds it, too.
    let again = vault(&store, ring(&["a"])).create(person).await.unwrap();
    assert_eq!(again.expose(), keys[0].expose());
}

async fn many_keys_are_made_and_read_together(store: Store) {
    let registered = persons(2_100);
    let made = vault(&store, ring(&["a"]))
        .create_all(&registered)
        .await
        .unwrap();
    let reader = vault(&store, ring(&["a"]));
    let mut asked = persons(3);
    asked.extend(&registered);
    asked.extend(&registered[..10]);
    let found = reader.keys(&asked).await.unwrap();
    assert_eq!(found.len(), registered.len());
    for (person, key) in registered.iter().zip(&made) {
        assert_eq!(found[person].expose(), key.expose());
    }
    // What was read together is remembered one by one.
    let remembered = reader.key(registered[7]).await.unwrap();
    assert!(Arc::ptr_eq(&remembered, &found[&registered[7]]));
    // Keys are not shared among persons.
    let distinct: std::collections::HashSet<_> = made.iter().map(|key| key.expose()).collect();
    assert_eq!(distinct.len(), registered.len());
}

async fn an_erased_person_has_no_key(store: Store) {
    let registry = vault(&store, ring(&["a"]));
    let other_service = vault(&store, ring(&["a"]));
    let people = persons(2);
    registry.create_all(&people).await.unwrap();
    let (erased, kept) = (people[0], people[1]);
    other_service.key(erased).await.unwrap();

    registry.erase(erased).await.unwrap();
    assert!(matches!(registry.key(erased).await, Err(KeyError::Erased)));
    assert_eq!(
        registry
            .keys(&people)
            .await
            .unwrap()
            .into_keys()
            .collect::<Vec<_>>(),
        [kept]
    );
    // The other service learns of it from the log.
    assert!(other_service.key(erased).await.is_ok());
    other_service.forget(erased);
    assert!(matches!(
        other_service.key(erased).await,
        Err(KeyError::Erased)
    ));
    // Again, as after a lost answer.
    registry.erase(erased).await.unwrap();
    assert_eq!(store.count().await.unwrap(), 1);
}

async fn a_key_under_an_unknown_key_is_unavailable_rather_than_erased(store: Store) {
    let person = PersonId::now_v7();
    vault(&store, ring(&["a"])).create(person).await.unwrap();
    match vault(&store, ring(&["b"])).key(person).await {
        Err(KeyError::Unavailable(Unavailable::Unwrap(reason))) => {
            assert_eq!(reason, UnwrapError::UnknownKey("a".into()));
        }
        other => panic!("{other:?}"),
    }
}

/// Keys from elsewhere, handed out one permit at a time.
struct Elsewhere {
    key: [u8; 16],
    permits: Semaphore,
    asked: AtomicUsize,
}

#[async_trait]
impl KeySource for Elsewhere {
    async fn fetch(&self, persons: &[PersonId]) -> Result<Vec<(PersonId, DataKey)>, Unavailable> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.permits.acquire().await.unwrap().forget();
        let key = || DataKey::from_bytes(Algorithm::Sm4Gcm, &self.key).unwrap();
        Ok(persons.iter().map(|person| (*person, key())).collect())
    }
}

fn elsewhere(permits: usize) -> Arc<Elsewhere> {
    Arc::new(Elsewhere {
        key: [9; 16],
        permits: Semaphore::new(permits),
        asked: AtomicUsize::new(0),
    })
}

#[tokio::test]
async fn a_service_that_only_reads_can_neither_make_nor_destroy_keys() {
    let vault = Vault::read_only(elsewhere(10), VaultOptions::default());
    let person = PersonId::now_v7();
    assert_eq!(vault.key(person).await.unwrap().expose(), [9; 16]);
    let other = PersonId::now_v7();
    assert!(matches!(
        vault.create(other).await,
        Err(KeyError::Unavailable(Unavailable::ReadOnly))
    ));
    assert!(matches!(
        vault.erase(person).await,
        Err(Unavailable::ReadOnly)
    ));
    assert!(vault.rotate(ring(&["a"]), |_| {}).await.is_err());
}

#[tokio::test]
async fn a_key_is_fetched_once_while_it_is_remembered() {
    let source = elsewhere(10);
    let vault = Vault::read_only(source.clone(), VaultOptions::default());
    let person = PersonId::now_v7();
    for _ in 0..5 {
        vault.key(person).await.unwrap();
        vault.clone().keys(&[person]).await.unwrap();
    }
    assert_eq!(source.asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn who_is_marked_erased_has_no_key_though_the_owner_still_hands_it_out() {
    let source = elsewhere(10);
    let vault = Vault::read_only(source.clone(), VaultOptions::default());
    let [erased, kept] = [PersonId::now_v7(), PersonId::now_v7()];
    vault.keys(&[erased, kept]).await.unwrap();
    vault.mark_erased(erased);
    assert!(matches!(vault.key(erased).await, Err(KeyError::Erased)));
    let found = vault.keys(&[erased, kept]).await.unwrap();
    assert_eq!(found.into_keys().collect::<Vec<_>>(), [kept]);
    vault.forget_all();
    assert_eq!(vault.remembered(), 0);
    assert!(matches!(vault.key(erased).await, Err(KeyError::Erased)));
    assert_eq!(source.asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn no_more_keys_are_remembered_than_the_bound() {
    let options = VaultOptions {
        remembered: 10,
        ..VaultOptions::default()
    };
    let vault = Vault::read_only(elsewhere(10), options);
    let people = persons(1_000);
    assert_eq!(vault.keys(&people).await.unwrap().len(), 1_000);
    assert!(vault.remembered() <= 10, "{vault:?}");
}

#[tokio::test]
async fn a_key_that_was_on_its_way_while_it_was_forgotten_is_not_remembered() {
    let source = elsewhere(0);
    let vault = Vault::read_only(source.clone(), VaultOptions::default());
    let person = PersonId::now_v7();
    let fetching = {
        let vault = vault.clone();
        tokio::spawn(async move { vault.key(person).await })
    };
    while source.asked.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    vault.forget(person);
    source.permits.add_permits(2);
    fetching.await.unwrap().unwrap();
    vault.key(person).await.unwrap();
    assert_eq!(source.asked.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn who_made_a_key_is_told_and_one_that_is_missed_is_stored_again() {
    let store = support::in_memory();
    let [here, there] = [(); 2].map(|()| vault(&store, ring(&["k1"])));
    let person = persons(1)[0];
    let made = here.create_or_find(person).await.unwrap();
    let found = there.create_or_find(person).await.unwrap();
    assert!(made.made && !found.made);
    assert_eq!(made.key.expose(), found.key.expose());
    assert!(!here.create_or_find(person).await.unwrap().made);

    there.restore(person, &found.key).await.unwrap();
    assert_eq!(store.count().await.unwrap(), 1, "it is there");
    here.erase(person).await.unwrap();
    there.restore(person, &found.key).await.unwrap();
    let again = here.key(person).await.unwrap();
    assert_eq!(again.expose(), found.key.expose());
}
