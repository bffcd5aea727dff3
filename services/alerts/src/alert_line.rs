//! The alerts of one kind about one elder, or about one device: they follow each other, and at most one of them is open.
//!
//! Rule: section 4, "Life".

mod line_id;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use civic::{
    AlertKind, AlertOutcome, DeviceKind, ElderId, LocalDay, Severity, SignalKind, VillageCode,
};
use decider::Decider;
use uuid::Uuid;

pub use self::line_id::{About, LineId, LineIdError};
use crate::alert_policy::LevelDue;
use crate::signal::DeviceId;

/// A line of alerts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlertLine {
    /// The newest, open or not.
    newest: Option<Alert>,
    /// Those that are resolved.
    resolved: BTreeSet<Uuid>,
    /// Which alert each request joined that raised none.
    joined: BTreeMap<Uuid, Uuid>,
    /// Of DEVICE_OFFLINE: whether the device is off line, also where somebody resolved the alert meanwhile.
    offline: bool,
}

/// An alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// As it was raised.
    pub raised: Raised,
    /// How far help has come.
    pub stage: Stage,
    /// How many further signals joined it.
    pub joined: u32,
    /// The highest level that was reached; none where it has no levels, or none was due yet.
    pub level: Option<u8>,
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

/// A signal that an alert comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Who sent it.
    pub device: DeviceId,
    /// What that is.
    pub device_kind: DeviceKind,
    /// The device's id of it.
    pub signal: String,
    /// What it says.
    pub kind: SignalKind,
    /// Its sequence in the stream of signals.
    pub sequence: u64,
}

/// What an alert comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A signal.
    Signal(Source),
    /// Nothing came for too long, of water or at all.
    Silence {
        /// Of which device.
        device: DeviceId,
        /// What that is.
        device_kind: DeviceKind,
        /// Since when.
        since: DateTime<Utc>,
    },
    /// A visit was missed.
    MissedVisit {
        /// The first day of the period.
        first: LocalDay,
        /// The last day, included.
        last: LocalDay,
        /// The campaign, if it was owed in one.
        campaign: Option<Uuid>,
    },
    /// Somebody asked for it: the hotline, or another service.
    Request,
}

impl Cause {
    /// The device that it is about.
    #[must_use]
    pub fn device(&self) -> Option<(&DeviceId, DeviceKind)> {
        match self {
            Self::Signal(source) => Some((&source.device, source.device_kind)),
            Self::Silence {
                device,
                device_kind,
                ..
            } => Some((device, *device_kind)),
            Self::MissedVisit { .. } | Self::Request => None,
        }
    }
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
    /// Where the elder lived then, as far as that is known.
    pub village: Option<VillageCode>,
    /// When it happened: not when that arrived.
    pub at: DateTime<Utc>,
    /// What it comes from.
    pub cause: Cause,
    /// When its levels are reached, in their order.
    pub levels: Vec<LevelDue>,
}

impl Raised {
    /// How urgent it is.
    #[must_use]
    pub fn severity(&self) -> Severity {
        self.kind.severity()
    }

    /// The level that is reached with it.
    #[must_use]
    pub fn level_at_once(&self) -> Option<u8> {
        let first = self.levels.first();
        first
            .filter(|level| level.at <= self.at)
            .map(|level| level.level)
    }

    /// One of its levels.
    pub(crate) fn level(&self, level: u8) -> Option<&LevelDue> {
        self.levels.iter().find(|due| due.level == level)
    }

    /// Since when somebody is to be told of a level.
    pub(crate) fn due_since(&self, level: u8) -> DateTime<Utc> {
        self.level(level).map_or(self.at, |due| due.at)
    }
}

