//! What the system says of alerts, in the form in which a data set expects it.

use std::collections::BTreeMap;

use anyhow::Context as _;
use chrono::{DateTime, SecondsFormat, Utc};
use civic::{LocalDay, SHANGHAI};
use proto::eldercare::alerts::v1::{
    self as pb, Alert, GetResponseFiguresRequest, GetResponseFiguresResponse, ListAlertsRequest,
};
use serde_json::{Map, Value, json};

use super::{elders::Directory, play_signals::Homes};
use crate::{
    client::{Client, call},
    county::County,
    wire,
    words::name_of,
};

/// Alerts on one page.
const PAGE: i32 = 1_000;

/// The alerts of a set's days, and how fast help came.
#[derive(Debug, Clone, Default)]
pub struct Alerts {
    /// As `expected/alerts.json` has them.
    pub compared: Value,
    /// Those that were open then, the latest first.
    pub open: Vec<Alert>,
    /// How fast help came.
    pub figures: GetResponseFiguresResponse,
}

/// The alerts as `expected/alerts.json` has them.
///
/// # Errors
/// The calls'.
pub(super) async fn alerts(
    client: &Client,
    county: &County,
    homes: &Homes,
    directory: &Directory,
    at: DateTime<Utc>,
) -> anyhow::Result<Alerts> {
    let set = &county.set;
    let alerts = all(client, &set.county).await?;
    let last = LocalDay::of(at - chrono::TimeDelta::milliseconds(1));
    let first = county.signals_begin_on()?.unwrap_or(last);
    let request = GetResponseFiguresRequest {
        division_code: set.county.clone(),
        first_day: Some(wire::date(first)),
        last_day: Some(wire::date(last)),
        min_position: String::new(),
    };
    let figures = call(request, async |request| {
        client.alerts().get_response_figures(request).await
    })
    .await?;
    let mut rows = Vec::with_capacity(alerts.len());
    for alert in &alerts {
        rows.push(row(alert, directory)?);
    }
    let false_alarms = figures.false_alarms.iter().map(|one| {
        let counts = json!({"closed": one.closed, "false_alarms": one.false_alarms});
        let kind = name_of::<pb::DeviceKind>(one.device_kind).unwrap_or("?");
        (kind.to_owned(), counts)
    });
    let compared = json!({
        "evaluated_at": told(at),
        "totals": totals(homes, &rows),
        "false_alarms_by_device_kind": false_alarms.collect::<Map<_, _>>(),
        "alerts": rows,
    });
    let mut open = alerts;
    open.retain(|alert| alert.resolved_at.is_none());
    Ok(Alerts {
        compared,
        open,
        figures,
    })
}

/// All alerts of a county that come from its homes; those of missed visits are another matter.
async fn all(client: &Client, county: &str) -> anyhow::Result<Vec<Alert>> {
    let kinds = (1..).map_while(|number| pb::AlertKind::try_from(number).ok());
    let kinds = kinds.filter(|kind| *kind != pb::AlertKind::VisitMissed);
    let mut request = ListAlertsRequest {
        division_code: county.to_owned(),
        kinds: kinds.map(Into::into).collect(),
        page_size: PAGE,
        ..Default::default()
    };
    let mut alerts = Vec::new();
    loop {
        let page = call(request.clone(), async |request| {
            client.alerts().list_alerts(request).await
        })
        .await?;
        alerts.extend(page.alerts);
        if page.next_page_token.is_empty() {
            return Ok(alerts);
        }
        request.page_token = page.next_page_token;
    }
}

fn row(alert: &Alert, directory: &Directory) -> anyhow::Result<Value> {
    let at = |at: Option<prost_types::Timestamp>| Some(told(wire::from_timestamp(at?)?));
    let levels = alert.levels.iter();
    let levels = levels.map(|reached| json!({"level": reached.level, "at": at(reached.at)}));
    // Whom the registry doesn't list shows as a difference, under the file's id.
    let elder = directory.id_number(&alert.elder_id);
    Ok(json!({
        "elder": elder.unwrap_or(&alert.elder_id),
        "kind": name_of::<pb::AlertKind>(alert.kind),
        "device_id": alert.device_id,
        "device_kind": name_of::<pb::DeviceKind>(alert.device_kind),
        "severity": name_of::<pb::Severity>(alert.severity),
        "raised_at": at(alert.raised_at).context("an alert bears no instant")?,
        "joined": alert.joined,
        "acknowledged_at": at(alert.acknowledged_at),
        "closed_at": at(alert.resolved_at),
        "outcome": name_of::<pb::AlertOutcome>(alert.outcome),
        "levels": levels.collect::<Vec<_>>(),
    }))
}

fn totals(homes: &Homes, rows: &[Value]) -> Value {
    let count = |of: &dyn Fn(&Value) -> Option<String>| {
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for name in rows.iter().filter_map(of) {
            *counts.entry(name).or_default() += 1;
        }
        counts
    };
    // The set writes "None" where an alert has no outcome yet.
    let text = |value: &Value| Some(value.as_str().unwrap_or("None").to_owned());
    let highest = |row: &Value| {
        let levels = row["levels"].as_array()?.iter();
        let level = levels
            .filter_map(|reached| reached["level"].as_u64())
            .max()?;
        Some(format!("level_{level}"))
    };
    let signals = homes.signals.len() as u64;
    json!({
        "signal_lines": homes.lines,
        "signals": signals,
        "repeated": homes.lines - signals.min(homes.lines),
        "actions_without_alert": homes.without_alert,
        "alerts": rows.len(),
        "open": rows.iter().filter(|row| row["outcome"].is_null()).count(),
        "kinds": count(&|row| text(&row["kind"])),
        "highest_level": count(&highest),
        "outcomes": count(&|row| text(&row["outcome"])),
    })
}

/// An instant as the set writes it.
fn told(at: DateTime<Utc>) -> String {
    at.with_timezone(&SHANGHAI)
        .to_rfc3339_opts(SecondsFormat::AutoSi, false)
}
