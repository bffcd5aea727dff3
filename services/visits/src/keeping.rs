//! Records that the rules take go into the log: those that arrive together in few batches, in the order in which they came,
//! since the later ones of a visitor are doubted by the earlier.
//!
//! What a new record rests on is how far its elder's year is written, and that the record is not in it. Both stand in rows
//! of the read model; what a stream has written itself a moment ago it carries from batch to batch. Where the log has moved
//! on since, it refuses the whole batch, and the years are read from the log.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use civic::FindingKind;
use decider::Decider as _;
use eventlog::{
    Aggregate as _, AppendError, CommandContext, ExecuteError, KnownRequest, NewRecord, Repository,
};
use futures::{StreamExt as _, stream};
use proto::eldercare::r#type::v1 as types;
use proto::eldercare::visits::v1 as pb;
use service::{Caller, errors};
use tonic::{Code, Status};
use uuid::Uuid;
use vault::DataKey;

use crate::codec::purpose;
use crate::desk::{Accepted, Arrived, Judged, NotAccepted, Outcome};
use crate::elder_year::{Command, ElderYear, Event, Finding, Recorded};
use crate::refusals;
use crate::visits::Visits;

mod turn;
mod written;

use turn::Carried;
pub(crate) use turn::{Order, Place, Turn};
pub(crate) use written::Written;
use written::Year;

/// How many records go into one batch of the log.
const BATCH: usize = 256;

/// How many years are read from the log at once.
const AT_ONCE: usize = 64;

/// The keys of elders.
type KeysOf = HashMap<Uuid, Arc<DataKey>>;

/// A record's id, and what became of it.
pub(crate) type Kept = (Uuid, Result<Outcome, Status>);

/// A new record on its way to the log.
struct New {
    place: usize,
    judged: Judged,
    context: CommandContext,
    year: Year,
    events: Vec<Event>,
    record: NewRecord,
}

/// Whether an error is about the record itself, so that the records after it go on.
pub(crate) fn is_of_the_record(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::InvalidArgument
            | Code::NotFound
            | Code::PermissionDenied
            | Code::FailedPrecondition
            | Code::AlreadyExists
    )
}

/// New records of different years.
#[derive(Default)]
struct Batch {
    new: Vec<New>,
    years: HashSet<Year>,
}

impl Batch {
    /// Whether a record of this year has to wait for the next one.
    fn is_full_for(&self, year: Year) -> bool {
        self.new.len() == BATCH || self.years.contains(&year)
    }

    fn add(&mut self, new: New) {
        self.years.insert(new.year);
        self.new.push(new);
    }
}

/// Records of one call on their way.
struct Keeping<'a> {
    visits: &'a Visits,
    caller: &'a Caller,
    keys: &'a KeysOf,
    now: DateTime<Utc>,
    kept: Vec<Option<Kept>>,
    /// What is looked for in its year by itself: it is there already, or the rules refuse it.
    apart: Vec<(usize, Judged)>,
    /// Whether the log could be reached.
    reachable: bool,
}

