//! What tiering answers: each question is let through, waits for what its caller has seen, and is read from the read
//! models or, for explanations, from the registry's log itself.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use civic::{DivisionCode, ElderId, LocalDay};
use eventlog::{Aggregate, EventLog, Position, ReadError, Record, Repository, Subject};
use readmodel::{DatabaseError, Follower};
use service::{Caller, Clock, Deadline, Refusal, RequestDigests, access, errors};
use sqlx::PgPool;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;
use tonic::{Code, Status};

use crate::evaluate::{Jurisdiction, PolicyRef};
use crate::explain::{self, Explanation, Known};
use crate::facts_table;
use crate::parse::Paged;
use crate::policies_in_force::{NATIONAL, Policies, PoliciesInForce, national_row};
use crate::policy::{Fault, Policy};
use crate::policy_book::{self, PolicyBook};
use crate::progress::ProgressFollower;
use crate::publication;
use crate::simulate::{self, Outcome};
use crate::tiers_queries::{self, Counts, Filter, Found, Listed};
use crate::today_table;

/// How long an answer waits for a position where the call has no nearer deadline.
const PATIENCE: Duration = Duration::from_secs(60);
/// The most faults of a policy that are told; who mends these is told the rest.
const MOST_FAULTS: usize = 16;

/// What the answers are made of. Cheap to clone.
#[derive(Clone)]
pub struct Tiering {
    /// The database.
    pub pool: PgPool,
    /// The registry's log.
    pub registry: Arc<dyn EventLog>,
    /// Our own log.
    pub tiering: Arc<dyn EventLog>,
    /// The time.
    pub clock: Clock,
    /// The policies, compiled.
    pub policies: Arc<Policies>,
    /// The policies as aggregates.
    pub books: Repository<PolicyBook>,
    /// Follows the tiers.
    pub tiers: Follower,
    /// Follows the evaluator.
    pub progress: ProgressFollower,
    /// Digests of requests.
    pub digests: RequestDigests,
    /// Places for checking and trying policies.
    pub trials: Arc<Semaphore>,
}

/// A published policy's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publication {
    /// The position of its record.
    pub position: Position,
    /// Its version.
    pub version: u64,
}

impl Tiering {
    /// The tier of one elder.
    pub async fn tier(&self, caller: &Caller, elder: ElderId) -> Result<Found, Status> {
        let mut tiers = self.tiers_of(caller, "GetTier", &[elder]).await?;
        tiers.pop().flatten().ok_or_else(|| {
            errors::not_found(
                "tier",
                elder.to_string(),
                "the elder has no tier",
                "该老年人没有分级",
            )
        })
    }

    /// The tier of each of these elders, in the order asked; of one whose file is merged, that of the file that stands
    /// for it.
    pub async fn tiers_of(
        &self,
        caller: &Caller,
        action: &'static str,
        elders: &[ElderId],
    ) -> Result<Vec<Option<Found>>, Status> {
        let mut tiers = tiers_queries::of_elders(&self.pool, elders)
            .await
            .map_err(broken)?;
        // A merged file has no tier of its own.
        let without: Vec<ElderId> = elders
            .iter()
            .filter(|elder| !tiers.contains_key(elder))
            .copied()
            .collect();
        let mut standing = HashMap::new();
        if !without.is_empty() {
            standing = facts_table::standing_for(&self.pool, &without)
                .await
                .map_err(broken)?;
        }
        if !standing.is_empty() {
            let survivors: Vec<ElderId> = standing.values().copied().collect();
            let theirs = tiers_queries::of_elders(&self.pool, &survivors)
                .await
                .map_err(broken)?;
            tiers.extend(theirs);
        }
        let elders: Vec<ElderId> = elders
            .iter()
            .map(|elder| *standing.get(elder).unwrap_or(elder))
            .collect();
        for found in tiers.values() {
            caller.may_here(&found.village.division())?;
        }
        if tiers.is_empty() {
            // Whoever may read nobody learns nothing about who is there.
            let place = today_table::villages(&self.pool, &elders)
                .await
                .map_err(broken)?;
            for (_, village) in place {
                caller.may_here(&village.division())?;
            }
        }
        let found: Vec<Option<Found>> = elders
            .iter()
            .map(|elder| tiers.get(elder).cloned())
            .collect();
        let read = found.iter().flatten().map(|found| found.row.elder);
        access::record(caller, action, read);
        Ok(found)
    }

