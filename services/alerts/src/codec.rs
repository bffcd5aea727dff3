//! Events become wire bytes and back, here and nowhere else.

mod alert_line;
mod attempts;
mod policy;
mod register;

pub use policy::{read_policy, write_policy};

/// The context that owns all aggregates.
pub const CONTEXT: &str = "alerts";

/// What each sealed field is sealed for: a ciphertext opens only for its own purpose.
pub mod purpose {
    /// A recipient's name, and the ways to reach them.
    pub const RECIPIENT: &str = "alerts.recipient";
}

#[cfg(test)]
mod tests;
