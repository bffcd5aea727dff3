//! Telemetry never stands in the way: a collector that is absent is missed by nobody.

use std::time::Duration;

use service::{Telemetry, settings, telemetry};
use tokio::net::TcpListener;

#[tokio::test(flavor = "multi_thread")]
async fn an_absent_collector_stops_nothing() {
    // A port on which nobody listens: one was bound there, and is no more.
    let port = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let settings = settings::Telemetry {
        otlp_endpoint: Some(format!("http://127.0.0.1:{port}")),
        metrics_interval: Duration::from_millis(10),
        log_filter: Some("off".to_owned()),
        ..settings::Telemetry::default()
    };
    let started = Telemetry::start(&settings, "test").unwrap();
    let span = telemetry::span_of("work", None);
    assert!(
        span.in_scope(telemetry::traceparent).is_some(),
        "the work is traced all the same"
    );
    drop(span);
    assert!(
        Telemetry::start(&settings, "test").is_err(),
        "a process has one telemetry"
    );
    tokio::time::timeout(Duration::from_secs(30), started.flush())
        .await
        .unwrap();
}
