//! The visits that are owed in a period: which are met by now, which are not, and which were missed when it closed.

use civic::{DivisionCode, ElderId, LocalDay};
use proto::eldercare::visits::v1 as pb;
use service::{Caller, access};
use sqlx::{AssertSqlSafe, Row as _};
use tonic::Status;
use uuid::Uuid;

use crate::book_table;
use crate::missed_rows::is_weekly;
use crate::period::Period;
use crate::visiting_rows;
use crate::visits::{Visits, beyond, broken, cut};

/// Which duties are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    All,
    Met,
    Unmet,
    Missed,
}

/// What is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    pub(crate) division: DivisionCode,
    pub(crate) period: Period,
    pub(crate) which: Which,
}

/// Duties that are owed by all facts: elders whose standing on the day has the interval, in villages of which a division
/// upwards visited when the period began. Bound: $1 village from, $2 village to, $3 day, $4 weekly, $5 codes of divisions
/// that visit, $6 whether each owes in the period, $7 first day, $8 last day.
pub(crate) const OWED: &str = "SELECT s.elder_id, s.village, s.tier, s.blocked, m.record_id FROM visits_kept.span s \
     LEFT JOIN LATERAL (SELECT r.record_id FROM visits_book.record r WHERE r.elder_id = s.elder_id \
         AND r.counted_at IS NOT NULL AND r.day BETWEEN $7 AND $8 ORDER BY r.counted_at, r.record_id LIMIT 1) m ON true \
     WHERE s.village >= $1 AND s.village < $2 AND s.from_day <= $3 AND s.until_day > $3 AND s.weekly = $4 \
     AND (SELECT bool_or(owes) FROM unnest($5::text[], $6::boolean[]) AS d (code, owes) \
         WHERE starts_with(s.village, code))";

impl Visits {
    /// A page of a period's duties with their counts, and the cursor of the next page.
    pub(crate) async fn duties(
        &self,
        caller: &Caller,
        filter: &Filter,
        after: Option<Uuid>,
        size: u32,
    ) -> Result<(pb::ListDutiesResponse, Option<Uuid>), Status> {
        caller.may_here(&filter.division)?;
        let (mut response, mut duties) = self
            .read_duties(filter, after, size)
            .await
            .map_err(broken)?;
        let next = cut(&mut duties, size).and_then(|last| last.elder_id.parse().ok());
        let elders = duties
            .iter()
            .filter_map(|duty| duty.elder_id.parse::<ElderId>().ok());
        access::record(caller, "ListDuties", elders);
        response.duties = duties;
        Ok((response, next))
    }

