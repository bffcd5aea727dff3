//! What the commands tell of agreements, dossiers, looks and the audit of a town, as tables and as JSON.

use std::fs;

use serde_json::{Value, json};

use crate::{
    desk::{Desk, text},
    observed::Observed,
    town::{TOWN, insured, one_town},
};

const TERMS: &str = "\
department: health
purpose: 重点老年人健康管理
legal_basis: 个人信息保护法第十三条
divisions: ['350524']
until: 2024-12-31
products:
  elder: { name: masked, id_number: masked, capability: plain }
  order: { state: plain, amount: plain }
";

#[test]
fn agreements_dossiers_looks_and_the_audit_of_a_town_are_told_to_people_and_to_machines() {
    let mut desk = Desk::new();
    let observed = Observed::begin(&mut desk);
    let set = one_town(&desk.path("."));
    insured(&set);
    let as_of = "2024-06-01T09:00:00+08:00";
    desk.up_with(&["--county", set.to_str().unwrap(), "--as-of", as_of]);
    let products = desk.done(&["sharing", "products"]);
    assert_eq!(products["products"][0]["name"], "elder");
    assert!(desk.table(&["sharing", "products"]).contains("姓名"));

    let proposed = desk.propose(TERMS);
    let agreement = text(&proposed["agreements"][0]["agreement_id"]);
    assert_eq!(proposed["agreements"][0]["state"], "PROPOSED");
    let orders = desk.done(&["claims", "orders", "--division", TOWN]);
    let elder = text(&orders["orders"][0]["elder_id"]);
    let as_health = ["sharing", "dossier", elder, "--as", "health"];
    let (code, told) = desk.fails(&as_health);
    assert_eq!(code, 1);
    assert!(told.contains("no such elder"), "{told}");

    let approved = desk.done(&["sharing", "approve", agreement]);
    assert_eq!(approved["agreements"][0]["state"], "IN_FORCE");
    let dossier = desk.done(&as_health);
    let of_elder = &dossier["documents"][0];
    assert_eq!(of_elder["product"], "elder");
    assert_eq!(of_elder["masked"], json!(["name", "id_number"]));
    assert!(text(&of_elder["fields"]["name"]).ends_with('*'));
    assert_eq!(of_elder["fields"]["address"], Value::Null);
    assert_eq!(dossier["documents"][1]["fields"]["amount"], "200.00");
    let own = desk.done(&["sharing", "dossier", elder]);
    assert_eq!(own["agreement_ids"], json!([]));
    assert!(!text(&own["documents"][0]["fields"]["name"]).contains('*'));
    assert!(desk.table(&as_health).contains("脱敏"));
    let (code, told) = desk.fails(&["sharing", "dossier", elder, "--as", "nobody"]);
    assert_eq!(code, 1);
    assert!(told.contains("public_security"), "{told}");

    let history = desk.done(&["sharing", "history", "--elder", elder]);
    let looks = history["looks"].as_array().unwrap().iter();
    let (dossiers, others): (Vec<&Value>, Vec<&Value>) =
        looks.partition(|look| look["method"] == "GetDossier");
    let kinds = dossiers.iter().map(|look| text(&look["kind"]));
    assert_eq!(
        kinds.collect::<Vec<_>>(),
        ["PROVIDED", "ACCESS", "PROVIDED"]
    );
    assert_eq!(
        dossiers[0]["fields"],
        json!([
            "elder.capability",
            "elder.id_number:masked",
            "elder.name:masked"
        ])
    );
    // The feed of health, and what the other services told, stand there as well.
    assert!(
        others.iter().any(|look| look["method"] == "Feed"),
        "{history}"
    );
    let own = ["sharing", "history", "--caller", "officer:operator"];
    assert!(desk.table(&own).contains("GetDossier"));
    let one = desk.done(&["sharing", "history", "--elder", elder, "--limit", "1"]);
    assert_eq!(one["looks"].as_array().unwrap().len(), 1);
    assert_eq!(one["more"], true);
    let all = desk.done(&["sharing", "history", "--elder", elder, "--limit", "501"]);
    assert!(all["looks"].as_array().unwrap().len() > dossiers.len());
    assert_eq!(all["more"], false);
    let situation = desk.done(&["sharing", "situation", TOWN]);
    assert!(situation["elders"].as_i64().unwrap() > 0, "{situation}");
    // Its fund is that of claims.
    let fund = desk.done(&["claims", "fund", "LTCI"]);
    let stands = &situation["funds"][0];
    for sum in ["in_fen", "reserved_fen", "paid_fen", "balance_fen"] {
        assert_eq!(stands[sum], fund[sum], "{sum}: {situation}");
    }
    // On a day before it had less to pay for. Of the town's three orders of March one was handed in by the fourth.
    let past = ["sharing", "situation", TOWN, "--day", "2024-03-04"];
    let stood = desk.done(&past);
    let reserved = |situation: &Value| situation["funds"][0]["reserved_fen"].as_i64().unwrap();
    assert!(reserved(&stood) < reserved(&situation), "{stood}");
    let orders = |situation: &Value| {
        let counts = situation["orders"].as_array().unwrap().iter();
        counts.map(|count| count[1].as_i64().unwrap()).sum::<i64>()
    };
    assert_eq!(orders(&stood), 1, "{stood}");
    let later = ["sharing", "situation", TOWN, "--day", "2024-03-15"];
    assert_eq!(orders(&desk.done(&later)), 3);
    let table = desk.table(&past);
    for word in ["态势", "探访率", "基金预留"] {
        assert!(table.contains(word), "{word} is not in {table}");
    }

    let log = desk.path("audit.bin");
    let log = log.to_str().unwrap();
    desk.done(&["audit", "export", log]);
    assert!(fs::metadata(log).unwrap().len() > 0);
    // Nothing is signed before the first full hour, which may just be over.
    let (code, told) = desk.fails(&["audit", "key"]);
    assert!(
        code == 0 || told.contains("no head of the chain is signed yet"),
        "{told}"
    );
    let (code, told) = desk.fails(&["audit", "verify", log, "--public-key", log]);
    assert_eq!(code, 1, "{told}");

    let ended = desk.done(&["sharing", "end", agreement, "--reason", "NO_NEED"]);
    assert_eq!(ended["agreements"][0]["state"], "ENDED");
    assert_eq!(desk.fails(&as_health).0, 1);
    let listed = desk.done(&["sharing", "agreements", "--department", "health"]);
    assert_eq!(listed["agreements"].as_array().unwrap().len(), 1);
    assert!(desk.table(&["sharing", "agreements"]).contains("ENDED"));
    let subjects = observed.subjects(&desk);
    desk.down();
    observed.tells_of_nobody(&desk, &subjects);
}
