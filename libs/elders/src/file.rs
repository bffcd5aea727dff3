//! An elder's file as its events leave it.

use civic::ElderId;
use proto::eldercare::registry::v1 as pb;
use serde::{Deserialize, Serialize};
use vault::Sealed;

use crate::{
    event::{Event, Registered, Source},
    facts::Facts,
};

/// A file: not there yet, open, or erased.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum File {
    /// No such elder.
    #[default]
    Absent,
    /// One elder's file.
    Open(Box<Elder>),
    /// The personal data are destroyed; nothing can happen to it any more.
    Erased,
}

/// An open file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Elder {
    /// The elder.
    pub id: ElderId,
    /// Where the file came from.
    pub source: Source,
    /// Name and ID number.
    pub identity: Sealed<pb::Identity>,
    /// The claim to the ID number that the file holds.
    pub identity_claim: String,
    /// Contacts.
    pub contacts: Option<Sealed<pb::ContactList>>,
    /// Remarks.
    pub remarks: Option<Sealed<pb::Remarks>>,
    /// The facts, in time.
    pub facts: Facts,
    /// The file that stands for this one.
    pub merged_into: Option<ElderId>,
    /// The files that this one stands for.
    pub absorbed: Vec<ElderId>,
    /// The files that stood for this one until the merge was taken back: they may have answered requests about it.
    pub formerly_merged_into: Vec<ElderId>,
}

impl File {
    /// The file after an event. An event that cannot follow (the registry never
    /// writes one) leaves it as it was.
    #[must_use]
    pub fn evolve(self, event: &Event) -> Self {
        match (self, event) {
            (Self::Erased, _) => Self::Erased,
            (_, Event::Registered(registered)) => {
                Self::Open(Box::new(Elder::registered(registered)))
            }
            (_, Event::Erased { .. }) => Self::Erased,
            (Self::Open(mut elder), event) => {
                elder.apply(event);
                Self::Open(elder)
            }
            (Self::Absent, _) => Self::Absent,
        }
    }

    /// The open file, if it is one.
    #[must_use]
    pub fn open(&self) -> Option<&Elder> {
        match self {
            Self::Open(elder) => Some(elder),
            Self::Absent | Self::Erased => None,
        }
    }
}

impl Elder {
    fn registered(event: &Registered) -> Self {
        Self {
            id: event.elder,
            source: event.source,
            identity: event.identity.clone(),
            identity_claim: event.identity_claim.clone(),
            contacts: event.contacts.clone(),
            remarks: event.remarks.clone(),
            facts: Facts::registered(event),
            merged_into: None,
            absorbed: Vec::new(),
            formerly_merged_into: Vec::new(),
        }
    }

    /// Takes a later event into account.
    pub fn apply(&mut self, event: &Event) {
        self.facts.apply(event, self.id);
        match event {
            Event::IdentityCorrected(corrected) => {
                self.identity = corrected.identity.clone();
                self.identity_claim.clone_from(&corrected.identity_claim);
            }
            Event::ProfileUpdated(update) => {
                if let Some(remarks) = &update.remarks {
                    self.remarks = Some(remarks.clone());
                }
            }
            Event::ContactsSet(contacts) => self.contacts = Some(contacts.clone()),
            Event::Merged(merge) if merge.merged == self.id => {
                self.merged_into = Some(merge.surviving)
            }
            Event::Merged(merge) => {
                if !self.absorbed.contains(&merge.merged) {
                    self.absorbed.push(merge.merged);
                }
            }
            Event::Unmerged(merge) if merge.merged == self.id => {
                self.merged_into = None;
                if !self.formerly_merged_into.contains(&merge.surviving) {
                    self.formerly_merged_into.push(merge.surviving);
                }
            }
            Event::Unmerged(merge) => self.absorbed.retain(|absorbed| *absorbed != merge.merged),
            Event::Registered(_)
            | Event::Relocated(..)
            | Event::CapabilityAssessed(..)
            | Event::HandicapRecorded { .. }
            | Event::ObservationRecorded { .. }
            | Event::ObservationEnded { .. }
            | Event::CircumstanceRecorded(_)
            | Event::CircumstanceEnded { .. }
            | Event::ConsentGranted(_)
            | Event::ConsentRefused(_)
            | Event::ConsentWithdrawn(_)
            | Event::Died { .. }
            | Event::MovedOut { .. }
            | Event::Reinstated { .. }
            | Event::Erased { .. } => {}
        }
    }
}
