//! Of which levels of alerts nobody was told yet, as operators see it: that a call for help reaches nobody is the worst that can happen
//! here.
//!
//! What was given up is counted in this process, and lost with it until the next export of figures. So it is put behind us only
//! a while later, and whoever comes by it again counts it once more as long as the alarm would look at it: better twice than
//! never. Meanwhile it waits, as far as the gauge says: of a process that counts as soon as it starts, nobody sees the increase.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use civic::AlertKind;
use opentelemetry::global;
use opentelemetry::metrics::Counter;
use service::Clock;
use tokio::time::Instant;
use uuid::Uuid;

use crate::measures::{of_kind, seconds};

/// How far back the alarm looks at what was given up (`SosUndelivered` in `deploy/observability/rules/homes.yaml`).
const ALARMED_FOR: TimeDelta = TimeDelta::minutes(15);
/// By then figures were exported (`telemetry.metrics_interval`) and fetched, also that a level has waited for over a minute, at
/// which the alarm is raised.
const EXPORTED_AFTER: Duration = Duration::from_secs(2 * 60);

/// The levels that are to be told of. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Untold {
    waiting: Arc<Mutex<Waiting>>,
    undelivered: Counter<u64>,
}

/// A level of an alert.
type Level = (Uuid, u8);

#[derive(Debug, Default)]
struct Waiting {
    levels: HashMap<Level, Nobody>,
    /// What was counted lately, as it came, with the record that led to it.
    counted: VecDeque<(Instant, u64, Level)>,
    /// The same, by its place in the log.
    records: BTreeSet<(u64, Level)>,
}

/// Of what nobody was told.
#[derive(Debug, Clone, Copy)]
struct Nobody {
    kind: AlertKind,
    /// Since when somebody is to be told.
    since: DateTime<Utc>,
    given_up: bool,
}

impl Waiting {
    /// Its kind, where it waits.
    fn give_up(&mut self, level: Level, record: u64, now: Instant) -> Option<AlertKind> {
        let waiting = self.levels.get_mut(&level);
        let waiting = waiting.filter(|waiting| !waiting.given_up)?;
        waiting.given_up = true;
        self.counted.push_back((now, record, level));
        self.records.insert((record, level));
        Some(waiting.kind)
    }

    /// Puts behind us what operators see by now; the first record of what is left.
    fn first_counted(&mut self, now: Instant) -> Option<u64> {
        while let Some((since, record, level)) = self.counted.front().copied()
            && now.saturating_duration_since(since) >= EXPORTED_AFTER
        {
            self.counted.pop_front();
            self.records.remove(&(record, level));
            self.levels.remove(&level);
        }
        self.records.first().map(|(record, _)| *record)
    }
}

impl Untold {
    /// None yet. Each export of figures looks at them, by the clock.
    pub(crate) fn watched(clock: Clock) -> Self {
        let waiting: Arc<Mutex<Waiting>> = Arc::default();
        let looked_at = Arc::clone(&waiting);
        let meter = global::meter("alerts");
        meter
            .f64_observable_gauge("eldercare.alerts.untold.duration")
            .with_unit("s")
            .with_description(
                "For how long the oldest level has waited of which nobody was told, by kind",
            )
            .with_callback(move |observer| {
                let (now, waiting) = (clock.now(), locked(&looked_at));
                for kind in AlertKind::ALL {
                    let levels = waiting.levels.values();
                    let of_it = levels.filter(|level| level.kind == *kind);
                    let oldest = of_it.map(|level| level.since).min();
                    let waits = oldest.map_or(0.0, |since| seconds(since, now));
                    observer.observe(waits, &[of_kind(*kind)]);
                }
            })
            .build();
        let undelivered = meter
            .u64_counter("eldercare.alerts.undelivered")
            .with_unit("{level}")
            .with_description("Levels that were given up and of which nobody was told, by kind")
            .build();
        // The first of them shall be seen as an increase.
        for kind in AlertKind::ALL {
            undelivered.add(0, &[of_kind(*kind)]);
        }
        Self {
            waiting,
            undelivered,
        }
    }

    /// Forgets all: whoever tells begins anew.
    pub(crate) fn forget(&self) {
        *locked(&self.waiting) = Waiting::default();
    }

