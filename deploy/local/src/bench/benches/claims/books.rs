//! What the books of a programme must say when a year is over and all of it is paid, to the fen.

use std::{collections::BTreeMap, fmt::Debug};

use anyhow::ensure;
use civic::{CalendarMonth, LocalDay};
use proto::eldercare::claims::v1 as pb;

use crate::{
    bench::{care::PROGRAMME, people::COUNTY},
    client::{Client, call},
    wire,
};

/// Settlements and entries on one page.
const PAGE: i32 = 1_000;

/// What remains in the fund when all is paid.
const LEFT_OVER: i64 = 1_000_000;

/// Orders of a kind and what they cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sum {
    /// How many.
    pub(super) orders: i64,
    /// In fen.
    pub(super) fen: i64,
}

/// The settlements of all providers and months.
pub(super) type Settled = BTreeMap<(String, CalendarMonth), Sum>;

/// What must be in the books.
#[derive(Debug)]
pub(super) struct Books {
    orders: u64,
    abnormal: BTreeMap<pb::OrderCode, u64>,
    accepted: u64,
    settled: Settled,
    enrolled: u64,
    last_day: LocalDay,
}

impl Books {
    /// Books without an order.
    pub(super) fn new(enrolled: u64, last_day: LocalDay) -> Self {
        Self {
            orders: 0,
            abnormal: BTreeMap::new(),
            accepted: 0,
            settled: BTreeMap::new(),
            enrolled,
            last_day,
        }
    }

    /// An order is handed in.
    pub(super) fn order(&mut self) {
        self.orders += 1;
    }

    /// It is abnormal.
    pub(super) fn abnormal(&mut self, code: pb::OrderCode, accepted: bool) {
        *self.abnormal.entry(code).or_default() += 1;
        self.accepted += u64::from(accepted);
    }

    /// It is paid in the end.
    pub(super) fn pay(&mut self, provider: String, month: CalendarMonth, fen: i64) {
        let sum = self.settled.entry((provider, month)).or_default();
        sum.orders += 1;
        sum.fen += fen;
    }

    /// The settlements that there must be.
    pub(super) fn settled(&self) -> &Settled {
        &self.settled
    }

    /// How many orders were normal.
    pub(super) fn normal(&self) -> u64 {
        self.orders - self.abnormal_orders()
    }

    /// How many orders were abnormal.
    pub(super) fn abnormal_orders(&self) -> u64 {
        self.abnormal.values().sum()
    }

    /// How many orders were approved in the end though they were abnormal.
    pub(super) fn accepted(&self) -> u64 {
        self.accepted
    }

    /// How many orders are never paid.
    pub(super) fn not_settled(&self) -> u64 {
        self.abnormal_orders() - self.accepted
    }

    /// What all of them cost.
    pub(super) fn total(&self) -> Sum {
        let sums = self.settled.values();
        sums.fold(Sum::default(), |all, sum| Sum {
            orders: all.orders + sum.orders,
            fen: all.fen + sum.fen,
        })
    }

    /// What is put into the fund.
    pub(super) fn deposit(&self) -> i64 {
        self.total().fen + LEFT_OVER
    }

    /// Sees that nothing is open any more and all that is approved is reserved.
    pub(super) async fn closed(&self, client: &Client, position: &str) -> anyhow::Result<()> {
        self.figures(client, position).await?;
        let must = pb::GetFundResponse {
            in_fen: 0,
            premiums_fen: 0,
            reserved_fen: self.total().fen,
            paid_fen: 0,
            balance_fen: 0,
        };
        same(
            "the fund before settlement",
            &fund(client, position).await?,
            &must,
        )
    }

    /// Sees that figures, settlements, fund and ledger say the same when all is paid.
    pub(super) async fn balance(&self, client: &Client, position: &str) -> anyhow::Result<()> {
        self.figures(client, position).await?;
        let total = self.total();
        let must = pb::GetFundResponse {
            in_fen: self.deposit(),
            premiums_fen: 0,
            reserved_fen: 0,
            paid_fen: total.fen,
            balance_fen: LEFT_OVER,
        };
        same("the fund", &fund(client, position).await?, &must)?;
        let settlements = settlements(client, position).await?;
        same("the settlements", &settlements, &self.settled)?;
        self.ledger(client, position).await
    }

    async fn figures(&self, client: &Client, position: &str) -> anyhow::Result<()> {
        let total = self.total();
        let answer = figures(client, self.last_day, &[], position).await?;
        let row = answer.rows.first().cloned().unwrap_or_default();
        let told = [
            row.orders,
            row.waiting,
            row.approved,
            row.abnormal_open,
            row.not_settled,
            row.abnormal_at_submission,
            row.approved_fen,
            answer.enrolled,
        ];
        let signed = u64::cast_signed;
        let must = [
            signed(self.orders),
            0,
            total.orders,
            0,
            signed(self.not_settled()),
            signed(self.abnormal_orders()),
            total.fen,
            signed(self.enrolled),
        ];
        let what =
            "orders, waiting, approved, open, not settled, abnormal at submission, fen, enrolled";
        same(what, &told, &must)?;
        same(
            "approved and normal with accepted orders",
            &total.orders,
            &signed(self.normal() + self.accepted),
        )?;
        let by_code = [pb::FigureGroup::Code];
        let rows = figures(client, self.last_day, &by_code, position)
            .await?
            .rows;
        let told: BTreeMap<String, i64> = rows
            .into_iter()
            .map(|row| (row.keys.concat(), row.orders))
            .collect();
        let abnormal = self.abnormal.iter().map(|(code, orders)| {
            let name = code.as_str_name().trim_start_matches("ORDER_CODE_");
            (name.to_owned(), signed(*orders))
        });
        // Orders without any code stand under no name.
        let normal = (String::new(), signed(self.normal()));
        same("orders by code", &told, &abnormal.chain([normal]).collect())
    }

