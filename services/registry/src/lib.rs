//! registry
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests may unwrap"))]

pub mod annex1;
pub mod annex3;
pub mod survey;

mod printing;
