//! What is acknowledged over MQTT is in our stream, though the server is killed and the relay begins anew.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_nats::jetstream::{self, consumer::PullConsumer};
use tokio::sync::watch;

use crate::place::{Place, relayed};

const DEVICES: usize = 6;
/// How many messages a device has on their way.
const WINDOW: usize = 24;
const KILLS: usize = 4;
/// How many more are acknowledged before the next kill.
const BETWEEN: usize = 1_500;
const POLL: Duration = Duration::from_millis(50);

#[tokio::test]
async fn what_the_stream_lacks_is_brought_to_it_and_what_it_has_is_not() {
    let place = Place::new().await;
    place.register.add("smoke-1");
    let open = place.open().await;
    let mut device = place.let_in("smoke-1").await;
    // The relay stops; its consumer stands.
    drop(open);
    let _answering = place.answer(None).await;
    for number in 0..5 {
        let text = format!("signal {number}");
        device
            .publish("eldercare/signals/smoke-1", &text)
            .await
            .unwrap();
    }
    let server = jetstream::new(place.operator.clone());
    let stream = server.get_stream("SIGNALS").await.unwrap();
    let stored = stored_at_least(&place, 5).await;
    assert_eq!(stored, 5);
    // As if the server had been killed before it stored these.
    for lost in [2, 3] {
        stream.delete_message(lost).await.unwrap();
    }
    let (_, _relaying) = place.relay();
    relayed_all(&place).await;
    let texts: Vec<_> = place
        .signals()
        .await
        .into_iter()
        .map(|(_, text)| text)
        .collect();
    assert_eq!(
        texts,
        ["signal 0", "signal 3", "signal 4", "signal 1", "signal 2"]
    );
}

#[tokio::test]
async fn a_stream_that_holds_nothing_of_a_device_gets_it_all() {
    let place = Place::new().await;
    for device in ["smoke-1", "smoke-2"] {
        place.register.add(device);
    }
    let open = place.open().await;
    let mut devices = [place.let_in("smoke-1").await, place.let_in("smoke-2").await];
    drop(open);
    for (number, device) in (1..).zip(&mut devices) {
        let topic = format!("eldercare/signals/smoke-{number}");
        device.publish(&topic, "heartbeat").await.unwrap();
    }
    assert_eq!(stored_at_least(&place, 2).await, 2);
    let server = jetstream::new(place.operator.clone());
    let stream = server.get_stream("SIGNALS").await.unwrap();
    stream.purge().await.unwrap();
    let (_, _relaying) = place.relay();
    relayed_all(&place).await;
    let stored: HashSet<_> = place.signals().await.into_iter().collect();
    let subjects = ["eldercare.signals.smoke-1", "eldercare.signals.smoke-2"];
    assert_eq!(
        stored,
        subjects
            .map(|subject| (subject.to_owned(), "heartbeat".to_owned()))
            .into()
    );
}

