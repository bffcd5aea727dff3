//! Events become wire bytes and back, here and nowhere else.

mod money;
mod order;
mod register;
mod runs;

pub(crate) use order::{write_evidence, write_facts};

/// The context that owns all aggregates.
pub const CONTEXT: &str = "claims";

/// What each sealed field is sealed for: a ciphertext opens only for its own purpose.
pub mod purpose {
    /// Where a service began.
    pub const CHECK_IN: &str = "claims.check_in";
    /// What a provider says in an appeal.
    pub const STATEMENT: &str = "claims.statement";
    /// A caregiver's name.
    pub const CAREGIVER: &str = "claims.caregiver";
}

#[cfg(test)]
mod tests;
