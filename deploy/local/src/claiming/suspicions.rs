//! `claims suspicions`: patterns in orders that a supervisor should look into.

use civic::LocalDay;
use proto::eldercare::claims::v1::{self as pb, ListSuspicionsRequest, Suspicion};
use serde::Serialize;

use super::{day, text};
use crate::{
    client::{Client, call},
    output::{Report, table},
    wire,
    words::name_of,
};

/// Patterns in orders.
#[derive(Debug, Serialize)]
pub struct SuspicionList {
    /// By kind, provider, caregiver and day.
    pub suspicions: Vec<Found>,
}

/// A pattern.
#[derive(Debug, Serialize)]
pub struct Found {
    /// Which.
    pub kind: &'static str,
    /// Whose.
    pub provider_id: String,
    /// Of which caregiver; null where it is the provider's.
    pub caregiver_id: Option<String>,
    /// Of which day.
    pub day: Option<String>,
    /// How many orders show it.
    pub orders: i64,
    /// Minutes of that day, or how many orders these are among.
    pub measure: i64,
    /// The first of these orders.
    pub order_ids: Vec<String>,
}

impl Found {
    fn of(found: Suspicion) -> Self {
        Self {
            kind: name_of::<pb::SuspicionKind>(found.kind).unwrap_or("?"),
            provider_id: found.provider_id,
            caregiver_id: text(found.caregiver_id),
            day: day(found.day),
            orders: found.orders,
            measure: found.measure,
            order_ids: found.names.into_iter().map(|name| name.order_id).collect(),
        }
    }
}

/// The patterns in the orders of some days.
///
/// # Errors
/// Claims' refusal.
pub async fn suspicions(
    client: &Client,
    division: &str,
    provider: Option<&str>,
    (first, last): (LocalDay, LocalDay),
) -> anyhow::Result<SuspicionList> {
    let request = ListSuspicionsRequest {
        division_code: division.to_owned(),
        provider_id: provider.unwrap_or_default().to_owned(),
        first_day: Some(wire::date(first)),
        last_day: Some(wire::date(last)),
        min_position: String::new(),
    };
    let found = call(request, async |request| {
        client.claims().list_suspicions(request).await
    });
    let suspicions = found.await?.suspicions.into_iter().map(Found::of).collect();
    Ok(SuspicionList { suspicions })
}

impl Report for SuspicionList {
    fn text(&self) -> String {
        let mut rows = table([
            "疑点 pattern",
            "机构 provider",
            "人员 caregiver",
            "日期 day",
            "工单 orders",
            "数值 measure",
        ]);
        for one in &self.suspicions {
            rows.add_row([
                one.kind.to_owned(),
                one.provider_id.clone(),
                one.caregiver_id.clone().unwrap_or_default(),
                one.day.clone().unwrap_or_default(),
                one.orders.to_string(),
                one.measure.to_string(),
            ]);
        }
        format!(
            "{rows}\n{} patterns / 共 {} 条",
            self.suspicions.len(),
            self.suspicions.len()
        )
    }
}
