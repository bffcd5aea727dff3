//! What is known of a device and of a home by what was heard from them.
//!
//! Rule: section 4.

use std::collections::VecDeque;

use chrono::serde::{ts_microseconds, ts_microseconds_option};
use chrono::{DateTime, Utc};
use civic::{AlertKind, DeviceKind, ElderId, SignalKind, VillageCode};
use serde::{Deserialize, Serialize};
use sm3::{Digest as _, Sm3};

use crate::alert_policy::AlertPolicy;
use crate::signal::{DeviceId, Signal};

/// How many signals of a device, the last ones, are known again when they come once more; what raises alerts is known for
/// ever, by the alerts. Half a kilobyte of each device.
const REMEMBERED: usize = 64;

/// A device that is watched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchedDevice {
    /// What it is.
    pub kind: DeviceKind,
    /// Whose home it is in.
    pub elder: ElderId,
    /// Since when it is in this home, in microseconds since 1970: what tells its signals from those before.
    since: i64,
    #[serde(with = "ts_microseconds")]
    registered_at: DateTime<Utc>,
    /// When the last signal of any kind arrived.
    #[serde(with = "ts_microseconds_option")]
    heard_at: Option<DateTime<Utc>>,
    /// When water ran last.
    #[serde(with = "ts_microseconds_option")]
    flow_at: Option<DateTime<Utc>>,
    /// Whether it is known to be off line.
    offline: bool,
    /// The digests of the last signals' ids.
    recent: VecDeque<u64>,
}

/// A home: what holds for all its devices.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Home {
    /// Where it is, as far as that is known.
    pub village: Option<VillageCode>,
    /// Whether nobody is at home.
    pub away: bool,
    /// When somebody came back last.
    #[serde(with = "ts_microseconds_option")]
    pub back_at: Option<DateTime<Utc>>,
    /// Whether its inactivity is told, and nobody has resolved it.
    pub inactive: bool,
    /// When its last inactivity was resolved.
    #[serde(with = "ts_microseconds_option")]
    pub resolved_at: Option<DateTime<Utc>>,
    /// Its devices.
    pub devices: Vec<DeviceId>,
}

impl Home {
    /// Whether inactivity would be told.
    #[must_use]
    pub fn is_watched(&self) -> bool {
        !self.away && !self.inactive
    }
}

impl WatchedDevice {
    /// A device from its registration on.
    #[must_use]
    pub fn new(kind: DeviceKind, elder: ElderId, registered_at: DateTime<Utc>) -> Self {
        Self {
            kind,
            elder,
            since: registered_at.timestamp_micros(),
            registered_at,
            heard_at: None,
            flow_at: None,
            offline: false,
            recent: VecDeque::new(),
        }
    }

    /// Since when it is in this home, in microseconds since 1970.
    #[must_use]
    pub fn since(&self) -> i64 {
        self.since
    }

    /// When the last signal arrived.
    #[must_use]
    pub fn heard_at(&self) -> Option<DateTime<Utc>> {
        self.heard_at
    }

    /// Whether it is known to be off line.
    #[must_use]
    pub fn is_offline(&self) -> bool {
        self.offline
    }

    /// Whether this signal came before.
    pub(crate) fn repeats(&self, signal: &Signal) -> bool {
        self.recent.contains(&digest(signal))
    }

    /// Hears a signal; whether the device was off line.
    pub(crate) fn hear(&mut self, signal: &Signal) -> bool {
        if self.recent.len() >= REMEMBERED {
            self.recent.pop_front();
        }
        self.recent.push_back(digest(signal));
        self.heard_at = self.heard_at.max(Some(signal.arrived_at));
        if signal.is_flow() {
            self.flow_at = self.flow_at.max(Some(signal.time()));
        }
        std::mem::take(&mut self.offline)
    }

    /// From when on the device is off line if nothing comes; none where that is told already.
    pub(crate) fn offline_from(&self, policy: &AlertPolicy) -> Option<DateTime<Utc>> {
        let since = self.heard_at.unwrap_or(self.registered_at);
        (!self.offline).then_some(since + policy.offline_after)
    }

    /// It is told that the device is off line.
    pub(crate) fn goes_offline(&mut self) {
        self.offline = true;
    }

    /// Whether it is off line, as the log has it.
    pub(crate) fn told(&mut self, offline: bool) {
        self.offline = offline;
    }

    /// Nothing is known of what was heard before.
    pub(crate) fn counts_from(&mut self, at: DateTime<Utc>) {
        self.registered_at = self.registered_at.max(at);
    }

    /// Since when no water ran while somebody should be there.
    pub(crate) fn dry_since(&self, home: &Home) -> DateTime<Utc> {
        let starts = [self.flow_at, home.resolved_at, home.back_at];
        starts
            .into_iter()
            .flatten()
            .fold(self.registered_at, DateTime::max)
    }

    /// From when on the home is inactive if no water runs; none where that would not be told.
    pub(crate) fn inactive_from(&self, home: &Home, policy: &AlertPolicy) -> Option<DateTime<Utc>> {
        let counts = self.kind == DeviceKind::WaterMeter && home.is_watched();
        counts.then(|| self.dry_since(home) + policy.inactive_after)
    }

    /// Whether something came lately.
    pub(crate) fn is_heard(&self, now: DateTime<Utc>, policy: &AlertPolicy) -> bool {
        self.heard_at
            .is_some_and(|heard| now - heard <= policy.unheard_after)
    }

    /// What kind of alert a signal of this device raises by itself.
    #[must_use]
    pub fn raises(&self, signal: SignalKind) -> Option<AlertKind> {
        match signal {
            SignalKind::Press => Some(AlertKind::Sos),
            SignalKind::Alarm => self.alarms_of(),
            SignalKind::LowBattery | SignalKind::Tamper => Some(AlertKind::DeviceFault),
            SignalKind::AlarmCleared
            | SignalKind::Flow
            | SignalKind::Heartbeat
            | SignalKind::Position => None,
        }
    }

    /// In the course of which open alert a signal is noted that raises nothing.
    pub(crate) fn is_noted_in(&self, signal: &Signal) -> Option<AlertKind> {
        match signal.kind {
            SignalKind::AlarmCleared => self.alarms_of(),
            SignalKind::Flow => signal.is_flow().then_some(AlertKind::Inactivity),
            SignalKind::Press
            | SignalKind::Alarm
            | SignalKind::Heartbeat
            | SignalKind::Position
            | SignalKind::LowBattery
            | SignalKind::Tamper => None,
        }
    }

    fn alarms_of(&self) -> Option<AlertKind> {
        match self.kind {
            DeviceKind::SmokeDetector => Some(AlertKind::Fire),
            DeviceKind::GasDetector => Some(AlertKind::GasLeak),
            DeviceKind::FallDetector => Some(AlertKind::Fall),
            DeviceKind::SosPhone
            | DeviceKind::SosButton
            | DeviceKind::WaterMeter
            | DeviceKind::DoorSensor
            | DeviceKind::PowerMonitor
            | DeviceKind::Camera => None,
        }
    }
}

/// A press under the id of a heartbeat is no repetition: it must not be lost to a device that counts wrongly.
fn digest(signal: &Signal) -> u64 {
    let digest = Sm3::new()
        .chain_update(signal.kind.name())
        .chain_update([0])
        .chain_update(&signal.id)
        .finalize();
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    u64::from_le_bytes(first)
}
