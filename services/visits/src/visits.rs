//! What visits answers from: logs, read models and clock, and waiting for what a caller has seen.

use std::sync::Arc;

use civic::{LocalDay, VillageCode};
pub(crate) use elder_tables::columns::day;
use eventlog::{EventLog, Position, Repository};
use readmodel::{Follower, ReaderFollower};
use service::elder_keys::Forgotten;
use service::person_keys::Keys;
use service::{Clock, Deadline, RequestDigests, errors};
use sqlx::{AssertSqlSafe, PgPool};
use tokio::sync::{Mutex, Semaphore};
use tonic::Status;
use workbooks::Exports;

use crate::campaign::Campaign;
use crate::elder_year::ElderYear;
use crate::policies_table;
use crate::progress::{Examined, LaidOut};
use crate::standing::Standings;
use crate::visiting::Visiting;
use crate::visitor::Visitor;
use crate::week_plan::WeekPlan;

/// What the answers are made of. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Visits {
    pub(crate) pool: PgPool,
    pub(crate) registry: Arc<dyn EventLog>,
    pub(crate) tiering: Arc<dyn EventLog>,
    pub(crate) own: Arc<dyn EventLog>,
    pub(crate) clock: Clock,
    pub(crate) keys: Keys,
    pub(crate) visitors: Repository<Visitor>,
    pub(crate) visitings: Repository<Visiting>,
    pub(crate) campaigns: Repository<Campaign>,
    pub(crate) years: Repository<ElderYear>,
    pub(crate) plans: Repository<WeekPlan>,
    pub(crate) facts: Follower,
    pub(crate) cards: Follower,
    pub(crate) policies: Follower,
    pub(crate) book: Follower,
    pub(crate) standings: ReaderFollower<LaidOut>,
    pub(crate) examined: ReaderFollower<Examined>,
    /// Follows whose keys are forgotten.
    pub(crate) forgotten: Forgotten,
    pub(crate) digests: RequestDigests,
    /// The policies by which arriving records are judged, and up to which sequence of tiering's log they are known.
    pub(crate) rules: Arc<Mutex<(u64, Standings)>>,
    /// Weeks are planned one after the other: each takes all processors.
    pub(crate) planning: Arc<Semaphore>,
    /// What workbooks may take of the memory.
    pub(crate) exports: Exports,
}

impl Visits {
    /// The day now.
    pub(crate) fn today(&self) -> LocalDay {
        self.clock.today()
    }

    /// The policies as they are published by now.
    pub(crate) async fn refresh_rules(&self) -> Result<(), Status> {
        let statement = format!(
            "SELECT coalesce(max(sequence), 0) FROM {}.policy",
            policies_table::NAME
        );
        let last: i64 = sqlx::query_scalar(AssertSqlSafe(statement))
            .fetch_one(&self.pool)
            .await
            .map_err(errors::of_database)?;
        let mut rules = self.rules.lock().await;
        if last.cast_unsigned() > rules.0 {
            let (published, last) = policies_table::all(&self.pool)
                .await
                .map_err(errors::of_database)?;
            *rules = (last, Standings::new(published));
        }
        Ok(())
    }

    /// Waits until what is judged takes a position into account.
    pub(crate) async fn wait_to_judge(
        &self,
        position: Option<Position>,
        deadline: Deadline,
    ) -> Result<(), Status> {
        let Some(position) = position else {
            return Ok(());
        };
        let follower = [&self.facts, &self.policies, &self.book]
            .into_iter()
            .find(|follower| follower.stream() == position.stream);
        match follower {
            Some(follower) => deadline.bounds(follower.reaches(position.sequence)).await,
            None => Ok(()),
        }
    }

    /// Waits until answers take a position into account.
    pub(crate) async fn wait(
        &self,
        position: Option<Position>,
        deadline: Deadline,
    ) -> Result<(), Status> {
        let Some(Position { stream, sequence }) = position else {
            return Ok(());
        };
        let waiting = async {
            if stream == self.registry.stream() {
                let enough = |laid_out: &LaidOut| laid_out.facts >= sequence;
                self.standings.wait_until(enough).await;
                self.cards.reaches(sequence).await;
                self.forgotten.reaches(sequence).await;
            } else if stream == self.tiering.stream() {
                let enough = |laid_out: &LaidOut| laid_out.policies >= sequence;
                self.standings.wait_until(enough).await;
            } else {
                self.examined_up_to(sequence).await;
            }
        };
        deadline.bounds(waiting).await
    }

    /// As [`Visits::wait`], also for the figures that are kept.
    pub(crate) async fn wait_for_figures(
        &self,
        position: Option<Position>,
        deadline: Deadline,
    ) -> Result<(), Status> {
        let own = position
            .as_ref()
            .is_some_and(|position| position.stream == self.own.stream());
        self.wait(position, deadline).await?;
        if !own {
            return Ok(());
        }
        let read = self.book.known();
        let counted = async {
            self.standings
                .wait_until(|laid_out: &LaidOut| laid_out.book >= read)
                .await;
        };
        deadline.bounds(counted).await
    }

    /// Waits until records up to a sequence are judged, and what came of it can be read.
    pub(crate) async fn examined_up_to(&self, sequence: u64) {
        let enough = |examined: &Examined| examined.judged >= sequence;
        let examined = self.examined.wait_until(enough).await;
        self.book.reaches(sequence.max(examined.appended)).await;
    }
}

/// A village of a row.
pub(crate) fn village(text: &str) -> Result<VillageCode, sqlx::Error> {
    text.parse()
        .map_err(|_code| sqlx::Error::Decode("a column holds no village".into()))
}
