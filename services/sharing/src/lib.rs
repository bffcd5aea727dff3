//! Sharing (跨部门共享): what each department may see of elders, by agreement, and who has looked at what.
//!
//! - [`products`]: the catalogue of what can be granted; [`document`]: one thing of a product; [`cut`]: what is left of it for somebody.
//! - [`agreement`], [`look`]: the aggregates; [`codec`]: their bytes.
//! - [`elders_table`], [`cards_table`], [`tiers_table`], [`visits_table`], [`alerts_table`], [`claims_table`],
//!   [`book_table`]: the read models of all logs, our own as the last one.
//! - `right`: by what right somebody is told; `in_force`: by which agreements at this moment; `granting`: what these grant, as far
//!   as they can be read; `parked_rows`: what could not be read; `recorder`: puts on record what goes out, before it does;
//!   `look_groups`: whom one look names; `access_mover`: what other services told; `glass_notices`: tells supervisors of dossiers
//!   opened beyond all agreements.
//! - [`feeds`]: durable streams of events for departments, cut to their agreements; [`credential`]: what a department shows to
//!   read its own; [`erasure`]: which departments were asked to erase what they hold, and have.
//! - [`audit_chain`]: the chain over our own log and how it is verified; `auditing`: makes it, and signs its head each hour;
//!   `measures`: what operators see.
//! - `agreements`, `dossier`, `find`, `situation`, `watch`, `history`, `erasures`: what callers ask; `coverage`: what of a situation
//!   follows from several read models; `parse`, `grpc`: the face; [`app`]: the whole.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests may unwrap"))]

pub mod cut;
pub mod document;
pub mod products;

pub mod agreement;
pub mod credential;
pub mod erasure;
pub mod look;

pub mod codec;

pub mod alerts_table;
pub mod book_table;
pub mod cards_table;
pub mod claims_table;
pub mod elders_table;
pub mod tiers_table;
pub mod visits_table;

mod agreement_rows;
mod credential_rows;
mod erasure_rows;
mod look_rows;

pub mod audit_chain;
mod audit_export;
mod auditing;

pub mod access_mover;
pub mod feeds;

mod agreements;
mod coverage;
mod dossier;
mod erasures;
mod find;
mod glass_notices;
mod granting;
mod history;
mod in_force;
mod look_groups;
mod measures;
mod parked_rows;
mod recorder;
mod refusals;
mod right;
mod sharing;
mod situation;
mod watch;

mod grpc;
mod parse;

pub mod app;
mod notice_settings;
mod settings;

pub use app::{App, Secrets, SideStreams};
pub use feeds::access::{FeedDoors, FeedPasswords, offered as offered_to_departments};
pub use grpc::actions;
pub use notice_settings::{NoticeRecipient, NoticeSettings};
pub use settings::{AuditSettings, FeedSettings, SharingSettings};
pub use sharing::Logs;