impl Visits {
    /// Keeps what the rules take; of each record what became of it, in the order in which they came. The turn is given to
    /// the next batch when they are kept.
    pub(crate) async fn keep_all(
        &self,
        caller: &Caller,
        keys: &KeysOf,
        judged: Vec<Judged>,
        mut written: Written,
        turn: Option<Turn>,
        now: DateTime<Utc>,
    ) -> Result<Vec<Kept>, Status> {
        let mut keeping = Keeping {
            visits: self,
            caller,
            keys,
            now,
            kept: judged.iter().map(|_| None).collect(),
            apart: Vec::new(),
            reachable: true,
        };
        let mut turn = turn;
        let mut own = Carried::default();
        let carried = turn.as_mut().map_or(&mut own, |turn| &mut turn.carried);
        // One by itself is written together with those of other callers.
        let alone = judged.len() == 1;
        let mut batch = Batch::default();
        for (place, one) in judged.into_iter().enumerate() {
            let record = one.arrived.record;
            let accepted = match &one.verdict {
                Ok(accepted) if !alone && !written.records.contains_key(&record) => accepted,
                Ok(_) | Err(_) => {
                    keeping.apart.push((place, one));
                    continue;
                }
            };
            let year = (one.arrived.elder, one.arrived.visit.day().year());
            if batch.is_full_for(year) {
                keeping.write(std::mem::take(&mut batch), carried).await;
            }
            let known = written.years.get(&year).max(carried.years.get(&year));
            let expected = known.copied().unwrap_or_default();
            match new_record(caller, keys, &one, accepted, expected, now) {
                Ok((context, events, new)) => {
                    written.records.insert(record, year);
                    batch.add(New {
                        place,
                        judged: one,
                        context,
                        year,
                        events,
                        record: new,
                    });
                }
                Err(status) => keeping.kept[place] = Some((record, Err(status))),
            }
        }
        keeping.write(batch, carried).await;
        keeping.look_up(carried).await;
        let all: Option<Vec<Kept>> = keeping.kept.into_iter().collect();
        let all = all.ok_or_else(|| errors::internal(&"a record without an outcome"))?;
        let answered = |(_, outcome): &Kept| outcome.as_ref().err().is_none_or(is_of_the_record);
        if let Some(turn) = turn.filter(|_| all.iter().all(answered)) {
            turn.pass(self.book.known());
        }
        Ok(all)
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
                // A retry of what was kept before is answered as then, to those who work where it was kept.
                if caller
                    .was_answered(&self.years, &id, arrived.record)
                    .await?
                {
                    let year = self.years.load(&id).await.map_err(service::not_loaded)?;
                    if let Some(request) = year.request(arrived.record) {
                        return repeated(arrived, request, &year.state);
                    }
                }
                return match not_accepted {
                    NotAccepted::Refused(refusal) => Ok(Outcome::Refused(refusal)),
                    NotAccepted::Invalid(status) => Err(*status),
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

impl Keeping<'_> {
    /// Writes records of different years at once.
    async fn write(&mut self, Batch { mut new, .. }: Batch, carried: &mut Carried) {
        if new.is_empty() {
            return;
        }
        if !self.reachable {
            return self.unavailable(new);
        }
        let records = |new: &[New]| new.iter().map(|one| one.record.clone()).collect();
        let mut appended = self.visits.own.append_all(records(&new)).await;
        let mut as_known = true;
        if let Err(AppendError::Conflict { .. }) = appended {
            // Somebody else wrote to one of the years, or the read model has not come to it.
            new = self.read_anew(new).await;
            if new.is_empty() {
                return;
            }
            appended = self.visits.own.append_all(records(&new)).await;
            as_known = false;
        }
        match appended {
            Ok(sequences) => {
                for (new, sequence) in new.into_iter().zip(sequences) {
                    let record = new.judged.arrived.record;
                    if as_known {
                        carried.wrote(record, new.year, sequence);
                    } else {
                        carried.found(record, new.year, sequence);
                    }
                    let request = KnownRequest {
                        id: new.context.request_id,
                        sequence,
                        digest: new.context.request_digest.recorded(),
                    };
                    let (id, before) = (new.record.subject.id(), new.record.expected);
                    // Its id was that of a subject a moment ago.
                    let _ = self.visits.years.written(id, before, &new.events, request);
                    let kept = (new.judged.arrived.record, Ok(new.judged.kept(sequence)));
                    self.kept[new.place] = Some(kept);
                }
            }
            // Again, or all together are too large: one by one, in their order.
            Err(AppendError::Conflict { .. } | AppendError::TooLarge | AppendError::Invalid(_)) => {
                for new in new {
                    let outcome = self.keep(new.judged).await;
                    if let (record, Ok(Outcome::Kept { sequence, .. })) = &outcome {
                        carried.found(*record, new.year, *sequence);
                    }
                    self.kept[new.place] = Some(outcome);
                }
            }
            Err(AppendError::Unavailable(error)) => {
                tracing::warn!(error, "the event log is unavailable");
                self.reachable = false;
                self.unavailable(new);
            }
        }
    }

    /// Whether they were written is open, or they were not: sent again they are answered.
    fn unavailable(&mut self, new: Vec<New>) {
        for new in new {
            let unavailable = Err(errors::unavailable("the event log"));
            self.kept[new.place] = Some((new.judged.arrived.record, unavailable));
        }
    }

    /// New records with their years as the log has them. Those that are there already are looked up by themselves.
    async fn read_anew(&mut self, new: Vec<New>) -> Vec<New> {
        let years = &self.visits.years;
        let reading = new.into_iter().map(|new| async move {
            let loaded = years.load_newest(new.record.subject.id()).await;
            (new, loaded)
        });
        let read: Vec<_> = stream::iter(reading).buffered(AT_ONCE).collect().await;
        let mut rest = Vec::with_capacity(read.len());
        for (mut new, loaded) in read {
            match loaded {
                Ok(loaded) if loaded.request(new.context.request_id).is_none() => {
                    new.record.expected = loaded.sequence;
                    rest.push(new);
                }
                Ok(_) | Err(_) => self.apart.push((new.place, new.judged)),
            }
        }
        rest
    }

    /// Looks up what is answered by its year: it writes nothing, but for a record by itself.
    async fn look_up(&mut self, carried: &mut Carried) {
        let apart = std::mem::take(&mut self.apart);
        let this = &*self;
        let looking = apart.into_iter().map(|(place, one)| async move {
            let year = (one.arrived.elder, one.arrived.visit.day().year());
            (place, year, this.keep(one).await)
        });
        let found: Vec<_> = stream::iter(looking)
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        for (place, year, outcome) in found {
            if let (record, Ok(Outcome::Kept { sequence, .. })) = &outcome {
                carried.found(*record, year, *sequence);
            }
            self.kept[place] = Some(outcome);
        }
    }

    async fn keep(&self, one: Judged) -> Kept {
        self.visits
            .keep(self.caller, self.keys, one, self.now)
            .await
    }
}

/// What is written of a record that is not in its year yet.
fn new_record(
    caller: &Caller,
    keys: &KeysOf,
    one: &Judged,
    accepted: &Accepted,
    expected: u64,
    now: DateTime<Utc>,
) -> Result<(CommandContext, Vec<Event>, NewRecord), Status> {
    let arrived = &one.arrived;
    let (context, command) = command(caller, keys, arrived, accepted, now)?;
    // A year in which this record is not decides as one in which nothing has happened.
    let events = ElderYear::default()
        .decide(&command)
        .map_err(refusals::of_year)?;
    let id = ElderYear::id(arrived.elder, arrived.visit.day());
    let record = NewRecord {
        subject: Repository::<ElderYear>::subject(&id).map_err(|error| errors::internal(&error))?,
        expected,
        metadata: context.metadata(),
        events: events.iter().map(ElderYear::encode).collect(),
    };
    Ok((context, events, record))
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
    use civic::{ElderId, Set, VisitMode, VisitResult};

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
