//! The keys that lock the keys: each person's key lies in the store only wrapped under one of these.

use std::{collections::BTreeMap, fmt, sync::Arc, time::SystemTime};

use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use prost::Message as _;
use proto::eldercare::r#type::v1 as pb;
use sm3::Sm3;
use zeroize::Zeroizing;

use crate::{
    Algorithm, ConfigError, DataKey, KeysConfig, Mode, PersonId, SecretKey,
    algorithm::{Cipher, NONCE, TAG, fresh_nonce},
    configuration::WellKnown,
};

/// A key-encryption key: wraps data keys, and is never stored beside them.
///
/// From its 32 bytes one wrapping key is derived for each cipher (HMAC-SM3 with
/// the cipher as the message), so that a data key for SM4 is wrapped by SM4,
/// and no key serves two ciphers.
pub struct KeyEncryptionKey {
    id: String,
    sm4: Cipher,
    aes: Cipher,
}

/// The key-encryption keys from configuration. Cheap to clone.
#[derive(Clone)]
pub struct KeyRing {
    current: Arc<KeyEncryptionKey>,
    keys: Arc<BTreeMap<String, Arc<KeyEncryptionKey>>>,
}

/// Why a stored key cannot be unwrapped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnwrapError {
    /// The stored message is no wrapped key.
    #[error("the stored key is malformed")]
    Malformed,
    /// The key-encryption key is not configured here.
    #[error("the key-encryption key `{0}` is not configured")]
    UnknownKey(String),
    /// It was not wrapped with the configured key of that name for that person, or was changed since.
    #[error(
        "the stored key does not unwrap with the key-encryption key `{0}`: changed, or another key under that name"
    )]
    Forged(String),
}

impl KeyEncryptionKey {
    /// A key-encryption key by its name in configuration.
    pub fn new(id: impl Into<String>, secret: &SecretKey) -> Self {
        let derive = |algorithm: Algorithm| {
            let mut derivation = Hmac::<Sm3>::new_from_slice(secret.as_bytes())
                .expect("HMAC takes keys of any length");
            derivation.update(b"eldercare.key-encryption.v1");
            derivation.update(&[algorithm.code()]);
            let derived = Zeroizing::new(<[u8; 32]>::from(derivation.finalize().into_bytes()));
            Cipher::new(algorithm, &derived[..algorithm.key_length()])
                .expect("the length was taken from the algorithm")
        };
        Self {
            id: id.into(),
            sm4: derive(Algorithm::Sm4Gcm),
            aes: derive(Algorithm::Aes256Gcm),
        }
    }

    /// Its name in configuration.
    pub fn id(&self) -> &str {
        &self.id
    }

    fn cipher(&self, algorithm: Algorithm) -> &Cipher {
        match algorithm {
            Algorithm::Sm4Gcm => &self.sm4,
            Algorithm::Aes256Gcm => &self.aes,
        }
    }
}

impl KeyRing {
    /// The ring that an operator configured.
    ///
    /// # Errors
    /// Where the current key is missing, a name is malformed, or, in
    /// production, a key is a well-known or an obviously weak one.
    pub fn from_config(config: &KeysConfig, mode: Mode) -> Result<Self, ConfigError> {
        config.check(mode)?;
        let keys: BTreeMap<_, _> = config
            .keys
            .iter()
            .map(|(id, secret)| (id.clone(), Arc::new(KeyEncryptionKey::new(id, secret))))
            .collect();
        let current = keys
            .get(&config.current)
            .ok_or_else(|| ConfigError::CurrentMissing(config.current.clone()))?;
        Ok(Self {
            current: Arc::clone(current),
            keys: Arc::new(keys),
        })
    }

    /// The well-known ring of local mode, so that one machine with sample data needs no configuration.
    ///
    /// # Errors
    /// [`ConfigError::WellKnown`] in production.
    pub fn local_default(mode: Mode) -> Result<Self, ConfigError> {
        Self::from_config(&Self::local_default_config(), mode)
    }

