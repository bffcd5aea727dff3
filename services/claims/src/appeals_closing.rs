//! Ends the time for appeals by the clock: an abnormal order without an appeal is never paid from the midnight after its last
//! day. Late rather than never, when nobody was there at midnight.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};
use civic::{DivisionCode, LocalDay};
use elder_tables::columns::day;
use eventlog::{CommandContext, ExecuteError, Position, Repository};
use futures::{StreamExt as _, TryStreamExt as _};
use readmodel::{Follower, HEARTBEAT, ReaderFailed, run_reader, table_is_there};
use service::Clock;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, PgPool, Row as _};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::book_table::{self, NAME};
use crate::order::{Command, Order};

/// How many orders are read in one go.
const CHUNK: i64 = 1_000;
/// How many decide at once.
const AT_ONCE: usize = 64;

/// What it works with.
#[derive(Clone)]
pub struct AppealsCloser {
    /// The database.
    pub pool: PgPool,
    /// Orders.
    pub orders: Repository<Order>,
    /// The time.
    pub clock: Clock,
    /// Follows the read model of our own log.
    pub book: Follower,
}

/// The first day on which an appeal is too late for an order that nobody has appealed against; none where there is none.
pub(crate) async fn next(pool: &PgPool) -> Result<Option<LocalDay>, sqlx::Error> {
    let statement = format!("SELECT min(appeal_until) FROM {NAME}.open_order");
    let until: Option<NaiveDate> = sqlx::query_scalar(AssertSqlSafe(statement))
        .fetch_one(pool)
        .await?;
    Ok(until.map(day).transpose()?.map(LocalDay::next))
}

impl AppealsCloser {
    /// Runs until `shutdown`.
    pub async fn run(self, shutdown: CancellationToken) {
        let closer = Arc::new(self);
        run_reader(&closer.pool, "claims appeals_closing", &shutdown, |conn| {
            let closer = Arc::clone(&closer);
            async move { closer.lead(conn).await }
        })
        .await;
    }

    async fn lead(&self, mut conn: PgConnection) -> Result<(), ReaderFailed> {
        let table = format!("{}.open_order", book_table::NAME);
        table_is_there(&mut conn, &table).await?;
        loop {
            let known = self.book.known();
            match next(&self.pool).await? {
                Some(day) if day <= self.clock.today() => self.close(&mut conn).await?,
                next => {
                    let at = next.map(LocalDay::start);
                    self.idle(&mut conn, at, known).await?;
                }
            }
        }
    }

    async fn idle(
        &self,
        conn: &mut PgConnection,
        at: Option<DateTime<Utc>>,
        known: u64,
    ) -> Result<(), ReaderFailed> {
        let deadline = Instant::now() + HEARTBEAT;
        let at = at.unwrap_or(DateTime::<Utc>::MAX_UTC);
        let moved = Position::new(self.book.stream(), known + 1);
        tokio::select! {
            () = self.clock.sleep_until(at) => {}
            _ = self.book.wait_for(&moved, deadline) => {
                // Most records are orders, whose time is far away: it need not be looked at for each.
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        if Instant::now() >= deadline {
            conn.ping().await?;
        }
        Ok(())
    }

    /// Closes all whose time is over.
    async fn close(&self, conn: &mut PgConnection) -> Result<(), ReaderFailed> {
        let today = self.clock.today();
        let statement = format!(
            "SELECT o.order_key, o.village FROM {NAME}.open_order p \
             JOIN {NAME}.service_order o ON o.order_key = p.order_key \
             WHERE p.appeal_until < $1 ORDER BY p.appeal_until LIMIT $2"
        );
        let rows = sqlx::query(AssertSqlSafe(statement))
            .bind(today.date())
            .bind(CHUNK)
            .fetch_all(conn)
            .await?;
        let mut due = Vec::with_capacity(rows.len());
        for row in rows {
            let village: &str = row.try_get(1)?;
            due.push((row.try_get::<Uuid, _>(0)?, village.parse().ok()));
        }
        let last = futures::stream::iter(due)
            .map(|(key, village)| self.expire(key, village, today))
            .buffer_unordered(AT_ONCE)
            .try_fold(0, |last, sequence| async move { Ok(last.max(sequence)) })
            .await?;
        if last == 0 {
            // Nothing but what can't be read is left: it need not be looked at all the time.
            tokio::time::sleep(HEARTBEAT).await;
        }
        // Rows say by then that it is done.
        self.book.reaches(last).await;
        Ok(())
    }

    async fn expire(
        &self,
        key: Uuid,
        village: Option<DivisionCode>,
        today: LocalDay,
    ) -> Result<u64, ReaderFailed> {
        // It happens once to an order: its key says all of the request.
        let request_id = Uuid::new_v5(&key, b"the time for appeals is over");
        let context = CommandContext {
            request_id,
            request_digest: [0; 16].into(),
            actor: "system:claims".to_owned(),
            now: self.clock.now(),
            correlation_id: request_id,
            causation_id: None,
            division: village.map(|village| village.to_string()),
            traceparent: None,
            answers: None,
            purpose: None,
        };
        let command = Command::Expire { today, key };
        let id = key.to_string();
        match self.orders.execute(&id, &context, &command).await {
            Ok(committed) => Ok(committed.position.sequence),
            Err(ExecuteError::Unreadable {
                sequence, reason, ..
            }) => {
                tracing::error!(sequence, reason, "an order can't be read: it stays open");
                Ok(0)
            }
            Err(error) => Err(ReaderFailed::because(error)),
        }
    }
}
