//! Some villages of the sample county, to be replayed alone, and what is expected of them.
//!
//! What the county expects of an elder, a record or an order holds here too wherever it rests on the elder's own lines. What may
//! rest on those of others whom a visitor or a caregiver was with is left out.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead as _, BufReader},
    path::PathBuf,
};

use eldercare::{
    county::County,
    replay::{
        Played,
        compare::{Comparison, sort_sets},
    },
};
use serde_json::{Map, Value};
use tempfile::TempDir;

use crate::county;

/// The workbook of their town. It is the first of the county: none of its elders is listed before.
const TOWN: &str = "350524100-凤城镇.xlsx";

/// With this the codes of the town's villages begin.
const OF_TOWN: &str = "350524100";

/// With this the codes of the villages begin whose elders are visited, cared for and listened to.
const VILLAGES: &str = "35052410002";

/// Doubts about a visit that rest on what else its visitor did, or on others' photographs.
const DOUBTS: [&str; 4] = [
    "OVERLAP",
    "IMPOSSIBLE_TRAVEL",
    "IMPLAUSIBLE_VOLUME",
    "EVIDENCE_REUSED",
];

/// What is wrong with an order because of what else its caregiver did, or of others' evidence.
const FAULTS: [&str; 2] = ["CAREGIVER_OVERLAP", "EVIDENCE_REUSED"];

/// A data set in a folder of its own, gone with the handle.
#[derive(Debug)]
pub struct Villages {
    folder: TempDir,
    /// The ID numbers of those who live in the villages.
    served: BTreeSet<String>,
    /// Those of all who are registered: the town's workbook is imported as a whole.
    known: BTreeSet<String>,
    records: BTreeSet<String>,
    orders: BTreeSet<String>,
}

impl Villages {
    /// Cuts the sample county down.
    pub fn cut() -> Self {
        let mut villages = Self {
            folder: tempfile::tempdir().unwrap(),
            served: BTreeSet::new(),
            known: BTreeSet::new(),
            records: BTreeSet::new(),
            orders: BTreeSet::new(),
        };
        for inner in ["survey", "claims"] {
            fs::create_dir(villages.at(inner)).unwrap();
        }
        for whole in [
            "set.json",
            "divisions.csv",
            &format!("survey/{TOWN}"),
            "claims/programmes.json",
            "claims/providers.csv",
            "claims/caregivers.csv",
        ] {
            fs::copy(county::folder().join(whole), villages.at(whole)).unwrap();
        }
        villages.cut_people();
        villages.cut_visits();
        villages.cut_homes();
        villages.cut_claims();
        villages
    }

    /// The data set.
    pub fn county(&self) -> County {
        County::open(self.folder.path()).unwrap()
    }

    /// Compares what came out with what the county expects.
    pub fn compare(&self, played: &Played) -> Comparison {
        let mut found = Comparison::default();
        let mut compare = |what: &str, mut expected: Value, mut got: Value| {
            for value in [&mut expected, &mut got] {
                sort_sets(value, &["doubts"]);
            }
            let compared = Comparison::of(what, &expected, &got);
            assert!(compared.values > 0, "nothing is expected of {what}");
            found.join(compared);
        };
        let survey = &county::expected("survey.json")["files"][TOWN];
        compare(
            "survey",
            survey.clone(),
            played.survey["files"][TOWN].clone(),
        );
        for (day, tiers) in &played.tiers {
            let expected = county::expected(&format!("tiers-{day}.json"));
            let expected = only(&expected["elders"], &self.known);
            compare(&format!("tiers {day}"), expected, tiers["elders"].clone());
        }
        let visits = played.visits.as_ref().expect("visits are read");
        let expected = only(&county::expected("visits.json")["records"], &self.records);
        compare("visits", expected, visits["records"].clone());
        let claims = played.claims.as_ref().expect("claims are read");
        let expected = only(&county::expected("claims.json")["orders"], &self.orders);
        compare("claims", expected, claims.compared["orders"].clone());
        let alerts = played.alerts.as_ref().expect("alerts are read");
        let expected = alerts_of(&county::expected("alerts.json"), &self.served);
        compare(
            "alerts",
            expected,
            alerts_of(&alerts.compared, &self.served),
        );
        found
    }

