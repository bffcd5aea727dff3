//! Keeps what every elder is owed on which days: when a fact is recorded or a policy published, the days of those concerned
//! are laid out anew. With that, and with what our own log says of records, go the figures of coverage
//! ([`crate::coverage_kept`]).
//!
//! How far it has got is told by [`LaidOut`].

use std::sync::Arc;
use std::time::Duration;

use chrono::NaiveDate;
use civic::ElderId;
use elder_tables::Kept;
use eventlog::Position;
use readmodel::{
    ActiveReader, Follower, HEARTBEAT, ReaderFailed, ReaderFollower, checkpoints, run_reader,
    table_is_there,
};
use service::Clock;
use sqlx::{Connection as _, PgConnection, PgPool};
use tier_policy::policy::Interval;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::coverage_kept::{self, Contribution};
use crate::progress::LaidOut;
use crate::standing::{Span, Standings};
use crate::{book_table, facts_table, policies_table};

/// The reader's name.
pub const NAME: &str = "standings";
/// How many elders are laid out in one transaction.
const CHUNK: i64 = 1_000;
/// How many records are counted in one transaction.
const RECORDS: i64 = 10_000;
/// How long records are left to gather: they come by the thousand, and nobody looks at coverage as often.
const GATHER: Duration = Duration::from_millis(100);

/// What it works with.
#[derive(Clone)]
pub struct Keeper {
    /// The database.
    pub pool: PgPool,
    /// Follows the facts.
    pub facts: Follower,
    /// Follows the policies.
    pub policies: Follower,
    /// Follows the read model of our own log.
    pub book: Follower,
    /// The time.
    pub clock: Clock,
    /// Tells how far it has got.
    pub progress: ReaderFollower<LaidOut>,
}

impl Keeper {
    /// Runs until `shutdown`.
    pub async fn run(self, shutdown: CancellationToken) {
        let keeper = Arc::new(self);
        run_reader(&keeper.pool, "visits standings", &shutdown, |conn| {
            let keeper = Arc::clone(&keeper);
            async move { keeper.lead(conn).await }
        })
        .await;
    }

    async fn lead(&self, mut conn: PgConnection) -> Result<(), ReaderFailed> {
        for (schema, table) in [
            (facts_table::NAME, "elder"),
            (policies_table::NAME, "policy"),
            (book_table::NAME, "record"),
        ] {
            table_is_there(&mut conn, &format!("{schema}.{table}")).await?;
        }
        let progress = match LaidOut::read(&mut conn).await? {
            Some(progress) => progress,
            None => begin(&mut conn).await?,
        };
        let mut active = Active {
            keeper: self,
            conn,
            progress,
            active: self.progress.active(Some(progress)),
            last_policy: 0,
            standings: Standings::default(),
        };
        active.refresh_policies(progress.policies).await?;
        loop {
            if !active.step().await? {
                self.idle(&mut active.conn, active.progress).await?;
            }
        }
    }

    /// Waits for something to change.
    async fn idle(&self, conn: &mut PgConnection, progress: LaidOut) -> Result<(), ReaderFailed> {
        let deadline = Instant::now() + HEARTBEAT;
        let facts = Position::new(self.facts.stream(), progress.facts + 1);
        let policies = Position::new(self.policies.stream(), progress.policies + 1);
        let book = Position::new(self.book.stream(), progress.book + 1);
        let midnight = progress.day.unwrap_or_else(|| self.clock.today()).end();
        tokio::select! {
            _ = self.facts.wait_for(&facts, deadline) => {}
            _ = self.policies.wait_for(&policies, deadline) => {}
            _ = self.book.wait_for(&book, deadline) => tokio::time::sleep(GATHER).await,
            () = self.clock.sleep_until(midnight) => {}
        }
        if Instant::now() >= deadline {
            conn.ping().await?;
        }
        Ok(())
    }
}

/// Forgets what there is, to lay everybody out from the beginning.
async fn begin(conn: &mut PgConnection) -> Result<LaidOut, sqlx::Error> {
    let mut tx = conn.begin().await?;
    sqlx::query("DELETE FROM visits_kept.span")
        .execute(&mut *tx)
        .await?;
    coverage_kept::clear(&mut tx).await?;
    tx.commit().await?;
    Ok(LaidOut::default())
}

/// The active keeper.
struct Active<'a> {
    keeper: &'a Keeper,
    conn: PgConnection,
    progress: LaidOut,
    /// Tells of it.
    active: ActiveReader<LaidOut>,
    /// The last publication that the standings rest on.
    last_policy: u64,
    standings: Standings,
}

