//! A read model as a fold: the events of one stream become the rows of one schema.

use std::borrow::Cow;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use eventlog::{DecodeError, Delivery, RawEvent, Record};
use sm3::{Digest, Sm3};
use sqlx::PgConnection;

use crate::failure::ApplyError;

/// Whether a batch belongs to the live tail or to a bulk load from the beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Small batches; the rows are being read.
    Live,
    /// Large batches into a schema that nobody reads yet and whose late indexes are missing: write in bulk
    /// ([`CopyRows`](crate::CopyRows) for new rows, `UNNEST` for changed ones).
    Rebuild,
}

/// A fold of one stream into the tables of one PostgreSQL schema.
///
/// The fold must be deterministic: the same records give the same rows in whatever batches they come, since a rebuild
/// has other batches than the live tail. So no clock, no random ids, no surrogate keys from a sequence.
///
/// Its tables are named without a schema in [`ddl`](Self::ddl) and [`apply`](Self::apply) (the search path leads to the
/// live version or to the one being built), and with it (`elders.elder`) in the queries of the service. Types, functions
/// and views over other schemas don't belong there: a prepared statement keeps the type of the schema it was made for.
#[async_trait]
pub trait Projection: Send + 'static {
    /// The name of the projection and of the schema of its live version: `[a-z][a-z0-9_]*`, at most 48 characters.
    fn name(&self) -> &'static str;

    /// Raised when the tables or the fold change: the new version is then rebuilt beside the live one.
    fn version(&self) -> u32;

    /// The tables, with the keys that the fold itself needs.
    fn ddl(&self) -> &str;

    /// Indexes and keys that only readers need. Built after a bulk load, which makes the load up to twice as fast.
    fn post_load_ddl(&self) -> &'static str {
        ""
    }

    /// Applies a batch within the open transaction that also moves the checkpoint, and returns what it passed by.
    ///
    /// # Errors
    /// The transaction is rolled back, [`forget`](Self::forget) is called, and the batch is tried again or divided until
    /// the record at fault is found and parked.
    async fn apply(
        &mut self,
        db: &mut PgConnection,
        records: &[Record],
        phase: Phase,
    ) -> Result<Vec<Parked>, ApplyError>;

    /// Called once at the end of a bulk load, before [`post_load_ddl`](Self::post_load_ddl) and in the same transaction:
    /// what was staged goes to its place.
    ///
    /// # Errors
    /// As for [`apply`](Self::apply).
    async fn finish_load(&mut self, _db: &mut PgConnection) -> Result<(), ApplyError> {
        Ok(())
    }

    /// A transaction was rolled back or the lead was lost: whatever is remembered in memory is forgotten.
    fn forget(&mut self) {}

    /// Who prepares records for a bulk load before their turn comes.
    fn ahead(&self) -> Option<Arc<dyn Ahead>> {
        None
    }
}

/// Prepares records of a bulk load while those before them are being written: decodes, fetches keys, decrypts.
///
/// It shares what it finds with its projection, which must do without where it finds nothing: what was prepared may be
/// forgotten, and some records come again.
#[async_trait]
pub trait Ahead: Send + Sync + 'static {
    /// Prepares consecutive records; [`apply`](Projection::apply) gets them later, in batches of another size.
    async fn prepare(&self, deliveries: &[Delivery]);
}

/// An event that a projection passed by, kept where an operator sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parked {
    pub(crate) sequence: u64,
    /// Its place among the events of its record.
    pub(crate) place: usize,
    pub(crate) subject: String,
    pub(crate) event_type: String,
    pub(crate) reason: Cow<'static, str>,
    pub(crate) payload: Bytes,
}

impl Parked {
    /// An event of a type that the projection doesn't know.
    #[must_use]
    pub fn unknown_type(record: &Record, event: &RawEvent) -> Self {
        Self::because(record, event, "unknown event type")
    }

    /// An event whose bytes are not what its type says.
    #[must_use]
    pub fn malformed(record: &Record, event: &RawEvent) -> Self {
        Self::because(record, event, "malformed event")
    }

    /// An event that makes no sense to the projection. The reason is a constant, so that no value slips into it.
    #[must_use]
    pub fn because(record: &Record, event: &RawEvent, reason: &'static str) -> Self {
        Self::with_reason(record, event, Cow::Borrowed(reason))
    }

    /// A message of a log that is no record, by where it lies and what is wrong with it; free of personal data.
    #[must_use]
    pub fn message(sequence: u64, subject: String, reason: String) -> Self {
        Self {
            sequence,
            place: 0,
            subject,
            event_type: String::new(),
            reason: Cow::Owned(reason),
            payload: Bytes::new(),
        }
    }

    /// A row of a read model that a reader can't read: which one by its kind and key, and of whom by an id.
    #[must_use]
    pub fn row(which: String, of: String) -> Self {
        Self {
            sequence: 0,
            place: 0,
            subject: of,
            event_type: which,
            reason: Cow::Borrowed("a row that can't be read"),
            payload: Bytes::new(),
        }
    }

    pub(crate) fn with_reason(
        record: &Record,
        event: &RawEvent,
        reason: Cow<'static, str>,
    ) -> Self {
        Self {
            sequence: record.sequence,
            place: place(record, event),
            subject: record.subject.to_string(),
            event_type: event.event_type.clone(),
            reason,
            payload: event.data.clone(),
        }
    }
}

/// The events of a record, as `decode` reads them. What can't be read is parked.
pub fn read_events<E>(
    record: &Record,
    decode: impl Fn(&RawEvent) -> Result<E, DecodeError>,
    parked: &mut Vec<Parked>,
) -> Vec<E> {
    let events = record.events.iter().filter_map(|raw| {
        let unreadable = match decode(raw) {
            Ok(event) => return Some(event),
            Err(DecodeError::UnknownType(_)) => Parked::unknown_type(record, raw),
            Err(DecodeError::Malformed(_)) => Parked::malformed(record, raw),
        };
        parked.push(unreadable);
        None
    });
    events.collect()
}

/// The place of an event among those of its record. It is mostly borrowed from there; a copy stands for the first like it.
fn place(record: &Record, event: &RawEvent) -> usize {
    let mut events = record.events.iter();
    events
        .position(|one| std::ptr::eq(one, event))
        .or_else(|| record.events.iter().position(|one| one == event))
        .unwrap_or_default()
}

/// What tells two sets of tables apart, besides the version that people raise.
pub(crate) fn ddl_digest(projection: &(impl Projection + ?Sized)) -> Vec<u8> {
    let mut digest = Sm3::new();
    digest.update(projection.ddl());
    digest.update([0]);
    digest.update(projection.post_load_ddl());
    digest.finalize().to_vec()
}
