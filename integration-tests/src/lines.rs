//! The lines on which the processes of a system are called.

use std::future::poll_fn;

use http::{Request, Response};
use tonic::{
    Streaming,
    body::Body,
    codegen::Service,
    transport::{self, Channel, Endpoint},
};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus,
    health_client::HealthClient,
};

use crate::process::{Part, Process};

/// The lines to the processes of a system.
#[derive(Clone, Debug)]
pub struct Lines([Channel; Part::ALL.len()]);

impl Lines {
    /// Lines on which nobody answers, as it stays with a part that does not run.
    pub(crate) fn nowhere() -> Self {
        Self(Part::ALL.map(|_| Endpoint::from_static("http://127.0.0.1:9").connect_lazy()))
    }

    /// The line to a part.
    pub(crate) fn to(&self, part: Part) -> &Channel {
        &self.0[part as usize]
    }

    /// From now on a part is called on this line.
    pub(crate) fn put(&mut self, part: Part, line: Channel) {
        self.0[part as usize] = line;
    }
}

/// A line to a process that runs.
pub(crate) fn line_to(process: &Process) -> Channel {
    endpoint_of(process).connect_lazy()
}

/// Where a process that runs is called.
pub(crate) fn endpoint_of(process: &Process) -> Endpoint {
    let endpoint = Endpoint::from_shared(format!("http://{}", process.address())).unwrap();
    endpoint.http2_adaptive_window(true).tcp_nodelay(true)
}

/// Passes a call on that somebody else made.
pub(crate) async fn pass_on(
    line: &Channel,
    call: Request<Body>,
) -> Result<Response<Body>, transport::Error> {
    let mut line = line.clone();
    poll_fn(|context| line.poll_ready(context)).await?;
    line.call(call).await
}

/// Hears from now on whether a process is ready.
pub(crate) async fn readiness(line: &Channel) -> Streaming<HealthCheckResponse> {
    let request = HealthCheckRequest {
        service: "readiness".to_owned(),
    };
    let told = HealthClient::new(line.clone()).watch(request).await;
    told.unwrap().into_inner()
}

/// Waits until readiness is told.
pub(crate) async fn ready(line: &Channel) {
    let mut told = readiness(line).await;
    while told.message().await.unwrap().expect("it goes on").status() != ServingStatus::Serving {}
}

/// Waits until it is told that a process is ready no more, or is gone.
pub(crate) async fn ready_no_more(mut told: Streaming<HealthCheckResponse>) {
    while let Ok(Some(told)) = told.message().await
        && told.status() == ServingStatus::Serving
    {}
}
