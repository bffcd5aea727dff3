//! Where feeds are kept: the stream `FEEDS` of NATS JetStream, 400 days, from which messages may be deleted.
//!
//! Each atomic batch ends with the publisher's position, written at its expected sequence: whoever was superseded writes nothing.

use std::time::Duration;

use async_nats::datetime;
use async_nats::header::{
    NATS_BATCH_COMMIT, NATS_BATCH_COMMIT_FINAL, NATS_BATCH_ID, NATS_BATCH_SEQUENCE,
    NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, NATS_SEQUENCE, NATS_SUBJECT,
};
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::consumer::{DeliverPolicy, pull};
use async_nats::jetstream::context::{Context, ContextBuilder};
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::{LastRawMessageErrorKind, Stream};
use async_nats::{Client, HeaderMap, Message as NatsMessage, Request, StatusCode};
use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use futures::{Stream as FuturesStream, StreamExt as _};
use nats_streams::{Messages, OpenError, erase_each, erase_some};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::followed::{Followed, Following, followed};
use super::message::{Lying, Message};
use super::positions::Positions;
use super::standing::Feed;

/// The stream's name.
pub const STREAM: &str = "FEEDS";
/// Where the publisher's position stands. No department may read it.
const POSITION: &str = "feeds.position";
/// How long the server may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// What lies there is looked for so often, after so long.
const TIMES: usize = 10;
const AGAIN: Duration = Duration::from_millis(50);
/// How many messages the server sends for one request.
const PAGE: usize = 500;
/// How many messages of a feed are erased in one go: all feeds wait for that.
const ERASED: usize = 32;

/// The stream can't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// Another publisher has written since.
    #[error("another publisher has written to {STREAM}")]
    Superseded,
    /// It is not there, and is not to be made.
    #[error("there is no stream {STREAM}")]
    Absent,
    /// The server did not answer, or refused.
    #[error("{STREAM}: {0}")]
    Unavailable(String),
}

impl StreamError {
    /// The server did not answer as it should.
    pub(super) fn because(error: impl std::fmt::Display) -> Self {
        Self::Unavailable(error.to_string())
    }
}

/// From where messages are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum From {
    /// After a sequence.
    After(u64),
    /// Since an instant, included.
    Since(DateTime<Utc>),
}

/// Some messages of the stream.
#[derive(Debug)]
pub(crate) struct Page {
    /// The messages, in their order.
    pub(crate) messages: Vec<Lying>,
    /// The last sequence that was looked at; none where there was no message.
    pub(crate) last: Option<u64>,
    /// Whether there are more.
    pub(crate) more: bool,
}

/// The stream. Cheap to clone.
#[derive(Clone, Debug)]
pub struct FeedStream {
    client: Client,
    server: Context,
    stream: Stream<()>,
    replicas: usize,
    /// Whether it is made where it is missing.
    create: bool,
}

#[derive(Serialize)]
struct NextOf<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_time: Option<String>,
    next_by_subj: &'a str,
    batch: usize,
}

#[derive(Deserialize)]
struct Acknowledgement {
    #[serde(default)]
    seq: u64,
    error: Option<ServerError>,
}

#[derive(Deserialize)]
struct ServerError {
    #[serde(default)]
    err_code: u64,
    #[serde(default)]
    description: String,
}

impl FeedStream {
    /// Opens the stream; makes it where it is missing, if it may.
    ///
    /// # Errors
    /// Where the server does not answer, or the stream is missing and not to be made.
    pub async fn open(client: Client, replicas: usize, create: bool) -> Result<Self, StreamError> {
        let server = ContextBuilder::new()
            .timeout(PATIENCE)
            .build(client.clone());
        let stream = server.get_stream_no_info(STREAM).await;
        let stream = Self {
            client,
            stream: stream.map_err(StreamError::because)?,
            server,
            replicas,
            create,
        };
        stream.find_or_make().await?;
        Ok(stream)
    }

    /// Sees that the stream is there: it may have been lost since it was opened.
    pub(crate) async fn find_or_make(&self) -> Result<(), StreamError> {
        let feeds = nats_streams::stream(STREAM);
        let opened = feeds.open(&self.server, self.replicas, self.create).await;
        opened.map(drop).map_err(|error| match error {
            OpenError::Absent(_) => StreamError::Absent,
            OpenError::Unfit { .. } | OpenError::Unavailable(_) => StreamError::because(error),
        })
    }

    /// The publisher's position, and the sequence at which it stands; 0 where there is none.
    pub(crate) async fn position(&self) -> Result<(Positions, u64), StreamError> {
        match self.last_position().await? {
            Some(message) => {
                let positions = serde_json::from_slice(&message.payload);
                let positions = positions.map_err(StreamError::because)?;
                Ok((positions, message.sequence))
            }
            None => Ok((Positions::default(), 0)),
        }
    }

    /// Whether the publisher's position stands where this publisher has written it: not where another one wrote since, or the
    /// stream is lost, was made anew, or put back to an earlier state.
    pub(crate) async fn stands_at(&self, fence: u64) -> Result<bool, StreamError> {
        match self.last_position().await {
            Ok(message) => Ok(message.map_or(0, |message| message.sequence) == fence),
            Err(StreamError::Absent) => Ok(false),
            Err(error @ (StreamError::Superseded | StreamError::Unavailable(_))) => Err(error),
        }
    }

