//! What the devices in the homes of erased elders had sent: deleted again, as alerts do when somebody is erased.

use std::{collections::BTreeMap, time::Duration};

use alerts::{
    device::{Device, Event},
    signal::DeviceId,
    signals::{SignalSettings, Signals},
};
use anyhow::Context as _;
use civic::ElderId;
use eventlog::{Aggregate as _, RawEvent};
use prost::Message as _;
use proto::eldercare::log::v1 as log;

use crate::backup::{
    ALERTS,
    contents::{self, Lying, Which},
    erasures::Erasures,
    ground::Ground,
};

/// Deletes it.
pub(super) async fn forget(ground: &Ground, erasures: &Erasures) -> anyhow::Result<()> {
    if erasures.erased.is_empty() {
        return Ok(());
    }
    let homes = homes(ground).await.context("read where devices are")?;
    // How long signals are kept is left as it is found.
    let settings = SignalSettings {
        kept_for: Duration::ZERO,
        replicas: ground.copies,
        create: false,
    };
    let client = ground.server.client();
    let signals = Signals::open(client, &settings, ground.clock.clone()).await?;
    for (device, elder) in homes {
        if erasures.erased.contains_key(&elder.as_uuid()) {
            signals.forget(&device).await?;
        }
    }
    Ok(())
}

/// In whose home each device is, or was before it was retired.
async fn homes(ground: &Ground) -> anyhow::Result<BTreeMap<DeviceId, ElderId>> {
    let log = ground.server.get_stream(ALERTS).await?;
    let devices = format!("eldercare.{}.{}.*", Device::CONTEXT, Device::NAME);
    let registered = Which {
        subjects: &devices,
        from: 1,
        through: log.cached_info().state.last_sequence,
    };
    let mut homes = BTreeMap::new();
    contents::read(&log, registered, |lying| {
        homes.extend(home(&lying));
        Ok(())
    })
    .await?;
    Ok(homes)
}

/// What a record says of a device. What can't be read is parked by the read model of alerts.
fn home(lying: &Lying<'_>) -> Option<(DeviceId, ElderId)> {
    let message = lying.message;
    let device = message.subject.rsplit('.').next()?.parse().ok()?;
    let record = log::Record::decode(message.payload.clone()).ok()?;
    let events = record.events.into_iter().filter_map(|event| {
        let raw = RawEvent {
            event_type: event.r#type,
            data: event.data,
        };
        Device::decode(&raw).ok()
    });
    let mut homes = events.filter_map(|event| match event {
        Event::Registered(registered) => Some(registered.elder),
        Event::Updated { elder, .. } => Some(elder),
        Event::Retired => None,
    });
    Some((device, homes.next_back()?))
}
