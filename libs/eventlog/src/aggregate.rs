//! What is known of one aggregate: its state, how far it has been read, and which requests it has already answered.

use async_trait::async_trait;
use decider::Decider;
use smallvec::SmallVec;
use uuid::Uuid;

use crate::{
    command::LoadError,
    record::{RawEvent, Record},
};

/// A decider whose events are kept in the log.
pub trait Aggregate: Decider<Command: Send + Sync, Event: Send + Sync, Refusal: Send> {
    /// The context that owns it, such as `registry`.
    const CONTEXT: &'static str;
    /// What kind of thing it is, such as `elder`.
    const NAME: &'static str;

    /// Writes an event down.
    fn encode(event: &Self::Event) -> RawEvent;

    /// Reads an event.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] when the type is unknown or the content is not what the type says.
    fn decode(raw: &RawEvent) -> Result<Self::Event, DecodeError>;
}

/// Why an event could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The aggregate knows no event of this type: it was written by a newer version of the program.
    #[error("unknown event type {0}")]
    UnknownType(String),
    /// The content is not what the type says. The text names the field, never its value.
    #[error("malformed event: {0}")]
    Malformed(String),
}

impl DecodeError {
    /// The event's type is none that the reader knows.
    #[must_use]
    pub fn unknown(raw: &RawEvent) -> Self {
        Self::UnknownType(raw.event_type.clone())
    }

    /// This field, or the whole message, is not what the type says.
    #[must_use]
    pub fn malformed(field: &str) -> Self {
        Self::Malformed(field.to_owned())
    }
}

/// A request that an aggregate has answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownRequest {
    /// The caller's id of the request.
    pub id: Uuid,
    /// The sequence of the record that answered it.
    pub sequence: u64,
    /// The digest of the request.
    pub digest: [u8; 16],
}

/// An aggregate as far as it has been read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Loaded<A> {
    /// What its events come to.
    pub state: A,
    /// The sequence of its last record; 0 when it has none yet.
    pub sequence: u64,
    /// Of each record its request, so that a retry is recognised from the aggregate itself, however late it comes.
    requests: SmallVec<[KnownRequest; 4]>,
}

impl<A> Loaded<A> {
    /// An aggregate as a snapshot kept it.
    pub fn new(state: A, sequence: u64, requests: impl IntoIterator<Item = KnownRequest>) -> Self {
        Self {
            state,
            sequence,
            requests: requests.into_iter().collect(),
        }
    }

    /// The requests that it has answered, oldest first.
    pub fn requests(&self) -> &[KnownRequest] {
        &self.requests
    }

    /// The answer that a request was given, if it was.
    pub fn request(&self, id: Uuid) -> Option<&KnownRequest> {
        // Retries are mostly recent. The first record of a request is the one that answered it.
        let last = self.requests.iter().rposition(|known| known.id == id)?;
        let first = self.requests[..=last]
            .iter()
            .position(|known| known.id == id)?;
        self.requests.get(first)
    }

    /// Whether it has no record yet.
    pub fn is_new(&self) -> bool {
        self.sequence == 0
    }
}

impl<A: Aggregate> Loaded<A> {
    /// Takes in the aggregate's next record. A record that was taken in before changes nothing.
    ///
    /// # Errors
    ///
    /// [`LoadError::Unreadable`] when an event can't be read; the aggregate is unchanged then.
    pub fn take_in(&mut self, record: &Record) -> Result<(), LoadError> {
        if record.sequence <= self.sequence {
            return Ok(());
        }
        let events = record
            .events
            .iter()
            .map(A::decode)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| LoadError::Unreadable {
                subject: record.subject.clone(),
                sequence: record.sequence,
                reason: error.to_string(),
            })?;
        self.advance(
            &events,
            KnownRequest {
                id: record.metadata.request_id,
                sequence: record.sequence,
                digest: record.metadata.request_digest,
            },
        );
        Ok(())
    }

    /// Takes in what has just been decided and written.
    pub(crate) fn advance(&mut self, events: &[A::Event], request: KnownRequest) {
        self.state = std::mem::take(&mut self.state).evolve_all(events);
        self.sequence = request.sequence;
        self.requests.push(request);
    }
}

/// Where a service keeps the states of aggregates that would be slow to read from the log.
#[async_trait]
pub trait Snapshots<A>: Send + Sync + 'static {
    /// The aggregate as last kept, or `None`. It may be behind the log; a decision on it is then made again.
    ///
    /// # Errors
    ///
    /// [`SnapshotError`]; the aggregate is then read from the log alone.
    async fn load(&self, id: &str) -> Result<Option<Loaded<A>>, SnapshotError>;
}

/// A snapshot could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the snapshot can't be read: {0}")]
pub struct SnapshotError(pub String);
