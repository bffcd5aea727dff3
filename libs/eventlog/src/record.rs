//! One decision as it stands in the log: its facts, and who made it, when and why.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::{position::Position, subject::Subject};

/// One fact, encoded, with the full name of its protobuf message, such as `eldercare.registry.v1.ElderRegistered`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawEvent {
    /// The message's full name.
    pub event_type: String,
    /// The encoded message.
    pub data: Bytes,
}

impl RawEvent {
    /// Encodes a protobuf message under its own full name.
    pub fn of<M: prost::Message + prost::Name>(message: &M) -> Self {
        Self {
            event_type: M::full_name(),
            data: message.encode_to_vec().into(),
        }
    }
}

/// Who decided, when, what for, and in answer to what: the CloudEvents attributes of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// The record's own id, a UUID of version 7.
    pub id: Uuid,
    /// The instant of the decision, by the system's clock (which may be a simulated one).
    pub time: DateTime<Utc>,
    /// The system or the officer who asked.
    pub actor: String,
    /// The caller's id of the request.
    pub request_id: Uuid,
    /// The first 16 bytes of the keyed digest of the request, which tells a retry from another request under its id.
    pub request_digest: [u8; 16],
    /// What everything that follows from one cause has in common.
    pub correlation_id: Uuid,
    /// The id of the record that led to this one.
    pub causation_id: Option<Uuid>,
    /// The code of the division that the aggregate belongs to.
    pub division: Option<String>,
    /// The W3C trace context of the call.
    pub traceparent: Option<String>,
    /// The position, mostly of another stream, that a reactor's record answers.
    pub answers: Option<Position>,
    /// What it was for, as the caller said; none where nobody did. No personal data.
    pub purpose: Option<String>,
}

/// A record to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRecord {
    /// The aggregate.
    pub subject: Subject,
    /// The sequence of the aggregate's last record, 0 if it has none: what the decision rests on.
    pub expected: u64,
    /// Who, when and why.
    pub metadata: Metadata,
    /// The decision's facts, in order; never none.
    pub events: Vec<RawEvent>,
}

/// A record of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its sequence in its stream, from 1 on, without gaps.
    pub sequence: u64,
    /// The aggregate.
    pub subject: Subject,
    /// Who, when and why.
    pub metadata: Metadata,
    /// The decision's facts, in order.
    pub events: Vec<RawEvent>,
}

impl Record {
    /// Whether one of its events is of this type, the full name of its protobuf message.
    #[must_use]
    pub fn tells_of(&self, event_type: &str) -> bool {
        let mut events = self.events.iter();
        events.any(|event| event.event_type == event_type)
    }
}

/// A message as it lies in the log, whether it is a record or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawMessage {
    /// Its sequence in the stream.
    pub sequence: u64,
    /// Its subject.
    pub subject: String,
    /// Its headers by name; values of one name in the order in which they were written.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: Bytes,
}

/// What a reader of a stream receives for each sequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// A record.
    Record(Record),
    /// A message that is no record. It stops nothing: readers park it where an operator sees it.
    Unreadable {
        /// Its sequence in the stream.
        sequence: u64,
        /// Its subject, as it stands.
        subject: String,
        /// What is wrong with it; free of personal data.
        reason: String,
        /// Its body, as it stands.
        payload: Bytes,
    },
}

impl Delivery {
    /// The sequence in the stream.
    pub fn sequence(&self) -> u64 {
        match self {
            Self::Record(record) => record.sequence,
            Self::Unreadable { sequence, .. } => *sequence,
        }
    }
}
