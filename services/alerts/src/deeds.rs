//! Writes many decisions of aggregates at once: each decides by itself, and where there are many, such as in a power cut, some
//! hundred go into one batch of the log.
//!
//! Each deed has a request id that follows from what it answers alone, so that it is done once, however often it is tried.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use civic::VillageCode;
use decider::Decider;
use eventlog::{
    Aggregate, AppendError, CommandContext, ExecuteError, KnownRequest, NewRecord, Position,
    Repository,
};
use futures::{StreamExt as _, TryStreamExt as _};
use readmodel::ReaderFailed;
use service::telemetry;
use uuid::Uuid;

/// From how many deeds on they are written in batches.
pub(crate) const MANY: usize = 16;
/// How many records go into one atomic batch of the log.
const BATCH: usize = 250;
/// How many batches are under way at once.
const BATCHES: usize = 4;
/// How many aggregates decide at once.
const AT_ONCE: usize = 32;

/// Who writes.
pub(crate) const ACTOR: &str = "system:alerts";

/// The namespace of request ids that follow from signals and timers; it never changes.
const REQUESTS: Uuid = Uuid::from_u128(0x8f3a_1d5e_6c27_4b90_9e41_c05d_77aa_2b1c);

/// The digest of our requests: an id says all of one.
const DIGEST: [u8; 16] = [0; 16];

/// What is to be done to an aggregate.
#[derive(Clone, Debug)]
pub(crate) struct Deed<A: Decider> {
    /// Which.
    pub(crate) id: String,
    /// What.
    pub(crate) command: A::Command,
    /// Under which request.
    pub(crate) request: Uuid,
    /// Where the elder lives.
    pub(crate) village: Option<VillageCode>,
    /// What it answers.
    pub(crate) answers: Option<Position>,
}

/// The request id of what follows from something.
pub(crate) fn request_of(parts: &[&str]) -> Uuid {
    // No part holds a newline.
    Uuid::new_v5(&REQUESTS, parts.join("\n").as_bytes())
}

/// The id of the alert that a request raises.
pub(crate) fn alert_of(request: Uuid) -> Uuid {
    Uuid::new_v5(&request, b"alert")
}

impl<A: Decider> Deed<A> {
    fn context(&self, now: DateTime<Utc>) -> CommandContext {
        CommandContext {
            request_id: self.request,
            // The request follows from what it is about: there is no other one with its id.
            request_digest: DIGEST.into(),
            actor: ACTOR.to_owned(),
            now,
            correlation_id: self.request,
            causation_id: None,
            division: self.village.map(|village| village.to_string()),
            traceparent: telemetry::traceparent(),
            answers: self.answers.clone(),
            purpose: None,
        }
    }
}

/// Does deeds, those of an aggregate in their order; the last sequence of what was written, or 0.
pub(crate) async fn carry_out<A: Aggregate>(
    aggregates: &Repository<A>,
    deeds: Vec<Deed<A>>,
    now: DateTime<Utc>,
) -> Result<u64, ReaderFailed>
where
    A::Command: Send + Sync,
    A::Refusal: Send,
{
    let mut by_id: HashMap<String, Vec<Deed<A>>> = HashMap::new();
    for deed in deeds {
        by_id.entry(deed.id.clone()).or_default().push(deed);
    }
    let mut last = 0;
    let mut queues: Vec<_> = by_id.into_values().map(Vec::into_iter).collect();
    loop {
        // The first of each; then the second.
        let round: Vec<Deed<A>> = queues.iter_mut().filter_map(Iterator::next).collect();
        if round.is_empty() {
            return Ok(last);
        }
        let written = if round.len() >= MANY {
            in_batches(aggregates, round, now).await?
        } else {
            one_by_one(aggregates, round, now).await?
        };
        last = last.max(written);
    }
}

async fn one_by_one<A: Aggregate>(
    aggregates: &Repository<A>,
    deeds: Vec<Deed<A>>,
    now: DateTime<Utc>,
) -> Result<u64, ReaderFailed>
where
    A::Command: Send + Sync,
    A::Refusal: Send,
{
    futures::stream::iter(deeds)
        .map(|deed| async move { decide(aggregates, &deed, now).await })
        .buffer_unordered(AT_ONCE)
        .try_fold(0, |last, sequence| async move { Ok(last.max(sequence)) })
        .await
}

