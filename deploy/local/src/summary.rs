//! The demo's summary: what became of a county's survey, how its elders are sorted into tiers, who was visited, a week's plan,
//! a week's alerts, and what became of service orders and of the money for them.

use std::fmt::Write as _;

use civic::Fen;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    alerting::{AlertList, Figures, Row},
    claiming::OrderStory,
    demo::SeenByDepartments,
    departments::Situation,
    import::{outcomes, reasons},
    output::{Report, number, percent, table},
    plans::WeekPlan,
    replay::{
        Played,
        claims_figures::{Fund, ProgrammeFigures},
        report::Outcome,
    },
    words::labelled,
};

/// The figures of a county, and how they compare with what is expected.
#[derive(Debug, Serialize)]
pub struct Summary {
    /// Survey rows by outcome: in all, and by workbook.
    pub survey: Value,
    /// The registry after survey and residents.
    pub registry: Value,
    /// The tiers by day: county, towns and reasons.
    pub tiers: Map<String, Value>,
    /// The visits of the month: records, coverage of county and towns, duties of each week and of the month.
    pub visits: Value,
    /// The plan of a town's coming week.
    pub plan: Option<WeekPlan>,
    /// The alerts of the set's days.
    pub alerts: Option<Alerts>,
    /// The service orders of the set, and the funds.
    pub claims: Option<Claims>,
    /// What departments see.
    pub shared: Shared,
    /// How many residents were registered.
    pub residents: u64,
    /// How many changes were played.
    pub changes: u64,
    /// The comparison with `expected/`.
    pub comparison: Outcome,
}

/// The alerts of a set's days.
#[derive(Debug, Serialize)]
pub struct Alerts {
    /// Those that were open at the end, the latest first.
    pub open: AlertList,
    /// How fast help came.
    pub figures: Figures,
}

/// What departments see of a county.
#[derive(Debug, Serialize)]
pub struct Shared {
    /// The county's situation at the end.
    pub situation: Situation,
    /// One elder's dossier, as two departments see it.
    pub dossier: Option<SeenByDepartments>,
}

/// The service orders of a set, and the funds.
#[derive(Debug, Serialize)]
pub struct Claims {
    /// Each programme.
    pub programmes: Vec<ProgrammeFigures>,
    /// One of the orders that are not paid, and why.
    pub unpaid: Option<OrderStory>,
}

impl Summary {
    /// The figures without the persons behind them.
    pub fn of(
        played: &Played,
        plan: Option<WeekPlan>,
        shared: Shared,
        comparison: Outcome,
    ) -> Self {
        let without = |value: &Value, keys: &[&str]| {
            let mut value = value.clone();
            if let Some(fields) = value.as_object_mut() {
                keys.iter().for_each(|key| drop(fields.remove(*key)));
            }
            value
        };
        let mut survey = played.survey.clone();
        let files = survey.get_mut("files").and_then(Value::as_object_mut);
        for file in files.into_iter().flat_map(Map::values_mut) {
            *file = without(file, &["rows"]);
        }
        let tiers = played
            .tiers
            .iter()
            .map(|(day, tiers)| (day.to_string(), without(tiers, &["elders"])));
        Self {
            survey,
            registry: without(
                &played.registry.clone().unwrap_or_default(),
                &["survey_elders"],
            ),
            tiers: tiers.collect(),
            visits: visits(played.visits.as_ref()),
            plan,
            alerts: played.alerts.as_ref().map(|alerts| Alerts {
                open: AlertList {
                    alerts: alerts.open.iter().map(Row::of).collect(),
                    more: false,
                },
                figures: Figures::of(&alerts.figures),
            }),
            claims: played.claims.as_ref().map(|claims| Claims {
                programmes: claims.programmes.clone(),
                unpaid: claims.unpaid.clone(),
            }),
            shared,
            residents: played.residents,
            changes: played.changes,
            comparison,
        }
    }

