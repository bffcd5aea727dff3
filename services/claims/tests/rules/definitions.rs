//! Definitions of programmes: the documented one and those of the table, what they say, and every kind of fault by its line.

use civic::{Assistance, CapabilityLevel, EntitlementUnit, EvidenceKind, Fen};
use claims::definition::{Definition, Items, ItemsRule, Price, Quota};

use crate::people::{HOMECARE, LTCI, after, day, definition, facts, grade};

/// The example of the API's documentation.
fn documented() -> String {
    let proto = include_str!("../../../../proto/eldercare/claims/v1/claims_service.proto");
    let lines = proto.lines().map(str::trim_start);
    let lines = lines.skip_while(|line| *line != "//     name: 长期护理险");
    let lines = lines.map_while(|line| line.strip_prefix("//     "));
    lines.collect::<Vec<_>>().join("\n")
}

/// The documented definition with one text in place of another that stands in it once.
fn with(old: &str, new: &str) -> String {
    let documented = documented();
    assert_eq!(documented.matches(old).count(), 1, "{old}");
    documented.replace(old, new)
}

/// What is wrong: lines and reasons. Each is told in both languages.
fn faults(yaml: &str) -> Vec<(u32, &'static str)> {
    let faults = Definition::parse(yaml).unwrap_err();
    for fault in &faults {
        assert!(!fault.en.is_empty() && !fault.zh.is_empty(), "{fault:?}");
    }
    let faults = faults.iter();
    faults.map(|fault| (fault.line, fault.reason)).collect()
}

/// The line of the documented definition that begins so.
fn line(begin: &str) -> u32 {
    let documented = documented();
    let place = documented.lines().position(|line| line.starts_with(begin));
    u32::try_from(place.unwrap()).unwrap() + 1
}

fn named(items: &[&str]) -> Vec<String> {
    items.iter().map(|item| (*item).to_owned()).collect()
}

#[test]
fn the_documented_definition_is_read_as_it_says() {
    let read = definition(&documented());
    assert_eq!(read.name, "长期护理险");
    assert_eq!(read.effective_from, day("2024-01-01"));
    assert_eq!(read.premium, Fen(30_000));
    assert!(!read.requires_poverty);
    let rules = |rules: &[claims::definition::Rule]| -> Vec<(String, String)> {
        let rules = rules.iter();
        rules
            .map(|rule| (rule.name.clone(), rule.source.clone()))
            .collect()
    };
    let handicapped = "HANDICAP_1_2".to_owned();
    let source = "川民〔2023〕100号".to_owned();
    assert_eq!(rules(&read.enrolment), [(handicapped.clone(), source)]);
    assert_eq!(rules(&read.entitlement), [(handicapped, String::new())]);
    let quota = Quota {
        unit: EntitlementUnit::Services,
        units: 12,
    };
    assert_eq!(read.quota, quota);
    assert_eq!(read.least_minutes, 120);
    assert_eq!(read.price, Price::AService(Fen(20_000)));
    assert_eq!(read.items.rule, ItemsRule::AllBaseAndOneOptional);
    assert_eq!(read.items.name("VITAL_SIGNS"), Some("生命体征监测"));
    assert_eq!(read.items.name("BATHING"), Some("助浴"));
    assert_eq!(read.items.name("COOKING"), None);
    assert_eq!(read.evidence, [(EvidenceKind::Video, 1)].into());
    assert_eq!((read.submission_days, read.appeal_days), (30, 15));
}

#[test]
fn premium_and_poverty_may_be_left_out() {
    let yaml = with("premium_fen: 30000", "# none:").replace("requires_poverty: false", "# off:");
    let read = definition(&yaml);
    assert_eq!((read.premium, read.requires_poverty), (Fen::ZERO, false));
}

