//! Departments' consumers of `FEEDS`: each department has one, and it rests while something lies there that the department may have
//! no longer.
//!
//! Under which agreements `FEEDS` tells a department something stands in `sharing_kept.feed_under`: the publisher adds to that before
//! it tells anything, and takes from it once what other agreements granted is erased. A consumer gives out messages while all of them
//! are in force, and rests otherwise, also where nobody knows which they are. Whoever ends an agreement sees to it before the
//! answer, whatever the publisher is at; so does each replica every few seconds and when a day ends, and the publisher when it has
//! erased all. A consumer that rests keeps its place, and whoever waits for it goes on waiting.
//!
//! No rest waits for the table of agreements: whoever ends one has the consumer rest first, until the table has come so far
//! ([`super::resting`]); and while it lags behind our log consumers are put to rest by it, and not woken.
//!
//! Leaving out the subjects of what is erased instead would let the place pass what comes after it on the same ones: that the feed
//! is over, who was erased, or how it begins anew.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use async_nats::datetime;
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::context::ConsumerInfoErrorKind;
use async_nats::jetstream::stream::{ConsumerError, ConsumerErrorKind, Stream};
use service::{Clock, connections};
use sqlx::{AssertSqlSafe, PgConnection, PgPool, PgTransaction};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::access::FeedPasswords;
use super::resting;
use crate::agreement_rows::APPROVED;
use crate::book_table::NAME;
use crate::sharing::Sharing;

/// How many messages a department may have that it has not acknowledged.
const UNACKNOWLEDGED: i64 = 5_000;
/// How long a rest lasts that nobody ends: longer than anybody waits.
const FOR_GOOD: Duration = Duration::from_secs(100 * 365 * 86_400);
/// A rest that is over lasts so much longer.
const MOMENT: Duration = Duration::from_millis(500);
/// Before it is looked again whether a consumer rests, and how often it is.
const AGAIN: Duration = Duration::from_millis(20);
const TIMES: u32 = 100;
/// Every replica sees to all consumers so often.
const EVERY: Duration = Duration::from_secs(5);
/// How long it waits for the table of agreements before that.
const SOON: Duration = Duration::from_secs(1);
/// So many consumers are seen to at once: each takes a connection of the pool, which all others share.
const AT_ONCE: usize = 2;
/// So long that may take: whoever else wants to see to it waits meanwhile.
const AT_MOST: Duration = Duration::from_secs(15);

/// Departments' consumers. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Consumers {
    stream: Stream<()>,
    pool: PgPool,
    clock: Clock,
    passwords: FeedPasswords,
    turns: Arc<Semaphore>,
}

/// While this is there nobody else sees to a department's consumer.
struct Alone {
    lock: PgTransaction<'static>,
    _turn: OwnedSemaphorePermit,
}

