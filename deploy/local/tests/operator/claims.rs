//! What the commands tell of a town's service orders, and how they settle with a provider, as tables and as JSON.

use serde_json::{Value, json};

use crate::{
    desk::{Desk, text},
    town::{TOWN, insured, one_town},
};

/// A provider, and the month in which three of its orders were approved.
const PROVIDER: &str = "P01";
const MONTH: &str = "2024-04";
/// What a service costs.
const PRICE: i64 = 20_000;

fn contains(told: &str, words: &[&str]) {
    for word in words {
        assert!(told.contains(word), "{word} is not in {told}");
    }
}

#[test]
fn orders_entitlements_settlements_and_funds_of_a_town_are_told_to_people_and_to_machines() {
    let mut desk = Desk::new();
    let set = one_town(&desk.path("."));
    insured(&set);
    let as_of = "2024-06-01T09:00:00+08:00";
    desk.up_with(&["--county", set.to_str().unwrap(), "--as-of", as_of]);

    // The orders that were handed in by then, and what became of them.
    let all = ["claims", "orders", "--division", TOWN];
    let told = desk.done(&all);
    let orders = told["orders"].as_array().unwrap();
    assert_eq!((orders.len(), &told["more"]), (12, &json!(false)));
    let in_state = |state: &str| orders.iter().filter(|one| one["state"] == state).count();
    assert_eq!((in_state("APPROVED"), in_state("NOT_SETTLED")), (10, 2));
    let limited = [&all[..], &["--limit", "5"]].concat();
    let limited = desk.done(&limited);
    assert_eq!(limited["orders"].as_array().unwrap()[..], orders[..5]);
    assert_eq!(limited["more"], true);
    let unpaid = [&all[..], &["--state", "NOT_SETTLED"]].concat();
    contains(&desk.table(&unpaid), &["NOT_SETTLED 不予结算", "2 orders"]);
    let with_code = [&unpaid[..], &["--code", "ITEMS_INVALID"]].concat();
    let with_code = desk.done(&with_code);
    assert_eq!(with_code["orders"][0]["order_id"], "O001221");

    // Why one is not paid: nobody appealed. Another one was appealed in vain.
    let order = desk.done(&["claims", "order", PROVIDER, "O001221"]);
    assert_eq!(order["order"]["codes"], json!(["ITEMS_INVALID"]));
    assert_eq!(order["order"]["not_settled_reason"], "NO_APPEAL");
    assert_eq!(order["appeal"], Value::Null);
    assert!(!text(&order["explanations"][0]["en"]).is_empty());
    assert!(text(&order["division_code"]).starts_with(TOWN));
    let table = desk.table(&["claims", "order", PROVIDER, "O001221"]);
    contains(
        &table,
        &[
            "ITEMS_INVALID 项目不符",
            text(&order["explanations"][0]["zh"]),
            "NO_APPEAL 逾期未申诉",
            "VIDEO 视频",
        ],
    );
    let appealed = desk.done(&["claims", "order", PROVIDER, "O004843"]);
    assert_eq!(appealed["order"]["codes"], json!(["NOT_ENROLLED"]));
    assert_eq!(appealed["appeal"]["state"], "REFUSED");
    assert_eq!(appealed["appeal"]["statement"], "家属可作证");

    // What an elder who was served may still have.
    let approved = orders.iter().find(|one| one["state"] == "APPROVED");
    let she = text(&approved.unwrap()["elder_id"]);
    let of_her = ["--elder", she, "--state", "APPROVED"];
    let of_her = desk.done(&[&all[..], &of_her].concat());
    let entitlement = ["claims", "entitlement", "LTCI", she];
    let told = desk.done(&entitlement);
    assert_eq!(
        (&told["entitled"], &told["codes"]),
        (&json!(true), &json!([]))
    );
    assert_eq!(told["units_a_year"], 12);
    let used = of_her["orders"].as_array().unwrap().len();
    assert_eq!(told["units_used"], used);
    assert_eq!(told["enrolments"].as_array().unwrap().len(), 1);
    contains(&desk.table(&entitlement), &["可享受", "SERVICES 次"]);
    let next_year = [&entitlement[..], &["--on", "2025-01-01"]].concat();
    assert_eq!(desk.done(&next_year)["codes"], json!(["NOT_ENROLLED"]));

    // Figures and the fund agree with the list.
    let figures = [
        "claims",
        "figures",
        "--division",
        TOWN,
        "--programme",
        "LTCI",
        "--by",
        "provider",
    ];
    let told = desk.done(&figures);
    let rows = told["rows"].as_array().unwrap();
    let sum = |name: &str| {
        rows.iter()
            .map(|row| row[name].as_i64().unwrap())
            .sum::<i64>()
    };
    assert_eq!((sum("orders"), sum("approved")), (12, 10));
    assert_eq!(sum("approved_fen"), 10 * PRICE);
    contains(&desk.table(&figures), &[PROVIDER, "机构 provider"]);
    let enrolled = told["enrolled"].as_i64().unwrap();
    assert!(enrolled > 30, "{told}");
    let asked = ["claims", "enrolments", "LTCI", "--division", TOWN];
    let all_of_them = [&asked[..], &["--limit", "1000"]].concat();
    let listed = desk.done(&all_of_them);
    let everybody = listed["enrolments"].as_array().unwrap();
    assert_eq!(Ok(everybody.len()), usize::try_from(enrolled));
    assert_eq!(listed["more"], false);
    assert!(everybody.iter().any(|one| one["elder_id"] == she));
    let first = desk.done(&[&asked[..], &["--limit", "3"]].concat());
    assert_eq!(first["enrolments"].as_array().unwrap()[..], everybody[..3]);
    assert_eq!(first["more"], true);
    let next_year = desk.done(&[&asked[..], &["--on", "2025-01-01"]].concat());
    assert_eq!(next_year["enrolments"], json!([]));
    contains(&desk.table(&all_of_them), &[she, "enrolments", "参保"]);
    let fund = ["claims", "fund", "LTCI"];
    let before = desk.done(&fund);
    assert_eq!(before["reserved_fen"], 10 * PRICE);
    assert_eq!(before["paid_fen"], 0);
    assert_eq!(before["balance_fen"], before["premiums_fen"]);
    let programme = desk.done(&["claims", "programme", "LTCI"]);
    assert_eq!(programme["version"], 1);
    contains(
        &desk.table(&["claims", "programme", "LTCI"]),
        &["长期护理险", "HANDICAP_1_2", "300.00"],
    );

    settles(&desk, &before);
    desk.down();
}

