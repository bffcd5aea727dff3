//! How a replay came out: each part compared with what is expected of it, and the parts that were left out.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{
    Played,
    compare::{Comparison, Difference, keyed, sort_sets},
};
use crate::{
    county::{
        APPEALS, CAREGIVERS, County, DECISIONS, ENROLMENTS, ORDERS, PROGRAMMES, PROVIDERS, Problem,
    },
    load::FailedLine,
    output::{Report, number, table},
};

/// Lists whose order says nothing.
const SETS: [&str; 8] = [
    "categories",
    "assistance",
    "observations",
    "wanted_services",
    "doubts",
    "to_visit",
    "missed_at_close",
    "unmet_at_end",
];

/// The result of a replay.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// The county's code.
    pub county: String,
    /// The county's name.
    pub county_name: String,
    /// Whether everything that was compared is as expected, and no line was refused.
    pub equal: bool,
    /// The parts that were compared.
    pub parts: Vec<Part>,
    /// Lines that the system refused.
    pub failed_lines: Vec<FailedLine>,
    /// The parts that were left out, and why.
    pub skipped: Vec<Skipped>,
    /// How long it took, in seconds.
    pub seconds: f64,
}

/// One part that was compared.
#[derive(Debug, Serialize)]
pub struct Part {
    /// The file in `expected/`.
    pub name: String,
    /// How many values were compared.
    pub values: u64,
    /// Where they differ.
    pub differences: Vec<Difference>,
}

/// A part that was left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// What.
    pub part: String,
    /// Why.
    pub reason: String,
    /// The files that belong to it.
    pub files: Vec<String>,
}

/// Compares what came out with all that the data set expects.
///
/// # Errors
/// An expectation that can't be read.
pub fn compare(county: &County, played: &Played, seconds: f64) -> Result<Outcome, Problem> {
    let mut parts = Vec::new();
    let mut part = |name: &str, got: Value, shape: &dyn Fn(&mut Value)| -> Result<(), Problem> {
        let Some(mut expected) = county.expected(name)? else {
            return Ok(());
        };
        let mut got = got;
        for value in [&mut expected, &mut got] {
            shape(value);
            sort_sets(value, &SETS);
        }
        let found = Comparison::of("", &expected, &got);
        parts.push(Part {
            name: name.to_owned(),
            values: found.values,
            differences: found.differences,
        });
        Ok(())
    };
    part("survey.json", played.survey.clone(), &key_rows)?;
    if let Some(registry) = &played.registry {
        let mut got = registry.clone();
        for (day, statuses) in &played.statuses {
            got[format!("status_on_{day}")] = statuses.clone();
        }
        // A set names a day of its own for the statuses; those of other days are not asked for.
        let asked = county.expected("registry.json")?;
        if let (Some(Value::Object(asked)), Value::Object(got)) = (asked, &mut got) {
            got.retain(|key, _| !key.starts_with("status_on_") || asked.contains_key(key));
        }
        part("registry.json", got, &|_| {})?;
    }
    for (day, tiers) in &played.tiers {
        part(&format!("tiers-{day}.json"), tiers.clone(), &|_| {})?;
    }
    if let Some(visits) = &played.visits {
        part("visits.json", visits.clone(), &|_| {})?;
    }
    if let Some(alerts) = &played.alerts {
        part("alerts.json", alerts.compared.clone(), &key_alerts)?;
    }
    if let Some(claims) = &played.claims {
        part("claims.json", claims.compared.clone(), &key_settlements)?;
    }
    part("headlines.json", headlines(played), &keep_headlines)?;
    let equal = played.failed.is_empty() && parts.iter().all(|part| part.differences.is_empty());
    Ok(Outcome {
        county: county.set.county.clone(),
        county_name: county.set.county_name.clone(),
        equal,
        failed_lines: played.failed.clone(),
        skipped: skipped(county, &parts)?,
        parts,
        seconds,
    })
}

