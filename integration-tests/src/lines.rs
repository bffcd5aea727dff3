//! The lines on which the processes of a system are called.

use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use crate::process::Process;

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

/// A line to a process that runs.
pub(crate) fn line_to(process: &Process) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{}", process.address())).unwrap();
    endpoint
        .http2_adaptive_window(true)
        .tcp_nodelay(true)
        .connect_lazy()
}

/// A line on which nobody answers.
pub(crate) fn nowhere() -> Channel {
    Endpoint::from_static("http://127.0.0.1:9").connect_lazy()
}

/// Waits until readiness is told.
pub(crate) async fn ready(line: &Channel) {
    let request = HealthCheckRequest {
        service: "readiness".to_owned(),
    };
    let told = HealthClient::new(line.clone()).watch(request).await;
    let mut told = told.unwrap().into_inner();
    while told.message().await.unwrap().expect("it goes on").status() != ServingStatus::Serving {}
}
