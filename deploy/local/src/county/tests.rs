//! Reading data sets: the sample county as it is, and lines that are broken in one place.

use proto::eldercare::claims::v1::AppealDecision;

use super::*;

fn sample() -> County {
    County::open(Path::new(env!("CARGO_MANIFEST_DIR")).join("data/anxi")).unwrap()
}

/// A data set with one file of the given text.
fn set_with(file: &str, text: &str) -> (tempfile::TempDir, County) {
    let folder = tempfile::tempdir().unwrap();
    let set = r#"{"county":"350524","import_as_of":"2024-09-20","facts_hold_from":"2024-01-01","tier_dates":[]}"#;
    fs::write(folder.path().join("set.json"), set).unwrap();
    fs::write(folder.path().join(file), text).unwrap();
    let county = County::open(folder.path()).unwrap();
    (folder, county)
}

fn problem_of_resident(line: &str) -> String {
    let (_folder, county) = set_with("residents.ndjson", line);
    let mut residents = county.residents().unwrap();
    residents.find_map(Result::err).unwrap().to_string()
}

fn problem_of_change(line: &str) -> String {
    let (_folder, county) = set_with("changes.ndjson", line);
    let mut changes = county.changes().unwrap();
    changes.find_map(Result::err).unwrap().to_string()
}

#[test]
fn the_sample_county_is_read_whole() {
    let county = sample();
    assert_eq!(county.set.county, "350524");
    assert_eq!(county.set.import_as_of.to_string(), "2024-09-20");
    assert_eq!(county.set.tier_dates.len(), 3);
    let divisions = county.divisions().unwrap().what;
    assert_eq!(
        divisions
            .iter()
            .filter(|one| one.level == types::DivisionLevel::Town as i32)
            .count(),
        24
    );
    let surveys = county.surveys().unwrap();
    assert_eq!(surveys.len(), 24);
    assert_eq!(surveys[0].town_code, "350524100");
    let residents: Vec<_> = county
        .residents()
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(residents.len(), 12_711);
    let changes: Vec<_> = county.changes().unwrap().collect::<Result<_, _>>().unwrap();
    assert_eq!(changes.len(), 324);
    assert!(
        county
            .files()
            .unwrap()
            .contains(&"claims/orders.ndjson".to_owned())
    );
}

#[test]
fn programmes_orders_and_what_became_of_them_are_read_whole() {
    let county = sample();
    assert_eq!(county.set.claims_as_of.unwrap().to_string(), "2024-11-19");
    assert_eq!(county.contracts().unwrap().len(), 10);
    assert_eq!(county.caregivers().unwrap().len(), 120);
    let enrolments = county.enrolments().unwrap();
    assert_eq!(enrolments.len(), 9_318);
    assert_eq!(enrolments[0].what.basis.as_deref(), Some("HANDICAP_1_2"));
    assert_eq!(county.orders().unwrap().len(), 12_265);
    assert_eq!(county.appeals().unwrap().len(), 305);
    let decisions = county.decisions().unwrap();
    let refused = decisions
        .iter()
        .filter(|line| line.what.decision == AppealDecision::Refuse);
    assert_eq!((decisions.len(), refused.count()), (243, 139));
    let contract = &county.contracts().unwrap()[8].what.0;
    let day = |date: Option<types::Date>| crate::wire::from_date(date.unwrap()).unwrap();
    assert_eq!(
        (contract.provider_id.as_str(), day(contract.last_day)),
        ("P09", "2024-08-31".parse().unwrap())
    );
}

#[test]
fn a_programme_is_told_as_claims_understand_it() {
    let county = sample();
    let programmes = county.programmes().unwrap();
    assert_eq!(programmes.len(), 1);
    assert_eq!(programmes[0].what.code, "LTCI");
    let told = programmes[0].what.definition(&county.set);
    let definition = ::claims::definition::Definition::parse(&told).unwrap();
    assert_eq!(definition.effective_from, county.set.facts_hold_from);
    assert_eq!(definition.premium, civic::Fen(30_000));
    assert!(!definition.requires_poverty);
    assert_eq!(definition.quota.units, 12);
    let names = |rules: &[::claims::definition::Rule]| {
        let names = rules.iter().map(|rule| rule.name.clone());
        names.collect::<Vec<_>>()
    };
    // Whoever is entitled in both ways counts with the handicapped.
    let rules = ["HANDICAP_1_2", "LOW_INCOME"];
    assert_eq!(names(&definition.enrolment), rules);
    assert_eq!(names(&definition.entitlement), rules);
    let items = definition.items;
    assert_eq!((items.base.len(), items.optional.len()), (3, 8));
    assert_eq!(items.name("BATHING"), Some("助浴"));
    let limits = (definition.submission_days, definition.appeal_days);
    assert_eq!(limits, (30, 15));
}

