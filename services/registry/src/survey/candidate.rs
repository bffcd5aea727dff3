//! An elder as a row of a survey describes one, before it is known whether the registry knows the person already.

use civic::{
    Assistance, CapabilityLevel, Category, ConsentState, GeoPosition, HandicapGrade, IdNumber,
    Observation, PersonName, Phone, ServiceKind, Set, VillageCode,
};

#[cfg(doc)]
use super::verdict::Rejection;
use super::verdict::Warning;

/// The longest address, in characters; what exceeds it is cut off.
pub const LONGEST_ADDRESS: usize = 200;
/// The longest relation of a contact, in characters; what exceeds it is cut off.
pub const LONGEST_RELATION: usize = 32;
/// The longest remarks, in characters; what exceeds them is cut off.
pub const LONGEST_REMARKS: usize = 1_000;

/// A person to call about the elder. Personal.
#[derive(Clone, PartialEq, Eq)]
pub struct Contact {
    /// The name.
    pub name: PersonName,
    /// The relation to the elder, such as 子; may be empty.
    pub relation: String,
    /// The number, where a valid one is given.
    pub phone: Option<Phone>,
}

/// What a row says of an elder who can be registered, unless the ID number is another's already. Personal.
#[derive(Clone, PartialEq)]
pub struct Candidate {
    /// The row's number in the sheet, from 1.
    pub row: u32,
    /// The name.
    pub name: PersonName,
    /// The ID number, which gives sex and birth date too.
    pub id_number: IdNumber,
    /// The village.
    pub village: VillageCode,
    /// The address, at most [`LONGEST_ADDRESS`] characters; may be empty.
    pub address: String,
    /// The home's position, where both degrees are given and in range.
    pub position: Option<GeoPosition>,
    /// The categories, one at the least.
    pub categories: Set<Category>,
    /// The assistance.
    pub assistance: Set<Assistance>,
    /// The grade of handicap, where one is given.
    pub handicap_grade: Option<HandicapGrade>,
    /// The level of capability.
    pub capability: CapabilityLevel,
    /// The observations.
    pub observations: Set<Observation>,
    /// The contact, where one is given.
    pub contact: Option<Contact>,
    /// The services that are wanted.
    pub wanted_services: Set<ServiceKind>,
    /// The consent to visits at home.
    pub consent: ConsentState,
    /// The remarks, at most [`LONGEST_REMARKS`] characters; may be empty.
    pub remarks: String,
    /// What is odd about the row. Reported with an accepted (or, in an update, a changed or unchanged) row only.
    pub warnings: Vec<Warning>,
}

impl std::fmt::Debug for Candidate {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Candidate")
            .field("row", &self.row)
            .field("warnings", &self.warnings)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Contact {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Contact(**)")
    }
}

/// How the ID number of a candidate stands in the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// Nobody holds it: the row is ACCEPTED.
    New,
    /// It is registered under the same name: the row is a DUPLICATE or, in an update, CHANGED or UNCHANGED.
    Known,
    /// It is registered under another name: the row is REJECTED as [`Rejection::IdentityConflict`].
    Conflict,
}

impl Candidate {
    /// Decides by the name under which the ID number is registered, if it is.
    #[must_use]
    pub fn identity(&self, registered_as: Option<&PersonName>) -> Identity {
        match registered_as {
            None => Identity::New,
            Some(name) if *name == self.name => Identity::Known,
            Some(_) => Identity::Conflict,
        }
    }
}
