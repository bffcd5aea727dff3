//! The alerts of one kind about one elder, or about one device: they follow each other, and at most one of them is open.
//!
//! Rule: section 4, "Life".

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use civic::{AlertKind, AlertOutcome, ElderId, Severity, SignalKind};
use decider::Decider;
use uuid::Uuid;

use crate::signal::DeviceId;

/// A line of alerts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlertLine {
    /// The newest, open or not.
    newest: Option<Alert>,
    /// Those that are resolved.
    resolved: BTreeSet<Uuid>,
}

/// An alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// Its id.
    pub alert: Uuid,
    /// When it happened.
    pub raised_at: DateTime<Utc>,
    /// How urgent it is.
    pub severity: Severity,
    /// How far help has come.
    pub stage: Stage,
    /// How many further signals joined it.
    pub joined: u32,
    /// When somebody took it on, or it was over.
    pub taken_on_at: Option<DateTime<Utc>>,
    /// The highest level that was reached.
    pub level: u8,
}

/// How far help has come (处置阶段).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Nobody has taken it on: it escalates.
    Raised,
    /// Somebody has.
    Acknowledged,
    /// Somebody is on the way.
    Dispatched,
    /// It is over.
    Resolved,
}

/// What an alert comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A signal.
    Signal {
        /// Who sent it.
        device: DeviceId,
        /// The device's id of it.
        signal: String,
    },
    /// Nothing came for too long, of water or at all.
    Silence {
        /// Of which device.
        device: DeviceId,
        /// Since when.
        since: DateTime<Utc>,
    },
    /// Somebody asked for it: another service, or the hotline.
    Request,
}

/// An alert as it is raised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raised {
    /// The alert's id.
    pub alert: Uuid,
    /// What it is about.
    pub kind: AlertKind,
    /// Whom it is about.
    pub elder: ElderId,
    /// How urgent it is.
    pub severity: Severity,
    /// When it happened: not when that arrived.
    pub at: DateTime<Utc>,
    /// What it comes from.
    pub cause: Cause,
}

/// What is asked of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Raises an alert; where one is open, what comes of a signal or a request joins it.
    Raise(Raised),
    /// Notes in the course of the open alert that something was heard.
    Note {
        /// From whom.
        device: DeviceId,
        /// What.
        signal: SignalKind,
        /// When.
        at: DateTime<Utc>,
    },
    /// The next people are to be told. Levels come in their order, and before anything that happens after they fell due.
    Escalate {
        /// The alert.
        alert: Uuid,
        /// Which level was reached.
        level: u8,
        /// When that was.
        at: DateTime<Utc>,
    },
    /// Somebody takes it on.
    Acknowledge {
        /// The alert.
        alert: Uuid,
        /// When.
        at: DateTime<Utc>,
    },
    /// Somebody is sent.
    Dispatch {
        /// The alert.
        alert: Uuid,
        /// When.
        at: DateTime<Utc>,
    },
    /// Somebody has come.
    Arrive {
        /// The alert.
        alert: Uuid,
        /// When.
        at: DateTime<Utc>,
    },
    /// It is over.
    Resolve {
        /// The alert.
        alert: Uuid,
        /// How it ended.
        outcome: AlertOutcome,
        /// When.
        at: DateTime<Utc>,
    },
    /// The device was heard again: what was told of its silence is over.
    Clear {
        /// When.
        at: DateTime<Utc>,
    },
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// An alert was raised.
    Raised(Raised),
    /// A further signal joined it.
    Joined {
        /// The alert.
        alert: Uuid,
        /// What it came from.
        cause: Cause,
        /// When.
        at: DateTime<Utc>,
    },
    /// Something was heard meanwhile.
    Noted {
        /// The alert.
        alert: Uuid,
        /// From whom.
        device: DeviceId,
        /// What.
        signal: SignalKind,
        /// When.
        at: DateTime<Utc>,
    },
    /// The next level was reached.
    Escalated {
        /// The alert.
        alert: Uuid,
        /// Which.
        level: u8,
        /// When.
        at: DateTime<Utc>,
    },
    /// Somebody took it on.
    Acknowledged {
        /// The alert.
        alert: Uuid,
        /// When.
        at: DateTime<Utc>,
    },
    /// Somebody was sent.
    Dispatched {
        /// The alert.
        alert: Uuid,
        /// When.
        at: DateTime<Utc>,
    },
    /// Somebody came.
    Arrived {
        /// The alert.
        alert: Uuid,
        /// When.
        at: DateTime<Utc>,
    },
    /// It was over.
    Resolved {
        /// The alert.
        alert: Uuid,
        /// How it ended.
        outcome: AlertOutcome,
        /// When.
        at: DateTime<Utc>,
    },
}

