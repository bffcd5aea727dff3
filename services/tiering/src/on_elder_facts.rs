//! The evaluator: when the registry records a fact, when a day begins, and when a policy is published, the tiers of those
//! concerned are judged anew, and what differs is written.
//!
//! One instance is active at a time, under a lock of the database; the others stand by. It works off, in this order: the
//! days that have passed, each by the elders whom an index names for it; policies; facts. Events are appended before the
//! transaction that says so: after a crash in between the same elders are judged again, and nothing differs any more.
//! A change bears the day as of which it was judged: today, or the day that is being caught up with.
//!
//! Without its database (tables `tiering_today`) it begins anew: everybody is judged as of the day of the last change on
//! record, then the days since are caught up with.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use chrono::NaiveDate;
use civic::{DivisionCode, ElderId, LocalDay, VillageCode};
use eventlog::{EventLog, Position, ReadError};
use futures::StreamExt as _;
use readmodel::{DatabaseError, Follower};
use service::Clock;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, PgPool, Row as _};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::evaluate::{Assignment, Judge, Jurisdiction, PolicyRef};
use crate::facts_key::FactsKey;
use crate::facts_table;
use crate::measures::Measures;
use crate::policies_in_force::{InForce, Policies, PoliciesInForce};
use crate::progress::{Progress, ProgressFollower};
use crate::tier::Tier;
use crate::tier_decisions::{Cause, Decision, Evaluated, NotWritten, Written, append_batch};
use crate::tiers_table::{self, TierRow};
use crate::today_table::{self, Due, Today};

/// How many elders are judged in one go.
const CHUNK: i64 = 2_000;
/// How many records go into one atomic batch of the log.
const BATCH: usize = 100;
/// How many batches are under way at once.
const BATCHES: usize = 4;
/// How many decisions are remembered until the read model has them.
const REMEMBERED: usize = 50_000;
/// How often a standby tries to become the active one.
const STANDBY: Duration = Duration::from_millis(250);
/// How often an idle connection (and the lock that it holds) is checked.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// A wait without an end of its own.
const FOREVER: Duration = Duration::from_secs(3600);

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
    pub progress: ProgressFollower,
}

/// Why the evaluator starts over.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error("database: {0}")]
    Database(DatabaseError),
    #[error("log: {0}")]
    Log(String),
}

impl From<sqlx::Error> for Failed {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

impl From<NotWritten> for Failed {
    fn from(error: NotWritten) -> Self {
        Self::Log(error.to_string())
    }
}

impl From<ReadError> for Failed {
    fn from(error: ReadError) -> Self {
        Self::Log(error.to_string())
    }
}

impl Evaluator {
    /// Runs until `shutdown`. Whatever fails in between is tried again.
    pub async fn run(self, shutdown: CancellationToken) {
        let delays = ExponentialBuilder::new()
            .with_min_delay(Duration::from_millis(50))
            .with_max_delay(Duration::from_secs(3))
            .without_max_times()
            .with_jitter();
        let mut backoff = delays.build();
        let measures = Measures::new();
        loop {
            let begun = Instant::now();
            let outcome = shutdown.run_until_cancelled(self.lead(&measures)).await;
            self.progress.stand_by();
            let Some(Err(failed)) = outcome else { return };
            measures.failed();
            tracing::warn!(%failed, "the evaluator starts over from where it was");
            if begun.elapsed() > Duration::from_secs(30) {
                backoff = delays.build();
            }
            let pause = backoff.next().unwrap_or(Duration::from_secs(3));
            if shutdown
                .run_until_cancelled(tokio::time::sleep(pause))
                .await
                .is_none()
            {
                return;
            }
        }
    }

    /// Is the active one until something fails.
    async fn lead(&self, measures: &Measures) -> Result<(), Failed> {
        let mut conn = PgConnection::connect_with(&self.pool.connect_options()).await?;
        // The death of either end is noticed in seconds; rows and progress are lost together, and made again.
        sqlx::raw_sql(
            "SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 2; SET tcp_keepalives_count = 3; \
             SET tcp_user_timeout = 10000; SET synchronous_commit = off",
        )
        .execute(&mut conn)
        .await?;
        while !sqlx::query_scalar(
            "SELECT pg_try_advisory_lock(hashtextextended('tiering evaluator', 0))",
        )
        .fetch_one(&mut conn)
        .await?
        {
            tokio::time::sleep(STANDBY).await;
        }
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
            judges: HashMap::new(),
            recent: HashMap::new(),
            recorded_before: progress.day,
            progress,
        };
        active.load_policies(progress.day).await?;
        if active.progress.begun {
            self.progress.tell(active.progress);
        }
        loop {
            active.step().await?;
        }
    }

