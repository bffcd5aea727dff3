//! The yardstick: each duty in turn to the nearest visitor who still has time. What the planner makes has to be better.

use civic::Term;

use crate::{
    plan::{Plan, Reason, Unassigned},
    planner::in_routes,
    prepared::{Prepared, Taken},
    week::{DutyIndex, Week, WeekFault},
    workday::Workday,
};

/// Plans a week as one would by hand with a map: duty after duty, the nearest visitor who fits and has
/// time, on the first day that has room. Pins are kept, and each day is walked in the shortest order.
///
/// # Errors
///
/// When the week names unknown visitors.
pub fn nearest_visitor(week: &Week) -> Result<Plan, WeekFault> {
    week.check()?;
    let mut prepared = Prepared::new(week);
    let mut taken = prepared.pinned.clone();
    let mut unassigned = prepared.unassigned.clone();
    for at in std::mem::take(&mut prepared.free) {
        match take_nearest(&mut prepared, at) {
            Some(visit) => taken.push(visit),
            None => unassigned.push(Unassigned {
                duty: DutyIndex(at as u32),
                reason: Reason::CapacityExhausted,
            }),
        }
    }
    Ok(Plan::new(week, in_routes(week, taken), unassigned))
}

fn take_nearest(prepared: &mut Prepared<'_>, at: usize) -> Option<Taken> {
    let duty = prepared.duty(at);
    let visitor = (0..prepared.week.visitors.len())
        .filter(|visitor| prepared.can(duty, *visitor))
        .min_by_key(|visitor| (prepared.metres(duty, *visitor), *visitor))?;
    let room = &mut prepared.room[visitor];
    let open = |day: &Workday| duty.days.contains(*day) && room.day[day.at()] > 0;
    let day = Workday::ALL.iter().copied().find(open)?;
    room.week -= 1;
    room.day[day.at()] -= 1;
    Some(Taken {
        duty: at,
        visitor,
        day,
        mode: duty.mode_with(&prepared.week.visitors[visitor])?,
    })
}
