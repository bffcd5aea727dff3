//! Reads single aggregates straight from the stream, wherever their records lie in it.

use async_nats::{
    HeaderMap, Message, Request, StatusCode, Subscriber,
    header::{NATS_SEQUENCE, NATS_SUBJECT},
    jetstream::{message::StreamMessage, stream::LastRawMessageErrorKind},
};
use futures::StreamExt as _;
use serde::Serialize;

use super::{Connection, json, number};
use crate::{
    log::ReadError,
    record::{RawMessage, Record},
    subject::Subject,
    wire,
};

/// How many records the server sends for one request.
const PAGE: usize = 1_000;

#[derive(Serialize)]
struct NextOfSubject<'subject> {
    seq: u64,
    next_by_subj: &'subject str,
    #[serde(skip_serializing_if = "Option::is_none")]
    batch: Option<usize>,
}

impl Connection {
    /// All records of an aggregate after a sequence, up to the newest that was acknowledged before the call.
    pub(super) async fn read(
        &self,
        subject: &Subject,
        after: u64,
    ) -> Result<Vec<Record>, ReadError> {
        // Direct reads are answered by any replica, which may be a moment behind the leader. So the leader says first
        // how far there is to read; a refusal on a stale state would be wrong, and a retry not recognised.
        let newest = if self.replicas > 1 {
            self.newest_of(subject).await?
        } else {
            u64::MAX
        };
        let mut records = Vec::new();
        if newest <= after {
            return Ok(records);
        }
        // What is in memory is mostly the newest, which a single request without a subscription of its own tells.
        if after > 0 && newest == u64::MAX && !self.has_newer(subject, after).await? {
            return Ok(records);
        }
        let mut seen = after;
        while self.read_page(subject, &mut seen, &mut records).await? {}
        while self.replicas > 1 && seen < newest {
            self.read_from_leader(subject, &mut seen, &mut records)
                .await?;
        }
        Ok(records)
    }

    /// The messages of the stream after a sequence as they lie there, so many at most.
    pub(super) async fn messages(
        &self,
        after: u64,
        most: usize,
    ) -> Result<Vec<RawMessage>, ReadError> {
        let mut messages = Vec::new();
        let mut seen = after;
        while messages.len() < most {
            let page = PAGE.min(most - messages.len());
            let page = self.receive_messages(&mut seen, page, &mut messages);
            let more = tokio::time::timeout(self.timeout, page)
                .await
                .unwrap_or_else(|_| Err(ReadError::Unavailable("no answer in time".to_owned())))?;
            if !more {
                break;
            }
        }
        Ok(messages)
    }

    /// Reads a page of messages after `seen`; returns whether there are more.
    async fn receive_messages(
        &self,
        seen: &mut u64,
        page: usize,
        messages: &mut Vec<RawMessage>,
    ) -> Result<bool, ReadError> {
        let mut answers = self.ask_for(">", *seen, page).await?;
        while let Some(answer) = answers.next().await {
            if let Some(end) = end_of_page(&answer)? {
                return Ok(end.more);
            }
            let headers = answer.headers.as_ref();
            let sequence = sequence_of(headers)?;
            let subject = headers.and_then(|headers| headers.get(NATS_SUBJECT));
            let subject = subject.map_or("", |subject| subject.as_str());
            messages.push(wire::raw(sequence, subject, headers, answer.payload));
            *seen = sequence;
        }
        Err(connection_lost())
    }

    fn direct_subject(&self) -> String {
        format!("$JS.API.DIRECT.GET.{}", self.name)
    }

    async fn has_newer(&self, subject: &Subject, after: u64) -> Result<bool, ReadError> {
        let request = NextOfSubject {
            seq: after + 1,
            next_by_subj: subject.as_str(),
            batch: None,
        };
        let request = Request::new()
            .payload(json(&request))
            .timeout(Some(self.timeout));
        let answer = self
            .client
            .send_request(self.direct_subject(), request)
            .await
            .map_err(|error| ReadError::Unavailable(error.to_string()))?;
        match answer.status {
            None => Ok(true),
            Some(StatusCode::NOT_FOUND) => Ok(false),
            Some(status) => Err(ReadError::Unavailable(format!("direct read: {status}"))),
        }
    }

    /// Reads a page of records after `seen`; returns whether there are more.
    async fn read_page(
        &self,
        subject: &Subject,
        seen: &mut u64,
        records: &mut Vec<Record>,
    ) -> Result<bool, ReadError> {
        let page = self.receive_page(subject, seen, records);
        tokio::time::timeout(self.timeout, page)
            .await
            .unwrap_or_else(|_| Err(ReadError::Unavailable("no answer in time".to_owned())))
    }