    /// The read models hold what was in both logs when this instance became active: what a former instance wrote is seen.
    async fn await_read_models(&self, conn: &mut PgConnection) -> Result<(), Failed> {
        for (log, follower) in [(&self.registry, &self.facts), (&self.tiering, &self.tiers)] {
            let tip = Position::new(log.stream(), log.last_sequence().await?);
            while follower
                .wait_for(&tip, Instant::now() + FOREVER)
                .await
                .is_err()
            {}
        }
        // At the very first start they are not there yet.
        let tables = [
            format!("{}.elder", facts_table::NAME),
            format!("{}.tier", tiers_table::NAME),
        ];
        for table in tables {
            while !sqlx::query_scalar::<_, bool>("SELECT to_regclass($1) IS NOT NULL")
                .bind(&table)
                .fetch_one(&mut *conn)
                .await?
            {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        Ok(())
    }

    /// Where to begin without a database: on the day of the last change on record, or today.
    async fn beginning(&self, conn: &mut PgConnection) -> Result<Progress, Failed> {
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
    in_force: PoliciesInForce,
    judges: HashMap<PolicyRef, Judge>,
    /// What was appended and may not be in the read model yet.
    recent: HashMap<ElderId, (Tier, u64)>,
    /// When this day was seen to have begun, the facts held all that had been recorded.
    recorded_before: LocalDay,
}

/// How far the read models are.
struct Inputs {
    facts: u64,
    tiers: u64,
    policy: Option<(u64, Jurisdiction)>,
}

impl Active<'_> {
    /// Does what is next, or waits for something to do.
    async fn step(&mut self) -> Result<(), Failed> {
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
            && let Some((sequence, jurisdiction)) = inputs.policy
        {
            return self.policy(sequence, jurisdiction).await;
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

    /// The facts hold all that was recorded before now.
    async fn await_facts(&self) -> Result<(), Failed> {
        let Evaluator {
            registry, facts, ..
        } = self.evaluator;
        let tip = Position::new(registry.stream(), registry.last_sequence().await?);
        while facts
            .wait_for(&tip, Instant::now() + FOREVER)
            .await
            .is_err()
        {}
        Ok(())
    }

    /// Both checkpoints and the next policy, in one snapshot.
    async fn inputs(&mut self) -> Result<Inputs, Failed> {
        let statement = format!(
            "SELECT coalesce((SELECT sequence FROM readmodel.checkpoint WHERE projection = '{}'), 0), \
                    coalesce((SELECT sequence FROM readmodel.checkpoint WHERE projection = '{}'), 0), \
                    p.sequence, p.division \
             FROM (SELECT 1) AS one LEFT JOIN LATERAL ( \
                 SELECT sequence, division FROM {}.policy WHERE sequence > $1 ORDER BY sequence LIMIT 1) AS p ON true",
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
        Ok(Inputs {
            facts: row.try_get::<i64, _>(0)?.cast_unsigned(),
            tiers: row.try_get::<i64, _>(1)?.cast_unsigned(),
            policy: sequence.map(i64::cast_unsigned).zip(jurisdiction),
        })
    }

    /// On a past day only the policies of that day; today all that are published.
    async fn load_policies(&mut self, day: LocalDay) -> Result<(), Failed> {
        let day = if day < self.evaluator.clock.today() {
            day
        } else {
            LocalDay::MAX
        };
        self.in_force = self.evaluator.policies.on(&mut self.conn, day).await?;
        self.judges.clear();
        Ok(())
    }

    /// A day begins: those are judged whom time alone may change.
    async fn day(&mut self, day: LocalDay) -> Result<(), Failed> {
        self.load_policies(day).await?;
        let event = Position::new("DAY", u64::from(day.epoch_days().unsigned_abs()));
        loop {
            let due = today_table::due_by(&mut self.conn, day, CHUNK).await?;
            let last = (due.len() as i64) < CHUNK;
            if last {
                // Only now are all done.
                self.progress.day = day;
            }
            self.measures.judged(due.len(), "day");
            self.judge_facts(due, day, |_| event.clone()).await?;
            if last {
                return Ok(());
            }
        }
    }

    /// A policy goes into force: those within its division are judged by what holds there now.
    async fn policy(&mut self, sequence: u64, jurisdiction: Jurisdiction) -> Result<(), Failed> {
        self.load_policies(self.progress.day).await?;
        if let Jurisdiction::Division(division) = jurisdiction {
            self.judge_division(&division, sequence).await?;
        }
        self.progress.tiering = sequence;
        self.commit(&[], &[]).await
    }

    async fn judge_division(
        &mut self,
        division: &DivisionCode,
        sequence: u64,
    ) -> Result<(), Failed> {
        let event = Position::new(self.evaluator.tiering.stream(), sequence);
        let cause = Cause {
            event,
            answers: None,
            causation: None,
            correlation: None,
            traceparent: None,
        };
        let mut after = None;
        loop {
            let rows = today_table::in_scope(&mut self.conn, division, after, CHUNK).await?;
            let Some(last) = rows.last() else {
                return Ok(());
            };
            after = Some(last.elder);
            let evaluated = rows.iter().map(|row| Evaluated {
                elder: row.elder,
                assignment: row
                    .key
                    .map(|key| assign(&mut self.judges, &self.in_force, key, row.village)),
                village: Some(row.village),
                cause: cause.clone(),
            });
            let evaluated = evaluated.collect();
            self.measures.judged(rows.len(), "policy");
            self.append(evaluated, self.progress.day).await?;
            self.commit(&[], &[]).await?;
        }
    }

    /// Facts that the registry recorded up to the end of a day; whether there were any. `known` is how far the facts are,
    /// where all of them are asked for.
    async fn records(&mut self, known: Option<u64>, until: LocalDay) -> Result<bool, Failed> {
        let mut due =
            today_table::recorded_after(&mut self.conn, self.progress.registry, CHUNK).await?;
        let more = due.len() as i64 == CHUNK;
        // In the order of the log: what comes after a later record waits with it.
        let within = due
            .iter()
            .take_while(|due| due.recorded_on <= until)
            .count();
        due.truncate(within);
        let Some(last) = due.last() else {
            if let Some(known) = known.filter(|known| *known > self.progress.registry) {
                // Records that are about no elder's facts.
                self.progress.registry = known;
                self.commit(&[], &[]).await?;
            }
            return Ok(false);
        };
        let reached = known.filter(|_| !more).unwrap_or_default();
        self.progress.registry = last.sequence.max(reached);
        let stream = self.evaluator.registry.stream().to_owned();
        self.measures.judged(due.len(), "fact");
        self.judge_facts(due, self.progress.day, |due| {
            Position::new(&*stream, due.sequence)
        })
        .await?;
        Ok(true)
    }

    /// Judges elders by their facts on a day, appends what differs, and commits what holds now with the progress.
    async fn judge_facts(
        &mut self,
        due: Vec<Due>,
        day: LocalDay,
        event: impl Fn(&Due) -> Position,
    ) -> Result<(), Failed> {
        let (mut rows, mut erased, mut evaluated) = (Vec::new(), Vec::new(), Vec::new());
        for due in due {
            let cause = Cause {
                event: event(&due),
                answers: Some(Position::new(
                    self.evaluator.registry.stream(),
                    due.sequence,
                )),
                causation: Some(due.record),
                correlation: Some(due.correlation),
                traceparent: due.traceparent,
            };
            let row = due
                .facts
                .as_ref()
                .map(|facts| Today::of(due.elder, facts, day));
            match row {
                Some(row) => rows.push(row),
                None => erased.push(due.elder),
            }
            evaluated.push(Evaluated {
                elder: due.elder,
                assignment: row.and_then(|row| {
                    Some(assign(
                        &mut self.judges,
                        &self.in_force,
                        row.key?,
                        row.village,
                    ))
                }),
                village: row.map(|row| row.village),
                cause,
            });
        }
        self.append(evaluated, day).await?;
        self.commit(&rows, &erased).await
    }

    /// Writes what holds now and the progress, and tells those who wait.
    async fn commit(&mut self, rows: &[Today], erased: &[ElderId]) -> Result<(), Failed> {
        let mut tx = self.conn.begin().await?;
        today_table::write(&mut tx, rows).await?;
        today_table::drop_rows(&mut tx, erased).await?;
        self.progress.write(&mut tx).await?;
        tx.commit().await?;
        if self.progress.begun {
            self.evaluator.progress.tell(self.progress);
        }
        Ok(())
    }

    /// Waits for facts, policies or the next day.
    async fn idle(&mut self, tiers: u64) -> Result<(), Failed> {
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
    async fn append(&mut self, evaluated: Vec<Evaluated>, on: LocalDay) -> Result<(), Failed> {
        let known = self.known(&evaluated).await?;
        let now = self.evaluator.clock.now();
        let decided = evaluated.into_iter().filter_map(|one| {
            let (tier, sequence) = known.get(&one.elder).cloned().unwrap_or_default();
            Decision::of(one, on, now, tier, sequence)
        });
        let decided: Vec<Decision> = decided.collect();
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

    /// The tiers as last written: by the read model, and what it may not have yet.
    async fn known(
        &mut self,
        evaluated: &[Evaluated],
    ) -> Result<HashMap<ElderId, (Tier, u64)>, Failed> {
        let appended = Position::new(self.evaluator.tiering.stream(), self.progress.appended);
        if self.recent.len() > REMEMBERED {
            while self
                .evaluator
                .tiers
                .wait_for(&appended, Instant::now() + FOREVER)
                .await
                .is_err()
            {}
            self.recent.clear();
        } else if self.evaluator.tiers.known() >= appended.sequence {
            self.recent.clear();
        }
        let ids: Vec<Uuid> = evaluated.iter().map(|one| one.elder.as_uuid()).collect();
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
        for one in evaluated {
            if let Some(recent) = self.recent.get(&one.elder) {
                known.insert(one.elder, recent.clone());
            }
        }
        Ok(known)
    }
}

fn assign(
    judges: &mut HashMap<PolicyRef, Judge>,
    in_force: &PoliciesInForce,
    key: FactsKey,
    village: VillageCode,
) -> Assignment {
    let (policy, rules): &InForce = in_force.of_village(&village);
    let judge = judges
        .entry(*policy)
        .or_insert_with(|| Judge::new(Arc::clone(rules)));
    let verdict = judge.verdict(key);
    judge.assignment(&verdict, *policy, village)
}
