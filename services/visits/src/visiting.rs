//! A division that visits its elders: since when, and which of its periods are closed.

use civic::{CalendarMonth, DivisionCode, IsoWeek, LocalDay};
use decider::Decider;
use tier_policy::policy::Interval;

use crate::period::Period;

/// A division's visiting.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Visiting {
    /// It has not started.
    #[default]
    NotStarted,
    /// It has started.
    Started(Started),
}

/// A division that has started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Started {
    /// The first day.
    pub on: LocalDay,
    /// The last week that was closed.
    pub week_closed: Option<IsoWeek>,
    /// The last month that was closed.
    pub month_closed: Option<CalendarMonth>,
}

impl Started {
    /// A division that starts on a day.
    #[must_use]
    pub fn on(day: LocalDay) -> Self {
        Self {
            on: day,
            week_closed: None,
            month_closed: None,
        }
    }

    /// The period that is to be closed next.
    #[must_use]
    pub fn next(&self, interval: Interval) -> Period {
        let next = match interval {
            Interval::Weekly => self.week_closed.map(|week| Period::Week(week.next())),
            Interval::Monthly => self.month_closed.map(|month| Period::Month(month.next())),
        };
        next.unwrap_or_else(|| Period::first_on_or_after(interval, self.on))
    }

    /// Whether visits were owed in a period.
    #[must_use]
    pub fn owes_in(&self, period: Period) -> bool {
        self.on <= period.first_day()
    }
}

/// What is asked of it.
#[derive(Clone, Debug)]
pub enum Command {
    /// Start on this day.
    Start {
        /// The division.
        division: DivisionCode,
        /// The first day.
        on: LocalDay,
    },
    /// Every duty of the period is decided.
    Close {
        /// The division.
        division: DivisionCode,
        /// The period.
        period: Period,
        /// How many were owed.
        duties: u64,
        /// How many of these were missed.
        missed: u64,
    },
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It started.
    Started {
        /// The division.
        division: DivisionCode,
        /// The first day.
        on: LocalDay,
    },
    /// A period was closed.
    Closed {
        /// The division.
        division: DivisionCode,
        /// The period.
        period: Period,
        /// How many duties were owed.
        duties: u64,
        /// How many of these were missed.
        missed: u64,
    },
}

/// Why the rules refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It has started, on another day.
    AlreadyStarted,
    /// It has not started, so that it has no periods.
    NotStarted,
}

impl Decider for Visiting {
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Refusal> {
        match (self, command) {
            (Self::NotStarted, Command::Start { division, on }) => Ok(vec![Event::Started {
                division: *division,
                on: *on,
            }]),
            (Self::Started(started), Command::Start { on, .. }) if started.on == *on => Ok(vec![]),
            (Self::Started(_), Command::Start { .. }) => Err(Refusal::AlreadyStarted),
            (Self::NotStarted, Command::Close { .. }) => Err(Refusal::NotStarted),
            // Periods are closed in their order, each once.
            (Self::Started(started), Command::Close { period, .. })
                if period.interval().map(|interval| started.next(interval)) != Some(*period) =>
            {
                Ok(vec![])
            }
            (
                Self::Started(_),
                Command::Close {
                    division,
                    period,
                    duties,
                    missed,
                },
            ) => Ok(vec![Event::Closed {
                division: *division,
                period: *period,
                duties: *duties,
                missed: *missed,
            }]),
        }
    }

    fn evolve(self, event: &Event) -> Self {
        match (self, event) {
            (_, Event::Started { on, .. }) => Self::Started(Started::on(*on)),
            (Self::NotStarted, Event::Closed { .. }) => Self::NotStarted,
            (Self::Started(mut started), Event::Closed { period, .. }) => {
                match period {
                    Period::Week(week) => started.week_closed = Some(*week),
                    Period::Month(month) => started.month_closed = Some(*month),
                    // A campaign closes by itself.
                    Period::Campaign(_) => {}
                }
                Self::Started(started)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use decider::testing::{given, given_nothing};

    use super::*;

    fn day(text: &str) -> LocalDay {
        text.parse().unwrap()
    }

    fn county() -> DivisionCode {
        "350524".parse().unwrap()
    }

    fn started() -> Event {
        Event::Started {
            division: county(),
            on: day("2024-09-30"),
        }
    }

    fn close(period: &str) -> Command {
        Command::Close {
            division: county(),
            period: period.parse().unwrap(),
            duties: 3,
            missed: 1,
        }
    }

    fn closed(period: &str) -> Event {
        Event::Closed {
            division: county(),
            period: period.parse().unwrap(),
            duties: 3,
            missed: 1,
        }
    }

    #[test]
    fn a_division_starts_once() {
        let start = |text| Command::Start {
            division: county(),
            on: day(text),
        };
        given_nothing::<Visiting>()
            .when(start("2024-09-30"))
            .then([started()]);
        given::<Visiting>([started()])
            .when(start("2024-09-30"))
            .then_nothing();
        given::<Visiting>([started()])
            .when(start("2024-10-07"))
            .then_refused(Refusal::AlreadyStarted);
    }

    #[test]
    fn periods_close_in_their_order_each_once() {
        given::<Visiting>([started()])
            .when(close("2024-W40"))
            .then([closed("2024-W40")]);
        given::<Visiting>([started()])
            .when(close("2024-W41"))
            .then_nothing();
        given::<Visiting>([started(), closed("2024-W40")])
            .when(close("2024-W40"))
            .then_nothing();
        given::<Visiting>([started(), closed("2024-W40")])
            .when(close("2024-W41"))
            .then([closed("2024-W41")]);
        given::<Visiting>([started(), closed("2024-W40")])
            .when(close("2024-10"))
            .then([closed("2024-10")]);
        given_nothing::<Visiting>()
            .when(close("2024-W40"))
            .then_refused(Refusal::NotStarted);
    }
}