    /// The configuration behind [`KeyRing::local_default`], to be used as a default by whoever reads configuration.
    pub fn local_default_config() -> KeysConfig {
        KeysConfig::well_known(WellKnown::KeyEncryption)
    }

    /// The same keys, another of them current; none where it is not among them.
    #[must_use]
    pub fn turned_to(&self, current: &str) -> Option<Self> {
        Some(Self {
            current: Arc::clone(self.keys.get(current)?),
            keys: Arc::clone(&self.keys),
        })
    }

    /// The key that wraps new data keys.
    pub fn current(&self) -> &KeyEncryptionKey {
        &self.current
    }

    /// A new data key, wrapped for the store.
    pub(crate) fn wrap(&self, person: PersonId, key: &DataKey) -> Bytes {
        self.wrap_made_at(person, key, SystemTime::now().into())
    }

    fn wrap_made_at(&self, person: PersonId, key: &DataKey, made: prost_types::Timestamp) -> Bytes {
        let kek = &self.current;
        let algorithm = key.algorithm();
        let nonce = fresh_nonce();
        let additional = additional_data(algorithm, person, &kek.id);
        pb::WrappedKey {
            key_encryption_key: kek.id.clone(),
            algorithm: pb::SealingAlgorithm::from(algorithm).into(),
            nonce: Bytes::copy_from_slice(&nonce),
            ciphertext: key
                .encrypt_with(kek.cipher(algorithm), &nonce, &additional)
                .into(),
            create_time: Some(made),
        }
        .encode_to_vec()
        .into()
    }

    /// The data key in a stored message.
    pub(crate) fn unwrap(&self, person: PersonId, stored: &[u8]) -> Result<DataKey, UnwrapError> {
        self.open(person, &decode(stored)?)
    }

    /// The stored message under the current key, or `None` where it is under that already.
    pub(crate) fn rewrap(
        &self,
        person: PersonId,
        stored: &[u8],
    ) -> Result<Option<Bytes>, UnwrapError> {
        let wrapped = decode(stored)?;
        if wrapped.key_encryption_key == self.current.id {
            return Ok(None);
        }
        let key = self.open(person, &wrapped)?;
        let made = wrapped.create_time.unwrap_or_default();
        Ok(Some(self.wrap_made_at(person, &key, made)))
    }

    fn open(&self, person: PersonId, wrapped: &pb::WrappedKey) -> Result<DataKey, UnwrapError> {
        let id = &wrapped.key_encryption_key;
        let kek = self
            .keys
            .get(id)
            .ok_or_else(|| UnwrapError::UnknownKey(id.clone()))?;
        let algorithm =
            Algorithm::try_from(wrapped.algorithm).map_err(|_unknown| UnwrapError::Malformed)?;
        let nonce = <&[u8; NONCE]>::try_from(wrapped.nonce.as_ref())
            .map_err(|_length| UnwrapError::Malformed)?;
        let (ciphertext, tag) = wrapped
            .ciphertext
            .split_last_chunk::<TAG>()
            .ok_or(UnwrapError::Malformed)?;
        let mut material = Zeroizing::new(ciphertext.to_vec());
        kek.cipher(algorithm)
            .decrypt(
                nonce,
                &additional_data(algorithm, person, id),
                &mut material,
                tag,
            )
            .map_err(|_forged| UnwrapError::Forged(id.clone()))?;
        DataKey::from_material(algorithm, material).map_err(|_length| UnwrapError::Malformed)
    }
}

fn decode(stored: &[u8]) -> Result<pb::WrappedKey, UnwrapError> {
    pb::WrappedKey::decode(stored).map_err(|_malformed| UnwrapError::Malformed)
}

/// What is bound to a wrapped key; only the name of the key-encryption key varies in length, and it stands last.
fn additional_data(algorithm: Algorithm, person: PersonId, kek: &str) -> Vec<u8> {
    let mut data = b"eldercare.wrapped-key.v1".to_vec();
    data.push(algorithm.code());
    data.extend_from_slice(person.as_bytes());
    data.extend_from_slice(kek.as_bytes());
    data
}

