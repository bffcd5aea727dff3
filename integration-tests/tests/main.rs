//! The stories, each about the whole system.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod alerts_killed;
mod bad_input;
mod claims_killed;
mod claims_races;
mod claims_told_late;
mod client_examples;
mod cluster;
mod erased_everywhere;
mod erasure;
mod feed_consumers;
mod full_path;
mod killed;
mod over_tls;
mod overload;
mod pages;
mod races;
mod replayed;
mod retries;
mod rolling_update;
mod sharing;
mod storm;
mod telemetry;
mod third_party_client;
mod time;
mod under_fire;
mod visits;
mod visits_erased;
mod visits_killed;
mod visits_replicas;
mod visits_told;
