//! The stories, each about the whole system.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod alerts_killed;
mod bad_input;
mod claims_killed;
mod claims_races;
mod claims_told_late;
mod erasure;
mod feed_consumers;
mod full_path;
mod killed;
mod races;
mod retries;
mod sharing;
mod storm;
mod third_party_client;
mod time;
mod visits;
mod visits_erased;
mod visits_killed;
mod visits_replicas;
mod visits_told;