#[tokio::test]
async fn a_server_that_comes_back_without_its_stream_lets_nobody_in_too_early() {
    let place = Place::new().await;
    place.register.add("smoke-1");
    let _open = place.open().await;
    let server = jetstream::new(place.operator.clone());
    server.delete_stream("$MQTT_msgs").await.unwrap();
    place.nats.restart().await.unwrap();
    // Nobody may be there to answer at first.
    place.let_in("smoke-1").await;
    let consumer = server
        .get_consumer_from_stream(relayed().consumer, "$MQTT_msgs")
        .await;
    let _there: PullConsumer = consumer.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_loses_nothing_that_it_acknowledged() {
    let place = Arc::new(Place::new().await);
    let mut open = place.open().await;
    let storm = Storm::begin(&place);
    for round in 1..=KILLS {
        storm.reach(round * BETWEEN).await;
        // Every other time the service goes down with the server.
        if round % 2 == 0 {
            drop(open);
            place.nats.kill().await;
            place.nats.restart().await.unwrap();
            open = place.open().await;
        } else {
            place.nats.kill().await;
            place.nats.restart().await.unwrap();
        }
    }
    storm.reach((KILLS + 1) * BETWEEN).await;
    let acknowledged = storm.end().await;
    relayed_all(&place).await;
    let stored: HashSet<_> = place
        .signals()
        .await
        .into_iter()
        .map(|(_, text)| text)
        .collect();
    let missing = acknowledged.difference(&stored).count();
    assert_eq!(missing, 0, "of {}", acknowledged.len());
}

/// Devices that go on and on, and come back when the server does.
struct Storm {
    stopped: Arc<AtomicBool>,
    acknowledged: Arc<Mutex<HashSet<String>>>,
    count: watch::Receiver<usize>,
    devices: Vec<tokio::task::JoinHandle<()>>,
}

impl Storm {
    fn begin(place: &Arc<Place>) -> Self {
        let stopped = Arc::new(AtomicBool::new(false));
        let acknowledged = Arc::new(Mutex::default());
        let (told, count) = watch::channel(0);
        let device = |number: usize| {
            let device = Device {
                place: Arc::clone(place),
                name: format!("storm-{number}"),
                stopped: Arc::clone(&stopped),
                acknowledged: Arc::clone(&acknowledged),
                told: told.clone(),
            };
            place.register.add(&device.name);
            tokio::spawn(device.run())
        };
        let devices = (0..DEVICES).map(device).collect();
        Self {
            stopped,
            acknowledged,
            count,
            devices,
        }
    }

    async fn reach(&self, acknowledged: usize) {
        let mut count = self.count.clone();
        count
            .wait_for(|count| *count >= acknowledged)
            .await
            .unwrap();
    }

    async fn end(self) -> HashSet<String> {
        self.stopped.store(true, Ordering::Relaxed);
        for device in self.devices {
            device.await.unwrap();
        }
        std::mem::take(&mut self.acknowledged.lock().unwrap())
    }
}

struct Device {
    place: Arc<Place>,
    name: String,
    stopped: Arc<AtomicBool>,
    acknowledged: Arc<Mutex<HashSet<String>>>,
    told: watch::Sender<usize>,
}

impl Device {
    async fn run(self) {
        let mut number = 0;
        while !self.stopped.load(Ordering::Relaxed) {
            if self.session(&mut number).await.is_err() {
                tokio::time::sleep(POLL).await;
            }
        }
    }

    async fn session(&self, number: &mut usize) -> std::io::Result<()> {
        let mut device = self.place.device(&self.name).await?;
        let topic = format!("eldercare/signals/{}", self.name);
        let mut under_way = std::collections::HashMap::new();
        loop {
            let going_on = !self.stopped.load(Ordering::Relaxed);
            while going_on && under_way.len() < WINDOW {
                *number += 1;
                let text = format!("{} {number}", self.name);
                under_way.insert(device.send(&topic, &text).await?, text);
            }
            if under_way.is_empty() {
                return Ok(());
            }
            let text = under_way.remove(&device.acknowledged().await?).unwrap();
            let mut acknowledged = self.acknowledged.lock().unwrap();
            acknowledged.insert(text);
            self.told.send_replace(acknowledged.len());
        }
    }
}

/// Waits until the relay has seen to all that was acknowledged.
async fn relayed_all(place: &Place) {
    let server = jetstream::new(place.operator.clone());
    loop {
        let consumer = server
            .get_consumer_from_stream(relayed().consumer, "$MQTT_msgs")
            .await;
        let mut consumer: PullConsumer = consumer.unwrap();
        let info = consumer.info().await.unwrap();
        if info.num_pending == 0 && info.num_ack_pending == 0 {
            return;
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Waits until our stream has as many messages.
async fn stored_at_least(place: &Place, messages: u64) -> u64 {
    let server = jetstream::new(place.operator.clone());
    loop {
        let stream = server.get_stream("SIGNALS").await.unwrap();
        let stored = stream.cached_info().state.messages;
        if stored >= messages {
            return stored;
        }
        tokio::time::sleep(POLL).await;
    }
}