/// What is asked of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Raises an alert; where one is open, what comes of a signal or a request joins it.
    Raise(Raised),
    /// Notes in the course of the open alert that something was heard.
    Note {
        /// What.
        source: Source,
        /// When.
        at: DateTime<Utc>,
    },
    /// The levels of the open alert that are due by an instant, included, are reached.
    Escalate {
        /// The alert.
        alert: Uuid,
        /// The instant.
        until: DateTime<Utc>,
    },
    /// Somebody takes it on.
    Acknowledge {
        /// The alert.
        alert: Uuid,
        /// When.
        at: DateTime<Utc>,
    },
    /// It is somebody's.
    Assign {
        /// The alert.
        alert: Uuid,
        /// Whose.
        recipient: Uuid,
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
        /// The device.
        device: DeviceId,
        /// When.
        at: DateTime<Utc>,
    },
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A device went off line.
    WentOffline {
        /// Which.
        device: DeviceId,
        /// When.
        at: DateTime<Utc>,
    },
    /// A device is heard again.
    CameOnline {
        /// Which.
        device: DeviceId,
        /// When.
        at: DateTime<Utc>,
    },
    /// An alert was raised.
    Raised(Raised),
    /// Something further joined it.
    Joined {
        /// The alert.
        alert: Uuid,
        /// The id that it would have had, had none been open.
        joined_as: Uuid,
        /// What it came from.
        cause: Cause,
        /// When.
        at: DateTime<Utc>,
    },
    /// Something was heard meanwhile.
    Noted {
        /// The alert.
        alert: Uuid,
        /// What.
        source: Source,
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
    /// It is somebody's.
    Assigned {
        /// The alert.
        alert: Uuid,
        /// Whose.
        recipient: Uuid,
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
    /// Only a device that is heard again ends an alert so.
    OutcomeOfDevices,
}

impl AlertLine {
    /// The alert that is open.
    #[must_use]
    pub fn open(&self) -> Option<&Alert> {
        let newest = self.newest.as_ref();
        newest.filter(|alert| alert.stage != Stage::Resolved)
    }

    /// The newest alert, open or not.
    #[must_use]
    pub fn newest(&self) -> Option<&Alert> {
        self.newest.as_ref()
    }

    /// The alert that came of a request to raise one of this id: that one, or else the one that it joined.
    #[must_use]
    pub fn raised_by(&self, alert: Uuid) -> Uuid {
        self.joined.get(&alert).copied().unwrap_or(alert)
    }

    /// The open alert, if it is this one.
    fn open_one(&self, alert: Uuid) -> Result<&Alert, Refusal> {
        match self.open() {
            Some(open) if open.raised.alert == alert => Ok(open),
            Some(_) | None if self.resolved.contains(&alert) => Err(Refusal::AlreadyResolved),
            Some(_) | None => Err(Refusal::Unknown),
        }
    }

    /// What a person did to an alert: the levels that were due before it, and that somebody has taken it on with it.
    fn taken_on(&self, alert: Uuid, at: DateTime<Utc>, then: Event) -> Result<Vec<Event>, Refusal> {
        let open = self.open_one(alert)?;
        let mut events: Vec<Event> = open.due(|due| due < at).collect();
        if open.stage == Stage::Raised {
            events.push(Event::Acknowledged { alert, at });
        }
        events.push(then);
        Ok(events)
    }

    fn raise(&self, raised: &Raised) -> Vec<Event> {
        let mut events = Vec::new();
        if raised.kind == AlertKind::DeviceOffline
            && !self.offline
            && let Some((device, _)) = raised.cause.device()
        {
            events.push(Event::WentOffline {
                device: device.clone(),
                at: raised.at,
            });
        }
        match (self.open(), &raised.cause) {
            (None, _) => events.push(Event::Raised(raised.clone())),
            // What falls due while an alert is open neither raises nor joins.
            (Some(_), Cause::Silence { .. }) => {}
            (Some(open), Cause::Signal(_) | Cause::MissedVisit { .. } | Cause::Request) => {
                events.push(Event::Joined {
                    alert: open.raised.alert,
                    joined_as: raised.alert,
                    cause: raised.cause.clone(),
                    at: raised.at,
                });
            }
        }
        events
    }
}

impl Alert {
    /// When the next level is due, while nobody has taken the alert on.
    #[must_use]
    pub fn next_due(&self) -> Option<DateTime<Utc>> {
        self.waiting().next().map(|level| level.at)
    }

    /// The levels that are yet to be reached.
    fn waiting(&self) -> impl Iterator<Item = &LevelDue> {
        let reached = self.level;
        self.raised
            .levels
            .iter()
            .filter(move |level| self.stage == Stage::Raised && Some(level.level) > reached)
    }

    /// Those of them that are due.
    fn due(&self, is_due: impl Fn(DateTime<Utc>) -> bool) -> impl Iterator<Item = Event> {
        let alert = self.raised.alert;
        self.waiting()
            .take_while(move |level| is_due(level.at))
            .map(move |level| Event::Escalated {
                alert,
                level: level.level,
                at: level.at,
            })
    }
}

impl Decider for AlertLine {
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Refusal> {
        match command {
            Command::Raise(raised) => Ok(self.raise(raised)),
            Command::Note { source, at } => Ok(self
                .open()
                .map(|open| Event::Noted {
                    alert: open.raised.alert,
                    source: source.clone(),
                    at: *at,
                })
                .into_iter()
                .collect()),
            Command::Escalate { alert, until } => Ok(match self.open_one(*alert) {
                Ok(open) => open.due(|due| due <= *until).collect(),
                Err(_) => vec![],
            }),
            Command::Acknowledge { alert, at } => {
                let open = self.open_one(*alert)?;
                if open.stage != Stage::Raised {
                    return Err(Refusal::AlreadyAcknowledged);
                }
                let mut events: Vec<Event> = open.due(|due| due < *at).collect();
                events.push(Event::Acknowledged {
                    alert: *alert,
                    at: *at,
                });
                Ok(events)
            }
            Command::Assign {
                alert,
                recipient,
                at,
            } => {
                let assigned = Event::Assigned {
                    alert: *alert,
                    recipient: *recipient,
                    at: *at,
                };
                self.taken_on(*alert, *at, assigned)
            }
            Command::Dispatch { alert, at } => {
                let dispatched = Event::Dispatched {
                    alert: *alert,
                    at: *at,
                };
                self.taken_on(*alert, *at, dispatched)
            }
            Command::Arrive { alert, at } => {
                let arrived = Event::Arrived {
                    alert: *alert,
                    at: *at,
                };
                self.taken_on(*alert, *at, arrived)
            }
            Command::Resolve {
                outcome: AlertOutcome::SelfCleared,
                ..
            } => Err(Refusal::OutcomeOfDevices),
            Command::Resolve { alert, outcome, at } => {
                let open = self.open_one(*alert)?;
                let mut events: Vec<Event> = open.due(|due| due < *at).collect();
                events.push(Event::Resolved {
                    alert: *alert,
                    outcome: *outcome,
                    at: *at,
                });
                Ok(events)
            }
            Command::Clear { device, at } => {
                let came = self.offline.then(|| Event::CameOnline {
                    device: device.clone(),
                    at: *at,
                });
                let resolved = self.open().map(|open| Event::Resolved {
                    alert: open.raised.alert,
                    outcome: AlertOutcome::SelfCleared,
                    at: *at,
                });
                Ok(came.into_iter().chain(resolved).collect())
            }
        }
    }

    fn evolve(mut self, event: &Event) -> Self {
        match event {
            Event::WentOffline { .. } => self.offline = true,
            Event::CameOnline { .. } => self.offline = false,
            Event::Raised(raised) => {
                self.newest = Some(Alert {
                    raised: raised.clone(),
                    stage: Stage::Raised,
                    joined: 0,
                    level: raised.level_at_once(),
                });
            }
            Event::Joined {
                alert,
                joined_as,
                cause,
                ..
            } => {
                self.change(|alert| alert.joined += 1);
                // Who asked may ask again, and is answered as before. A signal asks nothing.
                if !matches!(cause, Cause::Signal(_)) {
                    self.joined.insert(*joined_as, *alert);
                }
            }
            Event::Escalated { level, .. } => self.change(|alert| alert.level = Some(*level)),
            Event::Acknowledged { .. } => self.change(|alert| alert.stage = Stage::Acknowledged),
            Event::Dispatched { .. } => self.change(|alert| alert.stage = Stage::Dispatched),
            Event::Resolved { alert, .. } => {
                self.change(|alert| alert.stage = Stage::Resolved);
                self.resolved.insert(*alert);
            }
            Event::Noted { .. } | Event::Assigned { .. } | Event::Arrived { .. } => {}
        }
        self
    }
}

impl AlertLine {
    fn change(&mut self, change: impl FnOnce(&mut Alert)) {
        if let Some(newest) = &mut self.newest {
            change(newest);
        }
    }
}

#[cfg(test)]
mod tests;