#[test]
fn what_is_no_yaml_and_fields_that_are_none_are_named_by_their_line() {
    let unparsable = "DEFINITION_UNPARSABLE";
    for (yaml, at) in [
        (with("premium_fen", "premium_yuan"), line("premium_fen")),
        // Money is whole fen.
        (with("30000 ", "300.50 "), line("premium_fen")),
        (with("20000", "200.5"), line("  fen_a_service")),
        (with("services: 12", "visits: 12"), line("  services")),
        (
            with("least_minutes: 120", "least_minutes: two hours"),
            line("least_minutes"),
        ),
        (with("false ", "perhaps "), line("requires_poverty")),
        // Larger than any number that is counted with.
        (with("30000 ", "99999999999999999999 "), line("premium_fen")),
        (
            with(
                "least_minutes: 120",
                "least_minutes: 120\nleast_minutes: 60",
            ),
            line("least_minutes") + 1,
        ),
        (with("name: 长期护理险", "name: [长期护理险"), 1),
        (format!("{}\n---\nname: 二", documented()), 24),
    ] {
        let told = faults(&yaml);
        assert_eq!(told, [(at, unparsable)], "{yaml}");
    }
    for yaml in ["", "长期护理险", "- 1", "&a [*a]"] {
        assert_eq!(faults(yaml)[0].1, unparsable, "{yaml}");
    }
    assert_eq!(faults("\u{0}")[0].1, "CONTROL_CHARACTERS");
    // A field that is missing has no line of its own.
    assert_eq!(faults(&with("appeal_days: 15", "#"))[0].1, unparsable);
}

#[test]
fn a_definition_beyond_64_kib_is_not_looked_at() {
    let long = format!("# {}\n{}", "x".repeat(64 * 1024), documented());
    assert_eq!(faults(&long), [(1, "DEFINITION_TOO_LONG")]);
    let just = "#".repeat(64 * 1024 - documented().len() - 1);
    definition(&format!("{just}\n{}", documented()));
}

#[test]
fn either_kind_of_quota_and_either_kind_of_price() {
    let quota = line("  services");
    for wrong in ["services: 12\n  minutes: 2880", "{}"] {
        let told = faults(&with("services: 12", wrong));
        assert_eq!(told, [(quota, "QUOTA_INVALID")], "{wrong}");
    }
    let told = faults(&with(
        "fen_a_service: 20000",
        "fen_a_service: 20000\n  fen_an_hour: 4000",
    ));
    assert_eq!(told, [(line("  fen_a_service"), "PRICE_INVALID")]);
}

