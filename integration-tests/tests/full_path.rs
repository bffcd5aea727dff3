//! From a county's table of divisions and its towns' workbooks to tiers, and what follows when a fact changes.

use std::{collections::BTreeMap, io::Cursor};

use calamine::Reader as _;
use futures::TryStreamExt as _;
use integration_tests::{Imported, System, county, date, import, new_id, survey, timestamp};
use proto::eldercare::{
    registry::v1::{
        ElderView, ExportElderFormRequest, ExportSummaryRequest, GetElderRequest,
        ImportSurveyOptions, ListEldersRequest, RecordAssessmentRequest, SearchEldersRequest,
        SurveyOutcome,
    },
    tiering::v1::{ExplainTierRequest, ListTiersRequest},
    r#type::v1::{CapabilityLevel, Category},
};

const FENGCHENG: &str = "350524100-凤城镇";
const PENGLAI: &str = "350524101-蓬莱镇";

/// Outcome, reason and warnings of each row, as the county writes them.
fn told(imported: &Imported) -> BTreeMap<i64, (String, String, Vec<String>)> {
    let plain =
        |name: &str, prefix: &str| name.trim_start_matches(prefix).replace("UNSPECIFIED", "");
    imported
        .rows
        .iter()
        .map(|row| {
            let outcome = plain(row.outcome().as_str_name(), "SURVEY_OUTCOME_");
            let reason = plain(row.rejection().as_str_name(), "SURVEY_REJECTION_");
            let warnings = row
                .warnings()
                .map(|warning| plain(warning.as_str_name(), "SURVEY_WARNING_"));
            (i64::from(row.row), (outcome, reason, warnings.collect()))
        })
        .collect()
}

/// Each row ends as the county expects; what does not is named.
fn ends_as_expected(imported: &Imported, town: &str) {
    let (told, expected) = (told(imported), county::expected_rows(town));
    let others: Vec<_> = expected
        .iter()
        .filter(|(row, outcome)| told.get(row) != Some(outcome))
        .collect();
    let told_so: Vec<_> = others.iter().map(|(row, _)| told.get(row)).collect();
    assert!(
        others.is_empty(),
        "{town}: expected {others:?}, came {told_so:?}"
    );
    assert_eq!(told.len(), expected.len(), "{town}: rows that are none");
}

