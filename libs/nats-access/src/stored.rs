//! What our stream holds of what arrived over MQTT, and how the rest is brought into it.

use std::{collections::HashMap, time::Duration};

use async_nats::{
    Client, HeaderMap, Message, StatusCode,
    header::{NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, NATS_SEQUENCE, NATS_SUBJECT, NATS_TIME_STAMP},
    jetstream::context::{Context, PublishErrorKind},
};
use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use futures::StreamExt as _;
use serde::Serialize;

/// How long the server may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// How many messages of one subject are looked at in one go.
const PAGE: usize = 128;

/// The stream can't be read or written now.
#[derive(Debug, thiserror::Error)]
#[error("the stream is away: {0}")]
pub(crate) struct Away(String);

impl Away {
    pub(crate) fn because(error: impl std::fmt::Display) -> Self {
        Self(error.to_string())
    }
}

/// A message that the stream holds.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) sequence: u64,
    pub(crate) at: DateTime<Utc>,
    pub(crate) payload: Bytes,
    pub(crate) subject: String,
}

/// From where a subject is looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) enum From {
    Sequence(u64),
    Instant(DateTime<Utc>),
}

/// What became of a copy.
pub(crate) enum Copied {
    /// It stands at this sequence.
    Written(u64),
    /// Something else has been written to the subject since.
    Overtaken,
}

/// The stream.
#[derive(Debug)]
pub(crate) struct Stored {
    client: Client,
    server: Context,
    direct: String,
}

#[derive(Serialize)]
struct LastOf<'a> {
    multi_last: &'a [&'a str],
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

impl Stored {
    pub(crate) fn new(client: Client, server: Context, stream: &str) -> Self {
        let direct = format!("$JS.API.DIRECT.GET.{stream}");
        Self {
            client,
            server,
            direct,
        }
    }

    /// The last message of each of these subjects, as far as there is one, and as the server sends so much at once.
    pub(crate) async fn last_of(&self, subjects: &[&str]) -> Result<HashMap<String, Held>, Away> {
        let request = LastOf {
            multi_last: subjects,
        };
        let (held, _more) = self.read(&request).await?;
        Ok(held
            .into_iter()
            .map(|one| (one.subject.clone(), one))
            .collect())
    }

    /// Messages of a subject in their order, and whether there are more.
    pub(crate) async fn from(&self, subject: &str, from: From) -> Result<(Vec<Held>, bool), Away> {
        let (seq, start_time) = match from {
            From::Sequence(sequence) => (Some(sequence), None),
            From::Instant(at) => (None, Some(at.to_rfc3339_opts(SecondsFormat::Nanos, true))),
        };
        let request = NextOf {
            seq,
            start_time,
            next_by_subj: subject,
            batch: PAGE,
        };
        self.read(&request).await
    }

    async fn read(&self, request: &impl Serialize) -> Result<(Vec<Held>, bool), Away> {
        let reading = tokio::time::timeout(PATIENCE, self.receive(request));
        reading
            .await
            .map_err(|_| Away("no answer in time".to_owned()))?
    }

    async fn receive(&self, request: &impl Serialize) -> Result<(Vec<Held>, bool), Away> {
        let request = serde_json::to_vec(request).map_err(Away::because)?;
        let inbox = self.client.new_inbox();
        let answers = self.client.subscribe(inbox.clone()).await;
        let mut answers = answers.map_err(Away::because)?;
        self.client
            .publish_with_reply(self.direct.clone(), inbox, request.into())
            .await
            .map_err(Away::because)?;
        let mut held = Vec::new();
        while let Some(answer) = answers.next().await {
            match answer.status {
                None => held.push(Held::of(answer).ok_or_else(|| Away("unreadable".to_owned()))?),
                // 204: that is all for this request.
                Some(status) if status.as_u16() == 204 => {
                    let pending = header(&answer, "Nats-Num-Pending");
                    return Ok((held, pending.is_some_and(|pending| pending != "0")));
                }
                Some(StatusCode::NOT_FOUND) => return Ok((held, false)),
                Some(status) => return Err(Away(format!("direct read: {status}"))),
            }
        }
        Err(Away("the connection was lost".to_owned()))
    }

    /// Writes a copy and waits until it stands; with `after` only if that is still the last sequence of the subject.
    ///
    /// What the server itself is about to store of the same message stands before this in one queue. So a copy that is
    /// conditional comes second, and is not written, where the message is only late; and is written where it was lost.
    pub(crate) async fn copy(
        &self,
        subject: &str,
        payload: &Bytes,
        after: Option<u64>,
    ) -> Result<Copied, Away> {
        let mut headers = HeaderMap::new();
        if let Some(after) = after {
            headers.insert(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, after.to_string());
        }
        let writing = async {
            self.server
                .publish_with_headers(subject.to_owned(), headers, payload.clone())
                .await?
                .await
        };
        match writing.await {
            Ok(acknowledged) => Ok(Copied::Written(acknowledged.sequence)),
            Err(error) if error.kind() == PublishErrorKind::WrongLastSequence => {
                Ok(Copied::Overtaken)
            }
            Err(error) => Err(Away::because(error)),
        }
    }
}

impl Held {
    fn of(answer: Message) -> Option<Self> {
        let sequence = header(&answer, NATS_SEQUENCE.as_ref())?.parse().ok()?;
        let at = header(&answer, NATS_TIME_STAMP.as_ref())?.parse().ok()?;
        let subject = header(&answer, NATS_SUBJECT.as_ref())?.to_owned();
        Some(Self {
            sequence,
            at,
            subject,
            payload: answer.payload,
        })
    }
}

fn header<'a>(answer: &'a Message, name: &str) -> Option<&'a str> {
    Some(answer.headers.as_ref()?.get(name)?.as_str())
}
