//! A day as people in China count it: from local midnight to local midnight.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Datelike, Days, FixedOffset, NaiveDate, NaiveTime, TimeDelta, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{
    CalendarMonth, IsoWeek,
    handwriting::{is_dash, tidied},
    serde_text,
};

/// Local time, Asia/Shanghai, as a fixed offset of +08:00.
///
/// The zone has had no daylight saving since September 1991, and no event of this system is older. Earlier days
/// occur only as calendar days (birth dates), which no offset touches.
pub const SHANGHAI: FixedOffset = match FixedOffset::east_opt(8 * 3600) {
    Some(offset) => offset,
    None => unreachable!(),
};

/// A calendar day in Asia/Shanghai, of a year from 1 to 9999.
///
/// Arithmetic that would leave these years stops at [`LocalDay::MIN`] or [`LocalDay::MAX`].
///
/// In text formats serde writes `2024-09-20`, in binary ones the number of days since 1970-01-01 as an `i32`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalDay(NaiveDate);

/// Why something is no day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LocalDayError {
    /// The text is not laid out as a date.
    #[error("not a date of the form YYYY-MM-DD")]
    Form,
    /// There is no such day in the calendar, as 30 February.
    #[error("no such day in the calendar")]
    NoSuchDay,
}

impl LocalDay {
    /// 1 January of the year 1.
    pub const MIN: Self = match NaiveDate::from_ymd_opt(1, 1, 1) {
        Some(date) => Self(date),
        None => unreachable!(),
    };

    /// 31 December 9999.
    pub const MAX: Self = match NaiveDate::from_ymd_opt(9999, 12, 31) {
        Some(date) => Self(date),
        None => unreachable!(),
    };

    /// The local day on which the instant falls.
    #[must_use]
    pub fn of(instant: DateTime<Utc>) -> Self {
        let local = instant
            .naive_utc()
            .checked_add_offset(SHANGHAI)
            .unwrap_or(instant.naive_utc());
        Self(local.date().clamp(Self::MIN.0, Self::MAX.0))
    }

    /// The day of a year, a month (1 to 12) and a day of the month.
    ///
    /// # Errors
    ///
    /// [`LocalDayError::NoSuchDay`] when the calendar has none, or the year is not from 1 to 9999.
    pub fn from_ymd(year: i32, month: u32, day: u32) -> Result<Self, LocalDayError> {
        NaiveDate::from_ymd_opt(year, month, day)
            .ok_or(LocalDayError::NoSuchDay)?
            .try_into()
    }

    /// The day that lies so many days after 1 January 1970 (before it, when negative).
    ///
    /// # Errors
    ///
    /// [`LocalDayError::NoSuchDay`] when its year is not from 1 to 9999.
    pub fn from_epoch_days(days: i32) -> Result<Self, LocalDayError> {
        NaiveDate::from_epoch_days(days)
            .ok_or(LocalDayError::NoSuchDay)?
            .try_into()
    }

    /// Days since 1 January 1970.
    #[must_use]
    pub fn epoch_days(self) -> i32 {
        self.0.to_epoch_days()
    }

    /// A date as it stands in a sheet: `2024年9月20日`, `2024-9-20`, `2024/9/20` or `2024.9.20`, also with full-width
    /// digits, any white space, and any kind of dash.
    ///
    /// # Errors
    ///
    /// [`LocalDayError::Form`] when it is not laid out so, [`LocalDayError::NoSuchDay`] when there is no such day.
    pub fn from_sheet(text: &str) -> Result<Self, LocalDayError> {
        let text: String = tidied(text)
            .map(|c| if is_dash(c) { '-' } else { c })
            .collect();
        let (year, month, day) = in_chinese(&text)
            .or_else(|| {
                ['-', '/', '.']
                    .into_iter()
                    .find_map(|sign| separated_by(sign, &text))
            })
            .ok_or(LocalDayError::Form)?;
        Self::from_digits(year, month, day, 1)
    }

    /// Reads the parts of a date, the month and day of which have at least so many digits.
    fn from_digits(
        year: &str,
        month: &str,
        day: &str,
        least: usize,
    ) -> Result<Self, LocalDayError> {
        let digits = |part: &str, least: usize, most: usize| {
            let fits =
                (least..=most).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
            if fits {
                part.parse::<u16>().map_err(|_| LocalDayError::Form)
            } else {
                Err(LocalDayError::Form)
            }
        };
        let (year, month, day) = (
            digits(year, 4, 4)?,
            digits(month, least, 2)?,
            digits(day, least, 2)?,
        );
        Self::from_ymd(year.into(), month.into(), day.into())
    }

    /// The instant at which the day begins: local midnight.
    #[must_use]
    pub fn start(self) -> DateTime<Utc> {
        self.0.and_time(NaiveTime::MIN).and_utc() - SHANGHAI
    }

