//! What a log promises, wherever it is kept.

use std::collections::HashSet;

use async_trait::async_trait;
use futures::stream::BoxStream;

use crate::{
    record::{Delivery, NewRecord, RawMessage, Record},
    subject::Subject,
};

/// The records of a stream from a position on, then each new one as it is written.
///
/// They come in order and without gaps, in batches of whatever was there at once. It finds its way back by itself when
/// the connection or the server is lost. An error is about the log itself, such as [`ReadError::Missing`]; the stream
/// ends after it.
pub type Deliveries = BoxStream<'static, Result<Vec<Delivery>, ReadError>>;

/// An append-only log of one context's decisions.
#[async_trait]
pub trait EventLog: Send + Sync + 'static {
    /// The stream's name, such as `REGISTRY`: the first half of its positions.
    fn stream(&self) -> &str;

    /// Writes one record and returns its sequence. When it returns, the record is stored.
    ///
    /// # Errors
    ///
    /// [`AppendError::Conflict`] when the aggregate's last sequence is not the expected one: nothing was written.
    /// [`AppendError::Unavailable`] leaves open whether it was written.
    async fn append(&self, record: NewRecord) -> Result<u64, AppendError>;

    /// Writes records of several aggregates, all or nothing, and returns their sequences in the same order, which is
    /// also their order in the log.
    ///
    /// # Errors
    ///
    /// As for [`EventLog::append`]; one conflict refuses all.
    async fn append_all(&self, records: Vec<NewRecord>) -> Result<Vec<u64>, AppendError>;

    /// All records of one aggregate after a sequence, oldest first: every record acknowledged before the call is there.
    ///
    /// # Errors
    ///
    /// [`ReadError::Unreadable`] when a message of the aggregate is no record; [`ReadError::Unavailable`].
    async fn read(&self, subject: &Subject, after: u64) -> Result<Vec<Record>, ReadError>;

    /// The sequence of the stream's last record, 0 when it is empty.
    ///
    /// # Errors
    ///
    /// [`ReadError::Unavailable`].
    async fn last_sequence(&self) -> Result<u64, ReadError>;

    /// All records after a sequence, and each new one as it is written.
    ///
    /// # Errors
    ///
    /// [`ReadError::Behind`] when the log is shorter than that; [`ReadError::Unavailable`] when the log can't be
    /// reached. Once it has begun it waits for the log to come back.
    async fn subscribe(&self, after: u64) -> Result<Deliveries, ReadError>;

    /// The messages after a sequence as they lie there, `most` at most, oldest first; fewer only where there are no more.
    /// A gap is not refused: whoever looks for changes has to see what is there.
    ///
    /// # Errors
    ///
    /// [`ReadError::Unavailable`].
    async fn messages(&self, after: u64, most: usize) -> Result<Vec<RawMessage>, ReadError>;
}

/// Why a record was not written, or not known to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// Another record of the aggregate (of one of the aggregates, in a group) was first. Nothing was written.
    #[error("{subject} has moved on")]
    Conflict {
        /// The aggregate; of a group the first, since the log does not say which has moved.
        subject: Subject,
    },
    /// A record is larger than the log takes, or a group has too many. Nothing was written.
    #[error("too large for the log")]
    TooLarge,
    /// The records break a rule of the log, by a mistake of the program. Nothing was written.
    #[error("not for this log: {0}")]
    Invalid(&'static str),
    /// No answer came, or one that leaves it open: the record may have been written or may still be. Reading the
    /// aggregate tells, by the request id.
    #[error("the log did not answer for certain: {0}")]
    Unavailable(String),
}

/// Why records could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// A message of the aggregate is no record.
    #[error("message {sequence} on {subject} is no record: {reason}")]
    Unreadable {
        /// The aggregate.
        subject: Subject,
        /// The message's sequence.
        sequence: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// Records that the log once had are not in it: it was damaged. Reading past them would show a wrong history.
    #[error("the log lacks the records from {from} to before {found}")]
    Missing {
        /// The first sequence that is missing.
        from: u64,
        /// The first one that is there again.
        found: u64,
    },
    /// The log ends before what the reader has already seen: it was put back to an earlier state.
    #[error(
        "the log ends at {last}, and {after} was read already: it was put back to an earlier state"
    )]
    Behind {
        /// The sequence that the reader has reached.
        after: u64,
        /// The log's last sequence.
        last: u64,
    },
    /// The log did not answer.
    #[error("the log did not answer: {0}")]
    Unavailable(String),
}

/// What no log takes, whatever is in it.
pub(crate) fn check(records: &[NewRecord]) -> Result<(), AppendError> {
    if records.is_empty() {
        return Err(AppendError::Invalid("no records"));
    }
    let mut subjects = HashSet::with_capacity(records.len());
    for record in records {
        if record.events.is_empty() {
            return Err(AppendError::Invalid("a record without events"));
        }
        if !subjects.insert(&record.subject) {
            return Err(AppendError::Invalid(
                "two records of one aggregate in one group",
            ));
        }
    }
    Ok(())
}
