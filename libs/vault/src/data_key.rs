//! The key of one person, which seals and opens what is personal about that person.

use std::fmt;

use prost::Message;
use rand::{TryRngCore as _, rngs::OsRng};
use zeroize::Zeroizing;

use crate::{
    PersonId, Sealed,
    algorithm::{Algorithm, Cipher, TAG, fresh_nonce},
    sealed::is_purpose,
};

/// A data key, ready for use: the cipher's tables are computed once. Key and tables are wiped from memory on drop.
pub struct DataKey {
    algorithm: Algorithm,
    /// Kept so that the registry can hand the key to the other services.
    material: Zeroizing<Vec<u8>>,
    cipher: Cipher,
}

/// Key material of another length than its algorithm takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a data key has the wrong length for its algorithm")]
pub struct WrongKeyLength;

/// Why an envelope does not open. No variant says anything about the content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// It says itself that it is another person's.
    #[error("the envelope belongs to another person")]
    AnotherPerson,
    /// It says itself that it is another field.
    #[error("the envelope was sealed for another purpose")]
    AnotherPurpose,
    /// It is sealed with another cipher than the key is for.
    #[error("the envelope was sealed with another algorithm than the key's")]
    AnotherAlgorithm,
    /// It was not sealed with this key, or was changed since.
    #[error("the envelope does not open with this key: changed, or another key")]
    Forged,
    /// It opened, and holds something else than expected: a fault of the writer.
    #[error("the envelope opened, but its content is not the expected message")]
    Content,
}

impl DataKey {
    /// A new key from the operating system's random source.
    ///
    /// # Panics
    /// Where the operating system has no randomness to give; nothing may be sealed then.
    pub fn generate(algorithm: Algorithm) -> Self {
        let mut material = Zeroizing::new(vec![0; algorithm.key_length()]);
        OsRng
            .try_fill_bytes(&mut material)
            .expect("the operating system gives random bytes");
        Self::from_material(algorithm, material).expect("the length was taken from the algorithm")
    }

    /// A key from its bytes, as another service gets it from the registry.
    ///
    /// # Errors
    /// Where the bytes are not as many as the algorithm takes.
    pub fn from_bytes(algorithm: Algorithm, key: &[u8]) -> Result<Self, WrongKeyLength> {
        Self::from_material(algorithm, Zeroizing::new(key.to_vec()))
    }

    pub(crate) fn from_material(
        algorithm: Algorithm,
        material: Zeroizing<Vec<u8>>,
    ) -> Result<Self, WrongKeyLength> {
        let cipher = Cipher::new(algorithm, &material).ok_or(WrongKeyLength)?;
        Ok(Self {
            algorithm,
            material,
            cipher,
        })
    }

    /// The cipher that the key is for.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The key itself, for the services of the system alone: over an encrypted channel, never into a log or a file.
    pub fn expose(&self) -> &[u8] {
        &self.material
    }

    /// Seals one value of the person whose key this is.
    ///
    /// `purpose` names the field (`registry.identity`): 1 to 64 of `a-z0-9_.`.
    /// An envelope moved to another field or person does not open.
    ///
    /// # Panics
    /// Where the purpose is malformed, which is a fault in the code that names it.
    pub fn seal<T: Message>(
        &self,
        purpose: &'static str,
        person: PersonId,
        value: &T,
    ) -> Sealed<T> {
        assert!(is_purpose(purpose), "the purpose `{purpose}` is malformed");
        let nonce = fresh_nonce();
        let mut envelope =
            Sealed::<T>::begin(self.algorithm, person, purpose, &nonce, value.encoded_len());
        let start = envelope.len();
        value
            .encode(&mut envelope)
            .expect("a vector grows as needed");
        let additional = additional_data(self.algorithm, person, purpose);
        let tag = self
            .cipher
            .encrypt(&nonce, &additional, &mut envelope[start..]);
        envelope.extend_from_slice(&tag);
        Sealed::finish(envelope)
    }

    /// Opens an envelope of this person that was sealed for this purpose.
    ///
    /// # Errors
    /// Where it is another person's or field's, was changed, or was sealed with another key.
    pub fn open<T: Message + Default>(
        &self,
        purpose: &'static str,
        person: PersonId,
        sealed: &Sealed<T>,
    ) -> Result<T, OpenError> {
        let parts = sealed.parts();
        if parts.algorithm != self.algorithm {
            return Err(OpenError::AnotherAlgorithm);
        }
        if parts.person != person {
            return Err(OpenError::AnotherPerson);
        }
        if parts.purpose != purpose {
            return Err(OpenError::AnotherPurpose);
        }
        let additional = additional_data(self.algorithm, person, purpose);
        let mut plain = Zeroizing::new(parts.ciphertext.to_vec());
        self.cipher
            .decrypt(parts.nonce, &additional, &mut plain, parts.tag)
            .map_err(|_forged| OpenError::Forged)?;
        T::decode(plain.as_slice()).map_err(|_malformed| OpenError::Content)
    }

    /// The key encrypted by another, as `(ciphertext and tag)`.
    pub(crate) fn encrypt_with(
        &self,
        cipher: &Cipher,
        nonce: &[u8; 12],
        additional: &[u8],
    ) -> Vec<u8> {
        // With room for the tag, so that the clear key is never left behind in an outgrown buffer.
        let mut buffer = Vec::with_capacity(self.material.len() + TAG);
        buffer.extend_from_slice(&self.material);
        let tag = cipher.encrypt(nonce, additional, &mut buffer);
        buffer.extend_from_slice(&tag);
        buffer
    }
}

/// What is bound to a ciphertext. The lengths before the purpose are fixed, so no two meanings share one encoding.
fn additional_data(algorithm: Algorithm, person: PersonId, purpose: &str) -> Vec<u8> {
    const DOMAIN: &[u8] = b"eldercare.sealed.v1";
    let mut data = Vec::with_capacity(DOMAIN.len() + 1 + 16 + purpose.len());
    data.extend_from_slice(DOMAIN);
    data.push(algorithm.code());
    data.extend_from_slice(person.as_bytes());
    data.extend_from_slice(purpose.as_bytes());
    data
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DataKey({:?}, ****)", self.algorithm)
    }
}
