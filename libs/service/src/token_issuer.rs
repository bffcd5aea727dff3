//! Signs tokens: for the local launcher, and for tests. A department's own issuer does this elsewhere.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::pkcs8::{
    DecodePrivateKey as _, EncodePrivateKey as _, EncodePublicKey as _, spki::der::pem::LineEnding,
};
use jsonwebtoken::{EncodingKey, Header};
use rand::RngCore as _;
use sm3::{Digest as _, Sm3};

use crate::{
    auth::{Audience, Claims, KeyError},
    settings::{self, Algorithm, PublicKey},
};

/// Signs tokens: for the local launcher and for tests. A department's own issuer does this elsewhere.
pub struct TokenIssuer {
    issuer: String,
    audience: String,
    key: SigningKey,
    kid: String,
}

enum SigningKey {
    Ed25519(ed25519_dalek::SigningKey),
    P256(p256::ecdsa::SigningKey),
}

impl fmt::Debug for TokenIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenIssuer")
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}

impl TokenIssuer {
    /// How long a token is valid whose claims don't say.
    pub const VALID_FOR: chrono::TimeDelta = chrono::TimeDelta::hours(12);

    /// An issuer with a new Ed25519 key.
    pub fn generate() -> Self {
        let mut seed = [0; 32];
        rand::rng().fill_bytes(&mut seed);
        Self::with_key(SigningKey::Ed25519(ed25519_dalek::SigningKey::from_bytes(
            &seed,
        )))
    }

    /// An issuer with a new P-256 key (ES256).
    pub fn generate_es256() -> Self {
        loop {
            let mut seed = [0; 32];
            rand::rng().fill_bytes(&mut seed);
            // All but a vanishing share of numbers are keys.
            if let Ok(key) = p256::ecdsa::SigningKey::from_slice(&seed) {
                return Self::with_key(SigningKey::P256(key));
            }
        }
    }

    /// An issuer with a key kept as PEM ([`Self::private_pem`]).
    ///
    /// # Errors
    /// If it is no Ed25519 key.
    pub fn from_private_pem(pem: &str) -> Result<Self, KeyError> {
        let key = ed25519_dalek::SigningKey::from_pkcs8_pem(pem)
            .map_err(|_| KeyError::Unusable("private key".to_owned()))?;
        Ok(Self::with_key(SigningKey::Ed25519(key)))
    }

    fn with_key(key: SigningKey) -> Self {
        let auth = settings::Auth::default();
        let mut issuer = Self {
            issuer: auth.issuer,
            audience: auth.audience,
            key,
            kid: String::new(),
        };
        let digest = Sm3::digest(issuer.public_pem());
        issuer.kid = URL_SAFE_NO_PAD.encode(&digest[..9]);
        issuer
    }

    /// Sets what the tokens bear as `iss` and `aud`.
    #[must_use]
    pub fn named(mut self, issuer: impl Into<String>, audience: impl Into<String>) -> Self {
        self.issuer = issuer.into();
        self.audience = audience.into();
        self
    }

    /// Signs a token; `iss`, `aud`, `iat` are filled in where they are empty, and `exp` where it is 0.
    pub fn issue(&self, claims: &Claims) -> String {
        let now = chrono::Utc::now();
        let mut claims = claims.clone();
        if claims.iss.is_empty() {
            claims.iss.clone_from(&self.issuer);
        }
        if claims.aud == Audience::default() {
            claims.aud = Audience::One(self.audience.clone());
        }
        if claims.exp == 0 {
            claims.exp = (now + Self::VALID_FOR).timestamp();
        }
        claims.iat.get_or_insert(now.timestamp());
        let (alg, der) = match &self.key {
            SigningKey::Ed25519(key) => (Algorithm::EdDSA, key.to_pkcs8_der()),
            SigningKey::P256(key) => (
                Algorithm::ES256,
                p256::pkcs8::EncodePrivateKey::to_pkcs8_der(key),
            ),
        };
        let der = der.expect("a key of ours can be written");
        let key = match alg {
            Algorithm::EdDSA => EncodingKey::from_ed_der(der.as_bytes()),
            Algorithm::ES256 => EncodingKey::from_ec_der(der.as_bytes()),
        };
        let mut header = Header::new(alg.into());
        header.kid = Some(self.kid.clone());
        jsonwebtoken::encode(&header, &claims, &key).expect("claims of ours can be signed")
    }

    /// The public key, as `auth.keys` takes it.
    pub fn public_key(&self) -> PublicKey {
        let alg = match &self.key {
            SigningKey::Ed25519(_) => Algorithm::EdDSA,
            SigningKey::P256(_) => Algorithm::ES256,
        };
        PublicKey {
            kid: self.kid.clone(),
            alg,
            pem: self.public_pem(),
        }
    }

    /// The private key as PEM, to be kept; `None` for a P-256 key, which is not kept.
    pub fn private_pem(&self) -> Option<settings::Secret> {
        match &self.key {
            SigningKey::Ed25519(key) => {
                let pem = key
                    .to_pkcs8_pem(LineEnding::LF)
                    .expect("a key of ours can be written");
                Some(settings::Secret::new(pem.as_str()))
            }
            SigningKey::P256(_) => None,
        }
    }

    fn public_pem(&self) -> String {
        match &self.key {
            SigningKey::Ed25519(key) => key.verifying_key().to_public_key_pem(LineEnding::LF),
            SigningKey::P256(key) => key.verifying_key().to_public_key_pem(LineEnding::LF),
        }
        .expect("a key of ours can be written")
    }
}
