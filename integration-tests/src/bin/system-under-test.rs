//! A part of the system with a clock that can be set, in a process that tests may kill: registry and tiering, visits,
//! alerts, claims, or sharing.

use std::{
    io::Read as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context as _;
use eldercare::simulation::{Settling, Simulation};
use futures::future::BoxFuture;
use integration_tests::{
    process::Part,
    settings::{OfElders, of_alerts, of_claims, of_sharing, of_visits, own},
};
use proto::eldercare::simulation::v1::simulation_service_server::SimulationServiceServer;
use service::{Application, Background, Clock, Server, Settings, Shutdown, Supervised, Telemetry};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    end_with_the_test();
    let mut arguments = std::env::args_os().skip(1);
    let part = arguments.next().context("the part is missing")?;
    let file = arguments.next().map(PathBuf::from);
    let file = file.context("the file with the settings is missing")?;
    let part = Part::ALL.into_iter().find(|one| *part == *one.to_string());
    match part.context("there is no such part")? {
        Part::Elders => elders(&file).await,
        Part::Visits => visits(&file).await,
        Part::Alerts => alerts(&file).await,
        Part::Claims => claims(&file).await,
        Part::Sharing => sharing(&file).await,
    }
}

async fn elders(file: &Path) -> anyhow::Result<()> {
    let settings = OfElders::read(file)?;
    let frame = Frame::of(&settings.registry, file)?;
    let clock = || frame.clock.clone();
    let registry =
        registry::App::connect(&settings.registry, &settings.registry_own, clock()).await?;
    let tiering =
        Arc::new(tiering::App::connect(&settings.tiering, &settings.tiering_own, clock()).await?);
    let (elders, tiers) = (frame.ready(&registry), frame.ready(tiering.as_ref()));
    let ready = async move {
        tokio::join!(elders, tiers);
    };
    // What falls due by the clock, tiering does.
    let server = registry.add_to(frame.server(&tiering), &frame.shutdown);
    let server = tiering.add_to(server, &frame.shutdown);
    let backgrounds = [registry.background(), tiering.background()];
    frame.serve(server.ready_when(ready), backgrounds).await
}

async fn visits(file: &Path) -> anyhow::Result<()> {
    let settings = of_visits(file)?;
    let frame = Frame::of(&settings, file)?;
    let visits = visits::App::connect(&settings, &settings.own, frame.clock.clone()).await?;
    let visits = Arc::new(visits);
    let ready = frame.ready(visits.as_ref());
    let server = visits.add_to(frame.server(&visits), &frame.shutdown);
    frame
        .serve(server.ready_when(ready), [visits.background()])
        .await
}

async fn alerts(file: &Path) -> anyhow::Result<()> {
    let settings = of_alerts(file)?;
    let frame = Frame::of(&settings, file)?;
    let alerts = alerts::App::connect(&settings, &settings.own, frame.clock.clone()).await?;
    let alerts = Arc::new(alerts);
    let ready = frame.ready(alerts.as_ref());
    let server = alerts.add_to(frame.server(&alerts), &frame.shutdown);
    frame
        .serve(server.ready_when(ready), [alerts.background()])
        .await
}

async fn claims(file: &Path) -> anyhow::Result<()> {
    let settings = of_claims(file)?;
    let frame = Frame::of(&settings, file)?;
    let claims = claims::App::connect(&settings, &settings.own, frame.clock.clone()).await?;
    let claims = Arc::new(claims);
    let ready = frame.ready(claims.as_ref());
    let server = claims.add_to(frame.server(&claims), &frame.shutdown);
    frame
        .serve(server.ready_when(ready), [claims.background()])
        .await
}

async fn sharing(file: &Path) -> anyhow::Result<()> {
    let settings = of_sharing(file)?;
    let frame = Frame::of(&settings, file)?;
    let sharing = sharing::App::connect(&settings, &settings.own, frame.clock.clone()).await?;
    let sharing = Arc::new(sharing);
    let ready = sharing.ready(frame.shutdown.requested());
    let server = sharing.add_to(frame.server(&sharing), &frame.shutdown);
    frame
        .serve(server.ready_when(ready), [sharing.background()])
        .await
}

/// What stands around the services of a process.
struct Frame {
    settings: Settings,
    clock: Clock,
    shutdown: Shutdown,
    next_version: bool,
    _telemetry: Telemetry,
}

impl Frame {
    /// Before anything else of the process is made.
    fn of(settings: &Settings, file: &Path) -> anyhow::Result<Self> {
        let next_version = own(file)?.next_version;
        if next_version {
            readmodel::testing::be_the_next_version();
        }
        Ok(Self {
            next_version,
            settings: settings.clone(),
            clock: Clock::from_settings(settings)?,
            shutdown: Shutdown::on_signals(&settings.shutdown)?,
            _telemetry: Telemetry::start(&settings.telemetry, "system-under-test")?,
        })
    }

    /// When calls may be sent to a service: once all that is due is done, as a story wants it that starts one. The next version takes
    /// over as soon as it may, since callers go on meanwhile, and the logs are never at rest.
    fn ready(&self, service: &impl Application) -> BoxFuture<'static, ()> {
        let given_up = self.shutdown.requested();
        if self.next_version {
            service.ready(given_up)
        } else {
            service.settled(given_up)
        }
    }

    /// A server with the clock, a move of which waits for what falls due in this service.
    fn server(&self, service: &Arc<impl Application>) -> Server {
        let (service, given_up) = (Arc::clone(service), self.shutdown.requested());
        let settled = move |_move, _patience| -> BoxFuture<'static, Settling> {
            let settled = service.settled(given_up.clone());
            Box::pin(async move {
                settled.await;
                Settling::Done
            })
        };
        let simulation = Simulation::new(self.clock.clone(), Arc::new(settled));
        Server::new(&self.settings).service(
            SimulationServiceServer::new(simulation),
            Simulation::actions(),
        )
    }

    /// Serves until the process ends.
    async fn serve<const N: usize>(
        &self,
        server: Server,
        backgrounds: [&Background; N],
    ) -> anyhow::Result<()> {
        let server = server.bind().await?;
        let mut tasks = Supervised::new(&self.shutdown);
        for background in backgrounds {
            background.start(&mut tasks, &self.shutdown);
        }
        println!("listening on {}", server.address());
        tasks.run(server.serve(&self.shutdown)).await
    }
}

/// The test holds the other end of our input: when it is gone, so are we.
fn end_with_the_test() {
    std::thread::spawn(|| {
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(1);
    });
}
