//! Reads all logs and writes the feeds (数据流发布): each event of a service comes out once on each feed that covers its elder,
//! whenever the publisher dies.
//!
//! One replica's publisher is the active one. It waits until the read models hold what it has read, so that a document is never
//! older than the event that it comes with; and puts on record what goes out, before it does. Its position stands in the
//! stream itself, in one batch with what was published.
//!
//! Whom a feed tells of is what is so, not what happened: each elder whom something happened to, and once a day everybody, is
//! compared with whom the feed has told of. So approvals, moves, and moves that take effect later are one and the same.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use chrono::TimeDelta;
use civic::{DivisionCode, ElderId, LocalDay};
use elders::{Facts, FactsOnDay};
use eventlog::{Aggregate as _, Delivery, Record};
use futures::stream::{self, BoxStream, SelectAll};
use futures::{FutureExt as _, StreamExt as _};
use prost::Name as _;
use proto::eldercare::registry::v1 as registry;
use readmodel::{HEARTBEAT, ReaderFailed, ReaderFollower, run_reader};
use sqlx::{Connection as _, PgConnection};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::changes::{Change, changes};
use super::documents::{self, Known, Resolved};
use super::index::{Index, Published, Reached};
use super::message::{Lying, Message, Own, Source};
use super::shown::fields_of;
use super::standing::{Feed, Standing, standing};
use super::stream::{FeedStream, From, Positions, StreamError};
use crate::agreement::Agreement;
use crate::cut::{CutDocument, cut};
use crate::document::Document;
use crate::elders_table;
use crate::look::{Look, Recorded};
use crate::products::ProductName;
use crate::sharing::Sharing;

/// The reader's name.
pub(crate) const NAME: &str = "sharing_feeds";
/// How many records are published in one go.
const RECORDS: usize = 256;
/// How many records wait in memory at most.
const WAITING: usize = 4 * RECORDS;
/// How many messages one batch of the stream bears as a rule.
const BATCH: usize = 800;
/// How many it bears at most, its position aside: the server takes 1,000.
const MOST: usize = 999;
/// How many elders are compared in one go.
const ELDERS: i64 = 100;
/// How many elders one look names.
const IN_A_LOOK: usize = 200;
/// How many keys are fetched at once.
const KEYS_AT_ONCE: usize = 16;
/// How many messages are erased at once.
const ERASED_AT_ONCE: usize = 16;
/// A position without messages is written after so many records.
const SILENT: u64 = 1_000;
/// A feed is told anew before its first messages age out.
const ANEW: TimeDelta = TimeDelta::days(360);
/// So many batches later their positions are taken away.
const POSITIONS: u32 = 1_000;
/// By which method looks by feeds come about.
const METHOD: &str = "Feed";

impl std::convert::From<StreamError> for ReaderFailed {
    fn from(error: StreamError) -> Self {
        Self::because(error)
    }
}

/// Publishes the feeds.
#[derive(Clone)]
pub(crate) struct Publisher {
    /// Read models, logs, keys and the record of looks.
    pub(crate) sharing: Sharing,
    /// Where the feeds are kept.
    pub(crate) stream: FeedStream,
    /// Told how far the feeds have come.
    pub(crate) follower: ReaderFollower<Published>,
}

/// What was read of a log and is not published yet.
struct Waiting {
    /// The log, by its place among all.
    log: usize,
    sequence: u64,
    /// None where it can't be read: the read models have parked it where an operator sees it.
    record: Option<Record>,
}

/// What the active publisher knows.
struct Turn {
    index: Index,
    positions: Positions,
    /// Where the position stands.
    fence: u64,
    standing: Standing,
    day: LocalDay,
    /// Whom the comparison of everybody comes to next, while there is one.
    sweep: Option<Sweep>,
    /// The day of the last one, where nothing has changed since that asks for another.
    swept: Option<LocalDay>,
    /// The day of the last one.
    last_sweep: Option<LocalDay>,
    waiting: VecDeque<Waiting>,
    /// Records that are done since a position was written.
    silent: u64,
    /// Positions that can be taken away.
    positions_left: u32,
}

/// A comparison of everybody.
#[derive(Clone, Copy, Debug)]
struct Sweep {
    after: Option<ElderId>,
    /// The day of the last one.
    since: Option<LocalDay>,
}

impl Turn {
    /// Has everybody compared, from the first one on.
    const fn sweep_all(&mut self) {
        self.swept = None;
        self.sweep = Some(Sweep {
            after: None,
            since: self.last_sweep,
        });
    }
}

