//! A sealed envelope: one piece of personal data that only the key of its person opens.

use std::{
    fmt,
    hash::{Hash, Hasher},
    marker::PhantomData,
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use bytes::Bytes;
use prost::{Message, bytes::BufMut, encoding};
use proto::eldercare::r#type::v1 as pb;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{
    PersonId,
    algorithm::{Algorithm, NONCE, TAG},
};

/// Characters of the longest purpose.
pub(crate) const LONGEST_PURPOSE: usize = 64;

/// One value of type `T` under the data key of one person: the encoded
/// `eldercare.type.v1.Sealed`, checked for shape (what is in it shows only when
/// it is opened).
///
/// Holds its own copy of the bytes, always in the same encoding: equal
/// envelopes are equal bytes.
pub struct Sealed<T> {
    envelope: Bytes,
    content: PhantomData<fn() -> T>,
}

/// Why bytes are no envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// Not the protobuf message that it should be.
    #[error("the sealed envelope is no protobuf message")]
    Malformed,
    /// The cipher is not known to this version, or not named.
    #[error("the sealed envelope's algorithm is not known")]
    UnknownAlgorithm,
    /// The person is not given by 16 bytes.
    #[error("the sealed envelope's person is not 16 bytes")]
    Person,
    /// The purpose is empty, too long, or has characters other than `a-z0-9_.`.
    #[error("the sealed envelope's purpose is malformed")]
    Purpose,
    /// The nonce is not 12 bytes.
    #[error("the sealed envelope's nonce is not 12 bytes")]
    Nonce,
    /// The ciphertext is shorter than its tag.
    #[error("the sealed envelope's ciphertext is cut short")]
    Ciphertext,
}

/// The fields of an envelope, as they lie in its bytes.
pub(crate) struct Parts<'a> {
    pub(crate) algorithm: Algorithm,
    pub(crate) person: PersonId,
    pub(crate) purpose: &'a str,
    pub(crate) nonce: &'a [u8; NONCE],
    /// Without the tag.
    pub(crate) ciphertext: &'a [u8],
    pub(crate) tag: &'a [u8; TAG],
}

// Field numbers of `eldercare.type.v1.Sealed`, all below 16: one byte of key each.
const ALGORITHM: u32 = 1;
const PERSON: u32 = 2;
const PURPOSE: u32 = 3;
const NONCE_FIELD: u32 = 4;
const CIPHERTEXT: u32 = 5;

impl<T> Sealed<T> {
    /// Writes all but ciphertext and tag, whose room is left to the caller: `length` bytes and the tag follow.
    ///
    /// Written by hand, so that the plaintext is encoded and encrypted where
    /// its ciphertext will stay, with one allocation.
    pub(crate) fn begin(
        algorithm: Algorithm,
        person: PersonId,
        purpose: &str,
        nonce: &[u8; NONCE],
        length: usize,
    ) -> Vec<u8> {
        let mut envelope = Vec::with_capacity(64 + purpose.len() + length + TAG);
        let delimited = encoding::WireType::LengthDelimited;
        encoding::int32::encode(
            ALGORITHM,
            &pb::SealingAlgorithm::from(algorithm).into(),
            &mut envelope,
        );
        for (field, content) in [
            (PERSON, person.as_bytes().as_slice()),
            (PURPOSE, purpose.as_bytes()),
            (NONCE_FIELD, nonce.as_slice()),
        ] {
            encoding::encode_key(field, delimited, &mut envelope);
            encoding::encode_varint(content.len() as u64, &mut envelope);
            envelope.put_slice(content);
        }
        encoding::encode_key(CIPHERTEXT, delimited, &mut envelope);
        encoding::encode_varint((length + TAG) as u64, &mut envelope);
        envelope
    }

    /// Takes what `begin` began, completed by ciphertext and tag.
    pub(crate) fn finish(envelope: Vec<u8>) -> Self {
        Self {
            envelope: envelope.into(),
            content: PhantomData,
        }
    }

    /// An envelope from its encoding.
    ///
    /// # Errors
    /// Where the bytes are no well-formed envelope; nothing is said about whether it will open.
    pub fn from_bytes(encoded: &[u8]) -> Result<Self, EnvelopeError> {
        pb::Sealed::decode(encoded)
            .map_err(|_malformed| EnvelopeError::Malformed)?
            .try_into()
    }

    /// The encoded `eldercare.type.v1.Sealed`.
    pub fn as_bytes(&self) -> &Bytes {
        &self.envelope
    }

    /// The cipher that it is sealed with.
    pub fn algorithm(&self) -> Algorithm {
        self.parts().algorithm
    }