#[test]
fn each_fault_of_a_part_is_named_by_its_line() {
    // A mapping stands where its first field does.
    let second_rule = "  - rule: HANDICAP_1_2\n    when: \"true\"\nentitlement:";
    for (yaml, at, reason) in [
        (
            with("rule: ALL_BASE_AND_ONE_OPTIONAL", "rule: TWO_OF_EACH"),
            line("  rule: ALL"),
            "ITEMS_RULE_UNKNOWN",
        ),
        (
            with("VIDEO: 1", "SOUND: 1"),
            line("evidence"),
            "EVIDENCE_UNKNOWN",
        ),
        (
            with("in [1, 2]   # CEL", "in [1, 2   # CEL"),
            line("    when"),
            "CONDITION_UNPARSABLE",
        ),
        (
            with("handicap_grade in [1, 2]   # CEL", "wealth > 3   # CEL"),
            line("    when"),
            "UNKNOWN_VARIABLE",
        ),
        (
            with("handicap_grade in [1, 2]   # CEL", "handicap_grade   # CEL"),
            line("    when"),
            "CONDITION_NOT_BOOL",
        ),
        (
            with("entitlement:", second_rule),
            line("entitlement"),
            "RULE_REPEATED",
        ),
        (with("30000 ", "-1 "), line("premium_fen"), "OUT_OF_RANGE"),
        (
            with("30000 ", "100000001 "),
            line("premium_fen"),
            "OUT_OF_RANGE",
        ),
        (
            with("services: 12", "services: -1"),
            line("  services"),
            "OUT_OF_RANGE",
        ),
        (
            with("services: 12", "services: 527041"),
            line("  services"),
            "OUT_OF_RANGE",
        ),
        (
            with("least_minutes: 120", "least_minutes: -1"),
            line("least_minutes"),
            "OUT_OF_RANGE",
        ),
        (
            with("least_minutes: 120", "least_minutes: 1441"),
            line("least_minutes"),
            "OUT_OF_RANGE",
        ),
        (
            with("20000", "-20000"),
            line("  fen_a_service"),
            "OUT_OF_RANGE",
        ),
        (
            with("20000", "100000001"),
            line("  fen_a_service"),
            "OUT_OF_RANGE",
        ),
        (
            with("VIDEO: 1", "VIDEO: -1"),
            line("evidence"),
            "OUT_OF_RANGE",
        ),
        (
            with("VIDEO: 1", "VIDEO: 51"),
            line("evidence"),
            "OUT_OF_RANGE",
        ),
        (
            with("submission_days: 30", "submission_days: -1"),
            line("submission"),
            "OUT_OF_RANGE",
        ),
        (
            with("appeal_days: 15", "appeal_days: 3651"),
            line("appeal"),
            "OUT_OF_RANGE",
        ),
        (
            with("2024-01-01", "2024-02-30"),
            line("effective_from"),
            "DAY_INVALID",
        ),
        (
            with("2024-01-01", "01.01.2024"),
            line("effective_from"),
            "DAY_INVALID",
        ),
        (
            with("name: 长期护理险", "name: '  '"),
            line("name"),
            "TEXT_INVALID",
        ),
        (
            with("name: 长期护理险", &format!("name: {}", "险".repeat(101))),
            line("name"),
            "TEXT_INVALID",
        ),
        (
            with("BATHING: 助浴", "bathing: 助浴"),
            line("  base"),
            "NAME_INVALID",
        ),
        (
            with("BATHING: 助浴", "BATHING: ''"),
            line("  base"),
            "TEXT_INVALID",
        ),
        (
            with("BATHING: 助浴", "VITAL_SIGNS: 助浴"),
            line("  base"),
            "ITEM_REPEATED",
        ),
    ] {
        let told = faults(&yaml);
        assert_eq!(told, [(at, reason)], "{yaml}");
    }
}

#[test]
fn names_of_rules_are_upper_snake_case() {
    let yaml = documented();
    let (before, after) = yaml.rsplit_once("HANDICAP_1_2").unwrap();
    let named = |name: &str| format!("{before}{name}{after}");
    let longest = "A".repeat(64);
    for name in ["A", "A1", "HANDICAP_1_2", &longest] {
        definition(&named(name));
    }
    let too_long = "A".repeat(65);
    for name in ["a", "1A", "_A", "A_", "A__B", "A-B", "残", "''", &too_long] {
        assert_eq!(
            faults(&named(name)),
            [(line("entitlement") + 1, "NAME_INVALID")],
            "{name}"
        );
    }
}

#[test]
fn lists_of_rules_and_items_have_an_end_and_are_not_empty() {
    let none = "COUNT_OUT_OF_RANGE";
    let yaml = documented();
    let (before, rest) = yaml.split_once("enrolment:").unwrap();
    let (_, after) = rest.split_once("entitlement:").unwrap();
    let rules = |count: usize| -> String {
        let rules =
            (0..count).map(|number| format!("\n  - rule: R{number}\n    when: age > {number}"));
        format!(
            "{before}enrolment:{}\nentitlement:{after}",
            rules.collect::<String>()
        )
    };
    definition(&rules(64));
    assert_eq!(faults(&rules(65)), [(6, none)]);
    assert_eq!(
        faults(&rules(0).replace("enrolment:", "enrolment: []"))[0].1,
        none
    );
    let items = |count: usize| {
        let items: Vec<_> = (0..count).map(|number| format!("I{number}: 项")).collect();
        with("{BATHING: 助浴}", &format!("{{{}}}", items.join(", ")))
    };
    definition(&items(63));
    assert_eq!(faults(&items(64))[0].1, none);
}

