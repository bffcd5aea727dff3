//! A system put back from a backup is the one that was, message by message, and nobody is in it who was erased since.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod cluster;
#[path = "../operator/desk.rs"]
#[allow(dead_code, reason = "the operator's other tests use more of it")]
mod desk;
mod equal;
mod erased;
mod held;
mod refused;
mod town;
mod under_load;
