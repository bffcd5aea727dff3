//! How many seeds are tried.

use std::env;

/// The variable that asks for more of them, such as `ELDERCARE_SEEDS=20` for a long look.
const SEEDS: &str = "ELDERCARE_SEEDS";

/// How many are asked for; none: as few as usual.
pub fn asked_for() -> Option<u64> {
    let said = env::var(SEEDS).ok()?;
    Some(said.parse().expect("a number of seeds"))
}
