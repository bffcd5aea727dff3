//! What tiering answers about elders: each question is let through and read from the read models or, for explanations,
//! from the registry's log itself. Policies have a desk of their own, `policy_desk`; what is waited for stands in `waiting`.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use civic::{DivisionCode, ElderId, LocalDay};
use elders::{Facts, codec};
use eventlog::{EventLog, ReadError, Record, Repository, Subject};
use readmodel::{DatabaseError, Follower, ReaderFollower};
use service::{Caller, Clock, Paged, RequestDigests, errors, paging};
use sqlx::PgPool;
use tokio::sync::Semaphore;
use tonic::Status;

use crate::explain::{self, Explanation, Known};
use crate::facts_table::{self, KeptFacts};
use crate::policies_in_force::Policies;
use crate::policy_book::PolicyBook;
use crate::policy_comparison::PolicyComparison;
use crate::progress::Progress;
use crate::tiers_queries::{self, Counts, Filter, Found};

/// What is told of an elder with a tier.
pub(crate) const TIER: &[&str] = &[
    "tier.division_code",
    "tier.tier",
    "tier.since",
    "tier.reasons",
    "tier.interval",
    "tier.modes",
];
/// What an explanation tells beside that: the facts that the policy goes by.
const EXPLANATION: &[&str] = &[
    "tier.tier",
    "tier.reasons",
    "tier.interval",
    "tier.modes",
    "elder.birth_date",
    "elder.age",
    "elder.categories",
    "elder.assistance",
    "elder.capability",
    "elder.handicap_grade",
    "elder.observations",
    "elder.consent",
];
/// What is told of an elder who was not registered yet.
const STATUS: &[&str] = &["elder.status"];

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
    /// What ties the check of a policy to those that it was checked against.
    pub comparisons: Repository<PolicyComparison>,
    /// Follows the tiers.
    pub tiers: Follower,
    /// Follows the evaluator.
    pub progress: ReaderFollower<Progress>,
    /// Digests of requests.
    pub digests: RequestDigests,
    /// Places for checking and trying policies.
    pub trials: Arc<Semaphore>,
}

impl Tiering {
    /// The tier of one elder. Whoever may not read where the elder lives learns nothing about who is there.
    pub async fn tier(&self, caller: &Caller, elder: ElderId) -> Result<Found, Status> {
        let without = || {
            errors::not_found(
                "tier",
                elder.to_string(),
                "the elder has no tier",
                "该老年人没有分级",
            )
        };
        let found = self.found(caller, &[elder]).await?.pop().flatten();
        let found = found.ok_or_else(without)?;
        caller.told("GetTier", [found.row.elder], TIER).await?;
        Ok(found)
    }

    /// The tier of each of these elders, in the order asked; those whom the caller may not see count as without one.
    pub async fn tiers_of(
        &self,
        caller: &Caller,
        elders: &[ElderId],
    ) -> Result<Vec<Option<Found>>, Status> {
        let seen = self.found(caller, elders).await?;
        let read = seen.iter().flatten().map(|found| found.row.elder);
        caller.told("BatchGetTiers", read, TIER).await?;
        Ok(seen)
    }

