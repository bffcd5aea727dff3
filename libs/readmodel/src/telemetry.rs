//! What an operator sees of read models and readers: how far they lag, how large their bites are, what they passed by; and their part
//! in a trace.

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
    batch: Histogram<u64>,
    duration: Histogram<f64>,
    failures: Counter<u64>,
    labels: [KeyValue; 1],
}

impl Metrics {
    pub(crate) fn new(projection: &'static str) -> Self {
        let meter = global::meter("readmodel");
        Self {
            batch: meter
                .u64_histogram("eldercare.projection.batch.size")
                .with_unit("{record}")
                .with_boundaries(vec![
                    1., 2., 5., 10., 50., 100., 500., 1_000., 5_000., 20_000.,
                ])
                .with_description("Records a transaction")
                .build(),
            duration: meter
                .f64_histogram("eldercare.projection.apply.duration")
                .with_unit("s")
                .with_boundaries(vec![
                    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1., 5.,
                ])
                .with_description("Time a transaction takes")
                .build(),
            failures: meter
                .u64_counter("eldercare.projection.failures")
                .with_unit("{failure}")
                .with_description("Times that the runner had to start over")
                .build(),
            labels: [KeyValue::new("eldercare.projection", projection)],
        }
    }

    pub(crate) fn applied(&self, records: usize, took: std::time::Duration) {
        self.batch.record(records as u64, &self.labels);
        self.duration.record(took.as_secs_f64(), &self.labels);
    }

    pub(crate) fn failed(&self) {
        self.failures.add(1, &self.labels);
    }
}

/// The failures of one reader.
#[derive(Debug)]
pub(crate) struct Failures {
    failures: Counter<u64>,
    labels: [KeyValue; 1],
}

impl Failures {
    pub(crate) fn of(reader: &str) -> Self {
        Self {
            failures: global::meter("readmodel")
                .u64_counter("eldercare.reader.failures")
                .with_unit("{failure}")
                .with_description("Times that a reader had to start over")
                .build(),
            labels: [KeyValue::new("eldercare.reader", reader.to_owned())],
        }
    }

    pub(crate) fn failed(&self) {
        self.failures.add(1, &self.labels);
    }
}

/// Who may be behind a stream.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Follows {
    /// A read model or a reactor.
    Projection,
    /// A reader with tables of its own.
    Reader,
}

impl Follows {
    const fn attribute(self) -> &'static str {
        match self {
            Self::Projection => "eldercare.projection",
            Self::Reader => "eldercare.reader",
        }
    }
}

/// What was passed by and still lies there.
#[derive(Debug)]
pub(crate) struct PassedBy {
    parked: Gauge<u64>,
    labels: [KeyValue; 1],
}

impl PassedBy {
    pub(crate) fn by(who: Follows, name: &str) -> Self {
        let who = who.attribute();
        Self {
            parked: global::meter("readmodel")
                .u64_gauge(format!("{who}.parked"))
                .with_unit("{event}")
                .with_description("Events that were passed by and still lie there")
                .build(),
            labels: [KeyValue::new(who, name.to_owned())],
        }
    }

    pub(crate) fn counted(&self, events: u64) {
        self.parked.record(events, &self.labels);
    }
}

/// How far something is behind a stream: in records, and for how long.
#[derive(Debug)]
pub(crate) struct Lag {
    records: Gauge<u64>,
    duration: Gauge<f64>,
    labels: [KeyValue; 2],
    backlog: Backlog,
}

impl Lag {
    pub(crate) fn of(who: Follows, name: &str, stream: &str) -> Self {
        let who = who.attribute();
        let meter = global::meter("readmodel");
        Self {
            records: meter
                .u64_gauge(format!("{who}.lag.records"))
                .with_unit("{record}")
                .with_description("Records in the log that are not dealt with yet")
                .build(),
            duration: meter
                .f64_gauge(format!("{who}.lag.duration"))
                .with_unit("s")
                .with_description("For how long there have been some")
                .build(),
            labels: [
                KeyValue::new(who, name.to_owned()),
                KeyValue::new("messaging.destination.name", stream.to_owned()),
            ],
            backlog: Backlog::default(),
        }
    }

    pub(crate) fn measured(&mut self, head: u64, reached: u64) {
        let seconds = self.backlog.measure(head, reached, Instant::now());
        self.records
            .record(head.saturating_sub(reached), &self.labels);
        self.duration.record(seconds, &self.labels);
    }
}

/// For how long something has been behind its stream.
///
/// Not by the times in the events, which follow the clock of the domain, but by when their sequences were first seen.
#[derive(Debug, Default)]
struct Backlog {
    heads: VecDeque<(u64, Instant)>,
}

impl Backlog {
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

/// What is done with the records of a log, as their traces tell of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// A read model takes them in.
    Project,
    /// Something follows from them.
    React,
    /// Others are told of them.
    Publish,
}

impl Work {
    const fn name(self) -> &'static str {
        match self {
            Self::Project => "project",
            Self::React => "react",
            Self::Publish => "publish",
        }
    }

    fn attributes(self, by: &str) -> (SpanKind, Vec<KeyValue>) {
        let (kind, key, operation) = match self {
            Self::Project => (SpanKind::Consumer, "eldercare.projection", "process"),
            Self::React => (SpanKind::Consumer, "eldercare.reader", "process"),
            Self::Publish => (SpanKind::Producer, "eldercare.reader", "send"),
        };
        let attributes = vec![
            KeyValue::new("messaging.system", "nats"),
            KeyValue::new("messaging.operation.name", self.name()),
            KeyValue::new("messaging.operation.type", operation),
            KeyValue::new(key, by.to_owned()),
        ];
        (kind, attributes)
    }
}

/// Where the traced requests of a batch of records pass through what is done with it.
///
/// Takes the batch's trace contexts before that is done, and writes the spans afterwards.
#[derive(Debug)]
pub struct Traces {
    parents: Vec<SpanContext>,
    start: SystemTime,
}

impl Traces {
    /// Those of these records.
    #[must_use]
    pub fn of<'a>(records: impl IntoIterator<Item = &'a Record>) -> Self {
        let of_each = |record: &'a Record| record.metadata.traceparent.as_deref();
        Self::from_here_on(records.into_iter().filter_map(of_each))
    }

    /// Those of these requests, each by its W3C `traceparent`.
    #[must_use]
    pub fn from_here_on<'a>(requests: impl IntoIterator<Item = &'a str>) -> Self {
        let parents = requests.into_iter().filter_map(sampled).take(SPANS);
        Self {
            parents: parents.collect(),
            start: SystemTime::now(),
        }
    }

    /// It is done: each request has a span of it.
    pub fn passed(self, work: Work, by: &str) {
        if self.parents.is_empty() {
            return;
        }
        let tracer = global::tracer_provider().tracer("readmodel");
        for parent in self.parents {
            let (kind, attributes) = work.attributes(by);
            let builder = tracer
                .span_builder(format!("{} {by}", work.name()))
                .with_kind(kind)
                .with_start_time(self.start)
                .with_attributes(attributes);
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
        let mut lag = Backlog::default();
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
