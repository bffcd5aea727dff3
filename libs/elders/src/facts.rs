//! What holds of an elder on a day, by all that was recorded.
//!
//! A fact holds from its own day on; of two facts the one with the later day
//! prevails, whenever it was recorded (rule: section 2, "Change").

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use civic::{
    Age, Assistance, CapabilityLevel, Category, CircumstanceKind, ConsentState, ElderId,
    ElderStatus, HandicapGrade, LocalDay, Observation, ServiceKind, Set, Sex, Timeline,
    VillageCode,
};
use serde::{Deserialize, Serialize};

use crate::event::{Capability, Circumstance, Consent, Event, Registered, Residence, Spoken};

/// The age from which an elder can be in scope for visits (section 1).
pub const AGE_IN_SCOPE: u16 = 60;

/// All facts of an elder, in time. Holds nothing personal but what is sealed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    birth_date: LocalDay,
    sex: Sex,
    status: Timeline<ElderStatus>,
    residence: Timeline<Residence>,
    categories: Timeline<Set<Category>>,
    assistance: Timeline<Set<Assistance>>,
    wanted_services: Timeline<Set<ServiceKind>>,
    capability: Timeline<Capability>,
    observations: BTreeMap<Observation, Timeline<bool>>,
    handicap_grade: Timeline<Option<HandicapGrade>>,
    circumstances: Vec<Circumstance>,
    consent: Timeline<Consent, DateTime<Utc>>,
    merged: bool,
}

/// The facts of one day.
#[derive(Clone, Debug, PartialEq)]
pub struct FactsOnDay {
    /// The day.
    pub day: LocalDay,
    /// Full years.
    pub age: u16,
    /// Birth date.
    pub birth_date: LocalDay,
    /// Sex.
    pub sex: Sex,
    /// Where the file stands.
    pub status: ElderStatus,
    /// Where the elder lives.
    pub residence: Residence,
    /// Categories.
    pub categories: Set<Category>,
    /// Assistance.
    pub assistance: Set<Assistance>,
    /// Wanted services.
    pub wanted_services: Set<ServiceKind>,
    /// Capability.
    pub capability: Capability,
    /// Observations that hold.
    pub observations: Set<Observation>,
    /// Handicap grade, when one is recorded.
    pub handicap_grade: Option<HandicapGrade>,
    /// Kinds of circumstance that hold.
    pub circumstances: Set<CircumstanceKind>,
    /// Consent at the end of the day.
    pub consent: Consent,
    /// Whether another file stands for this one.
    pub merged: bool,
}

/// Why an elder is out of scope for visits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OutOfScope {
    /// Another file stands for this one.
    Merged,
    /// Deceased or moved out.
    NotActive,
    /// Younger than 60.
    Under60,
    /// No category.
    NoCategory,
}

impl OutOfScope {
    /// The reason in UPPER_SNAKE_CASE.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Merged => "MERGED",
            Self::NotActive => "NOT_ACTIVE",
            Self::Under60 => "UNDER_60",
            Self::NoCategory => "NO_CATEGORY",
        }
    }
}

impl FactsOnDay {
    /// The village or community.
    #[must_use]
    pub fn village(&self) -> &VillageCode {
        &self.residence.village
    }

    /// The capability level.
    #[must_use]
    pub fn capability_level(&self) -> CapabilityLevel {
        self.capability.level
    }

    /// Why the elder is out of scope on the day; empty when in scope:
    /// ACTIVE, 60 or older, with a category (section 1).
    #[must_use]
    pub fn out_of_scope(&self) -> Vec<OutOfScope> {
        let mut reasons = Vec::new();
        if self.merged {
            reasons.push(OutOfScope::Merged);
        }
        if self.status != ElderStatus::Active {
            reasons.push(OutOfScope::NotActive);
        }
        if self.age < AGE_IN_SCOPE {
            reasons.push(OutOfScope::Under60);
        }
        if self.categories.is_empty() {
            reasons.push(OutOfScope::NoCategory);
        }
        reasons
    }

    /// Whether the elder is in scope on the day.
    #[must_use]
    pub fn in_scope(&self) -> bool {
        !self.merged
            && self.status == ElderStatus::Active
            && self.age >= AGE_IN_SCOPE
            && !self.categories.is_empty()
    }
}

