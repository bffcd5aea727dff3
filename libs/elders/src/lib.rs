//! What the registry's log says of an elder: its events, their bytes, and the facts that follow for any day.
//!
//! The registry writes these events; every other service reads them. Both use
//! this crate, so that a fact means the same everywhere.
//!
//! - [`event`]: what can happen to an elder's file.
//! - [`codec`]: events become wire bytes and back, here and nowhere else.
//! - [`file`]: the file as its events leave it.
//! - [`facts`]: what holds of the elder on a day.
//! - [`purpose`]: what each sealed field of a file is sealed for.
//! - [`terms`]: the words of the domain as protobuf enums, and back; [`wire`]: other values that all logs have in common.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests may unwrap"))]

pub mod codec;
pub mod event;
pub mod facts;
pub mod file;
pub mod purpose;
pub mod terms;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod wire;

pub use event::Event;
pub use facts::{Facts, FactsOnDay, OutOfScope};
pub use file::{Elder, File};
