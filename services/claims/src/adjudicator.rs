//! The adjudicator: reads our own log in its order, and appends its verdicts in runs. Whoever hands in an order waits for its
//! own verdict.
//!
//! It keeps nothing: what came before a chunk of the log it asks of the read model ([`crate::book_table`]), once that has read
//! as far. All runs are records of one aggregate, each appended at the sequence of the one before, so of two adjudicators one
//! is refused; each names the position up to which the log was read, so whoever starts goes on from the last one, whatever
//! was lost. What a run reserves of funds, and the premiums that it books, stand with it in one batch of the log.
//!
//! How far it has got is told by [`Adjudicated`].

mod earlier_rows;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use civic::DepositKind;
use decider::Decider as _;
use eventlog::{
    Aggregate as _, AppendError, CommandContext, Deliveries, Delivery, EventLog, KnownRequest,
    NewRecord, Position, ReadError, Record, Repository,
};
use futures::StreamExt as _;
use futures::stream::BoxStream;
use readmodel::{
    ActiveReader, Follower, GivingWay, HEARTBEAT, ReaderFailed, ReaderFollower, Traces, Work,
    reaction_request_id, run_reader, table_is_there,
};
use service::{Clock, telemetry};
use sqlx::{Connection as _, PgConnection, PgPool};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::{Instrument as _, Span};
use uuid::Uuid;

use crate::adjudication::{Appealed, Days, Earlier, Registers, Run, Runs};
use crate::book_table;
use crate::caregiver::{self, Caregiver};
use crate::enrolment::{self, Enrolments};
use crate::fund::{self, Fund};
use crate::order::{self, Order, Submitted};
use crate::progress::Adjudicated;
use crate::provider::{self, Provider};
use crate::settlements::{self, Settlements};

/// The reader's name: request ids rest on it.
pub const NAME: &str = "adjudicator";
/// The name of its lock, by which operators know it.
const LOCK: &str = "claims adjudicator";
/// Its part in a trace.
const REACT: &str = "react claims adjudicator";
/// The id of the aggregate that runs are records of.
const RUNS: &str = "orders";
/// How many records are judged in one run.
const CHUNK: usize = 500;
/// For how many chunks what came before is looked up ahead of time.
const AHEAD: usize = 2;
/// How often a run is written again because a fund has moved.
const ATTEMPTS: usize = 64;

/// What it works with.
#[derive(Clone)]
pub struct Adjudicator {
    /// The database.
    pub pool: PgPool,
    /// Our own log.
    pub own: Arc<dyn EventLog>,
    /// Funds.
    pub funds: Repository<Fund>,
    /// The time.
    pub clock: Clock,
    /// Follows the read model of our own log.
    pub book: Follower,
    /// Tells how far it has got.
    pub progress: ReaderFollower<Adjudicated>,
}

impl Adjudicator {
    /// Runs until `shutdown`.
    pub async fn run(self, shutdown: CancellationToken) {
        let adjudicator = Arc::new(self);
        run_reader(&adjudicator.pool, LOCK, &shutdown, |conn| {
            let adjudicator = Arc::clone(&adjudicator);
            async move { adjudicator.lead(conn).await }
        })
        .await;
    }

    async fn lead(&self, mut conn: PgConnection) -> Result<(), ReaderFailed> {
        let table = format!("{}.service_order", book_table::NAME);
        table_is_there(&mut conn, &table).await?;
        let known = Adjudicated::known(&mut conn).await?.unwrap_or_default();
        let progress = self.catch_up(known).await?;
        let deliveries = self.own.subscribe(progress.read).await?;
        let mut chunks = self.prepared(deliveries, progress.read);
        let mut active = Active {
            adjudicator: self,
            conn,
            progress,
            active: self.progress.active(Some(progress)),
        };
        loop {
            let next = tokio::time::timeout(HEARTBEAT, chunks.next()).await;
            let Ok(next) = next else {
                active.conn.ping().await?;
                continue;
            };
            let Some(chunk) = next.transpose()? else {
                return Err(ReaderFailed::because("the subscription ended"));
            };
            active.adjudicate(chunk).await?;
        }
    }

