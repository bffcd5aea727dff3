//! How far a reader is behind its logs, and what it passed by, as operators see it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use eventlog::EventLog;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::parked;
use crate::reader::Reached;
use crate::telemetry::{Follows, Lag, PassedBy};

/// How often it is measured.
const EVERY: Duration = Duration::from_secs(5);

/// Measures how far a reader is behind each of its logs, by what its table says, and counts what it passed by: so one that does
/// nothing any more shows too, whichever process runs it.
pub struct ReaderLag<R> {
    reader: &'static str,
    pool: PgPool,
    passed_by: PassedBy,
    logs: Vec<Reading<R>>,
}

/// A log that the reader reads.
struct Reading<R> {
    log: Arc<dyn EventLog>,
    reached: fn(&R) -> u64,
    lag: Lag,
}

impl<R: Reached> ReaderLag<R> {
    /// Of the reader of this name, which is that of its lock.
    #[must_use]
    pub fn of(reader: &'static str, pool: PgPool) -> Self {
        Self {
            reader,
            pool,
            passed_by: PassedBy::by(Follows::Reader, reader),
            logs: Vec::new(),
        }
    }

    /// In a log, of which the reader has dealt with all up to a sequence.
    #[must_use]
    pub fn in_log(mut self, log: &Arc<dyn EventLog>, reached: fn(&R) -> u64) -> Self {
        self.logs.push(Reading {
            lag: Lag::of(Follows::Reader, self.reader, log.stream()),
            log: Arc::clone(log),
            reached,
        });
        self
    }

    /// Measures until `shutdown`.
    pub async fn run(mut self, shutdown: CancellationToken) {
        while shutdown.run_until_cancelled(self.round()).await.is_some() {}
    }

    async fn round(&mut self) {
        if let Ok(Some(told)) = R::told(&self.pool).await {
            for one in &mut self.logs {
                if let Ok(head) = one.log.last_sequence().await {
                    one.lag.measured(head, (one.reached)(&told));
                }
            }
        }
        if let Ok(parked) = parked::count(&self.pool, Some(self.reader)).await {
            self.passed_by.counted(parked);
        }
        tokio::time::sleep(EVERY).await;
    }
}

impl<R> fmt::Debug for ReaderLag<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReaderLag({})", self.reader)
    }
}
