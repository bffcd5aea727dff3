//! The registry (台账): one elder, one file. It owns the elders' data, the keys that seal them, and the log of what happened to them.
//!
//! In reading order:
//!
//! - The domain, without I/O: [`elder`] (a file), [`identity`] (the claim to an ID number), [`lookup_keys`]
//!   (under which keys claims are found), [`duplicate`] (a pair that may
//!   be one person), [`divisions`] (a county's table), [`survey`] (workbooks and the judgement of their rows),
//!   [`annex1`] and [`annex3`] (printed forms).
//! - Commands: requests are read in `parse`, carried out in `registration`, `commands`, `reviews`, `county_tables` and
//!   `survey::import`. Refusals become status codes in `refusals`.
//! - The read model: [`registry_elders`] folds the log into the tables of `elders_table`, `duplicates_table` and
//!   `divisions_table`; `elder_files` and `statistics` ask them, `queries` answers from them.
//! - The faces: `grpc`, `vault_grpc`. [`App`] puts everything together.
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests may unwrap"))]

pub mod annex1;
pub mod annex3;
pub mod divisions;
pub mod duplicate;
pub mod elder;
pub mod identity;
pub mod lookup_keys;
pub mod survey;

mod derived_ids;
mod parse;

mod answer;
mod call;
mod commands;
mod county_tables;
mod exports;
mod history;
mod queries;
mod refusals;
mod registration;
mod registry;
mod reviews;

mod divisions_table;
mod duplicates_table;
mod elder_files;
mod elders_ahead;
mod elders_rows;
mod elders_table;
mod erased_table;
mod fact_spans;
mod file_records;
mod statistics;

pub mod on_elder_erased;
pub mod registry_elders;

mod app;
mod grpc;
mod keys;
pub mod settings;
mod vault_grpc;

pub use app::App;
pub use keys::{blind_index, key_ring, vault as open_vault};
pub use settings::RegistrySettings;

/// What the methods of the registry and of its vault do, as the policies speak of it.
pub fn actions() -> service::Actions {
    grpc::actions().and(vault_grpc::actions())
}
