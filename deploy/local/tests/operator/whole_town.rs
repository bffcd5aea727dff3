//! A small town of the sample county with all that the county knows of it, as a data set of its own.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use crate::{
    desk::{county, text, workbook},
    town::surveyed,
};

/// The code of the town, which has few elders, and something of each kind happens to them.
pub(crate) const SMALL_TOWN: &str = "350524209";

/// The town with its residents, what changed in their lives, visits, homes and claims. Nothing is left out but heartbeats, of
/// which there are most: the devices are found to be silent, and somebody is told.
pub(crate) fn whole_town(into: &Path) -> PathBuf {
    let cut = Cut {
        to: into.join("whole-town"),
    };
    for inner in ["survey", "claims"] {
        fs::create_dir_all(cut.to.join(inner)).unwrap();
    }
    for whole in [
        "set.json",
        "divisions.csv",
        "claims/programmes.json",
        "claims/providers.csv",
        "claims/caregivers.csv",
    ] {
        fs::copy(county().join(whole), cut.to.join(whole)).unwrap();
    }
    let survey = workbook(SMALL_TOWN);
    let name = Path::new("survey").join(survey.file_name().unwrap());
    fs::copy(&survey, cut.to.join(name)).unwrap();

    let mut people = surveyed(SMALL_TOWN);
    people.extend(cut.lines("residents.ndjson", "id_number", |resident| {
        text(&resident["division_code"]).starts_with(SMALL_TOWN)
    }));
    cut.lines("changes.ndjson", "id_number", |change| {
        people.contains(text(&change["id_number"]))
    });
    cut.visits(&people);
    cut.homes(&people);
    cut.claims(&people);
    cut.to
}

/// A data set that is made of some lines of the county's.
struct Cut {
    to: PathBuf,
}

impl Cut {
    /// Visits, by whomever, and what supervisors decided on them.
    fn visits(&self, people: &BTreeSet<String>) {
        let mut visitors = self.rows("pairings.csv", "id_number", people);
        let records = self.lines("visits-2024-10.ndjson", "record_id", |visit| {
            let kept = people.contains(text(&visit["id_number"]));
            if kept {
                visitors.insert(text(&visit["visitor_id"]).to_owned());
            }
            kept
        });
        self.rows("visitors.csv", "visitor_id", &visitors);
        self.lines("confirmations.ndjson", "record_id", |decision| {
            records.contains(text(&decision["record_id"]))
        });
    }

    /// What homes said, and what people did about it.
    fn homes(&self, people: &BTreeSet<String>) {
        let devices = self.rows("devices.csv", "id_number", people);
        self.lines("signals.ndjson", "device_id", |signal| {
            signal["kind"] != "HEARTBEAT" && devices.contains(text(&signal["device_id"]))
        });
        let called = self.lines("acknowledgements.ndjson", "id_number", |deed| {
            people.contains(text(&deed["id_number"]))
        });
        // Nobody of the town was away: whoever called for help is, afterwards.
        let away = json!({
            "id_number": called.first(),
            "from": "2024-11-12T09:39:33+08:00",
            "to": "2024-11-14T05:54:31+08:00",
            "reason": "FAMILY",
        });
        fs::write(self.to.join("away.ndjson"), format!("{away}\n")).unwrap();
    }

    /// Who is insured, what is billed, and what became of it.
    fn claims(&self, people: &BTreeSet<String>) {
        self.rows("claims/enrolments.csv", "id_number", people);
        let orders = self.lines("claims/orders.ndjson", "order_id", |order| {
            people.contains(text(&order["id_number"]))
        });
        for file in ["claims/appeals.ndjson", "claims/decisions.ndjson"] {
            self.lines(file, "order_id", |line| {
                orders.contains(text(&line["order_id"]))
            });
        }
    }

    /// Copies the lines of a file, of which each is a JSON object, that are to be kept: what stands in this field of each.
    fn lines(
        &self,
        file: &str,
        field: &str,
        mut keep: impl FnMut(&Value) -> bool,
    ) -> BTreeSet<String> {
        let (mut kept, mut named) = (String::new(), BTreeSet::new());
        for line in fs::read_to_string(county().join(file)).unwrap().lines() {
            let read: Value = serde_json::from_str(line).unwrap();
            if keep(&read) {
                kept.push_str(line);
                kept.push('\n');
                named.insert(text(&read[field]).to_owned());
            }
        }
        self.write(file, &kept, named)
    }

    /// Copies the rows of a table that have one of these in this column: what stands in the first one of each.
    fn rows(&self, file: &str, column: &str, wanted: &BTreeSet<String>) -> BTreeSet<String> {
        let table = fs::read_to_string(county().join(file)).unwrap();
        let (headings, rows) = table.split_once('\n').unwrap();
        let column = headings
            .split(',')
            .position(|heading| heading.trim() == column);
        let column = column.unwrap();
        let (mut kept, mut named) = (format!("{headings}\n"), BTreeSet::new());
        for row in rows.lines() {
            let cells: Vec<&str> = row.split(',').collect();
            if wanted.contains(cells[column]) {
                kept.push_str(row);
                kept.push('\n');
                named.insert(cells[0].to_owned());
            }
        }
        self.write(file, &kept, named)
    }

    /// Otherwise what the file is there for would not be played.
    fn write(&self, file: &str, kept: &str, named: BTreeSet<String>) -> BTreeSet<String> {
        assert!(!named.is_empty(), "{file} says nothing of the town");
        fs::write(self.to.join(file), kept).unwrap();
        named
    }
}
