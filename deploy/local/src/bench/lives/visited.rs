//! An elder's tier, and a month of visits: what was recorded, doubted and decided, and which duties were met and missed.

use chrono::TimeDelta;
use civic::{CalendarMonth, Doubt, IsoWeek, LocalDay, Set, VisitMode};
use eventlog::{Aggregate as _, RawEvent, Subject};
use tiering::{
    evaluate::{Assignment, Jurisdiction, PolicyRef},
    policy::{Interval, NATIONAL_YAML},
    policy_book::{self, PolicyBook},
    tier::{self, Tier},
};
use visits::{
    elder_year::{ElderYear, Event, Missed, Recorded},
    period::Period,
};

use super::{FOR_A_VISITOR, Life};
use crate::bench::{
    people::{COUNTY, day},
    visiting,
};

/// The month, and the Monday of its first week.
const FIRST_DAY: &str = "2024-10-01";
const MONDAY: &str = "2024-09-30";

/// The day from which tiers hold.
const FROM: &str = "2024-01-01";

/// How many weeks are over by then.
const WEEKS: usize = 4;

/// One elder of so many has a third visit; all have two.
const THIRD: u64 = 4;
const VISITS: usize = 3;

/// One of so many is told of in a record that is doubted, and one of so many of these records waits for a decision.
const DOUBTED: u64 = 14;
const UNDECIDED: u64 = 3;

/// Of five elders two are visited each week, the others each month.
const OF: u64 = 5;
const WEEKLY: u64 = 2;

/// One of so many duties is missed.
const WEEKLY_MISSED: u64 = 6;
const MONTHLY_MISSED: u64 = 10;

/// One tier of so many changes.
const CHANGES: u64 = 30;

impl Life {
    /// That the county has a policy of its own, which says what the national one says.
    pub(in crate::bench) fn policy() -> (Subject, RawEvent) {
        let published = policy_book::Event::Published {
            jurisdiction: COUNTY.parse().expect("a county"),
            version: 1,
            yaml: NATIONAL_YAML.to_owned(),
            on: day(FROM),
        };
        let subject = Subject::new(tiering::codec::CONTEXT, PolicyBook::NAME, COUNTY);
        let subject = subject.expect("a code is a token");
        (subject, PolicyBook::encode(&published))
    }

    /// The elder's tier.
    pub(in crate::bench) fn tier(&self) -> Subject {
        let id = self.elder().to_string();
        Subject::new(tiering::codec::CONTEXT, Tier::NAME, &id).expect("an id is a token")
    }

    /// What is said of it: that it is given, and to some that it changes.
    pub(in crate::bench) fn tiered(&self, turn: usize) -> Vec<RawEvent> {
        let (elder, weekly) = (self.elder(), self.is_weekly());
        let changes = self.place() % CHANGES == 1;
        let event = match turn {
            0 => tier::Event::Assigned {
                elder,
                assignment: self.assignment(weekly != changes),
                on: day(FROM),
            },
            1 if changes => tier::Event::Changed {
                elder,
                assignment: self.assignment(weekly),
                on: day(MONDAY),
            },
            _ => return vec![],
        };
        vec![Tier::encode(&event)]
    }

    fn assignment(&self, weekly: bool) -> Box<Assignment> {
        let (tier, interval) = if weekly {
            ("PRIORITY", Interval::Weekly)
        } else {
            ("GENERAL", Interval::Monthly)
        };
        Box::new(Assignment {
            tier: tier.to_owned(),
            reasons: vec!["LIVING_ALONE".to_owned()],
            interval,
            modes: Set::from(VisitMode::Home),
            policy: PolicyRef {
                jurisdiction: Jurisdiction::National,
                version: 1,
            },
            village: self.village(),
        })
    }

    fn is_weekly(&self) -> bool {
        self.place() % OF < WEEKLY
    }

    /// How many turns a year of visits has: the visits, a doubt, its decision, and the duties.
    pub(in crate::bench) const YEAR: usize = VISITS + 2 + WEEKS;

    /// The year of the elder's visits.
    pub(in crate::bench) fn year(&self) -> Subject {
        visiting::year(self.elder(), day(FIRST_DAY))
    }

