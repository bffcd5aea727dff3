//! Malformed requests get typed errors; callers see only what is theirs.

use proto::eldercare::tiering::v1 as pb;
use service::Claims;
use tonic::{Code, Status};

use crate::support::*;

#[track_caller]
fn refused<T: std::fmt::Debug>(answer: Result<tonic::Response<T>, Status>, expected: &str) {
    let status = answer.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::InvalidArgument, expected),
        "{}",
        status.message()
    );
}

#[tokio::test]
async fn malformed_requests_are_refused_with_their_field() {
    let world = Running::on("2024-10-01").await;
    let mut client = world.client();
    for elder_id in [
        "",
        "x",
        "00000000-0000-0000-0000-000000000000",
        &"1".repeat(10_000),
    ] {
        let expected = if elder_id.is_empty() {
            "REQUIRED"
        } else {
            "UUID_INVALID"
        };
        let request = pb::GetTierRequest {
            elder_id: elder_id.to_owned(),
            min_position: String::new(),
        };
        refused(client.get_tier(request).await, expected);
    }
    for min_position in [
        "x",
        "REGISTRY:",
        "REGISTRY:-1",
        "VISITS:1",
        "REGISTRY:99999999999999999999",
    ] {
        let request = pb::GetTierRequest {
            elder_id: elder(1).to_string(),
            min_position: min_position.to_owned(),
        };
        refused(client.get_tier(request).await, "POSITION_INVALID");
    }
    refused(
        client
            .batch_get_tiers(pb::BatchGetTiersRequest::default())
            .await,
        "COUNT_OUT_OF_RANGE",
    );
    let many = pb::BatchGetTiersRequest {
        elder_ids: vec![elder(1).to_string(); 1_001],
        ..Default::default()
    };
    refused(client.batch_get_tiers(many).await, "COUNT_OUT_OF_RANGE");
    for division in ["0", "3", "３５", "35052", "3505241000011", "' OR 1=1 --"] {
        let request = pb::CountTiersRequest {
            division_code: division.to_owned(),
            ..Default::default()
        };
        refused(client.count_tiers(request).await, "DIVISION_INVALID");
    }
    let list = || pb::ListTiersRequest {
        division_code: "35".to_owned(),
        ..Default::default()
    };
    refused(
        client
            .list_tiers(pb::ListTiersRequest {
                page_size: -1,
                ..list()
            })
            .await,
        "PAGE_SIZE_INVALID",
    );
    refused(
        client
            .list_tiers(pb::ListTiersRequest {
                page_token: "AAAA".to_owned(),
                ..list()
            })
            .await,
        "PAGE_TOKEN_INVALID",
    );
    refused(
        client
            .list_tiers(pb::ListTiersRequest {
                tiers: vec!["A".to_owned(); 100],
                ..list()
            })
            .await,
        "COUNT_OUT_OF_RANGE",
    );
    let publish = || pb::PublishPolicyRequest {
        request_id: uuid::Uuid::now_v7().to_string(),
        division_code: "350524".to_owned(),
        yaml: "tiers: []".to_owned(),
    };
    refused(
        client
            .publish_policy(pb::PublishPolicyRequest {
                request_id: String::new(),
                ..publish()
            })
            .await,
        "REQUIRED",
    );
    refused(
        client
            .publish_policy(pb::PublishPolicyRequest {
                yaml: " ".to_owned(),
                ..publish()
            })
            .await,
        "REQUIRED",
    );
    refused(
        client
            .publish_policy(pb::PublishPolicyRequest {
                yaml: "x".repeat(70_000),
                ..publish()
            })
            .await,
        "TOO_LONG",
    );
    let village = pb::PublishPolicyRequest {
        division_code: VILLAGE.to_owned(),
        ..publish()
    };
    refused(
        client.publish_policy(village).await,
        "DIVISION_HAS_NO_POLICY",
    );
    refused(
        client
            .get_policy(pb::GetPolicyRequest {
                division_code: "0".to_owned(),
                version: -1,
                ..Default::default()
            })
            .await,
        "OUT_OF_RANGE",
    );
    let bad_day = proto::eldercare::r#type::v1::Date {
        year: 2024,
        month: 2,
        day: 30,
    };
    let request = pb::ExplainTierRequest {
        elder_id: elder(1).to_string(),
        on: Some(bad_day),
        ..Default::default()
    };
    refused(client.explain_tier(request).await, "REQUIRED");
    let request = pb::WatchTiersRequest {
        division_code: "35".to_owned(),
        after_position: "REGISTRY:1".to_owned(),
    };
    refused(client.watch_tiers(request).await, "POSITION_INVALID");
    assert_eq!(world.ground.told().await, Vec::<String>::new());
    world.stop().await;
}

#[tokio::test]
async fn an_officer_sees_the_tiers_of_his_own_division_and_publishes_nothing() {
    let world = Running::on("2024-10-01").await;
    let (his, other) = (elder(1), elder(2));
    world
        .record(his, &[registered(his, "1950-05-05", |_| {})])
        .await;
    world
        .record(
            other,
            &[registered(other, "1950-05-05", |elder| {
                elder.residence = residence("370303100001")
            })],
        )
        .await;
    world.settled().await;
    let viewer = Claims::officer("viewer", "civil_affairs")
        .division("350524")
        .role("viewer")
        .purpose("visits");
    let mut client = world.instance.client(&viewer);
    let tier = |elder: civic::ElderId| pb::GetTierRequest {
        elder_id: elder.to_string(),
        min_position: String::new(),
    };
    assert!(client.get_tier(tier(his)).await.is_ok());
    let unknown = client.get_tier(tier(other)).await.unwrap_err();
    assert_eq!(
        (unknown.code(), reason(&unknown).as_str()),
        (Code::NotFound, "TIER_NOT_FOUND")
    );
    let denied = |status: Status| {
        assert_eq!(
            status.code(),
            Code::PermissionDenied,
            "{}",
            status.message()
        )
    };
    let elder_ids = vec![his.to_string(), other.to_string()];
    let batch = pb::BatchGetTiersRequest {
        elder_ids,
        ..Default::default()
    };
    let batch = client.batch_get_tiers(batch).await.unwrap().into_inner();
    assert_eq!(batch.tiers.len(), 1);
    assert_eq!(batch.missing_elder_ids, [other.to_string()]);
    denied(
        client
            .list_tiers(pb::ListTiersRequest {
                division_code: "35".to_owned(),
                ..Default::default()
            })
            .await
            .unwrap_err(),
    );
    denied(
        client
            .count_tiers(pb::CountTiersRequest {
                division_code: "37".to_owned(),
                ..Default::default()
            })
            .await
            .unwrap_err(),
    );
    let explain = pb::ExplainTierRequest {
        elder_id: other.to_string(),
        ..Default::default()
    };
    let unknown = client.explain_tier(explain).await.unwrap_err();
    assert_eq!(
        (unknown.code(), reason(&unknown).as_str()),
        (Code::NotFound, "ELDER_NOT_FOUND")
    );
    let publish = pb::PublishPolicyRequest {
        request_id: uuid::Uuid::now_v7().to_string(),
        division_code: "350524".to_owned(),
        yaml: tiering::policy::NATIONAL_YAML.to_owned(),
    };
    denied(client.publish_policy(publish).await.unwrap_err());
    assert!(
        client
            .get_policy(pb::GetPolicyRequest {
                division_code: "37".to_owned(),
                ..Default::default()
            })
            .await
            .is_ok()
    );
    world.stop().await;
}
