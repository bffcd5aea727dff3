//! What operators see: log lines, traces that follow a request through the system, and metrics.
//!
//! Everything goes through `tracing`; with `telemetry.otlp_endpoint` set, traces and metrics go to an
//! OpenTelemetry collector. A collector that is absent costs nothing but the figures.
//! No personal data belongs in any of them.
//!
//! A caller's `traceparent` goes on through its call, the append, and each projection and reactor that the record passes. Lines of JSON
//! name the trace in which they were written.
//!
//! Which metrics, spans and attributes there are, and what they mean, stands in one place: `deploy/observability/telemetry.yaml`. A test of
//! `integration-tests` compares it with what a running system sends.

mod lines;

use std::{io::IsTerminal as _, os::unix::fs::OpenOptionsExt as _, time::Duration};

use http::HeaderMap;
use opentelemetry::{
    KeyValue,
    propagation::{Extractor, Injector, TextMapPropagator as _},
    trace::{TraceContextExt as _, TracerProvider as _},
};
use opentelemetry_otlp::{MetricExporter, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::{
    Resource,
    metrics::{PeriodicReader, SdkMeterProvider},
    propagation::TraceContextPropagator,
    trace::{Sampler, SdkTracerProvider},
};
use tonic::metadata::{MetadataKey, MetadataMap};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::{
    EnvFilter, Layer as _,
    filter::{FilterExt as _, LevelFilter, Targets, filter_fn},
    fmt::writer::BoxMakeWriter,
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};
use uuid::Uuid;

use crate::{
    access,
    settings::{self, AccessLog, LogFormat},
};

use self::lines::{Traced, WithTrace};

/// How long export may take at the end.
const LAST_EXPORT: Duration = Duration::from_secs(5);

/// The transport's own spans would trace the export of traces.
const NOT_TRACED: &str = "h2=off,hyper=off,hyper_util=off,tonic=off,tower=off,opentelemetry=off";

/// Telemetry under way; [`Telemetry::flush`] sends the rest at the end.
#[derive(Debug, Default)]
#[must_use = "the last figures are lost without `flush`"]
pub struct Telemetry {
    traces: Option<SdkTracerProvider>,
    metrics: Option<SdkMeterProvider>,
}

/// Telemetry can't be started.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// `telemetry.log_filter` can't be read.
    #[error("telemetry.log_filter: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// `telemetry.otlp_endpoint` can't be used.
    #[error("telemetry.otlp_endpoint: {0}")]
    Endpoint(#[from] opentelemetry_otlp::ExporterBuildError),
    /// `telemetry.access_log` can't be written.
    #[error("telemetry.access_log: {0}: {1}")]
    AccessLog(std::path::PathBuf, std::io::Error),
    /// The process has a subscriber already.
    #[error("telemetry was started twice in this process")]
    Twice,
}

/// What is logged where configuration says nothing.
const DEFAULT_FILTER: &str = "info";

fn access_log(settings: &settings::Telemetry) -> Result<BoxMakeWriter, TelemetryError> {
    Ok(match settings.access_log.clone().unwrap_or_default() {
        AccessLog::Stderr => BoxMakeWriter::new(std::io::stderr),
        AccessLog::Stdout => BoxMakeWriter::new(std::io::stdout),
        AccessLog::Nowhere => BoxMakeWriter::new(std::io::sink),
        AccessLog::File(path) => {
            let file = std::fs::OpenOptions::new()
                .create(true)
                .append(true)
                .mode(0o600)
                .open(&path);
            let file = file.map_err(|error| TelemetryError::AccessLog(path, error))?;
            BoxMakeWriter::new(std::sync::Mutex::new(file))
        }
    })
}

impl Telemetry {
    /// Starts logs, traces and metrics for this process. Needs a Tokio runtime where an endpoint is set.
    ///
    /// # Errors
    /// A filter or an endpoint that can't be read, or a second start.
    pub fn start(settings: &settings::Telemetry, service: &str) -> Result<Self, TelemetryError> {
        let mut telemetry = Self::default();
        if let Some(endpoint) = &settings.otlp_endpoint {
            let name = settings
                .service_name
                .clone()
                .unwrap_or_else(|| service.to_owned());
            let resource = Resource::builder()
                .with_service_name(name)
                .with_attributes([
                    KeyValue::new("service.namespace", "eldercare"),
                    KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
                    // Replicas tell their figures apart by it.
                    KeyValue::new("service.instance.id", Uuid::new_v4().to_string()),
                ])
                .build();
            telemetry.traces = Some(traces(endpoint, settings.sample_ratio, resource.clone())?);
            telemetry.metrics = Some(metrics(endpoint, settings.metrics_interval, resource)?);
        }
        let spans = telemetry.traces.as_ref().map(|provider| {
            tracing_opentelemetry::layer()
                .with_tracer(provider.tracer("eldercare"))
                .with_location(false)
                .with_threads(false)
                .with_tracked_inactivity(false)
                .with_target(false)
                .with_filter(EnvFilter::new(format!("info,{NOT_TRACED}")))
        });
        let filter = settings.log_filter.as_deref().unwrap_or(DEFAULT_FILTER);
        let filter = EnvFilter::builder().parse(filter)?;
        // Access records are no matter of levels: they have a layer of their own. The hint says that this adds no level:
        // without one, every span and event of every library would be asked about before it is passed over.
        let not_access = filter_fn(|metadata| metadata.target() != access::TARGET)
            .with_max_level_hint(LevelFilter::TRACE);
        let filter = filter.and(not_access);
        let records = tracing_subscriber::fmt::layer()
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .with_writer(access_log(settings)?)
            .with_filter(Targets::new().with_target(access::TARGET, tracing::Level::INFO));
        let traced = Traced::default();
        let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
        let lines = match settings.log_format {
            LogFormat::Human => lines.with_ansi(std::io::stderr().is_terminal()).boxed(),
            LogFormat::Json => {
                let traced = traced.clone();
                let lines = lines.json().flatten_event(true);
                lines
                    .map_event_format(|line| WithTrace { line, traced })
                    .boxed()
            }
        };
        tracing_subscriber::registry()
            .with(spans)
            .with(records)
            .with(lines.with_filter(filter))
            .try_init()
            .map_err(|_| TelemetryError::Twice)?;
        tracing::dispatcher::get_default(|subscriber| traced.by(subscriber));
        if let Some(metrics) = &telemetry.metrics {
            opentelemetry::global::set_meter_provider(metrics.clone());
        }
        // For spans that belong to several traces at once, as those of a projection's batch.
        if let Some(traces) = &telemetry.traces {
            opentelemetry::global::set_tracer_provider(traces.clone());
        }
        Ok(telemetry)
    }

    /// Sends what has not been sent yet, for a few seconds at most. A collector that is absent is
    /// noted in the log and no failure.
    pub async fn flush(self) {
        // The exporters wait for their own threads, so not on a thread of the runtime.
        let sent = tokio::task::spawn_blocking(move || {
            let traces = self
                .traces
                .map(|traces| traces.shutdown_with_timeout(LAST_EXPORT));
            let metrics = self
                .metrics
                .map(|metrics| metrics.shutdown_with_timeout(LAST_EXPORT));
            traces.into_iter().chain(metrics).find_map(Result::err)
        });
        if let Ok(Ok(Some(error))) = tokio::time::timeout(2 * LAST_EXPORT, sent).await {
            tracing::warn!(%error, "the last telemetry could not be sent");
        }
    }
}

fn traces(
    endpoint: &str,
    ratio: f64,
    resource: Resource,
) -> Result<SdkTracerProvider, TelemetryError> {
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .build()?;
    Ok(SdkTracerProvider::builder()
        .with_resource(resource)
        .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(
            ratio,
        ))))
        .with_batch_exporter(exporter)
        .build())
}