    /// A page of a subtree's tiers, and the token of the next one.
    pub async fn list(
        &self,
        caller: &Caller,
        asked: Paged<Filter>,
    ) -> Result<(Vec<Found>, String), Status> {
        caller.may_where_asked(&asked.filter.division)?;
        let after = asked
            .after
            .as_deref()
            .and_then(|cursor| ElderId::from_slice(cursor).ok());
        let mut tiers = tiers_queries::list(&self.pool, &asked.filter, after, asked.size + 1)
            .await
            .map_err(broken)?;
        let token = next(&mut tiers, asked.size).map_or_else(String::new, |last| {
            asked.list.token(last.row.elder.0.as_bytes())
        });
        access::record(
            caller,
            "ListTiers",
            tiers.iter().map(|found| found.row.elder),
        );
        Ok((tiers, token))
    }

    /// Counts of a subtree, with the tiers of the policy in force there in its order.
    pub async fn count(
        &self,
        caller: &Caller,
        division: &DivisionCode,
    ) -> Result<(Counts, Vec<String>), Status> {
        caller.may_where_asked(division)?;
        let counts = tiers_queries::count(&self.pool, division)
            .await
            .map_err(broken)?;
        let in_force = self
            .policies
            .on(&self.pool, LocalDay::MAX)
            .await
            .map_err(broken)?;
        let mut order: Vec<String> = in_force
            .of(division)
            .1
            .tiers
            .iter()
            .map(|tier| tier.name.clone())
            .collect();
        // Tiers of policies further down come after.
        order.extend(
            counts
                .tiers
                .keys()
                .filter(|tier| {
                    !in_force
                        .of(division)
                        .1
                        .tiers
                        .iter()
                        .any(|own| own.name == **tier)
                })
                .cloned(),
        );
        Ok((counts, order))
    }

    /// Why an elder has this tier, or none, on a day; of one whose file was merged by then, the file that stood for it.
    pub async fn explain(
        &self,
        caller: &Caller,
        elder: ElderId,
        day: LocalDay,
    ) -> Result<Explanation, Status> {
        let unknown = || {
            errors::not_found(
                "elder",
                elder.to_string(),
                "there is no such elder",
                "没有该老年人的档案",
            )
        };
        let today = self.clock.today();
        // As known at the end of that day; today as known now.
        let before = (day < today).then(|| day.end());
        let mut elder = elder;
        let mut records = self.facts_of(elder).await?;
        for _ in 0..facts_table::LONGEST_CHAIN {
            let Some(survivor) = explain::standing_for(elder, &records, before) else {
                break;
            };
            elder = survivor;
            records = self.facts_of(elder).await?;
        }
        let known = explain::known(elder, &records, day, before);
        let (facts, origins) = match known {
            Known::Nobody | Known::Erased => return Err(unknown()),
            Known::NotYet => {
                // Who may read the file as it is now may learn that it was not there yet.
                let Known::Facts(facts, _) = explain::known(elder, &records, today, None) else {
                    return Err(unknown());
                };
                caller.may_here(&facts.on(today).village().division())?;
                access::record(caller, "ExplainTier", [elder]);
                return Ok(not_registered());
            }
            Known::Facts(facts, origins) => (facts, origins),
        };
        if let Known::Facts(latest, _) = explain::known(elder, &records, today, None) {
            caller.may_here(&latest.on(today).village().division())?;
        }
        let in_force = self.policies.on(&self.pool, day).await.map_err(broken)?;
        access::record(caller, "ExplainTier", [elder]);
        Ok(explain::explain(&facts, origins, day, &in_force))
    }

