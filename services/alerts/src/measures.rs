//! What an operator wants to know of alerts: what is heard, what is raised and how late, and how soon somebody is told.

use chrono::{DateTime, Utc};
use civic::{AlertKind, RecipientRole};
use opentelemetry::metrics::{Counter, Gauge, Histogram};
use opentelemetry::{KeyValue, global};

/// The instruments.
#[derive(Debug, Clone)]
pub(crate) struct Measures {
    heard: Counter<u64>,
    unreadable: Counter<u64>,
    done: Counter<u64>,
    late: Histogram<f64>,
    noticed: Histogram<f64>,
    devices: Gauge<u64>,
}

impl Measures {
    /// Bound to the meter provider of this moment.
    pub(crate) fn new() -> Self {
        let meter = global::meter("alerts");
        Self {
            heard: meter
                .u64_counter("alerts.signals.heard")
                .with_unit("{signal}")
                .with_description("Signals that the watch has heard")
                .build(),
            unreadable: meter
                .u64_counter("alerts.signals.unreadable")
                .with_unit("{message}")
                .with_description("Messages on devices' subjects that are no signals")
                .build(),
            done: meter
                .u64_counter("alerts.deeds")
                .with_unit("{deed}")
                .with_description("What follows from signals and silences, not levels, by kind")
                .build(),
            late: meter
                .f64_histogram("alerts.timer.lateness")
                .with_unit("s")
                .with_description("From when a timer fell due until it fired, before the write")
                .with_boundaries(vec![0.01, 0.05, 0.1, 0.25, 0.5, 1., 5., 30., 300., 3_600.])
                .build(),
            noticed: meter
                .f64_histogram("alerts.notice.delay")
                .with_unit("s")
                .with_description("From an alert's level to somebody who was told of it, by role")
                .with_boundaries(vec![
                    0.05, 0.1, 0.25, 0.5, 1., 2., 5., 15., 60., 300., 3_600.,
                ])
                .build(),
            devices: meter
                .u64_gauge("alerts.devices.watched")
                .with_unit("{device}")
                .with_description("Places of devices in the watch, also those that are free")
                .build(),
        }
    }

    pub(crate) fn heard(&self, signals: u64) {
        self.heard.add(signals, &[]);
    }

    pub(crate) fn unreadable(&self) {
        self.unreadable.add(1, &[]);
    }

    pub(crate) fn watched(&self, devices: usize) {
        self.devices.record(devices as u64, &[]);
    }

    /// A deed of this kind is about to be written.
    pub(crate) fn done(&self, kind: AlertKind) {
        self.done.add(1, &[KeyValue::new("kind", kind.name())]);
    }

    /// A timer was this late.
    pub(crate) fn fired(&self, due: DateTime<Utc>, now: DateTime<Utc>) {
        self.late.record(seconds(due, now), &[]);
    }

    /// Somebody was told.
    pub(crate) fn noticed(&self, role: RecipientRole, due: DateTime<Utc>, now: DateTime<Utc>) {
        self.noticed
            .record(seconds(due, now), &[KeyValue::new("role", role.name())]);
    }
}

fn seconds(from: DateTime<Utc>, to: DateTime<Utc>) -> f64 {
    (to - from).as_seconds_f64().max(0.0)
}
