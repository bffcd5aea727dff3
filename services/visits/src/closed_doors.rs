//! Elders who were not at home twice running: their village is told, so that somebody looks after them.
//!
//! Rule: section 3, "Recording".

use chrono::{DateTime, Utc};
use civic::{DivisionCode, ElderId, VisitResult};
use elders::wire::write_time;
use proto::eldercare::visits::v1 as pb;
use service::{Caller, errors, paging};
use sqlx::{AssertSqlSafe, Row as _};
use tonic::Status;
use uuid::Uuid;

use crate::book_table::{self, place};
use crate::record_rows::REJECTED;
use crate::visits::Visits;

/// How many visits running.
const RUNNING: i64 = 2;

/// What is told of an elder.
const DOOR: &[&str] = &["visit.record_id", "visit.start_time", "visit.result"];

impl Visits {
    /// A page of elders, and the cursor of the next page.
    pub(crate) async fn closed_doors(
        &self,
        caller: &Caller,
        division: &DivisionCode,
        after: Option<Uuid>,
        size: u32,
    ) -> Result<(Vec<pb::ClosedDoor>, Option<Uuid>), Status> {
        caller.may_here(division)?;
        let doors = self.read_closed_doors(division, after, size).await;
        let mut doors = doors.map_err(errors::of_database)?;
        let next = paging::cut(&mut doors, size).and_then(|last| last.elder_id.parse().ok());
        let elders = doors
            .iter()
            .filter_map(|door| door.elder_id.parse::<ElderId>().ok());
        caller.told("ListClosedDoors", elders, DOOR).await?;
        Ok((doors, next))
    }

    async fn read_closed_doors(
        &self,
        division: &DivisionCode,
        after: Option<Uuid>,
        size: u32,
    ) -> Result<Vec<pb::ClosedDoor>, sqlx::Error> {
        // Few were ever not at home: the others need not be looked at.
        let statement = format!(
            "SELECT s.elder_id, s.village, latest.record_id, latest.start_at FROM visits_kept.span s \
             CROSS JOIN LATERAL (SELECT (array_agg(record_id ORDER BY start_at DESC, record_id))[1] AS record_id, \
                 max(start_at) AS start_at, count(*) AS running, bool_and(result = $4) AS closed \
                 FROM (SELECT record_id, start_at, result FROM {book}.record r WHERE r.elder_id = s.elder_id \
                     AND r.decision <> $5 ORDER BY start_at DESC, record_id LIMIT $6) AS last) AS latest \
             WHERE s.village >= $1 AND s.village < $2 AND s.from_day <= $3 AND s.until_day > $3 \
             AND EXISTS (SELECT 1 FROM {book}.record r WHERE r.elder_id = s.elder_id AND r.result = 1) \
             AND latest.closed AND latest.running = $6 AND ($7::uuid IS NULL OR s.elder_id > $7) \
             ORDER BY s.elder_id LIMIT $8",
            book = book_table::NAME
        );
        let rows = sqlx::query(AssertSqlSafe(statement))
            .bind(division.as_str())
            .bind(division.beyond())
            .bind(self.today().date())
            .bind(place(VisitResult::NotAtHome))
            .bind(REJECTED)
            .bind(RUNNING)
            .bind(after)
            .bind(i64::from(size) + 1)
            .fetch_all(&self.pool)
            .await?;
        rows.iter()
            .map(|row| {
                let start: DateTime<Utc> = row.try_get(3)?;
                Ok(pb::ClosedDoor {
                    elder_id: row.try_get::<Uuid, _>(0)?.to_string(),
                    division_code: row.try_get(1)?,
                    record_id: row.try_get::<Uuid, _>(2)?.to_string(),
                    start_time: Some(write_time(start)),
                })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_of_those_not_at_home_is_of_that_result() {
        assert_eq!(place(VisitResult::NotAtHome), 1);
    }
}
