//! The coverage of a month: how many of the elders in scope were visited, by division, and who they are.

use civic::{CalendarMonth, DivisionCode, DivisionLevel, ElderId, LocalDay};
use elders::codec::write_day;
use proto::eldercare::visits::v1 as pb;
use service::{Caller, Deadline, errors, paging};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection, Row as _};
use tonic::Status;
use uuid::Uuid;

use crate::progress::LaidOut;
use crate::visits::{self, Visits};

/// What is told of an elder behind the figures.
const VISITED: &[&str] = &["elder.division_code", "visit.counted"];

/// What is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    pub(crate) division: DivisionCode,
    pub(crate) month: CalendarMonth,
    /// The level of the figures below the division.
    pub(crate) by: Option<DivisionLevel>,
    /// Only those visited, or only those still to visit; none are listed otherwise.
    pub(crate) visited: Option<bool>,
}

/// Elders in scope on a day, with whether they were visited in the month. Bound: $1 village from, $2 village to, $3 day,
/// $4 first day of the month.
const IN_SCOPE: &str = "SELECT s.elder_id, s.village, v.elder_id IS NOT NULL AS visited FROM visits_kept.span s \
     LEFT JOIN visits_kept.visited v ON v.elder_id = s.elder_id AND v.month = $4 \
     WHERE s.village >= $1 AND s.village < $2 AND s.from_day <= $3 AND s.until_day > $3";

/// The figures as they are kept, each with the day that they are of. Bound: $1 division from, $2 division to, $3 first day of
/// the month, $4 digits of the divisions. A month that is not counted has no rows, one without elders has one row of nothing.
const KEPT: &str = "SELECT c.division, c.in_scope::bigint, c.visited::bigint, m.on_day FROM visits_kept.counted_month m \
     LEFT JOIN visits_kept.coverage c ON c.month = m.month AND c.digits = $4 AND c.division >= $1 AND c.division < $2 \
         AND c.in_scope > 0 \
     WHERE m.month = $3 ORDER BY 1";

impl Visits {
    /// The figures, a page of elders, and the cursor of the next page.
    pub(crate) async fn coverage(
        &self,
        caller: &Caller,
        filter: &Filter,
        after: Option<Uuid>,
        size: u32,
        deadline: Deadline,
    ) -> Result<(pb::GetCoverageResponse, Option<Uuid>), Status> {
        caller.may_here(&filter.division)?;
        self.day_is_counted(deadline).await?;
        let Some(visited) = filter.visited else {
            let mut db = self.pool.acquire().await.map_err(errors::of_database)?;
            let (_, response) = self
                .figures(&mut db, filter)
                .await
                .map_err(errors::of_database)?;
            return Ok((response, None));
        };
        // The figures and who is behind them are of one moment.
        let snapshot = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
        let mut db = self
            .pool
            .begin_with(snapshot)
            .await
            .map_err(errors::of_database)?;
        let (on, mut response) = self
            .figures(&mut db, filter)
            .await
            .map_err(errors::of_database)?;
        let elders = elders_behind(&mut db, filter, on, visited, after, size).await;
        let mut elders = elders.map_err(errors::of_database)?;
        db.commit().await.map_err(errors::of_database)?;
        let next = paging::cut(&mut elders, size).and_then(|last| last.elder_id.parse().ok());
        let ids = elders
            .iter()
            .filter_map(|one| one.elder_id.parse::<ElderId>().ok());
        caller.told("GetCoverage", ids, VISITED).await?;
        response.elders = elders;
        Ok((response, next))
    }

    /// Waits until the current month is counted as of today: the clock may just have struck midnight.
    async fn day_is_counted(&self, deadline: Deadline) -> Result<(), Status> {
        let today = self.today();
        let counted = |kept: &LaidOut| kept.day.is_none_or(|day| day >= today);
        let waiting = async {
            self.standings.wait_until(counted).await;
        };
        deadline.bounds(waiting).await
    }

