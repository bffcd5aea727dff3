//! A part of the system with a clock that can be set, in a process that tests may kill: registry and tiering, visits,
//! alerts, claims, or sharing.

use std::{
    io::Read as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context as _;
use eldercare::simulation::{Move, Settling, Simulation};
use futures::future::BoxFuture;
use integration_tests::{
    process::Part,
    settings::{self, OfElders, own},
};
use proto::eldercare::simulation::v1::simulation_service_server::SimulationServiceServer;
use service::{
    Application, Background, Clock, Server, Settings, Shutdown, Supervised, Telemetry, connections,
};
use tokio::sync::Mutex;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    end_with_the_test();
    let mut arguments = std::env::args_os().skip(1);
    let part = arguments.next().context("the part is missing")?;
    let file = arguments.next().map(PathBuf::from);
    let file = file.context("the file with the settings is missing")?;
    let part = Part::ALL.into_iter().find(|one| *part == *one.to_string());
    let part = part.context("there is no such part")?;
    match part {
        Part::Elders => elders(&file).await,
        Part::Visits => alone::<visits::App>(part, &file, Frame::simulation).await,
        Part::Alerts if own(&file)?.replayed => {
            alone::<alerts::App>(part, &file, alerts_replayed).await
        }
        Part::Alerts => alone::<alerts::App>(part, &file, Frame::simulation).await,
        Part::Claims => alone::<claims::App>(part, &file, Frame::simulation).await,
        Part::Sharing => alone::<sharing::App>(part, &file, Frame::simulation).await,
    }
}

async fn elders(file: &Path) -> anyhow::Result<()> {
    let settings = OfElders::read(file)?;
    let frame = Frame::of(Part::Elders, &settings.registry, file)?;
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
    let server = frame.server(frame.simulation(&tiering));
    let server = registry.add_to(server, &frame.shutdown);
    let server = tiering.add_to(server, &frame.shutdown);
    let backgrounds = [registry.background(), tiering.background()];
    frame.serve(server.ready_when(ready), backgrounds).await
}

/// A service that has the process for itself, with a clock.
async fn alone<A: Application>(
    part: Part,
    file: &Path,
    simulation: impl FnOnce(&Frame, &Arc<A>) -> Simulation,
) -> anyhow::Result<()> {
    let settings = settings::of::<A::Own>(file)?;
    let frame = Frame::of(part, &settings, file)?;
    let service = A::connect(&settings, &settings.own, frame.clock.clone()).await?;
    let service = Arc::new(service);
    let ready = frame.ready(service.as_ref());
    let server = frame.server(simulation(&frame, &service));
    let server = service.add_to(server, &frame.shutdown);
    frame
        .serve(server.ready_when(ready), [service.background()])
        .await
}

/// The clock of alerts as the launcher has it: it stops wherever something falls due, and where nothing was written since it moved
/// last, a move of it waits for what is heard alone.
fn alerts_replayed(frame: &Frame, service: &Arc<alerts::App>) -> Simulation {
    let (heard, watch) = (Arc::clone(service), Arc::clone(service));
    let given_up = frame.shutdown.requested();
    let last_time: Arc<Mutex<Option<u64>>> = Arc::default();
    let settled = move |moved: Move, _patience| -> BoxFuture<'static, Settling> {
        let (alerts, last_time) = (Arc::clone(&heard), Arc::clone(&last_time));
        let given_up = given_up.clone();
        Box::pin(async move {
            alerts.keeps_up().await;
            let own = connections::last_sequence(alerts.log().as_ref()).await;
            let mut last_time = last_time.lock().await;
            if moved.from >= moved.to || *last_time != Some(own) {
                alerts.settled(given_up).await;
                *last_time = Some(own);
            }
            Settling::Done
        })
    };
    let next_due = move || -> BoxFuture<'static, _> {
        let alerts = Arc::clone(&watch);
        Box::pin(async move { alerts.keeps_up().await })
    };
    Simulation::new(frame.clock.clone(), Arc::new(settled)).stopping_at(Arc::new(next_due))
}

/// What stands around the services of a process.
struct Frame {
    settings: Settings,
    clock: Clock,
    shutdown: Shutdown,
    /// Whether calls may be sent to a service only once all that is due is done.
    settles_first: bool,
    _telemetry: Telemetry,
}

impl Frame {
    /// Before anything else of the process is made.
    fn of(part: Part, settings: &Settings, file: &Path) -> anyhow::Result<Self> {
        let next_version = own(file)?.next_version;
        if next_version {
            readmodel::testing::be_the_next_version();
        }
        Ok(Self {
            settles_first: !next_version && part != Part::Sharing,
            settings: settings.clone(),
            clock: Clock::from_settings(settings)?,
            shutdown: Shutdown::on_signals(&settings.shutdown)?,
            _telemetry: Telemetry::start(&settings.telemetry, "system-under-test")?,
        })
    }

    /// When calls may be sent to a service: once all that is due is done, as a story wants it that starts one. The next version takes
    /// over as soon as it may, since callers go on meanwhile, and the logs are never at rest; and whoever asks sharing does not
    /// wait for what it chains, signs and publishes.
    fn ready(&self, service: &impl Application) -> BoxFuture<'static, ()> {
        let given_up = self.shutdown.requested();
        if self.settles_first {
            service.settled(given_up)
        } else {
            service.ready(given_up)
        }
    }

    /// The clock, a move of which waits for what falls due in this service.
    fn simulation(&self, service: &Arc<impl Application>) -> Simulation {
        let (service, given_up) = (Arc::clone(service), self.shutdown.requested());
        let settled = move |_move, _patience| -> BoxFuture<'static, Settling> {
            let settled = service.settled(given_up.clone());
            Box::pin(async move {
                settled.await;
                Settling::Done
            })
        };
        Simulation::new(self.clock.clone(), Arc::new(settled))
    }

    /// A server with the clock.
    fn server(&self, simulation: Simulation) -> Server {
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
