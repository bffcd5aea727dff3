//! How far the evaluator has got, and waiting for it: whoever has just recorded a fact sees the tier that follows.

use std::sync::Arc;
use std::time::Duration;

use chrono::NaiveDate;
use civic::LocalDay;
use sqlx::{PgConnection, PgExecutor, PgPool, Row as _};
use tokio::sync::{Mutex, watch};

/// How often the table is looked at for another process's progress while somebody waits.
const POLL: Duration = Duration::from_millis(5);

/// How far the evaluator has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Facts up to this sequence of the registry have been evaluated.
    pub registry: u64,
    /// Policies up to this sequence of our own log have been applied.
    pub tiering: u64,
    /// The last sequence of our own log that came of it.
    pub appended: u64,
    /// The day as of which all elders have been evaluated.
    pub day: LocalDay,
    /// Whether the first evaluation of everybody is done.
    pub begun: bool,
}

impl Progress {
    /// As the table says; none before the first start.
    ///
    /// # Errors
    /// The database's.
    pub async fn read(db: impl PgExecutor<'_>) -> Result<Option<Self>, sqlx::Error> {
        let row = sqlx::query(
            "SELECT registry, tiering, appended, day, begun FROM tiering_today.progress",
        )
        .fetch_optional(db)
        .await?;
        row.map(|row| {
            let day: NaiveDate = row.try_get(3)?;
            Ok(Self {
                registry: row.try_get::<i64, _>(0)?.cast_unsigned(),
                tiering: row.try_get::<i64, _>(1)?.cast_unsigned(),
                appended: row.try_get::<i64, _>(2)?.cast_unsigned(),
                day: LocalDay::try_from(day)
                    .map_err(|_day| sqlx::Error::Decode("column day holds no day".into()))?,
                begun: row.try_get(4)?,
            })
        })
        .transpose()
    }

    /// Writes it, in the transaction of what it tells.
    ///
    /// # Errors
    /// The database's.
    pub async fn write(&self, db: &mut PgConnection) -> Result<(), sqlx::Error> {
        sqlx::query(
            "INSERT INTO tiering_today.progress (registry, tiering, appended, day, begun) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (single) DO UPDATE SET registry = excluded.registry, tiering = excluded.tiering, \
             appended = excluded.appended, day = excluded.day, begun = excluded.begun",
        )
        .bind(self.registry.cast_signed())
        .bind(self.tiering.cast_signed())
        .bind(self.appended.cast_signed())
        .bind(self.day.date())
        .bind(self.begun)
        .execute(db)
        .await?;
        Ok(())
    }
}

/// Follows the evaluator, whichever process runs it. Clones share what they see.
#[derive(Clone, Debug)]
pub struct ProgressFollower(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    pool: PgPool,
    seen: watch::Sender<Seen>,
    /// Held by the one waiter who looks at the table for all.
    looking: Mutex<()>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Seen {
    /// Whether the evaluator of this process is the active one, and tells each step by itself.
    active: bool,
    progress: Option<Progress>,
}

impl ProgressFollower {
    /// Nothing is seen yet.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        Self(Arc::new(Inner {
            pool,
            seen: watch::Sender::new(Seen::default()),
            looking: Mutex::new(()),
        }))
    }

    /// Waits until the evaluator has got as far as `enough` says. The caller sets the deadline.
    pub async fn wait_until(&self, enough: impl Fn(&Progress) -> bool) -> Progress {
        let mut changes = self.0.seen.subscribe();
        loop {
            let seen = *changes.borrow_and_update();
            if let Some(progress) = seen.progress.filter(&enough) {
                return progress;
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
            if let Ok(found) = Progress::read(&self.0.pool).await {
                // Before everybody has been judged once nobody has been waited for long enough.
                let found = found.filter(|progress| progress.begun);
                let news = self.0.seen.send_if_modified(|seen| {
                    let news = !seen.active && seen.progress != found;
                    if news {
                        seen.progress = found;
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

    /// The evaluator of this process has got so far.
    pub(crate) fn tell(&self, progress: Progress) {
        self.0.seen.send_replace(Seen {
            active: true,
            progress: Some(progress),
        });
    }

    /// The evaluator of this process is not the active one any more.
    pub(crate) fn stand_by(&self) {
        self.0
            .seen
            .send_if_modified(|seen| std::mem::replace(&mut seen.active, false));
    }
}
