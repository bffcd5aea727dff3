//! Risk tiers (分类分级): who among the elders in scope is visited how often, in which ways, and by which rule.
//!
//! - [`policy`]: a policy as data; [`condition`]: its conditions; [`publication`]: what it must fulfil, tried out on
//!   everybody that it can tell apart ([`abstraction`]).
//! - [`facts_key`]: what a policy may ask about an elder; [`evaluate`]: what it answers.
//! - [`tier`], [`policy_book`]: the aggregates, one elder's tier and one division's policies.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests may unwrap"))]

pub mod abstraction;
pub mod condition;
pub mod evaluate;
pub mod facts_key;
pub mod policy;
pub mod policy_book;
pub mod publication;
pub mod tier;
