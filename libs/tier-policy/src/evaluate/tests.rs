//! The national policy on made elders, rule by rule, and on those of the sample county.

use std::path::Path;

use civic::{
    Assistance, CapabilityLevel, Category, CircumstanceKind, ConsentState, ElderId, HandicapGrade,
    LocalDay, Observation, Sex,
};
use elders::event::{
    Capability, Circumstance, Consent, Event, Registered, Residence, Source, Spoken,
};
use elders::{Facts, FactsOnDay, purpose, testing};
use proptest::prelude::*;
use serde_json::Value;
use uuid::Uuid;

use super::*;
use crate::facts_key::Variable;

fn day(text: &str) -> LocalDay {
    text.parse().unwrap()
}

/// Seventy years old on the day of judgement, healthy and living alone, in a village of the sample county.
fn registered() -> Registered {
    Registered {
        elder: testing::ELDER,
        source: Source::Survey,
        identity: testing::sealed(
            purpose::IDENTITY,
            &proto::eldercare::registry::v1::Identity::default(),
        ),
        identity_claim: "k1-00ff".to_owned(),
        birth_date: day("1954-03-01"),
        sex: Sex::Female,
        residence: Residence {
            village: "350524100001".parse().unwrap(),
            home: None,
        },
        categories: Category::LivingAlone.into(),
        assistance: Set::new(),
        capability: assessed(CapabilityLevel::Intact, None),
        observations: Set::new(),
        handicap_grade: None,
        circumstances: vec![],
        contacts: None,
        consent: Consent::unknown(),
        wanted_services: Set::new(),
        remarks: None,
        import: None,
    }
}

fn assessed(level: CapabilityLevel, on: Option<&str>) -> Capability {
    Capability {
        level,
        assessed_on: on.map(day),
        source: "SURVEY".to_owned(),
    }
}

fn circumstance(first: &str, last: Option<&str>) -> Circumstance {
    Circumstance {
        id: Uuid::from_u128(1),
        kind: CircumstanceKind::Accident,
        first_day: day(first),
        last_day: last.map(day),
    }
}

fn judged(facts: &FactsOnDay) -> Option<(String, Vec<String>, Interval, Vec<&'static str>)> {
    let mut judge = Judge::new(Policy::national());
    let verdict = judge.verdict(FactsKey::of(facts)?);
    let national = PolicyRef {
        jurisdiction: Jurisdiction::National,
        version: 1,
    };
    let assignment = judge.assignment(&verdict, national, *facts.village());
    Some((
        assignment.tier,
        assignment.reasons,
        assignment.interval,
        assignment.modes.names().collect(),
    ))
}

#[track_caller]
fn check(change: impl FnOnce(&mut Registered), tier: &str, reasons: &[&str], by_phone: bool) {
    let mut elder = registered();
    change(&mut elder);
    let facts = Facts::registered(&elder).on(day("2024-10-01"));
    let (given, why, interval, modes) = judged(&facts).expect("in scope");
    assert_eq!(
        (given.as_str(), why.as_slice()),
        (
            tier,
            reasons
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .as_slice()
        )
    );
    assert_eq!(interval == Interval::Weekly, tier == "PRIORITY");
    let all = ["HOME", "PHONE", "ONLINE", "ENCOUNTER"];
    assert_eq!(modes, if by_phone { &all[..] } else { &all[..1] });
}

fn unassessed(elder: &mut Registered, observation: Observation) {
    elder.capability = Capability::unassessed();
    elder.observations = observation.into();
}

#[test]
fn each_rule_gives_its_tier() {
    check(|_| {}, "GENERAL", &["HEALTHY"], true);
    check(
        |elder| elder.birth_date = day("1944-10-01"),
        "PRIORITY",
        &["AGE_80"],
        true,
    );
    check(
        |elder| elder.birth_date = day("1944-10-02"),
        "GENERAL",
        &["HEALTHY"],
        true,
    );
    check(
        |elder| elder.handicap_grade = Some(HandicapGrade::First),
        "PRIORITY",
        &["HANDICAP_1_2"],
        false,
    );
    check(
        |elder| elder.handicap_grade = Some(HandicapGrade::Second),
        "PRIORITY",
        &["HANDICAP_1_2"],
        false,
    );
    check(
        |elder| elder.handicap_grade = Some(HandicapGrade::Third),
        "GENERAL",
        &["HEALTHY"],
        true,
    );
    check(
        |elder| elder.categories = Category::SeverelyHandicapped.into(),
        "PRIORITY",
        &["HANDICAP_1_2"],
        false,
    );
    for (level, tier, reason) in [
        (CapabilityLevel::Total, "PRIORITY", "SEVERE_DISABILITY"),
        (CapabilityLevel::Severe, "PRIORITY", "SEVERE_DISABILITY"),
        (
            CapabilityLevel::Moderate,
            "SECONDARY",
            "MODERATE_DISABILITY",
        ),
        (CapabilityLevel::Mild, "GENERAL", "MILD_DISABILITY"),
        (CapabilityLevel::Unassessed, "GENERAL", "ASSESSMENT_DUE"),
    ] {
        check(
            |elder| elder.capability = assessed(level, None),
            tier,
            &[reason],
            false,
        );
    }
    check(
        |elder| unassessed(elder, Observation::Bedridden),
        "PRIORITY",
        &["BEDRIDDEN"],
        false,
    );
    check(
        |elder| unassessed(elder, Observation::Dementia),
        "PRIORITY",
        &["DEMENTIA"],
        false,
    );
    check(
        |elder| unassessed(elder, Observation::MobilityImpaired),
        "SECONDARY",
        &["MOBILITY_IMPAIRED"],
        false,
    );
}

