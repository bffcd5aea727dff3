//! The examiner: reads our own log in its order, and raises the doubts that earlier records give rise to. Whoever recorded a
//! visit waits for its own verdict.
//!
//! It also finds duties that had been missed and are met by a record that counts only now.
//!
//! Verdicts are appended before the transaction that says how far it has got: after a crash in between the same records
//! are judged again, and their verdicts are recognised by their request ids. Without its tables it reads the log from its
//! beginning; up to the last verdict on record nothing is judged anew.
//!
//! How far it has got is told by [`Examined`].

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use civic::{Doubt, ElderId, GeoPosition, LocalDay, Set, VisitResult};
use eventlog::{Aggregate as _, CommandContext, Delivery, EventLog, Position, Record, Repository};
use futures::{StreamExt as _, TryStreamExt as _};
use proto::eldercare::visits::v1 as pb;
use readmodel::{
    ActiveReader, Follower, HEARTBEAT, ReaderFailed, ReaderFollower, Traces, Work,
    reaction_request_id, run_reader, table_is_there,
};
use service::Clock;
use sqlx::{Connection as _, PgConnection, PgPool, Row as _};
use tier_policy::policy::Interval;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use vault::{DataKey, Sealed, Vault};

use crate::book_table;
use crate::campaign_rows;
use crate::codec::purpose;
use crate::elder_year::{Command, ElderYear, Event, Recorded};
use crate::ledger::{Entry, Timeline};
use crate::period::Period;
use crate::progress::Examined;
use crate::recording::LATEST_ARRIVAL;
use crate::settling;

mod ledger_rows;

pub use ledger_rows::verdicts;

/// The reader's name: request ids rest on it.
pub const NAME: &str = "on_visit_recorded";
/// How many records are judged in one transaction.
const CHUNK: usize = 1_000;
/// How many verdicts are under way at once.
const AT_ONCE: usize = 64;
/// How many entries are kept in memory; beyond, they are read again.
const REMEMBERED: usize = 300_000;
/// How long positions are kept in memory at the most: who is erased meanwhile is forgotten by then.
const REMEMBER_FOR: Duration = Duration::from_secs(600);

/// How much the clock of whoever closes periods may be ahead of ours. Where nothing was missed yet, the year says so.
const AHEAD: TimeDelta = TimeDelta::minutes(5);

/// What it works with.
#[derive(Clone)]
pub struct Examiner {
    /// The database.
    pub pool: PgPool,
    /// Our own log.
    pub own: Arc<dyn EventLog>,
    /// Elders' years.
    pub years: Repository<ElderYear>,
    /// The keys of elders.
    pub vault: Vault,
    /// The time.
    pub clock: Clock,
    /// Follows the read model of our own log.
    pub book: Follower,
    /// Tells how far it has got.
    pub progress: ReaderFollower<Examined>,
}

impl Examiner {
    /// Runs until `shutdown`.
    pub async fn run(self, shutdown: CancellationToken) {
        let examiner = Arc::new(self);
        run_reader(
            &examiner.pool,
            "visits on_visit_recorded",
            &shutdown,
            |conn| {
                let examiner = Arc::clone(&examiner);
                async move { examiner.lead(conn).await }
            },
        )
        .await;
    }

    async fn lead(&self, mut conn: PgConnection) -> Result<(), ReaderFailed> {
        table_is_there(&mut conn, &format!("{}.campaign", book_table::NAME)).await?;
        let stream = self.own.stream();
        let (progress, judged) = match Examined::read(&mut conn).await? {
            Some(progress) => (progress, 0),
            None => {
                // Which campaigns there were stands in the read model.
                self.book.catches_up(self.own.as_ref()).await?;
                // What is left of the tables would be found again as something earlier.
                sqlx::raw_sql("TRUNCATE visits_kept.entry, visits_kept.photo, visits_kept.verdict")
                    .execute(&mut conn)
                    .await?;
                let judged = readmodel::last_answered(self.own.as_ref(), NAME, stream)
                    .await
                    .map_err(ReaderFailed::because)?;
                // Verdicts of a chunk are written in any order: whatever is missing before the last one is judged again.
                (Examined::default(), judged.saturating_sub(CHUNK as u64))
            }
        };
        let mut active = Active {
            examiner: self,
            conn,
            progress,
            active: self.progress.active(Some(progress)),
            judged,
            timelines: HashMap::new(),
            remembered: 0,
            since: Instant::now(),
        };
        let mut deliveries = self.own.subscribe(progress.judged).await?;
        loop {
            let next = tokio::time::timeout(HEARTBEAT, deliveries.next()).await;
            let Ok(next) = next else {
                active.conn.ping().await?;
                continue;
            };
            let Some(batch) = next.transpose()? else {
                return Err(ReaderFailed::because("the subscription ended"));
            };
            for chunk in batch.chunks(CHUNK) {
                active.examine(chunk).await?;
            }
        }
    }

