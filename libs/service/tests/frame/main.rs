//! The frame of a service seen from outside, by clients of a small service under test.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod configuration;
mod going_down;
mod health_and_reflection;
mod load_and_deadlines;
mod mutual_tls;
mod support;
mod telemetry;
mod who_may_call;
