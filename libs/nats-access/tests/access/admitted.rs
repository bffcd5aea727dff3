//! Who comes in, and what they may do.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use async_nats::{Event, jetstream};
use backing_services::Syncing;
use nats_access::{Protocol, SealingKey, inbox_prefix};

use crate::{
    mqtt::Mqtt,
    place::{PASSWORD, Place},
};

#[tokio::test]
async fn a_device_speaks_on_its_own_subject_alone() {
    let place = Place::new().await;
    let _open = place.open().await;
    place.register.add("smoke-1");
    let mut device = place.let_in("smoke-1").await;
    device
        .publish("eldercare/signals/smoke-1", "over MQTT")
        .await
        .unwrap();
    // MQTT knows no refusal: it is acknowledged, and dropped.
    device
        .publish("eldercare/signals/smoke-2", "another's")
        .await
        .unwrap();
    device
        .publish("eldercare/signals/smoke-1/arrived", "ours")
        .await
        .unwrap();
    device
        .publish("$MQTT/msgs/eldercare/signals/smoke-1", "the server's")
        .await
        .unwrap();

    let client = place.let_in_over_nats("smoke-1").await;
    let server = jetstream::new(client);
    let told = |subject: &'static str, text: &'static str| {
        let server = server.clone();
        async move { server.publish(subject, text.into()).await?.await }
    };
    told("eldercare.signals.smoke-1", "over NATS")
        .await
        .unwrap();
    let mut impatient = jetstream::context::ContextBuilder::new();
    impatient = impatient.timeout(Duration::from_millis(500));
    let impatient = impatient.build(place.let_in_over_nats("smoke-1").await);
    for another in [
        "eldercare.signals.smoke-2",
        "eldercare.signals.smoke-1.arrived",
    ] {
        let publishing = impatient
            .publish(another, "another's".into())
            .await
            .unwrap();
        assert!(publishing.await.is_err());
    }
    let mine = |text: &str| ("eldercare.signals.smoke-1".to_owned(), text.to_owned());
    assert_eq!(
        place.signals().await,
        [mine("over MQTT"), mine("over NATS")]
    );
}

#[tokio::test]
async fn a_device_hears_nobody_elses_answers() {
    let place = Place::new().await;
    let _open = place.open().await;
    place
        .register
        .add_with("deaf", |grant| grant.subscribe.clear());
    place.register.add("smoke-1");
    for (device, subject) in [
        ("deaf", inbox_prefix("deaf")),
        ("smoke-1", "_INBOX.>".to_owned()),
        ("smoke-1", "eldercare.>".to_owned()),
        ("smoke-1", "$SYS.REQ.USER.AUTH".to_owned()),
    ] {
        let (client, mut events) = place.watched(device).await;
        let _refused = client.subscribe(subject).await.unwrap();
        while !matches!(events.recv().await.unwrap(), Event::ServerError(_)) {}
    }
}

#[tokio::test]
async fn whoever_is_not_registered_stays_out() {
    let place = Place::new().await;
    let _open = place.open().await;
    place.register.add("smoke-1");
    let port = place.nats.mqtt_port().unwrap();
    for (user, password) in [
        ("smoke-1", "guessed"),
        ("unknown", PASSWORD),
        ("alerts", "guessed"),
        ("", ""),
    ] {
        assert!(Mqtt::connect(port, user, password).await.is_err(), "{user}");
    }
    assert!(place.over_nats("unknown").await.is_err());
    assert!(async_nats::connect(place.nats.url()).await.is_err());
    // The register is asked each time.
    place.let_in("smoke-1").await;
    place.register.away.store(true, Ordering::Relaxed);
    assert!(place.device("smoke-1").await.is_err());
    place.register.away.store(false, Ordering::Relaxed);
    place.let_in("smoke-1").await;
}

#[tokio::test]
async fn services_need_no_answer() {
    let place = Place::new().await;
    let services = place.over_nats("operator").await.unwrap();
    services.flush().await.unwrap();
    assert!(place.over_nats("alerts").await.is_ok());
    place.register.add("smoke-1");
    assert!(place.device("smoke-1").await.is_err());
}

#[tokio::test]
async fn nobody_speaks_mqtt_before_something_stands_behind_acknowledgements() {
    let place = Place::new().await;
    place.register.add("smoke-1");
    let (standing, relaying) = place.relay();
    standing.wait().await;
    let _answering = place.answer(Some(standing.clone())).await;
    place.let_in("smoke-1").await;
    drop(relaying);
    assert!(standing.holds(), "its consumer stays");

    // A relay that has not begun yet.
    let place = Place::new().await;
    place.register.add("smoke-1");
    let relay = nats_access::Relay::new(place.service.clone(), crate::place::relayed());
    let _answering = place.answer(Some(relay.standing())).await;
    place.let_in_over_nats("smoke-1").await;
    assert!(place.device("smoke-1").await.is_err());
}

#[tokio::test]
async fn questions_may_be_sealed() {
    let place = Place::with(Some(SealingKey::generate()), Syncing::Always).await;
    let _open = place.open().await;
    place.register.add("smoke-1");
    let mut device = place.let_in("smoke-1").await;
    device
        .publish("eldercare/signals/smoke-1", "sealed")
        .await
        .unwrap();
    assert_eq!(place.signals().await.len(), 1);
    assert!(place.device("unknown").await.is_err());
}

#[tokio::test]
async fn it_is_told_how_a_device_speaks_and_what_it_calls_itself() {
    let place = Place::new().await;
    let _open = place.open().await;
    place.register.add("smoke-1");
    let shown = |protocol| {
        let shown = place.register.shown.lock().unwrap().take().unwrap();
        assert_eq!((shown.user.as_str(), shown.protocol), ("smoke-1", protocol));
    };
    let _mqtt = place.let_in("smoke-1").await;
    let client_id = "smoke-1".to_owned();
    shown(Protocol::Mqtt { client_id });
    let _nats = place.let_in_over_nats("smoke-1").await;
    shown(Protocol::Nats);
}

#[tokio::test]
async fn nobody_publishes_in_two_steps() {
    let place = Place::new().await;
    let _open = place.open().await;
    place.register.add("smoke-1");
    let mut device = place.let_in("smoke-1").await;
    device
        .send_in_two_steps("eldercare/signals/smoke-1", "half")
        .await
        .unwrap();
    device.ended().await;
    assert_eq!(place.signals().await, []);
}

#[tokio::test]
async fn a_grant_that_expires_ends_the_connection() {
    let place = Place::new().await;
    let _open = place.open().await;
    let short = Duration::from_secs(1);
    place
        .register
        .add_with("smoke-1", |grant| grant.expires_in = Some(short));
    let begun = Instant::now();
    place.let_in("smoke-1").await.ended().await;
    assert!(begun.elapsed() < Duration::from_secs(30));
}
