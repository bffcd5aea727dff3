//! What can happen to an elder's file, each a fact in the past.
//!
//! The protobuf messages of `eldercare.registry.v1` are the log's form of these
//! types; see [`crate::codec`].

use chrono::{DateTime, Utc};
use civic::{
    Assistance, CapabilityLevel, Category, CircumstanceKind, ConsentGiver, ConsentState, ElderId,
    HandicapGrade, LocalDay, Observation, ServiceKind, Set, Sex, VillageCode,
};
use proto::eldercare::registry::v1 as pb;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use vault::Sealed;

/// One event of an elder's file.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The file was opened.
    Registered(Box<Registered>),
    /// A wrong name or ID number was replaced.
    IdentityCorrected(IdentityCorrected),
    /// The elder lives somewhere else from a day on.
    Relocated(Residence, LocalDay),
    /// Categories, assistance, wanted services or remarks changed.
    ProfileUpdated(ProfileUpdated),
    /// An assessment gave a capability level.
    CapabilityAssessed(Capability, Option<Sealed<pb::AssessmentItems>>),
    /// The disability certificate shows this grade, or was withdrawn.
    HandicapRecorded {
        /// The grade; none when the certificate was withdrawn.
        grade: Option<HandicapGrade>,
        /// From this day on; since ever where absent.
        on: Option<LocalDay>,
    },
    /// Something was seen that holds until it is ended.
    ObservationRecorded {
        /// What was seen.
        observation: Observation,
        /// From this day on; since ever where absent.
        on: Option<LocalDay>,
    },
    /// What was seen no longer holds.
    ObservationEnded {
        /// What had been seen.
        observation: Observation,
        /// The first day without it.
        on: LocalDay,
    },
    /// A blow fell.
    CircumstanceRecorded(Circumstance),
    /// A circumstance got its last day.
    CircumstanceEnded {
        /// Which.
        id: Uuid,
        /// The last day on which it holds.
        last_day: LocalDay,
    },
    /// The contacts were replaced.
    ContactsSet(Sealed<pb::ContactList>),
    /// Home visits are welcome.
    ConsentGranted(Spoken),
    /// Home visits are not welcome.
    ConsentRefused(Spoken),
    /// Home visits were welcome and are no more.
    ConsentWithdrawn(Spoken),
    /// The elder died.
    Died {
        /// The day of death.
        on: LocalDay,
    },
    /// The elder left the county.
    MovedOut {
        /// The first day away.
        on: LocalDay,
    },
    /// The file is active again.
    Reinstated {
        /// The first day on which it is.
        on: LocalDay,
        /// Why, a code.
        reason: String,
    },
    /// This file and another are one person's.
    Merged(Merge),
    /// A merge was taken back.
    Unmerged(Merge),
    /// The personal data are destroyed.
    Erased {
        /// The legal ground, a code.
        reason: String,
    },
}

impl Event {
    /// The event's name in the log, such as `ElderRegistered`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Registered(_) => "ElderRegistered",
            Self::IdentityCorrected(_) => "IdentityCorrected",
            Self::Relocated(..) => "ElderRelocated",
            Self::ProfileUpdated(_) => "ProfileUpdated",
            Self::CapabilityAssessed(..) => "CapabilityAssessed",
            Self::HandicapRecorded { .. } => "HandicapRecorded",
            Self::ObservationRecorded { .. } => "ObservationRecorded",
            Self::ObservationEnded { .. } => "ObservationEnded",
            Self::CircumstanceRecorded(_) => "CircumstanceRecorded",
            Self::CircumstanceEnded { .. } => "CircumstanceEnded",
            Self::ContactsSet(_) => "ContactsSet",
            Self::ConsentGranted(_) => "ConsentGranted",
            Self::ConsentRefused(_) => "ConsentRefused",
            Self::ConsentWithdrawn(_) => "ConsentWithdrawn",
            Self::Died { .. } => "ElderDied",
            Self::MovedOut { .. } => "ElderMovedOut",
            Self::Reinstated { .. } => "ElderReinstated",
            Self::Merged(_) => "EldersMerged",
            Self::Unmerged(_) => "EldersUnmerged",
            Self::Erased { .. } => "ElderErased",
        }
    }
}

/// Where a file came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// A call of RegisterElder.
    Api,
    /// A survey workbook.
    Survey,
}

