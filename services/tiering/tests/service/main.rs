//! Tiering from outside: the registry's log in, answers over gRPC out, over a real NATS server and PostgreSQL.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod support;

mod days;
mod explanations;
mod facts;
mod failures;
mod migrating;
mod policies;
mod requests;
mod watching;
mod who_works_elsewhere;
