//! The stream of signals, `SIGNALS`: what devices send lies there for a while, acknowledged once it is stored.
//!
//! What a device publishes itself stands under `eldercare.signals.<device>`; it arrived when the server stored it. What came
//! to us by gRPC stands under `eldercare.signals.<device>.arrived`, where no device may publish, and says when it arrived.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use async_nats::jetstream::context::{GetStreamErrorKind, PublishAckFuture};
use async_nats::jetstream::stream::{self, Config, RetentionPolicy, StorageType};
use async_nats::jetstream::{self, Context, ErrorCode};
use chrono::{DateTime, Datelike as _, FixedOffset, Utc};
use civic::SignalKind;
use futures::stream::BoxStream;
use futures::{FutureExt as _, StreamExt as _};
use serde::{Deserialize, Serialize};
use service::Clock;
use tokio::sync::mpsc;

use crate::signal::{DeviceId, Signal};

/// The stream.
pub const STREAM: &str = "SIGNALS";
/// What devices publish to.
pub const DEVICES: &str = "eldercare.signals.*";
/// Before a device's id in a subject.
const PREFIX: &str = "eldercare.signals.";
/// After it, where we have said when the signal arrived.
const STAMPED: &str = ".arrived";
/// When a signal arrived, RFC 3339.
const ARRIVED_AT: &str = "eldercare-arrived-at";
/// The longest id of a signal.
pub const LONGEST_ID: usize = 64;
/// How many are asked for at once.
const ASKED_FOR: usize = 2_000;
/// How many are handed on together at most.
const BATCH: usize = 2_000;
/// How many batches wait for their reader.
const AHEAD: usize = 4;
/// How often an idle server says that it is still there.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// How often it is looked whether the connection was made anew.
const LOOK: Duration = Duration::from_millis(100);
/// Before it is tried again.
const AGAIN: Duration = Duration::from_millis(50);
/// Of how many devices the last signals are asked for at once: the server gives 1,024 messages at most.
const DEVICES_AT_ONCE: usize = 500;
/// How long the server may take to store a batch.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a device publishes to.
#[must_use]
pub fn subject_of(device: &DeviceId) -> String {
    format!("{PREFIX}{device}")
}

/// Where a device was, by itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
}

/// What a device sends, as it stands in the stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sent {
    /// The device's id of it.
    pub signal_id: String,
    /// What it says.
    pub kind: SignalKind,
    /// When, by the device's clock; the time of arrival where it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_time: Option<DateTime<FixedOffset>>,
    /// Of FLOW, how much water ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub litres: Option<f64>,
    /// Degrees north.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latitude: Option<f64>,
    /// Degrees east.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub longitude: Option<f64>,
}

/// What a reader of the stream gets for each message.
#[derive(Clone, Debug, PartialEq)]
pub enum Arrived {
    /// A signal.
    Signal(Signal),
    /// A message that is none: nobody can be told, so it is counted and passed by.
    Unreadable {
        /// Where it stands.
        sequence: u64,
    },
}

impl Arrived {
    /// Where it stands in the stream.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        match self {
            Self::Signal(signal) => signal.sequence,
            Self::Unreadable { sequence } => *sequence,
        }
    }
}

/// The stream can't be used.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SignalsError {
    /// It is not there, and is not to be made.
    #[error("there is no stream {STREAM}")]
    Absent,
    /// It is not what it must be.
    #[error("the stream {STREAM} is unfit: {0}")]
    Unfit(&'static str),
    /// The server does not answer, or refuses.
    #[error("the stream {STREAM} is away: {0}")]
    Unavailable(String),
}

/// How the stream is made.
#[derive(Debug, Clone)]
pub struct SignalSettings {
    /// For how long signals are kept.
    pub kept_for: Duration,
    /// On how many servers.
    pub replicas: usize,
    /// Make the stream if it is not there.
    pub create: bool,
}

/// The stream of signals. Clones share the connection.
#[derive(Clone)]
pub struct Signals {
    client: async_nats::Client,
    jetstream: Context,
    clock: Clock,
    /// The last sequence that this process stored.
    stored: Arc<AtomicU64>,
}

