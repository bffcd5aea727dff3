//! `claims orders`: service orders as they stand, the last handed in first.

use proto::eldercare::claims::v1::{self as pb, ListOrdersRequest, OrderStanding};
use serde::Serialize;

use super::{PAGE, at, day, text, yuan};
use crate::{
    cli::WhichOrders,
    client::{Client, call},
    output::{Report, table},
    words::{labelled_of, name_of, names_of},
};

/// Service orders, the last handed in first.
#[derive(Debug, Serialize)]
pub struct OrderList {
    /// The orders.
    pub orders: Vec<Row>,
    /// Whether there are more.
    pub more: bool,
}

/// A service order as it stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The provider.
    pub provider_id: String,
    /// The provider's number of the order.
    pub order_id: String,
    /// The programme.
    pub programme_code: String,
    /// Where it stands.
    pub state: &'static str,
    /// The codes given when it was adjudicated.
    pub codes: Vec<&'static str>,
    /// What became of its appeal; null where there is none.
    pub appeal: Option<&'static str>,
    /// Why it is never paid.
    pub not_settled_reason: Option<&'static str>,
    /// What approving it costs.
    pub amount_fen: i64,
    /// The elder.
    pub elder_id: String,
    /// By which rule the elder was entitled.
    pub entitled_by: Option<String>,
    /// The service day.
    pub service_day: Option<String>,
    /// When it was handed in, local time; the others too.
    pub submitted_at: Option<String>,
    /// When it was approved.
    pub approved_at: Option<String>,
    /// The last day for an appeal.
    pub appeal_until: Option<String>,
    /// The settlement that bears it.
    pub settlement_number: Option<i32>,
    /// What follows from what was found once it was approved; null where nothing was.
    pub hold: Option<&'static str>,
}

impl Row {
    /// An order as the API has it.
    pub fn of(standing: OrderStanding) -> Self {
        let number = standing.settlement_number;
        Self {
            state: name_of::<pb::OrderState>(standing.state).unwrap_or("?"),
            codes: names_of::<pb::OrderCode>(&standing.codes),
            appeal: name_of::<pb::AppealState>(standing.appeal),
            not_settled_reason: name_of::<pb::NotSettledReason>(standing.not_settled_reason),
            provider_id: standing.provider_id,
            order_id: standing.order_id,
            programme_code: standing.programme_code,
            amount_fen: standing.amount_fen,
            elder_id: standing.elder_id,
            entitled_by: text(standing.entitled_by),
            service_day: day(standing.service_day),
            submitted_at: at(standing.submitted_at),
            approved_at: at(standing.approved_at),
            appeal_until: day(standing.appeal_until),
            settlement_number: (number != 0).then_some(number),
            hold: name_of::<pb::HoldState>(standing.hold),
        }
    }
}

/// The orders that are wanted, at most so many.
///
/// # Errors
/// Claims' refusal, or a word that there is not.
pub async fn list(
    client: &Client,
    wanted: &WhichOrders,
    limit: usize,
) -> anyhow::Result<OrderList> {
    let mut request = ListOrdersRequest {
        filter: Some(wanted.filter()?),
        ..Default::default()
    };
    let mut orders = Vec::new();
    loop {
        let left = limit - orders.len();
        request.page_size = i32::try_from(left).unwrap_or(PAGE).min(PAGE);
        let page = call(request.clone(), async |request| {
            client.claims().list_orders(request).await
        })
        .await?;
        orders.extend(page.orders.into_iter().map(Row::of));
        let more = !page.next_page_token.is_empty();
        if !more || orders.len() >= limit {
            return Ok(OrderList { orders, more });
        }
        request.page_token = page.next_page_token;
    }
}

/// Orders as a table.
pub(super) fn rows(orders: &[Row]) -> String {
    let mut rows = table([
        "提交 submitted",
        "服务日 service day",
        "机构 provider",
        "工单 order",
        "状态 state",
        "异常 codes",
        "申诉 appeal",
        "金额 yuan",
    ]);
    for one in orders {
        rows.add_row([
            one.submitted_at.clone().unwrap_or_default().into(),
            one.service_day.clone().unwrap_or_default().into(),
            one.provider_id.clone().into(),
            one.order_id.clone().into(),
            labelled_of::<civic::OrderState>(one.state).into(),
            one.codes.join(" ").into(),
            one.appeal
                .map(labelled_of::<civic::AppealState>)
                .unwrap_or_default()
                .into(),
            yuan(one.amount_fen),
        ]);
    }
    rows.to_string()
}

impl Report for OrderList {
    fn text(&self) -> String {
        let more = if self.more {
            ", and more: raise --limit / 还有更多"
        } else {
            ""
        };
        format!("{}\n{} orders{more}", rows(&self.orders), self.orders.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_told_to_people_and_to_machines() {
        let codes = [
            pb::OrderCode::DurationShort,
            pb::OrderCode::LocationMismatch,
        ];
        let row = Row::of(OrderStanding {
            provider_id: "P01".to_owned(),
            order_id: "O000007".to_owned(),
            state: pb::OrderState::NotSettled.into(),
            codes: codes.map(Into::into).to_vec(),
            appeal: pb::AppealState::Refused.into(),
            not_settled_reason: pb::NotSettledReason::AppealRefused.into(),
            amount_fen: 20_000,
            ..Default::default()
        });
        let list = OrderList {
            orders: vec![row],
            more: true,
        };
        let text = list.text();
        for word in [
            "O000007",
            "NOT_SETTLED 不予结算",
            "DURATION_SHORT LOCATION_MISMATCH",
            "REFUSED 申诉驳回",
            "200.00",
            "raise --limit",
        ] {
            assert!(text.contains(word), "{text}");
        }
        let json = serde_json::to_value(&list).unwrap();
        assert_eq!(json["orders"][0]["not_settled_reason"], "APPEAL_REFUSED");
        assert!(json["orders"][0]["settlement_number"].is_null());
    }
}
