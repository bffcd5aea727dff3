//! Policies of risk tiers (分类分级政策): who is visited how often and in which ways, as rules that are data.
//!
//! Shared by those who judge by them: tiering, which publishes policies and writes each elder's tier down, and visits, which
//! asks for any day, also one that lies back or of an elder out of scope. Claims write their programmes in the same conditions.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests may unwrap"))]

pub mod abstraction;
pub mod condition;
pub mod evaluate;
pub mod facts_key;
pub mod in_force;
pub mod policy;
