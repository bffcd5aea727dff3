//! Service orders: handed in one by one and in streams, once each; what stands against them, and why.

use chrono::TimeDelta;
use civic::ElderId;
use elders::event::{Event, Residence};
use proto::eldercare::claims::v1 as pb;
use uuid::Uuid;

use crate::support::{
    Ground, HOMECARE, LTCI, OTHER_VILLAGE, Person, Running, VILLAGE, all_in, at, day, enrolment,
    file, in_words, order, outcome_in_words, place, reason, short_order, timestamp,
};

#[tokio::test]
async fn each_code_is_found_by_what_it_says() {
    let ground = Ground::at("2024-03-01 09:00");
    let running = ground.start().await;
    let caregiver = running.insurance().await;
    let others = running.caregiver("P01").await;
    let elder = running.insured().await;
    let stranger = ground.elder().await;
    let dead = running.insured().await;
    ground.dies(dead, "2024-02-01").await;
    let independent = Person {
        capability: civic::CapabilityLevel::Mild,
        ..Person::default()
    };
    let independent = independent.on(&ground).await;
    running.enrolled(independent).await;
    let good = |number: &str, start: &str| order(number, elder, &caregiver, start);
    let first = good("A", "2024-02-10 09:00");
    assert_eq!(running.told(&first).await, "APPROVED");
    let with = |number: &str, start: &str, change: fn(&mut pb::ServiceOrder)| {
        let mut order = good(number, start);
        change(&mut order);
        order
    };
    for (sent, expected) in [
        (
            order("B", stranger, &caregiver, "2024-02-11 09:00"),
            "NOT_ENROLLED",
        ),
        (
            order("C", independent, &caregiver, "2024-02-12 09:00"),
            "NOT_ENTITLED",
        ),
        (
            order("D", dead, &caregiver, "2024-02-13 09:00"),
            "NOT_ALIVE_OR_PRESENT",
        ),
        (
            order(
                "E",
                elder,
                &Uuid::from_u128(9).to_string(),
                "2024-02-14 09:00",
            ),
            "PROVIDER_INVALID",
        ),
        (
            short_order("F", elder, &caregiver, "2024-02-15 09:00"),
            "DURATION_SHORT",
        ),
        (
            with("G", "2024-02-16 09:00", |order| order.items.truncate(2)),
            "ITEMS_INVALID",
        ),
        (
            with("H", "2024-02-17 09:00", |order| {
                order.check_in = Some(place(501.0))
            }),
            "LOCATION_MISMATCH",
        ),
        (
            with("I", "2024-02-18 09:00", |order| order.evidence.clear()),
            "EVIDENCE_MISSING",
        ),
        (
            with("J", "2024-02-19 09:00", |order| {
                order.evidence = vec![file(pb::EvidenceKind::Video, "A")];
            }),
            "EVIDENCE_REUSED",
        ),
        (
            order("K", stranger, &caregiver, "2024-02-10 10:00"),
            "NOT_ENROLLED CAREGIVER_OVERLAP",
        ),
        (
            order("L", elder, &others, "2024-02-10 10:00"),
            "DUPLICATE_SERVICE",
        ),
        (good("M", "2024-01-30 09:00"), "LATE_SUBMISSION"),
    ] {
        let told = running.told(&sent).await;
        assert_eq!(
            told,
            format!("ABNORMAL_OPEN {expected}"),
            "{}",
            sent.order_id
        );
    }
    // What only touches stands against nothing, and neither does the thirtieth day.
    assert_eq!(
        running.told(&good("N", "2024-02-10 07:00")).await,
        "APPROVED"
    );
    assert_eq!(
        running.told(&good("O", "2024-01-31 09:00")).await,
        "APPROVED"
    );
    running.stop().await;
}