    async fn last_position(&self) -> Result<Option<StreamMessage>, StreamError> {
        let message = self.stream.get_last_raw_message_by_subject(POSITION).await;
        message.map(Some).or_else(|error| match error.kind() {
            LastRawMessageErrorKind::NoMessageFound => Ok(None),
            LastRawMessageErrorKind::JetStream(refusal)
                if refusal.error_code() == ErrorCode::STREAM_NOT_FOUND =>
            {
                Err(StreamError::Absent)
            }
            LastRawMessageErrorKind::JetStream(_)
            | LastRawMessageErrorKind::InvalidSubject
            | LastRawMessageErrorKind::Other => Err(StreamError::because(error)),
        })
    }

    /// Publishes messages and the position that is reached with them, all or nothing, where the position still stands at
    /// `expected`. The sequence of the position; the messages lie just before it, in their order.
    pub(crate) async fn publish(
        &self,
        messages: &[Message],
        position: &Positions,
        expected: u64,
    ) -> Result<u64, StreamError> {
        let batch = Uuid::new_v4().simple().to_string();
        let mark = |headers: &mut HeaderMap, place: usize| {
            headers.insert(NATS_BATCH_ID, batch.as_str());
            headers.insert(NATS_BATCH_SEQUENCE, place.to_string());
        };
        for (message, place) in messages.iter().zip(1..) {
            let mut headers = message.headers.clone();
            mark(&mut headers, place);
            let subject = message.subject();
            self.client
                .publish_with_headers(subject, headers, message.body.clone())
                .await
                .map_err(StreamError::because)?;
        }
        let mut headers = HeaderMap::new();
        headers.insert(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, expected.to_string());
        if !messages.is_empty() {
            mark(&mut headers, messages.len() + 1);
            headers.insert(NATS_BATCH_COMMIT, NATS_BATCH_COMMIT_FINAL);
        }
        let body = serde_json::to_vec(position).map_err(StreamError::because)?;
        let request = Request::new()
            .headers(headers)
            .payload(body.into())
            .timeout(Some(PATIENCE));
        let answer = self.client.send_request(POSITION, request).await;
        let answer = answer.map_err(StreamError::because)?;
        let answer: Acknowledgement =
            serde_json::from_slice(&answer.payload).map_err(StreamError::because)?;
        match answer.error {
            None if answer.seq > 0 => Ok(answer.seq),
            None => Err(StreamError::because("the answer names no sequence")),
            Some(error) => {
                let code = ErrorCode(error.err_code);
                if code == ErrorCode::STREAM_WRONG_LAST_SEQUENCE
                    || code == ErrorCode::STREAM_WRONG_LAST_SEQUENCE_CONSTANT
                {
                    Err(StreamError::Superseded)
                } else {
                    Err(StreamError::because(error.description))
                }
            }
        }
    }

    /// Some messages on subjects of feeds, `most` at most.
    pub(crate) async fn read(
        &self,
        subjects: &str,
        from: From,
        most: usize,
    ) -> Result<Page, StreamError> {
        let reading = tokio::time::timeout(PATIENCE, self.receive(subjects, from, most.min(PAGE)));
        let page = reading.await;
        page.unwrap_or_else(|_late| Err(StreamError::because("no answer in time")))
    }

    async fn receive(&self, subjects: &str, from: From, most: usize) -> Result<Page, StreamError> {
        let (seq, start_time) = match from {
            From::After(sequence) => (Some(sequence.saturating_add(1)), None),
            From::Since(at) => {
                let at = within(at);
                (None, Some(at.to_rfc3339_opts(SecondsFormat::Nanos, true)))
            }
        };
        let request = NextOf {
            seq,
            start_time,
            next_by_subj: subjects,
            batch: most,
        };
        let request = serde_json::to_vec(&request).map_err(StreamError::because)?;
        let inbox = self.client.new_inbox();
        let answers = self.client.subscribe(inbox.clone()).await;
        let mut answers = answers.map_err(StreamError::because)?;
        let direct = format!("$JS.API.DIRECT.GET.{STREAM}");
        self.client
            .publish_with_reply(direct, inbox, request.into())
            .await
            .map_err(StreamError::because)?;
        let mut page = Page {
            messages: Vec::new(),
            last: None,
            more: false,
        };
        while let Some(answer) = answers.next().await {
            match answer.status {
                None => {
                    let (sequence, lying) = lying(answer)?;
                    page.last = Some(sequence);
                    page.messages.extend(lying);
                }
                // 204: that is all for this request.
                Some(status) if status.as_u16() == 204 => {
                    let headers = answer.headers.as_ref();
                    let pending = headers.and_then(|headers| headers.get("Nats-Num-Pending"));
                    page.more = pending.is_some_and(|pending| pending.as_str() != "0");
                    return Ok(page);
                }
                Some(StatusCode::NOT_FOUND) => return Ok(page),
                Some(status) => return Err(StreamError::because(status)),
            }
        }
        Err(StreamError::because("the connection was lost"))
    }

