//! `sharing situation`: how things stand in a division on a day.

use std::fmt::Write as _;

use civic::{Fen, LocalDay};
use comfy_table::Cell;
use elders::codec::write_day;
use proto::eldercare::sharing::v1::{self as pb, DelayFigures, GetSituationRequest};
use serde::Serialize;

use super::day;
use crate::{
    client::{Client, call},
    output::{Report, number, percent, table},
    words::labelled,
};

/// How things stand in a division at the end of a day.
#[derive(Debug, Clone, Serialize)]
pub struct Situation {
    /// The division.
    pub division_code: String,
    /// The day.
    pub day: String,
    /// Elders who live there.
    pub elders: i64,
    /// How many have which tier.
    pub tiers: Vec<(String, i64)>,
    /// Who was visited, of how many.
    #[serde(flatten)]
    pub visits: Visits,
    /// Alerts that were open: severity, kind, how many.
    pub open_alerts: Vec<(String, String, i64)>,
    /// How fast help came in the 30 days up to the day.
    pub response_times: ResponseTimes,
    /// Orders of the month by the state in which they were then: how many, and what they cost together, in fen.
    pub orders: Vec<(String, i64, i64)>,
    /// The funds as they stood then.
    pub funds: Vec<Fund>,
}

/// Who was visited, of how many.
#[derive(Debug, Clone, Serialize)]
pub struct Visits {
    /// Elders in scope.
    pub in_scope_elders: i64,
    /// Of these, those met in the month up to the day: divided, this is the coverage.
    pub covered_elders: i64,
    /// Visits that these owe in the week or the month.
    pub owed_duties: i64,
    /// Of these, those that took place up to the day.
    pub met_duties: i64,
    /// Elders who were visited from Monday to the day.
    pub visited_elders: i64,
    /// Duties of the week before.
    pub closed_duties: i64,
    /// Of these, those that were missed.
    pub missed_duties: i64,
}

/// How fast help came to alerts CRITICAL and HIGH.
#[derive(Debug, Clone, Serialize)]
pub struct ResponseTimes {
    /// How many alerts there were.
    pub alerts: i64,
    /// Until somebody took it on.
    pub to_acknowledgement: Delay,
    /// Until somebody was at the door.
    pub to_arrival: Delay,
}

/// How long something took.
#[derive(Debug, Clone, Serialize)]
pub struct Delay {
    /// In how many alerts it took place.
    pub count: i64,
    /// Half of them took at most so many seconds.
    pub p50_s: Option<i64>,
    /// Nine of ten.
    pub p90_s: Option<i64>,
}

/// A programme's fund, in fen.
#[derive(Debug, Clone, Serialize)]
pub struct Fund {
    /// The programme.
    pub programme_code: String,
    /// What came in.
    pub in_fen: i64,
    /// What is there.
    pub balance_fen: i64,
    /// What approved orders that are not paid will cost.
    pub reserved_fen: i64,
    /// What was paid.
    pub paid_fen: i64,
}

impl Delay {
    fn of(figures: Option<DelayFigures>) -> Self {
        let figures = figures.unwrap_or_default();
        Self {
            count: figures.count,
            p50_s: figures.p50.map(|long| long.seconds),
            p90_s: figures.p90.map(|long| long.seconds),
        }
    }

    fn words(&self) -> String {
        let seconds = |long: Option<i64>| long.map_or("—".to_owned(), |long| format!("{long} s"));
        format!(
            "{} (p50 {}, p90 {})",
            self.count,
            seconds(self.p50_s),
            seconds(self.p90_s)
        )
    }
}

/// The situation of a division, today unless a day is named.
///
/// # Errors
/// Sharing's refusal.
pub async fn situation(
    client: &Client,
    division: &str,
    on: Option<LocalDay>,
) -> anyhow::Result<Situation> {
    let request = GetSituationRequest {
        division_code: division.to_owned(),
        day: on.map(write_day),
        min_position: String::new(),
    };
    let answer = call(request, async |request| {
        client.sharing().get_situation(request).await
    })
    .await?;
    Ok(Situation::of(answer.situation.unwrap_or_default()))
}