impl Facts {
    /// The facts that a registration brings.
    #[must_use]
    pub fn registered(event: &Registered) -> Self {
        let mut capability = Timeline::since_ever(Capability::unassessed());
        capability.record(event.capability.assessed_on, event.capability.clone());
        let mut consent = Timeline::since_ever(Consent::unknown());
        consent.record(event.consent.spoken.at, event.consent);
        Self {
            birth_date: event.birth_date,
            sex: event.sex,
            status: Timeline::since_ever(ElderStatus::Active),
            residence: Timeline::since_ever(event.residence.clone()),
            categories: Timeline::since_ever(event.categories),
            assistance: Timeline::since_ever(event.assistance),
            wanted_services: Timeline::since_ever(event.wanted_services),
            capability,
            observations: event
                .observations
                .iter()
                .map(|observation| (observation, Timeline::since_ever(true)))
                .collect(),
            handicap_grade: Timeline::since_ever(event.handicap_grade),
            circumstances: event.circumstances.clone(),
            consent,
            merged: false,
        }
    }

    /// An elder's facts after an event; none where there is no file, or none any more.
    #[must_use]
    pub fn after(facts: Option<Self>, event: &Event, own: ElderId) -> Option<Self> {
        match (facts, event) {
            (_, Event::Registered(registered)) => Some(Self::registered(registered)),
            (_, Event::Erased { .. }) | (None, _) => None,
            (Some(mut facts), event) => {
                facts.apply(event, own);
                Some(facts)
            }
        }
    }

    /// Takes a later event into account. `own` tells a merge's surviving file from the merged one.
    pub fn apply(&mut self, event: &Event, own: ElderId) {
        match event {
            Event::Registered(registered) => *self = Self::registered(registered),
            Event::IdentityCorrected(corrected) => {
                self.birth_date = corrected.birth_date;
                self.sex = corrected.sex;
            }
            Event::Relocated(residence, on) => self.residence.record(Some(*on), residence.clone()),
            Event::ProfileUpdated(update) => {
                if let Some(categories) = update.categories {
                    self.categories.record(update.on, categories);
                }
                if let Some(assistance) = update.assistance {
                    self.assistance.record(update.on, assistance);
                }
                if let Some(services) = update.wanted_services {
                    self.wanted_services.record(update.on, services);
                }
            }
            Event::CapabilityAssessed(capability, _) => {
                self.capability
                    .record(capability.assessed_on, capability.clone());
            }
            Event::HandicapRecorded { grade, on } => self.handicap_grade.record(*on, *grade),
            Event::ObservationRecorded { observation, on } => self.observe(*observation, *on, true),
            Event::ObservationEnded { observation, on } => {
                self.observe(*observation, Some(*on), false)
            }
            Event::CircumstanceRecorded(circumstance) => {
                self.circumstances.push(circumstance.clone())
            }
            Event::CircumstanceEnded { id, last_day } => {
                for circumstance in self.circumstances.iter_mut().filter(|one| one.id == *id) {
                    circumstance.last_day = Some(*last_day);
                }
            }
            Event::ConsentGranted(spoken) => self.speak(ConsentState::Granted, *spoken),
            Event::ConsentRefused(spoken) | Event::ConsentWithdrawn(spoken) => {
                self.speak(ConsentState::Refused, *spoken);
            }
            Event::Died { on } => self.status.record(Some(*on), ElderStatus::Deceased),
            Event::MovedOut { on } => self.status.record(Some(*on), ElderStatus::MovedOut),
            Event::Reinstated { on, .. } => self.status.record(Some(*on), ElderStatus::Active),
            Event::Merged(merge) => self.merged |= merge.merged == own,
            Event::Unmerged(merge) => self.merged &= merge.merged != own,
            Event::ContactsSet(_) | Event::Erased { .. } => {}
        }
    }

    fn observe(&mut self, observation: Observation, on: Option<LocalDay>, holds: bool) {
        self.observations
            .entry(observation)
            .or_insert_with(|| Timeline::since_ever(false))
            .record(on, holds);
    }

