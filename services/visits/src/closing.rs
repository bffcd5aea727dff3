//! Closes weeks, months and campaigns by the clock alone: when a period is over, every duty in it is met or missed, once.
//!
//! A miss is judged by what had been recorded when the period closed, also when the service was down over that instant:
//! facts recorded since are left out, and so are records that began to count since. What is written for an elder is
//! recognised when it is decided again; that all of a division is decided stands in the log too, so that a lost database
//! closes nothing twice.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use civic::{DivisionCode, ElderId};
use elder_tables::Kept;
use elders::Facts;
use eventlog::{CommandContext, EventLog, Position, ReadError, Repository, Subject};
use futures::{StreamExt as _, TryStreamExt as _};
use readmodel::{
    Follower, HEARTBEAT, ReaderFailed, ReaderFollower, reaction_request_id, run_reader,
    table_is_there,
};
use service::{Clock, Lateness};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, PgPool, Row as _};
use tier_policy::policy::Interval;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::campaign::{self, Campaign};
use crate::elder_year::{Command, ElderYear, Missed};
use crate::period::Period;
use crate::progress::Examined;
use crate::selected::Selecting;
use crate::settling::{self, Settlement};
use crate::standing::{Standing, Standings};
use crate::visiting::{self, Started, Visiting};
use crate::{book_table, campaign_rows, facts_table, policies_table, visiting_rows, year_rows};

/// The closer's name: request ids rest on it.
pub const NAME: &str = "closing";
/// How many elders are looked at in one go.
const CHUNK: i64 = 1_000;
/// How many elders' records are read, and how many duties are met late, at once.
const AT_ONCE: usize = 128;

/// What it works with.
#[derive(Clone)]
pub struct Closer {
    /// The database.
    pub pool: PgPool,
    /// The registry's log.
    pub registry: Arc<dyn EventLog>,
    /// Tiering's log.
    pub tiering: Arc<dyn EventLog>,
    /// Our own log.
    pub own: Arc<dyn EventLog>,
    /// Elders' years.
    pub years: Repository<ElderYear>,
    /// Divisions that visit.
    pub visitings: Repository<Visiting>,
    /// Campaigns.
    pub campaigns: Repository<Campaign>,
    /// The time.
    pub clock: Clock,
    /// Follows the facts.
    pub facts: Follower,
    /// Follows the policies.
    pub policies: Follower,
    /// Follows the read model of our own log.
    pub book: Follower,
    /// Follows the examiner.
    pub examined: ReaderFollower<Examined>,
}

/// What is to be closed.
pub(crate) enum Closing {
    /// A week or a month, of all divisions that have closed what was before.
    Period {
        period: Period,
        divisions: Vec<DivisionCode>,
    },
    /// A campaign.
    Campaign(campaign_rows::Kept),
}

impl Closing {
    pub(crate) fn period(&self) -> Period {
        match self {
            Self::Period { period, .. } => *period,
            Self::Campaign(campaign) => Period::Campaign(campaign.announced.days()),
        }
    }
}

/// A duty of a period, as it was when the period closed.
struct Due {
    elder: ElderId,
    standing: Standing,
    /// To which it falls.
    division: DivisionCode,
}

/// How many duties a division had.
#[derive(Clone, Copy, Default)]
struct Counts {
    duties: u64,
    missed: u64,
}

impl Closer {
    /// Runs until `shutdown`.
    pub async fn run(self, shutdown: CancellationToken) {
        let closer = Arc::new(self);
        run_reader(&closer.pool, "visits closing", &shutdown, |conn| {
            let closer = Arc::clone(&closer);
            async move { closer.lead(conn).await }
        })
        .await;
    }

