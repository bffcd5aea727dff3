//! A collector of telemetry that keeps what it is sent, over OTLP as services send it.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use opentelemetry_proto::tonic::{
    collector::{
        metrics::v1::{
            ExportMetricsServiceRequest, ExportMetricsServiceResponse,
            metrics_service_server::{MetricsService, MetricsServiceServer},
        },
        trace::v1::{
            ExportTraceServiceRequest, ExportTraceServiceResponse,
            trace_service_server::{TraceService, TraceServiceServer},
        },
    },
    common::v1::{KeyValue, any_value::Value},
    metrics::v1::{Metric, metric::Data},
    resource::v1::Resource,
    trace::v1::{Span, span::SpanKind},
};
use prost::Message;
use tokio::sync::watch;
use tonic::{
    Request, Response, Status,
    transport::{Server, server::TcpIncoming},
};

/// Attributes by name, with all values that were sent.
pub type Attributes = BTreeMap<String, BTreeSet<String>>;

/// The largest message that it takes: the figures of a busy system are many.
const LARGEST: usize = 64 << 20;

/// A collector. Clones share what it was sent.
#[derive(Clone, Debug)]
pub struct Collector {
    address: SocketAddr,
    sent: Arc<Mutex<Sent>>,
    /// Counts what came.
    came: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Sent {
    traces: Vec<ExportTraceServiceRequest>,
    metrics: Vec<ExportMetricsServiceRequest>,
}

/// A span as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentSpan {
    /// Its name.
    pub name: String,
    /// `SERVER`, `CLIENT`, `PRODUCER`, `CONSUMER` or `INTERNAL`.
    pub kind: String,
    /// The trace's id, in hexadecimal digits.
    pub trace: String,
    /// Its own id.
    pub id: String,
    /// The id of the span that it is a part of; empty where there is none.
    pub parent: String,
    /// Its attributes.
    pub attributes: Attributes,
}

/// A metric as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentMetric {
    /// Its name.
    pub name: String,
    /// Its unit.
    pub unit: String,
    /// `counter`, `updowncounter`, `gauge` or `histogram`.
    pub instrument: &'static str,
    /// The attributes of all its points.
    pub attributes: Attributes,
}

impl Collector {
    /// Serves on a free port of this machine, for as long as the runtime lives.
    ///
    /// # Panics
    /// Where there is no port.
    #[must_use]
    pub fn serve() -> Self {
        let incoming = TcpIncoming::bind(SocketAddr::from(([127, 0, 0, 1], 0)));
        let incoming = incoming.expect("there is a free port");
        let address = incoming.local_addr().expect("a bound port has an address");
        let collector = Self {
            address,
            sent: Arc::default(),
            came: watch::Sender::new(0),
        };
        let traces = TraceServiceServer::new(collector.clone());
        let metrics = MetricsServiceServer::new(collector.clone());
        let server = Server::builder()
            .add_service(traces.max_decoding_message_size(LARGEST))
            .add_service(metrics.max_decoding_message_size(LARGEST));
        tokio::spawn(server.serve_with_incoming(incoming));
        collector
    }

    /// Where it listens, as `telemetry.otlp_endpoint` names it.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The spans that came so far.
    #[must_use]
    pub fn spans(&self) -> Vec<SentSpan> {
        let sent = self.sent();
        let resources = sent.traces.iter().flat_map(|sent| &sent.resource_spans);
        let scopes = resources.flat_map(|resource| &resource.scope_spans);
        scopes
            .flat_map(|scope| scope.spans.iter().map(SentSpan::of))
            .collect()
    }

    /// The metrics that came so far, one of each name, unit and instrument.
    #[must_use]
    pub fn metrics(&self) -> Vec<SentMetric> {
        let sent = self.sent();
        let resources = sent.metrics.iter().flat_map(|sent| &sent.resource_metrics);
        let scopes = resources.flat_map(|resource| &resource.scope_metrics);
        let mut found: BTreeMap<_, Attributes> = BTreeMap::new();
        for metric in scopes.flat_map(|scope| &scope.metrics) {
            let (instrument, points) = points(metric);
            let key = (metric.name.clone(), metric.unit.clone(), instrument);
            add(found.entry(key).or_default(), points);
        }
        let found = found.into_iter();
        found
            .map(|((name, unit, instrument), attributes)| SentMetric {
                name,
                unit,
                instrument,
                attributes,
            })
            .collect()
    }

