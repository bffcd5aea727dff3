//! The desk where orders are handed in: each is judged by its content and by the facts recorded now, sealed, kept, and
//! answered with the adjudicator's verdict.
//!
//! The same order again is answered as it stands, whatever the facts have become since.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use civic::ElderId;
use decider::Decider as _;
use elders::Facts;
use eventlog::{
    Aggregate as _, AppendError, ExecuteError, KnownRequest, NewRecord, Repository, RequestDigest,
};
use proto::eldercare::claims::v1 as pb;
use proto::eldercare::r#type::v1 as types;
use readmodel::GivingWay;
use service::{Caller, Deadline, errors, person_keys};
use tonic::Status;
use uuid::Uuid;
use vault::DataKey;

use crate::by_provider;
use crate::claims::{Claims, Known, facts, home};
use crate::codec::purpose;
use crate::judging::{self, Service};
use crate::order::{self, Command, Order, Submitted};
use crate::{facts_table, refusals};

/// How many records go into one batch of the log.
const BATCH: usize = 250;

/// An order as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Arrived {
    pub(crate) provider: String,
    pub(crate) number: String,
    pub(crate) programme: String,
    /// 0: the provider says none.
    pub(crate) version: u32,
    pub(crate) elder: ElderId,
    pub(crate) caregiver: Uuid,
    pub(crate) service: Service,
    /// Of the request, so that another order under the same number is noticed.
    pub(crate) digest: RequestDigest,
}

impl Arrived {
    fn key(&self) -> Uuid {
        order::key(&self.provider, &self.number)
    }
}

/// An order that is in the log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kept {
    pub(crate) key: Uuid,
    pub(crate) sequence: u64,
    pub(crate) repeated: bool,
}

type Outcome = Result<Kept, Status>;

/// An order that is judged, on its way to the log.
struct Judged {
    key: Uuid,
    digest: RequestDigest,
    submitted: Box<Submitted>,
}

/// What is known when a batch arrives.
struct Then {
    programmes: std::collections::BTreeMap<String, Known>,
    elders: HashMap<ElderId, elder_tables::Kept>,
    keys: HashMap<Uuid, Arc<DataKey>>,
    now: DateTime<Utc>,
}

impl Claims {
    /// Keeps orders that arrive together, in their order; of each where it is in the log, or why it is not.
    pub(crate) async fn keep_orders(
        &self,
        caller: &Caller,
        arrived: Vec<Arrived>,
    ) -> Result<Vec<Outcome>, Status> {
        let then = self.then(caller, &arrived).await?;
        let mut outcomes: Vec<Option<Outcome>> = Vec::with_capacity(arrived.len());
        let (mut fresh, mut again) = (Vec::new(), Vec::new());
        let mut seen = HashSet::new();
        let mut way = GivingWay::from_now();
        for (place, arrived) in arrived.into_iter().enumerate() {
            way.give().await;
            outcomes.push(None);
            if !by_provider::are_there(caller, &arrived.provider) {
                outcomes[place] = Some(Err(refusals::another_provider()));
                continue;
            }
            let (key, digest) = (arrived.key(), arrived.digest.clone());
            match judge(&then, caller, arrived) {
                Ok(judged) if seen.insert(key) => fresh.push((place, judged)),
                // One batch of the log holds an order once.
                Ok(judged) => again.push((place, judged)),
                Err(refused) => {
                    let known = self.known_or(caller, key, &digest, refused);
                    outcomes[place] = Some(known.await);
                }
            }
        }
        let mut rest = fresh.into_iter().peekable();
        while rest.peek().is_some() {
            let batch: Vec<(usize, Judged)> = rest.by_ref().take(BATCH).collect();
            for (place, outcome) in self.keep_batch(caller, batch, then.now).await {
                outcomes[place] = Some(outcome);
            }
        }
        for (place, judged) in again {
            outcomes[place] = Some(self.keep_one(caller, judged, then.now).await);
        }
        let missing = || Err(errors::internal(&"an order without an outcome"));
        let outcomes = outcomes.into_iter();
        Ok(outcomes
            .map(|outcome| outcome.unwrap_or_else(missing))
            .collect())
    }

    /// Waits for the verdicts on orders; where each stands.
    pub(crate) async fn verdicts(
        &self,
        caller: &Caller,
        kept: &[Kept],
        deadline: Deadline,
    ) -> Result<HashMap<Uuid, pb::OrderStanding>, Status> {
        let Some(last) = kept.iter().map(|kept| kept.sequence).max() else {
            return Ok(HashMap::new());
        };
        deadline.bounds(self.adjudicated_up_to(last)).await?;
        let keys: Vec<Uuid> = kept.iter().map(|kept| kept.key).collect();
        let standings = self.standings(&keys).await?.into_iter();
        let told = standings.map(|(key, one)| (key, by_provider::standing(caller, one)));
        Ok(told.collect())
    }