/// What is published, and how far the publisher has come once it is.
struct Step {
    message: Message,
    /// What has the same number comes out together.
    unit: usize,
    /// The place of the log, and what is then done of it.
    done: Option<(usize, (u64, u64))>,
}

impl Step {
    const fn of(unit: usize, message: Message) -> Self {
        Self {
            message,
            unit,
            done: None,
        }
    }
}

type Read = (usize, Vec<Delivery>);
type Deliveries = SelectAll<BoxStream<'static, Result<Read, eventlog::ReadError>>>;

impl Publisher {
    /// Runs until `shutdown`.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let publisher = Arc::new(self);
        run_reader(
            &publisher.sharing.pool,
            NAME,
            &shutdown,
            || {},
            |conn| {
                let publisher = Arc::clone(&publisher);
                async move { publisher.lead(conn).await }
            },
        )
        .await;
    }

    async fn lead(&self, conn: PgConnection) -> Result<(), ReaderFailed> {
        let mut turn = self.begin(conn).await?;
        let mut deliveries = self.deliveries(&turn.positions).await?;
        let active = self.follower.active(None);
        self.restand(&mut turn).await?;
        self.take_away(&mut turn).await?;
        // Whoever was before us may have died before they were shown out.
        let departments = turn.index.feeds.keys().map(|feed| feed.department.clone());
        for department in departments.collect::<BTreeSet<String>>() {
            if !turn.standing.has(&department) {
                self.sharing.show_out(&department);
            }
        }
        let mut told = None;
        loop {
            if !self.stands(&mut turn).await? {
                self.restand(&mut turn).await?;
            }
            self.read(&mut turn, &mut deliveries).await?;
            self.publish_waiting(&mut turn).await?;
            self.sweep_some(&mut turn).await?;
            let published = Published {
                reached: self.reached(&turn),
                swept: turn.swept,
            };
            if told != Some(published) {
                turn.index.reach(published.reached, published.swept).await?;
                active.tell(published);
                told = Some(published);
            }
        }
    }

    /// Where the last publisher stopped: the index is brought to what the stream holds.
    async fn begin(&self, conn: PgConnection) -> Result<Turn, ReaderFailed> {
        let mut index = Index::open(conn).await?;
        let (mut positions, mut fence) = self.stream.position().await?;
        if index.sequence > fence {
            tracing::error!(
                "the stream of feeds ends before what was indexed of it: it is indexed anew"
            );
            index.clear().await?;
        }
        while index.sequence < fence {
            let page = self.stream.read(">", From::After(index.sequence), BATCH);
            let page = page.await?;
            // The position lies there: a server that has nothing has fallen behind.
            let last = page
                .last
                .ok_or_else(|| ReaderFailed::because("FEEDS lies behind its position"))?;
            let through = last.min(fence);
            let known = |message: &&Lying| message.sequence <= through;
            let messages: Vec<Lying> = page.messages.iter().filter(known).cloned().collect();
            index.take(&messages, through).await?;
        }
        if fence == 0 {
            // What was there before there were feeds is told by their beginnings.
            for log in self.sharing.logs.all() {
                let last = log.last_sequence().await?;
                positions.0.insert(log.stream().to_owned(), (last, 0));
            }
            fence = self.stream.publish(&[], &positions, 0).await?;
            index.take(&[], fence).await?;
        }
        let last = <Published as readmodel::Reached>::told(&self.sharing.pool).await?;
        let swept = last.and_then(|last| last.swept);
        index.aged(self.stream.first_sequence().await?).await?;
        // Read models that were lost are made again first: what they don't hold yet is not gone.
        for log in self.sharing.logs.all() {
            let done = positions.done(log.stream());
            self.sharing.reach(log.stream(), done).await;
        }
        self.homes_and_agreements().await?;
        Ok(Turn {
            index,
            positions,
            fence,
            standing: Standing::default(),
            day: self.sharing.clock.today(),
            sweep: Some(Sweep {
                after: None,
                since: swept,
            }),
            swept: None,
            last_sweep: swept,
            waiting: VecDeque::new(),
            silent: 0,
            positions_left: POSITIONS,
        })
    }

    async fn deliveries(&self, positions: &Positions) -> Result<Deliveries, ReaderFailed> {
        let mut all = Vec::with_capacity(6);
        for (place, log) in self.sharing.logs.all().into_iter().enumerate() {
            let after = positions.done(log.stream());
            let deliveries = log.subscribe(after).await?;
            all.push(
                deliveries
                    .map(move |some| some.map(|some| (place, some)))
                    .boxed(),
            );
        }
        Ok(stream::select_all(all))
    }

    fn reached(&self, turn: &Turn) -> Reached {
        self.sharing
            .logs
            .all()
            .map(|log| turn.positions.done(log.stream()))
    }

    /// Reads what has come; waits for it where there is nothing else to do.
    async fn read(&self, turn: &mut Turn, deliveries: &mut Deliveries) -> Result<(), ReaderFailed> {
        if turn.waiting.is_empty() && turn.sweep.is_none() {
            let midnight = turn.day.next().start();
            tokio::select! {
                biased;
                some = deliveries.next() => Self::take(turn, some)?,
                () = self.sharing.clock.sleep_until(midnight) => return Ok(()),
                () = tokio::time::sleep(HEARTBEAT) => turn.index.db().ping().await?,
            }
        }
        while turn.waiting.len() < WAITING
            && let Some(some) = deliveries.next().now_or_never()
        {
            Self::take(turn, some)?;
        }
        Ok(())
    }

    fn take(
        turn: &mut Turn,
        some: Option<Result<Read, eventlog::ReadError>>,
    ) -> Result<(), ReaderFailed> {
        let some = some.ok_or_else(|| ReaderFailed::because("a log ended"))?;
        let (log, some) = some?;
        turn.waiting.extend(some.into_iter().map(|delivery| {
            let sequence = delivery.sequence();
            let record = match delivery {
                Delivery::Record(record) => Some(record),
                Delivery::Unreadable { .. } => None,
            };
            Waiting {
                log,
                sequence,
                record,
            }
        }));
        Ok(())
    }

    fn done(&self, turn: &mut Turn, log: usize, done: (u64, u64)) {
        let stream = self.sharing.logs.all()[log].stream();
        let reached = turn.positions.0.entry(stream.to_owned()).or_default();
        *reached = done.max(*reached);
    }

    /// Publishes what the records that wait have changed.
    async fn publish_waiting(&self, turn: &mut Turn) -> Result<(), ReaderFailed> {
        let some = turn.waiting.len().min(RECORDS);
        if some == 0 {
            return Ok(());
        }
        let waiting: Vec<Waiting> = turn.waiting.drain(..some).collect();
        let logs = self.sharing.logs.all();
        let mut last = [0; 6];
        for one in &waiting {
            last[one.log] = one.sequence;
        }
        for (log, last) in logs.iter().zip(last) {
            if last > 0 {
                self.sharing.reach(log.stream(), last).await;
            }
        }
        self.homes_and_agreements().await?;
        let mut records = waiting.iter().filter_map(|one| one.record.as_ref());
        if records.any(|record| record.subject.aggregate() == Agreement::NAME) {
            self.restand(turn).await?;
        }
        let steps = self.steps(turn, &waiting).await?;
        let tombstones = steps
            .iter()
            .any(|step| step.message.event == Own::Erased.name());
        let done: Vec<(usize, u64)> = waiting.iter().map(|one| (one.log, one.sequence)).collect();
        self.publish(turn, steps, &done).await?;
        turn.silent += waiting.len() as u64;
        if turn.silent >= SILENT {
            self.publish_batch(turn, vec![]).await?;
        }
        if tombstones {
            self.erase(turn).await?;
        }
        Ok(())
    }

    /// Waits until it is known where elders live, and what is agreed, by all that stands in the logs now.
    async fn homes_and_agreements(&self) -> Result<(), ReaderFailed> {
        for log in [&self.sharing.logs.registry, &self.sharing.logs.own] {
            let last = log.last_sequence().await?;
            self.sharing.reach(log.stream(), last).await;
        }
        Ok(())
    }

    /// What records lead to, in their order.
    async fn steps(&self, turn: &mut Turn, waiting: &[Waiting]) -> Result<Vec<Step>, ReaderFailed> {
        let logs = self.sharing.logs.all();
        let (mut all, mut of) = (Vec::new(), Vec::new());
        let nobody_listens = turn.index.feeds.values().all(|kept| kept.ended);
        for (place, one) in waiting.iter().enumerate() {
            let (Some(record), false) = (&one.record, nobody_listens) else {
                continue;
            };
            for change in changes(logs[one.log].stream(), record) {
                all.push(change);
                of.push(place);
            }
        }
        let resolved = self.resolved(&all).await?;
        let erased: Vec<(ElderId, &Record)> = waiting.iter().filter_map(erased).collect();
        let mut elders: BTreeSet<ElderId> = resolved.iter().map(|one| one.elder).collect();
        for (elder, _) in &erased {
            elders.remove(elder);
        }
        let mut steps = Vec::new();
        for (elder, record) in &erased {
            steps.extend(self.tombstones(turn, *elder, record).await?);
        }
        if elders.is_empty() {
            return Ok(steps);
        }
        let ids: Vec<ElderId> = elders.iter().copied().collect();
        let facts = elders_table::facts_of_all(&self.sharing.pool, &ids).await?;
        let mut known = known(turn, facts);
        self.unseal(&turn.standing, &mut known).await?;
        // What is about to be told as what happened need not be told as what was there.
        let mut happened = Happened::new();
        for one in &resolved {
            let record = waiting[of[one.change]].record.as_ref();
            let event = record.and_then(|record| record.events.get(one.event));
            let shown = event.and_then(|event| fields_of(short_name(&event.event_type)));
            happened
                .entry((one.product, one.key))
                .or_default()
                .push(shown);
        }
        steps.extend(self.compare(turn, &elders, &known, &happened).await?);
        steps.extend(self.events(turn, waiting, &of, &resolved, &known).await?);
        Ok(steps)
    }

    async fn resolved(&self, all: &[Change]) -> Result<Vec<Resolved>, ReaderFailed> {
        if all.is_empty() {
            return Ok(vec![]);
        }
        Ok(documents::resolve(&self.sharing.pool, all).await?)
    }

    /// The keys of elders of whom some feed tells what is sealed.
    async fn unseal(
        &self,
        standing: &Standing,
        known: &mut BTreeMap<ElderId, Known>,
    ) -> Result<(), ReaderFailed> {
        let sealed = known.iter().filter(|(_, known)| {
            // Of these alone something is sealed.
            let sealed =
                |feed: &Feed| matches!(feed.product, ProductName::Elder | ProductName::Visit);
            known.key.is_none() && covering(standing, &known.facts).any(sealed)
        });
        let sealed: Vec<ElderId> = sealed.map(|(elder, _)| *elder).collect();
        let mut keys = stream::iter(sealed)
            .map(|elder| async move { (elder, self.sharing.keys.key(elder.as_uuid()).await) })
            .buffer_unordered(KEYS_AT_ONCE);
        while let Some((elder, key)) = keys.next().await {
            let key = key.map_err(|status| ReaderFailed::because(status.message()))?;
            if let Some(known) = known.get_mut(&elder) {
                known.key = key;
            }
        }
        Ok(())
    }

    /// Compares whom feeds tell of with whom they told of, and says what was missing. What happened to a document just now is
    /// left out: it is told as that.
    async fn compare(
        &self,
        turn: &mut Turn,
        elders: &BTreeSet<ElderId>,
        known: &BTreeMap<ElderId, Known>,
        happened: &Happened,
    ) -> Result<Vec<Step>, ReaderFailed> {
        let now = self.sharing.clock.now();
        let told = turn.index.told(elders).await?;
        let nobody = BTreeMap::new();
        let mut steps = Vec::new();
        let mut entering: BTreeMap<ElderId, Vec<&Feed>> = BTreeMap::new();
        let mut products = BTreeSet::new();
        for elder in elders {
            let told = told.get(elder).unwrap_or(&nobody);
            let holds = |feed: &Feed| {
                let kept = turn.index.feeds.get(feed);
                kept.is_some_and(|kept| told.get(&kept.id).copied().unwrap_or(false))
            };
            let covering: Vec<&Feed> = match known.get(elder) {
                Some(known) => covering(&turn.standing, &known.facts).collect(),
                None => vec![],
            };
            for (feed, kept) in &turn.index.feeds {
                if !kept.ended && holds(feed) && !covering.contains(&feed) {
                    let message = Message::own(feed, Own::Withdrawn, Some(*elder), now);
                    steps.push(Step::of(steps.len(), message));
                }
            }
            let new: Vec<&Feed> = covering.into_iter().filter(|feed| !holds(feed)).collect();
            if !new.is_empty() {
                products.extend(new.iter().map(|feed| feed.product));
                entering.insert(*elder, new);
            }
        }
        if entering.is_empty() {
            return Ok(steps);
        }
        let mut entered: BTreeMap<ElderId, Known> = known
            .iter()
            .filter(|(elder, _)| entering.contains_key(elder))
            .map(|(elder, known)| (*elder, known.clone()))
            .collect();
        self.unseal(&turn.standing, &mut entered).await?;
        let documents = documents::all_of(&self.sharing.pool, &entered, &products).await?;
        let mut nothing = Vec::new();
        for (elder, feeds) in entering {
            let documents = documents.get(&elder).map_or(&[][..], Vec::as_slice);
            for feed in feeds {
                let (mut told, mut later) = (false, false);
                let unit = steps.len();
                for document in documents.iter().filter(|one| one.product == feed.product) {
                    if is_told_as_event(turn, feed, happened, document) {
                        later = true;
                    } else if let Some(left) = self.left(turn, feed, document) {
                        steps.push(Step::of(unit, Message::shared(feed, &left, now)));
                        told = true;
                    }
                }
                if let (false, false, Some(kept)) = (told, later, turn.index.feeds.get(feed)) {
                    nothing.push((kept.id, elder));
                }
            }
        }
        turn.index.nothing_to_tell(&nothing).await?;
        Ok(steps)
    }

    /// The files of elders whom time alone has changed, on each feed that holds them.
    async fn older(
        &self,
        turn: &mut Turn,
        changed: &BTreeSet<ElderId>,
        known: &BTreeMap<ElderId, Known>,
    ) -> Result<Vec<Step>, ReaderFailed> {
        let told = turn.index.told(changed).await?;
        let mut changed: BTreeMap<ElderId, Known> = known
            .iter()
            .filter(|(elder, _)| told.contains_key(elder))
            .map(|(elder, known)| (*elder, known.clone()))
            .collect();
        if changed.is_empty() {
            return Ok(vec![]);
        }
        self.unseal(&turn.standing, &mut changed).await?;
        let now = self.sharing.clock.now();
        let only = BTreeSet::from([ProductName::Elder]);
        let documents = documents::all_of(&self.sharing.pool, &changed, &only).await?;
        let mut steps = Vec::new();
        for (elder, documents) in &documents {
            let (Some(known), Some(told)) = (changed.get(elder), told.get(elder)) else {
                continue;
            };
            let feeds = covering(&turn.standing, &known.facts);
            for feed in feeds.filter(|feed| feed.product == ProductName::Elder) {
                let kept = turn.index.feeds.get(feed);
                if kept.is_none_or(|kept| told.get(&kept.id) != Some(&true)) {
                    continue;
                }
                let left = documents
                    .iter()
                    .filter_map(|one| self.left(turn, feed, one));
                let unit = steps.len();
                steps.extend(left.map(|left| Step::of(unit, Message::shared(feed, &left, now))));
            }
        }
        Ok(steps)
    }

    /// What is left of a document on a feed.
    fn left(&self, turn: &Turn, feed: &Feed, document: &Document) -> Option<CutDocument> {
        cut(document, &turn.standing.get(feed)?.grants)
    }

    /// The events of records, each on each feed that covers its elder.
    async fn events(
        &self,
        turn: &Turn,
        waiting: &[Waiting],
        of: &[usize],
        resolved: &[Resolved],
        known: &BTreeMap<ElderId, Known>,
    ) -> Result<Vec<Step>, ReaderFailed> {
        let mut wanted: BTreeMap<ProductName, BTreeSet<Uuid>> = BTreeMap::new();
        for one in resolved {
            if known.contains_key(&one.elder) {
                wanted.entry(one.product).or_default().insert(one.key);
            }
        }
        let documents = documents::by_key(&self.sharing.pool, &wanted, known).await?;
        let logs = self.sharing.logs.all();
        let mut steps = Vec::new();
        let (mut record, mut nth) = (usize::MAX, 0);
        for one in resolved {
            let place = of[one.change];
            let waiting = &waiting[place];
            if record != place {
                (record, nth) = (place, 0);
            }
            nth += 1;
            let sequence = waiting.sequence;
            if turn.positions.0.get(logs[waiting.log].stream()) >= Some(&(sequence - 1, nth)) {
                // It came out before the last publisher died.
                continue;
            }
            let (Some(known), Some(record)) = (known.get(&one.elder), &waiting.record) else {
                continue;
            };
            let source = Source {
                stream: logs[waiting.log].stream(),
                record,
                event: one.event,
            };
            let document = documents.get(&(one.product, one.key));
            let event = record.events.get(one.event);
            let shown = event.and_then(|event| fields_of(short_name(&event.event_type)));
            let covering = covering(&turn.standing, &known.facts);
            let before = steps.len();
            for feed in covering.filter(|feed| feed.product == one.product) {
                if !hears(&turn.standing, feed, shown) {
                    continue;
                }
                let left = document.and_then(|document| self.left(turn, feed, document));
                let message = Message::of_source(feed, source, one.key, one.elder, left.as_ref());
                steps.extend(message.map(|message| Step::of(before, message)));
            }
            if steps.len() > before
                && let Some(last) = steps.last_mut()
            {
                last.done = Some((waiting.log, (sequence - 1, nth)));
            }
        }
        Ok(steps)
    }

    /// That an elder is erased, on every feed that ever told of the elder; on record, with whom it is asked to confirm, before.
    async fn tombstones(
        &self,
        turn: &mut Turn,
        elder: ElderId,
        record: &Record,
    ) -> Result<Vec<Step>, ReaderFailed> {
        let told = turn.index.told(&BTreeSet::from([elder])).await?;
        let told = told.get(&elder).cloned().unwrap_or_default();
        let carried = turn.index.feeds.iter();
        let carried: Vec<&Feed> = carried
            .filter(|(_, kept)| told.contains_key(&kept.id))
            .map(|(feed, _)| feed)
            .collect();
        let departments = carried.iter().map(|feed| feed.department.clone());
        let departments: BTreeSet<String> = departments.collect();
        self.sharing
            .ask_to_erase(elder, departments, record)
            .await
            .map_err(ReaderFailed::because)?;
        let now = self.sharing.clock.now();
        let tombstones = carried
            .iter()
            .enumerate()
            .map(|(unit, feed)| Step::of(unit, Message::own(feed, Own::Erased, Some(elder), now)));
        Ok(tombstones.collect())
    }

    /// Puts on record what is about to go out, and publishes it; with the last of it these records of logs are done.
    async fn publish(
        &self,
        turn: &mut Turn,
        steps: Vec<Step>,
        done: &[(usize, u64)],
    ) -> Result<(), ReaderFailed> {
        let mut batches: Vec<Vec<Step>> = Vec::new();
        for step in steps {
            // What belongs together comes out together, or not at all, as far as the server takes so much.
            let room = batches.last().is_some_and(|batch| {
                let together = batch.last().is_some_and(|last| last.unit == step.unit);
                batch.len() < if together { MOST } else { BATCH }
            });
            match batches.last_mut().filter(|_| room) {
                Some(batch) => batch.push(step),
                None => batches.push(vec![step]),
            }
        }
        let last = batches.pop();
        for batch in batches {
            self.publish_batch(turn, batch).await?;
        }
        for (log, sequence) in done {
            self.done(turn, *log, (*sequence, 0));
        }
        if let Some(last) = last {
            self.publish_batch(turn, last).await?;
        }
        Ok(())
    }

    async fn publish_batch(&self, turn: &mut Turn, steps: Vec<Step>) -> Result<(), ReaderFailed> {
        let tells = steps.iter().any(|step| !step.message.body.is_empty());
        if tells && !self.stands(turn).await? {
            return Err(ReaderFailed::because(
                "what is agreed has changed: what was put together is not told",
            ));
        }
        let looks = self.looks(turn, &steps);
        let recorded = looks
            .into_iter()
            .map(|look| self.sharing.recorder.record(look));
        for recorded in futures::future::join_all(recorded).await {
            recorded.map_err(|status| ReaderFailed::because(status.message()))?;
        }
        let mut messages = Vec::with_capacity(steps.len());
        for step in steps {
            if let Some((log, done)) = step.done {
                self.done(turn, log, done);
            }
            messages.push(step.message);
        }
        let published = self.stream.publish(&messages, &turn.positions, turn.fence);
        let last = published.await?;
        let first = last - messages.len() as u64;
        let lying: Vec<Lying> = messages
            .into_iter()
            .zip(first..)
            .map(|(message, sequence)| message.at(sequence))
            .collect();
        turn.index.take(&lying, last).await?;
        turn.fence = last;
        turn.silent = 0;
        turn.positions_left -= 1;
        if turn.positions_left == 0 {
            self.stream.purge_positions().await?;
            turn.positions_left = POSITIONS;
        }
        Ok(())
    }

    /// The looks that are about to be told, by department.
    fn looks(&self, turn: &Turn, steps: &[Step]) -> Vec<Recorded> {
        #[derive(Default)]
        struct Told<'a> {
            elders: BTreeSet<ElderId>,
            fields: BTreeSet<&'a String>,
            agreements: BTreeSet<Uuid>,
            purposes: BTreeSet<&'a String>,
        }
        let mut by_department: BTreeMap<&str, Told<'_>> = BTreeMap::new();
        for Step { message, .. } in steps {
            let granted = turn.standing.get(&message.feed);
            let (Some(elder), Some(granted), false) =
                (message.elder, granted, message.body.is_empty())
            else {
                continue;
            };
            let told = by_department.entry(&message.feed.department).or_default();
            told.elders.insert(elder);
            told.fields.extend(&message.told);
            told.agreements.extend(&granted.agreements);
            told.purposes.extend(&granted.purposes);
        }
        let at = self.sharing.clock.now();
        let looks = by_department.into_iter().flat_map(|(department, told)| {
            let elders: Vec<ElderId> = told.elders.into_iter().collect();
            let purposes: Vec<&str> = told.purposes.iter().map(|one| one.as_str()).collect();
            let look = Look {
                caller: format!("department:{department}"),
                department: department.to_owned(),
                purpose: purposes.join("；"),
                method: METHOD.to_owned(),
                address: String::new(),
                at,
                elders: vec![],
                fields: told.fields.into_iter().cloned().collect(),
            };
            let agreements: Vec<Uuid> = told.agreements.into_iter().collect();
            let chunks: Vec<Vec<ElderId>> = elders.chunks(IN_A_LOOK).map(<[_]>::to_vec).collect();
            chunks.into_iter().map(move |elders| Recorded::Provided {
                look: Look {
                    elders,
                    ..look.clone()
                },
                agreements: agreements.clone(),
            })
        });
        looks.collect()
    }

    /// Brings the feeds in line with the agreements that are in force now: some end, some begin anew.
    async fn restand(&self, turn: &mut Turn) -> Result<(), ReaderFailed> {
        let today = self.sharing.clock.today();
        if turn.day != today {
            turn.day = today;
            turn.sweep_all();
        }
        let standing = standing(turn.index.db(), turn.day, None).await?;
        let now = self.sharing.clock.now();
        let mut steps = Vec::new();
        for (feed, kept) in &turn.index.feeds {
            if !kept.ended && standing.get(feed).is_none() {
                let message = Message::own(feed, Own::Ended, None, now);
                steps.push(Step::of(steps.len(), message));
            }
        }
        let ended: BTreeSet<String> = steps
            .iter()
            .map(|step| step.message.feed.department.clone())
            .collect();
        let mut begins = false;
        for (feed, granted) in standing.iter() {
            let fields = granted.fields(feed.product);
            let narrowed = match turn.index.feeds.get(feed) {
                Some(kept) if !kept.ended => {
                    let narrowed = kept.fields.narrowed_by(&fields);
                    let as_it_was = kept.fields == fields && now < kept.begun_at + ANEW;
                    if as_it_was {
                        continue;
                    }
                    narrowed
                }
                Some(_) | None => false,
            };
            begins = true;
            let message = Message::begun(feed, granted, narrowed, now);
            steps.push(Step::of(steps.len(), message));
        }
        turn.standing = standing;
        if begins {
            turn.sweep_all();
        }
        if !steps.is_empty() {
            self.publish(turn, steps, &[]).await?;
            self.take_away(turn).await?;
        }
        for department in ended {
            if !turn.standing.has(&department) {
                tracing::info!(department, "a department has no feed any more");
                self.sharing.show_out(&department);
            }
        }
        Ok(())
    }

    /// Whether the feeds are still those of the agreements in force.
    async fn stands(&self, turn: &mut Turn) -> Result<bool, ReaderFailed> {
        let today = self.sharing.clock.today();
        let now = standing(turn.index.db(), today, None).await?;
        Ok(today == turn.day && now == turn.standing)
    }

    /// Takes away from the stream what may stay there no longer.
    async fn take_away(&self, turn: &mut Turn) -> Result<(), ReaderFailed> {
        let due = turn.index.feeds.iter();
        let due: Vec<(Feed, u64)> = due
            .filter(|(_, kept)| kept.purge_before > 0)
            .map(|(feed, kept)| (feed.clone(), kept.purge_before))
            .collect();
        for (feed, before) in due {
            self.stream.purge(&feed, before).await?;
            turn.index.purged(&feed).await?;
        }
        self.erase(turn).await
    }

    /// Erases from the stream what it says of erased elders.
    async fn erase(&self, turn: &mut Turn) -> Result<(), ReaderFailed> {
        let sequences = turn.index.erasable().await?;
        let erasing = stream::iter(sequences.clone())
            .map(|sequence| self.stream.erase(sequence))
            .buffer_unordered(ERASED_AT_ONCE);
        let outcomes: Vec<Result<(), StreamError>> = erasing.collect().await;
        outcomes.into_iter().collect::<Result<(), StreamError>>()?;
        if !sequences.is_empty() {
            turn.index.erased(&sequences).await?;
        }
        Ok(())
    }

    /// Compares some more of everybody.
    async fn sweep_some(&self, turn: &mut Turn) -> Result<(), ReaderFailed> {
        let Some(sweep) = turn.sweep else {
            return Ok(());
        };
        let nothing_ever = turn.index.feeds.is_empty();
        let page = match nothing_ever {
            true => vec![],
            false => elders_table::page(&self.sharing.pool, sweep.after, ELDERS).await?,
        };
        if let Some((last, _)) = page.last() {
            turn.sweep = Some(Sweep {
                after: Some(*last),
                ..sweep
            });
            let elders: BTreeSet<ElderId> = page.iter().map(|(elder, _)| *elder).collect();
            let facts = page.into_iter();
            let facts: BTreeMap<ElderId, Facts> = facts
                .filter_map(|(elder, facts)| Some((elder, facts?)))
                .collect();
            let changed = changed_by_time(&facts, sweep.since, turn.day);
            // Most hold what there is, and need no key.
            let known = known(turn, facts);
            let mut steps = self.older(turn, &changed, &known).await?;
            steps.extend(
                self.compare(turn, &elders, &known, &Happened::new())
                    .await?,
            );
            return self.publish(turn, steps, &[]).await;
        }
        let now = self.sharing.clock.now();
        let begun = turn.index.feeds.iter();
        let begun = begun.filter(|(_, kept)| !kept.ended && !kept.complete);
        let complete: Vec<Step> = begun
            .enumerate()
            .map(|(unit, (feed, _))| Step::of(unit, Message::own(feed, Own::CaughtUp, None, now)))
            .collect();
        self.publish(turn, complete, &[]).await?;
        turn.index.aged(self.stream.first_sequence().await?).await?;
        turn.sweep = None;
        (turn.swept, turn.last_sweep) = (Some(turn.day), Some(turn.day));
        Ok(())
    }
}

