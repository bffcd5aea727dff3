//! The evaluator: when the registry records a fact, when a day begins, and when a policy is published, the tiers of those
//! concerned are judged anew, and what differs is written.
//!
//! One instance is active at a time, under a lock of the database; the others stand by. It works off, in this order: the
//! days that have passed, each by the elders whom an index names for it; policies; facts. Events are appended before the
//! transaction that says so: after a crash in between the same elders are judged again, and nothing differs any more.
//! Judging is as of today, or as of the day that is being caught up with; a change bears the day from which it holds by
//! what is known then (`holds_from`), which may lie before.
//!
//! Facts that can't be read are parked, and all others are judged (`unreadable`).
//!
//! Without its database (tables `tiering_today`) it begins anew: everybody is judged as of the day of the last change on
//! record, then the days since are caught up with.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::NaiveDate;
use civic::{ElderId, LocalDay};
use elders::Facts;
use eventlog::{EventLog, Position};
use futures::StreamExt as _;
use readmodel::{
    ActiveReader, Follower, HEARTBEAT, ReaderFailed, ReaderFollower, run_reader, table_is_there,
};
use service::Clock;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, PgPool, Row as _};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::evaluate::Jurisdiction;
use crate::facts_table;
use crate::holds_from::{Judges, holds_from};
use crate::measures::{Measures, NAME};
use crate::policies_in_force::{Policies, PoliciesInForce, PoliciesOverTime};
use crate::progress::Progress;
use crate::tier::Tier;
use crate::tier_decisions::{Decision, Evaluated, NotWritten, Written, append_batch};
use crate::tiers_table::{self, TierRow};
use crate::today_table::{self, Today};

mod days;
mod facts;
mod policies;
mod unreadable;

/// How many elders are judged in one go.
const CHUNK: i64 = 2_000;
/// How many records go into one atomic batch of the log.
const BATCH: usize = 100;
/// How many batches are under way at once.
const BATCHES: usize = 4;
/// How many decisions are remembered until the read model has them.
const REMEMBERED: usize = 50_000;

/// What the evaluator works with.
#[derive(Clone)]
pub struct Evaluator {
    /// The database.
    pub pool: PgPool,
    /// The registry's log.
    pub registry: Arc<dyn EventLog>,
    /// Our own log.
    pub tiering: Arc<dyn EventLog>,
    /// The time.
    pub clock: Clock,
    /// The policies.
    pub policies: Arc<Policies>,
    /// Follows the facts.
    pub facts: Follower,
    /// Follows the tiers.
    pub tiers: Follower,
    /// Tells how far it has got.
    pub progress: ReaderFollower<Progress>,
}

impl From<NotWritten> for ReaderFailed {
    fn from(error: NotWritten) -> Self {
        Self::because(error)
    }
}

impl Evaluator {
    /// Runs until `shutdown`. Whatever fails in between is tried again.
    pub async fn run(self, shutdown: CancellationToken) {
        let measures = Measures::new();
        run_reader(&self.pool, NAME, &shutdown, |conn| {
            self.lead(conn, &measures)
        })
        .await;
    }

    /// Is the active one until something fails.
    async fn lead(&self, mut conn: PgConnection, measures: &Measures) -> Result<(), ReaderFailed> {
        self.await_read_models(&mut conn).await?;
        let progress = match Progress::read(&mut conn).await? {
            Some(progress) => progress,
            None => self.beginning(&mut conn).await?,
        };
        tracing::info!(day = %progress.day, registry = progress.registry, "evaluating");
        let mut active = Active {
            evaluator: self,
            measures,
            conn,
            in_force: PoliciesInForce::default(),
            over_time: None,
            judges: Judges::new(),
            recent: HashMap::new(),
            recorded_before: progress.day,
            progress,
            active: self.progress.active(progress.begun.then_some(progress)),
        };
        active.load_policies(progress.day).await?;
        if progress.begun {
            active.look_again(progress.day).await?;
        }
        loop {
            active.step().await?;
        }
    }

    /// The read models hold what was in both logs when this instance became active: what a former instance wrote is seen.
    async fn await_read_models(&self, conn: &mut PgConnection) -> Result<(), ReaderFailed> {
        self.facts.catches_up(self.registry.as_ref()).await?;
        self.tiers.catches_up(self.tiering.as_ref()).await?;
        for (schema, table) in [(facts_table::NAME, "elder"), (tiers_table::NAME, "tier")] {
            table_is_there(conn, &format!("{schema}.{table}")).await?;
        }
        Ok(())
    }

    /// Where to begin without a database: on the day of the last change on record, or today.
    async fn beginning(&self, conn: &mut PgConnection) -> Result<Progress, ReaderFailed> {
        let statement = format!("SELECT max(on_day) FROM {}.tier", tiers_table::NAME);
        let last: Option<NaiveDate> = sqlx::query_scalar(AssertSqlSafe(statement))
            .fetch_one(conn)
            .await?;
        let today = self.clock.today();
        let day = last
            .and_then(|day| LocalDay::try_from(day).ok())
            .map_or(today, |day| day.min(today));
        Ok(Progress {
            registry: 0,
            tiering: 0,
            appended: 0,
            day,
            begun: false,
        })
    }
}

