//! The visits that are owed in a period: which are met by now, which are not, and which were missed when it closed.

use civic::{DivisionCode, ElderId, LocalDay};
use proto::eldercare::visits::v1 as pb;
use service::{Caller, errors, paging};
use sqlx::{AssertSqlSafe, PgConnection, Row as _};
use tonic::Status;
use uuid::Uuid;

use crate::book_table;
use crate::owed::{BOUND, OWED, Owed};
use crate::period::Period;
use crate::visits::Visits;
use crate::{campaign_rows, refusals, visiting_rows};

/// What is told of an elder with a duty.
const DUTY: &[&str] = &["tier.tier", "visit.record_id", "elder.consent"];

/// Which duties are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    All,
    Met,
    Unmet,
    Missed,
}

/// Of which period.
#[derive(Clone, Copy, Debug)]
pub(crate) enum AskedFor {
    Period(Period),
    Campaign(Uuid),
}

/// What is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    pub(crate) division: DivisionCode,
    pub(crate) asked_for: AskedFor,
    pub(crate) which: Which,
}

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
        let period = match filter.asked_for {
            AskedFor::Period(period) => period,
            AskedFor::Campaign(id) => {
                let campaign = campaign_rows::of(&self.pool, id)
                    .await
                    .map_err(errors::of_database)?;
                // One that has nothing to do with the division is as unknown there as none.
                let campaign = campaign
                    .filter(|campaign| meet(&campaign.announced.division, &filter.division))
                    .ok_or_else(|| refusals::no_campaign(id))?;
                Period::Campaign(campaign.announced.days())
            }
        };
        let (mut response, mut duties) = self
            .read_duties(filter, period, after, size)
            .await
            .map_err(errors::of_database)?;
        let next = paging::cut(&mut duties, size).and_then(|last| last.elder_id.parse().ok());
        let elders = duties
            .iter()
            .filter_map(|duty| duty.elder_id.parse::<ElderId>().ok());
        caller.told("ListDuties", elders, DUTY).await?;
        response.duties = duties;
        Ok((response, next))
    }

    async fn read_duties(
        &self,
        filter: &Filter,
        period: Period,
        after: Option<Uuid>,
        size: u32,
    ) -> Result<(pb::ListDutiesResponse, Vec<pb::Duty>), sqlx::Error> {
        let mut tx = self
            .pool
            .begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            .await?;
        let on = self.day_of(period.last_day());
        let owed = Owed::of(&mut tx, filter.division, period, on).await?;
        let missed = format!(
            "SELECT count(*) FROM {}.missed WHERE period = $1 AND village >= $2 AND village < $3",
            book_table::NAME
        );
        let missed: i64 = sqlx::query_scalar(AssertSqlSafe(missed))
            .bind(period.to_string())
            .bind(filter.division.as_str())
            .bind(filter.division.beyond())
            .fetch_one(&mut *tx)
            .await?;
        let counts = format!("SELECT count(*), count(record_id) FROM ({OWED}) AS owed");
        let counts = owed
            .bind(sqlx::query(AssertSqlSafe(counts)))
            .fetch_one(&mut *tx)
            .await?;
        let (in_all, met): (i64, i64) = (counts.try_get(0)?, counts.try_get(1)?);
        let rows = match filter.which {
            Which::Missed => {
                let statement = format!(
                    "SELECT m.elder_id, m.village, m.tier, m.blocked, (SELECT r.record_id FROM {book}.record r \
                         WHERE r.elder_id = m.elder_id AND r.counted_at IS NOT NULL AND r.day BETWEEN $2 AND $3 \
                         ORDER BY r.counted_at, r.record_id LIMIT 1), true \
                     FROM {book}.missed m WHERE m.period = $1 AND m.village >= $4 AND m.village < $5 \
                     AND ($6::uuid IS NULL OR m.elder_id > $6) ORDER BY m.elder_id LIMIT $7",
                    book = book_table::NAME
                );
                sqlx::query(AssertSqlSafe(statement))
                    .bind(period.to_string())
                    .bind(period.first_day().date())
                    .bind(period.last_day().date())
                    .bind(filter.division.as_str())
                    .bind(filter.division.beyond())
                    .bind(after)
                    .bind(i64::from(size) + 1)
                    .fetch_all(&mut *tx)
                    .await?
            }
            Which::All | Which::Met | Which::Unmet => {
                let [name, met, after_elder, limit] = [1, 2, 3, 4].map(|nth| BOUND + nth);
                let statement = format!(
                    "SELECT owed.*, EXISTS (SELECT 1 FROM {book}.missed m WHERE m.elder_id = owed.elder_id \
                         AND m.period = ${name}) FROM ({OWED}) AS owed \
                     WHERE (${met}::boolean IS NULL OR ${met} = (record_id IS NOT NULL)) \
                     AND (${after_elder}::uuid IS NULL OR elder_id > ${after_elder}) ORDER BY elder_id LIMIT ${limit}",
                    book = book_table::NAME
                );
                let met = match filter.which {
                    Which::Met => Some(true),
                    Which::Unmet => Some(false),
                    Which::All | Which::Missed => None,
                };
                owed.bind(sqlx::query(AssertSqlSafe(statement)))
                    .bind(period.to_string())
                    .bind(met)
                    .bind(after)
                    .bind(i64::from(size) + 1)
                    .fetch_all(&mut *tx)
                    .await?
            }
        };
        let closed = closed(&mut tx, &filter.division, period).await?;
        tx.commit().await?;
        let duties = rows.iter().map(duty).collect::<Result<Vec<_>, _>>()?;
        let response = pb::ListDutiesResponse {
            owed: in_all,
            met,
            unmet: in_all - met,
            missed,
            closed,
            ..Default::default()
        };
        Ok((response, duties))
    }

    /// The day as of which a period is judged: its last one, or today while it lasts.
    pub(crate) fn day_of(&self, last: LocalDay) -> LocalDay {
        last.min(self.today())
    }
}

/// Whether a period is closed for the whole of a division: for all divisions upwards and below that owe in it.
async fn closed(
    db: &mut PgConnection,
    division: &DivisionCode,
    period: Period,
) -> Result<bool, sqlx::Error> {
    let Some(interval) = period.interval() else {
        let Period::Campaign(days) = period else {
            return Ok(false);
        };
        let campaign = campaign_rows::of(&mut *db, days.campaign).await?;
        return Ok(campaign.is_some_and(|campaign| campaign.closed));
    };
    let visitings = visiting_rows::all(db).await?;
    let mut owing = visitings
        .iter()
        .filter(|(code, started)| started.owes_in(period) && meet(code, division))
        .peekable();
    Ok(owing.peek().is_some() && owing.all(|(_, started)| started.next(interval) > period))
}

/// Whether one of two divisions lies within the other.
fn meet(one: &DivisionCode, other: &DivisionCode) -> bool {
    one.contains(other) || other.contains(one)
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
