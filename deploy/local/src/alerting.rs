//! `alerts`: alerts as they stand, the whole course of one, and how fast help came.

use civic::LocalDay;
use proto::eldercare::alerts::v1::{
    self as pb, Alert, GetResponseFiguresRequest, GetResponseFiguresResponse, ListAlertsRequest,
};
use serde::Serialize;

use crate::{
    client::{Client, call},
    output::{Report, number, percent, table},
    wire,
    words::{Word as _, labelled, name_of},
};

mod course;
mod watching;

pub use course::{AlertCourse, show};
pub use watching::watch;

/// Alerts on one page.
const PAGE: i32 = 1_000;

/// Which alerts are listed.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The division.
    pub division: &'a str,
    /// Only those that are not over.
    pub open: bool,
    /// Only those of this kind.
    pub kind: Option<&'a str>,
    /// At most so many.
    pub limit: usize,
}

/// Alerts, the latest first.
#[derive(Debug, Serialize)]
pub struct AlertList {
    /// The alerts.
    pub alerts: Vec<Row>,
    /// Whether there are more.
    pub more: bool,
}

/// An alert as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The alert.
    pub alert_id: String,
    /// What it is about.
    pub kind: &'static str,
    /// How urgent it is.
    pub severity: &'static str,
    /// How far help has come.
    pub stage: &'static str,
    /// The highest level that was reached; null where there is none.
    pub level: Option<i32>,
    /// Whom it is about.
    pub elder_id: String,
    /// The village.
    pub division_code: String,
    /// The device.
    pub device_id: Option<String>,
    /// What that is.
    pub device_kind: Option<&'static str>,
    /// When it happened, local time; the others too.
    pub raised_at: String,
    /// How many further signals joined it.
    pub joined: i32,
    /// When somebody was told first.
    pub first_notice_at: Option<String>,
    /// When somebody took it on.
    pub acknowledged_at: Option<String>,
    /// Whose it is.
    pub assigned_to: Option<String>,
    /// When somebody was sent.
    pub dispatched_at: Option<String>,
    /// When somebody was at the door.
    pub arrived_at: Option<String>,
    /// When it was over.
    pub resolved_at: Option<String>,
    /// How it ended.
    pub outcome: Option<&'static str>,
}

impl Row {
    /// An alert as the API has it.
    pub fn of(alert: &Alert) -> Self {
        let text = |text: &String| (!text.is_empty()).then(|| text.clone());
        Self {
            alert_id: alert.alert_id.clone(),
            kind: name_of::<pb::AlertKind>(alert.kind).unwrap_or("?"),
            severity: name_of::<pb::Severity>(alert.severity).unwrap_or("?"),
            stage: name_of::<pb::AlertStage>(alert.stage).unwrap_or("?"),
            level: alert.levels.iter().map(|reached| reached.level).max(),
            elder_id: alert.elder_id.clone(),
            division_code: alert.division_code.clone(),
            device_id: text(&alert.device_id),
            device_kind: name_of::<pb::DeviceKind>(alert.device_kind),
            raised_at: at(alert.raised_at).unwrap_or_default(),
            joined: alert.joined,
            first_notice_at: at(alert.first_notice_at),
            acknowledged_at: at(alert.acknowledged_at),
            assigned_to: text(&alert.assigned_to),
            dispatched_at: at(alert.dispatched_at),
            arrived_at: at(alert.arrived_at),
            resolved_at: at(alert.resolved_at),
            outcome: name_of::<pb::AlertOutcome>(alert.outcome),
        }
    }
}

/// An instant of the API in local time.
fn at(at: Option<prost_types::Timestamp>) -> Option<String> {
    Some(wire::local_time(wire::from_timestamp(at?)?))
}