fn metrics(
    endpoint: &str,
    interval: Duration,
    resource: Resource,
) -> Result<SdkMeterProvider, TelemetryError> {
    let exporter = MetricExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .build()?;
    let reader = PeriodicReader::builder(exporter)
        .with_interval(interval)
        .build();
    Ok(SdkMeterProvider::builder()
        .with_resource(resource)
        .with_reader(reader)
        .build())
}

/// The present span as W3C `traceparent`, to be kept with a record; `None` where nothing is traced.
pub fn traceparent() -> Option<String> {
    let mut carried = Carried::default();
    TraceContextPropagator::new().inject_context(&Span::current().context(), &mut carried);
    carried.traceparent
}

/// Makes `span` the child of a span elsewhere, known by its `traceparent`. Call it before the span is entered.
pub fn follow(span: &Span, traceparent: &str) {
    let carried = Carried {
        traceparent: Some(traceparent.to_owned()),
    };
    follow_carrier(span, &carried);
}

/// A span for work on a record, in the trace of the request that wrote it:
/// `async { … }.instrument(telemetry::span_of("on_visit_missed", record.metadata.traceparent.as_deref()))`.
pub fn span_of(what: &str, traceparent: Option<&str>) -> Span {
    let span = tracing::info_span!(
        "work",
        otel.name = what,
        otel.kind = "consumer",
        messaging.system = "nats",
        "messaging.operation.type" = "process",
    );
    if let Some(traceparent) = traceparent {
        follow(&span, traceparent);
    }
    span
}

