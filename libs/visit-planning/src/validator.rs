//! Checks a plan against the rules, knowing nothing of how it was made.
//!
//! It shares with the planner only what goes in and what comes out, and counts everything anew.

use std::collections::BTreeMap;

use civic::VisitMode;

use crate::{
    plan::{Assignment, PinConflict, Plan, Reason},
    week::{Duty, Visitor, Week},
    workday::{Workday, Workdays},
};

/// A rule that a plan breaks, and where: duties and visitors by their place in the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breach {
    /// The plan names a duty or a visitor that there is none of.
    Unknown,
    /// The duty is not in the plan exactly once.
    NotOnce(usize),
    /// The mode does not fit the elder.
    ModeOfElder(usize),
    /// The mode does not fit the visitor.
    ModeOfVisitor(usize),
    /// HOME without consent.
    Consent(usize),
    /// The day lies outside the duty's days.
    DutyDay(usize),
    /// The visitor is not active on the day.
    VisitorDay(usize),
    /// A visitor has more visits than a week's capacity.
    WeekOver(usize),
    /// A visitor has more visits on a day than a fifth of the capacity, rounded up.
    DayOver(usize, Workday),
    /// A day's places are not 1, 2, 3 and so on.
    Places(usize, Workday),
    /// The duty is given otherwise than its pin says.
    PinLost(usize),
    /// The reason given is not true.
    ReasonUntrue(usize),
    /// The assignments, or the duties left, are not in their order.
    OutOfOrder,
    /// The score is not that of the plan.
    Score,
    /// Another figure is not that of the plan.
    Figures,
}

/// Every breach of a rule in the plan; none for a plan that holds.
#[must_use]
pub fn breaches(week: &Week, plan: &Plan) -> Vec<Breach> {
    let assigned = plan.assignments.iter();
    let mut visitors = assigned.clone().map(|given| given.visitor.at());
    let duties = assigned.map(|given| given.duty.at());
    let left = plan.unassigned.iter().map(|left| left.duty.at());
    let known = visitors.all(|at| at < week.visitors.len())
        && duties.chain(left).all(|at| at < week.duties.len());
    if !known {
        return vec![Breach::Unknown];
    }
    let check = Check {
        week,
        plan,
        tally: Tally::of(plan),
    };
    let fits = plan.assignments.iter().flat_map(|given| check.fits(given));
    let mut found: Vec<Breach> = check.once().into_iter().chain(fits).collect();
    found.extend(check.capacity());
    found.extend(check.places());
    found.extend(check.pins());
    found.extend(check.reasons());
    found.extend(check.figures());
    found
}

struct Check<'a> {
    week: &'a Week,
    plan: &'a Plan,
    tally: Tally,
}

/// Visits of each visitor in the week and on each day.
#[derive(Default)]
struct Tally {
    week: BTreeMap<usize, u16>,
    day: BTreeMap<(usize, Workday), u16>,
}

impl Tally {
    fn of(plan: &Plan) -> Self {
        let mut tally = Self::default();
        for given in &plan.assignments {
            let visitor = given.visitor.at();
            *tally.week.entry(visitor).or_default() += 1;
            *tally.day.entry((visitor, given.day)).or_default() += 1;
        }
        tally
    }

    fn week(&self, visitor: usize) -> u16 {
        self.week.get(&visitor).copied().unwrap_or(0)
    }

    fn day(&self, visitor: usize, day: Workday) -> u16 {
        self.day.get(&(visitor, day)).copied().unwrap_or(0)
    }
}

/// A fifth of the capacity, rounded up.
fn fifth(capacity: u16) -> u16 {
    capacity / 5 + u16::from(!capacity.is_multiple_of(5))
}

/// Whether some mode is allowed for the elder, done by the visitor, and has the consent it needs.
fn some_mode_fits(duty: &Duty, visitor: &Visitor) -> bool {
    let consented = |mode: VisitMode| mode != VisitMode::Home || duty.home_consent;
    let mut modes = duty.modes.iter();
    modes.any(|mode| visitor.modes.contains(mode) && consented(mode))
}

