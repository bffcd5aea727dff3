//! A request on its way to a decision, and what may come of it.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use uuid::{NoContext, Timestamp, Uuid};

use crate::{
    aggregate::Loaded,
    log::{AppendError, ReadError},
    position::Position,
    record::Metadata,
    subject::{InvalidSubject, Subject},
};

/// Who asks for what, when, and why: what becomes the metadata of the records that follow.
#[derive(Debug, Clone)]
pub struct CommandContext {
    /// The caller's id of the request: the same for each retry.
    pub request_id: Uuid,
    /// By what a retry of the request is told from another one with its id.
    pub request_digest: RequestDigest,
    /// The system or the officer who asks.
    pub actor: String,
    /// The instant, by the system's clock.
    pub now: DateTime<Utc>,
    /// What everything that follows from one cause has in common.
    pub correlation_id: Uuid,
    /// The id of the record that led to this request.
    pub causation_id: Option<Uuid>,
    /// The code of the division that the aggregate belongs to.
    pub division: Option<String>,
    /// The W3C trace context of the call.
    pub traceparent: Option<String>,
    /// The position of another stream that a reactor answers with this.
    pub answers: Option<Position>,
    /// What it is for, as the caller says; none where nobody does.
    pub purpose: Option<String>,
}

/// The first 16 bytes of the keyed digest of a request: the same for each retry, another for another request. Where the
/// key was changed, also those under former keys, under which the request may have been recorded when it first came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestDigest {
    current: [u8; 16],
    former: Vec<[u8; 16]>,
}

impl RequestDigest {
    /// The digest that is recorded, under the key in use, and those under former keys.
    pub fn new(current: [u8; 16], former: impl IntoIterator<Item = [u8; 16]>) -> Self {
        Self {
            current,
            former: former.into_iter().collect(),
        }
    }

    /// The digest that is recorded.
    #[must_use]
    pub fn recorded(&self) -> [u8; 16] {
        self.current
    }

    /// Whether what was recorded is this request.
    #[must_use]
    pub fn is(&self, recorded: &[u8; 16]) -> bool {
        self.current == *recorded || self.former.contains(recorded)
    }
}

impl From<[u8; 16]> for RequestDigest {
    fn from(current: [u8; 16]) -> Self {
        Self::new(current, [])
    }
}

impl CommandContext {
    /// The metadata of a record that is written for this request, under an id of its own.
    #[must_use]
    pub fn metadata(&self) -> Metadata {
        // A simulated clock may stand before 1970, which a UUID can't tell.
        let seconds = u64::try_from(self.now.timestamp()).unwrap_or_default();
        let instant = Timestamp::from_unix(NoContext, seconds, self.now.timestamp_subsec_nanos());
        Metadata {
            id: Uuid::new_v7(instant),
            time: self.now,
            actor: self.actor.clone(),
            request_id: self.request_id,
            request_digest: self.request_digest.recorded(),
            correlation_id: self.correlation_id,
            causation_id: self.causation_id,
            division: self.division.clone(),
            traceparent: self.traceparent.clone(),
            answers: self.answers.clone(),
            purpose: self.purpose.clone(),
        }
    }
}

/// What came of a command that was not refused.
#[derive(Debug, Clone)]
pub struct Committed<A> {
    /// The record that answers the request. If nothing was to be written, the aggregate's last one (sequence 0: none).
    pub position: Position,
    /// The aggregate's version after that record: the record's sequence.
    pub version: u64,
    /// The aggregate as it is now: after a repeated request it may have moved on since the first answer.
    pub state: Arc<Loaded<A>>,
    /// The request had been answered before; nothing was written now.
    pub repeated: bool,
    /// The request has changed something, now or when it first came.
    pub changed: bool,
}

/// Why a command was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExecuteError<R> {
    /// The rules don't allow it, judged on the aggregate's newest state. It left no trace.
    #[error("refused by the rules")]
    Refused(R),
    /// The request id was used before, for another request.
    #[error("the request id was used for another request")]
    RequestIdReused,
    /// Others changed the aggregate each time before this could be written. Try again later.
    #[error("others kept changing the same aggregate")]
    Contended,
    /// What was decided is too large to be written.
    #[error("the decision is too large for the log")]
    TooLarge,
    /// The program asked for something that can't be: an id that is no token, an aggregate twice in one decision.
    #[error("not a decision for the log: {0}")]
    Invalid(String),
    /// The aggregate's history can't be read, so nothing can be decided about it.
    #[error("message {sequence} on {subject} can't be read: {reason}")]
    Unreadable {
        /// The aggregate.
        subject: Subject,
        /// The message's sequence.
        sequence: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// The log did not answer. Whether the command was carried out is open; a retry under the same request id finds out.
    #[error("the log is unavailable: {0}")]
    Unavailable(String),
}

/// Why an aggregate could not be loaded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// The id can't be part of a subject.
    #[error(transparent)]
    Invalid(#[from] InvalidSubject),
    /// One decision may load an aggregate only once.
    #[error("{subject} was loaded twice for one decision")]
    Twice {
        /// The aggregate.
        subject: Subject,
    },
    /// The aggregate's history can't be read.
    #[error("message {sequence} on {subject} can't be read: {reason}")]
    Unreadable {
        /// The aggregate.
        subject: Subject,
        /// The message's sequence.
        sequence: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// The log did not answer.
    #[error("the log is unavailable: {0}")]
    Unavailable(String),
}

impl From<ReadError> for LoadError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Unreadable {
                subject,
                sequence,
                reason,
            } => Self::Unreadable {
                subject,
                sequence,
                reason,
            },
            ReadError::Missing { .. } | ReadError::Behind { .. } | ReadError::Unavailable(_) => {
                Self::Unavailable(error.to_string())
            }
        }
    }
}

impl<R> From<LoadError> for ExecuteError<R> {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Invalid(_) | LoadError::Twice { .. } => Self::Invalid(error.to_string()),
            LoadError::Unreadable {
                subject,
                sequence,
                reason,
            } => Self::Unreadable {
                subject,
                sequence,
                reason,
            },
            LoadError::Unavailable(reason) => Self::Unavailable(reason),
        }
    }
}

/// What to do about an append that was not acknowledged.
pub(crate) enum Unwritten<R> {
    /// Read what is new and decide again; if attempts run out, this is the outcome.
    DecideAgain(ExecuteError<R>),
    /// Deciding again would not help.
    Hopeless(ExecuteError<R>),
}

impl<R> From<AppendError> for Unwritten<R> {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Conflict { .. } => Self::DecideAgain(ExecuteError::Contended),
            AppendError::Unavailable(reason) => {
                Self::DecideAgain(ExecuteError::Unavailable(reason))
            }
            AppendError::TooLarge => Self::Hopeless(ExecuteError::TooLarge),
            AppendError::Invalid(reason) => {
                Self::Hopeless(ExecuteError::Invalid(reason.to_owned()))
            }
        }
    }
}
