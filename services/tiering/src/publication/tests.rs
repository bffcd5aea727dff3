//! What is refused at publication, with its line; and that nothing else is.

use super::*;
use crate::policy::NATIONAL_YAML;

fn faults(yaml: &str, above: Option<&Policy>) -> Vec<(&'static str, u32)> {
    match check(yaml, above) {
        Ok(_) => vec![],
        Err(faults) => faults
            .iter()
            .map(|fault| {
                assert!(!fault.en.is_empty() && !fault.zh.is_empty());
                (fault.reason, fault.line)
            })
            .collect(),
    }
}

/// The national policy with something replaced, against the national policy.
#[track_caller]
fn amended(what: &str, by: &str) -> Vec<(&'static str, u32)> {
    assert!(NATIONAL_YAML.contains(what), "{what}");
    faults(
        &NATIONAL_YAML.replacen(what, by, 1),
        Some(&Policy::national()),
    )
}

fn line_of(text: &str) -> u32 {
    let place = NATIONAL_YAML
        .lines()
        .position(|line| line.contains(text))
        .unwrap();
    u32::try_from(place).unwrap() + 1
}

#[test]
fn the_policy_that_we_ship_gives_everybody_a_tier() {
    assert_eq!(faults(NATIONAL_YAML, None), []);
    assert_eq!(faults(NATIONAL_YAML, Some(&Policy::national())), []);
    for tier in &Policy::national().tiers {
        for rule in &tier.rules {
            assert!(
                rule.source.starts_with("川民〔2023〕100号"),
                "{} cites no source",
                rule.name
            );
        }
    }
}

#[test]
fn a_division_may_visit_more_often_and_add_rules_and_tiers() {
    assert_eq!(amended("interval: MONTHLY", "interval: WEEKLY"), []);
    assert_eq!(amended("when: age >= 80", "when: age >= 75"), []);
    let new_rule = "rules:\n      - rule: LIVES_ALONE_AT_75\n        when: age >= 75 && \"LIVING_ALONE\" in categories";
    assert_eq!(amended("rules:", new_rule), []);
    let new_tier = "tiers:\n  - tier: UTMOST\n    interval: WEEKLY\n    rules:\n      - rule: AGE_95\n        when: age >= 95\n";
    assert_eq!(amended("tiers:\n", new_tier), []);
    // Fewer elders may be visited by telephone.
    assert_eq!(
        amended(
            "size(circumstances) == 0",
            "size(circumstances) == 0 && age < 70"
        ),
        []
    );
}

#[test]
fn an_interval_is_never_lengthened() {
    assert_eq!(
        amended("interval: WEEKLY", "interval: MONTHLY"),
        [("INTERVAL_LENGTHENED", line_of("tier: PRIORITY"))]
    );
    let new_tier = "tiers:\n  - tier: UTMOST\n    interval: MONTHLY\n    rules:\n      - rule: AGE_95\n        when: age >= 95\n";
    let line = line_of("tiers:") + 1;
    assert_eq!(
        amended("tiers:\n", new_tier),
        [("INTERVAL_LENGTHENED", line)]
    );
}

#[test]
fn a_rule_is_never_dropped_or_narrowed() {
    let dropped = "      - rule: DEMENTIA\n        when: '\"DEMENTIA\" in observations'\n";
    let reasons: Vec<_> = amended(dropped, "")
        .into_iter()
        .map(|(reason, _)| reason)
        .collect();
    // Its `source` is left over, which belongs to the rule before.
    assert_eq!(reasons, ["POLICY_UNPARSABLE"]);
    let dropped = format!("{dropped}        source: 川民〔2023〕100号 二(一)1：包含失智老年人\n");
    let reasons: Vec<_> = amended(&dropped, "")
        .into_iter()
        .map(|(reason, _)| reason)
        .collect();
    // Dropped in name, and those elders fall into lower tiers.
    assert!(
        reasons.contains(&"RULE_DROPPED") && reasons.contains(&"TIER_LOWERED"),
        "{reasons:?}"
    );
    let found = amended("when: age >= 80", "when: age >= 81");
    assert!(
        found.contains(&("RULE_NARROWED", line_of("rule: AGE_80"))),
        "{found:?}"
    );
    // The same name with another meaning does not help.
    let found = amended("when: age >= 80", "when: age >= 80 && sex == \"FEMALE\"");
    assert!(
        found.contains(&("RULE_NARROWED", line_of("rule: AGE_80"))),
        "{found:?}"
    );
}

#[test]
fn a_rule_that_another_one_covers_is_still_the_reason_that_is_asked_for() {
    // Everybody over 80 is in PRIORITY all the same, but AGE_80 is not among the reasons.
    let yaml = NATIONAL_YAML.replacen("rule: AGE_80", "rule: VERY_OLD", 1);
    assert_eq!(
        faults(&yaml, Some(&Policy::national())),
        [("RULE_DROPPED", line_of("tiers:") + 1)]
    );
}

#[test]
fn tiers_stay_in_their_order() {
    let parts: Vec<_> = NATIONAL_YAML.split("  - tier: ").collect();
    let [head, priority, secondary, general] = parts.as_slice() else {
        panic!("three tiers")
    };
    let (general, modes) = general.split_once("# HOME").unwrap();
    let yaml =
        format!("{head}  - tier: {secondary}  - tier: {priority}  - tier: {general}# HOME{modes}");
    let reasons: HashSet<_> = faults(&yaml, Some(&Policy::national()))
        .into_iter()
        .map(|(reason, _)| reason)
        .collect();
    assert!(reasons.contains("TIER_ORDER"), "{reasons:?}");
    let yaml = format!("{head}  - tier: {priority}  - tier: {general}# HOME{modes}");
    let reasons: HashSet<_> = faults(&yaml, Some(&Policy::national()))
        .into_iter()
        .map(|(reason, _)| reason)
        .collect();
    assert!(
        reasons.contains("TIER_DROPPED") && reasons.contains("RULE_DROPPED"),
        "{reasons:?}"
    );
}