impl std::fmt::Debug for Signals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signals")
    }
}

impl Signals {
    /// Opens the stream, and makes it where that is wanted.
    ///
    /// # Errors
    /// Where the server does not answer, or the stream is missing or unfit.
    pub async fn open(
        client: async_nats::Client,
        settings: &SignalSettings,
        clock: Clock,
    ) -> Result<Self, SignalsError> {
        let mut jetstream = jetstream::new(client.clone());
        jetstream.set_timeout(PATIENCE);
        let config = match jetstream.get_stream(STREAM).await {
            Ok(stream) => stream.cached_info().config.clone(),
            Err(error) => match error.kind() {
                GetStreamErrorKind::JetStream(refusal)
                    if refusal.error_code() == ErrorCode::STREAM_NOT_FOUND =>
                {
                    if !settings.create {
                        return Err(SignalsError::Absent);
                    }
                    let made = jetstream.create_stream(configuration(settings)).await;
                    made.map_err(away)?.cached_info().config.clone()
                }
                GetStreamErrorKind::JetStream(_)
                | GetStreamErrorKind::EmptyName
                | GetStreamErrorKind::InvalidStreamName
                | GetStreamErrorKind::Request => return Err(away(error)),
            },
        };
        match objection(&config) {
            Some(objection) => Err(SignalsError::Unfit(objection)),
            None => Ok(Self {
                client,
                jetstream,
                clock,
                stored: Arc::default(),
            }),
        }
    }

    /// Stores signals of devices that arrived now, in their order; the sequence of the last one.
    ///
    /// # Errors
    /// Where not all are known to be stored: sent again, those that were are passed by.
    pub async fn store(&self, sent: &[(DeviceId, Sent)]) -> Result<u64, SignalsError> {
        let arrived = self.clock.now().to_rfc3339();
        let mut stored: Vec<PublishAckFuture> = Vec::with_capacity(sent.len());
        for (device, sent) in sent {
            let mut headers = HeaderMap::new();
            headers.insert(ARRIVED_AT, arrived.as_str());
            let subject = format!("{PREFIX}{device}{STAMPED}");
            let body = serde_json::to_vec(sent).map_err(away)?;
            let publishing = self
                .jetstream
                .publish_with_headers(subject, headers, body.into())
                .await;
            stored.push(publishing.map_err(away)?);
        }
        let mut last = 0;
        for ack in stored {
            last = ack.await.map_err(away)?.sequence.max(last);
        }
        self.stored.fetch_max(last, Ordering::Relaxed);
        Ok(last)
    }

    /// The sequence of the last signal that this process stored, 0 where it stored none.
    #[must_use]
    pub fn stored(&self) -> u64 {
        self.stored.load(Ordering::Relaxed)
    }

    /// The sequence of the last signal, 0 where there was none.
    ///
    /// # Errors
    /// Where the server does not answer.
    pub async fn last_sequence(&self) -> Result<u64, SignalsError> {
        let info = self.info().await?;
        Ok(info.state.last_sequence)
    }

    /// Whether a signal is kept after a sequence.
    ///
    /// # Errors
    /// Where the server does not answer.
    pub async fn goes_on_after(&self, sequence: u64) -> Result<bool, SignalsError> {
        let stream = self.jetstream.get_stream_no_info(STREAM).await;
        let next = stream
            .map_err(away)?
            .direct_get_next_for_subject(format!("{PREFIX}>"), Some(sequence + 1))
            .await;
        match next {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == stream::DirectGetErrorKind::NotFound => Ok(false),
            Err(error) => Err(away(error)),
        }
    }

    /// The sequence before the first signal that is kept.
    ///
    /// # Errors
    /// Where the server does not answer.
    pub async fn before_first(&self) -> Result<u64, SignalsError> {
        let info = self.info().await?;
        Ok(info.state.first_sequence.saturating_sub(1))
    }

