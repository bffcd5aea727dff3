//! Finds, installs, starts and stops the two servers that the system stands on, NATS and PostgreSQL, on one machine.
//!
//! The launcher starts them for an office's data, the tests of every crate start them for a moment. Each is found in
//! this order: the path that the configuration names, what the machine has when it is recent enough and works, and else
//! a pinned copy from the Python package index, whose binaries alone are used.
//!
//! No server outlives the process that started it, not even when that process is killed: see [`Nats`] and [`Postgres`].

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests may unwrap"))]

mod account;
mod error;
mod install;
mod nats;
mod ports;
mod postgres;
mod process;
mod scratch;
pub mod testing;
mod tls;
mod tools;

pub use error::Error;
pub use nats::{Nats, NatsOptions, Syncing};
pub use postgres::{Postgres, PostgresOptions};
pub use process::Exit;
pub use tls::{Shown, Tls};
pub use tools::{NatsProgram, Origin, PostgresPrograms, Tools, Version};
