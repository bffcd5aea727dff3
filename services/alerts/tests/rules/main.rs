//! The rules alone, without a server or a clock: a sample week, and whatever else devices may send.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod properties;
mod sample_week;
