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
        Self(if reached {
            calendar_years
        } else {
            calendar_years.saturating_sub(1)
        })
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn day(text: &str) -> LocalDay {
        text.parse().unwrap()
    }

    fn age(birth: &str, on: &str) -> u16 {
        Age::on(day(birth), day(on)).years()
    }

    #[test]
    fn an_age_is_reached_on_the_birthday_itself() {
        assert_eq!(age("1944-11-05", "2024-11-04"), 79);
        assert_eq!(age("1944-11-05", "2024-11-05"), 80);
        assert_eq!(
            Age::birthday_reaching(day("1944-11-05"), 80),
            day("2024-11-05")
        );
    }

    #[test]
    fn who_was_born_on_29_february_is_older_on_28_february_of_a_common_year() {
        assert_eq!(age("1944-02-29", "2023-02-27"), 78);
        assert_eq!(age("1944-02-29", "2023-02-28"), 79);
        assert_eq!(age("1944-02-29", "2024-02-28"), 79);
        assert_eq!(age("1944-02-29", "2024-02-29"), 80);
        assert_eq!(
            Age::birthday_reaching(day("1944-02-29"), 79),
            day("2023-02-28")
        );
        assert_eq!(
            Age::birthday_reaching(day("1944-02-29"), 80),
            day("2024-02-29")
        );
    }

    #[test]
    fn the_next_birthday_is_after_the_day() {
        let birth = day("1944-11-05");
        assert_eq!(
            Age::next_birthday_after(birth, day("2024-11-04")),
            day("2024-11-05")
        );
        assert_eq!(
            Age::next_birthday_after(birth, day("2024-11-05")),
            day("2025-11-05")
        );
        assert_eq!(Age::next_birthday_after(birth, birth), day("1945-11-05"));
    }

    #[test]
    fn nobody_is_older_than_nought_before_their_birth() {
        assert_eq!(age("2024-11-05", "2024-11-04"), 0);
        assert_eq!(age("2024-11-05", "1999-01-01"), 0);
    }

    #[test]
    fn birthdays_beyond_the_calendar_are_its_last_day() {
        assert_eq!(
            Age::birthday_reaching(day("1944-11-05"), u16::MAX),
            LocalDay::MAX
        );
    }

    fn a_day() -> impl Strategy<Value = LocalDay> {
        (-40_000..40_000).prop_map(|days| LocalDay::from_epoch_days(days).unwrap())
    }

    fn a_leap_day() -> impl Strategy<Value = LocalDay> {
        (475..500).prop_map(|quarter| {
            LocalDay::from_ymd(quarter * 4, 2, 29)
                .or(LocalDay::from_ymd(1904, 2, 29))
                .unwrap()
        })
    }

    proptest! {
        #[test]
        fn an_age_begins_on_its_birthday_and_not_a_day_before(
            birth in prop_oneof![a_day(), a_leap_day()],
            years in 1_u16..130,
        ) {
            let birthday = Age::birthday_reaching(birth, years);
            prop_assert_eq!(Age::on(birth, birthday).years(), years);
            prop_assert_eq!(Age::on(birth, birthday.prev()).years(), years - 1);
        }

        #[test]
        fn the_age_stays_until_the_next_birthday(
            birth in prop_oneof![a_day(), a_leap_day()],
            days in 0_i64..47_000,
        ) {
            let today = birth.plus_days(days);
            let next = Age::next_birthday_after(birth, today);
            prop_assert!(next > today);
            prop_assert_eq!(Age::on(birth, next.prev()), Age::on(birth, today));
            prop_assert_eq!(Age::on(birth, next).years(), Age::on(birth, today).years() + 1);
        }
    }
}