/// A row that is missing shall show as itself, and not shift all that follow.
fn key_rows(survey: &mut Value) {
    let files = survey.get_mut("files").and_then(Value::as_object_mut);
    for file in files.into_iter().flat_map(Map::values_mut) {
        if let Some(rows) = file.get_mut("rows") {
            *rows = keyed(rows, "row");
        }
    }
}

/// The same for alerts: each is known by when it was raised, of what kind, about whom and by which device.
fn key_alerts(alerts: &mut Value) {
    let Some(list) = alerts.get("alerts").and_then(Value::as_array) else {
        return;
    };
    let known_by = ["raised_at", "kind", "elder", "device_id"];
    let key = |alert: &Value| known_by.map(|field| alert[field].as_str().unwrap_or("").to_owned());
    let keyed = list
        .iter()
        .map(|alert| (key(alert).join(" "), alert.clone()));
    alerts["alerts"] = keyed.collect::<Map<_, _>>().into();
}

/// The same for settlements: each is known by provider and month.
fn key_settlements(claims: &mut Value) {
    for name in [
        "settlements_by_service_month",
        "settlements_by_approval_month",
    ] {
        let Some(list) = claims.get(name).and_then(Value::as_array) else {
            continue;
        };
        let known_by = ["provider_id", "month"];
        let key = |row: &Value| known_by.map(|field| row[field].as_str().unwrap_or("").to_owned());
        let keyed = list.iter().map(|row| (key(row).join(" "), row.clone()));
        claims[name] = keyed.collect::<Map<_, _>>().into();
    }
}

/// The main figures that the services in place can give.
const HEADLINES: [&str; 14] = [
    "survey_accepted",
    "registry_total",
    "changes",
    "tiers",
    "visit_records",
    "alerts",
    "enrolled",
    "premiums_fen",
    "services_approved",
    "persons_approved",
    "services_by_entitlement",
    "orders",
    "abnormal_open",
    "not_settled",
];

fn headlines(played: &Played) -> Value {
    let tiers = played
        .tiers
        .iter()
        .map(|(day, tiers)| (day.to_string(), tiers["county"].clone()));
    let mut headlines = json!({
        "survey_accepted": played.survey["counts"]["ACCEPTED"],
        "registry_total": played.registry.as_ref().map(|registry| registry["total"].clone()),
        "changes": played.changes,
        "tiers": tiers.collect::<Map<_, _>>(),
        "visit_records": played.visits.as_ref().map(|visits| visits["totals"].clone()),
        "alerts": played.alerts.as_ref().map(|alerts| alerts.compared["totals"].clone()),
    });
    if let Some(claims) = &played.claims {
        let programmes = claims.programmes.iter();
        let premiums = programmes.map(|one| (one.programme_code.clone(), json!(one.premiums_fen)));
        headlines["enrolled"] = claims.compared["enrolled"].clone();
        headlines["premiums_fen"] = premiums.collect::<Map<_, _>>().into();
        for (headline, total) in [
            ("services_approved", "approved"),
            ("persons_approved", "persons_approved"),
            ("services_by_entitlement", "groups"),
            ("orders", "orders"),
            ("abnormal_open", "abnormal_open"),
            ("not_settled", "not_settled"),
        ] {
            headlines[headline] = claims.compared["totals"][total].clone();
        }
    }
    headlines
}

fn keep_headlines(value: &mut Value) {
    if let Some(fields) = value.as_object_mut() {
        fields.retain(|key, _| HEADLINES.contains(&key.as_str()));
    }
}

