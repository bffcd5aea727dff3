//! Registry, tiering and a clock that can be set, in one process that tests may kill.

use std::{io::Read as _, path::PathBuf, sync::Arc};

use anyhow::Context as _;
use eldercare::simulation::{Settling, Simulation};
use futures::future::BoxFuture;
use integration_tests::system::ProcessSettings;
use proto::eldercare::simulation::v1::simulation_service_server::SimulationServiceServer;
use service::{Application as _, Clock, Server, Shutdown, Supervised, Telemetry};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    end_with_the_test();
    let file = std::env::args_os()
        .nth(1)
        .map(PathBuf::from)
        .context("the file with the settings is missing")?;
    let settings = ProcessSettings::read(&file)?;
    let _telemetry = Telemetry::start(&settings.registry.telemetry, "system-under-test")?;
    let shutdown = Shutdown::on_signals(&settings.registry.shutdown)?;
    let clock = Clock::from_settings(&settings.registry)?;

    let registry =
        registry::App::connect(&settings.registry, &settings.registry_own, clock.clone()).await?;
    let tiering = Arc::new(
        tiering::App::connect(&settings.tiering, &settings.tiering_own, clock.clone()).await?,
    );
    let settled = {
        let (tiering, given_up) = (Arc::clone(&tiering), shutdown.requested());
        move |_move, _patience| -> BoxFuture<'static, Settling> {
            let settled = tiering.settled(given_up.clone());
            Box::pin(async move {
                settled.await;
                Settling::Done
            })
        }
    };
    let simulation = SimulationServiceServer::new(Simulation::new(clock, Arc::new(settled)));
    let server = Server::new(&settings.registry).service(simulation, Simulation::actions());
    let (files, tiers) = (
        registry.settled(shutdown.requested()),
        tiering.settled(shutdown.requested()),
    );
    let caught_up = async move {
        tokio::join!(files, tiers);
    };
    let server = tiering
        .add_to(registry.add_to(server, &shutdown), &shutdown)
        .ready_when(caught_up)
        .bind()
        .await?;
    let mut tasks = Supervised::new(&shutdown);
    registry.background().start(&mut tasks, &shutdown);
    tiering.background().start(&mut tasks, &shutdown);
    println!("listening on {}", server.address());
    tasks.run(server.serve(&shutdown)).await
}

/// The test holds the other end of our input: when it is gone, so are we.
fn end_with_the_test() {
    std::thread::spawn(|| {
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(1);
    });
}
