//! What claims answer from: logs, aggregates, read models and clock, and waiting for what a caller has seen.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use civic::{DivisionCode, ElderId, GeoPosition, LocalDay};
use elder_tables::Kept;
use elders::Facts;
use eventlog::{EventLog, Position, Repository};
use readmodel::{Follower, ReaderFailed, ReaderFollower};
use service::person_keys::Keys;
use service::{Clock, Deadline, RequestDigests, connections, errors};
use sqlx::PgPool;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tonic::Status;
use uuid::Uuid;
use vault::DataKey;
use workbooks::Exports;

use crate::caregiver::Caregiver;
use crate::codec::purpose;
use crate::definition::Definition;
use crate::enrolment::Enrolments;
use crate::entitlements::Entitlements;
use crate::facts_table;
use crate::fund::Fund;
use crate::order::{Order, Submitted};
use crate::programme::{Defined, Programme};
use crate::progress::Adjudicated;
use crate::provider::Provider;
use crate::recent::{Recalled, Recent};
use crate::refusals;
use crate::settlements::Settlements;

/// Definitions that were read, by programme and version. A version never changes.
pub(crate) type Definitions = Arc<Mutex<HashMap<(String, u32), Arc<Definition>>>>;

/// What the answers are made of. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Claims {
    pub(crate) pool: PgPool,
    pub(crate) registry: Arc<dyn EventLog>,
    pub(crate) own: Arc<dyn EventLog>,
    pub(crate) clock: Clock,
    pub(crate) keys: Keys,
    pub(crate) digests: RequestDigests,
    pub(crate) programmes: Repository<Programme>,
    pub(crate) enrolments: Repository<Enrolments>,
    pub(crate) providers: Repository<Provider>,
    pub(crate) caregivers: Repository<Caregiver>,
    pub(crate) orders: Repository<Order>,
    pub(crate) funds: Repository<Fund>,
    pub(crate) settlements: Repository<Settlements>,
    pub(crate) definitions: Definitions,
    pub(crate) recent: Recent,
    pub(crate) entitlements: Entitlements,
    pub(crate) exports: Exports,
    pub(crate) facts: Follower,
    pub(crate) book: Follower,
    pub(crate) adjudicated: ReaderFollower<Adjudicated>,
}

/// The versions of a programme, with what they say.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) division: DivisionCode,
    pub(crate) versions: Vec<(Defined, Arc<Definition>)>,
}

impl Known {
    /// The version that holds on a service day: the last one of those that hold from that day or an earlier one.
    pub(crate) fn on(&self, day: LocalDay) -> Option<(u32, &Arc<Definition>)> {
        let mut versions = self.versions.iter().rev();
        let version = versions.find(|(defined, _)| defined.effective_from <= day);
        version.map(|(defined, definition)| (defined.version, definition))
    }

    /// A version by its number; 0: the newest.
    pub(crate) fn version(&self, number: u32) -> Option<&(Defined, Arc<Definition>)> {
        let mut versions = self.versions.iter();
        match number {
            0 => self.versions.last(),
            number => versions.find(|(defined, _)| defined.version == number),
        }
    }
}