fn options(file: &str, dry_run: bool) -> ImportSurveyOptions {
    ImportSurveyOptions {
        town_code: file[..9].to_owned(),
        dry_run,
        ..survey::options()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workbooks_become_files_and_files_get_tiers() {
    let system = System::start().await;
    let mut registry = system.registry();

    // Each row of both workbooks ends as the county expects, in a dry run too.
    let before = system.last_sequence("registry").await;
    let dry = import(
        &mut registry,
        options(FENGCHENG, true),
        &county::workbook(FENGCHENG),
    )
    .await
    .unwrap();
    ends_as_expected(&dry, FENGCHENG);
    assert_eq!(
        system.last_sequence("registry").await,
        before,
        "a dry run wrote something"
    );
    let mut accepted = Vec::new();
    let mut position = String::new();
    for town in [FENGCHENG, PENGLAI] {
        let imported = import(&mut registry, options(town, false), &county::workbook(town))
            .await
            .unwrap();
        ends_as_expected(&imported, town);
        assert_eq!(imported.summary.as_of, Some(date("2024-09-20")));
        let elders = imported.elders(SurveyOutcome::Accepted);
        assert_eq!(imported.summary.accepted as usize, elders.len());
        accepted.push(elders);
        position = imported.summary.position;
    }
    let [fengcheng, penglai] = [accepted[0].len(), accepted[1].len()];

    // What was imported is visible at once to whoever names the position.
    let statistics = system.statistics(&position).await;
    assert_eq!(statistics.elders as usize, fengcheng + penglai);
    assert_eq!(
        statistics.in_scope as usize,
        fengcheng + penglai,
        "whoever was accepted is 60 and has a category"
    );
    let by_division: BTreeMap<_, _> = statistics
        .by_division
        .iter()
        .map(|count| (count.value.as_str(), count.elders as usize))
        .collect();
    assert_eq!(by_division.get("350524100"), Some(&fengcheng));
    assert_eq!(by_division.get("350524101"), Some(&penglai));

    // A list goes page by page through the very elders who were accepted.
    let mut listed = Vec::new();
    let mut page = ListEldersRequest {
        division_code: "350524100".to_owned(),
        page_size: 50,
        view: ElderView::Facts.into(),
        ..ListEldersRequest::default()
    };
    loop {
        let answer = registry
            .list_elders(page.clone())
            .await
            .unwrap()
            .into_inner();
        assert!(
            answer
                .elders
                .iter()
                .all(|elder| elder.name.is_empty() && elder.id_number.is_empty())
        );
        listed.extend(answer.elders.into_iter().map(|elder| elder.elder_id));
        if answer.next_page_token.is_empty() {
            break;
        }
        page.page_token = answer.next_page_token;
    }
    let mut expected = accepted[0].clone();
    expected.sort();
    assert_eq!(listed, expected);

    // A file, found by its id, by its number and by its name.
    let get = GetElderRequest {
        elder_id: accepted[0][0].clone(),
        ..GetElderRequest::default()
    };
    let elder = registry
        .get_elder(get.clone())
        .await
        .unwrap()
        .into_inner()
        .elder
        .unwrap();
    assert!(elder.in_scope && !elder.name.is_empty());
    let by_number = SearchEldersRequest {
        id_number: elder.id_number.clone(),
        ..SearchEldersRequest::default()
    };
    let by_name = SearchEldersRequest {
        name: elder.name.clone(),
        division_code: county::COUNTY.to_owned(),
        ..SearchEldersRequest::default()
    };
    for search in [by_number, by_name] {
        let found = system.found(search).await;
        assert!(found.contains(&elder), "{} found others only", found.len());
    }

    // The tiers are there for whoever names the position in the registry's log, and equal the county's.
    let count = system.tiers_counted(&position).await;
    assert_eq!(count.in_scope as usize, fengcheng + penglai);
    let expected = county::expected("tiers-2024-10-01.json");
    let towns = ["350524100", "350524101"].map(|town| &expected["towns"][town]);
    for tier in &count.tiers {
        let both: i64 = towns
            .iter()
            .map(|town| town[&tier.tier].as_i64().unwrap())
            .sum();
        assert_eq!(tier.elders, both, "{}", tier.tier);
    }

    // What an office prints holds the same elders.
    let export = ExportSummaryRequest {
        division_code: "350524100".to_owned(),
        ..ExportSummaryRequest::default()
    };
    let pieces = registry.export_summary(export).await.unwrap().into_inner();
    let book = pieces.try_fold(Vec::new(), |mut book, piece| async move {
        book.extend_from_slice(&piece.chunk);
        Ok(book)
    });
    let mut book = calamine::Xlsx::new(Cursor::new(book.await.unwrap())).unwrap();
    let sheet = book.worksheet_range_at(0).unwrap().unwrap();
    let mut cells = sheet
        .cells()
        .filter_map(|(_, _, cell)| calamine::DataType::get_string(cell));
    assert!(cells.any(|cell| cell == elder.name));
    let form = ExportElderFormRequest {
        elder_id: elder.elder_id.clone(),
        ..ExportElderFormRequest::default()
    };
    let form = registry
        .export_elder_form(form)
        .await
        .unwrap()
        .into_inner()
        .workbook;
    assert!(calamine::Xlsx::new(Cursor::new(form.to_vec())).is_ok());

    // The same workbook again changes nothing.
    let before = system.last_sequence("registry").await;
    let again = import(
        &mut registry,
        options(FENGCHENG, false),
        &county::workbook(FENGCHENG),
    )
    .await
    .unwrap();
    assert_eq!(again.summary.accepted, 0);
    assert_eq!(
        again.elders(SurveyOutcome::Duplicate).len(),
        fengcheng + dry.summary.duplicate as usize
    );
    assert_eq!(system.last_sequence("registry").await, before);
    system.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_fact_changes_the_tier_and_is_explained() {
    let mut system = System::start().await;
    let (mut registry, mut tiering) = (system.registry(), system.tiering());
    let elder = integration_tests::an_elder("陈阿财");
    let (elder_id, min_position) = system.registered(elder).await;
    let tier = system.tier(&elder_id, &min_position).await.unwrap();
    let assignment = tier.assignment.unwrap();
    assert_eq!(
        (assignment.tier.as_str(), assignment.reasons),
        ("GENERAL", vec!["HEALTHY".to_owned()])
    );
    assert_eq!(
        assignment.modes.len(),
        4,
        "in good health every mode is allowed"
    );

    system.advance_to("2024-10-08T10:00:00+08:00").await;
    let assessment = RecordAssessmentRequest {
        request_id: new_id(),
        elder_id: elder_id.clone(),
        assessed_on: Some(date("2024-10-07")),
        source: "ASSESSMENT_AGENCY".to_owned(),
        item_scores: [vec![2; 20], vec![0; 6]].concat(),
        ..RecordAssessmentRequest::default()
    };
    let assessed = registry
        .record_assessment(assessment.clone())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        assessed.level(),
        CapabilityLevel::Severe,
        "40 points are a severe disability"
    );
    let min_position = assessed.committed.unwrap().position;

    let tier = system.tier(&elder_id, &min_position).await.unwrap();
    let assignment = tier.assignment.unwrap();
    assert_eq!(
        (assignment.tier.as_str(), assignment.reasons.as_slice()),
        ("PRIORITY", ["SEVERE_DISABILITY".to_owned()].as_slice())
    );
    assert_eq!(assignment.modes.len(), 1, "at home only");

    // Listed under its new reason, and under the old one no more.
    for (reason, listed) in [("SEVERE_DISABILITY", 1), ("HEALTHY", 0)] {
        let list = ListTiersRequest {
            division_code: county::COUNTY.to_owned(),
            reasons: vec![reason.to_owned()],
            ..ListTiersRequest::default()
        };
        assert_eq!(
            tiering
                .list_tiers(list)
                .await
                .unwrap()
                .into_inner()
                .tiers
                .len(),
            listed,
            "{reason}"
        );
    }

    // Explained for today and for a past day, each fact with the event that gave it.
    let explain = |on| ExplainTierRequest {
        elder_id: elder_id.clone(),
        on,
        ..ExplainTierRequest::default()
    };
    let today = tiering
        .explain_tier(explain(None))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(today.assignment.unwrap().tier, "PRIORITY");
    let capability = today
        .facts
        .iter()
        .find(|fact| fact.fact == "capability")
        .unwrap();
    assert_eq!(
        (capability.value.as_str(), capability.event.as_str()),
        ("SEVERE", "CapabilityAssessed")
    );
    assert_eq!(
        (capability.position.as_str(), capability.holds_from),
        (min_position.as_str(), Some(date("2024-10-07")))
    );
    let applying: Vec<_> = today
        .rules
        .iter()
        .filter(|rule| rule.applies)
        .map(|rule| rule.rule.as_str())
        .collect();
    assert_eq!(applying, ["SEVERE_DISABILITY"]);
    assert!(
        today
            .rules
            .iter()
            .all(|rule| !rule.source.is_empty() && !rule.condition.is_empty())
    );
    let past = tiering
        .explain_tier(explain(Some(date("2024-10-02"))))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(past.assignment.unwrap().tier, "GENERAL");

    // The history says who, when, what; the file can be read as it was known before.
    let history = system.changes(&elder_id).await;
    let events: Vec<_> = history.iter().map(|change| change.event.as_str()).collect();
    assert_eq!(events, ["ElderRegistered", "CapabilityAssessed"]);
    assert_eq!(history[1].actor, "officer:test-officer");
    assert_eq!(history[1].request_id, assessment.request_id);
    assert_eq!(
        history[1].recorded_at,
        Some(timestamp("2024-10-08T10:00:00+08:00"))
    );
    assert_eq!(history[1].holds_from, "2024-10-07");
    let as_known = GetElderRequest {
        elder_id: elder_id.clone(),
        as_of: Some(timestamp("2024-10-07T20:00:00+08:00")),
        ..GetElderRequest::default()
    };
    let known = registry
        .get_elder(as_known)
        .await
        .unwrap()
        .into_inner()
        .elder
        .unwrap();
    assert_eq!(
        known.capability.as_ref().unwrap().level(),
        CapabilityLevel::Intact
    );
    assert_eq!(
        known.categories().collect::<Vec<_>>(),
        [Category::LivingAlone]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn databases_that_were_lost_come_back_from_the_log() {
    let mut system = System::start().await;
    let imported = import(
        &mut system.registry(),
        options(FENGCHENG, false),
        &county::workbook(FENGCHENG),
    )
    .await
    .unwrap();
    let answers = async |system: &System| {
        let min_position = imported.summary.position.clone();
        let (division_code, page_size) = (county::COUNTY.to_owned(), 1_000);
        let list = ListEldersRequest {
            division_code: division_code.clone(),
            page_size,
            min_position: min_position.clone(),
            ..ListEldersRequest::default()
        };
        let elders = system
            .registry()
            .list_elders(list)
            .await
            .unwrap()
            .into_inner()
            .elders;
        let list = ListTiersRequest {
            division_code,
            page_size,
            min_position,
            ..ListTiersRequest::default()
        };
        (
            elders,
            system
                .tiering()
                .list_tiers(list)
                .await
                .unwrap()
                .into_inner()
                .tiers,
        )
    };
    let before = answers(&system).await;
    assert_eq!(before.1.len(), imported.summary.accepted as usize);
    let written = [
        system.last_sequence("registry").await,
        system.last_sequence("tiering").await,
    ];
    system.kill().await;
    system.lose_databases().await;
    system.restart().await;
    system.settled().await;
    assert_eq!(answers(&system).await, before);
    let now = [
        system.last_sequence("registry").await,
        system.last_sequence("tiering").await,
    ];
    assert_eq!(now, written, "nothing new happened");
    system.verify().await;
}