/// What is expected of the set and was not read, and files that nobody knows.
fn skipped(county: &County, parts: &[Part]) -> Result<Vec<Skipped>, Problem> {
    let mut files = county.files()?;
    let mut skipped = Vec::new();
    let known = [
        "divisions.csv",
        "survey/",
        "residents.ndjson",
        "changes.ndjson",
        "visitors.csv",
        "pairings.csv",
        "visits-",
        "confirmations.ndjson",
        "devices.csv",
        "signals.ndjson",
        "away.ndjson",
        "acknowledgements.ndjson",
        PROGRAMMES,
        PROVIDERS,
        CAREGIVERS,
        ENROLMENTS,
        ORDERS,
        APPEALS,
        DECISIONS,
    ];
    let expected = [
        "expected/survey.json",
        "expected/registry.json",
        "expected/tiers-",
        "expected/visits.json",
        "expected/alerts.json",
        "expected/claims.json",
        "expected/headlines.json",
    ];
    let begins = |file: &String, names: &[&str]| names.iter().any(|name| file.starts_with(name));
    let is_compared = |file: &String| {
        let mut parts = parts.iter();
        parts.any(|part| file.strip_prefix("expected/") == Some(&part.name))
    };
    let unread = files.iter().filter(|file| begins(file, &expected));
    let unread: Vec<_> = unread.filter(|file| !is_compared(file)).cloned().collect();
    if !unread.is_empty() {
        let reason = "the set holds nothing that it could come from".to_owned();
        skipped.push(Skipped {
            part: "expectations".to_owned(),
            reason,
            files: unread,
        });
    }
    files.retain(|file| !begins(file, &known) && !begins(file, &expected));
    if !files.is_empty() {
        let reason = "the README of the format knows no such file".to_owned();
        skipped.push(Skipped {
            part: "unknown files".to_owned(),
            reason,
            files,
        });
    }
    Ok(skipped)
}

impl Outcome {
    /// The parts as a table, each difference and each refused line, what was left out, and the verdict.
    fn verdict(&self) -> String {
        let mut text = String::new();
        let mut parts = table([
            "部分 compared with expected/",
            "数值 values",
            "差异 differences",
        ]);
        for part in &self.parts {
            parts.add_row([
                part.name.clone().into(),
                number(part.values),
                number(part.differences.len()),
            ]);
        }
        let _ = writeln!(text, "{parts}");
        for part in &self.parts {
            for Difference {
                path,
                expected,
                got,
            } in &part.differences
            {
                let _ = writeln!(
                    text,
                    "{}: {path}: expected {expected}, got {got}",
                    part.name
                );
            }
        }
        for line in &self.failed_lines {
            let _ = writeln!(
                text,
                "{}, line {}: refused: {}",
                line.file, line.line, line.reason
            );
        }
        for skipped in &self.skipped {
            let _ = writeln!(
                text,
                "跳过 skipped: {}: {} ({})",
                skipped.part,
                skipped.reason,
                skipped.files.join(", ")
            );
        }
        let values: u64 = self.parts.iter().map(|part| part.values).sum();
        let differences: usize = self.parts.iter().map(|part| part.differences.len()).sum();
        let _ = if self.equal {
            write!(
                text,
                "一致 All {values} values equal the expected ones. {:.1} s",
                self.seconds
            )
        } else {
            let refused = self.failed_lines.len();
            write!(
                text,
                "不一致 {differences} of {values} values differ from the expected ones, {refused} lines were refused. {:.1} s",
                self.seconds
            )
        };
        text
    }
}

