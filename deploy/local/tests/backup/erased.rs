//! Whoever was erased after the backup was taken is erased in what is put back, before anybody is served.

use std::{collections::BTreeMap, fs};

use serde_json::Value;

use crate::{
    desk::{Desk, text, workbook},
    held::{Held, held_in},
    town::{DEVICES, TOWN, populated},
};

/// What is left of an elder, of whom there was all of it: a key, signals of the device, documents on feeds.
fn left_of(held: &BTreeMap<&'static str, Held>, elder: &str) -> [usize; 3] {
    let told = held["FEEDS"].naming(elder).into_iter();
    let documents = told.filter(|told| !told.subject.ends_with(".ElderErased"));
    [
        held["VAULT"].naming(elder).len(),
        held["SIGNALS"].naming(DEVICES[0]).len(),
        documents.count(),
    ]
}

/// She can't be found, departments are to erase what they hold of her, and her ID number is free.
fn is_gone(desk: &Desk, elder: &str, id_number: &str) {
    let here = ["--data-dir", "restored"];
    for who in [vec![elder], vec!["--id-number", id_number]] {
        let show = [&["elder", "show"][..], &who, &here].concat();
        let (code, told) = desk.fails(&show);
        assert!(code == 1 && !told.contains(id_number), "{told}");
    }
    let asked = desk.done(&[&["sharing", "erasures"][..], &here].concat());
    let receipts = asked["receipts"].as_array().unwrap().iter();
    let receipts: Vec<&Value> = receipts.filter(|one| one["elder_id"] == elder).collect();
    assert_eq!(receipts.len(), 1, "{asked}");
    assert_eq!(receipts[0]["department"], "health");
    assert_eq!(receipts[0]["confirmed_at"], Value::Null);
    let survey = workbook(TOWN);
    let import = ["import", "survey", survey.to_str().unwrap()];
    let (_, again) = desk.json(&[&import[..], &here].concat());
    let rows = again["files"][0]["rows"].as_array().unwrap().iter();
    let accepted: Vec<&Value> = rows.filter(|row| row["outcome"] == "ACCEPTED").collect();
    assert_eq!(accepted.len(), 1, "she alone is not known");
    let anew = text(&accepted[0]["elder_id"]);
    assert_ne!(anew, elder);
    let shown = desk.done(&[&["elder", "show", anew][..], &here].concat());
    assert_eq!(text(&shown["id_number"]), id_number);
}

#[test]
fn whoever_was_erased_since_is_erased_before_the_restored_system_serves() {
    let mut desk = Desk::new();
    let elders = populated(&mut desk);
    let (she, other) = (elders[0].as_str(), elders[1].as_str());
    let shown = desk.done(&["elder", "show", she]);
    let id_number = text(&shown["id_number"]);
    let outcome = desk.done(&["backup", "backups"]);
    let folder = text(&outcome["backup"]["folder"]);
    desk.erase(she);
    let noted = desk.done(&["backup", "backups", "--erasures-only"]);
    assert_eq!(noted["backup"], Value::Null);
    assert_eq!(noted["erasures"]["erased"], 1);
    let list = fs::read_to_string(desk.path("backups/erasures.json")).unwrap();
    assert!(list.contains(she) && list.contains("ASKED_BY_ELDER"));
    assert!(!list.contains(id_number));
    desk.down();

    let keys = "county/keys.toml";
    let restore = ["restore", folder, "--data-dir", "restored", "--keys", keys];
    let restored = desk.done(&restore);
    assert_eq!(restored["erasures"]["named"], 1, "{restored}");
    assert_eq!(restored["erasures"]["erased"], 1, "{restored}");
    let held = held_in(&desk.path("restored"));
    assert_eq!(left_of(&held, she), [0, 0, 0]);
    assert_eq!(held["VAULT"].naming(other).len(), 1);
    assert_eq!(held["SIGNALS"].naming(DEVICES[1]).len(), 1);
    desk.up_with(&["--empty", "--data-dir", "restored"]);
    is_gone(&desk, she, id_number);
    let verified = desk.done(&["verify", "--data-dir", "restored"]);
    assert_eq!(verified["equal"], true, "{verified}");
    desk.down();

    // It is the list that says so: where nobody knows, she is there again.
    let alone = desk.path("alone");
    fs::create_dir(&alone).unwrap();
    fs::rename(folder, alone.join("backup")).unwrap();
    let backup = alone.join("backup");
    let restore = ["restore", backup.to_str().unwrap(), "--data-dir", "unknown"];
    let anyway = ["--keys", keys, "--erasures-unknown"];
    let restored = desk.done(&[&restore[..], &anyway].concat());
    assert_eq!(restored["erasures"]["erased"], 0);
    let held = held_in(&desk.path("unknown"));
    assert!(left_of(&held, she).iter().all(|left| *left > 0));
}