    async fn lead(&self, mut conn: PgConnection) -> Result<(), ReaderFailed> {
        for (schema, name) in [
            (book_table::NAME, "campaign"),
            (facts_table::NAME, "elder"),
            (policies_table::NAME, "policy"),
        ] {
            table_is_there(&mut conn, &format!("{schema}.{name}")).await?;
        }
        // What a former closer wrote is seen.
        self.book.catches_up(self.own.as_ref()).await?;
        let lateness = Lateness::of("visits closing");
        loop {
            let known = self.book.known();
            let visitings = visiting_rows::all(&mut conn).await?;
            let campaigns = campaign_rows::open(&mut conn).await?;
            match next(&visitings, campaigns) {
                Some(closing) if closing.period().end() <= self.clock.now() => {
                    let due = closing.period().end();
                    self.close(&mut conn, &visitings, closing).await?;
                    lateness.done(due, self.clock.now());
                }
                next => {
                    let end = next.map(|closing| closing.period().end());
                    self.idle(&mut conn, end, known).await?;
                }
            }
        }
    }

    /// Waits for the end of a period, or for a division or a campaign that starts.
    async fn idle(
        &self,
        conn: &mut PgConnection,
        end: Option<DateTime<Utc>>,
        known: u64,
    ) -> Result<(), ReaderFailed> {
        let deadline = Instant::now() + HEARTBEAT;
        let end = end.unwrap_or(DateTime::<Utc>::MAX_UTC);
        let moved = Position::new(self.book.stream(), known + 1);
        tokio::select! {
            () = self.clock.sleep_until(end) => {}
            _ = self.book.wait_for(&moved, deadline) => {
                // Most records are visits: divisions need not be looked at for each.
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        if Instant::now() >= deadline {
            conn.ping().await?;
        }
        Ok(())
    }

    /// Decides every duty of a period.
    async fn close(
        &self,
        conn: &mut PgConnection,
        visitings: &[(DivisionCode, Started)],
        closing: Closing,
    ) -> Result<(), ReaderFailed> {
        self.facts.catches_up(self.registry.as_ref()).await?;
        self.policies.catches_up(self.tiering.as_ref()).await?;
        let tip = self.examined(0).await?;

        let period = closing.period();
        let rule = Rule::of(&closing, visitings)?;
        let (mut published, _) = policies_table::all(&mut *conn).await?;
        published.retain(|policy| policy.at < period.end());
        let mut standings = Standings::new(published);
        let mut counts: BTreeMap<DivisionCode, Counts> = BTreeMap::new();
        let mut last = 0;
        let mut after = None;
        loop {
            let page = facts_table::TABLE.page(&mut *conn, after, CHUNK).await?;
            let Some((elder, _)) = page.last() else { break };
            after = Some(*elder);
            let then = futures::stream::iter(page)
                .map(|(elder, kept)| async move {
                    let facts = self.facts_then(elder, kept, period.end()).await?;
                    Ok::<_, ReaderFailed>(facts.map(|facts| (elder, facts)))
                })
                .buffered(AT_ONCE);
            let then: Vec<_> = then.try_collect().await?;
            let mut due = Vec::new();
            for (elder, facts) in then.into_iter().flatten() {
                if !rule.concerns(&facts) {
                    continue;
                }
                let standing = standings.on(&facts, period.last_day());
                let owes =
                    standing.and_then(|standing| Some((rule.owes(&standing, &facts)?, standing)));
                if let Some((division, standing)) = owes {
                    due.push(Due {
                        elder,
                        standing,
                        division,
                    });
                }
            }
            let met = met(conn, &due, period, tip).await?;
            for due in &due {
                let counts = counts.entry(due.division).or_default();
                counts.duties += 1;
                counts.missed += u64::from(!met.contains_key(&due.elder));
            }
            last = last.max(self.settle(conn, due, met, period).await?);
        }
        last = last.max(self.meet_late(conn, period, last).await?);
        last = last.max(self.closed(&closing, &counts).await?);
        self.book.reaches(last).await;
        let all = counts.values().fold((0, 0), |(duties, missed), one| {
            (duties + one.duties, missed + one.missed)
        });
        tracing::info!(%period, duties = all.0, missed = all.1, "a period is closed");
        Ok(())
    }

    /// Writes that every duty is decided; the sequence of that.
    async fn closed(
        &self,
        closing: &Closing,
        counts: &BTreeMap<DivisionCode, Counts>,
    ) -> Result<u64, ReaderFailed> {
        let of = |division: &DivisionCode| counts.get(division).copied().unwrap_or_default();
        match closing {
            Closing::Period { period, divisions } => {
                let mut last = 0;
                for division in divisions {
                    let Counts { duties, missed } = of(division);
                    let command = visiting::Command::Close {
                        division: *division,
                        period: *period,
                        duties,
                        missed,
                    };
                    let context = self.context(*period, 1, Some(division.to_string()));
                    let closed = self
                        .visitings
                        .execute(division.as_str(), &context, &command)
                        .await
                        .map_err(|error| unwritten(error, "a division that has not started"))?;
                    last = last.max(closed.position.sequence);
                }
                Ok(last)
            }
            Closing::Campaign(campaign) => {
                let announced = &campaign.announced;
                let Counts { duties, missed } = of(&announced.division);
                let command = campaign::Command::Close {
                    campaign: announced.campaign,
                    duties,
                    missed,
                };
                let division = Some(announced.division.to_string());
                let context = self.context(closing.period(), 1, division);
                let closed = self
                    .campaigns
                    .execute(&announced.campaign.to_string(), &context, &command)
                    .await
                    .map_err(|error| unwritten(error, "a campaign that has not started"))?;
                Ok(closed.position.sequence)
            }
        }
    }

    /// Where our own log stands, once all records up to there are examined and the book holds them with their doubts, and
    /// everything up to `written` besides. What is recorded later may yet be doubted.
    async fn examined(&self, written: u64) -> Result<u64, ReaderFailed> {
        let tip = self.own.last_sequence().await?;
        let examined = self
            .examined
            .wait_until(|examined| examined.judged >= tip)
            .await;
        self.book
            .reaches(tip.max(examined.appended).max(written))
            .await;
        Ok(tip)
    }

    /// An elder's facts as they were recorded when the period closed.
    async fn facts_then(
        &self,
        elder: ElderId,
        kept: Kept,
        end: DateTime<Utc>,
    ) -> Result<Option<Facts>, ReaderFailed> {
        if kept.recorded_at < end {
            return Ok(kept.facts);
        }
        let subject =
            Subject::new("registry", "elder", &elder.to_string()).map_err(ReaderFailed::because)?;
        let records = match self.registry.read(&subject, 0).await {
            Ok(records) => records,
            Err(ReadError::Unreadable { sequence, .. }) => {
                tracing::error!(
                    sequence,
                    "an elder's record can't be read: judged as it is kept now"
                );
                return Ok(kept.facts);
            }
            Err(error) => return Err(error.into()),
        };
        let facts = records
            .iter()
            .take_while(|record| record.metadata.time < end)
            .flat_map(|record| &record.events)
            .filter_map(|raw| elders::codec::decode(raw).ok())
            .fold(None, |facts, event| Facts::after(facts, &event, elder));
        Ok(facts)
    }

    /// Writes what became of duties; the last sequence of what was written.
    async fn settle(
        &self,
        conn: &mut PgConnection,
        due: Vec<Due>,
        met: HashMap<ElderId, Uuid>,
        period: Period,
    ) -> Result<u64, ReaderFailed> {
        let elders: Vec<Uuid> = due.iter().map(|due| due.elder.as_uuid()).collect();
        let year = period.last_day().year();
        let mut rows = year_rows::of(conn, &elders, year).await?;
        let mut settlements = Vec::with_capacity(due.len());
        for Due {
            elder, standing, ..
        } in due
        {
            let row = rows.remove(&elder).unwrap_or_default();
            if row.settled.contains(period) {
                continue;
            }
            let context = self.context(period, 0, Some(standing.village.to_string()));
            let command = match met.get(&elder) {
                Some(record) => Command::SettleMet {
                    elder,
                    period,
                    record: *record,
                },
                None => Command::SettleMissed(Missed {
                    elder,
                    period,
                    tier: standing.tier,
                    village: standing.village,
                    blocked_by_consent: standing.blocked_by_consent,
                }),
            };
            settlements.push(Settlement {
                year: ElderYear::id(elder, period.last_day()),
                row,
                context,
                command,
            });
        }
        settling::settle(&self.years, settlements).await
    }

    /// Meets late what began to count while the period was being closed.
    async fn meet_late(
        &self,
        conn: &mut PgConnection,
        period: Period,
        last: u64,
    ) -> Result<u64, ReaderFailed> {
        let tip = self.examined(last).await?;
        let statement = format!(
            "SELECT DISTINCT ON (m.elder_id) m.elder_id, r.record_id FROM {book}.missed m JOIN {book}.record r \
             ON r.elder_id = m.elder_id AND r.counted_at IS NOT NULL AND r.day BETWEEN $2 AND $3 AND r.sequence <= $4 \
             WHERE m.period = $1 AND m.met_late_by IS NULL ORDER BY m.elder_id, r.counted_at",
            book = book_table::NAME
        );
        let rows = sqlx::query(AssertSqlSafe(statement))
            .bind(period.to_string())
            .bind(period.first_day().date())
            .bind(period.last_day().date())
            .bind(tip.cast_signed())
            .fetch_all(conn)
            .await?;
        let late = rows
            .iter()
            .map(|row| Ok((ElderId(row.try_get(0)?), row.try_get(1)?)))
            .collect::<Result<Vec<(ElderId, Uuid)>, sqlx::Error>>()?;
        let decided = late.into_iter().map(|(elder, record)| {
            let command = Command::MeetLate {
                elder,
                period,
                record,
            };
            let year = ElderYear::id(elder, period.last_day());
            let context = self.context(period, 2, None);
            async move { settling::decide(&self.years, &year, &context, &command).await }
        });
        futures::stream::iter(decided)
            .buffer_unordered(AT_ONCE)
            .try_fold(0, |last, sequence| async move { Ok(last.max(sequence)) })
            .await
    }

    /// The context of a decision; each aggregate takes one for a period and a purpose.
    fn context(&self, period: Period, nth: u32, division: Option<String>) -> CommandContext {
        let request_id = reaction_request_id(NAME, &Position::new(period.to_string(), 0), nth);
        CommandContext {
            request_id,
            // No request stands behind it.
            request_digest: [0; 16].into(),
            actor: "system:visits".to_owned(),
            now: self.clock.now(),
            correlation_id: request_id,
            causation_id: None,
            division,
            traceparent: None,
            answers: None,
            purpose: None,
        }
    }
}

/// The period or campaign that closes next, with all divisions of which it is the next.
pub(crate) fn next(
    visitings: &[(DivisionCode, Started)],
    campaigns: Vec<campaign_rows::Kept>,
) -> Option<Closing> {
    let next = |(division, started): &(DivisionCode, Started)| {
        Interval::ALL.map(|interval| (started.next(interval), *division))
    };
    let mut periods: BTreeMap<Period, Vec<DivisionCode>> = BTreeMap::new();
    for (period, division) in visitings.iter().flat_map(next) {
        periods.entry(period).or_default().push(division);
    }
    let periods = periods
        .into_iter()
        .map(|(period, divisions)| Closing::Period { period, divisions });
    // Conditions are checked before they are written down. One of another version that is none of ours waits for that
    // version, and holds up nothing else.
    let campaigns = campaigns
        .into_iter()
        .filter(|campaign| Selecting::of(&campaign.announced).is_ok())
        .map(Closing::Campaign);
    periods
        .chain(campaigns)
        .min_by_key(|closing| (closing.period().end(), closing.period()))
}

/// By which rule somebody owes.
struct Rule<'a> {
    closing: &'a Closing,
    visitings: &'a [(DivisionCode, Started)],
    selecting: Option<Selecting<'a>>,
}

impl<'a> Rule<'a> {
    fn of(
        closing: &'a Closing,
        visitings: &'a [(DivisionCode, Started)],
    ) -> Result<Self, ReaderFailed> {
        let selecting = match closing {
            Closing::Period { .. } => None,
            Closing::Campaign(campaign) => {
                let selecting = Selecting::of(&campaign.announced);
                Some(selecting.map_err(|fault| ReaderFailed::because(fault.en()))?)
            }
        };
        Ok(Self {
            closing,
            visitings,
            selecting,
        })
    }