    /// What the registry's log holds about an elder.
    async fn facts_of(&self, elder: ElderId) -> Result<Vec<Record>, Status> {
        let subject = Subject::new("registry", "elder", &elder.to_string())
            .map_err(|error| errors::internal(&error))?;
        self.registry.read(&subject, 0).await.map_err(unread)
    }

    /// Checks a policy against the one above it, and puts it in force.
    pub async fn publish(
        &self,
        caller: &Caller,
        request_id: uuid::Uuid,
        digest: [u8; 16],
        division: DivisionCode,
        yaml: String,
    ) -> Result<Publication, Status> {
        caller.may_where_asked(&division)?;
        let now = self.clock.now();
        let context = caller.context(request_id, digest, now, Some(division));
        let jurisdiction = Jurisdiction::Division(division);
        // A retry is answered as the first time, whatever the policy above has become since.
        let book = self
            .books
            .load_newest(division.as_str())
            .await
            .map_err(service::not_loaded)?;
        if book.request(request_id).is_none() {
            let _place = self.trial().await?;
            let above = self.above(&division).await?;
            check(yaml.clone(), above).await?;
        }
        let command = policy_book::Command::Publish {
            jurisdiction,
            yaml,
            on: LocalDay::of(now),
        };
        let committed = self
            .books
            .execute(division.as_str(), &context, &command)
            .await;
        let committed =
            committed.map_err(|error| service::not_executed(error, |never| match never {}))?;
        let version = if committed.repeated {
            self.version_at(division, committed.position.sequence)
                .await?
        } else {
            committed.state.state.version
        };
        Ok(Publication {
            position: committed.position,
            version,
        })
    }

