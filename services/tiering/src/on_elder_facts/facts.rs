//! The registry recorded facts: the elders concerned are judged by all that is known of them.

use civic::LocalDay;
use eventlog::Position;
use readmodel::{Traces, Work};

use super::{Active, CHUNK, Evaluator, Judged, ReaderFailed};
use crate::holds_from::assign;
use crate::measures::NAME;
use crate::tier_decisions::{Cause, Evaluated};
use crate::today_table::{self, Due, Today};

impl Active<'_> {
    /// The facts hold all that was recorded before now.
    pub(super) async fn await_facts(&self) -> Result<(), ReaderFailed> {
        let Evaluator {
            registry, facts, ..
        } = self.evaluator;
        facts.catches_up(registry.as_ref()).await?;
        Ok(())
    }

    /// Facts that the registry recorded up to the end of a day; whether there were any. `known` is how far the facts are,
    /// where all of them are asked for.
    pub(super) async fn records(
        &mut self,
        known: Option<u64>,
        until: LocalDay,
    ) -> Result<bool, ReaderFailed> {
        let mut rows =
            today_table::recorded_after(&mut self.conn, self.progress.registry, CHUNK).await?;
        let more = rows.len() as i64 == CHUNK;
        // In the order of the log: what comes after a later record waits with it.
        let within = rows
            .iter()
            .take_while(|row| today_table::recorded_on(row) <= until)
            .count();
        rows.truncate(within);
        let Some(last) = rows.last().map(today_table::sequence_of) else {
            if let Some(known) = known.filter(|known| *known > self.progress.registry) {
                // Records that are about no elder's facts.
                self.progress.registry = known;
                self.commit(&[], &[]).await?;
            }
            return Ok(false);
        };
        let reached = known.filter(|_| !more).unwrap_or_default();
        let due = self.readable(rows).await?;
        self.progress.registry = last.max(reached);
        self.judge_recorded(due, self.progress.day).await?;
        Ok(true)
    }

    /// Judges elders on a day because of the last that was recorded about them.
    pub(super) async fn judge_recorded(
        &mut self,
        due: Vec<Due>,
        day: LocalDay,
    ) -> Result<(), ReaderFailed> {
        let stream = self.evaluator.registry.stream().to_owned();
        self.measures.judged(due.len(), "fact");
        self.judge_facts(due, day, |due| Position::new(&*stream, due.sequence))
            .await
    }

    /// Judges elders by their facts on a day, appends what differs, and commits what holds now with the progress.
    pub(super) async fn judge_facts(
        &mut self,
        due: Vec<Due>,
        day: LocalDay,
        event: impl Fn(&Due) -> Position,
    ) -> Result<(), ReaderFailed> {
        let requests = due.iter().filter_map(|due| due.traceparent.as_deref());
        let traces = Traces::from_here_on(requests);
        let (mut rows, mut erased, mut judged) = (Vec::new(), Vec::new(), Vec::new());
        for due in due {
            let cause = Cause {
                event: event(&due),
                answers: Some(Position::new(
                    self.evaluator.registry.stream(),
                    due.sequence,
                )),
                causation: Some(due.record),
                correlation: due.correlation,
                traceparent: due.traceparent,
            };
            let row = due
                .facts
                .as_ref()
                .map(|facts| Today::of(due.elder, facts, day));
            match row {
                Some(row) => rows.push(row),
                None => erased.push(due.elder),
            }
            let assignment = row.and_then(|row| {
                Some(assign(
                    &mut self.judges,
                    &self.in_force,
                    row.key?,
                    row.village,
                ))
            });
            judged.push(Judged {
                evaluated: Evaluated {
                    elder: due.elder,
                    assignment,
                    village: row.map(|row| row.village),
                    on: day,
                    cause,
                },
                known: due.facts.map(|facts| (facts, due.opened_on)),
            });
        }
        self.append(judged).await?;
        self.commit(&rows, &erased).await?;
        traces.passed(Work::React, NAME);
        Ok(())
    }
}
