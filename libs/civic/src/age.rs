//! How old somebody is on a day, in full years, and on which day an age is reached.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::LocalDay;

/// An age in full years, reached on the birthday itself.
///
/// Who was born on 29 February reaches an age on 28 February in a common year.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Age(u16);

impl Age {
    /// An age of so many full years.
    #[must_use]
    pub const fn of_years(years: u16) -> Self {
        Self(years)
    }

    /// The age on a day. Before the birth it is zero.
    #[must_use]
    pub fn on(birth: LocalDay, day: LocalDay) -> Self {
        let Ok(calendar_years) = u16::try_from(day.year() - birth.year()) else {
            return Self(0);
        };
        let reached = birthday(birth, calendar_years).is_some_and(|birthday| birthday <= day);
        Self(if reached { calendar_years } else { calendar_years.saturating_sub(1) })
    }

    /// Full years.
    #[must_use]
    pub const fn years(self) -> u16 {
        self.0
    }

    /// The day on which somebody born on `birth` reaches this many years; [`LocalDay::MAX`] if the calendar ends before.
    #[must_use]
    pub fn birthday_reaching(birth: LocalDay, years: u16) -> LocalDay {
        birthday(birth, years).unwrap_or(LocalDay::MAX)
    }

    /// The first birthday after the day: when the age changes next. The day of birth is no birthday.
    #[must_use]
    pub fn next_birthday_after(birth: LocalDay, day: LocalDay) -> LocalDay {
        Self::birthday_reaching(birth, Self::on(birth, day).years().saturating_add(1))
    }
}

fn birthday(birth: LocalDay, years: u16) -> Option<LocalDay> {
    let year = birth.year() + i32::from(years);
    let (month, day) = (birth.month_of_year(), birth.day_of_month());
    LocalDay::from_ymd(year, month, day)
        // The only day of a calendar that other years lack is 29 February.
        .or_else(|_| LocalDay::from_ymd(year, 2, 28))
        .ok()
}

impl fmt::Display for Age {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}