    /// What is said of it.
    pub(in crate::bench) fn year_goes_on(&self, turn: usize) -> Vec<RawEvent> {
        let event = match turn {
            visit if visit < VISITS => self.visit(visit),
            VISITS => self.doubt(),
            turn if turn == VISITS + 1 => self.decision(),
            _ => self.settled(turn - VISITS - 2),
        };
        event.iter().map(ElderYear::encode).collect()
    }

    /// How many visits the elder had.
    pub(super) fn visits(&self) -> u64 {
        if self.is_visited() {
            2 + u64::from(self.place().is_multiple_of(THIRD))
        } else {
            0
        }
    }

    fn visit(&self, nth: usize) -> Option<Event> {
        let number = nth as u64;
        if number >= self.visits() {
            return None;
        }
        let days = (self.place() + 9 * number) % 28;
        let hours = 8 + self.place() % 10;
        let on = day(FIRST_DAY).plus_days(days.cast_signed());
        let start = on.start() + TimeDelta::hours(hours.cast_signed());
        let visitor = Self::visitor(self.number() / FOR_A_VISITOR);
        let visit = visiting::visit(
            self.record(nth),
            self.elder(),
            visitor,
            start,
            self.village(),
        );
        let recorded = Recorded {
            remarks: self.remarks.clone(),
            ..visit
        };
        Some(Event::Recorded(Box::new(recorded)))
    }

    fn record(&self, nth: usize) -> uuid::Uuid {
        self.id(&format!("visit {nth}"))
    }

    /// Whether the first record is doubted.
    pub(super) fn is_doubted(&self) -> bool {
        self.is_visited() && self.place() % DOUBTED == 3
    }

    fn doubt(&self) -> Option<Event> {
        let (record, doubts) = (self.record(0), Set::from(Doubt::EvidenceReused));
        self.is_doubted()
            .then_some(Event::Doubted { record, doubts })
    }

    fn decision(&self) -> Option<Event> {
        let number = self.place() / DOUBTED;
        if !self.is_doubted() || number.is_multiple_of(UNDECIDED) {
            return None;
        }
        let record = self.record(0);
        Some(if number.is_multiple_of(4) {
            Event::Rejected { record }
        } else {
            Event::Confirmed { record }
        })
    }

    /// How many visits were owed to the elder.
    pub(super) fn duties(&self) -> u64 {
        let weekly = WEEKS as u64;
        match (self.is_visited(), self.is_weekly()) {
            (false, _) => 0,
            (true, true) => weekly,
            (true, false) => 1,
        }
    }

    /// When a visit was owed, and whether it was missed.
    fn duty(&self, nth: usize) -> Option<(Period, bool)> {
        let number = nth as u64;
        if number >= self.duties() {
            return None;
        }
        let group = self.place() / OF;
        if self.is_weekly() {
            let monday = day(MONDAY).plus_days(7 * number.cast_signed());
            let missed = (group + number).is_multiple_of(WEEKLY_MISSED);
            Some((Period::Week(IsoWeek::of(monday)), missed))
        } else {
            let month = CalendarMonth::of(day(FIRST_DAY));
            Some((Period::Month(month), group.is_multiple_of(MONTHLY_MISSED)))
        }
    }

    /// The period in which a visit was missed; there is one at most.
    pub(super) fn missed(&self) -> Option<Period> {
        let mut duties = (0..WEEKS).filter_map(|nth| self.duty(nth));
        let (period, _) = duties.find(|(_, missed)| *missed)?;
        Some(period)
    }

    fn settled(&self, nth: usize) -> Option<Event> {
        let (period, missed) = self.duty(nth)?;
        let elder = self.elder();
        Some(if missed {
            Event::Missed(Missed {
                elder,
                period,
                tier: if self.is_weekly() {
                    "PRIORITY"
                } else {
                    "GENERAL"
                }
                .to_owned(),
                village: self.village(),
                blocked_by_consent: false,
            })
        } else {
            Event::DutyMet {
                elder,
                period,
                record: self.record(0),
                late: false,
            }
        })
    }

    /// The day on which visits of the month are over.
    pub(super) fn settled_on() -> LocalDay {
        CalendarMonth::of(day(FIRST_DAY)).last_day()
    }
}
