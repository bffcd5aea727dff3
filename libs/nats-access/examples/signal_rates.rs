//! Prints how long a signal takes from a device to the stream, and how many the relay keeps up with on this machine.
//!
//! `cargo run --release -p nats-access --example signal_rates`

#![allow(clippy::unwrap_used, reason = "whoever measures sees what fails")]
#![allow(dead_code, reason = "the tests use more of the place")]

use std::time::{Duration, Instant};

use async_nats::jetstream::{self, consumer::PullConsumer};
use backing_services::Syncing;
use futures::StreamExt as _;

#[path = "../tests/access/mqtt.rs"]
mod mqtt;
#[path = "../tests/access/place.rs"]
mod place;

use mqtt::Mqtt;
use place::{Place, relayed};

const SINGLE: usize = 2_000;
/// How many messages a connection has on their way.
const WINDOW: usize = 64;
const CONNECTIONS: usize = 8;

#[tokio::main]
async fn main() {
    for (syncing, many) in [(Syncing::EveryTwoMinutes, 50_000), (Syncing::Always, 5_000)] {
        println!("{syncing:?}");
        let place = Place::with(None, syncing).await;
        latency(&place).await;
        for subjects in [16, 20_000] {
            follow(&place, subjects, many).await;
            catch_up(&place, subjects, many).await;
        }
    }
}

/// One signal after the other.
async fn latency(place: &Place) {
    let _open = place.open().await;
    place.register.add("smoke-1");
    let mut device = place.device("smoke-1").await.unwrap();
    let server = jetstream::new(place.operator.clone());
    let stream = server.get_stream("SIGNALS").await.unwrap();
    let config = jetstream::consumer::pull::OrderedConfig::default();
    let consumer = stream.create_consumer(config).await.unwrap();
    let mut stored = consumer.messages().await.unwrap();
    let (mut acknowledged, mut delivered) = (Vec::new(), Vec::new());
    for number in 0..SINGLE {
        let begun = Instant::now();
        let text = format!("{number:0>300}");
        device
            .publish("eldercare/signals/smoke-1", &text)
            .await
            .unwrap();
        acknowledged.push(begun.elapsed());
        stored.next().await.unwrap().unwrap();
        delivered.push(begun.elapsed());
    }
    show("sent to acknowledged", acknowledged);
    show("sent to delivered out of the stream", delivered);
}

fn show(what: &str, mut took: Vec<Duration>) {
    took.sort_unstable();
    let at = |share: usize| took[took.len() * share / 1_000];
    println!("{what}: p50 {:?}, p99 {:?}", at(500), at(990));
}

/// Devices that send while the relay runs.
async fn follow(place: &Place, subjects: usize, many: usize) {
    let _open = place.open().await;
    let begun = Instant::now();
    send(place, subjects, many).await;
    let sent = begun.elapsed();
    relayed_all(place).await;
    let caught_up = begun.elapsed();
    println!(
        "{subjects} devices: {:.0}/s acknowledged while the relay runs, which is done {:?} later",
        per_second(many, sent),
        caught_up.saturating_sub(sent)
    );
}

/// What was sent while the relay was away.
async fn catch_up(place: &Place, subjects: usize, many: usize) {
    let begun = Instant::now();
    send(place, subjects, many).await;
    println!(
        "{subjects} devices: {:.0}/s acknowledged without a relay",
        per_second(many, begun.elapsed())
    );
    let begun = Instant::now();
    let (_, _relaying) = place.relay();
    relayed_all(place).await;
    println!(
        "{subjects} devices: the relay sees to {:.0}/s that waited for it",
        per_second(many, begun.elapsed())
    );
}

fn per_second(many: usize, took: Duration) -> f64 {
    f64::from(u32::try_from(many).unwrap()) / took.as_secs_f64()
}

async fn send(place: &Place, subjects: usize, many: usize) {
    let port = place.nats.mqtt_port().unwrap();
    let connection = |connection: usize| async move {
        let client_id = connection.to_string();
        let mut device = Mqtt::connect_as(&client_id, port, "operator", place::PASSWORD)
            .await
            .unwrap();
        let mut under_way = 0;
        for number in (connection..many).step_by(CONNECTIONS) {
            let topic = format!("eldercare/signals/d{}", number % subjects);
            device
                .send(&topic, &format!("{number:0>300}"))
                .await
                .unwrap();
            under_way += 1;
            if under_way == WINDOW {
                device.acknowledged().await.unwrap();
                under_way -= 1;
            }
        }
        for _ in 0..under_way {
            device.acknowledged().await.unwrap();
        }
    };
    futures::future::join_all((0..CONNECTIONS).map(connection)).await;
}

async fn relayed_all(place: &Place) {
    let server = jetstream::new(place.operator.clone());
    let stream = server.get_stream("$MQTT_msgs").await.unwrap();
    let mut consumer: PullConsumer = stream.get_consumer(&relayed().consumer).await.unwrap();
    loop {
        let info = consumer.info().await.unwrap();
        if info.num_pending == 0 && info.num_ack_pending == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