    fn at(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    /// Copies the lines of a file, of which each is a JSON object, that are to be kept.
    fn lines(&self, file: &str, mut keep: impl FnMut(&Value) -> bool) {
        let mut kept = String::new();
        for line in read(file) {
            if keep(&serde_json::from_str(&line).unwrap()) {
                kept.push_str(&line);
                kept.push('\n');
            }
        }
        fs::write(self.at(file), kept).unwrap();
    }

    /// Copies the rows of a table that are to be kept by what stands in this column: what stands in the first one of each.
    fn rows(&self, file: &str, column: &str, keep: impl Fn(&str) -> bool) -> BTreeSet<String> {
        let mut table = csv::Reader::from_path(county::folder().join(file)).unwrap();
        let mut kept = csv::Writer::from_path(self.at(file)).unwrap();
        let headings = table.headers().unwrap().clone();
        kept.write_record(&headings).unwrap();
        let column = headings.iter().position(|heading| heading == column);
        let column = column.expect("the table has the column");
        let mut names = BTreeSet::new();
        for row in table.records() {
            let row = row.unwrap();
            if keep(&row[column]) {
                kept.write_record(&row).unwrap();
                names.insert(row[0].to_owned());
            }
        }
        kept.flush().unwrap();
        names
    }

    fn cut_people(&mut self) {
        let registry = county::expected("registry.json");
        for (id_number, elder) in registry["survey_elders"].as_object().unwrap() {
            let village = text(elder, "division_code");
            if village.starts_with(OF_TOWN) {
                self.known.insert(id_number.clone());
            }
            if village.starts_with(VILLAGES) {
                self.served.insert(id_number.clone());
            }
        }
        let mut residents = Vec::new();
        self.lines("residents.ndjson", |resident| {
            let lives_there = text(resident, "division_code").starts_with(VILLAGES);
            if lives_there {
                residents.push(text(resident, "id_number").to_owned());
            }
            lives_there
        });
        self.known.extend(residents.iter().cloned());
        self.served.extend(residents);
        let known = &self.known;
        self.lines("changes.ndjson", |change| {
            known.contains(text(change, "id_number"))
        });
    }

    fn cut_visits(&mut self) {
        let visits = "visits-2024-10.ndjson";
        let expected = &county::expected("visits.json")["records"];
        let served = self.without(visits, |visit| {
            holds(&expected[text(visit, "record_id")]["doubts"], &DOUBTS)
        });
        let (mut records, mut visitors) = (BTreeSet::new(), BTreeSet::new());
        self.lines(visits, |visit| {
            let kept = served.contains(text(visit, "id_number"));
            if kept {
                records.insert(text(visit, "record_id").to_owned());
                visitors.insert(text(visit, "visitor_id").to_owned());
            }
            kept
        });
        let pairings = |id_number: &str| self.served.contains(id_number);
        visitors.extend(self.rows("pairings.csv", "id_number", pairings));
        self.rows("visitors.csv", "visitor_id", |id| visitors.contains(id));
        self.lines("confirmations.ndjson", |decision| {
            records.contains(text(decision, "record_id"))
        });
        self.records = records;
    }

    fn cut_homes(&self) {
        let lives_there = |id_number: &str| self.served.contains(id_number);
        let devices = self.rows("devices.csv", "id_number", lives_there);
        self.lines("signals.ndjson", |signal| {
            devices.contains(text(signal, "device_id"))
        });
        for file in ["away.ndjson", "acknowledgements.ndjson"] {
            self.lines(file, |line| lives_there(text(line, "id_number")));
        }
    }

    fn cut_claims(&mut self) {
        let submitted = "claims/orders.ndjson";
        let expected = &county::expected("claims.json")["orders"];
        let served = self.without(submitted, |order| {
            holds(&expected[text(order, "order_id")]["codes"], &FAULTS)
        });
        let mut orders = BTreeSet::new();
        self.lines(submitted, |order| {
            let kept = served.contains(text(order, "id_number"));
            if kept {
                orders.insert(text(order, "order_id").to_owned());
            }
            kept
        });
        for file in ["claims/appeals.ndjson", "claims/decisions.ndjson"] {
            self.lines(file, |line| orders.contains(text(line, "order_id")));
        }
        let lives_there = |id_number: &str| self.served.contains(id_number);
        self.rows("claims/enrolments.csv", "id_number", lives_there);
        self.orders = orders;
    }

    /// The elders who have no such line in a file.
    fn without(&self, file: &str, is_one: impl Fn(&Value) -> bool) -> BTreeSet<String> {
        let mut left = self.served.clone();
        for line in read(file) {
            let line = serde_json::from_str(&line).unwrap();
            if is_one(&line) {
                left.remove(text(&line, "id_number"));
            }
        }
        left
    }
}

/// The lines of a file of the county.
fn read(file: &str) -> impl Iterator<Item = String> {
    let file = fs::File::open(county::folder().join(file)).unwrap();
    BufReader::new(file).lines().map(Result::unwrap)
}

fn text<'a>(line: &'a Value, field: &str) -> &'a str {
    line[field].as_str().unwrap()
}

/// Whether one of these words stands in a list.
fn holds(list: &Value, words: &[&str]) -> bool {
    let mut list = list.as_array().into_iter().flatten();
    list.any(|one| words.iter().any(|word| one == word))
}

/// What stands under these names.
fn only(all: &Value, names: &BTreeSet<String>) -> Value {
    let all = all.as_object().unwrap().iter();
    let kept = all.filter(|(name, _)| names.contains(*name));
    let kept = kept.map(|(name, value)| (name.clone(), value.clone()));
    kept.collect::<Map<_, _>>().into()
}

/// The alerts about these elders, each under when it was raised, of what kind, about whom and by which device.
fn alerts_of(all: &Value, elders: &BTreeSet<String>) -> Value {
    let alerts = all["alerts"].as_array().unwrap().iter();
    let about_them = alerts.filter(|alert| elders.contains(text(alert, "elder")));
    let known = about_them.map(|alert| {
        let by = ["raised_at", "kind", "elder", "device_id"].map(|field| alert[field].to_string());
        (by.join(" "), alert.clone())
    });
    known.collect::<Map<_, _>>().into()
}