/// Takes the present trace along on a call to another service.
pub fn inject(metadata: &mut MetadataMap) {
    TraceContextPropagator::new()
        .inject_context(&Span::current().context(), &mut Outgoing(metadata));
}

/// Makes `span` the child of the caller's.
pub(crate) fn follow_headers(span: &Span, headers: &HeaderMap) {
    if headers.contains_key("traceparent") {
        follow_carrier(span, &Incoming(headers));
    }
}

fn follow_carrier(span: &Span, carrier: &dyn Extractor) {
    let context =
        TraceContextPropagator::new().extract_with_context(&opentelemetry::Context::new(), carrier);
    if context.span().span_context().is_valid() {
        // Fails only where nothing is traced.
        let _ = span.set_parent(context);
    }
}

#[derive(Default)]
struct Carried {
    traceparent: Option<String>,
}

impl Injector for Carried {
    fn set(&mut self, key: &str, value: String) {
        if key == "traceparent" {
            self.traceparent = Some(value);
        }
    }
}

impl Extractor for Carried {
    fn get(&self, key: &str) -> Option<&str> {
        if key == "traceparent" {
            self.traceparent.as_deref()
        } else {
            None
        }
    }

    fn keys(&self) -> Vec<&str> {
        vec!["traceparent"]
    }
}

struct Incoming<'a>(&'a HeaderMap);

impl Extractor for Incoming<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}

struct Outgoing<'a>(&'a mut MetadataMap);

impl Injector for Outgoing<'_> {
    fn set(&mut self, key: &str, value: String) {
        if let (Ok(key), Ok(value)) = (MetadataKey::from_bytes(key.as_bytes()), value.parse()) {
            self.0.insert(key, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_sdk::trace::SdkTracerProvider;

    use super::*;

    #[test]
    fn a_trace_goes_on_from_a_stored_traceparent_and_travels_along_calls() {
        let provider = SdkTracerProvider::builder().build();
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, || {
            let stored = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
            let span = span_of("on_visit_missed", Some(stored));
            let _entered = span.enter();
            let here = traceparent().unwrap();
            assert_eq!(here[..35], stored[..35], "another trace");
            assert_ne!(here, stored, "it is a span of its own");
            let mut metadata = MetadataMap::new();
            inject(&mut metadata);
            assert_eq!(metadata.get("traceparent").unwrap().to_str().unwrap(), here);
        });
    }

    #[test]
    fn a_traceparent_that_is_none_begins_a_new_trace_or_none() {
        let span = span_of("work", Some("nonsense"));
        assert!(span.in_scope(traceparent).is_none());
    }
}
