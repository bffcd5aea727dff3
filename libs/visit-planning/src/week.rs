//! What a week's plan is made from: the duties that fall due, and the visitors there are for them.

use civic::{ElderId, GeoPosition, Set, VillageCode, VisitMode};

use crate::workday::{WORKDAYS, Workday, Workdays};

/// A duty's place in [`Week::duties`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DutyIndex(pub u32);

/// A visitor's place in [`Week::visitors`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VisitorIndex(pub u32);

impl DutyIndex {
    /// As an index.
    #[must_use]
    pub fn at(self) -> usize {
        self.0 as usize
    }
}

impl VisitorIndex {
    /// As an index.
    #[must_use]
    pub fn at(self) -> usize {
        self.0 as usize
    }
}

/// Everything that a plan depends on. The same week, in the same order, gives the same plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Week {
    /// The visits owed in this week.
    pub duties: Vec<Duty>,
    /// The visitors, of whatever village.
    pub visitors: Vec<Visitor>,
    /// Where the search turns when two ways look alike.
    pub seed: u64,
}

/// One visit owed to an elder (domain, section 3 "Duty").
#[derive(Debug, Clone, PartialEq)]
pub struct Duty {
    /// To whom.
    pub elder: ElderId,
    /// The elder's village.
    pub village: VillageCode,
    /// The elder's home, or the village's centre when the home is not known (see [`crate::Centres`]).
    pub position: GeoPosition,
    /// The modes allowed for the elder. The caller may narrow them, for example to HOME when the last visits were calls.
    pub modes: Set<VisitMode>,
    /// Whether consent to home visits is GRANTED.
    pub home_consent: bool,
    /// How soon the visit is owed.
    pub interval: Interval,
    /// The days that lie in the duty's period and are still to come.
    pub days: Workdays,
    /// The visitors paired with the elder, those of the week only.
    pub pairings: Vec<VisitorIndex>,
    /// The visitor of the last plan, for continuity.
    pub usual: Option<VisitorIndex>,
    /// What a person decided, and a new plan has to keep.
    pub pin: Option<Pin>,
    /// How long the visit takes, in minutes. Shown in the load; limits nothing.
    pub minutes: u16,
}

/// How soon a visit is owed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Interval {
    /// Within this week, and missed if it is not met: a weekly interval, or a campaign.
    Weekly,
    /// Within the month; a later week can still meet it.
    Monthly,
}

/// An assignment that a person made or confirmed. It is kept as it is, or listed with the rule that it breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pin {
    /// By whom.
    pub visitor: VisitorIndex,
    /// On which day.
    pub day: Workday,
    /// In which mode; none leaves it to the planner.
    pub mode: Option<VisitMode>,
}

/// Somebody who visits.
#[derive(Debug, Clone, PartialEq)]
pub struct Visitor {
    /// The home village.
    pub village: VillageCode,
    /// Where each day's way begins and ends: the home, or the village's centre.
    pub position: GeoPosition,
    /// The most visits in a week.
    pub weekly_capacity: u16,
    /// The modes that the visitor can do.
    pub modes: Set<VisitMode>,
    /// The days on which the visitor is active.
    pub days: Workdays,
}

impl Visitor {
    /// The most visits on a day: a fifth of the weekly capacity, rounded up (domain, section 3 "Planning").
    #[must_use]
    pub fn daily_capacity(&self) -> u16 {
        daily_capacity(self.weekly_capacity)
    }
}

/// The most visits on a day of a visitor with this weekly capacity: a fifth of it, rounded up.
#[must_use]
pub fn daily_capacity(weekly: u16) -> u16 {
    weekly.div_ceil(WORKDAYS as u16)
}

/// The order in which a mode is taken when several are open: the ones that need no way first. An
/// encounter can't be arranged, so it stands last, for a visitor who can do nothing else.
const PREFERENCE: [VisitMode; 4] = [
    VisitMode::Phone,
    VisitMode::Online,
    VisitMode::Home,
    VisitMode::Encounter,
];

impl Duty {
    /// The modes in which this duty can be planned: the allowed ones, HOME only with consent.
    #[must_use]
    pub fn open_modes(&self) -> Set<VisitMode> {
        if self.home_consent {
            self.modes
        } else {
            self.modes.difference(VisitMode::Home.into())
        }
    }

    /// The mode in which a visitor would meet this duty; none when no mode fits both.
    #[must_use]
    pub fn mode_with(&self, visitor: &Visitor) -> Option<VisitMode> {
        preferred(self.open_modes().intersection(visitor.modes))
    }
}

/// The mode that is taken when these are open; none when none is.
#[must_use]
pub fn preferred(open: Set<VisitMode>) -> Option<VisitMode> {
    PREFERENCE.into_iter().find(|mode| open.contains(*mode))
}

/// Whether a visit in this mode means going to the elder. A call and a meeting on line need no way;
/// to meet somebody by chance one has to be in their village.
#[must_use]
pub fn needs_travel(mode: VisitMode) -> bool {
    match mode {
        VisitMode::Home | VisitMode::Encounter => true,
        VisitMode::Phone | VisitMode::Online => false,
    }
}

/// Why a week can't be planned at all. Names the duty by its place, never the elder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WeekFault {
    /// There are more duties or visitors than can be numbered.
    #[error("too many duties or visitors")]
    TooLarge,
    /// A pairing names none of the week's visitors.
    #[error("the pairings of duty {0} name an unknown visitor")]
    Pairings(usize),
    /// The usual visitor is none of the week's visitors.
    #[error("the usual visitor of duty {0} is unknown")]
    Usual(usize),
    /// The pin names none of the week's visitors.
    #[error("the pin of duty {0} names an unknown visitor")]
    Pin(usize),
}

impl Week {
    /// Whether every visitor that a duty names is one of the week.
    ///
    /// # Errors
    ///
    /// The first fault, in the order of the duties.
    pub fn check(&self) -> Result<(), WeekFault> {
        if u32::try_from(self.duties.len().max(self.visitors.len())).is_err() {
            return Err(WeekFault::TooLarge);
        }
        let known = |visitor: VisitorIndex| visitor.at() < self.visitors.len();
        for (at, duty) in self.duties.iter().enumerate() {
            if !duty.pairings.iter().all(|visitor| known(*visitor)) {
                return Err(WeekFault::Pairings(at));
            }
            if !duty.usual.is_none_or(known) {
                return Err(WeekFault::Usual(at));
            }
            if !duty.pin.is_none_or(|pin| known(pin.visitor)) {
                return Err(WeekFault::Pin(at));
            }
        }
        Ok(())
    }
}
