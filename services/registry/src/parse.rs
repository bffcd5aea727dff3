//! Requests become values of the domain, here and nowhere else; all that is wrong with a request is told at once.
//!
//! Personal data leave this module as the messages that will be sealed (`Identity`, `Home`, `ContactList`, `Remarks`),
//! normalised: equal content is equal bytes.

pub(crate) mod commands;
mod fields;
pub(crate) mod queries;
pub(crate) mod tables_and_pairs;