    async fn then(&self, caller: &Caller, arrived: &[Arrived]) -> Result<Then, Status> {
        let mut elders: Vec<ElderId> = arrived.iter().map(|one| one.elder).collect();
        elders.sort_unstable();
        elders.dedup();
        let codes: HashSet<String> = arrived.iter().map(|one| one.programme.clone()).collect();
        // The clock is read before the facts: what is recorded after it does not judge.
        let now = self.clock.now();
        let known = async {
            let known = facts_table::TABLE.of(&self.pool, &elders).await;
            let known = known.map_err(errors::of_database)?;
            let keys = self.keys_within_reach(caller, arrived, &known).await?;
            Ok::<_, Status>((known, keys))
        };
        let (programmes, known) = tokio::join!(self.programmes_of(codes), known);
        let (elders, keys) = known?;
        Ok(Then {
            programmes: programmes?,
            elders,
            keys,
            now,
        })
    }

    /// The keys of the elders about whom the caller may hand orders in. No other is asked for: how long that takes, and that it
    /// fails where keys are out of reach, would tell an elder of elsewhere from one that nobody has heard of.
    async fn keys_within_reach(
        &self,
        caller: &Caller,
        arrived: &[Arrived],
        known: &HashMap<ElderId, elder_tables::Kept>,
    ) -> Result<HashMap<Uuid, Arc<DataKey>>, Status> {
        let reached = |one: &&Arrived| {
            let facts = known.get(&one.elder).and_then(|kept| kept.facts.as_ref());
            let there = |facts: &Facts| {
                let then = facts.on(one.service.day());
                caller.reaches(&then.village().division())
            };
            by_provider::are_there(caller, &one.provider) && facts.is_some_and(there)
        };
        let persons: HashSet<Uuid> = arrived
            .iter()
            .filter(reached)
            .map(|one| one.elder.as_uuid())
            .collect();
        let persons: Vec<Uuid> = persons.into_iter().collect();
        let keys = self.keys.vault.keys(&persons).await;
        keys.map_err(|error| person_keys::away(&error))
    }

    /// Whatever stands against an order now: if it is in the log already, that stands. Only this very order, and for
    /// whoever may hand it in there: others learn nothing of it.
    async fn known_or(
        &self,
        caller: &Caller,
        key: Uuid,
        digest: &RequestDigest,
        refused: Status,
    ) -> Outcome {
        let loaded = self.orders.load_newest(&key.to_string()).await;
        let loaded = loaded.map_err(service::not_loaded)?;
        let Some(brief) = &loaded.state.brief else {
            return Err(refused);
        };
        match loaded.requests().first() {
            Some(request)
                if request.id == key
                    && digest.is(&request.digest)
                    && caller.reaches(&brief.village.division()) =>
            {
                Ok(Kept {
                    key,
                    sequence: request.sequence,
                    repeated: true,
                })
            }
            Some(_) | None => Err(refused),
        }
    }

    async fn keep_batch(
        &self,
        caller: &Caller,
        batch: Vec<(usize, Judged)>,
        now: DateTime<Utc>,
    ) -> Vec<(usize, Outcome)> {
        let mut records = Vec::with_capacity(batch.len());
        let mut decided = Vec::with_capacity(batch.len());
        let mut way = GivingWay::from_now();
        for (_, judged) in &batch {
            way.give().await;
            match new_record(caller, judged, now) {
                Ok((record, events)) => {
                    records.push(record);
                    decided.push(events);
                }
                Err(fault) => {
                    return batch
                        .iter()
                        .map(|(place, _)| (*place, Err(fault.clone())))
                        .collect();
                }
            }
        }
        match self.own.append_all(records).await {
            Ok(sequences) => {
                let mut kept = Vec::with_capacity(batch.len());
                let written = batch.into_iter().zip(sequences).zip(decided);
                for (((place, judged), sequence), events) in written {
                    kept.push((place, self.remember(&judged, sequence, &events)));
                    way.give().await;
                }
                kept
            }
            // Some are there already, or it is open whether they are. One after the other, in their order: each finds out
            // for itself.
            Err(
                AppendError::Conflict { .. } | AppendError::Unavailable(_) | AppendError::TooLarge,
            ) => {
                let mut outcomes = Vec::with_capacity(batch.len());
                for (place, judged) in batch {
                    outcomes.push((place, self.keep_one(caller, judged, now).await));
                }
                outcomes
            }
            Err(fault @ AppendError::Invalid(_)) => {
                let fault = errors::internal(&fault);
                let places = batch.iter().map(|(place, _)| *place);
                places.map(|place| (place, Err(fault.clone()))).collect()
            }
        }
    }

