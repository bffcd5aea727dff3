//! Seals what is personal about an elder under a key of that elder alone, so that destroying the key forgets the elder.
//!
//! In reading order: [`Algorithm`] (which cipher), [`DataKey`] (one person's
//! key) seals into and opens [`Sealed`]; a [`KeyRing`] from configuration wraps
//! data keys for a [`KeyStore`] (the stream `VAULT`, or memory in tests);
//! [`Vault`] puts them together with a bounded cache. [`BlindIndex`] finds an
//! ID number again without showing it.
//!
//! What holds, and must go on holding:
//! - A key is stored durably before `create` returns, hence before the first
//!   record that it seals can be appended.
//! - A ciphertext opens only as what it was sealed as: its cipher, person and
//!   purpose are bound to it.
//! - Outside local mode nothing starts with keys that everybody knows.
//! - No secret and no personal data shows in any `Debug`, error or log line.
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests may unwrap"))]

mod algorithm;
mod blind_index;
mod configuration;
mod data_key;
mod gatherer;
mod jetstream;
mod key_ring;
mod key_store;
mod measures;
mod memory;
mod rotation;
mod sealed;
mod vault;

pub use algorithm::{Algorithm, UnknownAlgorithm};
pub use blind_index::{BlindIndex, Digest, MalformedDigest};
pub use configuration::{ConfigError, KeysConfig, Mode, SecretKey};
pub use data_key::{DataKey, OpenError, WrongKeyLength};
pub use jetstream::{Gather, JetStreamKeyStore, KeyStream, OpenStoreError};
pub use key_ring::{KeyEncryptionKey, KeyRing, UnwrapError};
pub use key_store::{Entry, KeyStore, PutError, StoreError, StoredKey};
pub use memory::MemoryKeyStore;
pub use rotation::{RotationError, RotationProgress};
pub use sealed::{EnvelopeError, Sealed};
pub use vault::{Created, KeyError, KeySource, Unavailable, Vault, VaultOptions};

/// The person whose data is sealed: an elder's id, never used for another person.
pub type PersonId = uuid::Uuid;
