//! The elders' files as the log has them: what holds of whom when, and the bytes it is written in.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod facts_in_time;
mod golden_bytes;
