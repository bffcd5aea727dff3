//! One notice to one recipient, attempt by attempt: each is on record before the next.

use std::sync::Arc;
use std::time::Duration;

use civic::NoticeChannel;
use eventlog::{LoadError, Loaded};
use notices::{Failure, Notice};
use readmodel::ReaderFailed;
use service::telemetry;
use uuid::Uuid;

use super::{AGAIN, Teller};
use crate::alert_line::{Raised, Stage};
use crate::attempts::{Attempt, Notices, Outcome};
use crate::deeds::{Deed, carry_out, request_of};
use crate::whom::Whom;

/// The pauses after failed attempts; after the last one it is given up.
const PAUSES: [u64; 10] = [1, 2, 4, 8, 15, 30, 60, 60, 120, 300];
/// Why nobody was told.
const NOBODY: &str = "NOBODY_REGISTERED";
/// Why nobody is told any more.
const OVER: &str = "ALERT_OVER";

impl Teller {
    /// Tells one recipient, attempt by attempt, where `known` does not say that it is done; the last sequence of what was
    /// written.
    pub(super) async fn deliver(
        &self,
        known: &Notices,
        whom: Whom,
        level: u8,
        alerts: Vec<(String, Raised)>,
        text: notices::Text,
        data: serde_json::Value,
    ) -> Result<u64, ReaderFailed> {
        let Some((line, first)) = alerts.first() else {
            return Ok(0);
        };
        if known.has_told(first.alert, level, whom.recipient) {
            self.untold.settled(first.alert, level);
            return Ok(0);
        }
        let key = notice_of(first, level, &whom);
        let before = known.of(key);
        if before.is_some_and(|told| told.over) {
            return Ok(0);
        }
        let mut number = before.map_or(0, |told| told.attempts);
        let mut ways = whom.ways.clone();
        let mut written = 0;
        loop {
            number += 1;
            let turn = usize::try_from(number - 1).unwrap_or(0) % ways.len().max(1);
            let Some((channel, address)) = ways.get(turn).cloned() else {
                let outcome = failed(NOBODY, true);
                let attempt = (NoticeChannel::Log, number, outcome);
                return self.record(key, &whom, level, &alerts, attempt).await;
            };
            let notice = Notice {
                key,
                channel,
                address,
                attempt: number,
                text: text.clone(),
                data: data.clone(),
                traceparent: telemetry::traceparent(),
            };
            let outcome = match self.channels.send(&notice).await {
                Ok(delivered) => {
                    let due = first.due_since(level);
                    self.measures.noticed(whom.role, due, self.clock.now());
                    self.untold.settled(first.alert, level);
                    Outcome::Sent {
                        reference: delivered.reference,
                    }
                }
                Err(failure) => {
                    if let Failure::Final(_) = failure {
                        ways.remove(turn);
                    }
                    let tried = usize::try_from(number).unwrap_or(usize::MAX);
                    let given_up = ways.is_empty()
                        || tried > PAUSES.len()
                        || self.is_over(line, first.alert).await;
                    failed(failure.reason().code(), given_up)
                }
            };
            let over = outcome.is_the_end();
            let attempt = (channel, number, outcome);
            written = self
                .record(key, &whom, level, &alerts, attempt)
                .await?
                .max(written);
            if over {
                return Ok(written);
            }
            let pause = PAUSES.get(usize::try_from(number - 1).unwrap_or(0));
            let pause = pause.copied().unwrap_or(PAUSES[PAUSES.len() - 1]);
            tokio::time::sleep(Duration::from_secs(pause)).await;
            if self.is_over(line, first.alert).await {
                let attempt = (channel, number + 1, failed(OVER, true));
                let last = self.record(key, &whom, level, &alerts, attempt).await?;
                return Ok(last.max(written));
            }
        }
    }

    /// What was told of the alerts of a line; none where that can't be read: then nothing is told twice, or at all.
    pub(super) async fn what_was_told(&self, line: &str) -> Option<Arc<Loaded<Notices>>> {
        self.patiently(|| async {
            match self.notices.load_newest(line).await {
                Ok(known) => Ok(Some(known)),
                Err(LoadError::Unreadable { sequence, .. }) => {
                    tracing::error!(
                        sequence,
                        "who was told of an alert can't be read: nobody is"
                    );
                    Ok(None)
                }
                Err(error) => Err(error.into()),
            }
        })
        .await
    }

    /// Whether an alert is over: nobody else needs to be told.
    pub(super) async fn is_over(&self, line: &str, alert: Uuid) -> bool {
        let Ok(known) = self.lines.load_newest(line).await else {
            return false;
        };
        known
            .state
            .newest()
            .is_none_or(|newest| newest.raised.alert != alert || newest.stage == Stage::Resolved)
    }

    async fn record(
        &self,
        key: Uuid,
        whom: &Whom,
        level: u8,
        alerts: &[(String, Raised)],
        (channel, number, outcome): (NoticeChannel, u32, Outcome),
    ) -> Result<u64, ReaderFailed> {
        let now = self.clock.now();
        let count = u32::try_from(alerts.len()).unwrap_or(u32::MAX);
        loop {
            let deeds = alerts.iter().map(|(line, raised)| Deed::<Notices> {
                id: line.clone(),
                command: Attempt {
                    notice: key,
                    alert: raised.alert,
                    level,
                    recipient: whom.recipient,
                    role: whom.role,
                    channel,
                    number,
                    at: now,
                    alerts: count,
                    outcome: outcome.clone(),
                },
                request: request_of(&[
                    "attempt",
                    &key.to_string(),
                    &raised.alert.to_string(),
                    &number.to_string(),
                ]),
                village: raised.village,
                answers: None,
            });
            match carry_out(&self.notices, deeds.collect(), now).await {
                Ok(written) => return Ok(written),
                Err(error) => {
                    tracing::warn!(%error, "an attempt to tell somebody is not on record yet");
                    tokio::time::sleep(AGAIN).await;
                }
            }
        }
    }
}

/// The id of a notice: the same for each attempt, also after a restart.
pub(super) fn notice_of(raised: &Raised, level: u8, whom: &Whom) -> Uuid {
    request_of(&[
        "notice",
        &raised.alert.to_string(),
        &level.to_string(),
        whom.role.name(),
        &whom.recipient.to_string(),
    ])
}

fn failed(reason: &str, given_up: bool) -> Outcome {
    Outcome::Failed {
        reason: reason.to_owned(),
        given_up,
    }
}
