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
    client::{Client, in_words, is_lost, reason},
    output::{Output, number, print_line, table},
    screen::Screen,
    wire,
    words::{chinese, labelled},
};

/// How often the time that has passed is shown anew.
const TICK: Duration = Duration::from_secs(1);
/// Before a lost stream is asked for again at first; each time in vain it is twice as long.
const AGAIN: Duration = Duration::from_secs(1);
/// It never takes longer than this.
const AT_MOST: Duration = Duration::from_secs(30);
/// Lines of a screen that no alert takes.
const FRAME: usize = 5;

/// Shows the open alerts of a division until it is interrupted. A stream that is lost is taken up where it was.
///
/// # Errors
/// Alerts' refusal, or a standard output that can't be written.
pub async fn watch(client: &Client, division: &str, output: Output) -> anyhow::Result<()> {
    let mut view = View {
        screen: Screen::of(output)?,
        output,
        clock: Offset::of(client).await,
    };
    let (mut board, mut pauses) = (Board::default(), Pauses::default());
    loop {
        let end = match follow(client, division, &board.position).await {
            Ok(changes) => {
                view.found(&mut board);
                view.clock = Offset::of(client).await;
                hear(client, changes, &mut board, &mut view, &mut pauses).await?
            }
            Err(status) => End::of(&status)?,
        };
        let End::Lost(why) = end else {
            return Ok(());
        };
        let pause = pauses.another();
        view.lost(&mut board, &why, pause);
        view.wait(&board, pause).await?;
    }
}

/// Why nothing more is heard.
enum End {
    /// Nobody reads what is printed any more.
    Unread,
    /// The stream is lost, for this reason, and may be asked for again.
    Lost(String),
}

impl End {
    /// What it means that a stream failed.
    fn of(status: &Status) -> anyhow::Result<Self> {
        if is_lost(status) {
            Ok(Self::Lost(reason(status)))
        } else {
            Err(in_words(status))
        }
    }
}

/// Shows what comes until it ends.
async fn hear(
    client: &Client,
    mut changes: Streaming<WatchAlertsResponse>,
    board: &mut Board,
    view: &mut View,
    pauses: &mut Pauses,
) -> anyhow::Result<End> {
    let mut tick = interval(TICK);
    loop {
        let told = tokio::select! {
            told = changes.message() => told,
            _ = tick.tick(), if view.screen.is_some() => {
                view.show(board)?;
                continue;
            }
        };
        match told {
            Ok(Some(told)) => {
                *pauses = Pauses::default();
                let alert = board.hear(told);
                if view.screen.is_some() {
                    if board.caught_up {
                        view.clock = view.clock.looked_at(client).await;
                        view.show(board)?;
                    }
                } else if let Some(alert) = alert
                    && !print(&alert, view.output)?
                {
                    return Ok(End::Unread);
                }
            }
            Ok(None) => return Ok(End::Lost("the stream ended".to_owned())),
            Err(status) => return End::of(&status),
        }
    }
}

/// Where the alerts are shown.
struct View {
    /// A terminal's; none where changes are printed line by line.
    screen: Option<Screen>,
    output: Output,
    clock: Offset,
}

impl View {
    /// Shows the board, where there is a screen for it.
    fn show(&self, board: &Board) -> anyhow::Result<()> {
        if let Some(screen) = &self.screen {
            screen.show(&board.text(self.clock.now(), screen.lines(FRAME)))?;
        }
        Ok(())
    }

    /// The stream is lost, and is asked for again after a pause. Standard output has changes alone.
    fn lost(&self, board: &mut Board, why: &str, pause: Duration) {
        board.lost = true;
        if self.screen.is_none() {
            let seconds = pause.as_secs();
            eprintln!(
                "connection lost ({why}), trying again in {seconds} s / 连接中断，{seconds} 秒后重试"
            );
        }
    }

    /// Waits; a screen shows meanwhile how the time passes.
    async fn wait(&self, board: &Board, pause: Duration) -> anyhow::Result<()> {
        let end = Instant::now() + pause;
        loop {
            self.show(board)?;
            let next = end.min(Instant::now() + TICK);
            tokio::time::sleep_until(next).await;
            if next == end {
                return Ok(());
            }
        }
    }

    /// There is a stream, perhaps again.
    fn found(&self, board: &mut Board) {
        if board.lost && self.screen.is_none() {
            eprintln!("connected again / 连接已恢复");
        }
        board.lost = false;
    }
}

/// The pauses before a lost stream is asked for again.
#[derive(Debug)]
struct Pauses(Duration);

impl Default for Pauses {
    fn default() -> Self {
        Self(AGAIN)
    }
}

impl Pauses {
    /// The next one.
    fn another(&mut self) -> Duration {
        let pause = self.0;
        self.0 = (2 * pause).min(AT_MOST);
        pause
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
    fn a_torn_connection_ends_no_watch_and_a_refusal_does() {
        let torn = [
            Status::unavailable("the system is away"),
            Status::unknown("transport error"),
            Status::internal("h2 protocol error"),
            Status::cancelled("the server went"),
        ];
        for status in torn {
            assert!(matches!(End::of(&status), Ok(End::Lost(_))), "{status}");
        }
        for status in [
            Status::permission_denied("not yours"),
            Status::unauthenticated("who are you"),
            Status::invalid_argument("no division"),
        ] {
            assert!(End::of(&status).is_err(), "{status}");
        }
    }

    #[test]
    fn a_stream_is_asked_for_again_at_longer_and_longer_intervals() {
        let mut pauses = Pauses::default();
        let seconds = [(); 7].map(|()| pauses.another().as_secs());
        assert_eq!(seconds, [1, 2, 4, 8, 16, 30, 30]);
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
