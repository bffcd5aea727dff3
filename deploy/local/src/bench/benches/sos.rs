//! `sos`: from the receipt for a press of the button to the notice in the duty centre's hands, while thousands of homes speak.

use std::time::Duration;

use anyhow::ensure;
use backing_services::Syncing;
use chrono::Utc;
use civic::DeviceKind;
use proto::eldercare::alerts::v1 as pb;
use tokio::{sync::watch, task::JoinSet, time::Instant};
use uuid::Uuid;

use crate::bench::{
    Ground, Measured,
    callers::{Latencies, rate},
    homes,
    people::COUNTY,
    seed::Seeded,
    service::Role,
    stage::Stage,
};

/// How many elders press the button, one after the other.
const PRESSES: usize = 500;
/// How many homes speak meanwhile, and how much.
const HOMES: u64 = 100_000;
const A_SECOND: u64 = 5_000;
/// The pace of batches.
const TICK: Duration = Duration::from_millis(20);
/// From one press to the next.
const APART: Duration = Duration::from_millis(100);

pub(super) async fn run(ground: &Ground) -> anyhow::Result<Vec<Measured>> {
    let mut stage = Stage::set(ground, "sos", Syncing::EveryTwoMinutes).await?;
    let presses = ground.scaled(PRESSES) as u64;
    let seeded = Seeded::registered(&stage, presses, ground.progress).await?;
    let elders: Vec<Uuid> = seeded
        .ids()
        .iter()
        .map(|id| id.parse())
        .collect::<Result<_, _>>()?;
    let now = Utc::now();
    let home = |number: u64| match elders.get(usize::try_from(number).unwrap_or(usize::MAX)) {
        Some(elder) => (DeviceKind::SosButton, *elder, now),
        None => {
            let nobody = Uuid::from_u128(u128::from(number) + 1);
            (DeviceKind::WaterMeter, nobody, now)
        }
    };
    homes::register(&stage, presses + HOMES, home, ground.progress).await?;
    let registry = stage.start(Role::Registry).await?;
    stage.become_peer("alerts", &registry.endpoint()).await?;
    let webhook = toml::Table::from_iter([(
        "signing_key".to_owned(),
        "a key of the bench, thirty-two bytes or more".into(),
    )]);
    let notices = toml::Table::from_iter([
        ("log".to_owned(), true.into()),
        ("webhook".to_owned(), webhook.into()),
    ]);
    stage.configure("alerts", "notices", notices)?;
    let served = stage.start(Role::Alerts).await?;
    let receiver = homes::Receiver::default();
    let url = receiver.listen().await?;
    register_centre(&served.clients()?[0], url).await?;

    // The homes speak until the last press is told.
    let (stop, stopped) = watch::channel(false);
    let gateways = homes::gateways(&stage, &served, 2)?;
    let mut speaking = JoinSet::new();
    speaking.spawn({
        let client = gateways[0].clone();
        async move {
            let mut gateway = homes::Gateway::open(&client).await?;
            let batch = A_SECOND * u64::try_from(TICK.as_millis())? / 1_000;
            let mut pace = tokio::time::interval(TICK);
            let mut number = 0;
            while !*stopped.borrow() {
                pace.tick().await;
                let signals = (number..number + batch).map(|number| {
                    let device = presses + number.wrapping_mul(7_919) % HOMES;
                    homes::signal(device, pb::SignalKind::Heartbeat, number)
                });
                gateway.send(signals.collect()).await?;
                number += batch;
            }
            anyhow::Ok(number)
        }
    });
    let began = Instant::now();
    let step = ground.progress.begin("presses", presses);
    let mut gateway = homes::Gateway::open(&gateways[1]).await?;
    let mut stored = Vec::new();
    let mut pace = tokio::time::interval(APART);
    for number in 0..presses {
        pace.tick().await;
        gateway
            .send(vec![homes::signal(number, pb::SignalKind::Press, number)])
            .await?;
        stored.push((homes::device_id(number), Instant::now()));
        step.advance(1);
    }
    let deadline = Instant::now() + Duration::from_secs(60);
    let told = loop {
        let told = receiver.told().await;
        if told.len() >= stored.len() {
            break told;
        }
        ensure!(
            Instant::now() < deadline,
            "{} of {presses} presses were told",
            told.len()
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    stop.send_replace(true);
    let mut spoken = 0;
    while let Some(ended) = speaking.join_next().await {
        spoken += ended??;
    }
    let elapsed = began.elapsed().as_secs_f64();
    step.done("");
    let delays = stored
        .iter()
        .filter_map(|(device, stored)| Some(told.get(device)?.saturating_duration_since(*stored)));
    let latencies = Latencies::of(delays.collect());
    let background = rate(spoken, elapsed);
    let measured = Measured::new("sos", latencies.permille(500), "ms to the notice (p50)")
        .latencies(&latencies)
        .peak(served.peak_rss())
        .with("presses", presses)
        .with_rounded("other_signals_per_s", background);
    let measured = stage.note(measured);
    served.stop().await?;
    registry.stop().await?;
    stage.strike().await;
    Ok(vec![measured])
}

async fn register_centre(client: &crate::client::Client, url: String) -> anyhow::Result<()> {
    let centre = pb::RegisterRecipientRequest {
        request_id: Uuid::now_v7().to_string(),
        recipient: Some(pb::Recipient {
            role: pb::RecipientRole::DutyCentre.into(),
            division_code: COUNTY.to_owned(),
            name: "12349".to_owned(),
            channels: vec![pb::RecipientChannel {
                channel: pb::NoticeChannel::Webhook.into(),
                address: url,
            }],
            active: true,
            ..Default::default()
        }),
    };
    client.alerts().register_recipient(centre).await?;
    Ok(())
}