/// The active instance at work.
struct Active<'a> {
    evaluator: &'a Evaluator,
    measures: &'a Measures,
    conn: PgConnection,
    progress: Progress,
    /// Tells of it.
    active: ActiveReader<Progress>,
    in_force: PoliciesInForce,
    /// The policies of all days up to then, once somebody needed them.
    over_time: Option<PoliciesOverTime>,
    judges: Judges,
    /// What was appended and may not be in the read model yet.
    recent: HashMap<ElderId, (Tier, u64)>,
    /// When this day was seen to have begun, the facts held all that had been recorded.
    recorded_before: LocalDay,
}

/// How far the read models are.
struct Inputs {
    facts: u64,
    tiers: u64,
    policy: Option<NextPolicy>,
}

/// A policy that is to go into force.
struct NextPolicy {
    sequence: u64,
    jurisdiction: Jurisdiction,
    /// The first day on which it holds.
    on: LocalDay,
    /// Its record's id.
    record: Uuid,
    /// What that came of.
    correlation: Uuid,
    /// Its trace.
    traceparent: Option<String>,
}

/// An elder who was judged, with what the day is found by from which the outcome holds: all that is known, and the day on
/// which the file was opened. Without these it holds from the day of the evaluation.
struct Judged {
    evaluated: Evaluated,
    known: Option<(Facts, LocalDay)>,
}

