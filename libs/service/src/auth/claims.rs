//! What a token says.

use serde::{Deserialize, Serialize};

use crate::caller::Kind;

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

    pub(super) fn new(kind: Kind, sub: String, department: String) -> Self {
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
