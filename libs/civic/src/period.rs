//! The periods in which visits are owed: ISO weeks and calendar months.

use std::{fmt, ops::RangeInclusive, str::FromStr};

use chrono::{Datelike, NaiveDate, Weekday};

use crate::{LocalDay, serde_text::as_displayed};

/// Why a text names no period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PeriodError {
    /// No such week.
    #[error("not an ISO week of the form YYYY-Www")]
    Week,
    /// No such month.
    #[error("not a month of the form YYYY-MM")]
    Month,
}

/// A week from Monday to Sunday, in local time. Serde and `Display`: `2024-W40`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IsoWeek {
    monday: LocalDay,
}

impl IsoWeek {
    /// The week that holds the day.
    #[must_use]
    pub fn of(day: LocalDay) -> Self {
        let since_monday = day.date().weekday().num_days_from_monday();
        Self {
            monday: day.plus_days(-i64::from(since_monday)),
        }
    }

    /// Its Monday.
    #[must_use]
    pub fn first_day(self) -> LocalDay {
        self.monday
    }

    /// Its Sunday.
    #[must_use]
    pub fn last_day(self) -> LocalDay {
        self.monday.plus_days(6)
    }

    /// First and last day.
    #[must_use]
    pub fn days(self) -> RangeInclusive<LocalDay> {
        self.first_day()..=self.last_day()
    }

    /// Whether the day lies in this week.
    #[must_use]
    pub fn contains(self, day: LocalDay) -> bool {
        self.days().contains(&day)
    }

    /// The week after.
    #[must_use]
    pub fn next(self) -> Self {
        Self::of(self.monday.plus_days(7))
    }

    /// The week before.
    #[must_use]
    pub fn prev(self) -> Self {
        Self::of(self.monday.plus_days(-7))
    }
}

impl fmt::Display for IsoWeek {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let week = self.monday.date().iso_week();
        write!(formatter, "{:04}-W{:02}", week.year(), week.week())
    }
}

impl FromStr for IsoWeek {
    type Err = PeriodError;

    fn from_str(text: &str) -> Result<Self, PeriodError> {
        let (year, week) = text.split_once("-W").ok_or(PeriodError::Week)?;
        let year = digits(year, 4).ok_or(PeriodError::Week)?;
        let week = digits(week, 2).ok_or(PeriodError::Week)?;
        NaiveDate::from_isoywd_opt(i32::from(year), u32::from(week), Weekday::Mon)
            .and_then(|monday| LocalDay::try_from(monday).ok())
            .map(|monday| Self { monday })
            .ok_or(PeriodError::Week)
    }
}

as_displayed!(IsoWeek);

/// A month of the calendar, in local time. Serde and `Display`: `2024-10`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CalendarMonth {
    first: LocalDay,
}

impl CalendarMonth {
    /// The month that holds the day.
    #[must_use]
    pub fn of(day: LocalDay) -> Self {
        Self {
            first: day.plus_days(1 - i64::from(day.day_of_month())),
        }
    }

    /// Its first day.
    #[must_use]
    pub fn first_day(self) -> LocalDay {
        self.first
    }

    /// Its last day.
    #[must_use]
    pub fn last_day(self) -> LocalDay {
        self.first
            .plus_days(i64::from(self.first.date().num_days_in_month()) - 1)
    }

    /// First and last day.
    #[must_use]
    pub fn days(self) -> RangeInclusive<LocalDay> {
        self.first_day()..=self.last_day()
    }

    /// Whether the day lies in this month.
    #[must_use]
    pub fn contains(self, day: LocalDay) -> bool {
        self.days().contains(&day)
    }

    /// The month after.
    #[must_use]
    pub fn next(self) -> Self {
        Self::of(self.last_day().next())
    }

    /// The month before.
    #[must_use]
    pub fn prev(self) -> Self {
        Self::of(self.first.prev())
    }
}

impl fmt::Display for CalendarMonth {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{:04}-{:02}",
            self.first.year(),
            self.first.month_of_year()
        )
    }
}

impl FromStr for CalendarMonth {
    type Err = PeriodError;

    fn from_str(text: &str) -> Result<Self, PeriodError> {
        let (year, month) = text.split_once('-').ok_or(PeriodError::Month)?;
        let year = digits(year, 4).ok_or(PeriodError::Month)?;
        let month = digits(month, 2).ok_or(PeriodError::Month)?;
        LocalDay::from_ymd(i32::from(year), u32::from(month), 1)
            .map(|first| Self { first })
            .map_err(|_| PeriodError::Month)
    }
}

as_displayed!(CalendarMonth);

/// A number written with exactly so many digits.
fn digits(text: &str, count: usize) -> Option<u16> {
    if text.len() == count && text.bytes().all(|b| b.is_ascii_digit()) {
        text.parse().ok()
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> LocalDay {
        text.parse().unwrap()
    }

    #[test]
    fn weeks_run_from_monday_to_sunday() {
        let week = day("2024-10-02").iso_week();
        assert_eq!(week.days(), day("2024-09-30")..=day("2024-10-06"));
        assert_eq!(day("2024-09-30").iso_week(), week);
        assert_eq!(day("2024-10-06").iso_week(), week);
        assert_eq!(day("2024-10-07").iso_week(), week.next());
        assert_eq!(week.next().prev(), week);
        assert!(week.contains(day("2024-10-06")) && !week.contains(day("2024-10-07")));
    }

    #[test]
    fn a_week_belongs_to_the_year_of_its_thursday() {
        assert_eq!(day("2024-12-30").iso_week().to_string(), "2025-W01");
        assert_eq!(day("2021-01-03").iso_week().to_string(), "2020-W53");
        assert_eq!("2025-W01".parse(), Ok(day("2024-12-30").iso_week()));
        for text in ["2024-W53", "2024-W00", "2024-W1", "2024W01", "24-W01"] {
            assert_eq!(text.parse::<IsoWeek>(), Err(PeriodError::Week), "{text}");
        }
    }

    #[test]
    fn months_end_on_their_last_day() {
        let february = day("2024-02-10").month();
        assert_eq!(february.days(), day("2024-02-01")..=day("2024-02-29"));
        assert_eq!(day("2023-02-28").month().last_day(), day("2023-02-28"));
        assert_eq!(february.next(), day("2024-03-31").month());
        assert_eq!(day("2024-01-01").month().prev(), day("2023-12-31").month());
        assert!(february.contains(day("2024-02-29")) && !february.contains(day("2024-03-01")));
    }

    #[test]
    fn a_month_reads_back_from_its_text() {
        let october = day("2024-10-02").month();
        assert_eq!(october.to_string(), "2024-10");
        assert_eq!("2024-10".parse(), Ok(october));
        assert_eq!(
            serde_json::from_str::<CalendarMonth>("\"2024-10\"").unwrap(),
            october
        );
        for text in ["2024-13", "2024-00", "2024-1", "2024-10-01", "0000-01"] {
            assert_eq!(
                text.parse::<CalendarMonth>(),
                Err(PeriodError::Month),
                "{text}"
            );
        }
    }

    #[test]
    fn the_ends_of_the_calendar_hold() {
        assert_eq!(LocalDay::MAX.month().last_day(), LocalDay::MAX);
        assert_eq!(LocalDay::MAX.month().next(), LocalDay::MAX.month());
        assert_eq!(LocalDay::MIN.iso_week().first_day(), LocalDay::MIN);
        assert!(LocalDay::MAX.iso_week().contains(LocalDay::MAX));
    }
}