    fn speak(&mut self, state: ConsentState, spoken: Spoken) {
        self.consent.record(spoken.at, Consent { state, spoken });
    }

    /// What holds on a day.
    #[must_use]
    pub fn on(&self, day: LocalDay) -> FactsOnDay {
        FactsOnDay {
            day,
            age: Age::on(self.birth_date, day).years(),
            birth_date: self.birth_date,
            sex: self.sex,
            status: *holding(&self.status, day),
            residence: holding(&self.residence, day).clone(),
            categories: *holding(&self.categories, day),
            assistance: *holding(&self.assistance, day),
            wanted_services: *holding(&self.wanted_services, day),
            capability: holding(&self.capability, day).clone(),
            observations: self
                .observations
                .iter()
                .filter(|(_, holds)| *holding(holds, day))
                .map(|(observation, _)| *observation)
                .collect(),
            handicap_grade: *holding(&self.handicap_grade, day),
            circumstances: self
                .circumstances
                .iter()
                .filter(|circumstance| circumstance.holds_on(day))
                .map(|circumstance| circumstance.kind)
                .collect(),
            consent: self.consent_at(day.end() - TimeDelta::microseconds(1)),
            merged: self.merged,
        }
    }

    /// Consent at an instant.
    #[must_use]
    pub fn consent_at(&self, instant: DateTime<Utc>) -> Consent {
        *holding(&self.consent, instant)
    }

    /// The next day after `day` on which time alone may change a fact that
    /// decides about visits: a birthday, a day that a fact bears, the day after
    /// a circumstance's last. None when no such day is left.
    #[must_use]
    pub fn next_change_after(&self, day: LocalDay) -> Option<LocalDay> {
        let today = self.on(day);
        let lives = today.status == ElderStatus::Active && !today.merged;
        // Without a category nobody is in scope at any age.
        let birthday = (lives && !today.categories.is_empty())
            .then(|| Age::next_birthday_after(self.birth_date, day));
        let circumstances = self.circumstances.iter().flat_map(|circumstance| {
            [
                Some(circumstance.first_day),
                circumstance.last_day.map(LocalDay::next),
            ]
        });
        let timelines = [
            self.status.changes_after(day),
            self.residence.changes_after(day),
            self.categories.changes_after(day),
            self.assistance.changes_after(day),
            self.capability.changes_after(day),
            self.handicap_grade.changes_after(day),
        ];
        birthday
            .into_iter()
            .chain(circumstances.flatten().filter(|changes| *changes > day))
            .chain(timelines.into_iter().flatten())
            .chain(
                self.observations
                    .values()
                    .filter_map(|holds| holds.changes_after(day)),
            )
            .min()
    }

    /// The days on which a recorded fact begins to hold, wherever it ends: between two of them nothing changes but
    /// age and circumstances.
    #[must_use]
    pub fn turning_days(&self) -> BTreeSet<LocalDay> {
        fn days<T>(timeline: &Timeline<T>) -> impl Iterator<Item = LocalDay> {
            timeline.iter().filter_map(|(from, _)| from)
        }
        days(&self.status)
            .chain(days(&self.residence))
            .chain(days(&self.categories))
            .chain(days(&self.assistance))
            .chain(days(&self.capability))
            .chain(self.observations.values().flat_map(days))
            .chain(days(&self.handicap_grade))
            .chain(
                self.consent
                    .iter()
                    .filter_map(|(from, _)| from)
                    .map(LocalDay::of),
            )
            .collect()
    }

    /// Birth date.
    #[must_use]
    pub fn birth_date(&self) -> LocalDay {
        self.birth_date
    }

    /// Sex.
    #[must_use]
    pub fn sex(&self) -> Sex {
        self.sex
    }

    /// All recorded circumstances, in the order of recording.
    #[must_use]
    pub fn circumstances(&self) -> &[Circumstance] {
        &self.circumstances
    }

    /// The status over time.
    #[must_use]
    pub fn status(&self) -> &Timeline<ElderStatus> {
        &self.status
    }
}

/// The value that holds then.
fn holding<T, K: Ord + Copy>(timeline: &Timeline<T, K>, when: K) -> &T {
    timeline
        .at(when)
        .expect("every timeline of a file begins with a value since ever")
}
