//! Visits from outside, over gRPC: records, doubts, duties, divisions, pairings, closing periods, orders and bad input.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod bad_input;
mod coverage;
mod divisions;
mod exports;
mod orders;
mod pairings;
mod periods;
mod planned;
mod plans;
mod records;
mod support;
