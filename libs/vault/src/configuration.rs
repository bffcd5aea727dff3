//! Secret keys as an operator configures them: named, masked wherever they might be shown, and never the well-known ones in earnest.

use std::{collections::BTreeMap, fmt};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sm3::{Digest as _, Sm3};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Whether the data is real.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// One machine and sample data: the well-known keys will do.
    Local,
    /// Real data: each key must be the operator's own.
    Production,
}

/// 32 secret bytes, written as 64 hexadecimal digits or in Base64.
///
/// Shown as `********` by `Debug` and when serialised, wiped on drop.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct SecretKey([u8; 32]);

/// Named keys, one of them current: new data is protected with that one, the others still read what is older.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeysConfig {
    /// The name of the current key.
    pub current: String,
    /// Each key by its name: 1 to 32 of `a-z0-9_`.
    pub keys: BTreeMap<String, SecretKey>,
}

/// Why keys cannot be used. Names keys by their names, never by their bytes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A well-known key outside local mode.
    #[error(
        "the key `{0}` is the well-known key of local mode: everybody can read what it protects; configure a key of your own (32 random bytes)"
    )]
    WellKnown(String),
    /// A key of one repeated byte, such as all zeros.
    #[error("the key `{0}` is one byte repeated, which is no secret; configure 32 random bytes")]
    Weak(String),
    /// The current key is not among the keys.
    #[error("the current key `{0}` is not among the configured keys")]
    CurrentMissing(String),
    /// A key's name has characters that cannot stand in a subject, or is too long.
    #[error("`{0}` is no name for a key: 1 to 32 of `a-z`, `0-9`, `_`")]
    Name(String),
    /// Two names for one key, most likely a mistake when a new key was to be added.
    #[error("the keys `{0}` and `{1}` are the same")]
    Same(String, String),
}

impl SecretKey {
    /// A key from its bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The key that local mode uses for `role`; it stands in the source for everybody to read.
    pub(crate) fn well_known(role: WellKnown) -> Self {
        let phrase = match role {
            WellKnown::KeyEncryption => {
                "eldercare, local mode: key-encryption key, known to everybody"
            }
            WellKnown::BlindIndex => "eldercare, local mode: blind-index key, known to everybody",
        };
        Self(Sm3::digest(phrase).into())
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    fn parse(text: &str) -> Option<Self> {
        let mut key = Self([0; 32]);
        if text.len() == 64 {
            for (byte, pair) in key.0.iter_mut().zip(text.as_bytes().chunks(2)) {
                let digit = |at: u8| char::from(at).to_digit(16);
                *byte = u8::try_from(digit(pair[0])? << 4 | digit(pair[1])?).ok()?;
            }
        } else {
            let decoded = Zeroizing::new(BASE64.decode(text).ok()?);
            key.0 = decoded.as_slice().try_into().ok()?;
        }
        Some(key)
    }
}

/// What a well-known key is for; each role has its own.
#[derive(Clone, Copy)]
pub(crate) enum WellKnown {
    KeyEncryption,
    BlindIndex,
}

impl KeysConfig {
    /// One key, which is current.
    pub fn single(name: impl Into<String>, key: SecretKey) -> Self {
        let name = name.into();
        Self {
            keys: BTreeMap::from([(name.clone(), key)]),
            current: name,
        }
    }

    pub(crate) fn well_known(role: WellKnown) -> Self {
        Self::single("local", SecretKey::well_known(role))
    }

    /// Everything that can be wrong with keys, found before anything starts.
    pub(crate) fn check(&self, mode: Mode) -> Result<(), ConfigError> {
        for (name, key) in &self.keys {
            if !is_key_name(name) {
                return Err(ConfigError::Name(name.clone()));
            }
            if let Some((other, _)) = self
                .keys
                .iter()
                .find(|(other, same)| *other < name && *same == key)
            {
                return Err(ConfigError::Same(other.clone(), name.clone()));
            }
            match mode {
                Mode::Local => {}
                Mode::Production => {
                    let known = [WellKnown::KeyEncryption, WellKnown::BlindIndex];
                    if known
                        .into_iter()
                        .any(|role| *key == SecretKey::well_known(role))
                    {
                        return Err(ConfigError::WellKnown(name.clone()));
                    }
                    if key.0.iter().all(|byte| *byte == key.0[0]) {
                        return Err(ConfigError::Weak(name.clone()));
                    }
                }
            }
        }
        if !self.keys.contains_key(&self.current) {
            return Err(ConfigError::CurrentMissing(self.current.clone()));
        }
        Ok(())
    }
}

/// Key names stand in subjects and records.
pub(crate) fn is_key_name(name: &str) -> bool {
    let known = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
    (1..=32).contains(&name.len()) && name.bytes().all(known)
}

const MASK: &str = "********";

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl Serialize for SecretKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(MASK)
    }
}

