//! Waiting until a read model has reached a position: a caller reads what it has just written.

use std::sync::Arc;
use std::time::Duration;

use eventlog::{EventLog, Position, ReadError};
use sqlx::PgPool;
use tokio::sync::{Mutex, Notify, watch};
use tokio::time::Instant;

use crate::checkpoint;

/// How soon a standby's checkpoint is looked up again after somebody began to wait for it, or it moved.
const SOONEST: Duration = Duration::from_millis(2);

/// How soon at the least, while it does not move and nobody else begins to wait.
const LATEST: Duration = Duration::from_millis(50);

/// Why a read model was not waited for to the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WaitError {
    /// The deadline passed before the read model got there.
    #[error("the read model has not reached the position in time")]
    TimedOut,
    /// The position lies in a stream that this read model doesn't follow.
    #[error("the read model does not follow the stream of the position")]
    OtherStream,
}

/// What this process knows of a projection's progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tip {
    /// Whether the runner of this process leads, and so tells each step by itself.
    pub(crate) leading: bool,
    /// None where it is not known here, or there are no tables yet.
    pub(crate) sequence: Option<u64>,
}

/// Follows the progress of a projection, whichever process runs it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Follower(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    pool: PgPool,
    projection: String,
    stream: String,
    /// Tables of an earlier version are not those that are waited for.
    version: i32,
    tip: watch::Sender<Tip>,
    /// Held by the one waiter who looks up the checkpoint for all.
    looking: Mutex<()>,
    /// Told when somebody begins to wait.
    asked: Notify,
}

/// The pauses between two looks at a checkpoint: short at first, for who has just written and waits to read it, then
/// longer, for who waits for whatever comes next, so that a system at rest asks its database little.
#[derive(Debug)]
struct Pauses(Duration);

impl Pauses {
    const fn new() -> Self {
        Self(SOONEST)
    }

    fn next(&mut self) -> Duration {
        let now = self.0;
        self.0 = (now * 3 / 2).min(LATEST);
        now
    }
}

impl Follower {
    /// Follows a projection by its checkpoint alone, whatever its version; a runner's own
    /// [`follower`](crate::Runner::follower) knows sooner, and waits for tables of its program's version, or of a later one.
    #[must_use]
    pub fn new(pool: PgPool, projection: &str, stream: &str) -> Self {
        Self::of_version(pool, projection, stream, 0)
    }

    /// Follows the tables of a program: until they have taken the place of those of the version before, they hold nothing.
    pub(crate) fn of_version(pool: PgPool, projection: &str, stream: &str, version: u32) -> Self {
        let (tip, _) = watch::channel(Tip {
            leading: false,
            sequence: None,
        });
        Self(Arc::new(Inner {
            pool,
            projection: projection.to_owned(),
            stream: stream.to_owned(),
            version: checkpoint::column(version),
            tip,
            looking: Mutex::new(()),
            asked: Notify::new(),
        }))
    }

    /// The projection's name.
    #[must_use]
    pub fn projection(&self) -> &str {
        &self.0.projection
    }

    /// The stream that the projection folds.
    #[must_use]
    pub fn stream(&self) -> &str {
        &self.0.stream
    }

    /// The last sequence known here to be in the read model; a standby may know an old one, or none (0).
    #[must_use]
    pub fn known(&self) -> u64 {
        self.0.tip.borrow().sequence.unwrap_or_default()
    }

    /// Whether the runner of this process is the one that leads.
    #[must_use]
    pub fn leading(&self) -> bool {
        self.0.tip.borrow().leading
    }

    /// Waits until the read model holds a sequence of its stream, as long as it takes.
    pub async fn reaches(&self, sequence: u64) {
        let position = Position::new(&self.0.stream, sequence);
        let long = || Instant::now() + Duration::from_secs(3_600);
        while self.wait_for(&position, long()).await.is_err() {}
    }

