//! Following the stream: every signal in its order, whatever becomes of connections.

use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use chrono::{DateTime, Datelike as _, FixedOffset, Utc};
use futures::stream::BoxStream;
use futures::{FutureExt as _, StreamExt as _};
use tokio::sync::mpsc;

use super::{ARRIVED_AT, LONGEST_ID, PREFIX, STAMPED, STREAM, Sent, Signals};
use crate::signal::Signal;

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
    /// Reads a message by its subject, when the server stored it, when it arrived as we have said of it, and its body: the
    /// last are a stranger's.
    #[must_use]
    pub fn read(
        sequence: u64,
        subject: &str,
        stored_at: Option<DateTime<Utc>>,
        said: Option<&str>,
        body: &[u8],
    ) -> Self {
        let signal = signal(sequence, subject, stored_at, said, body);
        signal.map_or(Self::Unreadable { sequence }, Self::Signal)
    }

    /// Where it stands in the stream.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        match self {
            Self::Signal(signal) => signal.sequence,
            Self::Unreadable { sequence } => *sequence,
        }
    }
}

impl Signals {
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
    fn read(
        &self,
        message: &async_nats::jetstream::Message,
    ) -> Result<(u64, u64, Arrived), String> {
        let info = message.info().map_err(|error| error.to_string())?;
        let sequence = info.stream_sequence;
        // A clock that is set by hand shows another time than the server's: then it is when we see it.
        let stored_at = if self.clock.is_settable() {
            Some(self.clock.now())
        } else {
            let published = info.published;
            DateTime::from_timestamp(published.unix_timestamp(), published.nanosecond())
        };
        let headers = message.headers.as_ref();
        let arrived_at = headers.and_then(|headers| headers.get(ARRIVED_AT));
        let arrived = Arrived::read(
            sequence,
            &message.subject,
            stored_at,
            arrived_at.map(async_nats::HeaderValue::as_str),
            &message.payload,
        );
        Ok((info.consumer_sequence, sequence, arrived))
    }
}

/// The signal in a message, if there is one.
fn signal(
    sequence: u64,
    subject: &str,
    stored_at: Option<DateTime<Utc>>,
    said: Option<&str>,
    body: &[u8],
) -> Option<Signal> {
    let device = subject.strip_prefix(PREFIX)?;
    let (device, arrived_at) = match device.strip_suffix(STAMPED) {
        Some(device) => (device, DateTime::parse_from_rfc3339(said?).ok()?.to_utc()),
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

/// A clock that was never set says nothing.
fn believable(at: DateTime<FixedOffset>, arrived_at: DateTime<Utc>) -> DateTime<Utc> {
    if (2_000..2_200).contains(&at.year()) {
        at.to_utc()
    } else {
        arrived_at
    }
}
