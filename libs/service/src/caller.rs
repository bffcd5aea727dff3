//! Who is calling: a system or an officer, of a department, for some divisions, for a purpose.

use std::{net::IpAddr, ops::Deref, sync::Arc};

use civic::DivisionCode;
use serde::{Deserialize, Serialize};
use tonic::{Code, Request, Status};

use crate::{
    access::Access,
    action::Action,
    auth::{self, Claims, ClaimsError},
    errors::{Refusal, permission_denied},
    permit::{Asked, Permits},
};

/// The role of the services of the platform among each other.
const PLATFORM: &str = "service";

/// Whether a person or a program calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A program: another service, or a department's system.
    #[default]
    System,
    /// A person of a department.
    Officer,
}

impl Kind {
    /// `system` or `officer`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Officer => "officer",
        }
    }
}

/// Who somebody is, as a token or a certificate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// An id that means this caller for ever; no name.
    pub subject: String,
    /// How the caller wants to be called on screen. Personal data: not for logs.
    pub name: Option<String>,
    /// The department, as `civil_affairs`.
    pub department: String,
    /// A system or an officer.
    pub kind: Kind,
    /// The divisions it works for, with all that lies within them.
    pub divisions: Vec<DivisionCode>,
    /// Whether it works for all divisions.
    pub everywhere: bool,
    /// Its roles, as policies name them.
    pub roles: Vec<String>,
    /// The care provider whose own system it is: what is another provider's there is not, for this caller.
    pub provider: Option<String>,
    /// What it says its calls are for, unless a call says otherwise.
    pub purpose: Option<Arc<str>>,
    /// Tells this token from others without giving it away.
    pub token_fingerprint: [u8; 16],
}

impl Identity {
    /// Reads what a token claims.
    pub(crate) fn of_claims(
        claims: &Claims,
        token_fingerprint: [u8; 16],
    ) -> Result<Self, ClaimsError> {
        let mut divisions = Vec::with_capacity(claims.divisions.len());
        let mut everywhere = false;
        for division in &claims.divisions {
            if division == "*" {
                everywhere = true;
            } else {
                divisions.push(division.parse().map_err(|_| ClaimsError::Division)?);
            }
        }
        if claims.sub.is_empty() || claims.department.is_empty() {
            return Err(ClaimsError::Incomplete);
        }
        Ok(Self {
            subject: claims.sub.clone(),
            name: claims.name.clone(),
            department: claims.department.clone(),
            kind: claims.kind,
            divisions,
            everywhere,
            roles: claims.roles.clone(),
            provider: claims
                .provider
                .clone()
                .filter(|provider| !provider.is_empty()),
            purpose: claims.purpose.as_deref().and_then(auth::plain_purpose),
            token_fingerprint,
        })
    }

    /// Whether it is a service of the platform itself.
    pub(crate) fn is_of_the_platform(&self) -> bool {
        self.kind == Kind::System && self.roles.iter().any(|role| role == PLATFORM)
    }

    /// Who it was, for the record: `officer:<subject>` or `system:<subject>`.
    pub fn actor(&self) -> String {
        format!("{}:{}", self.kind.name(), self.subject)
    }
}

/// The caller of one call, known and let in. Handlers take it with [`Caller::from_request`].
#[derive(Debug, Clone)]
pub struct Caller {
    pub(crate) identity: Arc<Identity>,
    pub(crate) purpose: Option<Arc<str>>,
    pub(crate) asked: Asked,
    pub(crate) permits: Arc<Permits>,
    pub(crate) token: Option<Arc<str>>,
    /// From where; none where the server does not know.
    pub(crate) address: Option<IpAddr>,
    /// Where it goes on record what this caller is told; none where the service puts that on record itself, or tells nothing.
    pub(crate) access: Option<Access>,
}

impl Deref for Caller {
    type Target = Identity;

    fn deref(&self) -> &Identity {
        &self.identity
    }
}

impl Caller {
    /// The caller of this call.
    ///
    /// # Errors
    /// UNAUTHENTICATED if the server's gate did not see the call, which only a server put together
    /// without it can bring about.
    pub fn from_request<T>(request: &Request<T>) -> Result<Self, Status> {
        request.extensions().get::<Self>().cloned().ok_or_else(|| {
            crate::errors::unauthenticated(
                "TOKEN_MISSING",
                "the call has no known caller",
                "请求没有可识别的调用方",
            )
        })
    }

    /// What this call is for: as its `eldercare-purpose` says, else as the token says.
    pub fn purpose(&self) -> Option<&str> {
        self.purpose.as_deref()
    }

    /// From where the call comes: the address of the peer, or, where that is a trusted proxy (`grpc.trusted_proxies`), of whom
    /// it has the call from; none where it is not known.
    pub fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// Lets the call go on if its caller may do in `division` what this method does. The refusal does not name the
    /// division: mostly it is where an elder lives, and who may not read that must not be told it by a refusal.
    ///
    /// # Errors
    /// PERMISSION_DENIED.
    pub fn may_here(&self, division: &DivisionCode) -> Result<(), Status> {
        self.check(self.asked, Some(*division), None)
    }

    /// As [`Caller::may_here`], for a division that stood in the request itself: the refusal names it.
    ///
    /// # Errors
    /// PERMISSION_DENIED.
    pub fn may_where_asked(&self, division: &DivisionCode) -> Result<(), Status> {
        self.check(self.asked, Some(*division), Some(division))
    }

