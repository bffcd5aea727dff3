//! Writes what became of the duties of a period that is over: a hundred elders in one go, each of them once.
//!
//! What a settlement rests on is how far the elder's year is written and whether the period is settled in it, and both
//! stand in a row ([`crate::year_rows`]). Where the log has moved on since, it refuses the whole batch; then each year is
//! read, and decides for itself.

use decider::Decider as _;
use eventlog::{
    Aggregate as _, AppendError, CommandContext, ExecuteError, KnownRequest, NewRecord, Repository,
};
use futures::{StreamExt as _, TryStreamExt as _};

use crate::elder_year::{Command, ElderYear, Event};
use crate::year_rows::YearRow;
use readmodel::ReaderFailed;

/// How many records go into one atomic batch of the log.
const BATCH: usize = 100;
/// How many batches are under way at once.
const BATCHES: usize = 4;

/// A duty that is to be settled.
pub(crate) struct Settlement {
    /// The id of the elder's year.
    pub(crate) year: String,
    /// The year as far as its row tells.
    pub(crate) row: YearRow,
    /// Under which request, and by whom.
    pub(crate) context: CommandContext,
    /// [`Command::SettleMet`] or [`Command::SettleMissed`].
    pub(crate) command: Command,
}

/// A settlement on its way to the log.
struct Decided {
    settlement: Settlement,
    events: Vec<Event>,
    record: NewRecord,
}

/// Writes settlements of different years, of which none is settled by its row; the last sequence of what was written.
pub(crate) async fn settle(
    years: &Repository<ElderYear>,
    settlements: Vec<Settlement>,
) -> Result<u64, ReaderFailed> {
    let mut batches = Vec::new();
    let mut rest = settlements.into_iter().peekable();
    while rest.peek().is_some() {
        let batch = rest.by_ref().take(BATCH).map(Decided::of);
        batches.push(batch.collect::<Result<Vec<_>, _>>()?);
    }
    futures::stream::iter(batches)
        .map(|batch| append(years, batch))
        .buffer_unordered(BATCHES)
        .try_fold(0, |last, sequence| async move { Ok(last.max(sequence)) })
        .await
}

/// Has an elder's year decide on its newest state; the sequence of what was written, or 0.
///
/// A year that can't be read decides nothing, and holds up nobody else's: what is unreadable in it the read model has parked.
pub(crate) async fn decide(
    years: &Repository<ElderYear>,
    year: &str,
    context: &CommandContext,
    command: &Command,
) -> Result<u64, ReaderFailed> {
    match years.execute(year, context, command).await {
        Ok(committed) if committed.changed => Ok(committed.position.sequence),
        Ok(_) => Ok(0),
        Err(ExecuteError::Unreadable {
            sequence, reason, ..
        }) => {
            tracing::error!(
                sequence,
                reason,
                "an elder's year can't be read: nothing is decided in it"
            );
            Ok(0)
        }
        Err(error) => Err(ReaderFailed::because(error)),
    }
}

impl Decided {
    fn of(settlement: Settlement) -> Result<Self, ReaderFailed> {
        // A year in which this period is not settled decides as one in which nothing has happened.
        let events = ElderYear::default()
            .decide(&settlement.command)
            .map_err(|_refusal| ReaderFailed::because("a settlement was refused"))?;
        let subject =
            Repository::<ElderYear>::subject(&settlement.year).map_err(ReaderFailed::because)?;
        let record = NewRecord {
            subject,
            expected: settlement.row.sequence,
            metadata: settlement.context.metadata(),
            events: events.iter().map(ElderYear::encode).collect(),
        };
        Ok(Self {
            settlement,
            events,
            record,
        })
    }
}

