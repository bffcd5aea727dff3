//! Days and instants as the APIs write them.

use chrono::{DateTime, Utc};
use civic::LocalDay;
use proto::eldercare::r#type::v1 as types;

/// A day as the APIs write it.
pub fn date(day: LocalDay) -> types::Date {
    let small = |number: u32| i32::try_from(number).expect("months and days are small");
    types::Date {
        year: day.year(),
        month: small(day.month_of_year()),
        day: small(day.day_of_month()),
    }
}

/// A day as the APIs wrote it; `None` where it is no day of the calendar.
pub fn from_date(date: types::Date) -> Option<LocalDay> {
    let (month, day) = (
        u32::try_from(date.month).ok()?,
        u32::try_from(date.day).ok()?,
    );
    LocalDay::from_ymd(date.year, month, day).ok()
}

/// An instant as the APIs write it.
pub fn timestamp(at: DateTime<Utc>) -> prost_types::Timestamp {
    let nanos = i32::try_from(at.timestamp_subsec_nanos()).unwrap_or(999_999_999);
    prost_types::Timestamp {
        seconds: at.timestamp(),
        nanos,
    }
}

/// An instant as the APIs wrote it; `None` where it is none.
pub fn from_timestamp(at: prost_types::Timestamp) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(at.seconds, u32::try_from(at.nanos).ok()?)
}

/// An instant in local time, to the second, as officers read it.
pub fn local_time(at: DateTime<Utc>) -> String {
    let local = at.with_timezone(
        &chrono::FixedOffset::east_opt(8 * 3600).expect("eight hours are less than a day"),
    );
    local.format("%Y-%m-%d %H:%M:%S").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_instants_come_back_as_they_were() {
        let day: LocalDay = "2024-02-29".parse().unwrap();
        assert_eq!(from_date(date(day)), Some(day));
        assert_eq!(
            from_date(types::Date {
                year: 2023,
                month: 2,
                day: 29
            }),
            None
        );
        let at: DateTime<Utc> = "2024-11-18T16:00:00.25Z".parse().unwrap();
        assert_eq!(from_timestamp(timestamp(at)), Some(at));
        assert_eq!(local_time(at), "2024-11-19 00:00:00");
    }
}
