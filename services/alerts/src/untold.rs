//! Of which levels of alerts nobody was told yet, as operators see it: that a call for help reaches nobody is the worst that can happen
//! here.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use civic::AlertKind;
use opentelemetry::global;
use opentelemetry::metrics::Counter;
use service::Clock;
use uuid::Uuid;

use crate::measures::{of_kind, seconds};

/// The levels that are to be told of. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Untold {
    waiting: Arc<Mutex<Waiting>>,
    undelivered: Counter<u64>,
}

/// By alert and level: of what kind it is, and since when somebody is to be told.
type Waiting = HashMap<(Uuid, u8), (AlertKind, DateTime<Utc>)>;

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
                    let of_it = waiting.values().filter(|(other, _)| other == kind);
                    let oldest = of_it.map(|(_, since)| *since).min();
                    let waits = oldest.map_or(0.0, |since| seconds(since, now));
                    observer.observe(waits, &[of_kind(*kind)]);
                }
            })
            .build();
        Self {
            waiting,
            undelivered: meter
                .u64_counter("eldercare.alerts.undelivered")
                .with_unit("{level}")
                .with_description("Levels that were given up and of which nobody was told, by kind")
                .build(),
        }
    }

    /// Forgets all: whoever tells begins anew.
    pub(crate) fn forget(&self) {
        locked(&self.waiting).clear();
    }

    /// Somebody is to be told of a level, since it was due.
    pub(crate) fn waits(&self, alert: Uuid, level: u8, kind: AlertKind, due: DateTime<Utc>) {
        locked(&self.waiting).insert((alert, level), (kind, due));
    }

    /// Somebody was told, or nobody needs to be any more.
    pub(crate) fn settled(&self, alert: Uuid, level: u8) {
        locked(&self.waiting).remove(&(alert, level));
    }

    /// Whether nobody was told.
    pub(crate) fn is_waiting(&self, alert: Uuid, level: u8) -> bool {
        locked(&self.waiting).contains_key(&(alert, level))
    }

    /// Nobody was told, and nobody will be.
    pub(crate) fn given_up(&self, alert: Uuid, level: u8) {
        if let Some((kind, _)) = locked(&self.waiting).remove(&(alert, level)) {
            self.undelivered.add(1, &[of_kind(kind)]);
        }
    }
}

fn locked(waiting: &Mutex<Waiting>) -> MutexGuard<'_, Waiting> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}
