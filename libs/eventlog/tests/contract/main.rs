//! What a log promises, held against the log in memory and the one in JetStream alike.

#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod append;
mod bench;
mod crash;
mod follow;
mod read;
mod repository;
mod tally;
mod transact;