    /// Every entry debits as much as it credits; what must be seen is that all accounts come out.
    async fn ledger(&self, client: &Client, position: &str) -> anyhow::Result<()> {
        let (mut debits, mut credits) = (Accounts::default(), Accounts::default());
        let mut cash = 0;
        for entry in entries(client, position).await? {
            let (debit, credit) = (entry.debit(), entry.credit());
            ensure!(
                entry.amount_fen > 0 && debit != credit,
                "an entry of the ledger is none: {entry:?}"
            );
            *debits.entry(debit).or_default() += entry.amount_fen;
            *credits.entry(credit).or_default() += entry.amount_fen;
            if debit == pb::FundAccount::Cash {
                cash += entry.amount_fen;
            }
            if credit == pb::FundAccount::Cash {
                cash -= entry.amount_fen;
            }
            same("the cash after an entry", &entry.balance_fen, &cash)?;
        }
        let (debited, credited): (i64, i64) = (debits.values().sum(), credits.values().sum());
        same("debits and credits", &debited, &credited)?;
        let of = |accounts: &Accounts, account| accounts.get(&account).copied().unwrap_or_default();
        let account = |account| (of(&debits, account), of(&credits, account));
        let paid = self.total().fen;
        let told = [
            pb::FundAccount::Cash,
            pb::FundAccount::Grants,
            pb::FundAccount::Benefits,
            pb::FundAccount::Payable,
            pb::FundAccount::Premiums,
        ]
        .map(account);
        let must = [
            (self.deposit(), paid),
            (0, self.deposit()),
            (paid, 0),
            (paid, paid),
            (0, 0),
        ];
        same(
            "debits and credits of cash, grants, benefits, payable, premiums",
            &told,
            &must,
        )
    }
}

type Accounts = BTreeMap<pb::FundAccount, i64>;

fn same<T: PartialEq + Debug>(what: &str, told: &T, must: &T) -> anyhow::Result<()> {
    ensure!(
        told == must,
        "the books do not balance: {what} are {told:?} and must be {must:?}"
    );
    Ok(())
}

async fn figures(
    client: &Client,
    last_day: LocalDay,
    groups: &[pb::FigureGroup],
    position: &str,
) -> anyhow::Result<pb::GetFiguresResponse> {
    let request = pb::GetFiguresRequest {
        filter: Some(pb::OrderFilter {
            division_code: COUNTY.to_owned(),
            programme_code: PROGRAMME.to_owned(),
            last_service_day: Some(wire::date(last_day)),
            ..Default::default()
        }),
        groups: groups.iter().map(|group| (*group).into()).collect(),
        min_position: position.to_owned(),
    };
    call(request, async |request| {
        client.claims().get_figures(request).await
    })
    .await
}

async fn fund(client: &Client, position: &str) -> anyhow::Result<pb::GetFundResponse> {
    let request = pb::GetFundRequest {
        programme_code: PROGRAMME.to_owned(),
        min_position: position.to_owned(),
    };
    call(request, async |request| {
        client.claims().get_fund(request).await
    })
    .await
}

/// What was paid to each provider for each month.
async fn settlements(client: &Client, position: &str) -> anyhow::Result<Settled> {
    let mut settled = Settled::new();
    let mut request = pb::ListSettlementsRequest {
        programme_code: PROGRAMME.to_owned(),
        page_size: PAGE,
        min_position: position.to_owned(),
        ..Default::default()
    };
    loop {
        let page = call(request.clone(), async |request| {
            client.claims().list_settlements(request).await
        })
        .await?;
        for one in page.settlements {
            ensure!(
                one.stage() == pb::SettlementStage::Paid
                    && one.orders_fen == one.total_fen
                    && one.adjustments_fen == 0,
                "a settlement is not as it was drafted, confirmed and paid: {one:?}"
            );
            if let Some(month) = one.month.and_then(wire::from_date) {
                let sum = settled.entry((one.provider_id, month.month())).or_default();
                sum.orders += i64::from(one.orders);
                sum.fen += one.total_fen;
            }
        }
        if page.next_page_token.is_empty() {
            return Ok(settled);
        }
        request.page_token = page.next_page_token;
    }
}

async fn entries(client: &Client, position: &str) -> anyhow::Result<Vec<pb::FundEntry>> {
    let mut entries = Vec::new();
    let mut request = pb::GetFundLedgerRequest {
        programme_code: PROGRAMME.to_owned(),
        page_size: PAGE,
        min_position: position.to_owned(),
        ..Default::default()
    };
    loop {
        let page = call(request.clone(), async |request| {
            client.claims().get_fund_ledger(request).await
        })
        .await?;
        entries.extend(page.entries);
        if page.next_page_token.is_empty() {
            return Ok(entries);
        }
        request.page_token = page.next_page_token;
    }
}
