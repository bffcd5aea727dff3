//! Sharing from outside, over gRPC: agreements, dossiers, broken glass, histories, permissions, and what outlives a crash.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod agreements;
mod auditing;
mod bad_input;
mod break_glass;
mod dossier;
mod history;
mod permissions;
mod restarts;
mod situation;
mod support;
