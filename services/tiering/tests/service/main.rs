//! Tiering from outside: the registry's log in, answers over gRPC out, over a real NATS server and PostgreSQL.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod generated;
mod support;

mod any_sequence_of_commands;
mod days;
mod explanations;
mod facts;
mod failures;
mod migrating;
mod policies;
mod positions_never_reached;
mod requests;
mod the_read_models_follow_the_logs;
mod watching;
mod who_works_elsewhere;
