//! Risk tiers (分类分级): who among the elders in scope is visited how often, in which ways, and by which rule.
//!
//! - [`policy`]: a policy as data (with [`condition`], [`facts_key`], [`evaluate`] and [`abstraction`] the crate
//!   `tier-policy`, since visits judges by policies too, and programmes of claims are written in conditions); [`publication`]:
//!   what it must fulfil, tried out on everybody that it can tell apart.
//! - [`tier`], [`policy_book`]: the aggregates, one elder's tier and one division's policies; [`policy_comparison`]: what keeps
//!   two publications, one above the other, apart; [`codec`]: their bytes.
//! - [`facts_table`], [`tiers_table`]: the read models of the registry's log and of our own; [`policies_in_force`]: which
//!   policy holds where.
//! - [`on_elder_facts`]: the evaluator (what it finds is dated in `holds_from`, decided and written in `tier_decisions`), which keeps [`today_table`] and tells its [`progress`].
//! - [`tiers_queries`], [`explain`], [`simulate`], [`watch`]: the questions; [`tiering`] and [`policy_desk`]: who may ask
//!   them, about elders and about policies; `waiting`: when they are answered.
//! - [`audit`]: whether everybody has the tier that is due.
//! - [`parse`], [`grpc`]: the face; [`app`]: the whole.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests may unwrap"))]

pub mod publication;

pub use tier_policy::{abstraction, condition, evaluate, facts_key, policy};

pub mod policy_book;
pub mod policy_comparison;
pub mod tier;

pub mod codec;

pub mod facts_table;
pub mod policies_in_force;
pub mod tiers_table;

mod holds_from;
pub mod on_elder_facts;
pub mod progress;
mod tier_decisions;
pub mod today_table;

pub mod audit;
pub mod explain;
pub mod policy_desk;
pub mod simulate;
pub mod tiering;
pub mod tiers_queries;
mod waiting;
pub mod watch;

pub mod grpc;
mod measures;
pub mod parse;

pub mod app;
mod settings;

pub use app::App;
pub use grpc::actions;
pub use settings::TieringSettings;
