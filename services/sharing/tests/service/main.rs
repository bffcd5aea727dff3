//! Sharing from outside, over gRPC: agreements, dossiers, searches, situations, broken glass, histories, permissions, and what
//! outlives a crash.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod accesses;
mod agreements;
mod auditing;
mod bad_input;
mod break_glass;
mod dossier;
mod dossiers_at_once;
mod entitlements;
mod feeds;
mod feeds_after_losses;
mod find;
mod glass_notices;
mod history;
mod leaks;
mod logs;
mod past_days;
mod permissions;
mod rebuilding;
mod restarts;
mod situation;
mod support;
mod the_read_models_follow_the_logs;
mod unreadable_agreements;
mod views;
mod watch;