impl Report for Outcome {
    fn text(&self) -> String {
        self.verdict()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::{
        alerts_figures::Alerts,
        claims_figures::{Claims, ProgrammeFigures},
    };

    fn sample() -> County {
        County::open(concat!(env!("CARGO_MANIFEST_DIR"), "/data/anxi")).unwrap()
    }

    /// What a system would say that says exactly what is expected.
    fn as_expected(county: &County) -> Played {
        let expected = |name: &str| county.expected(name).unwrap().unwrap();
        let mut registry = expected("registry.json");
        let statuses = registry
            .as_object_mut()
            .unwrap()
            .remove("status_on_2024-11-19")
            .unwrap();
        let last = *county.set.tier_dates.last().unwrap();
        let days = county.set.tier_dates.iter();
        Played {
            changes: 324,
            survey: expected("survey.json"),
            registry: Some(registry),
            statuses: [(last, statuses)].into(),
            tiers: days
                .map(|day| (*day, expected(&format!("tiers-{day}.json"))))
                .collect(),
            visits: Some(expected("visits.json")),
            alerts: Some(Alerts {
                compared: expected("alerts.json"),
                ..Alerts::default()
            }),
            claims: Some(Claims {
                compared: expected("claims.json"),
                programmes: vec![ProgrammeFigures {
                    programme_code: "LTCI".to_owned(),
                    premiums_fen: 279_540_000,
                    ..ProgrammeFigures::default()
                }],
                ..Claims::default()
            }),
            ..Played::default()
        }
    }

    #[test]
    fn what_equals_the_expected_has_no_difference_and_nothing_is_skipped() {
        let county = sample();
        let outcome = compare(&county, &as_expected(&county), 1.0).unwrap();
        assert!(outcome.equal, "{}", outcome.text());
        assert_eq!(outcome.parts.len(), 9);
        assert_eq!(outcome.skipped, []);
    }

    #[test]
    fn what_is_expected_and_was_not_read_is_named_as_skipped() {
        let county = sample();
        let played = Played {
            claims: None,
            ..as_expected(&county)
        };
        let outcome = compare(&county, &played, 1.0).unwrap();
        let [skipped] = &outcome.skipped[..] else {
            panic!("{:?}", outcome.skipped);
        };
        assert_eq!(skipped.files, ["expected/claims.json"]);
        assert!(!outcome.equal, "the headlines speak of orders too");
    }

    #[test]
    fn a_settlement_that_is_missing_shows_as_itself() {
        let county = sample();
        let mut played = as_expected(&county);
        let compared = &mut played.claims.as_mut().unwrap().compared;
        let settlements = compared["settlements_by_approval_month"].as_array_mut();
        let missing = settlements.unwrap().remove(3);
        compared["orders"]["O000001"]["state"] = json!("NOT_SETTLED");
        let outcome = compare(&county, &played, 1.0).unwrap();
        let part = outcome.parts.iter().find(|part| part.name == "claims.json");
        let differences = part.unwrap().differences.iter();
        let paths: Vec<_> = differences.map(|one| one.path.clone()).collect();
        let key = format!(
            "{} {}",
            missing["provider_id"].as_str().unwrap(),
            missing["month"].as_str().unwrap()
        );
        assert_eq!(
            paths,
            [
                format!("settlements_by_approval_month.{key}"),
                "orders.O000001.state".to_owned(),
            ]
        );
    }

    #[test]
    fn each_part_that_differs_is_named_with_the_place() {
        let county = sample();
        let mut played = as_expected(&county);
        let day = county.set.tier_dates[0];
        played.tiers.get_mut(&day).unwrap()["county"]["PRIORITY"] = json!(1);
        played.survey["files"]["350524100-凤城镇.xlsx"]["rows"]
            .as_array_mut()
            .unwrap()
            .remove(0);
        let outcome = compare(&county, &played, 1.0).unwrap();
        assert!(!outcome.equal);
        let differences: Vec<_> = outcome
            .parts
            .iter()
            .flat_map(|part| {
                part.differences
                    .iter()
                    .map(move |one| format!("{} {}", part.name, one.path))
            })
            .collect();
        assert_eq!(
            differences,
            [
                "survey.json files.350524100-凤城镇.xlsx.rows.4",
                "tiers-2024-10-01.json county.PRIORITY",
                "headlines.json tiers.2024-10-01.PRIORITY",
            ]
        );
    }

    #[test]
    fn a_refused_line_is_a_failure() {
        let county = sample();
        let mut played = as_expected(&county);
        played.failed.push(FailedLine {
            file: "changes.ndjson".to_owned(),
            line: 3,
            reason: "NOT_FOUND".to_owned(),
        });
        assert!(!compare(&county, &played, 1.0).unwrap().equal);
    }
}
