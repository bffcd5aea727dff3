//! Feeds, their credentials and erasures that are asked for wrongly.

use proto::eldercare::sharing::v1 as pb;

use super::faults;
use crate::support::{Ground, doctor, guard};

#[tokio::test]
async fn feeds_and_erasures_that_are_asked_for_wrongly_are_refused_by_their_fields() {
    use pb::query_feed_request::Start;
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let mut client = running.client_of(&doctor());
    let after = |position: &str| Some(Start::AfterPosition(position.to_owned()));
    let from = |start| pb::QueryFeedRequest {
        start,
        ..Default::default()
    };
    for (bad, expected) in [
        (
            pb::QueryFeedRequest {
                product: "income".to_owned(),
                ..Default::default()
            },
            "product PRODUCT_UNKNOWN",
        ),
        (
            pb::QueryFeedRequest {
                division_code: "35052".to_owned(),
                ..Default::default()
            },
            "division_code DIVISION_INVALID",
        ),
        (from(after("")), "after_position REQUIRED"),
        (from(after("17")), "after_position POSITION_INVALID"),
        (from(after("SHARING:17")), "after_position POSITION_INVALID"),
        (
            from(Some(Start::StartTime(prost_types::Timestamp {
                seconds: 0,
                nanos: -1,
            }))),
            "start_time TIMESTAMP_INVALID",
        ),
        (
            pb::QueryFeedRequest {
                page_size: -1,
                ..Default::default()
            },
            "page_size PAGE_SIZE_INVALID",
        ),
    ] {
        assert_eq!(faults(client.query_feed(bad).await), [expected]);
    }
    let strange = pb::ListErasuresRequest {
        department: "卫健".to_owned(),
        page_token: "x".to_owned(),
        ..Default::default()
    };
    assert_eq!(
        faults(client.list_erasures(strange).await),
        [
            "department DEPARTMENT_INVALID",
            "page_token PAGE_TOKEN_INVALID"
        ]
    );
    let mut client = running.client_of(&guard());
    let nothing = pb::ConfirmErasureRequest::default();
    let both = ["request_id REQUIRED", "elder_id REQUIRED"];
    assert_eq!(faults(client.confirm_erasure(nothing).await), both);
    let nothing = pb::IssueFeedCredentialRequest::default();
    let both = ["request_id REQUIRED", "department DEPARTMENT_INVALID"];
    assert_eq!(faults(client.issue_feed_credential(nothing).await), both);
    let nothing = pb::RevokeFeedCredentialRequest::default();
    let three = [
        "request_id REQUIRED",
        "department DEPARTMENT_INVALID",
        "reason REASON_INVALID",
    ];
    assert_eq!(faults(client.revoke_feed_credential(nothing).await), three);
    assert_eq!(ground.written().await, 0);
    running.stop().await;
}