    /// What whoever sent said of itself.
    #[must_use]
    pub fn resources(&self) -> Vec<Attributes> {
        let sent = self.sent();
        let of_traces = sent.traces.iter().flat_map(|sent| &sent.resource_spans);
        let of_metrics = sent.metrics.iter().flat_map(|sent| &sent.resource_metrics);
        let of_traces = of_traces.filter_map(|sent| sent.resource.as_ref());
        let of_metrics = of_metrics.filter_map(|sent| sent.resource.as_ref());
        of_traces
            .chain(of_metrics)
            .map(|resource: &Resource| attributes(&resource.attributes))
            .collect()
    }

    /// Every byte that came so far.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let sent = self.sent();
        let traces = sent.traces.iter().flat_map(Message::encode_to_vec);
        let metrics = sent.metrics.iter().flat_map(Message::encode_to_vec);
        traces.chain(metrics).collect()
    }

    /// Waits until something is found in what came, as long as it takes.
    pub async fn until<T>(&self, found: impl Fn(&Self) -> Option<T>) -> T {
        let mut came = self.came.subscribe();
        loop {
            came.mark_unchanged();
            if let Some(found) = found(self) {
                return found;
            }
            // The sender lives in `self`.
            let _ = came.changed().await;
        }
    }

    fn sent(&self) -> MutexGuard<'_, Sent> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, keep: impl FnOnce(&mut Sent)) {
        keep(&mut self.sent());
        self.came.send_modify(|came| *came += 1);
    }
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.keep(|sent| sent.traces.push(request.into_inner()));
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Collector {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        self.keep(|sent| sent.metrics.push(request.into_inner()));
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}

impl SentSpan {
    fn of(span: &Span) -> Self {
        let kind = SpanKind::try_from(span.kind).unwrap_or(SpanKind::Unspecified);
        let kind = kind.as_str_name().trim_start_matches("SPAN_KIND_");
        Self {
            name: span.name.clone(),
            kind: kind.to_owned(),
            trace: hexadecimal(&span.trace_id),
            id: hexadecimal(&span.span_id),
            parent: hexadecimal(&span.parent_span_id),
            attributes: attributes(&span.attributes),
        }
    }
}

/// The instrument of a metric, and the attributes of its points.
fn points(metric: &Metric) -> (&'static str, Vec<&[KeyValue]>) {
    match &metric.data {
        Some(Data::Sum(sum)) => {
            let points = sum.data_points.iter();
            let instrument = if sum.is_monotonic {
                "counter"
            } else {
                "updowncounter"
            };
            (instrument, points.map(|point| &*point.attributes).collect())
        }
        Some(Data::Gauge(gauge)) => {
            let points = gauge.data_points.iter();
            ("gauge", points.map(|point| &*point.attributes).collect())
        }
        Some(Data::Histogram(histogram)) => {
            let points = histogram.data_points.iter();
            (
                "histogram",
                points.map(|point| &*point.attributes).collect(),
            )
        }
        Some(Data::ExponentialHistogram(_) | Data::Summary(_)) | None => ("unknown", Vec::new()),
    }
}

fn attributes(attributes: &[KeyValue]) -> Attributes {
    let mut found = Attributes::new();
    add(&mut found, [attributes]);
    found
}

fn add<'sent>(found: &mut Attributes, points: impl IntoIterator<Item = &'sent [KeyValue]>) {
    for attribute in points.into_iter().flatten() {
        let value = attribute.value.as_ref();
        let value = match value.and_then(|value| value.value.as_ref()) {
            Some(Value::StringValue(text)) => text.clone(),
            Some(Value::BoolValue(value)) => value.to_string(),
            Some(Value::IntValue(number)) => number.to_string(),
            Some(Value::DoubleValue(number)) => number.to_string(),
            other => format!("{other:?}"),
        };
        let values = found.entry(attribute.key.clone()).or_default();
        values.insert(value);
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
