//! Whoever is retired is gone at once.

use std::time::Duration;

use async_nats::Event;

use crate::place::Place;

/// Less than the second look for stragglers takes to come.
const AT_ONCE: Duration = Duration::from_secs(3);

#[tokio::test]
async fn a_retired_device_is_gone_at_once_and_stays_out() {
    let place = Place::new().await;
    let _open = place.open().await;
    place.register.add("retired");
    place.register.add("stays");
    let device = place.let_in("retired").await;
    let mut other = place.let_in("stays").await;
    let (_over_nats, mut events) = place.watched("retired").await;
    assert!(matches!(events.recv().await.unwrap(), Event::Connected));

    place.register.retire("retired");
    let ended = async {
        device.ended().await;
        while !matches!(events.recv().await.unwrap(), Event::Disconnected) {}
    };
    let (cut, ended) = tokio::join!(
        place.connections.cut_off("retired"),
        tokio::time::timeout(AT_ONCE, ended)
    );
    assert!(ended.is_ok());
    assert_eq!(cut, 2);
    assert!(place.device("retired").await.is_err());
    assert!(place.over_nats("retired").await.is_err());
    other
        .publish("eldercare/signals/stays", "here")
        .await
        .unwrap();
    assert_eq!(place.connections.cut_off("nobody").await, 0);
}

#[tokio::test]
async fn who_comes_in_after_the_cut_stays() {
    let place = Place::new().await;
    let _open = place.open().await;
    place.register.add("renewed");
    let (client, mut events) = place.watched("renewed").await;
    let back = async {
        for _ in 0..2 {
            while !matches!(events.recv().await.unwrap(), Event::Connected) {}
        }
    };
    let (cut, ()) = tokio::join!(place.connections.cut_off("renewed"), back);
    assert_eq!(cut, 1);
    client.flush().await.unwrap();
    while let Ok(event) = events.try_recv() {
        assert!(!matches!(event, Event::Disconnected));
    }
}
