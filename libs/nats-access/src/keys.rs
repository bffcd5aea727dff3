//! The keys by which the NATS server knows who answers for it, and by which passwords on the way are hidden.

use std::{fmt, str::FromStr};

use nkeys::{KeyPair, KeyPairType, XKey};

/// A text is no key of the kind that is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not the seed of an account's key.
    #[error("no seed of an issuer's key (it begins with SA)")]
    Issuer,
    /// Not the seed of a curve key.
    #[error("no seed of a sealing key (it begins with SX)")]
    Sealing,
}

/// The key that signs what users may do; the server's configuration names its public half. Shown as that half alone.
pub struct Issuer(KeyPair);

impl Issuer {
    /// A new one.
    #[must_use]
    pub fn generate() -> Self {
        Self(KeyPair::new_account())
    }

    /// What stands in the server's configuration (`A…`).
    #[must_use]
    pub fn public_key(&self) -> String {
        self.0.public_key()
    }

    /// The secret itself (`SA…`), to be kept where secrets are kept.
    ///
    /// # Panics
    /// Never: a key that signs has its seed.
    #[must_use]
    pub fn seed(&self) -> String {
        self.0.seed().expect("a key that signs has its seed")
    }

    pub(crate) fn sign(&self, text: &[u8]) -> Vec<u8> {
        self.0.sign(text).expect("a key from a seed signs")
    }
}

impl FromStr for Issuer {
    type Err = KeyError;

    /// Reads a seed.
    fn from_str(seed: &str) -> Result<Self, KeyError> {
        let pair = KeyPair::from_seed(seed.trim()).map_err(|_| KeyError::Issuer)?;
        if pair.key_pair_type() == KeyPairType::Account {
            Ok(Self(pair))
        } else {
            Err(KeyError::Issuer)
        }
    }
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Issuer").field(&self.public_key()).finish()
    }
}

/// The key that hides the server's questions, in which passwords stand, from other users of the same account. Shown as its
/// public half alone.
pub struct SealingKey(XKey);

impl SealingKey {
    /// A new one.
    #[must_use]
    pub fn generate() -> Self {
        Self(XKey::new())
    }

    /// What stands in the server's configuration (`X…`).
    #[must_use]
    pub fn public_key(&self) -> String {
        self.0.public_key()
    }

    /// The secret itself (`SX…`), to be kept where secrets are kept.
    ///
    /// # Panics
    /// Never: a key that opens has its seed.
    #[must_use]
    pub fn seed(&self) -> String {
        self.0.seed().expect("a key that opens has its seed")
    }

    /// Opens what a server sealed for us.
    pub(crate) fn open(&self, sealed: &[u8], server: &str) -> Option<Vec<u8>> {
        self.0
            .open(sealed, &XKey::from_public_key(server).ok()?)
            .ok()
    }

    /// Seals an answer for that server.
    pub(crate) fn seal(&self, text: &[u8], server: &str) -> Option<Vec<u8>> {
        self.0.seal(text, &XKey::from_public_key(server).ok()?).ok()
    }
}

impl FromStr for SealingKey {
    type Err = KeyError;

    /// Reads a seed.
    fn from_str(seed: &str) -> Result<Self, KeyError> {
        XKey::from_seed(seed.trim())
            .map(Self)
            .map_err(|_| KeyError::Sealing)
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SealingKey")
            .field(&self.public_key())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_back_from_their_seeds_and_never_show_them() {
        let issuer = Issuer::generate();
        let again: Issuer = issuer.seed().parse().unwrap();
        assert_eq!(again.public_key(), issuer.public_key());
        assert!(!format!("{issuer:?}").contains(&issuer.seed()));
        let sealing = SealingKey::generate();
        let again: SealingKey = sealing.seed().parse().unwrap();
        assert_eq!(again.public_key(), sealing.public_key());
        assert!(!format!("{sealing:?}").contains(&sealing.seed()));
    }

    #[test]
    fn a_key_of_another_kind_is_refused() {
        let user = KeyPair::new_user().seed().unwrap();
        assert_eq!(user.parse::<Issuer>().unwrap_err(), KeyError::Issuer);
        let issuer = Issuer::generate().seed();
        assert_eq!(issuer.parse::<SealingKey>().unwrap_err(), KeyError::Sealing);
        assert_eq!("".parse::<Issuer>().unwrap_err(), KeyError::Issuer);
    }

    #[test]
    fn what_is_sealed_is_opened_by_its_receiver_alone() {
        let (ours, server, other) = (
            SealingKey::generate(),
            SealingKey::generate(),
            SealingKey::generate(),
        );
        let sealed = server.seal(b"question", &ours.public_key()).unwrap();
        assert_eq!(
            ours.open(&sealed, &server.public_key()).unwrap(),
            b"question"
        );
        assert_eq!(other.open(&sealed, &server.public_key()), None);
    }
}
