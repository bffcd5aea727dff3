//! Alerts (紧急呼援, 智能监测): what homes say, which alerts follow from it, who is told, and how far help has come.
//!
//! - [`signal`]: what a device sends; [`watched_device`]: what is known of a device and of a home by it.
//! - [`monitor`]: which alerts follow from signals in their order, and from time that passes; [`alert_policy`]: thresholds,
//!   delays, and who is told; [`levels`]: which levels are to come.
//! - [`alert_line`], [`attempts`], [`device`], [`absence`], [`division_policy`], [`recipient`], [`alert_request`]: the aggregates; [`codec`]: their bytes.
//! - [`signals`]: the stream of signals. [`board_table`]: the read model of our own log; [`elders_tables`]: those of the registry's.
//! - [`watching`]: hears every signal and lets time pass, and has alerts raised (`deeds`); it is kept by `kept`.
//!   [`telling`]: tells people (`whom`, `wording`). Both tell their [`progress`]. `on_elder_erased` deletes signals.
//! - `devices`, `ingesting`, `responding`, `listing`, `figures`, `policies`, `recipients`: what callers ask; `parse`, `grpc`: the
//!   face; [`credentials`]: passwords of devices; [`doors`]: who may speak to the NATS server; [`app`]: the whole.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests may unwrap"))]

pub mod alert_policy;
pub mod levels;
pub mod monitor;
pub mod signal;
pub mod watched_device;

pub mod absence;
pub mod alert_line;
pub mod alert_request;
pub mod attempts;
pub mod device;
pub mod division_policy;
pub mod recipient;

pub mod codec;

pub mod signals;

mod alert_rows;
pub mod board_table;
mod device_rows;
pub mod elders_tables;
mod register_rows;

mod deeds;
mod kept;
mod measures;
mod on_elder_erased;
pub mod progress;
pub mod rules;
pub mod telling;
mod untold;
pub mod watching;
mod whom;
mod wording;

mod alerts;
mod devices;
mod figures;
mod ingesting;
mod listing;
mod policies;
mod recipients;
mod refusals;
mod responding;

mod grpc;
mod parse;

pub mod app;
pub mod credentials;
pub mod doors;
mod settings;

pub use app::{App, Ground};
pub use figures::open as open_alerts;
pub use grpc::actions;
pub use settings::AlertsSettings;