    /// The context of a command that follows from a record.
    fn context(&self, record: &Record, nth: u32) -> CommandContext {
        let position = Position::new(self.own.stream(), record.sequence);
        CommandContext {
            request_id: reaction_request_id(NAME, &position, nth),
            // No request stands behind it.
            request_digest: [0; 16].into(),
            actor: "system:visits".to_owned(),
            now: self.clock.now(),
            correlation_id: record.metadata.correlation_id,
            causation_id: Some(record.metadata.id),
            division: record.metadata.division.clone(),
            traceparent: record.metadata.traceparent.clone(),
            answers: Some(position),
            purpose: None,
        }
    }

    /// Has an elder's year decide on what follows from a record; the sequence of what was written, or 0.
    async fn follow(
        &self,
        record: &Record,
        nth: u32,
        year: String,
        command: Command,
    ) -> Result<u64, ReaderFailed> {
        let context = self.context(record, nth);
        settling::decide(&self.years, &year, &context, &command).await
    }
}

/// The active examiner.
struct Active<'a> {
    examiner: &'a Examiner,
    conn: PgConnection,
    progress: Examined,
    /// Tells of it.
    active: ActiveReader<Examined>,
    /// Up to here verdicts were given before the tables were lost.
    judged: u64,
    timelines: HashMap<Uuid, Timeline>,
    remembered: usize,
    since: Instant,
}

/// A record of a chunk.
struct Item<'a> {
    record: &'a Record,
    recorded: Box<Recorded>,
    /// The doubts that came with it.
    own: Set<Doubt>,
    entry: Entry,
}

/// Something that began to count when the record was written.
struct Counts<'a> {
    record: &'a Record,
    id: Uuid,
    elder: ElderId,
    day: LocalDay,
}