impl Active<'_> {
    /// Takes in what has changed, up to a size; whether there is more.
    async fn step(&mut self) -> Result<bool, ReaderFailed> {
        let names = [facts_table::NAME, policies_table::NAME, book_table::NAME];
        let [facts, policies, book] = checkpoints(&mut self.conn, names).await?;
        let today = self.keeper.clock.today();
        if policies > self.progress.policies {
            self.refresh_policies(self.last_policy).await?;
            self.progress.policies = policies;
        }
        let changed = facts_table::TABLE
            .changed_after(&mut self.conn, self.progress.facts, CHUNK)
            .await?;
        let mut more = i64::try_from(changed.len()).is_ok_and(|changed| changed == CHUNK);
        let last = changed.last().map_or(0, |(_, kept)| kept.sequence);
        let mut progress = self.progress;
        progress.facts = progress.facts.max(last);
        if !more {
            // What comes after is about no elder's facts.
            progress.facts = progress.facts.max(facts);
        }
        let spans = spans(&mut self.standings, &changed);
        let mut tx = self.conn.begin().await?;
        write(&mut tx, &changed, &spans, progress.day.is_some()).await?;
        if book > progress.book {
            let (reached, full) =
                coverage_kept::take_in_records(&mut tx, progress.book, RECORDS).await?;
            progress.book = if full { reached } else { reached.max(book) };
            more |= full;
        }
        // The first time when everybody is laid out: all at once is counted faster than one after the other.
        let first = progress.day.is_none();
        if progress.day != Some(today) && !(first && more) {
            coverage_kept::count(&mut tx, today).await?;
            progress.day = Some(today);
        }
        progress.write(&mut tx).await?;
        tx.commit().await?;
        self.progress = progress;
        self.active.tell(progress);
        Ok(more)
    }

    /// Judges by the policies as they are published by now, and lays everybody out anew if there are others than those up to
    /// a publication.
    async fn refresh_policies(&mut self, known: u64) -> Result<(), ReaderFailed> {
        let (published, last) = policies_table::all(&mut self.conn).await?;
        if last > self.last_policy {
            self.standings = Standings::new(published);
            self.last_policy = last;
        }
        // At the very first nobody is laid out yet.
        if last <= known || self.progress.facts == 0 {
            return Ok(());
        }
        let mut after = None;
        loop {
            let page = facts_table::TABLE
                .page(&mut self.conn, after, CHUNK)
                .await?;
            let Some((last, _)) = page.last() else {
                return Ok(());
            };
            after = Some(*last);
            let spans = spans(&mut self.standings, &page);
            let mut tx = self.conn.begin().await?;
            write(&mut tx, &page, &spans, self.progress.day.is_some()).await?;
            tx.commit().await?;
        }
    }
}

/// What elders are owed.
fn spans(standings: &mut Standings, elders: &[(ElderId, Kept)]) -> Vec<(ElderId, Span)> {
    elders
        .iter()
        .filter_map(|(elder, kept)| Some((*elder, standings.spans(kept.facts.as_ref()?))))
        .flat_map(|(elder, spans)| spans.into_iter().map(move |span| (elder, span)))
        .collect()
}

/// Lays elders out anew, and moves the figures of coverage where these are counted.
async fn write(
    db: &mut PgConnection,
    elders: &[(ElderId, Kept)],
    spans: &[(ElderId, Span)],
    counted: bool,
) -> Result<(), sqlx::Error> {
    if elders.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = elders.iter().map(|(elder, _)| elder.as_uuid()).collect();
    let before = if counted {
        Some(Contribution::of(db, &ids).await?)
    } else {
        None
    };
    sqlx::query("DELETE FROM visits_kept.span WHERE elder_id = ANY($1)")
        .bind(&ids)
        .execute(&mut *db)
        .await?;
    if !spans.is_empty() {
        insert(db, spans).await?;
    }
    if let Some(before) = before {
        let now = Contribution::of(db, &ids).await?;
        before.becomes(db, now).await?;
    }
    Ok(())
}

async fn insert(db: &mut PgConnection, spans: &[(ElderId, Span)]) -> Result<(), sqlx::Error> {
    let elders: Vec<Uuid> = spans.iter().map(|(elder, _)| elder.as_uuid()).collect();
    let from: Vec<NaiveDate> = spans.iter().map(|(_, span)| span.from.date()).collect();
    let until = spans
        .iter()
        .map(|(_, span)| span.until.map(|day| day.date()));
    let until: Vec<Option<NaiveDate>> = until.collect();
    let standings = || spans.iter().map(|(_, span)| &span.standing);
    let villages: Vec<String> = standings().map(|one| one.village.to_string()).collect();
    let tiers: Vec<String> = standings().map(|one| one.tier.clone()).collect();
    let weekly: Vec<bool> = standings()
        .map(|one| one.interval == Interval::Weekly)
        .collect();
    let blocked: Vec<bool> = standings().map(|one| one.blocked_by_consent).collect();
    sqlx::query(
        "INSERT INTO visits_kept.span (elder_id, from_day, until_day, village, tier, weekly, blocked) \
         SELECT elder_id, from_day, coalesce(until_day, 'infinity'), village, tier, weekly, blocked \
         FROM unnest($1::uuid[], $2::date[], $3::date[], $4::text[], $5::text[], $6::boolean[], $7::boolean[]) \
         AS row (elder_id, from_day, until_day, village, tier, weekly, blocked)",
    )
    .bind(&elders)
    .bind(&from)
    .bind(&until)
    .bind(&villages)
    .bind(&tiers)
    .bind(&weekly)
    .bind(&blocked)
    .execute(db)
    .await?;
    Ok(())
}
