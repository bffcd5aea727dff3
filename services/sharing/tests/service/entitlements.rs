//! What dossiers and feeds tell of programmes (参保与额度): why somebody is enrolled, what was charged, and what of the year is used
//! and left.

use civic::ElderId;
use eventlog::RawEvent;
use proto::eldercare::claims::v1 as claims;
use proto::eldercare::sharing::v1 as pb;
use serde_json::{Value, json};

use crate::support::feeds::{of_event, sorted_names};
use crate::support::{
    COUNTY, Ground, Running, date, doctor, dossier_request, fields, grant, id, in_words, only,
    reader, terms,
};

/// A version of the insurance from a day on, and what a year's entitlement is by it.
async fn defined(ground: &Ground, version: i32, from: &str, quota: &str) {
    let event = RawEvent::of(&claims::ProgrammeDefined {
        version,
        division_code: COUNTY.to_owned(),
        effective_from: date(from),
        definition: format!("name: 长期护理险\nquota: {{{quota}}}\n"),
    });
    ground.claim("programme", "LTCI", vec![event]).await;
}

/// Insures somebody for 2024 for a premium of 300 yuan; the enrolment's id.
async fn insured(ground: &Ground, elder: ElderId) -> String {
    let enrolment = id();
    let charged = RawEvent::of(&claims::PremiumCharged {
        programme_code: "LTCI".to_owned(),
        elder_id: elder.to_string(),
        enrolment_id: enrolment.clone(),
        year: 2024,
        amount_fen: 30_000,
    });
    let events = vec![Ground::enrolment(elder, &enrolment), charged];
    let of = format!("LTCI-{elder}");
    ground.claim("enrolment", &of, events).await;
    enrolment
}

async fn ended(ground: &Ground, elder: ElderId, enrolment: &str, last: &str) {
    let event = RawEvent::of(&claims::EnrolmentEnded {
        programme_code: "LTCI".to_owned(),
        elder_id: elder.to_string(),
        enrolment_id: enrolment.to_owned(),
        last_day: date(last),
    });
    let of = format!("LTCI-{elder}");
    ground.claim("enrolment", &of, vec![event]).await;
}

/// An approved order takes so much of the year.
async fn used(ground: &Ground, elder: ElderId, units: i64) {
    let event = RawEvent::of(&claims::EntitlementConsumed {
        order_key: id(),
        programme_code: "LTCI".to_owned(),
        elder_id: elder.to_string(),
        year: 2024,
        units,
    });
    ground.claim("adjudication", "orders", vec![event]).await;
}

/// The only enrolment that civil affairs sees of an elder.
async fn told(running: &Running, elder: ElderId) -> Value {
    let dossier = running.dossier(&reader(), elder).await.unwrap();
    fields(&only(&dossier, "enrolment"))
}

/// What of it tells of the year.
async fn year(running: &Running, elder: ElderId) -> [Value; 3] {
    let told = told(running, elder).await;
    ["unit", "units_a_year", "units_left"].map(|field| told[field].clone())
}

#[tokio::test]
async fn an_enrolment_tells_its_reason_its_premium_and_what_is_left_of_the_year() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let elder = ground.elder().await;
    defined(&ground, 1, "2024-01-01", "services: 12").await;
    let enrolment = insured(&ground, elder).await;
    used(&ground, elder, 5).await;
    let expected = json!({
        "enrolment_id": enrolment,
        "programme_code": "LTCI",
        "elder_id": elder.to_string(),
        "first_day": "2024-01-01",
        "last_day": "2024-12-31",
        "units_used": 5,
        "basis": "POOR",
        "premium": "300.00",
        "unit": "SERVICES",
        "units_a_year": 12,
        "units_left": 7,
    });
    assert_eq!(told(&running, elder).await, expected);
    running.stop().await;
}

#[tokio::test]
async fn of_a_year_the_newest_version_tells_that_holds_on_one_of_the_days() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let elder = ground.elder().await;
    let enrolment = insured(&ground, elder).await;
    used(&ground, elder, 5).await;
    let nothing = [Value::Null, Value::Null, Value::Null];
    assert_eq!(year(&running, elder).await, nothing);
    defined(&ground, 1, "2024-01-01", "minutes: 12").await;
    let first = [json!("MINUTES"), json!(12), json!(7)];
    assert_eq!(year(&running, elder).await, first);
    defined(&ground, 2, "2024-07-01", "services: 4").await;
    defined(&ground, 3, "2025-01-01", "services: 100").await;
    // More is used than there is now.
    let second = [json!("SERVICES"), json!(4), json!(0)];
    assert_eq!(year(&running, elder).await, second);
    ended(&ground, elder, &enrolment, "2024-06-30").await;
    assert_eq!(year(&running, elder).await, first);
    running.stop().await;
}

#[tokio::test]
async fn each_field_of_an_enrolment_is_granted_by_itself() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let elder = ground.elder().await;
    defined(&ground, 1, "2024-01-01", "services: 12").await;
    insured(&ground, elder).await;
    let granted = |field| terms(&[grant("enrolment", &[field], &[])]);
    for field in ["basis", "premium", "unit", "units_a_year", "units_left"] {
        let agreement = running.agreed(&granted(field)).await;
        let by_it = pb::GetDossierRequest {
            agreement_id: agreement,
            ..dossier_request(elder)
        };
        let told = running.ask(&doctor(), by_it).await.unwrap();
        assert_eq!(in_words(&told), [format!("enrolment: {field}")]);
    }
    // Why somebody is enrolled tells of their need, and that it was told stands on record.
    let looks = ground.looks().await;
    let fields: Vec<_> = looks.iter().map(|one| one.look().fields.clone()).collect();
    let reason = vec!["enrolment.basis".to_owned()];
    assert_eq!(fields, [reason, vec![], vec![], vec![], vec![]]);
    running.stop().await;
}

#[tokio::test]
async fn feeds_tell_of_a_version_where_it_changes_what_there_is_of_a_year() {
    let ground = Ground::at("2024-03-01 09:10").with_feeds().await;
    let running = ground.start().await;
    let (elder, gone) = (ground.elder().await, ground.elder().await);
    defined(&ground, 1, "2024-01-01", "services: 12").await;
    let enrolment = insured(&ground, elder).await;
    let over = insured(&ground, gone).await;
    ended(&ground, gone, &over, "2024-05-31").await;
    let granted = grant("enrolment", &["units_a_year", "units_left"], &[]);
    running.agreed(&terms(&[granted])).await;
    let from = running.end_of_feeds(&doctor()).await;
    defined(&ground, 2, "2024-07-01", "services: 24").await;
    // Another price, and another year.
    defined(&ground, 3, "2024-08-01", "services: 24").await;
    defined(&ground, 4, "2025-01-01", "services: 36").await;
    running.settled().await;
    used(&ground, elder, 5).await;
    let after = running.feed_from(&doctor(), 100, Some(from)).await;
    assert_eq!(
        sorted_names(&after),
        [
            "enrolment EntitlementConsumed",
            "enrolment ProgrammeDefined"
        ]
    );
    assert!(after.iter().all(|one| one.key == enrolment));
    assert_eq!(after[0].event, "ProgrammeDefined");
    let whole = json!({ "units_a_year": 24, "units_left": 24 });
    assert_eq!(of_event(&after[0]), whole);
    let less = json!({ "units_a_year": 24, "units_left": 19 });
    assert_eq!(of_event(&after[1]), less);
    running.stop().await;
}
