//! Where a page of a list ends, as the token of the next page bears it.

use chrono::{DateTime, Utc};
use civic::LocalDay;
use uuid::Uuid;

use crate::appeals::Cursor;
use crate::enrolled;

/// Of orders.
pub(super) fn sequence_of(bytes: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(bytes.try_into().ok()?))
}

/// Of appeals and held orders.
pub(super) fn cursor_bytes((at, key): Cursor) -> Vec<u8> {
    let mut bytes = at.timestamp_micros().to_be_bytes().to_vec();
    bytes.extend_from_slice(key.as_bytes());
    bytes
}

pub(super) fn cursor_of(bytes: &[u8]) -> Option<Cursor> {
    let (at, key) = bytes.split_at_checked(8)?;
    let at = i64::from_be_bytes(at.try_into().ok()?);
    let at = DateTime::<Utc>::from_timestamp_micros(at)?;
    Some((at, Uuid::from_slice(key).ok()?))
}

/// Of enrolments: the day, the elder and the enrolment.
pub(super) fn enrolment_bytes((on, (elder, enrolment)): enrolled::Cursor) -> Vec<u8> {
    let mut bytes = on.epoch_days().to_be_bytes().to_vec();
    bytes.extend(elder.as_bytes());
    bytes.extend(enrolment.as_bytes());
    bytes
}

pub(super) fn enrolment_of(bytes: &[u8]) -> Option<enrolled::Cursor> {
    let (on, rest) = bytes.split_first_chunk()?;
    let (elder, enrolment) = rest.split_at_checked(16)?;
    Some((
        LocalDay::from_epoch_days(i32::from_be_bytes(*on)).ok()?,
        (
            Uuid::from_slice(elder).ok()?,
            Uuid::from_slice(enrolment).ok()?,
        ),
    ))
}

/// Of settlements: the provider and the number.
pub(super) fn settlement_bytes(provider: &str, number: i32) -> Vec<u8> {
    let mut bytes = number.to_be_bytes().to_vec();
    bytes.extend_from_slice(provider.as_bytes());
    bytes
}

pub(super) fn settlement_of(bytes: &[u8]) -> Option<(String, i32)> {
    let (number, provider) = bytes.split_at_checked(4)?;
    let provider = std::str::from_utf8(provider).ok()?.to_owned();
    Some((provider, i32::from_be_bytes(number.try_into().ok()?)))
}

/// Of a ledger: the sequence, and the place in its record.
pub(super) fn entry_bytes((sequence, place): (u64, i32)) -> Vec<u8> {
    let mut bytes = sequence.to_be_bytes().to_vec();
    bytes.extend_from_slice(&place.to_be_bytes());
    bytes
}

pub(super) fn entry_of(bytes: &[u8]) -> Option<(u64, i32)> {
    let (sequence, place) = bytes.split_at_checked(8)?;
    let place = i32::from_be_bytes(place.try_into().ok()?);
    Some((sequence_of(sequence)?, place))
}