/// Why a line refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such alert.
    Unknown,
    /// Somebody has taken it on already.
    AlreadyAcknowledged,
    /// It is over.
    AlreadyResolved,
}

impl AlertLine {
    /// The alert that is open.
    #[must_use]
    pub fn open(&self) -> Option<&Alert> {
        let newest = self.newest.as_ref();
        newest.filter(|alert| alert.stage != Stage::Resolved)
    }

    /// The open alert, if it is this one.
    fn open_one(&self, alert: Uuid) -> Result<&Alert, Refusal> {
        match self.open() {
            Some(open) if open.alert == alert => Ok(open),
            Some(_) | None if self.resolved.contains(&alert) => Err(Refusal::AlreadyResolved),
            Some(_) | None => Err(Refusal::Unknown),
        }
    }
}

impl Alert {
    /// Whether a level that fell due at an instant was reached: nobody had taken the alert on by then.
    fn reaches(&self, level: u8, at: DateTime<Utc>) -> bool {
        level > self.level && self.taken_on_at.is_none_or(|taken_on| at < taken_on)
    }
}

impl Decider for AlertLine {
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Refusal> {
        match command {
            Command::Raise(raised) => Ok(match (self.open(), &raised.cause) {
                (None, _) => vec![Event::Raised(raised.clone())],
                // What falls due while an alert is open neither raises nor joins.
                (Some(_), Cause::Silence { .. }) => vec![],
                (Some(open), Cause::Signal { .. } | Cause::Request) => vec![Event::Joined {
                    alert: open.alert,
                    cause: raised.cause.clone(),
                    at: raised.at,
                }],
            }),
            Command::Note { device, signal, at } => Ok(self
                .open()
                .map(|open| Event::Noted {
                    alert: open.alert,
                    device: device.clone(),
                    signal: *signal,
                    at: *at,
                })
                .into_iter()
                .collect()),
            // It may have been due before somebody took the alert on, and come late.
            Command::Escalate { alert, level, at } => match &self.newest {
                Some(newest) if newest.alert == *alert && newest.reaches(*level, *at) => {
                    Ok(vec![Event::Escalated {
                        alert: *alert,
                        level: *level,
                        at: *at,
                    }])
                }
                Some(_) | None => Ok(vec![]),
            },
            Command::Acknowledge { alert, at } => match self.open_one(*alert)?.stage {
                Stage::Raised => Ok(vec![acknowledged(*alert, *at)]),
                Stage::Acknowledged | Stage::Dispatched | Stage::Resolved => {
                    Err(Refusal::AlreadyAcknowledged)
                }
            },
            Command::Dispatch { alert, at } => {
                let open = self.open_one(*alert)?;
                let dispatched = Event::Dispatched {
                    alert: *alert,
                    at: *at,
                };
                // Who sends somebody has taken it on.
                Ok(match open.stage {
                    Stage::Raised => vec![acknowledged(*alert, *at), dispatched],
                    Stage::Acknowledged | Stage::Dispatched | Stage::Resolved => vec![dispatched],
                })
            }
            Command::Arrive { alert, at } => {
                let open = self.open_one(*alert)?;
                let arrived = Event::Arrived {
                    alert: *alert,
                    at: *at,
                };
                Ok(match open.stage {
                    Stage::Raised => vec![acknowledged(*alert, *at), arrived],
                    Stage::Acknowledged | Stage::Dispatched | Stage::Resolved => vec![arrived],
                })
            }
            Command::Resolve { alert, outcome, at } => {
                self.open_one(*alert)?;
                Ok(vec![Event::Resolved {
                    alert: *alert,
                    outcome: *outcome,
                    at: *at,
                }])
            }
            Command::Clear { at } => Ok(self
                .open()
                .map(|open| Event::Resolved {
                    alert: open.alert,
                    outcome: AlertOutcome::SelfCleared,
                    at: *at,
                })
                .into_iter()
                .collect()),
        }
    }

    fn evolve(mut self, event: &Event) -> Self {
        if let Event::Raised(raised) = event {
            self.newest = Some(Alert {
                alert: raised.alert,
                raised_at: raised.at,
                severity: raised.severity,
                stage: Stage::Raised,
                joined: 0,
                taken_on_at: None,
                level: 0,
            });
            return self;
        }
        let Some(newest) = &mut self.newest else {
            return self;
        };
        match event {
            Event::Raised(_) | Event::Noted { .. } | Event::Arrived { .. } => {}
            Event::Joined { .. } => newest.joined += 1,
            Event::Escalated { level, .. } => newest.level = *level,
            Event::Acknowledged { at, .. } => {
                newest.stage = Stage::Acknowledged;
                newest.taken_on_at.get_or_insert(*at);
            }
            Event::Dispatched { .. } => newest.stage = Stage::Dispatched,
            Event::Resolved { alert, at, .. } => {
                newest.stage = Stage::Resolved;
                newest.taken_on_at.get_or_insert(*at);
                self.resolved.insert(*alert);
            }
        }
        self
    }
}

