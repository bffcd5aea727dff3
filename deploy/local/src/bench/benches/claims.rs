//! `claims`: a year of service orders of Yiwu's size is handed in, adjudicated, appealed, closed, settled and paid, and the
//! books balance to the fen.

mod books;
mod year;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use civic::{CalendarMonth, LocalDay};
use futures::{StreamExt as _, TryStreamExt as _, future::try_join_all, stream};
use proto::eldercare::claims::v1 as pb;

use self::{
    books::{Books, Sum},
    year::{Appeal, Plan},
};
use crate::{
    bench::{
        Ground, Measured,
        callers::rate,
        care::{Desk, PROGRAMME, STREAMS, request_id},
        handing_in::{Order, Pace, hand_in},
    },
    client::{Client, call},
    wire,
};

/// When programme, providers, caregivers and elders are registered.
const BEGINS: &str = "2024-01-02T08:00:00+08:00";

/// Providers hand in their weeks in one go.
const PACE: Pace = Pace {
    waiting: 4_000,
    a_second: None,
};

/// How many appeals are filed and decided at once.
const APPEALS_AT_ONCE: usize = 32;

/// How long the parts of the year took.
#[derive(Debug, Default)]
struct Parts {
    /// Until the verdicts.
    submitted: Duration,
    appealed: Duration,
    /// Until all is closed whose time for appeals was over when the clock went on.
    lapsed: Duration,
    settled: Duration,
}

pub(super) async fn run(ground: &Ground) -> anyhow::Result<Vec<Measured>> {
    let plan = Plan::of(|full| ground.scaled(full));
    let desk = Desk::open(ground, "claims", plan.scope, BEGINS).await?;
    let (weeks, books) = plan.play(&desk.roster);
    let (clock, client) = (desk.simulator()?, &desk.clients[0]);
    if let Some(first) = weeks.first() {
        clock.advance_to(first.at).await?;
    }
    let before = desk.spent();

    let step = ground.progress.begin("a year of orders", plan.orders());
    let (mut parts, mut last) = (Parts::default(), 0);
    let began = Instant::now();
    for week in weeks {
        let since = Instant::now();
        clock.advance_to(week.at).await?;
        parts.lapsed += since.elapsed();
        let since = Instant::now();
        let orders: usize = week.orders.iter().map(Vec::len).sum();
        last = submit(&desk, week.orders).await?.max(last);
        parts.submitted += since.elapsed();
        let since = Instant::now();
        appeal(&desk, week.appeals).await?;
        parts.appealed += since.elapsed();
        step.advance(orders as u64);
    }
    let since = Instant::now();
    clock.advance_to(year::all_over()).await?;
    parts.lapsed += since.elapsed();
    let closed = began.elapsed();
    step.done("");
    let position = eventlog::Position::new("CLAIMS", last).to_string();
    books.closed(client, &position).await?;

    let settlements = books.settled().len() as u64;
    let step = ground.progress.begin("settlements", settlements);
    let since = Instant::now();
    let position = settle(&desk, &books, || step.advance(1)).await?;
    parts.settled = since.elapsed();
    step.done("");
    let spent = desk.spent();
    let step = ground.progress.begin("the books", 0);
    books.balance(client, &position).await?;
    step.done("they balance");

    let elapsed = closed + parts.settled;
    let orders = plan.orders();
    let rate = rate(orders, parts.submitted.as_secs_f64());
    let measured = Measured::new("claims", elapsed.as_secs_f64(), "s in all")
        .peak(desk.served.peak_rss())
        .with("orders", orders)
        .with("normal", books.normal())
        .with("abnormal", books.abnormal_orders())
        .with("accepted", books.accepted())
        .with("not_settled", books.not_settled())
        .with("settlements", settlements)
        .with("paid_fen", books.total().fen)
        .with("streams", STREAMS)
        .with("providers", plan.scope.providers)
        .with("caregivers", plan.scope.caregivers())
        .with("enrolled", plan.scope.enrolled())
        .with_rounded("submitted_and_adjudicated_s", parts.submitted.as_secs_f64())
        .with_rounded("appealed_s", parts.appealed.as_secs_f64())
        .with_rounded("lapsed_s", parts.lapsed.as_secs_f64())
        .with_rounded("settled_s", parts.settled.as_secs_f64())
        .with_rounded("orders_per_second", rate)
        .with("registry_peak_mib", desk.registry_peak_mib());
    let measured = spent.since(&before, usize::try_from(orders)?, measured);
    let measured = desk.stage.note(measured);
    desk.close().await?;
    Ok(vec![measured])
}

/// Hands in a week's orders over all streams at once; the sequence of the last one.
async fn submit(desk: &Desk, streams: Vec<Vec<Order>>) -> anyhow::Result<u64> {
    let streams = desk.clients.iter().zip(streams);
    let streams = streams.map(|(client, orders)| hand_in(client, orders, PACE));
    let verdicts = try_join_all(streams).await?;
    let last = verdicts.iter().map(|verdicts| verdicts.last).max();
    Ok(last.unwrap_or_default())
}

/// Files appeals and decides on each.
async fn appeal(desk: &Desk, appeals: Vec<Appeal>) -> anyhow::Result<()> {
    let clients = desk.clients.iter().cycle();
    stream::iter(appeals.into_iter().zip(clients))
        .map(|(appeal, client)| file_and_decide(client, appeal))
        .buffer_unordered(APPEALS_AT_ONCE)
        .try_collect()
        .await
}

