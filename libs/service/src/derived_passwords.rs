//! Passwords that follow from a fact in the log and a key of the service, so that none is written down, a retry is answered
//! with the same one, and a new fact makes another.
//!
//! Where the key is changed, what followed from the former ones is admitted as long as these are configured.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sm3::Sm3;
use uuid::Uuid;

use crate::settings::Settings;

/// There is no key to derive passwords from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("`vault.index_key` is not configured: passwords follow from it")]
pub struct NoPasswordKey;

/// Derives passwords.
#[derive(Clone)]
pub struct DerivedPasswords {
    current: Hmac<Sm3>,
    former: Vec<Hmac<Sm3>>,
}

impl std::fmt::Debug for DerivedPasswords {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DerivedPasswords")
    }
}

impl DerivedPasswords {
    /// Under keys of their own, derived for this purpose from `vault.index_key` and `vault.previous_index_keys`.
    ///
    /// # Errors
    /// If no index key is configured.
    pub fn from_settings(settings: &Settings, purpose: &[u8]) -> Result<Self, NoPasswordKey> {
        let vault = &settings.vault;
        let current = vault.index_key.as_ref().ok_or(NoPasswordKey)?;
        let former = vault.previous_index_keys.values();
        Ok(Self::keyed(
            purpose,
            current.expose().as_bytes(),
            former.map(|key| key.expose().as_bytes()),
        ))
    }

    /// Under a key, beside what followed from former ones.
    #[must_use]
    pub fn keyed<'key>(
        purpose: &[u8],
        current: &[u8],
        former: impl IntoIterator<Item = &'key [u8]>,
    ) -> Self {
        let derived = |key: &[u8]| derived(purpose, key);
        Self {
            current: derived(current),
            former: former.into_iter().map(derived).collect(),
        }
    }

    /// The password that somebody has by a fact.
    #[must_use]
    pub fn of(&self, owner: &str, fact: Uuid) -> String {
        let password = digest(&self.current, owner, fact);
        URL_SAFE_NO_PAD.encode(password.finalize().into_bytes())
    }

    /// Whether this is the password that somebody has by a fact; takes as long for any other one.
    #[must_use]
    pub fn admits(&self, owner: &str, fact: Uuid, password: &str) -> bool {
        let Ok(password) = URL_SAFE_NO_PAD.decode(password) else {
            return false;
        };
        // All are compared, so that the time does not tell which one it was.
        std::iter::once(&self.current)
            .chain(&self.former)
            .map(|key| digest(key, owner, fact).verify_slice(&password))
            .fold(false, |admitted, verified| admitted | verified.is_ok())
    }
}

fn digest(key: &Hmac<Sm3>, owner: &str, fact: Uuid) -> Hmac<Sm3> {
    key.clone()
        .chain_update(fact.as_bytes())
        .chain_update(owner)
}

fn derived(purpose: &[u8], key: &[u8]) -> Hmac<Sm3> {
    mac(&mac(key).chain_update(purpose).finalize().into_bytes())
}

fn mac(key: &[u8]) -> Hmac<Sm3> {
    Hmac::new_from_slice(key).expect("a MAC takes a key of any length")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PURPOSE: &[u8] = b"a test";

    fn keyed<'key>(
        current: &[u8],
        former: impl IntoIterator<Item = &'key [u8]>,
    ) -> DerivedPasswords {
        DerivedPasswords::keyed(PURPOSE, current, former)
    }

    #[test]
    fn a_password_is_of_one_owner_one_fact_and_one_purpose() {
        let passwords = keyed(b"a key", []);
        let (first, second) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let password = passwords.of("SB0001", first);
        assert_eq!(password.len(), 43);
        assert_eq!(password, passwords.of("SB0001", first));
        assert!(passwords.admits("SB0001", first, &password));
        assert!(!passwords.admits("SB0001", second, &password));
        assert!(!passwords.admits("SB0002", first, &password));
        assert!(!keyed(b"another", []).admits("SB0001", first, &password));
        let elsewhere = DerivedPasswords::keyed(b"another purpose", b"a key", []);
        assert!(!elsewhere.admits("SB0001", first, &password));
        for wrong in ["", "=", "密码", &password[1..]] {
            assert!(!passwords.admits("SB0001", first, wrong));
        }
    }

    #[test]
    fn a_changed_key_shuts_nobody_out_while_the_former_one_is_configured() {
        let fact = Uuid::from_u128(1);
        let password = keyed(b"former", []).of("SB0001", fact);
        let changed = keyed(b"current", [b"former".as_slice()]);
        assert!(changed.admits("SB0001", fact, &password));
        let own = changed.of("SB0001", fact);
        assert_ne!(own, password);
        assert!(changed.admits("SB0001", fact, &own));
        assert!(!keyed(b"current", []).admits("SB0001", fact, &password));
    }
}
