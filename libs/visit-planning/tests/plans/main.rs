//! Plans of weeks: by rule, of random places, and of the sample county. One program for all: it links once.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod random_weeks;
mod rules;
mod sample;
mod sample_county;
