//! The lines on which the processes of a system are called.

use tonic::{
    Streaming,
    transport::{Channel, Endpoint},
};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus,
    health_client::HealthClient,
};

use crate::process::{Part, Process};

/// The lines to the processes of a system.
#[derive(Clone, Debug)]
pub struct Lines {
    /// To registry and tiering.
    pub elders: Channel,
    /// To visits; nobody answers where they don't run.
    pub visits: Channel,
    /// To alerts; nobody answers where they don't run.
    pub alerts: Channel,
    /// To claims; nobody answers where they don't run.
    pub claims: Channel,
    /// To sharing; nobody answers where it doesn't run.
    pub sharing: Channel,
}

impl Lines {
    /// The line to a part.
    pub(crate) fn to(&mut self, part: Part) -> &mut Channel {
        match part {
            Part::Elders => &mut self.elders,
            Part::Visits => &mut self.visits,
            Part::Alerts => &mut self.alerts,
            Part::Claims => &mut self.claims,
            Part::Sharing => &mut self.sharing,
        }
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

/// A line on which nobody answers.
pub(crate) fn nowhere() -> Channel {
    Endpoint::from_static("http://127.0.0.1:9").connect_lazy()
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
