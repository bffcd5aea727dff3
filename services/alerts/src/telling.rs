//! Tells people of alerts: one replica reads our own log, and whoever is to be told at a level is told at once, each by a task
//! of its own, so that one who hangs delays no other.
//!
//! Each attempt is on record before the next; after a restart it goes on where somebody is not told yet. What is no
//! emergency is gathered for a moment: one notice tells a recipient of all of a village.
//!
//! Rule: section 4, "Life".

mod delivery;
mod groups;
mod level;
mod steps;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use civic::{RecipientRole, Set, Severity};
use eventlog::{Aggregate as _, Delivery, EventLog, LoadError, Record, Repository};
use futures::StreamExt as _;
use notices::Channels;
use readmodel::{ActiveReader, Follower, HEARTBEAT, ReaderFailed, ReaderFollower, run_reader};
use service::{Clock, telemetry};
use sqlx::{Connection as _, PgConnection, PgPool};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use self::groups::{Group, GroupKey};
use crate::alert_line::{AlertLine, Event, Raised};
use crate::attempts::Notices;
use crate::measures::Measures;
use crate::progress::Told;
use crate::rules::Rules;
use crate::signals::Signals;
use crate::untold::Untold;
use crate::whom::Finder;

/// The reader's name.
pub const NAME: &str = "telling";

/// How often it is written down how far it has got.
const TELL_EVERY: Duration = Duration::from_millis(250);
/// Before something that is away is asked again.
const AGAIN: Duration = Duration::from_millis(500);
/// So long it is waited for tables in which somebody is missing.
const AT_MOST: Duration = Duration::from_secs(2);
/// How many tasks may be under way at once; each of a recipient who hangs stays for minutes.
const UNDER_WAY: usize = 20_000;

/// What it works with.
#[derive(Clone)]
pub struct Teller {
    /// The database.
    pub pool: PgPool,
    /// The registry's log.
    pub registry: Arc<dyn EventLog>,
    /// Our own log.
    pub own: Arc<dyn EventLog>,
    /// Lines of alerts.
    pub lines: Repository<AlertLine>,
    /// What was told of them.
    pub notices: Repository<Notices>,
    /// The signals.
    pub signals: Signals,
    pub(crate) finder: Finder,
    /// The rules.
    pub rules: Rules,
    /// The ways to tell somebody.
    pub channels: Arc<Channels>,
    /// The time.
    pub clock: Clock,
    /// Follows names and contacts.
    pub cards: Follower,
    /// Follows where elders live.
    pub facts: Follower,
    /// Follows the read model of our own log.
    pub board: Follower,
    /// How far it has got.
    pub progress: ReaderFollower<Told>,
    pub(crate) measures: Measures,
    pub(crate) untold: Untold,
}

/// What is to be told of one level of one alert.
struct Task {
    /// Which record says so.
    record: u64,
    line: String,
    raised: Raised,
    level: u8,
    roles: Set<RecipientRole>,
}

/// A task that has ended: for which records, and what it wrote last.
struct Finished {
    records: Vec<u64>,
    written: u64,
}

impl Teller {
    /// Runs until `shutdown`.
    pub async fn run(self, shutdown: CancellationToken) {
        let teller = Arc::new(self);
        run_reader(&teller.pool, "alerts telling", &shutdown, |conn| {
            let teller = Arc::clone(&teller);
            async move { teller.lead(conn).await }
        })
        .await;
    }

    async fn lead(self: Arc<Self>, mut conn: PgConnection) -> Result<(), ReaderFailed> {
        // Who is registered and whom a file names is known before the first is told.
        self.cards.catches_up(self.registry.as_ref()).await?;
        self.facts.catches_up(self.registry.as_ref()).await?;
        self.board.catches_up(self.own.as_ref()).await?;
        let told = Told::read(&mut conn).await?.unwrap_or_default();
        // What comes after it is told anew.
        let told = Told {
            live: told.own,
            ..told
        };
        let mut deliveries = self.own.subscribe(told.own).await?;
        self.untold.forget();
        let mut telling = Telling {
            active: self.progress.active(Some(told)),
            teller: Arc::clone(&self),
            seen: told.own,
            written: told.written,
            open: BTreeMap::new(),
            groups: HashMap::new(),
            tasks: JoinSet::new(),
        };
        let mut kept = (told, Instant::now());
        loop {
            let group_due = telling.groups.values().map(|group| group.due).min();
            let group_due = group_due.unwrap_or(DateTime::<Utc>::MAX_UTC);
            tokio::select! {
                batch = deliveries.next(), if telling.tasks.len() < UNDER_WAY => {
                    let batch = batch.ok_or_else(|| ReaderFailed::because("our own log has ended"))??;
                    for delivery in batch {
                        telling.take(delivery).await?;
                    }
                }
                Some(finished) = telling.tasks.join_next() => {
                    let finished = finished.map_err(ReaderFailed::because)??;
                    telling.close(&finished);
                }
                () = self.clock.sleep_until(group_due) => telling.tell_groups(self.clock.now()),
                () = tokio::time::sleep(TELL_EVERY) => {}
            }
            let told = telling.told();
            telling.active.tell(told);
            if (told != kept.0 && kept.1.elapsed() >= TELL_EVERY) || kept.1.elapsed() >= HEARTBEAT {
                if told == kept.0 {
                    conn.ping().await?;
                } else {
                    told.write(&mut conn).await?;
                }
                kept = (told, Instant::now());
            }
        }
    }

