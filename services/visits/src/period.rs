//! The periods in which visits are owed, and which of them are a division's.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use civic::{CalendarMonth, IsoWeek, LocalDay, PeriodError};
use tier_policy::policy::Interval;
use uuid::Uuid;

/// A week, a month, or the days of a campaign, in local time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Period {
    /// An ISO week.
    Week(IsoWeek),
    /// A calendar month.
    Month(CalendarMonth),
    /// The days of a campaign.
    Campaign(CampaignDays),
}

/// The days of a campaign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CampaignDays {
    /// The campaign.
    pub campaign: Uuid,
    /// The first day.
    pub first: LocalDay,
    /// The last day, included; before the first where the campaign was called off.
    pub last: LocalDay,
}

impl CampaignDays {
    /// Whether a day lies in it.
    #[must_use]
    pub fn contains(&self, day: LocalDay) -> bool {
        (self.first..=self.last).contains(&day)
    }
}

impl Period {
    /// The period of an interval that holds a day.
    #[must_use]
    pub fn of(interval: Interval, day: LocalDay) -> Self {
        match interval {
            Interval::Weekly => Self::Week(IsoWeek::of(day)),
            Interval::Monthly => Self::Month(CalendarMonth::of(day)),
        }
    }

    /// The first period of an interval that lies wholly on or after a day.
    #[must_use]
    pub fn first_on_or_after(interval: Interval, day: LocalDay) -> Self {
        let period = Self::of(interval, day);
        if period.first_day() < day {
            match period {
                Self::Week(week) => Self::Week(week.next()),
                Self::Month(month) => Self::Month(month.next()),
                Self::Campaign(days) => Self::Campaign(days),
            }
        } else {
            period
        }
    }

    /// How often a visit is owed that is owed in such a period; none of a campaign, where it is owed once.
    #[must_use]
    pub fn interval(self) -> Option<Interval> {
        match self {
            Self::Week(_) => Some(Interval::Weekly),
            Self::Month(_) => Some(Interval::Monthly),
            Self::Campaign(_) => None,
        }
    }

    /// The first day.
    #[must_use]
    pub fn first_day(self) -> LocalDay {
        match self {
            Self::Week(week) => week.first_day(),
            Self::Month(month) => month.first_day(),
            Self::Campaign(days) => days.first,
        }
    }

    /// The last day.
    #[must_use]
    pub fn last_day(self) -> LocalDay {
        match self {
            Self::Week(week) => week.last_day(),
            Self::Month(month) => month.last_day(),
            Self::Campaign(days) => days.last,
        }
    }

    /// The instant at which it closes: the end of its last day.
    #[must_use]
    pub fn end(self) -> DateTime<Utc> {
        self.last_day().end()
    }

    /// Whether a day lies in it.
    #[must_use]
    pub fn contains(self, day: LocalDay) -> bool {
        (self.first_day()..=self.last_day()).contains(&day)
    }
}

/// `2024-W40`, `2024-10`, or the campaign's id.
impl fmt::Display for Period {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Week(week) => week.fmt(formatter),
            Self::Month(month) => month.fmt(formatter),
            Self::Campaign(days) => days.campaign.fmt(formatter),
        }
    }
}

/// Of a week or a month.
impl FromStr for Period {
    type Err = PeriodError;

    fn from_str(text: &str) -> Result<Self, PeriodError> {
        if text.contains('W') {
            text.parse().map(Self::Week)
        } else {
            text.parse().map(Self::Month)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(interval: Interval, day: &str) -> String {
        Period::first_on_or_after(interval, day.parse().unwrap()).to_string()
    }

    #[test]
    fn duties_begin_with_the_first_full_period() {
        assert_eq!(first(Interval::Weekly, "2024-09-30"), "2024-W40");
        assert_eq!(first(Interval::Weekly, "2024-10-01"), "2024-W41");
        assert_eq!(first(Interval::Monthly, "2024-09-30"), "2024-10");
        assert_eq!(first(Interval::Monthly, "2024-10-01"), "2024-10");
        assert_eq!(first(Interval::Monthly, "2024-10-02"), "2024-11");
    }

    #[test]
    fn weeks_go_on_over_the_end_of_a_year_of_53_weeks() {
        let last: Period = "2020-W53".parse().unwrap();
        assert_eq!(last.last_day().to_string(), "2021-01-03");
        let next = Period::first_on_or_after(Interval::Weekly, last.last_day().plus_days(1));
        assert_eq!(next.to_string(), "2021-W01");
        assert_eq!(next.first_day().to_string(), "2021-01-04");
    }

    #[test]
    fn a_period_closes_at_local_midnight() {
        let month: Period = "2024-10".parse().unwrap();
        let end: DateTime<Utc> = "2024-11-01T00:00:00+08:00".parse().unwrap();
        assert_eq!(month.end(), end);
        assert!(month.contains("2024-10-31".parse().unwrap()));
        assert!(!month.contains("2024-11-01".parse().unwrap()));
    }

    #[test]
    fn what_is_no_period_is_not_read() {
        for text in ["", "2024", "2024-13", "2024-W54", "2024-W", "W40"] {
            assert!(text.parse::<Period>().is_err(), "{text}");
        }
    }
}
