//! How far a reader of the logs has got, and waiting for it: whoever has just recorded a fact sees what follows.

use std::sync::Arc;
use std::time::Duration;

use sqlx::{PgConnection, PgExecutor, PgPool, Row as _};
use tokio::sync::{Mutex, watch};

/// How often the table is looked at for another process's progress while somebody waits.
const POLL: Duration = Duration::from_millis(5);

/// How far a reader has got; what the two numbers are is said where the reader is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The first number.
    pub first: u64,
    /// The second number.
    pub second: u64,
}

impl Progress {
    /// As the table says; none before the first start.
    ///
    /// # Errors
    /// The database's.
    pub async fn read(db: impl PgExecutor<'_>, reader: &str) -> Result<Option<Self>, sqlx::Error> {
        let row = sqlx::query("SELECT first, second FROM visits_kept.progress WHERE reader = $1")
            .bind(reader)
            .fetch_optional(db)
            .await?;
        row.map(|row| {
            Ok(Self {
                first: row.try_get::<i64, _>(0)?.cast_unsigned(),
                second: row.try_get::<i64, _>(1)?.cast_unsigned(),
            })
        })
        .transpose()
    }

    /// Writes it, in the transaction of what it tells.
    ///
    /// # Errors
    /// The database's.
    pub async fn write(&self, db: &mut PgConnection, reader: &str) -> Result<(), sqlx::Error> {
        sqlx::query(
            "INSERT INTO visits_kept.progress (reader, first, second) VALUES ($1, $2, $3) \
             ON CONFLICT (reader) DO UPDATE SET first = excluded.first, second = excluded.second",
        )
        .bind(reader)
        .bind(self.first.cast_signed())
        .bind(self.second.cast_signed())
        .execute(db)
        .await?;
        Ok(())
    }
}

/// Follows a reader, whichever process runs it. Clones share what they see.
#[derive(Clone, Debug)]
pub struct ProgressFollower(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    pool: PgPool,
    reader: &'static str,
    seen: watch::Sender<Seen>,
    /// Held by the one waiter who looks at the table for all.
    looking: Mutex<()>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Seen {
    /// Whether the reader of this process is the active one, and tells each step by itself.
    active: bool,
    progress: Option<Progress>,
}

impl ProgressFollower {
    /// Nothing is seen yet.
    #[must_use]
    pub fn new(pool: PgPool, reader: &'static str) -> Self {
        Self(Arc::new(Inner {
            pool,
            reader,
            seen: watch::Sender::new(Seen::default()),
            looking: Mutex::new(()),
        }))
    }

    /// The reader's name.
    #[must_use]
    pub fn reader(&self) -> &'static str {
        self.0.reader
    }

    /// Waits until the reader has got as far as `enough` says. The caller sets the deadline.
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
            if let Ok(found) = Progress::read(&self.0.pool, self.0.reader).await {
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

    /// The reader of this process has got so far.
    pub(crate) fn tell(&self, progress: Progress) {
        self.0.seen.send_replace(Seen {
            active: true,
            progress: Some(progress),
        });
    }

    /// The reader of this process is not the active one any more.
    pub(crate) fn stand_by(&self) {
        self.0
            .seen
            .send_if_modified(|seen| std::mem::replace(&mut seen.active, false));
    }
}
