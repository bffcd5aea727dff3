//! Policies and their conditions that nobody would write: read or refused by line and reason, and what is read can be judged by.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

use std::sync::Arc;

use serde_json::Value;
use tier_policy::{
    condition::Condition,
    evaluate::Judge,
    facts_key::{FactsKey, Variable},
    policy::{Fault, NATIONAL_YAML, Policy},
};

/// Small, so that much of it is hit; with a bit of all that a policy can say.
const SMALL: &str = r#"
title: 某县探访关爱办法
tiers:
  - tier: PRIORITY
    title: 重点人群
    interval: WEEKLY
    rules:
      - rule: AGE_80
        when: age >= 80 || "DEMENTIA" in observations
        source: 川民〔2023〕100号
  - tier: GENERAL
    interval: MONTHLY
    rules:
      - rule: ANYBODY
        when: size(categories) >= 0
modes:
  - modes: [PHONE, ENCOUNTER]
    when: capability == "INTACT"
"#;

const CONDITIONS: [&str; 6] = [
    "age >= 80 && age % 2 == 0",
    r#"capability in ["SEVERE", "TOTAL"]"#,
    r#"categories.exists(c, c == "DISABLED") || assistance == []"#,
    "handicap_grade in [1, 2] ? sex == \"MALE\" : !(consent != \"GRANTED\")",
    "size(circumstances) == 0 && -age < -60",
    "(age - 3) * 2 / handicap_grade > 10",
];

/// Somebody with facts, and somebody of whom nothing is known.
fn people() -> [FactsKey; 2] {
    let known = FactsKey::EMPTY
        .with(Variable::Age, 83)
        .with(Variable::HandicapGrade, 2)
        .with(Variable::Categories, 0b11);
    [FactsKey::EMPTY, known]
}

/// Reads a policy: what is read has people judged, and what is not says what is wrong in both languages, by line.
fn tried(yaml: &str) {
    match Policy::parse(yaml) {
        Ok(policy) => {
            assert!(!yaml.contains('\0'), "no database keeps it");
            let mut judge = Judge::new(Arc::new(policy));
            for person in people() {
                let verdict = judge.verdict(person);
                assert!(!judge.tier(&verdict).name.is_empty());
            }
            for (_, condition) in judge.policy().conditions() {
                reads_back(condition);
            }
        }
        Err(faults) => {
            assert!(!faults.is_empty(), "refused for nothing");
            faults.iter().for_each(is_told);
        }
    }
}

fn is_told(fault: &Fault) {
    assert!(fault.line >= 1, "{fault:?}");
    assert!(!fault.en.is_empty() && !fault.zh.is_empty(), "{fault:?}");
    let code = |byte: u8| byte.is_ascii_uppercase() || byte == b'_';
    assert!(fault.reason.bytes().all(code), "{fault:?}");
}

/// A condition says the same when it is read from its own text.
fn reads_back(condition: &Condition) {
    let again = Condition::compile(condition.text()).unwrap();
    assert_eq!(again.mentions(), condition.mentions());
    for person in people() {
        assert_eq!(again.holds(person), condition.holds(person));
    }
}

#[test]
fn policies_of_any_bytes_are_read_or_refused() {
    fuzzing::text(&[SMALL], 200, tried);
    fuzzing::text(&[NATIONAL_YAML], 30, tried);
}

#[test]
fn policies_of_any_tree_are_read_or_refused() {
    let small: Value = serde_saphyr::from_str(SMALL).unwrap();
    fuzzing::documents(&[small], 200, tried);
}

#[test]
fn conditions_of_any_bytes_are_read_or_refused() {
    fuzzing::text(&CONDITIONS, 400, |text| match Condition::compile(text) {
        Ok(condition) => reads_back(&condition),
        Err(fault) => {
            is_told(&Fault::new(1, fault.reason(), fault.en(), fault.zh()));
        }
    });
}
