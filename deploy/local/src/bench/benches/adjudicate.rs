//! `adjudicate`: orders that come steadily over some streams, from sending each to its verdict, beside bare acknowledged
//! publishes of the same bytes.

use std::time::Duration;

use tokio::time::Instant;

use super::append::CALLERS;
use crate::bench::{
    Ground, Measured,
    callers::{Latencies, rate},
    care::{Desk, STREAMS},
    handing_in::{Flow, NOW, Pace, SCOPE},
    raw,
};

/// For how long it goes on, and how long it is not measured before.
const LASTS: Duration = Duration::from_secs(30);
const WARM: Duration = Duration::from_secs(5);

/// How many orders of a stream wait for their verdicts: so many that the adjudicator never waits for them.
const PACE: Pace = Pace {
    waiting: 4_000,
    a_second: None,
};

pub(super) async fn run(ground: &Ground) -> anyhow::Result<Vec<Measured>> {
    let desk = Desk::open(ground, "adjudicate", SCOPE, NOW).await?;
    let lasts = LASTS.mul_f64(ground.scale.clamp(0.1, 1.0));
    let warm = WARM.mul_f64(ground.scale.clamp(0.1, 1.0));
    let step = ground.progress.begin("orders", 0);
    let from = Instant::now() + warm;
    let until = from + lasts;
    let mut flow = Flow::begin(&desk, PACE, move || Instant::now() < until);
    tokio::time::sleep_until(from).await;
    let before = desk.spent();
    tokio::select! {
        () = tokio::time::sleep_until(until) => {}
        why = flow.ends() => return Err(why),
    }
    let spent = desk.spent();
    let verdicts = flow.verdicts().await?;
    let delays = verdicts.within(from..until);
    let orders = delays.len();
    let latencies = Latencies::of(delays);
    let rate = rate(orders as u64, lasts.as_secs_f64());
    step.done(&format!("{rate:.0} a second"));
    let peak = desk.served.peak_rss();

    let sample = raw::sample(&desk.stage, "CLAIMS", verdicts.last).await?;
    let publishes = ground.scaled(200_000);
    let limit =
        raw::same_bytes(&desk.stage, &[sample], CALLERS, publishes, ground.progress).await?;
    let measured = Measured::new("adjudicate", rate, "orders/s")
        .limit(limit.rate())
        .latencies(&latencies)
        .peak(peak)
        .with("latency_of", "an order, from sending it to its verdict")
        .with("streams", STREAMS)
        .with("waiting_in_each", PACE.waiting)
        .with("orders", orders)
        .with("seconds", lasts.as_secs())
        .with("enrolled", SCOPE.enrolled())
        .with_rounded("limit_p50_ms", limit.permille(500));
    let measured = spent.since(&before, orders, measured);
    let measured = desk.stage.note(measured);
    desk.close().await?;
    Ok(vec![measured])
}