/// Has a line decide on its newest state; the sequence of what was written, or 0.
async fn decide<A: Aggregate>(
    aggregates: &Repository<A>,
    deed: &Deed<A>,
    now: DateTime<Utc>,
) -> Result<u64, ReaderFailed>
where
    A::Command: Send + Sync,
    A::Refusal: Send,
{
    let mut context = deed.context(now);
    let mut done = aggregates.execute(&deed.id, &context, &deed.command).await;
    if let Err(ExecuteError::RequestIdReused) = &done {
        // A caller was there before with an id of ours, by mistake or not: it shall hold up nothing.
        tracing::error!(
            aggregate = A::NAME,
            "somebody else has used a request id of the system"
        );
        context.request_id = Uuid::new_v5(&deed.request, b"taken by somebody else");
        done = aggregates.execute(&deed.id, &context, &deed.command).await;
    }
    match done {
        Ok(committed) if committed.changed => Ok(committed.position.sequence),
        Ok(_) => Ok(0),
        Err(ExecuteError::Unreadable {
            sequence, reason, ..
        }) => {
            // Without its history nobody knows what is open. The read model has parked what can't be read.
            tracing::error!(
                aggregate = A::NAME,
                sequence,
                reason,
                "can't be read: nothing is decided about it"
            );
            Ok(0)
        }
        Err(ExecuteError::Refused(_)) => Ok(0),
        Err(error) => Err(ReaderFailed::because(unwritten(&error))),
    }
}

fn unwritten<R>(error: &ExecuteError<R>) -> String {
    match error {
        ExecuteError::Unavailable(reason) | ExecuteError::Invalid(reason) => reason.clone(),
        ExecuteError::Contended => "others kept changing it".to_owned(),
        ExecuteError::TooLarge => "a record is too large".to_owned(),
        ExecuteError::RequestIdReused => "a request id was used twice".to_owned(),
        ExecuteError::Refused(_) | ExecuteError::Unreadable { .. } => {
            "nothing is decided".to_owned()
        }
    }
}

/// A decision on its way to the log.
struct Decided<A: Decider> {
    deed: Deed<A>,
    events: Vec<A::Event>,
    record: NewRecord,
}

async fn in_batches<A: Aggregate>(
    aggregates: &Repository<A>,
    deeds: Vec<Deed<A>>,
    now: DateTime<Utc>,
) -> Result<u64, ReaderFailed>
where
    A::Command: Send + Sync,
    A::Refusal: Send,
{
    let loaded: Vec<_> = futures::stream::iter(deeds)
        .map(|deed| async move {
            let state = aggregates.load(&deed.id).await;
            (deed, state)
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let (mut decided, mut alone) = (Vec::new(), Vec::new());
    let mut last = 0;
    for (deed, state) in loaded {
        let Ok(state) = state else {
            alone.push(deed);
            continue;
        };
        if let Some(known) = state.request(deed.request)
            && known.digest == DIGEST
        {
            last = last.max(known.sequence);
            continue;
        }
        match state.state.decide(&deed.command) {
            Ok(events) if !events.is_empty() => {
                let subject = Repository::<A>::subject(&deed.id).map_err(ReaderFailed::because)?;
                let record = NewRecord {
                    subject,
                    expected: state.sequence,
                    metadata: deed.context(now).metadata(),
                    events: events.iter().map(A::encode).collect(),
                };
                decided.push(Decided {
                    deed,
                    events,
                    record,
                });
            }
            // That nothing follows is decided on the newest state alone.
            Ok(_) | Err(_) => alone.push(deed),
        }
    }
    let mut batches = Vec::new();
    while !decided.is_empty() {
        let rest = decided.split_off(decided.len().min(BATCH));
        batches.push(std::mem::replace(&mut decided, rest));
    }
    let appended = futures::stream::iter(batches)
        .map(|batch| append(aggregates, batch, now))
        .buffer_unordered(BATCHES)
        .try_fold(
            0,
            |last, sequence: u64| async move { Ok(last.max(sequence)) },
        )
        .await?;
    let single = one_by_one(aggregates, alone, now).await?;
    Ok(last.max(appended).max(single))
}

async fn append<A: Aggregate>(
    aggregates: &Repository<A>,
    batch: Vec<Decided<A>>,
    now: DateTime<Utc>,
) -> Result<u64, ReaderFailed>
where
    A::Command: Send + Sync,
    A::Refusal: Send,
{
    let records = batch.iter().map(|one| one.record.clone()).collect();
    match aggregates.log().append_all(records).await {
        Ok(sequences) => {
            let last = sequences.last().copied().unwrap_or_default();
            for (one, sequence) in batch.iter().zip(sequences) {
                let request = KnownRequest {
                    id: one.deed.request,
                    sequence,
                    digest: DIGEST,
                };
                aggregates
                    .written(&one.deed.id, one.record.expected, &one.events, request)
                    .map_err(ReaderFailed::because)?;
            }
            Ok(last)
        }
        // One has moved on: then each decides for itself.
        Err(AppendError::Conflict { .. }) => {
            let deeds = batch.into_iter().map(|one| one.deed).collect();
            one_by_one(aggregates, deeds, now).await
        }
        // Whether they were written is open: the watch starts over from where it was kept.
        Err(
            error @ (AppendError::TooLarge | AppendError::Invalid(_) | AppendError::Unavailable(_)),
        ) => Err(ReaderFailed::because(error)),
    }
}
