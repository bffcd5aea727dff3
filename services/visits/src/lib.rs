//! Visits (探访关爱): who visits the elders in scope, what was recorded, which records are in doubt, and who was missed.
//!
//! - [`recording`]: which records the rules refuse, and what they doubt in a record by itself; [`ledger`]: what they doubt
//!   by earlier records.
//! - [`visitor`], [`elder_year`], [`visiting`]: the aggregates; [`codec`]: their bytes.
//! - [`period`], [`standing`]: in which periods visits are owed, and to whom.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests may unwrap"))]

pub mod ledger;
pub mod period;
pub mod recording;
pub mod standing;

pub mod elder_year;
pub mod visiting;
pub mod visitor;

pub mod codec;
