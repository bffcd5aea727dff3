//! Reads all logs and writes the feeds (数据流发布): each event of a service comes out once on each feed that covers its elder,
//! whenever the publisher dies.
//!
//! One replica's publisher is the active one. It waits until the read models hold what it has read, so that a document is never
//! older than the event that it comes with; and puts on record what goes out, before it does. Its position stands in the
//! stream itself, in one batch with what was published.
//!
//! Whom a feed tells of is what is so, not what happened: each elder whom something happened to, and once a day everybody, is
//! compared with whom the feed has told of. So approvals, moves, and moves that take effect later are one and the same.
//!
//! - [`happenings`]: what records of logs lead to; [`comparison`]: what is so, and was not told yet.
//! - [`renewal`]: feeds begin and end with agreements, and what may stay no longer is taken away.
//! - [`outgoing`]: what goes out, on record, in batches that hold together.

mod comparison;
mod happenings;
mod outgoing;
mod renewal;

use std::collections::VecDeque;
use std::sync::Arc;

use civic::{ElderId, LocalDay};
use eventlog::{Aggregate as _, Delivery, Record};
use futures::stream::{self, BoxStream, SelectAll};
use futures::{FutureExt as _, StreamExt as _};
use readmodel::{HEARTBEAT, ReaderFailed, ReaderFollower, run_reader};
use sqlx::{Connection as _, PgConnection};
use tokio_util::sync::CancellationToken;

use self::happenings::erased;
use super::index::{Index, Published, Reached};
use super::message::Lying;
use super::standing::Standing;
use super::stream::{FeedStream, From, Positions, StreamError};
use crate::agreement::Agreement;
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
    /// The comparison of everybody, while there is one.
    sweep: Option<Sweep>,
    /// The day of the last one that came to its end.
    swept: Option<LocalDay>,
    waiting: VecDeque<Waiting>,
    /// Records that are done since a position was written.
    silent: u64,
    /// Positions that can be taken away.
    positions_left: u32,
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

    /// The day of the last comparison of everybody, where nothing has changed since that asks for another.
    fn is_swept(&self) -> Option<LocalDay> {
        self.swept.filter(|_| self.sweep.is_none())
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
        self.show_out_of_nothing(&turn, departments.collect());
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
                swept: turn.is_swept(),
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
            let page = self.stream.read(">", From::After(index.sequence), INDEXED);
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
            sweep: Some(Sweep::default()),
            swept,
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
        let units = self.what_follows(turn, &waiting).await?;
        let done: Vec<(usize, u64)> = waiting.iter().map(|one| (one.log, one.sequence)).collect();
        self.publish(turn, units, &done).await?;
        turn.silent += waiting.len() as u64;
        if turn.silent >= SILENT {
            self.publish_batch(turn, vec![]).await?;
        }
        if waiting.iter().any(|one| erased(one).is_some()) {
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
}