impl Active<'_> {
    /// Does what is next, or waits for something to do.
    async fn step(&mut self) -> Result<(), ReaderFailed> {
        let today = self.evaluator.clock.today();
        self.measures
            .days_behind(self.progress.day.days_until(today));
        if self.progress.begun && self.progress.day < today {
            if self.recorded_before < today {
                self.await_facts().await?;
                self.recorded_before = today;
            }
            // What was recorded on a day is judged as of that day, also when this instance was down or slow meanwhile.
            if self.records(None, self.progress.day).await? {
                return Ok(());
            }
            return self.day(self.progress.day.next()).await;
        }
        let inputs = self.inputs().await?;
        if self.progress.begun
            && let Some(policy) = inputs.policy
        {
            return self.policy(policy).await;
        }
        if self.records(Some(inputs.facts), LocalDay::MAX).await? {
            return Ok(());
        }
        if !self.progress.begun {
            // Policies are gone through once more: some may be younger than the day as of which everybody was judged.
            self.progress.begun = true;
            return self.commit(&[], &[]).await;
        }
        if inputs.tiers > self.progress.tiering {
            self.progress.tiering = inputs.tiers;
            self.commit(&[], &[]).await?;
        }
        self.idle(inputs.tiers).await
    }

    /// Both checkpoints and the next policy, in one snapshot.
    async fn inputs(&mut self) -> Result<Inputs, ReaderFailed> {
        let statement = format!(
            "SELECT coalesce((SELECT sequence FROM readmodel.checkpoint WHERE projection = '{}'), 0), \
                    coalesce((SELECT sequence FROM readmodel.checkpoint WHERE projection = '{}'), 0), \
                    p.sequence, p.division, p.on_day, p.record_id, p.correlation_id, p.traceparent \
             FROM (SELECT 1) AS one LEFT JOIN LATERAL ( \
                 SELECT sequence, division, on_day, record_id, correlation_id, traceparent FROM {}.policy WHERE sequence > $1 ORDER BY sequence LIMIT 1) AS p ON true",
            facts_table::NAME,
            tiers_table::NAME,
            tiers_table::NAME,
        );
        let row = sqlx::query(AssertSqlSafe(statement))
            .bind(self.progress.tiering.cast_signed())
            .fetch_one(&mut self.conn)
            .await?;
        let sequence: Option<i64> = row.try_get(2)?;
        let division: Option<&str> = row.try_get(3)?;
        let jurisdiction = division.and_then(|division| division.parse().ok());
        let on = row
            .try_get::<Option<NaiveDate>, _>(4)?
            .and_then(|day| LocalDay::try_from(day).ok());
        let record: Option<Uuid> = row.try_get(5)?;
        let correlation: Option<Uuid> = row.try_get(6)?;
        let traceparent: Option<String> = row.try_get(7)?;
        let place = sequence.zip(jurisdiction).zip(on);
        let policy = place.zip(record.zip(correlation));
        Ok(Inputs {
            facts: row.try_get::<i64, _>(0)?.cast_unsigned(),
            tiers: row.try_get::<i64, _>(1)?.cast_unsigned(),
            policy: policy.map(|((place, on), (record, correlation))| NextPolicy {
                sequence: place.0.cast_unsigned(),
                jurisdiction: place.1,
                on,
                record,
                correlation,
                traceparent,
            }),
        })
    }

    /// Writes what holds now and the progress, and tells those who wait.
    async fn commit(&mut self, rows: &[Today], erased: &[ElderId]) -> Result<(), ReaderFailed> {
        let mut tx = self.conn.begin().await?;
        today_table::write(&mut tx, rows).await?;
        today_table::drop_rows(&mut tx, erased).await?;
        self.progress.write(&mut tx).await?;
        tx.commit().await?;
        if self.progress.begun {
            self.active.tell(self.progress);
        }
        Ok(())
    }

    /// Waits for facts, policies or the next day.
    async fn idle(&mut self, tiers: u64) -> Result<(), ReaderFailed> {
        let deadline = Instant::now() + HEARTBEAT;
        let Evaluator {
            registry,
            tiering,
            clock,
            facts,
            tiers: follower,
            ..
        } = self.evaluator;
        let facts_moved = Position::new(registry.stream(), self.progress.registry + 1);
        let tiers_moved = Position::new(tiering.stream(), tiers + 1);
        tokio::select! {
            _ = facts.wait_for(&facts_moved, deadline) => {}
            _ = follower.wait_for(&tiers_moved, deadline) => {}
            () = clock.sleep_until(self.progress.day.end()) => {}
        }
        if Instant::now() >= deadline {
            self.conn.ping().await?;
        }
        Ok(())
    }

    /// Has each tier decide, and appends the decisions.
    async fn append(&mut self, judged: Vec<Judged>) -> Result<(), ReaderFailed> {
        let mut known = self.known(&judged).await?;
        let now = self.evaluator.clock.now();
        let mut decided = Vec::new();
        for Judged {
            mut evaluated,
            known: facts,
        } in judged
        {
            let (tier, sequence) = known.remove(&evaluated.elder).unwrap_or_default();
            if tier.is_as_due(evaluated.assignment.as_ref()) {
                continue;
            }
            if let Some((facts, opened_on)) = facts {
                let earliest = tier.since().map_or(opened_on, |since| since.max(opened_on));
                evaluated.on = self.holds_from(&facts, evaluated.on, earliest).await?;
            }
            decided.extend(Decision::of(evaluated, now, tier, sequence));
        }
        if decided.is_empty() {
            return Ok(());
        }
        self.measures.wrote(decided.len());
        let mut batches = Vec::new();
        let mut rest = decided.into_iter().peekable();
        while rest.peek().is_some() {
            batches.push(rest.by_ref().take(BATCH).collect::<Vec<_>>());
        }
        let log = &self.evaluator.tiering;
        let written = futures::stream::iter(batches)
            .map(|batch| append_batch(log.as_ref(), batch, now))
            .buffer_unordered(BATCHES);
        let written: Vec<Result<Vec<Written>, NotWritten>> = written.collect().await;
        for batch in written {
            for Written {
                elder,
                tier,
                sequence,
            } in batch?
            {
                self.progress.appended = self.progress.appended.max(sequence);
                self.recent.insert(elder, (tier, sequence));
            }
        }
        Ok(())
    }

    async fn holds_from(
        &mut self,
        facts: &Facts,
        day: LocalDay,
        earliest: LocalDay,
    ) -> Result<LocalDay, ReaderFailed> {
        // As for everybody who has just been registered.
        if earliest >= day {
            return Ok(day);
        }
        let policies = match self.over_time.take() {
            Some(policies) => policies,
            None => {
                let policies = &self.evaluator.policies;
                policies.until(&mut self.conn, day).await?
            }
        };
        let policies = self.over_time.insert(policies);
        Ok(holds_from(facts, day, earliest, policies, &mut self.judges))
    }

    /// The tiers as last written: by the read model, and what it may not have yet.
    async fn known(
        &mut self,
        judged: &[Judged],
    ) -> Result<HashMap<ElderId, (Tier, u64)>, ReaderFailed> {
        let appended = self.progress.appended;
        if self.recent.len() > REMEMBERED {
            self.evaluator.tiers.reaches(appended).await;
            self.recent.clear();
        } else if self.evaluator.tiers.known() >= appended {
            self.recent.clear();
        }
        let elders = || judged.iter().map(|one| one.evaluated.elder);
        let ids: Vec<Uuid> = elders().map(|elder| elder.as_uuid()).collect();
        let statement = format!(
            "SELECT {} FROM {}.tier t WHERE t.elder_id = ANY($1)",
            TierRow::COLUMNS,
            tiers_table::NAME
        );
        let rows = sqlx::query(AssertSqlSafe(statement))
            .bind(&ids)
            .fetch_all(&mut self.conn)
            .await?;
        let mut known = HashMap::with_capacity(rows.len());
        for row in &rows {
            let row = TierRow::of(row)?;
            known.insert(row.elder, (row.tier, row.sequence));
        }
        for elder in elders() {
            if let Some(recent) = self.recent.get(&elder) {
                known.insert(elder, recent.clone());
            }
        }
        Ok(known)
    }
}