#[test]
fn all_faults_are_told_at_once_by_line() {
    let yaml = with("least_minutes: 120", "least_minutes: -1")
        .replace("name: 长期护理险", "name: ''")
        .replace("appeal_days: 15", "appeal_days: -1");
    let reasons: Vec<_> = faults(&yaml);
    assert_eq!(
        reasons,
        [
            (line("name"), "TEXT_INVALID"),
            (line("least_minutes"), "OUT_OF_RANGE"),
            (line("appeal_days"), "OUT_OF_RANGE"),
        ]
    );
}

#[test]
fn home_care_costs_4000_fen_an_hour_by_the_minute_rounded_down() {
    let home_care = definition(HOMECARE);
    for (minutes, fen) in [
        (0, 0),
        (1, 66),
        (30, 2_000),
        (31, 2_066),
        (59, 3_933),
        (60, 4_000),
        (1_440, 96_000),
    ] {
        assert_eq!(home_care.costs(minutes), Fen(fen), "{minutes}");
        assert_eq!(home_care.units(minutes), minutes);
    }
    assert_eq!(home_care.quota.units, 2_880);
    assert_eq!(home_care.least_units(), 30);
    assert_eq!(home_care.premium, Fen::ZERO);
}

#[test]
fn a_service_of_long_term_care_costs_the_same_however_long_it_is() {
    let insurance = definition(LTCI);
    for minutes in [120, 121, 1_440] {
        assert_eq!(insurance.costs(minutes), Fen(20_000));
        assert_eq!(insurance.units(minutes), 1);
    }
    assert_eq!(insurance.least_units(), 1);
}

#[test]
fn where_a_service_may_be_of_any_length_the_least_is_a_minute() {
    let any = definition(&HOMECARE.replace("least_minutes: 30", "least_minutes: 0"));
    assert_eq!(any.least_units(), 1);
}

#[test]
fn the_dearest_programme_never_costs_more_than_can_be_counted() {
    let dear = definition(&HOMECARE.replace("fen_an_hour: 4000", "fen_an_hour: 100000000"));
    assert_eq!(dear.costs(i64::MAX), Fen(2_400_000_000));
    assert_eq!(dear.costs(i64::MIN), Fen::ZERO);
}

#[test]
fn long_term_care_is_all_base_items_and_exactly_one_optional_one() {
    let items: Items = definition(LTCI).items;
    let base = ["VITAL_SIGNS", "HEALTH_GUIDANCE", "SAFETY_CHECK"];
    let and = |more: &[&str]| named(&[&base[..], more].concat());
    assert!(items.allow(&and(&["BATHING"])));
    // In any order.
    assert!(items.allow(&named(&["BATHING", base[2], base[0], base[1]])));
    for wrong in [
        and(&[]),
        and(&["BATHING", "HAIRDRESSING"]),
        and(&["BATHING", "BATHING"]),
        and(&["BATHING", "VITAL_SIGNS"]),
        and(&["COOKING"]),
        and(&["BATHING", "COOKING"]),
        named(&[base[0], base[1], "BATHING"]),
        named(&["BATHING"]),
        vec![],
    ] {
        assert!(!items.allow(&wrong), "{wrong:?}");
    }
}

#[test]
fn home_care_is_one_item_or_more_each_once() {
    let items = definition(HOMECARE).items;
    assert!(items.allow(&named(&["COOKING"])));
    assert!(items.allow(&named(&["COOKING", "BATHING", "CLEANING"])));
    for wrong in [
        named(&[]),
        named(&["COOKING", "COOKING"]),
        named(&["GARDENING"]),
    ] {
        assert!(!items.allow(&wrong), "{wrong:?}");
    }
}