impl Active<'_> {
    async fn examine(&mut self, chunk: &[Delivery]) -> Result<(), ReaderFailed> {
        let Some(last) = chunk.last().map(Delivery::sequence) else {
            return Ok(());
        };
        let (mut items, mut confirmed, mut records) = (Vec::new(), Vec::new(), Vec::new());
        for delivery in chunk {
            match delivery {
                Delivery::Record(record) => {
                    records.push(record);
                    gather(record, &mut items, &mut confirmed);
                }
                // The read model parks it; here it is nothing.
                Delivery::Unreadable { .. } => {}
            }
        }
        let traces = Traces::of(records);
        self.locate(&mut items).await?;
        let verdicts = self.judge(&items).await?;
        let mut appended = self.append(&items, &verdicts).await?;
        let counts = self.counting(&items, &verdicts, confirmed).await?;
        appended = appended.max(self.meet_late(counts).await?);
        self.progress.judged = last;
        self.progress.appended = self.progress.appended.max(appended);
        self.commit(&items, &verdicts).await?;
        self.active.tell(self.progress);
        traces.passed(Work::React, "visits on_visit_recorded");
        Ok(())
    }

    /// Opens check-ins. What can't be opened (its elder was erased) raises no doubts any more.
    async fn locate(&self, items: &mut [Item<'_>]) -> Result<(), ReaderFailed> {
        let elders: Vec<Uuid> = items
            .iter()
            .filter(|item| item.recorded.check_in.is_some())
            .map(|item| item.recorded.elder.as_uuid())
            .collect();
        if elders.is_empty() {
            return Ok(());
        }
        let keys = self.examiner.vault.keys(&elders).await;
        let keys = keys.map_err(ReaderFailed::because)?;
        for item in items {
            let elder = item.recorded.elder.as_uuid();
            if let (Some(sealed), Some(key)) = (&item.recorded.check_in, keys.get(&elder)) {
                item.entry.check_in = opened(key, elder, sealed);
            }
        }
        Ok(())
    }

    /// The verdict on each record, in the order of the log.
    async fn judge(&mut self, items: &[Item<'_>]) -> Result<Vec<Set<Doubt>>, ReaderFailed> {
        if self.remembered > REMEMBERED || self.since.elapsed() > REMEMBER_FOR {
            self.timelines.clear();
            self.remembered = 0;
            self.since = Instant::now();
        }
        let mut seen = ledger_rows::photos(&mut self.conn, items).await?;
        self.remember(items).await?;
        let mut verdicts = Vec::with_capacity(items.len());
        for item in items {
            let timeline = self.timelines.entry(item.recorded.visitor).or_default();
            let mut doubts = timeline.doubts(&item.entry);
            timeline.add(item.entry);
            self.remembered += 1;
            let photos = &item.recorded.photos;
            if photos.iter().any(|photo| seen.contains(photo)) {
                doubts.insert(Doubt::EvidenceReused);
            }
            seen.extend(photos.iter().copied());
            let judged_before = item.record.sequence <= self.judged;
            verdicts.push(if judged_before { Set::new() } else { doubts });
        }
        Ok(verdicts)
    }

    /// Reads what the visitors of the chunk recorded before, where it is not in memory.
    async fn remember(&mut self, items: &[Item<'_>]) -> Result<(), ReaderFailed> {
        let mut unknown: Vec<Uuid> = items
            .iter()
            .map(|item| item.recorded.visitor)
            .filter(|visitor| !self.timelines.contains_key(visitor))
            .collect();
        unknown.sort_unstable();
        unknown.dedup();
        let earliest = items.iter().map(|item| item.record.metadata.time).min();
        let Some(earliest) = earliest.filter(|_| !unknown.is_empty()) else {
            return Ok(());
        };
        // No record from now on starts earlier than 60 days before its arrival, and no visit before it was longer than
        // that; the farthest place on earth is 11 days away at 80 km/h.
        let since = earliest - LATEST_ARRIVAL - LATEST_ARRIVAL - TimeDelta::days(11);
        let rows = sqlx::query(
            "SELECT visitor_id, elder_id, start_at, end_at, check_in FROM visits_kept.entry \
             WHERE visitor_id = ANY($1) AND start_at >= $2",
        )
        .bind(&unknown)
        .bind(since)
        .fetch_all(&mut self.conn)
        .await?;
        let sealed = rows
            .iter()
            .filter(|row| matches!(row.try_get::<Option<&[u8]>, _>(4), Ok(Some(_))));
        let elders = sealed
            .map(|row| row.try_get(1))
            .collect::<Result<Vec<Uuid>, _>>()?;
        let keys = self.examiner.vault.keys(&elders).await;
        let keys = keys.map_err(ReaderFailed::because)?;
        for visitor in unknown {
            self.timelines.insert(visitor, Timeline::default());
        }
        for row in rows {
            let (visitor, elder): (Uuid, Uuid) = (row.try_get(0)?, row.try_get(1)?);
            let sealed: Option<&[u8]> = row.try_get(4)?;
            let sealed = sealed.and_then(|bytes| Sealed::<pb::CheckIn>::from_bytes(bytes).ok());
            let check_in = sealed
                .zip(keys.get(&elder))
                .and_then(|(sealed, key)| opened(key, elder, &sealed));
            let entry = Entry {
                elder: ElderId(elder),
                start: row.try_get(2)?,
                end: row.try_get(3)?,
                check_in,
            };
            self.timelines.entry(visitor).or_default().add(entry);
            self.remembered += 1;
        }
        Ok(())
    }

    /// Writes the doubts to the log; the last sequence of what was written.
    async fn append(
        &self,
        items: &[Item<'_>],
        verdicts: &[Set<Doubt>],
    ) -> Result<u64, ReaderFailed> {
        let examiner = self.examiner;
        let mut verdicts_due = Vec::new();
        for (item, doubts) in items.iter().zip(verdicts) {
            if !doubts.is_empty() {
                let command = Command::Doubt {
                    record: item.recorded.record,
                    doubts: *doubts,
                };
                let year = ElderYear::id(item.recorded.elder, item.recorded.day());
                verdicts_due.push(examiner.follow(item.record, 0, year, command));
            }
        }
        futures::stream::iter(verdicts_due)
            .buffer_unordered(AT_ONCE)
            .try_fold(0, |last, sequence| async move { Ok(last.max(sequence)) })
            .await
    }

    /// What began to count with this chunk, and could meet a duty that was missed.
    async fn counting<'r>(
        &mut self,
        items: &[Item<'r>],
        verdicts: &[Set<Doubt>],
        confirmed: Vec<(&'r Record, Uuid)>,
    ) -> Result<Vec<Counts<'r>>, ReaderFailed> {
        let clear = items.iter().zip(verdicts).filter(|(item, doubts)| {
            doubts.is_empty()
                && item.own.is_empty()
                && item.record.sequence > self.judged
                && item.recorded.result == VisitResult::Met
        });
        let mut counts: Vec<Counts<'r>> = clear
            .map(|(item, _)| Counts {
                record: item.record,
                id: item.recorded.record,
                elder: item.recorded.elder,
                day: item.recorded.day(),
            })
            .collect();
        for (record, id) in confirmed {
            let here = items.iter().find(|item| item.recorded.record == id);
            let found = match here.map(|item| &item.recorded) {
                Some(recorded) => {
                    let met = recorded.result == VisitResult::Met;
                    Some((recorded.elder, recorded.day(), met))
                }
                None => ledger_rows::entry(&mut self.conn, id).await?,
            };
            if let Some((elder, day, true)) = found {
                counts.push(Counts {
                    record,
                    id,
                    elder,
                    day,
                });
            }
        }
        Ok(counts)
    }

    /// Meets duties late whose periods had closed when the record began to count. Where nothing was missed (yet), the
    /// year decides so; what closes later looks for itself.
    async fn meet_late(&mut self, counts: Vec<Counts<'_>>) -> Result<u64, ReaderFailed> {
        let (first, last) = (
            counts.iter().map(|one| one.day).min(),
            counts.iter().map(|one| one.day).max(),
        );
        let campaigns = match first.zip(last) {
            Some((first, last)) => campaign_rows::between(&mut self.conn, first, last).await?,
            None => Vec::new(),
        };
        let mut late = Vec::new();
        for counts in counts {
            let periods = Interval::ALL.map(|interval| Period::of(interval, counts.day));
            let campaigns = campaigns.iter().map(|kept| kept.announced.days());
            let campaigns = campaigns
                .filter(|campaign| campaign.contains(counts.day))
                .map(Period::Campaign);
            // By the clock too: a record that came in time may have been written after the period was closed.
            let now = self.examiner.clock.now().max(counts.record.metadata.time) + AHEAD;
            let over = |period: &Period| period.end() <= now;
            for period in periods.into_iter().chain(campaigns).filter(over) {
                let command = Command::MeetLate {
                    elder: counts.elder,
                    period,
                    record: counts.id,
                };
                let year = ElderYear::id(counts.elder, period.last_day());
                // Of a record, each period is told apart.
                let nth = match period {
                    Period::Week(_) => 1,
                    Period::Month(_) => 2,
                    Period::Campaign(days) => days.campaign.as_fields().0.max(3),
                };
                late.push(self.examiner.follow(counts.record, nth, year, command));
            }
        }
        futures::stream::iter(late)
            .buffer_unordered(AT_ONCE)
            .try_fold(0, |last, sequence| async move { Ok(last.max(sequence)) })
            .await
    }

    async fn commit(
        &mut self,
        items: &[Item<'_>],
        verdicts: &[Set<Doubt>],
    ) -> Result<(), ReaderFailed> {
        let mut tx = self.conn.begin().await?;
        if !items.is_empty() {
            ledger_rows::enter(&mut tx, items).await?;
        }
        let doubtful = items
            .iter()
            .zip(verdicts)
            .filter(|(_, doubts)| !doubts.is_empty());
        let doubtful = doubtful.map(|(item, doubts)| (item.recorded.record, *doubts));
        ledger_rows::enter_verdicts(&mut tx, doubtful).await?;
        self.progress.write(&mut tx).await?;
        tx.commit().await?;
        Ok(())
    }
}

/// Takes from a record what concerns the ledger.
fn gather<'a>(
    record: &'a Record,
    items: &mut Vec<Item<'a>>,
    confirmed: &mut Vec<(&'a Record, Uuid)>,
) {
    if record.subject.aggregate() != ElderYear::NAME {
        return;
    }
    let events = record.events.iter();
    for event in events.filter_map(|raw| ElderYear::decode(raw).ok()) {
        match event {
            Event::Recorded(recorded) => {
                let entry = Entry {
                    elder: recorded.elder,
                    start: recorded.start,
                    end: recorded.end,
                    check_in: None,
                };
                items.push(Item {
                    record,
                    recorded,
                    own: Set::new(),
                    entry,
                });
            }
            // The doubts that came with the record; a verdict of our own comes in a record by itself.
            Event::Doubted {
                record: doubted,
                doubts,
            } => {
                if let Some(item) = items.last_mut()
                    && item.record.sequence == record.sequence
                    && item.recorded.record == doubted
                {
                    item.own = doubts;
                }
            }
            Event::Confirmed { record: id } => confirmed.push((record, id)),
            Event::Rejected { .. }
            | Event::DutyMet { .. }
            | Event::Missed(_)
            | Event::ReferralOpened { .. }
            | Event::ReferralAnswered { .. }
            | Event::ReferralClosed { .. } => {}
        }
    }
}

fn opened(key: &DataKey, elder: Uuid, sealed: &Sealed<pb::CheckIn>) -> Option<GeoPosition> {
    let check_in = key.open(purpose::CHECK_IN, elder, sealed).ok()?;
    let position = check_in.position?;
    GeoPosition::new(position.latitude, position.longitude).ok()
}