/// The alerts of a division, the latest first.
///
/// # Errors
/// Alerts' refusal.
pub async fn list(client: &Client, wanted: Wanted<'_>) -> anyhow::Result<AlertList> {
    let kinds = wanted.kind.map(|name| {
        pb::AlertKind::named(name)
            .map(Into::into)
            .ok_or_else(|| anyhow::anyhow!("there is no kind of alert `{name}` / 没有该预警类型"))
    });
    let mut request = ListAlertsRequest {
        division_code: wanted.division.to_owned(),
        open_only: wanted.open,
        kinds: kinds.transpose()?.into_iter().collect(),
        ..Default::default()
    };
    let mut alerts = Vec::new();
    loop {
        let left = wanted.limit - alerts.len();
        request.page_size = i32::try_from(left).unwrap_or(PAGE).min(PAGE);
        let page = call(request.clone(), async |request| {
            client.alerts().list_alerts(request).await
        })
        .await?;
        alerts.extend(page.alerts.iter().map(Row::of));
        let more = !page.next_page_token.is_empty();
        if !more || alerts.len() >= wanted.limit {
            return Ok(AlertList { alerts, more });
        }
        request.page_token = page.next_page_token;
    }
}

/// How fast help came.
#[derive(Debug, Serialize)]
pub struct Figures {
    /// By kind of alert.
    pub kinds: Vec<KindFigures>,
    /// By kind of device.
    pub false_alarms: Vec<FalseAlarms>,
}

/// The figures of a kind of alert.
#[derive(Debug, Serialize)]
pub struct KindFigures {
    /// Which.
    pub kind: &'static str,
    /// How many were raised.
    pub raised: i64,
    /// How many are not over.
    pub open: i64,
    /// To the first notice.
    pub to_first_notice: Delay,
    /// To somebody who took it on.
    pub to_acknowledgement: Delay,
    /// To somebody at the door.
    pub to_arrival: Delay,
    /// To its end.
    pub to_resolution: Delay,
}

/// How long something took, in seconds; null where it never took place.
#[derive(Debug, Default, Serialize)]
pub struct Delay {
    /// How often it took place.
    pub count: i64,
    /// The median.
    pub p50: Option<f64>,
    /// Nine of ten took at most so long.
    pub p90: Option<f64>,
    /// The longest.
    pub longest: Option<f64>,
}

/// How often a kind of device cries wolf.
#[derive(Debug, Serialize)]
pub struct FalseAlarms {
    /// Which.
    pub device_kind: &'static str,
    /// Alerts that are closed.
    pub closed: i64,
    /// Of these, false alarms.
    pub false_alarms: i64,
}

impl Figures {
    /// The figures as the API has them.
    pub fn of(answer: &GetResponseFiguresResponse) -> Self {
        let kinds = answer.kinds.iter().map(|one| KindFigures {
            kind: name_of::<pb::AlertKind>(one.kind).unwrap_or("?"),
            raised: one.raised,
            open: one.open,
            to_first_notice: Delay::of(one.to_first_notice.as_ref()),
            to_acknowledgement: Delay::of(one.to_acknowledgement.as_ref()),
            to_arrival: Delay::of(one.to_arrival.as_ref()),
            to_resolution: Delay::of(one.to_resolution.as_ref()),
        });
        let false_alarms = answer.false_alarms.iter().map(|one| FalseAlarms {
            device_kind: name_of::<pb::DeviceKind>(one.device_kind).unwrap_or("?"),
            closed: one.closed,
            false_alarms: one.false_alarms,
        });
        Self {
            kinds: kinds.collect(),
            false_alarms: false_alarms.collect(),
        }
    }
}

impl Delay {
    fn of(delay: Option<&pb::DelayFigures>) -> Self {
        let seconds = |span: Option<prost_types::Duration>| {
            let span = std::time::Duration::try_from(span?).ok()?;
            Some(span.as_secs_f64())
        };
        delay.map_or_else(Self::default, |delay| Self {
            count: delay.count,
            p50: seconds(delay.p50),
            p90: seconds(delay.p90),
            longest: seconds(delay.longest),
        })
    }

    fn text(&self) -> String {
        match (self.p50, self.p90) {
            (Some(p50), Some(p90)) => format!("{} / {}", span(p50), span(p90)),
            _ => String::new(),
        }
    }
}

/// A span of seconds as a person reads it.
fn span(seconds: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "a span to look at")]
    let whole = seconds.round() as i64;
    let (days, hours, minutes) = (whole / 86_400, whole / 3_600 % 24, whole / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{whole}s"),
        (0, 0, _) => format!("{minutes}m{:02}s", whole % 60),
        (0, ..) => format!("{hours}h{minutes:02}m"),
        _ => format!("{days}d{hours:02}h"),
    }
}

