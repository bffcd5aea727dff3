//! A query that asks for a record which never comes, in the registry's log or in ours, waits as long as its call may take.

use std::time::Duration;

use proto::eldercare::tiering::v1 as pb;
use tonic::{Code, Request, Status};

use crate::support::*;

/// How the queries that wait for a position end: all of them.
async fn outcomes(client: &mut Client, min_position: &str) -> [Result<(), Status>; 6] {
    let min_position = min_position.to_owned();
    let elder_id = elder(1).to_string();
    let division_code = VILLAGE.to_owned();
    let get = pb::GetTierRequest {
        elder_id: elder_id.clone(),
        min_position: min_position.clone(),
    };
    let batch = pb::BatchGetTiersRequest {
        elder_ids: vec![elder_id],
        min_position: min_position.clone(),
    };
    let list = pb::ListTiersRequest {
        division_code: division_code.clone(),
        min_position: min_position.clone(),
        ..pb::ListTiersRequest::default()
    };
    let count = pb::CountTiersRequest {
        division_code: division_code.clone(),
        min_position: min_position.clone(),
    };
    let policy = pb::GetPolicyRequest {
        division_code,
        min_position: min_position.clone(),
        ..pb::GetPolicyRequest::default()
    };
    let policies = pb::ListPoliciesRequest {
        min_position,
        ..pb::ListPoliciesRequest::default()
    };
    [
        client.get_tier(get).await.map(drop),
        client.batch_get_tiers(batch).await.map(drop),
        client.list_tiers(list).await.map(drop),
        client.count_tiers(count).await.map(drop),
        client.get_policy(policy).await.map(drop),
        client.list_policies(policies).await.map(drop),
    ]
}

#[track_caller]
fn too_late(outcome: Result<(), Status>, what: &str) {
    let status = outcome.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::DeadlineExceeded, "DEADLINE_EXCEEDED"),
        "{what}"
    );
}

#[tokio::test]
async fn they_are_waited_for_until_the_calls_deadline() {
    let (ground, _log) = Ground::in_memory("2024-10-01").await;
    // The client has no deadline of its own, so that the end is the service's.
    let short = Duration::from_millis(200);
    let instance = ground.instance_with(|settings| settings.grpc.default_deadline = short);
    let instance = instance.await;
    let mut client = instance.client(&service::testing::anybody());
    for position in ["REGISTRY:1000000", "TIERING:1000000"] {
        let waited = outcomes(&mut client, position).await;
        for (place, outcome) in waited.into_iter().enumerate() {
            too_late(outcome, &format!("the query {place} for {position}"));
        }
    }
    // Facts come from the log itself: an explanation waits for policies alone.
    let explain = |min_position: &str| {
        let mut request = Request::new(pb::ExplainTierRequest {
            elder_id: elder(1).to_string(),
            on: None,
            min_position: min_position.to_owned(),
        });
        if min_position.starts_with("REGISTRY") {
            request.set_timeout(Duration::from_secs(50));
        }
        request
    };
    let for_policies = client.explain_tier(explain("TIERING:1000000")).await;
    too_late(for_policies.map(drop), "an explanation");
    let of_facts = client.explain_tier(explain("REGISTRY:1000000")).await;
    assert_eq!(of_facts.unwrap_err().code(), Code::NotFound);

    // It was the position alone that was waited for.
    let mut at_once = Request::new(pb::GetTierRequest {
        elder_id: elder(1).to_string(),
        min_position: String::new(),
    });
    at_once.set_timeout(Duration::from_secs(50));
    let status = client.get_tier(at_once).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    instance.stop().await;
}
