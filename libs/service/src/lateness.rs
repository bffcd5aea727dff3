//! How late what falls due by the clock is done, as operators see it.

use chrono::{DateTime, Utc};
use opentelemetry::{KeyValue, global, metrics::Histogram};

use crate::clock::Clock;

/// How late the timers of one kind are. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Lateness {
    lateness: Histogram<f64>,
    labels: [KeyValue; 1],
}

impl Lateness {
    /// Of the timers of this name, bound to the meter provider of this moment.
    #[must_use]
    pub fn of(timer: &'static str) -> Self {
        Self {
            lateness: global::meter("eldercare.timers")
                .f64_histogram("eldercare.timer.lateness")
                .with_unit("s")
                .with_description(
                    "From when something fell due until it was done, by the clock of the domain",
                )
                .with_boundaries(vec![
                    0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 300.0, 3_600.0,
                ])
                .build(),
            labels: [KeyValue::new("eldercare.timer", timer)],
        }
    }

    /// Something that fell due is done now.
    pub fn done(&self, due: DateTime<Utc>, now: DateTime<Utc>) {
        self.lateness.record(seconds_late(due, now), &self.labels);
    }
}

/// Has each export of figures tell for how long the next timer of this name has been due; `next` says when it falls due, as far as this
/// process knows. What is never done shows here, where it is late for nobody.
pub fn watch_overdue(
    timer: &'static str,
    clock: Clock,
    next: impl Fn() -> Option<DateTime<Utc>> + Send + Sync + 'static,
) {
    let labels = [KeyValue::new("eldercare.timer", timer)];
    global::meter("eldercare.timers")
        .f64_observable_gauge("eldercare.timer.overdue")
        .with_unit("s")
        .with_description("For how long the next timer has been due")
        .with_callback(move |observer| {
            if let Some(due) = next() {
                observer.observe(seconds_late(due, clock.now()), &labels);
            }
        })
        .build();
}

fn seconds_late(due: DateTime<Utc>, now: DateTime<Utc>) -> f64 {
    (now - due).as_seconds_f64().max(0.0)
}