    async fn info(&self) -> Result<stream::Info, SignalsError> {
        let stream = self.jetstream.get_stream(STREAM).await.map_err(away)?;
        Ok(stream.cached_info().clone())
    }

    /// Where the device of a signal was, if it said so and the signal is still kept.
    ///
    /// # Errors
    /// Where the server does not answer.
    pub async fn place(&self, sequence: u64) -> Result<Option<Place>, SignalsError> {
        let stream = self.jetstream.get_stream_no_info(STREAM).await;
        let message = match stream.map_err(away)?.direct_get(sequence).await {
            Ok(message) => message,
            Err(error) if error.kind() == stream::DirectGetErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(away(error)),
        };
        let sent: Option<Sent> = serde_json::from_slice(&message.payload).ok();
        Ok(sent.and_then(|sent| {
            Some(Place {
                latitude: sent.latitude?,
                longitude: sent.longitude?,
            })
        }))
    }

    /// When the last signal of each device arrived, of those that are kept; who sent none is missing.
    ///
    /// # Errors
    /// Where the server does not answer.
    pub async fn last_heard(
        &self,
        devices: &[DeviceId],
    ) -> Result<HashMap<DeviceId, DateTime<Utc>>, SignalsError> {
        let mut heard: HashMap<DeviceId, DateTime<Utc>> = HashMap::new();
        for some in devices.chunks(DEVICES_AT_ONCE) {
            let subjects = some.iter().flat_map(|device| {
                [
                    format!("{PREFIX}{device}"),
                    format!("{PREFIX}{device}{STAMPED}"),
                ]
            });
            let ask = serde_json::json!({ "multi_last": subjects.collect::<Vec<_>>() });
            let asking = self.take_last(ask.to_string(), &mut heard);
            let asked = tokio::time::timeout(PATIENCE, asking).await;
            asked.map_err(away)??;
        }
        Ok(heard)
    }

    async fn take_last(
        &self,
        ask: String,
        heard: &mut HashMap<DeviceId, DateTime<Utc>>,
    ) -> Result<(), SignalsError> {
        let inbox = self.client.new_inbox();
        let mut messages = self.client.subscribe(inbox.clone()).await.map_err(away)?;
        self.client
            .publish_with_reply(format!("$JS.API.DIRECT.GET.{STREAM}"), inbox, ask.into())
            .await
            .map_err(away)?;
        while let Some(message) = messages.next().await {
            // 204 is the end, 404 that there is nothing.
            if message
                .status
                .is_some_and(|status| status != async_nats::StatusCode::OK)
            {
                return Ok(());
            }
            let headers = message.headers.unwrap_or_default();
            let header = |name| headers.get(name).map(async_nats::HeaderValue::as_str);
            let at = header(ARRIVED_AT).or(header("Nats-Time-Stamp"));
            let at = at.and_then(|at| DateTime::parse_from_rfc3339(at).ok());
            let device = header("Nats-Subject").and_then(|subject| {
                let device = subject.strip_prefix(PREFIX)?;
                device.strip_suffix(STAMPED).unwrap_or(device).parse().ok()
            });
            if let (Some(device), Some(at)) = (device, at) {
                let known = heard.entry(device).or_insert(at.to_utc());
                *known = at.to_utc().max(*known);
            }
        }
        Err(SignalsError::Unavailable(
            "the connection has ended".to_owned(),
        ))
    }

    /// Forgets what a device has sent.
    ///
    /// # Errors
    /// Where the server does not answer, or refuses.
    pub async fn forget(&self, device: &DeviceId) -> Result<(), SignalsError> {
        let stream = self.jetstream.get_stream_no_info(STREAM).await;
        let stream = stream.map_err(away)?;
        for subject in [
            format!("{PREFIX}{device}"),
            format!("{PREFIX}{device}{STAMPED}"),
        ] {
            stream.purge().filter(subject).await.map_err(away)?;
        }
        Ok(())
    }

