//! Devices and departments at the door of a real NATS server: who comes in, what they may do, and that nothing is lost that
//! was acknowledged to them.

#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod acknowledged;
mod admitted;
mod cut_off;
mod mqtt;
mod outside;
mod place;
mod side_by_side;
