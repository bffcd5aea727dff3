//! A read model built anew from the log, beside the one that serves, which it then replaces at one stroke.

use std::sync::Arc;
use std::time::{Duration, Instant};

use eventlog::EventLog;
use serde::Serialize;
use sqlx::{Connection, PgConnection, PgPool, Row};

use crate::checkpoint::{self, Lead, old_schema, quoted, rebuild_schema, signed};
use crate::failure::Error;
use crate::feed::{Feed, Limit};
use crate::fold::{Caution, Fold};
use crate::projection::{Phase, Projection, ddl_digest};
use crate::settings::Settings;

/// How far a rebuild or a verification has got.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Progress {
    /// The sequence reached.
    pub done: u64,
    /// The last sequence of the stream, as last seen.
    pub total: u64,
    /// Events a second since it began (or went on).
    pub rate: f64,
}

/// Rebuilds a projection beside its live version, and switches to it.
///
/// The new version fills the schema `<name>__rebuild` in large transactions, each with its checkpoint: interrupted, it
/// goes on where it was when called again (by the same version of the program). It then builds the late indexes, catches
/// up, and takes the live one's place in one transaction, for which the live runner pauses; that runner notices and goes
/// on with the new tables, and queries find one or the other whole.
///
/// The tables are ordinary ones from the start. Unlogged tables would be emptied by a crash of the server, and made
/// logged by writing them a second time; and a COPY that skips the WAL must be in the transaction that created its table,
/// which would make one transaction of everything.
///
/// # Errors
/// [`Error::Busy`] while another rebuild or verification of the projection runs; the database's, the log's and the
/// fold's.
pub async fn rebuild<P: Projection>(
    pool: &PgPool,
    log: Arc<dyn EventLog>,
    mut projection: P,
    progress: impl Fn(Progress) + Send + Sync,
) -> Result<(), Error> {
    checkpoint::migrate(pool).await?;
    let settings = Settings::default();
    let sides = Sides {
        pool,
        log: &log,
        settings: &settings,
    };
    beside(
        &sides,
        &mut projection,
        &mut Caution::new(settings.patience),
        &progress,
    )
    .await
}

/// What a version built aside stands between.
pub(crate) struct Sides<'a> {
    pub(crate) pool: &'a PgPool,
    pub(crate) log: &'a Arc<dyn EventLog>,
    pub(crate) settings: &'a Settings,
}

/// Told of each step.
pub(crate) type Told<'a> = &'a (dyn Fn(Progress) + Send + Sync);

pub(crate) async fn beside<P: Projection>(
    sides: &Sides<'_>,
    projection: &mut P,
    caution: &mut Caution,
    progress: Told<'_>,
) -> Result<(), Error> {
    loop {
        match attempt(sides, projection, caution, progress).await {
            Err(error) if caution.has_a_plan_for(&error) => {}
            outcome => return outcome,
        }
    }
}

async fn attempt<P: Projection>(
    sides: &Sides<'_>,
    projection: &mut P,
    caution: &mut Caution,
    progress: Told<'_>,
) -> Result<(), Error> {
    let name = projection.name();
    let stream = sides.log.stream();
    let aside = rebuild_schema(name);
    let mut conn = lead_aside(sides, name).await?;
    match checkpoint::read(&mut conn, name).await? {
        Some(live) if live.stream != stream => {
            return Err(Error::OtherStream {
                projection: name.to_owned(),
                stream: live.stream,
            });
        }
        Some(_) => {}
        // Something must be there to be replaced.
        None => checkpoint::create(&mut conn, projection, name, stream, 0, true).await?,
    }
    let begun = checkpoint::read(&mut conn, &aside).await?;
    if !begun.is_some_and(|begun| begun.stream == stream && begun.is_of(projection)) {
        checkpoint::create(&mut conn, projection, &aside, stream, 0, false).await?;
    }

    let mut fold = Fold::open(
        conn,
        projection,
        &aside,
        Lead::Aside,
        sides.settings.transaction_limit,
    )
    .await?;
    let ahead = fold.projection().ahead();
    let mut feed = Feed::prepared(Arc::clone(sides.log), fold.sequence(), ahead);
    let mut course = Course::new(sides, fold.sequence(), progress);
    course.load(&mut fold, &mut feed, caution).await?;
    switch(sides, &mut fold, &mut feed, caution).await?;
    course.tell(fold.sequence());

    let mut conn = fold.into_connection();
    if let Err(error) = drop_replaced(&mut conn, name).await {
        tracing::warn!(projection = name, %error, "the replaced version stays until the next rebuild");
    }
    let _ = conn.close().await;
    Ok(())
}

