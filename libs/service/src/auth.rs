//! How a caller is known: by a signed token, or by its client certificate.
//!
//! A token is a JWT in `authorization: Bearer …`, signed with EdDSA or ES256. Its claims:
//!
//! | claim | meaning |
//! | --- | --- |
//! | `iss`, `aud` | must be the configured ones |
//! | `exp`, `nbf`, `iat` | valid until; not before (optional); issued at (optional). Seconds since 1970 |
//! | `sub` | the caller's id, for ever the same, no name |
//! | `kind` | `system` (the default) or `officer` |
//! | `department` | as `civil_affairs` |
//! | `divisions` | codes of 2, 4, 6, 9 or 12 digits, with all that lies within; `*` is everywhere |
//! | `roles` | as the policies name them |
//! | `provider` | of a care provider's own system: whose it is. It does what providers do and nothing else (optional) |
//! | `name` | for screens (optional) |
//! | `purpose` | what calls are for (optional); `eldercare-purpose` of a call prevails |
//!
//! The header's `kid` picks the key, and the key fixes the algorithm: `none`, HMAC and a key used with
//! another algorithm are refused. Verified tokens are remembered until they expire.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use ed25519_dalek::pkcs8::DecodePublicKey as _;
use http::{Extensions, HeaderMap, header::AUTHORIZATION};
use jsonwebtoken::{DecodingKey, Validation, errors::ErrorKind, jwk};
use serde::{Deserialize, Serialize};
use sm3::{Digest as _, Sm3};
use tonic::{
    Status,
    transport::{
        CertificateDer,
        server::{TcpConnectInfo, TlsConnectInfo},
    },
};

use crate::{
    caller::{Identity, Kind},
    certificates::{CertificateError, FromFiles},
    errors::unauthenticated,
    input::first_half,
    settings::{self, Algorithm, PublicKey},
};

/// The metadata in which a call says what it is for; UTF-8, percent-encoded where it is not ASCII.
pub const PURPOSE: &str = "eldercare-purpose";

/// The longest token and the longest purpose that are looked at, in bytes.
const LONGEST_TOKEN: usize = 8 * 1024;
const LONGEST_PURPOSE: usize = 600;

/// How many verified tokens are remembered, and for how long at most.
const REMEMBERED: u64 = 10_000;
const REMEMBERED_FOR: Duration = Duration::from_secs(600);

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The caller's id.
    pub sub: String,
    /// A system or an officer.
    #[serde(default)]
    pub kind: Kind,
    /// The caller's department.
    pub department: String,
    /// The divisions it works for; `*` is everywhere.
    #[serde(default)]
    pub divisions: Vec<String>,
    /// Its roles.
    #[serde(default)]
    pub roles: Vec<String>,
    /// The care provider whose own system it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// For screens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What its calls are for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    /// Who issued the token; filled in by [`TokenIssuer`](crate::TokenIssuer).
    #[serde(default)]
    pub iss: String,
    /// For whom; filled in by [`TokenIssuer`](crate::TokenIssuer).
    #[serde(default)]
    pub aud: Audience,
    /// Valid until, in seconds since 1970; filled in by [`TokenIssuer`](crate::TokenIssuer) where it is 0.
    pub exp: i64,
    /// Not valid before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nbf: Option<i64>,
    /// Issued at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iat: Option<i64>,
}

/// One audience, or several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Audience {
    /// One.
    One(String),
    /// Several.
    Several(Vec<String>),
}

impl Default for Audience {
    fn default() -> Self {
        Self::Several(Vec::new())
    }
}

impl Claims {
    /// An officer of a department.
    pub fn officer(subject: impl Into<String>, department: impl Into<String>) -> Self {
        Self::new(Kind::Officer, subject.into(), department.into())
    }

    /// A system of a department; a service of the platform is a system of `platform`.
    pub fn system(subject: impl Into<String>, department: impl Into<String>) -> Self {
        Self::new(Kind::System, subject.into(), department.into())
    }

    fn new(kind: Kind, sub: String, department: String) -> Self {
        Self {
            sub,
            kind,
            department,
            divisions: Vec::new(),
            roles: Vec::new(),
            provider: None,
            name: None,
            purpose: None,
            iss: String::new(),
            aud: Audience::default(),
            exp: 0,
            nbf: None,
            iat: None,
        }
    }

    /// Adds a division; `*` is everywhere.
    #[must_use]
    pub fn division(mut self, code: impl Into<String>) -> Self {
        self.divisions.push(code.into());
        self
    }

    /// Adds a role.
    #[must_use]
    pub fn role(mut self, role: impl Into<String>) -> Self {
        self.roles.push(role.into());
        self
    }

    /// Binds the caller to a care provider.
    #[must_use]
    pub fn provider(mut self, provider: impl Into<String>) -> Self {
        self.provider = Some(provider.into());
        self
    }

    /// Sets the purpose.
    #[must_use]
    pub fn purpose(mut self, purpose: impl Into<String>) -> Self {
        self.purpose = Some(purpose.into());
        self
    }

