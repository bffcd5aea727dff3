//! Hands records to the server, singly or as an atomic batch, and understands its answers.

use std::time::Duration;

use async_nats::{
    Client, HeaderMap, Request, RequestErrorKind,
    header::{
        NATS_BATCH_COMMIT, NATS_BATCH_COMMIT_FINAL, NATS_BATCH_ID, NATS_BATCH_SEQUENCE,
        NATS_EXPECTED_LAST_SUBJECT_SEQUENCE,
    },
    jetstream::ErrorCode,
};
use bytes::Bytes;
use serde::Deserialize;
use uuid::Uuid;

use crate::{log::AppendError, record::NewRecord, subject::Subject, wire};

/// How often a record that the server has certainly not taken is offered again.
const OFFERS: u32 = 5;

/// The server had too many batches open, or lost part of one: it needs a moment.
const MOMENT: Duration = Duration::from_millis(5);

/// A record ready to be sent.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) subject: Subject,
    headers: HeaderMap,
    body: Bytes,
}

/// Why the server did not acknowledge.
#[derive(Debug, Clone)]
pub(super) enum Refusal {
    /// An aggregate has moved on. Nothing was written.
    Conflict,
    /// Nothing was written, nor would it be another time.
    TooLarge,
    /// Nothing was written, for a reason that passes.
    NotNow(String),
    /// It may have been written, or may still be.
    Unknown(String),
}

/// Sends to the server. Clones share the connection.
#[derive(Debug, Clone)]
pub(super) struct Publisher {
    client: Client,
    timeout: Duration,
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

impl Message {
    pub(super) fn of(record: &NewRecord) -> Self {
        let (mut headers, body) = wire::encode(record);
        // Sent for a new aggregate too: without the 0, two creators would both succeed.
        headers.insert(
            NATS_EXPECTED_LAST_SUBJECT_SEQUENCE,
            record.expected.to_string(),
        );
        Self {
            subject: record.subject.clone(),
            headers,
            body,
        }
    }

    /// About how large it is, in bytes: the headers of a record are some 600.
    pub(super) fn size(&self) -> usize {
        self.body.len() + 600
    }
}

impl Refusal {
    /// The refusal as the writer of a record sees it.
    pub(super) fn about(self, subject: Subject) -> AppendError {
        match self {
            Self::Conflict => AppendError::Conflict { subject },
            Self::TooLarge => AppendError::TooLarge,
            Self::NotNow(reason) | Self::Unknown(reason) => AppendError::Unavailable(reason),
        }
    }

    fn of(error: &ServerError) -> Self {
        let code = ErrorCode(error.err_code);
        let text = || format!("{} ({})", error.description, error.err_code);
        if code == ErrorCode::STREAM_WRONG_LAST_SEQUENCE
            || code == ErrorCode::STREAM_WRONG_LAST_SEQUENCE_CONSTANT
        {
            Self::Conflict
        } else if code == ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM
            || code == ErrorCode::STREAM_HEADER_EXCEEDS_MAXIMUM
            || code == ErrorCode::ATOMIC_PUBLISH_TOO_LARGE_BATCH
        {
            Self::TooLarge
        } else if code == ErrorCode::ATOMIC_PUBLISH_INCOMPLETE_BATCH
            || code == ErrorCode::ATOMIC_PUBLISH_TOO_MANY_INFLIGHT
            || code == ErrorCode::STREAM_TOO_MANY_REQUESTS
            || code == ErrorCode::STREAM_EXPECTED_LAST_SEQ_PER_SUBJECT_NOT_READY
        {
            Self::NotNow(text())
        } else {
            Self::Unknown(text())
        }
    }
}

impl Publisher {
    pub(super) fn new(client: Client, timeout: Duration) -> Self {
        Self { client, timeout }
    }

