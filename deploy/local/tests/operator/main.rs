//! The operator's commands, as they are called: beside a running system and without one, with right input and with wrong.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod claims;
mod demo;
mod desk;
mod elsewhere;
mod observed;
mod plans;
mod search;
mod sharing;
mod sharing_feeds;
mod town;
mod visits;
mod whole_town;

use std::{fs, path::Path};

use desk::{Desk, county, text, workbook};
use serde_json::Value;

/// Two towns of the sample county, by their workbooks.
const TOWNS: [&str; 2] = ["350524100-凤城镇.xlsx", "350524101"];

/// Every elder can be shown by name, which only their key lets anybody read.
fn can_be_read(desk: &Desk, elders: &[String]) {
    for elder in elders {
        let shown = desk.done(&["elder", "show", elder]);
        assert!(!text(&shown["name"]).is_empty(), "{shown}");
    }
}

#[test]
fn every_command_does_its_work_beside_a_running_system_and_without_one() {
    let mut desk = Desk::new();
    desk.up();
    let divisions = county().join("divisions.csv");
    let imported = desk.done(&["import", "divisions", divisions.to_str().unwrap()]);
    assert!(imported["divisions"].as_u64() > Some(500), "{imported}");
    let elders = desk.import(TOWNS[0]);
    let workbook = workbook(TOWNS[0]);
    let again = ["import", "survey", workbook.to_str().unwrap(), "--dry-run"];
    let (_, again) = desk.json(&again);
    assert_eq!(again["files"][0]["counts"]["ACCEPTED"], Value::Null);
    assert_eq!(again["dry_run"], true);

    let she = elders[0].as_str();
    let shown = desk.done(&["elder", "show", she]);
    let id_number = text(&shown["id_number"]);
    let by_number = desk.done(&["elder", "show", "--id-number", id_number]);
    assert_eq!(by_number, shown);
    let history = desk.done(&["elder", "history", she]);
    assert_eq!(history["changes"][0]["event"], "ElderRegistered");
    for (arguments, file) in [
        (vec!["elder", "form", she], "form.xlsx"),
        (vec!["export", "summary", "350524100"], "summary.xlsx"),
    ] {
        desk.done(&[arguments, vec!["--file", file]].concat());
        assert!(fs::read(desk.path(file)).unwrap().starts_with(b"PK"));
    }
    let explained = desk.done(&["tier", "explain", she]);
    assert_eq!(explained["in_scope"], true, "{explained}");
    let policy =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../libs/tier-policy/policies/default.yaml");
    let draft = policy.to_str().unwrap();
    let simulate = ["tier", "simulate", draft, "--division", "350524"];
    let simulated = desk.done(&simulate);
    for kept in simulated["moves"].as_array().unwrap() {
        assert_eq!(kept["from"], kept["to"], "{simulated}");
    }
    let status = desk.done(&["status"]);
    assert_eq!(status["endpoint"], desk.endpoint());
    let streams: Vec<_> = status["streams"]
        .as_array()
        .unwrap()
        .iter()
        .map(|stream| text(&stream["name"]))
        .collect();
    assert_eq!(
        streams,
        [
            "ACCESS", "ALERTS", "CLAIMS", "FEEDS", "REGISTRY", "SHARING", "SIGNALS", "TIERING",
            "VAULT", "VISITS"
        ]
    );
    let top = desk.done(&["top", "--once"]);
    assert_eq!(top["endpoint"], desk.endpoint());
    let flowing = top["streams"].as_array().unwrap().iter();
    let flowing: Vec<_> = flowing.map(|stream| text(&stream["name"])).collect();
    assert_eq!(flowing, streams);
    let behind = top["projections"].as_array().unwrap();
    assert_eq!(
        behind.len(),
        status["projections"].as_array().unwrap().len()
    );
    assert_eq!(top["alerts"].as_array().unwrap().len(), 0, "{top}");
    for command in [
        vec!["status"],
        vec!["top", "--once"],
        vec!["verify"],
        vec!["elder", "show", she],
        vec!["elder", "history", she],
        vec!["tier", "explain", she],
        simulate.to_vec(),
    ] {
        assert!(desk.table(&command).contains('─'), "{command:?}");
    }
    let verified = |desk: &Desk, elders: usize| {
        let verified = desk.done(&["verify"]);
        assert_eq!(verified["equal"], true, "{verified}");
        assert_eq!(verified["verified"].as_array().unwrap().len(), 19);
        assert_eq!(verified["tiers"]["elders"], elders, "{verified}");
        assert_eq!(verified["tiers"]["waiting"], 0, "{verified}");
    };
    verified(&desk, elders.len());
    let rebuilt = desk.done(&["rebuild", "tiering_tiers"]);
    assert_eq!(rebuilt["rebuilt"][0]["projection"], "tiering_tiers");
    assert_eq!(
        desk.done(&["verify", "tiering_facts"])["tiers"],
        Value::Null
    );

    // The keys are rotated under the running system; who is registered afterwards is under the new one.
    let rotated = desk.done(&["rotate-keys"]);
    assert_eq!(rotated["kek_id"], "kek_2");
    assert_eq!(rotated["rewrapped"], elders.len());
    assert!(!desk.keys().contains("kek_1"));
    let others = desk.import(TOWNS[1]);
    let (code, told) = desk.fails(&["rotate-keys"]);
    assert_eq!(code, 1);
    assert!(told.contains("start it again first"), "{told}");
    let all = [elders, others].concat();
    verified(&desk, all.len());
    desk.down();
    // The former key is gone: a restarted system reads everybody without it.
    verified(&desk, all.len());
    assert_eq!(desk.done(&["status"])["endpoint"], Value::Null);
    assert_eq!(
        desk.done(&["rebuild"])["rebuilt"].as_array().unwrap().len(),
        19
    );
    desk.up();
    can_be_read(&desk, &[all[0].clone(), all[all.len() - 1].clone()]);
    desk.down();
    let rotated = desk.done(&["rotate-keys"]);
    assert_eq!(rotated["kek_id"], "kek_3");
    assert_eq!(rotated["rewrapped"], all.len());
    desk.up();
    can_be_read(&desk, &[all[0].clone(), all[all.len() - 1].clone()]);
    verified(&desk, all.len());
    desk.down();
}

