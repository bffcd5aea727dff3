//! Records that the rules take go into the log: those that arrive together in few batches, in the order in which they came,
//! since the later ones of a visitor are doubted by the earlier.
//!
//! What a new record rests on is how far its elder's year is written, and that the record is not in it, and both stand in
//! rows of the read model. Where the log has moved on since, it refuses the whole batch; then each record is kept by itself,
//! by its year as the log has it.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use civic::{ElderId, FindingKind, LocalDay};
use decider::Decider as _;
use eventlog::{
    Aggregate as _, AppendError, CommandContext, ExecuteError, KnownRequest, NewRecord, Repository,
};
use proto::eldercare::r#type::v1 as types;
use proto::eldercare::visits::v1 as pb;
use service::{Caller, errors};
use sqlx::{AssertSqlSafe, Row as _};
use tonic::Status;
use uuid::Uuid;
use vault::DataKey;

use crate::codec::purpose;
use crate::desk::{Accepted, Arrived, Judged, NotAccepted, Outcome};
use crate::elder_year::{Command, ElderYear, Event, Finding, Recorded};
use crate::visits::Visits;
use crate::{book_table, refusals};

/// How many records go into one batch of the log.
const BATCH: usize = 256;

/// The keys of elders.
type KeysOf = HashMap<Uuid, Arc<DataKey>>;

/// A record's id, and what became of it.
pub(crate) type Kept = (Uuid, Result<Outcome, Status>);

/// What the read model says of elders' years and of records.
#[derive(Default)]
pub(crate) struct Written {
    /// How far each year is written.
    years: HashMap<(ElderId, i32), u64>,
    /// Which records there are already, with elder and year.
    pub(crate) records: HashMap<Uuid, (ElderId, i32)>,
}

/// A new record on its way to the log.
struct New {
    place: usize,
    judged: Judged,
    context: CommandContext,
    year: (ElderId, i32),
    id: String,
    expected: u64,
    events: Vec<Event>,
}

/// New records of different years, with what goes into the log.
#[derive(Default)]
struct Batch {
    new: Vec<New>,
    records: Vec<NewRecord>,
}

impl Batch {
    /// Whether a record of this year has to wait for the next one.
    fn is_full_for(&self, year: (ElderId, i32)) -> bool {
        self.new.len() == BATCH || self.new.iter().any(|new| new.year == year)
    }
}

impl Visits {
    /// Keeps what the rules take; of each record what became of it, in the order in which they came.
    pub(crate) async fn keep_all(
        &self,
        caller: &Caller,
        keys: &KeysOf,
        judged: Vec<Judged>,
        mut written: Written,
        now: DateTime<Utc>,
    ) -> Result<Vec<Kept>, Status> {
        // One by itself is written together with those of other callers.
        if judged.len() == 1 {
            let mut kept = Vec::with_capacity(1);
            for one in judged {
                kept.push(self.keep(caller, keys, one, now).await);
            }
            return Ok(kept);
        }
        let mut kept: Vec<Option<Kept>> = judged.iter().map(|_| None).collect();
        let mut batch = Batch::default();
        for (place, one) in judged.into_iter().enumerate() {
            let year = (one.arrived.elder, one.arrived.visit.day().year());
            let known = written.records.contains_key(&one.arrived.record);
            if known || batch.is_full_for(year) {
                let batch = std::mem::take(&mut batch);
                self.write(caller, keys, batch, now, &mut written, &mut kept)
                    .await;
            }
            match &one.verdict {
                Ok(accepted) if !known => {
                    match self.new_record(caller, keys, &one, accepted, now) {
                        Ok((context, events)) => {
                            written.records.insert(one.arrived.record, year);
                            let expected = written.years.get(&year).copied().unwrap_or_default();
                            let id = ElderYear::id(one.arrived.elder, one.arrived.visit.day());
                            let subject = Repository::<ElderYear>::subject(&id)
                                .map_err(|error| errors::internal(&error))?;
                            let record = NewRecord {
                                subject,
                                expected,
                                metadata: context.metadata(),
                                events: events.iter().map(ElderYear::encode).collect(),
                            };
                            batch.records.push(record);
                            batch.new.push(New {
                                place,
                                judged: one,
                                context,
                                year,
                                id,
                                expected,
                                events,
                            });
                        }
                        Err(status) => kept[place] = Some((one.arrived.record, Err(status))),
                    }
                }
                Ok(_) | Err(_) => kept[place] = Some(self.keep(caller, keys, one, now).await),
            }
        }
        self.write(caller, keys, batch, now, &mut written, &mut kept)
            .await;
        let all: Option<Vec<Kept>> = kept.into_iter().collect();
        all.ok_or_else(|| errors::internal(&"a record without an outcome"))
    }

