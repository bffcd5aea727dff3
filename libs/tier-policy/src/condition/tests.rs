//! What conditions may say, what they say of an elder, and what is refused.

use super::*;

fn elder(age: u64, capability: &str, categories: &[&str], observations: &[&str]) -> FactsKey {
    let bits = |variable: Variable, words: &[&str]| {
        let places = words.iter().map(|word| {
            variable
                .words()
                .iter()
                .position(|known| known == word)
                .unwrap()
        });
        places.fold(0, |bits, place| bits | 1 << place)
    };
    let level = Variable::Capability
        .words()
        .iter()
        .position(|word| *word == capability)
        .unwrap();
    FactsKey::EMPTY
        .with(Variable::Age, age)
        .with(Variable::Capability, level as u64)
        .with(Variable::Categories, bits(Variable::Categories, categories))
        .with(
            Variable::Observations,
            bits(Variable::Observations, observations),
        )
}

fn holds(text: &str, key: FactsKey) -> bool {
    Condition::compile(text).unwrap().holds(key).unwrap()
}

#[track_caller]
fn refused(text: &str, reason: &str) -> ConditionFault {
    let fault = Condition::compile(text).unwrap_err();
    assert_eq!(fault.reason(), reason, "{text}: {}", fault.en());
    assert!(!fault.zh().is_empty());
    fault
}

#[test]
fn a_condition_asks_about_the_facts_of_an_elder() {
    let key = elder(83, "MODERATE", &["LIVING_ALONE", "DISABLED"], &["DEMENTIA"]);
    for text in [
        "age >= 80",
        "80 <= age && age < 84",
        "age in [82, 83]",
        "capability == \"MODERATE\"",
        "capability in [\"MODERATE\", \"SEVERE\"]",
        "\"DEMENTIA\" in observations",
        "size(categories) == 2 && categories.size() > 1",
        "size(circumstances) == 0 && assistance == []",
        "handicap_grade == 0 && !(handicap_grade in [1, 2])",
        "categories.exists(c, c == \"DISABLED\") && categories.all(c, c != \"EMPTY_NEST\")",
        "categories.exists_one(c, c in [\"LIVING_ALONE\", \"EMPTY_NEST\"])",
        "(age > 80 ? handicap_grade : age) == 0",
        "age - 3 == 8 * 10 && -age < -80 && age % 2 == 1 && age / 10 == 8",
        "sex == \"MALE\" || consent != \"GRANTED\" || true",
    ] {
        assert!(holds(text, key), "{text}");
        assert!(!holds(&format!("!({text})"), key), "{text}");
    }
}

#[test]
fn what_policies_do_not_know_is_refused() {
    let fault = refused("ages >= 80", "UNKNOWN_VARIABLE");
    assert_eq!(
        fault.en(),
        "there is no variable `ages`; there are age, capability, observations, handicap_grade, categories, assistance, \
         circumstances, sex, consent"
    );
    refused("capability.startsWith(\"S\")", "UNKNOWN_FUNCTION");
    refused("now() > 5", "UNKNOWN_FUNCTION");
    refused("observations.map(o, o == \"DEMENTIA\")", "UNKNOWN_FUNCTION");
    refused(
        "observations.filter(o, o == \"DEMENTIA\") == []",
        "UNKNOWN_FUNCTION",
    );
    refused("age.years > 5", "CONDITION_UNSUPPORTED");
    refused("has(age.years)", "CONDITION_UNSUPPORTED");
    refused("observations[0] == \"DEMENTIA\"", "CONDITION_UNSUPPORTED");
    refused("age > 79.5", "CONDITION_UNSUPPORTED");
    refused("{\"a\": 1} == {\"a\": 1}", "CONDITION_UNSUPPORTED");
    refused("capability == null", "CONDITION_UNSUPPORTED");
    refused("[1, 2].exists(x, x == age)", "CONDITION_UNSUPPORTED");
}

#[test]
fn a_misspelt_word_is_refused() {
    let fault = refused("capability == \"SEVER\"", "UNKNOWN_WORD");
    assert_eq!(
        fault.en(),
        "`SEVER` is no word of `capability`; these are UNASSESSED, INTACT, MILD, MODERATE, SEVERE, TOTAL"
    );
    refused("\"DEMENTIA\" in categories", "UNKNOWN_WORD");
    refused("categories.exists(c, c == \"MILD\")", "UNKNOWN_WORD");
}

#[test]
fn a_condition_is_true_or_false() {
    refused("age", "CONDITION_NOT_BOOL");
    refused("age + 1", "CONDITION_NOT_BOOL");
    refused("observations", "CONDITION_NOT_BOOL");
    refused("\"DEMENTIA\"", "CONDITION_NOT_BOOL");
    refused("age && true", "TYPE_MISMATCH");
    refused("!age", "TYPE_MISMATCH");
    refused("age == \"80\"", "TYPE_MISMATCH");
    refused("capability > \"MILD\"", "TYPE_MISMATCH");
    refused("capability == 3", "TYPE_MISMATCH");
    refused("age in observations", "TYPE_MISMATCH");
    refused("capability in observations", "TYPE_MISMATCH");
    refused("size(age) > 1", "TYPE_MISMATCH");
    refused("observations == [\"DEMENTIA\"]", "TYPE_MISMATCH");
    refused("true ? 1 : true", "TYPE_MISMATCH");
}

