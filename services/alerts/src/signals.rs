//! The stream of signals, `SIGNALS`: what devices send lies there for a while, acknowledged once it is stored.
//!
//! What a device publishes itself stands under `eldercare.signals.<device>`; it arrived when the server stored it. What came
//! to us by gRPC stands under `eldercare.signals.<device>.arrived`, where no device may publish, and says when it arrived.

mod configuration;
mod following;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::context::PublishAckFuture;
use async_nats::jetstream::{self, Context, stream};
use chrono::{DateTime, FixedOffset, Utc};
use civic::SignalKind;
use futures::StreamExt as _;
use nats_streams::{Messages, OpenError};
use readmodel::ReaderFailed;
use serde::{Deserialize, Serialize};
use service::Clock;

pub use self::configuration::SignalSettings;
pub use self::following::Arrived;
use crate::signal::DeviceId;

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
/// Of how many devices the last signals are asked for at once: the server gives 1,024 messages at most.
const DEVICES_AT_ONCE: usize = 500;
/// How long the server may take to store a batch.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a device publishes to.
#[must_use]
pub fn subject_of(device: &DeviceId) -> String {
    format!("{PREFIX}{device}")
}

/// Where we publish what a device sent by gRPC.
fn stamped_subject_of(device: &DeviceId) -> String {
    format!("{PREFIX}{device}{STAMPED}")
}

/// Everywhere that a device's signals stand.
fn subjects_of(device: &DeviceId) -> [String; 2] {
    [subject_of(device), stamped_subject_of(device)]
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

/// The stream can't be used.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SignalsError {
    /// It is not there, or not kept as it must be.
    #[error(transparent)]
    Unfit(#[from] OpenError),
    /// The server does not answer, or refuses.
    #[error("the stream {STREAM} is away: {0}")]
    Unavailable(String),
}

impl From<SignalsError> for ReaderFailed {
    fn from(error: SignalsError) -> Self {
        Self::because(error)
    }
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
        let stream = settings.stream();
        stream
            .open(&jetstream, settings.replicas, settings.create)
            .await?;
        Ok(Self {
            client,
            jetstream,
            clock,
            stored: Arc::default(),
        })
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
            let subject = stamped_subject_of(device);
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
            let subjects = some.iter().flat_map(subjects_of);
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

    /// Forgets what a device has sent by now: the server overwrites it where it lies. Where that is broken off, the next call goes
    /// on.
    ///
    /// # Errors
    /// Where the server does not answer, or refuses.
    pub async fn forget(&self, device: &DeviceId) -> Result<(), SignalsError> {
        let through = self.last_sequence().await?;
        for subject in subjects_of(device) {
            let sent = Messages {
                stream: STREAM,
                subjects: &subject,
                through,
            };
            let erased = nats_streams::erase(&self.jetstream, sent).await;
            erased.map_err(away)?;
        }
        Ok(())
    }
}

fn away(error: impl std::fmt::Display) -> SignalsError {
    SignalsError::Unavailable(error.to_string())
}
