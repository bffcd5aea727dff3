//! `entitlement`: what elders may still have is asked by many callers while orders of them come steadily.

use std::sync::Arc;

use anyhow::ensure;
use proto::eldercare::claims::v1 as pb;
use tokio::{sync::watch, time::Instant};

use super::append::CALLERS;
use crate::{
    bench::{
        Ground, Measured,
        callers::{self, Latencies, rate},
        care::{Desk, MINUTES_A_YEAR, PROGRAMME, Roster, STREAMS},
        handing_in::{Flow, NOW, Pace, SCOPE},
        raw,
    },
    output::Step,
};

/// How often it is asked.
const CALLS: usize = 40_000;

/// How many orders come meanwhile.
const ORDERS_A_SECOND: f64 = 5_000.0;

pub(super) async fn run(ground: &Ground) -> anyhow::Result<Vec<Measured>> {
    let desk = Desk::open(ground, "entitlement", SCOPE, NOW).await?;
    let (stop, stopped) = watch::channel(false);
    #[expect(clippy::cast_precision_loss, reason = "there are few streams")]
    let pace = Pace {
        waiting: 250,
        a_second: Some(ORDERS_A_SECOND / STREAMS as f64),
    };
    let mut flow = Flow::begin(&desk, pace, move || !*stopped.borrow());
    let (warm, count) = (ground.scaled(CALLS) / 10, ground.scaled(CALLS));
    let step = ground
        .progress
        .begin("GetEntitlement", (warm + count) as u64);
    let from = Instant::now();
    let latencies = tokio::select! {
        latencies = ask(&desk, warm, count, &step) => latencies?,
        why = flow.ends() => return Err(why),
    };
    let until = Instant::now();
    stop.send_replace(true);
    step.done(&format!("p99 {:.2} ms", latencies.permille(990)));
    let delays = flow.verdicts().await?.within(from..until);
    let orders = rate(delays.len() as u64, (until - from).as_secs_f64());
    let delays = Latencies::of(delays);

    let step = ground.progress.begin("SELECT 1", (warm + count) as u64);
    let limit = raw::selects(&desk.stage, CALLERS, warm, count, &step).await?;
    step.done(&format!("p99 {:.2} ms", limit.permille(990)));
    let measured = Measured::new("entitlement", latencies.permille(990), "ms (p99)")
        .limit_at_least(limit.permille(990))
        .latencies(&latencies)
        .peak(desk.served.peak_rss())
        .with("limit_is", "SELECT 1 of as many callers at rest")
        .with("callers", CALLERS)
        .with("calls", count)
        .with_rounded("calls_per_second", latencies.rate())
        .with_rounded("limit_calls_per_second", limit.rate())
        .with("enrolled", SCOPE.enrolled())
        .with_rounded("orders_per_second", orders)
        .with_rounded("orders_p50_ms", delays.permille(500))
        .with_rounded("orders_p99_ms", delays.permille(990));
    let measured = desk.stage.note(measured);
    desk.close().await?;
    Ok(vec![measured])
}

async fn ask(desk: &Desk, warm: usize, count: usize, step: &Step) -> anyhow::Result<Latencies> {
    let clients = desk.served.clients()?;
    let roster = Arc::clone(&desk.roster);
    callers::drive(CALLERS, warm, count, step, move |caller, number| {
        let client = clients[caller % clients.len()].clone();
        let request = request(&roster, number);
        async move {
            let answer = client.claims().get_entitlement(request).await?;
            let answer = answer.into_inner();
            ensure!(
                answer.entitled && answer.units_a_year == MINUTES_A_YEAR,
                "an elder who is entitled is told otherwise: {answer:?}"
            );
            Ok(())
        }
    })
    .await
}

/// Asks about another elder each time.
fn request(roster: &Roster, number: usize) -> pb::GetEntitlementRequest {
    let scope = roster.scope;
    let elder = scope.elder(number % scope.caregivers(), number % scope.elders_each);
    pb::GetEntitlementRequest {
        programme_code: PROGRAMME.to_owned(),
        elder_id: elder.id().to_string(),
        ..Default::default()
    }
}