impl Claims {
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
            if stream == self.registry.stream() {
                self.facts.reaches(sequence).await;
            } else {
                self.adjudicated_up_to(sequence).await;
            }
        };
        deadline.bounds(waiting).await
    }

    /// Waits until our own log up to a sequence is adjudicated, and the outcome can be read.
    pub(crate) async fn adjudicated_up_to(&self, sequence: u64) {
        let enough = |adjudicated: &Adjudicated| adjudicated.read >= sequence;
        let adjudicated = self.adjudicated.wait_until(enough).await;
        self.book.reaches(sequence.max(adjudicated.written)).await;
    }

    /// Waits until all that is in our own log now is adjudicated, and can be read.
    pub(crate) async fn catch_up(&self, deadline: Deadline) -> Result<(), Status> {
        let waiting = async {
            let last = connections::last_sequence(self.own.as_ref()).await;
            self.adjudicated_up_to(last).await;
        };
        deadline.bounds(waiting).await
    }

    /// A programme with its versions.
    pub(crate) async fn programme(&self, code: &str) -> Result<Known, Status> {
        let loaded = self.programmes.load_newest(code).await;
        let loaded = loaded.map_err(service::not_loaded)?;
        let first = loaded.state.versions.first();
        let division = first.map(|defined| defined.division);
        let division = division.ok_or_else(|| refusals::no_programme(code))?;
        let mut definitions = self.definitions.lock().await;
        let mut versions = Vec::with_capacity(loaded.state.versions.len());
        for defined in &loaded.state.versions {
            let name = (code.to_owned(), defined.version);
            let definition = match definitions.get(&name) {
                Some(definition) => Arc::clone(definition),
                None => {
                    // It was well formed when it was defined.
                    let definition = Definition::parse(&defined.definition);
                    let definition = definition.map_err(|_faults| {
                        errors::internal(&"a programme's definition can't be read any more")
                    })?;
                    let definition = Arc::new(definition);
                    definitions.insert(name, Arc::clone(&definition));
                    definition
                }
            };
            versions.push((defined.clone(), definition));
        }
        Ok(Known { division, versions })
    }

    /// A programme with its versions as it was a moment ago, or, where the caller names a position, as it is now.
    pub(crate) async fn programme_for(
        &self,
        code: &str,
        position: Option<&Position>,
    ) -> Result<Arc<Known>, Status> {
        if position.is_none() {
            match self.recent.recall(code, Instant::now()) {
                Recalled::Fresh(known) => return Ok(known),
                Recalled::Aging(known) => {
                    let (claims, code) = (self.clone(), code.to_owned());
                    // Where it fails, who comes later waits for it, and is told.
                    tokio::spawn(async move { claims.programme_now(&code).await });
                    return Ok(known);
                }
                Recalled::Nothing => {}
            }
        }
        self.programme_now(code).await
    }

    /// A programme with its versions as it is now, which is remembered.
    async fn programme_now(&self, code: &str) -> Result<Arc<Known>, Status> {
        let asked = Instant::now();
        let known = Arc::new(self.programme(code).await?);
        self.recent.keep(code, asked, Arc::clone(&known));
        Ok(known)
    }

    /// Some programmes; those that are not there are missing.
    pub(crate) async fn programmes_of(
        &self,
        codes: impl IntoIterator<Item = String>,
    ) -> Result<BTreeMap<String, Known>, Status> {
        let mut known = BTreeMap::new();
        for code in codes {
            if known.contains_key(&code) {
                continue;
            }
            match self.programme(&code).await {
                Ok(programme) => {
                    known.insert(code, programme);
                }
                Err(status) if status.code() == tonic::Code::NotFound => {}
                Err(status) => return Err(status),
            }
        }
        Ok(known)
    }

    /// The keys of some persons, for readers.
    pub(crate) async fn vault_keys(
        &self,
        persons: &[Uuid],
    ) -> Result<HashMap<Uuid, Arc<DataKey>>, ReaderFailed> {
        let keys = self.keys.vault.keys(persons).await;
        keys.map_err(ReaderFailed::because)
    }

    /// The facts of an elder.
    pub(crate) async fn elder(&self, elder: ElderId) -> Result<(Facts, u64), Status> {
        let known = facts_table::TABLE.of(&self.pool, &[elder]).await;
        let mut known = known.map_err(errors::of_database)?;
        let kept = known.remove(&elder);
        facts(kept).ok_or_else(|| refusals::no_elder(elder))
    }
}

/// The facts of a row, and the sequence of the last record about the elder; none once erased.
pub(crate) fn facts(kept: Option<Kept>) -> Option<(Facts, u64)> {
    let kept = kept?;
    Some((kept.facts?, kept.sequence))
}

/// Where a service began, if it can be told.
pub(crate) fn check_in(order: &Submitted, key: &DataKey) -> Option<GeoPosition> {
    let place = key
        .open(purpose::CHECK_IN, order.elder.as_uuid(), &order.check_in)
        .ok()?;
    let position = place.position?;
    GeoPosition::new(position.latitude, position.longitude).ok()
}

/// Where the elder lived on a day, if it is known.
pub(crate) fn home(
    facts: &Facts,
    on: LocalDay,
    elder: ElderId,
    key: &DataKey,
) -> Option<GeoPosition> {
    let sealed = facts.on(on).residence.home?;
    let home = key
        .open(elders::purpose::HOME, elder.as_uuid(), &sealed)
        .ok()?;
    let position = home.position?;
    GeoPosition::new(position.latitude, position.longitude).ok()
}
