//! What the commands tell of a department's feeds, its credential, its receipts of erasures, and the reasons of those who opened
//! dossiers beyond all agreements.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    os::unix::fs::PermissionsExt as _,
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use eldercare::client::call;
use proto::eldercare::sharing::v1::{
    BreakGlassRequest, GetAccessHistoryRequest, get_access_history_request::Whose,
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    desk::{Desk, text},
    town::{TOWN, one_town},
};

/// Why a dossier is opened beyond all agreements.
const REASON: &str = "老人昏迷，急需联系家属";

/// The longest that a test waits for what comes about by itself, and before it looks again.
const PATIENCE: Duration = Duration::from_secs(60);
const AGAIN: Duration = Duration::from_millis(100);

/// What health is granted in a village.
fn terms(village: &str) -> String {
    format!(
        "department: health\n\
         purpose: 家庭医生签约\n\
         legal_basis: 个人信息保护法第十三条\n\
         divisions: ['{village}']\n\
         until: 2024-12-31\n\
         products:\n  elder: {{ elder_id: plain, name: masked }}\n"
    )
}

/// A system with one town, health's feed of a village where several elders live, and two of these.
fn village_with_feed(desk: &mut Desk) -> (String, [String; 2]) {
    let set = one_town(&desk.path("."));
    let as_of = "2024-06-01T09:00:00+08:00";
    desk.up_with(&["--county", set.to_str().unwrap(), "--as-of", as_of]);
    let found = desk.done(&["sharing", "find", "--division", TOWN, "--limit", "1"]);
    let document = &found["elders"][0]["documents"][0]["fields"];
    let village = text(&document["division_code"]).to_owned();
    let name = format!("health.elder.{village}");
    let (code, told) = desk.fails(&["sharing", "feed", &name]);
    assert!(
        code == 1 && told.contains("no agreement in force"),
        "{told}"
    );
    assert_eq!(desk.done(&["sharing", "feeds"])["feeds"], json!([]));
    desk.agree(&terms(&village));
    let find = ["sharing", "find", "--division", &village, "--limit", "2"];
    let found = desk.done(&find);
    let elder = |place: usize| text(&found["elders"][place]["elder_id"]).to_owned();
    (name, [elder(0), elder(1)])
}

#[test]
fn a_feed_its_credential_and_an_erasure_are_told_to_people_and_to_machines() {
    let mut desk = Desk::new();
    let (name, [erased, other]) = village_with_feed(&mut desk);
    let told = follow(&desk, &name, "FEEDS:0", "FeedCaughtUp");
    let shared = told.iter().filter(|one| one["event"] == "DocumentShared");
    let elders = shared.count();
    assert!(elders > 1, "{told:?}");
    assert_eq!(told[0]["event"], "FeedBegun");
    let of_other = told.iter().find(|one| one["key"] == other.as_str());
    let of_other = of_other.unwrap();
    assert!(text(&of_other["fields"]["name"]).ends_with('*'));
    assert_eq!(of_other["masked"], json!(["name"]));

    the_feed_can_be_asked_for(&desk, &name, &told);
    let feeds = desk.done(&["sharing", "feeds", "--department", "health"]);
    let feed = &feeds["feeds"][0];
    assert_eq!(feed["name"], name.as_str());
    assert_eq!(
        feed["fields"],
        json!({ "elder_id": "plain", "name": "masked" })
    );
    let last = told.last().unwrap();
    let standing = &feed["standing"];
    assert_eq!(standing["state"], "CAUGHT_UP");
    assert_eq!(standing["documents"], elders);
    assert_eq!(standing["events"], told.len());
    assert_eq!(standing["position"], last["position"]);
    assert_eq!(feeds["feeds"].as_array().unwrap().len(), 1);
    assert!(desk.table(&["sharing", "feeds"]).contains("name*"));
    let finance = desk.done(&["sharing", "feeds", "--department", "finance"]);
    assert_eq!(finance["feeds"], json!([]));

    credentials_go_into_files(&desk);

    desk.erase(&erased);
    let told = follow(&desk, &name, text(&last["position"]), "ElderErased");
    assert_eq!(told.last().unwrap()["elder_id"], erased.as_str());
    let feeds = desk.done(&["sharing", "feeds"]);
    assert_eq!(feeds["feeds"][0]["standing"]["documents"], elders - 1);
    // Whoever is told of what was recorded after it is told of it.
    break_glass(&desk, &other);
    reasons_are_told_to_the_reviewer(&desk, &other);
    the_supervisors_are_told(&desk, &other);
    the_erasure_is_confirmed(&desk, &erased);
    desk.down();
}

