//! Read models: what the log says, kept as tables that answer questions.
//!
//! A [`Projection`] folds the events of one stream into the tables of one PostgreSQL schema. Rows and checkpoint (the
//! sequence reached) are written in one transaction, so that each event takes effect exactly once, whatever dies when.
//! A [`Runner`] keeps it up to date: one replica leads, the others stand by. A [`Follower`] waits until it has reached a
//! position, so that callers read what they wrote. When tables or fold change, the new version is built beside the live
//! one and takes its place at one stroke ([`rebuild`]); [`verify`] builds it aside and compares. A [`Reactor`] acts on
//! another service's events with the same guarantees. What is neither, and keeps tables of its own, is a reader
//! ([`run_reader`]).
//!
//! What holds always:
//! - Nothing is in the database that the log doesn't give back. Losing it costs time.
//! - A transaction moves its checkpoint first, by `UPDATE … WHERE sequence = <mine> AND generation = <mine>`: who has
//!   been superseded changes nothing.
//! - A program never writes to tables that a later one has built, and does not wait for those that an earlier one has.
//! - A record that can't be applied is parked where an operator sees it, and stops nothing. A database or log that is
//!   away is waited for.
//! - No value of an event or a row shows in a log line, a metric or an error.
//!
//! ```
//! use async_trait::async_trait;
//! use eventlog::Record;
//! use readmodel::{ApplyError, Parked, Phase, Projection};
//! use sqlx::PgConnection;
//!
//! /// How many records each subject has.
//! struct Activity;
//!
//! #[async_trait]
//! impl Projection for Activity {
//!     fn name(&self) -> &'static str {
//!         "activity"
//!     }
//!
//!     fn version(&self) -> u32 {
//!         1
//!     }
//!
//!     fn ddl(&self) -> &'static str {
//!         "CREATE TABLE activity (subject text PRIMARY KEY, records bigint NOT NULL)"
//!     }
//!
//!     async fn apply(&mut self, db: &mut PgConnection, records: &[Record], _: Phase) -> Result<Vec<Parked>, ApplyError> {
//!         let subjects: Vec<String> = records.iter().map(|record| record.subject.to_string()).collect();
//!         sqlx::query(
//!             "INSERT INTO activity SELECT subject, count(*) FROM unnest($1::text[]) AS subject GROUP BY subject \
//!              ON CONFLICT (subject) DO UPDATE SET records = activity.records + excluded.records",
//!         )
//!         .bind(subjects)
//!         .execute(db)
//!         .await?;
//!         Ok(vec![])
//!     }
//! }
//! ```
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests may unwrap"))]

mod projection;
mod runner;

mod follower;
mod rebuild;
mod verify;

mod reactor;
mod reader;
mod reader_lag;

pub mod parked;
mod status;

mod copy;
mod gathering;
mod giving_way;
mod look_up;

mod checkpoint;
mod failure;
mod feed;
mod fold;
mod settings;
mod telemetry;

#[cfg(feature = "testing")]
pub mod testing;

pub use checkpoint::{checkpoints, migrate};
pub use copy::{Array, CopyField, CopyRow, Jsonb, copy_rows};
pub use failure::{ApplyError, DatabaseError, Error};
pub use follower::{Follower, WaitError};
pub use gathering::Gathering;
pub use giving_way::GivingWay;
pub use look_up::LookUp;
pub use projection::{Ahead, Parked, Phase, Projection, read_events};
pub use reactor::{Reactor, ReactorRunner, last_answered, reaction_request_id};
pub use reader::{
    ActiveReader, HEARTBEAT, Reached, ReaderFailed, ReaderFollower, run_reader, table_is_there,
};
pub use reader_lag::ReaderLag;
pub use rebuild::{Progress, rebuild};
pub use runner::Runner;
pub use settings::Settings;
pub use status::{ActiveRunner, ProjectionStatus, standing, status};
pub use telemetry::{Traces, Work};
pub use verify::{Differences, Rows, TableDifferences, verify};