    /// Somebody is to be told of a level, since it was due.
    pub(crate) fn waits(&self, alert: Uuid, level: u8, kind: AlertKind, due: DateTime<Utc>) {
        let nobody = Nobody {
            kind,
            since: due,
            given_up: false,
        };
        locked(&self.waiting).levels.insert((alert, level), nobody);
    }

    /// Somebody was told, or nobody needs to be any more.
    pub(crate) fn settled(&self, alert: Uuid, level: u8) {
        locked(&self.waiting).levels.remove(&(alert, level));
    }

    /// Whether nobody was told.
    pub(crate) fn is_waiting(&self, alert: Uuid, level: u8) -> bool {
        let waiting = locked(&self.waiting);
        waiting.levels.contains_key(&(alert, level))
    }

    /// Nobody was told of what this record of our own log says, and nobody will be.
    pub(crate) fn given_up(&self, alert: Uuid, level: u8, record: u64) {
        let given_up = locked(&self.waiting).give_up((alert, level), record, Instant::now());
        if let Some(kind) = given_up {
            self.undelivered.add(1, &[of_kind(kind)]);
        }
    }

    /// The first record in the log of which nobody was told, and that so lately that operators may not see it yet.
    pub(crate) fn first_counted_lately(&self, now: Instant) -> Option<u64> {
        locked(&self.waiting).first_counted(now)
    }
}

/// Whether a level of which nobody was told, as was on record before since an instant, was counted then by whoever led; or so
/// long ago that it makes no difference.
pub(crate) fn is_counted(ended_before: Option<DateTime<Utc>>, now: DateTime<Utc>) -> bool {
    ended_before.is_some_and(|ended| now - ended > ALARMED_FOR)
}

fn locked(waiting: &Mutex<Waiting>) -> MutexGuard<'_, Waiting> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ended_while_the_alarm_would_look_at_it_is_counted_again() {
        let now = DateTime::UNIX_EPOCH + TimeDelta::days(1);
        let counted = |minutes: i64| is_counted(Some(now - TimeDelta::minutes(minutes)), now);
        assert!(!is_counted(None, now), "it ends now");
        assert_eq!([0, 15, 16].map(counted), [false, false, true]);
    }

    /// Of which nobody was told, by the number of the alert.
    fn nobody(waiting: &mut Waiting, alert: u128) -> Level {
        let level = (Uuid::from_u128(alert), 0);
        let nobody = Nobody {
            kind: AlertKind::Sos,
            since: DateTime::UNIX_EPOCH,
            given_up: false,
        };
        waiting.levels.insert(level, nobody);
        level
    }

    #[test]
    fn what_was_given_up_is_counted_once_and_waits_until_operators_see_it() {
        let (mut waiting, now) = (Waiting::default(), Instant::now());
        let level = nobody(&mut waiting, 1);
        assert_eq!(waiting.give_up(level, 9, now), Some(AlertKind::Sos));
        assert_eq!(waiting.give_up(level, 9, now), None);
        let unknown = (Uuid::from_u128(2), 0);
        assert_eq!(waiting.give_up(unknown, 5, now), None);
        assert_eq!(waiting.first_counted(now), Some(9));
        assert!(waiting.levels.contains_key(&level));
        assert_eq!(waiting.first_counted(now + EXPORTED_AFTER), None);
        assert!(waiting.levels.is_empty());
    }

    #[test]
    fn of_what_was_counted_lately_the_first_in_the_log_is_not_put_behind_us() {
        let (mut waiting, began) = (Waiting::default(), Instant::now());
        let after = |seconds| began + Duration::from_secs(seconds);
        for (alert, record, seconds) in [(1, 3, 0), (2, 5, 10), (3, 4, 20)] {
            let level = nobody(&mut waiting, alert);
            waiting.give_up(level, record, after(seconds));
        }
        let first = [0, 119, 120, 130, 139, 140].map(|at| waiting.first_counted(after(at)));
        let [three, four] = [Some(3), Some(4)];
        assert_eq!(first, [three, three, four, four, four, None]);
    }

    #[test]
    fn whoever_begins_anew_holds_nothing_back() {
        let untold = Untold::watched(Clock::system());
        let alert = Uuid::from_u128(1);
        untold.waits(alert, 0, AlertKind::Sos, DateTime::UNIX_EPOCH);
        untold.given_up(alert, 0, 7);
        assert_eq!(untold.first_counted_lately(Instant::now()), Some(7));
        untold.forget();
        assert_eq!(untold.first_counted_lately(Instant::now()), None);
    }
}
