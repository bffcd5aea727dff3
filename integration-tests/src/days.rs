//! Days and instants, as stories write them and as the APIs do.

use chrono::{DateTime, Utc};
use civic::LocalDay;
use proto::eldercare::r#type::v1 as types;

/// An instant, such as `2024-10-01T09:00:00+08:00`.
pub fn at(text: &str) -> DateTime<Utc> {
    text.parse::<DateTime<chrono::FixedOffset>>()
        .unwrap()
        .to_utc()
}

/// A day, such as `2024-10-01`.
pub fn day(text: &str) -> LocalDay {
    text.parse().unwrap()
}

/// The same as the APIs write it.
pub fn date(text: &str) -> types::Date {
    eldercare::wire::date(day(text))
}

/// An instant as the APIs write it.
pub fn timestamp(text: &str) -> prost_types::Timestamp {
    eldercare::wire::timestamp(at(text))
}
