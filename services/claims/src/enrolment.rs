//! An elder's enrolments in a programme (参保): each for days of one calendar year, with the premium of that year once.

use std::collections::BTreeMap;

use civic::{ElderId, Fen, LocalDay};
use decider::Decider;
use uuid::Uuid;

/// The enrolments of an elder in a programme, as the events leave them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Enrolments {
    /// In the order in which they came.
    pub spells: Vec<Spell>,
    /// By which rule each of them was admitted.
    pub bases: BTreeMap<Uuid, String>,
    /// The calendar years whose premium is charged, with the enrolment that brought it, and how much it was.
    pub charged: BTreeMap<i32, (Uuid, Fen)>,
}

/// An enrolment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spell {
    /// Its id.
    pub enrolment: Uuid,
    /// First day.
    pub first: LocalDay,
    /// Last day; before the first one where it never began.
    pub last: LocalDay,
}

/// Who is enrolled in what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whose {
    /// The programme's code.
    pub programme: String,
    /// The elder.
    pub elder: ElderId,
}

/// What is asked.
#[derive(Clone, Debug)]
pub enum Command {
    /// Enrol.
    Enrol {
        /// Whom.
        whose: Whose,
        /// When; within one calendar year.
        spell: Spell,
        /// By which rule.
        basis: String,
        /// The premium of a year.
        premium: Fen,
    },
    /// Give an enrolment an earlier last day.
    End {
        /// Whose.
        whose: Whose,
        /// Which.
        enrolment: Uuid,
        /// The new last day.
        last: LocalDay,
    },
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Somebody is enrolled.
    Enrolled {
        /// Who.
        whose: Whose,
        /// When.
        spell: Spell,
        /// By which rule.
        basis: String,
    },
    /// The premium of a year is due.
    Charged {
        /// Whose.
        whose: Whose,
        /// By which enrolment.
        enrolment: Uuid,
        /// The year.
        year: i32,
        /// How much.
        amount: Fen,
    },
    /// An enrolment has an earlier last day.
    Ended {
        /// Whose.
        whose: Whose,
        /// Which.
        enrolment: Uuid,
        /// The new last day.
        last: LocalDay,
    },
}

/// Why the rules refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Enrolled on one of these days already.
    AlreadyEnrolled,
    /// There is no such enrolment.
    Unknown,
    /// It ends on that day or before already.
    NotEarlier,
    /// The day lies before the day before the first one.
    BeforeFirst,
}

impl Decider for Enrolments {
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Refusal> {
        match command {
            Command::Enrol {
                whose,
                spell,
                basis,
                premium,
            } => {
                let overlaps = |other: &Spell| {
                    other.first <= other.last
                        && other.first <= spell.last
                        && spell.first <= other.last
                };
                if self.spells.iter().any(overlaps) {
                    return Err(Refusal::AlreadyEnrolled);
                }
                let mut events = vec![Event::Enrolled {
                    whose: whose.clone(),
                    spell: *spell,
                    basis: basis.clone(),
                }];
                let year = spell.first.year();
                if *premium > Fen::ZERO && !self.charged.contains_key(&year) {
                    events.push(Event::Charged {
                        whose: whose.clone(),
                        enrolment: spell.enrolment,
                        year,
                        amount: *premium,
                    });
                }
                Ok(events)
            }
            Command::End {
                whose,
                enrolment,
                last,
            } => {
                let mut spells = self.spells.iter();
                let spell = spells.find(|spell| spell.enrolment == *enrolment);
                let spell = spell.ok_or(Refusal::Unknown)?;
                if *last >= spell.last {
                    return Err(Refusal::NotEarlier);
                }
                if last.next() < spell.first {
                    return Err(Refusal::BeforeFirst);
                }
                Ok(vec![Event::Ended {
                    whose: whose.clone(),
                    enrolment: *enrolment,
                    last: *last,
                }])
            }
        }
    }

