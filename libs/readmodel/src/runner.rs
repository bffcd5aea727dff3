//! Keeps a read model up to date, event by event, for as long as the service lives.

use std::sync::Arc;
use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBuilder};
use eventlog::EventLog;
use sqlx::{Connection, PgConnection, PgPool};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::checkpoint::{self, Checkpoint, Lead};
use crate::failure::Error;
use crate::feed::{Feed, Limit};
use crate::fold::{Caution, Fold};
use crate::follower::Follower;
use crate::projection::{Phase, Projection};
use crate::reactor::Answered;
use crate::rebuild;
use crate::settings::Settings;
use crate::status;
use crate::telemetry::{Follows, Lag, Metrics, PassedBy, Traces, Work};

/// With so many records in a batch more are on their way, and the next batch may wait for them.
const STREAMING: usize = 16;

/// A failure that goes on is told at most this often.
const COMPLAINT: Duration = Duration::from_secs(10);

/// The database is asked how far the read model is, and what it passed by, each time that so many heartbeats have gone by.
const BEATS: u32 = 5;

/// Runs a projection: takes the lead among the replicas or stands by, brings the tables to the program's version, and
/// follows the log.
pub struct Runner<P> {
    pool: PgPool,
    log: Arc<dyn EventLog>,
    make: Box<dyn Fn() -> P + Send + Sync>,
    settings: Settings,
    follower: Follower,
    metrics: Metrics,
    name: &'static str,
    /// Set for reactors: where they go on after the loss of their database.
    answered: Option<Answered>,
}

/// What a run remembers beyond a failure.
struct Run<P> {
    projection: P,
    caution: Caution,
    /// The library's own tables are there.
    migrated: bool,
    /// Something was achieved since the last failure.
    progressed: bool,
}

impl<P: Projection> Runner<P> {
    /// A runner of the projection that `make` makes; a rebuild makes a second one beside the first.
    pub fn new(
        pool: PgPool,
        log: Arc<dyn EventLog>,
        make: impl Fn() -> P + Send + Sync + 'static,
    ) -> Self {
        let made = make();
        let name = made.name();
        let version = checkpoint::version_of(&made);
        let follower = Follower::of_version(pool.clone(), name, log.stream(), version);
        Self {
            pool,
            log,
            make: Box::new(make),
            settings: Settings::default(),
            follower,
            metrics: Metrics::new(name),
            name,
            answered: None,
        }
    }

    /// With other settings than the default ones.
    #[must_use]
    pub fn with_settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    pub(crate) fn going_on_after(mut self, answered: Answered) -> Self {
        self.answered = Some(answered);
        self
    }

    /// Follows this runner's progress.
    #[must_use]
    pub fn follower(&self) -> Follower {
        self.follower.clone()
    }

