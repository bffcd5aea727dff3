//! The gRPC face of the simulated clock, which this launcher alone serves.

use std::{fmt, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use proto::eldercare::simulation::v1::{
    AdvanceClockRequest, AdvanceClockResponse, GetClockRequest, GetClockResponse,
    simulation_service_server::{SERVICE_NAME, SimulationService},
};
use service::{Action, Actions, Caller, Clock, Deadline, Refusal, Violation, errors};
use tokio::time::Instant;
use tonic::{Code, Request, Response, Status, async_trait};

use crate::wire;

/// The reason of a refusal to move the clock back.
pub const CLOCK_IS_PAST: &str = "CLOCK_IS_PAST";

/// The reason of an answer that comes while things are still falling due: the same call again waits for the rest.
pub const CLOCK_IS_MOVING: &str = "CLOCK_IS_MOVING";

/// How long one call waits where it has no nearer deadline.
const PATIENCE: Duration = Duration::from_secs(30);

/// What has become of all that falls due by the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settling {
    /// All of it is done.
    Done,
    /// Some of it was done meanwhile, and some is left.
    GoesOn,
    /// Something is left, and nothing was done meanwhile.
    StandsStill,
}

/// A move of the clock, or none where both instants are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Move {
    /// What it said before.
    pub from: DateTime<Utc>,
    /// What it says now.
    pub to: DateTime<Utc>,
}

/// Waits so long for all that falls due by a move of the clock to be done.
pub type Settled = Arc<dyn Fn(Move, Duration) -> BoxFuture<'static, Settling> + Send + Sync>;

/// When something falls due next, once all that was due before is done.
pub type NextDue = Arc<dyn Fn() -> BoxFuture<'static, Option<DateTime<Utc>>> + Send + Sync>;

/// The clock, and those who act when it moves.
#[derive(Clone)]
pub struct Simulation {
    clock: Clock,
    settled: Settled,
    next_due: Option<NextDue>,
}

impl fmt::Debug for Simulation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulation")
            .field("clock", &self.clock)
            .finish_non_exhaustive()
    }
}

impl Simulation {
    /// Serves this clock. An answer to AdvanceClock waits for `settled`.
    pub fn new(clock: Clock, settled: Settled) -> Self {
        Self {
            clock,
            settled,
            next_due: None,
        }
    }

    /// On its way the clock stops wherever something falls due, so that it is done at its own time.
    #[must_use]
    pub fn stopping_at(self, next_due: NextDue) -> Self {
        Self {
            next_due: Some(next_due),
            ..self
        }
    }

    /// Where the clock stops next on the way to an instant; none where that is not known in time.
    async fn stop(&self, to: DateTime<Utc>, patience: Duration) -> Option<DateTime<Utc>> {
        let Some(next_due) = &self.next_due else {
            return Some(to);
        };
        let due = tokio::time::timeout(patience, next_due()).await.ok()?;
        let on_the_way = due.filter(|due| *due > self.clock.now() && *due < to);
        Some(on_the_way.unwrap_or(to))
    }

    /// What the methods do, for the permission policies.
    pub fn actions() -> Actions {
        let methods = [
            ("GetClock", Action::ReadReference),
            ("AdvanceClock", Action::Simulate),
        ];
        Actions::new().declare(SERVICE_NAME, &methods)
    }
}

#[async_trait]
impl SimulationService for Simulation {
    async fn get_clock(
        &self,
        request: Request<GetClockRequest>,
    ) -> Result<Response<GetClockResponse>, Status> {
        let _known = Caller::from_request(&request)?;
        Ok(Response::new(GetClockResponse {
            now: Some(wire::timestamp(self.clock.now())),
        }))
    }

    async fn advance_clock(
        &self,
        request: Request<AdvanceClockRequest>,
    ) -> Result<Response<AdvanceClockResponse>, Status> {
        Caller::from_request(&request)?.may_everywhere()?;
        let patience = Deadline::of(&request).wait_at_most(PATIENCE);
        let to = request.into_inner().to.and_then(wire::from_timestamp);
        let to = to.ok_or_else(|| {
            Violation::new("to", "REQUIRED", "must be an instant", "须为有效时间")
        })?;
        let from = self.clock.now();
        if to < from {
            let refusal = Refusal::new(
                Code::FailedPrecondition,
                CLOCK_IS_PAST,
                "the clock is past that instant, and never goes back",
                "时钟已过该时间，不能回拨",
            );
            return Err(refusal.into());
        }
        let until = Instant::now() + patience;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let stop = self.stop(to, left).await;
            let stop = stop.ok_or_else(errors::deadline_exceeded)?;
            let from = self.clock.now();
            let now = self.clock.advance_to(stop).map_err(|_| not_settable())?;
            let left = until.saturating_duration_since(Instant::now());
            match (self.settled)(Move { from, to: now }, left).await {
                Settling::Done if now < to => {}
                Settling::Done => {
                    return Ok(Response::new(AdvanceClockResponse {
                        now: Some(wire::timestamp(now)),
                    }));
                }
                Settling::GoesOn => {
                    let (en, zh) = (
                        "what falls due is still being done: call again",
                        "到期事项仍在处理，请再次调用",
                    );
                    return Err(Refusal::new(Code::Aborted, CLOCK_IS_MOVING, en, zh).into());
                }
                Settling::StandsStill => return Err(errors::deadline_exceeded()),
            }
        }
    }
}

fn not_settable() -> Status {
    let (en, zh) = (
        "the clock is the real one: start with `--as-of`",
        "当前使用真实时钟：请以 --as-of 启动",
    );
    Refusal::new(Code::FailedPrecondition, "CLOCK_NOT_SETTABLE", en, zh).into()
}
