//! Alerts (紧急呼援, 智能监测): what homes say, which alerts follow from it, who is told, and how far help has come.
//!
//! - [`signal`]: what a device sends; [`watch`]: what is known of a device and of a home by it.
//! - [`monitor`]: which alerts follow from signals in their order, and from time that passes; [`alert_policy`]: thresholds,
//!   delays, and who is told.
//! - [`alert_line`], [`notices`], [`device`], [`absence`], [`division_policy`], [`recipient`]: the aggregates; [`codec`]: their bytes.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests may unwrap"))]

pub mod alert_policy;
pub mod monitor;
pub mod signal;
pub mod watch;

pub mod absence;
pub mod alert_line;
pub mod device;
pub mod division_policy;
pub mod notices;
pub mod recipient;

pub mod codec;