    async fn read_duties(
        &self,
        filter: &Filter,
        after: Option<Uuid>,
        size: u32,
    ) -> Result<(pb::ListDutiesResponse, Vec<pb::Duty>), sqlx::Error> {
        let period = filter.period;
        let mut tx = self
            .pool
            .begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            .await?;
        let visitings = visiting_rows::all(&mut *tx).await?;
        let codes: Vec<String> = visitings.iter().map(|(code, _)| code.to_string()).collect();
        let owes: Vec<bool> = visitings
            .iter()
            .map(|(_, one)| one.owes_in(period))
            .collect();
        let on = self.day_of(period.last_day());
        let missed = format!(
            "SELECT count(*) FROM {}.missed WHERE weekly = $1 AND first_day = $2 AND village >= $3 AND village < $4",
            book_table::NAME
        );
        let missed: i64 = sqlx::query_scalar(AssertSqlSafe(missed))
            .bind(is_weekly(period))
            .bind(period.first_day().date())
            .bind(filter.division.as_str())
            .bind(beyond(&filter.division))
            .fetch_one(&mut *tx)
            .await?;
        let counts = format!("SELECT count(*), count(record_id) FROM ({OWED}) AS owed");
        let counts = sqlx::query(AssertSqlSafe(counts))
            .bind(filter.division.as_str())
            .bind(beyond(&filter.division))
            .bind(on.date())
            .bind(is_weekly(period))
            .bind(&codes)
            .bind(&owes)
            .bind(period.first_day().date())
            .bind(period.last_day().date())
            .fetch_one(&mut *tx)
            .await?;
        let (owed, met): (i64, i64) = (counts.try_get(0)?, counts.try_get(1)?);
        let rows = match filter.which {
            Which::Missed => {
                let statement = format!(
                    "SELECT m.elder_id, m.village, m.tier, m.blocked, (SELECT r.record_id FROM {book}.record r \
                         WHERE r.elder_id = m.elder_id AND r.counted_at IS NOT NULL AND r.day BETWEEN $2 AND $5 \
                         ORDER BY r.counted_at, r.record_id LIMIT 1), true \
                     FROM {book}.missed m WHERE m.weekly = $1 AND m.first_day = $2 AND m.village >= $3 AND m.village < $4 \
                     AND ($6::uuid IS NULL OR m.elder_id > $6) ORDER BY m.elder_id LIMIT $7",
                    book = book_table::NAME
                );
                sqlx::query(AssertSqlSafe(statement))
                    .bind(is_weekly(period))
                    .bind(period.first_day().date())
                    .bind(filter.division.as_str())
                    .bind(beyond(&filter.division))
                    .bind(period.last_day().date())
                    .bind(after)
                    .bind(i64::from(size) + 1)
                    .fetch_all(&mut *tx)
                    .await?
            }
            Which::All | Which::Met | Which::Unmet => {
                let statement = format!(
                    "SELECT owed.*, EXISTS (SELECT 1 FROM {book}.missed m WHERE m.elder_id = owed.elder_id \
                         AND m.weekly = $4 AND m.first_day = $7) FROM ({OWED}) AS owed \
                     WHERE ($9::boolean IS NULL OR $9 = (record_id IS NOT NULL)) AND ($10::uuid IS NULL OR elder_id > $10) \
                     ORDER BY elder_id LIMIT $11",
                    book = book_table::NAME
                );
                let met = match filter.which {
                    Which::Met => Some(true),
                    Which::Unmet => Some(false),
                    Which::All | Which::Missed => None,
                };
                sqlx::query(AssertSqlSafe(statement))
                    .bind(filter.division.as_str())
                    .bind(beyond(&filter.division))
                    .bind(on.date())
                    .bind(is_weekly(period))
                    .bind(&codes)
                    .bind(&owes)
                    .bind(period.first_day().date())
                    .bind(period.last_day().date())
                    .bind(met)
                    .bind(after)
                    .bind(i64::from(size) + 1)
                    .fetch_all(&mut *tx)
                    .await?
            }
        };
        tx.commit().await?;
        let duties = rows.iter().map(duty).collect::<Result<Vec<_>, _>>()?;
        // By all divisions upwards and below that visited when the period began.
        let division = filter.division;
        let closed = |code: &DivisionCode, started: &crate::visiting::Started| {
            let concerned = code.contains(&division) || division.contains(code);
            !(concerned && started.owes_in(period)) || started.next(period.interval()) > period
        };
        let response = pb::ListDutiesResponse {
            owed,
            met,
            unmet: owed - met,
            missed,
            closed: !visitings.is_empty()
                && visitings
                    .iter()
                    .all(|(code, started)| closed(code, started)),
            ..Default::default()
        };
        Ok((response, duties))
    }

    /// The day as of which a period is judged: its last one, or today while it lasts.
    pub(crate) fn day_of(&self, last: LocalDay) -> LocalDay {
        last.min(self.today())
    }
}

fn duty(row: &sqlx::postgres::PgRow) -> Result<pb::Duty, sqlx::Error> {
    let record: Option<Uuid> = row.try_get(4)?;
    Ok(pb::Duty {
        elder_id: row.try_get::<Uuid, _>(0)?.to_string(),
        division_code: row.try_get(1)?,
        tier: row.try_get(2)?,
        blocked_by_consent: row.try_get(3)?,
        record_id: record.map_or_else(String::new, |record| record.to_string()),
        missed: row.try_get(5)?,
    })
}
