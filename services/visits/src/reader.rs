//! A reader of the logs that has tables of its own: one replica at a time is the active one, and whatever fails is tried again.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use eventlog::{EventLog, LoadError, Position, ReadError};
use readmodel::{DatabaseError, Follower};
use sqlx::{Connection as _, PgConnection, PgPool};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::progress::ProgressFollower;

/// How often a standby tries to become the active one.
const STANDBY: Duration = Duration::from_millis(250);
/// How often an idle connection (and the lock that it holds) is checked.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(5);
/// A wait without an end of its own.
const FOREVER: Duration = Duration::from_secs(3600);

/// Why a reader starts over.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failed {
    #[error("database: {0}")]
    Database(DatabaseError),
    #[error("log: {0}")]
    Log(String),
    #[error("keys: {0}")]
    Keys(vault::Unavailable),
}

impl From<sqlx::Error> for Failed {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

impl From<ReadError> for Failed {
    fn from(error: ReadError) -> Self {
        Self::Log(error.to_string())
    }
}

impl From<LoadError> for Failed {
    fn from(error: LoadError) -> Self {
        Self::Log(error.to_string())
    }
}

impl From<vault::Unavailable> for Failed {
    fn from(error: vault::Unavailable) -> Self {
        Self::Keys(error)
    }
}

impl Failed {
    /// A decision of a reader that was not written.
    pub(crate) fn unwritten(error: &impl fmt::Display) -> Self {
        Self::Log(error.to_string())
    }
}

/// Runs a reader until `shutdown`: `lead` is called with a connection that holds the reader's lock, and called again when
/// it fails.
pub(crate) async fn run<F>(
    pool: &PgPool,
    progress: &ProgressFollower,
    shutdown: &CancellationToken,
    lead: impl Fn(PgConnection) -> F,
) where
    F: Future<Output = Result<(), Failed>>,
{
    let delays = ExponentialBuilder::new()
        .with_min_delay(Duration::from_millis(50))
        .with_max_delay(Duration::from_secs(3))
        .without_max_times()
        .with_jitter();
    let mut backoff = delays.build();
    loop {
        let begun = Instant::now();
        let leading = async { lead(locked(pool, progress.reader()).await?).await };
        let outcome = shutdown.run_until_cancelled(leading).await;
        progress.stand_by();
        let Some(Err(failed)) = outcome else { return };
        let reader = progress.reader();
        tracing::warn!(%failed, reader, "a reader starts over from where it was");
        if begun.elapsed() > Duration::from_secs(30) {
            backoff = delays.build();
        }
        let pause = backoff.next().unwrap_or(Duration::from_secs(3));
        let pausing = tokio::time::sleep(pause);
        if shutdown.run_until_cancelled(pausing).await.is_none() {
            return;
        }
    }
}

/// A connection that holds the reader's lock.
async fn locked(pool: &PgPool, reader: &str) -> Result<PgConnection, Failed> {
    let mut conn = PgConnection::connect_with(&pool.connect_options()).await?;
    // The death of either end is noticed in seconds; rows and progress are lost together, and made again.
    sqlx::raw_sql(
        "SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 2; SET tcp_keepalives_count = 3; \
         SET tcp_user_timeout = 10000; SET synchronous_commit = off",
    )
    .execute(&mut conn)
    .await?;
    while !sqlx::query_scalar::<_, bool>("SELECT pg_try_advisory_lock(hashtextextended($1, 0))")
        .bind(format!("visits {reader}"))
        .fetch_one(&mut conn)
        .await?
    {
        tokio::time::sleep(STANDBY).await;
    }
    Ok(conn)
}

/// Waits until a read model holds a sequence, as long as it takes.
pub(crate) async fn reaches(follower: &Follower, sequence: u64) {
    let position = Position::new(follower.stream(), sequence);
    while follower
        .wait_for(&position, Instant::now() + FOREVER)
        .await
        .is_err()
    {}
}

/// Waits until a read model holds all that was in its log when this was called.
pub(crate) async fn caught_up(log: &dyn EventLog, follower: &Follower) -> Result<u64, Failed> {
    let tip = log.last_sequence().await?;
    reaches(follower, tip).await;
    Ok(tip)
}

/// Waits until a table of a read model is there: at the very first start it is still being made.
pub(crate) async fn table(db: &mut PgConnection, name: &str) -> Result<(), Failed> {
    while !sqlx::query_scalar::<_, bool>("SELECT to_regclass($1) IS NOT NULL")
        .bind(name)
        .fetch_one(&mut *db)
        .await?
    {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}
