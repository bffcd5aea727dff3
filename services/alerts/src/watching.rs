//! The watch over all homes: one replica hears every signal in its order, lets time pass, and has alerts raised, escalated and
//! cleared.
//!
//! What was heard lies in memory; signals move no row. From time to time the watch is kept ([`crate::kept`]); after a restart it
//! goes on from there, and what it does again the lines of alerts recognise. A silence counts only once everything that
//! arrived before its end was heard, and everything that people did before was read: also after hours of standing still.

mod homes;
mod inflow;
mod keeping;
mod raising;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use civic::{ElderId, VillageCode};
use eventlog::{Deliveries, EventLog, Position, Repository};
use futures::StreamExt as _;
use futures::stream::BoxStream;
use readmodel::{
    ActiveReader, Follower, HEARTBEAT, ReaderFailed, ReaderFollower, run_reader, table_is_there,
};
use service::Clock;
use sqlx::{Connection as _, PgConnection, PgPool};
use tokio::sync::{Mutex, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use self::inflow::{Change, Inflow, Said};
use self::keeping::Keeping;
use crate::alert_line::AlertLine;
use crate::alert_policy::Policies;
use crate::board_table;
use crate::deeds::Deed;
use crate::device::Device;
use crate::elders_tables::FACTS;
use crate::kept::{self, Kept};
use crate::levels::Levels;
use crate::measures::Measures;
use crate::monitor::Monitor;
use crate::progress::Watched;
use crate::signal::{DeviceId, Signal};
use crate::signals::{Arrived, Signals};

/// The reader's name.
pub const NAME: &str = "watching";

/// How often it is told where other processes see it how far the watch has got.
const TELL_EVERY: Duration = Duration::from_millis(250);
/// How many signals are heard before deeds are done.
const HEARD_AT_ONCE: usize = 4_000;

/// What it works with.
#[derive(Clone)]
pub struct Watchman {
    /// The database.
    pub pool: PgPool,
    /// The signals.
    pub signals: Signals,
    /// Our own log.
    pub own: Arc<dyn EventLog>,
    /// Lines of alerts.
    pub lines: Repository<AlertLine>,
    /// Devices, to be told where the elder lives now, and retired where there is none any more.
    pub devices: Repository<Device>,
    /// The registry's log.
    pub registry: Arc<dyn EventLog>,
    /// Follows where elders live.
    pub facts: Follower,
    /// The time.
    pub clock: Clock,
    /// How far it has got.
    pub progress: ReaderFollower<Watched>,
    /// Who hears of devices that are retired, to close their connections.
    pub retired: Option<mpsc::UnboundedSender<DeviceId>>,
}

impl Watchman {
    /// Runs until `shutdown`.
    pub async fn run(self, shutdown: CancellationToken) {
        let watchman = Arc::new(self);
        run_reader(&watchman.pool, "alerts watching", &shutdown, |conn| {
            let watchman = Arc::clone(&watchman);
            async move { watchman.lead(conn).await }
        })
        .await;
    }

    async fn lead(&self, mut conn: PgConnection) -> Result<(), ReaderFailed> {
        for (schema, table) in [(FACTS.name(), "elder"), (board_table::NAME, "alert")] {
            table_is_there(&mut conn, &format!("{schema}.{table}")).await?;
        }
        // Where elders live is known before the first alarm is raised: it says who is told.
        self.facts.catches_up(self.registry.as_ref()).await?;
        let kept = match kept::read(&mut conn).await? {
            Some(kept) => kept,
            None => self.begin().await?,
        };
        let mut watch = Watch::open(self, conn, kept).await?;
        loop {
            watch.step().await?;
        }
    }

    /// A watch that knows nothing yet: it hears all signals that are still kept, and reads the whole log.
    async fn begin(&self) -> Result<Kept, ReaderFailed> {
        let from = kept::From {
            signals: self.signals.before_first().await?,
            ..kept::From::default()
        };
        Ok(Kept {
            from,
            monitor: Monitor::new(Policies::default(), DateTime::UNIX_EPOCH),
            levels: Levels::default(),
        })
    }
}

/// The watch that leads.
struct Watch<'w> {
    man: &'w Watchman,
    /// Holds the lead.
    conn: Arc<Mutex<PgConnection>>,
    monitor: Monitor,
    levels: Levels,
    signals: Inflow<BoxStream<'static, Vec<Arrived>>, Signal>,
    own: Inflow<Deliveries, Change>,
    /// Up to here of the registry's log it is known where elders live.
    facts: u64,
    /// Where elders live whose devices were just registered.
    villages: HashMap<ElderId, Option<VillageCode>>,
    /// Signals before this instant are not kept any more: silences count from here.
    blind_until: Option<DateTime<Utc>>,
    urgent: Vec<Deed<AlertLine>>,
    deeds: VecDeque<Deed<AlertLine>>,
    /// Requests of deeds whose records have not come back yet: what they say of devices is known.
    ours: HashSet<Uuid>,
    written: u64,
    active: ActiveReader<Watched>,
    keeping: Keeping,
    told: (Watched, Instant),
    measures: Measures,
}

