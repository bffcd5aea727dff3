//! Looks at personal data, on record (访问记录), and the signed heads of the chain over these records (审计链).
//!
//! Nothing is decided here: what went out is written down as it was.

use std::convert::Infallible;

use chrono::{DateTime, Utc};
use civic::ElderId;
use decider::Decider;
use proto::eldercare::sharing::v1 as pb;
use uuid::Uuid;
use vault::Sealed;

/// One answer that told somebody personal data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// Who was told, as `ce-actor` has it.
    pub caller: String,
    /// Of which department.
    pub department: String,
    /// What for, as the caller said.
    pub purpose: String,
    /// By which method, such as `GetDossier`.
    pub method: String,
    /// From where: the address of the peer, or of whom a trusted proxy has the call from; empty where none is known.
    pub address: String,
    /// When the answer went out.
    pub at: DateTime<Utc>,
    /// Whose data.
    pub elders: Vec<ElderId>,
    /// Which personal fields were told, such as `elder.name`, or `elder.name:masked`.
    pub fields: Vec<String>,
}

/// By what right somebody looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LookKind {
    /// The caller's department owns the data (履职访问).
    Access,
    /// Under an agreement (协议提供).
    Provided,
    /// Beyond all agreements (紧急调阅).
    BreakGlass,
}

impl LookKind {
    /// All kinds.
    pub const ALL: &'static [Self] = &[Self::Access, Self::Provided, Self::BreakGlass];

    /// The name in tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Access => "ACCESS",
            Self::Provided => "PROVIDED",
            Self::BreakGlass => "BREAK_GLASS",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }
}

/// What one process of sharing saw go out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Looks;

/// A look that went on record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// Somebody of a department that owns the data was told.
    Access(Look),
    /// A department was told under agreements.
    Provided {
        /// What was told, to whom.
        look: Look,
        /// Under which agreements.
        agreements: Vec<Uuid>,
    },
}

impl Recorded {
    /// What was told, to whom.
    #[must_use]
    pub fn look(&self) -> &Look {
        match self {
            Self::Access(look) | Self::Provided { look, .. } => look,
        }
    }

    /// By what right.
    #[must_use]
    pub fn kind(&self) -> LookKind {
        match self {
            Self::Access(_) => LookKind::Access,
            Self::Provided { .. } => LookKind::Provided,
        }
    }
}

impl Decider for Looks {
    /// Many looks go on record at once.
    type Command = Vec<Recorded>;
    type Event = Recorded;
    type Refusal = Infallible;

    fn decide(&self, looks: &Vec<Recorded>) -> Result<Vec<Recorded>, Infallible> {
        Ok(looks.clone())
    }

    fn evolve(self, _: &Recorded) -> Self {
        self
    }
}

/// Who opened an elder's dossier beyond all agreements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BrokenGlass;

/// An officer opened a dossier beyond all agreements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GlassBroken {
    /// What was told, to whom.
    pub look: Look,
    /// Why, sealed under the elder's key.
    pub reason: Sealed<pb::BreakGlassReason>,
}

impl Decider for BrokenGlass {
    type Command = GlassBroken;
    type Event = GlassBroken;
    type Refusal = Infallible;

    fn decide(&self, broken: &GlassBroken) -> Result<Vec<GlassBroken>, Infallible> {
        Ok(vec![broken.clone()])
    }

    fn evolve(self, _: &GlassBroken) -> Self {
        self
    }
}

/// The signed heads of the chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AuditHeads;

/// The head of the chain over all records of `SHARING` before this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeadSigned {
    /// The last record that the chain holds.
    pub sequence: u64,
    /// The chain's head there, SM3.
    pub head: [u8; 32],
    /// Which key signed it.
    pub key: String,
    /// The Ed25519 signature.
    pub signature: [u8; 64],
}

impl Decider for AuditHeads {
    type Command = HeadSigned;
    type Event = HeadSigned;
    type Refusal = Infallible;

    fn decide(&self, signed: &HeadSigned) -> Result<Vec<HeadSigned>, Infallible> {
        Ok(vec![signed.clone()])
    }

    fn evolve(self, _: &HeadSigned) -> Self {
        self
    }
}
