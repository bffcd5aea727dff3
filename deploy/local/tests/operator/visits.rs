//! What the commands tell of a town's visits: coverage, who was missed, and the forms, as tables and as JSON.

use std::{collections::BTreeMap, fs};

use serde_json::Value;

use crate::{
    desk::{Desk, text},
    town::{TOWN, one_town},
};

#[test]
fn coverage_misses_and_forms_of_a_town_are_told_to_people_and_to_machines() {
    let mut desk = Desk::new();
    let set = one_town(&desk.path("."));
    // The first week is over, and the second has begun.
    let as_of = "2024-10-08T09:00:00+08:00";
    desk.up_with(&["--county", set.to_str().unwrap(), "--as-of", as_of]);

    let coverage = ["visits", "coverage", "--division", "350524"];
    let told = desk.done(&coverage);
    assert_eq!(told["on"], "2024-10-08");
    let (in_scope, visited) = (&told["total"]["in_scope"], &told["total"]["visited"]);
    assert!(
        visited.as_u64() > Some(50) && visited.as_u64() < in_scope.as_u64(),
        "{told}"
    );
    assert_eq!(told["divisions"][0]["division_code"], TOWN);
    let by_village = [&coverage[..], &["--by", "village", "--month", "2024-10"]].concat();
    let villages = desk.done(&by_village);
    assert_eq!(villages["total"], told["total"]);
    let villages = villages["divisions"].as_array().unwrap();
    let sum: i64 = villages
        .iter()
        .map(|one| one["visited"].as_i64().unwrap())
        .sum();
    assert!(villages.len() > 1 && Some(sum) == visited.as_i64());
    let table = desk.table(&coverage);
    for word in [TOWN, "探访率", &in_scope.to_string(), "2024-10-08"] {
        assert!(table.contains(word), "{word} is not in {table}");
    }

    let missed = |period| ["visits", "missed", "--division", TOWN, "--period", period];
    let told = desk.done(&missed("2024-W40"));
    assert_eq!(told["closed"], true);
    let count = |figure: &str| told[figure].as_i64().unwrap();
    assert_eq!(count("owed"), count("met") + count("unmet"));
    let duties = told["missed"].as_array().unwrap();
    assert!(!duties.is_empty() && duties.len() < usize::try_from(count("owed")).unwrap());
    for duty in duties {
        assert!(text(&duty["division_code"]).starts_with(TOWN), "{duty}");
        assert_eq!(duty["tier"], "PRIORITY", "weekly visits are owed to these");
    }
    let late = duties.iter().filter(|duty| duty["met_late"] == true);
    assert_eq!(
        i64::try_from(duties.len() - late.count()).unwrap(),
        count("unmet"),
        "who was missed and not seen since is unmet"
    );
    let table = desk.table(&missed("2024-W40"));
    for word in [
        "重点人群",
        "已结算 closed",
        text(&duties[0]["elder_id"]),
        &format!("{} missed when it closed", duties.len()),
    ] {
        assert!(table.contains(word), "{word} is not in {table}");
    }
    // How things stand says the same.
    let stands = desk.done(&["sharing", "situation", TOWN]);
    assert_eq!(
        (&stands["in_scope_elders"], &stands["covered_elders"]),
        (in_scope, visited),
        "{stands}"
    );
    assert_eq!(stands["missed_duties"], duties.len(), "{stands}");
    let closed = stands["closed_duties"].as_u64().unwrap();
    assert!(closed > u64::try_from(duties.len()).unwrap(), "{stands}");
    let count = |figure: &str| stands[figure].as_i64().unwrap();
    assert!(
        0 < count("met_duties") && count("met_duties") < count("owed_duties"),
        "{stands}"
    );
    // The present week is open: nobody is missed yet.
    let open = desk.done(&missed("2024-W41"));
    assert_eq!(
        (&open["closed"], &open["missed"]),
        (&false.into(), &Value::Array(vec![]))
    );
    assert!(desk.table(&missed("2024-W41")).contains("未结算 open"));

    // Annex 2, of the town and of one elder.
    let days = ["--first-day", "2024-10-01", "--last-day", "2024-10-31"];
    let export = |whose: [&str; 2], file: &str| {
        let arguments = [&["visits", "export"], &whose[..], &days, &["--file", file]].concat();
        let written = desk.done(&arguments);
        let book = fs::read(desk.path(file)).unwrap();
        assert!(book.starts_with(b"PK"));
        assert_eq!(written["bytes"], book.len());
        book.len()
    };
    let all = export(["--division", TOWN], "town.xlsx");
    let one = export(["--elder", text(&duties[0]["elder_id"])], "elder.xlsx");
    assert!(one < all);
    let mut failures = BTreeMap::new();
    for (arguments, code, word) in [
        (vec!["--division", "999999"], 1, "RECORDS_NOT_FOUND"),
        (vec!["--elder", "x"], 1, "is not a UUID"),
        (vec!["--id-number", "1"], 1, "ID_LENGTH"),
        (vec!["--division", TOWN, "--elder", "x"], 2, "--elder"),
        (vec![], 2, "--division"),
    ] {
        let command = [
            &["visits", "export", "-o", "none.xlsx"],
            &arguments[..],
            &days,
        ]
        .concat();
        let (ended, told) = desk.fails(&command);
        if ended != code || !told.contains(word) {
            failures.insert(arguments, told);
        }
    }
    assert!(failures.is_empty(), "{failures:?}");
    assert!(!desk.path("none.xlsx").exists());
    desk.down();
}
