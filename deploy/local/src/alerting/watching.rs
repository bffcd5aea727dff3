//! `alerts watch`: the open alerts of a division, live: a table on a terminal, a line for each change otherwise.

use std::{collections::HashMap, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use proto::eldercare::alerts::v1::{
    Alert, Severity, WatchAlertsRequest, WatchAlertsResponse, watch_alerts_response::Told,
};
use tokio::time::{Instant, interval};
use tonic::{Status, Streaming};

use super::{Row, span};
use crate::{
    client::{Client, in_words, is_passing, is_torn},
    output::{Output, number, print_line, table},
    screen::Screen,
    wire,
    words::{chinese, labelled},
};

/// How often the time that has passed is shown anew.
const TICK: Duration = Duration::from_secs(1);
/// Before a lost stream is asked for again.
const AGAIN: Duration = Duration::from_secs(1);
/// Lines of a screen that no alert takes.
const FRAME: usize = 5;

/// Shows the open alerts of a division until it is interrupted. A stream that is lost is taken up where it was.
///
/// # Errors
/// Alerts' refusal, or a standard output that can't be written.
pub async fn watch(client: &Client, division: &str, output: Output) -> anyhow::Result<()> {
    let screen = Screen::of(output)?;
    let live = screen.is_some();
    let mut board = Board::default();
    let mut clock = Offset::of(client).await;
    let mut tick = interval(TICK);
    loop {
        let mut changes = match follow(client, division, &board.position).await {
            Ok(changes) => changes,
            Err(status) if is_passing(status.code()) => {
                board.lost = true;
                if let Some(screen) = &screen {
                    screen.show(&board.text(clock.now(), screen.lines(FRAME)))?;
                }
                tokio::time::sleep(AGAIN).await;
                continue;
            }
            Err(status) => return Err(in_words(&status)),
        };
        board.lost = false;
        clock = Offset::of(client).await;
        loop {
            let told = tokio::select! {
                told = changes.message() => told,
                _ = tick.tick(), if live => {
                    if let Some(screen) = &screen {
                        screen.show(&board.text(clock.now(), screen.lines(FRAME)))?;
                    }
                    continue;
                }
            };
            match told {
                Ok(Some(told)) => {
                    let alert = board.hear(told);
                    match (&screen, alert) {
                        (Some(screen), _) if board.caught_up => {
                            clock = clock.looked_at(client).await;
                            screen.show(&board.text(clock.now(), screen.lines(FRAME)))?;
                        }
                        (None, Some(alert)) => {
                            if !print(&alert, output)? {
                                return Ok(());
                            }
                        }
                        (Some(_), _) | (None, None) => {}
                    }
                }
                Ok(None) => break,
                Err(status) if is_passing(status.code()) => break,
                Err(status) if is_torn(&status) => break,
                Err(status) => return Err(in_words(&status)),
            }
        }
        board.lost = true;
        tokio::time::sleep(AGAIN).await;
    }
}

async fn follow(
    client: &Client,
    division: &str,
    after: &str,
) -> Result<Streaming<WatchAlertsResponse>, Status> {
    let request = WatchAlertsRequest {
        division_code: division.to_owned(),
        after_position: after.to_owned(),
    };
    let changes = client.alerts().watch_alerts(request).await?;
    Ok(changes.into_inner())
}

/// A change as a line; whether anybody still reads.
fn print(alert: &Alert, output: Output) -> anyhow::Result<bool> {
    let row = Row::of(alert);
    print_line(match output {
        Output::Json => serde_json::to_string(&row)?,
        Output::Table => {
            let level = row.level.map(|level| format!(" level {level}"));
            format!(
                "{} {} {} {}{} {} {} {}",
                row.raised_at,
                row.severity,
                row.kind,
                row.stage,
                level.unwrap_or_default(),
                row.division_code,
                row.outcome.unwrap_or_default(),
                row.alert_id
            )
        }
    })
}

/// The system's clock by ours.
#[derive(Debug, Clone, Copy)]
struct Offset {
    ahead: TimeDelta,
    looked: Instant,
}

impl Offset {
    async fn of(client: &Client) -> Self {
        Self {
            ahead: client.present().await - Utc::now(),
            looked: Instant::now(),
        }
    }

    /// A simulated clock may have been moved; it is looked at once a tick at most.
    async fn looked_at(self, client: &Client) -> Self {
        if self.looked.elapsed() < TICK {
            return self;
        }
        Self::of(client).await
    }

    fn now(self) -> DateTime<Utc> {
        Utc::now() + self.ahead
    }
}

/// The alerts that are open.
#[derive(Debug, Default)]
struct Board {
    open: HashMap<String, Alert>,
    /// Where to go on from; empty before the first.
    position: String,
    /// All that were open at the beginning are known.
    caught_up: bool,
    /// The stream is lost, and is asked for again.
    lost: bool,
    /// How many were closed since the beginning.
    closed: u64,
}

impl Board {
    /// Takes a change in: the alert that it is about.
    fn hear(&mut self, response: WatchAlertsResponse) -> Option<Alert> {
        self.position = response.position;
        let Some(Told::Alert(alert)) = response.told else {
            self.caught_up = true;
            return None;
        };
        if alert.resolved_at.is_some() {
            let was_open = self.open.remove(&alert.alert_id).is_some();
            self.closed += u64::from(was_open);
        } else {
            self.open.insert(alert.alert_id.clone(), alert.clone());
        }
        Some(alert)
    }

    /// The open ones, the most urgent first, and of these the oldest.
    fn sorted(&self) -> Vec<&Alert> {
        let mut open: Vec<&Alert> = self.open.values().collect();
        open.sort_by_key(|alert| {
            let raised = alert.raised_at.map(|at| (at.seconds, at.nanos));
            (alert.severity, raised, &alert.alert_id)
        });
        open
    }

    /// The table at an instant, of so many alerts at most.
    fn text(&self, now: DateTime<Utc>, lines: usize) -> String {
        let mut rows = table([
            "级别 severity",
            "预警 kind",
            "阶段 stage",
            "升级 level",
            "已过 elapsed",
            "村社区 village",
            "设备 device",
            "预警号 alert",
        ]);
        let open = self.sorted();
        for alert in open.iter().take(lines) {
            let row = Row::of(alert);
            let raised = alert.raised_at.and_then(wire::from_timestamp);
            let elapsed = raised.map(|raised| (now - raised).num_seconds().max(0));
            #[expect(clippy::cast_precision_loss, reason = "a span to look at")]
            let elapsed = elapsed.map(|seconds| span(seconds as f64));
            rows.add_row([
                labelled(row.severity).into(),
                labelled(row.kind).into(),
                labelled(row.stage).into(),
                number(row.level.map(|level| level.to_string()).unwrap_or_default()),
                number(elapsed.unwrap_or_default()),
                row.division_code.into(),
                row.device_id.unwrap_or_default().into(),
                row.alert_id.into(),
            ]);
        }
        let critical = open
            .iter()
            .filter(|one| one.severity() == Severity::Critical);
        let mut text = format!(
            "{} {} open 未结, {} {}, {} closed meanwhile 已结",
            wire::local_time(now),
            open.len(),
            critical.count(),
            chinese("CRITICAL"),
            self.closed
        );
        if self.lost {
            text.push_str(" -- 连接中断 connection lost, trying again");
        }
        let hidden = open.len().saturating_sub(lines);
        if hidden > 0 {
            text.push_str(&format!(" ({hidden} more below 另有)"));
        }
        format!("{text}\n{rows}")
    }
}

#[cfg(test)]
mod tests {
    use proto::eldercare::alerts::v1::{AlertKind, AlertOutcome, AlertStage, CaughtUp};

    use super::*;

    fn alert(id: &str, severity: Severity, seconds: i64) -> Alert {
        Alert {
            alert_id: id.to_owned(),
            kind: AlertKind::Sos.into(),
            severity: severity.into(),
            stage: AlertStage::Raised.into(),
            raised_at: Some(prost_types::Timestamp { seconds, nanos: 0 }),
            ..Default::default()
        }
    }

    fn told(alert: Alert, position: &str) -> WatchAlertsResponse {
        WatchAlertsResponse {
            told: Some(Told::Alert(alert)),
            position: position.to_owned(),
        }
    }

    #[test]
    fn the_most_urgent_stand_above_and_whatever_is_over_goes() {
        let mut board = Board::default();
        board.hear(told(alert("low", Severity::Low, 10), "ALERTS:1"));
        board.hear(told(alert("late", Severity::Critical, 30), "ALERTS:2"));
        board.hear(told(alert("early", Severity::Critical, 20), "ALERTS:3"));
        assert!(!board.caught_up);
        board.hear(WatchAlertsResponse {
            told: Some(Told::CaughtUp(CaughtUp {})),
            position: "ALERTS:3".to_owned(),
        });
        assert!(board.caught_up);
        let order = |board: &Board| {
            let sorted = board.sorted().into_iter();
            sorted.map(|one| one.alert_id.clone()).collect::<Vec<_>>()
        };
        assert_eq!(order(&board), ["early", "late", "low"]);
        let over = Alert {
            resolved_at: Some(prost_types::Timestamp {
                seconds: 40,
                nanos: 0,
            }),
            outcome: AlertOutcome::Assisted.into(),
            ..alert("early", Severity::Critical, 20)
        };
        board.hear(told(over, "ALERTS:4"));
        assert_eq!(order(&board), ["late", "low"]);
        assert_eq!((board.position.as_str(), board.closed), ("ALERTS:4", 1));
        let now = DateTime::from_timestamp(95, 0).unwrap();
        let text = board.text(now, 1);
        assert!(
            text.contains("1m05s") && text.contains("1 more below"),
            "{text}"
        );
    }
}
