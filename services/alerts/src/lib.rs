//! Alerts (紧急呼援): what homes say, which alerts follow from it, and how far help has come. These are the rules alone; the
//! service around them is to come.
//!
//! - [`signal`]: what a device sends; [`watch`]: what is known of a device and of a home by it.
//! - [`monitor`]: which alerts follow from signals in their order, and from time that passes.
//! - [`alert_line`]: the life of the alerts of one kind about one elder; [`alert_policy`]: thresholds and delays.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests may unwrap"))]

pub mod alert_line;
pub mod alert_policy;
pub mod monitor;
pub mod signal;
pub mod watch;