    /// The instant at which the day is over: the local midnight after it, which is no longer part of it.
    #[must_use]
    pub fn end(self) -> DateTime<Utc> {
        self.start() + TimeDelta::days(1)
    }

    /// The day after.
    #[must_use]
    pub fn next(self) -> Self {
        self.plus_days(1)
    }

    /// The day before.
    #[must_use]
    pub fn prev(self) -> Self {
        self.plus_days(-1)
    }

    /// So many days later; earlier, when negative.
    #[must_use]
    pub fn plus_days(self, days: i64) -> Self {
        let distance = Days::new(days.unsigned_abs());
        if days < 0 {
            self.0
                .checked_sub_days(distance)
                .map_or(Self::MIN, |date| Self(date.max(Self::MIN.0)))
        } else {
            self.0
                .checked_add_days(distance)
                .map_or(Self::MAX, |date| Self(date.min(Self::MAX.0)))
        }
    }

    /// How many days later the other day is; negative when it is earlier.
    #[must_use]
    pub fn days_until(self, other: Self) -> i64 {
        other.0.signed_duration_since(self.0).num_days()
    }

    /// The ISO week, Monday to Sunday, that holds this day.
    #[must_use]
    pub fn iso_week(self) -> IsoWeek {
        IsoWeek::of(self)
    }

    /// The calendar month that holds this day.
    #[must_use]
    pub fn month(self) -> CalendarMonth {
        CalendarMonth::of(self)
    }

    /// The calendar year, 1 to 9999.
    #[must_use]
    pub fn year(self) -> i32 {
        self.0.year()
    }

    /// The month of the year, 1 to 12.
    #[must_use]
    pub fn month_of_year(self) -> u32 {
        self.0.month()
    }

    /// The day of the month, 1 to 31.
    #[must_use]
    pub fn day_of_month(self) -> u32 {
        self.0.day()
    }

    /// The same day as chrono's date, for databases and workbooks.
    #[must_use]
    pub fn date(self) -> NaiveDate {
        self.0
    }
}

/// `2024年9月20日`, or with 号.
fn in_chinese(text: &str) -> Option<(&str, &str, &str)> {
    let (year, rest) = text.split_once('年')?;
    let (month, rest) = rest.split_once('月')?;
    let day = rest.strip_suffix(['日', '号'])?;
    Some((year, month, day))
}

/// `2024-9-20`, with one sign at both places.
fn separated_by(sign: char, text: &str) -> Option<(&str, &str, &str)> {
    let (year, rest) = text.split_once(sign)?;
    let (month, day) = rest.split_once(sign)?;
    Some((year, month, day))
}

impl TryFrom<NaiveDate> for LocalDay {
    type Error = LocalDayError;

    fn try_from(date: NaiveDate) -> Result<Self, LocalDayError> {
        if (Self::MIN.0..=Self::MAX.0).contains(&date) {
            Ok(Self(date))
        } else {
            Err(LocalDayError::NoSuchDay)
        }
    }
}

impl From<LocalDay> for NaiveDate {
    fn from(day: LocalDay) -> Self {
        day.0
    }
}

/// Strictly `YYYY-MM-DD`.
impl FromStr for LocalDay {
    type Err = LocalDayError;

    fn from_str(text: &str) -> Result<Self, LocalDayError> {
        let (year, month, day) = separated_by('-', text).ok_or(LocalDayError::Form)?;
        Self::from_digits(year, month, day, 2)
    }
}

/// `YYYY-MM-DD`.
impl fmt::Display for LocalDay {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{:04}-{:02}-{:02}",
            self.year(),
            self.month_of_year(),
            self.day_of_month()
        )
    }
}

impl Serialize for LocalDay {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_i32(self.epoch_days())
        }
    }
}