    /// What fails is tried again: whoever is to be told waits for nothing else.
    async fn patiently<T, F>(&self, look: impl Fn() -> F) -> T
    where
        F: Future<Output = Result<T, ReaderFailed>>,
    {
        loop {
            match look().await {
                Ok(found) => return found,
                Err(error) => {
                    tracing::warn!(%error, "whom to tell is not known yet");
                    tokio::time::sleep(AGAIN).await;
                }
            }
        }
    }
}

/// Telling, while it leads.
struct Telling {
    teller: Arc<Teller>,
    active: ActiveReader<Told>,
    seen: u64,
    written: u64,
    /// Records of which somebody is not told yet, with how many tasks and groups that is up to.
    open: BTreeMap<u64, usize>,
    groups: HashMap<GroupKey, Group>,
    tasks: JoinSet<Result<Finished, ReaderFailed>>,
}

impl Telling {
    fn told(&self) -> Told {
        let counted = self.teller.untold.first_counted_lately(Instant::now());
        let open = self.open.keys().next().copied();
        // They come in the order of the log.
        let groups = self.groups.values();
        let gathering = groups.filter_map(|group| group.alerts.first());
        let gathering = gathering.map(|(_, _, record)| *record).min();
        let first = [open, gathering, counted].into_iter().flatten().min();
        let up_to = |first: Option<u64>| first.map_or(self.seen, |first| first - 1);
        Told {
            own: up_to(first),
            live: up_to(open),
            written: self.written,
        }
    }

    fn close(&mut self, finished: &Finished) {
        self.written = self.written.max(finished.written);
        for record in &finished.records {
            if let Some(open) = self.open.get_mut(record) {
                *open -= 1;
                if *open == 0 {
                    self.open.remove(record);
                }
            }
        }
    }

    async fn take(&mut self, delivery: Delivery) -> Result<(), ReaderFailed> {
        self.seen = delivery.sequence();
        if let Delivery::Record(record) = delivery
            && record.subject.aggregate() == AlertLine::NAME
        {
            self.take_record(&record).await?;
        }
        Ok(())
    }

    async fn take_record(&mut self, record: &Record) -> Result<(), ReaderFailed> {
        let line = record.subject.id().to_owned();
        for event in record
            .events
            .iter()
            .filter_map(|raw| AlertLine::decode(raw).ok())
        {
            self.teller.measure(&line, record, &event).await;
            match event {
                Event::Raised(raised) if raised.severity() == Severity::Low => {
                    let task = Task {
                        record: record.sequence,
                        line: line.clone(),
                        raised,
                        level: 0,
                        roles: RecipientRole::Maintainer.into(),
                    };
                    self.gather(task).await;
                }
                Event::Raised(raised) => {
                    if let Some(level) = raised.level_at_once() {
                        self.tell(&line, raised, level, record).await;
                    }
                }
                Event::Escalated { alert, level, .. } => {
                    let known = match self.teller.lines.load_newest(&line).await {
                        Ok(known) => known,
                        Err(LoadError::Unreadable { sequence, .. }) => {
                            tracing::error!(
                                sequence,
                                "a line can't be read: nobody is told of its levels"
                            );
                            continue;
                        }
                        Err(error) => return Err(error.into()),
                    };
                    let newest = known.state.newest();
                    // A later one on the line says that this one is over.
                    if let Some(newest) = newest.filter(|newest| newest.raised.alert == alert) {
                        let raised = newest.raised.clone();
                        self.tell(&line, raised, level, record).await;
                    }
                }
                Event::WentOffline { .. }
                | Event::CameOnline { .. }
                | Event::Joined { .. }
                | Event::Noted { .. }
                | Event::Acknowledged { .. }
                | Event::Assigned { .. }
                | Event::Dispatched { .. }
                | Event::Arrived { .. }
                | Event::Resolved { .. } => {}
            }
        }
        Ok(())
    }

    async fn tell(&mut self, line: &str, raised: Raised, level: u8, record: &Record) {
        let due = raised.level(level);
        let roles = due.map(|due| due.roles).unwrap_or_default();
        let since = raised.due_since(level);
        let gathered = raised.severity() == Severity::Notice;
        let (alert, kind) = (raised.alert, raised.kind);
        let task = Task {
            record: record.sequence,
            line: line.to_owned(),
            raised,
            level,
            roles,
        };
        if gathered {
            self.gather(task).await;
            return;
        }
        self.teller.untold.waits(alert, level, kind, since);
        let telling = Arc::clone(&self.teller).tell_level(task);
        let traceparent = record.metadata.traceparent.as_deref();
        self.begin(vec![record.sequence], traceparent, telling);
    }

    /// Has somebody told by a task of its own, in the trace of what led to it: until it ends these records are open.
    fn begin(
        &mut self,
        records: Vec<u64>,
        traceparent: Option<&str>,
        telling: impl Future<Output = Result<u64, ReaderFailed>> + Send + 'static,
    ) {
        for record in &records {
            *self.open.entry(*record).or_default() += 1;
        }
        let span = telemetry::span_of("react alerts telling", traceparent);
        let finished = async move {
            let written = telling.await;
            written.map(|written| Finished { records, written })
        };
        self.tasks.spawn(finished.instrument(span));
    }
}