/// Whose file time alone has changed since a day: a birthday, or a move that was told before its day.
fn changed_by_time(
    facts: &BTreeMap<ElderId, Facts>,
    since: Option<LocalDay>,
    today: LocalDay,
) -> BTreeSet<ElderId> {
    let Some(since) = since.filter(|since| *since < today) else {
        return BTreeSet::new();
    };
    let changed = facts.iter().filter(|(_, facts)| {
        let before = FactsOnDay {
            day: today,
            ..facts.on(since)
        };
        before != facts.on(today)
    });
    changed.map(|(elder, _)| *elder).collect()
}

/// What is known of elders whom some feed covers, without their keys.
fn known(turn: &Turn, facts: BTreeMap<ElderId, Facts>) -> BTreeMap<ElderId, Known> {
    let covered = facts.into_iter().filter_map(|(elder, facts)| {
        let facts = facts.on(turn.day);
        covering(&turn.standing, &facts).next()?;
        Some((elder, Known { facts, key: None }))
    });
    covered.collect()
}

/// Documents to which something has just happened, each with the fields that each of these events shows; none where that may be all.
type Happened = BTreeMap<(ProductName, Uuid), Vec<Option<&'static [&'static str]>>>;

/// Whether a feed is about to tell a document as what happened to it.
fn is_told_as_event(turn: &Turn, feed: &Feed, happened: &Happened, document: &Document) -> bool {
    let events = happened.get(&(document.product, key_of(document)));
    events.is_some_and(|events| {
        events
            .iter()
            .any(|shown| hears(&turn.standing, feed, *shown))
    })
}