impl<'de> Deserialize<'de> for LocalDay {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            serde_text::deserialize(deserializer)
        } else {
            Self::from_epoch_days(i32::deserialize(deserializer)?).map_err(de::Error::custom)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_test::{Configure, Token, assert_de_tokens_error, assert_tokens};

    use super::*;

    fn day(text: &str) -> LocalDay {
        text.parse().unwrap()
    }

    fn instant(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn a_day_begins_at_local_midnight() {
        assert_eq!(
            day("2024-09-20").start(),
            instant("2024-09-20T00:00:00+08:00")
        );
        assert_eq!(day("2024-09-20").end(), day("2024-09-21").start());
    }

    #[test]
    fn an_instant_falls_on_the_day_that_local_clocks_show() {
        assert_eq!(
            LocalDay::of(instant("2024-09-19T15:59:59.999Z")),
            day("2024-09-19")
        );
        assert_eq!(
            LocalDay::of(instant("2024-09-19T16:00:00Z")),
            day("2024-09-20")
        );
        assert_eq!(
            LocalDay::of(instant("2024-09-20T15:59:59Z")),
            day("2024-09-20")
        );
    }

    #[test]
    fn arithmetic_stops_at_the_ends_of_the_calendar() {
        assert_eq!(LocalDay::MAX.next(), LocalDay::MAX);
        assert_eq!(LocalDay::MIN.prev(), LocalDay::MIN);
        assert_eq!(day("2024-09-20").plus_days(i64::MAX), LocalDay::MAX);
        assert_eq!(day("2024-09-20").plus_days(i64::MIN), LocalDay::MIN);
        assert_eq!(LocalDay::of(DateTime::<Utc>::MAX_UTC), LocalDay::MAX);
        assert_eq!(LocalDay::of(DateTime::<Utc>::MIN_UTC), LocalDay::MIN);
        assert!(LocalDay::MAX.start() < LocalDay::MAX.end());
    }

    #[test]
    fn iso_dates_are_read_strictly() {
        assert_eq!(day("2024-02-29").to_string(), "2024-02-29");
        assert_eq!(day("0001-01-01"), LocalDay::MIN);
        assert_eq!(
            "2023-02-29".parse::<LocalDay>(),
            Err(LocalDayError::NoSuchDay)
        );
        assert_eq!(
            "0000-01-01".parse::<LocalDay>(),
            Err(LocalDayError::NoSuchDay)
        );
        assert_eq!(
            "2024-13-01".parse::<LocalDay>(),
            Err(LocalDayError::NoSuchDay)
        );
        for text in [
            "",
            "2024-9-20",
            "24-09-20",
            "12024-09-20",
            "2024-09-20 ",
            "2024/09/20",
            "2024-09-20-1",
            "+024-09-20",
        ] {
            assert_eq!(text.parse::<LocalDay>(), Err(LocalDayError::Form), "{text}");
        }
    }

    #[test]
    fn dates_of_sheets_are_read_in_their_usual_spellings() {
        for text in [
            "2024年9月20日",
            " 2024 年 9 月 20 日\u{3000}",
            "２０２４年０９月２０日",
            "2024年9月20号",
            "2024-9-20",
            "2024—09—20",
            "2024/9/20",
            "２０２４／９／２０",
            "2024.9.20",
            "2024-09-20",
        ] {
            assert_eq!(LocalDay::from_sheet(text), Ok(day("2024-09-20")), "{text}");
        }
        assert_eq!(
            LocalDay::from_sheet("2024年9月31日"),
            Err(LocalDayError::NoSuchDay)
        );
        for text in [
            "",
            "2024年9月",
            "2024年9月20",
            "24年9月20日",
            "2024-9/20",
            "2024.9",
            "2024年9月201日",
            "20240920",
        ] {
            assert_eq!(
                LocalDay::from_sheet(text),
                Err(LocalDayError::Form),
                "{text}"
            );
        }
    }

    #[test]
    fn text_formats_hold_a_date_and_binary_ones_a_number_of_days() {
        assert_tokens(&day("1970-01-02").readable(), &[Token::Str("1970-01-02")]);
        assert_tokens(&day("1970-01-02").compact(), &[Token::I32(1)]);
        assert_tokens(&day("1969-12-31").compact(), &[Token::I32(-1)]);
        assert_de_tokens_error::<serde_test::Compact<LocalDay>>(
            &[Token::I32(i32::MAX)],
            "no such day in the calendar",
        );
    }

    fn any_day() -> impl Strategy<Value = LocalDay> {
        (LocalDay::MIN.epoch_days()..=LocalDay::MAX.epoch_days())
            .prop_map(|days| LocalDay::from_epoch_days(days).unwrap())
    }

    proptest! {
        #[test]
        fn every_day_reads_back_from_its_text(day in any_day()) {
            prop_assert_eq!(day.to_string().parse(), Ok(day));
            prop_assert_eq!(LocalDay::from_sheet(&day.to_string()), Ok(day));
            let chinese = format!("{:04}年{}月{}日", day.year(), day.month_of_year(), day.day_of_month());
            prop_assert_eq!(LocalDay::from_sheet(&chinese), Ok(day));
        }

        #[test]
        fn texts_are_ordered_as_the_days(one in any_day(), other in any_day()) {
            prop_assert_eq!(one.cmp(&other), one.to_string().cmp(&other.to_string()));
        }

        #[test]
        fn every_instant_of_a_day_falls_on_it(day in any_day(), second in 0_i64..86_400) {
            prop_assert_eq!(LocalDay::of(day.start() + TimeDelta::seconds(second)), day);
            prop_assert_eq!(day.end() - day.start(), TimeDelta::days(1));
        }

        #[test]
        fn distances_add_up(one in any_day(), other in any_day()) {
            prop_assert_eq!(one.plus_days(one.days_until(other)), other);
        }
    }
}
