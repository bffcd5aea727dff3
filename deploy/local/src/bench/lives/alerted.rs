//! The alerts about an elder: a visit that was missed, a call for help, and who was told of them.

use alerts::{
    alert_line::{AlertLine, Cause, Event, LineId, Raised, Source},
    alert_policy::AlertPolicy,
    attempts::{Attempt, Notices, Outcome},
    codec::CONTEXT,
};
use chrono::{DateTime, TimeDelta, Utc};
use civic::{AlertKind, AlertOutcome, DeviceKind, NoticeChannel, RecipientRole, SignalKind};
use eventlog::{Aggregate as _, RawEvent, Subject};
use uuid::Uuid;
use visits::period::Period;

use super::{IDS, Life};
use crate::bench::people::day;

/// The day of the calls.
const CALLS: &str = "2024-11-11";

impl Life {
    /// How many turns a line of alerts has: the alert, what joined it, and five steps of its course.
    pub(in crate::bench) const LINE: usize = 6;

    /// Whether there is an alert of this kind about the elder.
    pub(in crate::bench) fn is_alerted(&self, kind: AlertKind) -> bool {
        if kind == AlertKind::VisitMissed {
            self.missed().is_some()
        } else {
            self.has_called()
        }
    }

    /// The line of the elder's alerts of a kind.
    pub(in crate::bench) fn line(&self, kind: AlertKind) -> Subject {
        self.alerts_subject(AlertLine::NAME, kind)
    }

    /// What is said on it: of a missed visit that it was missed, of a call how help came.
    pub(in crate::bench) fn line_goes_on(&self, kind: AlertKind, turn: usize) -> Vec<RawEvent> {
        let event = if kind != AlertKind::VisitMissed {
            self.call(turn)
        } else if turn == 0 {
            self.missed_visit()
        } else {
            None
        };
        event.iter().map(AlertLine::encode).collect()
    }

    /// Who was told of the alerts of a line.
    pub(in crate::bench) fn notices(&self, kind: AlertKind) -> Subject {
        self.alerts_subject(Notices::NAME, kind)
    }

    /// That somebody was told, as in each alert at least.
    pub(in crate::bench) fn told(&self, kind: AlertKind) -> Vec<RawEvent> {
        let (at, role) = if kind == AlertKind::VisitMissed {
            (Self::settled_on().end(), RecipientRole::VillageCommittee)
        } else {
            (self.called_at(), RecipientRole::DutyCentre)
        };
        let attempt = Attempt {
            notice: self.id(&format!("notice {kind}")),
            alert: self.alert(kind),
            level: 0,
            recipient: Uuid::new_v5(&IDS, self.person.village_code().as_bytes()),
            role,
            channel: NoticeChannel::Sms,
            number: 1,
            at: at + TimeDelta::seconds(2),
            alerts: 1,
            outcome: Outcome::Sent { reference: None },
        };
        vec![Notices::encode(&attempt)]
    }

    fn alerts_subject(&self, aggregate: &str, kind: AlertKind) -> Subject {
        let line = LineId::of_elder(kind, self.elder()).to_string();
        Subject::new(CONTEXT, aggregate, &line).expect("the name of a line is a token")
    }

    fn alert(&self, kind: AlertKind) -> Uuid {
        self.id(&format!("alert {kind}"))
    }

    fn raised(&self, kind: AlertKind, at: DateTime<Utc>, cause: Cause) -> Event {
        Event::Raised(Raised {
            alert: self.alert(kind),
            kind,
            elder: self.elder(),
            village: Some(self.village()),
            at,
            cause,
            levels: AlertPolicy::default().levels(kind, at),
        })
    }

    fn missed_visit(&self) -> Option<Event> {
        let period: Period = self.missed()?;
        let cause = Cause::MissedVisit {
            first: period.first_day(),
            last: period.last_day(),
            campaign: None,
        };
        Some(self.raised(AlertKind::VisitMissed, period.end(), cause))
    }

    fn called_at(&self) -> DateTime<Utc> {
        let seconds = self.number().cast_signed() % 600_000;
        day(CALLS).start() + TimeDelta::seconds(seconds)
    }

    /// How a call goes on: most are taken on, and most are over in the end.
    fn call(&self, turn: usize) -> Option<Event> {
        let number = self.number() / super::CALLED;
        let (kind, at) = (AlertKind::Sos, self.called_at());
        let alert = self.alert(kind);
        let after = |minutes: i64| at + TimeDelta::minutes(minutes);
        match turn {
            0 => Some(self.raised(kind, at, self.press(0))),
            1 => Some(Event::Joined {
                alert,
                joined_as: self.id("pressed again"),
                cause: self.press(1),
                at: after(1),
            }),
            2 if number % 5 < 3 => Some(Event::Escalated {
                alert,
                level: 1,
                at: after(2),
            }),
            3 if number % 4 < 3 => Some(Event::Acknowledged {
                alert,
                at: after(3),
            }),
            4 if number.is_multiple_of(2) => Some(Event::Dispatched {
                alert,
                at: after(5),
            }),
            5 if number % 7 < 6 => Some(Event::Resolved {
                alert,
                outcome: AlertOutcome::Assisted,
                at: after(40),
            }),
            _ => None,
        }
    }

    fn press(&self, nth: u64) -> Cause {
        Cause::Signal(Source {
            device: self.device().parse().expect("the id of a device"),
            device_kind: DeviceKind::SosButton,
            signal: format!("S{}-{nth}", self.number()),
            kind: SignalKind::Press,
            sequence: 2 * self.number() + nth + 1,
        })
    }
}