#[test]
fn a_handicap_of_a_lower_grade_is_not_taken_for_a_severe_one() {
    let low = |elder: &mut Registered| {
        elder.categories = Category::SeverelyHandicapped.into();
        elder.handicap_grade = Some(HandicapGrade::Fourth);
    };
    // By the grade the tier is the general one; the category alone rules out the telephone.
    check(low, "GENERAL", &["HEALTHY"], false);
}

#[test]
fn an_assessment_prevails_over_what_was_seen() {
    check(
        |elder| elder.observations = Observation::Bedridden.into(),
        "GENERAL",
        &["HEALTHY"],
        false,
    );
    check(
        |elder| elder.observations = Observation::MobilityImpaired.into(),
        "GENERAL",
        &["HEALTHY"],
        false,
    );
    check(
        |elder| elder.observations = Observation::Dementia.into(),
        "PRIORITY",
        &["DEMENTIA"],
        false,
    );
}

#[test]
fn all_reasons_of_the_tier_are_given_in_its_order() {
    let all = |elder: &mut Registered| {
        elder.birth_date = day("1930-01-01");
        elder.handicap_grade = Some(HandicapGrade::First);
        elder.capability = assessed(CapabilityLevel::Total, None);
        elder.observations = Set::all();
    };
    check(
        all,
        "PRIORITY",
        &["AGE_80", "HANDICAP_1_2", "SEVERE_DISABILITY", "DEMENTIA"],
        false,
    );
    let unassessed = |elder: &mut Registered| {
        all(elder);
        elder.capability = Capability::unassessed();
    };
    check(
        unassessed,
        "PRIORITY",
        &["AGE_80", "HANDICAP_1_2", "BEDRIDDEN", "DEMENTIA"],
        false,
    );
}

#[test]
fn nothing_but_these_facts_matters() {
    let other = |elder: &mut Registered| {
        elder.sex = Sex::Male;
        elder.assistance = Assistance::ExtremePoverty.into();
        elder.consent.state = ConsentState::Refused;
        elder.categories = [Category::EmptyNest, Category::Disabled].into();
    };
    check(other, "GENERAL", &["HEALTHY"], true);
}

#[test]
fn elders_out_of_scope_have_no_tier() {
    let mut elder = registered();
    elder.birth_date = day("1964-10-02");
    assert_eq!(
        judged(&Facts::registered(&elder).on(day("2024-10-01"))),
        None
    );
    assert!(judged(&Facts::registered(&elder).on(day("2024-10-02"))).is_some());
    elder.categories = Set::new();
    assert_eq!(
        judged(&Facts::registered(&elder).on(day("2024-10-02"))),
        None
    );
    let mut facts = Facts::registered(&registered());
    facts.apply(
        &Event::Died {
            on: day("2024-10-05"),
        },
        testing::ELDER,
    );
    assert!(judged(&facts.on(day("2024-10-04"))).is_some());
    assert_eq!(judged(&facts.on(day("2024-10-05"))), None);
}

#[test]
fn eighty_is_reached_on_the_birthday_and_on_28_february_in_a_common_year() {
    let reasons = |birth: &str, on: &str| {
        let elder = Registered {
            birth_date: day(birth),
            ..registered()
        };
        judged(&Facts::registered(&elder).on(day(on))).unwrap().1
    };
    assert_eq!(reasons("1944-11-05", "2024-11-04"), ["HEALTHY"]);
    assert_eq!(reasons("1944-11-05", "2024-11-05"), ["AGE_80"]);
    assert_eq!(reasons("1944-02-29", "2024-02-28"), ["HEALTHY"]);
    assert_eq!(reasons("1944-02-29", "2024-02-29"), ["AGE_80"]);
    // The 81st falls on a day that the year lacks, which changes nothing here; one born on 29 February 1948 is 75 on 28
    // February 2023.
    let elder = Registered {
        birth_date: day("1948-02-29"),
        ..registered()
    };
    let key = |on: &str| {
        FactsKey::of(&Facts::registered(&elder).on(day(on)))
            .unwrap()
            .get(Variable::Age)
    };
    assert_eq!((key("2023-02-27"), key("2023-02-28")), (74, 75));
}

