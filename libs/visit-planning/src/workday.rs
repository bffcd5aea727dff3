//! The days on which visits are planned: Monday to Friday.

use civic::{IsoWeek, LocalDay, Set, Term};

/// A day from Monday to Friday, on which visits are planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Workday {
    /// 周一.
    Monday,
    /// 周二.
    Tuesday,
    /// 周三.
    Wednesday,
    /// 周四.
    Thursday,
    /// 周五.
    Friday,
}

/// Some of the days from Monday to Friday.
pub type Workdays = Set<Workday>;

/// How many days of a week are planned for.
pub(crate) const WORKDAYS: usize = 5;

impl Workday {
    /// The place in the week, 0 for Monday to 4 for Friday.
    #[must_use]
    pub fn at(self) -> usize {
        self as usize
    }

    /// The date of this day in a week.
    #[must_use]
    pub fn in_week(self, week: IsoWeek) -> LocalDay {
        week.first_day().plus_days(self as i64)
    }

    /// The workday that falls on a date; none at the weekend.
    #[must_use]
    pub fn on(day: LocalDay) -> Option<Self> {
        let since_monday = IsoWeek::of(day).first_day().days_until(day);
        Self::ALL
            .iter()
            .copied()
            .find(|workday| *workday as i64 == since_monday)
    }

    /// The workdays of a week from one date to another, both included. For a
    /// duty of a month these are the days of the week that lie in the month.
    #[must_use]
    pub fn between(week: IsoWeek, first: LocalDay, last: LocalDay) -> Workdays {
        Self::ALL
            .iter()
            .copied()
            .filter(|workday| (first..=last).contains(&workday.in_week(week)))
            .collect()
    }
}

impl Term for Workday {
    const ALL: &'static [Self] = &[
        Self::Monday,
        Self::Tuesday,
        Self::Wednesday,
        Self::Thursday,
        Self::Friday,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Monday => "MONDAY",
            Self::Tuesday => "TUESDAY",
            Self::Wednesday => "WEDNESDAY",
            Self::Thursday => "THURSDAY",
            Self::Friday => "FRIDAY",
        }
    }

    fn chinese(self) -> &'static str {
        match self {
            Self::Monday => "周一",
            Self::Tuesday => "周二",
            Self::Wednesday => "周三",
            Self::Thursday => "周四",
            Self::Friday => "周五",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|day| day.name() == name)
    }

    fn index(self) -> u32 {
        self as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> LocalDay {
        text.parse().unwrap()
    }

    #[test]
    fn a_month_that_begins_on_a_tuesday_leaves_monday_to_the_month_before() {
        let week: IsoWeek = "2024-W40".parse().unwrap();
        let october = Workday::between(week, day("2024-10-01"), day("2024-10-31"));
        assert_eq!(october.len(), 4);
        assert!(!october.contains(Workday::Monday));
        let september = Workday::between(week, day("2024-09-01"), day("2024-09-30"));
        assert_eq!(september, Workday::Monday.into());
    }

    #[test]
    fn a_date_falls_on_its_workday_and_on_none_at_the_weekend() {
        assert_eq!(Workday::on(day("2024-10-04")), Some(Workday::Friday));
        assert_eq!(Workday::on(day("2024-10-05")), None);
        assert_eq!(Workday::on(day("2024-10-06")), None);
    }
}