/// All of a feed, a part of it, and nothing of it where that is asked for wrongly.
fn the_feed_can_be_asked_for(desk: &Desk, name: &str, told: &[Value]) {
    let feed = ["sharing", "feed", name];
    assert_eq!(lines(desk, &feed), told);
    let first = [&feed[..], &["--limit", "1"]].concat();
    assert_eq!(lines(desk, &first), told[..1]);
    let before_last = text(&told[told.len() - 2]["position"]);
    let after = [&feed[..], &["--from", before_last]].concat();
    assert_eq!(lines(desk, &after), told[told.len() - 1..]);
    let since = |at| [&feed[..], &["--since", at]].concat();
    assert_eq!(lines(desk, &since("2024-01-01T00:00:00+08:00")), told);
    let never = lines(desk, &since("2999-01-01T00:00:00+08:00"));
    assert!(never.is_empty(), "{never:?}");
    let table = desk.table(&feed);
    for word in ["─", "FeedBegun", "name*=", "FeedCaughtUp"] {
        assert!(table.contains(word), "{word} is not in {table}");
    }
    let (_, division) = name.split_once(".elder.").unwrap();
    for (arguments, code, words) in [
        (
            [&feed[..], &["--from", "SHARING:1"]].concat(),
            1,
            "POSITION_INVALID",
        ),
        (
            [&feed[..], &["--follow", "--limit", "1"]].concat(),
            2,
            "--limit",
        ),
        (vec!["sharing", "feed", division], 2, "health.elder.350524"),
        (
            vec!["sharing", "feed", "health.visit.350524"],
            1,
            "no agreement in force",
        ),
        (
            vec!["sharing", "feed", "nobody.elder.350524"],
            1,
            "public_security",
        ),
        (
            vec!["sharing", "feeds", "--department", "卫健"],
            1,
            "DEPARTMENT_INVALID",
        ),
    ] {
        let (ended, told) = desk.fails(&arguments);
        assert!(
            ended == code && told.contains(words),
            "{arguments:?}: {ended}: {told}"
        );
    }
}

/// A password stands in a file of its owner's, and on standard output where that is asked for alone.
fn credentials_go_into_files(desk: &Desk) {
    let issue = |department, file| {
        let issue = ["sharing", "credential", "issue", department];
        [&issue[..], &["--file", file]].concat()
    };
    let issued = desk.done(&issue("health", "health.json"));
    assert_eq!(issued["user"], "department:health");
    assert_eq!(issued["password"], Value::Null);
    let file = desk.path("health.json");
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let written: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let password = text(&written["password"]);
    assert!(!password.is_empty());
    for field in ["user", "inbox_prefix", "consumer"] {
        assert_eq!(written[field], issued[field], "{field}");
    }
    // To a terminal no password is told but where that is asked for; each one is another.
    let table = desk.table(&issue("health", "health.json"));
    let again: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert_ne!(again["password"], password);
    assert!(!table.contains(text(&again["password"])), "{table}");
    let printed = desk.done(&issue("health", "-"));
    assert!(!text(&printed["password"]).is_empty());
    assert_eq!(printed["file"], Value::Null);
    for (arguments, words) in [
        (issue("finance", "finance.json"), "NO_AGREEMENT"),
        (
            issue("health", "missing/health.json"),
            "missing/health.json",
        ),
        (issue("health", "."), "folder"),
    ] {
        let (code, told) = desk.fails(&arguments);
        assert!(code == 1 && told.contains(words), "{arguments:?}: {told}");
    }
    assert!(!desk.path("finance.json").exists());
    let revoke = |reason| {
        let revoke = ["sharing", "credential", "revoke", "health"];
        [&revoke[..], &["--reason", reason]].concat()
    };
    let (code, told) = desk.fails(&revoke("no need"));
    assert!(code == 1 && told.contains("REASON_INVALID"), "{told}");
    let revoked = desk.done(&revoke("NO_NEED"));
    assert!(text(&revoked["position"]).starts_with("SHARING:"));
    let (code, told) = desk.fails(&revoke("NO_NEED"));
    assert!(code == 1 && told.contains("NO_CREDENTIAL"), "{told}");
}