    fn evolve(mut self, event: &Event) -> Self {
        match event {
            Event::Enrolled { spell, basis, .. } => {
                self.spells.push(*spell);
                self.bases.insert(spell.enrolment, basis.clone());
            }
            Event::Charged {
                year,
                enrolment,
                amount,
                ..
            } => {
                self.charged.insert(*year, (*enrolment, *amount));
            }
            Event::Ended {
                enrolment, last, ..
            } => {
                let mut spells = self.spells.iter_mut();
                if let Some(spell) = spells.find(|spell| spell.enrolment == *enrolment) {
                    spell.last = *last;
                }
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use decider::testing::{given, given_nothing};

    use super::*;

    fn whose() -> Whose {
        Whose {
            programme: "LTCI".to_owned(),
            elder: ElderId(Uuid::from_u128(7)),
        }
    }

    fn spell(id: u128, first: &str, last: &str) -> Spell {
        Spell {
            enrolment: Uuid::from_u128(id),
            first: first.parse().unwrap(),
            last: last.parse().unwrap(),
        }
    }

    fn enrol(spell: Spell) -> Command {
        Command::Enrol {
            whose: whose(),
            spell,
            basis: "LOW_INCOME".to_owned(),
            premium: Fen(30_000),
        }
    }

    fn enrolled(spell: Spell) -> Event {
        Event::Enrolled {
            whose: whose(),
            spell,
            basis: "LOW_INCOME".to_owned(),
        }
    }

    fn charged(spell: Spell) -> Event {
        Event::Charged {
            whose: whose(),
            enrolment: spell.enrolment,
            year: spell.first.year(),
            amount: Fen(30_000),
        }
    }

    fn end(id: u128, last: &str) -> Command {
        Command::End {
            whose: whose(),
            enrolment: Uuid::from_u128(id),
            last: last.parse().unwrap(),
        }
    }

    fn ended(id: u128, last: &str) -> Event {
        Event::Ended {
            whose: whose(),
            enrolment: Uuid::from_u128(id),
            last: last.parse().unwrap(),
        }
    }

    #[test]
    fn a_year_is_charged_once_however_often_somebody_is_enrolled_in_it() {
        let first = spell(1, "2024-01-01", "2024-06-30");
        given_nothing::<Enrolments>()
            .when(enrol(first))
            .then([enrolled(first), charged(first)]);
        let again = spell(2, "2024-07-01", "2024-12-31");
        given::<Enrolments>([enrolled(first), charged(first)])
            .when(enrol(again))
            .then([enrolled(again)]);
        let next = spell(3, "2025-01-01", "2025-12-31");
        given::<Enrolments>([enrolled(first), charged(first)])
            .when(enrol(next))
            .then([enrolled(next), charged(next)]);
    }

    #[test]
    fn nobody_is_enrolled_twice_on_a_day() {
        let first = spell(1, "2024-01-01", "2024-06-30");
        given::<Enrolments>([enrolled(first)])
            .when(enrol(spell(2, "2024-06-30", "2024-12-31")))
            .then_refused(Refusal::AlreadyEnrolled);
        // One that never began stands in nobody's way.
        let again = spell(2, "2024-01-01", "2024-12-31");
        given::<Enrolments>([enrolled(first), charged(first), ended(1, "2023-12-31")])
            .when(enrol(again))
            .then([enrolled(again)]);
    }

    #[test]
    fn an_enrolment_ends_earlier_and_never_later() {
        let first = spell(1, "2024-01-01", "2024-06-30");
        given::<Enrolments>([enrolled(first)])
            .when(end(1, "2024-03-31"))
            .then([ended(1, "2024-03-31")]);
        given::<Enrolments>([enrolled(first)])
            .when(end(1, "2024-06-30"))
            .then_refused(Refusal::NotEarlier);
        given::<Enrolments>([enrolled(first)])
            .when(end(1, "2023-12-30"))
            .then_refused(Refusal::BeforeFirst);
        given::<Enrolments>([enrolled(first)])
            .when(end(2, "2024-03-31"))
            .then_refused(Refusal::Unknown);
    }
}