    /// The log after a sequence in chunks, each with what came before it; the next ones are looked up while one is judged.
    fn prepared(&self, deliveries: Deliveries, read: u64) -> BoxStream<'static, Prepared> {
        let (pool, book) = (self.pool.clone(), self.book.clone());
        let pieces = deliveries.scan(read, |read, batch| {
            let pieces = batch.map(|batch| cut(batch, read));
            futures::future::ready(Some(pieces))
        });
        let prepared = pieces.flat_map(move |pieces| {
            let (pool, book) = (pool.clone(), book.clone());
            let pieces: Vec<Result<Piece, ReadError>> = match pieces {
                Ok(pieces) => pieces.into_iter().map(Ok).collect(),
                Err(error) => vec![Err(error)],
            };
            futures::stream::iter(pieces).map(move |piece| {
                let (pool, book) = (pool.clone(), book.clone());
                // A task of its own: it goes on while somebody waits for something else.
                let prepared = tokio::spawn(async move {
                    let piece = piece?;
                    let before = piece.before;
                    let chunk = Chunk::of(piece).await;
                    chunk.prepare(&pool, &book, before).await
                });
                AbortOnDropHandle::new(prepared)
            })
        });
        let prepared = prepared.buffered(AHEAD);
        prepared
            .map(|prepared| prepared.map_err(ReaderFailed::because)?)
            .boxed()
    }

    /// Reads the runs that were written after what is known.
    async fn catch_up(&self, mut known: Adjudicated) -> Result<Adjudicated, ReaderFailed> {
        let subject = Repository::<Runs>::subject(RUNS).map_err(ReaderFailed::because)?;
        for run in self.own.read(&subject, known.written).await? {
            let answers = run.metadata.answers.as_ref();
            known.read = known
                .read
                .max(answers.map_or(0, |answers| answers.sequence));
            known.written = run.sequence;
        }
        Ok(known)
    }
}

/// The active adjudicator.
struct Active<'a> {
    adjudicator: &'a Adjudicator,
    conn: PgConnection,
    progress: Adjudicated,
    /// Tells of it.
    active: ActiveReader<Adjudicated>,
}

/// A chunk of the log, or why there is none.
type Prepared = Result<Chunk, ReaderFailed>;

/// Some records of the log, as far as they mean something for orders.
struct Chunk {
    items: Vec<Item>,
    /// What came before; but for what is used of years.
    earlier: Earlier,
    appealed: HashMap<Uuid, Appealed>,
    /// The last one that means something.
    latest: Option<Record>,
    /// The traces of all that mean something.
    traces: BTreeSet<String>,
    /// The sequence of the last record.
    last: u64,
}

/// Some records of the log that go into one run, as they lie there.
struct Piece {
    deliveries: Vec<Delivery>,
    /// The sequence of the last record before them.
    before: u64,
    /// The sequence of the last one of them.
    last: u64,
}

/// What was delivered after a sequence in pieces; moves the sequence on.
fn cut(mut deliveries: Vec<Delivery>, read: &mut u64) -> Vec<Piece> {
    let mut pieces = Vec::with_capacity(deliveries.len().div_ceil(CHUNK));
    while !deliveries.is_empty() {
        let rest = deliveries.split_off(deliveries.len().min(CHUNK));
        let deliveries = std::mem::replace(&mut deliveries, rest);
        let before = *read;
        *read = deliveries.last().map_or(before, Delivery::sequence);
        pieces.push(Piece {
            deliveries,
            before,
            last: *read,
        });
    }
    pieces
}

impl Chunk {
    async fn of(piece: Piece) -> Self {
        let mut items = Vec::new();
        let mut latest = None;
        let mut traces = BTreeSet::new();
        let mut way = GivingWay::from_now();
        for delivery in &piece.deliveries {
            match delivery {
                Delivery::Record(record) => {
                    let before = items.len();
                    read(record, &mut items);
                    if items.len() > before {
                        latest = Some(record);
                        traces.extend(record.metadata.traceparent.clone());
                    }
                }
                // The read model parks it; here it is nothing.
                Delivery::Unreadable { .. } => {}
            }
            way.give().await;
        }
        Self {
            latest: latest.cloned(),
            traces,
            items,
            earlier: Earlier::default(),
            appealed: HashMap::new(),
            last: piece.last,
        }
    }

