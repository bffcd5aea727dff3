//! The public keys of those who issue tokens: from settings, and from a key set that is read again when it changes.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use ed25519_dalek::pkcs8::DecodePublicKey as _;
use jsonwebtoken::{DecodingKey, Validation, jwk};

use crate::{
    certificates::{CertificateError, FromFiles},
    settings::{self, Algorithm, PublicKey},
};

/// A key or a key set can't be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The PEM is none of the algorithm's.
    #[error("key `{0}` is no public key for its algorithm")]
    Unusable(String),
    /// Two keys have one name.
    #[error("two keys are called `{0}`")]
    Twice(String),
    /// The key set can't be read.
    #[error("key set {0}: {1}")]
    File(PathBuf, String),
    /// In production somebody must be able to call.
    #[error(
        "no key (`auth.keys`, `auth.jwks_file`) and no certificate (`auth.certificates`) is configured: nobody could call"
    )]
    NoKeys,
}

/// A key, with what a token under it must be.
pub(super) struct Key {
    pub(super) kid: String,
    pub(super) key: DecodingKey,
    pub(super) validation: Validation,
}

/// The public keys of issuers.
pub(super) enum Keys {
    /// From settings alone.
    Fixed(Arc<[Key]>),
    /// Also from a key set, which is read again when it changes.
    Followed(FromFiles<Arc<[Key]>>),
}

impl Keys {
    pub(super) fn load(settings: &settings::Auth) -> Result<Self, KeyError> {
        let Some(path) = settings.jwks_file.clone() else {
            return Ok(Self::Fixed(keys(settings, Vec::new())?));
        };
        let (settings, named) = (settings.clone(), path.clone());
        let followed = FromFiles::read(vec![path], settings.reread, move |contents| {
            let set = contents
                .iter()
                .map(|text| key_set(&named, text))
                .collect::<Result<Vec<_>, _>>()?;
            Ok(keys(&settings, set.into_iter().flatten().collect())?)
        });
        match followed {
            Ok(followed) => Ok(Self::Followed(followed)),
            Err(CertificateError::Keys(error)) => Err(error),
            Err(CertificateError::File(path, error)) => {
                Err(KeyError::File(path, error.to_string()))
            }
            Err(other) => Err(KeyError::File(PathBuf::new(), other.to_string())),
        }
    }

    /// The keys of now, with a number that changes whenever they do.
    pub(super) fn now(&self) -> (u64, Arc<[Key]>) {
        match self {
            Self::Fixed(keys) => (0, Arc::clone(keys)),
            Self::Followed(keys) => keys.generation(),
        }
    }
}

/// All keys: those of the settings, and those of a key set.
fn keys(
    settings: &settings::Auth,
    set: Vec<(String, Algorithm, DecodingKey)>,
) -> Result<Arc<[Key]>, KeyError> {
    let mut public = settings
        .keys
        .iter()
        .map(usable_key)
        .collect::<Result<Vec<_>, _>>()?;
    public.extend(set);
    let mut keys: Vec<Key> = Vec::with_capacity(public.len());
    for (kid, alg, key) in public {
        if keys.iter().any(|known| known.kid == kid) {
            return Err(KeyError::Twice(kid));
        }
        keys.push(Key {
            kid,
            key,
            validation: validation(alg, settings),
        });
    }
    Ok(keys.into())
}

fn validation(alg: Algorithm, settings: &settings::Auth) -> Validation {
    let mut validation = Validation::new(alg.into());
    validation.set_issuer(&[&settings.issuer]);
    validation.set_audience(&[&settings.audience]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    validation.validate_nbf = true;
    validation.leeway = settings.leeway.as_secs();
    validation
}

impl From<Algorithm> for jsonwebtoken::Algorithm {
    fn from(alg: Algorithm) -> Self {
        match alg {
            Algorithm::EdDSA => Self::EdDSA,
            Algorithm::ES256 => Self::ES256,
        }
    }
}

fn usable_key(public: &PublicKey) -> Result<(String, Algorithm, DecodingKey), KeyError> {
    let unusable = |_| KeyError::Unusable(public.kid.clone());
    let key = match public.alg {
        Algorithm::EdDSA => {
            let key =
                ed25519_dalek::VerifyingKey::from_public_key_pem(&public.pem).map_err(unusable)?;
            DecodingKey::from_ed_der(key.as_bytes())
        }
        Algorithm::ES256 => {
            let key =
                p256::ecdsa::VerifyingKey::from_public_key_pem(&public.pem).map_err(unusable)?;
            DecodingKey::from_ec_der(key.to_encoded_point(false).as_bytes())
        }
    };
    Ok((public.kid.clone(), public.alg, key))
}

fn key_set(path: &Path, text: &[u8]) -> Result<Vec<(String, Algorithm, DecodingKey)>, KeyError> {
    let wrong = |error: &dyn fmt::Display| KeyError::File(path.to_owned(), error.to_string());
    let set: jwk::JwkSet = serde_json::from_slice(text).map_err(|e| wrong(&e))?;
    set.keys
        .iter()
        .map(|one| {
            let kid = one
                .common
                .key_id
                .clone()
                .ok_or_else(|| wrong(&"a key has no `kid`"))?;
            let alg = if let jwk::AlgorithmParameters::OctetKeyPair(pair) = &one.algorithm
                && pair.curve == jwk::EllipticCurve::Ed25519
            {
                Algorithm::EdDSA
            } else if let jwk::AlgorithmParameters::EllipticCurve(point) = &one.algorithm
                && point.curve == jwk::EllipticCurve::P256
            {
                Algorithm::ES256
            } else {
                return Err(wrong(&format!(
                    "key `{kid}` is for neither EdDSA (Ed25519) nor ES256 (P-256)"
                )));
            };
            let key = DecodingKey::from_jwk(one).map_err(|e| wrong(&e))?;
            Ok((kid, alg, key))
        })
        .collect()
}
