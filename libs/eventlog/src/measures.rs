//! What an operator wants to know about the log: how much is written, how fast, how often writers collide, and what becomes of commands.

use std::time::Duration;

use opentelemetry::{
    KeyValue, global,
    metrics::{Counter, Histogram},
};

use crate::{
    command::{Committed, ExecuteError},
    log::AppendError,
};

/// The instruments of one stream.
#[derive(Debug, Clone)]
pub(crate) struct Measures {
    stream: [KeyValue; 1],
    appended: Counter<u64>,
    refused: Counter<u64>,
    batch_size: Histogram<u64>,
    unreadable: Counter<u64>,
    duration: Histogram<f64>,
}

impl Measures {
    /// Bound to the meter provider of this moment: telemetry is started before a log is opened.
    pub(crate) fn of(stream: &str) -> Self {
        let meter = global::meter("eventlog");
        Self {
            stream: [KeyValue::new(
                "messaging.destination.name",
                stream.to_owned(),
            )],
            appended: meter
                .u64_counter("eldercare.log.appended")
                .with_unit("{record}")
                .with_description("Records that the log acknowledged")
                .build(),
            refused: meter
                .u64_counter("eldercare.log.append.refused")
                .with_unit("{append}")
                .with_description("Appends that were not acknowledged, by the reason")
                .build(),
            batch_size: meter
                .u64_histogram("eldercare.log.batch.size")
                .with_unit("{record}")
                .with_description("Records written together in one atomic batch")
                .with_boundaries(vec![
                    1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 1024.0,
                ])
                .build(),
            unreadable: meter
                .u64_counter("eldercare.log.unreadable")
                .with_unit("{message}")
                .with_description("Messages of the log that are no records")
                .build(),
            duration: meter
                .f64_histogram("eldercare.log.append.duration")
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
        self.duration.record(took.as_secs_f64(), &self.stream);
    }

    pub(crate) fn refused(&self, error: &AppendError) {
        let [stream] = self.stream.clone();
        let reason = KeyValue::new("error.type", error_type(error));
        self.refused.add(1, &[stream, reason]);
    }

    pub(crate) fn gathered(&self, records: usize) {
        self.batch_size.record(records as u64, &self.stream);
    }

    pub(crate) fn unreadable(&self) {
        self.unreadable.add(1, &self.stream);
    }
}

/// Why an append was not acknowledged, as metrics and spans name it.
pub(crate) fn error_type(error: &AppendError) -> &'static str {
    match error {
        AppendError::Conflict { .. } => "CONFLICT",
        AppendError::TooLarge => "TOO_LARGE",
        AppendError::Invalid(_) => "INVALID",
        AppendError::Unavailable(_) => "UNAVAILABLE",
    }
}

/// What becomes of the commands of one kind of aggregate.
#[derive(Debug, Clone)]
pub(crate) struct Commands {
    aggregate: KeyValue,
    ended: Counter<u64>,
}

impl Commands {
    /// Bound to the meter provider of this moment.
    pub(crate) fn of(context: &str, aggregate: &str) -> Self {
        Self {
            aggregate: KeyValue::new("eldercare.aggregate", format!("{context}.{aggregate}")),
            ended: global::meter("eventlog")
                .u64_counter("eldercare.commands")
                .with_unit("{command}")
                .with_description("Commands of single aggregates, by what became of them")
                .build(),
        }
    }

    pub(crate) fn ended<A, R>(&self, executed: &Result<Committed<A>, ExecuteError<R>>) {
        let outcome = match executed {
            Ok(committed) if committed.repeated => "REPEATED",
            Ok(committed) if committed.changed => "ACCEPTED",
            Ok(_) => "UNCHANGED",
            Err(ExecuteError::Refused(_)) => "REFUSED",
            Err(ExecuteError::RequestIdReused) => "REQUEST_ID_REUSED",
            Err(ExecuteError::Contended) => "CONTENDED",
            Err(ExecuteError::TooLarge) => "TOO_LARGE",
            Err(ExecuteError::Invalid(_)) => "INVALID",
            Err(ExecuteError::Unreadable { .. }) => "UNREADABLE",
            Err(ExecuteError::Unavailable(_)) => "UNAVAILABLE",
        };
        let outcome = KeyValue::new("eldercare.outcome", outcome);
        self.ended.add(1, &[self.aggregate.clone(), outcome]);
    }
}