    /// Sets how long the token is valid, from now; a negative span gives an expired one.
    #[must_use]
    pub fn valid_for(mut self, span: chrono::TimeDelta) -> Self {
        self.exp = (chrono::Utc::now() + span).timestamp();
        self
    }
}

/// A signed token makes no sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClaimsError {
    /// A division is no division code.
    #[error("a division of the token is no division code")]
    Division,
    /// No subject or no department.
    #[error("the token lacks its subject or department")]
    Incomplete,
}

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

struct Key {
    kid: String,
    key: DecodingKey,
    validation: Validation,
}

/// The public keys of issuers.
enum Keys {
    /// From settings alone.
    Fixed(Arc<[Key]>),
    /// Also from a key set, which is read again when it changes.
    Followed(FromFiles<Arc<[Key]>>),
}

impl Keys {
    fn load(settings: &settings::Auth) -> Result<Self, KeyError> {
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
    fn now(&self) -> (u64, Arc<[Key]>) {
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

/// A token that was verified.
#[derive(Clone)]
struct Verified {
    identity: Arc<Identity>,
    /// When it expires, in seconds since 1970.
    expires: i64,
    /// Under which keys: when they have changed it is verified again.
    keys: u64,
}

/// Finds out who is calling.
pub struct Authenticator {
    keys: Keys,
    certificates: Vec<(String, Arc<Identity>)>,
    verified: moka::sync::Cache<[u8; 16], Verified>,
    leeway: i64,
}

impl fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticator")
            .field(
                "keys",
                &self
                    .keys
                    .now()
                    .1
                    .iter()
                    .map(|key| key.kid.clone())
                    .collect::<Vec<_>>(),
            )
            .field("certificates", &self.certificates.len())
            .finish_non_exhaustive()
    }
}

impl Authenticator {
    /// Loads the keys that the settings name.
    ///
    /// # Errors
    /// A key that can't be used, or none at all outside local mode.
    pub fn new(settings: &settings::Auth) -> Result<Self, KeyError> {
        let keys = Keys::load(settings)?;
        let certificates = settings
            .certificates
            .iter()
            .map(certificate)
            .collect::<Result<Vec<_>, _>>()?;
        if keys.now().1.is_empty()
            && certificates.is_empty()
            && settings.mode == settings::Mode::Production
        {
            return Err(KeyError::NoKeys);
        }
        Ok(Self {
            keys,
            certificates,
            verified: moka::sync::Cache::builder()
                .max_capacity(REMEMBERED)
                .time_to_live(REMEMBERED_FOR)
                .build(),
            leeway: i64::try_from(settings.leeway.as_secs()).unwrap_or(i64::MAX),
        })
    }

    /// Who sends these headers over this connection, with its token if it has one.
    pub(crate) fn identify(
        &self,
        headers: &HeaderMap,
        connection: &Extensions,
    ) -> Result<(Arc<Identity>, Option<Arc<str>>), Status> {
        match headers.get(AUTHORIZATION) {
            Some(value) => {
                let token = value
                    .to_str()
                    .ok()
                    .and_then(|value| value.split_once(' '))
                    .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
                    .map(|(_, token)| token.trim())
                    .ok_or_else(invalid)?;
                Ok((self.verify(token)?, Some(Arc::from(token))))
            }
            None => match self.of_certificate(connection) {
                Some(identity) => Ok((identity, None)),
                None => Err(unauthenticated(
                    "TOKEN_MISSING",
                    "the call needs a token: authorization: Bearer <JWT>",
                    "请求缺少令牌（authorization: Bearer <JWT>）",
                )),
            },
        }
    }

    /// Who a token belongs to.
    ///
    /// # Errors
    /// UNAUTHENTICATED with reason `TOKEN_EXPIRED` or `TOKEN_INVALID`; what is wrong with it goes to the log only.
    pub fn verify(&self, token: &str) -> Result<Arc<Identity>, Status> {
        if token.len() > LONGEST_TOKEN {
            return Err(invalid());
        }
        let fingerprint = first_half(&Sm3::digest(token));
        let (generation, keys) = self.keys.now();
        if let Some(known) = self.verified.get(&fingerprint)
            && known.keys == generation
        {
            if chrono::Utc::now().timestamp() <= known.expires.saturating_add(self.leeway) {
                return Ok(known.identity);
            }
            return Err(expired());
        }
        let claims = claims_of(token, &keys)?;
        let identity = Identity::of_claims(&claims, fingerprint).map_err(|error| {
            tracing::debug!(%error, "a token was refused");
            invalid()
        })?;
        let identity = Arc::new(identity);
        let verified = Verified {
            identity: Arc::clone(&identity),
            expires: claims.exp,
            keys: generation,
        };
        self.verified.insert(fingerprint, verified);
        Ok(identity)
    }