    /// Runs until `shutdown`; then the transaction in hand is finished. Whatever fails in between is tried again.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut run = Run {
            projection: (self.make)(),
            caution: Caution::new(self.settings.patience),
            migrated: false,
            progressed: false,
        };
        let delays = ExponentialBuilder::new()
            .with_min_delay(Duration::from_millis(20))
            .with_max_delay(Duration::from_secs(3))
            .without_max_times()
            .with_jitter();
        let mut backoff = delays.build();
        let mut complained: Option<Instant> = None;
        let _lag = self.measure_lag();
        loop {
            let outcome = self.lead(&mut run, &shutdown).await;
            let Err(error) = outcome else { return };
            // It may be another database that comes back, or an older state of this one.
            self.follower.forget();
            // Nothing has failed where another process makes the read model anew, or has made it for a later version.
            if !matches!(error, Error::Busy(_) | Error::Newer { .. }) {
                self.metrics.failed();
            }
            if complained.is_none_or(|last| last.elapsed() >= COMPLAINT) {
                complained = Some(Instant::now());
                tracing::warn!(projection = self.name, %error, "the read model starts over from its checkpoint");
            }
            if run.caution.has_a_plan_for(&error) {
                continue;
            }
            // Whatever it was, even the loss of the database.
            run.migrated = false;
            if std::mem::take(&mut run.progressed) {
                backoff = delays.build();
            }
            let pause = backoff.next().unwrap_or(Duration::from_secs(3));
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Leads until something fails or `shutdown`.
    async fn lead(&self, run: &mut Run<P>, shutdown: &CancellationToken) -> Result<(), Error> {
        let conn = tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            conn = self.prepare(run) => conn?,
        };
        let mut fold = Fold::open(
            conn,
            &mut run.projection,
            self.name,
            Lead::Live,
            self.settings.transaction_limit,
        )
        .await?;
        let mut feed = Feed::open(Arc::clone(&self.log), fold.sequence());
        let limit = Limit {
            records: self.settings.live_records,
            bytes: self.settings.live_bytes,
            through: u64::MAX,
            known: 0,
        };
        let mut heartbeat = tokio::time::interval(self.settings.heartbeat);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let _leading = self.follower.leading_until_dropped();
        self.follower.lead(fold.sequence());
        tracing::info!(
            projection = self.name,
            sequence = fold.sequence(),
            "leading"
        );
        let mut rested = tokio::time::Instant::now();
        let work = match self.answered {
            Some(_) => Work::React,
            None => Work::Project,
        };
        loop {
            let batch = tokio::select! {
                biased;
                () = shutdown.cancelled() => {
                    // Says goodbye, so that a standby finds the lead free at once.
                    let _ = fold.into_connection().close().await;
                    return Ok(());
                }
                batch = async {
                    tokio::time::sleep_until(rested).await;
                    feed.next(limit).await
                } => batch?,
                _ = heartbeat.tick() => {
                    fold.check().await?;
                    continue;
                }
            };
            if batch.len() >= STREAMING {
                rested = tokio::time::Instant::now() + self.settings.live_pace;
            }
            let (records, start, traces) =
                (batch.len(), Instant::now(), Traces::of(&batch.records));
            let parked = fold.advance(batch, Phase::Live, &mut run.caution).await?;
            self.follower.lead(fold.sequence());
            self.metrics.applied(records, start.elapsed());
            traces.passed(work, self.name);
            if parked > 0 {
                tracing::error!(projection = self.name, parked, "events were parked");
            }
            run.progressed = true;
        }
    }

    /// Waits for the lead, and sees to it that the live tables are this program's.
    async fn prepare(&self, run: &mut Run<P>) -> Result<PgConnection, Error> {
        if !run.migrated {
            checkpoint::migrate(&self.pool).await?;
            run.migrated = true;
        }
        let mut conn = checkpoint::connect(&self.pool).await?;
        if let Some(found) = checkpoint::read(&mut conn, self.name).await? {
            self.not_newer(&found, run)?;
            // While replicas of the version before are still serving and following, the new one is built beside theirs.
            if found.version < checkpoint::version_of(&run.projection) {
                self.rebuild(run).await?;
            }
        }
        checkpoint::lead(&mut conn, self.name, Lead::Live, self.settings.standby_poll).await?;
        match checkpoint::read(&mut conn, self.name).await? {
            None => {
                let start = match &self.answered {
                    Some(answered) => answered.start(self.settings.live_records).await?,
                    None => 0,
                };
                let stream = self.log.stream();
                checkpoint::create(&mut conn, &run.projection, self.name, stream, start, true)
                    .await?;
                if self.answered.is_none()
                    && self.log.last_sequence().await? > self.settings.bulk_from
                {
                    self.rebuild(run).await?;
                }
            }
            Some(found) if found.stream != self.log.stream() => {
                return Err(Error::OtherStream {
                    projection: self.name.to_owned(),
                    stream: found.stream,
                });
            }
            // Under the lead, so that two programs that differ without a new version don't rebuild each other's in turn.
            Some(found) if !found.is_of(&run.projection) => {
                self.not_newer(&found, run)?;
                self.rebuild(run).await?;
            }
            // An interrupted first fill goes on in bulk.
            Some(found)
                if found.sequence == 0
                    && self.answered.is_none()
                    && self.log.last_sequence().await? > self.settings.bulk_from =>
            {
                self.rebuild(run).await?;
            }
            Some(_) => {}
        }
        Ok(conn)
    }

    /// A program never takes back what a newer one has built; to go back on purpose, an operator rebuilds with it.
    fn not_newer(&self, found: &Checkpoint, run: &Run<P>) -> Result<(), Error> {
        let known = checkpoint::version_of(&run.projection);
        if found.version > known {
            return Err(Error::Newer {
                projection: self.name.to_owned(),
                found: found.version,
                known,
            });
        }
        Ok(())
    }

    async fn rebuild(&self, run: &mut Run<P>) -> Result<(), Error> {
        if self.answered.is_some() {
            // A reactor has no rows to rebuild: what it did stands in the log.
            let mut conn = checkpoint::connect(&self.pool).await?;
            return checkpoint::adopt(&mut conn, &run.projection).await;
        }
        let mut projection = (self.make)();
        let told = std::sync::Mutex::new(Instant::now());
        let progress = |progress: rebuild::Progress| {
            let mut told = told
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            if told.elapsed() >= COMPLAINT {
                *told = Instant::now();
                tracing::info!(
                    projection = self.name,
                    done = progress.done,
                    total = progress.total,
                    rate = progress.rate,
                    "building a new version beside the live one"
                );
            }
        };
        let sides = rebuild::Sides {
            pool: &self.pool,
            log: &self.log,
            settings: &self.settings,
        };
        rebuild::beside(&sides, &mut projection, &mut run.caution, &progress).await?;
        run.progressed = true;
        Ok(())
    }

    /// Measures the lag for as long as the handle lives, whichever replica leads: one that does nothing any more shows too. Apart
    /// from the batches, since log and database may be slow to answer.
    fn measure_lag(&self) -> AbortOnDropHandle<()> {
        let (pool, log) = (self.pool.clone(), Arc::clone(&self.log));
        let (name, follower) = (self.name, self.follower.clone());
        let period = self.settings.heartbeat;
        AbortOnDropHandle::new(tokio::spawn(async move {
            let mut lag = Lag::of(Follows::Projection, name, log.stream());
            let passed_by = PassedBy::by(Follows::Projection, name);
            let mut found = None;
            for beat in (0..BEATS).cycle() {
                let looks = beat == 0 || found.is_none();
                if looks && let Ok(Some((sequence, parked))) = status::of(&pool, name).await {
                    passed_by.counted(parked);
                    found = Some(sequence);
                }
                // Who leads knows at once how far it is, others only by what they have just looked up.
                let reached = if follower.leading() {
                    Some(follower.known())
                } else {
                    found.filter(|_| looks)
                };
                if let Some(reached) = reached
                    && let Ok(head) = log.last_sequence().await
                {
                    lag.measured(head, reached);
                }
                tokio::time::sleep(period).await;
            }
        }))
    }
}
