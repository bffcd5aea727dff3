//! A week's plan: who visits whom on which day, what could not be given to anybody and why, and how good it is.

use civic::VisitMode;

use crate::{
    load::Load,
    week::{DutyIndex, Interval, VisitorIndex, Week, needs_travel},
    workday::{WORKDAYS, Workday},
};

/// A plan for a week.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Every duty that is given to somebody, by visitor, day and place.
    pub assignments: Vec<Assignment>,
    /// Every other duty, in the order of the week.
    pub unassigned: Vec<Unassigned>,
    /// How good the plan is, in the domain's order.
    pub score: Score,
    /// Duties left unassigned that no later week can meet.
    pub weekly_unassigned: u32,
    /// Assigned duties whose visitor is not that of the last plan.
    pub visitors_changed: u32,
    /// How the work is spread.
    pub load: Load,
}

/// A duty given to a visitor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Assignment {
    /// Which duty.
    pub duty: DutyIndex,
    /// By whom.
    pub visitor: VisitorIndex,
    /// On which day.
    pub day: Workday,
    /// In which mode.
    pub mode: VisitMode,
    /// The place in the visitor's day, from 1: first the way from door to door, then the calls.
    pub place: u16,
}

/// A duty that is given to nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unassigned {
    /// Which duty.
    pub duty: DutyIndex,
    /// Why.
    pub reason: Reason,
}

/// Why a duty is given to nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Only HOME is allowed, and consent is not granted (BLOCKED_BY_CONSENT): it calls for a talk about
    /// consent, best by the visitor named here, the elder's own or the nearest of the village.
    ConsentMissing {
        /// Who would know the elder best, if anybody.
        talk_by: Option<VisitorIndex>,
    },
    /// No visitor can do any mode that is open to the elder.
    NoVisitorForMode,
    /// Visitors fit, but none of them is active on any of the duty's days.
    NoVisitorOnDays,
    /// Each visitor who fits has as many visits as capacity and day allow.
    CapacityExhausted,
    /// The pin would break a rule.
    PinImpossible(PinConflict),
}

/// The rule that a pin would break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PinConflict {
    /// The mode does not fit both elder and visitor, or none does.
    Mode,
    /// HOME without consent.
    Consent,
    /// The day lies outside the duty's period.
    DutyDay,
    /// The visitor is not active on that day.
    VisitorDay,
    /// Earlier pins fill the visitor's day or week.
    Capacity,
}

impl Reason {
    /// The name in data and APIs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ConsentMissing { .. } => "CONSENT_MISSING",
            Self::NoVisitorForMode => "NO_VISITOR_FOR_MODE",
            Self::NoVisitorOnDays => "NO_VISITOR_ON_DAYS",
            Self::CapacityExhausted => "CAPACITY_EXHAUSTED",
            Self::PinImpossible(_) => "PIN_IMPOSSIBLE",
        }
    }

    /// The reason in Chinese.
    #[must_use]
    pub fn chinese(self) -> &'static str {
        match self {
            Self::ConsentMissing { .. } => "未取得入户同意",
            Self::NoVisitorForMode => "没有适合探访方式的探访人员",
            Self::NoVisitorOnDays => "期限内没有可安排的探访人员",
            Self::CapacityExhausted => "探访人员工作量已满",
            Self::PinImpossible(_) => "指定的安排违反规则",
        }
    }
}

/// How good a plan is: compared field by field in the order of the domain (section 3 "Planning"), less is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Score {
    /// Duties left unassigned.
    pub unassigned: u32,
    /// Duties of elders with a pairing that are given to somebody else.
    pub pairings_broken: u32,
    /// Duties given to a visitor from another village.
    pub other_village: u32,
    /// Metres travelled: each day from the visitor's place from door to door and back, in straight lines, each leg rounded to the metre.
    pub travel_metres: u64,
}

/// Visits by day, Monday to Friday.
pub type ByDay = [u16; WORKDAYS];

impl Plan {
    /// A plan with its figures.
    pub(crate) fn new(
        week: &Week,
        mut assignments: Vec<Assignment>,
        mut unassigned: Vec<Unassigned>,
    ) -> Self {
        assignments.sort_by_key(|given| (given.visitor, given.day, given.place));
        unassigned.sort_by_key(|left| left.duty);
        // Duties are numbered by 32 bits, so that none of the counts is cut.
        let count = |holds: &dyn Fn(&Assignment) -> bool| {
            assignments.iter().filter(|given| holds(given)).count() as u32
        };
        let duty = |given: &Assignment| &week.duties[given.duty.at()];
        let score = Score {
            unassigned: unassigned.len() as u32,
            pairings_broken: count(&|given| {
                let pairings = &duty(given).pairings;
                !pairings.is_empty() && !pairings.contains(&given.visitor)
            }),
            other_village: count(&|given| {
                duty(given).village != week.visitors[given.visitor.at()].village
            }),
            travel_metres: travel_metres(week, &assignments),
        };
        let visitors_changed = count(&|given| {
            duty(given)
                .usual
                .is_some_and(|usual| usual != given.visitor)
        });
        let weekly_unassigned = unassigned
            .iter()
            .filter(|left| week.duties[left.duty.at()].interval == Interval::Weekly)
            .count() as u32;
        Self {
            score,
            weekly_unassigned,
            visitors_changed,
            load: Load::of(week, &assignments),
            assignments,
            unassigned,
        }
    }
}

/// The way of all visitors on all days; the assignments stand in the order of visitor, day and place.
fn travel_metres(week: &Week, assignments: &[Assignment]) -> u64 {
    let same_day = |a: &Assignment, b: &Assignment| (a.visitor, a.day) == (b.visitor, b.day);
    assignments
        .chunk_by(same_day)
        .map(|day| {
            let home = week.visitors[day[0].visitor.at()].position;
            let stops = day
                .iter()
                .filter(|given| needs_travel(given.mode))
                .map(|given| week.duties[given.duty.at()].position);
            let (metres, last) = stops.fold((0, home), |(metres, from), to| {
                (metres + from.metres_to(&to).round() as u64, to)
            });
            metres + last.metres_to(&home).round() as u64
        })
        .sum()
}