    /// Looks up what the log says up to a sequence. What runs say is not asked for: the run before may not be written yet.
    async fn prepare(mut self, pool: &PgPool, book: &Follower, before: u64) -> Prepared {
        if self.items.is_empty() {
            return Ok(self);
        }
        book.reaches(before).await;
        let mut db = pool.begin().await?;
        // Plans that were made while tables were empty don't outlast that.
        sqlx::raw_sql("SET LOCAL plan_cache_mode = force_custom_plan")
            .execute(&mut *db)
            .await?;
        self.earlier = earlier_rows::of(&mut db, &self.items, before).await?;
        self.appealed = earlier_rows::appealed(&mut db, &self.items).await?;
        db.commit().await?;
        Ok(self)
    }
}

/// What a record means for orders.
enum Item {
    Submitted(Box<Submitted>),
    Accepted(Uuid),
    Withdrawn(Uuid),
    Enrolment(enrolment::Event),
    Provider(provider::Event),
    Caregiver(Uuid, caregiver::Event),
}

impl Active<'_> {
    async fn adjudicate(&mut self, mut chunk: Chunk) -> Result<(), ReaderFailed> {
        let last = chunk.last;
        if let Some(latest) = chunk.latest.take() {
            // All that runs have said stands in the read model.
            let before = self.progress.read.max(self.progress.written);
            self.adjudicator.book.reaches(before).await;
            let mut others = std::mem::take(&mut chunk.traces);
            // One record bears one trace: the run goes on in that of the last request, and the others end with it.
            let span = match latest.metadata.traceparent.as_deref() {
                Some(trace) => {
                    others.remove(trace);
                    telemetry::span_of(REACT, Some(trace))
                }
                None => Span::none(),
            };
            let traces = Traces::from_here_on(others.iter().map(String::as_str));
            let judging = async {
                let run = self.judge(chunk).await?;
                self.append(run, last, &latest).await
            };
            self.progress.written = judging.instrument(span).await?;
            traces.passed(Work::React, LOCK);
        }
        self.progress.read = last;
        self.progress.write(&mut self.conn).await?;
        self.active.tell(self.progress);
        Ok(())
    }

    /// The verdicts, in the order of the log.
    async fn judge(&mut self, chunk: Chunk) -> Result<Run, ReaderFailed> {
        let Chunk {
            items,
            mut earlier,
            mut appealed,
            ..
        } = chunk;
        earlier.used = earlier_rows::used(&mut self.conn, &items, &appealed).await?;
        let mut run = Run::default();
        let mut way = GivingWay::from_now();
        for item in items {
            match item {
                Item::Submitted(submitted) => earlier.judge(&submitted, &mut run),
                Item::Accepted(key) => {
                    // An order that the read model could not take in has no verdict that an appeal could change.
                    if let Some(appealed) = appealed.remove(&key) {
                        earlier.accept(appealed, &mut run);
                    }
                }
                Item::Withdrawn(key) => {
                    if let Some(approved) = appealed.remove(&key) {
                        earlier.withdraw(approved, &mut run);
                    }
                }
                Item::Enrolment(event) => {
                    if let enrolment::Event::Charged { whose, amount, .. } = &event {
                        run.charge(&whose.programme, *amount);
                    }
                    earlier.registers.enrol(event);
                }
                Item::Provider(event) => earlier.registers.contract(event),
                Item::Caregiver(caregiver, event) => earlier.registers.list(caregiver, event),
            }
            way.give().await;
        }
        Ok(run)
    }

    /// Writes a run, with what it does to funds; its sequence, or that of the run before where it says nothing.
    async fn append(&self, run: Run, last: u64, latest: &Record) -> Result<u64, ReaderFailed> {
        let events = run.finish();
        if events.is_empty() {
            return Ok(self.progress.written);
        }
        let adjudicator = self.adjudicator;
        let context = context(
            adjudicator.own.stream(),
            last,
            latest,
            adjudicator.clock.now(),
        );
        let subject = Repository::<Runs>::subject(RUNS).map_err(ReaderFailed::because)?;
        let of_run = NewRecord {
            subject,
            expected: self.progress.written,
            metadata: context.metadata(),
            events: events.iter().map(Runs::encode).collect(),
        };
        for _ in 0..ATTEMPTS {
            let moves = self.moves(&run, &context).await?;
            let mut records: Vec<NewRecord> = moves.iter().map(|one| one.record.clone()).collect();
            records.push(of_run.clone());
            match adjudicator.own.append_all(records).await {
                Ok(sequences) => {
                    self.remember(moves, &sequences, &context)?;
                    let written = sequences.last().copied();
                    return Ok(written.unwrap_or(self.progress.written));
                }
                Err(AppendError::Conflict { .. }) => {
                    let known = adjudicator.catch_up(self.progress).await?;
                    if known != self.progress {
                        return Err(ReaderFailed::because("another adjudicator has written"));
                    }
                    // A fund has moved.
                    for programme in programmes(&run) {
                        adjudicator.funds.load_newest(programme).await?;
                    }
                }
                // Whether it was written is open: the next start finds out.
                Err(
                    error @ (AppendError::TooLarge
                    | AppendError::Invalid(_)
                    | AppendError::Unavailable(_)),
                ) => return Err(ReaderFailed::because(error)),
            }
        }
        Err(ReaderFailed::because("others kept moving a fund"))
    }

    /// What the run does to funds.
    async fn moves(&self, run: &Run, context: &CommandContext) -> Result<Vec<Move>, ReaderFailed> {
        let mut moves = Vec::new();
        for programme in programmes(run) {
            let loaded = self.adjudicator.funds.load(programme).await?;
            let mut fund = loaded.state;
            let mut commands = Vec::new();
            if let Some((amount, persons)) = run.premiums.get(programme) {
                commands.push(fund::Command::Deposit {
                    kind: DepositKind::Premium,
                    amount: *amount,
                    reference: String::new(),
                    persons: *persons,
                });
            }
            if let Some((amount, orders)) = run.reserved.get(programme) {
                commands.push(fund::Command::Reserve {
                    amount: *amount,
                    orders: *orders,
                });
            }
            let mut events = Vec::new();
            for command in commands {
                let decided = fund.decide(&command);
                let decided = decided.map_err(|_sum| {
                    ReaderFailed::because("a fund's sums are too large to count")
                })?;
                fund = fund.evolve_all(&decided);
                events.extend(decided);
            }
            let subject = Repository::<Fund>::subject(programme).map_err(ReaderFailed::because)?;
            let record = NewRecord {
                subject,
                expected: loaded.sequence,
                metadata: context.metadata(),
                events: events.iter().map(Fund::encode).collect(),
            };
            moves.push(Move { events, record });
        }
        Ok(moves)
    }

    fn remember(
        &self,
        moves: Vec<Move>,
        sequences: &[u64],
        context: &CommandContext,
    ) -> Result<(), ReaderFailed> {
        for (moved, sequence) in moves.into_iter().zip(sequences) {
            let request = KnownRequest {
                id: context.request_id,
                sequence: *sequence,
                digest: context.request_digest.recorded(),
            };
            let Move { events, record } = moved;
            self.adjudicator
                .funds
                .written(record.subject.id(), record.expected, &events, request)
                .map_err(ReaderFailed::because)?;
        }
        Ok(())
    }
}

