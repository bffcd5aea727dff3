//! Figures: each adds up, and behind each stands a list of as many orders.

use std::collections::BTreeMap;

use proto::eldercare::claims::v1 as pb;
use proto::eldercare::claims::v1::FigureGroup as By;

use crate::support::{
    COUNTY, Ground, OTHER_VILLAGE, Person, Running, VILLAGE, all_in, date, end_of_enrolment, order,
    short_order,
};

/// Orders of two elders, by two providers, approved in two months: approved, open, refused and expired ones.
async fn county() -> Running {
    let ground = Ground::at("2024-03-01 09:00");
    let running = ground.start().await;
    let caregiver = running.insurance().await;
    running.contract("P02", "LTCI").await.unwrap();
    let others = running.caregiver("P02").await;
    let poor = running.insured().await;
    let handicapped = Person {
        village: OTHER_VILLAGE,
        handicap: Some(1),
        ..Person::default()
    };
    let handicapped = handicapped.on(&ground).await;
    running.enrolled(handicapped).await;
    for number in 1..=3 {
        let start = format!("2024-02-{number:02} 09:00");
        running
            .told(&order(&format!("P{number}"), poor, &caregiver, &start))
            .await;
        let of_p02 = pb::ServiceOrder {
            provider_id: "P02".to_owned(),
            ..order(&format!("H{number}"), handicapped, &others, &start)
        };
        running.told(&of_p02).await;
    }
    // One expires, one is refused, one is accepted in April, and one stays open with two codes.
    let expired = short_order("X", poor, &caregiver, "2024-02-10 09:00");
    running.told(&expired).await;
    running.advance("2024-03-30 09:00").await;
    for (number, start) in [("R", "2024-03-21 09:00"), ("A", "2024-03-22 09:00")] {
        running
            .told(&short_order(number, poor, &caregiver, start))
            .await;
        running.appeal(number).await.unwrap();
    }
    running.decide("R", false).await.unwrap();
    running.advance("2024-04-01 00:00").await;
    running.decide("A", true).await.unwrap();
    let mut open = short_order("O", poor, &caregiver, "2024-03-23 09:00");
    open.items.clear();
    running.told(&open).await;
    running
}

/// Orders, approved, open and never paid ones, and what the approved ones cost.
type Figures = (i64, i64, i64, i64, i64);

/// The figures by their keys.
fn by_keys(told: &pb::GetFiguresResponse) -> BTreeMap<String, Figures> {
    for row in &told.rows {
        let states = row.waiting + row.approved + row.abnormal_open + row.not_settled;
        assert_eq!(row.orders, states, "{row:?}");
    }
    let rows = told.rows.iter().map(|row| {
        let figures = (
            row.orders,
            row.approved,
            row.abnormal_open,
            row.not_settled,
            row.approved_fen,
        );
        (row.keys.join(" "), figures)
    });
    rows.collect()
}

#[tokio::test]
async fn figures_of_parts_add_up_to_the_whole() {
    let running = county().await;
    let whole = running.figures(all_in(COUNTY), &[]).await;
    assert_eq!(whole.rows.len(), 1);
    let row = &whole.rows[0];
    assert_eq!(
        (row.orders, row.approved, row.abnormal_open, row.not_settled),
        (10, 7, 1, 2)
    );
    assert_eq!((row.abnormal_at_submission, row.waiting), (4, 0));
    assert_eq!((row.approved_fen, row.persons_approved), (140_000, 2));
    for groups in [
        &[By::Provider][..],
        &[By::ServiceMonth],
        &[By::ApprovalMonth],
        &[By::EntitledBy],
        &[By::Division],
        &[By::Programme],
        &[By::Provider, By::ServiceMonth],
        &[By::Division, By::ApprovalMonth],
    ] {
        let told = running.figures(all_in(COUNTY), groups).await;
        let sum = |of: fn(&pb::FigureRow) -> i64| told.rows.iter().map(of).sum::<i64>();
        assert_eq!(sum(|row| row.orders), 10, "{groups:?}");
        assert_eq!(sum(|row| row.approved), 7);
        assert_eq!(sum(|row| row.abnormal_open), 1);
        assert_eq!(sum(|row| row.not_settled), 2);
        assert_eq!(sum(|row| row.abnormal_at_submission), 4);
        assert_eq!(sum(|row| row.approved_fen), 140_000);
        assert!(told.rows.iter().all(|row| row.keys.len() == groups.len()));
        let keys: Vec<_> = told.rows.iter().map(|row| row.keys.clone()).collect();
        assert!(keys.is_sorted(), "{keys:?}");
    }
    running.stop().await;
}

