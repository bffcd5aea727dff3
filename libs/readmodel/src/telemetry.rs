//! What an operator sees of a read model: how far it lags, how large its bites are, what it passed by; and its part in a trace.

use std::collections::VecDeque;
use std::time::{Instant, SystemTime};

use eventlog::Record;
use opentelemetry::metrics::{Counter, Gauge, Histogram};
use opentelemetry::trace::{
    SpanContext, SpanId, SpanKind, TraceContextExt, TraceFlags, TraceId, TraceState, Tracer,
    TracerProvider,
};
use opentelemetry::{Context, KeyValue, global};

/// At most so many spans a transaction; a bulk load has none.
const SPANS: usize = 100;

/// The instruments of one projection.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    lag_events: Gauge<u64>,
    lag_seconds: Gauge<f64>,
    batch: Histogram<u64>,
    seconds: Histogram<f64>,
    parked: Counter<u64>,
    failures: Counter<u64>,
    labels: [KeyValue; 1],
}

impl Metrics {
    pub(crate) fn new(projection: &'static str) -> Self {
        let meter = global::meter("readmodel");
        Self {
            lag_events: meter
                .u64_gauge("readmodel.lag.events")
                .with_description("Events in the log that the read model does not hold yet")
                .build(),
            lag_seconds: meter
                .f64_gauge("readmodel.lag.time")
                .with_unit("s")
                .with_description("For how long the read model has been behind")
                .build(),
            batch: meter
                .u64_histogram("readmodel.batch.size")
                .with_boundaries(vec![
                    1., 2., 5., 10., 50., 100., 500., 1_000., 5_000., 20_000.,
                ])
                .with_description("Records a transaction")
                .build(),
            seconds: meter
                .f64_histogram("readmodel.apply.duration")
                .with_unit("s")
                .with_boundaries(vec![
                    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1., 5.,
                ])
                .with_description("Time a transaction takes")
                .build(),
            parked: meter
                .u64_counter("readmodel.parked")
                .with_description("Events passed by")
                .build(),
            failures: meter
                .u64_counter("readmodel.failures")
                .with_description("Times that the runner had to start over")
                .build(),
            labels: [KeyValue::new("projection", projection)],
        }
    }

    pub(crate) fn applied(&self, records: usize, took: std::time::Duration, parked: u64) {
        self.batch.record(records as u64, &self.labels);
        self.seconds.record(took.as_secs_f64(), &self.labels);
        if parked > 0 {
            self.parked.add(parked, &self.labels);
        }
    }

    pub(crate) fn failed(&self) {
        self.failures.add(1, &self.labels);
    }

    pub(crate) fn lag(&self, lag: &mut Lag, head: u64, sequence: u64) {
        let seconds = lag.measure(head, sequence, Instant::now());
        self.lag_events
            .record(head.saturating_sub(sequence), &self.labels);
        self.lag_seconds.record(seconds, &self.labels);
    }
}

/// For how long a read model has been behind its stream.
///
/// Not by the times in the events, which follow the clock of the domain, but by when their sequences were first seen.
#[derive(Debug, Default)]
pub(crate) struct Lag {
    heads: VecDeque<(u64, Instant)>,
}

impl Lag {
    fn measure(&mut self, head: u64, sequence: u64, now: Instant) -> f64 {
        if self.heads.back().is_none_or(|(last, _)| *last < head) {
            self.heads.push_back((head, now));
        }
        while self
            .heads
            .front()
            .is_some_and(|(head, _)| *head <= sequence)
        {
            self.heads.pop_front();
        }
        // A day of heartbeats far behind is enough to know.
        if self.heads.len() > 50_000 {
            self.heads.remove(1);
        }
        self.heads
            .front()
            .map_or(0., |(_, since)| now.duration_since(*since).as_secs_f64())
    }
}

/// Where the traced requests of a batch pass through the read model.
///
/// Takes the batch's trace contexts before it is applied, and writes the spans afterwards.
pub(crate) struct Traces {
    parents: Vec<SpanContext>,
    start: SystemTime,
}

impl Traces {
    pub(crate) fn of(records: &[Record]) -> Self {
        let parents = records
            .iter()
            .filter_map(|record| record.metadata.traceparent.as_deref().and_then(sampled))
            .take(SPANS)
            .collect();
        Self {
            parents,
            start: SystemTime::now(),
        }
    }

    pub(crate) fn applied(self, projection: &'static str) {
        if self.parents.is_empty() {
            return;
        }
        let tracer = global::tracer_provider().tracer("readmodel");
        for parent in self.parents {
            let builder = tracer
                .span_builder(format!("project {projection}"))
                .with_kind(SpanKind::Consumer)
                .with_start_time(self.start);
            // Ends when dropped.
            drop(
                builder
                    .start_with_context(&tracer, &Context::new().with_remote_span_context(parent)),
            );
        }
    }
}

/// The context of a W3C `traceparent`, if its trace is recorded.
fn sampled(traceparent: &str) -> Option<SpanContext> {
    let mut parts = traceparent.split('-');
    let (_, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()?);
    let context = SpanContext::new(
        TraceId::from_hex(trace).ok()?,
        SpanId::from_hex(span).ok()?,
        flags,
        true,
        TraceState::default(),
    );
    (flags.is_sampled() && context.is_valid()).then_some(context)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_lag_counts_from_when_the_oldest_missing_event_was_seen() {
        let mut lag = Lag::default();
        let start = Instant::now();
        assert_eq!(lag.measure(10, 10, start), 0.);
        assert_eq!(lag.measure(20, 10, start), 0.);
        assert_eq!(lag.measure(30, 12, start + Duration::from_secs(2)), 2.);
        assert_eq!(lag.measure(30, 20, start + Duration::from_secs(3)), 1.);
        assert_eq!(lag.measure(30, 30, start + Duration::from_secs(4)), 0.);
    }

    #[test]
    fn only_recorded_traces_are_followed() {
        assert!(sampled("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").is_some());
        assert!(sampled("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00").is_none());
        assert!(sampled("00-00000000000000000000000000000000-b7ad6b7169203331-01").is_none());
        assert!(sampled("rubbish").is_none());
    }
}