#[test]
fn wrong_input_is_answered_with_what_to_do() {
    let mut desk = Desk::new();
    for (arguments, words) in [
        (vec!["status"], "holds no system"),
        (vec!["top"], "holds no system"),
        (vec!["verify"], "--data-dir"),
        (vec!["rotate-keys"], "eldercare up"),
        (vec!["elder", "show", "x"], "no system runs in"),
    ] {
        let (code, told) = desk.fails(&arguments);
        assert!(code == 1 && told.contains(words), "{arguments:?}: {told}");
    }
    desk.up();
    let divisions = county().join("divisions.csv");
    desk.done(&["import", "divisions", divisions.to_str().unwrap()]);
    for no_workbook in ["350524100-x.xlsx", "noname.xlsx", "draft.yaml"] {
        fs::write(desk.path(no_workbook), "a,b\n").unwrap();
    }
    let nobody = "00000000-0000-7000-8000-000000000000";
    let listen = desk.endpoint().trim_start_matches("http://").to_owned();
    let simulate = |file| vec!["tier", "simulate", file, "--division", "350524"];
    let plan = |division, week| vec!["visits", "plan", "--division", division, "--week", week];
    for (arguments, code, words) in [
        (vec!["import", "divisions", "missing.csv"], 1, "missing.csv"),
        (vec!["import", "divisions", "noname.xlsx"], 1, "line 1"),
        (
            vec!["import", "survey", "missing.xlsx"],
            1,
            "there is no file",
        ),
        (vec!["import", "survey", "noname.xlsx"], 1, "--town"),
        (vec!["elder", "show", "x"], 1, "is not a UUID"),
        (vec!["elder", "show", nobody], 1, "ELDER_NOT_FOUND"),
        (vec!["elder", "history", nobody], 1, "ELDER_NOT_FOUND"),
        (vec!["elder", "show", "--id-number", "1"], 1, "ID_LENGTH"),
        (vec!["tier", "explain", nobody], 1, "ELDER_NOT_FOUND"),
        (
            vec!["tier", "explain", nobody, "--on", "2024-02-30"],
            2,
            "--on",
        ),
        (
            vec!["tier", "explain", nobody, "--on", "2999-01-01"],
            1,
            "DAY_IN_THE_FUTURE",
        ),
        (plan("35", "2999-W01"), 1, "DIVISION_TOO_LARGE"),
        (plan("350524", "2999-W54"), 1, "WEEK_INVALID"),
        (plan("350524", "2024-W40"), 1, "WEEK_OVER"),
        (
            vec![
                "visits",
                "worklist",
                "--visitor",
                nobody,
                "--day",
                "2024-10-14",
            ],
            1,
            "VISITOR_NOT_FOUND",
        ),
        (simulate("missing.yaml"), 1, "missing.yaml"),
        (simulate("draft.yaml"), 1, "POLICY_UNPARSABLE"),
        (
            vec!["export", "summary", "x", "-o", "a.xlsx"],
            1,
            "DIVISION_INVALID",
        ),
        (
            vec!["export", "summary", "999999", "-o", "a.xlsx"],
            1,
            "DIVISION_NOT_FOUND",
        ),
        (
            vec!["export", "summary", "350524", "-o", "missing/a.xlsx"],
            1,
            "missing/a.xlsx",
        ),
        (vec!["verify", "nothing"], 1, "there are: registry_elders"),
        (vec!["up", "--empty"], 1, "in use"),
        (
            vec!["up", "--data-dir", "other", "--listen", &listen],
            1,
            "--listen",
        ),
        (
            vec!["status", "--endpoint", "http://127.0.0.1:1", "--token", "x"],
            1,
            "--data-dir",
        ),
        (
            vec![
                "elder",
                "show",
                nobody,
                "--endpoint",
                "nonsense",
                "--token",
                "x",
            ],
            1,
            "no address",
        ),
        (
            vec![
                "elder",
                "show",
                nobody,
                "--endpoint",
                "http://127.0.0.1:1",
                "--token",
                "x",
            ],
            1,
            "does not answer",
        ),
    ] {
        let (ended, told) = desk.fails(&arguments);
        assert!(
            ended == code && told.contains(words),
            "{arguments:?}: {ended}: {told}"
        );
        // Each thing is said once.
        let lines: Vec<_> = told
            .lines()
            .filter(|line| !line.trim().is_empty())
            .collect();
        let more = lines
            .iter()
            .skip(1)
            .any(|line| lines[0].contains(line.trim()));
        assert!(!more, "{told}");
    }
    let (code, survey) = desk.json(&["import", "survey", "350524100-x.xlsx"]);
    let refused = text(&survey["files"][0]["refused"]);
    assert!(
        code == 1 && refused.contains("WORKBOOK_NOT_XLSX"),
        "{survey}"
    );
    // Nothing of all that was written: the log holds its lookup key and the divisions.
    let status = desk.done(&["status"]);
    let streams = status["streams"].as_array().unwrap();
    let registry = streams.iter().find(|one| text(&one["name"]) == "REGISTRY");
    assert_eq!(registry.unwrap()["messages"], 2);
    desk.down();
}
