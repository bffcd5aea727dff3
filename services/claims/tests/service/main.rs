//! Claims from outside, over gRPC: registers, orders, appeals, holds, money, permissions, and what outlives a crash.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod appeals;
mod bad_input;
mod ended_early;
mod figures;
mod holds;
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
mod unreadable;
mod who_works_elsewhere;
