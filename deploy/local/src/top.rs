//! `top`: a running system live: how much is written, what is behind, which alerts are open.

use std::time::Duration;

use chrono::Utc;
use civic::AlertKind;
use serde::Serialize;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::{
    output::{Output, Report, number, print_line, table},
    place::Place,
    screen::Screen,
    status::{Look, Standing, StreamStatus, Unanswered},
    wire,
};

/// How often it is looked.
const TICK: Duration = Duration::from_secs(1);
/// Lines of a screen that no read model takes.
const FRAME: usize = 23;

/// What `top` shows.
#[derive(Debug, Serialize)]
pub struct Top {
    /// When it was looked.
    pub at: String,
    /// Where the system serves that runs in the data folder.
    pub endpoint: Option<String>,
    /// Where the log is of an installation that settings tell of; null where it is that of a data folder.
    pub log: Option<String>,
    /// The streams.
    pub streams: Vec<Flow>,
    /// Streams of which nobody tells anything.
    pub unanswered: Vec<Unanswered>,
    /// The read models and reactors, those that are furthest behind first.
    pub projections: Vec<Behind>,
    /// Services of whose read models nobody tells anything: their database is away.
    pub databases_away: Vec<Unanswered>,
    /// The alerts that are open, by kind; null where nobody tells.
    pub alerts: Option<Vec<OpenAlerts>>,
}

/// A stream.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Flow {
    /// Its name.
    pub name: String,
    /// How many messages it holds.
    pub messages: u64,
    /// How many more were written each second since the look before.
    pub per_second: f64,
}

/// A read model or reactor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Behind {
    /// Its name.
    pub projection: String,
    /// How many records it does not hold yet; null where nobody tells anything of its stream.
    pub lag: Option<u64>,
    /// How many events it passed by.
    pub parked: u64,
}

/// Alerts of a kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OpenAlerts {
    /// The kind.
    pub kind: &'static str,
    /// How many are open.
    pub open: u64,
}

/// Shows the system that runs in the data folder, or elsewhere, until it is interrupted, or `once`: how it stands a second after
/// it was looked first. Whether it could then be told of all: a stream or a database that is away does not hide the others.
///
/// # Errors
/// A folder in which no system runs, settings that are missing or wrong, a log's server that does not answer, or a standard output
/// that can't be written.
pub async fn top(place: &Place, once: bool, output: Output) -> anyhow::Result<bool> {
    if !place.is_running() {
        anyhow::bail!(
            "no system runs in the data folder: start one with `eldercare up` / 数据目录中没有运行中的系统：请先执行 eldercare up"
        );
    }
    let look = Look::open(place).await?;
    let mut tick = interval(TICK);
    // A machine that is busy is not asked all the more.
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tick.tick().await;
    let mut before = (Instant::now(), look.now().await?);
    let screen = if once { None } else { Screen::of(output)? };
    loop {
        tick.tick().await;
        let now = (Instant::now(), look.now().await?);
        let passed = now.0.duration_since(before.0);
        let mut top = Top::between(&before.1, &now.1, passed);
        top.tell_alerts(look.open_alerts().await);
        before = now;
        match &screen {
            _ if once => {
                output.print(&top)?;
                return Ok(top.is_whole());
            }
            Some(screen) => screen.show(&top.shown(screen.lines(FRAME)))?,
            None => {
                let line = match output {
                    Output::Json => serde_json::to_string(&top)?,
                    Output::Table => top.line(),
                };
                if !print_line(line)? {
                    return Ok(true);
                }
            }
        }
    }
}

