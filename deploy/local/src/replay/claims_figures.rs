//! What the system says of service orders, settlements and funds, in the form in which a data set expects it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use chrono::{DateTime, SecondsFormat, Utc};
use civic::{CalendarMonth, LocalDay, SHANGHAI};
use proto::eldercare::claims::v1::{
    self as pb, ConfirmSettlementRequest, DecideHoldRequest, DraftSettlementRequest, FigureGroup,
    FigureRow, GetFiguresRequest, GetFundRequest, GetFundResponse, GetOrderRequest,
    ListHeldOrdersRequest, ListOrdersRequest, ListSettlementsRequest, OrderFilter, OrderStanding,
    RecordPaymentRequest, Settlement,
};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::play_claims::Ledger;
use crate::{
    claiming::OrderStory,
    client::{Client, call},
    county::County,
    wire,
    words::{name_of, names_of},
};

/// Orders and settlements on one page.
const PAGE: i32 = 1_000;

/// What became of the orders of a set, and where the money went.
#[derive(Debug, Clone, Default)]
pub struct Claims {
    /// As `expected/claims.json` has it.
    pub compared: Value,
    /// The programmes, by code.
    pub programmes: Vec<ProgrammeFigures>,
    /// One of the orders that are not paid, and why; without the facts of the elder.
    pub unpaid: Option<OrderStory>,
}

/// The figures of a programme.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ProgrammeFigures {
    /// Which.
    pub programme_code: String,
    /// Persons who were enrolled.
    pub enrolled: u64,
    /// The premiums that came in for them.
    pub premiums_fen: i64,
    /// Orders handed in.
    pub orders: i64,
    /// Those that are approved.
    pub approved: i64,
    /// Those that are abnormal and open.
    pub abnormal_open: i64,
    /// Those that are never paid.
    pub not_settled: i64,
    /// Approved orders against which a fact stood that was recorded later; a reviewer kept them all, since the set tells of
    /// no other decision.
    pub held: u64,
    /// The fund before anything was settled.
    pub before_settlement: Fund,
    /// The fund when all was settled and paid.
    pub after_payment: Fund,
}

/// A fund.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Fund {
    /// What approved orders will cost.
    pub reserved_fen: i64,
    /// What was paid.
    pub paid_fen: i64,
    /// What is there.
    pub balance_fen: i64,
}

impl Fund {
    fn of(fund: &GetFundResponse) -> Self {
        Self {
            reserved_fen: fund.reserved_fen,
            paid_fen: fund.paid_fen,
            balance_fen: fund.balance_fen,
        }
    }
}

/// The orders and funds as `expected/claims.json` has them. Everything approved is settled and paid for it.
///
/// # Errors
/// The calls'.
pub(super) async fn claims(
    client: &Client,
    county: &County,
    ledger: &Ledger,
    day: LocalDay,
) -> anyhow::Result<Claims> {
    let mut desk = Desk {
        client,
        county,
        last: ledger.last.clone(),
    };
    let standings = desk.orders().await?;
    let totals = totals(&desk, ledger, &standings).await?;
    let by_service_month = [FigureGroup::Provider, FigureGroup::ServiceMonth];
    let by_service_month = desk.figures("", &by_service_month).await?;
    let held = desk.keep_held().await?;
    let (mut programmes, mut settlements, mut funds) = (Vec::new(), Vec::new(), Map::new());
    for (code, enrolled) in &ledger.programmes {
        let before = desk.fund(code).await?;
        let row = in_all(desk.figures(code, &[]).await?);
        desk.settle(code, day).await?;
        let after = desk.fund(code).await?;
        settlements.extend(desk.settlements(code).await?);
        let figures = ProgrammeFigures {
            programme_code: code.clone(),
            enrolled: *enrolled,
            premiums_fen: after.premiums_fen,
            orders: row.orders,
            approved: row.approved,
            abnormal_open: row.abnormal_open,
            not_settled: row.not_settled,
            held: held.get(code).copied().unwrap_or_default(),
            before_settlement: Fund::of(&before),
            after_payment: Fund::of(&after),
        };
        let fund = json!({
            "in_fen": after.in_fen,
            "before_any_settlement": figures.before_settlement,
            "all_settled_and_paid": figures.after_payment,
        });
        funds.insert(code.clone(), fund);
        programmes.push(figures);
    }
    let orders = standings.iter().map(|standing| {
        let fate = fate(standing, &ledger.too_late);
        (standing.order_id.clone(), order(standing, fate))
    });
    let compared = json!({
        "as_of": day.to_string(),
        "totals": totals,
        "enrolled": ledger.programmes,
        "fund": funds,
        "settlements_by_service_month": by_service_month.iter().filter_map(served_in).collect::<Vec<_>>(),
        "settlements_by_approval_month": settlements.iter().map(settled_in).collect::<Vec<_>>(),
        "orders": orders.collect::<Map<_, _>>(),
    });
    let unpaid = match worst(&standings) {
        Some(standing) => Some(desk.story(standing).await?),
        None => None,
    };
    Ok(Claims {
        compared,
        programmes,
        unpaid,
    })
}

