//! The clocks of all processes as one, which a replay moves.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, Utc};
use civic::LocalDay;
use eldercare::{
    simulation::{CLOCK_IS_MOVING, CLOCK_IS_PAST},
    wire::{from_timestamp, timestamp},
};
use proto::eldercare::simulation::v1::{
    AdvanceClockRequest, AdvanceClockResponse, GetClockRequest, GetClockResponse,
    simulation_service_server::SimulationService,
};
use service::Refusal;
use tokio::{sync::watch, time::timeout};
use tonic::{Code, Request, Response, Status, async_trait};

use crate::{asked_to_wait, callers::Caller, is_passing, process::Part, reason};

/// Which parts run.
pub(super) type Present = [bool; Part::ALL.len()];

/// How long one call waits for all that falls due to be done, as with the launcher's own clock: the next one waits for the rest.
const PATIENCE: Duration = Duration::from_secs(30);

/// Who has something to do by the day, in the order in which one's doings reach the other. Sharing only reads.
const BY_THE_DAY: [Part; 4] = [Part::Elders, Part::Visits, Part::Claims, Part::Alerts];

/// The clocks. Between two midnights a part's is moved only when it is called, as nothing falls due there; that of alerts is
/// moved at once.
#[derive(Debug)]
pub(super) struct Clocks {
    officer: Caller,
    present: watch::Receiver<Present>,
    /// What all of them are to show.
    now: tokio::sync::Mutex<DateTime<Utc>>,
    /// What that of each shows, once all that is due there is done; none where nobody knows.
    shown: Mutex<[Option<DateTime<Utc>>; Part::ALL.len()]>,
    /// Whether registry and tiering were told anything that the others have to take in.
    told: AtomicBool,
}

impl Clocks {
    /// Those of a system that was started at this instant.
    pub(super) fn at(
        now: DateTime<Utc>,
        officer: Caller,
        present: watch::Receiver<Present>,
    ) -> Self {
        Self {
            officer,
            present,
            now: now.into(),
            shown: Mutex::new([Some(now); Part::ALL.len()]),
            told: AtomicBool::new(false),
        }
    }

    /// What they show.
    pub(super) async fn now(&self) -> DateTime<Utc> {
        *self.now.lock().await
    }

    /// Nobody knows any more what the clock of a part shows.
    pub(super) fn forget(&self, part: Part) {
        self.shown.lock().unwrap()[part as usize] = None;
    }

    /// Waits until a part may be called: it runs, and knows what time it is.
    ///
    /// # Errors
    /// It is over.
    pub(super) async fn may_be_called(&self, part: Part) -> Result<(), Status> {
        self.runs(part).await?;
        if part == Part::Elders {
            self.told.store(true, Ordering::SeqCst);
        }
        let now = self.now.lock().await;
        let shown = self.shown.lock().unwrap()[part as usize];
        // Where not all have come to the next instant in time, some are there already.
        if shown >= Some(*now) {
            return Ok(());
        }
        self.advance(part, *now).await
    }

    /// Waits until all parts run.
    ///
    /// # Errors
    /// It is over.
    pub(super) async fn all_run(&self) -> Result<(), Status> {
        for part in Part::ALL {
            self.runs(part).await?;
        }
        Ok(())
    }

    async fn runs(&self, part: Part) -> Result<(), Status> {
        let mut present = self.present.clone();
        let there = present.wait_for(|present| present[part as usize]).await;
        there.map(drop).map_err(|_| Status::cancelled("it is over"))
    }

    /// Moves the clock of a part, and waits until all that falls due there is done, however often the part is killed meanwhile.
    async fn advance(&self, part: Part, to: DateTime<Utc>) -> Result<(), Status> {
        let request = AdvanceClockRequest {
            to: Some(timestamp(to)),
        };
        loop {
            self.runs(part).await?;
            let mut clock = self.officer.simulation(part);
            match clock.advance_clock(request).await {
                Ok(_) => {
                    self.shown.lock().unwrap()[part as usize] = Some(to);
                    return Ok(());
                }
                Err(status) if reason(&status) == CLOCK_IS_PAST => return Ok(()),
                Err(status) if is_passing(&status) => asked_to_wait(&status).await,
                Err(status) => return Err(status),
            }
        }
    }

    /// Moves the clocks to an instant, and waits until all that falls due there is done.
    async fn advance_all(&self, to: Option<DateTime<Utc>>) -> Result<DateTime<Utc>, Status> {
        let mut now = self.now.lock().await;
        // A clock that is past it stays.
        let to = to.unwrap_or(*now).max(*now);
        // Before all others: whoever is missed by visits is told of at this time.
        self.advance(Part::Alerts, to).await?;
        let a_new_day = LocalDay::of(*now) != LocalDay::of(to);
        if a_new_day || self.told.load(Ordering::SeqCst) {
            for part in BY_THE_DAY {
                self.advance(part, to).await?;
            }
            self.told.store(false, Ordering::SeqCst);
        }
        *now = to;
        Ok(to)
    }
}

/// The answer to whoever moves the clock while things are still falling due.
fn is_moving() -> Status {
    let (en, zh) = ("call again", "请再次调用");
    Refusal::new(Code::Aborted, CLOCK_IS_MOVING, en, zh).into()
}

#[async_trait]
impl SimulationService for Clocks {
    async fn get_clock(
        &self,
        _request: Request<GetClockRequest>,
    ) -> Result<Response<GetClockResponse>, Status> {
        let now = Some(timestamp(self.now().await));
        Ok(Response::new(GetClockResponse { now }))
    }

    async fn advance_clock(
        &self,
        request: Request<AdvanceClockRequest>,
    ) -> Result<Response<AdvanceClockResponse>, Status> {
        let to = request.into_inner().to.and_then(from_timestamp);
        let moved = timeout(PATIENCE, self.advance_all(to)).await;
        let to = moved.unwrap_or_else(|_elapsed| Err(is_moving()))?;
        let now = Some(timestamp(to));
        Ok(Response::new(AdvanceClockResponse { now }))
    }
}
