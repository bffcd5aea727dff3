//! A backup that is taken while the system is written to holds together: nothing in it refers to what it lacks.

use std::{collections::BTreeSet, thread};

use serde_json::Value;

use crate::{
    desk::{Desk, text},
    held::held_in,
    town::{TOWN, empty},
};

/// Two towns whose elders are registered meanwhile.
const TOWNS: [&str; 2] = [TOWN, "350524101"];

#[test]
fn a_backup_of_a_system_that_is_written_to_holds_together() {
    let mut desk = Desk::new();
    empty(&mut desk);
    let (elders, taken) = thread::scope(|scope| {
        let importing = scope.spawn(|| {
            let towns = TOWNS.iter().flat_map(|town| desk.import(town));
            towns.collect::<Vec<String>>()
        });
        let mut taken = Vec::new();
        loop {
            let over = importing.is_finished();
            taken.push(desk.done(&["backup", "backups"]));
            if over {
                return (importing.join().unwrap(), taken);
            }
        }
    });
    desk.down();
    assert!(
        taken.len() > 1,
        "one was taken while elders were registered"
    );
    for (number, outcome) in taken.iter().enumerate() {
        holds_together(&mut desk, outcome, &elders, &format!("restored-{number}"));
    }
}

fn holds_together(desk: &mut Desk, outcome: &Value, elders: &[String], into: &str) {
    let folder = text(&outcome["backup"]["folder"]);
    let keys = "county/keys.toml";
    desk.done(&["restore", folder, "--data-dir", into, "--keys", keys]);
    let held = held_in(&desk.path(into));
    let in_subjects = |stream: &str| -> BTreeSet<&String> {
        let messages = &held[stream].messages;
        let named = |elder: &&String| {
            let mut messages = messages.iter();
            messages.any(|lying| lying.subject.ends_with(elder.as_str()))
        };
        elders.iter().filter(named).collect()
    };
    let registered = in_subjects("REGISTRY");
    assert!(registered.is_subset(&in_subjects("VAULT")), "{into}");
    for follower in ["TIERING", "VISITS", "ALERTS", "CLAIMS", "SHARING"] {
        assert!(
            in_subjects(follower).is_subset(&registered),
            "{into}: {follower}"
        );
    }
    desk.up_with(&["--empty", "--data-dir", into]);
    let verified = desk.done(&["verify", "--data-dir", into]);
    assert_eq!(verified["equal"], true, "{verified}");
    assert_eq!(verified["tiers"]["elders"], registered.len(), "{verified}");
    desk.down();
}