#[test]
fn a_circumstance_rules_out_the_telephone_until_its_last_day() {
    let elder = Registered {
        circumstances: vec![circumstance("2024-09-22", Some("2024-10-12"))],
        ..registered()
    };
    let by_phone = |on: &str| {
        judged(&Facts::registered(&elder).on(day(on)))
            .unwrap()
            .3
            .len()
            > 1
    };
    let days = ["2024-09-21", "2024-09-22", "2024-10-12", "2024-10-13"];
    assert_eq!(days.map(by_phone), [true, false, false, true]);
}

#[test]
fn equal_facts_are_judged_once() {
    let mut judge = Judge::new(Policy::national());
    let key = FactsKey::of(&Facts::registered(&registered()).on(day("2024-10-01"))).unwrap();
    let first = judge.verdict(key);
    assert_eq!(judge.verdict(key), first);
    assert_eq!(judge.verdicts.len(), 1);
}

fn sample(file: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/local/data/anxi");
    std::fs::read_to_string(folder.join(file)).unwrap()
}

fn words<T: civic::Term + std::str::FromStr<Err = civic::UnknownTerm>>(names: &Value) -> Set<T> {
    names
        .as_array()
        .unwrap()
        .iter()
        .map(|name| name.as_str().unwrap().parse::<T>().unwrap())
        .collect()
}

fn maybe_day(text: &Value) -> Option<LocalDay> {
    text.as_str().map(day)
}

/// The surveyed elders of the sample county as the registry leaves them, by ID number.
fn surveyed() -> HashMap<String, Facts> {
    let registry: Value = serde_json::from_str(&sample("expected/registry.json")).unwrap();
    let elders = registry["survey_elders"].as_object().unwrap();
    let facts = elders.iter().map(|(id_number, told)| {
        let grade = told["handicap_grade"]
            .as_u64()
            .map(|grade| HandicapGrade::try_from(u8::try_from(grade).unwrap()).unwrap());
        let elder = Registered {
            birth_date: maybe_day(&told["birth_date"]).unwrap(),
            sex: told["sex"].as_str().unwrap().parse().unwrap(),
            residence: Residence {
                village: told["division_code"].as_str().unwrap().parse().unwrap(),
                home: None,
            },
            categories: words(&told["categories"]),
            assistance: words(&told["assistance"]),
            capability: assessed(told["capability"].as_str().unwrap().parse().unwrap(), None),
            observations: words(&told["observations"]),
            handicap_grade: grade,
            ..registered()
        };
        (id_number.clone(), Facts::registered(&elder))
    });
    facts.collect()
}

/// The events of the sample county's changes that surveyed elders had.
fn change(told: &Value) -> Event {
    match told["kind"].as_str().unwrap() {
        "CAPABILITY_ASSESSED" => {
            let capability = &told["capability"];
            let level = capability["level"].as_str().unwrap().parse().unwrap();
            Event::CapabilityAssessed(assessed(level, capability["assessed_on"].as_str()), None)
        }
        "CIRCUMSTANCE" => Event::CircumstanceRecorded(Circumstance {
            id: Uuid::nil(),
            kind: told["circumstance"]["kind"]
                .as_str()
                .unwrap()
                .parse()
                .unwrap(),
            first_day: maybe_day(&told["circumstance"]["first_day"]).unwrap(),
            last_day: maybe_day(&told["circumstance"]["last_day"]),
        }),
        "CONSENT" => Event::ConsentGranted(Spoken { by: None, at: None }),
        "RELOCATED" => {
            let village = told["division_code"].as_str().unwrap().parse().unwrap();
            Event::Relocated(
                Residence {
                    village,
                    home: None,
                },
                maybe_day(&told["on"]).unwrap(),
            )
        }
        "DECEASED" => Event::Died {
            on: maybe_day(&told["on"]).unwrap(),
        },
        "MOVED_OUT" => Event::MovedOut {
            on: maybe_day(&told["on"]).unwrap(),
        },
        other => panic!("an unknown change {other}"),
    }
}