async fn file_and_decide(client: &Client, appeal: Appeal) -> anyhow::Result<()> {
    let Appeal {
        provider_id,
        order_id,
        accept,
        photo,
    } = appeal;
    let request = pb::AppealOrderRequest {
        request_id: request_id("appeal", &order_id),
        provider_id: provider_id.clone(),
        order_id: order_id.clone(),
        statement: "情况属实，补充照片".to_owned(),
        evidence: vec![photo],
    };
    call(request, async |request| {
        client.claims().appeal_order(request).await
    })
    .await
    .with_context(|| format!("the appeal against {order_id}"))?;
    let (decision, state) = if accept {
        (pb::AppealDecision::Accept, pb::OrderState::Approved)
    } else {
        (pb::AppealDecision::Refuse, pb::OrderState::NotSettled)
    };
    let request = pb::DecideAppealRequest {
        request_id: request_id("decide", &order_id),
        provider_id,
        order_id: order_id.clone(),
        decision: decision.into(),
    };
    let reviewer = client.reviewer()?;
    let decided = call(request, async |request| {
        reviewer.clone().decide_appeal(request).await
    })
    .await
    .with_context(|| format!("the decision on {order_id}"))?;
    let standing = decided.standing.unwrap_or_default();
    ensure!(
        standing.state() == state,
        "order {order_id}, which must be {}, stands so: {standing:?}",
        state.as_str_name()
    );
    Ok(())
}

/// Puts the money into the fund, settles and pays each provider's months; the position of the last payment.
async fn settle(desk: &Desk, books: &Books, paid: impl Fn()) -> anyhow::Result<String> {
    let client = &desk.clients[0];
    let request = pb::FundDepositRequest {
        request_id: request_id("deposit", PROGRAMME),
        programme_code: PROGRAMME.to_owned(),
        amount_fen: books.deposit(),
        kind: pb::DepositKind::Grant.into(),
        reference: "CZ-2024".to_owned(),
    };
    call(request, async |request| {
        client.claims().fund_deposit(request).await
    })
    .await?;
    // The months of a provider are drafted one after the other, those of many providers side by side.
    let mut providers: BTreeMap<&str, Vec<(CalendarMonth, Sum)>> = BTreeMap::new();
    for ((provider, month), sum) in books.settled() {
        providers.entry(provider).or_default().push((*month, *sum));
    }
    let clients = desk.clients.iter().cycle();
    let confirmed: Vec<Vec<pb::Settlement>> = stream::iter(providers.into_iter().zip(clients))
        .map(|((provider, months), client)| async move {
            let mut confirmed = Vec::with_capacity(months.len());
            for (month, sum) in months {
                confirmed.push(confirm(client, provider, month, sum).await?);
            }
            anyhow::Ok(confirmed)
        })
        .buffered(STREAMS)
        .try_collect()
        .await?;
    // All are paid from one fund, by one payer.
    let today = LocalDay::of(year::all_over());
    let mut last = String::new();
    for settlement in confirmed.into_iter().flatten() {
        last = pay(client, settlement, today).await?;
        paid();
    }
    Ok(last)
}

/// Drafts a settlement and has it confirmed.
async fn confirm(
    client: &Client,
    provider: &str,
    month: CalendarMonth,
    must: Sum,
) -> anyhow::Result<pb::Settlement> {
    let name = format!("{provider} {month}");
    let request = pb::DraftSettlementRequest {
        request_id: request_id("draft", &name),
        programme_code: PROGRAMME.to_owned(),
        provider_id: provider.to_owned(),
        month_of: Some(wire::date(month.first_day())),
    };
    let drafted = call(request, async |request| {
        client.claims().draft_settlement(request).await
    });
    let drafted = drafted.await.with_context(|| format!("the draft {name}"))?;
    let draft = drafted.settlement.unwrap_or_default();
    let told = Sum {
        orders: i64::from(draft.orders),
        fen: draft.total_fen,
    };
    ensure!(
        told == must,
        "the draft {name} must hold {must:?} and holds {told:?}"
    );
    let reviewer = client.reviewer()?;
    let request = pb::ConfirmSettlementRequest {
        request_id: request_id("confirm", &name),
        programme_code: PROGRAMME.to_owned(),
        provider_id: provider.to_owned(),
        number: draft.number,
        total_fen: draft.total_fen,
    };
    let confirmed = call(request, async |request| {
        reviewer.clone().confirm_settlement(request).await
    });
    let confirmed = confirmed.await;
    let confirmed = confirmed.with_context(|| format!("the confirmation of {name}"))?;
    confirmed
        .settlement
        .with_context(|| format!("{name} was confirmed without being told"))
}

/// Pays a settlement; the position of the payment.
async fn pay(
    client: &Client,
    settlement: pb::Settlement,
    today: LocalDay,
) -> anyhow::Result<String> {
    let name = format!("{}-{}", settlement.provider_id, settlement.number);
    let request = pb::RecordPaymentRequest {
        request_id: request_id("pay", &name),
        programme_code: PROGRAMME.to_owned(),
        provider_id: settlement.provider_id,
        number: settlement.number,
        amount_fen: settlement.total_fen,
        paid_on: Some(wire::date(today)),
        reference: format!("{PROGRAMME}-{name}"),
    };
    let reviewer = client.reviewer()?;
    let paid = call(request, async |request| {
        reviewer.clone().record_payment(request).await
    });
    let paid = paid
        .await
        .with_context(|| format!("the payment of {name}"))?;
    Ok(paid.position)
}