/// The finance officer's desk: asks claims of a county, and settles.
struct Desk<'a> {
    client: &'a Client,
    county: &'a County,
    /// The last position of the log of claims: whatever is asked takes it into account.
    last: String,
}

impl Desk<'_> {
    fn filter(&self, programme: &str) -> OrderFilter {
        OrderFilter {
            division_code: self.county.set.county.clone(),
            programme_code: programme.to_owned(),
            ..Default::default()
        }
    }

    /// All orders of the county.
    async fn orders(&self) -> anyhow::Result<Vec<OrderStanding>> {
        let mut request = ListOrdersRequest {
            filter: Some(self.filter("")),
            page_size: PAGE,
            min_position: self.last.clone(),
            ..Default::default()
        };
        let mut orders = Vec::new();
        loop {
            let page = call(request.clone(), async |request| {
                self.client.claims().list_orders(request).await
            })
            .await?;
            orders.extend(page.orders);
            if page.next_page_token.is_empty() {
                return Ok(orders);
            }
            request.page_token = page.next_page_token;
        }
    }

    /// The figures of a programme, or of all where none is named.
    async fn figures(
        &self,
        programme: &str,
        groups: &[FigureGroup],
    ) -> anyhow::Result<Vec<FigureRow>> {
        let request = GetFiguresRequest {
            filter: Some(self.filter(programme)),
            groups: groups.iter().map(|group| (*group).into()).collect(),
            min_position: self.last.clone(),
        };
        let answer = call(request, async |request| {
            self.client.claims().get_figures(request).await
        });
        Ok(answer.await?.rows)
    }

    async fn fund(&self, programme: &str) -> anyhow::Result<GetFundResponse> {
        let request = GetFundRequest {
            programme_code: programme.to_owned(),
            min_position: self.last.clone(),
        };
        call(request, async |request| {
            self.client.claims().get_fund(request).await
        })
        .await
    }

    /// Lets all orders on hold be settled; how many there were of each programme.
    async fn keep_held(&mut self) -> anyhow::Result<BTreeMap<String, u64>> {
        let mut held = BTreeMap::new();
        loop {
            let request = ListHeldOrdersRequest {
                division_code: self.county.set.county.clone(),
                state: pb::HoldState::OnHold.into(),
                page_size: PAGE,
                min_position: self.last.clone(),
                ..Default::default()
            };
            let page = call(request, async |request| {
                self.client.claims().list_held_orders(request).await
            });
            let orders = page.await?.orders;
            if orders.is_empty() {
                return Ok(held);
            }
            for order in orders {
                let Some(standing) = order.standing else {
                    continue;
                };
                let name = format!("{}/{}", standing.provider_id, standing.order_id);
                let request_id = self.county.request_id("keep", 0, name.as_bytes());
                let request = DecideHoldRequest {
                    request_id: request_id.to_string(),
                    provider_id: standing.provider_id,
                    order_id: standing.order_id,
                    decision: pb::HoldDecision::Keep.into(),
                    etag: order.etag,
                };
                let reviewer = self.client.reviewer()?;
                let kept = call(request, async |request| {
                    reviewer.clone().decide_hold(request).await
                });
                self.last = kept.await?.position;
                *held.entry(standing.programme_code).or_default() += 1;
            }
        }
    }

    /// Settles and pays all that was approved, by provider and month.
    async fn settle(&mut self, programme: &str, today: LocalDay) -> anyhow::Result<()> {
        let by_approval_month = [FigureGroup::Provider, FigureGroup::ApprovalMonth];
        let approved = self.figures(programme, &by_approval_month).await?;
        // The months of a provider in their order, as they would have been settled.
        let mut due = BTreeSet::new();
        for row in approved.iter().filter(|row| row.approved > 0) {
            let (provider, month) = keys(row).context("figures without provider and month")?;
            let month: CalendarMonth = month.parse().context("figures of no month")?;
            due.insert((provider, month));
        }
        for (provider, month) in due {
            self.settle_month(programme, provider, month, today).await?;
        }
        Ok(())
    }

    async fn settle_month(
        &mut self,
        programme: &str,
        provider: &str,
        month: CalendarMonth,
        today: LocalDay,
    ) -> anyhow::Result<()> {
        let name = format!("{programme}/{provider}/{month}");
        let request_id = |step: &str| {
            let id = self.county.request_id(step, 0, name.as_bytes());
            id.to_string()
        };
        let request = DraftSettlementRequest {
            request_id: request_id("draft"),
            programme_code: programme.to_owned(),
            provider_id: provider.to_owned(),
            month_of: Some(wire::date(month.first_day())),
        };
        let drafted = call(request, async |request| {
            self.client.claims().draft_settlement(request).await
        });
        let drafted = drafted.await?.settlement;
        let drafted = drafted.context("a draft was answered without the settlement")?;
        let request = ConfirmSettlementRequest {
            request_id: request_id("confirm"),
            programme_code: programme.to_owned(),
            provider_id: provider.to_owned(),
            number: drafted.number,
            total_fen: drafted.total_fen,
        };
        call(request, async |request| {
            self.client.claims().confirm_settlement(request).await
        })
        .await?;
        let request = RecordPaymentRequest {
            request_id: request_id("pay"),
            programme_code: programme.to_owned(),
            provider_id: provider.to_owned(),
            number: drafted.number,
            amount_fen: drafted.total_fen,
            paid_on: Some(wire::date(today)),
            reference: format!("{programme}-{provider}-{month}"),
        };
        let paid = call(request, async |request| {
            self.client.claims().record_payment(request).await
        });
        self.last = paid.await?.position;
        Ok(())
    }

    async fn settlements(&self, programme: &str) -> anyhow::Result<Vec<Settlement>> {
        let mut request = ListSettlementsRequest {
            programme_code: programme.to_owned(),
            page_size: PAGE,
            min_position: self.last.clone(),
            ..Default::default()
        };
        let mut settlements = Vec::new();
        loop {
            let page = call(request.clone(), async |request| {
                self.client.claims().list_settlements(request).await
            })
            .await?;
            settlements.extend(page.settlements);
            if page.next_page_token.is_empty() {
                return Ok(settlements);
            }
            request.page_token = page.next_page_token;
        }
    }

    /// Why an order is not paid.
    async fn story(&self, standing: &OrderStanding) -> anyhow::Result<OrderStory> {
        let request = GetOrderRequest {
            provider_id: standing.provider_id.clone(),
            order_id: standing.order_id.clone(),
            min_position: self.last.clone(),
        };
        let answer = call(request, async |request| {
            self.client.claims().get_order(request).await
        });
        Ok(OrderStory::of(answer.await?).without_facts())
    }
}