    /// Has an order in memory that was written just now: whoever appeals finds it there.
    fn remember(&self, judged: &Judged, sequence: u64, events: &[order::Event]) -> Outcome {
        let request = KnownRequest {
            id: judged.key,
            sequence,
            digest: judged.digest.recorded(),
        };
        let id = judged.key.to_string();
        let remembered = self.orders.assume_new(&id);
        let remembered = remembered.and_then(|()| self.orders.written(&id, 0, events, request));
        remembered.map_err(|error| errors::internal(&error))?;
        Ok(Kept {
            key: judged.key,
            sequence,
            repeated: false,
        })
    }

    async fn keep_one(&self, caller: &Caller, judged: Judged, now: DateTime<Utc>) -> Outcome {
        let context = context(caller, &judged, now);
        let id = judged.key.to_string();
        let command = Command::Submit(judged.submitted);
        let committed = self.orders.execute(&id, &context, &command).await;
        let committed = committed.map_err(|error| {
            if error == ExecuteError::RequestIdReused {
                refusals::order_id_reused()
            } else {
                service::not_executed(error, refusals::of_order)
            }
        })?;
        Ok(Kept {
            key: judged.key,
            sequence: committed.position.sequence,
            repeated: committed.repeated,
        })
    }
}

fn context(caller: &Caller, judged: &Judged, now: DateTime<Utc>) -> eventlog::CommandContext {
    // Provider and number are the request's id, and so is the key that is made of them.
    caller.context(
        judged.key,
        judged.digest.clone(),
        now,
        Some(judged.submitted.village.division()),
    )
}

fn new_record(
    caller: &Caller,
    judged: &Judged,
    now: DateTime<Utc>,
) -> Result<(NewRecord, Vec<order::Event>), Status> {
    let command = Command::Submit(judged.submitted.clone());
    let events = Order::default()
        .decide(&command)
        .map_err(refusals::of_order)?;
    let subject = Repository::<Order>::subject(&judged.key.to_string());
    let record = NewRecord {
        subject: subject.map_err(|error| errors::internal(&error))?,
        expected: 0,
        metadata: context(caller, judged, now).metadata(),
        events: events.iter().map(Order::encode).collect(),
    };
    Ok((record, events))
}

fn judge(then: &Then, caller: &Caller, arrived: Arrived) -> Result<Judged, Status> {
    let key = arrived.key();
    let day = arrived.service.day();
    let programme = then.programmes.get(&arrived.programme);
    let programme = programme.ok_or_else(|| refusals::no_programme(&arrived.programme))?;
    let version = programme.on(day);
    if arrived.version != 0 && version.map(|(number, _)| number) != Some(arrived.version) {
        return Err(refusals::wrong_version());
    }
    let elder = arrived.elder;
    let known = facts(then.elders.get(&elder).cloned());
    let (facts, registry_sequence) = known.ok_or_else(|| refusals::no_elder(elder))?;
    let village = *facts.on(day).village();
    caller.knows(&village.division(), || refusals::no_elder(elder))?;
    let data_key = then.keys.get(&elder.as_uuid());
    let data_key = data_key.ok_or_else(|| refusals::no_elder(elder))?;
    let home = home(&facts, day, elder, data_key);
    let judged = judging::judge(
        version.map(|(_, definition)| &**definition),
        &arrived.service,
        &facts,
        registry_sequence,
        home.as_ref(),
        then.now,
    );
    let place = pb::CheckInPlace {
        position: Some(types::GeoPosition {
            latitude: arrived.service.place.latitude(),
            longitude: arrived.service.place.longitude(),
        }),
    };
    let submitted = Submitted {
        provider: arrived.provider,
        number: arrived.number,
        programme: arrived.programme,
        version: version.map_or(0, |(number, _)| number),
        elder,
        caregiver: arrived.caregiver,
        check_in_at: arrived.service.check_in_at,
        check_out_at: arrived.service.check_out_at,
        check_in: data_key.seal(purpose::CHECK_IN, elder.as_uuid(), &place),
        items: arrived.service.items,
        evidence: arrived.service.evidence,
        codes: judged.codes,
        facts: judged.facts,
        village,
        units: judged.units,
        amount: judged.amount,
        submitted_by: caller.actor(),
        appeal_until: judged.appeal_until,
        units_a_year: judged.units_a_year,
    };
    Ok(Judged {
        key,
        digest: arrived.digest,
        submitted: Box::new(submitted),
    })
}