#[test]
fn text_that_is_no_condition_is_refused() {
    for text in [
        "",
        "age >=",
        "age >= 80 &&",
        "(age",
        "age age",
        "\u{0}",
        "年龄 >= 80",
        "\"",
        "@result",
        "a.b.c(",
        "80岁",
    ] {
        assert!(Condition::compile(text).is_err(), "{text}");
    }
    assert_eq!(
        refused("age >= >= 80", "CONDITION_UNPARSABLE"),
        ConditionFault::Unparsable(8)
    );
}

#[test]
fn hostile_text_is_refused_at_once() {
    let deep = [
        format!("{}age{}", "(".repeat(900), ")".repeat(900)),
        format!("{}true", "!".repeat(1_900)),
        format!("{}age > 1", "-".repeat(1_900)),
        "true?".repeat(180) + "true" + &":true".repeat(180),
        format!("{}true", "! ".repeat(900)),
        "[".repeat(1_999),
        "size(".repeat(300),
    ];
    for text in &deep {
        refused(text, "CONDITION_TOO_DEEP");
    }
    refused(&"age > 1 && ".repeat(400), "CONDITION_TOO_LONG");
    let loops =
        "categories.exists(a, categories.exists(b, categories.exists(c, a == b && b == c)))";
    refused(loops, "CONDITION_TOO_DEEP");
    // Long, but plain.
    let long = vec!["age > 1"; 180].join(" && ");
    assert!(holds(&long, elder(80, "MILD", &[], &[])));
    for text in [
        "a.".repeat(900),
        "1 + ".repeat(450) + "1 > 2",
        "(1) - ".repeat(300) + "1 > 2",
        "1 in ".repeat(300) + "[1]",
        "1 < ".repeat(300) + "2",
        "true == ".repeat(200) + "true",
    ] {
        refused(&text, "CONDITION_TOO_DEEP");
    }
    // As deep as may be.
    let deepest = format!("{}1{} > 2", "(1 + ".repeat(15), ")".repeat(15));
    assert!(holds(&deepest, elder(80, "MILD", &[], &[])));
    assert!(holds(
        &format!("age in [{}80]", "1, ".repeat(600)),
        elder(80, "MILD", &[], &[])
    ));
}

#[test]
fn arithmetic_that_fails_is_a_failure() {
    let condition = Condition::compile("age / handicap_grade > 1").unwrap();
    assert_eq!(condition.holds(elder(80, "MILD", &[], &[])), Err(Failure));
}

#[test]
fn a_condition_tells_what_it_looks_at() {
    let mentions = |text: &str| Condition::compile(text).unwrap().mentions().clone();
    let age = mentions("age >= 80 && age in [65]");
    assert_eq!(age.of(Variable::Age).numbers, [65, 80].into());
    assert!(!age.of(Variable::Age).whole && !age.of(Variable::Sex).used);
    assert!(mentions("age % 5 == 0").of(Variable::Age).whole);
    assert!(
        !mentions("size(categories) > 0 || 0 == size(categories)")
            .of(Variable::Categories)
            .whole
    );
    assert!(
        mentions("size(categories) >= 0")
            .of(Variable::Categories)
            .whole
    );
    assert!(
        mentions("0 > size(categories)")
            .of(Variable::Categories)
            .whole
    );
    assert_eq!(
        mentions("\"DEMENTIA\" in observations")
            .of(Variable::Observations)
            .words,
        0b100
    );
    // A name that a macro binds is no variable.
    assert!(
        !mentions("categories.exists(age, age == \"DISABLED\")")
            .of(Variable::Age)
            .used
    );
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(600))]

    #[test]
    fn no_text_brings_the_reading_of_conditions_down(text in hostile()) {
        if let Ok(condition) = Condition::compile(&text) {
            // What passed the check can be computed, but for arithmetic.
            let outcome = condition.holds(elder(83, "MODERATE", &["DISABLED"], &["DEMENTIA"]));
            let arithmetic = text.contains(['/', '%', '*', '+', '-']);
            proptest::prop_assert!(outcome.is_ok() || arithmetic, "{}", text);
        }
    }
}

/// Pieces of CEL and of anything else in any order.
fn hostile() -> impl proptest::strategy::Strategy<Value = String> {
    use proptest::prelude::*;
    let piece = prop_oneof![
        6 => proptest::sample::select(vec![
            "age", "capability", "observations", "categories", "handicap_grade", "80", "0", "-1", "9223372036854775807",
            "\"MILD\"", "\"DEMENTIA\"", "'", "\"", "true", "false", "null", "[", "]", "(", ")", "{", "}", "&&", "||", "!",
            "==", "!=", "<", ">=", " in ", "+", "-", "*", "/", "%", "?", ":", ".", ",", "size(", ".exists(x, ", ".all(y, ",
            ".map(z, ", "has(", "x", "@result", "\\", "r\"", "b'", "\n", "//", "1.5", "1u", "0x1F", ".size()", "`a`", ".?", "[?",
        ]).prop_map(str::to_owned),
        1 => ".{0,4}",
    ];
    proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.join(" "))
}
