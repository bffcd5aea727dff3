//! Visits from outside, over gRPC: records, doubts, duties, closing periods, orders and bad input.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod bad_input;
mod exports;
mod orders;
mod periods;
mod planned;
mod plans;
mod records;
mod support;