async fn append(years: &Repository<ElderYear>, batch: Vec<Decided>) -> Result<u64, ReaderFailed> {
    let records = batch.iter().map(|one| one.record.clone()).collect();
    match years.log().append_all(records).await {
        Ok(sequences) => {
            let last = sequences.last().copied().unwrap_or_default();
            for (one, sequence) in batch.iter().zip(sequences) {
                let Settlement {
                    year, row, context, ..
                } = &one.settlement;
                let request = KnownRequest {
                    id: context.request_id,
                    sequence,
                    digest: context.request_digest.recorded(),
                };
                years
                    .written(year, row.sequence, &one.events, request)
                    .map_err(ReaderFailed::because)?;
            }
            Ok(last)
        }
        Err(AppendError::Conflict { .. }) => {
            let each = batch
                .into_iter()
                .map(|Decided { settlement, .. }| async move {
                    let Settlement {
                        year,
                        context,
                        command,
                        ..
                    } = settlement;
                    decide(years, &year, &context, &command).await
                });
            futures::stream::iter(each)
                .buffer_unordered(BATCH)
                .try_fold(0, |last, sequence| async move { Ok(last.max(sequence)) })
                .await
        }
        // Whether they were written is open: the closing starts over when the read model has all that is in the log.
        Err(
            error @ (AppendError::TooLarge | AppendError::Invalid(_) | AppendError::Unavailable(_)),
        ) => Err(ReaderFailed::because(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use civic::{ElderId, VillageCode};
    use eventlog::{EventLog, Fault, MemoryLog};
    use uuid::Uuid;

    use super::*;
    use crate::elder_year::Missed;
    use crate::period::Period;

    const ELDERS: u128 = 250;

    fn week() -> Period {
        "2024-W41".parse().unwrap()
    }

    /// What a closing that knows no year writes: everybody was missed, under a request of the period's.
    fn missed() -> Vec<Settlement> {
        let village: VillageCode = "350524100001".parse().unwrap();
        let settlement = |number| {
            let elder = ElderId(Uuid::from_u128(number));
            Settlement {
                year: ElderYear::id(elder, week().last_day()),
                row: YearRow::default(),
                context: CommandContext {
                    request_id: Uuid::from_u128(41),
                    request_digest: [0; 16].into(),
                    actor: "system:visits".to_owned(),
                    now: week().end(),
                    correlation_id: Uuid::from_u128(41),
                    causation_id: None,
                    division: None,
                    traceparent: None,
                    answers: None,
                    purpose: None,
                },
                command: Command::SettleMissed(Missed {
                    elder,
                    period: week(),
                    tier: "PRIORITY".to_owned(),
                    village,
                    blocked_by_consent: false,
                }),
            }
        };
        (0..ELDERS).map(settlement).collect()
    }

    #[tokio::test]
    async fn each_year_is_settled_once_also_by_who_does_not_know() {
        let log = Arc::new(MemoryLog::new("VISITS"));
        let years = Repository::<ElderYear>::new(Arc::clone(&log) as Arc<dyn EventLog>);
        // One is settled before, which its row does not tell yet.
        let first = missed().remove(0);
        decide(&years, &first.year, &first.context, &first.command)
            .await
            .unwrap();
        assert_eq!(settle(&years, missed()).await.unwrap(), 250);
        assert_eq!(settle(&years, missed()).await.unwrap(), 250);
        assert_eq!(log.last_sequence().await, Ok(250));
    }

    #[tokio::test]
    async fn a_year_that_cannot_be_read_holds_up_nobody_elses() {
        let log = Arc::new(MemoryLog::new("VISITS"));
        let years = Repository::<ElderYear>::new(Arc::clone(&log) as Arc<dyn EventLog>);
        let first = missed().remove(0);
        let subject = Repository::<ElderYear>::subject(&first.year).unwrap();
        log.write_unreadable(subject.as_ref(), "no record");
        assert_eq!(settle(&years, missed()).await.unwrap(), 250);
        assert_eq!(log.last_sequence().await, Ok(250));
    }

    #[tokio::test]
    async fn what_was_written_without_an_answer_is_not_written_again() {
        for fault in [Fault::AfterWriting, Fault::BeforeWriting] {
            let log = Arc::new(MemoryLog::new("VISITS"));
            let years = Repository::<ElderYear>::new(Arc::clone(&log) as Arc<dyn EventLog>);
            log.fail_next(fault);
            assert!(settle(&years, missed()).await.is_err());
            settle(&years, missed()).await.unwrap();
            assert_eq!(log.last_sequence().await, Ok(250));
        }
    }

    #[tokio::test]
    async fn what_memory_holds_of_a_year_learns_of_the_settlement() {
        let log = Arc::new(MemoryLog::new("VISITS"));
        let years = Repository::<ElderYear>::new(Arc::clone(&log) as Arc<dyn EventLog>);
        let first = missed().remove(0);
        assert!(years.load(&first.year).await.unwrap().is_new());
        settle(&years, missed()).await.unwrap();
        let known = years.load(&first.year).await.unwrap();
        assert_eq!(known, years.load_newest(&first.year).await.unwrap());
        assert!(known.sequence > 0 && known.request(first.context.request_id).is_some());
    }
}