impl Top {
    /// What there is now, and how much of it came since.
    fn between(before: &Standing, now: &Standing, passed: Duration) -> Self {
        let flow = |stream: &StreamStatus| {
            let mut known = before.streams.iter();
            let known = known.find(|known| known.name == stream.name);
            let mut untold = before.unanswered.iter();
            let written = match known {
                Some(known) => stream.last_sequence.saturating_sub(known.last_sequence),
                // What came since the look before nobody knows.
                None if untold.any(|untold| untold.name == stream.name) => 0,
                None => stream.last_sequence,
            };
            #[expect(clippy::cast_precision_loss, reason = "a rate to look at")]
            let per_second = written as f64 / passed.as_secs_f64().max(f64::EPSILON);
            Flow {
                name: stream.name.clone(),
                messages: stream.messages,
                per_second,
            }
        };
        let mut projections: Vec<Behind> = now
            .projections
            .iter()
            .map(|one| Behind {
                projection: one.projection.clone(),
                lag: one.lag,
                parked: one.parked,
            })
            .collect();
        projections.sort_by(|one, other| {
            let furthest = (other.lag, other.parked).cmp(&(one.lag, one.parked));
            furthest.then_with(|| one.projection.cmp(&other.projection))
        });
        Self {
            at: wire::local_time(Utc::now()),
            endpoint: now.endpoint.clone(),
            log: now.log.clone(),
            streams: now.streams.iter().map(flow).collect(),
            unanswered: now.unanswered.clone(),
            projections,
            databases_away: now.databases_away.clone(),
            alerts: None,
        }
    }

    /// Adds which alerts are open, or whose database is away.
    fn tell_alerts(&mut self, open: Result<Vec<(AlertKind, u64)>, Unanswered>) {
        match open {
            Ok(open) => {
                let open = open.into_iter().map(|(kind, open)| OpenAlerts {
                    kind: kind.name(),
                    open,
                });
                self.alerts = Some(open.collect());
            }
            Err(away) => {
                if !self.databases_away.iter().any(|one| one.name == away.name) {
                    self.databases_away.push(away);
                }
            }
        }
    }

    /// Whether something is known of each stream, and of all read models.
    fn is_whole(&self) -> bool {
        self.unanswered.is_empty() && self.databases_away.is_empty()
    }

    /// Of which streams nobody tells anything, and of whose read models.
    fn away(&self) -> Option<String> {
        let away = self.unanswered.iter().chain(&self.databases_away);
        let names: Vec<&str> = away.map(|one| one.name.as_str()).collect();
        (!names.is_empty()).then(|| names.join(", "))
    }

    /// All of it in a line.
    fn line(&self) -> String {
        let written: f64 = self.streams.iter().map(|one| one.per_second).sum();
        let behind = match self.projections.first() {
            Some(Behind {
                lag: Some(lag @ 1..),
                projection,
                ..
            }) => format!("{lag} ({projection})"),
            Some(_) | None => "0".to_owned(),
        };
        let parked: u64 = self.projections.iter().map(|one| one.parked).sum();
        let mut line = format!(
            "{} written {written:.0}/s, behind {behind}, parked {parked}, open alerts {}",
            self.at,
            self.open_alerts()
        );
        if let Some(away) = self.away() {
            line.push_str(&format!(", nobody tells of {away}"));
        }
        line
    }

    /// The open alerts by kind, in words.
    fn open_alerts(&self) -> String {
        let Some(alerts) = &self.alerts else {
            return "?".to_owned();
        };
        let kinds: Vec<String> = alerts
            .iter()
            .map(|one| format!("{} {}", one.kind, one.open))
            .collect();
        if kinds.is_empty() {
            return "0".to_owned();
        }
        kinds.join(", ")
    }

    /// As a person reads it, with so many read models at the most.
    fn shown(&self, most: usize) -> String {
        let mut streams = table(["流 stream", "消息 messages", "每秒 a second"]);
        for stream in &self.streams {
            streams.add_row([
                stream.name.clone().into(),
                number(stream.messages),
                number(format!("{:.1}", stream.per_second)),
            ]);
        }
        let mut projections = table(["读模型 read model", "落后 lag", "搁置 parked"]);
        for one in self.projections.iter().take(most) {
            projections.add_row([
                one.projection.clone().into(),
                number(one.lag.map(|lag| lag.to_string()).unwrap_or_default()),
                number(one.parked),
            ]);
        }
        let serving = self.endpoint.as_deref().or(self.log.as_deref());
        let serving = serving.unwrap_or_default();
        let mut text = format!(
            "{} {serving}\n{streams}\n{projections}\n未结预警 open alerts: {}",
            self.at,
            self.open_alerts()
        );
        if let Some(away) = self.away() {
            text.push_str(&format!("\n无应答 nobody tells of: {away}"));
        }
        text
    }
}