#[tokio::test]
async fn figures_are_told_by_each_group() {
    let running = county().await;
    let by = async |group: By| by_keys(&running.figures(all_in(COUNTY), &[group]).await);
    let expected = |rows: &[(&str, Figures)]| -> BTreeMap<_, _> {
        let rows = rows.iter();
        rows.map(|(key, figures)| ((*key).to_owned(), *figures))
            .collect()
    };
    let of_p01 = (7, 4, 1, 2, 80_000);
    let of_p02 = (3, 3, 0, 0, 60_000);
    assert_eq!(
        by(By::Provider).await,
        expected(&[("P01", of_p01), ("P02", of_p02)])
    );
    let rules = expected(&[("LOW_INCOME", of_p01), ("HANDICAP_1_2", of_p02)]);
    assert_eq!(by(By::EntitledBy).await, rules);
    let programmes = expected(&[("LTCI", (10, 7, 1, 2, 140_000))]);
    assert_eq!(by(By::Programme).await, programmes);
    let towns = expected(&[("350524100", of_p01), ("350524101", of_p02)]);
    assert_eq!(by(By::Division).await, towns);
    let months = expected(&[
        ("2024-02", (7, 6, 0, 1, 120_000)),
        ("2024-03", (3, 1, 1, 1, 20_000)),
    ]);
    assert_eq!(by(By::ServiceMonth).await, months);
    // By the local month: the first of April begins while it is March in London.
    let months = expected(&[
        ("", (3, 0, 1, 2, 0)),
        ("2024-03", (6, 6, 0, 0, 120_000)),
        ("2024-04", (1, 1, 0, 0, 20_000)),
    ]);
    assert_eq!(by(By::ApprovalMonth).await, months);
    // An order counts with each of its codes.
    let codes = expected(&[
        ("", (6, 6, 0, 0, 120_000)),
        ("DURATION_SHORT", (4, 1, 1, 2, 20_000)),
        ("ITEMS_INVALID", (1, 0, 1, 0, 0)),
    ]);
    assert_eq!(by(By::Code).await, codes);
    running.stop().await;
}

#[tokio::test]
async fn rows_come_by_key_also_where_the_keys_are_codes() {
    let ground = Ground::at("2024-03-01 09:00");
    let running = ground.start().await;
    let caregiver = running.insurance().await;
    let elder = running.insured().await;
    for (number, start) in [("A", "2024-02-10 09:00"), ("B", "2024-02-10 10:00")] {
        running.told(&order(number, elder, &caregiver, start)).await;
    }
    let stranger = ground.elder().await;
    let mut bad = short_order("C", stranger, &caregiver, "2024-01-10 09:00");
    bad.items.clear();
    bad.evidence.clear();
    running.told(&bad).await;
    let told = running.figures(all_in(COUNTY), &[By::Code]).await;
    let keys: Vec<_> = told.rows.iter().map(|row| row.keys[0].as_str()).collect();
    let mut expected = [
        "",
        "DUPLICATE_SERVICE",
        "DURATION_SHORT",
        "EVIDENCE_MISSING",
        "ITEMS_INVALID",
        "LATE_SUBMISSION",
        "NOT_ENROLLED",
    ];
    expected.sort_unstable();
    assert_eq!(keys, expected);
    running.stop().await;
}

