//! `demo` to its end, with one town: the figures of its tiers, visits and plan as a machine reads them.

use std::fs;

use serde_json::{Value, json};

use crate::{
    desk::{Desk, county, text},
    town::{TOWN, one_town},
};

/// What the sample county expects of a file.
fn expected(file: &str) -> Value {
    let text = fs::read(county().join("expected").join(file)).unwrap();
    serde_json::from_slice(&text).unwrap()
}

#[test]
fn a_demo_of_one_town_sums_up_its_tiers_visits_and_plan() {
    // Given a town's data set, with what the county expects of its workbook.
    let desk = Desk::new();
    let set = one_town(&desk.path("."));
    let survey = expected("survey.json");
    let files = survey["files"].as_object().unwrap();
    let (workbook, rows) = files
        .iter()
        .find(|(file, _)| file.starts_with(TOWN))
        .unwrap();
    let of_the_town = json!({
        "as_of": survey["as_of"],
        "counts": rows["counts"],
        "files": { workbook: rows },
    });
    fs::create_dir(set.join("expected")).unwrap();
    fs::write(set.join("expected/survey.json"), of_the_town.to_string()).unwrap();

    // When it is played to its end.
    let told = desk.done(&["demo", "--county", set.to_str().unwrap()]);

    // Then all came out as expected, and no line was refused.
    assert_eq!(told["comparison"]["equal"], true, "{}", told["comparison"]);
    assert_eq!(told["comparison"]["failed_lines"], json!([]));
    assert_eq!(told["comparison"]["parts"][0]["name"], "survey.json");
    assert_eq!(told["survey"]["counts"], rows["counts"]);
    let elders = &rows["counts"]["ACCEPTED"];
    assert_eq!(told["registry"]["total"], *elders);

    // And the tiers are those that the county expects of the town, before anything changed there.
    let tiers = told["tiers"].as_object().unwrap();
    let mut days: Vec<&str> = tiers.keys().map(String::as_str).collect();
    days.sort_unstable();
    assert_eq!(days, ["2024-10-01", "2024-10-31", "2024-11-19"]);
    let first = &tiers["2024-10-01"]["towns"];
    assert_eq!(
        first[TOWN],
        expected("tiers-2024-10-01.json")["towns"][TOWN]
    );
    for (day, figures) in tiers {
        let of_the_town = figures["towns"].as_object().unwrap();
        assert_eq!(of_the_town.len(), 1, "{day}");
        for tier in ["in_scope", "PRIORITY", "SECONDARY", "GENERAL"] {
            let sum = &figures["county"][tier];
            assert!(sum.as_u64() > Some(0), "{day} {tier}");
            assert_eq!(of_the_town[TOWN][tier], *sum, "{day} {tier}");
        }
    }

    // And most of the town was visited, not all; each week somebody was missed.
    let visits = &told["visits"];
    assert_eq!(visits["month"], "2024-10");
    let coverage = &visits["coverage"];
    let count = |figure: &Value| figure.as_u64().unwrap();
    assert_eq!(
        coverage["towns"],
        json!({ TOWN: coverage["county"] }),
        "the town is all that there is"
    );
    let (in_scope, visited) = (
        count(&coverage["county"]["in_scope"]),
        count(&coverage["county"]["visited"]),
    );
    assert_eq!(in_scope, count(&tiers["2024-10-31"]["county"]["in_scope"]));
    assert!(visited > in_scope / 2 && visited < in_scope, "{coverage}");
    let periods = visits["missed"].as_object().unwrap();
    let mut names: Vec<&str> = periods.keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        ["2024-10", "2024-W40", "2024-W41", "2024-W42", "2024-W43"]
    );
    for (period, figures) in periods {
        let missed = count(&figures["missed_at_close_count"]);
        let unmet = count(&figures["unmet_at_end_count"]);
        assert!(0 < unmet && unmet <= missed, "{period}: {figures}");
        assert!(missed < count(&figures["duties"]), "{period}: {figures}");
    }

    // And the week after the last day is planned for the town, in which each elder stands at most once.
    let plan = &told["plan"];
    assert_eq!(
        (text(&plan["division_code"]), text(&plan["week"])),
        (TOWN, "2024-W48")
    );
    let entries = plan["entries"].as_array().unwrap();
    let mut planned: Vec<&str> = entries.iter().map(|one| text(&one["elder_id"])).collect();
    planned.sort_unstable();
    planned.dedup();
    assert_eq!(planned.len(), entries.len());
    let priority = count(&tiers["2024-11-19"]["county"]["PRIORITY"]);
    let duties = u64::try_from(entries.len()).unwrap();
    assert!(
        priority <= duties && duties <= count(elders),
        "who is to be seen each week is in it: {duties} entries, {priority} elders"
    );
    let going = entries.iter().filter(|one| one["planned"] == "VISIT");
    let going: Vec<&Value> = going.collect();
    assert!(going.len() > entries.len() / 2, "{} visits", going.len());
    for visit in going {
        assert!(text(&visit["division_code"]).starts_with(TOWN), "{visit}");
        assert!(
            ("2024-11-25"..="2024-11-29").contains(&text(&visit["day"])),
            "{visit}"
        );
        assert!(!text(&visit["visitor_id"]).is_empty(), "{visit}");
    }
    let unassigned = count(&plan["report"]["plan"]["unassigned"]);
    let nobody = entries.iter().filter(|one| one["planned"] != "VISIT");
    assert_eq!(u64::try_from(nobody.count()).unwrap(), unassigned);
}
