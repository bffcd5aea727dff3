//! What an operator wants to know of alerts: what is heard, what is raised, how soon somebody is told, and how far help has come.

use chrono::{DateTime, Utc};
use civic::{AlertKind, RecipientRole};
use opentelemetry::metrics::{Counter, Gauge, Histogram};
use opentelemetry::{KeyValue, global};
use service::Lateness;

/// The instruments.
#[derive(Debug, Clone)]
pub(crate) struct Measures {
    heard: Counter<u64>,
    unreadable: Counter<u64>,
    done: Counter<u64>,
    late: Lateness,
    noticed: Histogram<f64>,
    stepped: Histogram<f64>,
    devices: Gauge<u64>,
}

impl Measures {
    /// Bound to the meter provider of this moment.
    pub(crate) fn new() -> Self {
        let meter = global::meter("alerts");
        Self {
            heard: meter
                .u64_counter("eldercare.alerts.signals.heard")
                .with_unit("{signal}")
                .with_description("Signals that the watch has heard")
                .build(),
            unreadable: meter
                .u64_counter("eldercare.alerts.signals.unreadable")
                .with_unit("{message}")
                .with_description("Messages on devices' subjects that are no signals")
                .build(),
            done: meter
                .u64_counter("eldercare.alerts.deeds")
                .with_unit("{deed}")
                .with_description("What follows from signals and silences, not levels, by kind")
                .build(),
            late: Lateness::of("alerts watching"),
            noticed: meter
                .f64_histogram("eldercare.alerts.notice.delay")
                .with_unit("s")
                .with_description("From an alert's level to somebody who was told of it, by role")
                .with_boundaries(vec![
                    0.05, 0.1, 0.25, 0.5, 1., 2., 5., 15., 60., 300., 3_600.,
                ])
                .build(),
            stepped: meter
                .f64_histogram("eldercare.alerts.step.delay")
                .with_unit("s")
                .with_description("From what an alert is about to each step of its course")
                .with_boundaries(vec![
                    0.1, 0.5, 1., 5., 15., 60., 120., 300., 600., 1_800., 3_600., 14_400., 86_400.,
                ])
                .build(),
            devices: meter
                .u64_gauge("eldercare.alerts.devices.watched")
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
        self.done.add(1, &[of_kind(kind)]);
    }

    /// A timer was this late.
    pub(crate) fn fired(&self, due: DateTime<Utc>, now: DateTime<Utc>) {
        self.late.done(due, now);
    }

    /// Somebody was told.
    pub(crate) fn noticed(&self, role: RecipientRole, due: DateTime<Utc>, now: DateTime<Utc>) {
        let role = KeyValue::new("eldercare.recipient.role", role.name());
        self.noticed.record(seconds(due, now), &[role]);
    }

    /// An alert of this kind, about what happened at an instant, has come to a step of its course.
    pub(crate) fn stepped(
        &self,
        step: &'static str,
        kind: AlertKind,
        from: DateTime<Utc>,
        at: DateTime<Utc>,
    ) {
        let step = KeyValue::new("eldercare.alert.step", step);
        self.stepped
            .record(seconds(from, at), &[of_kind(kind), step]);
    }
}

/// The attribute that says what an alert is about.
pub(crate) fn of_kind(kind: AlertKind) -> KeyValue {
    KeyValue::new("eldercare.alert.kind", kind.name())
}

/// From one instant to another.
pub(crate) fn seconds(from: DateTime<Utc>, to: DateTime<Utc>) -> f64 {
    (to - from).as_seconds_f64().max(0.0)
}