#[tokio::test]
async fn home_care_is_paid_by_the_minute_and_used_up_by_the_minute() {
    let ground = Ground::at("2024-03-01 09:00");
    let running = ground.start().await;
    let definition = HOMECARE.replace("minutes: 2880", "minutes: 61");
    running.define("HOMECARE", &definition).await.unwrap();
    running.contract("P01", "HOMECARE").await.unwrap();
    let caregiver = running.caregiver("P01").await;
    let elder = ground.elder().await;
    let enrolment = enrolment("HOMECARE", elder, "2024-01-01");
    assert_eq!(running.enrol_all(&[enrolment]).await[0].premium_fen, 0);
    let cared = |number: &str, start: &str, minutes: i64| pb::ServiceOrder {
        programme_code: "HOMECARE".to_owned(),
        check_out_at: timestamp(at(start) + TimeDelta::minutes(minutes)),
        items: vec!["COOKING".to_owned()],
        evidence: vec![file(pb::EvidenceKind::Photo, number)],
        ..order(number, elder, &caregiver, start)
    };
    let first = running.submit(&cared("A", "2024-02-27 09:00", 31)).await;
    let standing = first.unwrap().standing.unwrap();
    assert_eq!(
        (in_words(&standing).as_str(), standing.amount_fen),
        ("APPROVED", 2_066)
    );
    for (number, start, minutes, expected) in [
        ("B", "2024-02-28 09:00", 31, "ABNORMAL_OPEN QUOTA_EXCEEDED"),
        ("C", "2024-02-28 12:00", 29, "ABNORMAL_OPEN DURATION_SHORT"),
        ("D", "2024-02-28 15:00", 30, "APPROVED"),
        ("E", "2024-02-28 18:00", 30, "ABNORMAL_OPEN QUOTA_EXCEEDED"),
    ] {
        let told = running.told(&cared(number, start, minutes)).await;
        assert_eq!(told, expected, "{number}");
    }
    assert_eq!(running.fund("HOMECARE").await.reserved_fen, 4_066);
    running.stop().await;
}

#[tokio::test]
async fn the_same_order_again_changes_nothing_and_is_answered_as_it_stands() {
    let ground = Ground::at("2024-03-01 09:00");
    let running = ground.start().await;
    let caregiver = running.insurance().await;
    let elder = running.insured().await;
    let good = order("A", elder, &caregiver, "2024-02-10 09:00");
    let first = running.submit(&good).await.unwrap();
    assert!(!first.repeated_order);
    let end = ground.end().await;
    let again = running.submit(&good).await.unwrap();
    assert!(again.repeated_order);
    assert_eq!(
        (&again.standing, &again.position),
        (&first.standing, &first.position)
    );
    // However the facts have become since, and whatever has become of the order.
    let moved = Residence {
        village: "350525100001".parse().unwrap(),
        home: None,
    };
    let moved = Event::Relocated(moved, day("2024-02-20"));
    ground.record(elder, &[moved]).await;
    running.advance("2024-07-01 09:00").await;
    let again = running.submit(&good).await.unwrap();
    assert!(again.repeated_order);
    assert_eq!(
        (&again.standing, &again.position),
        (&first.standing, &first.position)
    );
    assert_eq!(ground.end().await, end);
    running.stop().await;
}

#[tokio::test]
async fn an_order_is_answered_to_its_provider_even_after_the_elder_is_erased() {
    let ground = Ground::at("2024-03-01 09:00");
    let running = ground.start().await;
    let caregiver = running.insurance().await;
    let elder = running.insured().await;
    let good = order("A", elder, &caregiver, "2024-02-10 09:00");
    let first = running.submit(&good).await.unwrap();
    ground.is_erased(elder).await;
    let again = running.submit(&good).await.unwrap();
    assert!(again.repeated_order);
    assert_eq!(again.standing, first.standing);
    let another = order("B", elder, &caregiver, "2024-02-11 09:00");
    assert_eq!(running.told(&another).await, "ELDER_NOT_FOUND");
    // Where the service began is known no more; the order stands.
    let told = running.order("A").await;
    assert_eq!(told.order.unwrap().check_in, None);
    assert_eq!(in_words(&told.standing.unwrap()), "APPROVED");
    running.stop().await;
}

