//! The plan of a county's week (周计划): who visits whom on which day and in which order, what is left out, and why.
//!
//! Divisions of a county are planned together or one by one. They share one plan, since they share visitors: whatever is
//! decided about one of them, nobody has more visits than the capacity allows (rule: section 3, "Planning").
//!
//! The plan holds ids and days and nothing personal. Where elders live decides the order of a day, and is asked for anew
//! whenever a week is planned.

use std::collections::BTreeMap;

use civic::{
    DivisionCode, ElderId, IsoWeek, LocalDay, Set, SkipReason, UnplannedReason, VillageCode,
    VisitMode,
};
use decider::Decider;
use uuid::Uuid;
use visit_planning::{Workday, Workdays, daily_capacity, preferred};

/// A county's plan as the events leave it; empty before the first planning.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WeekPlan {
    entries: BTreeMap<ElderId, Entry>,
    planned: bool,
}

/// Which plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlanId {
    /// The county.
    pub county: DivisionCode,
    /// The week.
    pub week: IsoWeek,
}

impl PlanId {
    /// As the last token of a subject: `350524-2024-W40`.
    #[must_use]
    pub fn token(&self) -> String {
        format!("{}-{}", self.county, self.week)
    }
}

/// What a plan says of an elder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where the elder lives.
    pub village: VillageCode,
    /// What is planned.
    pub slot: Slot,
}

/// What is planned for an elder, or why nothing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// A visit.
    Visit(PlannedVisit),
    /// A talk about consent. It is no visit, and takes no capacity.
    Talk {
        /// By whom.
        visitor: Uuid,
        /// On which day.
        day: LocalDay,
    },
    /// Nobody goes, though a visit is owed.
    Unplanned(UnplannedReason),
    /// A person left it out.
    Skipped(SkipReason),
}

/// A visit that is planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlannedVisit {
    /// By whom.
    pub visitor: Uuid,
    /// On which day, Monday to Friday.
    pub day: LocalDay,
    /// The place in the visitor's day, from 1.
    pub place: u16,
    /// How.
    pub mode: VisitMode,
    /// A person decided it.
    pub pinned: bool,
}

/// What is needed to judge whether a visitor can visit an elder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fit {
    /// The modes allowed for the elder.
    pub modes: Set<VisitMode>,
    /// Whether consent to home visits is granted.
    pub home_consent: bool,
    /// The days on which the visit is owed and can still take place.
    pub days: Workdays,
    /// The modes of the visitor.
    pub visitor_modes: Set<VisitMode>,
    /// The days on which the visitor is active.
    pub visitor_days: Workdays,
    /// The visitor's weekly capacity.
    pub capacity: u16,
}

/// A plan that was made for a division.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// Of which county and week.
    pub plan: PlanId,
    /// For which division of the county.
    pub division: DivisionCode,
    /// The seed of the search.
    pub seed: u64,
    /// What it says, and what it changes for elders of other divisions.
    pub entries: BTreeMap<ElderId, Entry>,
}

/// What is asked of a plan.
#[derive(Clone, Debug)]
pub enum Command {
    /// Take this plan.
    Plan {
        /// The plan.
        planned: Box<Planned>,
        /// The weekly capacities of the visitors.
        capacities: BTreeMap<Uuid, u16>,
    },
    /// Change what it says of an elder.
    Adjust {
        /// The plan.
        plan: PlanId,
        /// The elder.
        elder: ElderId,
        /// What.
        adjustment: Adjustment,
    },
}

/// A change that a person asks for.
#[derive(Clone, Copy, Debug)]
pub enum Adjustment {
    /// The visit goes elsewhere.
    Move {
        /// To whom.
        visitor: Uuid,
        /// To which day.
        day: LocalDay,
        /// To which place; none, or one beyond, is the last.
        place: Option<u16>,
        /// Who visitor and elder are.
        fit: Fit,
    },
    /// The visit stays as it is.
    Pin,
    /// The visit may change, or is no longer left out.
    Release,
    /// The visit is left out.
    Skip(SkipReason),
}

/// What happened to a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A division was planned.
    Planned(Box<Planned>),
    /// A person changed what it says of an elder.
    Adjusted {
        /// The plan.
        plan: PlanId,
        /// The elder.
        elder: ElderId,
        /// What.
        change: Change,
    },
}

/// A change that was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The visit is now here, and pinned.
    Moved(PlannedVisit),
    /// The visit is pinned.
    Pinned,
    /// The visit is no longer pinned, or no longer left out.
    Released,
    /// The visit is left out.
    Skipped(SkipReason),
}

