//! Spreads the visits of a month over its weeks, and catches up what was missed.
//!
//! Each week takes its share of what is still unmet: as large a part as its workdays are of the
//! workdays that the month has left. So the weeks come out even, a duty that was planned and not met
//! is spread over the weeks that remain, and the last week takes all that is left. Within a share
//! every visitor's elders count by themselves, so that nobody has a month's work in one week; and
//! among a visitor's elders those go first whose last visit is longest ago, so that from one month to
//! the next about a month passes between two visits.

use civic::{CalendarMonth, ElderId, IsoWeek, LocalDay, VillageCode};

use crate::{
    week::VisitorIndex,
    workday::{Workday, Workdays},
};

/// A duty of the month that is not met yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MonthlyDuty {
    /// Towards whom.
    pub elder: ElderId,
    /// The elder's village.
    pub village: VillageCode,
    /// Who is likely to go: the paired visitor, or the one of the last plan.
    pub visitor: Option<VisitorIndex>,
    /// The day of the last visit that counted.
    pub last_visited: Option<LocalDay>,
    /// Whether it stands in this week's plan already: when a week is planned again, it stays in.
    pub planned: bool,
}

/// What falls to a week.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WeeklyShare {
    /// The places of the duties that fall due, ascending.
    pub duties: Vec<usize>,
    /// The days of the week on which they can be met: those in the month, from `from` on.
    pub days: Workdays,
}

/// The duties of a month that fall due in a week, out of all that are unmet when `from` dawns.
///
/// Depends on nothing but what it is given, in whatever order.
#[must_use]
pub fn due_in_week(
    week: IsoWeek,
    month: CalendarMonth,
    from: LocalDay,
    unmet: &[MonthlyDuty],
) -> WeeklyShare {
    let first = from.max(week.first_day()).max(month.first_day());
    let days = Workday::between(week, first, month.last_day());
    let mut duties = Vec::new();
    if days.is_empty() {
        return WeeklyShare { duties, days };
    }
    let left = workdays_between(first, month.last_day());
    let mut order: Vec<usize> = (0..unmet.len()).collect();
    order.sort_by_key(|at| {
        let duty = &unmet[*at];
        (group(duty), !duty.planned, duty.last_visited, duty.elder)
    });
    // Shares are rounded along the whole list, so that the week's sum is even too.
    let share = |duties: usize| (duties * days.len()).div_ceil(left);
    let mut before = 0;
    for members in order.chunk_by(|a, b| group(&unmet[*a]) == group(&unmet[*b])) {
        let due = share(before + members.len()) - share(before);
        let planned = members.iter().filter(|at| unmet[**at].planned).count();
        duties.extend(&members[..due.max(planned)]);
        before += members.len();
    }
    duties.sort_unstable();
    WeeklyShare { duties, days }
}

/// Elders who are spread against each other: those of one visitor, else those of one village.
fn group(duty: &MonthlyDuty) -> (Option<VisitorIndex>, Option<VillageCode>) {
    match duty.visitor {
        Some(visitor) => (Some(visitor), None),
        None => (None, Some(duty.village)),
    }
}