impl Report for Top {
    fn text(&self) -> String {
        self.shown(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use readmodel::ProjectionStatus;

    use super::*;

    fn stream(name: &str, last_sequence: u64) -> StreamStatus {
        StreamStatus {
            name: name.to_owned(),
            messages: last_sequence,
            bytes: 0,
            subjects: 0,
            last_sequence,
            replicas: 1,
            leader: None,
            copies: Vec::new(),
        }
    }

    fn projection(name: &str, lag: u64, parked: u64) -> ProjectionStatus {
        ProjectionStatus {
            projection: name.to_owned(),
            stream: "VISITS".to_owned(),
            position: 0,
            head: Some(lag),
            lag: Some(lag),
            parked,
            version: 1,
            updated_at: Utc::now(),
            runner: None,
        }
    }

    fn standing(streams: Vec<StreamStatus>, projections: Vec<ProjectionStatus>) -> Standing {
        Standing {
            endpoint: None,
            log: None,
            streams,
            absent: Vec::new(),
            unanswered: Vec::new(),
            projections,
            databases_away: Vec::new(),
        }
    }

    #[test]
    fn rates_are_of_the_time_that_passed_and_who_is_furthest_behind_stands_first() {
        let before = standing(vec![stream("VISITS", 100)], Vec::new());
        let now = standing(
            vec![stream("CLAIMS", 6), stream("VISITS", 150)],
            vec![
                projection("visits_cards", 0, 0),
                projection("visits_elders", 0, 2),
                projection("visits_book", 30, 0),
            ],
        );
        let mut top = Top::between(&before, &now, Duration::from_secs(2));
        let rates: Vec<f64> = top.streams.iter().map(|one| one.per_second).collect();
        assert_eq!(rates, [3.0, 25.0]);
        let order: Vec<&str> = top.projections.iter().map(|one| &*one.projection).collect();
        assert_eq!(order, ["visits_book", "visits_elders", "visits_cards"]);
        top.tell_alerts(Ok(Vec::new()));
        let line = "written 28/s, behind 30 (visits_book), parked 2, open alerts 0";
        assert!(top.line().ends_with(line), "{}", top.line());
        top.tell_alerts(Ok(vec![(AlertKind::Sos, 2), (AlertKind::Fall, 1)]));
        assert!(top.line().ends_with("open alerts SOS 2, FALL 1"));
        assert!(top.shown(1).contains("visits_book") && !top.shown(1).contains("visits_cards"));
    }

    #[test]
    fn what_is_away_is_named_and_hides_nothing_else() {
        let unanswered = |name: &str| Unanswered {
            name: name.to_owned(),
            reason: "timed out".to_owned(),
        };
        let mut before = standing(vec![stream("VISITS", 100)], Vec::new());
        before.unanswered.push(unanswered("CLAIMS"));
        let mut unknown = projection("visits_book", 0, 0);
        unknown.lag = None;
        let streams = vec![stream("CLAIMS", 900), stream("SHARING", 3)];
        let mut now = standing(streams, vec![unknown, projection("claims_book", 7, 0)]);
        now.unanswered.push(unanswered("VISITS"));
        let mut top = Top::between(&before, &now, Duration::from_secs(1));
        let rates: Vec<f64> = top.streams.iter().map(|one| one.per_second).collect();
        assert_eq!(rates, [0.0, 3.0]);
        assert!(!top.is_whole());
        top.tell_alerts(Err(unanswered("alerts")));
        top.tell_alerts(Err(unanswered("alerts")));
        let line =
            "behind 7 (claims_book), parked 0, open alerts ?, nobody tells of VISITS, alerts";
        assert!(top.line().ends_with(line), "{}", top.line());
        assert!(top.shown(2).contains("nobody tells of: VISITS, alerts"));
    }
}
