//! What was put back is what was there.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use eldercare::keys::Keys;
use serde_json::Value;

use crate::{
    desk::{Desk, text},
    held::held_in,
    town::{CONSUMER, TOWN, populated},
};

/// What callers are told of a system.
fn answers(desk: &Desk, elders: &[String], folder: &str) -> Vec<Value> {
    let asked = |arguments: &[&str]| desk.done(&[arguments, &["--data-dir", folder]].concat());
    let mut answers = vec![asked(&["sharing", "agreements"])];
    for elder in [elders[0].as_str(), elders[elders.len() - 1].as_str()] {
        for asked_of in [
            ["elder", "show", elder],
            ["elder", "history", elder],
            ["tier", "explain", elder],
        ] {
            answers.push(asked(&asked_of));
        }
    }
    let found = asked(&["sharing", "find", "--division", TOWN]);
    assert!(!found["elders"].as_array().unwrap().is_empty(), "{found}");
    answers.push(found);
    answers
}

fn is_private(path: &Path) {
    let mode = fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0, "{}", path.display());
}

#[test]
fn a_restored_system_equals_the_original() {
    let mut desk = Desk::new();
    let elders = populated(&mut desk);
    let before = answers(&desk, &elders, "county");
    desk.down();

    let outcome = desk.done(&["backup", "backups"]);
    let backup = &outcome["backup"];
    let folder = text(&backup["folder"]);
    assert_eq!(backup["streams"].as_array().unwrap().len(), 10);
    assert_eq!(outcome["erasures"]["erased"], 0);
    is_private(Path::new(folder));
    for file in fs::read_dir(folder).unwrap() {
        is_private(&file.unwrap().path());
    }

    // Under other keys nobody could be read, and nothing is served.
    let stranger = desk.path("stranger");
    fs::create_dir(&stranger).unwrap();
    Keys::generate().write(&stranger).unwrap();
    let restore = |keys| ["restore", folder, "--data-dir", "restored", "--keys", keys];
    let (code, told) = desk.fails(&restore("stranger/keys.toml"));
    assert!(code == 1 && told.contains("do not open"), "{told}");
    let (code, told) = desk.fails(&["up", "--empty", "--data-dir", "restored"]);
    assert!(code == 1 && told.contains("run it again"), "{told}");

    let restored = desk.done(&restore("county/keys.toml"));
    let streams = restored["streams"].as_array().unwrap();
    assert!(streams.iter().all(|stream| stream["restored"] == true));
    assert_eq!(restored["erasures"]["named"], 0);
    let was = held_in(&desk.path("county"));
    let mut is = held_in(&desk.path("restored"));
    for (name, held) in &was {
        let is = is.remove(name).unwrap();
        if *name == "ACCESS" {
            // What sharing had moved into its log, and not taken out yet, is not put back.
            assert_eq!(is.last_sequence, held.last_sequence);
            assert!(held.messages.ends_with(&is.messages));
            continue;
        }
        // What is deleted from has gaps; each message lies where it lay.
        assert_eq!(is, *held, "{name}");
    }
    assert!(was["FEEDS"].places[CONSUMER] > 0, "it has read some");
    assert_eq!(was["SIGNALS"].messages.len(), 2);

    desk.up_with(&["--empty", "--data-dir", "restored"]);
    assert_eq!(answers(&desk, &elders, "restored"), before);
    let verified = desk.done(&["verify", "--data-dir", "restored"]);
    assert_eq!(verified["equal"], true, "{verified}");
    desk.down();
    let (code, told) = desk.fails(&restore("county/keys.toml"));
    assert!(code == 1 && told.contains("holds a system"), "{told}");
}
