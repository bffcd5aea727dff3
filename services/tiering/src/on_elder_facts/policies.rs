//! A policy goes into force: everybody in scope within its division is judged by it.

use civic::{DivisionCode, LocalDay};
use eventlog::Position;
use readmodel::{Traces, Work};

use super::{Active, CHUNK, Judged, NextPolicy, ReaderFailed};
use crate::evaluate::Jurisdiction;
use crate::holds_from::assign;
use crate::measures::NAME;
use crate::tier_decisions::{Cause, Evaluated};
use crate::today_table;

impl Active<'_> {
    /// On a past day only the policies of that day; today all that are published.
    pub(super) async fn load_policies(&mut self, day: LocalDay) -> Result<(), ReaderFailed> {
        let day = if day < self.evaluator.clock.today() {
            day
        } else {
            LocalDay::MAX
        };
        self.in_force = self.evaluator.policies.on(&mut self.conn, day).await?;
        self.over_time = None;
        self.judges.clear();
        Ok(())
    }

    /// A policy goes into force: those within its division are judged by what holds there now.
    pub(super) async fn policy(&mut self, policy: NextPolicy) -> Result<(), ReaderFailed> {
        let traces = Traces::from_here_on(policy.traceparent.as_deref());
        self.load_policies(self.progress.day).await?;
        if let Jurisdiction::Division(division) = policy.jurisdiction {
            self.judge_division(&division, &policy).await?;
        }
        self.progress.tiering = policy.sequence;
        self.commit(&[], &[]).await?;
        traces.passed(Work::React, NAME);
        Ok(())
    }

    async fn judge_division(
        &mut self,
        division: &DivisionCode,
        policy: &NextPolicy,
    ) -> Result<(), ReaderFailed> {
        let event = Position::new(self.evaluator.tiering.stream(), policy.sequence);
        // Whoever was judged since it was published was judged by it already.
        let on = policy.on.min(self.progress.day);
        let cause = Cause {
            answers: Some(event.clone()),
            event,
            causation: Some(policy.record),
            correlation: policy.correlation,
            traceparent: policy.traceparent.clone(),
        };
        let mut after = None;
        loop {
            let rows = today_table::in_scope(&mut self.conn, division, after, CHUNK).await?;
            let Some(last) = rows.last() else {
                return Ok(());
            };
            after = Some(last.elder);
            let judged = rows.iter().map(|row| Judged {
                evaluated: Evaluated {
                    elder: row.elder,
                    assignment: row
                        .key
                        .map(|key| assign(&mut self.judges, &self.in_force, key, row.village)),
                    village: Some(row.village),
                    on,
                    cause: cause.clone(),
                },
                known: None,
            });
            let judged = judged.collect();
            self.measures.judged(rows.len(), "policy");
            self.append(judged).await?;
            self.commit(&[], &[]).await?;
        }
    }
}