impl<'w> Watch<'w> {
    async fn open(man: &'w Watchman, conn: PgConnection, kept: Kept) -> Result<Self, ReaderFailed> {
        let Kept {
            from,
            monitor,
            levels,
        } = kept;
        let begins_anew = from.own == 0 && from.signals > 0;
        let own = man.own.subscribe(from.own).await?;
        let watched = Watched {
            signals: from.signals,
            own: from.own,
            written: 0,
            facts: from.facts,
            next_due: None,
        };
        Ok(Self {
            man,
            conn: Arc::new(Mutex::new(conn)),
            monitor,
            levels,
            signals: Inflow::after(from.signals, man.signals.follow(from.signals)),
            own: Inflow::after(from.own, own),
            facts: from.facts,
            villages: HashMap::new(),
            // The first signal that is there says where the dark ends; without any, it is now.
            blind_until: begins_anew.then_some(DateTime::<Utc>::MAX_UTC),
            urgent: Vec::new(),
            deeds: VecDeque::new(),
            ours: HashSet::new(),
            written: 0,
            active: man.progress.active(None),
            keeping: Keeping::from(from),
            told: (watched, Instant::now()),
            measures: Measures::new(),
        })
    }

    async fn step(&mut self) -> Result<(), ReaderFailed> {
        self.take_what_is_there().await?;
        self.refresh_homes().await?;
        self.see_where_the_dark_ends().await?;
        self.deal_with_what_waits().await?;
        self.escalate();
        if self.signals.waiting.is_empty() && self.own.waiting.is_empty() {
            self.let_time_pass().await?;
        }
        self.do_deeds().await?;
        self.keep().await?;
        self.tell().await?;
        let busy = !self.deeds.is_empty()
            || !self.urgent.is_empty()
            || !self.signals.waiting.is_empty()
            || !self.own.waiting.is_empty()
            || self.keeping.taking.is_some()
            || self.facts < self.man.facts.known();
        if busy {
            tokio::task::yield_now().await;
            Ok(())
        } else {
            self.idle().await
        }
    }

