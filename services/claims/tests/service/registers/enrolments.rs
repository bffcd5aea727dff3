//! Who is enrolled, and what an elder may have by it.

use chrono::TimeDelta;
use civic::{Assistance, CapabilityLevel, Set};
use proto::eldercare::claims::v1 as pb;

use crate::support::{
    Ground, HOMECARE, Person, at, date, end_of_enrolment, enrolment, file, order, reason, timestamp,
};

/// Outcome, reason or basis, and premium.
fn told(outcome: &pb::EnrolPersonsResponse) -> (String, String, i64) {
    let kind = outcome.outcome().as_str_name();
    let kind = kind
        .trim_start_matches("ENROLMENT_OUTCOME_KIND_")
        .to_owned();
    let mut why = format!("{}{}", outcome.reason, outcome.basis);
    if !outcome.field.is_empty() {
        why = format!("{why} {}", outcome.field);
    }
    (kind, why, outcome.premium_fen)
}

#[tokio::test]
async fn each_enrolment_of_a_stream_has_its_outcome_in_order() {
    let ground = Ground::at("2024-03-01 09:00");
    let running = ground.start().await;
    running.insurance().await;
    let poor = ground.elder().await;
    let handicapped = Person {
        birth: "2010-01-01",
        assistance: Set::new(),
        handicap: Some(2),
        ..Person::default()
    };
    let handicapped = handicapped.on(&ground).await;
    let rich = Person {
        assistance: Set::new(),
        ..Person::default()
    };
    let rich = rich.on(&ground).await;
    let away = Person {
        village: "350525100001",
        ..Person::default()
    };
    let away = away.on(&ground).await;
    let dead = ground.elder().await;
    ground.dies(dead, "2023-12-31").await;
    let erased = ground.elder().await;
    ground.is_erased(erased).await;
    let of = |elder, first| enrolment("LTCI", elder, first);
    let first_half = pb::Enrolment {
        last_day: date("2024-06-30"),
        ..of(poor, "2024-01-01")
    };
    let sent = [
        first_half.clone(),
        of(rich, "2024-01-01"),
        of(handicapped, "2024-01-01"),
        of(away, "2024-01-01"),
        of(dead, "2024-01-01"),
        of(erased, "2024-01-01"),
        pb::Enrolment {
            last_day: date("2025-01-01"),
            ..of(poor, "2024-07-01")
        },
        enrolment("NONE", poor, "2024-01-01"),
        enrolment("ltci", poor, "2024-01-01"),
        of(handicapped, "2023-12-31"),
    ];
    let outcomes = running.enrol_all(&sent).await;
    let ids = |outcomes: &[pb::EnrolPersonsResponse]| -> Vec<String> {
        let outcomes = outcomes.iter();
        outcomes.map(|one| one.enrolment_id.clone()).collect()
    };
    let sent_ids: Vec<_> = sent.iter().map(|one| one.enrolment_id.clone()).collect();
    assert_eq!(ids(&outcomes), sent_ids);
    let words: Vec<_> = outcomes.iter().map(told).collect();
    let expected = [
        ("ENROLLED", "LOW_INCOME", 30_000),
        ("REFUSED", "NOT_ELIGIBLE", 0),
        ("ENROLLED", "HANDICAP_1_2", 30_000),
        ("REFUSED", "OUTSIDE_DIVISION", 0),
        ("REFUSED", "NOT_ALIVE_OR_PRESENT", 0),
        ("INVALID", "ELDER_NOT_FOUND", 0),
        ("INVALID", "DAYS_INVALID enrolment.last_day", 0),
        ("INVALID", "PROGRAMME_NOT_FOUND", 0),
        (
            "INVALID",
            "PROGRAMME_CODE_INVALID enrolment.programme_code",
            0,
        ),
        ("REFUSED", "PROGRAMME_NOT_IN_FORCE", 0),
    ];
    let expected = expected.map(|(kind, why, fen)| (kind.to_owned(), why.to_owned(), fen));
    assert_eq!(words, expected);

    // The year's premium comes once, however often somebody is enrolled in it.
    let second_half = of(poor, "2024-07-01");
    let overlapping = of(poor, "2024-06-30");
    let outcomes = running.enrol_all(&[second_half, overlapping]).await;
    let words: Vec<_> = outcomes.iter().map(told).collect();
    assert_eq!(
        words[0],
        ("ENROLLED".to_owned(), "LOW_INCOME".to_owned(), 0)
    );
    assert_eq!(
        words[1],
        ("REFUSED".to_owned(), "ALREADY_ENROLLED".to_owned(), 0)
    );
    let fund = running.fund("LTCI").await;
    assert_eq!((fund.premiums_fen, fund.in_fen), (60_000, 60_000));

    // All of it once more enrols nobody twice, whatever the facts have become since.
    ground.dies(poor, "2023-12-01").await;
    let end = ground.end().await;
    let again = running.enrol_all(&sent).await;
    assert_eq!(again[..6], running.enrol_all(&sent).await[..6]);
    assert_eq!(
        told(&again[0]),
        ("ENROLLED".to_owned(), "LOW_INCOME".to_owned(), 30_000)
    );
    assert_eq!(ground.end().await, end);
    let another = pb::Enrolment {
        last_day: None,
        ..first_half
    };
    let reused = running.enrol_all(&[another]).await;
    assert_eq!(reused[0].reason, "REQUEST_ID_REUSED");
    running.stop().await;
}

