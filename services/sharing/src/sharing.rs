//! What sharing answers from: the logs, the read models of all of them, keys and clock, and waiting for what a caller has seen.

use std::sync::Arc;

use civic::{DivisionCode, ElderId};
use elders::FactsOnDay;
use eventlog::{EventLog, Position, Repository};
use readmodel::{Follower, LookUp, ReaderFollower};
use service::person_keys::Keys;
use service::{Clock, Deadline, RequestDigests, connections, errors};
use sqlx::PgPool;
use tokio::sync::mpsc;
use tonic::Status;

use crate::agreement::Agreement;
use crate::auditing::AuditKeys;
use crate::credential::Credential;
use crate::dossier::DossierRows;
use crate::elders_table;
use crate::erasure::Erasure;
use crate::feeds::access::FeedPasswords;
use crate::feeds::consumers::Consumers;
use crate::feeds::index::Published;
use crate::feeds::stream::FeedStream;
use crate::in_force::InForce;
use crate::look::BrokenGlass;
use crate::recorder::Recorder;
use crate::refusals;

/// The logs that sharing reads, its own as the last one.
#[derive(Clone)]
pub struct Logs {
    /// Elders' files.
    pub registry: Arc<dyn EventLog>,
    /// Tiers and policies.
    pub tiering: Arc<dyn EventLog>,
    /// Visits.
    pub visits: Arc<dyn EventLog>,
    /// Alerts.
    pub alerts: Arc<dyn EventLog>,
    /// Enrolments, orders and funds.
    pub claims: Arc<dyn EventLog>,
    /// Agreements and looks: the only one that sharing writes.
    pub own: Arc<dyn EventLog>,
}

impl Logs {
    /// The place of our own among all of them.
    pub(crate) const OWN: usize = 5;

    /// All of them.
    pub(crate) fn all(&self) -> [&Arc<dyn EventLog>; 6] {
        [
            &self.registry,
            &self.tiering,
            &self.visits,
            &self.alerts,
            &self.claims,
            &self.own,
        ]
    }
}

/// What the answers are made of. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Sharing {
    pub(crate) pool: PgPool,
    /// The facts of single elders.
    pub(crate) facts: LookUp,
    /// What dossiers are made of.
    pub(crate) dossier_rows: DossierRows,
    /// By what somebody is granted something now.
    pub(crate) in_force: InForce,
    pub(crate) logs: Logs,
    pub(crate) clock: Clock,
    pub(crate) keys: Keys,
    pub(crate) digests: RequestDigests,
    pub(crate) agreements: Repository<Agreement>,
    pub(crate) broken_glass: Repository<BrokenGlass>,
    pub(crate) credentials: Repository<Credential>,
    pub(crate) erasures: Repository<Erasure>,
    pub(crate) recorder: Recorder,
    /// Where feeds are kept; none where sharing runs without.
    pub(crate) feeds: Option<FeedStream>,
    /// The passwords of departments.
    pub(crate) feed_passwords: FeedPasswords,
    /// What departments fetch from over NATS; none where they are not let in.
    pub(crate) consumers: Option<Consumers>,
    /// Told of departments whose connections are to be cut; none where they are not let in.
    pub(crate) withdrawals: Option<mpsc::UnboundedSender<String>>,
    pub(crate) audit: AuditKeys,
    /// The read models: each follows the log of its stream.
    pub(crate) followers: Arc<[Follower]>,
}

impl Sharing {
    /// Waits until answers take a position into account.
    pub(crate) async fn wait(
        &self,
        position: Option<Position>,
        deadline: Deadline,
    ) -> Result<(), Status> {
        let Some(Position { stream, sequence }) = position else {
            return Ok(());
        };
        let waiting = self.reach(&stream, sequence);
        deadline.bounds(waiting).await
    }

    /// Returns once all read models of a stream hold a sequence of it.
    pub(crate) async fn reach(&self, stream: &str, sequence: u64) {
        for follower in self.followers.iter() {
            if follower.stream() == stream {
                follower.reaches(sequence).await;
            }
        }
    }

    /// The last sequence of a stream that all its read models are known to hold.
    pub(crate) fn held(&self, stream: &str) -> u64 {
        let of_stream = self.followers.iter().filter(|one| one.stream() == stream);
        of_stream.map(Follower::known).min().unwrap_or(u64::MAX)
    }

    /// Returns once the read models hold all that is in the logs now.
    pub(crate) async fn catch_up(&self) {
        for log in self.logs.all() {
            let last = connections::last_sequence(log.as_ref()).await;
            self.reach(log.stream(), last).await;
        }
    }

    /// Returns once all that is in the logs now came out on feeds.
    pub(crate) async fn feeds_catch_up(&self, published: &ReaderFollower<Published>) {
        let mut last = [0; 6];
        for (log, last) in self.logs.all().into_iter().zip(&mut last) {
            *last = connections::last_sequence(log.as_ref()).await;
        }
        let today = self.clock.today();
        let there = |now: &Published| {
            let all = now.reached.iter().zip(&last).all(|(now, last)| now >= last);
            all && now.swept.is_some_and(|swept| swept >= today)
        };
        published.wait_until(there).await;
    }

    /// The facts of an elder today; NOT_FOUND where there is none, or none any more.
    pub(crate) async fn facts_of(&self, elder: ElderId) -> Result<FactsOnDay, Status> {
        let row = self.facts.row(elder.as_uuid()).await;
        let row = row.map_err(errors::of_look_up)?;
        let facts = row.as_deref().map(elders_table::read_facts).transpose();
        let facts = facts.map_err(errors::of_database)?;
        let facts = facts.and_then(|(_elder, facts)| facts);
        let facts = facts.ok_or_else(|| refusals::no_elder(elder))?;
        Ok(facts.on(self.clock.today()))
    }

    /// Where an elder lives today.
    pub(crate) async fn division_of(&self, elder: ElderId) -> Result<DivisionCode, Status> {
        let facts = self.facts_of(elder).await?;
        Ok(facts.village().division())
    }
}
