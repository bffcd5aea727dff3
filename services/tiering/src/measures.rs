//! What an operator sees of the evaluator: how many elders it judges, how many tiers change, how many days it is behind.

use chrono::{DateTime, Utc};
use opentelemetry::metrics::{Counter, Gauge};
use opentelemetry::{KeyValue, global};
use service::Lateness;

/// As whom the evaluator tells how far it is, and parks what it can't read.
pub(crate) const NAME: &str = "tiering evaluator";

/// The evaluator's figures.
#[derive(Clone, Debug)]
pub(crate) struct Measures {
    judged: Counter<u64>,
    written: Counter<u64>,
    late: Lateness,
    days_behind: Gauge<i64>,
}

impl Measures {
    pub(crate) fn new() -> Self {
        let meter = global::meter("tiering");
        Self {
            judged: meter
                .u64_counter("eldercare.tiering.judged")
                .with_unit("{elder}")
                .with_description("Elders judged anew, by what made it necessary")
                .build(),
            written: meter
                .u64_counter("eldercare.tiering.written")
                .with_unit("{record}")
                .with_description("Records written about tiers")
                .build(),
            late: Lateness::of(NAME),
            days_behind: meter
                .i64_gauge("eldercare.tiering.days.behind")
                .with_unit("{day}")
                .with_description("Days that have begun and are not judged yet")
                .build(),
        }
    }

    pub(crate) fn judged(&self, elders: usize, occasion: &'static str) {
        let occasion = KeyValue::new("eldercare.tiering.occasion", occasion);
        self.judged.add(elders as u64, &[occasion]);
    }

    pub(crate) fn wrote(&self, records: usize) {
        self.written.add(records as u64, &[]);
    }

    /// All are judged whom the beginning of a day may have changed.
    pub(crate) fn day_done(&self, began: DateTime<Utc>, now: DateTime<Utc>) {
        self.late.done(began, now);
    }

    pub(crate) fn days_behind(&self, days: i64) {
        self.days_behind.record(days, &[]);
    }
}
