//! The frame of a service seen from outside, by clients of a small service under test.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod authority;
mod configuration;
mod floods;
mod forged_tokens;
mod going_down;
mod health_and_reflection;
mod key_sets;
mod load_and_deadlines;
mod metadata;
mod mutual_tls;
mod oversize;
mod peers;
mod proxies;
mod slow_clients;
mod support;
mod telemetry;
mod who_may_call;
mod wire;
mod wrong_certificates;