/// The lead over what is built aside, on a connection fit for bulk loads.
pub(crate) async fn lead_aside(sides: &Sides<'_>, name: &str) -> Result<PgConnection, Error> {
    let mut conn = checkpoint::connect(sides.pool).await?;
    // The connection of an attempt that failed a moment ago may not be quite gone.
    let patience = Duration::from_secs(2);
    let lead = checkpoint::lead(&mut conn, name, Lead::Aside, Duration::from_millis(20));
    tokio::time::timeout(patience, lead)
        .await
        .map_err(|_| Error::Busy(name.to_owned()))??;
    sqlx::raw_sql("SET maintenance_work_mem = '256MB'; SET work_mem = '64MB'")
        .execute(&mut conn)
        .await?;
    Ok(conn)
}

/// The way of a version built aside through the stream.
pub(crate) struct Course<'a> {
    sides: &'a Sides<'a>,
    progress: Told<'a>,
    began: Instant,
    from: u64,
    total: u64,
}

impl<'a> Course<'a> {
    pub(crate) fn new(sides: &'a Sides<'a>, from: u64, progress: Told<'a>) -> Self {
        Self {
            sides,
            progress,
            began: Instant::now(),
            from,
            total: 0,
        }
    }

    fn tell(&mut self, done: u64) {
        self.total = self.total.max(done);
        let seconds = self.began.elapsed().as_secs_f64().max(1e-6);
        #[expect(clippy::cast_precision_loss, reason = "a rate to look at")]
        let rate = done.saturating_sub(self.from) as f64 / seconds;
        (self.progress)(Progress {
            done,
            total: self.total,
            rate,
        });
    }

    /// Loads everything up to the end of the stream in bulk, finishes the load, and follows until nearly level.
    async fn load<P: Projection>(
        &mut self,
        fold: &mut Fold<'_, P, Box<PgConnection>>,
        feed: &mut Feed,
        caution: &mut Caution,
    ) -> Result<(), Error> {
        let near = self.sides.settings.live_records as u64;
        for phase in [Phase::Rebuild, Phase::Live] {
            if phase == Phase::Rebuild && fold.loaded() {
                continue;
            }
            let mut target = self.sides.log.last_sequence().await?;
            while fold.sequence() < target {
                self.fill(fold, feed, caution, phase, target, u64::MAX)
                    .await?;
                let head = self.sides.log.last_sequence().await?;
                if head > fold.sequence() + near {
                    target = head;
                }
            }
            if phase == Phase::Rebuild {
                self.finish(fold).await?;
            }
        }
        Ok(())
    }

    /// Applies records until `target` is reached, and none beyond `through`.
    pub(crate) async fn fill<P: Projection>(
        &mut self,
        fold: &mut Fold<'_, P, Box<PgConnection>>,
        feed: &mut Feed,
        caution: &mut Caution,
        phase: Phase,
        target: u64,
        through: u64,
    ) -> Result<(), Error> {
        self.total = self.total.max(target);
        let limit = limit(self.sides.settings, phase, through, target);
        self.tell(fold.sequence());
        while fold.sequence() < target {
            let batch = feed.next(limit).await?;
            fold.advance(batch, phase, caution).await?;
            self.tell(fold.sequence());
        }
        Ok(())
    }