    fn of_certificate(&self, connection: &Extensions) -> Option<Arc<Identity>> {
        if self.certificates.is_empty() {
            return None;
        }
        let certificates = connection
            .get::<TlsConnectInfo<TcpConnectInfo>>()?
            .peer_certs()?;
        // The chain was verified in the handshake; the first certificate is the client's own.
        let names = names_of(certificates.first()?)?;
        self.certificates
            .iter()
            .find(|(name, _)| names.contains(name))
            .map(|(_, identity)| Arc::clone(identity))
    }
}

fn claims_of(token: &str, keys: &[Key]) -> Result<Claims, Status> {
    let refused = |error: jsonwebtoken::errors::Error| {
        tracing::debug!(%error, "a token was refused");
        if matches!(error.kind(), ErrorKind::ExpiredSignature) {
            expired()
        } else {
            invalid()
        }
    };
    let header = jsonwebtoken::decode_header(token).map_err(refused)?;
    // Whoever does not understand what a header calls critical must refuse it (RFC 7515), and nothing such is understood.
    if header.crit.is_some() {
        tracing::debug!("a token has critical extensions");
        return Err(invalid());
    }
    let key = match &header.kid {
        Some(kid) => keys.iter().find(|key| key.kid == *kid),
        None => keys.first().filter(|_| keys.len() == 1),
    };
    let key = key.ok_or_else(|| {
        tracing::debug!("a token names a key that is not known");
        invalid()
    })?;
    Ok(
        jsonwebtoken::decode::<Claims>(token, &key.key, &key.validation)
            .map_err(refused)?
            .claims,
    )
}

/// The purpose that a call's headers state.
pub(crate) fn purpose_of(headers: &HeaderMap) -> Option<Arc<str>> {
    let value = headers
        .get(PURPOSE)?
        .to_str()
        .ok()
        .filter(|value| value.len() <= LONGEST_PURPOSE)?;
    let purpose = decode_percent(value)?;
    let purpose = purpose.trim();
    let clean = !purpose.is_empty() && !purpose.chars().any(char::is_control);
    clean.then(|| Arc::from(purpose))
}

/// Metadata is ASCII; what is not is percent-encoded as in a URL.
pub(crate) fn encode_purpose(purpose: &str) -> String {
    let mut encoded = String::with_capacity(purpose.len());
    for byte in purpose.bytes() {
        if byte.is_ascii_graphic() && byte != b'%' || byte == b' ' {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

fn decode_percent(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digit = |byte: u8| char::from(byte).to_digit(16);
            let value = digit(rest.next()?)? * 16 + digit(rest.next()?)?;
            bytes.push(u8::try_from(value).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

fn names_of(certificate: &CertificateDer<'_>) -> Option<Vec<String>> {
    let certificate = webpki::EndEntityCert::try_from(certificate).ok()?;
    Some(
        certificate
            .valid_uri_names()
            .chain(certificate.valid_dns_names())
            .map(str::to_owned)
            .collect(),
    )
}

fn certificate(settings: &settings::Certificate) -> Result<(String, Arc<Identity>), KeyError> {
    let claims = Claims {
        divisions: settings.divisions.clone(),
        roles: settings.roles.clone(),
        purpose: settings.purpose.clone(),
        ..Claims::new(
            settings.kind,
            settings.subject.clone(),
            settings.department.clone(),
        )
    };
    // Callers by certificate have no token; what tells them apart is the name that they are known by.
    let fingerprint = first_half(
        &Sm3::new()
            .chain_update("certificate ")
            .chain_update(&settings.name)
            .finalize(),
    );
    let identity = Identity::of_claims(&claims, fingerprint)
        .map_err(|_| KeyError::Unusable(settings.name.clone()))?;
    Ok((settings.name.clone(), Arc::new(identity)))
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

fn invalid() -> Status {
    unauthenticated("TOKEN_INVALID", "the token is not valid here", "令牌无效")
}

fn expired() -> Status {
    unauthenticated(
        "TOKEN_EXPIRED",
        "the token has expired: get a new one",
        "令牌已过期，请重新获取",
    )
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn any_purpose_is_read_as_it_was_written_or_not_at_all() {
        fuzzing::text(&["入户探访", "home visits, 20 %"], 1_000, |purpose| {
            let encoded = encode_purpose(purpose);
            let mut headers = HeaderMap::new();
            headers.insert(PURPOSE, encoded.parse().unwrap());
            let trimmed = purpose.trim();
            let clean = !trimmed.is_empty() && !trimmed.chars().any(char::is_control);
            let expected = (clean && encoded.len() <= LONGEST_PURPOSE).then_some(trimmed);
            assert_eq!(purpose_of(&headers).as_deref(), expected);
        });
    }

    #[test]
    fn any_header_is_a_purpose_or_none() {
        let samples: [&[u8]; 2] = [b"%E5%85%A5%E6%88%B7", b" home visits "];
        fuzzing::bytes(&samples, 1_000, |value| {
            if let Ok(value) = HeaderValue::from_bytes(value) {
                let headers =
                    HeaderMap::from_iter([(http::HeaderName::from_static(PURPOSE), value)]);
                if let Some(purpose) = purpose_of(&headers) {
                    assert!((1..=LONGEST_PURPOSE).contains(&purpose.len()));
                    assert!(!purpose.chars().any(char::is_control));
                }
            }
        });
    }
}
