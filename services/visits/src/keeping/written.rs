//! What is there already of the records that arrive, and of the years that they go into.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use civic::{ElderId, LocalDay};
use sqlx::{AssertSqlSafe, Row as _};
use uuid::Uuid;

use super::Turn;
use crate::book_table;
use crate::desk::Arrived;
use crate::visits::Visits;

/// An elder's year.
pub(super) type Year = (ElderId, i32);

/// What the read model says of elders' years and of records.
#[derive(Default)]
pub(crate) struct Written {
    pub(super) years: HashMap<Year, u64>,
    /// Which records there are already, with elder and year.
    pub(crate) records: HashMap<Uuid, Year>,
}

impl Visits {
    /// What there is of the years by the read model, and of the records that arrive by what the stream has written besides.
    pub(crate) async fn written(
        &self,
        arrived: &[Arrived],
        turn: Option<&Turn>,
    ) -> Result<Written, sqlx::Error> {
        let mut written = self.written_by_rows(arrived).await?;
        let Some(Turn { carried, .. }) = turn else {
            return Ok(written);
        };
        for one in arrived {
            if let Some(&(year, _)) = carried.records.get(&one.record) {
                written.records.insert(one.record, year);
            }
        }
        Ok(written)
    }

    async fn written_by_rows(&self, arrived: &[Arrived]) -> Result<Written, sqlx::Error> {
        let mut written = Written::default();
        let elders: Vec<Uuid> = arrived.iter().map(|one| one.elder.as_uuid()).collect();
        let mut years: Vec<i32> = arrived.iter().map(|one| one.visit.day().year()).collect();
        years.sort_unstable();
        years.dedup();
        // Years first: a record that is not there afterwards was not there before. Both are planned each time: a plan that
        // was made while the tables were small would read all of them for each batch.
        if arrived.len() > 1 {
            let statement = format!(
                "SELECT elder_id, year, sequence FROM {}.year WHERE elder_id = ANY($1) AND year = ANY($2)",
                book_table::NAME
            );
            let rows = sqlx::query(AssertSqlSafe(statement))
                .persistent(false)
                .bind(&elders)
                .bind(&years)
                .fetch_all(&self.pool)
                .await?;
            for row in rows {
                let year = (ElderId(row.try_get(0)?), row.try_get(1)?);
                let sequence: i64 = row.try_get(2)?;
                written.years.insert(year, sequence.cast_unsigned());
            }
        }
        let ids: Vec<Uuid> = arrived.iter().map(|one| one.record).collect();
        // The ledger has every record that was answered, the read model every one that the years' rows know of.
        let statement = format!(
            "SELECT record_id, elder_id, start_at FROM {}.record WHERE record_id = ANY($1) \
             UNION SELECT record_id, elder_id, start_at FROM visits_kept.entry WHERE record_id = ANY($1)",
            book_table::NAME
        );
        let rows = sqlx::query(AssertSqlSafe(statement))
            .persistent(false)
            .bind(&ids)
            .fetch_all(&self.pool)
            .await?;
        for row in rows {
            let start: DateTime<Utc> = row.try_get(2)?;
            let of = (ElderId(row.try_get(1)?), LocalDay::of(start).year());
            written.records.insert(row.try_get(0)?, of);
        }
        Ok(written)
    }
}
