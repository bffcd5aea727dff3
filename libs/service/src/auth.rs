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
//! | `purpose` | what calls are for, as those say that read of persons or ask for their keys, at most 600 bytes of plain text without anybody's ID or telephone number; `eldercare-purpose` of a call prevails |
//!
//! Callers by certificate have all of that from `auth.certificates`.
//!
//! The header's `kid` picks the key, and the key fixes the algorithm: `none`, HMAC and a key used with
//! another algorithm are refused. Verified tokens are remembered until they expire.

mod certificates;
mod claims;
mod keys;
mod purpose;

use std::{fmt, sync::Arc, time::Duration};

use http::{Extensions, HeaderMap, header::AUTHORIZATION};
use jsonwebtoken::errors::ErrorKind;
use sm3::{Digest as _, Sm3};
use tonic::Status;

use crate::{caller::Identity, errors::unauthenticated, input::first_half, settings};

use self::{
    certificates::Certificates,
    keys::{Key, Keys},
};

pub(crate) use self::purpose::{encode_purpose, plain_purpose, purpose_of_call};
pub use self::{
    claims::{Audience, Claims, ClaimsError},
    keys::KeyError,
    purpose::PURPOSE,
};

/// The longest token that is looked at, in bytes.
const LONGEST_TOKEN: usize = 8 * 1024;

/// How many verified tokens are remembered, and for how long at most.
const REMEMBERED: u64 = 10_000;
const REMEMBERED_FOR: Duration = Duration::from_secs(600);

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
    certificates: Certificates,
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
        let certificates = Certificates::load(&settings.certificates)?;
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
            None => match self.certificates.caller(connection) {
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
