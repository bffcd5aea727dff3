//! Readers: what follows logs with tables of its own, and is neither the fold of one stream nor an answer to each event by
//! itself, such as an evaluator that also goes by the clock.
//!
//! One replica's reader is the active one. Its tables and the row that says how far it has got change in one transaction;
//! whoever must see what follows from a record waits for that row.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use backon::{BackoffBuilder as _, ExponentialBuilder};
use eventlog::{LoadError, ReadError};
use sqlx::{PgConnection, PgPool};
use tokio::sync::{Mutex, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::checkpoint::connect;
use crate::failure::DatabaseError;
use crate::telemetry::Failures;

/// How often a standby tries to become the active one.
const STANDBY: Duration = Duration::from_millis(250);

/// How often the table is looked at for another process's progress while somebody waits.
const POLL: Duration = Duration::from_millis(5);

/// How often it is looked whether a table is there.
const SOON: Duration = Duration::from_millis(20);

/// A reader that ran for so long has recovered from what failed before.
const RECOVERED: Duration = Duration::from_secs(30);

/// How often an idle reader looks whether its connection, and the lock that it holds, are still there.
pub const HEARTBEAT: Duration = Duration::from_secs(5);

/// Why a reader starts over.
#[derive(Debug, thiserror::Error)]
pub enum ReaderFailed {
    /// The database.
    #[error("database: {0}")]
    Database(DatabaseError),
    /// A log, a key, or whatever else it needs.
    #[error("{0}")]
    Elsewhere(String),
}

impl ReaderFailed {
    /// What it needs has failed.
    pub fn because(error: impl fmt::Display) -> Self {
        Self::Elsewhere(error.to_string())
    }
}

impl From<sqlx::Error> for ReaderFailed {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

impl From<ReadError> for ReaderFailed {
    fn from(error: ReadError) -> Self {
        Self::because(format_args!("log: {error}"))
    }
}

impl From<LoadError> for ReaderFailed {
    fn from(error: LoadError) -> Self {
        Self::because(format_args!("log: {error}"))
    }
}

/// How far a reader has got.
#[async_trait]
pub trait Reached: fmt::Debug + Copy + PartialEq + Send + Sync + 'static {
    /// As the reader's table says; none before its first start, or while nobody may go by it yet.
    ///
    /// # Errors
    /// The database's.
    async fn told(pool: &PgPool) -> Result<Option<Self>, sqlx::Error>;
}

/// Follows a reader, whichever process runs it. Clones share what they see.
#[derive(Debug)]
pub struct ReaderFollower<R>(Arc<Inner<R>>);

impl<R> Clone for ReaderFollower<R> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

#[derive(Debug)]
struct Inner<R> {
    pool: PgPool,
    seen: watch::Sender<Seen<R>>,
    /// Held by the one waiter who looks at the table for all.
    looking: Mutex<()>,
}

#[derive(Clone, Copy, Debug)]
struct Seen<R> {
    /// Whether the reader of this process is the active one, and tells each step by itself.
    active: bool,
    reached: Option<R>,
}

impl<R: Reached> ReaderFollower<R> {
    /// Nothing is seen yet.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        let nothing = Seen {
            active: false,
            reached: None,
        };
        Self(Arc::new(Inner {
            pool,
            seen: watch::Sender::new(nothing),
            looking: Mutex::new(()),
        }))
    }

    /// Waits until the reader has got as far as `enough` says. The caller sets the deadline.
    pub async fn wait_until(&self, enough: impl Fn(&R) -> bool) -> R {
        let mut changes = self.0.seen.subscribe();
        loop {
            let seen = *changes.borrow_and_update();
            if let Some(reached) = seen.reached.filter(&enough) {
                return reached;
            }
            if seen.active {
                // The sender lives in `self`.
                let _ = changes.changed().await;
            } else {
                tokio::select! {
                    _ = changes.changed() => {}
                    () = self.look() => {}
                }
            }
        }
    }

    /// Looks at the table for all waiters until there is something new.
    async fn look(&self) {
        let _alone = self.0.looking.lock().await;
        loop {
            // A database that is away is waited for; the deadline of the waiter ends it.
            if let Ok(found) = R::told(&self.0.pool).await {
                let news = self.0.seen.send_if_modified(|seen| {
                    let news = !seen.active && seen.reached != found;
                    if news {
                        seen.reached = found;
                    }
                    news
                });
                if news {
                    return;
                }
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// How far the reader of this process has got; none while it is not the active one.
    #[must_use]
    pub fn active_here(&self) -> Option<R> {
        let seen = *self.0.seen.borrow();
        seen.reached.filter(|_| seen.active)
    }

    /// For the active reader, which tells its steps by this; `from` is where it starts, if others may go by that.
    ///
    /// Without it nobody would learn how far an idle reader is: there may be no step to tell of for days.
    #[must_use]
    pub fn active(&self, from: Option<R>) -> ActiveReader<R> {
        let active = ActiveReader(self.clone());
        if let Some(from) = from {
            active.tell(from);
        }
        active
    }
}

/// The active reader, as those who follow it in this process hear of it; until it is dropped.
#[derive(Debug)]
pub struct ActiveReader<R: Reached>(ReaderFollower<R>);

impl<R: Reached> ActiveReader<R> {
    /// It has got so far, and that is committed.
    pub fn tell(&self, reached: R) {
        self.0.0.seen.send_replace(Seen {
            active: true,
            reached: Some(reached),
        });
    }
}

impl<R: Reached> Drop for ActiveReader<R> {
    fn drop(&mut self) {
        self.0
            .0
            .seen
            .send_if_modified(|seen| std::mem::replace(&mut seen.active, false));
    }
}

/// Runs a reader until `shutdown`: `lead` is called with a connection that holds the lock of this name, which one replica has
/// at a time, and is called again when it fails.
pub async fn run_reader<F, E>(
    pool: &PgPool,
    lock: &str,
    shutdown: &CancellationToken,
    lead: impl Fn(PgConnection) -> F,
) where
    F: Future<Output = Result<(), E>>,
    E: fmt::Display + From<sqlx::Error>,
{
    let delays = ExponentialBuilder::new()
        .with_min_delay(Duration::from_millis(50))
        .with_max_delay(Duration::from_secs(3))
        .without_max_times()
        .with_jitter();
    let mut backoff = delays.build();
    let failures = Failures::of(lock);
    loop {
        let begun = Instant::now();
        let leading = async { lead(locked(pool, lock).await?).await };
        let outcome = shutdown.run_until_cancelled(leading).await;
        let Some(Err(error)) = outcome else { return };
        failures.failed();
        tracing::warn!(%error, reader = lock, "a reader starts over from where it was");
        if begun.elapsed() > RECOVERED {
            backoff = delays.build();
        }
        let pause = backoff.next().unwrap_or(Duration::from_secs(3));
        let pausing = tokio::time::sleep(pause);
        if shutdown.run_until_cancelled(pausing).await.is_none() {
            return;
        }
    }
}

/// A connection that holds a lock.
async fn locked(pool: &PgPool, lock: &str) -> Result<PgConnection, sqlx::Error> {
    let mut conn = connect(pool).await?;
    // Rows and progress are lost together, and made again. Plans that were made while tables were empty don't outlast that.
    sqlx::raw_sql("SET synchronous_commit = off; SET plan_cache_mode = force_custom_plan")
        .execute(&mut conn)
        .await?;
    while !sqlx::query_scalar::<_, bool>("SELECT pg_try_advisory_lock(hashtextextended($1, 0))")
        .bind(lock)
        .fetch_one(&mut conn)
        .await?
    {
        tokio::time::sleep(STANDBY).await;
    }
    Ok(conn)
}

/// Waits until a table of a read model is there: at the very first start it is still being made.
///
/// # Errors
/// The database's.
pub async fn table_is_there(db: &mut PgConnection, table: &str) -> Result<(), sqlx::Error> {
    while !sqlx::query_scalar::<_, bool>("SELECT to_regclass($1) IS NOT NULL")
        .bind(table)
        .fetch_one(&mut *db)
        .await?
    {
        tokio::time::sleep(SOON).await;
    }
    Ok(())
}