    /// The tier of each of these elders whom the caller may see; of a merged file that of the surviving one. The same is asked
    /// about who lives elsewhere as about who is not known, so that both take as long.
    async fn found(
        &self,
        caller: &Caller,
        elders: &[ElderId],
    ) -> Result<Vec<Option<Found>>, Status> {
        let within_reach =
            |_: &ElderId, found: &mut Found| caller.reaches(&found.village.division());
        let mut tiers = tiers_queries::of_elders(&self.pool, elders)
            .await
            .map_err(errors::of_database)?;
        tiers.retain(within_reach);
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
                .map_err(errors::of_database)?;
            // Asked also where nobody was merged: who was, into a file of elsewhere, does not take longer.
            let survivors: Vec<ElderId> = standing.values().copied().collect();
            let mut theirs = tiers_queries::of_elders(&self.pool, &survivors)
                .await
                .map_err(errors::of_database)?;
            theirs.retain(within_reach);
            tiers.extend(theirs);
        }
        let standing = elders
            .iter()
            .map(|elder| *standing.get(elder).unwrap_or(elder));
        Ok(standing.map(|elder| tiers.get(&elder).cloned()).collect())
    }

    /// A page of a subtree's tiers, and the token of the next one.
    pub async fn list(
        &self,
        caller: &Caller,
        asked: Paged<Filter>,
    ) -> Result<(Vec<Found>, String), Status> {
        caller.may_where_asked(&asked.filter.division)?;
        let after = asked
            .page
            .after
            .as_deref()
            .and_then(|cursor| ElderId::from_slice(cursor).ok());
        let mut tiers = tiers_queries::list(&self.pool, &asked.filter, after, asked.page.size + 1)
            .await
            .map_err(errors::of_database)?;
        let token = paging::cut(&mut tiers, asked.page.size).map_or_else(String::new, |last| {
            asked.list.token(last.row.elder.0.as_bytes())
        });
        let told = tiers.iter().map(|found| found.row.elder);
        caller.told("ListTiers", told, TIER).await?;
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
            .map_err(errors::of_database)?;
        let in_force = self
            .policies
            .on(&self.pool, LocalDay::MAX)
            .await
            .map_err(errors::of_database)?;
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
        let past = before.is_some();
        let mut records = self.facts_within_reach(caller, elder, past).await?;
        for _ in 0..facts_table::LONGEST_CHAIN {
            let Some(survivor) = explain::standing_for(elder, &records, before) else {
                break;
            };
            elder = survivor;
            records = self.facts_within_reach(caller, elder, past).await?;
        }
        let known = explain::known(elder, &records, day, before);
        let (facts, origins) = match known {
            Known::Nobody | Known::Erased => return Err(unknown()),
            Known::NotYet => {
                // Who may read the file as it is now may learn that it was not there yet.
                let Known::Facts(facts, _) = explain::known(elder, &records, today, None) else {
                    return Err(unknown());
                };
                caller.knows(&facts.on(today).village().division(), unknown)?;
                caller.told("ExplainTier", [elder], STATUS).await?;
                return Ok(not_registered());
            }
            Known::Facts(facts, origins) => (facts, origins),
        };
        let Known::Facts(latest, _) = explain::known(elder, &records, today, None) else {
            return Err(unknown());
        };
        caller.knows(&latest.on(today).village().division(), unknown)?;
        let in_force = self
            .policies
            .on(&self.pool, day)
            .await
            .map_err(errors::of_database)?;
        caller.told("ExplainTier", [elder], EXPLANATION).await?;
        Ok(explain::explain(&facts, origins, day, &in_force))
    }

    /// What the registry's log holds about an elder, if the caller may work where the elder lives, or if the file was merged: then
    /// the surviving one decides. For a past day it is enough that it ever was: on that day another one may have stood for it. All
    /// that say the row and what the log has beyond it. About anybody else the log is not read, and there is nothing: they take no
    /// longer than who is not known.
    async fn facts_within_reach(
        &self,
        caller: &Caller,
        elder: ElderId,
        past: bool,
    ) -> Result<Vec<Record>, Status> {
        let subject = Subject::new("registry", "elder", &elder.to_string())
            .map_err(|error| errors::internal(&error))?;
        if let Some(kept) = self.facts_kept(elder).await? {
            let newer = self.registry.read(&subject, kept.sequence).await;
            let newer = newer.map_err(unread)?;
            let events = newer.iter().flat_map(|record| &record.events);
            let events = events.filter_map(|raw| codec::decode(raw).ok());
            let (mut latest, mut once_merged) = (Some(kept.facts), kept.once_merged);
            for event in events {
                once_merged |= facts_table::merges(&event, elder);
                latest = Facts::after(latest, &event, elder);
            }
            let within_reach = latest.is_none_or(|latest| {
                let today = latest.on(self.clock.today());
                let another_stands = today.merged || (past && once_merged);
                another_stands || caller.reaches(&today.village().division())
            });
            if !within_reach {
                return Ok(vec![]);
            }
        }
        self.registry.read(&subject, 0).await.map_err(unread)
    }

    /// An elder's row. One that can't be read counts as none, since the log decides then, whoever asks; a database that is away is
    /// needed for the policies all the same.
    async fn facts_kept(&self, elder: ElderId) -> Result<Option<KeptFacts>, Status> {
        let kept = facts_table::facts_of(&self.pool, elder).await;
        match kept.map_err(DatabaseError::from) {
            Ok(kept) => Ok(kept),
            Err(error) if error.is_passing() => Err(errors::of_look_up(error)),
            Err(error) => {
                tracing::warn!(%error, "an elder's row can't be read: the log decides");
                Ok(None)
            }
        }
    }
}

fn not_registered() -> Explanation {
    Explanation {
        out_of_scope: vec!["NOT_REGISTERED"],
        policy: None,
        assignment: None,
        rules: vec![],
        facts: vec![],
        next_change_on: None,
    }
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

pub(crate) fn unread(error: ReadError) -> Status {
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
