//! Definitions of programmes that nobody would write: read or refused by line and reason, and what is read can be counted with.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

use civic::Fen;
use claims::definition::Definition;
use serde_json::Value;
use tier_policy::facts_key::FactsKey;

const SAMPLES: [&str; 2] = [
    include_str!("programmes/ltci.yaml"),
    include_str!("programmes/homecare.yaml"),
];

/// Reads a definition: what is read counts within its bounds, and what is not says what is wrong in both languages, by line.
fn tried(yaml: &str) {
    let read = match Definition::parse(yaml) {
        Ok(read) => read,
        Err(faults) => {
            assert!(!faults.is_empty(), "refused for nothing");
            for fault in faults {
                assert!(fault.line >= 1, "{fault:?}");
                assert!(!fault.en.is_empty() && !fault.zh.is_empty(), "{fault:?}");
                let code = |byte: u8| byte.is_ascii_uppercase() || byte == b'_';
                assert!(fault.reason.bytes().all(code), "{fault:?}");
            }
            return;
        }
    };
    assert!(!yaml.contains('\0'), "no database keeps it");
    assert!(!read.name.is_empty() && !read.entitlement.is_empty());
    for rule in read.enrolment.iter().chain(&read.entitlement) {
        // Whether it can be computed or not: it ends.
        let _holds = rule.condition.holds(FactsKey::EMPTY);
    }
    for minutes in [i64::MIN, 0, 1, 60, 24 * 60, i64::MAX] {
        assert!(read.costs(minutes) >= Fen::ZERO, "{minutes} minutes");
        assert!(read.units(minutes) == 1 || read.units(minutes) == minutes);
    }
    let all: Vec<String> = read.items.base.keys().cloned().collect();
    for item in &all {
        assert!(read.items.name(item).is_some());
    }
    assert!(!read.items.allow(&[all.clone(), all].concat()));
}

#[test]
fn the_samples_are_definitions() {
    for sample in SAMPLES {
        Definition::parse(sample).unwrap();
    }
}

#[test]
fn definitions_of_any_bytes_are_read_or_refused() {
    fuzzing::text(&SAMPLES, 200, tried);
}

#[test]
fn definitions_of_any_tree_are_read_or_refused() {
    let trees: [Value; 2] = SAMPLES.map(|sample| serde_saphyr::from_str(sample).unwrap());
    fuzzing::documents(&trees, 250, tried);
}