/// How fast help came in a division; of alerts that were raised from the first day to the last, the last 30 days unless named.
///
/// # Errors
/// Alerts' refusal.
pub async fn figures(
    client: &Client,
    division: &str,
    from: Option<LocalDay>,
    until: Option<LocalDay>,
) -> anyhow::Result<Figures> {
    let until = match until {
        Some(until) => until,
        None => LocalDay::of(client.present().await),
    };
    let from = from.unwrap_or_else(|| until.plus_days(-29));
    let request = GetResponseFiguresRequest {
        division_code: division.to_owned(),
        first_day: Some(wire::date(from)),
        last_day: Some(wire::date(until)),
        min_position: String::new(),
    };
    let answer = call(request, async |request| {
        client.alerts().get_response_figures(request).await
    })
    .await?;
    Ok(Figures::of(&answer))
}

impl Report for AlertList {
    fn text(&self) -> String {
        let mut rows = table([
            "时间 raised",
            "预警 kind",
            "级别 severity",
            "阶段 stage",
            "升级 level",
            "村社区 village",
            "设备 device",
            "结果 outcome",
            "预警号 alert",
        ]);
        for one in &self.alerts {
            rows.add_row([
                one.raised_at.clone().into(),
                labelled(one.kind).into(),
                labelled(one.severity).into(),
                labelled(one.stage).into(),
                number(one.level.map(|level| level.to_string()).unwrap_or_default()),
                one.division_code.clone().into(),
                one.device_id.clone().unwrap_or_default().into(),
                one.outcome.map(labelled).unwrap_or_default().into(),
                one.alert_id.clone().into(),
            ]);
        }
        let more = if self.more {
            ", and more: raise --limit / 还有更多"
        } else {
            ""
        };
        format!("{rows}\n{} alerts{more}", self.alerts.len())
    }
}

impl Report for Figures {
    fn text(&self) -> String {
        let mut kinds = table([
            "预警 kind",
            "发生 raised",
            "未结 open",
            "首次通知 to first notice (p50 / p90)",
            "响应 to acknowledgement",
            "到场 to arrival",
            "处置 to resolution",
        ]);
        for one in &self.kinds {
            kinds.add_row([
                labelled(one.kind).into(),
                number(one.raised),
                number(one.open),
                number(one.to_first_notice.text()),
                number(one.to_acknowledgement.text()),
                number(one.to_arrival.text()),
                number(one.to_resolution.text()),
            ]);
        }
        let mut devices = table([
            "设备 device",
            "已结 closed",
            "误报 false alarms",
            "误报率 share",
        ]);
        for one in &self.false_alarms {
            devices.add_row([
                labelled(one.device_kind).into(),
                number(one.closed),
                number(one.false_alarms),
                percent(one.false_alarms.cast_unsigned(), one.closed.cast_unsigned()),
            ]);
        }
        format!("{kinds}\n\n{devices}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_told_as_people_read_them() {
        let told = [0.2, 59.0, 61.0, 3_600.0, 90_000.0].map(span);
        assert_eq!(told, ["0s", "59s", "1m01s", "1h00m", "1d01h"]);
    }

    #[test]
    fn what_never_took_place_has_no_span() {
        let answer = GetResponseFiguresResponse {
            kinds: vec![pb::KindFigures {
                kind: pb::AlertKind::Sos.into(),
                raised: 3,
                to_first_notice: Some(pb::DelayFigures {
                    count: 2,
                    p50: Some(prost_types::Duration {
                        seconds: 1,
                        nanos: 0,
                    }),
                    p90: Some(prost_types::Duration {
                        seconds: 65,
                        nanos: 0,
                    }),
                    longest: None,
                }),
                ..Default::default()
            }],
            false_alarms: vec![],
        };
        let figures = Figures::of(&answer);
        assert!(figures.text().contains("1s / 1m05s"), "{}", figures.text());
        assert_eq!(figures.kinds[0].to_arrival.text(), "");
    }
}
