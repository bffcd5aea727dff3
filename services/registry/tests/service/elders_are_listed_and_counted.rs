//! Lists and counts follow the facts of the day: a day that passes, a birthday, a move in the future.

use std::collections::BTreeMap;

use crate::support::{
    self, Client, Ground, OTHER_VILLAGE, Running, another, date, id_number, instant, register,
    request_id, wang_xiuying,
};
use proto::eldercare::{registry::v1 as pb, r#type::v1 as types};
use tonic::Code;

async fn list(client: &mut Client, request: pb::ListEldersRequest) -> Vec<String> {
    let mut found = Vec::new();
    let mut request = request;
    loop {
        let page = client
            .list_elders(request.clone())
            .await
            .unwrap()
            .into_inner();
        found.extend(page.elders.into_iter().map(|elder| elder.elder_id));
        if page.next_page_token.is_empty() {
            return found;
        }
        request.page_token = page.next_page_token;
    }
}

fn in_division(code: &str, min_position: &str) -> pb::ListEldersRequest {
    pb::ListEldersRequest {
        division_code: code.to_owned(),
        min_position: min_position.to_owned(),
        ..pb::ListEldersRequest::default()
    }
}

#[tokio::test]
async fn a_list_is_paged_filtered_and_in_the_order_of_ids() {
    let running = Running::new().await;
    let mut client = running.client();
    let mut elders = Vec::new();
    let mut position = String::new();
    for person in 0..7 {
        let mut request = another(person);
        if person % 2 == 1 {
            request.categories = vec![
                types::Category::EmptyNest.into(),
                types::Category::Disabled.into(),
            ];
            request.division_code = OTHER_VILLAGE.to_owned();
        }
        let (elder, at) = register(&mut client, request).await;
        elders.push(elder);
        position = at;
    }
    let mut sorted = elders.clone();
    sorted.sort();
    let whole = in_division("350524", &position);
    assert_eq!(
        list(
            &mut client,
            pb::ListEldersRequest {
                page_size: 2,
                ..whole.clone()
            }
        )
        .await,
        sorted
    );
    assert_eq!(list(&mut client, in_division("3505", "")).await, sorted);
    assert_eq!(
        list(&mut client, in_division("350525", "")).await,
        [] as [String; 0]
    );
    let mut odd: Vec<_> = elders.iter().skip(1).step_by(2).cloned().collect();
    odd.sort();
    assert_eq!(list(&mut client, in_division(OTHER_VILLAGE, "")).await, odd);
    let disabled = vec![
        types::Category::Disabled.into(),
        types::Category::SpecialFamily.into(),
    ];
    assert_eq!(
        list(
            &mut client,
            pb::ListEldersRequest {
                categories: disabled,
                ..whole.clone()
            }
        )
        .await,
        odd
    );
    let severe = vec![types::CapabilityLevel::Severe.into()];
    assert!(
        list(
            &mut client,
            pb::ListEldersRequest {
                capabilities: severe,
                ..whole.clone()
            }
        )
        .await
        .is_empty()
    );
    let poor = vec![types::Assistance::MinimumLiving.into()];
    assert_eq!(
        list(
            &mut client,
            pb::ListEldersRequest {
                assistance: poor,
                ..whole.clone()
            }
        )
        .await
        .len(),
        7
    );

    let first = client
        .list_elders(pb::ListEldersRequest {
            page_size: 2,
            ..whole.clone()
        })
        .await
        .unwrap()
        .into_inner();
    let other_list = pb::ListEldersRequest {
        page_token: first.next_page_token,
        ..in_division("3505", "")
    };
    assert_eq!(
        client.list_elders(other_list).await.unwrap_err().code(),
        Code::InvalidArgument
    );
}

#[tokio::test]
async fn what_holds_from_a_day_on_is_listed_and_counted_from_that_day_on() {
    let running = Running::new().await;
    let mut client = running.client();
    let (elder, _) = register(&mut client, wang_xiuying()).await;
    let young = pb::RegisterElderRequest {
        id_number: id_number("1964-11-04", 2),
        ..another(1)
    };
    register(&mut client, young).await;
    let relocation = pb::RelocateElderRequest {
        request_id: request_id(),
        elder_id: elder.clone(),
        on: date("2024-11-03"),
        division_code: OTHER_VILLAGE.to_owned(),
        address: "新美村".to_owned(),
        ..pb::RelocateElderRequest::default()
    };
    client.relocate_elder(relocation).await.unwrap();
    let death = pb::RecordMoveOutRequest {
        request_id: request_id(),
        elder_id: elder.clone(),
        on: date("2024-11-05"),
        ..pb::RecordMoveOutRequest::default()
    };
    let position = client
        .record_move_out(death)
        .await
        .unwrap()
        .into_inner()
        .committed
        .unwrap()
        .position;

    let mut seen = Vec::new();
    for day in ["2024-11-02", "2024-11-03", "2024-11-04", "2024-11-05"] {
        running
            .ground
            .clock
            .advance_to(instant(&format!("{day}T00:00:00+08:00")))
            .unwrap();
        let here = list(&mut client, in_division("350524100", &position))
            .await
            .contains(&elder);
        let there = list(&mut client, in_division("350524101", ""))
            .await
            .contains(&elder);
        let statistics = pb::GetStatisticsRequest {
            division_code: "350524".to_owned(),
            ..Default::default()
        };
        let counts = client
            .get_statistics(statistics)
            .await
            .unwrap()
            .into_inner();
        seen.push((here, there, counts.elders, counts.in_scope));
    }
    assert_eq!(
        seen,
        [
            (true, false, 2, 1),
            (false, true, 2, 1),
            // The sixtieth birthday of the other one.
            (false, true, 2, 2),
            (false, false, 1, 1),
        ]
    );
    running.verify().await;
}

#[tokio::test]
async fn a_division_is_counted_by_every_fact() {
    let running = Running::new().await;
    let mut client = running.client();
    register(&mut client, wang_xiuying()).await;
    let mut other = another(1);
    other.categories.clear();
    other.handicap_grade = 0;
    other.capability = None;
    other.circumstances.clear();
    other.division_code = OTHER_VILLAGE.to_owned();
    let (dead, position) = register(&mut client, other).await;
    let statistics = pb::GetStatisticsRequest {
        division_code: "350524".to_owned(),
        min_position: position,
    };
    let counts = client
        .get_statistics(statistics.clone())
        .await
        .unwrap()
        .into_inner();
    let told = |counts: &[pb::Count]| -> BTreeMap<String, i64> {
        counts
            .iter()
            .map(|count| (count.value.clone(), count.elders))
            .collect()
    };
    let table = |pairs: &[(&str, i64)]| -> BTreeMap<String, i64> {
        pairs
            .iter()
            .map(|(value, elders)| ((*value).to_owned(), *elders))
            .collect()
    };
    assert_eq!((counts.elders, counts.in_scope), (2, 1));
    assert_eq!(told(&counts.by_sex), table(&[("FEMALE", 1), ("MALE", 1)]));
    assert_eq!(
        told(&counts.by_age_band),
        table(&[("70-74", 1), ("80-84", 1)])
    );
    assert_eq!(told(&counts.by_category), table(&[("LIVING_ALONE", 1)]));
    assert_eq!(told(&counts.by_assistance), table(&[("MINIMUM_LIVING", 2)]));
    assert_eq!(
        told(&counts.by_capability),
        table(&[("MILD", 1), ("UNASSESSED", 1)])
    );
    assert_eq!(
        told(&counts.by_handicap_grade),
        table(&[("3", 1), ("NONE", 1)])
    );
    assert_eq!(
        told(&counts.by_observation),
        table(&[("MOBILITY_IMPAIRED", 2)])
    );
    assert_eq!(told(&counts.by_consent), table(&[("GRANTED", 2)]));
    assert_eq!(told(&counts.by_circumstance), table(&[("ACCIDENT", 1)]));
    assert_eq!(
        told(&counts.by_division),
        table(&[("350524100", 1), ("350524101", 1)])
    );
    assert_eq!(told(&counts.by_source), table(&[("API", 2)]));
    let death = pb::RecordDeathRequest {
        request_id: request_id(),
        elder_id: dead,
        on: date("2024-10-30"),
        ..pb::RecordDeathRequest::default()
    };
    let min_position = client
        .record_death(death)
        .await
        .unwrap()
        .into_inner()
        .committed
        .unwrap()
        .position;
    let counts = client
        .get_statistics(pb::GetStatisticsRequest {
            min_position,
            ..statistics.clone()
        })
        .await
        .unwrap()
        .into_inner();
    assert_eq!(counts.elders, 1);
    assert_eq!(
        told(&counts.by_status),
        table(&[("ACTIVE", 1), ("DECEASED", 1)])
    );
    assert_eq!(told(&counts.by_sex), table(&[("FEMALE", 1)]));

    // The last day of the circumstance, and the one after it.
    for (day, there) in [("2024-11-10", true), ("2024-11-11", false)] {
        let noon = instant(&format!("{day}T12:00:00+08:00"));
        running.ground.clock.advance_to(noon).unwrap();
        let counts = client.get_statistics(statistics.clone()).await.unwrap();
        let counts = told(&counts.into_inner().by_circumstance);
        assert_eq!(counts.contains_key("ACCIDENT"), there, "{day}");
    }
    running.verify().await;
}

#[tokio::test]
async fn divisions_are_listed_by_subtree_and_replaced_as_a_whole() {
    let running = Running::new().await;
    let mut client = running.client();
    let table = support::sample_divisions();
    let position = client
        .import_divisions(table.clone())
        .await
        .unwrap()
        .into_inner()
        .committed
        .unwrap()
        .position;
    let list = |division_code: &str, min_position: &str| pb::ListDivisionsRequest {
        division_code: division_code.to_owned(),
        min_position: min_position.to_owned(),
        ..pb::ListDivisionsRequest::default()
    };
    let all = client
        .list_divisions(list("", &position))
        .await
        .unwrap()
        .into_inner()
        .divisions;
    assert_eq!(all.len(), table.divisions.len());
    let (mut paged, mut token) = (Vec::new(), String::new());
    loop {
        let page = pb::ListDivisionsRequest {
            page_size: 100,
            page_token: token,
            ..list("", &position)
        };
        let page = client.list_divisions(page).await.unwrap().into_inner();
        assert!(page.divisions.len() <= 100);
        paged.extend(page.divisions);
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(paged, all);
    let town = client
        .list_divisions(list("350524109", ""))
        .await
        .unwrap()
        .into_inner()
        .divisions;
    assert!(
        town.iter()
            .all(|division| division.code.starts_with("350524109"))
    );
    assert_eq!(town[0].level(), types::DivisionLevel::Town);
    let mut smaller = table.clone();
    smaller.request_id = request_id();
    smaller
        .divisions
        .retain(|division| !division.code.starts_with("350524109"));
    let position = client
        .import_divisions(smaller)
        .await
        .unwrap()
        .into_inner()
        .committed
        .unwrap()
        .position;
    assert!(
        client
            .list_divisions(list("350524109", &position))
            .await
            .unwrap()
            .into_inner()
            .divisions
            .is_empty()
    );
    let mut orphaned = table;
    orphaned.request_id = request_id();
    orphaned
        .divisions
        .retain(|division| division.code.len() != 9);
    assert_eq!(
        client.import_divisions(orphaned).await.unwrap_err().code(),
        Code::InvalidArgument
    );
    running.verify().await;
}

/// Files so rich that a few of them fill an answer of 64 KiB.
#[tokio::test]
async fn pages_end_before_an_answer_outgrows_a_message() {
    use tonic_types::StatusExt as _;
    let narrow = |settings: &mut service::Settings| settings.grpc.max_message_bytes = 64 << 10;
    let running = Ground::new().await.start_with(narrow).await.unwrap();
    let mut client = running.client();
    let (mut elders, mut position) = (Vec::new(), String::new());
    for person in 0..12 {
        let contact = support::contact(&"陈".repeat(64), &"女".repeat(32), "13811178935");
        let rich = pb::RegisterElderRequest {
            remarks: "记".repeat(1_000),
            address: "址".repeat(200),
            contacts: vec![contact; 20],
            ..another(person)
        };
        let (elder, at) = register(&mut client, rich).await;
        elders.push(elder);
        position = at;
    }
    elders.sort();
    let all = pb::ListEldersRequest {
        page_size: 1_000,
        ..in_division("350524", &position)
    };
    let first = client.list_elders(all.clone()).await.unwrap().into_inner();
    assert!((1..12).contains(&first.elders.len()));
    assert_eq!(list(&mut client, all).await, elders);

    let batch = |elders: &[String]| pb::BatchGetEldersRequest {
        elder_ids: elders.to_vec(),
        ..pb::BatchGetEldersRequest::default()
    };
    let status = client.batch_get_elders(batch(&elders)).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let wrong = status.get_details_bad_request().unwrap().field_violations;
    assert_eq!(
        (wrong[0].field.as_str(), wrong[0].reason.as_str()),
        ("elder_ids", "ANSWER_TOO_LARGE")
    );
    let few = client.batch_get_elders(batch(&elders[..3])).await.unwrap();
    assert_eq!(few.into_inner().elders.len(), 3);
    let facts = pb::BatchGetEldersRequest {
        view: pb::ElderView::Facts.into(),
        ..batch(&elders)
    };
    let facts = client.batch_get_elders(facts).await.unwrap().into_inner();
    assert_eq!(facts.elders.len(), 12);

    // A history of long remarks.
    for turn in 0..30 {
        let update = pb::UpdateElderRequest {
            request_id: request_id(),
            elder_id: elders[0].clone(),
            profile: Some(pb::ElderProfile {
                remarks: ["忆", "记"][turn % 2].repeat(1_000 - turn),
                ..pb::ElderProfile::default()
            }),
            update_mask: Some(prost_types::FieldMask {
                paths: vec!["remarks".to_owned()],
            }),
            ..pb::UpdateElderRequest::default()
        };
        client.update_elder(update).await.unwrap();
    }
    let (mut told, mut pages, mut token) = (Vec::new(), 0, String::new());
    loop {
        let page = pb::GetElderHistoryRequest {
            elder_id: elders[0].clone(),
            page_size: 1_000,
            page_token: token,
        };
        let page = client.get_elder_history(page).await.unwrap().into_inner();
        told.extend(page.changes.into_iter().map(|change| change.position));
        pages += 1;
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert!(pages > 1);
    let mut distinct = told.clone();
    distinct.dedup();
    assert_eq!((told.len(), distinct.len()), (31, 31));
}

#[tokio::test]
async fn a_summary_and_a_form_are_printed() {
    let running = Running::new().await;
    let mut client = running.client();
    let table = support::sample_divisions();
    let village = |division: &&types::Division| {
        division.code.starts_with("350524109") && division.code.len() == 12
    };
    let village = table.divisions.iter().find(village).unwrap().code.clone();
    client.import_divisions(table).await.unwrap();
    let request = pb::RegisterElderRequest {
        division_code: village,
        ..wang_xiuying()
    };
    let (elder_id, position) = register(&mut client, request).await;
    let export = pb::ExportSummaryRequest {
        division_code: "350524109".to_owned(),
        min_position: position,
        ..pb::ExportSummaryRequest::default()
    };
    let mut pieces = client.export_summary(export).await.unwrap().into_inner();
    let mut book = Vec::new();
    while let Some(piece) = pieces.message().await.unwrap() {
        book.extend_from_slice(&piece.chunk);
    }
    let sheet =
        registry::survey::workbook::read(&book, &registry::survey::Limits::DEFAULT).unwrap();
    assert_eq!(
        (sheet.len(), sheet.as_of().to_string()),
        (1, support::TODAY.to_owned())
    );
    let form = pb::ExportElderFormRequest {
        elder_id,
        ..pb::ExportElderFormRequest::default()
    };
    let form = client
        .export_elder_form(form)
        .await
        .unwrap()
        .into_inner()
        .workbook;
    assert!(form.starts_with(b"PK"));
}
