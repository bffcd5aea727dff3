//! Facts that can't be read (坏行): they are parked where an operator sees them, and everybody else is judged. Whom they are
//! about keeps the tier on record until they can be read: they are looked at again when a day begins, and when another
//! instance takes over.

use std::collections::HashMap;

use civic::{ElderId, LocalDay};
use readmodel::{Parked, parked};

use super::{Active, ReaderFailed};
use crate::measures::NAME;
use crate::today_table::{self, Due, Row};

/// How many rows are looked at again in one go.
const PAGE: u32 = 100;

impl Active<'_> {
    /// The rows that can be read. The others are parked.
    pub(super) async fn readable(&mut self, rows: Vec<Row>) -> Result<Vec<Due>, ReaderFailed> {
        let (mut due, mut elders) = (Vec::with_capacity(rows.len()), Vec::new());
        for row in rows {
            match row {
                Ok(row) => due.push(row),
                Err(row) => elders.push(row.elder),
            }
        }
        if !elders.is_empty() {
            self.pass_by(&elders).await?;
        }
        Ok(due)
    }

    async fn pass_by(&mut self, elders: &[ElderId]) -> Result<(), ReaderFailed> {
        let rows = elders.iter().map(ElderId::to_string);
        let rows: Vec<Parked> = rows
            .map(|elder| Parked::row(format!("facts {elder}"), elder))
            .collect();
        let stream = self.evaluator.registry.stream();
        let new = parked::park(&mut self.conn, NAME, stream, &rows).await;
        let new = new.map_err(ReaderFailed::because)?;
        if new > 0 {
            tracing::error!(
                rows = new,
                "facts can't be read: whom they are about keeps the tier on record"
            );
        }
        today_table::not_due(&mut self.conn, elders).await?;
        Ok(())
    }

    /// Looks again at what is parked. Whoever's facts can be read by now is judged by them on a day, and is parked no more.
    pub(super) async fn look_again(&mut self, day: LocalDay) -> Result<(), ReaderFailed> {
        let (pool, mut after) = (&self.evaluator.pool, 0);
        loop {
            let page = parked::list(pool, Some(NAME), after, PAGE).await;
            let page = page.map_err(ReaderFailed::because)?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            after = last.id;
            let numbers = page
                .iter()
                .filter_map(|row| Some((row.subject.parse::<ElderId>().ok()?, row.id)));
            let numbers: HashMap<ElderId, i64> = numbers.collect();
            let elders: Vec<ElderId> = numbers.keys().copied().collect();
            let rows = today_table::of_elders(&mut self.conn, &elders).await?;
            let due: Vec<Due> = rows.into_iter().filter_map(Result::ok).collect();
            let readable = due.iter().filter_map(|due| numbers.get(&due.elder));
            let readable: Vec<i64> = readable.copied().collect();
            if due.is_empty() {
                continue;
            }
            self.judge_recorded(due, day).await?;
            for number in readable {
                let gone = parked::discard(pool, number).await;
                gone.map_err(ReaderFailed::because)?;
            }
        }
    }
}
