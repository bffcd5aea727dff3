//! Keeps what every elder is owed on which days: when a fact is recorded or a policy published, the days of those concerned
//! are laid out anew.
//!
//! How far it has got is told by [`LaidOut`].

use std::sync::Arc;

use chrono::NaiveDate;
use civic::ElderId;
use eventlog::Position;
use readmodel::{Follower, ReaderFollower, run_reader, table_is_there};
use sqlx::{Connection as _, PgConnection, PgPool};
use tier_policy::policy::Interval;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::facts_table::{self, Kept};
use crate::policies_table;
use crate::progress::LaidOut;
use crate::reader::{Failed, HEARTBEAT};
use crate::standing::{Span, Standings};

/// The reader's name.
pub const NAME: &str = "standings";
/// How many elders are laid out in one transaction.
const CHUNK: i64 = 1_000;

/// What it works with.
#[derive(Clone, Debug)]
pub struct Keeper {
    /// The database.
    pub pool: PgPool,
    /// Follows the facts.
    pub facts: Follower,
    /// Follows the policies.
    pub policies: Follower,
    /// Tells how far it has got.
    pub progress: ReaderFollower<LaidOut>,
}

impl Keeper {
    /// Runs until `shutdown`.
    pub async fn run(self, shutdown: CancellationToken) {
        let keeper = Arc::new(self);
        run_reader(
            &keeper.pool,
            "visits standings",
            &shutdown,
            || {},
            |conn| {
                let keeper = Arc::clone(&keeper);
                async move { keeper.lead(conn).await }
            },
        )
        .await;
    }

    async fn lead(&self, mut conn: PgConnection) -> Result<(), Failed> {
        table_is_there(&mut conn, &format!("{}.elder", facts_table::NAME)).await?;
        table_is_there(&mut conn, &format!("{}.policy", policies_table::NAME)).await?;
        let mut progress = LaidOut::read(&mut conn).await?.unwrap_or_default();
        let active = self.progress.active(Some(progress));
        let mut last_policy = progress.policies;
        let (published, _) = policies_table::all(&mut conn).await?;
        let mut standings = Standings::new(published);
        loop {
            let facts = checkpoint(&mut conn, facts_table::NAME).await?;
            let policies = checkpoint(&mut conn, policies_table::NAME).await?;
            if policies > progress.policies {
                let (published, last) = policies_table::all(&mut conn).await?;
                if last > last_policy {
                    last_policy = last;
                    standings = Standings::new(published);
                    // Also of those who will be laid out by their facts in a moment: it does no harm.
                    all(&mut conn, &mut standings).await?;
                }
                progress.policies = policies;
            }
            let changed = facts_table::changed_after(&mut conn, progress.facts, CHUNK).await?;
            let more = i64::try_from(changed.len()).is_ok_and(|changed| changed == CHUNK);
            let last = changed.last().map_or(0, |(_, kept)| kept.sequence);
            progress.facts = progress.facts.max(last);
            if !more {
                // What comes after is about no elder's facts.
                progress.facts = progress.facts.max(facts);
            }
            write(&mut conn, &mut standings, &changed, Some(progress)).await?;
            active.tell(progress);
            if !more {
                self.idle(&mut conn, progress).await?;
            }
        }
    }

    async fn idle(&self, conn: &mut PgConnection, progress: LaidOut) -> Result<(), Failed> {
        let deadline = Instant::now() + HEARTBEAT;
        let facts = Position::new(self.facts.stream(), progress.facts + 1);
        let policies = Position::new(self.policies.stream(), progress.policies + 1);
        tokio::select! {
            _ = self.facts.wait_for(&facts, deadline) => {}
            _ = self.policies.wait_for(&policies, deadline) => {}
        }
        if Instant::now() >= deadline {
            conn.ping().await?;
        }
        Ok(())
    }
}

async fn checkpoint(conn: &mut PgConnection, projection: &str) -> Result<u64, Failed> {
    let sequence: Option<i64> =
        sqlx::query_scalar("SELECT sequence FROM readmodel.checkpoint WHERE projection = $1")
            .bind(projection)
            .fetch_optional(conn)
            .await?;
    Ok(sequence.unwrap_or_default().cast_unsigned())
}

/// Lays everybody out anew.
async fn all(conn: &mut PgConnection, standings: &mut Standings) -> Result<(), Failed> {
    let mut after = None;
    loop {
        let page = facts_table::page(&mut *conn, after, CHUNK).await?;
        let Some((last, _)) = page.last() else {
            return Ok(());
        };
        after = Some(*last);
        write(conn, standings, &page, None).await?;
    }
}

/// Lays elders out anew, and says so in the same transaction.
async fn write(
    conn: &mut PgConnection,
    standings: &mut Standings,
    elders: &[(ElderId, Kept)],
    progress: Option<LaidOut>,
) -> Result<(), Failed> {
    let ids: Vec<Uuid> = elders.iter().map(|(elder, _)| elder.as_uuid()).collect();
    let spans: Vec<(ElderId, Span)> = elders
        .iter()
        .filter_map(|(elder, kept)| Some((*elder, standings.spans(kept.facts.as_ref()?))))
        .flat_map(|(elder, spans)| spans.into_iter().map(move |span| (elder, span)))
        .collect();
    let mut tx = conn.begin().await?;
    if !ids.is_empty() {
        sqlx::query("DELETE FROM visits_kept.span WHERE elder_id = ANY($1)")
            .bind(&ids)
            .execute(&mut *tx)
            .await?;
    }
    if !spans.is_empty() {
        insert(&mut tx, &spans).await?;
    }
    if let Some(progress) = progress {
        progress.write(&mut tx).await?;
    }
    tx.commit().await?;
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