/// Whether something of what an event shows is granted on a feed.
fn hears(standing: &Standing, feed: &Feed, shown: Option<&[&str]>) -> bool {
    let granted = standing.get(feed).map(|granted| &granted.grants);
    let shows = |field: &&str| granted.is_some_and(|it| it.get(feed.product, field).is_some());
    shown.is_none_or(|fields| fields.iter().any(shows))
}

/// The name of an event without its package.
fn short_name(event_type: &str) -> &str {
    event_type.rsplit('.').next().unwrap_or(event_type)
}

/// The feeds that tell of an elder.
fn covering<'a>(standing: &'a Standing, facts: &FactsOnDay) -> impl Iterator<Item = &'a Feed> {
    let division: DivisionCode = facts.village().division();
    let feeds: Vec<&Feed> = standing.covering(&division).collect();
    feeds.into_iter()
}

/// The elder whose erasure a record tells of.
fn erased(waiting: &Waiting) -> Option<(ElderId, &Record)> {
    let record = waiting.record.as_ref()?;
    let tells = record.tells_of(&registry::ElderErased::full_name());
    let elder = tells.then(|| record.subject.id().parse().ok()).flatten()?;
    Some((elder, record))
}

/// The key of a document, which is a UUID of all products; one that is none is told of nowhere else.
fn key_of(document: &Document) -> Uuid {
    document.key.parse().unwrap_or(Uuid::nil())
}
