//! Sharing from outside, over gRPC: agreements, dossiers, searches, situations, broken glass, histories, permissions, and what
//! outlives a crash.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod accesses;
mod agreements;
mod auditing;
mod bad_input;
mod break_glass;
mod dossier;
mod feeds;
mod find;
mod glass_notices;
mod history;
mod leaks;
mod permissions;
mod restarts;
mod situation;
mod support;
mod watch;
