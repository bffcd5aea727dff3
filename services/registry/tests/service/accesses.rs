//! Who is told of a person is on record before: in the stream `ACCESS`, on the way to sharing. Where that is away, nothing is told.

use std::time::Duration;

use prost::Message as _;
use proto::eldercare::registry::v1 as pb;
use proto::eldercare::sharing::v1::Look;
use service::settings::{self, Address};
use service::{access, connections};
use tonic::Code;

use crate::support::{Running, get, register, wang_xiuying};

/// The looks of the last message of the stream.
pub(crate) async fn last_looks(running: &Running) -> Vec<Look> {
    let settings = settings::Nats {
        url: Address::new(running.ground.nats.url()),
        ..settings::Nats::default()
    };
    let client = connections::nats("test", &settings).await.unwrap();
    let stream = access::stream(client, &settings).await.unwrap();
    let last = stream.cached_info().state.last_sequence;
    let message = stream.get_raw_message(last).await.unwrap();
    assert_eq!(message.subject.as_str(), "access.registry");
    let (mut body, mut looks) = (message.payload, vec![]);
    while !body.is_empty() {
        looks.push(Look::decode_length_delimited(&mut body).unwrap());
    }
    looks
}

#[tokio::test]
async fn a_look_is_stored_before_the_answer_and_nothing_is_told_where_it_cannot_be() {
    let running = Running::new().await;
    let mut client = running.client();
    let (elder, position) = register(&mut client, wang_xiuying()).await;
    get(&mut client, &elder, &position).await;
    let looks = last_looks(&running).await;
    let [look] = looks.as_slice() else {
        panic!("one answer, one look: {looks:?}");
    };
    assert_eq!(
        [&look.caller, &look.department, &look.purpose, &look.method],
        ["officer:test-officer", "civil_affairs", "test", "GetElder"]
    );
    assert_eq!(look.address, "127.0.0.1");
    assert_eq!(look.elder_ids, std::slice::from_ref(&elder));
    assert!(look.fields.iter().any(|field| field == "elder.id_number"));
    assert!(look.at.is_some());

    running.ground.nats.kill().await;
    let request = pb::GetElderRequest {
        elder_id: elder.clone(),
        ..pb::GetElderRequest::default()
    };
    // Database and keys are there; what is not personal is told.
    let facts = pb::GetElderRequest {
        view: pb::ElderView::Facts.into(),
        ..request.clone()
    };
    client.get_elder(facts).await.unwrap();
    let refused = client.get_elder(request.clone()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");

    running.ground.nats.restart().await.unwrap();
    let telling = async {
        while client.get_elder(request.clone()).await.is_err() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), telling)
        .await
        .unwrap();
    running.stop().await;
}