fn acknowledged(alert: Uuid, at: DateTime<Utc>) -> Event {
    Event::Acknowledged { alert, at }
}

#[cfg(test)]
mod tests {
    use decider::testing::{given, given_nothing};

    use super::*;

    fn at(minute: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_731_254_400 + minute * 60, 0).unwrap()
    }

    fn press(number: u128, minute: i64) -> Raised {
        Raised {
            alert: Uuid::from_u128(number),
            kind: AlertKind::Sos,
            elder: ElderId(Uuid::nil()),
            severity: Severity::Critical,
            at: at(minute),
            cause: Cause::Signal {
                device: "SB0001".parse().unwrap(),
                signal: number.to_string(),
            },
        }
    }

    const ONE: Uuid = Uuid::from_u128(1);

    fn raised() -> Event {
        Event::Raised(press(1, 0))
    }

    fn acknowledged_at(minute: i64) -> Event {
        acknowledged(ONE, at(minute))
    }

    fn resolved() -> Event {
        Event::Resolved {
            alert: ONE,
            outcome: AlertOutcome::Assisted,
            at: at(30),
        }
    }

    fn escalate(level: u8, minute: i64) -> Command {
        Command::Escalate {
            alert: ONE,
            level,
            at: at(minute),
        }
    }

    #[test]
    fn one_is_open_at_a_time_and_further_signals_join_it() {
        given_nothing::<AlertLine>()
            .when(Command::Raise(press(1, 0)))
            .then([raised()]);
        given::<AlertLine>([raised()])
            .when(Command::Raise(press(2, 1)))
            .then([Event::Joined {
                alert: ONE,
                cause: press(2, 1).cause,
                at: at(1),
            }]);
        // Also one that is dated before the end of the last one, and comes after it.
        given::<AlertLine>([raised(), resolved()])
            .when(Command::Raise(press(2, 1)))
            .then([Event::Raised(press(2, 1))]);
    }

    #[test]
    fn what_falls_due_while_one_is_open_neither_raises_nor_joins() {
        let silence = Raised {
            cause: Cause::Silence {
                device: "WM0001".parse().unwrap(),
                since: at(-720),
            },
            ..press(2, 1)
        };
        given::<AlertLine>([raised()])
            .when(Command::Raise(silence))
            .then([]);
    }

    #[test]
    fn a_level_that_falls_due_with_the_acknowledgement_is_not_reached() {
        let reached = |level, minute| Event::Escalated {
            alert: ONE,
            level,
            at: at(minute),
        };
        given::<AlertLine>([raised()])
            .when(escalate(1, 2))
            .then([reached(1, 2)]);
        given::<AlertLine>([raised(), acknowledged_at(2)])
            .when(escalate(1, 2))
            .then([]);
        // It was due before, and comes late.
        given::<AlertLine>([raised(), acknowledged_at(3)])
            .when(escalate(1, 2))
            .then([reached(1, 2)]);
        given::<AlertLine>([raised(), reached(1, 2)])
            .when(escalate(1, 2))
            .then([]);
        given::<AlertLine>([raised(), resolved()])
            .when(escalate(2, 40))
            .then([]);
    }

    #[test]
    fn who_sends_somebody_has_taken_it_on() {
        let dispatch = Command::Dispatch {
            alert: ONE,
            at: at(1),
        };
        let dispatched = Event::Dispatched {
            alert: ONE,
            at: at(1),
        };
        given::<AlertLine>([raised()])
            .when(dispatch.clone())
            .then([acknowledged_at(1), dispatched.clone()]);
        given::<AlertLine>([raised(), acknowledged_at(1)])
            .when(dispatch)
            .then([dispatched]);
    }

    #[test]
    fn what_is_over_is_over() {
        let acknowledge = |alert| Command::Acknowledge { alert, at: at(1) };
        given::<AlertLine>([raised(), acknowledged_at(0)])
            .when(acknowledge(ONE))
            .then_refused(Refusal::AlreadyAcknowledged);
        given::<AlertLine>([raised(), resolved()])
            .when(acknowledge(ONE))
            .then_refused(Refusal::AlreadyResolved);
        given::<AlertLine>([raised()])
            .when(acknowledge(Uuid::from_u128(9)))
            .then_refused(Refusal::Unknown);
        given::<AlertLine>([raised(), resolved()])
            .when(Command::Clear { at: at(40) })
            .then([]);
        given::<AlertLine>([raised()])
            .when(Command::Clear { at: at(40) })
            .then([Event::Resolved {
                alert: ONE,
                outcome: AlertOutcome::SelfCleared,
                at: at(40),
            }]);
    }
}