    /// Lets the call go on if its caller may do what this method does in all divisions.
    ///
    /// # Errors
    /// PERMISSION_DENIED.
    pub fn may_everywhere(&self) -> Result<(), Status> {
        self.check(self.asked, None, None)
    }

    /// Lets the call go on if its caller may do `action` in `division`, which the refusal does not name: for methods that
    /// do more than the one action that they are declared with.
    ///
    /// # Errors
    /// PERMISSION_DENIED.
    pub fn may(&self, action: Action, division: &DivisionCode) -> Result<(), Status> {
        self.check(Asked::Group(action), Some(*division), None)
    }

    /// As [`Caller::may`], in all divisions.
    ///
    /// # Errors
    /// PERMISSION_DENIED.
    pub fn may_do_everywhere(&self, action: Action) -> Result<(), Status> {
        self.check(Asked::Group(action), None, None)
    }

    /// Lets the call go on if there is any place at all where its caller may do `action`: for methods whose answers tell what
    /// their own action does not say, before it is known where.
    ///
    /// # Errors
    /// PERMISSION_DENIED.
    pub fn may_somewhere(&self, action: Action) -> Result<(), Status> {
        let asked = Asked::Group(action);
        let purpose = self.purpose.as_ref();
        if self
            .permits
            .permit_somewhere(&self.identity, purpose, asked)
        {
            return Ok(());
        }
        Err(self.refused(asked, None, None))
    }

    /// Lets the call go on if it says what it is for: for methods whose answers tell of persons, and whose action is none that
    /// reads of them.
    ///
    /// # Errors
    /// PERMISSION_DENIED.
    pub fn says_what_for(&self) -> Result<(), Status> {
        match self.purpose {
            Some(_) => Ok(()),
            None => Err(purpose_required()),
        }
    }

    /// As [`Caller::may_here`], for somebody or something that was asked for by its id: elsewhere it is `unknown` to the
    /// caller, word for word as what nobody has ever heard of, so that no refusal tells that there is such a one.
    ///
    /// # Errors
    /// What `unknown` makes, mostly NOT_FOUND.
    pub fn knows(
        &self,
        division: &DivisionCode,
        unknown: impl FnOnce() -> Status,
    ) -> Result<(), Status> {
        if self.reaches(division) {
            Ok(())
        } else {
            Err(unknown())
        }
    }

    /// Whether the caller may do what this method does in `division`; for picking from a list.
    pub fn reaches(&self, division: &DivisionCode) -> bool {
        self.permits.permit(
            &self.identity,
            self.purpose.as_ref(),
            self.asked,
            Some(*division),
        )
    }

    /// Makes `request` to another service in the name of this caller, with its purpose.
    pub fn accompany<T>(&self, request: &mut Request<T>) {
        let metadata = request.metadata_mut();
        if let Some(Ok(bearer)) = self
            .token
            .as_ref()
            .map(|token| format!("Bearer {token}").parse())
        {
            metadata.insert("authorization", bearer);
        }
        if let Some(Ok(purpose)) = self
            .purpose
            .as_ref()
            .map(|purpose| auth::encode_purpose(purpose).parse())
        {
            metadata.insert(auth::PURPOSE, purpose);
        }
    }

    fn check(
        &self,
        asked: Asked,
        division: Option<DivisionCode>,
        named: Option<&DivisionCode>,
    ) -> Result<(), Status> {
        if self
            .permits
            .permit(&self.identity, self.purpose.as_ref(), asked, division)
        {
            return Ok(());
        }
        Err(self.refused(asked, division, named))
    }

    /// Says which of the two it is: not this action, or not this place, which is `named` only if the caller named it.
    pub(crate) fn refused(
        &self,
        asked: Asked,
        division: Option<DivisionCode>,
        named: Option<&DivisionCode>,
    ) -> Status {
        if self.purpose.is_none() && self.would_with_a_purpose(asked, division) {
            return purpose_required();
        }
        if self
            .permits
            .permit_somewhere(&self.identity, self.purpose.as_ref(), asked)
        {
            let refusal = Refusal::new(
                Code::PermissionDenied,
                "DIVISION_OUT_OF_REACH",
                "the caller does not work for this division",
                "调用方无权处理该行政区划的数据",
            );
            return match named {
                Some(division) => refusal.with("division", division.as_str()).into(),
                None => refusal.into(),
            };
        }
        permission_denied(
            "ACTION_NOT_PERMITTED",
            "no policy permits the caller to do this",
            "没有策略允许调用方执行此操作",
        )
    }

    fn would_with_a_purpose(&self, asked: Asked, division: Option<DivisionCode>) -> bool {
        let some = Arc::from("-");
        self.permits
            .permit(&self.identity, Some(&some), asked, division)
            || division.is_none()
                && self
                    .permits
                    .permit_somewhere(&self.identity, Some(&some), asked)
    }
}

fn purpose_required() -> Status {
    permission_denied(
        "PURPOSE_REQUIRED",
        "reading a person's data needs a purpose: give it as eldercare-purpose, or have the token bear one, in plain text without \
         anybody's ID or telephone number",
        "读取个人数据须说明用途，请在 eldercare-purpose 或令牌的 purpose 中填写，不得含身份证号或手机号",
    )
}
