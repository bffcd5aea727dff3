//! A campaign (专项探访): for some days a division owes visits to elders that it selects, besides what is owed anyway.
//!
//! Rule: section 3, "Duty".

use civic::{CampaignKind, DivisionCode, LocalDay};
use decider::Decider;
use uuid::Uuid;

use crate::period::CampaignDays;

/// The most days of a campaign.
pub const MOST_DAYS: i64 = 92;

/// A campaign.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Campaign {
    /// There is none.
    #[default]
    Unknown,
    /// It was started.
    Started(Started),
}

/// A campaign that was started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Started {
    /// The division.
    pub division: DivisionCode,
    /// The first day.
    pub first: LocalDay,
    /// The last day, included; before the first where it was called off.
    pub last: LocalDay,
    /// Whether every duty of it is decided.
    pub closed: bool,
}

/// Whom a campaign is for: elders in scope to whom all of it applies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Tiers by their names; none: all.
    pub tiers: Vec<String>,
    /// A condition on the elder's facts, as in a policy; empty: none.
    pub condition: String,
}

/// What a campaign is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announced {
    /// The campaign.
    pub campaign: Uuid,
    /// The division.
    pub division: DivisionCode,
    /// Why.
    pub kind: CampaignKind,
    /// What it is called.
    pub name: String,
    /// The first day.
    pub first: LocalDay,
    /// The last day, included.
    pub last: LocalDay,
    /// Whom it is for.
    pub selection: Selection,
}

impl Announced {
    /// Its days.
    #[must_use]
    pub fn days(&self) -> CampaignDays {
        CampaignDays {
            campaign: self.campaign,
            first: self.first,
            last: self.last,
        }
    }
}

/// What is asked of it.
#[derive(Clone, Debug)]
pub enum Command {
    /// Start it.
    Start {
        /// The campaign.
        announced: Box<Announced>,
        /// The day on which that is asked.
        today: LocalDay,
    },
    /// End it today, or call it off.
    End {
        /// The campaign.
        campaign: Uuid,
        /// The day on which that is asked.
        today: LocalDay,
    },
    /// Every duty of it is decided.
    Close {
        /// The campaign.
        campaign: Uuid,
        /// How many were owed.
        duties: u64,
        /// How many of these were missed.
        missed: u64,
    },
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It was started.
    Started(Box<Announced>),
    /// It was ended before its last day.
    Ended {
        /// The campaign.
        campaign: Uuid,
        /// The last day now.
        last: LocalDay,
    },
    /// It was closed.
    Closed {
        /// The campaign.
        campaign: Uuid,
        /// How many duties were owed.
        duties: u64,
        /// How many of these were missed.
        missed: u64,
    },
}

/// Why the rules refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such campaign.
    Unknown,
    /// It was started already.
    AlreadyStarted,
    /// Its days don't lie ahead, or are none, or too many.
    DaysInvalid,
    /// Its last day is over, or it is closed.
    Over,
}

impl Decider for Campaign {
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Refusal> {
        match (self, command) {
            (Self::Unknown, Command::Start { announced, today }) => {
                let days = announced.first.days_until(announced.last) + 1;
                if announced.first < *today || !(1..=MOST_DAYS).contains(&days) {
                    return Err(Refusal::DaysInvalid);
                }
                Ok(vec![Event::Started(announced.clone())])
            }
            (Self::Started(_), Command::Start { .. }) => Err(Refusal::AlreadyStarted),
            (Self::Unknown, Command::End { .. } | Command::Close { .. }) => Err(Refusal::Unknown),
            (Self::Started(started), Command::End { campaign, today }) => {
                // One that has not begun ends before its first day: nothing is owed.
                let last = if started.first <= *today {
                    *today
                } else {
                    started.first.plus_days(-1)
                };
                if started.closed || started.last < *today {
                    Err(Refusal::Over)
                } else if started.last <= last {
                    Ok(vec![])
                } else {
                    Ok(vec![Event::Ended {
                        campaign: *campaign,
                        last,
                    }])
                }
            }
            (Self::Started(started), Command::Close { .. }) if started.closed => Ok(vec![]),
            (
                Self::Started(_),
                Command::Close {
                    campaign,
                    duties,
                    missed,
                },
            ) => Ok(vec![Event::Closed {
                campaign: *campaign,
                duties: *duties,
                missed: *missed,
            }]),
        }
    }