#[test]
fn the_sample_county_has_the_expected_tiers_on_all_three_dates() {
    let mut elders = surveyed();
    for line in sample("changes.ndjson").lines() {
        let told: Value = serde_json::from_str(line).unwrap();
        if let Some(facts) = elders.get_mut(told["id_number"].as_str().unwrap()) {
            facts.apply(&change(&told), ElderId(Uuid::nil()));
        }
    }
    for date in ["2024-10-01", "2024-10-31", "2024-11-19"] {
        let expected: Value =
            serde_json::from_str(&sample(&format!("expected/tiers-{date}.json"))).unwrap();
        let expected = expected["elders"].as_object().unwrap();
        let mut in_scope = 0;
        for (id_number, facts) in &elders {
            let found = judged(&facts.on(day(date))).map(|(tier, reasons, interval, modes)| {
                serde_json::json!({"tier": tier, "reasons": reasons, "interval": interval.name(), "modes": modes})
            });
            in_scope += usize::from(found.is_some());
            // An ID number of a made person, in test data.
            assert_eq!(
                found.as_ref(),
                expected.get(id_number),
                "{date} {id_number}"
            );
        }
        assert_eq!(in_scope, expected.len(), "{date}");
    }
}

/// Section 2 of the rules in plain Rust, beside the policy that we ship.
fn by_the_book(key: FactsKey) -> (&'static str, Vec<&'static str>, bool) {
    let age = key.get(Variable::Age);
    let grade = key.get(Variable::HandicapGrade);
    let capability = key.told(Variable::Capability);
    let has = |variable: Variable, word: &str| key.words(variable).any(|known| known == word);
    let unassessed = capability == "UNASSESSED";
    let severely = has(Variable::Categories, "SEVERELY_HANDICAPPED");
    let which = |rules: &[(&'static str, bool)]| {
        let applying = rules.iter().filter(|(_, applies)| *applies);
        applying.map(|(rule, _)| *rule).collect::<Vec<_>>()
    };
    let priority = which(&[
        ("AGE_80", age >= 80),
        (
            "HANDICAP_1_2",
            grade == 1 || grade == 2 || severely && grade == 0,
        ),
        (
            "SEVERE_DISABILITY",
            capability == "SEVERE" || capability == "TOTAL",
        ),
        (
            "BEDRIDDEN",
            unassessed && has(Variable::Observations, "BEDRIDDEN"),
        ),
        ("DEMENTIA", has(Variable::Observations, "DEMENTIA")),
    ]);
    let secondary = which(&[
        ("MODERATE_DISABILITY", capability == "MODERATE"),
        (
            "MOBILITY_IMPAIRED",
            unassessed && has(Variable::Observations, "MOBILITY_IMPAIRED"),
        ),
    ]);
    let general = which(&[
        ("MILD_DISABILITY", capability == "MILD"),
        ("HEALTHY", capability == "INTACT"),
        ("ASSESSMENT_DUE", unassessed),
    ]);
    let well = capability == "INTACT"
        && key.get(Variable::Observations) == 0
        && grade != 1
        && grade != 2
        && !severely
        && key.get(Variable::Circumstances) == 0;
    if !priority.is_empty() {
        ("PRIORITY", priority, well)
    } else if !secondary.is_empty() {
        ("SECONDARY", secondary, well)
    } else {
        ("GENERAL", general, well)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_policy_that_we_ship_is_section_two_for_everybody(
        age in 60..=130_u64, capability in 0..6_u64, grade in 0..=4_u64, observations in 0..8_u64,
        categories in 1..64_u64, assistance in 0..32_u64, circumstances in 0..64_u64, sex in 0..2_u64, consent in 0..3_u64,
    ) {
        let key = FactsKey::EMPTY
            .with(Variable::Age, age)
            .with(Variable::Capability, capability)
            .with(Variable::HandicapGrade, grade)
            .with(Variable::Observations, observations)
            .with(Variable::Categories, categories)
            .with(Variable::Assistance, assistance)
            .with(Variable::Circumstances, circumstances)
            .with(Variable::Sex, sex)
            .with(Variable::Consent, consent);
        let mut judge = Judge::new(Policy::national());
        let verdict = judge.verdict(key);
        let national = PolicyRef { jurisdiction: Jurisdiction::National, version: 1 };
        let given = judge.assignment(&verdict, national, "350524100001".parse().unwrap());
        let (tier, reasons, well) = by_the_book(key);
        prop_assert_eq!(given.tier, tier);
        prop_assert_eq!(given.reasons, reasons);
        prop_assert_eq!(given.interval == Interval::Weekly, tier == "PRIORITY");
        prop_assert_eq!(given.modes == Set::all(), well);
        prop_assert!(given.modes.contains(VisitMode::Home) && (well || given.modes.len() == 1));
    }
}
