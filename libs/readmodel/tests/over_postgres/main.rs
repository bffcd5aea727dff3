//! Read models over a real PostgreSQL: nothing lost, nothing doubled, whatever dies when.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod copying;
mod crashes;
mod figures;
mod following;
mod leading;
mod ledger;
mod looking_up;
mod over_jetstream;
mod parking;
mod reacting;
mod rebuilding;
mod running;
mod verifying;
