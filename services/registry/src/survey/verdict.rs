//! What may be said about a row of a survey: why it is rejected, and what is odd about one that is not.

use super::Column;

/// Why a row is rejected, in the order in which reasons are looked for: the first that applies is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rejection {
    /// The name is blank, or no name at all (over 64 characters).
    NameMissing,
    /// After normalising: wrong length, characters, birth date or check character.
    IdInvalid,
    /// Younger than 60 or older than 120 on the as-of date.
    AgeOutOfRange,
    /// No category: assistance alone is none.
    CategoryMissing,
    /// A word among the categories that is none of the known ones.
    CategoryUnknown,
    /// A word about capability that is none of the known ones.
    CapabilityUnknown,
    /// The village is none of the town's, or may be several.
    VillageUnknown,
    /// The ID number is registered already under another name.
    IdentityConflict,
}

impl Rejection {
    /// The reason by its name, in data and APIs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NameMissing => "NAME_MISSING",
            Self::IdInvalid => "ID_INVALID",
            Self::AgeOutOfRange => "AGE_OUT_OF_RANGE",
            Self::CategoryMissing => "CATEGORY_MISSING",
            Self::CategoryUnknown => "CATEGORY_UNKNOWN",
            Self::CapabilityUnknown => "CAPABILITY_UNKNOWN",
            Self::VillageUnknown => "VILLAGE_UNKNOWN",
            Self::IdentityConflict => "IDENTITY_CONFLICT",
        }
    }

    /// The column that is the cause.
    #[must_use]
    pub const fn column(self) -> Column {
        match self {
            Self::NameMissing => Column::Name,
            Self::IdInvalid | Self::AgeOutOfRange | Self::IdentityConflict => Column::IdNumber,
            Self::CategoryMissing | Self::CategoryUnknown => Column::Category,
            Self::CapabilityUnknown => Column::Capability,
            Self::VillageUnknown => Column::Village,
        }
    }
}

/// Something odd about a row that does not keep it out. Ordered as they are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Warning {
    /// The column of the sex contradicts the ID number, which prevails.
    SexMismatch,
    /// The column of the age contradicts the ID number, which prevails.
    AgeMismatch,
    /// No capability is given; it is taken as not assessed.
    CapabilityBlank,
    /// The contact is kept without the number.
    PhoneInvalid,
    /// 重残 with a grade of 3 or 4, which is no severe handicap.
    GradeConflict,
}

impl Warning {
    /// The warning by its name, in data and APIs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SexMismatch => "SEX_MISMATCH",
            Self::AgeMismatch => "AGE_MISMATCH",
            Self::CapabilityBlank => "CAPABILITY_BLANK",
            Self::PhoneInvalid => "PHONE_INVALID",
            Self::GradeConflict => "GRADE_CONFLICT",
        }
    }

    /// The column that is odd.
    #[must_use]
    pub const fn column(self) -> Column {
        match self {
            Self::SexMismatch => Column::Sex,
            Self::AgeMismatch => Column::Age,
            Self::CapabilityBlank => Column::Capability,
            Self::PhoneInvalid => Column::ContactPhone,
            Self::GradeConflict => Column::Category,
        }
    }
}