/// The reviewer is told why, and that goes on record.
fn reasons_are_told_to_the_reviewer(desk: &Desk, elder: &str) {
    let of_elder = ["sharing", "broken-glass", "--elder", elder];
    let of_caller = ["sharing", "broken-glass", "--caller", "officer:operator"];
    for asked in [of_elder, of_caller] {
        let told = desk.done(&asked);
        let broken = told["broken"].as_array().unwrap();
        assert_eq!(broken.len(), 1, "{told}");
        assert_eq!(broken[0]["reason"], REASON);
        assert_eq!(broken[0]["caller"], "officer:operator");
        assert_eq!(broken[0]["elder_ids"], json!([elder]));
        assert!(desk.table(&asked).contains(REASON));
    }
    let history = desk.done(&["sharing", "history", "--elder", elder]);
    let mut looks = history["looks"].as_array().unwrap().iter();
    let reviewed = |look: &Value| {
        look["caller"] == "officer:reviewer"
            && look["fields"] == json!(["access.history", "break_glass.reason"])
    };
    assert!(looks.any(reviewed), "{history}");
    let before = [&of_elder[..], &["--until", "2024-05-31"]].concat();
    assert_eq!(desk.done(&before)["broken"], json!([]));
    for (more, words) in [
        (
            ["--from", "2024-06-02", "--until", "2024-06-01"],
            "DAYS_INVALID",
        ),
        (["--from", "2024-02-30", "--until", "2024-06-01"], "--from"),
    ] {
        let (_, told) = desk.fails(&[&of_elder[..], &more].concat());
        assert!(told.contains(words), "{told}");
    }
    let (code, told) = desk.fails(&["sharing", "broken-glass", "--elder", "x"]);
    assert!(code == 1 && told.contains("is not a UUID"), "{told}");
}