    /// A place for a trial; it is waited for as long as the call may take.
    async fn trial(&self) -> Result<SemaphorePermit<'_>, Status> {
        self.trials
            .acquire()
            .await
            .map_err(|error| errors::internal(&error))
    }

    /// The policy above a division, by the newest that the log knows.
    async fn above(&self, division: &DivisionCode) -> Result<Arc<Policy>, Status> {
        for above in division.upwards().skip(1) {
            let book = self
                .books
                .load_newest(above.as_str())
                .await
                .map_err(service::not_loaded)?;
            if book.state.version > 0 {
                match Policy::parse(&book.state.yaml) {
                    Ok(policy) => return Ok(Arc::new(policy)),
                    Err(_) => {
                        tracing::error!(division = %above, "a published policy can't be read: the one above it holds")
                    }
                }
            }
        }
        Ok(Policy::national())
    }

    /// The version that a record published.
    async fn version_at(&self, division: DivisionCode, sequence: u64) -> Result<u64, Status> {
        let subject = Repository::<PolicyBook>::subject(division.as_str())
            .map_err(|error| errors::internal(&error))?;
        let records = self
            .tiering
            .read(&subject, sequence - 1)
            .await
            .map_err(unread)?;
        let record = records.iter().find(|record| record.sequence == sequence);
        let event = record
            .and_then(|record| record.events.first())
            .map(PolicyBook::decode);
        match event {
            Some(Ok(policy_book::Event::Published { version, .. })) => Ok(version),
            Some(Err(_)) | None => Err(errors::internal(&"the record of a policy can't be read")),
        }
    }

    /// One policy, and whether it is the one in force for its division.
    pub async fn policy(
        &self,
        jurisdiction: Jurisdiction,
        version: Option<u64>,
    ) -> Result<Listed, Status> {
        let unknown = || {
            errors::not_found(
                "policy",
                jurisdiction.to_string(),
                "there is no such policy",
                "没有该政策",
            )
        };
        let division = match jurisdiction {
            Jurisdiction::National if version.is_none_or(|version| version == NATIONAL.version) => {
                return Ok(shipped());
            }
            Jurisdiction::National => return Err(unknown()),
            Jurisdiction::Division(division) => division,
        };
        let newest = tiers_queries::policy(&self.pool, jurisdiction, None)
            .await
            .map_err(broken)?;
        if let Some(version) = version {
            let row = tiers_queries::policy(&self.pool, jurisdiction, Some(version))
                .await
                .map_err(broken)?;
            let latest = newest.is_some_and(|newest| newest.policy.version == version);
            return row.map(|row| Listed { row, latest }).ok_or_else(unknown);
        }
        if let Some(row) = newest {
            return Ok(Listed { row, latest: true });
        }
        for above in division.upwards().skip(1) {
            let row = tiers_queries::policy(&self.pool, Jurisdiction::Division(above), None)
                .await
                .map_err(broken)?;
            if let Some(row) = row {
                return Ok(Listed { row, latest: true });
            }
        }
        Ok(shipped())
    }

    /// A page of the policies of a division and of those above it, or of all; the shipped one comes first.
    pub async fn list_policies(
        &self,
        asked: Paged<Option<Jurisdiction>>,
    ) -> Result<(Vec<Listed>, String), Status> {
        let after = asked
            .after
            .as_deref()
            .and_then(crate::parse::policy_of_cursor);
        let divisions: Vec<DivisionCode> = match asked.filter {
            None => vec![],
            Some(Jurisdiction::National) => return Ok((vec![shipped()], String::new())),
            Some(Jurisdiction::Division(division)) => division.upwards().collect(),
        };
        let mut policies = if after.is_none() {
            vec![shipped()]
        } else {
            vec![]
        };
        let rows = tiers_queries::policies(&self.pool, &divisions, after.as_ref(), asked.size + 1)
            .await
            .map_err(broken)?;
        policies.extend(rows);
        let token = next(&mut policies, asked.size).map_or_else(String::new, |last| {
            asked
                .list
                .token(&crate::parse::policy_cursor(&last.row.policy))
        });
        Ok((policies, token))
    }

    /// Tries a draft; `told` is given how many elders are judged, of how many.
    pub async fn simulate(
        &self,
        caller: &Caller,
        division: DivisionCode,
        yaml: String,
        told: impl FnMut(u64, u64),
    ) -> Result<Outcome, Status> {
        caller.may_where_asked(&division)?;
        let _place = self.trial().await?;
        let before = self
            .policies
            .on(&self.pool, LocalDay::MAX)
            .await
            .map_err(broken)?;
        let draft = check(yaml, Arc::clone(&before.above(&division).1)).await?;
        let draft_ref = PolicyRef {
            jurisdiction: Jurisdiction::Division(division),
            version: 0,
        };
        let after = before.clone().with(division, (draft_ref, Arc::new(draft)));
        self.simulated(&division, &before, &after, told).await
    }

    async fn simulated(
        &self,
        division: &DivisionCode,
        before: &PoliciesInForce,
        after: &PoliciesInForce,
        told: impl FnMut(u64, u64),
    ) -> Result<Outcome, Status> {
        let mut conn = self.pool.acquire().await.map_err(broken)?;
        simulate::simulate(&mut *conn, division, before, after, told)
            .await
            .map_err(broken)
    }

    /// Waits until answers take a position into account: of the registry, that its facts are judged and the outcome can
    /// be read; of our own log, that it can be read and policies up to there are applied.
    pub async fn wait(&self, position: Option<Position>, deadline: Deadline) -> Result<(), Status> {
        let Some(position) = position else {
            return Ok(());
        };
        let of_registry = position.stream == self.registry.stream();
        let waiting = async {
            let progress = self
                .progress
                .wait_until(|progress| {
                    let reached = if of_registry {
                        progress.registry
                    } else {
                        progress.tiering
                    };
                    reached >= position.sequence
                })
                .await;
            self.tiers_reach(if of_registry {
                progress.appended
            } else {
                progress.appended.max(position.sequence)
            })
            .await;
        };
        within(deadline, waiting).await
    }

    /// Waits until the policies up to a position of our own log can be read.
    pub async fn wait_for_policies(
        &self,
        position: Option<Position>,
        deadline: Deadline,
    ) -> Result<(), Status> {
        match position {
            Some(position) if position.stream == self.tiering.stream() => {
                within(deadline, self.tiers_reach(position.sequence)).await
            }
            other => self.wait(other, deadline).await,
        }
    }

    /// Waits until the read model of our own log has come to a sequence, as long as it takes.
    pub(crate) async fn tiers_reach(&self, sequence: u64) {
        let position = Position::new(self.tiering.stream(), sequence);
        let later = || Instant::now() + Duration::from_secs(3_600);
        while self.tiers.wait_for(&position, later()).await.is_err() {}
    }
}

