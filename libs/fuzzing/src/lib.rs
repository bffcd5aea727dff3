//! For tests of parsers of outside input: tries them with bytes that mean nothing, and with valid samples that were spoilt.
//!
//! A parser is tried by [`bytes`], by [`text`], or by [`documents`] where what it reads is a tree (JSON, or YAML, of which
//! JSON is a part): these stay well formed, and so get further into it. Whatever comes, the target must not panic and not
//! take long; what else holds it says itself, mostly by [`assert_untold`].
//!
//! A test run tries each target some hundred times, always with the same inputs: what fails then fails by a change alone. With
//! `PROPTEST_CASES=1000000` it is so many times, each time with others; `PROPTEST_RNG_SEED` gives those of a run again.

use std::time::{Duration, Instant};

use proptest::{
    strategy::Strategy,
    test_runner::{Config, RngSeed, TestRunner},
};
use serde_json::Value;

mod document;
mod spoiling;

/// Where this is set it says how often each target is tried.
const CASES: &str = "PROPTEST_CASES";

/// The seed of short runs.
const SEED: u64 = 20_241_001;

/// What a target may take for one input, also on a machine that does something else.
const PATIENCE: Duration = Duration::from_secs(30);

/// Tries a parser of bytes, so many times in a short run.
///
/// # Panics
/// Where the target panics or takes too long: with the smallest input that makes it do so.
pub fn bytes(samples: &[&[u8]], cases: u32, target: impl Fn(&[u8])) {
    let samples = samples.iter().map(|sample| sample.to_vec()).collect();
    run(cases, &spoiling::spoilt(samples), |input: Vec<u8>| {
        target(&input);
    });
}

/// Tries a parser of text; what is no UTF-8 any more becomes replacement characters.
///
/// # Panics
/// As [`bytes`].
pub fn text(samples: &[&str], cases: u32, target: impl Fn(&str)) {
    let samples = samples.iter().map(|sample| sample.as_bytes().to_vec());
    let strategy = spoiling::spoilt(samples.collect())
        .prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    run(cases, &strategy, |input: String| target(&input));
}

/// Tries a parser of JSON or YAML with trees in which something is another thing, elsewhere, missing or too much.
///
/// # Panics
/// As [`bytes`].
pub fn documents(samples: &[Value], cases: u32, target: impl Fn(&str)) {
    let strategy = document::spoilt(samples.to_vec()).prop_map(|tree| tree.to_string());
    run(cases, &strategy, |input: String| target(&input));
}

/// Tries whatever reads values of a strategy.
///
/// # Panics
/// As [`bytes`].
pub fn run<S: Strategy>(cases: u32, strategy: &S, target: impl Fn(S::Value)) {
    let outcome = TestRunner::new(config(cases)).run(strategy, |input| {
        let began = Instant::now();
        target(input);
        assert!(began.elapsed() < PATIENCE, "it took {:?}", began.elapsed());
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}

/// Asserts that a text, such as an error's, bears none of these secrets: values of the samples that are personal.
///
/// # Panics
/// Where it does.
pub fn assert_untold(told: &str, secrets: &[&str]) {
    for secret in secrets {
        assert!(!told.contains(secret), "`{secret}` stands in `{told}`");
    }
}

/// How often something is tried that takes its inputs from elsewhere: so many times in a short run.
pub fn times(short: u32) -> u32 {
    config(short).cases
}

/// By the environment, or short.
fn config(cases: u32) -> Config {
    let long = Config {
        // Inputs are made of samples that change with the code: kept seeds would soon give other inputs.
        failure_persistence: None,
        ..Config::default()
    };
    if std::env::var_os(CASES).is_some() {
        return long;
    }
    Config {
        cases,
        rng_seed: RngSeed::Fixed(SEED),
        ..long
    }
}

#[cfg(test)]
mod tests {
    use std::{
        cell::{Cell, RefCell},
        collections::BTreeSet,
    };

    use serde_json::json;

    use super::*;

    const SAMPLE: &str = r#"{"name": "王芳", "age": 83}"#;

    #[test]
    fn samples_are_spoilt_in_many_ways_and_some_stay_well_formed() {
        let (seen, whole) = (RefCell::new(BTreeSet::new()), Cell::new(0));
        text(&[SAMPLE], 500, |input| {
            seen.borrow_mut().insert(input.to_owned());
            let read: Result<Value, _> = serde_json::from_str(input);
            whole.set(whole.get() + u32::from(read.is_ok()));
        });
        assert!(seen.borrow().len() > 350, "{} inputs", seen.borrow().len());
        assert!(whole.get() > 10, "{} are JSON", whole.get());
    }

    #[test]
    fn documents_stay_documents() {
        let sample: Value = serde_json::from_str(SAMPLE).expect("it is JSON");
        let seen = RefCell::new(BTreeSet::new());
        documents(&[sample], 500, |input| {
            serde_json::from_str::<Value>(input).expect("it is JSON still");
            seen.borrow_mut().insert(input.to_owned());
        });
        assert!(seen.borrow().len() > 250, "{} inputs", seen.borrow().len());
    }

    #[test]
    fn a_short_run_is_always_the_same() {
        // A long one is not, and is what the environment asks for then.
        if std::env::var_os(CASES).is_some() {
            return;
        }
        let run = || {
            let seen = RefCell::new(Vec::new());
            bytes(&[b"sample"], 50, |input| {
                seen.borrow_mut().push(input.to_vec());
            });
            seen.into_inner()
        };
        assert_eq!(run(), run());
    }

    #[test]
    #[should_panic(expected = "minimal failing input")]
    fn a_target_that_panics_is_found() {
        bytes(&[b"sample"], 200, |input| {
            assert!(!input.is_empty(), "nothing");
            assert!(input.starts_with(b"sam"), "it begins otherwise");
        });
    }

    #[test]
    #[should_panic(expected = "stands in")]
    fn a_secret_that_is_told_is_found() {
        let error = json!({ "error": "invalid value: 王芳" }).to_string();
        assert_untold(&error, &["83岁", "王芳"]);
    }
}