#[tokio::test]
async fn behind_each_figure_stands_a_list_of_as_many_orders() {
    let running = county().await;
    let states = [
        pb::OrderState::Waiting,
        pb::OrderState::Approved,
        pb::OrderState::AbnormalOpen,
        pb::OrderState::NotSettled,
    ];
    let mut filters = vec![all_in(COUNTY), all_in(VILLAGE), all_in("350525")];
    for change in [
        (|f| f.provider_id = "P01".to_owned()) as fn(&mut pb::OrderFilter),
        |f| f.entitled_by = "LOW_INCOME".to_owned(),
        |f| f.code = pb::OrderCode::DurationShort.into(),
        |f| f.approved_in_month_of = date("2024-03-15"),
        |f| f.first_service_day = date("2024-03-01"),
        |f| f.last_service_day = date("2024-02-02"),
        |f| f.programme_code = "LTCI".to_owned(),
        |f| f.without_code = true,
        |f| f.not_approved = true,
    ] {
        let mut filter = all_in(COUNTY);
        change(&mut filter);
        filters.push(filter);
    }
    for filter in filters {
        let told = running.figures(filter.clone(), &[]).await;
        let row = &told.rows[0];
        let all = running.orders(filter.clone()).await;
        let length = |orders: &[pb::OrderStanding]| i64::try_from(orders.len()).unwrap();
        assert_eq!(row.orders, length(&all), "{filter:?}");
        let figures = [
            row.waiting,
            row.approved,
            row.abnormal_open,
            row.not_settled,
        ];
        for (state, figure) in states.into_iter().zip(figures) {
            let filter = pb::OrderFilter {
                states: vec![state.into()],
                ..filter.clone()
            };
            let listed = running.orders(filter.clone()).await;
            assert_eq!(length(&listed), figure, "{filter:?}");
            if state == pb::OrderState::Approved {
                let fen: i64 = listed.iter().map(|one| one.amount_fen).sum();
                assert_eq!(fen, row.approved_fen);
            }
        }
        let abnormal = pb::OrderFilter {
            abnormal_at_submission: true,
            ..filter
        };
        let listed = running.orders(abnormal).await;
        assert!(listed.iter().all(|one| !one.codes.is_empty()), "{listed:?}");
        assert_eq!(length(&listed), row.abnormal_at_submission);
    }
    running.stop().await;
}

#[tokio::test]
async fn orders_without_a_code_or_an_approval_are_listed_as_they_are_counted() {
    let running = county().await;
    let without_key = async |group: By| {
        let told = running.figures(all_in(COUNTY), &[group]).await;
        let mut rows = told.rows.into_iter();
        let row = rows.find(|row| row.keys[0].is_empty());
        usize::try_from(row.unwrap().orders).unwrap()
    };
    let without_code = pb::OrderFilter {
        without_code: true,
        ..all_in(COUNTY)
    };
    let listed = running.orders(without_code).await;
    assert!(listed.iter().all(|one| one.codes.is_empty()), "{listed:?}");
    assert_eq!((listed.len(), without_key(By::Code).await), (6, 6));
    let not_approved = pb::OrderFilter {
        not_approved: true,
        ..all_in(COUNTY)
    };
    let listed = running.orders(not_approved).await;
    assert!(listed.iter().all(|one| one.approved_at.is_none()));
    assert_eq!((listed.len(), without_key(By::ApprovalMonth).await), (3, 3));
    running.stop().await;
}

#[tokio::test]
async fn the_enrolled_are_counted_on_the_last_day_asked_about() {
    let running = county().await;
    let enrolled = async |division: &str, programme: &str, last: Option<&str>| {
        let filter = pb::OrderFilter {
            programme_code: programme.to_owned(),
            last_service_day: last.and_then(date),
            ..all_in(division)
        };
        running.figures(filter, &[]).await.enrolled
    };
    assert_eq!(enrolled(COUNTY, "LTCI", None).await, 2);
    assert_eq!(enrolled(VILLAGE, "LTCI", None).await, 1);
    assert_eq!(enrolled(COUNTY, "LTCI", Some("2024-12-31")).await, 2);
    assert_eq!(enrolled(COUNTY, "LTCI", Some("2025-01-01")).await, 0);
    assert_eq!(enrolled(COUNTY, "LTCI", Some("2023-12-31")).await, 0);
    assert_eq!(enrolled(COUNTY, "HOMECARE", None).await, 0);
    // Where no programme is asked about, none are counted.
    assert_eq!(enrolled(COUNTY, "", None).await, 0);
    running.stop().await;
}

