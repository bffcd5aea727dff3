//! Makes MQTT's acknowledgement mean "stored in our stream", whatever happens to the server in between.
//!
//! The server acknowledges a message of quality 1 when it stands in the server's own stream `$MQTT_msgs`; it also hands
//! it to whoever captures its subject, our stream among them, but that is not waited for, and a crash or a full queue loses
//! it there. `$MQTT_msgs` keeps a message for as long as a consumer has not acknowledged it, and one of ours does so only
//! when our stream has the message. Should that lack it, it gets a copy.
//!
//! A message may so come twice, and its arrival may be told late: what matters of it must stand in it, and bear an id.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use async_nats::{
    Client,
    jetstream::{
        self, Message,
        consumer::{AckPolicy, PullConsumer, pull},
        context::{Context, ContextBuilder},
        stream,
    },
};
use chrono::{DateTime, TimeDelta, Utc};
use futures::StreamExt as _;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    recent::{Recent, stored_at},
    standing::{Standing, connection},
    stored::{Away, Copied, From, Held, PATIENCE, Stored},
};

/// The server's own stream, and the prefix of the subjects in it.
const MQTT_STREAM: &str = "$MQTT_msgs";
const MQTT_SUBJECTS: &str = "$MQTT.msgs.";

/// How many messages are seen to in one go; the server tells the last messages of 1,024 subjects at most.
const BATCH: usize = 512;

/// So few are looked up by their subjects first; where more come, reading the stream in its order costs less.
const FEW: usize = 4;

/// How often our stream is waited for when it is behind, and how long.
const WAITED: usize = 3;
const BEHIND: Duration = Duration::from_millis(20);

/// How many subjects are read or written at once.
const AT_ONCE: usize = 64;

/// What is not acknowledged in this time comes again.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(10);

/// How many messages may be on their way to all replicas.
const UNDER_WAY: i64 = 8_192;

/// Our stream may store a message so much earlier than the server's own: both do it side by side.
const APART: TimeDelta = TimeDelta::seconds(10);

/// Of how many subjects it is remembered how far they have been looked at.
const REMEMBERED: usize = 10_000;

/// How often it is looked whether the connection is another one.
const LOOK: Duration = Duration::from_millis(20);

/// Before something that failed is tried again.
const AGAIN: Duration = Duration::from_millis(200);

/// Nothing comes from the server for this long when there are no messages.
const HEARTBEAT: Duration = Duration::from_secs(2);

/// What is relayed, and where to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelaySettings {
    /// Our stream, which somebody else makes. It allows direct reads.
    pub stream: String,
    /// What devices publish to, as NATS writes it (`eldercare.signals.*`). The stream captures it.
    pub subjects: String,
    /// The name of the consumer of `$MQTT_msgs`. All replicas share it.
    pub consumer: String,
    /// The copies of `$MQTT_msgs`, should the relay come to make it: before the first device, the server has not.
    pub replicas: usize,
}

impl RelaySettings {
    /// Into this stream, for these subjects, with one copy.
    #[must_use]
    pub fn new(stream: impl Into<String>, subjects: impl Into<String>) -> Self {
        let stream = stream.into();
        Self {
            consumer: format!("relay-{stream}"),
            stream,
            subjects: subjects.into(),
            replicas: 1,
        }
    }
}

/// Brings into our stream what was acknowledged over MQTT and is not there. Every replica runs one.
#[derive(Debug)]
pub struct Relay {
    client: Client,
    server: Context,
    settings: RelaySettings,
    stored: Stored,
    seen: watch::Sender<Option<u64>>,
    /// How far subjects that are busy have been looked at.
    looked_at: Mutex<HashMap<String, u64>>,
}

/// A message that the server acknowledged.
struct Arrival {
    subject: String,
    at: DateTime<Utc>,
    again: bool,
    message: Message,
}

impl Relay {
    /// Over this client; nothing happens yet.
    #[must_use]
    pub fn new(client: Client, settings: RelaySettings) -> Self {
        let server = ContextBuilder::new()
            .timeout(PATIENCE)
            .build(client.clone());
        Self {
            stored: Stored::new(client.clone(), server.clone(), &settings.stream),
            client,
            server,
            settings,
            seen: watch::Sender::new(None),
            looked_at: Mutex::default(),
        }
    }

    /// Whether it stands behind acknowledgements. A device that is let in earlier may lose what it sends.
    #[must_use]
    pub fn standing(&self) -> Standing {
        Standing::new(self.client.clone(), self.seen.subscribe())
    }

    /// Waits until it stands behind acknowledgements; somebody else runs it meanwhile.
    pub fn ready(&self) -> impl Future<Output = ()> + Send + use<> {
        let standing = self.standing();
        async move { standing.wait().await }
    }

    /// Relays until stopped, also over times when the server or the stream is away. What is under way when it stops comes
    /// to the next one.
    pub async fn run(self, stopped: CancellationToken) {
        let relaying = futures::future::join(self.stand(), self.follow());
        stopped.run_until_cancelled(relaying).await;
    }

