//! What the commands tell of a town's week as it is planned, and of a visitor's day, as tables and as JSON.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{
    desk::{Desk, text},
    town::{TOWN, one_town},
};

const WEEK: &str = "2024-W40";

/// The lines of a table that tell of these, each told of once, in the order of the table.
fn told_once<'a>(table: &'a str, whom: &[&str]) -> Vec<(&'a str, &'a str)> {
    let lines = table.lines();
    let told: Vec<_> = lines
        .flat_map(|line| {
            let in_line = line.split_whitespace();
            in_line.map(move |word| (word, line))
        })
        .filter(|(word, _)| whom.contains(word))
        .collect();
    let once: BTreeSet<&str> = told.iter().map(|(word, _)| *word).collect();
    assert_eq!(
        (told.len(), once.len()),
        (whom.len(), whom.len()),
        "{table}"
    );
    told
}

#[test]
fn a_towns_plan_and_a_visitors_day_are_told_to_people_and_to_machines() {
    // Given a town that begins to visit on this Monday, before anybody is visited.
    let mut desk = Desk::new();
    let set = one_town(&desk.path("."));
    let as_of = "2024-09-30T08:00:00+08:00";
    desk.up_with(&["--county", set.to_str().unwrap(), "--as-of", as_of]);
    let plan = ["visits", "plan", "--division", TOWN, "--week", WEEK];
    let show = [&plan[..], &["--show"]].concat();
    let (code, told) = desk.fails(&show);
    assert!(code == 1 && told.contains("PLAN_NOT_FOUND"), "{told}");

    // When the week is planned.
    let made = desk.done(&plan);

    // Then each entry says who goes and when, or why nobody goes.
    assert_eq!(
        (text(&made["division_code"]), text(&made["week"])),
        (TOWN, WEEK)
    );
    let entries = made["entries"].as_array().unwrap();
    let week = [
        "2024-09-30",
        "2024-10-01",
        "2024-10-02",
        "2024-10-03",
        "2024-10-04",
    ];
    let mut planned = BTreeSet::new();
    for entry in entries {
        assert!(text(&entry["division_code"]).starts_with(TOWN), "{entry}");
        planned.insert(text(&entry["planned"]));
        match text(&entry["planned"]) {
            "VISIT" => {
                assert!(week.contains(&text(&entry["day"])), "{entry}");
                assert!(entry["place"].as_u64() > Some(0), "{entry}");
                assert!(!text(&entry["visitor_id"]).is_empty(), "{entry}");
                assert!(["HOME", "PHONE"].contains(&text(&entry["mode"])), "{entry}");
            }
            "TALK" => assert!(week.contains(&text(&entry["day"])), "{entry}"),
            "UNPLANNED" => assert!(!text(&entry["reason"]).is_empty(), "{entry}"),
            other => panic!("{other}: nobody left anything out"),
        }
    }
    assert!(planned.contains("VISIT"), "{planned:?}");
    let of_elders: BTreeSet<&str> = entries.iter().map(|one| text(&one["elder_id"])).collect();
    assert_eq!(
        of_elders.len(),
        entries.len(),
        "each elder stands in it once"
    );
    let count = |what: &str| {
        let entries = entries.iter();
        entries.filter(|one| one["planned"] == what).count()
    };
    // Who is only talked to about consent, or left to nobody, is given to nobody yet.
    assert_eq!(
        made["report"]["plan"]["unassigned"],
        count("TALK") + count("UNPLANNED")
    );

    // And the plan is shown as it was made; how good it is was told when it was made.
    let shown = desk.done(&show);
    assert_eq!(shown["entries"], made["entries"]);
    assert_eq!(shown["report"], Value::Null);
    let table = desk.table(&show);
    let elders: Vec<&str> = entries.iter().map(|one| text(&one["elder_id"])).collect();
    let rows = told_once(&table, &elders);
    for ((elder, row), entry) in rows.iter().zip(entries) {
        assert_eq!(*elder, text(&entry["elder_id"]), "the order is the same");
        for field in ["visitor_id", "day", "division_code"] {
            if let Some(value) = entry[field].as_str() {
                assert!(row.contains(value), "{field} {value} is not in {row}");
            }
        }
    }
    let in_short = format!(
        "{TOWN} {WEEK}: {} visits, {} talks, {} given to nobody, 0 left out",
        count("VISIT"),
        count("TALK"),
        count("UNPLANNED")
    );
    assert!(table.contains(&in_short), "{in_short} is not in {table}");

    // And the visitor with the first visit of the plan is told just what the plan says of that day, in its order.
    let first = entries.iter().find(|one| one["planned"] == "VISIT");
    let (visitor, day) = (
        text(&first.unwrap()["visitor_id"]),
        text(&first.unwrap()["day"]),
    );
    let worklist = ["visits", "worklist", "--visitor", visitor, "--day", day];
    let told = desk.done(&worklist);
    assert_eq!(
        (text(&told["visitor_id"]), text(&told["day"])),
        (visitor, day)
    );
    assert_eq!(told["elsewhere"], 0);
    let items = told["items"].as_array().unwrap();
    let whom = |entries: &[Value]| -> Vec<String> {
        let entries = entries.iter();
        entries
            .map(|one| text(&one["elder_id"]).to_owned())
            .collect()
    };
    let of_the_day: Vec<Value> = entries
        .iter()
        .filter(|one| one["visitor_id"] == visitor && one["day"] == day)
        .cloned()
        .collect();
    assert_eq!(whom(items), whom(&of_the_day));
    for (item, entry) in items.iter().zip(&of_the_day) {
        assert_eq!(item["division_code"], entry["division_code"]);
        assert_eq!(item["mode"], entry["mode"]);
        if entry["planned"] == "VISIT" {
            assert_eq!(item["place"], entry["place"]);
        }
        let file = desk.done(&["elder", "show", text(&item["elder_id"])]);
        assert_eq!(item["name"], file["name"]);
    }
    let table = desk.table(&worklist);
    let rows: Vec<&str> = table
        .lines()
        .filter(|line| items.iter().any(|one| line.contains(text(&one["name"]))))
        .collect();
    assert_eq!(rows.len(), items.len(), "{table}");
    for (row, item) in rows.iter().zip(items) {
        let contact = &item["contacts"][0];
        let cells = [
            &item["name"],
            &item["address"],
            &contact["name"],
            &contact["phone"],
        ];
        for value in cells.into_iter().filter_map(Value::as_str) {
            assert!(row.contains(value), "a cell is not in {row}");
        }
    }
    let in_short = format!("{day}: {} visits and talks", items.len());
    assert!(table.contains(&in_short), "{table}");

    // On a Saturday nobody is sent anywhere.
    let free = [
        "visits",
        "worklist",
        "--visitor",
        visitor,
        "--day",
        "2024-10-05",
    ];
    assert_eq!(desk.done(&free)["items"], Value::Array(vec![]));
    desk.down();
}