    /// Whether somebody may owe at all, before that is judged by policies.
    fn concerns(&self, facts: &Facts) -> bool {
        match self.closing {
            Closing::Period { .. } => true,
            Closing::Campaign(campaign) => {
                let announced = &campaign.announced;
                let then = facts.on(announced.last);
                announced.division.contains(&then.village().division())
            }
        }
    }

    /// The division to which the duty of somebody in scope falls; none where there is none, or where it falls to one that is
    /// closed by itself.
    fn owes(&self, standing: &Standing, facts: &Facts) -> Option<DivisionCode> {
        match self.closing {
            Closing::Period { period, divisions } => (period.interval() == Some(standing.interval))
                .then(|| visits_by(self.visitings, standing, *period))
                .flatten()
                .filter(|division| divisions.contains(division)),
            Closing::Campaign(campaign) => {
                let announced = &campaign.announced;
                // One that was called off owes nothing.
                let selected = announced.first <= announced.last
                    && self.selecting.as_ref().is_some_and(|selecting| {
                        let then = facts.on(announced.last);
                        selecting.selects(&standing.village, &standing.tier, &then)
                    });
                selected.then_some(announced.division)
            }
        }
    }
}

fn unwritten<R>(error: eventlog::ExecuteError<R>, what: &str) -> ReaderFailed
where
    eventlog::ExecuteError<R>: std::fmt::Display,
{
    match error {
        eventlog::ExecuteError::Refused(_) => {
            ReaderFailed::because(format!("{what} was to be closed"))
        }
        error @ (eventlog::ExecuteError::RequestIdReused
        | eventlog::ExecuteError::Contended
        | eventlog::ExecuteError::TooLarge
        | eventlog::ExecuteError::Invalid(_)
        | eventlog::ExecuteError::Unreadable { .. }
        | eventlog::ExecuteError::Unavailable(_)) => ReaderFailed::because(error),
    }
}

/// The division by which an elder's duty is settled: of all upwards that visited when the period began the widest.
fn visits_by(
    visitings: &[(DivisionCode, Started)],
    standing: &Standing,
    period: Period,
) -> Option<DivisionCode> {
    let owes = |code: &DivisionCode| {
        visitings
            .iter()
            .any(|(division, started)| division == code && started.owes_in(period))
    };
    standing.village.division().upwards().filter(owes).last()
}

/// Those of the duties that were met when the period closed, with the record that met them first.
async fn met(
    conn: &mut PgConnection,
    due: &[Due],
    period: Period,
    tip: u64,
) -> Result<HashMap<ElderId, Uuid>, ReaderFailed> {
    let elders: Vec<Uuid> = due.iter().map(|due| due.elder.as_uuid()).collect();
    let statement = format!(
        "SELECT DISTINCT ON (elder_id) elder_id, record_id FROM {}.record \
         WHERE elder_id = ANY($1) AND day BETWEEN $2 AND $3 AND counted_at < $4 AND sequence <= $5 \
         ORDER BY elder_id, counted_at",
        book_table::NAME
    );
    let rows = sqlx::query(AssertSqlSafe(statement))
        .bind(&elders)
        .bind(period.first_day().date())
        .bind(period.last_day().date())
        .bind(period.end())
        .bind(tip.cast_signed())
        .fetch_all(conn)
        .await?;
    rows.iter()
        .map(|row| Ok((ElderId(row.try_get(0)?), row.try_get(1)?)))
        .collect()
}
