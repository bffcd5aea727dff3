//! When the next level of each open alert is due, by the events of their lines.

use std::collections::{BTreeSet, HashMap, VecDeque};

use chrono::{DateTime, Utc};
use civic::VillageCode;
use uuid::Uuid;

use crate::alert_line::{Event, LineId};

/// The levels that are to come, of all alerts that nobody has taken on.
#[derive(Clone, Debug, Default)]
pub struct Levels {
    waiting: HashMap<Uuid, Waiting>,
    /// The next level of each alert that was not handed out as due yet.
    next: BTreeSet<(DateTime<Utc>, Uuid)>,
}

/// An alert that waits for its next level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Its line.
    pub line: LineId,
    /// Where the elder lived.
    pub village: Option<VillageCode>,
    /// When its levels are due, the next one first.
    pub due: VecDeque<DateTime<Utc>>,
}

impl Levels {
    /// Takes in what happened on a line.
    pub fn follow(&mut self, line: &LineId, event: &Event) {
        match event {
            Event::Raised(raised) => {
                let at_once = raised.level_at_once();
                let later = raised.levels.iter();
                let due: VecDeque<_> = later
                    .filter(|level| at_once != Some(level.level))
                    .map(|level| level.at)
                    .collect();
                let waiting = Waiting {
                    line: line.clone(),
                    village: raised.village,
                    due,
                };
                self.wait(raised.alert, waiting);
            }
            Event::Escalated { alert, .. } => {
                if let Some(mut waiting) = self.forget(*alert) {
                    waiting.due.pop_front();
                    self.wait(*alert, waiting);
                }
            }
            Event::Acknowledged { alert, .. } | Event::Resolved { alert, .. } => {
                self.forget(*alert);
            }
            Event::WentOffline { .. }
            | Event::CameOnline { .. }
            | Event::Joined { .. }
            | Event::Noted { .. }
            | Event::Assigned { .. }
            | Event::Dispatched { .. }
            | Event::Arrived { .. } => {}
        }
    }

    /// An alert waits for its levels.
    pub fn wait(&mut self, alert: Uuid, waiting: Waiting) {
        // The same event may be taken in again.
        self.forget(alert);
        if let Some(due) = waiting.due.front() {
            self.next.insert((*due, alert));
            self.waiting.insert(alert, waiting);
        }
    }

    fn forget(&mut self, alert: Uuid) -> Option<Waiting> {
        let waiting = self.waiting.remove(&alert)?;
        if let Some(due) = waiting.due.front() {
            self.next.remove(&(*due, alert));
        }
        Some(waiting)
    }

    /// When the next level is due.
    #[must_use]
    pub fn first(&self) -> Option<DateTime<Utc>> {
        self.next.first().map(|(at, _)| *at)
    }

    /// The alerts of which a level is due by an instant, each once until its line tells what came of it.
    pub fn due(&mut self, until: DateTime<Utc>) -> Vec<(Uuid, DateTime<Utc>, Waiting)> {
        let mut found = Vec::new();
        while let Some((at, alert)) = self.next.first().copied()
            && at <= until
        {
            self.next.pop_first();
            if let Some(waiting) = self.waiting.get(&alert) {
                found.push((alert, at, waiting.clone()));
            }
        }
        found
    }

    /// All that waits.
    pub fn waiting(&self) -> impl Iterator<Item = (&Uuid, &Waiting)> {
        self.waiting.iter()
    }
}

#[cfg(test)]
mod tests {
    use civic::{AlertKind, ElderId};

    use super::*;
    use crate::alert_line::{Cause, Raised};
    use crate::alert_policy::AlertPolicy;

    const ONE: Uuid = Uuid::from_u128(1);

    fn at(minute: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(minute * 60, 0).unwrap()
    }

    fn raised() -> Event {
        Event::Raised(Raised {
            alert: ONE,
            kind: AlertKind::Sos,
            elder: ElderId(ONE),
            village: None,
            at: at(0),
            cause: Cause::Request,
            levels: AlertPolicy::default().levels(AlertKind::Sos, at(0)),
        })
    }

    fn followed(events: &[Event]) -> Levels {
        let line = LineId::of_elder(AlertKind::Sos, ElderId(ONE));
        let mut levels = Levels::default();
        for event in events {
            levels.follow(&line, event);
        }
        levels
    }

    #[test]
    fn each_level_is_handed_out_once_and_then_the_next() {
        let mut levels = followed(&[raised()]);
        assert_eq!(levels.first(), Some(at(2)));
        assert!(levels.due(at(1)).is_empty());
        assert_eq!(levels.due(at(2)).len(), 1);
        assert!(levels.due(at(9)).is_empty());
        let line = LineId::of_elder(AlertKind::Sos, ElderId(ONE));
        levels.follow(
            &line,
            &Event::Escalated {
                alert: ONE,
                level: 1,
                at: at(2),
            },
        );
        assert_eq!(levels.first(), Some(at(5)));
    }

    #[test]
    fn who_was_answered_waits_no_more() {
        let acknowledged = Event::Acknowledged {
            alert: ONE,
            at: at(1),
        };
        let levels = followed(&[raised(), acknowledged]);
        assert_eq!(levels.first(), None);
        assert_eq!(levels.waiting().count(), 0);
    }

    #[test]
    fn what_is_told_again_is_waited_for_once() {
        let mut levels = followed(&[raised(), raised()]);
        assert_eq!(levels.due(at(2)).len(), 1);
    }
}