#[test]
fn whoever_is_poor_or_severely_handicapped_may_be_enrolled_in_long_term_care() {
    let insurance = definition(LTCI);
    let on = day("2024-05-10");
    let admits = |assistance: Option<Assistance>, handicap: Option<u8>, birth: &str| {
        let facts = facts(|person| {
            person.assistance = assistance.into_iter().collect();
            person.handicap_grade = handicap.and_then(grade);
            person.birth_date = day(birth);
        });
        insurance.admits(&facts.on(on)).map(str::to_owned)
    };
    let low_income = Some("LOW_INCOME".to_owned());
    let handicapped = Some("HANDICAP_1_2".to_owned());
    // At any age, whatever the capability.
    for birth in ["2010-01-01", "1990-01-01", "1940-01-01"] {
        assert_eq!(
            admits(Some(Assistance::MinimumLiving), None, birth),
            low_income
        );
        assert_eq!(
            admits(Some(Assistance::ExtremePoverty), None, birth),
            low_income
        );
        assert_eq!(admits(None, Some(1), birth), handicapped);
        assert_eq!(admits(None, Some(2), birth), handicapped);
        assert_eq!(admits(None, Some(3), birth), None);
        assert_eq!(admits(None, None, birth), None);
        assert_eq!(
            admits(Some(Assistance::MinimumLivingMarginal), None, birth),
            None
        );
        // Whoever is so in both ways counts with the handicapped.
        assert_eq!(
            admits(Some(Assistance::MinimumLiving), Some(2), birth),
            handicapped
        );
    }
}

#[test]
fn home_care_admits_marginal_persons_too_and_entitles_everybody() {
    let home_care = definition(HOMECARE);
    for (assistance, admitted) in [
        (Some(Assistance::MinimumLivingMarginal), true),
        (Some(Assistance::MinimumLiving), true),
        (Some(Assistance::ExtremePoverty), true),
        (None, false),
    ] {
        let facts = facts(|person| person.assistance = assistance.into_iter().collect());
        let facts = facts.on(day("2024-05-10"));
        assert_eq!(
            home_care.admits(&facts).is_some(),
            admitted,
            "{assistance:?}"
        );
        assert_eq!(home_care.entitles(&facts), Some("ENROLLED"));
    }
}

#[test]
fn a_programme_for_the_poor_alone_takes_no_handicapped_person_who_is_not() {
    let poor_only = definition(&format!("{LTCI}requires_poverty: true\n"));
    let on = day("2024-05-10");
    let of = |assistance: &[Assistance]| {
        let facts = facts(|person| {
            person.assistance = assistance.iter().copied().collect();
            person.handicap_grade = grade(1);
        });
        let facts = facts.on(on);
        (
            poor_only.admits(&facts).map(str::to_owned),
            poor_only.entitles(&facts).map(str::to_owned),
        )
    };
    let both = || Some("HANDICAP_1_2".to_owned());
    assert_eq!(of(&[]), (None, None));
    assert_eq!(of(&[Assistance::MinimumLivingMarginal]), (None, None));
    assert_eq!(of(&[Assistance::MinimumLiving]), (both(), both()));
    assert_eq!(of(&[Assistance::ExtremePoverty]), (both(), both()));
}

#[test]
fn rules_go_by_the_facts_of_the_day() {
    let insurance = definition(LTCI);
    let assessed = elders::event::Event::CapabilityAssessed(
        elders::event::Capability {
            level: CapabilityLevel::Moderate,
            assessed_on: Some(day("2024-05-10")),
            source: String::new(),
        },
        None,
    );
    let facts = after(
        facts(|person| person.capability.level = CapabilityLevel::Mild),
        &[assessed],
    );
    assert_eq!(insurance.entitles(&facts.on(day("2024-05-09"))), None);
    assert_eq!(
        insurance.entitles(&facts.on(day("2024-05-10"))),
        Some("LOW_INCOME")
    );
}
