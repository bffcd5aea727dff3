//! `signals`: what the homes of a city say, heartbeats, water and now and then an alarm, from a gateway's stream to the watch.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use std::time::Duration;

use backing_services::Syncing;
use chrono::Utc;
use civic::DeviceKind;
use proto::eldercare::alerts::v1 as pb;
use tokio::{task::JoinSet, time::Instant};
use uuid::Uuid;

use crate::{
    bench::{
        Ground, Measured, callers::rate, homes, raw, seed::Seeded, service::Role, stage::Stage,
    },
    client::Client,
};

/// How many homes there are, each with a water meter.
const HOMES: usize = 380_000;
/// How many streams of gateways there are, and how large their batches.
const GATEWAYS: usize = 8;
const BATCH: u64 = 500;
/// For how long it goes on.
const LASTS: Duration = Duration::from_secs(60);
/// One of so many signals is water, one of so many an alarm.
const FLOW: u64 = 4;
const ALARM: u64 = 20_011;

pub(super) async fn run(ground: &Ground) -> anyhow::Result<Vec<Measured>> {
    let mut stage = Stage::set(ground, "signals", Syncing::EveryTwoMinutes).await?;
    Seeded::registered(&stage, 1_000, ground.progress).await?;
    let homes = ground.scaled(HOMES) as u64;
    let now = Utc::now();
    let home = |number: u64| {
        let elder = Uuid::from_u128(u128::from(number) + 1);
        // Alarms are raised by buttons.
        let kind = if number.is_multiple_of(100) {
            DeviceKind::SosButton
        } else {
            DeviceKind::WaterMeter
        };
        (kind, elder, now)
    };
    homes::register(&stage, homes, home, ground.progress).await?;
    let registry = stage.start(Role::Registry).await?;
    stage.become_peer("alerts", &registry.endpoint()).await?;
    homes::notices_in_the_log(&stage)?;
    let served = stage.start(Role::Alerts).await?;
    // Each home has spoken before, as in a city that was there yesterday.
    let numbers = Arc::new(AtomicU64::new(1));
    let speaking = Speaking {
        gateways: homes::gateways(&stage, &served, GATEWAYS)?,
        numbers,
        homes,
    };
    let step = ground
        .progress
        .begin("every home for the first time", homes);
    let mut db = stage.database().await?;
    let stored_before = speaking.until(move |number, _| number <= homes).await?;
    homes::hears(&mut db, stored_before).await?;
    step.done("");
    let before = served.rss();

    let lasts = LASTS.mul_f64(ground.scale.clamp(0.1, 1.0));
    let step = ground.progress.begin("signals", 0);
    let began = Instant::now();
    let last = speaking.until(move |_, elapsed| elapsed < lasts).await?;
    let stored = last - stored_before;
    homes::hears(&mut db, last).await?;
    let elapsed = began.elapsed();
    let rate = rate(stored, elapsed.as_secs_f64());
    step.done(&format!("{rate:.0} a second"));
    let after = served.rss();
    let alerts = homes::alerts(&mut db).await?;

    let step = ground.progress.begin("bare publishes", 0);
    let sample = raw::sample(&stage, alerts::signals::STREAM, last).await?;
    let bare = raw::publishes(&stage, &[sample], 64, 200_000, &step).await?;
    step.done("");
    let mib = |bytes: Option<u64>| bytes.map(|bytes| bytes >> 20);
    let measured = Measured::new("signals", rate, "signals/s")
        .limit(bare.rate())
        .peak(served.peak_rss())
        .with("homes", homes)
        .with("signals", stored)
        .with("seconds", elapsed.as_secs())
        .with("alerts", alerts)
        .with("rss_before_mib", mib(before))
        .with("rss_after_mib", mib(after));
    let measured = stage.note(measured);
    served.stop().await?;
    registry.stop().await?;
    stage.strike().await;
    Ok(vec![measured])
}

/// Gateways, each with a stream of its own, who pass on what homes say.
struct Speaking {
    gateways: Vec<Client>,
    /// The number of the next signal.
    numbers: Arc<AtomicU64>,
    homes: u64,
}

impl Speaking {
    /// Sends batches for as long as `goes_on` says, by the number of the next signal and the time that has passed; the
    /// sequence of the last signal.
    async fn until(
        &self,
        goes_on: impl Fn(u64, Duration) -> bool + Copy + Send + 'static,
    ) -> anyhow::Result<u64> {
        let began = Instant::now();
        let mut sending = JoinSet::new();
        for client in &self.gateways {
            let (client, numbers, homes) = (client.clone(), Arc::clone(&self.numbers), self.homes);
            sending.spawn(async move {
                let mut gateway = homes::Gateway::open(&client).await?;
                let mut last = 0;
                while goes_on(numbers.load(Ordering::Relaxed), began.elapsed()) {
                    let first = numbers.fetch_add(BATCH, Ordering::Relaxed);
                    let signals = (first..first + BATCH).map(|number| said(number, homes));
                    last = gateway.send(signals.collect()).await?.max(last);
                }
                anyhow::Ok(last)
            });
        }
        let mut last = 0;
        while let Some(ended) = sending.join_next().await {
            last = ended??.max(last);
        }
        Ok(last)
    }
}

/// What home says a signal of this number.
fn said(number: u64, homes: u64) -> pb::Signal {
    // Neighbouring signals come from homes far apart.
    let home = number.wrapping_mul(7_919) % homes;
    if number.is_multiple_of(ALARM) {
        let button = home - home % 100;
        return homes::signal(button, pb::SignalKind::Press, number);
    }
    let water = number.is_multiple_of(FLOW) && !home.is_multiple_of(100);
    let kind = if water {
        pb::SignalKind::Flow
    } else {
        pb::SignalKind::Heartbeat
    };
    homes::signal(home, kind, number)
}
