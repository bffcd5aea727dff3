//! The vault: makes, finds, remembers and destroys the key of each person.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use moka::sync::Cache;

use crate::{
    Algorithm, DataKey, KeyRing, KeyStore, PersonId, PutError, StoreError, UnwrapError,
    measures::{Found, Measures},
    rotation::{self, RotationError, RotationProgress},
};

/// Writes of one bulk call under way at a time.
const CONCURRENT_WRITES: usize = 400;

/// Keys of one bulk read.
const AT_ONCE: usize = 500;

/// Bulk reads of one call under way at a time.
const CONCURRENT_READS: usize = 4;

/// How long it is remembered that a person is erased, at the least: by then the owner has destroyed the key for certain.
const ERASED_FOR: Duration = Duration::from_secs(86_400);

/// How keys are made and remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VaultOptions {
    /// The cipher of new keys; keys of either cipher can be read.
    pub algorithm: Algorithm,
    /// Keys remembered at the most, each some 2 KB.
    pub remembered: u64,
    /// How long a key is remembered at the most: a process that misses an erasure forgets by then.
    pub remember_for: Duration,
}

impl Default for VaultOptions {
    fn default() -> Self {
        Self {
            algorithm: Algorithm::default(),
            remembered: 50_000,
            remember_for: Duration::from_secs(600),
        }
    }
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The person has no key: erased (or never registered). What was sealed for them is unreadable for good.
    #[error("the person has been erased")]
    Erased,
    /// The key cannot be had now; nothing is said about whether there is one.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Why keys cannot be had or changed now.
#[derive(Debug, thiserror::Error)]
pub enum Unavailable {
    /// The store does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The stored key does not unwrap: most likely a key-encryption key is missing in configuration.
    #[error(transparent)]
    Unwrap(#[from] UnwrapError),
    /// The service that holds the keys does not hand them out.
    #[error("the keys cannot be fetched")]
    Source(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The service that holds the keys knows this one as nobody who may have them; asking again changes nothing.
    #[error("the keys' owner refuses them to this service")]
    Refused(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// This vault only reads keys; the registry alone makes and destroys them.
    #[error("this service may read keys, not change them")]
    ReadOnly,
}

/// A person's key, as [`Vault::create_or_find`] gives it.
#[derive(Clone, Debug)]
pub struct Created {
    /// The key.
    pub key: Arc<DataKey>,
    /// Whether it was made by this very call; otherwise it was there.
    pub made: bool,
}

/// Where a vault gets keys from that it does not remember.
#[async_trait]
pub trait KeySource: Send + Sync + 'static {
    /// The keys of persons, at most 1,000 at a time, in any order; whoever has none is missing.
    ///
    /// # Errors
    /// Where they cannot be had; an error about one is an error of the call.
    async fn fetch(&self, persons: &[PersonId]) -> Result<Vec<(PersonId, DataKey)>, Unavailable>;
}

/// The keys of all persons. Cheap to clone; clones share what they remember.
#[derive(Clone)]
pub struct Vault {
    source: Arc<dyn KeySource>,
    owned: Option<Owned>,
    algorithm: Algorithm,
    cache: Cache<PersonId, Arc<DataKey>>,
    /// Who is known to be erased, though the owner may not have destroyed the key yet.
    erased: Cache<PersonId, ()>,
    /// How often something was forgotten; see [`Vault::remember`].
    forgotten: Arc<AtomicU64>,
    measures: Measures,
}

/// What only the owner of the keys has.
#[derive(Clone)]
pub(crate) struct Owned {
    store: Arc<dyn KeyStore>,
    /// Replaced by a rotation.
    ring: Arc<RwLock<KeyRing>>,
    /// Shared by those who store a new key: a rotation lets them finish, so that it finds what they wrapped under the
    /// former ring.
    storing: Arc<tokio::sync::RwLock<()>>,
}

impl Vault {
    /// The vault of the keys' owner, the registry.
    pub fn new(store: Arc<dyn KeyStore>, ring: KeyRing, options: VaultOptions) -> Self {
        let owned = Owned {
            store,
            ring: Arc::new(RwLock::new(ring)),
            storing: Arc::default(),
        };
        Self {
            owned: Some(owned.clone()),
            ..Self::read_only(Arc::new(owned), options)
        }
    }

    /// A vault that gets its keys from their owner; `create`, `erase` and `rotate` answer [`Unavailable::ReadOnly`].
    pub fn read_only(source: Arc<dyn KeySource>, options: VaultOptions) -> Self {
        Self {
            source,
            owned: None,
            algorithm: options.algorithm,
            cache: Cache::builder()
                .max_capacity(options.remembered)
                .time_to_live(options.remember_for)
                .build(),
            erased: Cache::builder()
                .max_capacity(options.remembered)
                .time_to_live(options.remember_for.max(ERASED_FOR))
                .build(),
            forgotten: Arc::default(),
            measures: Measures::new(),
        }
    }

    /// The key of a new person, stored durably when this returns. Where there is one, that is the answer: asked twice, done once.
    ///
    /// # Errors
    /// [`KeyError::Unavailable`] where the store does not answer; a key may be stored then, and asking again finds it.
    /// [`KeyError::Erased`] where the key was destroyed at the same moment.
    pub async fn create(&self, person: PersonId) -> Result<Arc<DataKey>, KeyError> {
        Ok(self.create_or_find(person).await?.key)
    }

    /// The same, telling whether the key was made by this call: only who made a key may take it back.
    ///
    /// # Errors
    /// As [`Vault::create`].
    pub async fn create_or_find(&self, person: PersonId) -> Result<Created, KeyError> {
        if let Some(key) = self.cache.get(&person) {
            return Ok(Created { key, made: false });
        }
        let owned = self.owned()?;
        let seen = self.forgotten.load(Ordering::SeqCst);
        let _storing = owned.storing.read().await;
        let ring = owned.ring();
        let key = DataKey::generate(self.algorithm);
        let wrapped = ring.wrap(person, &key);
        let (key, made) = match owned.store.put(person, 0, wrapped).await {
            Ok(_) => (key, true),
            Err(PutError::Conflict) => {
                let stored = owned.store.last(person).await.map_err(Unavailable::Store)?;
                let stored = stored.ok_or(KeyError::Erased)?;
                let key = ring.unwrap(person, &stored.wrapped);
                (key.map_err(Unavailable::Unwrap)?, false)
            }
            Err(PutError::Unavailable(error)) => return Err(Unavailable::Store(error).into()),
        };
        let key = self.remember(person, key, seen);
        Ok(Created { key, made })
    }

    /// Stores a key again that may have been destroyed though something is sealed with it. Where the person has a key,
    /// nothing happens.
    ///
    /// # Errors
    /// [`Unavailable`] where the store does not answer; asking again settles it.
    pub async fn restore(&self, person: PersonId, key: &DataKey) -> Result<(), Unavailable> {
        let owned = self.owned()?;
        let _storing = owned.storing.read().await;
        let wrapped = owned.ring().wrap(person, key);
        match owned.store.put(person, 0, wrapped).await {
            Ok(_) | Err(PutError::Conflict) => Ok(()),
            Err(PutError::Unavailable(error)) => Err(error.into()),
        }
    }

    /// The keys of many new persons, in their order; the writes go to the store together.
    ///
    /// # Errors
    /// As [`Vault::create`], at the first error; some keys may be stored then, and asking again finds them.
    pub async fn create_all(&self, persons: &[PersonId]) -> Result<Vec<Arc<DataKey>>, KeyError> {
        stream::iter(persons.to_vec())
            .map(|person| self.create(person))
            .buffered(CONCURRENT_WRITES)
            .try_collect()
            .await
    }

    /// The key of a person.
    ///
    /// # Errors
    /// [`KeyError::Erased`] where there is none, [`KeyError::Unavailable`] where that cannot be told.
    pub async fn key(&self, person: PersonId) -> Result<Arc<DataKey>, KeyError> {
        if let Some(key) = self.cache.get(&person) {
            self.measures.found(Found::Remembered, 1);
            return Ok(key);
        }
        if self.erased.contains_key(&person) {
            return Err(KeyError::Erased);
        }
        self.measures.found(Found::Fetched, 1);
        let seen = self.forgotten.load(Ordering::SeqCst);
        let fetched = self.source.fetch(&[person]).await?;
        let (_, key) = fetched
            .into_iter()
            .find(|(owner, _)| *owner == person)
            .ok_or(KeyError::Erased)?;
        Ok(self.remember(person, key, seen))
    }

    /// The keys of many persons, for lists and rebuilds; whoever is erased is missing.
    ///
    /// # Errors
    /// Where keys cannot be had.
    pub async fn keys(
        &self,
        persons: &[PersonId],
    ) -> Result<HashMap<PersonId, Arc<DataKey>>, Unavailable> {
        self.many(persons, |person, key, seen| {
            self.remember(person, key, seen)
        })
        .await
    }

    /// As [`Vault::keys`], for a rebuild that goes through everybody once: those fetched are not remembered, so that they
    /// don't drive out the keys of those who are asked for.
    ///
    /// # Errors
    /// Where keys cannot be had.
    pub async fn keys_in_passing(
        &self,
        persons: &[PersonId],
    ) -> Result<HashMap<PersonId, Arc<DataKey>>, Unavailable> {
        self.many(persons, |_, key, _| Arc::new(key)).await
    }

    async fn many(
        &self,
        persons: &[PersonId],
        take: impl Fn(PersonId, DataKey, u64) -> Arc<DataKey> + Sync,
    ) -> Result<HashMap<PersonId, Arc<DataKey>>, Unavailable> {
        let mut keys = HashMap::with_capacity(persons.len());
        let mut unknown = HashSet::new();
        for person in persons {
            match self.cache.get(person) {
                Some(key) => {
                    keys.insert(*person, key);
                }
                None if self.erased.contains_key(person) => {}
                None => {
                    unknown.insert(*person);
                }
            }
        }
        self.measures.found(Found::Remembered, keys.len());
        self.measures.found(Found::Fetched, unknown.len());
        let unknown: Vec<_> = unknown.into_iter().collect();
        let portions: Vec<_> = unknown.chunks(AT_ONCE).map(<[_]>::to_vec).collect();
        let mut fetched = stream::iter(portions)
            .map(|persons| async move {
                let seen = self.forgotten.load(Ordering::SeqCst);
                Ok::<_, Unavailable>((self.source.fetch(&persons).await?, seen))
            })
            .buffer_unordered(CONCURRENT_READS);
        while let Some((some, seen)) = fetched.try_next().await? {
            for (person, key) in some {
                keys.insert(person, take(person, key, seen));
            }
        }
        drop(fetched);
        Ok(keys)
    }

    /// Destroys the key of a person: what was sealed for them is unreadable for good. Nothing is left, also of wrappings
    /// that an interrupted rotation left behind. Asked twice, done once.
    ///
    /// # Errors
    /// [`Unavailable`] where the store does not answer; the key may be destroyed or not, and asking again settles it.
    pub async fn erase(&self, person: PersonId) -> Result<(), Unavailable> {
        let owned = self.owned()?;
        let destroyed = owned.destroy_all(person).await;
        // Also where it failed: the key may be gone, and is fetched again if not.
        self.forget(person);
        destroyed
    }

    /// Drops a person's key from memory; it is fetched again if it is asked for.
    pub fn forget(&self, person: PersonId) {
        self.forgotten.fetch_add(1, Ordering::SeqCst);
        self.cache.invalidate(&person);
    }

    /// Drops all keys from memory, for whoever may have missed erasures.
    pub fn forget_all(&self) {
        self.forgotten.fetch_add(1, Ordering::SeqCst);
        self.cache.invalidate_all();
    }

    /// Drops a person's key from memory and answers [`KeyError::Erased`] from now on, for whoever learns from the log
    /// that the person was erased: the log says so a moment before the owner has destroyed the key.
    pub fn mark_erased(&self, person: PersonId) {
        self.erased.insert(person, ());
        self.forget(person);
    }

    /// How many keys are remembered, about: never many more than [`VaultOptions::remembered`].
    pub fn remembered(&self) -> u64 {
        self.cache.run_pending_tasks();
        self.cache.entry_count()
    }

    /// Wraps every stored key under the current key of `ring`, which also takes the place of this vault's ring. It must
    /// hold the keys that were used before, too. Goes on while keys are made and destroyed; interrupted, it goes on when
    /// run again. Data keys and the log stay as they are.
    ///
    /// Before: every process that unwraps keys must have the new key configured. After, without error: the old
    /// key-encryption keys can be taken out of configuration.
    ///
    /// # Errors
    /// Where the store does not answer, or some stored keys could not be unwrapped (all others are rewrapped then).
    pub async fn rotate(
        &self,
        ring: KeyRing,
        progress: impl FnMut(RotationProgress) + Send,
    ) -> Result<RotationProgress, RotationError> {
        let owned = self.owned()?;
        *owned.ring.write().unwrap_or_else(PoisonError::into_inner) = ring.clone();
        drop(owned.storing.write().await);
        rotation::rotate(owned.store.as_ref(), &ring, progress).await
    }

    /// The same under another key of the ring that this vault has. From then on it wraps new keys under that one too.
    ///
    /// # Errors
    /// [`RotationError::UnknownKey`] where the ring has no such key; else as [`Vault::rotate`].
    pub async fn rotate_to(
        &self,
        key_encryption_key: &str,
        progress: impl FnMut(RotationProgress) + Send,
    ) -> Result<RotationProgress, RotationError> {
        let turned = self.owned()?.ring().turned_to(key_encryption_key);
        let ring =
            turned.ok_or_else(|| RotationError::UnknownKey(key_encryption_key.to_owned()))?;
        self.rotate(ring, progress).await
    }

    fn owned(&self) -> Result<&Owned, Unavailable> {
        self.owned.as_ref().ok_or(Unavailable::ReadOnly)
    }

    /// Remembers a key, unless something was forgotten since `seen` was read, before the key was fetched: it might be
    /// this very key, fetched just before it was destroyed.
    fn remember(&self, person: PersonId, key: DataKey, seen: u64) -> Arc<DataKey> {
        let key = Arc::new(key);
        self.cache.insert(person, Arc::clone(&key));
        // Looked at after the insertion: a `forget` that comes later finds the key and drops it.
        if self.forgotten.load(Ordering::SeqCst) != seen {
            self.cache.invalidate(&person);
        }
        key
    }
}

impl Owned {
    fn ring(&self) -> KeyRing {
        self.ring
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    async fn destroy_all(&self, person: PersonId) -> Result<(), Unavailable> {
        // A rotation may put a new wrapping while the old one is destroyed, but
        // not after the last one is: it expects the one that it read.
        while let Some(stored) = self.store.last(person).await? {
            self.store.destroy(stored.sequence).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl KeySource for Owned {
    async fn fetch(&self, persons: &[PersonId]) -> Result<Vec<(PersonId, DataKey)>, Unavailable> {
        let ring = self.ring();
        let stored = self.store.last_of(persons).await?;
        stored
            .into_iter()
            .map(|stored| Ok((stored.person, ring.unwrap(stored.person, &stored.wrapped)?)))
            .collect()
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault")
            .field("owner", &self.owned.is_some())
            .field("remembered", &self.cache.entry_count())
            .finish()
    }
}