async fn within(deadline: Deadline, waiting: impl Future<Output = ()>) -> Result<(), Status> {
    let most = deadline.wait_at_most(PATIENCE);
    tokio::time::timeout(most, waiting)
        .await
        .map_err(|_elapsed| errors::deadline_exceeded())
}

/// Reads and checks a policy beside the threads that answer calls: it may take a second.
async fn check(yaml: String, above: Arc<Policy>) -> Result<Policy, Status> {
    let checked =
        tokio::task::spawn_blocking(move || publication::check(&yaml, Some(&above))).await;
    checked
        .map_err(|error| errors::internal(&error))?
        .map_err(refused)
}

/// A policy that is refused: each fault with its line.
fn refused(faults: Vec<Fault>) -> Status {
    let violations: Vec<service::Violation> = faults
        .iter()
        .take(MOST_FAULTS)
        .map(
            |Fault {
                 line,
                 reason,
                 en,
                 zh,
             }| {
                service::Violation::new(
                    "yaml",
                    *reason,
                    format!("line {line}: {en}"),
                    format!("第 {line} 行：{zh}"),
                )
            },
        )
        .collect();
    let Some((first, Fault { line, reason, .. })) = violations.first().zip(faults.first()) else {
        return errors::internal(&"a policy was refused without a fault");
    };
    Refusal::new(
        Code::InvalidArgument,
        *reason,
        first.en.clone(),
        first.zh.clone(),
    )
    .with("line", line.to_string())
    .violations(&violations)
    .into()
}

fn not_registered() -> Explanation {
    Explanation {
        out_of_scope: vec!["NOT_REGISTERED"],
        assignment: None,
        rules: vec![],
        facts: vec![],
        next_change_on: None,
    }
}

fn shipped() -> Listed {
    Listed {
        row: national_row(),
        latest: true,
    }
}

/// Cuts a page to its size; the last element where more follow.
fn next<T>(page: &mut Vec<T>, size: u32) -> Option<&T> {
    let size = size as usize;
    let more = page.len() > size;
    page.truncate(size);
    page.last().filter(|_| more)
}

/// Counts in an order of tiers.
pub fn in_order<'a>(
    counts: &'a BTreeMap<String, u64>,
    order: &'a [String],
) -> impl Iterator<Item = (&'a str, u64)> {
    order
        .iter()
        .map(|tier| (tier.as_str(), counts.get(tier).copied().unwrap_or_default()))
}

fn broken(error: sqlx::Error) -> Status {
    tracing::warn!(error = %DatabaseError::from(error), "the database is unavailable");
    errors::unavailable("the database")
}

fn unread(error: ReadError) -> Status {
    match error {
        ReadError::Unavailable(reason) => {
            tracing::warn!(reason, "the event log is unavailable");
            errors::unavailable("the event log")
        }
        other @ (ReadError::Unreadable { .. }
        | ReadError::Missing { .. }
        | ReadError::Behind { .. }) => errors::internal(&other),
    }
}
