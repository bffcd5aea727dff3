//! `claims fund`: what a programme's fund holds, and the last of its double entries.

use std::collections::VecDeque;

use proto::eldercare::claims::v1::{self as pb, FundEntry, GetFundLedgerRequest, GetFundRequest};
use serde::Serialize;

use super::{PAGE, at, yuan};
use crate::{
    client::{Client, call},
    output::{Report, table},
    words::{labelled_of, name_of},
};

/// A fund with the last of its entries.
#[derive(Debug, Serialize)]
pub struct FundAccount {
    /// The programme.
    pub programme_code: String,
    /// What came in.
    pub in_fen: i64,
    /// Of this, premiums.
    pub premiums_fen: i64,
    /// What approved orders will cost.
    pub reserved_fen: i64,
    /// What was paid.
    pub paid_fen: i64,
    /// What is there.
    pub balance_fen: i64,
    /// How many entries there are in all.
    pub entries_in_all: u64,
    /// The last of them, oldest first.
    pub entries: VecDeque<Entry>,
}

/// A double entry.
#[derive(Debug, Serialize)]
pub struct Entry {
    /// When, local time.
    pub at: Option<String>,
    /// How much.
    pub amount_fen: i64,
    /// The account that is debited.
    pub debit: &'static str,
    /// The account that is credited.
    pub credit: &'static str,
    /// Of the deposit or the settlement.
    pub reference: String,
    /// The fund's cash after it.
    pub balance_fen: i64,
    /// Where it stands in the log.
    pub position: String,
}

impl Entry {
    fn of(entry: FundEntry) -> Self {
        Self {
            at: at(entry.at),
            amount_fen: entry.amount_fen,
            debit: name_of::<pb::FundAccount>(entry.debit).unwrap_or("?"),
            credit: name_of::<pb::FundAccount>(entry.credit).unwrap_or("?"),
            reference: entry.reference,
            balance_fen: entry.balance_fen,
            position: entry.position,
        }
    }
}

/// A programme's fund with so many of its last entries.
///
/// # Errors
/// Claims' refusal.
pub async fn fund(client: &Client, programme: &str, last: usize) -> anyhow::Result<FundAccount> {
    let request = GetFundRequest {
        programme_code: programme.to_owned(),
        min_position: String::new(),
    };
    let fund = call(request, async |request| {
        client.claims().get_fund(request).await
    })
    .await?;
    let mut request = GetFundLedgerRequest {
        programme_code: programme.to_owned(),
        page_size: PAGE,
        ..Default::default()
    };
    // The ledger is told from its beginning, and its last entries stand at the end.
    let (mut entries, mut entries_in_all) = (VecDeque::new(), 0);
    loop {
        let page = call(request.clone(), async |request| {
            client.claims().get_fund_ledger(request).await
        })
        .await?;
        for entry in page.entries {
            entries_in_all += 1;
            entries.push_back(Entry::of(entry));
            if entries.len() > last {
                entries.pop_front();
            }
        }
        if page.next_page_token.is_empty() {
            return Ok(FundAccount {
                programme_code: programme.to_owned(),
                in_fen: fund.in_fen,
                premiums_fen: fund.premiums_fen,
                reserved_fen: fund.reserved_fen,
                paid_fen: fund.paid_fen,
                balance_fen: fund.balance_fen,
                entries_in_all,
                entries,
            });
        }
        request.page_token = page.next_page_token;
    }
}

impl Report for FundAccount {
    fn text(&self) -> String {
        let mut sums = table(["基金 fund", "元 yuan"]);
        for (name, fen) in [
            ("收入 came in", self.in_fen),
            ("其中保费 of this, premiums", self.premiums_fen),
            ("预留 reserved", self.reserved_fen),
            ("已支付 paid", self.paid_fen),
            ("余额 balance", self.balance_fen),
        ] {
            sums.add_row([name.into(), yuan(fen)]);
        }
        let mut rows = table([
            "时间 at",
            "金额 yuan",
            "借 debit",
            "贷 credit",
            "摘要 reference",
            "余额 balance",
        ]);
        for one in &self.entries {
            rows.add_row([
                one.at.clone().unwrap_or_default().into(),
                yuan(one.amount_fen),
                labelled_of::<civic::FundAccount>(one.debit).into(),
                labelled_of::<civic::FundAccount>(one.credit).into(),
                one.reference.clone().into(),
                yuan(one.balance_fen),
            ]);
        }
        format!(
            "{}\n{sums}\n{rows}\nthe last {} of {} entries / 最近 {} 笔，共 {} 笔",
            self.programme_code,
            self.entries.len(),
            self.entries_in_all,
            self.entries.len(),
            self.entries_in_all
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_told_with_both_accounts() {
        let entry = Entry::of(FundEntry {
            amount_fen: 30_000,
            debit: pb::FundAccount::Cash.into(),
            credit: pb::FundAccount::Premiums.into(),
            balance_fen: 30_000,
            ..Default::default()
        });
        let fund = FundAccount {
            programme_code: "LTCI".to_owned(),
            in_fen: 30_000,
            premiums_fen: 30_000,
            reserved_fen: 0,
            paid_fen: 0,
            balance_fen: 30_000,
            entries_in_all: 4,
            entries: [entry].into(),
        };
        let text = fund.text();
        for word in [
            "CASH 银行存款",
            "PREMIUMS 保费收入",
            "300.00",
            "last 1 of 4",
        ] {
            assert!(text.contains(word), "{text}");
        }
    }
}