#[tokio::test]
async fn another_order_under_the_same_number_is_refused() {
    let ground = Ground::at("2024-03-01 09:00");
    let running = ground.start().await;
    let caregiver = running.insurance().await;
    let elder = running.insured().await;
    let good = order("A", elder, &caregiver, "2024-02-10 09:00");
    assert_eq!(running.told(&good).await, "APPROVED");
    let end = ground.end().await;
    let later = order("A", elder, &caregiver, "2024-02-11 09:00");
    assert_eq!(running.told(&later).await, "ORDER_ID_REUSED");
    // In a stream too, one after the other and together.
    let outcomes = running.stream(&[later.clone(), good.clone(), later]).await;
    let told: Vec<_> = outcomes.iter().map(outcome_in_words).collect();
    let reused = "ORDER_ID_REUSED order.order_id";
    assert_eq!(told, [reused, "APPROVED", reused]);
    assert_eq!(ground.end().await, end);
    // The number is the provider's own.
    running.contract("P02", "LTCI").await.unwrap();
    let of_another = pb::ServiceOrder {
        provider_id: "P02".to_owned(),
        caregiver_id: running.caregiver("P02").await,
        evidence: vec![file(pb::EvidenceKind::Video, "another")],
        ..order("A", elder, &caregiver, "2024-02-11 09:00")
    };
    assert_eq!(running.told(&of_another).await, "APPROVED");
    running.stop().await;
}

#[tokio::test]
async fn another_order_under_the_same_number_is_refused_even_where_it_would_be_refused_anyhow() {
    let ground = Ground::at("2024-03-01 09:00");
    let running = ground.start().await;
    let caregiver = running.insurance().await;
    let elder = running.insured().await;
    let good = order("A", elder, &caregiver, "2024-02-10 09:00");
    assert_eq!(running.told(&good).await, "APPROVED");
    // Nobody takes the approval of one order for that of another.
    let of_nobody = order(
        "A",
        ElderId(Uuid::from_u128(9)),
        &caregiver,
        "2024-02-10 09:00",
    );
    assert_eq!(running.told(&of_nobody).await, "ELDER_NOT_FOUND");
    let of_no_programme = pb::ServiceOrder {
        programme_code: "NONE".to_owned(),
        ..good.clone()
    };
    assert_eq!(running.told(&of_no_programme).await, "PROGRAMME_NOT_FOUND");
    let of_no_version = pb::ServiceOrder {
        programme_version: 7,
        ..good
    };
    assert_eq!(
        running.told(&of_no_version).await,
        "PROGRAMME_VERSION_INVALID"
    );
    running.stop().await;
}

#[tokio::test]
async fn an_order_that_comes_twice_at_once_is_kept_once() {
    let ground = Ground::at("2024-03-01 09:00");
    let running = ground.start().await;
    let caregiver = running.insurance().await;
    let elder = running.insured().await;
    running.settled().await;
    let request = pb::SubmitOrderRequest {
        order: Some(order("A", elder, &caregiver, "2024-02-10 09:00")),
        min_position: String::new(),
    };
    let calls = (0..8).map(|_| {
        let (mut client, request) = (running.client(), request.clone());
        async move { client.submit_order(request).await.unwrap().into_inner() }
    });
    let answers = futures::future::join_all(calls).await;
    let first = answers.iter().filter(|answer| !answer.repeated_order);
    assert_eq!(first.count(), 1);
    for answer in &answers {
        assert_eq!(in_words(answer.standing.as_ref().unwrap()), "APPROVED");
        assert_eq!(answer.position, answers[0].position);
    }
    running.settled().await;
    assert_eq!(
        ground
            .first_verdicts()
            .await
            .into_values()
            .collect::<Vec<_>>(),
        [1]
    );
    running.stop().await;
}

