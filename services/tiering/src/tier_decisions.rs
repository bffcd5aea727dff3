//! What follows from judging elders: each tier decides for itself, and what it decides is written to our own log.

use chrono::{DateTime, Utc};
use civic::{ElderId, LocalDay, VillageCode};
use decider::Decider;
use eventlog::{
    Aggregate, AppendError, EventLog, Metadata, NewRecord, Position, ReadError, Subject,
};
use readmodel::reaction_request_id;
use uuid::{NoContext, Timestamp, Uuid};

use crate::codec::CONTEXT;
use crate::evaluate::Assignment;
use crate::tier::{self, Tier};

/// The evaluator's name: request ids rest on it.
const NAME: &str = "on_elder_facts";
/// How often a decision is made again when somebody else wrote in between, which only a former instance of the evaluator
/// can do.
const ATTEMPTS: usize = 8;

/// An elder with what the policy in force gives, or nothing when out of scope.
pub(crate) struct Evaluated {
    pub(crate) elder: ElderId,
    pub(crate) assignment: Option<Assignment>,
    /// Where the elder lives; not known of an erased one.
    pub(crate) village: Option<VillageCode>,
    /// The day from which that holds.
    pub(crate) on: LocalDay,
    pub(crate) cause: Cause,
}

/// Why an elder was judged.
#[derive(Clone, Debug)]
pub(crate) struct Cause {
    /// What the request id is derived from.
    pub(crate) event: Position,
    /// The record that is answered: of the registry, or the policy that was published.
    pub(crate) answers: Option<Position>,
    /// That record's id.
    pub(crate) causation: Option<Uuid>,
    /// What that record came of.
    pub(crate) correlation: Uuid,
    /// Its trace.
    pub(crate) traceparent: Option<String>,
}

/// A decision on its way to the log.
pub(crate) struct Decision {
    evaluated: Evaluated,
    tier: Tier,
    record: NewRecord,
}

/// A tier as it now stands in the log.
pub(crate) struct Written {
    pub(crate) elder: ElderId,
    pub(crate) tier: Tier,
    pub(crate) sequence: u64,
}

/// The log did not take a decision, or not for certain.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct NotWritten(String);

impl From<ReadError> for NotWritten {
    fn from(error: ReadError) -> Self {
        Self(error.to_string())
    }
}

impl Decision {
    /// What is to be written; nothing where nothing differs.
    pub(crate) fn of(
        evaluated: Evaluated,
        now: DateTime<Utc>,
        before: Tier,
        sequence: u64,
    ) -> Option<Self> {
        let (elder, assignment) = (evaluated.elder, evaluated.assignment.clone());
        let village = evaluated
            .village
            .or(before.assignment().map(|assignment| assignment.village));
        let Ok(events) = before.decide(&tier::Command::Evaluate {
            elder,
            assignment,
            on: evaluated.on,
        });
        if events.is_empty() {
            return None;
        }
        let record = NewRecord {
            subject: subject(elder),
            expected: sequence,
            metadata: evaluated.cause.metadata(now, village),
            events: events.iter().map(Tier::encode).collect(),
        };
        Some(Self {
            evaluated,
            tier: before.evolve_all(&events),
            record,
        })
    }
}

impl Cause {
    fn metadata(&self, now: DateTime<Utc>, village: Option<VillageCode>) -> Metadata {
        let request_id = reaction_request_id(NAME, &self.event, 0);
        // A simulated clock may stand before 1970, which a UUID can't tell.
        let seconds = u64::try_from(now.timestamp()).unwrap_or_default();
        Metadata {
            id: Uuid::new_v7(Timestamp::from_unix(
                NoContext,
                seconds,
                now.timestamp_subsec_nanos(),
            )),
            time: now,
            actor: "system:tiering".to_owned(),
            request_id,
            // No request stands behind it.
            request_digest: [0; 16],
            correlation_id: self.correlation,
            causation_id: self.causation,
            division: village.map(|village| village.to_string()),
            traceparent: self.traceparent.clone(),
            answers: self.answers.clone(),
            purpose: None,
        }
    }
}

fn subject(elder: ElderId) -> Subject {
    Subject::new(CONTEXT, Tier::NAME, &elder.to_string()).expect("a UUID is a token")
}

/// Writes decisions about different elders, all or nothing; where others were first, one by one.
pub(crate) async fn append_batch(
    log: &dyn EventLog,
    batch: Vec<Decision>,
    now: DateTime<Utc>,
) -> Result<Vec<Written>, NotWritten> {
    let records = batch
        .iter()
        .map(|decision| decision.record.clone())
        .collect();
    match log.append_all(records).await {
        Ok(sequences) => {
            let written = batch.into_iter().zip(sequences);
            let written = written.map(
                |(
                    Decision {
                        evaluated, tier, ..
                    },
                    sequence,
                )| Written {
                    elder: evaluated.elder,
                    tier,
                    sequence,
                },
            );
            Ok(written.collect())
        }
        Err(AppendError::Conflict { .. }) => {
            let mut written = Vec::with_capacity(batch.len());
            for decision in batch {
                written.push(append_one(log, decision, now).await?);
            }
            Ok(written)
        }
        // Whether they were written is open: the evaluator starts over, reads both logs to their ends, and judges again.
        Err(
            error @ (AppendError::TooLarge | AppendError::Invalid(_) | AppendError::Unavailable(_)),
        ) => Err(NotWritten(error.to_string())),
    }
}

/// Decides on what the log says, and writes.
async fn append_one(
    log: &dyn EventLog,
    decision: Decision,
    now: DateTime<Utc>,
) -> Result<Written, NotWritten> {
    let mut evaluated = decision.evaluated;
    let elder = evaluated.elder;
    for _ in 0..ATTEMPTS {
        let (mut tier, mut sequence) = (Tier::None, 0);
        for record in log.read(&subject(elder), 0).await? {
            sequence = record.sequence;
            let events = record
                .events
                .iter()
                .filter_map(|raw| Tier::decode(raw).ok())
                .collect::<Vec<_>>();
            tier = tier.evolve_all(&events);
        }
        let Some(decision) = Decision::of(evaluated, now, tier.clone(), sequence) else {
            return Ok(Written {
                elder,
                tier,
                sequence,
            });
        };
        match log.append(decision.record).await {
            Ok(sequence) => {
                return Ok(Written {
                    elder,
                    tier: decision.tier,
                    sequence,
                });
            }
            Err(AppendError::Conflict { .. }) => evaluated = decision.evaluated,
            Err(
                error @ (AppendError::TooLarge
                | AppendError::Invalid(_)
                | AppendError::Unavailable(_)),
            ) => {
                return Err(NotWritten(error.to_string()));
            }
        }
    }
    Err(NotWritten("others kept writing the same tier".to_owned()))
}