#[test]
fn a_set_without_claims_has_none_and_one_with_another_programme_is_refused() {
    let (_folder, county) = set_with("residents.ndjson", "");
    assert_eq!(county.programmes().unwrap(), []);
    assert_eq!(county.enrolments().unwrap(), []);
    assert_eq!(county.orders().unwrap(), []);
    let told = |text: &str| {
        let (folder, county) = set_with("residents.ndjson", "");
        fs::create_dir(folder.path().join("claims")).unwrap();
        fs::write(folder.path().join(PROGRAMMES), text).unwrap();
        county.programmes().unwrap_err().to_string()
    };
    assert_eq!(
        told(r#"{"HOMECARE":{}}"#),
        "claims/programmes.json, field `HOMECARE`: is not LTCI: who may be enrolled in it is not known"
    );
    assert_eq!(
        told(r#"{"LTCI":{"name":"x","evidence":{"SOUND":1}}}"#),
        "claims/programmes.json, field `LTCI.evidence`: holds something that is no kind of evidence with a number"
    );
    assert_eq!(
        told(r#"{"LTCI":{"name":"x","premium_fen":1}}"#),
        "claims/programmes.json, field `LTCI.services_per_year`: is missing"
    );
}

#[test]
fn every_line_has_a_request_id_of_its_own_and_always_the_same() {
    let county = sample();
    let ids = || {
        county
            .residents()
            .unwrap()
            .map(|line| line.unwrap().request_id)
            .collect::<Vec<_>>()
    };
    let (first, second) = (ids(), ids());
    assert_eq!(first, second);
    assert_eq!(
        first.iter().collect::<std::collections::HashSet<_>>().len(),
        first.len()
    );
}

#[test]
fn what_is_wrong_is_told_by_file_line_and_field_and_never_by_its_value() {
    let whole = r#"{"name":"A","id_number":"1","division_code":"350524100001"}"#;
    for (line, told) in [
        (
            r#"{"id_number":"1","division_code":"2"}"#,
            "residents.ndjson, line 2, field `name`: is missing",
        ),
        (
            r#"{"name":"A","id_number":42,"division_code":"2"}"#,
            "residents.ndjson, line 2, field `id_number`: is no text",
        ),
        (
            r#"{"name":"A","id_number":"1","division_code":"2","categories":["SECRET"]}"#,
            "residents.ndjson, line 2, field `categories`: holds something that is none of the known words",
        ),
        (
            r#"{"name":"A","id_number":"1","division_code":"2","capability":{"level":"MILD","assessed_on":"2024-02-30"}}"#,
            "residents.ndjson, line 2, field `capability.assessed_on`: is no day (YYYY-MM-DD)",
        ),
        (
            r#"{"name":"A","id_number":"1","division_code":"2","circumstances":[{"kind":"ACCIDENT"}]}"#,
            "residents.ndjson, line 2, field `circumstances[0].first_day`: is missing",
        ),
        (
            r#"{"name":"A","id_number":"1","division_code":"2","latitude":24.5}"#,
            "residents.ndjson, line 2, field `longitude`: is missing beside `latitude`",
        ),
        (
            r#"{"name":"SECRET""#,
            "residents.ndjson, line 2: is no JSON, from column 16 on",
        ),
        ("[1]", "residents.ndjson, line 2: is no JSON object"),
    ] {
        assert_eq!(problem_of_resident(&format!("{whole}\n{line}")), told);
    }
}

#[test]
fn a_change_must_hold_the_facts_of_its_kind() {
    let change = |rest: &str| {
        problem_of_change(&format!(
            r#"{{"change_id":"c1","recorded_at":"2024-09-22T10:16:39+08:00","id_number":"1",{rest}}}"#
        ))
    };
    assert_eq!(
        change(r#""kind":"CONSENT""#),
        "changes.ndjson, line 1, field `home_visit_consent`: is missing"
    );
    assert_eq!(
        change(r#""kind":"DECEASED""#),
        "changes.ndjson, line 1, field `on`: is missing"
    );
    assert_eq!(
        change(r#""kind":"GONE""#),
        "changes.ndjson, line 1, field `kind`: is none of the known kinds of change"
    );
    assert_eq!(
        problem_of_change(
            r#"{"change_id":"c1","recorded_at":"yesterday","id_number":"1","kind":"DECEASED","on":"2024-01-01"}"#
        ),
        "changes.ndjson, line 1, field `recorded_at`: is no instant (ISO 8601 with +08:00)"
    );
}

#[test]
fn a_table_of_divisions_names_its_row() {
    let told = |text: &str| {
        parse_divisions("divisions.csv", text)
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        told("code,name\n350524,x\n"),
        "divisions.csv, line 1: has no column `level`"
    );
    assert_eq!(
        told("code,name,level,parent\n350524,x,county,\n350524100,,town,350524\n"),
        "divisions.csv, line 3, field `name`: is missing"
    );
    assert_eq!(
        told("code,name,level,parent\n350524,x,land,\n"),
        "divisions.csv, line 2, field `level`: is none of province, city, county, town and village"
    );
    assert!(
        told("code,name,level,parent\n350524,x\n")
            .starts_with("divisions.csv, line 2: is no table")
    );
}

#[test]
fn a_folder_without_a_set_is_no_data_set() {
    let folder = tempfile::tempdir().unwrap();
    let problem = County::open(folder.path()).unwrap_err();
    assert_eq!(problem.file, "set.json");
}

#[test]
fn a_workbook_is_named_after_its_town() {
    assert_eq!(
        SurveyFile::at("/x/350524100-凤城镇.xlsx")
            .unwrap()
            .town_code,
        "350524100"
    );
    assert!(SurveyFile::at("/x/凤城镇.xlsx").is_err());
    assert!(SurveyFile::at("/x/3505241001-a.xlsx").is_err());
}