#[tokio::test]
async fn a_bad_order_of_a_stream_spoils_none_beside_it() {
    let ground = Ground::at("2024-03-01 09:00");
    let running = ground.start().await;
    let caregiver = running.insurance().await;
    let elder = running.insured().await;
    let good = |number: &str, start: &str| order(number, elder, &caregiver, start);
    let with = |number: &str, change: fn(&mut pb::ServiceOrder)| {
        let mut order = good(number, "2024-02-20 09:00");
        change(&mut order);
        order
    };
    let sent = [
        good("A", "2024-02-10 09:00"),
        with("B", |order| order.elder_id = "17".to_owned()),
        with("C", |order| order.elder_id = Uuid::from_u128(9).to_string()),
        with("D", |order| {
            order.check_in.as_mut().unwrap().latitude = 91.0
        }),
        with("E", |order| order.evidence[0].hash = vec![1; 7].into()),
        good("F", "2024-02-10 10:00"),
        with("G", |order| order.programme_code = "NONE".to_owned()),
        with("H", |order| order.programme_version = 7),
        good("A", "2024-02-10 09:00"),
        with("", |_| {}),
        good("I", "2024-02-11 09:00"),
    ];
    let outcomes = running.stream(&sent).await;
    let told: Vec<_> = outcomes
        .iter()
        .map(|outcome| (outcome.order_id.as_str(), outcome_in_words(outcome)))
        .collect();
    let expected = [
        ("A", "APPROVED"),
        ("B", "UUID_INVALID order.elder_id"),
        ("C", "ELDER_NOT_FOUND"),
        ("D", "POSITION_OUT_OF_RANGE order.check_in"),
        ("E", "HASH_INVALID order.evidence.hash"),
        ("F", "ABNORMAL_OPEN DUPLICATE_SERVICE"),
        ("G", "PROGRAMME_NOT_FOUND"),
        ("H", "PROGRAMME_VERSION_INVALID order.programme_version"),
        ("A", "APPROVED"),
        ("", "REQUIRED order.order_id"),
        ("I", "APPROVED"),
    ];
    assert_eq!(
        told,
        expected.map(|(number, told)| (number, told.to_owned()))
    );
    let repeated: Vec<_> = outcomes.iter().map(|one| one.repeated_order).collect();
    let once_more = repeated.iter().filter(|repeated| **repeated).count();
    assert!(repeated[8] && once_more == 1, "{repeated:?}");
    assert_eq!(outcomes[8].position, outcomes[0].position);
    // All of it again stores nothing, and gives every outcome.
    let end = ground.end().await;
    let again = running.stream(&sent).await;
    let told_again: Vec<_> = again.iter().map(outcome_in_words).collect();
    assert_eq!(
        told_again,
        told.into_iter().map(|(_, told)| told).collect::<Vec<_>>()
    );
    assert_eq!(ground.end().await, end);
    running.stop().await;
}

#[tokio::test]
async fn what_was_sent_before_a_stream_was_cut_is_answered_when_it_is_sent_again() {
    let ground = Ground::at("2024-03-01 09:00");
    let running = ground.start().await;
    let caregiver = running.insurance().await;
    let elder = running.insured().await;
    let orders: Vec<_> = (1..=8)
        .map(|number| {
            let start = format!("2024-02-{number:02} 09:00");
            order(&format!("O{number}"), elder, &caregiver, &start)
        })
        .collect();
    running.settled().await;
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    let stream = tokio_stream::wrappers::ReceiverStream::new(receiver);
    let mut client = running.client();
    let (answers, ()) = tokio::join!(client.submit_orders(stream), async {
        let first = pb::SubmitOrdersRequest {
            order: Some(orders[0].clone()),
            min_position: String::new(),
        };
        sender.send(first).await.unwrap();
    });
    let mut answers = answers.unwrap().into_inner();
    // The provider's system loses its connection after the first answer.
    let first = answers.message().await.unwrap().unwrap();
    drop((answers, sender));
    let outcomes = running.stream(&orders).await;
    let told: Vec<_> = outcomes.iter().map(outcome_in_words).collect();
    assert_eq!(told, ["APPROVED"; 8]);
    assert!(outcomes[0].repeated_order && !outcomes[1].repeated_order);
    assert_eq!(outcomes[0].position, first.position);
    running.stop().await;
}