    fn evolve(self, event: &Event) -> Self {
        match (self, event) {
            (_, Event::Started(announced)) => Self::Started(Started {
                division: announced.division,
                first: announced.first,
                last: announced.last,
                closed: false,
            }),
            (Self::Unknown, Event::Ended { .. } | Event::Closed { .. }) => Self::Unknown,
            (Self::Started(started), Event::Ended { last, .. }) => Self::Started(Started {
                last: *last,
                ..started
            }),
            (Self::Started(started), Event::Closed { .. }) => Self::Started(Started {
                closed: true,
                ..started
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use decider::testing::{given, given_nothing};

    use super::*;

    const CAMPAIGN: Uuid = Uuid::from_u128(7);

    fn day(text: &str) -> LocalDay {
        text.parse().unwrap()
    }

    fn announced(first: &str, last: &str) -> Box<Announced> {
        Box::new(Announced {
            campaign: CAMPAIGN,
            division: "350524".parse().unwrap(),
            kind: CampaignKind::ExtremeWeather,
            name: "寒潮".to_owned(),
            first: day(first),
            last: day(last),
            selection: Selection::default(),
        })
    }

    fn started() -> Event {
        Event::Started(announced("2024-12-20", "2024-12-26"))
    }

    fn end(today: &str) -> Command {
        Command::End {
            campaign: CAMPAIGN,
            today: day(today),
        }
    }

    fn ended(last: &str) -> Event {
        Event::Ended {
            campaign: CAMPAIGN,
            last: day(last),
        }
    }

    fn close() -> Command {
        Command::Close {
            campaign: CAMPAIGN,
            duties: 3,
            missed: 1,
        }
    }

    fn closed() -> Event {
        Event::Closed {
            campaign: CAMPAIGN,
            duties: 3,
            missed: 1,
        }
    }

    #[test]
    fn a_campaign_starts_today_or_later_and_has_an_end() {
        let start = |first, last| Command::Start {
            announced: announced(first, last),
            today: day("2024-12-20"),
        };
        given_nothing::<Campaign>()
            .when(start("2024-12-20", "2024-12-26"))
            .then([started()]);
        for (first, last) in [
            ("2024-12-19", "2024-12-26"),
            ("2024-12-21", "2024-12-20"),
            ("2024-12-20", "2025-03-22"),
        ] {
            given_nothing::<Campaign>()
                .when(start(first, last))
                .then_refused(Refusal::DaysInvalid);
        }
        given_nothing::<Campaign>()
            .when(start("2024-12-20", "2025-03-21"))
            .then([Event::Started(announced("2024-12-20", "2025-03-21"))]);
        given::<Campaign>([started()])
            .when(start("2024-12-20", "2024-12-26"))
            .then_refused(Refusal::AlreadyStarted);
    }

    #[test]
    fn it_is_ended_today_or_called_off() {
        given::<Campaign>([started()])
            .when(end("2024-12-22"))
            .then([ended("2024-12-22")]);
        given::<Campaign>([started()])
            .when(end("2024-12-18"))
            .then([ended("2024-12-19")]);
        given::<Campaign>([started()])
            .when(end("2024-12-26"))
            .then_nothing();
        given::<Campaign>([started(), ended("2024-12-22")])
            .when(end("2024-12-22"))
            .then_nothing();
        given::<Campaign>([started()])
            .when(end("2024-12-27"))
            .then_refused(Refusal::Over);
        given::<Campaign>([started(), closed()])
            .when(end("2024-12-22"))
            .then_refused(Refusal::Over);
        given_nothing::<Campaign>()
            .when(end("2024-12-22"))
            .then_refused(Refusal::Unknown);
    }

    #[test]
    fn it_closes_once() {
        given::<Campaign>([started()])
            .when(close())
            .then([closed()]);
        given::<Campaign>([started(), closed()])
            .when(close())
            .then_nothing();
    }
}