    /// The month's coverage by town, and the duties by week and month.
    fn visits_in_words(&self, text: &mut String) {
        let coverage = &self.visits["coverage"];
        let month = self.visits["month"].as_str().unwrap_or_default();
        let heading = format!("乡镇 town, {month}");
        let mut towns = table([
            heading.as_str(),
            "探访对象 in scope",
            "已探访 visited",
            "探访率 coverage",
        ]);
        let mut row = |name: String, figure: &Value| {
            let (in_scope, visited) = (count(figure, "in_scope"), count(figure, "visited"));
            towns.add_row([
                name.into(),
                number(in_scope),
                number(visited),
                percent(visited, in_scope),
            ]);
        };
        let names = self.tiers.values().next_back().map(|day| &day["towns"]);
        for (code, figure) in coverage["towns"].as_object().into_iter().flatten() {
            let name = names.and_then(|names| names[code]["name"].as_str());
            row(format!("{code} {}", name.unwrap_or_default()), figure);
        }
        row("合计 total".to_owned(), &coverage["county"]);
        let mut periods = table([
            "周、月 week or month",
            "应探访 owed",
            "逾期 missed at its end",
            "仍未探访 unmet now",
        ]);
        for (period, duties) in self.visits["missed"].as_object().into_iter().flatten() {
            periods.add_row([
                period.into(),
                number(count(duties, "duties")),
                number(count(duties, "missed_at_close_count")),
                number(count(duties, "unmet_at_end_count")),
            ]);
        }
        let _ = writeln!(text, "{towns}\n\n{periods}\n");
    }

    fn counts(&self) -> Vec<(&str, &Value)> {
        let files = self.survey["files"].as_object();
        files
            .into_iter()
            .flatten()
            .map(|(file, parts)| (file.as_str(), &parts["counts"]))
            .collect()
    }
}

impl Claims {
    /// The orders and the fund of each programme, and why one order is not paid.
    fn text(&self) -> String {
        let mut orders = table([
            "项目 programme",
            "参保 enrolled",
            "保费 premiums, yuan",
            "工单 orders",
            "审核通过 approved",
            "异常待处理 abnormal",
            "不予结算 not settled",
            "曾暂缓 held",
        ]);
        let mut funds = table([
            "基金 fund",
            "预留 reserved, yuan",
            "已支付 paid",
            "余额 balance",
        ]);
        for one in &self.programmes {
            orders.add_row([
                one.programme_code.clone().into(),
                number(one.enrolled),
                number(Fen(one.premiums_fen)),
                number(one.orders),
                number(one.approved),
                number(one.abnormal_open),
                number(one.not_settled),
                number(one.held),
            ]);
            let mut row = |when: &str, fund: Fund| {
                let amounts = [fund.reserved_fen, fund.paid_fen, fund.balance_fen];
                let mut row = vec![format!("{} {when}", one.programme_code).into()];
                row.extend(amounts.map(|fen| number(Fen(fen))));
                funds.add_row(row);
            };
            row("结算前 before settlement", one.before_settlement);
            row("结清后 all settled and paid", one.after_payment);
        }
        let mut text = format!("{orders}\n\n{funds}");
        if let Some(unpaid) = &self.unpaid {
            let why = unpaid.text();
            let _ = write!(text, "\n\n未结算工单 an order that is not paid\n{why}");
        }
        text
    }
}

/// The visits without the records and without the persons who were missed.
fn visits(played: Option<&Value>) -> Value {
    let Some(mut visits) = played.cloned() else {
        return Value::Null;
    };
    if let Some(visits) = visits.as_object_mut() {
        visits.remove("records");
    }
    if let Some(coverage) = visits["coverage"].as_object_mut() {
        coverage.retain(|name, _| name != "to_visit" && name != "villages");
    }
    let periods = visits["missed"].as_object_mut();
    for period in periods.into_iter().flat_map(Map::values_mut) {
        if let Some(period) = period.as_object_mut() {
            period.retain(|_, figure| !figure.is_array());
        }
    }
    visits
}

fn count(value: &Value, key: &str) -> u64 {
    value.get(key).and_then(Value::as_u64).unwrap_or_default()
}

