//! A week made ready: pins are set, duties that nobody can meet are named with the reason, and the room that is left is counted.

use civic::VisitMode;

use crate::{
    plan::{PinConflict, Reason, Unassigned},
    week::{Duty, DutyIndex, Pin, VisitorIndex, Week, needs_travel},
    workday::{WORKDAYS, Workday, Workdays},
};

/// The visits that a visitor can still take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Room {
    pub(crate) week: usize,
    pub(crate) day: [usize; WORKDAYS],
}

impl Room {
    /// The most visits that fit on these days.
    pub(crate) fn on(&self, days: Workdays) -> usize {
        let sum: usize = days.iter().map(|day| self.day[day.at()]).sum();
        sum.min(self.week)
    }
}

/// A duty with its visitor, day and mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) duty: usize,
    pub(crate) visitor: usize,
    pub(crate) day: Workday,
    pub(crate) mode: VisitMode,
}

/// A week with its pins set.
#[derive(Debug)]
pub(crate) struct Prepared<'w> {
    pub(crate) week: &'w Week,
    /// The duties that are still to be given to somebody, by their place in the week.
    pub(crate) free: Vec<usize>,
    /// The pins that are kept.
    pub(crate) pinned: Vec<Taken>,
    pub(crate) unassigned: Vec<Unassigned>,
    /// For each visitor, what the pins leave.
    pub(crate) room: Vec<Room>,
}

/// What is less good about a visitor for a duty, in the order of the domain.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Shortfall {
    pub(crate) breaks_pairing: bool,
    pub(crate) other_village: bool,
    pub(crate) changes_visitor: bool,
}

impl<'w> Prepared<'w> {
    pub(crate) fn new(week: &'w Week) -> Self {
        let room = week.visitors.iter().map(|visitor| {
            let mut day = [0; WORKDAYS];
            for active in visitor.days {
                day[active.at()] = usize::from(visitor.daily_capacity());
            }
            Room {
                week: usize::from(visitor.weekly_capacity),
                day,
            }
        });
        let mut prepared = Self {
            week,
            free: Vec::new(),
            pinned: Vec::new(),
            unassigned: Vec::new(),
            room: room.collect(),
        };
        // All pins first: what a person decided goes before what the planner would like.
        for (at, duty) in week.duties.iter().enumerate() {
            if let Some(pin) = duty.pin {
                match prepared.pin(at, duty, pin) {
                    Ok(pinned) => prepared.set(pinned),
                    Err(conflict) => prepared.leave(at, Reason::PinImpossible(conflict)),
                }
            }
        }
        for (at, duty) in week.duties.iter().enumerate() {
            if duty.pin.is_none() {
                match prepared.hopeless(duty) {
                    Some(reason) => prepared.leave(at, reason),
                    None => prepared.free.push(at),
                }
            }
        }
        prepared
    }

    fn leave(&mut self, duty: usize, reason: Reason) {
        self.unassigned.push(Unassigned {
            duty: DutyIndex(duty as u32),
            reason,
        });
    }

    fn set(&mut self, pinned: Taken) {
        let room = &mut self.room[pinned.visitor];
        room.week -= 1;
        room.day[pinned.day.at()] -= 1;
        self.pinned.push(pinned);
    }

    fn pin(&self, at: usize, duty: &Duty, pin: Pin) -> Result<Taken, PinConflict> {
        let visitor = &self.week.visitors[pin.visitor.at()];
        let wanted = pin.mode.map_or(duty.modes, Into::into);
        let common = wanted.intersection(duty.modes).intersection(visitor.modes);
        if common.is_empty() {
            return Err(PinConflict::Mode);
        }
        if common.intersection(duty.open_modes()).is_empty() {
            return Err(PinConflict::Consent);
        }
        if !duty.days.contains(pin.day) {
            return Err(PinConflict::DutyDay);
        }
        if !visitor.days.contains(pin.day) {
            return Err(PinConflict::VisitorDay);
        }
        if self.room[pin.visitor.at()].on(pin.day.into()) == 0 {
            return Err(PinConflict::Capacity);
        }
        let mode = pin.mode.or_else(|| duty.mode_with(visitor));
        Ok(Taken {
            duty: at,
            visitor: pin.visitor.at(),
            day: pin.day,
            mode: mode.ok_or(PinConflict::Mode)?,
        })
    }

    /// Why nobody could meet this duty even if it were the only one.
    fn hopeless(&self, duty: &Duty) -> Option<Reason> {
        if duty.open_modes().is_empty() && !duty.modes.is_empty() {
            let talk_by = self.knows_best(duty);
            return Some(Reason::ConsentMissing { talk_by });
        }
        let visitors = self.week.visitors.iter();
        let mut fitting = visitors
            .filter(|visitor| duty.mode_with(visitor).is_some())
            .peekable();
        if fitting.peek().is_none() {
            return Some(Reason::NoVisitorForMode);
        }
        fitting
            .all(|visitor| visitor.days.intersection(duty.days).is_empty())
            .then_some(Reason::NoVisitorOnDays)
    }

    /// Who should talk with the elder about consent: a paired visitor, else the usual one, else the nearest of the village,
    /// else the nearest of all.
    fn knows_best(&self, duty: &Duty) -> Option<VisitorIndex> {
        let nearest = || {
            (0..self.week.visitors.len())
                .filter(|at| !self.week.visitors[*at].days.is_empty())
                .min_by_key(|at| {
                    let elsewhere = self.week.visitors[*at].village != duty.village;
                    (elsewhere, self.metres(duty, *at), *at)
                })
                .map(|at| VisitorIndex(at as u32))
        };
        let paired = duty.pairings.iter().min().copied();
        paired.or(duty.usual).or_else(nearest)
    }

    pub(crate) fn duty(&self, at: usize) -> &'w Duty {
        &self.week.duties[at]
    }

    /// The visitors that the elder knows, paired ones and the one of the last plan, who can take the duty.
    pub(crate) fn known_to(&self, duty: &Duty) -> Vec<usize> {
        let known = duty.pairings.iter().chain(duty.usual.as_ref());
        let mut known: Vec<usize> = known
            .map(|visitor| visitor.at())
            .filter(|visitor| self.can(duty, *visitor))
            .collect();
        known.sort_unstable();
        known.dedup();
        known
    }

    /// Whether the visitor fits the duty and has room left on one of its days.
    pub(crate) fn can(&self, duty: &Duty, visitor: usize) -> bool {
        duty.mode_with(&self.week.visitors[visitor]).is_some()
            && self.room[visitor].on(duty.days) > 0
    }

    /// Whether this visitor has to go to the elder for this duty.
    pub(crate) fn travels(&self, duty: &Duty, visitor: usize) -> bool {
        duty.mode_with(&self.week.visitors[visitor])
            .is_some_and(needs_travel)
    }

    pub(crate) fn shortfall(&self, duty: &Duty, visitor: usize) -> Shortfall {
        let index = VisitorIndex(visitor as u32);
        Shortfall {
            breaks_pairing: !duty.pairings.is_empty() && !duty.pairings.contains(&index),
            other_village: duty.village != self.week.visitors[visitor].village,
            changes_visitor: duty.usual.is_some_and(|usual| usual != index),
        }
    }

    /// The way from the visitor's place to the elder's, in metres.
    pub(crate) fn metres(&self, duty: &Duty, visitor: usize) -> u64 {
        let from = self.week.visitors[visitor].position;
        from.metres_to(&duty.position).round() as u64
    }
}