impl Consumers {
    /// Of this stream, over the tables in this database.
    pub(crate) fn new(
        stream: Stream<()>,
        pool: PgPool,
        clock: Clock,
        passwords: FeedPasswords,
    ) -> Self {
        Self {
            stream,
            pool,
            clock,
            passwords,
            turns: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    /// Sees that a department's consumer is there; one that is stays as it is, with its place. Its name.
    pub(super) async fn keep(&self, department: &str) -> anyhow::Result<String> {
        let keeping = timeout(AT_MOST, self.keep_it(department)).await;
        keeping.context("the consumer was not seen to in time")?
    }

    async fn keep_it(&self, department: &str) -> anyhow::Result<String> {
        let name = self.passwords.consumer(department);
        let (alone, may_read) = self.look(department).await?;
        let config = pull::Config {
            durable_name: Some(name.clone()),
            filter_subject: format!("feed.{department}.>"),
            ack_policy: AckPolicy::Explicit,
            max_ack_pending: UNACKNOWLEDGED,
            pause_until: (!may_read).then(|| datetime::now() + FOR_GOOD),
            ..pull::Config::default()
        };
        let kept = async {
            self.stream.create_consumer(config).await?;
            self.bring(&name, may_read).await
        };
        let kept = kept.await;
        alone.lock.rollback().await?;
        kept.map(|_changed| name)
    }

    /// Has a department's consumer rest at once, and until the table of agreements holds a record of our log; after that too,
    /// where it is to.
    pub(crate) async fn rest_until(&self, department: &str, sequence: u64) -> anyhow::Result<()> {
        resting::rest_until(&self.pool, department, sequence).await?;
        self.see_to(department).await
    }

    /// Sees that a department's consumer rests while something lies in `FEEDS` that the department may have no longer, and gives out
    /// messages otherwise. Where there is no consumer nothing is to be done.
    pub(crate) async fn see_to(&self, department: &str) -> anyhow::Result<()> {
        self.see_to_one(department, true).await
    }

    async fn see_to_one(&self, department: &str, may_wake: bool) -> anyhow::Result<()> {
        let seeing_to = timeout(AT_MOST, self.see_to_it(department, may_wake)).await;
        seeing_to.context("the consumer was not seen to in time")?
    }

    async fn see_to_it(&self, department: &str, may_wake: bool) -> anyhow::Result<()> {
        let name = self.passwords.consumer(department);
        let (alone, may_read) = self.look(department).await?;
        let brought = match may_read && !may_wake {
            true => Ok(false),
            false => self.bring(&name, may_read).await,
        };
        alone.lock.rollback().await?;
        if brought? {
            tracing::info!(
                department,
                rests = !may_read,
                "what a department fetches from was set to rest, or to go on"
            );
        }
        Ok(())
    }

    /// The same for all departments that may have one. One that could not be seen to is seen to later.
    pub(crate) async fn see_to_all(&self) {
        self.see_to_each(true).await;
    }

    async fn see_to_each(&self, may_wake: bool) {
        let statement = format!("SELECT department FROM {NAME}.feed_credential");
        let departments = sqlx::query_scalar::<_, String>(AssertSqlSafe(statement));
        let departments = match departments.fetch_all(&self.pool).await {
            Ok(departments) => departments,
            Err(error) => {
                tracing::warn!(%error, "departments' consumers are seen to later");
                return;
            }
        };
        for department in departments {
            if let Err(error) = self.see_to_one(&department, may_wake).await {
                tracing::warn!(%error, department, "a department's consumer is seen to later");
            }
        }
    }

    /// Takes a department's consumer away.
    pub(super) async fn delete(&self, department: &str) -> Result<(), ConsumerError> {
        let name = self.passwords.consumer(department);
        match self.stream.delete_consumer(&name).await {
            Err(error) if !is_gone(&error) => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Whether a department may have all that lies in `FEEDS` for it. Until the transaction is over nobody else acts on an answer:
    /// whoever looked before an agreement has ended does not act after whoever looked later.
    async fn look(&self, department: &str) -> anyhow::Result<(Alone, bool)> {
        let turn = Arc::clone(&self.turns).acquire_owned().await?;
        let mut lock = self.pool.begin().await?;
        let locking = "SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0))";
        while !sqlx::query_scalar::<_, bool>(locking)
            .bind(format!("sharing consumer {department}"))
            .fetch_one(&mut *lock)
            .await?
        {
            tokio::time::sleep(AGAIN).await;
        }
        let may_read = self.may_read(&mut lock, department).await?
            && !resting::rests(&mut lock, department).await?;
        Ok((Alone { lock, _turn: turn }, may_read))
    }

    async fn may_read(&self, db: &mut PgConnection, department: &str) -> Result<bool, sqlx::Error> {
        let statement = format!(
            "SELECT agreements <@ ARRAY( \
                 SELECT agreement_id FROM {NAME}.agreement \
                 WHERE department = $1 AND stage = $2 AND last_day >= $3) \
             FROM sharing_kept.feed_under WHERE department = $1"
        );
        let may_read: Option<bool> = sqlx::query_scalar(AssertSqlSafe(statement))
            .bind(department)
            .bind(APPROVED)
            .bind(self.clock.today().date())
            .fetch_optional(db)
            .await?;
        Ok(may_read.unwrap_or(false))
    }

    /// Has a consumer give out messages, or rest, and returns once it does: whether that is a change.
    async fn bring(&self, name: &str, gives: bool) -> anyhow::Result<bool> {
        for tried in 0..TIMES {
            let info = match self.stream.consumer_info(name).await {
                Ok(info) => info,
                Err(error) if is_missing(&error.kind()) => return Ok(false),
                Err(error) => return Err(error.into()),
            };
            let left = info.pause_remaining.filter(|left| *left > MOMENT);
            let until = match left.filter(|_| info.paused) {
                Some(_) if !gives => return Ok(tried > 0),
                None if gives => return Ok(tried > 0),
                None => datetime::now() + FOR_GOOD,
                // The server tells those who wait for messages of a rest that ends by itself alone. So it does, by its own clock.
                Some(left) => match info.config.pause_until {
                    Some(until) => until - left + MOMENT,
                    None => datetime::now() + MOMENT,
                },
            };
            if tried > 0 {
                // Another server may have it yet to hear.
                tokio::time::sleep(AGAIN).await;
            }
            match self.stream.pause_consumer(name, until).await {
                Ok(_) => {}
                Err(error) if is_gone(&error) => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        }
        anyhow::bail!("the consumer stays as it is")
    }
}

/// Whether there is nothing from which anything could be fetched.
const fn is_missing(kind: &ConsumerInfoErrorKind) -> bool {
    matches!(
        kind,
        ConsumerInfoErrorKind::NotFound | ConsumerInfoErrorKind::StreamNotFound
    )
}

fn is_gone(error: &ConsumerError) -> bool {
    matches!(
        error.kind(),
        ConsumerErrorKind::JetStream(told)
            if [ErrorCode::CONSUMER_NOT_FOUND, ErrorCode::STREAM_NOT_FOUND].contains(&told.error_code())
    )
}

impl Sharing {
    /// Sees to all consumers every few seconds, and when a day ends, until stopped: whoever was to do it sooner may have died.
    pub(crate) async fn watch_consumers(self, consumers: Consumers, stopped: CancellationToken) {
        let watching = async {
            let mut end = None;
            loop {
                // A table that has gone back may have agreements in force that have ended since.
                let holds_all = timeout(SOON, self.holds_our_log(&consumers, &mut end)).await;
                consumers.see_to_each(holds_all.is_ok()).await;
                let midnight = self.clock.today().next().start();
                tokio::select! {
                    () = tokio::time::sleep(EVERY) => {}
                    () = self.clock.sleep_until(midnight) => {}
                }
            }
        };
        stopped.run_until_cancelled(watching).await;
    }

    /// Returns once the table of agreements holds all that stood in our log when this was asked first, also where it always lags
    /// a little.
    async fn holds_our_log(&self, consumers: &Consumers, end: &mut Option<u64>) {
        let own = &self.logs.own;
        let last = match *end {
            Some(last) => last,
            None => {
                let known = resting::last_until(&consumers.pool).await;
                let last = connections::last_sequence(own.as_ref()).await;
                if let Ok(known) = known
                    && known > last
                    && let Err(error) = resting::forget_beyond(&consumers.pool, last, known).await
                {
                    tracing::warn!(%error, "rests of a log that is another one are forgotten later");
                }
                *end.insert(last)
            }
        };
        self.reach(own.stream(), last).await;
        *end = None;
    }
}