    /// All signals after a sequence that are kept, and each new one, in batches of whatever was there at once. It finds its
    /// way back by itself when the server is lost, and goes on until it is dropped.
    #[must_use]
    pub fn follow(&self, after: u64) -> BoxStream<'static, Vec<Arrived>> {
        let (sender, receiver) = mpsc::channel(AHEAD);
        let signals = self.clone();
        tokio::spawn(async move {
            let gone = sender.clone();
            tokio::select! {
                () = signals.hand_on(after, sender) => {}
                () = gone.closed() => {}
            }
        });
        futures::stream::unfold(receiver, |mut receiver| async move {
            receiver.recv().await.map(|batch| (batch, receiver))
        })
        .boxed()
    }

    async fn hand_on(&self, mut after: u64, sender: mpsc::Sender<Vec<Arrived>>) {
        loop {
            if let Err(error) = self.try_to_hand_on(&mut after, &sender).await {
                tracing::warn!(
                    error,
                    "following the signals is interrupted; beginning again"
                );
            }
            if sender.is_closed() {
                return;
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// Hands on what comes until something is in the way.
    async fn try_to_hand_on(
        &self,
        after: &mut u64,
        sender: &mpsc::Sender<Vec<Arrived>>,
    ) -> Result<(), String> {
        let lost = |error: &dyn std::fmt::Display| error.to_string();
        let statistics = self.client.statistics();
        // Counted before the consumer is made: a connection made anew after that is noticed.
        let connected = statistics.connects.load(Ordering::Relaxed);
        let stream = self.jetstream.get_stream_no_info(STREAM).await;
        let consumer = stream
            .map_err(|error| lost(&error))?
            .create_consumer(pull::Config {
                deliver_policy: DeliverPolicy::ByStartSequence {
                    start_sequence: *after + 1,
                },
                ack_policy: AckPolicy::None,
                memory_storage: true,
                num_replicas: 1,
                inactive_threshold: Duration::from_secs(60),
                ..pull::Config::default()
            })
            .await
            .map_err(|error| lost(&error))?;
        let mut messages = consumer
            .stream()
            .max_messages_per_batch(ASKED_FOR)
            .heartbeat(HEARTBEAT)
            .messages()
            .await
            .map_err(|error| lost(&error))?;
        let mut look = tokio::time::interval(LOOK);
        // The consumer numbers what it delivers, from 1 on.
        let mut delivered = 0;
        loop {
            let message = tokio::select! {
                biased;
                message = messages.next() => message,
                _ = look.tick() => {
                    if statistics.connects.load(Ordering::Relaxed) != connected {
                        return Err("the connection was made anew".to_owned());
                    }
                    continue;
                }
            };
            let mut batch = Vec::new();
            let mut next = message;
            let trouble = loop {
                let message = match next {
                    Some(Ok(message)) => message,
                    Some(Err(error)) => break Some(lost(&error)),
                    None => break Some("the consumer has ended".to_owned()),
                };
                let (number, sequence, arrived) = match self.read(&message) {
                    Ok(read) => read,
                    Err(error) => break Some(error),
                };
                if number != delivered + 1 {
                    break Some("a message was lost on the way".to_owned());
                }
                delivered = number;
                // A message may come twice around a lost connection.
                if sequence > *after {
                    *after = sequence;
                    batch.push(arrived);
                }
                if batch.len() >= BATCH {
                    break None;
                }
                match messages.next().now_or_never() {
                    Some(there) => next = there,
                    None => break None,
                }
            };
            // What has come is handed on, whatever came after it: nobody asks for it again.
            if !batch.is_empty() && sender.send(batch).await.is_err() {
                return Ok(());
            }
            if let Some(trouble) = trouble {
                return Err(trouble);
            }
        }
    }

    /// The number of a delivery, the message's sequence, and what it says.
    fn read(&self, message: &jetstream::Message) -> Result<(u64, u64, Arrived), String> {
        let info = message.info().map_err(|error| error.to_string())?;
        let sequence = info.stream_sequence;
        let stored_at =
            DateTime::from_timestamp(info.published.unix_timestamp(), info.published.nanosecond());
        let headers = message.headers.as_ref();
        let arrived_at = headers.and_then(|headers| headers.get(ARRIVED_AT));
        let signal = self.signal(
            sequence,
            &message.subject,
            stored_at,
            arrived_at.map(async_nats::HeaderValue::as_str),
            &message.payload,
        );
        let arrived = signal.map_or(Arrived::Unreadable { sequence }, Arrived::Signal);
        Ok((info.consumer_sequence, sequence, arrived))
    }

    fn signal(
        &self,
        sequence: u64,
        subject: &str,
        stored_at: Option<DateTime<Utc>>,
        said: Option<&str>,
        body: &[u8],
    ) -> Option<Signal> {
        let device = subject.strip_prefix(PREFIX)?;
        let (device, arrived_at) = match device.strip_suffix(STAMPED) {
            Some(device) => (device, DateTime::parse_from_rfc3339(said?).ok()?.to_utc()),
            // A clock that is set by hand shows another time than the server's: then it is when we see it.
            None if self.clock.is_settable() => (device, self.clock.now()),
            None => (device, stored_at?),
        };
        let sent: Sent = serde_json::from_slice(body).ok()?;
        let named = (1..=LONGEST_ID).contains(&sent.signal_id.chars().count());
        if !named {
            return None;
        }
        Some(Signal {
            id: sent.signal_id,
            device: device.parse().ok()?,
            kind: sent.kind,
            device_time: sent
                .device_time
                .map_or(arrived_at, |at| believable(at, arrived_at)),
            arrived_at,
            litres: sent.litres,
            sequence,
        })
    }
}

/// A clock that was never set says nothing.
fn believable(at: DateTime<FixedOffset>, arrived_at: DateTime<Utc>) -> DateTime<Utc> {
    if (2_000..2_200).contains(&at.year()) {
        at.to_utc()
    } else {
        arrived_at
    }
}

fn away(error: impl std::fmt::Display) -> SignalsError {
    SignalsError::Unavailable(error.to_string())
}

fn configuration(settings: &SignalSettings) -> Config {
    Config {
        name: STREAM.to_owned(),
        description: Some("What devices in elders' homes send".to_owned()),
        subjects: subjects(),
        storage: StorageType::File,
        retention: RetentionPolicy::Limits,
        num_replicas: settings.replicas,
        max_messages: -1,
        max_bytes: -1,
        max_messages_per_subject: -1,
        // What is too large for a signal is passed by here; were it refused, its acknowledgement over MQTT would be a lie.
        max_message_size: -1,
        max_consumers: -1,
        max_age: settings.kept_for,
        deny_delete: true,
        allow_direct: true,
        // A device chooses the ids that the server tells repetitions by, for the whole stream: it shall suppress nobody else's.
        duplicate_window: Duration::from_millis(100),
        ..Config::default()
    }
}

fn subjects() -> Vec<String> {
    vec![DEVICES.to_owned(), format!("{DEVICES}{STAMPED}")]
}

/// What makes the stream unfit.
fn objection(config: &Config) -> Option<&'static str> {
    let demands = [
        (
            config.storage == StorageType::File,
            "it is not kept in files",
        ),
        (
            config.retention == RetentionPolicy::Limits,
            "it drops what was consumed (set retention to limits)",
        ),
        (
            config.max_messages <= 0 && config.max_bytes <= 0,
            "it limits how much there is (unset max_msgs and max_bytes)",
        ),
        (
            config.max_messages_per_subject <= 0,
            "it limits the signals of a device (unset max_msgs_per_subject)",
        ),
        (!config.no_ack, "it does not acknowledge (unset no_ack)"),
        (
            config.allow_direct,
            "it can't be read directly (set allow_direct)",
        ),
        (
            config.subjects == subjects(),
            "its subjects are not those of signals",
        ),
        (
            !config.deny_purge,
            "what a device of an erased elder has sent can't be purged (unset deny_purge)",
        ),
    ];
    demands
        .into_iter()
        .find_map(|(met, objection)| (!met).then_some(objection))
}
