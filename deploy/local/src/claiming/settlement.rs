//! `claims settle`: what a provider is paid for a month, drafted, and confirmed and paid where that is asked for.

use anyhow::Context as _;
use civic::{CalendarMonth, LocalDay};
use proto::eldercare::claims::v1::{
    self as pb, ConfirmSettlementRequest, DraftSettlementRequest, GetSettlementRequest,
    GetSettlementResponse, ListSettlementsRequest, RecordPaymentRequest, Settlement,
    SettlementStage,
};
use serde::Serialize;
use uuid::Uuid;

use super::{Row, day, orders, text, yuan};
use crate::{
    client::{Client, call, in_words, reason, try_call},
    output::{Report, number, table},
    wire,
    words::{labelled_of, name_of},
};

/// The reason of a refusal to draft: no order waits for a settlement.
const NOTHING_TO_SETTLE: &str = "NOTHING_TO_SETTLE";

/// How far a settlement is brought.
#[derive(Debug, Clone, Copy)]
pub struct How<'a> {
    /// Whether it is confirmed.
    pub confirm: bool,
    /// The number of the voucher by which it was paid.
    pub paid_by: Option<&'a str>,
}

/// A settlement with its orders.
#[derive(Debug, Serialize)]
pub struct Settled {
    /// The programme.
    pub programme_code: String,
    /// The provider.
    pub provider_id: String,
    /// Its number among those of this programme and provider.
    pub number: i32,
    /// The month of approval.
    pub month: Option<CalendarMonth>,
    /// Where it stands.
    pub stage: &'static str,
    /// The sum of its orders.
    pub orders_fen: i64,
    /// The sum of its adjustments.
    pub adjustments_fen: i64,
    /// What is to be paid.
    pub total_fen: i64,
    /// The day on which it was paid.
    pub paid_on: Option<String>,
    /// The number of the voucher.
    pub reference: Option<String>,
    /// The adjustments.
    pub adjustments: Vec<Adjustment>,
    /// Its orders, by service day.
    pub orders: Vec<Row>,
}

/// An adjustment.
#[derive(Debug, Serialize)]
pub struct Adjustment {
    /// The settlement that is put right.
    pub corrected_number: i32,
    /// How much; below 0 the provider got too much.
    pub amount_fen: i64,
    /// The order that it is about.
    pub order_id: Option<String>,
    /// Why.
    pub reason: String,
}

/// Drafts a provider's settlement of a month and, where that is asked for, confirms it and records its payment of today.
/// One that was confirmed before is gone on with.
///
/// # Errors
/// Claims' refusal.
pub async fn settle(
    client: &Client,
    programme: &str,
    provider: &str,
    month: CalendarMonth,
    how: How<'_>,
) -> anyhow::Result<Settled> {
    let mut reached = drafted(client, programme, provider, month).await?;
    let is_draft = reached.settlement.stage == i32::from(SettlementStage::Draft);
    if is_draft && (how.confirm || how.paid_by.is_some()) {
        reached = confirmed(client, &reached.settlement).await?;
    }
    if let Some(reference) = how.paid_by {
        reached = paid(client, &reached.settlement, reference).await?;
    }
    let request = GetSettlementRequest {
        programme_code: programme.to_owned(),
        provider_id: provider.to_owned(),
        number: reached.settlement.number,
        min_position: reached.position,
    };
    let answer = call(request, async |request| {
        client.claims().get_settlement(request).await
    });
    Ok(Settled::of(answer.await?))
}

/// How far a settlement was brought, and where that stands in the log.
struct Reached {
    settlement: Settlement,
    position: String,
}

impl Reached {
    fn of(settlement: Option<Settlement>, position: String) -> anyhow::Result<Self> {
        let settlement = settlement.context("the answer bears no settlement / 应答缺少结算单")?;
        Ok(Self {
            settlement,
            position,
        })
    }
}

/// A draft of the month; the settlement that was confirmed where no order waits any more.
async fn drafted(
    client: &Client,
    programme: &str,
    provider: &str,
    month: CalendarMonth,
) -> anyhow::Result<Reached> {
    let month_of = Some(wire::date(month.first_day()));
    let request = DraftSettlementRequest {
        request_id: Uuid::now_v7().to_string(),
        programme_code: programme.to_owned(),
        provider_id: provider.to_owned(),
        month_of,
    };
    let drafted = try_call(request, async |request| {
        client.claims().draft_settlement(request).await
    });
    let refusal = match drafted.await {
        Ok(answer) => return Reached::of(answer.settlement, answer.position),
        Err(status) => status,
    };
    if reason(&refusal) != NOTHING_TO_SETTLE {
        return Err(in_words(&refusal));
    }
    let request = ListSettlementsRequest {
        programme_code: programme.to_owned(),
        provider_id: provider.to_owned(),
        month_of,
        stage: SettlementStage::Confirmed.into(),
        ..Default::default()
    };
    let confirmed = call(request, async |request| {
        client.claims().list_settlements(request).await
    });
    match confirmed.await?.settlements.into_iter().next() {
        // It was listed, so nothing needs to be waited for.
        Some(settlement) => Reached::of(Some(settlement), String::new()),
        None => Err(in_words(&refusal)),
    }
}