/// How a file was opened, and all that was known then. What bears no day of
/// its own holds since ever.
#[derive(Clone, Debug, PartialEq)]
pub struct Registered {
    /// The elder.
    pub elder: ElderId,
    /// Where the file came from.
    pub source: Source,
    /// Name and ID number.
    pub identity: Sealed<pb::Identity>,
    /// The claim to the ID number: the last token of its subject.
    pub identity_claim: String,
    /// Birth date, by the ID number.
    pub birth_date: LocalDay,
    /// Sex, by the ID number.
    pub sex: Sex,
    /// Where the elder lives.
    pub residence: Residence,
    /// Categories.
    pub categories: Set<Category>,
    /// Assistance.
    pub assistance: Set<Assistance>,
    /// Capability.
    pub capability: Capability,
    /// Observations.
    pub observations: Set<Observation>,
    /// Handicap grade, when one is recorded.
    pub handicap_grade: Option<HandicapGrade>,
    /// Circumstances.
    pub circumstances: Vec<Circumstance>,
    /// Contacts.
    pub contacts: Option<Sealed<pb::ContactList>>,
    /// Consent to home visits.
    pub consent: Consent,
    /// Wanted services.
    pub wanted_services: Set<ServiceKind>,
    /// Remarks.
    pub remarks: Option<Sealed<pb::Remarks>>,
    /// The survey import that brought the file.
    pub import: Option<Uuid>,
}

/// A replaced identity; it holds for all time.
#[derive(Clone, Debug, PartialEq)]
pub struct IdentityCorrected {
    /// Name and ID number.
    pub identity: Sealed<pb::Identity>,
    /// The claim now held.
    pub identity_claim: String,
    /// Birth date, by the right ID number.
    pub birth_date: LocalDay,
    /// Sex, by the right ID number.
    pub sex: Sex,
    /// Why, a code.
    pub reason: String,
}

/// Where an elder lives.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Residence {
    /// The village or community.
    pub village: VillageCode,
    /// Address and position.
    pub home: Option<Sealed<pb::Home>>,
}

/// A change of the profile. What is absent did not change.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProfileUpdated {
    /// From this day on; since ever where absent.
    pub on: Option<LocalDay>,
    /// The new categories.
    pub categories: Option<Set<Category>>,
    /// The new assistance.
    pub assistance: Option<Set<Assistance>>,
    /// The new wanted services.
    pub wanted_services: Option<Set<ServiceKind>>,
    /// The new remarks.
    pub remarks: Option<Sealed<pb::Remarks>>,
}

/// A capability level with its origin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capability {
    /// The level.
    pub level: CapabilityLevel,
    /// The day of the assessment; since ever where absent.
    pub assessed_on: Option<LocalDay>,
    /// Who assessed, a code; may be empty.
    pub source: String,
}

impl Capability {
    /// Nobody assessed yet.
    #[must_use]
    pub fn unassessed() -> Self {
        Self {
            level: CapabilityLevel::Unassessed,
            assessed_on: None,
            source: String::new(),
        }
    }
}

/// A blow that holds from its first to its last day, both included.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Circumstance {
    /// Its id within the file.
    pub id: Uuid,
    /// Its kind.
    pub kind: CircumstanceKind,
    /// The first day.
    pub first_day: LocalDay,
    /// The last day; until further notice where absent.
    pub last_day: Option<LocalDay>,
}

impl Circumstance {
    /// Whether it holds on a day.
    #[must_use]
    pub fn holds_on(&self, day: LocalDay) -> bool {
        self.first_day <= day && self.last_day.is_none_or(|last| day <= last)
    }
}

/// Who spoke about home visits, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spoken {
    /// Who, when it is known.
    pub by: Option<ConsentGiver>,
    /// The instant from which it holds; since ever where absent.
    pub at: Option<DateTime<Utc>>,
}

/// Consent to home visits as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consent {
    /// The state.
    pub state: ConsentState,
    /// Who spoke, and when.
    pub spoken: Spoken,
}

impl Consent {
    /// Nobody asked yet.
    #[must_use]
    pub fn unknown() -> Self {
        Self {
            state: ConsentState::Unknown,
            spoken: Spoken { by: None, at: None },
        }
    }
}

/// Two files that are one person's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merge {
    /// The file that remains.
    pub surviving: ElderId,
    /// The file that points to it.
    pub merged: ElderId,
    /// Why, a code.
    pub reason: String,
}