/// The tiers that there are, in the policy's order as far as it is known.
fn tier_names(tiers: &Map<String, Value>) -> Vec<String> {
    let mut names = vec![
        "PRIORITY".to_owned(),
        "SECONDARY".to_owned(),
        "GENERAL".to_owned(),
    ];
    for county in tiers.values().filter_map(|day| day["county"].as_object()) {
        for name in county
            .keys()
            .filter(|name| *name != "in_scope" && *name != "name")
        {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
    }
    names
}

impl Report for Summary {
    fn text(&self) -> String {
        let mut text = format!(
            "\n{} {}\n\n",
            self.comparison.county_name, self.comparison.county
        );
        let _ = writeln!(text, "{}", outcomes(self.counts().into_iter()));
        text.push_str(&reasons(std::iter::once(&self.survey["counts"])));

        let total = count(&self.registry, "total");
        let mut registry = table(["台账 registry", "人数 elders", "占比 share"]);
        registry.add_row(["合计 total".into(), number(total), percent(total, total)]);
        for (key, heading) in [
            ("by_source", "来源"),
            ("by_sex", "性别"),
            ("by_category", "类别"),
            ("by_capability", "身体能力"),
        ] {
            for (name, elders) in self.registry[key].as_object().into_iter().flatten() {
                let elders = elders.as_u64().unwrap_or_default();
                registry.add_row([
                    format!("{heading} {}", labelled(name)).into(),
                    number(elders),
                    percent(elders, total),
                ]);
            }
        }
        let _ = writeln!(text, "\n{registry}");

        let names = tier_names(&self.tiers);
        let header = |first: &str| {
            let mut header = vec![first.to_owned(), "探访对象 in scope".to_owned()];
            header.extend(names.iter().map(|name| labelled(name)));
            header
        };
        let row = |first: String, counts: &Value| {
            let mut row = vec![
                comfy_table::Cell::new(first),
                number(count(counts, "in_scope")),
            ];
            row.extend(names.iter().map(|name| number(count(counts, name))));
            row
        };
        let mut days = table(["日期 day"]);
        days.set_header(header("日期 day"));
        for (day, tiers) in &self.tiers {
            days.add_row(row(day.clone(), &tiers["county"]));
        }
        let _ = writeln!(text, "\n{days}");
        if let Some((day, last)) = self.tiers.iter().next_back() {
            let mut towns = table(["乡镇 town"]);
            towns.set_header(header(&format!("乡镇 town, {day}")));
            for (code, counts) in last["towns"].as_object().into_iter().flatten() {
                let name = counts["name"].as_str().unwrap_or_default();
                towns.add_row(row(format!("{code} {name}"), counts));
            }
            let in_scope = count(&last["county"], "in_scope");
            let mut reasons = table(["理由 reason", "人数 elders", "占比 share"]);
            for (name, elders) in last["reasons"].as_object().into_iter().flatten() {
                let elders = elders.as_u64().unwrap_or_default();
                reasons.add_row([
                    labelled(name).into(),
                    number(elders),
                    percent(elders, in_scope),
                ]);
            }
            let _ = writeln!(text, "\n{towns}\n\n{reasons}\n");
        }
        if !self.visits.is_null() {
            self.visits_in_words(&mut text);
        }
        if let Some(plan) = &self.plan {
            let _ = writeln!(text, "{}\n", plan.at_a_glance());
        }
        if let Some(alerts) = &self.alerts {
            let open = format!("未结预警 open alerts\n{}", alerts.open.text());
            let _ = writeln!(text, "{open}\n\n{}\n", alerts.figures.text());
        }
        if let Some(claims) = &self.claims {
            let _ = writeln!(text, "{}\n", claims.text());
        }
        let _ = writeln!(text, "{}\n", self.shared.situation.text());
        if let Some(dossier) = &self.shared.dossier {
            let _ = writeln!(text, "一人一档 one elder across all services");
            text.push_str(&dossier.text());
        }
        let _ = writeln!(
            text,
            "{} residents registered, {} changes played / 另建档 {} 人，变更 {} 项\n",
            self.residents, self.changes, self.residents, self.changes
        );
        text.push_str(&self.comparison.text());
        text
    }
}
