//! The rules alone, without a server or a clock: definitions, what is judged of an order by itself and against earlier ones,
//! and the courses of orders and caregivers.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod adjudication;
mod any_cut;
mod caregivers;
mod definitions;
mod judging;
mod orders;
mod people;
mod submitted;
mod trials;