fn workdays_between(first: LocalDay, last: LocalDay) -> usize {
    let mut count = 0;
    let mut day = first;
    while day <= last {
        count += usize::from(Workday::on(day).is_some());
        day = day.next();
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn duty(number: u32, visitor: u32) -> MonthlyDuty {
        MonthlyDuty {
            elder: ElderId(uuid::Uuid::from_u128(number.into())),
            village: "350524100001".parse().unwrap(),
            visitor: Some(VisitorIndex(visitor)),
            last_visited: None,
            planned: false,
        }
    }

    /// So many elders of 20 visitors.
    fn duties(count: u32) -> Vec<MonthlyDuty> {
        (0..count).map(|number| duty(number, number % 20)).collect()
    }

    fn day(text: &str) -> LocalDay {
        text.parse().unwrap()
    }

    fn october() -> CalendarMonth {
        "2024-10".parse().unwrap()
    }

    /// Plays a month, in which the visits of one week are all missed.
    fn play(mut unmet: Vec<MonthlyDuty>, missed_week: Option<usize>) -> Vec<usize> {
        let mut week = IsoWeek::of(october().first_day());
        let mut counts = Vec::new();
        while week.first_day() <= october().last_day() {
            let share = due_in_week(week, october(), week.first_day(), &unmet);
            if missed_week != Some(counts.len()) {
                let due: Vec<_> = share.duties.iter().map(|at| unmet[*at].elder).collect();
                unmet.retain(|duty| !due.contains(&duty.elder));
            }
            counts.push(share.duties.len());
            week = week.next();
        }
        assert_eq!(unmet, []);
        counts
    }

    #[test]
    fn each_week_has_a_share_as_large_as_its_days_in_the_month() {
        // October 2024 has 23 workdays: 4, 5, 5, 5 and 4.
        assert_eq!(play(duties(230), None), [40, 50, 50, 50, 40]);
    }

    #[test]
    fn what_one_week_misses_the_others_catch_up_evenly() {
        assert_eq!(play(duties(230), Some(0)), [40, 61, 61, 60, 48]);
    }

    #[test]
    fn a_visitors_elders_are_spread_over_the_weeks() {
        let duties: Vec<_> = (0..200).map(|number| duty(number, number / 10)).collect();
        let week: IsoWeek = "2024-W42".parse().unwrap();
        let share = due_in_week(week, october(), week.first_day(), &duties);
        // 5 of the 14 workdays that are left: 3 or 4 of each visitor's 10.
        for visitor in 0..20 {
            let of_visitor = share.duties.iter().filter(|at| **at / 10 == visitor);
            assert!((3..=4).contains(&of_visitor.count()));
        }
    }

    #[test]
    fn who_waited_longest_goes_first_and_who_was_never_visited_before_all() {
        let week: IsoWeek = "2024-W43".parse().unwrap();
        let mut duties: Vec<_> = (0..3).map(|number| duty(number, 0)).collect();
        duties[0].last_visited = Some(day("2024-09-20"));
        duties[1].last_visited = Some(day("2024-09-03"));
        let share = due_in_week(week, october(), week.first_day(), &duties);
        assert_eq!(share.duties, [1, 2]);
    }

    #[test]
    fn a_week_between_two_months_takes_each_months_duties_on_its_own_days() {
        let week: IsoWeek = "2024-W40".parse().unwrap();
        let duties = [duty(0, 0), duty(1, 1)];
        let september = due_in_week(week, "2024-09".parse().unwrap(), week.first_day(), &duties);
        assert_eq!(september.duties, [0, 1]);
        assert_eq!(september.days, Workday::Monday.into());
        let october = due_in_week(week, october(), week.first_day(), &duties);
        assert_eq!(october.duties.len(), 1);
        assert!(!october.days.contains(Workday::Monday));
    }

    #[test]
    fn a_week_planned_again_keeps_what_it_had() {
        let week: IsoWeek = "2024-W41".parse().unwrap();
        let mut duties = duties(100);
        let before = due_in_week(week, october(), week.first_day(), &duties);
        for at in &before.duties {
            duties[*at].planned = true;
            // Even if somebody else had become more urgent meanwhile.
            duties[*at].last_visited = Some(day("2024-10-06"));
        }
        let after = due_in_week(week, october(), day("2024-10-09"), &duties);
        assert!(before.duties.iter().all(|at| after.duties.contains(at)));
        assert_eq!(after.days.len(), 3);
    }

    #[test]
    fn nothing_falls_due_when_the_months_workdays_are_over() {
        let november: CalendarMonth = "2024-11".parse().unwrap();
        let week = IsoWeek::of(november.last_day());
        let share = due_in_week(week, november, november.last_day(), &[duty(0, 0)]);
        assert_eq!(share.duties, Vec::<usize>::new());
    }
}