/// A month of the provider is drafted, confirmed and paid, and the fund bears it.
fn settles(desk: &Desk, before: &Value) {
    let settle = ["claims", "settle", "LTCI", PROVIDER, MONTH];
    let drafted = desk.done(&settle);
    assert_eq!(drafted["stage"], "DRAFT");
    assert_eq!(drafted["orders"].as_array().unwrap().len(), 3);
    assert_eq!(drafted["total_fen"], 3 * PRICE);
    assert_eq!(drafted["month"], MONTH);
    let confirmed = desk.done(&[&settle[..], &["--confirm"]].concat());
    assert_eq!(
        (&confirmed["stage"], &confirmed["number"]),
        (&json!("CONFIRMED"), &drafted["number"])
    );
    // What was confirmed before is gone on with.
    let paid = desk.done(&[&settle[..], &["--pay", "V-7"]].concat());
    assert_eq!(paid["stage"], "PAID");
    assert_eq!(
        (&paid["number"], &paid["reference"]),
        (&drafted["number"], &json!("V-7"))
    );
    assert_eq!(paid["paid_on"], "2024-06-01");
    let after = desk.done(&["claims", "fund", "LTCI", "--entries", "1"]);
    assert_eq!(after["paid_fen"], 3 * PRICE);
    assert_eq!(after["reserved_fen"], 7 * PRICE);
    let left = before["balance_fen"].as_i64().unwrap() - 3 * PRICE;
    assert_eq!(after["balance_fen"], left);
    let entries = after["entries"].as_array().unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!(
        (&entries[0]["credit"], &entries[0]["balance_fen"]),
        (&json!("CASH"), &json!(left))
    );
    for (arguments, words) in [
        (settle.to_vec(), "NOTHING_TO_SETTLE"),
        (
            vec!["claims", "orders", "--division", TOWN, "--state", "OPEN"],
            "没有该工单状态",
        ),
        (vec!["claims", "fund", "NONE"], "PROGRAMME_NOT_FOUND"),
        (vec!["claims", "order", PROVIDER, "O0"], "ORDER_NOT_FOUND"),
    ] {
        let (code, told) = desk.fails(&arguments);
        assert!(code == 1 && told.contains(words), "{arguments:?}: {told}");
    }
}
