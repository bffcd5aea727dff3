//! What operators get to see of a registration: its trace from call to read model, figures, and nothing about the person. In a process of its own: a process has one telemetry.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

#[path = "service/support/mod.rs"]
mod support;

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
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
    common::v1::any_value::Value,
    metrics::v1::Metric,
    resource::v1::Resource,
    trace::v1::Span,
};
use prost::Message as _;
use service::{Telemetry, settings};
use support::{Running, get, wang_xiuying};
use tonic::{
    Request, Response, Status,
    transport::{Server, server::TcpIncoming},
};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

/// A collector that keeps what it is sent.
#[derive(Clone, Default)]
struct Collector {
    traces: Arc<Mutex<Vec<ExportTraceServiceRequest>>>,
    metrics: Arc<Mutex<Vec<ExportMetricsServiceRequest>>>,
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.traces.lock().unwrap().push(request.into_inner());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Collector {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        self.metrics.lock().unwrap().push(request.into_inner());
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}

impl Collector {
    fn serve(&self) -> SocketAddr {
        let incoming = TcpIncoming::bind(([127, 0, 0, 1], 0).into()).unwrap();
        let address = incoming.local_addr().unwrap();
        let server = Server::builder()
            .add_service(TraceServiceServer::new(self.clone()))
            .add_service(MetricsServiceServer::new(self.clone()));
        tokio::spawn(server.serve_with_incoming(incoming));
        address
    }

    fn spans(&self) -> Vec<Span> {
        let sent = self.traces.lock().unwrap();
        sent.iter()
            .flat_map(|request| &request.resource_spans)
            .flat_map(|resource| &resource.scope_spans)
            .flat_map(|scope| scope.spans.clone())
            .collect()
    }

    fn metrics(&self) -> Vec<Metric> {
        let sent = self.metrics.lock().unwrap();
        sent.iter()
            .flat_map(|request| &request.resource_metrics)
            .flat_map(|resource| &resource.scope_metrics)
            .flat_map(|scope| scope.metrics.clone())
            .collect()
    }

    fn resources(&self) -> Vec<Resource> {
        let traces = self.traces.lock().unwrap();
        let metrics = self.metrics.lock().unwrap();
        let of_traces = traces.iter().flat_map(|request| &request.resource_spans);
        let of_metrics = metrics.iter().flat_map(|request| &request.resource_metrics);
        of_traces
            .filter_map(|sent| sent.resource.clone())
            .chain(of_metrics.filter_map(|sent| sent.resource.clone()))
            .collect()
    }

    /// Every byte that was sent.
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for request in self.traces.lock().unwrap().iter() {
            request.encode(&mut bytes).unwrap();
        }
        for request in self.metrics.lock().unwrap().iter() {
            request.encode(&mut bytes).unwrap();
        }
        bytes
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The names in the table of metrics.
fn documented() -> BTreeSet<&'static str> {
    include_str!("../../../libs/service/src/telemetry.rs")
        .lines()
        .filter_map(|line| line.strip_prefix("//! | `")?.split('`').next())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registration_is_followed_from_call_to_read_model_and_names_nobody() {
    let collector = Collector::default();
    let telemetry = settings::Telemetry {
        otlp_endpoint: Some(format!("http://{}", collector.serve())),
        metrics_interval: Duration::from_millis(200),
        log_filter: Some("off".to_owned()),
        ..settings::Telemetry::default()
    };
    let telemetry = Telemetry::start(&telemetry, "registry").unwrap();
    let running = Running::new().await;
    let mut client = running.client();

    let person = wang_xiuying();
    let mut request = Request::new(person.clone());
    let traceparent = format!("00-{TRACE}-{CALLER}-01");
    request
        .metadata_mut()
        .insert("traceparent", traceparent.parse().unwrap());
    let answer = client.register_elder(request).await.unwrap().into_inner();
    let position = answer.committed.unwrap().position;
    get(&mut client, &answer.elder_id, &position).await;
    let mut wrong = person.clone();
    wrong.id_number = "350524195003120099".to_owned();
    client.register_elder(wrong).await.unwrap_err();
    drop(client);
    running.stop().await;
    telemetry.flush().await;

    let spans = collector.spans();
    let traced: Vec<_> = spans
        .iter()
        .filter(|span| hex(&span.trace_id) == TRACE)
        .collect();
    let named = |name: &str| {
        let found = traced.iter().find(|span| span.name == name);
        found.unwrap_or_else(|| {
            let names: Vec<_> = traced.iter().map(|span| &span.name).collect();
            panic!("{name} is not among {names:?}")
        })
    };
    let call = named("eldercare.registry.v1.RegistryService/RegisterElder");
    assert_eq!(hex(&call.parent_span_id), CALLER, "the caller's child");
    named("append");
    named("project registry_elders");

    let metrics = collector.metrics();
    let names: BTreeSet<_> = metrics.iter().map(|metric| metric.name.as_str()).collect();
    let documented = documented();
    assert!(
        names.is_subset(&documented),
        "not documented: {:?}",
        names.difference(&documented)
    );
    for expected in [
        "rpc.server.duration",
        "rpc.server.at_work",
        "eventlog.appended",
        "eventlog.append.duration",
        "readmodel.lag.events",
        "readmodel.lag.time",
        "readmodel.batch.size",
        "readmodel.apply.duration",
    ] {
        assert!(names.contains(expected), "{expected} is not in {names:?}");
    }

    let resources = collector.resources();
    assert!(!resources.is_empty());
    for resource in resources {
        let name = resource
            .attributes
            .iter()
            .find(|attribute| attribute.key == "service.name");
        let name = name.and_then(|name| name.value.clone()?.value);
        assert_eq!(name, Some(Value::StringValue("registry".to_owned())));
    }

    let sent = collector.bytes();
    let contact = &person.contacts[0];
    for personal in [
        "王秀英",
        &person.name,
        &person.id_number,
        &person.address,
        &person.remarks,
        &contact.name,
        &contact.phone,
        "350524195003120099",
        "25.0545",
    ] {
        let found = sent
            .windows(personal.len())
            .any(|window| window == personal.as_bytes());
        assert!(!found, "{personal} was sent to the collector");
    }
}