/// Without a receiver that somebody named, what was opened is told on this machine: in a file that nobody else reads, by a command, and
/// on the terminal.
pub(crate) fn the_supervisors_are_told(desk: &Desk, elder: &str) {
    let asked = ["audit", "notices"];
    let begun = Instant::now();
    let notices = loop {
        let told = desk.done(&asked)["notices"].as_array().unwrap().clone();
        if !told.is_empty() {
            break told;
        }
        assert!(begun.elapsed() < PATIENCE, "nobody is told");
        thread::sleep(AGAIN);
    };
    assert_eq!(notices.len(), 1, "{notices:?}");
    assert_eq!(notices[0]["elder_id"], elder);
    assert_eq!(notices[0]["opened_by"], "officer:operator");
    assert!(text(&notices[0]["position"]).starts_with("SHARING:"));
    assert!(desk.table(&asked).contains(elder));
    let file = desk.path("county").join("notices.ndjson");
    let mode = fs::metadata(file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let log = desk.log();
    assert!(
        log.contains("a dossier was opened beyond all agreements"),
        "{log}"
    );
}

/// A department that was told of an elder confirms that it has erased what it held, once; nobody else does.
fn the_erasure_is_confirmed(desk: &Desk, elder: &str) {
    let outstanding = ["sharing", "erasures", "--outstanding"];
    let told = desk.done(&outstanding);
    let receipts = told["receipts"].as_array().unwrap();
    assert_eq!(receipts.len(), 1, "{told}");
    assert_eq!(receipts[0]["elder_id"], elder);
    assert_eq!(receipts[0]["department"], "health");
    assert_eq!(receipts[0]["confirmed_at"], Value::Null);
    assert!(desk.table(&outstanding).contains("not yet"));
    let confirm = ["sharing", "confirm-erasure", elder];
    let as_one = |department| [&confirm[..], &["--as", department]].concat();
    for (arguments, words) in [
        // The operator is of civil affairs, which keeps the files.
        (confirm.to_vec(), "ERASURE_NOT_FOUND"),
        (as_one("finance"), "ERASURE_NOT_FOUND"),
        (as_one("nobody"), "public_security"),
        (
            vec!["sharing", "confirm-erasure", "x", "--as", "health"],
            "is not a UUID",
        ),
    ] {
        let (code, told) = desk.fails(&arguments);
        assert!(code == 1 && told.contains(words), "{arguments:?}: {told}");
    }
    let confirmed = desk.done(&as_one("health"));
    assert!(text(&confirmed["position"]).starts_with("SHARING:"));
    let (code, told) = desk.fails(&as_one("health"));
    assert!(code == 1 && told.contains("ALREADY_CONFIRMED"), "{told}");
    assert_eq!(desk.done(&outstanding)["receipts"], json!([]));
    let of_health = ["sharing", "erasures", "--department", "health"];
    let told = desk.done(&of_health);
    assert_eq!(
        told["receipts"][0]["confirmed_by"],
        "officer:health-officer"
    );
    let (code, told) = desk.fails(&["sharing", "erasures", "--department", "卫健"]);
    assert!(code == 1 && told.contains("DEPARTMENT_INVALID"), "{told}");
}

/// The documents that a command prints, one in a line.
fn lines(desk: &Desk, arguments: &[&str]) -> Vec<Value> {
    let output = desk.command(arguments).args(["--output", "json"]).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    let printed = String::from_utf8(output.stdout).unwrap();
    let lines = printed.lines().map(serde_json::from_str);
    lines.collect::<Result<_, _>>().unwrap()
}

/// What comes out on a feed after a position, up to the first event of a name, included.
fn follow(desk: &Desk, name: &str, after: &str, until: &str) -> Vec<Value> {
    let mut following = desk
        .command(["sharing", "feed", name, "--from", after, "--follow"])
        .args(["--output", "json"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut told: Vec<Value> = Vec::new();
    for line in BufReader::new(following.stdout.take().unwrap()).lines() {
        told.push(serde_json::from_str(&line.unwrap()).unwrap());
        if told.last().is_some_and(|last| last["event"] == until) {
            break;
        }
    }
    following.kill().unwrap();
    following.wait().unwrap();
    let last = told.last().expect("something comes out");
    assert_eq!(last["event"], until, "{told:?}");
    told
}

/// Opens a dossier beyond all agreements, and waits until the history tells of it.
pub(crate) fn break_glass(desk: &Desk, elder: &str) {
    let request = BreakGlassRequest {
        request_id: Uuid::now_v7().to_string(),
        elder_id: elder.to_owned(),
        reason: REASON.to_owned(),
        newest: 1,
    };
    desk.as_operator(async |client| {
        let broken = call(request, async |request| {
            client.sharing().break_glass(request).await
        });
        let history = GetAccessHistoryRequest {
            whose: Some(Whose::ElderId(elder.to_owned())),
            min_position: broken.await.unwrap().position,
            ..Default::default()
        };
        let told = call(history, async |request| {
            client.sharing().get_access_history(request).await
        });
        assert!(!told.await.unwrap().looks.is_empty());
    });
}
