//! Conditions of programmes are tried on everybody whom they can tell apart before a programme is defined.

use claims::definition::Definition;
use tier_policy::policy::Fault;

use crate::people::{HOMECARE, LTCI};

/// The home care programme with these conditions of enrolment and of entitlement.
fn with(enrolment: &str, entitlement: &str) -> String {
    let lines = HOMECARE.lines().map(|line| {
        if line.trim_start().starts_with("when: 'true'") {
            format!("    when: '{entitlement}'")
        } else if line.trim_start().starts_with("when:") {
            format!("    when: '{enrolment}'")
        } else {
            line.to_owned()
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// What becomes of a definition that is to be defined.
fn check(yaml: &str) -> Result<(), Vec<Fault>> {
    Definition::parse(yaml)?.tried()
}

/// The line on which the n-th condition stands.
fn line(condition: usize) -> u32 {
    let lines = HOMECARE.lines().zip(1..);
    let mut stands = lines.filter(|(line, _)| line.contains("when:"));
    stands.nth(condition).unwrap().1
}

/// What is wrong: line, reason, and where by name.
fn faults(yaml: &str) -> Vec<(u32, &'static str, String)> {
    let faults = check(yaml).unwrap_err();
    let faults = faults.iter().map(|fault| {
        let (en, zh) = (fault.en.split('`'), fault.zh.split('`'));
        let (en, zh) = (en.collect::<Vec<_>>(), zh.collect::<Vec<_>>());
        assert_eq!(en[1], zh[1], "{fault:?}");
        (fault.line, fault.reason, en[1].to_owned())
    });
    faults.collect()
}

#[test]
fn programmes_that_can_be_computed_for_everybody_are_taken() {
    for yaml in [LTCI, HOMECARE, &with("100 / (age + 1) < 2", "true")] {
        check(yaml).unwrap();
    }
}

#[test]
fn a_condition_that_fails_for_somebody_is_named() {
    let undefined =
        |place: usize, path: &str| (line(place), "CONDITION_UNDEFINED", path.to_owned());
    let (enrolment, entitlement) = ("enrolment[0].when", "entitlement[0].when");
    let yaml = with("age / handicap_grade > 20", "true");
    assert_eq!(faults(&yaml), [undefined(0, enrolment)]);
    let told = check(&yaml).unwrap_err().remove(0);
    assert!(told.en.contains("handicap_grade 0"), "{told:?}");
    assert!(told.zh.contains("handicap_grade 0"), "{told:?}");
    let yaml = with("true", "100 % size(categories) == 1");
    assert_eq!(faults(&yaml), [undefined(1, entitlement)]);
    // Programmes are for persons younger than elders in scope, too.
    let yaml = with("true", "100 / age > 1");
    assert_eq!(faults(&yaml), [undefined(1, entitlement)]);
    // All that fail are told.
    let yaml = with("1 / handicap_grade > 0", "1 / handicap_grade == 0");
    let both = [undefined(0, enrolment), undefined(1, entitlement)];
    assert_eq!(faults(&yaml), both);
}

#[test]
fn a_condition_that_is_never_asked_for_those_for_whom_it_fails_is_taken() {
    let yaml = with(
        "handicap_grade > 0 && age / handicap_grade > 20",
        "handicap_grade == 0 ? true : 4 / handicap_grade > 1",
    );
    check(&yaml).unwrap();
}

#[test]
fn a_condition_that_tells_too_many_apart_is_refused() {
    let sizes = ["categories", "assistance", "observations", "circumstances"];
    let sizes = sizes.map(|list| format!("size({list}) > 1"));
    let yaml = with(
        &format!(
            "age % 7 == 1 && handicap_grade % 2 == 1 || {}",
            sizes.join(" || ")
        ),
        "true",
    );
    let reason = "PROGRAMME_TOO_COMPLEX";
    assert_eq!(
        faults(&yaml),
        [(line(0), reason, "enrolment[0].when".to_owned())]
    );
}

#[test]
fn what_was_defined_before_conditions_were_tried_is_still_read() {
    let yaml = with("true", "age / handicap_grade > 20");
    assert!(check(&yaml).is_err());
    Definition::parse(&yaml).unwrap();
}
