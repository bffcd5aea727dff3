//! `claims held`, `claims hold`: approved orders against which a fact stands that was recorded later.

use proto::eldercare::claims::v1::{
    self as pb, DecideHoldRequest, HeldOrder, ListHeldOrdersRequest,
};
use serde::Serialize;
use uuid::Uuid;

use super::{PAGE, Row, at};
use crate::{
    cli::HoldDecision,
    client::{Client, call},
    output::{Report, table},
    words::{labelled_of, name_of, names_of},
};

/// Orders on hold and orders to be recovered, the first one first.
#[derive(Debug, Serialize)]
pub struct HeldList {
    /// The orders.
    pub orders: Vec<Held>,
}

/// An order against which a later fact stands.
#[derive(Debug, Serialize)]
pub struct Held {
    /// Since when, local time.
    pub held_at: Option<String>,
    /// What follows.
    pub hold: Option<&'static str>,
    /// What stands against it.
    pub stands_against_it: Vec<&'static str>,
    /// By which `hold` says that this was read.
    pub etag: String,
    /// The order as it stands.
    pub order: Row,
}

impl Held {
    fn of(held: HeldOrder) -> Self {
        let standing = held.standing.unwrap_or_default();
        Self {
            held_at: at(held.held_at),
            hold: name_of::<pb::HoldState>(standing.hold),
            stands_against_it: names_of::<pb::OrderCode>(&held.codes),
            etag: held.etag,
            order: Row::of(standing),
        }
    }
}

/// All that is open in a division.
///
/// # Errors
/// Claims' refusal.
pub async fn held(client: &Client, division: &str) -> anyhow::Result<HeldList> {
    let mut request = ListHeldOrdersRequest {
        division_code: division.to_owned(),
        page_size: PAGE,
        ..Default::default()
    };
    let mut orders = Vec::new();
    loop {
        let page = call(request.clone(), async |request| {
            client.claims().list_held_orders(request).await
        })
        .await?;
        orders.extend(page.orders.into_iter().map(Held::of));
        if page.next_page_token.is_empty() {
            return Ok(HeldList { orders });
        }
        request.page_token = page.next_page_token;
    }
}

/// Decides on an order on hold, as a reviewer who has read what the list said under this etag; the order as it stands then.
///
/// # Errors
/// Claims' refusal.
pub async fn decide_hold(
    client: &Client,
    provider: &str,
    order: &str,
    decision: HoldDecision,
    etag: Option<&str>,
) -> anyhow::Result<HeldList> {
    let decision = match decision {
        HoldDecision::Keep => pb::HoldDecision::Keep,
        HoldDecision::Withdraw => pb::HoldDecision::Withdraw,
    };
    let request = DecideHoldRequest {
        request_id: Uuid::new_v4().to_string(),
        provider_id: provider.to_owned(),
        order_id: order.to_owned(),
        decision: decision.into(),
        etag: etag.unwrap_or_default().to_owned(),
    };
    let reviewer = client.reviewer()?;
    let decided = call(request, async |request| {
        reviewer.clone().decide_hold(request).await
    });
    let held = HeldOrder {
        standing: decided.await?.standing,
        ..Default::default()
    };
    Ok(HeldList {
        orders: vec![Held::of(held)],
    })
}

impl Report for HeldList {
    fn text(&self) -> String {
        let mut rows = table([
            "自 since",
            "机构 provider",
            "工单 order",
            "状态 state",
            "复核 hold",
            "异常 stands against it",
            "版本 etag",
        ]);
        for one in &self.orders {
            let hold = one.hold.map(labelled_of::<civic::HoldState>);
            rows.add_row([
                one.held_at.clone().unwrap_or_default(),
                one.order.provider_id.clone(),
                one.order.order_id.clone(),
                labelled_of::<civic::OrderState>(one.order.state),
                hold.unwrap_or_default(),
                one.stands_against_it.join(" "),
                one.etag.clone(),
            ]);
        }
        format!(
            "{rows}\n{} orders / 共 {} 单",
            self.orders.len(),
            self.orders.len()
        )
    }
}
