//! Reads all logs and writes the feeds (数据流发布): each event of a service comes out once on each feed that covers its elder,
//! whenever the publisher dies.
//!
//! One replica's publisher is the active one. It publishes what the read models hold of what it has read, so that a document is
//! never older than the event that it comes with; and puts on record what goes out, before it does. Its position stands in the
//! stream itself, in one batch with what was published.
//!
//! Whom a feed tells of is what is so, not what happened: each elder whom something happened to, and once a day everybody, is
//! compared with whom the feed has told of. So approvals, moves, and moves that take effect later are one and the same.
//!
//! - [`waiting`]: what was read and can be published; [`happenings`]: what it leads to; [`comparison`]: what is so, and was not told
//!   yet.
//! - [`renewal`]: feeds begin and end with agreements, and what may stay no longer is taken away.
//! - [`outgoing`]: what goes out, on record, in batches that hold together.
//! - [`passed_by`]: rows that can't be read; they stop nothing.
//! - [`rounds`]: what is looked at every so often, however much there is to do.

mod comparison;
mod happenings;
mod outgoing;
mod passed_by;
mod renewal;
mod rounds;
mod waiting;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use civic::{ElderId, LocalDay};
use eventlog::{Delivery, EventLog};
use futures::stream::{self, BoxStream, SelectAll};
use futures::{FutureExt as _, StreamExt as _};
use readmodel::{ReaderFailed, ReaderFollower, Traces, Work, run_reader};
use sqlx::{Connection as _, PgConnection, PgPool};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use self::happenings::erased;
use self::rounds::Rounds;
use self::waiting::{Waiting, ready};
use super::index::{Index, Published};
use super::message::Lying;
use super::positions::{Place, Positions};
use super::standing::Standing;
use super::stream::{FeedStream, From, StreamError};
use crate::sharing::Sharing;

/// The reader's name.
pub(crate) const NAME: &str = "sharing_feeds";
/// How many records are published in one go.
const RECORDS: usize = 256;
/// How many records wait in memory at most.
const WAITING: usize = 4 * RECORDS;
/// How many messages are indexed in one go.
const INDEXED: usize = 500;
/// A position without messages is written after so many records.
const SILENT: u64 = 1_000;
/// So many batches later their positions are taken away.
const POSITIONS: u32 = 1_000;

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

/// What the active publisher knows.
struct Turn {
    index: Index,
    /// For the read models, beside the index.
    reading: PgConnection,
    positions: Positions,
    /// Where the position stands.
    fence: u64,
    standing: Standing,
    day: LocalDay,
    /// The comparison of everybody, while there is one.
    sweep: Option<Sweep>,
    waiting: VecDeque<Waiting>,
    /// When it is looked whether all still is as it was left.
    rounds: Rounds,
    /// Records that are done since a position was written.
    silent: u64,
    /// How many more batches come before their positions are taken away.
    positions_left: u32,
    /// Whether the stream bore nothing: if there was another one before, the consumers of departments went with it.
    new: bool,
}

/// How far a comparison of everybody has come.
#[derive(Clone, Copy, Debug, Default)]
struct Sweep {
    /// The last elder who was compared.
    after: Option<ElderId>,
}

impl Turn {
    /// Has everybody compared, from the first one on.
    fn sweep_all(&mut self) {
        self.sweep = Some(Sweep::default());
    }

    /// The day of the last comparison of everybody, where nothing has changed since that asks for another, and nothing is left to be
    /// erased.
    fn is_swept(&self) -> Option<LocalDay> {
        let all = self.sweep.is_none() && self.index.feeds.due().is_none();
        self.positions.swept.filter(|_| all)
    }
}

type Read = (usize, Vec<Delivery>);
type Deliveries = SelectAll<BoxStream<'static, Result<Read, eventlog::ReadError>>>;