    /// The sequence of the last message; 0 where there was none.
    pub(crate) async fn last_sequence(&self) -> Result<u64, StreamError> {
        let info = self.stream.get_info().await;
        Ok(info.map_err(StreamError::because)?.state.last_sequence)
    }

    /// The sequence of the first message that is still kept.
    pub(crate) async fn first_sequence(&self) -> Result<u64, StreamError> {
        let info = self.stream.get_info().await;
        Ok(info.map_err(StreamError::because)?.state.first_sequence)
    }

    /// After which sequence lies what came out at an instant or later. Whichever server answers may have fallen behind the others.
    pub(crate) async fn before(&self, since: DateTime<Utc>) -> Result<u64, StreamError> {
        let since = within(since);
        let at = since.timestamp_nanos_opt().unwrap_or_default();
        let at = datetime::from_nanos(at.into()).map_err(StreamError::because)?;
        for _ in 0..TIMES {
            let info = self.stream.get_info().await;
            let state = info.map_err(StreamError::because)?.state;
            if state.last_timestamp < at {
                return Ok(state.last_sequence);
            }
            let page = self.read(">", From::Since(since), 1).await?;
            if let Some(first) = page.last {
                return Ok(first.saturating_sub(1));
            }
            tokio::time::sleep(AGAIN).await;
        }
        Err(StreamError::because("nothing lies there since then"))
    }

    /// Messages on subjects after a sequence, and each new one, with how many more there are now. It finds its way back by itself
    /// when the connection is lost; the stream ends where that fails.
    pub(crate) async fn follow(
        &self,
        subjects: String,
        after: u64,
    ) -> Result<
        Following<impl FuturesStream<Item = Result<Followed, StreamError>> + Send + use<>>,
        StreamError,
    > {
        let deliver_policy = DeliverPolicy::ByStartSequence {
            start_sequence: after.saturating_add(1),
        };
        let config = pull::OrderedConfig {
            filter_subject: subjects,
            deliver_policy,
            ..pull::OrderedConfig::default()
        };
        let consumer = self.stream.create_consumer(config).await;
        let mut consumer = consumer.map_err(StreamError::because)?;
        let info = consumer.info().await.map_err(StreamError::because)?;
        let waiting = info.num_pending;
        let messages = consumer.messages().await.map_err(StreamError::because)?;
        let messages = messages.map(move |message| {
            let message = message.map_err(StreamError::because)?;
            followed(&message).map(|one| one.beyond(after))
        });
        Ok(Following {
            after,
            waiting,
            messages,
        })
    }

    /// Overwrites some of what lies on the subjects of a feed before a sequence, and takes it away; whether nothing is left there.
    pub(crate) async fn erase_before(&self, feed: &Feed, before: u64) -> Result<bool, StreamError> {
        let subjects = feed.all();
        let told = Messages {
            stream: STREAM,
            subjects: &subjects,
            through: before.saturating_sub(1),
        };
        let erased = erase_some(&self.server, told, ERASED).await;
        Ok(erased.map_err(StreamError::because)? < ERASED)
    }

    /// Takes away all positions but the last one.
    pub(crate) async fn purge_positions(&self) -> Result<(), StreamError> {
        let purged = self.stream.purge().filter(POSITION).keep(1).await;
        purged.map(drop).map_err(StreamError::because)
    }

    /// Overwrites messages, and takes them away; those that are gone already are passed by.
    pub(crate) async fn erase(&self, sequences: Vec<u64>) -> Result<(), StreamError> {
        let erased = erase_each(&self.server, STREAM, sequences).await;
        erased.map_err(StreamError::because)
    }
}

/// The server counts in nanoseconds, of which so many fit; beyond them it would begin at the other end.
fn within(at: DateTime<Utc>) -> DateTime<Utc> {
    let [first, last] = [i64::MIN, i64::MAX].map(DateTime::from_timestamp_nanos);
    at.clamp(first, last)
}

impl Lying {
    /// The message of a feed on a subject; none where it is no feed's.
    pub(super) fn of(
        sequence: u64,
        subject: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Option<Self> {
        let (feed, event) = Feed::of_subject(subject)?;
        Some(Self {
            sequence,
            feed,
            event: event.to_owned(),
            headers,
            body,
        })
    }
}

/// The sequence of a message that was read directly, and the message, where it is one of a feed.
fn lying(answer: NatsMessage) -> Result<(u64, Option<Lying>), StreamError> {
    let headers = answer.headers.unwrap_or_default();
    let header = |name: &str| headers.get(name).map(|value| value.as_str().to_owned());
    let sequence = header(NATS_SEQUENCE.as_ref()).and_then(|sequence| sequence.parse().ok());
    let sequence = sequence.ok_or_else(|| StreamError::because("an answer without a sequence"))?;
    let subject = header(NATS_SUBJECT.as_ref()).unwrap_or_default();
    Ok((
        sequence,
        Lying::of(sequence, &subject, headers, answer.payload),
    ))
}
