//! Claims from outside, over gRPC: registers, orders, appeals, holds, money, permissions, what outlives a crash, and
//! what holds after any commands. And the rows that the log gives.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod any_commands;
mod appeals;
mod bad_input;
mod ended_early;
mod figures;
mod holds;
mod holds_explained;
mod judging;
mod listing;
mod money;
mod orders;
mod permissions;
mod providers;
mod registers;
mod replicas;
mod restarts;
mod support;
mod the_read_model_follows_the_log;
mod unreadable;
mod who_works_elsewhere;
