//! Finds an ID number again without showing it: a keyed digest that tells nobody without the key which number it stands for.

use std::{fmt, str::FromStr, sync::Arc};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sm3::Sm3;

use crate::{
    ConfigError, KeysConfig, Mode,
    configuration::{WellKnown, is_key_name},
};

/// Keyed digests (HMAC-SM3) of values that must be found but not read, and of requests.
///
/// ID numbers are few enough to try them all against a plain hash; without the
/// key of this index that is of no use. Several keys may be configured: digests
/// are made with the current one, and looked up under each, so that the key can
/// be changed. Cheap to clone.
#[derive(Clone)]
pub struct BlindIndex {
    /// The current key first.
    keys: Arc<[IndexKey]>,
}

struct IndexKey {
    id: Arc<str>,
    keyed: Hmac<Sm3>,
}

/// A keyed digest, and the name of the key that made it.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest {
    key: Arc<str>,
    bytes: [u8; 32],
}

/// A text that is no digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no digest: expected the key's name, `-` and 64 lower-case hexadecimal digits")]
pub struct MalformedDigest;

impl BlindIndex {
    /// The index with the keys that an operator configured.
    ///
    /// # Errors
    /// Where the current key is missing, a name is malformed, or, in
    /// production, a key is a well-known or an obviously weak one.
    pub fn from_config(config: &KeysConfig, mode: Mode) -> Result<Self, ConfigError> {
        config.check(mode)?;
        let mut keys: Vec<_> = config
            .keys
            .iter()
            .map(|(id, secret)| IndexKey {
                id: id.as_str().into(),
                keyed: Hmac::new_from_slice(secret.as_bytes())
                    .expect("HMAC takes keys of any length"),
            })
            .collect();
        keys.sort_by_key(|key| *key.id != *config.current);
        Ok(Self { keys: keys.into() })
    }

    /// The well-known index of local mode.
    ///
    /// # Errors
    /// [`ConfigError::WellKnown`] in production.
    pub fn local_default(mode: Mode) -> Result<Self, ConfigError> {
        Self::from_config(&Self::local_default_config(), mode)
    }

    /// The configuration behind [`BlindIndex::local_default`].
    pub fn local_default_config() -> KeysConfig {
        KeysConfig::well_known(WellKnown::BlindIndex)
    }

    /// The digest of a value under the current key. The `domain` (`id_number`,
    /// `name`) keeps equal values of different fields apart. The value must be
    /// normalised: equal values are equal bytes.
    pub fn digest(&self, domain: &'static str, value: &str) -> Digest {
        self.keys[0].digest(domain, value)
    }

    /// The digests of a value under each key, the current first: under which it may be found.
    pub fn digests(&self, domain: &'static str, value: &str) -> impl Iterator<Item = Digest> {
        self.keys.iter().map(move |key| key.digest(domain, value))
    }

    /// The digests by which a repeated request is told from another one with the same request id: of its method and its
    /// bytes, under each key, the current first, since a retry may be of a request from before the key was changed. Keyed,
    /// because they stay in the log when the person is erased, and must not give away what was asked.
    pub fn request_digests(&self, method: &str, request: &[u8]) -> impl Iterator<Item = [u8; 16]> {
        self.keys
            .iter()
            .map(move |key| key.request_digest(method, request))
    }

    /// The name of the current key.
    pub fn current_key(&self) -> &str {
        &self.keys[0].id
    }

    /// A digest of nothing under the key of this name, by which two keys of one name are told apart; `None` where it is
    /// not configured. It gives nothing away.
    pub fn check_value(&self, key: &str) -> Option<[u8; 16]> {
        let key = self.keys.iter().find(|one| *one.id == *key)?;
        let whole = key.mac("eldercare.check", &[]);
        Some(*whole.first_chunk().expect("32 bytes"))
    }
}

impl IndexKey {
    fn digest(&self, domain: &str, value: &str) -> Digest {
        Digest {
            key: Arc::clone(&self.id),
            bytes: self.mac(domain, &[value.as_bytes()]),
        }
    }

    fn request_digest(&self, method: &str, request: &[u8]) -> [u8; 16] {
        let whole = self.mac("eldercare.request", &[method.as_bytes(), &[0], request]);
        *whole.first_chunk().expect("32 bytes")
    }

    fn mac(&self, domain: &str, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = self.keyed.clone();
        // The zero ends the domain: no domain is the beginning of another with its value.
        mac.update(domain.as_bytes());
        mac.update(&[0]);
        for part in parts {
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

impl Digest {
    /// The name of the key that made it.
    pub fn key_id(&self) -> &str {
        &self.key
    }

    /// The digest itself.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.bytes
    }

    /// 64 lower-case hexadecimal digits.
    pub fn hex(&self) -> String {
        use fmt::Write as _;
        self.bytes
            .iter()
            .fold(String::with_capacity(64), |mut text, byte| {
                let _infallible = write!(text, "{byte:02x}");
                text
            })
    }

    /// `<key's name>-<hexadecimal digest>`: one token of a NATS subject.
    pub fn subject_token(&self) -> String {
        self.to_string()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.key, self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

impl FromStr for Digest {
    type Err = MalformedDigest;

    fn from_str(token: &str) -> Result<Self, MalformedDigest> {
        let (key, hex) = token.split_once('-').ok_or(MalformedDigest)?;
        if !is_key_name(key) || hex.len() != 64 {
            return Err(MalformedDigest);
        }
        let digit = |at: u8| match at {
            b'0'..=b'9' => Ok(at - b'0'),
            b'a'..=b'f' => Ok(at - b'a' + 10),
            _ => Err(MalformedDigest),
        };
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(hex.as_bytes().chunks(2)) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Ok(Self {
            key: key.into(),
            bytes,
        })
    }
}

impl fmt::Debug for BlindIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.keys.iter().map(|key| &key.id))
            .finish()
    }
}
