//! Looks of the other services: on their way in the stream `ACCESS`, they come into our log, each once, whatever dies when.

use std::collections::BTreeSet;
use std::time::Duration;

use backing_services::{Nats, testing};
use civic::ElderId;
use eventlog::Fault;
use proto::eldercare::sharing::v1 as pb;
use service::access;
use service::settings::{self, Address};
use sharing::access_mover::Mover;
use sqlx::PgPool;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::{Ground, at, callers, looks_at, reader, timestamp};

/// The stream on a server of its own, and who tells of looks there.
struct Way {
    nats: Nats,
    settings: settings::Nats,
    client: async_nats::Client,
}

/// A mover in a process of its own.
struct Process {
    shutdown: CancellationToken,
    running: JoinHandle<()>,
}

impl Process {
    async fn dies(self) {
        self.shutdown.cancel();
        self.running.await.unwrap();
    }
}

async fn database() -> PgPool {
    let database = testing::fresh_database().await;
    PgPool::connect(&database).await.unwrap()
}

/// A look by a method, which tells it from others.
fn look(method: &str, elders: &[ElderId]) -> pb::Look {
    pb::Look {
        caller: "officer:somebody".to_owned(),
        department: "civil_affairs".to_owned(),
        purpose: "test".to_owned(),
        method: method.to_owned(),
        address: "127.0.0.1".to_owned(),
        at: timestamp(at("2024-03-01 09:00")),
        elder_ids: elders.iter().map(ElderId::to_string).collect(),
        fields: vec!["tier.tier".to_owned()],
    }
}

impl Way {
    async fn new() -> Self {
        let nats = testing::own_nats().await;
        let settings = settings::Nats {
            url: Address::new(nats.url()),
            ..settings::Nats::default()
        };
        let client = async_nats::connect(nats.url()).await.unwrap();
        access::stream(client.clone(), &settings).await.unwrap();
        Self {
            nats,
            settings,
            client,
        }
    }

    /// Stores looks in one message, as a service does.
    async fn tell(&self, looks: &[pb::Look]) {
        let body: Vec<u8> = looks
            .iter()
            .flat_map(prost::Message::encode_length_delimited_to_vec)
            .collect();
        let stream = async_nats::jetstream::new(self.client.clone());
        let stored = stream.publish("access.tiering", body.into()).await;
        stored.unwrap().await.unwrap();
    }

    /// How many messages are on their way.
    async fn waiting(&self) -> u64 {
        let stream = access::stream(self.client.clone(), &self.settings).await;
        stream.unwrap().cached_info().state.messages
    }

    fn mover(&self, ground: &Ground, pool: PgPool) -> Process {
        let mover = Mover {
            pool,
            nats: self.client.clone(),
            settings: self.settings.clone(),
            log: ground.logs.own.clone(),
            clock: ground.clock.clone(),
        };
        let shutdown = CancellationToken::new();
        Process {
            running: tokio::spawn(mover.run(shutdown.clone())),
            shutdown,
        }
    }
}

/// The methods of all looks in our log, once there are so many.
async fn moved(ground: &Ground, count: usize) -> Vec<String> {
    let waiting = async {
        loop {
            let looks = ground.looks().await;
            if looks.len() >= count {
                let methods = looks.iter().map(|one| one.look().method.clone());
                return methods.collect::<Vec<String>>();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(60), waiting).await;
    waited.expect("the looks are moved")
}

#[tokio::test]
async fn a_look_at_another_service_stands_in_the_history_of_the_elder() {
    let way = Way::new().await;
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let elder = ground.known_to_all().await;
    let mover = way.mover(&ground, running.app.pool());
    way.tell(&[look("GetTier", &[elder])]).await;
    assert_eq!(moved(&ground, 1).await, ["GetTier"]);
    running.settled().await;
    let looks = running
        .history(&reader(), looks_at(elder), 0)
        .await
        .unwrap();
    assert_eq!(callers(&looks), ["officer:somebody"]);
    assert_eq!(looks[0].kind(), pb::LookKind::Access);
    assert_eq!(looks[0].look, Some(look("GetTier", &[elder])));
    mover.dies().await;
}

#[tokio::test]
async fn a_look_is_moved_once_whatever_dies_when() {
    let way = Way::new().await;
    let ground = Ground::at("2024-03-01 09:10");
    let pool = database().await;
    let elder = ElderId(uuid::Uuid::now_v7());
    let first = way.mover(&ground, pool.clone());
    way.tell(&[look("A", &[elder]), look("B", &[elder])]).await;
    way.tell(&[look("C", &[elder])]).await;
    assert_eq!(moved(&ground, 3).await, ["A", "B", "C"]);
    // In our log, and not taken out yet.
    first.dies().await;
    assert_eq!(way.waiting().await, 2);

    // The next one has the whole stream before it, and a lost answer.
    let second = way.mover(&ground, pool);
    ground.memory.fail_next(Fault::AfterWriting);
    way.tell(&[look("D", &[elder])]).await;
    moved(&ground, 4).await;
    // What no program of ours writes stops nothing.
    let stream = async_nats::jetstream::new(way.client.clone());
    let stored = stream.publish("access.tiering", "none".into()).await;
    stored.unwrap().await.unwrap();
    way.tell(&[look("E", &[elder])]).await;
    assert_eq!(moved(&ground, 5).await, ["A", "B", "C", "D", "E"]);

    // What is in our log is taken out.
    let waiting = async {
        while way.waiting().await > 0 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), waiting)
        .await
        .unwrap();
    way.tell(&[look("F", &[elder])]).await;
    assert_eq!(moved(&ground, 6).await, ["A", "B", "C", "D", "E", "F"]);
    second.dies().await;
    way.nats.stop().await;
}

#[tokio::test]
async fn of_two_movers_only_one_goes_on() {
    let way = Way::new().await;
    let ground = Ground::at("2024-03-01 09:10");
    // With databases of their own neither knows of the other's lock.
    let movers = [
        way.mover(&ground, database().await),
        way.mover(&ground, database().await),
    ];
    let elder = ElderId(uuid::Uuid::now_v7());
    for number in 0..40 {
        way.tell(&[look(&format!("Get{number}"), &[elder])]).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    moved(&ground, 40).await;
    way.tell(&[look("Last", &[elder])]).await;
    let all = moved(&ground, 41).await;
    assert_eq!(all.len(), all.iter().collect::<BTreeSet<_>>().len());
    assert_eq!(all.last().map(String::as_str), Some("Last"));
    for mover in movers {
        mover.dies().await;
    }
}
