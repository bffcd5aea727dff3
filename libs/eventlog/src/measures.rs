//! What an operator wants to know about the log: how much is written, how fast, and how often writers collide.

use std::time::Duration;

use opentelemetry::{
    KeyValue, global,
    metrics::{Counter, Histogram},
};

#[derive(Debug, Clone)]
pub(crate) struct Measures {
    stream: [KeyValue; 1],
    appended: Counter<u64>,
    conflicts: Counter<u64>,
    batch_size: Histogram<u64>,
    unreadable: Counter<u64>,
    latency: Histogram<f64>,
}

impl Measures {
    /// Bound to the meter provider of this moment: telemetry is started before a log is opened.
    pub(crate) fn of(stream: &str) -> Self {
        let meter = global::meter("eventlog");
        Self {
            stream: [KeyValue::new("stream", stream.to_owned())],
            appended: meter
                .u64_counter("eventlog.appended")
                .with_unit("{record}")
                .with_description("Records that the log acknowledged")
                .build(),
            conflicts: meter
                .u64_counter("eventlog.conflicts")
                .with_unit("{append}")
                .with_description("Appends refused since the aggregate had moved on")
                .build(),
            batch_size: meter
                .u64_histogram("eventlog.batch.size")
                .with_unit("{record}")
                .with_description("Records written together in one atomic batch")
                .with_boundaries(vec![
                    1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 1024.0,
                ])
                .build(),
            unreadable: meter
                .u64_counter("eventlog.unreadable")
                .with_unit("{message}")
                .with_description("Messages of the log that are no records")
                .build(),
            latency: meter
                .f64_histogram("eventlog.append.duration")
                .with_unit("s")
                .with_description("From an append's beginning to its acknowledgement")
                .with_boundaries(vec![
                    0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0,
                    5.0,
                ])
                .build(),
        }
    }

    pub(crate) fn appended(&self, records: usize, took: Duration) {
        self.appended.add(records as u64, &self.stream);
        self.latency.record(took.as_secs_f64(), &self.stream);
    }

    pub(crate) fn conflicted(&self) {
        self.conflicts.add(1, &self.stream);
    }

    pub(crate) fn gathered(&self, records: usize) {
        self.batch_size.record(records as u64, &self.stream);
    }

    pub(crate) fn unreadable(&self) {
        self.unreadable.add(1, &self.stream);
    }
}
