//! What an operator sees of notices: how many attempts there are by each channel, how they end, and how long they take.

use std::time::Duration;

use civic::NoticeChannel;
use opentelemetry::{
    KeyValue, global,
    metrics::{Counter, Histogram},
};

use crate::{Delivered, Failure};

#[derive(Debug, Clone)]
pub(crate) struct Measures {
    attempts: Counter<u64>,
    seconds: Histogram<f64>,
}

impl Measures {
    /// Bound to the meter provider of this moment: telemetry is started before channels are opened.
    pub(crate) fn new() -> Self {
        let meter = global::meter("notices");
        Self {
            attempts: meter
                .u64_counter("eldercare.notices.attempts")
                .with_unit("{attempt}")
                .with_description("Attempts to tell somebody, by how they ended")
                .build(),
            seconds: meter
                .f64_histogram("eldercare.notices.attempt.duration")
                .with_unit("s")
                .with_description("Time an attempt to tell somebody takes")
                .with_boundaries(vec![
                    0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
                    30.0,
                ])
                .build(),
        }
    }

    pub(crate) fn ended(
        &self,
        channel: NoticeChannel,
        outcome: &Result<Delivered, Failure>,
        took: Duration,
    ) {
        let channel = KeyValue::new("eldercare.notice.channel", channel.name());
        let outcome = match outcome {
            Ok(_) => "DELIVERED",
            Err(failure) => failure.reason().code(),
        };
        self.seconds
            .record(took.as_secs_f64(), std::slice::from_ref(&channel));
        let outcome = KeyValue::new("eldercare.outcome", outcome);
        self.attempts.add(1, &[channel, outcome]);
    }
}
