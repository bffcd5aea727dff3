//! The surveys of the sample county: each row of each workbook ends as the county expects, and gives the facts that it expects.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::{Path, PathBuf},
};

use calamine::Reader;
use civic::{IdNumber, LocalDay, Set, Term};
use registry::survey::{
    Column, Limits, Sheet, TownVillages,
    candidate::{Candidate, Identity},
    row, workbook,
};
use serde_json::{Value, json};

fn county() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/local/data/anxi")
}

fn expected(file: &str) -> Value {
    serde_json::from_slice(&fs::read(county().join("expected").join(file)).unwrap()).unwrap()
}

/// The villages of each town, by the town's code.
fn towns() -> HashMap<String, TownVillages> {
    let mut villages: HashMap<String, Vec<(String, String)>> = HashMap::new();
    for record in csv::Reader::from_path(county().join("divisions.csv"))
        .unwrap()
        .records()
    {
        let record = record.unwrap();
        if &record[2] == "village" {
            villages
                .entry(record[3].to_owned())
                .or_default()
                .push((record[0].to_owned(), record[1].to_owned()));
        }
    }
    villages
        .into_iter()
        .map(|(town, villages)| {
            (
                town,
                TownVillages::new(
                    villages
                        .into_iter()
                        .map(|(code, name)| (code.parse().unwrap(), name)),
                ),
            )
        })
        .collect()
}

/// The workbooks by their file names, in this order.
fn workbooks() -> Vec<(String, Sheet)> {
    let mut files: Vec<_> = fs::read_dir(county().join("survey"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
        .into_iter()
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (
                name,
                workbook::read(&fs::read(path).unwrap(), &Limits::DEFAULT).unwrap(),
            )
        })
        .collect()
}

/// Each file's rows as `survey.json` has them, and the elders who were accepted.
fn survey() -> (BTreeMap<String, Vec<Value>>, HashMap<IdNumber, Candidate>) {
    let towns = towns();
    let mut registry: HashMap<IdNumber, Candidate> = HashMap::new();
    let mut outcomes = BTreeMap::new();
    for (file, sheet) in workbooks() {
        let town = &towns[&file[..9]];
        let rows = sheet.rows().map(|sheet_row| {
            let outcome = |outcome: &str, reason: Option<&str>, warnings: Vec<&str>| {
                json!({"row": sheet_row.number(), "outcome": outcome, "reason": reason, "warnings": warnings})
            };
            let candidate = match row::judge(&sheet_row, town, sheet.as_of()) {
                Ok(candidate) => candidate,
                Err(rejection) => return outcome("REJECTED", Some(rejection.name()), vec![]),
            };
            match candidate.identity(registry.get(&candidate.id_number).map(|elder| &elder.name)) {
                Identity::Known => outcome("DUPLICATE", None, vec![]),
                Identity::Conflict => outcome("REJECTED", Some("IDENTITY_CONFLICT"), vec![]),
                Identity::New => {
                    let warnings = candidate.warnings.iter().map(|warning| warning.name()).collect();
                    registry.insert(candidate.id_number, candidate);
                    outcome("ACCEPTED", None, warnings)
                }
            }
        });
        outcomes.insert(file, rows.collect());
    }
    (outcomes, registry)
}

fn names<T: Term>(set: Set<T>) -> Vec<&'static str> {
    let mut names: Vec<_> = set.names().collect();
    names.sort_unstable();
    names
}

/// An elder as `registry.json` has one.
fn facts(elder: &Candidate) -> Value {
    json!({
        "name": elder.name,
        "sex": elder.id_number.sex(),
        "birth_date": elder.id_number.birth_date(),
        "division_code": elder.village,
        "position": elder.position.map(|position| [position.latitude(), position.longitude()]),
        "categories": names(elder.categories),
        "assistance": names(elder.assistance),
        "capability": elder.capability,
        "observations": names(elder.observations),
        "handicap_grade": elder.handicap_grade,
        "consent": elder.consent,
        "contacts": elder.contact.iter().map(|contact| json!({
            "name": contact.name, "relation": contact.relation, "phone": contact.phone,
        })).collect::<Vec<_>>(),
        "wanted_services": names(elder.wanted_services),
    })
}

#[test]
fn every_row_ends_as_expected() {
    let (outcomes, _) = survey();
    let expected = expected("survey.json");
    let files = expected["files"].as_object().unwrap();
    assert_eq!(
        outcomes.keys().collect::<Vec<_>>(),
        files.keys().collect::<Vec<_>>()
    );
    let mut different = Vec::new();
    for (file, rows) in &outcomes {
        let expected = files[file]["rows"].as_array().unwrap();
        assert_eq!(rows.len(), expected.len(), "data rows of {file}");
        different.extend(
            rows.iter()
                .zip(expected)
                .filter(|(row, expected)| row != expected)
                .map(|pair| (file, pair)),
        );
    }
    assert_eq!(different, []);
}

#[test]
fn every_elder_has_the_facts_expected() {
    let (_, registry) = survey();
    let expected = expected("registry.json");
    let elders = expected["survey_elders"].as_object().unwrap();
    assert_eq!(registry.len(), elders.len());
    for (id_number, elder) in &registry {
        assert_eq!(facts(elder), elders[id_number.as_str()]);
    }
}

#[test]
fn every_sheet_bears_its_date() {
    let as_of: LocalDay = expected("survey.json")["as_of"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    for (file, sheet) in workbooks() {
        assert_eq!(sheet.as_of(), as_of, "{file}");
    }
}

/// What another reader of workbooks finds in the rows from a number on, cell by cell, without merged ranges.
fn as_calamine_reads(path: &Path) -> BTreeMap<(u32, u32), String> {
    let mut book: calamine::Xlsx<_> = calamine::open_workbook(path).unwrap();
    let range = book.worksheet_range_at(0).unwrap().unwrap();
    let (top, left) = range.start().unwrap();
    let mut cells = BTreeMap::new();
    for (row, column, value) in range.used_cells() {
        cells.insert(
            (row as u32 + top + 1, column as u32 + left),
            value.to_string(),
        );
    }
    cells
}

#[test]
fn another_reader_finds_the_same_in_every_cell() {
    for (file, sheet) in workbooks() {
        let cells = as_calamine_reads(&county().join("survey").join(&file));
        // The header may have a second row, and wraps in some files.
        let column_of = |column: Column| {
            let found = cells.iter().find(|((row, _), text)| {
                (sheet.header_row()..=sheet.header_row() + 1).contains(row)
                    && Column::under(text) == Some(column)
            });
            found.map(|((_, place), _)| *place).unwrap()
        };
        let places = Column::ALL.map(|column| (column, column_of(column)));
        for row in sheet.rows() {
            for (column, place) in places {
                match cells.get(&(row.number(), place)) {
                    Some(text) => {
                        let same = text.trim().is_empty() && row.text(column).is_empty()
                            || *text == row.text(column);
                        assert!(
                            same,
                            "row {} of {file}, column {}",
                            row.number(),
                            column.header()
                        );
                    }
                    // What a merged range gave; only villages are merged in these files.
                    None => assert!(
                        row.text(column).is_empty() || column == Column::Village,
                        "row {}",
                        row.number()
                    ),
                }
            }
        }
    }
}
