//! The command `replay`, as an operator calls it: equal is exit code 0, and each difference is named.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};

/// The first town of the sample county, by its workbook: none of its elders is listed before.
const TOWN: &str = "350524100-凤城镇.xlsx";

fn county() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data/anxi")
}

/// Replays a data set: the exit code, and the report as a machine reads it.
fn replay(folder: &Path) -> (i32, Value) {
    let output = Command::new(env!("CARGO_BIN_EXE_eldercare"))
        .args(["replay", "--output", "json"])
        .arg(folder)
        .env("ELDERCARE_TOOLS", backing_services::testing::tools().folder)
        .env_remove("ELDERCARE_DATA_DIR")
        .output()
        .unwrap();
    let told = serde_json::from_slice(&output.stdout);
    let told =
        told.unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code().unwrap(), told)
}

/// A data set of one town alone, with the outcomes that the county expects of its rows, and its expectations changed.
fn one_town(change: impl FnOnce(&mut Value)) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (county(), folder.path());
    for inner in ["survey", "expected"] {
        fs::create_dir(to.join(inner)).unwrap();
    }
    for file in ["set.json", "divisions.csv"] {
        fs::copy(from.join(file), to.join(file)).unwrap();
    }
    fs::copy(from.join("survey").join(TOWN), to.join("survey").join(TOWN)).unwrap();
    for empty in ["residents.ndjson", "changes.ndjson"] {
        fs::write(to.join(empty), "").unwrap();
    }
    let expected: Value =
        serde_json::from_slice(&fs::read(from.join("expected/survey.json")).unwrap()).unwrap();
    let town = &expected["files"][TOWN];
    let mut expected = json!({
        "as_of": expected["as_of"],
        "counts": town["counts"],
        "files": { TOWN: town },
    });
    change(&mut expected);
    fs::write(to.join("expected/survey.json"), expected.to_string()).unwrap();
    folder
}

fn part<'a>(report: &'a Value, name: &str) -> &'a Value {
    let parts = report["parts"].as_array().unwrap();
    parts
        .iter()
        .find(|part| part["name"] == name)
        .unwrap_or_else(|| panic!("{name} was not compared: {report}"))
}

/// What homes said, and what came of it.
const OF_HOMES: [&str; 5] = [
    "devices.csv",
    "signals.ndjson",
    "away.ndjson",
    "acknowledgements.ndjson",
    "expected/alerts.json",
];

/// The sample county without some of its files; those that every set has are empty instead.
fn county_without(left_out: impl Fn(&str) -> bool) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for inner in ["", "survey", "claims", "expected"] {
        fs::create_dir_all(folder.path().join(inner)).unwrap();
        for file in fs::read_dir(county().join(inner)).unwrap() {
            let path = file.unwrap().path();
            let name = Path::new(inner).join(path.file_name().unwrap());
            let needed = ["residents.ndjson", "changes.ndjson"].map(Path::new);
            if path.is_dir() {
                continue;
            } else if !left_out(name.to_str().unwrap()) {
                fs::copy(&path, folder.path().join(name)).unwrap();
            } else if needed.contains(&name.as_path()) {
                fs::write(folder.path().join(name), "").unwrap();
            }
        }
    }
    folder
}

/// Every value of these parts is as expected, and no line was refused.
fn comes_out(folder: &Path, parts: &[&str]) -> Value {
    let (code, report) = replay(folder);
    for compared in report["parts"].as_array().unwrap() {
        assert_eq!(compared["differences"], json!([]), "{}", compared["name"]);
        assert!(
            compared["values"].as_u64().unwrap() > 0,
            "{}",
            compared["name"]
        );
    }
    for name in parts {
        part(&report, name);
    }
    assert_eq!(report["failed_lines"], json!([]));
    assert_eq!((code, &report["equal"]), (0, &json!(true)));
    report
}

// The two halves of the county are played side by side: `eldercare replay` plays them as one.
#[test]
fn the_sample_county_comes_out_as_expected_row_by_row() {
    let folder = county_without(|file| OF_HOMES.contains(&file) || file.contains("headlines"));
    let report = comes_out(
        folder.path(),
        &[
            "survey.json",
            "registry.json",
            "tiers-2024-10-01.json",
            "tiers-2024-10-31.json",
            "tiers-2024-11-19.json",
            "visits.json",
            "claims.json",
        ],
    );
    assert_eq!(report["skipped"], json!([]));
}

#[test]
fn the_week_of_its_homes_comes_out_as_expected_alert_by_alert() {
    let folder = county_without(|file| {
        let of_all = file.starts_with("survey") || ["set.json", "divisions.csv"].contains(&file);
        !of_all && !OF_HOMES.contains(&file)
    });
    comes_out(folder.path(), &["alerts.json"]);
}

#[test]
fn an_expectation_that_does_not_hold_is_named_and_fails() {
    let honest = one_town(|_| {});
    let (code, report) = replay(honest.path());
    assert_eq!((code, &report["equal"]), (0, &json!(true)), "{report}");

    let tampered = one_town(|expected| {
        let row = &mut expected["files"][TOWN]["rows"][0];
        assert_eq!(row["outcome"], "ACCEPTED");
        row["outcome"] = json!("DUPLICATE");
    });
    let (code, report) = replay(tampered.path());
    assert_eq!((code, &report["equal"]), (1, &json!(false)));
    let differences = part(&report, "survey.json")["differences"]
        .as_array()
        .unwrap();
    assert_eq!(differences.len(), 1, "{differences:?}");
    let told = differences[0].to_string();
    for word in [TOWN, "outcome", "DUPLICATE", "ACCEPTED"] {
        assert!(told.contains(word), "{word} is not named in {told}");
    }
}