/// Why the rules refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The plan says nothing of this elder.
    NotInPlan,
    /// There is no visit that could be pinned.
    NoVisit,
    /// The day is none on which the visit is owed and can still take place.
    DayNotOpen,
    /// The visitor is not active on that day.
    VisitorNotActive,
    /// Only a visit at home would do, and consent is not granted.
    ConsentRequired,
    /// No mode fits both elder and visitor.
    ModeNotAllowed,
    /// The visitor has as many visits on that day as a fifth of the weekly capacity, rounded up.
    DayFull,
    /// The visitor has as many visits as the weekly capacity.
    WeekFull,
}

impl WeekPlan {
    /// Whether anything was planned for the week.
    #[must_use]
    pub fn is_planned(&self) -> bool {
        self.planned
    }

    /// What it says, in the order of elders' ids.
    #[must_use]
    pub fn entries(&self) -> &BTreeMap<ElderId, Entry> {
        &self.entries
    }

    /// What it says of an elder.
    #[must_use]
    pub fn entry(&self, elder: ElderId) -> Option<&Entry> {
        self.entries.get(&elder)
    }

    /// What it says of a division's elders, in the order of their ids.
    pub fn within(&self, division: DivisionCode) -> impl Iterator<Item = (ElderId, &Entry)> {
        self.entries
            .iter()
            .filter(move |(_, entry)| division.contains(&entry.village.division()))
            .map(|(elder, entry)| (*elder, entry))
    }

    /// All visits.
    pub fn visits(&self) -> impl Iterator<Item = (ElderId, &PlannedVisit)> {
        self.entries
            .iter()
            .filter_map(|(elder, entry)| match &entry.slot {
                Slot::Visit(visit) => Some((*elder, visit)),
                Slot::Talk { .. } | Slot::Unplanned(_) | Slot::Skipped(_) => None,
            })
    }

    /// Visits of a visitor on a day, but for one elder's.
    fn on_day(&self, visitor: Uuid, day: LocalDay, but: ElderId) -> u16 {
        let on_day = |(elder, visit): &(ElderId, &PlannedVisit)| {
            *elder != but && visit.visitor == visitor && visit.day == day
        };
        count(self.visits().filter(on_day))
    }

    /// Visits of a visitor in the week, but for one elder's.
    fn in_week(&self, visitor: Uuid, but: ElderId) -> u16 {
        let in_week =
            |(elder, visit): &(ElderId, &PlannedVisit)| *elder != but && visit.visitor == visitor;
        count(self.visits().filter(in_week))
    }

    /// Why nobody may have these visits, if that is so.
    fn overload(&self, capacities: &BTreeMap<Uuid, u16>) -> Option<Refusal> {
        let (mut weeks, mut days) = (BTreeMap::new(), BTreeMap::new());
        for (_, visit) in self.visits() {
            *weeks.entry(visit.visitor).or_insert(0_u16) += 1;
            *days.entry((visit.visitor, visit.day)).or_insert(0_u16) += 1;
        }
        let capacity = |visitor: &Uuid| capacities.get(visitor).copied().unwrap_or(0);
        let over = |(visitor, visits): (&Uuid, &u16)| *visits > capacity(visitor);
        let day_over = |((visitor, _), visits): (&(Uuid, LocalDay), &u16)| {
            *visits > daily_capacity(capacity(visitor))
        };
        if weeks.iter().any(over) {
            Some(Refusal::WeekFull)
        } else if days.iter().any(day_over) {
            Some(Refusal::DayFull)
        } else {
            None
        }
    }

    fn moved(
        &self,
        elder: ElderId,
        (visitor, day, place): (Uuid, LocalDay, Option<u16>),
        fit: &Fit,
    ) -> Result<Change, Refusal> {
        let weekday = Workday::on(day).ok_or(Refusal::DayNotOpen)?;
        if !fit.days.contains(weekday) {
            return Err(Refusal::DayNotOpen);
        }
        if !fit.visitor_days.contains(weekday) {
            return Err(Refusal::VisitorNotActive);
        }
        let common = fit.modes.intersection(fit.visitor_modes);
        let open = if fit.home_consent {
            common
        } else {
            common.difference(VisitMode::Home.into())
        };
        let mode = preferred(open).ok_or(if common.is_empty() {
            Refusal::ModeNotAllowed
        } else {
            Refusal::ConsentRequired
        })?;
        if self.in_week(visitor, elder) >= fit.capacity {
            return Err(Refusal::WeekFull);
        }
        let before = self.on_day(visitor, day, elder);
        if before >= daily_capacity(fit.capacity) {
            return Err(Refusal::DayFull);
        }
        let last = before + 1;
        Ok(Change::Moved(PlannedVisit {
            visitor,
            day,
            place: place.unwrap_or(last).clamp(1, last),
            mode,
            pinned: true,
        }))
    }