    /// When something falls due next.
    fn due(&self) -> Option<DateTime<Utc>> {
        [self.monitor.due(), self.levels.first()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Waits for a signal, for what somebody does, or for the next timer.
    async fn idle(&mut self) -> Result<(), ReaderFailed> {
        let due = self.due().unwrap_or(DateTime::<Utc>::MAX_UTC);
        let moved = Position::new(self.man.facts.stream(), self.facts + 1);
        let heartbeat = Instant::now() + HEARTBEAT;
        let unkept = self.position() != self.keeping.kept;
        let keep = if unkept { self.keeping.next } else { heartbeat };
        let untold = self.told.0 != self.watched();
        let tell = if untold {
            self.told.1 + TELL_EVERY
        } else {
            heartbeat
        };
        tokio::select! {
            biased;
            arrived = self.signals.coming.next() => self.heard_of(arrived)?,
            records = self.own.coming.next() => self.read(records).await?,
            () = self.man.clock.sleep_until(due) => {}
            _ = self.man.facts.wait_for(&moved, heartbeat) => {}
            () = tokio::time::sleep_until(keep.min(tell).min(heartbeat)) => {}
        }
        if Instant::now() >= heartbeat
            && let Ok(mut conn) = self.conn.try_lock()
        {
            conn.ping().await?;
        }
        Ok(())
    }

    /// A watch that begins anew, when older signals are gone, counts no silence from before the first one that is left.
    async fn see_where_the_dark_ends(&mut self) -> Result<(), ReaderFailed> {
        if self.blind_until != Some(DateTime::<Utc>::MAX_UTC) {
            return Ok(());
        }
        let now = self.man.clock.now();
        while self.signals.waiting.is_empty() && !self.complete_signals(now).await? {}
        let first = self.signals.waiting.front();
        self.blind_until = Some(first.map_or(now, |signal| signal.arrived_at));
        Ok(())
    }

    /// Signals and what people did, merged by their instants; what people did goes before what arrives with it.
    async fn deal_with_what_waits(&mut self) -> Result<(), ReaderFailed> {
        for _ in 0..HEARD_AT_ONCE {
            let signal = self.signals.waiting.front().map(|signal| signal.arrived_at);
            let change = self.own.waiting.front().map(|change| change.at);
            let (at, own_first) = match (signal, change) {
                (None, None) => return Ok(()),
                (Some(signal), Some(change)) => (signal.min(change), change <= signal),
                (Some(signal), None) => (signal, false),
                (None, Some(change)) => (change, true),
            };
            self.light_up(at);
            let falls_due =
                self.blind_until.is_none() && self.monitor.due().is_some_and(|due| due <= at);
            if falls_due && !self.all_is_known(at).await? {
                // Something has come that may be earlier.
                continue;
            }
            // A device may have been registered, and an elder marked away, just before its signal arrived.
            if !own_first && !self.own.is_complete(at) && !self.complete_own(at).await? {
                continue;
            }
            if own_first {
                if let Some(change) = self.own.waiting.pop_front() {
                    self.take_in(change);
                }
            } else if let Some(signal) = self.signals.waiting.pop_front() {
                self.hear(&signal);
            }
        }
        Ok(())
    }

    fn light_up(&mut self, at: DateTime<Utc>) {
        if let Some(dark) = self.blind_until
            && at >= dark
        {
            self.monitor.counts_from(dark);
            self.blind_until = None;
        }
    }

    /// Fires what is due by now.
    async fn let_time_pass(&mut self) -> Result<(), ReaderFailed> {
        let now = self.man.clock.now();
        if self.monitor.due().is_some_and(|due| due <= now) || self.blind_until.is_some() {
            if !self.all_is_known(now).await?
                || !self.signals.waiting.is_empty()
                || !self.own.waiting.is_empty()
            {
                return Ok(());
            }
            self.light_up(now);
            let findings = self.monitor.pass(now);
            for finding in &findings {
                self.measures.fired(finding.at, now);
            }
            self.follow(findings, None);
        }
        Ok(())
    }

    fn hear(&mut self, signal: &Signal) {
        let findings = self.monitor.hear(signal);
        self.signals.done = if self.signals.waiting.is_empty() {
            self.signals.seen
        } else {
            signal.sequence
        };
        self.follow(findings, Some(signal));
    }

    fn take_in(&mut self, change: Change) {
        // In the dark nothing is concluded from silence.
        if self.blind_until.is_none() {
            let findings = self.monitor.pass(change.at);
            self.follow(findings, None);
        }
        let ours = self.ours.remove(&change.request);
        for said in change.what {
            match said {
                Said::Registered(device, kind, elder) => {
                    self.monitor.register(device, kind, elder, change.at);
                    self.know_home(elder);
                }
                Said::Moved(device, elder) => {
                    self.monitor.moves(&device, elder, change.at);
                    self.know_home(elder);
                }
                Said::Retired(device) => {
                    self.monitor.retire(&device);
                    if let Some(retired) = &self.man.retired {
                        // The process ends where nobody hears any more.
                        let _ = retired.send(device);
                    }
                }
                Said::Away(elder) => self.monitor.away(elder),
                Said::Back(elder) => self.monitor.back(elder, change.at),
                Said::Policy(division, policy) => {
                    let mut policies = self.monitor.policies().clone();
                    policies.publish(division, *policy);
                    self.monitor.judge_by(policies);
                }
                Said::Line(line, event) => {
                    self.levels.follow(&line, &event);
                    self.told_of(&line, &event, ours);
                }
            }
        }
        self.own.done = if self.own.waiting.is_empty() {
            self.own.seen
        } else {
            change.sequence
        };
    }

    fn watched(&self) -> Watched {
        Watched {
            signals: self.signals.done,
            own: self.own.done,
            written: self.written,
            facts: self.facts,
            next_due: self.due(),
        }
    }

    fn position(&self) -> kept::From {
        kept::From {
            signals: self.signals.done,
            own: self.own.done,
            facts: self.facts,
            judged: self.monitor.now().timestamp_micros(),
        }
    }

    /// Tells how far it has got, once all that follows from it is done.
    async fn tell(&mut self) -> Result<(), ReaderFailed> {
        if !self.deeds.is_empty() || !self.urgent.is_empty() {
            return Ok(());
        }
        if self.own.done >= self.written {
            // Whatever wrote nothing does not come back.
            self.ours.clear();
        }
        let watched = self.watched();
        self.active.tell(watched);
        self.measures.watched(self.monitor.places());
        if watched != self.told.0
            && self.told.1.elapsed() >= TELL_EVERY
            && let Ok(mut conn) = self.conn.try_lock()
        {
            watched.write(&mut conn).await?;
            self.told = (watched, Instant::now());
        }
        Ok(())
    }
}
