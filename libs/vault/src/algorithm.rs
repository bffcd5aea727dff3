//! The two ciphers that personal data may be sealed with: the national SM4 and the international AES.

use std::{fmt, str::FromStr};

use aes_gcm::{
    Aes256Gcm, AesGcm,
    aead::{AeadInOut, KeyInit, consts::U12, inout::InOutBuf},
};
use proto::eldercare::r#type::v1::SealingAlgorithm;
use serde::{Deserialize, Serialize};
use sm4::Sm4;

/// Bytes of a nonce of either cipher.
pub(crate) const NONCE: usize = 12;
/// Bytes of an authentication tag of either cipher.
pub(crate) const TAG: usize = 16;

/// An authenticated cipher, named in every envelope so that both can stand side by side in one log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Algorithm {
    /// SM4 in Galois/counter mode (RFC 8998), 128-bit keys: what Chinese public bodies must use.
    #[default]
    Sm4Gcm,
    /// AES in Galois/counter mode (NIST SP 800-38D), 256-bit keys.
    #[serde(rename = "AES_256_GCM")]
    Aes256Gcm,
}

/// An algorithm that this version does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the sealing algorithm is not known")]
pub struct UnknownAlgorithm;

impl Algorithm {
    /// Bytes of a key.
    pub const fn key_length(self) -> usize {
        match self {
            Self::Sm4Gcm => 16,
            Self::Aes256Gcm => 32,
        }
    }

    /// The byte that stands for the algorithm in additional data; never changes.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Sm4Gcm => 1,
            Self::Aes256Gcm => 2,
        }
    }
}

impl From<Algorithm> for SealingAlgorithm {
    fn from(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Sm4Gcm => Self::Sm4Gcm,
            Algorithm::Aes256Gcm => Self::Aes256Gcm,
        }
    }
}

impl TryFrom<SealingAlgorithm> for Algorithm {
    type Error = UnknownAlgorithm;

    fn try_from(algorithm: SealingAlgorithm) -> Result<Self, UnknownAlgorithm> {
        match algorithm {
            SealingAlgorithm::Unspecified => Err(UnknownAlgorithm),
            SealingAlgorithm::Sm4Gcm => Ok(Self::Sm4Gcm),
            SealingAlgorithm::Aes256Gcm => Ok(Self::Aes256Gcm),
        }
    }
}

/// The number of the algorithm in protobuf.
impl TryFrom<i32> for Algorithm {
    type Error = UnknownAlgorithm;

    fn try_from(number: i32) -> Result<Self, UnknownAlgorithm> {
        SealingAlgorithm::try_from(number)
            .map_err(|_unknown| UnknownAlgorithm)?
            .try_into()
    }
}

/// The name in protobuf, such as `SEALING_ALGORITHM_SM4_GCM`.
impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(SealingAlgorithm::from(*self).as_str_name())
    }
}

impl FromStr for Algorithm {
    type Err = UnknownAlgorithm;

    fn from_str(name: &str) -> Result<Self, UnknownAlgorithm> {
        SealingAlgorithm::from_str_name(name)
            .ok_or(UnknownAlgorithm)?
            .try_into()
    }
}

/// A key made ready for use: key schedule and GHASH tables are computed once, and wiped on drop.
#[derive(Clone)]
pub(crate) enum Cipher {
    Sm4Gcm(Box<AesGcm<Sm4, U12>>),
    Aes256Gcm(Box<Aes256Gcm>),
}

/// A ciphertext that was not made with this key, nonce and additional data, or was changed since.
pub(crate) struct Forged;

impl Cipher {
    /// `None` where the key has the wrong length.
    pub(crate) fn new(algorithm: Algorithm, key: &[u8]) -> Option<Self> {
        match algorithm {
            Algorithm::Sm4Gcm => AesGcm::new_from_slice(key)
                .ok()
                .map(|cipher| Self::Sm4Gcm(Box::new(cipher))),
            Algorithm::Aes256Gcm => Aes256Gcm::new_from_slice(key)
                .ok()
                .map(|cipher| Self::Aes256Gcm(Box::new(cipher))),
        }
    }