impl Check<'_> {
    fn duty(&self, given: &Assignment) -> &Duty {
        &self.week.duties[given.duty.at()]
    }

    fn visitor(&self, given: &Assignment) -> &Visitor {
        &self.week.visitors[given.visitor.at()]
    }

    fn once(&self) -> Vec<Breach> {
        let mut times = vec![0; self.week.duties.len()];
        for given in &self.plan.assignments {
            times[given.duty.at()] += 1;
        }
        for left in &self.plan.unassigned {
            times[left.duty.at()] += 1;
        }
        let not_once = times.iter().enumerate().filter(|(_, times)| **times != 1);
        not_once.map(|(duty, _)| Breach::NotOnce(duty)).collect()
    }

    fn fits(&self, given: &Assignment) -> Vec<Breach> {
        let (duty, visitor) = (self.duty(given), self.visitor(given));
        let at = given.duty.at();
        let home = given.mode == VisitMode::Home;
        [
            (!duty.modes.contains(given.mode)).then_some(Breach::ModeOfElder(at)),
            (!visitor.modes.contains(given.mode)).then_some(Breach::ModeOfVisitor(at)),
            (home && !duty.home_consent).then_some(Breach::Consent(at)),
            (!duty.days.contains(given.day)).then_some(Breach::DutyDay(at)),
            (!visitor.days.contains(given.day)).then_some(Breach::VisitorDay(at)),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    fn capacity(&self) -> Vec<Breach> {
        let capacity = |visitor: usize| self.week.visitors[visitor].weekly_capacity;
        let weeks = self.tally.week.iter();
        let weeks = weeks.filter(|(visitor, visits)| **visits > capacity(**visitor));
        let days = self.tally.day.iter();
        let days = days.filter(|((visitor, _), visits)| **visits > fifth(capacity(*visitor)));
        weeks
            .map(|(visitor, _)| Breach::WeekOver(*visitor))
            .chain(days.map(|((visitor, day), _)| Breach::DayOver(*visitor, *day)))
            .collect()
    }

    fn places(&self) -> Vec<Breach> {
        let mut places: BTreeMap<(usize, Workday), Vec<u16>> = BTreeMap::new();
        for given in &self.plan.assignments {
            let of_day = places.entry((given.visitor.at(), given.day)).or_default();
            of_day.push(given.place);
        }
        let broken = places
            .into_iter()
            .filter(|(_, places)| !places.iter().copied().eq(1..=places.len() as u16));
        let mut found: Vec<Breach> = broken
            .map(|((visitor, day), _)| Breach::Places(visitor, day))
            .collect();
        let assigned = &self.plan.assignments;
        let sorted = assigned.is_sorted_by_key(|given| (given.visitor, given.day, given.place))
            && self.plan.unassigned.is_sorted_by_key(|left| left.duty);
        found.extend((!sorted).then_some(Breach::OutOfOrder));
        found
    }

    fn pins(&self) -> Vec<Breach> {
        let kept = |given: &Assignment| {
            self.duty(given).pin.is_none_or(|pin| {
                given.visitor == pin.visitor
                    && given.day == pin.day
                    && pin.mode.is_none_or(|mode| mode == given.mode)
            })
        };
        let lost = self.plan.assignments.iter().filter(|given| !kept(given));
        lost.map(|given| Breach::PinLost(given.duty.at())).collect()
    }

    fn reasons(&self) -> Vec<Breach> {
        let untrue = self.plan.unassigned.iter().filter(|left| {
            let duty = &self.week.duties[left.duty.at()];
            !self.is_true(duty, left.reason)
        });
        untrue
            .map(|left| Breach::ReasonUntrue(left.duty.at()))
            .collect()
    }

    fn is_true(&self, duty: &Duty, reason: Reason) -> bool {
        let visitors = self.week.visitors.iter().enumerate();
        let fitting: Vec<(usize, Workdays)> = visitors
            .filter(|(_, visitor)| some_mode_fits(duty, visitor))
            .map(|(at, visitor)| (at, duty.days.intersection(visitor.days)))
            .collect();
        let no_day = fitting.iter().all(|(_, days)| days.is_empty());
        let reason_of_pin = matches!(reason, Reason::PinImpossible(_));
        let only_home = duty.modes == VisitMode::Home.into() && !duty.home_consent;
        let true_in_itself = match reason {
            Reason::ConsentMissing { talk_by } => {
                let there = || self.week.visitors.iter().filter(|one| !one.days.is_empty());
                let of_village = || there().any(|one| one.village == duty.village);
                let knows =
                    |visitor| duty.pairings.contains(&visitor) || duty.usual == Some(visitor);
                let talks = match talk_by {
                    Some(visitor) => {
                        knows(visitor)
                            || self.week.visitors[visitor.at()].village == duty.village
                            || !of_village()
                    }
                    None => duty.pairings.is_empty() && there().next().is_none(),
                };
                only_home && talks
            }
            Reason::NoVisitorForMode => fitting.is_empty() && !only_home,
            Reason::NoVisitorOnDays => !fitting.is_empty() && no_day,
            Reason::CapacityExhausted => {
                !no_day && fitting.iter().all(|(at, days)| self.is_full(*at, *days))
            }
            Reason::PinImpossible(conflict) => self.is_conflict(duty, conflict),
        };
        true_in_itself && reason_of_pin == duty.pin.is_some()
    }

    /// Whether a visitor can take no more on these days.
    fn is_full(&self, visitor: usize, days: Workdays) -> bool {
        let capacity = self.week.visitors[visitor].weekly_capacity;
        let day_full = |day: Workday| self.tally.day(visitor, day) >= fifth(capacity);
        self.tally.week(visitor) >= capacity || days.iter().all(day_full)
    }

    fn is_conflict(&self, duty: &Duty, conflict: PinConflict) -> bool {
        let Some(pin) = duty.pin else { return false };
        let visitor = &self.week.visitors[pin.visitor.at()];
        let wanted = match pin.mode {
            Some(mode) => mode.into(),
            None => duty.modes,
        };
        let common = wanted.intersection(duty.modes).intersection(visitor.modes);
        match conflict {
            PinConflict::Mode => common.is_empty(),
            PinConflict::Consent => common == VisitMode::Home.into() && !duty.home_consent,
            PinConflict::DutyDay => !duty.days.contains(pin.day),
            PinConflict::VisitorDay => !visitor.days.contains(pin.day),
            PinConflict::Capacity => {
                // Only pins are set before it, so they alone must fill the day or the week.
                let assigned = self.plan.assignments.iter();
                let pinned = assigned.filter(|given| self.duty(given).pin.is_some());
                let of_visitor = pinned.filter(|given| given.visitor == pin.visitor);
                let days: Vec<Workday> = of_visitor.map(|given| given.day).collect();
                let on_day = days.iter().filter(|day| **day == pin.day).count();
                days.len() >= usize::from(visitor.weekly_capacity)
                    || on_day >= usize::from(fifth(visitor.weekly_capacity))
            }
        }
    }

    fn figures(&self) -> Vec<Breach> {
        let count = |holds: &dyn Fn(&Assignment) -> bool| {
            let assigned = self.plan.assignments.iter();
            assigned.filter(|given| holds(given)).count() as u32
        };
        let broken = count(&|given| {
            let pairings = &self.duty(given).pairings;
            !pairings.is_empty() && pairings.iter().all(|own| *own != given.visitor)
        });
        let other_village = count(&|given| self.visitor(given).village != self.duty(given).village);
        let changed = count(&|given| {
            let usual = self.duty(given).usual;
            usual.is_some_and(|own| own != given.visitor)
        });
        let score = &self.plan.score;
        let score_right = score.unassigned as usize == self.plan.unassigned.len()
            && score.pairings_broken == broken
            && score.other_village == other_village
            && score.travel_metres == self.metres();
        let loads = &self.plan.load.visitors;
        let loads_right = loads.len() == self.week.visitors.len()
            && loads
                .iter()
                .enumerate()
                .all(|(at, load)| load.visits() == self.tally.week(at));
        let figures_right = self.plan.visitors_changed == changed && loads_right;
        [
            (!score_right).then_some(Breach::Score),
            (!figures_right).then_some(Breach::Figures),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// The ways of all days, walked in the order of the places.
    fn metres(&self) -> u64 {
        let mut days: BTreeMap<(usize, Workday), BTreeMap<u16, &Assignment>> = BTreeMap::new();
        for given in &self.plan.assignments {
            let day = days.entry((given.visitor.at(), given.day)).or_default();
            day.insert(given.place, given);
        }
        let mut metres = 0.0;
        for ((visitor, _), day) in days {
            let home = self.week.visitors[visitor].position;
            let mut here = home;
            for given in day.values() {
                match given.mode {
                    VisitMode::Phone | VisitMode::Online => {}
                    VisitMode::Home | VisitMode::Encounter => {
                        let there = self.duty(given).position;
                        metres += here.metres_to(&there).round();
                        here = there;
                    }
                }
            }
            metres += here.metres_to(&home).round();
        }
        metres as u64
    }
}