#[tokio::test]
async fn many_orders_of_a_night_are_judged_in_their_order() {
    let ground = Ground::at("2024-03-01 09:00");
    let running = ground.start().await;
    let caregiver = running.insurance().await;
    let mut orders = Vec::new();
    for elder in 0..40_i64 {
        let insured = running.insured().await;
        for day in 1..=14 {
            // One after the other all through the day, so that the caregiver is with one elder at a time.
            let start = at(&format!("2024-02-{day:02} 00:00")) + TimeDelta::minutes(36 * elder);
            orders.push(pb::ServiceOrder {
                check_in_at: timestamp(start),
                check_out_at: timestamp(start + TimeDelta::minutes(36)),
                ..order(
                    &format!("O{elder}-{day}"),
                    insured,
                    &caregiver,
                    "2024-02-01 09:00",
                )
            });
        }
    }
    let shorter = LTCI.replace("least_minutes: 120", "least_minutes: 36");
    assert_eq!(running.define("LTCI", &shorter).await.unwrap(), 2);
    let outcomes = running.stream(&orders).await;
    assert_eq!(outcomes.len(), 560);
    for (outcome, sent) in outcomes.iter().zip(&orders) {
        assert_eq!(outcome.order_id, sent.order_id);
        let day: u32 = sent.order_id.split_once('-').unwrap().1.parse().unwrap();
        let expected = if day <= 12 {
            "APPROVED"
        } else {
            "ABNORMAL_OPEN QUOTA_EXCEEDED"
        };
        assert_eq!(outcome_in_words(outcome), expected, "{}", sent.order_id);
    }
    assert_eq!(running.fund("LTCI").await.reserved_fen, 480 * 20_000);
    assert!(
        ground
            .first_verdicts()
            .await
            .values()
            .all(|count| *count == 1)
    );
    running.stop().await;
}

#[tokio::test]
async fn an_order_waits_for_the_records_that_its_sender_has_seen() {
    let ground = Ground::at("2024-03-01 09:00");
    let running = ground.start().await;
    let caregiver = running.insurance().await;
    let elder = running.insured().await;
    let seen = ground.dies(elder, "2024-01-31").await;
    let request = pb::SubmitOrderRequest {
        order: Some(order("A", elder, &caregiver, "2024-02-10 09:00")),
        min_position: seen,
    };
    let told = running.client().submit_order(request).await.unwrap();
    let told = in_words(&told.into_inner().standing.unwrap());
    assert_eq!(told, "ABNORMAL_OPEN NOT_ALIVE_OR_PRESENT");
    let elsewhere = pb::SubmitOrderRequest {
        order: Some(order("B", elder, &caregiver, "2024-02-10 09:00")),
        min_position: "TIERING:1".to_owned(),
    };
    let refused = running.client().submit_order(elsewhere).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::InvalidArgument);
    running.stop().await;
}

