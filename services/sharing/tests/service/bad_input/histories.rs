//! Histories and exports that are asked for wrongly.

use proto::eldercare::sharing::v1 as pb;
use tonic::Code;

use super::{NO_DAY, faults};
use crate::support::{Ground, date, looks_by, officer, reader, refused};

#[tokio::test]
async fn histories_that_are_none_are_refused_by_their_fields() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let good = looks_by("officer:reader");
    let mut client = running.client_of(&reader());
    let nobody = pb::GetAccessHistoryRequest::default();
    let no_elder = pb::GetAccessHistoryRequest {
        whose: Some(pb::get_access_history_request::Whose::ElderId(
            "1".to_owned(),
        )),
        ..Default::default()
    };
    for (bad, expected) in [
        (nobody, "whose REQUIRED"),
        (no_elder, "elder_id UUID_INVALID"),
        (looks_by(""), "caller REQUIRED"),
        (looks_by(&"x".repeat(301)), "caller TOO_LONG"),
        (
            pb::GetAccessHistoryRequest {
                first_day: NO_DAY,
                ..good.clone()
            },
            "first_day DAY_INVALID",
        ),
        (
            pb::GetAccessHistoryRequest {
                last_day: NO_DAY,
                ..good.clone()
            },
            "last_day DAY_INVALID",
        ),
        (
            pb::GetAccessHistoryRequest {
                first_day: date("2024-02-02"),
                last_day: date("2024-02-01"),
                ..good.clone()
            },
            "last_day DAYS_INVALID",
        ),
        (
            pb::GetAccessHistoryRequest {
                page_size: -1,
                ..good.clone()
            },
            "page_size PAGE_SIZE_INVALID",
        ),
        (
            pb::GetAccessHistoryRequest {
                page_token: "x".to_owned(),
                ..good.clone()
            },
            "page_token PAGE_TOKEN_INVALID",
        ),
        (
            pb::GetAccessHistoryRequest {
                min_position: "NOTHING:1".to_owned(),
                ..good.clone()
            },
            "min_position POSITION_INVALID",
        ),
    ] {
        assert_eq!(faults(client.get_access_history(bad).await), [expected]);
    }
    client.get_access_history(good).await.unwrap();
    running.stop().await;
}

#[tokio::test]
async fn an_export_from_nowhere_is_refused() {
    let running = Ground::at("2024-03-01 09:10").start().await;
    let operator = officer("operator", "platform", "*", &["operator"]);
    let request = pb::ExportAuditRequest { first_sequence: -1 };
    let outcome = running.client_of(&operator).export_audit(request).await;
    let outcome = outcome.map(|_| ());
    assert_eq!(faults(outcome), ["first_sequence OUT_OF_RANGE"]);
    // Who may not have it learns nothing of what is wrong with it.
    let request = pb::ExportAuditRequest { first_sequence: -1 };
    let outcome = running.client_of(&reader()).export_audit(request).await;
    let outcome = outcome.map(|_| ());
    refused(outcome, Code::PermissionDenied, "ACTION_NOT_PERMITTED");
    running.stop().await;
}
