//! Reflection and health answer without a token; clients of other languages begin there.

use crate::support::Desk;
use service::{TokenIssuer, testing::settings};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

#[tokio::test]
async fn reflection_lists_the_services_of_this_server() {
    let settings = settings(&TokenIssuer::generate());
    let running = Desk::new().serve(&settings).await;
    let mut client = ServerReflectionClient::new(running.channel());
    let question = ServerReflectionRequest {
        message_request: Some(MessageRequest::ListServices(String::new())),
        ..Default::default()
    };
    let mut answers = client
        .server_reflection_info(tokio_stream::once(question))
        .await
        .unwrap()
        .into_inner();
    let answer = answers.message().await.unwrap().unwrap();
    let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
        panic!("another answer: {answer:?}");
    };
    let names: Vec<_> = list
        .service
        .iter()
        .map(|service| service.name.as_str())
        .collect();
    for name in [
        "test.v1.Desk",
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
    ] {
        assert!(names.contains(&name), "{name} is missing in {names:?}");
    }
    drop(answers);
    running.stop().await.unwrap();
}