#[tokio::test]
async fn an_entitlement_is_told_before_and_after_enrolment_and_service() {
    let ground = Ground::at("2024-03-01 09:00");
    let running = ground.start().await;
    let caregiver = running.insurance().await;
    let elder = ground.elder().await;
    let before = running.entitlement(elder, "2024-03-01").await;
    assert!(!before.entitled);
    assert_eq!(before.codes, [pb::OrderCode::NotEnrolled as i32]);
    assert_eq!((before.units_a_year, before.units_used), (12, 0));
    assert_eq!(before.entitled_by, "LOW_INCOME");
    let enrolment = running.enrolled(elder).await;
    let after = running.entitlement(elder, "2024-03-01").await;
    assert!(after.entitled, "{after:?}");
    assert_eq!(after.unit(), pb::EntitlementUnit::Services);
    assert_eq!(after.programme_version, 1);
    assert_eq!(after.enrolments.len(), 1);
    assert_eq!(after.enrolments[0].enrolment_id, enrolment);
    assert_eq!(after.enrolments[0].last_day, date("2024-12-31"));
    let facts = after.facts.unwrap();
    assert_eq!((facts.age, facts.capability), (74, 5));
    for number in 1..=12 {
        let start = format!("2024-02-{number:02} 09:00");
        let order = order(&format!("O{number}"), elder, &caregiver, &start);
        assert_eq!(running.told(&order).await, "APPROVED");
        let told = running.entitlement(elder, "2024-03-01").await;
        assert_eq!((told.units_used, told.units_left), (number, 12 - number));
    }
    let used_up = running.entitlement(elder, "2024-12-31").await;
    assert_eq!(used_up.codes, [pb::OrderCode::QuotaExceeded as i32]);
    let one_more = order("O13", elder, &caregiver, "2024-02-20 09:00");
    let told = running.told(&one_more).await;
    assert_eq!(told, "ABNORMAL_OPEN QUOTA_EXCEEDED");
    // The next year begins anew, and without an enrolment.
    let next = running.entitlement(elder, "2025-01-01").await;
    assert_eq!(next.codes, [pb::OrderCode::NotEnrolled as i32]);
    assert_eq!((next.units_used, next.units_left), (0, 12));
    assert!(next.enrolments.is_empty());
    running.stop().await;
}