    async fn receive_page(
        &self,
        subject: &Subject,
        seen: &mut u64,
        records: &mut Vec<Record>,
    ) -> Result<bool, ReadError> {
        let mut answers = self.ask_for(subject.as_str(), *seen, PAGE).await?;
        while let Some(answer) = answers.next().await {
            if let Some(end) = end_of_page(&answer)? {
                return Ok(end.more);
            }
            let record = self.record_in(subject, answer)?;
            *seen = record.sequence;
            records.push(record);
        }
        Err(connection_lost())
    }

    /// Asks for a page of messages on subjects after a sequence.
    async fn ask_for(
        &self,
        subjects: &str,
        after: u64,
        page: usize,
    ) -> Result<Subscriber, ReadError> {
        let unavailable = |error: &dyn std::error::Error| ReadError::Unavailable(error.to_string());
        let request = json(&NextOfSubject {
            seq: after + 1,
            next_by_subj: subjects,
            batch: Some(page),
        });
        let inbox = self.client.new_inbox();
        let answers = self
            .client
            .subscribe(inbox.clone())
            .await
            .map_err(|error| unavailable(&error))?;
        self.client
            .publish_with_reply(self.direct_subject(), inbox, request)
            .await
            .map_err(|error| unavailable(&error))?;
        Ok(answers)
    }

    fn record_in(&self, subject: &Subject, answer: Message) -> Result<Record, ReadError> {
        let headers = answer.headers.as_ref();
        let sequence = sequence_of(headers)?;
        let lies_on = headers
            .and_then(|headers| headers.get(NATS_SUBJECT))
            .map_or_else(|| subject.nats(), |lies_on| lies_on.as_str().into());
        wire::decode(sequence, lies_on, headers, answer.payload)
            .map_err(|reason| self.unreadable(subject, sequence, reason))
    }

    fn unreadable(&self, subject: &Subject, sequence: u64, reason: String) -> ReadError {
        self.measures.unreadable();
        ReadError::Unreadable {
            subject: subject.clone(),
            sequence,
            reason,
        }
    }

    /// The sequence of an aggregate's last record, as the leader knows it; 0 when there is none.
    async fn newest_of(&self, subject: &Subject) -> Result<u64, ReadError> {
        let last = self
            .stream
            .get_last_raw_message_by_subject(subject.as_str())
            .await;
        match last {
            Ok(message) => Ok(message.sequence),
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(0),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads one record after `seen` from the leader: the replica that answered before has not got it yet.
    async fn read_from_leader(
        &self,
        subject: &Subject,
        seen: &mut u64,
        records: &mut Vec<Record>,
    ) -> Result<(), ReadError> {
        let message: StreamMessage = self
            .stream
            .raw_message_builder()
            .sequence(*seen + 1)
            .next_by_subject(subject.as_str())
            .send()
            .await?;
        let record = wire::decode(
            message.sequence,
            message.subject.clone(),
            Some(&message.headers),
            message.payload,
        )
        .map_err(|reason| self.unreadable(subject, message.sequence, reason))?;
        *seen = record.sequence;
        records.push(record);
        Ok(())
    }
}

/// The end of a page.
struct End {
    /// Whether there is another one.
    more: bool,
}

/// The end of the page, where an answer says that it is.
fn end_of_page(answer: &Message) -> Result<Option<End>, ReadError> {
    match answer.status {
        None => Ok(None),
        // 204: the end of the page.
        Some(status) if status.as_u16() == 204 => {
            let pending = number(answer.headers.as_ref(), "Nats-Num-Pending");
            Ok(Some(End {
                more: pending.unwrap_or(0) > 0,
            }))
        }
        Some(StatusCode::NOT_FOUND) => Ok(Some(End { more: false })),
        Some(status) => Err(ReadError::Unavailable(format!("direct read: {status}"))),
    }
}

/// Where a message that was read straight from the stream lies in it.
fn sequence_of(headers: Option<&HeaderMap>) -> Result<u64, ReadError> {
    headers
        .and_then(|headers| headers.get(NATS_SEQUENCE))
        .and_then(|sequence| sequence.as_str().parse().ok())
        .ok_or_else(|| ReadError::Unavailable("an answer without a sequence".to_owned()))
}

fn connection_lost() -> ReadError {
    ReadError::Unavailable("the connection was lost".to_owned())
}