async fn confirmed(client: &Client, settlement: &Settlement) -> anyhow::Result<Reached> {
    let request = ConfirmSettlementRequest {
        request_id: Uuid::now_v7().to_string(),
        programme_code: settlement.programme_code.clone(),
        provider_id: settlement.provider_id.clone(),
        number: settlement.number,
        total_fen: settlement.total_fen,
    };
    let answer = call(request, async |request| {
        client.claims().confirm_settlement(request).await
    })
    .await?;
    Reached::of(answer.settlement, answer.position)
}

async fn paid(
    client: &Client,
    settlement: &Settlement,
    reference: &str,
) -> anyhow::Result<Reached> {
    let request = RecordPaymentRequest {
        request_id: Uuid::now_v7().to_string(),
        programme_code: settlement.programme_code.clone(),
        provider_id: settlement.provider_id.clone(),
        number: settlement.number,
        amount_fen: settlement.total_fen,
        paid_on: Some(wire::date(LocalDay::of(client.present().await))),
        reference: reference.to_owned(),
    };
    let answer = call(request, async |request| {
        client.claims().record_payment(request).await
    })
    .await?;
    Reached::of(answer.settlement, answer.position)
}

impl Settled {
    fn of(answer: GetSettlementResponse) -> Self {
        let settlement = answer.settlement.unwrap_or_default();
        let month = settlement.month.and_then(wire::from_date);
        let adjustments = settlement.adjustments.into_iter().map(|one| Adjustment {
            corrected_number: one.corrected_number,
            amount_fen: one.amount_fen,
            order_id: text(one.order_id),
            reason: one.reason,
        });
        Self {
            programme_code: settlement.programme_code,
            provider_id: settlement.provider_id,
            number: settlement.number,
            month: month.map(LocalDay::month),
            stage: name_of::<pb::SettlementStage>(settlement.stage).unwrap_or("?"),
            orders_fen: settlement.orders_fen,
            adjustments_fen: settlement.adjustments_fen,
            total_fen: settlement.total_fen,
            paid_on: day(settlement.paid_on),
            reference: text(settlement.reference),
            adjustments: adjustments.collect(),
            orders: answer.orders.into_iter().map(Row::of).collect(),
        }
    }
}

impl Report for Settled {
    fn text(&self) -> String {
        let month = self.month.map(|month| month.to_string());
        let mut sums = table([
            "项目 programme",
            "机构 provider",
            "结算单 number",
            "审核月份 month",
            "状态 stage",
            "工单 orders",
            "工单金额 orders, yuan",
            "调整 adjustments",
            "合计 total",
            "支付日 paid on",
            "凭证号 reference",
        ]);
        sums.add_row([
            self.programme_code.clone().into(),
            self.provider_id.clone().into(),
            number(self.number),
            month.unwrap_or_default().into(),
            labelled_of::<civic::SettlementStage>(self.stage).into(),
            number(self.orders.len()),
            yuan(self.orders_fen),
            yuan(self.adjustments_fen),
            yuan(self.total_fen),
            self.paid_on.clone().unwrap_or_default().into(),
            self.reference.clone().unwrap_or_default().into(),
        ]);
        let mut told = format!("{}\n{sums}", orders::rows(&self.orders));
        if !self.adjustments.is_empty() {
            let mut rows = table([
                "更正结算单 corrects",
                "金额 yuan",
                "工单 order",
                "原因 reason",
            ]);
            for one in &self.adjustments {
                rows.add_row([
                    number(one.corrected_number),
                    yuan(one.amount_fen),
                    one.order_id.clone().unwrap_or_default().into(),
                    one.reason.clone().into(),
                ]);
            }
            told.push_str(&format!("\n{rows}"));
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_settlement_is_told_with_its_orders_and_adjustments() {
        let settlement = Settlement {
            programme_code: "LTCI".to_owned(),
            provider_id: "P01".to_owned(),
            number: 2,
            month: Some(wire::date("2024-02-01".parse().unwrap())),
            stage: SettlementStage::Confirmed.into(),
            orders: 1,
            orders_fen: 20_000,
            adjustments_fen: -5_000,
            total_fen: 15_000,
            adjustments: vec![pb::Adjustment {
                corrected_number: 1,
                amount_fen: -5_000,
                reason: "重复支付".to_owned(),
                ..Default::default()
            }],
            ..Default::default()
        };
        let order = pb::OrderStanding {
            order_id: "O000007".to_owned(),
            ..Default::default()
        };
        let told = Settled::of(GetSettlementResponse {
            settlement: Some(settlement),
            orders: vec![order],
        });
        let text = told.text();
        for word in [
            "CONFIRMED 已确认",
            "2024-02",
            "O000007",
            "150.00",
            "-50.00",
            "重复支付",
        ] {
            assert!(text.contains(word), "{text}");
        }
        let json = serde_json::to_value(&told).unwrap();
        assert_eq!(
            (&json["total_fen"], &json["paid_on"]),
            (&15_000.into(), &().into())
        );
    }
}