    /// The person whose key opens it.
    pub fn person(&self) -> PersonId {
        self.parts().person
    }

    /// Which field it is, such as `registry.identity`.
    pub fn purpose(&self) -> &str {
        self.parts().purpose
    }

    pub(crate) fn parts(&self) -> Parts<'_> {
        // Every envelope was written by `begin`, in this order.
        let mut rest = self.envelope.as_ref();
        let algorithm = rest[1];
        rest = &rest[2..];
        let mut next = || {
            rest = &rest[1..];
            let length = encoding::decode_varint(&mut rest).expect("written by `begin`");
            let (field, after) = rest.split_at(usize::try_from(length).expect("it is in memory"));
            rest = after;
            field
        };
        let person = next();
        let purpose = next();
        let nonce = next();
        let (ciphertext, tag) = next()
            .split_last_chunk::<TAG>()
            .expect("no envelope without a tag");
        Parts {
            algorithm: i32::from(algorithm).try_into().expect("checked before"),
            person: PersonId::from_slice(person).expect("16 bytes"),
            purpose: std::str::from_utf8(purpose).expect("ASCII"),
            nonce: nonce.try_into().expect("12 bytes"),
            ciphertext,
            tag,
        }
    }
}

pub(crate) fn is_purpose(purpose: &str) -> bool {
    let known = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.');
    (1..=LONGEST_PURPOSE).contains(&purpose.len()) && purpose.bytes().all(known)
}

impl<T> TryFrom<pb::Sealed> for Sealed<T> {
    type Error = EnvelopeError;

    fn try_from(envelope: pb::Sealed) -> Result<Self, EnvelopeError> {
        let algorithm = Algorithm::try_from(envelope.algorithm)
            .map_err(|_unknown| EnvelopeError::UnknownAlgorithm)?;
        let person =
            PersonId::from_slice(&envelope.person).map_err(|_length| EnvelopeError::Person)?;
        if !is_purpose(&envelope.purpose) {
            return Err(EnvelopeError::Purpose);
        }
        let nonce = <&[u8; NONCE]>::try_from(envelope.nonce.as_ref())
            .map_err(|_length| EnvelopeError::Nonce)?;
        let length = envelope
            .ciphertext
            .len()
            .checked_sub(TAG)
            .ok_or(EnvelopeError::Ciphertext)?;
        let mut bytes = Self::begin(algorithm, person, &envelope.purpose, nonce, length);
        bytes.extend_from_slice(&envelope.ciphertext);
        Ok(Self::finish(bytes))
    }
}

impl<T> From<&Sealed<T>> for pb::Sealed {
    fn from(sealed: &Sealed<T>) -> Self {
        Self::decode(sealed.envelope.clone()).expect("it is the encoding of this message")
    }
}

impl<T> From<Sealed<T>> for pb::Sealed {
    fn from(sealed: Sealed<T>) -> Self {
        Self::from(&sealed)
    }
}

// Derives would ask the same of `T`, of which no value is held.
impl<T> Clone for Sealed<T> {
    fn clone(&self) -> Self {
        Self {
            envelope: self.envelope.clone(),
            content: PhantomData,
        }
    }
}

impl<T> PartialEq for Sealed<T> {
    fn eq(&self, other: &Self) -> bool {
        self.envelope == other.envelope
    }
}

impl<T> Eq for Sealed<T> {}

impl<T> Hash for Sealed<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.envelope.hash(state);
    }
}

impl<T> fmt::Debug for Sealed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Sealed({:?}, {} bytes)",
            self.algorithm(),
            self.envelope.len()
        )
    }
}

/// As bytes; in formats for reading (JSON) as Base64.
impl<T> Serialize for Sealed<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(&BASE64.encode(&self.envelope))
        } else {
            serializer.serialize_bytes(&self.envelope)
        }
    }
}

impl<'de, T> Deserialize<'de> for Sealed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_str(EnvelopeVisitor(PhantomData))
        } else {
            deserializer.deserialize_bytes(EnvelopeVisitor(PhantomData))
        }
    }
}

struct EnvelopeVisitor<T>(PhantomData<fn() -> T>);

impl<T> de::Visitor<'_> for EnvelopeVisitor<T> {
    type Value = Sealed<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a sealed envelope")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        let envelope = BASE64
            .decode(text)
            .map_err(|_alphabet| E::custom("a sealed envelope is not Base64"))?;
        self.visit_bytes(&envelope)
    }

    fn visit_bytes<E: de::Error>(self, encoded: &[u8]) -> Result<Self::Value, E> {
        Sealed::from_bytes(encoded).map_err(E::custom)
    }
}