#[tokio::test]
async fn each_code_is_explained_with_the_facts_and_orders_behind_it() {
    let ground = Ground::at("2024-03-01 09:00");
    let running = ground.start().await;
    let caregiver = running.insurance().await;
    let (elder, other) = (running.insured().await, running.insured().await);
    let first = order("A", other, &caregiver, "2024-02-10 09:00");
    let second = order("B", elder, &caregiver, "2024-02-10 11:00");
    assert_eq!(running.told(&first).await, "APPROVED");
    assert_eq!(running.told(&second).await, "APPROVED");
    let mut bad = short_order("C", elder, &caregiver, "2024-02-10 10:30");
    bad.check_in = Some(place(1_234.5));
    bad.items = vec!["BATHING".to_owned()];
    bad.evidence = vec![
        file(pb::EvidenceKind::Photo, "A"),
        file(pb::EvidenceKind::Photo, "B"),
    ];
    let codes = "DURATION_SHORT ITEMS_INVALID LOCATION_MISMATCH EVIDENCE_MISSING EVIDENCE_REUSED CAREGIVER_OVERLAP \
                 DUPLICATE_SERVICE";
    assert_eq!(running.told(&bad).await, format!("ABNORMAL_OPEN {codes}"));
    let told = running.order("C").await;
    let names: Vec<_> = told
        .explanations
        .iter()
        .map(|one| one.code().as_str_name().replace("ORDER_CODE_", ""))
        .collect();
    assert_eq!(names.join(" "), codes);
    for explanation in &told.explanations {
        assert!(
            !explanation.zh.is_empty() && !explanation.zh.is_ascii(),
            "{explanation:?}"
        );
        assert!(
            !explanation.en.contains(&elder.to_string()),
            "{explanation:?}"
        );
    }
    let words: Vec<_> = told
        .explanations
        .iter()
        .map(|one| one.en.as_str())
        .collect();
    assert_eq!(words[0], "the service took 60 minutes, 120 are the least");
    assert!(words[2].contains("1235 m from home"), "{}", words[2]);
    assert_eq!(words[3], "the programme asks for 1 VIDEO");
    let earlier: Vec<Vec<_>> = told
        .explanations
        .iter()
        .map(|one| {
            one.earlier
                .iter()
                .map(|name| name.order_id.as_str())
                .collect()
        })
        .collect();
    assert_eq!(
        earlier,
        [&[][..], &[], &[], &[], &["A", "B"], &["A"], &["B"]]
    );
    // As it was handed in, and the facts that were judged.
    let handed_in = told.order.unwrap();
    assert_eq!(
        handed_in,
        pb::ServiceOrder {
            programme_version: 1,
            ..bad
        }
    );
    let facts = told.facts.unwrap();
    assert_eq!((facts.age, facts.entitled_by.as_str()), (73, "LOW_INCOME"));
    assert_eq!(facts.metres_from_home, Some(1_235));
    assert_eq!(told.division_code, VILLAGE);
    assert_eq!(told.appeal, None);
    // Nothing is to be explained of an approved one.
    assert!(running.order("A").await.explanations.is_empty());
    let unknown = pb::GetOrderRequest {
        provider_id: "P01".to_owned(),
        order_id: "Z".to_owned(),
        min_position: String::new(),
    };
    let unknown = running.client().get_order(unknown).await.unwrap_err();
    assert_eq!(reason(&unknown), "ORDER_NOT_FOUND");
    running.stop().await;
}

/// Twelve orders of two elders in two villages, one of them of another provider; every third one is too short.
async fn a_dozen(running: &Running) -> Vec<pb::ServiceOrder> {
    let caregiver = running.insurance().await;
    running.contract("P02", "LTCI").await.unwrap();
    let others = running.caregiver("P02").await;
    let here = running.insured().await;
    let there = Person {
        village: OTHER_VILLAGE,
        handicap: Some(1),
        ..Person::default()
    };
    let there = there.on(&running.ground).await;
    running.enrolled(there).await;
    let orders: Vec<_> = (1..=12)
        .map(|number| {
            let name = format!("O{number}");
            let start = format!("2024-02-{number:02} 09:00");
            let elder = if number % 2 == 0 { here } else { there };
            let order = if number % 3 == 0 {
                short_order(&name, elder, &caregiver, &start)
            } else {
                order(&name, elder, &caregiver, &start)
            };
            if number == 12 {
                pb::ServiceOrder {
                    provider_id: "P02".to_owned(),
                    caregiver_id: others.clone(),
                    ..order
                }
            } else {
                order
            }
        })
        .collect();
    running.stream(&orders).await;
    running.settled().await;
    orders
}

#[tokio::test]
async fn pages_of_orders_walk_over_each_once_the_last_handed_in_first() {
    let running = Ground::at("2024-03-01 09:00").start().await;
    let sent = a_dozen(&running).await;
    let mut expected: Vec<_> = sent.iter().map(|one| one.order_id.as_str()).collect();
    expected.reverse();
    let mut client = running.client();
    for size in [1, 5, 12, 13] {
        let mut request = pb::ListOrdersRequest {
            filter: Some(all_in("35")),
            page_size: size,
            ..Default::default()
        };
        let mut listed = Vec::new();
        loop {
            let page = client.list_orders(request.clone()).await.unwrap();
            let page = page.into_inner();
            assert!(page.orders.len() <= usize::try_from(size).unwrap());
            listed.extend(page.orders.into_iter().map(|one| one.order_id));
            if page.next_page_token.is_empty() {
                break;
            }
            request.page_token = page.next_page_token;
        }
        assert_eq!(listed, expected, "pages of {size}");
    }
    // A token leads on in its own list only.
    let mut request = pb::ListOrdersRequest {
        filter: Some(all_in("35")),
        page_size: 5,
        ..Default::default()
    };
    let page = client.list_orders(request.clone()).await.unwrap();
    request.page_token = page.into_inner().next_page_token;
    request.filter.as_mut().unwrap().provider_id = "P01".to_owned();
    let refused = client.list_orders(request).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::InvalidArgument);
    running.stop().await;
}

