//! A day begins: those are judged whom time alone may change, found by an index and not by looking at everybody.

use civic::LocalDay;
use eventlog::Position;

use super::{Active, CHUNK, ReaderFailed};
use crate::today_table;

impl Active<'_> {
    /// A day begins: those are judged whom time alone may change.
    pub(super) async fn day(&mut self, day: LocalDay) -> Result<(), ReaderFailed> {
        self.load_policies(day).await?;
        self.look_again(day).await?;
        let event = Position::new("DAY", u64::from(day.epoch_days().unsigned_abs()));
        loop {
            let rows = today_table::due_by(&mut self.conn, day, CHUNK).await?;
            let last = (rows.len() as i64) < CHUNK;
            let due = self.readable(rows).await?;
            if last {
                // Only now are all done.
                self.progress.day = day;
            }
            self.measures.judged(due.len(), "day");
            self.judge_facts(due, day, |_| event.clone()).await?;
            if last {
                self.measures
                    .day_done(day.start(), self.evaluator.clock.now());
                return Ok(());
            }
        }
    }
}
