//! What visitors can take: so many visits a week, and so many on each day, for the solver and for laying visits on days.

use std::collections::BTreeMap;

use crate::{
    prepared::Room,
    solver::{Model, Sum, Var},
    workday::{WORKDAYS, Workdays},
};

/// Collects which variables put a visit on which visitor, and on which days it may fall.
#[derive(Debug, Default)]
pub(crate) struct Supply {
    visits: BTreeMap<usize, BTreeMap<Workdays, Sum>>,
}

impl Supply {
    /// Each unit of this variable is a visit by the visitor on one of these days.
    pub(crate) fn take(&mut self, visitor: usize, days: Workdays, var: Var) {
        let of_visitor = self.visits.entry(visitor).or_default();
        of_visitor.entry(days).or_default().push((var, 1.0));
    }

    /// Limits the visits to the room that each visitor has.
    pub(crate) fn limit(self, model: &mut Model, room: &[Room]) {
        for (visitor, by_days) in self.visits {
            let room = room[visitor];
            if by_days.len() == 1 {
                // All may fall on the same days: what fits in sum fits day by day.
                for (days, visits) in by_days {
                    model.at_most(visits, room.on(days));
                }
                continue;
            }
            let mut on_day: BTreeMap<usize, Sum> = BTreeMap::new();
            let mut all = Sum::new();
            for (days, visits) in by_days {
                all.extend(&visits);
                // What comes in for these days is laid on one of them each.
                let mut balance = visits;
                for day in days {
                    let most = room.day[day.at()];
                    if most > 0 {
                        let laid = model.var(most);
                        balance.push((laid, -1.0));
                        on_day.entry(day.at()).or_default().push((laid, 1.0));
                    }
                }
                model.exactly(balance, 0);
            }
            for (day, laid) in on_day {
                model.at_most(laid, room.day[day]);
            }
            model.at_most(all, room.week);
        }
    }
}

/// Lays a visitor's visits on days: each on one of its own, none beyond the day's room, the emptiest
/// day first. `first` turns the week, so that different visitors begin on different days. `None` when
/// the visits can't be laid.
pub(crate) fn lay_on_days(visits: &[Workdays], room: &Room, first: usize) -> Option<Vec<usize>> {
    let mut laying = Laying {
        visits,
        room,
        first: first % WORKDAYS,
        on: vec![None; visits.len()],
        held: vec![Vec::new(); WORKDAYS],
    };
    let all = (0..visits.len()).all(|visit| laying.place(visit, &mut [false; WORKDAYS]));
    if all {
        laying.on.into_iter().collect()
    } else {
        None
    }
}

struct Laying<'a> {
    visits: &'a [Workdays],
    room: &'a Room,
    first: usize,
    on: Vec<Option<usize>>,
    held: Vec<Vec<usize>>,
}

impl Laying<'_> {
    /// Finds a day for the visit, moving others where that helps (augmenting paths).
    fn place(&mut self, visit: usize, seen: &mut [bool; WORKDAYS]) -> bool {
        let mut days: Vec<usize> = self.visits[visit].iter().map(|day| day.at()).collect();
        days.sort_by_key(|day| {
            let turned = (day + WORKDAYS - self.first) % WORKDAYS;
            (self.held[*day].len(), turned)
        });
        for day in days {
            if std::mem::replace(&mut seen[day], true) {
                continue;
            }
            if self.held[day].len() < self.room.day[day] {
                self.held[day].push(visit);
                self.on[visit] = Some(day);
                return true;
            }
            for slot in 0..self.held[day].len() {
                if self.place(self.held[day][slot], seen) {
                    self.held[day][slot] = visit;
                    self.on[visit] = Some(day);
                    return true;
                }
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workday::Workday;

    #[test]
    fn a_visit_bound_to_monday_moves_one_that_is_not() {
        let any = [Workday::Monday, Workday::Tuesday].into();
        let room = Room {
            week: 5,
            day: [1, 1, 0, 0, 0],
        };
        let laid = lay_on_days(&[any, Workday::Monday.into()], &room, 0);
        assert_eq!(laid, Some(vec![1, 0]));
    }

    #[test]
    fn what_does_not_fit_is_said_so() {
        let room = Room {
            week: 5,
            day: [1, 0, 0, 0, 0],
        };
        let monday = Workday::Monday.into();
        assert_eq!(lay_on_days(&[monday, monday], &room, 0), None);
    }
}
