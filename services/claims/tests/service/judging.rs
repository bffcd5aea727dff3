//! How orders are judged: each code is found where it applies, and told with the facts and orders behind it.

use chrono::TimeDelta;
use proto::eldercare::claims::v1 as pb;
use uuid::Uuid;

use crate::providers::system_of;
use crate::support::{
    COUNTY, Ground, HOMECARE, LTCI, Person, VILLAGE, at, end_of_enrolment, enrolment, file,
    in_words, order, outcome_in_words, place, reason, retirement, short_order, timestamp,
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
    assert_eq!(words[3], "the programme asks for 1 VIDEO; 2 PHOTO came");
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

#[tokio::test]
async fn registers_and_quotas_are_explained_by_what_there_was_instead() {
    let ground = Ground::at("2024-03-01 09:00");
    let running = ground.start().await;
    let one = LTCI.replace("services: 12", "services: 1");
    let caregiver = running.insurance_by(&one).await;
    let elder = ground.elder().await;
    let enrolment = running.enrolled(elder).await;
    let mut client = running.client();
    let end = end_of_enrolment(elder, &enrolment, "2024-02-15");
    client.end_enrolment(end).await.unwrap();
    let retired = retirement(&caregiver, "2024-02-20");
    client.retire_caregiver(retired).await.unwrap();
    let good = order("A", elder, &caregiver, "2024-02-10 09:00");
    assert_eq!(running.told(&good).await, "APPROVED");
    let more = order("B", elder, &caregiver, "2024-02-11 09:00");
    running.told(&more).await;
    let late = order("C", elder, &caregiver, "2024-02-21 09:00");
    running.told(&late).await;
    let elsewhere = pb::ServiceOrder {
        provider_id: "P02".to_owned(),
        ..order("D", elder, &caregiver, "2024-02-12 09:00")
    };
    running.told(&elsewhere).await;
    running.settled().await;
    let words = async |provider: &str, number: &str| {
        let asked = pb::GetOrderRequest {
            provider_id: provider.to_owned(),
            order_id: number.to_owned(),
            min_position: String::new(),
        };
        let told = running.client().get_order(asked).await.unwrap();
        let explanations = told.into_inner().explanations.into_iter();
        explanations
            .map(|one| (one.en, one.zh))
            .unzip::<String, String, Vec<_>, Vec<_>>()
    };
    let (en, zh) = words("P01", "B").await;
    assert_eq!(
        en,
        ["approving it takes 1; the year 2024 has 1, of which more than 0 were used"]
    );
    assert_eq!(
        zh,
        ["通过需用 1 次；2024 年度额度为 1 次，其中已用超过 0 次"]
    );
    let (en, zh) = words("P01", "C").await;
    assert_eq!(
        en,
        [
            "the elder was not enrolled in LTCI on 2024-02-21 (but 2024-01-01 to 2024-02-15)",
            "the caregiver was not on its list on 2024-02-21 (but 2024-01-01 to 2024-02-20)",
        ]
    );
    assert!(zh[0].contains("参保期：2024-01-01 至 2024-02-15"), "{zh:?}");
    // When the elder was enrolled is not the provider's business.
    let asked = pb::GetOrderRequest {
        provider_id: "P01".to_owned(),
        order_id: "C".to_owned(),
        min_position: String::new(),
    };
    let mut own = running.client_of(&system_of("P01", COUNTY));
    let told = own.get_order(asked).await.unwrap().into_inner();
    let told: Vec<_> = told.explanations.iter().map(|one| &one.en).collect();
    assert_eq!(told[0], "the elder was not enrolled in LTCI on 2024-02-21");
    assert_eq!(told[1], &en[1]);
    let (en, _) = words("P02", "D").await;
    assert_eq!(
        en,
        [
            "the provider had no contract for LTCI on 2024-02-12; the caregiver was not on its list on 2024-02-12"
        ]
    );
    running.stop().await;
}
