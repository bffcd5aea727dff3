//! What alerts answer from: logs, signals, read models and clock, and waiting for what a caller has seen.

use std::sync::Arc;

use civic::{DivisionCode, ElderId, VillageCode};
use eventlog::{EventLog, Position, Repository};
use readmodel::{Follower, ReaderFollower};
use service::person_keys::Keys;
use service::{Caller, Clock, Deadline, RequestDigests, connections, errors};
use sqlx::PgPool;
use tonic::Status;

use crate::absence::Absence;
use crate::alert_line::AlertLine;
use crate::alert_request::AlertRequest;
use crate::credentials::Credentials;
use crate::device::Device;
use crate::division_policy::DivisionPolicy;
use crate::elders_tables::FACTS;
use crate::progress::{Told, Watched};
use crate::recipient::Recipient;
use crate::refusals;
use crate::rules::Rules;
use crate::signals::{STREAM, Signals};

/// What the answers are made of. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Alerts {
    pub(crate) pool: PgPool,
    pub(crate) registry: Arc<dyn EventLog>,
    pub(crate) own: Arc<dyn EventLog>,
    pub(crate) signals: Signals,
    pub(crate) clock: Clock,
    pub(crate) keys: Keys,
    pub(crate) credentials: Credentials,
    pub(crate) digests: RequestDigests,
    pub(crate) devices: Repository<Device>,
    pub(crate) absences: Repository<Absence>,
    pub(crate) lines: Repository<AlertLine>,
    pub(crate) requests: Repository<AlertRequest>,
    pub(crate) policies: Repository<DivisionPolicy>,
    pub(crate) recipients: Repository<Recipient>,
    pub(crate) rules: Rules,
    pub(crate) facts: Follower,
    pub(crate) cards: Follower,
    pub(crate) board: Follower,
    /// How far what erased elders' devices sent is deleted.
    pub(crate) forgotten: Follower,
    pub(crate) watched: ReaderFollower<Watched>,
    pub(crate) told: ReaderFollower<Told>,
}

impl Alerts {
    /// Waits until answers take a position into account.
    pub(crate) async fn wait(
        &self,
        position: Option<Position>,
        deadline: Deadline,
    ) -> Result<(), Status> {
        let Some(Position { stream, sequence }) = position else {
            return Ok(());
        };
        let waiting = async {
            if stream == STREAM {
                let heard = |watched: &Watched| watched.signals >= sequence;
                let watched = self.watched.wait_until(heard).await;
                self.board.reaches(watched.written).await;
            } else if stream == self.registry.stream() {
                self.facts.reaches(sequence).await;
                self.cards.reaches(sequence).await;
            } else {
                self.board.reaches(sequence).await;
            }
        };
        deadline.bounds(waiting).await
    }

    /// Waits until the board has all that is in our own log now.
    pub(crate) async fn catch_up(&self, deadline: Deadline) -> Result<(), Status> {
        let waiting = async {
            let last = connections::last_sequence(self.own.as_ref()).await;
            self.board.reaches(last).await;
        };
        deadline.bounds(waiting).await
    }

    /// Where an elder lives today, if that is within the caller's divisions. Of others nobody learns whether there are such.
    pub(crate) async fn village_of(
        &self,
        caller: &Caller,
        elder: ElderId,
        deadline: Deadline,
    ) -> Result<VillageCode, Status> {
        let registered = async {
            let last = connections::last_sequence(self.registry.as_ref()).await;
            self.facts.reaches(last).await;
        };
        deadline.bounds(registered).await?;
        let village = self.known_village_of(elder).await?;
        village
            .filter(|village| caller.reaches(&village.division()))
            .ok_or_else(|| refusals::no_elder(elder))
    }

    /// Where an elder lives today by what has come from the registry so far.
    pub(crate) async fn known_village_of(
        &self,
        elder: ElderId,
    ) -> Result<Option<VillageCode>, Status> {
        let known = FACTS
            .of(&self.pool, &[elder])
            .await
            .map_err(errors::of_database)?;
        let facts = known.get(&elder).and_then(|kept| kept.facts.as_ref());
        Ok(facts.map(|facts| *facts.on(self.clock.today()).village()))
    }
}

/// Whether a caller reaches what stands there. What stands in no division that we know is there for those who work everywhere.
pub(crate) fn reaches(caller: &Caller, division: Option<&DivisionCode>) -> bool {
    match division {
        Some(division) => caller.reaches(division),
        None => caller.may_everywhere().is_ok(),
    }
}
