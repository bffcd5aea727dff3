//! The log of everything that has happened: each decision is written once, in order, and nothing is ever taken out.
//!
//! One decision about one aggregate is one [`Record`] on the aggregate's own [`Subject`]. It is appended expecting the
//! aggregate's last sequence, so that of two racing writers one wins and the other decides again. What spans
//! aggregates is appended all or nothing ([`EventLog::append_all`]).
//!
//! Services seldom touch the log directly: a [`Repository`] loads an aggregate (from memory, a snapshot, or the log),
//! has it decide, appends, and recognises a repeated request however late it comes. [`Repository::transact`] does the
//! same for decisions that span several aggregates.
//!
//! [`JetStreamLog`] keeps the log in NATS JetStream, [`MemoryLog`] in memory for tests; one suite of tests holds both
//! to the same contract.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests may unwrap"))]

mod aggregate;
mod command;
mod jetstream;
mod keyed_locks;
mod log;
mod measures;
mod memory;
mod position;
mod record;
mod repository;
mod subject;
mod unit_of_work;
mod wire;

pub use aggregate::{Aggregate, DecodeError, KnownRequest, Loaded, SnapshotError, Snapshots};
pub use command::{CommandContext, Committed, ExecuteError, LoadError, RequestDigest};
pub use jetstream::{Gather, JetStreamLog, OpenError, StreamSettings};
pub use log::{AppendError, Deliveries, EventLog, ReadError};
pub use memory::{Fault, MemoryLog};
pub use position::{InvalidPosition, Position};
pub use record::{Delivery, Metadata, NewRecord, RawEvent, RawMessage, Record};
pub use repository::Repository;
pub use subject::{InvalidSubject, Subject};
pub use unit_of_work::{Held, UnitOfWork};
