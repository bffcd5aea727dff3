//! A query that asks for a record which never comes waits as long as its call may take, and is told so.

use std::time::Duration;

use crate::support::{Ground, VILLAGE, id_number};
use proto::eldercare::registry::v1 as pb;
use service::testing::reason;
use tonic::{Code, Request, Status};
use uuid::Uuid;

#[tokio::test]
async fn it_is_waited_for_until_the_calls_deadline() {
    let ground = Ground::new().await;
    // The client has no deadline of its own, so that the end is the service's.
    let short = Duration::from_millis(200);
    let running = ground.start_with(|settings| settings.grpc.default_deadline = short);
    let running = running.await.unwrap();
    let mut client = running.client();
    let min_position = "REGISTRY:1000000".to_owned();
    let elder_id = Uuid::now_v7().to_string();
    let division_code = VILLAGE.to_owned();
    let get = pb::GetElderRequest {
        elder_id: elder_id.clone(),
        min_position: min_position.clone(),
        ..pb::GetElderRequest::default()
    };
    let batch = pb::BatchGetEldersRequest {
        elder_ids: vec![elder_id.clone()],
        min_position: min_position.clone(),
        ..pb::BatchGetEldersRequest::default()
    };
    let list = pb::ListEldersRequest {
        division_code: division_code.clone(),
        min_position: min_position.clone(),
        ..pb::ListEldersRequest::default()
    };
    let search = pb::SearchEldersRequest {
        id_number: id_number("1950-03-12", 2),
        min_position: min_position.clone(),
        ..pb::SearchEldersRequest::default()
    };
    let duplicates = pb::ListDuplicatesRequest {
        division_code: division_code.clone(),
        min_position: min_position.clone(),
        ..pb::ListDuplicatesRequest::default()
    };
    let form = pb::ExportElderFormRequest {
        elder_id,
        min_position: min_position.clone(),
    };
    let counted = pb::GetStatisticsRequest {
        division_code: division_code.clone(),
        min_position: min_position.clone(),
    };
    let divisions = pb::ListDivisionsRequest {
        division_code,
        min_position,
        ..pb::ListDivisionsRequest::default()
    };

    let waited: [Result<(), Status>; 8] = [
        client.get_elder(get.clone()).await.map(drop),
        client.batch_get_elders(batch).await.map(drop),
        client.list_elders(list).await.map(drop),
        client.search_elders(search).await.map(drop),
        client.list_duplicates(duplicates).await.map(drop),
        client.export_elder_form(form).await.map(drop),
        client.get_statistics(counted).await.map(drop),
        client.list_divisions(divisions).await.map(drop),
    ];
    for (place, outcome) in waited.into_iter().enumerate() {
        let status = outcome.unwrap_err();
        assert_eq!(
            (status.code(), reason(&status).as_str()),
            (Code::DeadlineExceeded, "DEADLINE_EXCEEDED"),
            "the query {place}"
        );
    }

    // It was the position alone that was waited for.
    let mut at_once = Request::new(pb::GetElderRequest {
        min_position: String::new(),
        ..get
    });
    at_once.set_timeout(Duration::from_secs(50));
    let status = client.get_elder(at_once).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    running.stop().await;
}
