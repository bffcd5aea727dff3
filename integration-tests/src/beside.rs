//! What a story sees beside the processes: the log's streams, and each service's own parts.

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_nats::{header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, jetstream};
use eventlog::{Delivery, EventLog, Gather, JetStreamLog, Record, StreamSettings};
use futures::StreamExt as _;
use prost::{Message, Name};
use service::{Application, Clock};

use crate::{
    System,
    log_server::as_a_service,
    process::Part,
    settings::{self, OfElders},
};

/// How long the log's server may take to answer a story, which looks at it once: the machine has much else to do.
const PATIENCE: Duration = Duration::from_secs(60);

impl System {
    /// A stream of the log, opened beside the processes: `registry`, `tiering`, `visits`, `alerts`, `claims` or
    /// `sharing`.
    pub async fn log(&self, context: &str) -> Arc<dyn EventLog> {
        let settings = StreamSettings {
            create: false,
            ..StreamSettings::of(context, Gather::GroupsOnly)
        };
        Arc::new(
            JetStreamLog::open(self.client().await, settings)
                .await
                .unwrap(),
        )
    }

    /// The log's server, for looking at it directly.
    pub async fn client(&self) -> async_nats::Client {
        let options = as_a_service(self.doors.as_ref(), self.trust.as_ref());
        let options = options
            .connection_timeout(PATIENCE)
            .request_timeout(Some(PATIENCE));
        options.connect(self.log_server.urls()).await.unwrap()
    }

    /// The same, as JetStream.
    pub async fn jetstream(&self) -> jetstream::Context {
        jetstream::new(self.client().await)
    }

    /// The last sequence of a stream: who wrote nothing has left it as it was.
    pub async fn last_sequence(&self, context: &str) -> u64 {
        self.log(context).await.last_sequence().await.unwrap()
    }

    /// All records of a stream.
    pub async fn records(&self, context: &str) -> Vec<Record> {
        let log = self.log(context).await;
        let last = log.last_sequence().await.unwrap();
        let mut records = Vec::new();
        let mut deliveries = log.subscribe(0).await.unwrap();
        while records.last().map_or(0, |record: &Record| record.sequence) < last {
            for delivery in deliveries.next().await.unwrap().unwrap() {
                match delivery {
                    Delivery::Record(record) => records.push(record),
                    Delivery::Unreadable {
                        sequence, reason, ..
                    } => panic!("message {sequence}: {reason}"),
                }
            }
        }
        records
    }

    /// Of each aggregate of a stream each record was written upon the one before it, and the first one upon none: the
    /// server keeps with a message what it expected.
    pub async fn chains_are_whole(&self, context: &str) {
        let stream = self.jetstream().await;
        let stream = stream.get_stream(context.to_uppercase()).await.unwrap();
        let last = stream.cached_info().state.last_sequence;
        let mut tails = HashMap::new();
        for sequence in 1..=last {
            let message = stream.get_raw_message(sequence).await.unwrap();
            let expected = message.headers.get(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE);
            let expected = expected.expect("each append names what it rests on");
            let before = tails.insert(message.subject.to_string(), sequence);
            assert_eq!(
                expected.as_str(),
                before.unwrap_or(0).to_string(),
                "{context}:{sequence} does not follow the one before it"
            );
        }
    }

    /// The events of one kind in a stream, in its order.
    pub async fn events<E: Message + Name + Default>(&self, context: &str) -> Vec<E> {
        let (records, name) = (self.records(context).await, E::full_name());
        let events = records.iter().flat_map(|record| &record.events);
        let events = events.filter(|event| event.event_type == name);
        events
            .map(|event| E::decode(event.data.clone()).unwrap())
            .collect()
    }

    /// The records of a stream about one aggregate.
    pub async fn records_of(&self, context: &str, aggregate: &str, id: &str) -> Vec<Record> {
        let mut records = self.records(context).await;
        records
            .retain(|record| record.subject.aggregate() == aggregate && record.subject.id() == id);
        records
    }

    /// The registry's parts, opened beside the process: log, vault, database. Nothing runs in it.
    pub async fn registry_parts(&self) -> registry::App {
        let settings = self.elders_settings();
        let clock = Clock::stopped_at(self.now);
        registry::App::connect(&settings.registry, &settings.registry_own, clock)
            .await
            .unwrap()
    }

    /// The same of tiering.
    pub async fn tiering_parts(&self) -> tiering::App {
        let settings = self.elders_settings();
        let clock = Clock::stopped_at(self.now);
        tiering::App::connect(&settings.tiering, &settings.tiering_own, clock)
            .await
            .unwrap()
    }

    /// The same of visits.
    pub async fn visits_parts(&self) -> visits::App {
        self.parts_of(Part::Visits).await
    }

    /// The same of alerts.
    pub async fn alerts_parts(&self) -> alerts::App {
        self.parts_of(Part::Alerts).await
    }

    /// The same of claims.
    pub async fn claims_parts(&self) -> claims::App {
        self.parts_of(Part::Claims).await
    }

    /// The same of sharing.
    pub async fn sharing_parts(&self) -> sharing::App {
        self.parts_of(Part::Sharing).await
    }

    /// The same of the service that a process is for.
    async fn parts_of<A: Application>(&self, part: Part) -> A {
        let file = self.settings_file(&part.to_string());
        let settings = settings::of::<A::Own>(&file).unwrap();
        let clock = Clock::stopped_at(self.now);
        let app = A::connect(&settings.common, &settings.own, clock).await;
        app.unwrap()
    }

    fn elders_settings(&self) -> OfElders {
        let file = self.settings_file(&Part::Elders.to_string());
        OfElders::read(&file).unwrap()
    }
}