impl Situation {
    pub(super) fn of(told: pb::Situation) -> Self {
        let visits = told.visits.unwrap_or_default();
        let times = told.response_times.unwrap_or_default();
        let tiers = told.tiers.into_iter();
        let open = told.open_alerts.into_iter();
        let orders = told.orders.into_iter();
        let funds = told.funds.into_iter();
        Self {
            division_code: told.division_code,
            day: day(told.day),
            elders: told.elders,
            tiers: tiers.map(|one| (one.tier, one.elders)).collect(),
            visits: Visits {
                in_scope_elders: visits.in_scope_elders,
                covered_elders: visits.covered_elders,
                owed_duties: visits.owed_duties,
                met_duties: visits.met_duties,
                visited_elders: visits.visited_elders,
                closed_duties: visits.closed_duties,
                missed_duties: visits.missed_duties,
            },
            open_alerts: open
                .map(|one| (one.severity, one.kind, one.alerts))
                .collect(),
            response_times: ResponseTimes {
                alerts: times.alerts,
                to_acknowledgement: Delay::of(times.to_acknowledgement),
                to_arrival: Delay::of(times.to_arrival),
            },
            orders: orders
                .map(|one| (one.state, one.orders, one.amount_fen))
                .collect(),
            funds: funds
                .map(|fund| Fund {
                    programme_code: fund.programme_code,
                    in_fen: fund.in_fen,
                    balance_fen: fund.balance_fen,
                    reserved_fen: fund.reserved_fen,
                    paid_fen: fund.paid_fen,
                })
                .collect(),
        }
    }
}

impl Visits {
    /// The rows of a table: what it is, how many of how many, and what share that is.
    fn rows(&self) -> [Vec<Cell>; 4] {
        let of = |name: &str, part: i64, whole: i64| {
            let share = percent(part.unsigned_abs(), whole.unsigned_abs());
            vec![name.into(), number(format!("{part} / {whole}")), share]
        };
        [
            of(
                "本月探访率 coverage this month",
                self.covered_elders,
                self.in_scope_elders,
            ),
            of(
                "当期探访完成 duties met so far",
                self.met_duties,
                self.owed_duties,
            ),
            vec![
                "本周已探访 visited this week".into(),
                number(self.visited_elders),
            ],
            of(
                "上周漏访 missed last week",
                self.missed_duties,
                self.closed_duties,
            ),
        ]
    }
}

impl Report for Situation {
    fn text(&self) -> String {
        let heading = format!("{} {}", self.division_code, self.day);
        let mut rows = table(["态势 situation", heading.as_str()]);
        rows.add_row(["在册 elders".into(), number(self.elders)]);
        for (tier, elders) in &self.tiers {
            rows.add_row([labelled(tier).into(), number(elders)]);
        }
        for row in self.visits.rows() {
            rows.add_row(row);
        }
        for (severity, kind, alerts) in &self.open_alerts {
            let name = format!("未结预警 open {severity} {}", labelled(kind));
            rows.add_row([name.into(), number(alerts)]);
        }
        for (state, orders, fen) in &self.orders {
            let name = format!("本月工单 orders {state}");
            rows.add_row([name.into(), number(format!("{orders}, {} 元", Fen(*fen)))]);
        }
        for fund in &self.funds {
            for (name, fen) in [
                ("基金余额 balance", fund.balance_fen),
                ("基金预留 reserved", fund.reserved_fen),
                ("基金已付 paid", fund.paid_fen),
            ] {
                let name = format!("{name} {}", fund.programme_code);
                rows.add_row([name.into(), number(format!("{} 元", Fen(fen)))]);
            }
        }
        let times = &self.response_times;
        let mut text = rows.to_string();
        let _ = write!(
            text,
            "\n紧急预警 urgent alerts in 30 days: {}; 已响应 taken on {}; 已到场 at the door {}",
            times.alerts,
            times.to_acknowledgement.words(),
            times.to_arrival.words()
        );
        text
    }
}