/// What a run does to a fund.
struct Move {
    events: Vec<fund::Event>,
    record: NewRecord,
}

/// The programmes whose funds a run moves.
fn programmes(run: &Run) -> impl Iterator<Item = &str> {
    let moved: BTreeSet<&String> = run.premiums.keys().chain(run.reserved.keys()).collect();
    moved.into_iter().map(String::as_str)
}

/// The context of a run that was read up to a sequence, in the present trace.
fn context(stream: &str, last: u64, latest: &Record, now: DateTime<Utc>) -> CommandContext {
    let position = Position::new(stream, last);
    let request_id = reaction_request_id(NAME, &position, 0);
    CommandContext {
        request_id,
        // No request stands behind it.
        request_digest: [0; 16].into(),
        actor: "system:claims".to_owned(),
        now,
        correlation_id: request_id,
        causation_id: Some(latest.metadata.id),
        division: None,
        traceparent: telemetry::traceparent().or_else(|| latest.metadata.traceparent.clone()),
        answers: Some(position),
        purpose: None,
    }
}

/// What a record means for orders. What can't be read means nothing: the read model parks it.
fn read(record: &Record, items: &mut Vec<Item>) {
    let aggregate = record.subject.aggregate();
    for raw in &record.events {
        if aggregate == Order::NAME {
            match Order::decode(raw) {
                Ok(order::Event::Submitted(submitted)) => items.push(Item::Submitted(submitted)),
                Ok(order::Event::AppealAccepted { .. }) => {
                    items.extend(record.subject.id().parse().ok().map(Item::Accepted));
                }
                Ok(
                    order::Event::AppealFiled { .. }
                    | order::Event::AppealRefused { .. }
                    | order::Event::NotSettled { .. },
                )
                | Err(_) => {}
            }
        } else if aggregate == Settlements::NAME {
            if let Ok(settlements::Event::HoldEnded {
                order,
                withdrawn: true,
                ..
            }) = Settlements::decode(raw)
            {
                items.push(Item::Withdrawn(order));
            }
        } else if aggregate == Enrolments::NAME {
            items.extend(Enrolments::decode(raw).ok().map(Item::Enrolment));
        } else if aggregate == Provider::NAME {
            items.extend(Provider::decode(raw).ok().map(Item::Provider));
        } else if aggregate == Caregiver::NAME
            && let Ok(caregiver) = record.subject.id().parse()
        {
            let event = Caregiver::decode(raw).ok();
            items.extend(event.map(|event| Item::Caregiver(caregiver, event)));
        }
    }
}