#[tokio::test]
async fn a_rest_that_bears_no_service_entitles_to_none() {
    let ground = Ground::at("2024-03-01 09:00");
    let running = ground.start().await;
    let definition = HOMECARE.replace("minutes: 2880", "minutes: 90");
    running.define("HOMECARE", &definition).await.unwrap();
    running.contract("P01", "HOMECARE").await.unwrap();
    let caregiver = running.caregiver("P01").await;
    let elders = [ground.elder().await, ground.elder().await];
    let enrolments = elders.map(|elder| enrolment("HOMECARE", elder, "2024-01-01"));
    running.enrol_all(&enrolments).await;
    let cared = |number: &str, elder, start: &str, minutes: i64| pb::ServiceOrder {
        programme_code: "HOMECARE".to_owned(),
        check_out_at: timestamp(at(start) + TimeDelta::minutes(minutes)),
        items: vec!["COOKING".to_owned()],
        evidence: vec![file(pb::EvidenceKind::Photo, number)],
        ..order(number, elder, &caregiver, start)
    };
    let (day, [one, other]) = ("2024-03-01", elders);
    // Half an hour is the least: what is left bears one more.
    let first = cared("A", one, "2024-02-27 09:00", 60);
    assert_eq!(running.told(&first).await, "APPROVED");
    let told = running.entitlement_of("HOMECARE", one, day).await;
    assert_eq!((told.units_left, told.entitled), (30, true));
    let last = cared("B", one, "2024-02-28 09:00", 30);
    assert_eq!(running.told(&last).await, "APPROVED");
    // A minute less bears none.
    let long = cared("C", other, "2024-02-27 12:00", 61);
    assert_eq!(running.told(&long).await, "APPROVED");
    let told = running.entitlement_of("HOMECARE", other, day).await;
    assert_eq!((told.units_left, told.entitled), (29, false));
    assert_eq!(told.codes, [pb::OrderCode::QuotaExceeded as i32]);
    let least = cared("D", other, "2024-02-28 12:00", 30);
    let told = running.told(&least).await;
    assert_eq!(told, "ABNORMAL_OPEN QUOTA_EXCEEDED");
    running.stop().await;
}

#[tokio::test]
async fn the_reasons_why_nobody_is_entitled_are_told_together() {
    let ground = Ground::at("2024-03-01 09:00");
    let running = ground.start().await;
    running.insurance().await;
    let elder = Person {
        capability: CapabilityLevel::Mild,
        assistance: Assistance::MinimumLiving.into(),
        ..Person::default()
    };
    let elder = elder.on(&ground).await;
    ground.dies(elder, "2024-02-01").await;
    let told = running.entitlement(elder, "2024-03-01").await;
    let codes: Vec<_> = told.codes().collect();
    assert_eq!(
        codes,
        [
            pb::OrderCode::NotEnrolled,
            pb::OrderCode::NotEntitled,
            pb::OrderCode::NotAliveOrPresent,
        ]
    );
    assert_eq!(told.entitled_by, "");
    running.stop().await;
}

#[tokio::test]
async fn an_enrolment_that_ends_covers_its_last_day() {
    let ground = Ground::at("2024-03-01 09:00");
    let running = ground.start().await;
    let caregiver = running.insurance().await;
    let elder = ground.elder().await;
    let enrolment = running.enrolled(elder).await;
    let end = |last: &str| end_of_enrolment(elder, &enrolment, last);
    let mut client = running.client();
    for (last, why) in [
        ("2024-12-31", "NOT_EARLIER"),
        ("2023-12-30", "BEFORE_FIRST_DAY"),
    ] {
        let refused = client.end_enrolment(end(last)).await.unwrap_err();
        assert_eq!(reason(&refused), why, "{last}");
    }
    let request = end("2024-02-15");
    let ended = client.end_enrolment(request.clone()).await.unwrap();
    let again = client.end_enrolment(request).await.unwrap();
    assert_eq!(again.into_inner(), ended.into_inner());
    let on = async |number: &str, day: &str| {
        let order = order(number, elder, &caregiver, &format!("{day} 09:00"));
        running.told(&order).await
    };
    assert_eq!(on("A", "2024-02-15").await, "APPROVED");
    assert_eq!(on("B", "2024-02-16").await, "ABNORMAL_OPEN NOT_ENROLLED");
    assert!(running.entitlement(elder, "2024-02-15").await.entitled);
    assert!(!running.entitlement(elder, "2024-02-16").await.entitled);
    // No premium comes back.
    assert_eq!(running.fund("LTCI").await.premiums_fen, 30_000);
    running.stop().await;
}