    /// What there is of the years and of the records that arrive.
    pub(crate) async fn written(&self, arrived: &[Arrived]) -> Result<Written, sqlx::Error> {
        let mut written = Written::default();
        let elders: Vec<Uuid> = arrived.iter().map(|one| one.elder.as_uuid()).collect();
        let mut years: Vec<i32> = arrived.iter().map(|one| one.visit.day().year()).collect();
        years.sort_unstable();
        years.dedup();
        // Years first: a record that is not there afterwards was not there before. Both are planned each time: a plan that
        // was made while the tables were small would read all of them for each batch.
        if arrived.len() > 1 {
            let statement = format!(
                "SELECT elder_id, year, sequence FROM {}.year WHERE elder_id = ANY($1) AND year = ANY($2)",
                book_table::NAME
            );
            let rows = sqlx::query(AssertSqlSafe(statement))
                .persistent(false)
                .bind(&elders)
                .bind(&years)
                .fetch_all(&self.pool)
                .await?;
            for row in rows {
                let year = (ElderId(row.try_get(0)?), row.try_get(1)?);
                let sequence: i64 = row.try_get(2)?;
                written.years.insert(year, sequence.cast_unsigned());
            }
        }
        let ids: Vec<Uuid> = arrived.iter().map(|one| one.record).collect();
        let statement = format!(
            "SELECT record_id, elder_id, start_at FROM {}.record WHERE record_id = ANY($1)",
            book_table::NAME
        );
        let rows = sqlx::query(AssertSqlSafe(statement))
            .persistent(false)
            .bind(&ids)
            .fetch_all(&self.pool)
            .await?;
        for row in rows {
            let start: DateTime<Utc> = row.try_get(2)?;
            let of = (ElderId(row.try_get(1)?), LocalDay::of(start).year());
            written.records.insert(row.try_get(0)?, of);
        }
        Ok(written)
    }

    /// What is written of a record that is not in its year yet.
    fn new_record(
        &self,
        caller: &Caller,
        keys: &KeysOf,
        one: &Judged,
        accepted: &Accepted,
        now: DateTime<Utc>,
    ) -> Result<(CommandContext, Vec<Event>), Status> {
        let arrived = &one.arrived;
        let (context, command) = command(caller, keys, arrived, accepted, now)?;
        // A year in which this record is not decides as one in which nothing has happened.
        let events = ElderYear::default()
            .decide(&command)
            .map_err(refusals::of_year)?;
        Ok((context, events))
    }

    /// Writes records of different years at once.
    async fn write(
        &self,
        caller: &Caller,
        keys: &KeysOf,
        Batch { new, records }: Batch,
        now: DateTime<Utc>,
        written: &mut Written,
        kept: &mut [Option<Kept>],
    ) {
        if records.is_empty() {
            return;
        }
        match self.own.append_all(records).await {
            Ok(sequences) => {
                for (new, sequence) in new.into_iter().zip(sequences) {
                    written.years.insert(new.year, sequence);
                    let request = KnownRequest {
                        id: new.context.request_id,
                        sequence,
                        digest: new.context.request_digest.recorded(),
                    };
                    // Its id was that of a subject a moment ago.
                    let _ = self
                        .years
                        .written(&new.id, new.expected, &new.events, request);
                    kept[new.place] =
                        Some((new.judged.arrived.record, Ok(new.judged.kept(sequence))));
                }
            }
            // Somebody else wrote to one of the years, or all together are too large.
            Err(AppendError::Conflict { .. } | AppendError::TooLarge | AppendError::Invalid(_)) => {
                for new in new {
                    let outcome = self.keep(caller, keys, new.judged, now).await;
                    if let (_, Ok(Outcome::Kept { sequence, .. })) = &outcome {
                        written.years.insert(new.year, *sequence);
                    }
                    kept[new.place] = Some(outcome);
                }
            }
            // Whether they were written is open: sent again they are answered.
            Err(AppendError::Unavailable(error)) => {
                tracing::warn!(error, "the event log is unavailable");
                for new in new {
                    let unavailable = Err(errors::unavailable("the event log"));
                    kept[new.place] = Some((new.judged.arrived.record, unavailable));
                }
            }
        }
    }

    /// Keeps one record by its year as the log has it, or tells why not.
    async fn keep(&self, caller: &Caller, keys: &KeysOf, one: Judged, now: DateTime<Utc>) -> Kept {
        let Judged { arrived, verdict } = one;
        let outcome = self.keep_one(caller, keys, &arrived, verdict, now).await;
        (arrived.record, outcome)
    }