impl fmt::Debug for KeyEncryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyEncryptionKey({}, ****)", self.id)
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRing")
            .field("current", &self.current)
            .field("keys", &self.keys.keys())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(current: &str, names: &[(&str, u8)]) -> KeyRing {
        let secret = |byte: u8| SecretKey::new(std::array::from_fn(|index| byte ^ index as u8));
        let config = KeysConfig {
            current: current.into(),
            keys: names
                .iter()
                .map(|(name, byte)| ((*name).to_owned(), secret(*byte)))
                .collect(),
        };
        KeyRing::from_config(&config, Mode::Production).unwrap()
    }

    #[test]
    fn a_wrapped_key_unwraps_for_its_person_alone() {
        let ring = ring("a", &[("a", 1)]);
        let (person, other) = (PersonId::now_v7(), PersonId::now_v7());
        for algorithm in [Algorithm::Sm4Gcm, Algorithm::Aes256Gcm] {
            let key = DataKey::generate(algorithm);
            let stored = ring.wrap(person, &key);
            assert_eq!(ring.unwrap(person, &stored).unwrap().expose(), key.expose());
            assert_eq!(
                ring.unwrap(other, &stored).unwrap_err(),
                UnwrapError::Forged("a".into())
            );
        }
    }

    #[test]
    fn rewrapping_changes_the_wrapping_and_neither_key_nor_its_date() {
        let person = PersonId::now_v7();
        let key = DataKey::generate(Algorithm::Sm4Gcm);
        let old = ring("a", &[("a", 1)]).wrap(person, &key);
        let both = ring("b", &[("a", 1), ("b", 2)]);
        let new = both.rewrap(person, &old).unwrap().unwrap();

        let only_new = ring("b", &[("b", 2)]);
        assert_eq!(
            only_new.unwrap(person, &new).unwrap().expose(),
            key.expose()
        );
        assert_eq!(
            only_new.unwrap(person, &old).unwrap_err(),
            UnwrapError::UnknownKey("a".into())
        );
        assert_eq!(
            decode(&new).unwrap().create_time,
            decode(&old).unwrap().create_time
        );
        assert_eq!(both.rewrap(person, &new), Ok(None));
    }

    #[test]
    fn every_changed_bit_of_a_wrapped_key_is_noticed() {
        let ring = ring("a", &[("a", 1)]);
        let person = PersonId::now_v7();
        let key = DataKey::generate(Algorithm::Sm4Gcm);
        let wrapped = decode(&ring.wrap(person, &key)).unwrap();
        for at in 0..wrapped.ciphertext.len() * 8 {
            let mut changed = wrapped.clone();
            let mut ciphertext = changed.ciphertext.to_vec();
            ciphertext[at / 8] ^= 1 << (at % 8);
            changed.ciphertext = ciphertext.into();
            assert!(ring.unwrap(person, &changed.encode_to_vec()).is_err());
        }
        for length in 0..wrapped.ciphertext.len() {
            let mut cut = wrapped.clone();
            cut.ciphertext.truncate(length);
            assert!(ring.unwrap(person, &cut.encode_to_vec()).is_err());
        }
    }

    #[test]
    fn the_well_known_ring_is_for_local_mode_alone() {
        assert!(KeyRing::local_default(Mode::Local).is_ok());
        assert_eq!(
            KeyRing::local_default(Mode::Production).unwrap_err(),
            ConfigError::WellKnown("local".into())
        );
        // Giving the well-known key another name, or only keeping it for reading, does not help.
        let KeysConfig { keys, .. } = KeyRing::local_default_config();
        let mut config = KeysConfig::single(
            "own",
            SecretKey::new(std::array::from_fn(|index| index as u8)),
        );
        config.keys.insert("renamed".into(), keys["local"].clone());
        assert_eq!(
            KeyRing::from_config(&config, Mode::Production).unwrap_err(),
            ConfigError::WellKnown("renamed".into())
        );
    }
}