async fn totals(
    desk: &Desk<'_>,
    ledger: &Ledger,
    standings: &[OrderStanding],
) -> anyhow::Result<Value> {
    let row = in_all(desk.figures("", &[]).await?);
    let mut appeals: BTreeMap<&str, u64> = BTreeMap::new();
    for fate in standings
        .iter()
        .filter_map(|standing| fate(standing, &ledger.too_late))
    {
        *appeals.entry(fate).or_default() += 1;
    }
    let by_code = desk.figures("", &[FigureGroup::Code]).await?;
    let codes = by_code.into_iter().filter_map(|row| {
        let code = row.keys.into_iter().next()?;
        // Orders without any code stand under no name.
        (!code.is_empty()).then(|| (code, json!(row.orders)))
    });
    let groups = desk.figures("", &[FigureGroup::EntitledBy]).await?;
    let groups = groups.into_iter().filter(|row| row.approved > 0);
    let groups = groups.filter_map(|row| {
        let group = row.keys.first()?.to_lowercase();
        let counts = json!({"persons": row.persons_approved, "services": row.approved});
        Some((group, counts))
    });
    Ok(json!({
        "orders": row.orders,
        "waiting": row.waiting,
        "approved": row.approved,
        "abnormal_open": row.abnormal_open,
        "not_settled": row.not_settled,
        "abnormal_at_submission": row.abnormal_at_submission,
        "persons_approved": row.persons_approved,
        "appeals": appeals,
        "codes": codes.collect::<Map<_, _>>(),
        "groups": groups.collect::<Map<_, _>>(),
    }))
}

/// The one row of figures over everything; none where there is nothing.
fn in_all(rows: Vec<FigureRow>) -> FigureRow {
    rows.into_iter().next().unwrap_or_default()
}

/// The two keys of a row.
fn keys(row: &FigureRow) -> Option<(&str, &str)> {
    match row.keys.as_slice() {
        [one, other] => Some((one, other)),
        _ => None,
    }
}

/// What was approved of a provider's services of a month; none where nothing was.
fn served_in(row: &FigureRow) -> Option<Value> {
    let (provider_id, month) = keys(row)?;
    (row.approved > 0).then(|| {
        json!({
            "provider_id": provider_id,
            "month": month,
            "orders": row.approved,
            "amount_fen": row.approved_fen,
        })
    })
}

