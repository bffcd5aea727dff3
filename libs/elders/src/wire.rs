//! Values that all logs have in common, as protobuf messages and back: instants, ids, codes, sealed fields.
//!
//! What can't be read is an error that names the field.

use chrono::{DateTime, TimeDelta, Utc};
use civic::{DivisionCode, ElderId, LocalDay, VillageCode};
use eventlog::{DecodeError, RawEvent};
use prost::Message;
use proto::eldercare::r#type::v1 as types;
use uuid::Uuid;
use vault::Sealed;

use crate::codec::read_day;
use crate::terms::WireTerm;

/// An instant on the wire.
#[must_use]
pub fn write_time(at: DateTime<Utc>) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: at.timestamp(),
        nanos: at.timestamp_subsec_nanos().cast_signed(),
    }
}

/// A span on the wire.
#[must_use]
pub fn write_span(span: TimeDelta) -> prost_types::Duration {
    prost_types::Duration {
        seconds: span.num_seconds(),
        nanos: span.subsec_nanos(),
    }
}

/// An instant from the wire; none where it is none.
#[must_use]
pub fn read_time(at: prost_types::Timestamp) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(at.seconds, u32::try_from(at.nanos).ok()?)
}

/// A span from the wire, not below zero; none where it is none.
#[must_use]
pub fn read_span(span: prost_types::Duration) -> Option<TimeDelta> {
    let seconds = u64::try_from(span.seconds).ok()?;
    TimeDelta::new(seconds.try_into().ok()?, u32::try_from(span.nanos).ok()?)
}

/// The message of an event.
///
/// # Errors
/// Bytes that are no such message.
pub fn message<M: Message + Default>(raw: &RawEvent) -> Result<M, DecodeError> {
    M::decode(raw.data.clone()).map_err(|_broken| DecodeError::malformed("message"))
}

/// A field that has to be there.
///
/// # Errors
/// It is missing.
pub fn present<T>(value: Option<T>, field: &str) -> Result<T, DecodeError> {
    value.ok_or_else(|| DecodeError::malformed(field))
}

/// A word of the domain.
///
/// # Errors
/// A number of none.
pub fn term<T: WireTerm>(number: i32, field: &str) -> Result<T, DecodeError> {
    present(T::from_wire(number), field)
}

/// An id.
///
/// # Errors
/// A text that is no UUID.
pub fn id(text: &str, field: &str) -> Result<Uuid, DecodeError> {
    present(Uuid::try_parse(text).ok(), field)
}

/// An elder's id.
///
/// # Errors
/// A text that is no UUID.
pub fn elder(text: &str) -> Result<ElderId, DecodeError> {
    present(text.parse().ok(), "elder_id")
}

/// A division.
///
/// # Errors
/// A text that is no code.
pub fn division(text: &str) -> Result<DivisionCode, DecodeError> {
    present(text.parse().ok(), "division_code")
}

/// A village.
///
/// # Errors
/// A text that is no village's code.
pub fn village(text: &str) -> Result<VillageCode, DecodeError> {
    present(text.parse().ok(), "division_code")
}

/// A day.
///
/// # Errors
/// It is missing, or no day.
pub fn day(date: Option<types::Date>, field: &str) -> Result<LocalDay, DecodeError> {
    present(date.and_then(read_day), field)
}

/// An instant.
///
/// # Errors
/// It is missing, or none.
pub fn time(at: Option<prost_types::Timestamp>, field: &str) -> Result<DateTime<Utc>, DecodeError> {
    present(at.and_then(read_time), field)
}

/// A span.
///
/// # Errors
/// It is missing, or none.
pub fn span(span: Option<prost_types::Duration>, field: &str) -> Result<TimeDelta, DecodeError> {
    present(span.and_then(read_span), field)
}

/// A sealed field.
///
/// # Errors
/// It is missing, or no envelope.
pub fn sealed<T>(envelope: Option<types::Sealed>, field: &str) -> Result<Sealed<T>, DecodeError> {
    present(maybe_sealed(envelope, field)?, field)
}

/// A sealed field that may be missing.
///
/// # Errors
/// It is no envelope.
pub fn maybe_sealed<T>(
    envelope: Option<types::Sealed>,
    field: &str,
) -> Result<Option<Sealed<T>>, DecodeError> {
    envelope
        .map(|envelope| present(envelope.try_into().ok(), field))
        .transpose()
}