    /// The figures, and the day that they are of.
    async fn figures(
        &self,
        db: &mut PgConnection,
        filter: &Filter,
    ) -> Result<(LocalDay, pb::GetCoverageResponse), sqlx::Error> {
        let level = filter.by.unwrap_or_else(|| filter.division.level());
        let digits = level.digits();
        let digits = i32::try_from(digits).unwrap_or_default();
        let kept = sqlx::query(KEPT)
            .bind(filter.division.as_str())
            .bind(filter.division.beyond())
            .bind(filter.month.first_day().date())
            .bind(digits)
            .fetch_all(&mut *db)
            .await?;
        let Some(first) = kept.first() else {
            let on = self.day_of(filter.month.last_day());
            return Ok((on, counted_now(db, filter, on, digits).await?));
        };
        let on = visits::day(first.try_get(3)?)?;
        Ok((on, summed(filter, on, &kept)?))
    }
}

/// Counts a month that is not kept, such as one long past.
async fn counted_now(
    db: &mut PgConnection,
    filter: &Filter,
    on: LocalDay,
    digits: i32,
) -> Result<pb::GetCoverageResponse, sqlx::Error> {
    let statement = format!(
        "SELECT left(village, $5), count(*), count(*) FILTER (WHERE visited) FROM ({IN_SCOPE}) AS elders GROUP BY 1 ORDER BY 1"
    );
    let rows = sqlx::query(AssertSqlSafe(statement))
        .bind(filter.division.as_str())
        .bind(filter.division.beyond())
        .bind(on.date())
        .bind(filter.month.first_day().date())
        .bind(digits)
        .fetch_all(db)
        .await?;
    summed(filter, on, &rows)
}

async fn elders_behind(
    db: &mut PgConnection,
    filter: &Filter,
    on: LocalDay,
    visited: bool,
    after: Option<Uuid>,
    size: u32,
) -> Result<Vec<pb::CoverageElder>, sqlx::Error> {
    let statement = format!(
        "SELECT elder_id, village FROM ({IN_SCOPE}) AS elders WHERE visited = $5 \
         AND ($6::uuid IS NULL OR elder_id > $6) ORDER BY elder_id LIMIT $7"
    );
    let rows = sqlx::query(AssertSqlSafe(statement))
        .bind(filter.division.as_str())
        .bind(filter.division.beyond())
        .bind(on.date())
        .bind(filter.month.first_day().date())
        .bind(visited)
        .bind(after)
        .bind(i64::from(size) + 1)
        .fetch_all(db)
        .await?;
    rows.iter()
        .map(|row| {
            Ok(pb::CoverageElder {
                elder_id: row.try_get::<Uuid, _>(0)?.to_string(),
                division_code: row.try_get(1)?,
                visited,
            })
        })
        .collect()
}

/// Adds up rows of a division's beginning, elders in scope, and those visited.
fn summed(
    filter: &Filter,
    on: LocalDay,
    rows: &[PgRow],
) -> Result<pb::GetCoverageResponse, sqlx::Error> {
    let (mut all, mut all_visited) = (0, 0);
    let mut divisions = Vec::new();
    for row in rows {
        let Some(code) = row.try_get::<Option<String>, _>(0)? else {
            continue;
        };
        let (in_scope, visited): (i64, i64) = (row.try_get(1)?, row.try_get(2)?);
        all += in_scope;
        all_visited += visited;
        if filter.by.is_some() {
            divisions.push(coverage(code, in_scope, visited));
        }
    }
    Ok(pb::GetCoverageResponse {
        on: Some(write_day(on)),
        total: Some(coverage(filter.division.to_string(), all, all_visited)),
        divisions,
        ..Default::default()
    })
}

fn coverage(division_code: String, in_scope: i64, visited: i64) -> pb::Coverage {
    pb::Coverage {
        division_code,
        in_scope,
        visited,
        coverage: share(visited, in_scope),
    }
}

/// The share to six decimals; where nobody is in scope nobody is missed.
fn share(visited: i64, in_scope: i64) -> f64 {
    let (Ok(visited), Ok(in_scope)) = (u32::try_from(visited), u32::try_from(in_scope)) else {
        return 0.0;
    };
    if in_scope == 0 {
        return 1.0;
    }
    (f64::from(visited) / f64::from(in_scope) * 1e6).round() / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_have_six_decimals() {
        let shares =
            [(2922, 3268), (0, 5), (8, 8), (0, 0)].map(|(visited, all)| share(visited, all));
        assert_eq!(
            shares.map(|share| share.to_string()),
            ["0.894125", "0", "1", "1"]
        );
    }
}
