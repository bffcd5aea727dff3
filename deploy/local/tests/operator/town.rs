//! One town of the sample county, as a data set of its own.

use std::{
    collections::{BTreeSet, HashSet},
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::desk::{county, text};

pub(crate) const TOWN: &str = "350524100";

/// One town of the sample county with its visitors and visits, as a data set of its own.
pub(crate) fn one_town(into: &Path) -> PathBuf {
    let (from, to) = (county(), into.join("one-town"));
    fs::create_dir_all(to.join("survey")).unwrap();
    for file in ["set.json", "divisions.csv"] {
        fs::copy(from.join(file), to.join(file)).unwrap();
    }
    for survey in fs::read_dir(from.join("survey")).unwrap() {
        let survey = survey.unwrap();
        let name = survey.file_name().into_string().unwrap();
        if name.starts_with(TOWN) {
            fs::copy(survey.path(), to.join("survey").join(name)).unwrap();
        }
    }
    let elders = surveyed(TOWN);
    // Of the files with a line for each visit, pairing or decision those of the town alone.
    let kept = |file: &str, of_the_town: &dyn Fn(&str) -> bool| {
        let lines = fs::read_to_string(from.join(file)).unwrap();
        let lines: Vec<&str> = lines.lines().filter(|line| of_the_town(line)).collect();
        fs::write(to.join(file), lines.join("\n") + "\n").unwrap();
    };
    let of_her = |line: &str| elders.iter().any(|elder| line.contains(elder));
    // Under the headings those who live in the town: what others recorded is refused.
    let heading_or_of_the_town =
        |line: &str| line.starts_with("visitor_id") || line.contains(&format!(",{TOWN}"));
    kept("visitors.csv", &heading_or_of_the_town);
    kept("visits-2024-10.ndjson", &of_her);
    to
}

/// The ID numbers of the elders whom a town's workbook names.
pub(crate) fn surveyed(town: &str) -> BTreeSet<String> {
    let expected = fs::read(county().join("expected/registry.json")).unwrap();
    let expected: Value = serde_json::from_slice(&expected).unwrap();
    let elders = expected["survey_elders"].as_object().unwrap().iter();
    elders
        .filter(|(_, elder)| text(&elder["division_code"]).starts_with(town))
        .map(|(id_number, _)| id_number.clone())
        .collect()
}

/// The claims of the town beside its visits: who of its elders is enrolled, the orders of these, and what became of them.
pub(crate) fn insured(set: &Path) {
    let (from, to) = (county().join("claims"), set.join("claims"));
    fs::create_dir(&to).unwrap();
    for file in ["programmes.json", "providers.csv", "caregivers.csv"] {
        fs::copy(from.join(file), to.join(file)).unwrap();
    }
    let elders = surveyed(TOWN);
    let kept = |file: &str, is_kept: &dyn Fn(&str) -> bool| {
        let lines = fs::read_to_string(from.join(file)).unwrap();
        let lines: Vec<&str> = lines.lines().filter(|line| is_kept(line)).collect();
        fs::write(to.join(file), lines.join("\n") + "\n").unwrap();
        lines.into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let field = |line: &str, name: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        text(&line[name]).to_owned()
    };
    kept("enrolments.csv", &|line| {
        let id_number = line.split(',').nth(2).unwrap();
        id_number == "id_number" || elders.contains(id_number)
    });
    let orders = kept("orders.ndjson", &|line| {
        elders.contains(&field(line, "id_number"))
    });
    let orders: HashSet<String> = orders.iter().map(|line| field(line, "order_id")).collect();
    let of_these = |line: &str| orders.contains(&field(line, "order_id"));
    kept("appeals.ndjson", &of_these);
    kept("decisions.ndjson", &of_these);
}
