//! Visits from outside, over gRPC: records, doubts, duties, campaigns, coverage, plans, notices, exports and bad input.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod bad_input;
mod campaigns;
mod coverage;
mod divisions;
mod each_duty_once;
mod exports;
mod notices;
mod orders;
mod pairings;
mod periods;
mod planned;
mod plans;
mod records;
mod support;
mod the_read_models_follow_the_logs;
mod who_works_elsewhere;
mod worklists;