impl Publisher {
    /// Runs until `shutdown`.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let publisher = Arc::new(self);
        run_reader(&publisher.sharing.pool, NAME, &shutdown, |conn| {
            let publisher = Arc::clone(&publisher);
            async move { publisher.lead(conn).await }
        })
        .await;
    }

    async fn lead(&self, conn: PgConnection) -> Result<(), ReaderFailed> {
        let mut turn = self.begin(conn).await?;
        let mut deliveries = self.deliveries(&turn.positions).await?;
        let active = self.follower.active(None);
        // With it goes what whoever was before us left to be taken away.
        self.restand(&mut turn).await?;
        // Whoever was before us may have died before they were shown out.
        let departments = turn.index.feeds.iter();
        let departments = departments.map(|(feed, _)| feed.department.clone());
        let departments: BTreeSet<String> = departments.collect();
        if turn.new {
            // Their consumers are made when they come in.
            for department in &departments {
                self.sharing.show_out(department);
            }
        }
        self.show_out_of_nothing(&turn, departments);
        loop {
            // Agreements that change come as records.
            if self.sharing.clock.today() != turn.day {
                self.restand(&mut turn).await?;
            }
            if turn.rounds.is_due(Instant::now()) {
                self.look_around(&mut turn).await?;
            }
            self.read(&mut turn, &mut deliveries).await?;
            self.publish_waiting(&mut turn).await?;
            self.sweep_some(&mut turn).await?;
            self.erase_some(&mut turn).await?;
            let published = self.published(&turn.positions, turn.is_swept());
            turn.index.reach(published).await?;
            active.tell(published);
        }
    }

    /// Where the last publisher stopped: the index is brought to what the stream holds.
    async fn begin(&self, conn: PgConnection) -> Result<Turn, ReaderFailed> {
        self.stream.find_or_make().await?;
        let mut index = Index::open(conn).await?;
        let (mut positions, mut fence) = self.stream.position().await?;
        if index.sequence > fence {
            tracing::error!(
                "the stream of feeds ends before what was indexed of it: it is indexed anew"
            );
            index.clear().await?;
        }
        if index.sequence < fence {
            index.forget_agreements().await?;
        }
        while index.sequence < fence {
            let page = self.stream.read(">", From::After(index.sequence), INDEXED);
            let page = page.await?;
            // The position lies there: a server that has nothing has fallen behind.
            let last = page
                .last
                .ok_or_else(|| ReaderFailed::because("FEEDS lies behind its position"))?;
            let through = last.min(fence);
            let known = |message: &Lying| message.sequence <= through;
            let messages: Vec<Lying> = page.messages.into_iter().filter(known).collect();
            let published = self.published(&positions, None);
            let left_out = &positions.left_out;
            index
                .take_again(&messages, through, published, left_out)
                .await?;
        }
        let new = fence == 0;
        if new {
            positions = self.before_feeds().await?;
            fence = self.stream.publish(&[], &positions, 0).await?;
            let published = self.published(&positions, None);
            index.take(&[], fence, published).await?;
        }
        // What was told in part looks in the rows as if it were all.
        let told_in_part = positions.unfinished().filter_map(|(feed, elder)| {
            let kept = index.feeds.get(feed)?;
            Some((kept.id, elder))
        });
        let told_in_part: Vec<(i64, ElderId)> = told_in_part.collect();
        index.something_to_tell(&told_in_part).await?;
        index.aged(self.stream.first_sequence().await?).await?;
        // Read models that were lost are made again first: what they don't hold yet is not gone.
        for log in self.sharing.logs.all() {
            let done = positions.done(log.stream());
            self.sharing.reach(log.stream(), done).await;
        }
        let logs = &self.sharing.logs;
        self.read_models_hold_all_of(&logs.registry).await?;
        self.read_models_hold_all_of(&logs.own).await?;
        Ok(Turn {
            index,
            reading: planning_anew(&self.sharing.pool).await?,
            positions,
            fence,
            standing: Standing::default(),
            day: self.sharing.clock.today(),
            sweep: Some(Sweep::default()),
            waiting: VecDeque::new(),
            rounds: Rounds::begun(Instant::now()),
            silent: 0,
            positions_left: POSITIONS,
            new,
        })
    }

    /// Where a stream that bears nothing begins. What there was before there were feeds is told by their beginnings. Where the
    /// stream is another one than before, logs are gone on with from where the last publisher was: no erasure is passed by.
    async fn before_feeds(&self) -> Result<Positions, ReaderFailed> {
        let last = <Published as readmodel::Reached>::told(&self.sharing.pool).await?;
        let reached = last.map(|last| last.reached);
        let reached = reached.filter(|reached| reached.iter().any(|sequence| *sequence > 0));
        let mut positions = Positions::on(self.sharing.clock.today());
        for (place, log) in self.sharing.logs.all().into_iter().enumerate() {
            let end = log.last_sequence().await?;
            let done = reached.map_or(end, |reached| reached[place].min(end));
            positions.pass(log.stream(), Place::after(done));
        }
        Ok(positions)
    }

    /// Looks whether all still is as it was left: the stream, the database, and the agreements. A table that was made anew may say
    /// otherwise, also of agreements that could not be read.
    async fn look_around(&self, turn: &mut Turn) -> Result<(), ReaderFailed> {
        self.still_there(turn).await?;
        if !self.stands(turn).await? || !self.is_as_readable(turn).await? {
            self.restand(turn).await?;
        }
        Ok(())
    }

    /// The stream still is as this publisher left it, and so is the database. Servers that are away are waited for.
    async fn still_there(&self, turn: &mut Turn) -> Result<(), ReaderFailed> {
        turn.index.db().ping().await?;
        turn.reading.ping().await?;
        match self.stream.stands_at(turn.fence).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(ReaderFailed::because(
                "the stream of feeds is not as it was left",
            )),
            Err(error) => {
                tracing::debug!(%error, "whether the stream of feeds is still there can't be asked");
                Ok(())
            }
        }
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

    fn published(&self, positions: &Positions, swept: Option<LocalDay>) -> Published {
        let logs = self.sharing.logs.all();
        let reached = logs.map(|log| positions.done(log.stream()));
        Published { reached, swept }
    }

    /// Reads what has come, and waits until the read models hold the first of it; waits for something to come where there is nothing
    /// else to do.
    async fn read(&self, turn: &mut Turn, deliveries: &mut Deliveries) -> Result<(), ReaderFailed> {
        let idle = turn.sweep.is_none() && turn.index.feeds.due().is_none();
        if idle && turn.waiting.is_empty() {
            let (midnight, round) = (turn.day.next().start(), turn.rounds.next_one());
            tokio::select! {
                biased;
                some = deliveries.next() => Self::take(turn, some)?,
                () = self.sharing.clock.sleep_until(midnight) => return Ok(()),
                () = sleep_until(round) => return Ok(()),
            }
        }
        Self::read_on(turn, deliveries)?;
        let first = turn.waiting.front();
        if let Some(first) = first.filter(|first| first.needs_read_models()) {
            let log = self.sharing.logs.all()[first.log];
            self.sharing.reach(log.stream(), first.sequence).await;
            // The read models may hold more by now than had come before.
            Self::read_on(turn, deliveries)?;
        }
        Ok(())
    }

    /// Reads what has come, without waiting.
    fn read_on(turn: &mut Turn, deliveries: &mut Deliveries) -> Result<(), ReaderFailed> {
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
        let some = some.into_iter();
        turn.waiting
            .extend(some.map(|delivery| Waiting::of(log, delivery)));
        Ok(())
    }

    fn done(&self, turn: &mut Turn, log: usize, place: Place) {
        let stream = self.sharing.logs.all()[log].stream();
        turn.positions.pass(stream, place);
    }

    /// Publishes what those records that wait have changed which the read models hold.
    async fn publish_waiting(&self, turn: &mut Turn) -> Result<(), ReaderFailed> {
        let logs = self.sharing.logs.all();
        let held = logs.map(|log| self.sharing.held(log.stream()));
        let some = ready(&turn.waiting, held, RECORDS);
        if some == 0 {
            return Ok(());
        }
        let waiting: Vec<Waiting> = turn.waiting.drain(..some).collect();
        if waiting.iter().any(Waiting::is_agreement) {
            self.restand(turn).await?;
        }
        let traces = Traces::of(waiting.iter().filter_map(|one| one.record.as_ref()));
        let units = self.what_follows(turn, &waiting).await?;
        let done: Vec<(usize, u64)> = waiting.iter().map(|one| (one.log, one.sequence)).collect();
        self.publish(turn, units, &done).await?;
        traces.passed(Work::Publish, NAME);
        turn.silent += waiting.len() as u64;
        if turn.silent >= SILENT {
            self.publish_batch(turn, vec![]).await?;
        }
        if waiting.iter().any(|one| erased(one).is_some()) {
            self.erase(turn).await?;
        }
        Ok(())
    }

    /// Waits until the read models of a log hold all that stands there now: of the registry's, where elders live; of our own, what is
    /// agreed, and who was told of whom.
    async fn read_models_hold_all_of(&self, log: &Arc<dyn EventLog>) -> Result<(), ReaderFailed> {
        let last = log.last_sequence().await?;
        self.sharing.reach(log.stream(), last).await;
        Ok(())
    }
}

/// A connection that keeps its statements, and plans them anew each time: plans that were made while tables were empty don't
/// outlast that.
async fn planning_anew(pool: &PgPool) -> Result<PgConnection, sqlx::Error> {
    let options = pool.connect_options().as_ref().clone();
    let options = options.options([("plan_cache_mode", "force_custom_plan")]);
    PgConnection::connect_with(&options).await
}
