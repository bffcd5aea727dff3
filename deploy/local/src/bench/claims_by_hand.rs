//! Claims with a clock that is moved by hand, as the launcher's is: years pass in a minute.

use std::sync::Arc;

use claims::ClaimsSettings;
use futures::future::BoxFuture;
use proto::eldercare::simulation::v1::simulation_service_server::SimulationServiceServer;
use readmodel::Follower;
use service::{Application, Background, CancellationToken, Clock, Server, Settings, Shutdown};

use crate::simulation::{Settled, Settling, Simulation};

/// Claims, and their clock.
pub(super) struct ClaimsByHand {
    claims: Arc<claims::App>,
    clock: Clock,
}

impl Application for ClaimsByHand {
    type Own = ClaimsSettings;

    async fn connect(
        settings: &Settings,
        own: &ClaimsSettings,
        clock: Clock,
    ) -> anyhow::Result<Self> {
        let claims = claims::App::connect(settings, own, clock.clone()).await?;
        Ok(Self {
            claims: Arc::new(claims),
            clock,
        })
    }

    fn add_to(&self, server: Server, shutdown: &Shutdown) -> Server {
        let simulation = Simulation::new(self.clock.clone(), self.due_is_done(shutdown));
        self.claims.add_to(server, shutdown).service(
            SimulationServiceServer::new(simulation),
            Simulation::actions(),
        )
    }

    fn background(&self) -> &Background {
        self.claims.background()
    }

    fn settled(&self, given_up: CancellationToken) -> BoxFuture<'static, ()> {
        self.claims.settled(given_up)
    }
}

impl ClaimsByHand {
    /// Waits until all is done that falls due when the clock is moved.
    fn due_is_done(&self, shutdown: &Shutdown) -> Settled {
        let (claims, given_up) = (Arc::clone(&self.claims), shutdown.requested());
        Arc::new(move |_, patience| {
            let (settling, followers) = (claims.settled(given_up.clone()), claims.followers());
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
}
