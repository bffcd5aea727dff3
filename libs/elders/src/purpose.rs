//! What each sealed field of a file is sealed for: a ciphertext opens only for its own purpose.

/// A `registry.v1.Identity`: name and ID number.
pub const IDENTITY: &str = "registry.identity";
/// A `registry.v1.Home`: address and position.
pub const HOME: &str = "registry.home";
/// A `registry.v1.ContactList`.
pub const CONTACTS: &str = "registry.contacts";
/// A `registry.v1.Remarks`.
pub const REMARKS: &str = "registry.remarks";
/// A `registry.v1.AssessmentItems`.
pub const ASSESSMENT_ITEMS: &str = "registry.assessment_items";
