//! Whoever speaks NATS says where to be answered: the answers reach nothing of ours.

use async_nats::jetstream;

use crate::place::Place;

#[tokio::test]
async fn no_answer_can_be_led_into_our_streams_or_to_the_server() {
    let place = Place::new().await;
    let _open = place.open().await;
    let server = jetstream::new(place.operator.clone());
    let log = jetstream::stream::Config {
        name: "REGISTRY".to_owned(),
        subjects: vec!["eldercare.registry.>".to_owned()],
        ..Default::default()
    };
    let mut log = server.create_stream(log).await.unwrap();
    server
        .publish("eldercare.registry.elder.1", "a fact".into())
        .await
        .unwrap()
        .await
        .unwrap();
    place.register.add("smoke-1");
    let device = place.let_in_over_nats("smoke-1").await;
    for elsewhere in [
        "eldercare.registry.elder.1",
        "$JS.API.STREAM.PURGE.REGISTRY",
        "$JS.API.STREAM.DELETE.REGISTRY",
    ] {
        device
            .publish_with_reply("eldercare.signals.smoke-1", elsewhere, "help".into())
            .await
            .unwrap();
    }
    device.flush().await.unwrap();
    // It is answered after it is stored.
    while place.signals().await.len() < 3 {}
    place.operator.flush().await.unwrap();
    assert_eq!(log.info().await.unwrap().state.messages, 1);
}
