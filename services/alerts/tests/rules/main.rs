//! The rules alone, without a server or a clock: a sample week, and whatever else devices may send.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod properties;
mod sample_week;

use std::collections::HashMap;

use alerts::{alert_policy::Policies, monitor::Monitor};

/// A monitor of another process, which goes on from the bytes of what was kept of this one.
fn gone_on(monitor: &Monitor) -> Monitor {
    let devices = monitor.devices();
    let devices: Vec<_> = devices
        .map(|(id, watched)| (id.clone(), watched.clone()))
        .collect();
    let kept = postcard::to_stdvec(&(devices, monitor.homes())).unwrap();
    let (devices, homes): (Vec<_>, HashMap<_, _>) = postcard::from_bytes(&kept).unwrap();
    Monitor::restored(Policies::default(), monitor.now(), devices, homes)
}