    /// Sees to it that the consumer is there, again after each loss of the connection.
    async fn stand(&self) {
        loop {
            let present = connection(&self.client);
            if *self.seen.borrow() != Some(present) {
                match self.consumer().await {
                    Ok(_) => {
                        self.seen.send_replace(Some(present));
                    }
                    Err(error) => {
                        tracing::warn!(%error, "nothing stands behind MQTT's acknowledgements");
                        tokio::time::sleep(AGAIN).await;
                    }
                }
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// The consumer, made where it is missing, with its stream.
    async fn consumer(&self) -> Result<PullConsumer, Away> {
        let messages = stream::Config {
            name: MQTT_STREAM.to_owned(),
            subjects: vec![format!("{MQTT_SUBJECTS}>")],
            retention: stream::RetentionPolicy::Interest,
            storage: stream::StorageType::File,
            num_replicas: self.settings.replicas,
            ..stream::Config::default()
        };
        let consumer = pull::Config {
            durable_name: Some(self.settings.consumer.clone()),
            filter_subject: format!("{MQTT_SUBJECTS}{}", self.settings.subjects),
            ack_policy: AckPolicy::Explicit,
            ack_wait: ACKNOWLEDGED_WITHIN,
            max_ack_pending: UNDER_WAY,
            ..pull::Config::default()
        };
        let stream = self.server.get_or_create_stream(messages).await;
        let stream = stream.map_err(Away::because)?;
        stream
            .create_consumer(consumer)
            .await
            .map_err(Away::because)
    }

    async fn follow(&self) {
        loop {
            if let Err(error) = self.follow_once().await {
                tracing::warn!(%error, "what arrives over MQTT is followed again");
            }
            // The consumer may be gone.
            self.seen.send_replace(None);
            tokio::time::sleep(AGAIN).await;
        }
    }

    async fn follow_once(&self) -> Result<(), Away> {
        self.ready().await;
        let consumer = self.consumer().await?;
        let messages = consumer
            .stream()
            .max_messages_per_batch(2 * BATCH)
            .heartbeat(HEARTBEAT)
            .messages()
            .await
            .map_err(Away::because)?;
        let mut batches = messages.ready_chunks(BATCH);
        let RelaySettings {
            stream, subjects, ..
        } = &self.settings;
        let mut recent = Recent::new(self.server.clone(), stream.clone(), subjects.clone());
        while let Some(batch) = batches.next().await {
            let (mut arrivals, mut failed) = (Vec::new(), None);
            for message in batch {
                match message {
                    Ok(message) => arrivals.extend(Arrival::of(message)),
                    Err(error) => failed = Some(Away::because(error)),
                }
            }
            if let Err(error) = self.see_to(&mut recent, arrivals).await {
                // They come again.
                tracing::warn!(%error, "what arrived over MQTT is seen to later");
                tokio::time::sleep(AGAIN).await;
            }
            if let Some(failed) = failed {
                return Err(failed);
            }
        }
        Ok(())
    }

    /// Makes sure that each is in our stream, and acknowledges it.
    async fn see_to(&self, recent: &mut Recent, mut arrivals: Vec<Arrival>) -> Result<(), Away> {
        if arrivals.len() <= FEW {
            self.settle_last(&mut arrivals).await?;
        }
        self.settle_recent(recent, &mut arrivals).await?;
        self.see_to_each(arrivals).await
    }

    /// Acknowledges those that are the last of their subjects, as signals mostly are that are told one by one.
    async fn settle_last(&self, open: &mut Vec<Arrival>) -> Result<(), Away> {
        let subjects: Vec<&str> = open.iter().map(|arrival| &*arrival.subject).collect();
        if subjects.is_empty() {
            return Ok(());
        }
        for last in self.stored.last_of(&subjects).await?.values() {
            settle(open, last).await?;
        }
        Ok(())
    }

    /// Acknowledges those that are found where our stream is read in its order.
    async fn settle_recent(
        &self,
        recent: &mut Recent,
        open: &mut Vec<Arrival>,
    ) -> Result<(), Away> {
        for _ in 0..WAITED {
            let instants = || open.iter().map(|arrival| arrival.at);
            let (Some(first), Some(last)) = (instants().min(), instants().max()) else {
                return Ok(());
            };
            let at_end = recent.read(first, last).await?;
            let held =
                |arrival: &mut Arrival| recent.holds(&arrival.subject, &arrival.message.payload);
            for settled in open.extract_if(.., held) {
                settled.acknowledge().await?;
            }
            if open.is_empty() || !at_end {
                break;
            }
            tokio::time::sleep(BEHIND).await;
        }
        Ok(())
    }

    /// Looks for each where our stream has its subject, and writes a copy of what is not there.
    async fn see_to_each(&self, arrivals: Vec<Arrival>) -> Result<(), Away> {
        let mut by_subject: HashMap<String, Vec<Arrival>> = HashMap::new();
        for arrival in arrivals {
            let subject = arrival.subject.clone();
            by_subject.entry(subject).or_default().push(arrival);
        }
        let subjects: Vec<&str> = by_subject.keys().map(String::as_str).collect();
        if subjects.is_empty() {
            return Ok(());
        }
        let mut last = self.stored.last_of(&subjects).await?;
        let each = by_subject.into_iter().map(|(subject, arrivals)| {
            let last = last.remove(&subject);
            self.see_to_subject(subject, arrivals, last)
        });
        // Collected first: `last` is borrowed by the iterator.
        let each: Vec<_> = each.collect();
        let mut each = futures::stream::iter(each).buffer_unordered(AT_ONCE);
        let (mut copied, mut failed) = (0, None);
        while let Some(one) = each.next().await {
            match one {
                Ok(copies) => copied += copies,
                // It comes again; the others don't wait for it.
                Err(error) => failed = Some(error),
            }
        }
        if copied > 0 {
            let stream = &self.settings.stream;
            tracing::info!(
                copied,
                stream,
                "it lacked what had been acknowledged over MQTT"
            );
        }
        failed.map_or(Ok(()), Err)
    }

    /// Those of one subject, in their order, of which `last` is the last message that our stream holds; how many it lacked.
    async fn see_to_subject(
        &self,
        subject: String,
        mut open: Vec<Arrival>,
        last: Option<Held>,
    ) -> Result<usize, Away> {
        let mut last_sequence = 0;
        if let Some(last) = &last {
            last_sequence = last.sequence;
            settle(&mut open, last).await?;
        }
        let Some(mut from) = self.start(&subject, &open) else {
            return Ok(0);
        };
        let mut copies = 0;
        // Whatever stood in the server's queue when it was first looked has been stored when a copy comes through it.
        let mut queue_has_passed = false;
        while !open.is_empty() {
            self.find(&subject, &mut from, &mut last_sequence, &mut open)
                .await?;
            while let Some(arrival) = open.first() {
                let after = (!queue_has_passed).then_some(last_sequence);
                let payload = &arrival.message.payload;
                match self.stored.copy(&subject, payload, after).await? {
                    Copied::Written(sequence) => {
                        last_sequence = sequence;
                        from = From::Sequence(sequence + 1);
                        open.remove(0).acknowledge().await?;
                        copies += 1;
                    }
                    Copied::Overtaken => {
                        queue_has_passed = true;
                        break;
                    }
                }
            }
        }
        if let From::Sequence(sequence) = from {
            let mut looked_at = self
                .looked_at
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            if looked_at.len() >= REMEMBERED {
                looked_at.clear();
            }
            looked_at.insert(subject, sequence);
        }
        Ok(copies)
    }

    /// From where our stream is looked at for these; none if there are none.
    fn start(&self, subject: &str, open: &[Arrival]) -> Option<From> {
        let earliest = open.iter().map(|arrival| arrival.at).min()?;
        let looked_at = self
            .looked_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let known = looked_at.get(subject).copied();
        // What comes again may have been found before.
        let known = known.filter(|_| !open.iter().any(|arrival| arrival.again));
        Some(known.map_or(From::Instant(earliest - APART), From::Sequence))
    }

    /// Looks at what our stream holds of a subject, until all are found or there is no more.
    async fn find(
        &self,
        subject: &str,
        from: &mut From,
        last_sequence: &mut u64,
        open: &mut Vec<Arrival>,
    ) -> Result<(), Away> {
        loop {
            let (held, more) = self.stored.from(subject, *from).await?;
            for one in &held {
                if open.is_empty() {
                    return Ok(());
                }
                settle(open, one).await?;
                *from = From::Sequence(one.sequence + 1);
                *last_sequence = one.sequence.max(*last_sequence);
            }
            if !more || open.is_empty() {
                return Ok(());
            }
        }
    }
}

/// Acknowledges those that our stream holds in this message.
async fn settle(open: &mut Vec<Arrival>, held: &Held) -> Result<(), Away> {
    let is_held = |arrival: &mut Arrival| {
        arrival.subject == held.subject
            && arrival.message.payload == held.payload
            && held.at >= arrival.at - APART
    };
    for settled in open.extract_if(.., is_held) {
        settled.acknowledge().await?;
    }
    Ok(())
}

impl Arrival {
    fn of(message: jetstream::Message) -> Option<Self> {
        let subject = message.subject.strip_prefix(MQTT_SUBJECTS)?.to_owned();
        Some(Self {
            subject,
            at: stored_at(&message).ok()?,
            again: message.info().ok()?.delivered > 1,
            message,
        })
    }

    async fn acknowledge(self) -> Result<(), Away> {
        self.message.ack().await.map_err(Away::because)
    }
}