impl Registers {
    /// Takes in what happened to enrolments.
    fn enrol(&mut self, event: enrolment::Event) {
        match event {
            enrolment::Event::Enrolled { whose, spell, .. } => {
                let spells = self.enrolments.entry((whose.programme, whose.elder));
                spells.or_default().push(spell);
            }
            enrolment::Event::Ended {
                whose,
                enrolment,
                last,
            } => {
                let spells = self.enrolments.get_mut(&(whose.programme, whose.elder));
                let mut spells = spells.into_iter().flatten();
                if let Some(spell) = spells.find(|spell| spell.enrolment == enrolment) {
                    spell.last = last;
                }
            }
            enrolment::Event::Charged { .. } => {}
        }
    }

    /// Takes in what happened to contracts.
    fn contract(&mut self, event: provider::Event) {
        match event {
            provider::Event::Contracted(contract) => {
                let days = Days {
                    first: contract.first,
                    last: contract.last,
                };
                let contracts = self
                    .contracts
                    .entry((contract.provider, contract.programme));
                contracts.or_default().insert(contract.contract, days);
            }
            provider::Event::Ended {
                provider,
                contract,
                last,
            } => {
                let contracts = self.contracts.iter_mut();
                for (_, contracts) in contracts.filter(|((of, _), _)| *of == provider) {
                    if let Some(days) = contracts.get_mut(&contract) {
                        days.last = Some(last);
                    }
                }
            }
        }
    }

    /// Takes in what happened to lists of caregivers.
    fn list(&mut self, caregiver: Uuid, event: caregiver::Event) {
        match event {
            caregiver::Event::Registered(listed) => {
                let days = Days {
                    first: listed.first,
                    last: listed.last,
                };
                self.caregivers.insert(caregiver, (listed.provider, days));
            }
            caregiver::Event::Retired(last) => {
                if let Some((_, days)) = self.caregivers.get_mut(&caregiver) {
                    days.last = Some(last);
                }
            }
        }
    }
}