    /// Encrypts in place and answers the tag.
    pub(crate) fn encrypt(
        &self,
        nonce: &[u8; NONCE],
        additional: &[u8],
        buffer: &mut [u8],
    ) -> [u8; TAG] {
        let buffer = InOutBuf::from(buffer);
        match self {
            Self::Sm4Gcm(cipher) => cipher.encrypt_inout_detached(nonce.into(), additional, buffer),
            Self::Aes256Gcm(cipher) => {
                cipher.encrypt_inout_detached(nonce.into(), additional, buffer)
            }
        }
        .expect("messages are far below the 64 GiB that the mode can take")
        .into()
    }

    /// Decrypts in place; the buffer keeps the ciphertext where the tag does not fit.
    pub(crate) fn decrypt(
        &self,
        nonce: &[u8; NONCE],
        additional: &[u8],
        buffer: &mut [u8],
        tag: &[u8; TAG],
    ) -> Result<(), Forged> {
        let buffer = InOutBuf::from(buffer);
        match self {
            Self::Sm4Gcm(cipher) => {
                cipher.decrypt_inout_detached(nonce.into(), additional, buffer, tag.into())
            }
            Self::Aes256Gcm(cipher) => {
                cipher.decrypt_inout_detached(nonce.into(), additional, buffer, tag.into())
            }
        }
        .map_err(|_opaque| Forged)
    }
}

/// A fresh random nonce. With 96 random bits a key may seal some four thousand
/// million messages before two nonces are likely to meet; a person has hundreds.
pub(crate) fn fresh_nonce() -> [u8; NONCE] {
    // The generator of the thread is cryptographic and reseeds itself from the
    // operating system; asking the system each time would cost a call per field.
    rand::random()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
        digits
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    fn check(
        algorithm: Algorithm,
        key: &str,
        nonce: &str,
        additional: &str,
        plain: &str,
        ciphertext: &str,
        tag: &str,
    ) {
        let cipher = Cipher::new(algorithm, &hex(key)).unwrap();
        let nonce: [u8; NONCE] = hex(nonce).try_into().unwrap();
        let mut buffer = hex(plain);
        let made = cipher.encrypt(&nonce, &hex(additional), &mut buffer);
        assert_eq!(buffer, hex(ciphertext));
        assert_eq!(made.to_vec(), hex(tag));
        assert!(
            cipher
                .decrypt(&nonce, &hex(additional), &mut buffer, &made)
                .is_ok()
        );
        assert_eq!(buffer, hex(plain));
    }

    #[test]
    fn sm4_gcm_gives_the_vector_of_rfc_8998_appendix_a_1() {
        check(
            Algorithm::Sm4Gcm,
            "0123456789ABCDEFFEDCBA9876543210",
            "00001234567800000000ABCD",
            "FEEDFACEDEADBEEFFEEDFACEDEADBEEFABADDAD2",
            "AAAAAAAAAAAAAAAABBBBBBBBBBBBBBBBCCCCCCCCCCCCCCCCDDDDDDDDDDDDDDDD\
             EEEEEEEEEEEEEEEEFFFFFFFFFFFFFFFFEEEEEEEEEEEEEEEEAAAAAAAAAAAAAAAA",
            "17F399F08C67D5EE19D0DC9969C4BB7D5FD46FD3756489069157B282BB200735\
             D82710CA5C22F0CCFA7CBF93D496AC15A56834CBCF98C397B4024A2691233B8D",
            "83DE3541E4C2B58177E065A9BF7B62EC",
        );
    }

    /// Test case 16 of McGrew and Viega, "The Galois/Counter Mode of Operation", which NIST took over.
    #[test]
    fn aes_256_gcm_gives_the_published_vector() {
        check(
            Algorithm::Aes256Gcm,
            "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
            "cafebabefacedbaddecaf888",
            "feedfacedeadbeeffeedfacedeadbeefabaddad2",
            "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72\
             1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
            "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa\
             8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
            "76fc6ece0f4e1768cddf8853bb2d551b",
        );
    }

    #[test]
    fn names_and_numbers_lead_back_to_the_algorithm() {
        for algorithm in [Algorithm::Sm4Gcm, Algorithm::Aes256Gcm] {
            assert_eq!(algorithm.to_string().parse(), Ok(algorithm));
            let number = SealingAlgorithm::from(algorithm) as i32;
            assert_eq!(Algorithm::try_from(number), Ok(algorithm));
        }
        assert_eq!(Algorithm::try_from(0), Err(UnknownAlgorithm));
        assert_eq!(Algorithm::try_from(99), Err(UnknownAlgorithm));
        assert_eq!("SM3".parse::<Algorithm>(), Err(UnknownAlgorithm));
    }
}
