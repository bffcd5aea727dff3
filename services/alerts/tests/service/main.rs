//! Alerts from outside, over gRPC: devices, signals, timers, notices, what people do, figures, rules and bad input.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod bad_input;
mod devices;
mod life;
mod mqtt;
mod notices;
mod restarts;
mod rules;
mod support;
mod the_read_models_follow_the_logs;
mod watched;
mod who_works_elsewhere;