#[tokio::test]
async fn orders_are_listed_by_each_field_of_the_filter() {
    let running = Ground::at("2024-03-01 09:00").start().await;
    let sent = a_dozen(&running).await;
    let numbers = async |change: &dyn Fn(&mut pb::OrderFilter)| {
        let mut filter = all_in("350524");
        change(&mut filter);
        let orders = running.orders(filter).await.into_iter();
        let mut numbers: Vec<u32> = orders
            .map(|one| one.order_id.trim_start_matches('O').parse().unwrap())
            .collect();
        numbers.sort_unstable();
        numbers
    };
    let none: [u32; 0] = [];
    let short = [3, 6, 9, 12];
    let even = [2, 4, 6, 8, 10, 12];
    let odd = [1, 3, 5, 7, 9, 11];
    assert_eq!(numbers(&|_| {}).await.len(), 12);
    assert_eq!(
        numbers(&|f| f.division_code = VILLAGE.to_owned()).await,
        even
    );
    assert_eq!(
        numbers(&|f| f.division_code = "350524101".to_owned()).await,
        odd
    );
    assert_eq!(
        numbers(&|f| f.division_code = "350525".to_owned()).await,
        none
    );
    assert_eq!(
        numbers(&|f| f.programme_code = "HOMECARE".to_owned()).await,
        none
    );
    assert_eq!(
        numbers(&|f| f.programme_code = "LTCI".to_owned())
            .await
            .len(),
        12
    );
    assert_eq!(numbers(&|f| f.provider_id = "P02".to_owned()).await, [12]);
    assert_eq!(
        numbers(&|f| f.elder_id.clone_from(&sent[0].elder_id)).await,
        odd
    );
    let open = pb::OrderState::AbnormalOpen.into();
    let approved = pb::OrderState::Approved.into();
    assert_eq!(numbers(&|f| f.states = vec![open]).await, short);
    assert_eq!(numbers(&|f| f.states = vec![approved]).await.len(), 8);
    assert_eq!(
        numbers(&|f| f.states = vec![open, approved]).await.len(),
        12
    );
    assert_eq!(
        numbers(&|f| f.code = pb::OrderCode::DurationShort.into()).await,
        short
    );
    assert_eq!(
        numbers(&|f| f.code = pb::OrderCode::NotEnrolled.into()).await,
        none
    );
    let from = |f: &mut pb::OrderFilter| f.first_service_day = crate::support::date("2024-02-11");
    assert_eq!(numbers(&from).await, [11, 12]);
    let until = |f: &mut pb::OrderFilter| f.last_service_day = crate::support::date("2024-02-02");
    assert_eq!(numbers(&until).await, [1, 2]);
    let in_march =
        |f: &mut pb::OrderFilter| f.approved_in_month_of = crate::support::date("2024-03-31");
    assert_eq!(numbers(&in_march).await.len(), 8);
    let in_february =
        |f: &mut pb::OrderFilter| f.approved_in_month_of = crate::support::date("2024-02-29");
    assert_eq!(numbers(&in_february).await, none);
    assert_eq!(
        numbers(&|f| f.entitled_by = "HANDICAP_1_2".to_owned()).await,
        odd
    );
    assert_eq!(
        numbers(&|f| f.entitled_by = "LOW_INCOME".to_owned()).await,
        even
    );
    running.stop().await;
}
