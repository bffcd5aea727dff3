//! What follows from signals and timers becomes deeds of lines of alerts.

use std::collections::HashSet;

use civic::{AlertKind, Severity};
use eventlog::{Position, Repository};
use readmodel::ReaderFailed;
use service::telemetry;
use sqlx::{AssertSqlSafe, PgPool};
use tracing::Instrument as _;

use super::Watch;
use crate::alert_line::{AlertLine, Cause, Command, LineId, Raised};
use crate::board_table;
use crate::deeds::{Deed, MANY, alert_of, carry_out, request_of};
use crate::monitor::{Finding, What};
use crate::signal::Signal;
use crate::signals::STREAM;
use crate::watched_device::WatchedDevice;

/// How many deeds that are not urgent are done at once: an alarm that comes meanwhile waits no longer than these take.
const DEEDS_AT_ONCE: usize = 1_000;

impl Watch<'_> {
    /// What follows from a signal, or from time that passed before it.
    pub(super) fn follow(&mut self, findings: Vec<Finding>, signal: Option<&Signal>) {
        if self.blind_until.is_some() {
            return;
        }
        for finding in findings {
            let Finding {
                elder,
                device,
                at,
                what,
            } = finding;
            let village = self
                .monitor
                .homes()
                .get(&elder)
                .and_then(|home| home.village);
            let answers = signal.map(|signal| Position::new(STREAM, signal.sequence));
            let instant = at.timestamp_micros().to_string();
            // A device that is registered anew, or moved, may count its signals from the beginning.
            let since = self
                .monitor
                .device(&device)
                .map_or(0, WatchedDevice::since)
                .to_string();
            let (line, command, request) = match what {
                What::Raises(kind, cause) => {
                    let line = LineId::of(kind, elder, &device);
                    let request = match &cause {
                        Cause::Signal(source) => {
                            request_of(&["signal", device.as_str(), &since, &source.signal])
                        }
                        Cause::Silence { .. } | Cause::MissedVisit { .. } | Cause::Request => {
                            request_of(&["silence", kind.name(), device.as_str(), &since, &instant])
                        }
                    };
                    let policy = self.monitor.policies().of(village.as_ref());
                    let raised = Raised {
                        alert: alert_of(request),
                        kind,
                        elder,
                        village,
                        at,
                        cause,
                        levels: policy.levels(kind, at),
                    };
                    (line, Command::Raise(raised), request)
                }
                What::Noted(kind, source) => {
                    let line = LineId::of(kind, elder, &device);
                    let request = request_of(&["noted", device.as_str(), &since, &source.signal]);
                    (line, Command::Note { source, at }, request)
                }
                What::HeardAgain => {
                    let line = LineId::of(AlertKind::DeviceOffline, elder, &device);
                    let request = request_of(&["heard", device.as_str(), &since, &instant]);
                    (line, Command::Clear { device, at }, request)
                }
            };
            self.measures.done(line.kind);
            let urgent = matches!(line.kind.severity(), Severity::Critical | Severity::High);
            let deed = Deed {
                id: line.to_string(),
                command,
                request,
                village,
                answers,
            };
            if urgent {
                self.urgent.push(deed);
            } else {
                self.deeds.push_back(deed);
            }
        }
    }

    /// Has lines reach the levels that are due, also while much waits to be heard: each decides on what people did.
    pub(super) fn escalate(&mut self) {
        let now = self.man.clock.now();
        for (alert, due, waiting) in self.levels.due(now) {
            self.measures.fired(due, now);
            let due = due.timestamp_micros().to_string();
            let deed = Deed {
                request: request_of(&["escalate", &alert.to_string(), &due]),
                id: waiting.line.to_string(),
                command: Command::Escalate { alert, until: now },
                village: waiting.village,
                answers: None,
            };
            self.urgent.push(deed);
        }
    }

    /// Does what is urgent, and some of the rest.
    pub(super) async fn do_deeds(&mut self) -> Result<(), ReaderFailed> {
        let mut now_done = std::mem::take(&mut self.urgent);
        let some = self.deeds.len().min(DEEDS_AT_ONCE);
        now_done.extend(self.deeds.drain(..some));
        if now_done.is_empty() {
            return Ok(());
        }
        self.ours.extend(now_done.iter().map(|deed| deed.request));
        let man = self.man;
        assume_new(&man.lines, &man.pool, &now_done).await?;
        // What is heard comes by no request: what follows from it at this moment is a trace.
        let span = telemetry::span_of("react alerts watching", None);
        let written = carry_out(&man.lines, now_done, man.clock.now());
        let written = written.instrument(span).await?;
        self.written = self.written.max(written);
        Ok(())
    }
}

/// Most homes have never had an alert of the kind: where there are many at once, their lines need not be looked for in the
/// log one by one.
async fn assume_new(
    lines: &Repository<AlertLine>,
    pool: &PgPool,
    deeds: &[Deed<AlertLine>],
) -> Result<(), ReaderFailed> {
    if deeds.len() < MANY {
        return Ok(());
    }
    let wanted: HashSet<&str> = deeds.iter().map(|deed| deed.id.as_str()).collect();
    let wanted: Vec<&str> = wanted.into_iter().collect();
    let statement = format!(
        "SELECT DISTINCT line FROM {}.alert WHERE line = ANY($1)",
        board_table::NAME
    );
    let known: Vec<String> = sqlx::query_scalar(AssertSqlSafe(statement))
        .bind(&wanted)
        .fetch_all(pool)
        .await?;
    let known: HashSet<&str> = known.iter().map(String::as_str).collect();
    for line in wanted.into_iter().filter(|line| !known.contains(line)) {
        lines.assume_new(line).map_err(ReaderFailed::because)?;
    }
    Ok(())
}
