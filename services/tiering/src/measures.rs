//! What an operator sees of the evaluator: how many elders it judges, how many tiers change, how many days it is behind.

use opentelemetry::metrics::{Counter, Gauge};
use opentelemetry::{KeyValue, global};

/// The evaluator's figures.
#[derive(Clone, Debug)]
pub(crate) struct Measures {
    judged: Counter<u64>,
    written: Counter<u64>,
    failures: Counter<u64>,
    days_behind: Gauge<i64>,
}

impl Measures {
    pub(crate) fn new() -> Self {
        let meter = global::meter("tiering");
        Self {
            judged: meter
                .u64_counter("eldercare.tiering.elders_judged")
                .with_description("Elders judged anew, by what made it necessary")
                .build(),
            written: meter
                .u64_counter("eldercare.tiering.tiers_written")
                .with_description("Records written about tiers")
                .build(),
            failures: meter
                .u64_counter("eldercare.tiering.evaluator_failures")
                .with_description("How often the evaluator had to start over")
                .build(),
            days_behind: meter
                .i64_gauge("eldercare.tiering.days_behind")
                .with_description("Days that have begun and are not judged yet")
                .build(),
        }
    }

    pub(crate) fn judged(&self, elders: usize, occasion: &'static str) {
        self.judged
            .add(elders as u64, &[KeyValue::new("occasion", occasion)]);
    }

    pub(crate) fn wrote(&self, records: usize) {
        self.written.add(records as u64, &[]);
    }

    pub(crate) fn failed(&self) {
        self.failures.add(1, &[]);
    }

    pub(crate) fn days_behind(&self, days: i64) {
        self.days_behind.record(days, &[]);
    }
}
