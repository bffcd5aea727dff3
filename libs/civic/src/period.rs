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
        Self { monday: day.plus_days(-i64::from(since_monday)) }
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
        Self { first: day.plus_days(1 - i64::from(day.day_of_month())) }
    }

    /// Its first day.
    #[must_use]
    pub fn first_day(self) -> LocalDay {
        self.first
    }

    /// Its last day.
    #[must_use]
    pub fn last_day(self) -> LocalDay {
        self.first.plus_days(i64::from(self.first.date().num_days_in_month()) - 1)
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
        write!(formatter, "{:04}-{:02}", self.first.year(), self.first.month_of_year())
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
    if text.len() == count && text.bytes().all(|b| b.is_ascii_digit()) { text.parse().ok() } else { None }
}