    fn change(&self, elder: ElderId, adjustment: &Adjustment) -> Result<Option<Change>, Refusal> {
        let entry = self.entries.get(&elder).ok_or(Refusal::NotInPlan)?;
        let change = match (adjustment, &entry.slot) {
            (
                Adjustment::Move {
                    visitor,
                    day,
                    place,
                    fit,
                },
                slot,
            ) => {
                let change = self.moved(elder, (*visitor, *day, *place), fit)?;
                match (change, slot) {
                    (Change::Moved(new), Slot::Visit(old)) if new == *old => None,
                    (change, _) => Some(change),
                }
            }
            (Adjustment::Pin, Slot::Visit(visit)) => (!visit.pinned).then_some(Change::Pinned),
            (Adjustment::Pin, Slot::Talk { .. } | Slot::Unplanned(_) | Slot::Skipped(_)) => {
                return Err(Refusal::NoVisit);
            }
            (Adjustment::Release, Slot::Visit(visit)) => visit.pinned.then_some(Change::Released),
            (Adjustment::Release, Slot::Skipped(_)) => Some(Change::Released),
            (Adjustment::Release, Slot::Talk { .. } | Slot::Unplanned(_)) => None,
            (Adjustment::Skip(reason), Slot::Skipped(known)) if reason == known => None,
            (Adjustment::Skip(reason), _) => Some(Change::Skipped(*reason)),
        };
        Ok(change)
    }

    /// Takes an elder's visit out of its day: those after it move up.
    fn take_out(&mut self, elder: ElderId) {
        let Some(Slot::Visit(gone)) = self.entries.get(&elder).map(|entry| entry.slot) else {
            return;
        };
        self.shift(
            &gone,
            |place| if place > gone.place { place - 1 } else { place },
        );
    }

    /// Makes room for a visit in its day: those from its place on move down.
    fn make_room(&mut self, new: &PlannedVisit) {
        self.shift(
            new,
            |place| if place >= new.place { place + 1 } else { place },
        );
    }

    fn shift(&mut self, like: &PlannedVisit, to: impl Fn(u16) -> u16) {
        for entry in self.entries.values_mut() {
            if let Slot::Visit(visit) = &mut entry.slot
                && (visit.visitor, visit.day) == (like.visitor, like.day)
            {
                visit.place = to(visit.place);
            }
        }
    }

    fn put(&mut self, elder: ElderId, slot: Slot) {
        if let Some(entry) = self.entries.get_mut(&elder) {
            entry.slot = slot;
        }
    }

    fn apply(&mut self, elder: ElderId, change: Change) {
        let before = self.entries.get(&elder).map(|entry| entry.slot);
        match (change, before) {
            (Change::Moved(visit), _) => {
                self.take_out(elder);
                // Out of the way, so that making room does not move it.
                self.put(elder, Slot::Unplanned(UnplannedReason::AwaitsPlanning));
                self.make_room(&visit);
                self.put(elder, Slot::Visit(visit));
            }
            (Change::Pinned | Change::Released, Some(Slot::Visit(visit))) => {
                let pinned = change == Change::Pinned;
                self.put(elder, Slot::Visit(PlannedVisit { pinned, ..visit }));
            }
            (Change::Released, Some(Slot::Skipped(_))) => {
                self.put(elder, Slot::Unplanned(UnplannedReason::AwaitsPlanning));
            }
            (Change::Skipped(reason), _) => {
                self.take_out(elder);
                self.put(elder, Slot::Skipped(reason));
            }
            (Change::Pinned | Change::Released, _) => {}
        }
    }
}

/// A week's visits of one visitor are far fewer than can be counted here.
fn count<T>(visits: impl Iterator<Item = T>) -> u16 {
    u16::try_from(visits.count()).unwrap_or(u16::MAX)
}

impl Decider for WeekPlan {
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Refusal> {
        match command {
            Command::Plan {
                planned,
                capacities,
            } => {
                let event = Event::Planned(planned.clone());
                // What the planner made is taken together with what stands: nobody gets too much of both.
                match self.clone().evolve(&event).overload(capacities) {
                    Some(refusal) => Err(refusal),
                    None => Ok(vec![event]),
                }
            }
            Command::Adjust {
                plan,
                elder,
                adjustment,
            } => {
                let change = self.change(*elder, adjustment)?;
                let adjusted = |change| Event::Adjusted {
                    plan: *plan,
                    elder: *elder,
                    change,
                };
                Ok(change.map(adjusted).into_iter().collect())
            }
        }
    }

    fn evolve(mut self, event: &Event) -> Self {
        match event {
            Event::Planned(planned) => {
                self.planned = true;
                let division = planned.division;
                self.entries
                    .retain(|_, entry| !division.contains(&entry.village.division()));
                self.entries.extend(planned.entries.clone());
            }
            Event::Adjusted { elder, change, .. } => self.apply(*elder, *change),
        }
        self
    }
}

#[cfg(test)]
mod tests;