    /// Ends the bulk load.
    pub(crate) async fn finish<P: Projection>(
        &self,
        fold: &mut Fold<'_, P, Box<PgConnection>>,
    ) -> Result<(), Error> {
        fold.finish_load().await?;
        // The planner knows nothing of these tables yet, and the first queries are moments away.
        let schema = fold.schema().to_owned();
        let conn = fold.connection();
        let tables: Vec<String> =
            sqlx::query_scalar("SELECT tablename::text FROM pg_tables WHERE schemaname = $1")
                .bind(&schema)
                .fetch_all(&mut *conn)
                .await?;
        for table in tables {
            checkpoint::run(
                conn,
                format!("ANALYZE {}.{}", quoted(&schema), quoted(&table)),
            )
            .await?;
        }
        Ok(())
    }
}

pub(crate) fn limit(settings: &Settings, phase: Phase, through: u64, known: u64) -> Limit {
    match phase {
        Phase::Live => Limit {
            records: settings.live_records,
            bytes: settings.live_bytes,
            through,
            known,
        },
        Phase::Rebuild => Limit {
            records: settings.rebuild_records,
            bytes: settings.rebuild_bytes,
            through,
            known,
        },
    }
}

/// Puts the version built aside in the live one's place.
async fn switch<P: Projection>(
    sides: &Sides<'_>,
    fold: &mut Fold<'_, P, Box<PgConnection>>,
    feed: &mut Feed,
    caution: &mut Caution,
) -> Result<(), Error> {
    let (name, aside) = (fold.projection().name(), fold.schema().to_owned());
    let (version, digest) = (
        checkpoint::version(fold.projection()),
        ddl_digest(fold.projection()),
    );
    let mut gate = checkpoint::connect(sides.pool).await?;
    drop_replaced(&mut gate, name).await?;
    let mut tx = gate.begin().await?;
    sqlx::raw_sql("SET LOCAL lock_timeout = '30s'")
        .execute(&mut *tx)
        .await?;
    // From here on the live runner waits, and finds after us that its generation is over.
    let live =
        sqlx::query("SELECT sequence FROM readmodel.checkpoint WHERE projection = $1 FOR UPDATE")
            .bind(name)
            .fetch_one(&mut *tx)
            .await?
            .try_get::<i64, _>(0)?
            .unsigned_abs();
    while fold.sequence() < live {
        let batch = feed
            .next(limit(sides.settings, Phase::Live, u64::MAX, live))
            .await?;
        fold.advance(batch, Phase::Live, caution).await?;
    }
    let (live_schema, replaced) = (quoted(name), quoted(&old_schema(name)));
    checkpoint::run(
        &mut tx,
        format!(
            "ALTER SCHEMA {live_schema} RENAME TO {replaced}; ALTER SCHEMA {} RENAME TO {live_schema}",
            quoted(&aside)
        ),
    )
    .await?;
    sqlx::query(
        "UPDATE readmodel.checkpoint SET sequence = $2, version = $3, ddl_digest = $4, loaded = true, \
         generation = generation + 1, updated_at = clock_timestamp() WHERE projection = $1",
    )
    .bind(name)
    .bind(signed(fold.sequence()))
    .bind(version)
    .bind(digest)
    .execute(&mut *tx)
    .await?;
    sqlx::query("DELETE FROM readmodel.checkpoint WHERE projection = $1")
        .bind(&aside)
        .execute(&mut *tx)
        .await?;
    // What the new version could not make sense of is what counts now.
    sqlx::query("DELETE FROM readmodel.parked WHERE projection = $1")
        .bind(name)
        .execute(&mut *tx)
        .await?;
    sqlx::query("UPDATE readmodel.parked SET projection = $1 WHERE projection = $2")
        .bind(name)
        .bind(&aside)
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    let _ = gate.close().await;
    Ok(())
}

/// Drops what was replaced, once the queries that still read it have ended.
async fn drop_replaced(conn: &mut PgConnection, name: &str) -> Result<(), Error> {
    let drop = format!(
        "SET lock_timeout = '30s'; DROP SCHEMA IF EXISTS {} CASCADE; RESET lock_timeout",
        quoted(&old_schema(name))
    );
    checkpoint::run(conn, drop).await
}