    async fn keep_one(
        &self,
        caller: &Caller,
        keys: &KeysOf,
        arrived: &Arrived,
        verdict: Result<Accepted, NotAccepted>,
        now: DateTime<Utc>,
    ) -> Result<Outcome, Status> {
        let id = ElderYear::id(arrived.elder, arrived.visit.day());
        let accepted = match verdict {
            Ok(accepted) => accepted,
            Err(not_accepted) => {
                // A retry of what was kept before is answered as then.
                let year = self
                    .years
                    .load_newest(&id)
                    .await
                    .map_err(service::not_loaded)?;
                return match (year.request(arrived.record), not_accepted) {
                    (Some(request), _) => repeated(arrived, request, &year.state),
                    (None, NotAccepted::Refused(refusal)) => Ok(Outcome::Refused(refusal)),
                    (None, NotAccepted::Invalid(status)) => Err(*status),
                };
            }
        };
        let (context, command) = command(caller, keys, arrived, &accepted, now)?;
        let committed = self.years.execute(&id, &context, &command).await;
        match committed {
            Ok(committed) => {
                let (result, doubts) = committed
                    .state
                    .state
                    .doubts(arrived.record)
                    .unwrap_or((arrived.result, accepted.doubts));
                Ok(Outcome::Kept {
                    result,
                    doubts,
                    sequence: committed.position.sequence,
                    repeated: committed.repeated,
                })
            }
            Err(ExecuteError::RequestIdReused) => Err(refusals::record_id_reused()),
            Err(error) => Err(service::not_executed(error, |refusal| {
                refusals::of_year(refusal)
            })),
        }
    }
}

impl Judged {
    /// The outcome of a new record that is kept here in the log.
    fn kept(&self, sequence: u64) -> Outcome {
        let doubts = self.verdict.as_ref().map(|accepted| accepted.doubts);
        Outcome::Kept {
            result: self.arrived.result,
            doubts: doubts.unwrap_or_default(),
            sequence,
            repeated: false,
        }
    }
}

/// The command that keeps a record, and its context.
fn command(
    caller: &Caller,
    keys: &KeysOf,
    arrived: &Arrived,
    accepted: &Accepted,
    now: DateTime<Utc>,
) -> Result<(CommandContext, Command), Status> {
    let context = caller.context(
        arrived.record,
        arrived.digest.clone(),
        now,
        Some(accepted.village.division()),
    );
    let key = keys
        .get(&arrived.elder.as_uuid())
        .ok_or_else(|| refusals::no_elder(arrived.elder))?;
    Ok((context, sealed(arrived, accepted, key)))
}

/// The command that keeps a record, with what is personal sealed under the elder's key.
fn sealed(arrived: &Arrived, accepted: &Accepted, key: &DataKey) -> Command {
    let person = arrived.elder.as_uuid();
    let text = |text: &String| pb::Remarks { text: text.clone() };
    let recorded = Recorded {
        record: arrived.record,
        elder: arrived.elder,
        visitor: arrived.visitor,
        mode: arrived.visit.mode,
        result: arrived.result,
        start: arrived.visit.start,
        end: arrived.visit.end,
        services: arrived.services,
        signed: arrived.signed,
        check_in: arrived.visit.check_in.map(|place| {
            let check_in = pb::CheckIn {
                position: Some(types::GeoPosition {
                    latitude: place.latitude(),
                    longitude: place.longitude(),
                }),
            };
            key.seal(purpose::CHECK_IN, person, &check_in)
        }),
        remarks: arrived
            .remarks
            .as_ref()
            .map(|remarks| key.seal(purpose::REMARKS, person, &text(remarks))),
        photos: arrived.photos.clone(),
        village: accepted.village,
    };
    let finding = |(kind, note): &(FindingKind, Option<String>)| Finding {
        kind: *kind,
        note: note
            .as_ref()
            .map(|note| key.seal(purpose::FINDING, person, &text(note))),
    };
    Command::Record {
        recorded: Box::new(recorded),
        doubts: accepted.doubts,
        findings: arrived.findings.iter().map(finding).collect(),
    }
}

/// The first outcome of a record that comes again.
fn repeated(
    arrived: &Arrived,
    request: &KnownRequest,
    year: &ElderYear,
) -> Result<Outcome, Status> {
    if !arrived.digest.is(&request.digest) {
        return Err(refusals::record_id_reused());
    }
    let (result, doubts) = year
        .doubts(arrived.record)
        .ok_or_else(|| errors::internal(&"a record that was kept is not in its year"))?;
    Ok(Outcome::Kept {
        result,
        doubts,
        sequence: request.sequence,
        repeated: true,
    })
}

#[cfg(test)]
mod tests {
    use civic::{Set, VisitMode, VisitResult};

    use super::*;
    use crate::recording::Visit;

    #[test]
    fn a_retry_with_another_content_is_noticed() {
        let arrived = Arrived {
            record: Uuid::from_u128(1),
            elder: ElderId(Uuid::from_u128(2)),
            visitor: Uuid::from_u128(3),
            visit: Visit {
                mode: VisitMode::Home,
                start: "2024-10-08T09:00:00+08:00".parse().unwrap(),
                end: "2024-10-08T09:30:00+08:00".parse().unwrap(),
                check_in: None,
            },
            result: VisitResult::Met,
            services: Set::new(),
            signed: false,
            remarks: None,
            photos: vec![],
            findings: vec![],
            digest: [1; 16].into(),
        };
        let request = KnownRequest {
            id: arrived.record,
            sequence: 7,
            digest: [2; 16],
        };
        assert!(repeated(&arrived, &request, &ElderYear::default()).is_err());
    }
}
