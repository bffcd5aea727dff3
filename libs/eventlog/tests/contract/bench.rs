//! A log to hold to its promises: the one in memory or the one in JetStream, empty and of the test's own.

use std::{sync::Arc, time::Duration};

use async_nats::{Client, ConnectOptions};
use backing_services::{Nats, testing};
use chrono::{TimeZone as _, Utc};
use eventlog::{
    CommandContext, EventLog, Fault, Gather, JetStreamLog, MemoryLog, Metadata, NewRecord,
    RawEvent, StreamSettings, Subject,
};
use uuid::Uuid;

/// A log with what a test needs around it.
pub(crate) struct Bench {
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) context: String,
    kept_in: KeptIn,
}

enum KeptIn {
    Memory(MemoryLog),
    JetStream(Box<OnServer>),
}

struct OnServer {
    client: Client,
    settings: StreamSettings,
    _server: Option<Nats>,
}

impl Bench {
    pub(crate) async fn memory() -> Self {
        Self::memory_of("testing").await
    }

    /// The aggregates of a repository belong to a context that is fixed.
    pub(crate) async fn memory_of(context: &str) -> Self {
        let memory = MemoryLog::new(&context.to_uppercase());
        Self {
            log: Arc::new(memory.clone()),
            context: context.to_owned(),
            kept_in: KeptIn::Memory(memory),
        }
    }

    pub(crate) async fn groups_only() -> Self {
        Self::on_the_shared_server(Gather::GroupsOnly).await
    }

    pub(crate) async fn gathering() -> Self {
        Self::on_the_shared_server(Gather::Always).await
    }

    async fn on_the_shared_server(gather: Gather) -> Self {
        let context = format!("t{}", Uuid::new_v4().simple());
        let client = client(testing::nats().await.url()).await;
        Self::open(client, StreamSettings::of(&context, gather), None).await
    }

    /// A server of its own, since two streams of one server can't have the same context.
    pub(crate) async fn groups_only_of(context: &str) -> Self {
        let server = testing::own_nats().await;
        let client = client(server.url()).await;
        Self::open(
            client,
            StreamSettings::of(context, Gather::GroupsOnly),
            Some(server),
        )
        .await
    }

    pub(crate) async fn gathering_of(context: &str) -> Self {
        let server = testing::own_nats().await;
        let client = client(server.url()).await;
        Self::open(
            client,
            StreamSettings::of(context, Gather::Always),
            Some(server),
        )
        .await
    }

    async fn open(client: Client, settings: StreamSettings, server: Option<Nats>) -> Self {
        let log = JetStreamLog::open(client.clone(), settings.clone())
            .await
            .unwrap();
        Self {
            log: Arc::new(log),
            context: settings.context.clone(),
            kept_in: KeptIn::JetStream(Box::new(OnServer {
                client,
                settings,
                _server: server,
            })),
        }
    }

    /// The same log, opened as another process would.
    pub(crate) async fn opened_again(&self) -> Arc<dyn EventLog> {
        match &self.kept_in {
            KeptIn::Memory(memory) => Arc::new(memory.clone()),
            KeptIn::JetStream(on) => Arc::new(
                JetStreamLog::open(on.client.clone(), on.settings.clone())
                    .await
                    .unwrap(),
            ),
        }
    }

    /// Makes an append fail, where the log can be told to.
    pub(crate) fn fail_next(&self, fault: Fault) -> bool {
        match &self.kept_in {
            KeptIn::Memory(memory) => {
                memory.fail_next(fault);
                true
            }
            KeptIn::JetStream(_) => false,
        }
    }

    /// Writes a message that is no record, as a faulty program would.
    pub(crate) async fn write_unreadable(&self, subject: &str, body: &'static [u8]) -> u64 {
        match &self.kept_in {
            KeptIn::Memory(memory) => memory.write_unreadable(subject, body),
            KeptIn::JetStream(on) => {
                let server = async_nats::jetstream::new(on.client.clone());
                let published = server
                    .publish(subject.to_owned(), body.into())
                    .await
                    .unwrap();
                published.await.unwrap().sequence
            }
        }
    }

    pub(crate) fn subject(&self, id: &str) -> Subject {
        Subject::new(&self.context, "elder", id).unwrap()
    }

    /// A record about an aggregate, expecting its last sequence.
    pub(crate) fn record(&self, id: &str, expected: u64) -> NewRecord {
        NewRecord {
            subject: self.subject(id),
            expected,
            metadata: metadata(Uuid::new_v4()),
            events: vec![event("testing.Happened", id.as_bytes())],
        }
    }
}

/// A client that comes back quickly.
pub(crate) async fn client(servers: impl async_nats::ToServerAddrs) -> Client {
    ConnectOptions::new()
        .reconnect_delay_callback(|_| Duration::from_millis(50))
        .connect(servers)
        .await
        .unwrap()
}

pub(crate) fn event(name: &str, data: &[u8]) -> RawEvent {
    RawEvent {
        event_type: name.to_owned(),
        data: data.to_vec().into(),
    }
}

pub(crate) fn metadata(request_id: Uuid) -> Metadata {
    Metadata {
        id: Uuid::new_v4(),
        time: Utc.with_ymd_and_hms(2024, 11, 1, 0, 0, 0).unwrap(),
        actor: "officer-7".to_owned(),
        request_id,
        request_digest: [7; 16],
        correlation_id: Uuid::new_v4(),
        causation_id: None,
        division: Some("310101".to_owned()),
        traceparent: None,
        answers: None,
        purpose: None,
    }
}

/// A request of its own.
pub(crate) fn request() -> CommandContext {
    CommandContext {
        request_id: Uuid::new_v4(),
        request_digest: [7; 16].into(),
        actor: "officer-7".to_owned(),
        now: Utc.with_ymd_and_hms(2024, 11, 1, 0, 0, 0).unwrap(),
        correlation_id: Uuid::new_v4(),
        causation_id: None,
        division: None,
        traceparent: None,
        answers: None,
        purpose: None,
    }
}

/// Makes a test of each function, once for each log.
macro_rules! over_every_log {
    ($($name:ident),+ $(,)?) => {
        mod in_memory {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(crate::bench::Bench::memory().await).await;
            })+
        }
        mod on_jetstream {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(crate::bench::Bench::groups_only().await).await;
            })+
        }
        mod on_jetstream_gathering {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(crate::bench::Bench::gathering().await).await;
            })+
        }
    };
}
pub(crate) use over_every_log;

/// As `over_every_log`, for repositories, whose aggregates belong to a fixed context.
macro_rules! over_every_log_of {
    ($context:literal => $($name:ident),+ $(,)?) => {
        mod in_memory {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(crate::bench::Bench::memory_of($context).await).await;
            })+
        }
        mod on_jetstream {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(crate::bench::Bench::groups_only_of($context).await).await;
            })+
        }
        mod on_jetstream_gathering {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(crate::bench::Bench::gathering_of($context).await).await;
            })+
        }
    };
}
pub(crate) use over_every_log_of;