    /// Writes one record and returns its sequence. It is written down anew for each offer, of which there is mostly one.
    pub(super) async fn one(&self, record: &NewRecord) -> Result<u64, Refusal> {
        self.patiently(|| {
            let Message {
                subject,
                headers,
                body,
            } = Message::of(record);
            self.confirmed(subject, headers, body)
        })
        .await
    }

    /// Writes records all or nothing and returns the sequence of the last; they follow each other without a gap.
    pub(super) async fn batch(&self, messages: &[&Message]) -> Result<u64, Refusal> {
        match messages {
            [] => Ok(0),
            [only] => {
                let offer = || {
                    let (subject, headers) = (only.subject.clone(), only.headers.clone());
                    self.confirmed(subject, headers, only.body.clone())
                };
                self.patiently(offer).await
            }
            [..] => self.patiently(|| self.offer_batch(messages)).await,
        }
    }

    async fn offer_batch(&self, messages: &[&Message]) -> Result<u64, Refusal> {
        let batch = Uuid::new_v4().simple().to_string();
        let marked = |index: usize, message: &Message| {
            let mut headers = message.headers.clone();
            headers.insert(NATS_BATCH_ID, batch.as_str());
            headers.insert(NATS_BATCH_SEQUENCE, (index + 1).to_string());
            headers
        };
        let Some((last, others)) = messages.split_last() else {
            return Ok(0);
        };
        // Only the last is acknowledged. Should one of the others get lost, the server refuses the whole.
        for (index, message) in others.iter().enumerate() {
            self.client
                .publish_with_headers(
                    message.subject.nats(),
                    marked(index, message),
                    message.body.clone(),
                )
                .await
                .map_err(|error| match error.kind() {
                    async_nats::client::PublishErrorKind::MaxPayloadExceeded => Refusal::TooLarge,
                    async_nats::client::PublishErrorKind::InvalidSubject
                    | async_nats::client::PublishErrorKind::Send => {
                        Refusal::NotNow(error.to_string())
                    }
                })?;
        }
        let mut headers = marked(others.len(), last);
        headers.insert(NATS_BATCH_COMMIT, NATS_BATCH_COMMIT_FINAL);
        self.confirmed(last.subject.clone(), headers, last.body.clone())
            .await
    }

    async fn confirmed(
        &self,
        subject: Subject,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<u64, Refusal> {
        let request = Request::new()
            .headers(headers)
            .payload(body)
            // Bounded as a whole by the caller.
            .timeout(None);
        let answer = self
            .client
            .send_request(subject.nats(), request)
            .await
            .map_err(|error| match error.kind() {
                RequestErrorKind::MaxPayloadExceeded => Refusal::TooLarge,
                RequestErrorKind::TimedOut
                | RequestErrorKind::NoResponders
                | RequestErrorKind::InvalidSubject
                | RequestErrorKind::Other => Refusal::Unknown(error.to_string()),
            })?;
        let answer: Acknowledgement = serde_json::from_slice(&answer.payload)
            .map_err(|_| Refusal::Unknown("the answer is not the server's".to_owned()))?;
        match answer.error {
            Some(error) => Err(Refusal::of(&error)),
            None if answer.seq == 0 => {
                Err(Refusal::Unknown("the answer names no sequence".to_owned()))
            }
            None => Ok(answer.seq),
        }
    }

    /// Offers again what was certainly not taken; all within the time limit.
    async fn patiently<F>(&self, offer: impl Fn() -> F) -> Result<u64, Refusal>
    where
        F: Future<Output = Result<u64, Refusal>>,
    {
        let offers = async {
            let mut offered = 1;
            loop {
                match offer().await {
                    Err(Refusal::NotNow(_)) if offered < OFFERS => {
                        tokio::time::sleep(MOMENT * offered).await;
                        offered += 1;
                    }
                    answered => return answered,
                }
            }
        };
        tokio::time::timeout(self.timeout, offers)
            .await
            .unwrap_or_else(|_| Err(Refusal::Unknown("no answer in time".to_owned())))
    }
}