    /// Waits until the read model holds all that is in its log now; the last sequence of that.
    ///
    /// # Errors
    /// The log's.
    pub async fn catches_up(&self, log: &dyn EventLog) -> Result<u64, ReadError> {
        let last = log.last_sequence().await?;
        self.reaches(last).await;
        Ok(last)
    }

    /// Returns once the read model holds everything up to `position`; where nothing is in the log yet, once its tables are there.
    ///
    /// # Errors
    /// [`WaitError::OtherStream`] at once, [`WaitError::TimedOut`] at the deadline (whatever the cause of the delay).
    pub async fn wait_for(&self, position: &Position, deadline: Instant) -> Result<(), WaitError> {
        if position.stream != self.0.stream {
            return Err(WaitError::OtherStream);
        }
        let mut tip = self.0.tip.subscribe();
        let reached = async {
            // Whoever looks already, slowly, for somebody who waits for what may never come, looks again now.
            self.0.asked.notify_waiters();
            loop {
                let seen = *tip.borrow_and_update();
                if seen.sequence >= Some(position.sequence) {
                    return;
                }
                if seen.leading {
                    // The sender lives in `self`.
                    let _ = tip.changed().await;
                } else {
                    tokio::select! {
                        _ = tip.changed() => {}
                        () = self.look_up() => {}
                    }
                }
            }
        };
        tokio::time::timeout_at(deadline, reached)
            .await
            .map_err(|_| WaitError::TimedOut)
    }

    /// Looks up the checkpoint for all waiters until it has moved.
    async fn look_up(&self) {
        let _alone = self.0.looking.lock().await;
        let mut pauses = Pauses::new();
        loop {
            let asked = self.0.asked.notified();
            let found: Result<Option<i64>, _> = sqlx::query_scalar(
                "SELECT sequence FROM readmodel.checkpoint WHERE projection = $1 AND version >= $2",
            )
            .bind(&self.0.projection)
            .bind(self.0.version)
            .fetch_optional(&self.0.pool)
            .await;
            // Not there yet, or the database is away: the deadline of the waiter ends it.
            if let Ok(Some(sequence)) = found {
                let sequence = Some(sequence.unsigned_abs());
                let moved = self.0.tip.send_if_modified(|tip| {
                    let moved = !tip.leading && tip.sequence != sequence;
                    if moved {
                        tip.sequence = sequence;
                    }
                    moved
                });
                if moved {
                    return;
                }
            }
            tokio::select! {
                () = tokio::time::sleep(pauses.next()) => {}
                () = asked => pauses = Pauses::new(),
            }
        }
    }

    pub(crate) fn lead(&self, sequence: u64) {
        self.0.tip.send_replace(Tip {
            leading: true,
            sequence: Some(sequence),
        });
    }

    /// Forgets how far the read model has got: whoever waits looks at the checkpoint.
    pub(crate) fn forget(&self) {
        self.0.tip.send_replace(Tip {
            leading: false,
            sequence: None,
        });
    }

    /// Ends the lead when dropped: even if the runner's task is cut off, waiters don't wait for it to tell them.
    pub(crate) fn leading_until_dropped(&self) -> Leading {
        Leading(self.clone())
    }
}

/// The time during which the runner of this process leads.
#[derive(Debug)]
pub(crate) struct Leading(Follower);

impl Drop for Leading {
    fn drop(&mut self) {
        self.0.forget();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_just_asked_is_answered_soon_and_a_system_at_rest_asks_little() {
        let mut pauses = Pauses::new();
        let mut waited = Duration::ZERO;
        let mut looks = 0;
        while waited < Duration::from_secs(10) {
            let pause = pauses.next();
            // The longer the wait, the longer the pause may be, by no more than the wait so far.
            assert!(pause <= SOONEST + waited, "{pause:?} after {waited:?}");
            waited += pause;
            looks += 1;
        }
        assert!(looks < 10 * 25, "{looks} looks in ten seconds");
    }
}
