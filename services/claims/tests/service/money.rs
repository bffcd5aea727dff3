//! Settlements and funds: every approved order is paid once, and nothing beyond what is there.

mod funds;
mod settlements;

use std::collections::BTreeMap;

use proto::eldercare::claims::v1 as pb;

use crate::support::{Ground, Running, id, order};

/// The county with its insurance and so many approved orders `O1`, `O2` and so on, each of an elder of its own.
async fn approved(ground: &Ground, many: u32) -> (Running, String) {
    let running = ground.start().await;
    let caregiver = running.insurance().await;
    for number in 1..=many {
        let elder = running.insured().await;
        let start = format!("2024-02-{number:02} 09:00");
        let order = order(&format!("O{number}"), elder, &caregiver, &start);
        assert_eq!(running.told(&order).await, "APPROVED");
    }
    (running, caregiver)
}

async fn ledger(running: &Running, page_size: i32) -> Vec<pb::FundEntry> {
    ledger_of(running, "LTCI", page_size).await
}

async fn ledger_of(running: &Running, programme: &str, page_size: i32) -> Vec<pb::FundEntry> {
    running.settled().await;
    let mut request = pb::GetFundLedgerRequest {
        programme_code: programme.to_owned(),
        page_size,
        ..Default::default()
    };
    let mut entries = Vec::new();
    loop {
        let page = running.client().get_fund_ledger(request.clone()).await;
        let page = page.unwrap().into_inner();
        entries.extend(page.entries);
        if page.next_page_token.is_empty() {
            return entries;
        }
        request.page_token = page.next_page_token;
    }
}

/// The insurance's ledger balances and agrees with what is told of its fund.
async fn assert_balanced(running: &Running) {
    assert_balanced_of(running, "LTCI").await;
}

/// A programme's ledger balances and agrees with what is told of its fund.
pub(crate) async fn assert_balanced_of(running: &Running, programme: &str) {
    let entries = ledger_of(running, programme, 0).await;
    let mut accounts = BTreeMap::<pb::FundAccount, i64>::new();
    let (mut debit, mut credit) = (0, 0);
    for entry in &entries {
        assert!(entry.amount_fen > 0, "{entry:?}");
        *accounts.entry(entry.debit()).or_default() += entry.amount_fen;
        *accounts.entry(entry.credit()).or_default() -= entry.amount_fen;
        debit += entry.amount_fen;
        credit += entry.amount_fen;
        let cash = accounts.get(&pb::FundAccount::Cash).copied();
        assert_eq!(entry.balance_fen, cash.unwrap_or_default());
        assert!(entry.balance_fen >= 0);
    }
    assert_eq!(debit, credit);
    assert_eq!(accounts.values().sum::<i64>(), 0);
    let fund = running.fund(programme).await;
    assert_eq!(fund.balance_fen, fund.in_fen - fund.paid_fen);
    let last = entries.last().map_or(0, |entry| entry.balance_fen);
    assert_eq!(last, fund.balance_fen);
    let of = |account| accounts.get(&account).copied().unwrap_or_default();
    assert_eq!(of(pb::FundAccount::Cash), fund.balance_fen);
    assert_eq!(of(pb::FundAccount::Payable), -fund.reserved_fen);
    assert_eq!(of(pb::FundAccount::Premiums), -fund.premiums_fen);
    assert_eq!(of(pb::FundAccount::Grants), fund.premiums_fen - fund.in_fen);
    assert_eq!(
        of(pb::FundAccount::Benefits),
        fund.reserved_fen + fund.paid_fen
    );
    assert_eq!(ledger_of(running, programme, 1).await, entries);
}

/// What the settlement of a number got wrong, about an order or, without a name, about none.
pub(crate) fn adjustment(number: i32, fen: i64, order: &str) -> pb::AdjustSettlementRequest {
    pb::AdjustSettlementRequest {
        request_id: id(),
        programme_code: "LTCI".to_owned(),
        provider_id: "P01".to_owned(),
        number,
        amount_fen: fen,
        order_id: order.to_owned(),
        reason: "时长更正".to_owned(),
    }
}