fn settled_in(settlement: &Settlement) -> Value {
    let month = settlement.month.and_then(wire::from_date);
    json!({
        "provider_id": settlement.provider_id,
        "month": month.map(|day| day.month().to_string()),
        "orders": settlement.orders,
        "amount_fen": settlement.total_fen,
    })
}

/// What became of an order's appeal; none where nobody appealed.
fn fate(standing: &OrderStanding, too_late: &BTreeSet<String>) -> Option<&'static str> {
    if too_late.contains(&standing.order_id) {
        return Some("TOO_LATE");
    }
    name_of::<pb::AppealState>(standing.appeal)
}

/// An order with its fate. The set says when an order was approved only where an appeal led to it.
fn order(standing: &OrderStanding, fate: Option<&str>) -> Value {
    let mut order = json!({
        "codes": names_of::<pb::OrderCode>(&standing.codes),
        "state": name_of::<pb::OrderState>(standing.state),
    });
    if let Some(fate) = fate {
        let approved_at = standing.approved_at.and_then(wire::from_timestamp);
        order["appeal"] = json!(fate);
        order["approved_at"] = json!(approved_at.map(told));
    }
    order
}

/// An unpaid order with as many codes as any, the first by its name.
fn worst(standings: &[OrderStanding]) -> Option<&OrderStanding> {
    let unpaid = [pb::OrderState::AbnormalOpen, pb::OrderState::NotSettled].map(i32::from);
    let unpaid = standings.iter().filter(|one| unpaid.contains(&one.state));
    unpaid.min_by_key(|one| {
        (
            std::cmp::Reverse(one.codes.len()),
            &one.provider_id,
            &one.order_id,
        )
    })
}

/// An instant as the set writes it.
fn told(at: DateTime<Utc>) -> String {
    at.with_timezone(&SHANGHAI)
        .to_rfc3339_opts(SecondsFormat::AutoSi, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(order_id: &str, codes: &[pb::OrderCode], state: pb::OrderState) -> OrderStanding {
        OrderStanding {
            provider_id: "P01".to_owned(),
            order_id: order_id.to_owned(),
            state: state.into(),
            codes: codes.iter().map(|code| (*code).into()).collect(),
            ..Default::default()
        }
    }

    #[test]
    fn an_order_is_told_with_the_fate_of_its_appeal() {
        let too_late = ["O2".to_owned()].into();
        let approved = OrderStanding {
            appeal: pb::AppealState::Accepted.into(),
            approved_at: Some(wire::timestamp("2024-01-25T07:40:21Z".parse().unwrap())),
            ..standing(
                "O1",
                &[pb::OrderCode::LocationMismatch],
                pb::OrderState::Approved,
            )
        };
        assert_eq!(
            order(&approved, fate(&approved, &too_late)),
            json!({
                "codes": ["LOCATION_MISMATCH"],
                "state": "APPROVED",
                "appeal": "ACCEPTED",
                "approved_at": "2024-01-25T15:40:21+08:00",
            })
        );
        let lapsed = standing(
            "O2",
            &[pb::OrderCode::DurationShort],
            pb::OrderState::NotSettled,
        );
        assert_eq!(fate(&lapsed, &too_late), Some("TOO_LATE"));
        let clean = OrderStanding {
            approved_at: approved.approved_at,
            ..standing("O3", &[], pb::OrderState::Approved)
        };
        assert_eq!(
            order(&clean, fate(&clean, &too_late)),
            json!({"codes": [], "state": "APPROVED"})
        );
    }

    #[test]
    fn the_order_that_is_shown_has_the_most_codes_of_those_that_are_not_paid() {
        let codes = [
            pb::OrderCode::DurationShort,
            pb::OrderCode::LocationMismatch,
            pb::OrderCode::LateSubmission,
        ];
        let standings = [
            standing("O1", &codes[..1], pb::OrderState::NotSettled),
            standing("O3", &codes[..2], pb::OrderState::AbnormalOpen),
            standing("O2", &codes[..2], pb::OrderState::NotSettled),
            standing("O0", &codes, pb::OrderState::Approved),
        ];
        let shown = worst(&standings).map(|one| one.order_id.as_str());
        assert_eq!(shown, Some("O2"));
        assert_eq!(worst(&standings[3..]), None);
    }

    #[test]
    fn months_without_anything_approved_are_not_listed() {
        let row = FigureRow {
            keys: vec!["P01".to_owned(), "2024-01".to_owned()],
            orders: 3,
            approved: 2,
            approved_fen: 40_000,
            ..Default::default()
        };
        let served = served_in(&row).unwrap();
        assert_eq!(
            served,
            json!({"provider_id": "P01", "month": "2024-01", "orders": 2, "amount_fen": 40_000})
        );
        let nothing = FigureRow { approved: 0, ..row };
        assert_eq!(served_in(&nothing), None);
    }
}