#[test]
fn modes_are_never_widened() {
    let line = line_of("modes: [PHONE");
    assert_eq!(
        amended(" && size(observations) == 0", ""),
        [("MODES_WIDENED", line)]
    );
    assert_eq!(
        amended("size(circumstances) == 0", "true"),
        [("MODES_WIDENED", line)]
    );
}

#[test]
fn an_elder_without_a_tier_is_found() {
    let yaml = NATIONAL_YAML.replacen(
        "when: capability == \"MILD\"",
        "when: capability == \"MILD\" && age > 65",
        1,
    );
    let found = check(&yaml, None).unwrap_err();
    assert_eq!((found.len(), found[0].reason), (1, "NO_TIER"));
    assert!(
        found[0].en.contains("age 60, capability MILD"),
        "{}",
        found[0].en
    );
}

#[test]
fn a_condition_that_fails_for_somebody_is_found() {
    let yaml = NATIONAL_YAML.replacen("when: age >= 80", "when: age / handicap_grade >= 80", 1);
    let found = check(&yaml, None).unwrap_err();
    assert_eq!((found.len(), found[0].reason), (1, "CONDITION_UNDEFINED"));
    assert!(
        found[0].en.ends_with("age 60, handicap_grade 0"),
        "{}",
        found[0].en
    );
}

#[test]
fn all_faults_of_form_are_told_at_once_with_their_lines() {
    let yaml = "title: x\n\
                tiers:\n\
                \x20 - tier: priority\n\
                \x20   interval: DAILY\n\
                \x20   rules:\n\
                \x20     - rule: AGE_80\n\
                \x20       when: ages >= 80\n\
                \x20     - rule: AGE_80\n\
                \x20       when: 80\n\
                modes:\n\
                \x20 - modes: [LETTER]\n\
                \x20   when: age >\n";
    assert_eq!(
        faults(yaml, None),
        [
            ("NAME_INVALID", 3),
            ("INTERVAL_UNKNOWN", 4),
            ("UNKNOWN_VARIABLE", 7),
            ("RULE_REPEATED", 8),
            ("CONDITION_NOT_BOOL", 9),
            ("MODE_UNKNOWN", 11),
            ("CONDITION_UNPARSABLE", 12),
        ]
    );
}

#[test]
fn what_is_no_policy_is_refused() {
    for (yaml, line) in [
        ("", 1),
        ("tiers: [", 1),
        ("tiers: []\ncolour: red\n", 2),
        ("title: x\ntiers:\n  - tier: A\n    interval: WEEKLY\n", 3),
        ("tiers: &a [*a]", 1),
        ("[1, 2, 3]", 1),
        ("tiers: !!binary aGVsbG8=", 1),
    ] {
        let found = check(yaml, None).unwrap_err();
        assert_eq!(found[0].reason, "POLICY_UNPARSABLE", "{yaml}");
        assert!(found[0].line >= line, "{yaml}: {}", found[0].line);
    }
    assert_eq!(faults("tiers: []", None), [("COUNT_OUT_OF_RANGE", 1)]);
    assert_eq!(
        faults(&format!("title: {}", "x".repeat(70_000)), None),
        [("POLICY_TOO_LONG", 1)]
    );
    let deep = "tiers: ".to_owned() + &"[".repeat(10_000);
    assert_eq!(faults(&deep, None), [("POLICY_UNPARSABLE", 1)]);
}

#[test]
fn a_policy_that_tells_apart_too_much_is_refused() {
    let condition = "size(categories) + size(assistance) + size(circumstances) + size(observations) + age % 7 > 9 || \
                     circumstances.exists(c, c in ['ACCIDENT', 'POOR_HEALTH', 'FAMILY_CHANGE', 'LIFE_DIFFICULTY'])";
    let yaml = NATIONAL_YAML.replacen(
        "when: age >= 80",
        &format!("when: >-\n          {condition}"),
        1,
    );
    let found = faults(&yaml, None);
    assert_eq!(found, [("POLICY_TOO_COMPLEX", line_of("tiers:") + 1)]);
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(300))]

    #[test]
    fn no_text_brings_the_reading_of_policies_down(
        cuts in proptest::collection::vec((0..2_500_usize, 0..40_usize, "[\\PC\n:\\-\\[\\]{}&*!|>\"' ]{0,12}"), 1..4),
    ) {
        let mut text: Vec<char> = NATIONAL_YAML.chars().collect();
        for (at, taken, put) in cuts {
            let at = at.min(text.len());
            let end = (at + taken).min(text.len());
            text.splice(at..end, put.chars());
        }
        let yaml: String = text.into_iter().collect();
        if let Err(faults) = Policy::parse(&yaml) {
            let lines = u32::try_from(yaml.lines().count()).unwrap() + 1;
            proptest::prop_assert!(!faults.is_empty());
            proptest::prop_assert!(faults.iter().all(|fault| (1..=lines).contains(&fault.line)), "{:?}", faults);
        }
    }
}