impl<'de> Deserialize<'de> for SecretKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SecretVisitor)
    }
}

/// Refuses by itself what is no text: serde's own refusals repeat the value.
struct SecretVisitor;

impl SecretVisitor {
    fn refusal<E: de::Error>() -> E {
        E::custom("a secret key must be 32 bytes as 64 hexadecimal digits or in Base64")
    }
}

impl de::Visitor<'_> for SecretVisitor {
    type Value = SecretKey;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("32 bytes as 64 hexadecimal digits or in Base64")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<SecretKey, E> {
        SecretKey::parse(text.trim()).ok_or_else(Self::refusal)
    }

    fn visit_i64<E: de::Error>(self, _secret: i64) -> Result<SecretKey, E> {
        Err(Self::refusal())
    }

    fn visit_i128<E: de::Error>(self, _secret: i128) -> Result<SecretKey, E> {
        Err(Self::refusal())
    }

    fn visit_u64<E: de::Error>(self, _secret: u64) -> Result<SecretKey, E> {
        Err(Self::refusal())
    }

    fn visit_u128<E: de::Error>(self, _secret: u128) -> Result<SecretKey, E> {
        Err(Self::refusal())
    }

    fn visit_f64<E: de::Error>(self, _secret: f64) -> Result<SecretKey, E> {
        Err(Self::refusal())
    }

    fn visit_bytes<E: de::Error>(self, _secret: &[u8]) -> Result<SecretKey, E> {
        Err(Self::refusal())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(json: &str) -> Result<KeysConfig, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn hexadecimal_and_base64_give_the_same_key() {
        let expected = SecretKey::new(std::array::from_fn(|index| index as u8));
        for text in [
            "000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F",
            "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
        ] {
            let json = format!(r#"{{"current":"a","keys":{{"a":"{text}"}}}}"#);
            assert_eq!(parsed(&json).unwrap().keys["a"], expected);
        }
    }

    #[test]
    fn a_malformed_key_is_refused_without_being_shown() {
        for text in [
            "",
            "abc",
            "AAECAwQFBgc=",
            &"g".repeat(64),
            &"é".repeat(32),
            &"0".repeat(66),
        ] {
            let json = format!(r#"{{"current":"a","keys":{{"a":"{text}"}}}}"#);
            let error = parsed(&json).unwrap_err().to_string();
            assert!(error.contains("32 bytes"), "{error}");
            assert!(text.len() < 3 || !error.contains(text), "{error}");
        }
    }

    #[test]
    fn a_key_typed_as_a_number_is_not_repeated() {
        for number in ["123456789", "-123456789", "12345.6789", "1e300"] {
            let json = format!(r#"{{"current":"a","keys":{{"a":{number}}}}}"#);
            let error = parsed(&json).unwrap_err().to_string();
            assert!(
                error.contains("32 bytes") && !error.contains("12345"),
                "{error}"
            );
        }
    }

    #[test]
    fn secrets_are_masked_wherever_they_might_be_printed() {
        let config = KeysConfig::single("a", SecretKey::new([7; 32]));
        assert_eq!(
            format!("{config:?}"),
            r#"KeysConfig { current: "a", keys: {"a": ********} }"#
        );
        assert_eq!(
            serde_json::to_string(&config).unwrap(),
            r#"{"current":"a","keys":{"a":"********"}}"#
        );
    }

    #[test]
    fn keys_that_cannot_be_used_are_refused_by_name() {
        let good = SecretKey::new(std::array::from_fn(|index| index as u8));
        let mut config = KeysConfig::single("2026a", good.clone());
        assert_eq!(config.check(Mode::Production), Ok(()));

        config.current = "2026b".into();
        assert_eq!(
            config.check(Mode::Production),
            Err(ConfigError::CurrentMissing("2026b".into()))
        );

        config.keys.insert("2026b".into(), good);
        assert_eq!(
            config.check(Mode::Production),
            Err(ConfigError::Same("2026a".into(), "2026b".into()))
        );

        let zeros = KeysConfig::single("zeros", SecretKey::new([0; 32]));
        assert_eq!(
            zeros.check(Mode::Production),
            Err(ConfigError::Weak("zeros".into()))
        );

        for name in ["", "a.b", "A", "a-b", "a b", "*", &"a".repeat(33)] {
            let config = KeysConfig::single(name, SecretKey::new([1; 32]));
            assert_eq!(
                config.check(Mode::Local),
                Err(ConfigError::Name(name.into()))
            );
        }
    }
}
