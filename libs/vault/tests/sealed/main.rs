//! Keys, sealed fields and the blind index. One program for all: it links once.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod blind_index;
mod erasure;
mod key_store;
mod rotation;
mod sealing;
mod support;
mod vault;
mod vectors;