#[tokio::test]
async fn behind_the_number_of_the_enrolled_stands_a_list() {
    let ground = Ground::at("2024-03-01 09:00");
    let running = ground.start().await;
    running.insurance().await;
    let mut elders = Vec::new();
    for _ in 0..4 {
        elders.push(ground.elder().await);
    }
    let mut enrolments = Vec::new();
    for elder in &elders {
        enrolments.push(running.enrolled(*elder).await);
    }
    let end = end_of_enrolment(elders[0], &enrolments[0], "2024-02-15");
    running.client().end_enrolment(end).await.unwrap();
    running.settled().await;
    let listed = async |division: &str, on: Option<&str>| {
        let mut request = pb::ListEnrolmentsRequest {
            division_code: division.to_owned(),
            programme_code: "LTCI".to_owned(),
            on: on.and_then(date),
            page_size: 1,
            ..Default::default()
        };
        let mut listed = Vec::new();
        loop {
            let page = running.client().list_enrolments(request.clone()).await;
            let page = page.unwrap().into_inner();
            listed.extend(page.enrolments);
            if page.next_page_token.is_empty() {
                return listed;
            }
            request.page_token = page.next_page_token;
        }
    };
    for (division, on, number) in [
        (COUNTY, None, 3),
        (COUNTY, Some("2024-02-15"), 4),
        (COUNTY, Some("2024-02-16"), 3),
        (COUNTY, Some("2025-01-01"), 0),
        (OTHER_VILLAGE, None, 0),
    ] {
        let filter = pb::OrderFilter {
            programme_code: "LTCI".to_owned(),
            last_service_day: on.and_then(date),
            ..all_in(division)
        };
        let counted = running.figures(filter, &[]).await.enrolled;
        let listed = listed(division, on).await;
        assert_eq!(
            (counted, listed.len()),
            (i64::try_from(number).unwrap(), number),
            "{on:?}"
        );
        assert!(listed.is_sorted_by(|one, next| one.elder_id < next.elder_id));
    }
    let ended = listed(COUNTY, Some("2024-02-15")).await;
    let ended = ended.iter().find(|one| one.enrolment_id == enrolments[0]);
    let ended = ended.unwrap();
    assert_eq!(ended.first_day, date("2024-01-01"));
    assert_eq!(ended.last_day, date("2024-02-15"));
    running.stop().await;
}

#[tokio::test]
async fn a_list_of_the_enrolled_is_of_one_day_though_midnight_passes() {
    let ground = Ground::at("2024-12-31 23:30");
    let running = ground.start().await;
    running.insurance().await;
    for _ in 0..2 {
        let elder = ground.elder().await;
        running.enrolled(elder).await;
    }
    running.settled().await;
    let page = async |page_token: String| {
        let request = pb::ListEnrolmentsRequest {
            division_code: COUNTY.to_owned(),
            programme_code: "LTCI".to_owned(),
            page_size: 1,
            page_token,
            ..Default::default()
        };
        let page = running.client().list_enrolments(request).await;
        page.unwrap().into_inner()
    };
    let first = page(String::new()).await;
    assert_eq!(first.enrolments.len(), 1);
    running.advance("2025-01-01 00:30").await;
    let second = page(first.next_page_token).await;
    assert_eq!(second.enrolments.len(), 1);
    assert_ne!(second.enrolments, first.enrolments);
    // Enrolments are of a calendar year.
    assert!(page(String::new()).await.enrolments.is_empty());
    running.stop().await;
}

#[tokio::test]
async fn a_caregiver_who_served_for_more_hours_than_a_day_has_is_a_pattern() {
    let ground = Ground::at("2024-03-01 09:00");
    let running = ground.start().await;
    let caregiver = running.insurance().await;
    for number in 0..13 {
        let elder = running.insured().await;
        let start = format!("2024-02-10 {:02}:00", number + 1);
        running
            .told(&order(&format!("O{number}"), elder, &caregiver, &start))
            .await;
    }
    running.settled().await;
    let asked = |last: &str| pb::ListSuspicionsRequest {
        division_code: COUNTY.to_owned(),
        first_day: date("2024-02-01"),
        last_day: date(last),
        ..Default::default()
    };
    let found = running.client().list_suspicions(asked("2024-02-29")).await;
    let found = found.unwrap().into_inner().suspicions;
    let hours = &found[0];
    assert_eq!(hours.kind(), pb::SuspicionKind::HoursOfADay);
    assert_eq!((hours.orders, hours.measure), (13, 13 * 120));
    assert_eq!(
        (hours.day, hours.caregiver_id.as_str()),
        (date("2024-02-10"), &*caregiver)
    );
    assert_eq!(hours.names.len(), 13);
    // Whose orders are named is on record.
    let looks = running.app.access().looks().into_iter();
    let looks = looks.filter(|look| look.method == "ListSuspicions");
    let named = looks.filter(|look| look.fields.iter().any(|field| field == "order.order_id"));
    let named: Vec<usize> = named.map(|look| look.elder_ids.len()).collect();
    assert_eq!(named, [13]);
    // All of them took the least length, to the minute.
    assert_eq!(found[1].kind(), pb::SuspicionKind::LeastLength);
    let none = running.client().list_suspicions(asked("2024-02-09")).await;
    assert!(none.unwrap().into_inner().suspicions.is_empty());
    running.stop().await;
}
