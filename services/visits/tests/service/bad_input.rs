//! Records that are none: each gets a typed outcome, and those beside it are kept.

use elders::event::Event;
use proto::eldercare::r#type::v1 as types;
use proto::eldercare::visits::v1 as pb;
use tonic::Code;
use uuid::Uuid;

use crate::support::{Ground, in_words, visit};

#[tokio::test]
async fn each_has_an_outcome_and_the_good_ones_are_kept() {
    let ground = Ground::at("2024-10-08 18:00");
    let (elder, erased) = (ground.weekly().await, ground.weekly().await);
    let erasure = Event::Erased {
        reason: "REQUEST".to_owned(),
    };
    ground.record(erased, &[erasure]).await;
    ground.vault.erase(erased.as_uuid()).await.unwrap();
    let running = ground.start().await;
    let visitor = running.visitor().await;
    let good = |start: &str| visit(&visitor, elder, start);
    let mut off_the_globe = good("2024-10-08 10:00");
    off_the_globe.check_in = Some(types::GeoPosition {
        latitude: 91.0,
        longitude: 0.0,
    });
    let mut short_digest = good("2024-10-08 11:00");
    short_digest.photo_hashes = vec![vec![1; 31].into()];
    let mut no_id = good("2024-10-08 12:00");
    no_id.record_id = "17".to_owned();
    let of_nobody = visit(&visitor, erased, "2024-10-08 13:00");
    let sent = [
        good("2024-10-08 08:00"),
        off_the_globe,
        short_digest,
        no_id,
        of_nobody,
        good("2024-10-08 14:00"),
    ];
    let outcomes = running.stream(&sent).await;
    let told: Vec<_> = outcomes.iter().map(in_words).collect();
    assert_eq!(
        told,
        [
            "COUNTED",
            "INVALID POSITION_OFF_THE_GLOBE check_in",
            "INVALID DIGEST_LENGTH photo_hashes[0]",
            "INVALID UUID_INVALID record_id",
            "INVALID ELDER_NOT_FOUND",
            "COUNTED",
        ]
    );
    assert_eq!(running.coverage("2024-10").await, "1/1");
}

#[tokio::test]
async fn what_was_sent_before_a_stream_was_cut_is_answered_when_it_is_sent_again() {
    let ground = Ground::at("2024-10-08 18:00");
    let elder = ground.weekly().await;
    let running = ground.start().await;
    let visitor = running.visitor().await;
    let records: Vec<_> = (8..16)
        .map(|hour| visit(&visitor, elder, &format!("2024-10-08 {hour:02}:00")))
        .collect();
    let requests = records
        .clone()
        .into_iter()
        .map(|record| pb::RecordVisitsRequest {
            record: Some(record),
            min_position: String::new(),
        });
    let stream = tokio_stream::iter(requests.collect::<Vec<_>>());
    let mut answers = running
        .client()
        .record_visits(stream)
        .await
        .unwrap()
        .into_inner();
    // The phone loses its connection after the first answer.
    assert!(answers.message().await.unwrap().is_some());
    drop(answers);
    let outcomes = running.stream(&records).await;
    assert_eq!(outcomes.len(), records.len());
    assert!(outcomes[0].repeated_record);
    assert!(
        outcomes
            .iter()
            .all(|outcome| in_words(outcome) == "COUNTED")
    );
}

#[tokio::test]
async fn periods_that_are_none_and_days_to_come_are_refused() {
    let running = Ground::at("2024-10-08 18:00").start().await;
    for period in ["", "2024-W54", "2024-13", "2024-W50"] {
        let request = pb::ListDutiesRequest {
            division_code: "350524".to_owned(),
            period: period.to_owned(),
            ..Default::default()
        };
        let status = running.client().list_duties(request).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{period}");
    }
}

#[tokio::test]
async fn ids_that_the_system_keeps_and_ids_of_other_records_are_refused() {
    let ground = Ground::at("2024-10-08 18:00");
    let (one, other) = (ground.weekly().await, ground.weekly().await);
    let running = ground.start().await;
    let visitor = running.visitor().await;
    let mut reserved = visit(&visitor, one, "2024-10-08 08:00");
    reserved.record_id = Uuid::new_v8([7; 16]).to_string();
    let first = visit(&visitor, one, "2024-10-08 10:00");
    let mut again = visit(&visitor, other, "2024-10-08 12:00");
    again.record_id.clone_from(&first.record_id);
    let outcomes = running.stream(&[reserved, first, again]).await;
    let told: Vec<_> = outcomes.iter().map(in_words).collect();
    assert_eq!(
        told,
        [
            "INVALID ID_RESERVED record_id",
            "COUNTED",
            "INVALID RECORD_ID_REUSED",
        ]
    );
}
