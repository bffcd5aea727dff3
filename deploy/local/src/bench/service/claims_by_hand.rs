//! Claims with a clock that is moved by hand, as the launcher's is: a year of theirs passes in a minute.

use std::sync::Arc;

use claims::ClaimsSettings;
use proto::eldercare::simulation::v1::simulation_service_server::SimulationServiceServer;
use readmodel::Follower;
use service::{Application as _, Clock, Config, Server, Shutdown, Supervised};

use crate::simulation::{Settled, Settling, Simulation};

/// Serves until `shutdown`, as a process of the service would, and the clock beside it.
pub(super) async fn serve(
    config: Config<ClaimsSettings>,
    clock: Clock,
    shutdown: &Shutdown,
) -> anyhow::Result<()> {
    let app = claims::App::connect(&config, &config.own, clock.clone()).await?;
    let mut tasks = Supervised::new(shutdown);
    app.background().start(&mut tasks, shutdown);
    let app = Arc::new(app);
    let simulation = Simulation::new(clock, due_is_done(&app, shutdown));
    let server = app.add_to(Server::new(&config), shutdown).service(
        SimulationServiceServer::new(simulation),
        Simulation::actions(),
    );
    let ready = app.ready(shutdown.requested());
    let bound = server.ready_when(ready).bind().await?;
    let (address, ready) = (bound.address(), app.settled(shutdown.requested()));
    tokio::spawn(async move {
        ready.await;
        println!("ready {address}");
    });
    tasks.run(bound.serve(shutdown)).await
}

/// Waits until all is done that falls due when the clock is moved.
fn due_is_done(app: &Arc<claims::App>, shutdown: &Shutdown) -> Settled {
    let (app, given_up) = (Arc::clone(app), shutdown.requested());
    Arc::new(move |_, patience| {
        let (settling, followers) = (app.settled(given_up.clone()), app.followers());
        Box::pin(async move {
            let so_far = || followers.each_ref().map(Follower::known);
            let before = so_far();
            match tokio::time::timeout(patience, settling).await {
                Ok(()) => Settling::Done,
                Err(_elapsed) if so_far() == before => Settling::StandsStill,
                Err(_elapsed) => Settling::GoesOn,
            }
        })
    })
}
