//! Whatever is commanded, sent twice, lost on its way or cut off by a restart: orders, settlements, entitlements and funds add
//! up, and say what was acknowledged and nothing else.
//!
//! The sequences are the same each time. `PROPTEST_RNG_SEED=7 PROPTEST_CASES=100` asks for others, and for more of them.

mod answers;
mod book;
mod checks;
mod commands;
mod county;
mod enrolments;
mod money;
mod orders;

use proptest::collection::vec;
use proptest::test_runner::{Config, RngSeed, TestRunner};

use self::commands::step;
use self::county::County;
use crate::support::Ground;

/// Days on both sides of a New Year are within reach.
const NOW: &str = "2024-12-20 09:00";
/// The longest sequence.
const LONGEST: usize = 44;
/// How often a sequence that fails is tried in a shorter form.
const SHORTER: u32 = 80;

/// So many sequences that follow from a seed, unless others are asked for.
fn config(cases: u32, seed: u64) -> Config {
    let asked = Config::default();
    Config {
        cases: match std::env::var_os("PROPTEST_CASES") {
            Some(_) => asked.cases,
            None => cases,
        },
        rng_seed: match asked.rng_seed {
            RngSeed::Random => RngSeed::Fixed(seed),
            RngSeed::Fixed(other) => RngSeed::Fixed(other),
        },
        max_shrink_iters: SHORTER,
        failure_persistence: None,
        ..asked
    }
}

fn balances_after_any_commands(config: Config, ground: impl AsyncFn() -> Ground) {
    let seed = config.rng_seed;
    let mut runner = TestRunner::new(config);
    let outcome = runner.run(&vec(step(), 1..=LONGEST), |steps| {
        let mut tokio = tokio::runtime::Builder::new_multi_thread();
        let tokio = tokio.worker_threads(2).enable_all().build().unwrap();
        tokio.block_on(async {
            let mut county = County::on(&ground().await).await;
            for step in &steps {
                county = county.after(step).await;
            }
            county.balances().await;
            county.running.stop().await;
        });
        Ok(())
    });
    if let Err(failed) = outcome {
        panic!("with PROPTEST_RNG_SEED={seed}: {failed}\n{runner}");
    }
}

#[test]
fn all_accounts_balance_after_any_commands() {
    balances_after_any_commands(config(6, 20_241_220), async || Ground::at(NOW));
}

#[test]
fn all_accounts_balance_after_any_commands_over_a_server() {
    balances_after_any_commands(config(1, 7), async || Ground::on_nats(NOW).await);
}
