//! Judges signals in the order of their arrival, and what falls due between them: which alerts there should be.
//!
//! It is a pure value: the instants come with the signals and from whoever moves its time. What comes of a finding the alert's
//! own line decides ([`crate::alert_line`]); of what happens there the monitor is told what it rests on.
//!
//! Rule: section 4.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use civic::{AlertKind, DeviceKind, ElderId, SignalKind};

use crate::alert_policy::AlertPolicy;
use crate::signal::{DeviceId, Signal};
use crate::watch::{Home, Watch};

/// What follows from a signal, or from time that passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// A signal raises an alert, or joins the one that is open.
    Signalled {
        /// Of which kind.
        kind: AlertKind,
        /// Whose it is.
        elder: ElderId,
        /// Who sent it.
        device: DeviceId,
        /// The signal.
        signal: String,
        /// When it was.
        at: DateTime<Utc>,
    },
    /// A signal is noted in the course of an open alert.
    Noted {
        /// Of which kind.
        kind: AlertKind,
        /// Whose it is.
        elder: ElderId,
        /// Who sent it.
        device: DeviceId,
        /// What it said.
        signal: SignalKind,
        /// When it was.
        at: DateTime<Utc>,
    },
    /// No water ran for too long.
    Inactive {
        /// Whose home it is.
        elder: ElderId,
        /// The meter.
        device: DeviceId,
        /// Since when.
        since: DateTime<Utc>,
        /// When that was too long, or the meter was heard again.
        at: DateTime<Utc>,
    },
    /// Nothing came from a device for too long.
    Offline {
        /// Whose home it is in.
        elder: ElderId,
        /// The device.
        device: DeviceId,
        /// When that was too long.
        at: DateTime<Utc>,
    },
    /// A device that was off line is heard.
    HeardAgain {
        /// Whose home it is in.
        elder: ElderId,
        /// The device.
        device: DeviceId,
        /// When the signal arrived.
        at: DateTime<Utc>,
    },
}

/// What is waited for at a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Inactivity,
    Offline,
}

/// A device's number while the monitor lives.
type Place = usize;

#[derive(Clone, Debug)]
struct Watched {
    id: DeviceId,
    /// None once it is retired.
    watch: Option<Watch>,
    /// Which timers stand in the queue.
    queued: [bool; 2],
}

/// All devices, all homes, and what falls due at them.
///
/// A timer stands in the queue at or before the instant that it waits for: a signal moves that instant and leaves the
/// queue alone, and whoever is woken too early goes to sleep again.
#[derive(Clone, Debug)]
pub struct Monitor {
    policy: AlertPolicy,
    /// Up to here everything was judged.
    now: DateTime<Utc>,
    places: HashMap<DeviceId, Place>,
    devices: Vec<Watched>,
    homes: HashMap<ElderId, Home>,
    queue: BTreeSet<(DateTime<Utc>, Place, Timer)>,
}

impl Monitor {
    /// One that watches nothing yet, from an instant on.
    #[must_use]
    pub fn new(policy: AlertPolicy, now: DateTime<Utc>) -> Self {
        Self {
            policy,
            now,
            places: HashMap::new(),
            devices: Vec::new(),
            homes: HashMap::new(),
            queue: BTreeSet::new(),
        }
    }

    /// One that goes on where another one was at an instant.
    #[must_use]
    pub fn restored(
        policy: AlertPolicy,
        now: DateTime<Utc>,
        devices: impl IntoIterator<Item = (DeviceId, Watch)>,
        homes: HashMap<ElderId, Home>,
    ) -> Self {
        let mut monitor = Self::new(policy, now);
        monitor.homes = homes;
        for (device, watch) in devices {
            monitor.add(device, watch);
        }
        monitor
    }

    /// Up to here everything was judged.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.now
    }

    /// The devices that are watched.
    pub fn devices(&self) -> impl Iterator<Item = (&DeviceId, &Watch)> {
        let all = self.devices.iter();
        all.filter_map(|one| Some((&one.id, one.watch.as_ref()?)))
    }

    /// Their homes.
    #[must_use]
    pub fn homes(&self) -> &HashMap<ElderId, Home> {
        &self.homes
    }

    /// The earliest instant at which something may fall due.
    #[must_use]
    pub fn due(&self) -> Option<DateTime<Utc>> {
        self.queue.first().map(|(at, _, _)| *at)
    }

    /// Watches a device from now on.
    pub fn register(&mut self, device: DeviceId, kind: DeviceKind, elder: ElderId) {
        // It may have stood in another home.
        self.retire(&device);
        if kind == DeviceKind::WaterMeter {
            let home = self.homes.entry(elder).or_default();
            home.meters.push(device.clone());
        }
        self.add(device, Watch::new(kind, elder, self.now));
    }

    fn add(&mut self, id: DeviceId, watch: Watch) {
        let place = self.devices.len();
        self.places.insert(id.clone(), place);
        self.devices.push(Watched {
            id,
            watch: Some(watch),
            queued: [false; 2],
        });
        self.wait(place);
    }

    /// Watches a device no more.
    pub fn retire(&mut self, device: &DeviceId) {
        let place = self.places.remove(device);
        let Some(watch) = place.and_then(|place| self.devices[place].watch.take()) else {
            return;
        };
        if let Some(home) = self.homes.get_mut(&watch.elder) {
            home.meters.retain(|meter| meter != device);
        }
    }

    /// Nobody is at home from now on.
    pub fn away(&mut self, elder: ElderId) {
        self.homes.entry(elder).or_default().away = true;
    }

    /// Somebody is at home again.
    pub fn back(&mut self, elder: ElderId) {
        let home = self.homes.entry(elder).or_default();
        if std::mem::take(&mut home.away) {
            home.back_at = Some(self.now);
            self.wait_for_meters(elder);
        }
    }

    /// An inactivity of a home was resolved.
    pub fn inactivity_resolved(&mut self, elder: ElderId) {
        let home = self.homes.entry(elder).or_default();
        home.inactive = false;
        home.resolved_at = Some(self.now);
        self.wait_for_meters(elder);
    }

    /// Lets time pass up to an instant, included: what fell due by then, in its order.
    pub fn pass(&mut self, until: DateTime<Utc>) -> Vec<Finding> {
        let mut findings = Vec::new();
        while self.due().is_some_and(|due| due <= until)
            && let Some((at, place, timer)) = self.queue.pop_first()
        {
            self.devices[place].queued[timer as usize] = false;
            self.now = self.now.max(at);
            match self.instant(place, timer) {
                None => {}
                // Something came since it was put there.
                Some(later) if later > at => self.enqueue(later, place, timer),
                Some(_) => findings.extend(self.falls_due(place, timer, at)),
            }
        }
        self.now = self.now.max(until);
        findings
    }

    /// Hears a signal, once time has passed up to its arrival; one of a device that nobody has registered is not heard.
    pub fn hear(&mut self, signal: &Signal) -> Vec<Finding> {
        let mut findings = self.pass(signal.arrived_at);
        let Some(&place) = self.places.get(&signal.device) else {
            return findings;
        };
        let Some(watch) = &mut self.devices[place].watch else {
            return findings;
        };
        if watch.repeats(signal) {
            return findings;
        }
        let (elder, device) = (watch.elder, signal.device.clone());
        if watch.hear(signal) {
            findings.push(Finding::HeardAgain {
                elder,
                device: device.clone(),
                at: signal.arrived_at,
            });
        }
        if let Some(kind) = watch.raises(signal.kind) {
            findings.push(Finding::Signalled {
                kind,
                elder,
                device: device.clone(),
                signal: signal.id.clone(),
                at: signal.time(),
            });
        }
        let home = self.homes.get(&elder);
        let inactive = home.is_some_and(|home| home.inactive);
        if let Some(kind) = watch.is_noted_in(signal)
            && (kind != AlertKind::Inactivity || inactive)
        {
            findings.push(Finding::Noted {
                kind,
                elder,
                device: device.clone(),
                signal: signal.kind,
                at: signal.time(),
            });
        }
        // It was not heard when this fell due, or water ran so long ago that it would have been.
        let overdue = self
            .instant(place, Timer::Inactivity)
            .is_some_and(|due| due <= signal.arrived_at);
        if overdue && !signal.is_flow() {
            findings.extend(self.becomes_inactive(place, signal.arrived_at));
        }
        self.wait(place);
        findings
    }

    /// What a timer waits for.
    fn instant(&self, place: Place, timer: Timer) -> Option<DateTime<Utc>> {
        let watch = self.devices[place].watch.as_ref()?;
        match timer {
            Timer::Offline => watch.offline_from(&self.policy),
            Timer::Inactivity => {
                let nobody = Home::default();
                let home = self.homes.get(&watch.elder).unwrap_or(&nobody);
                watch.inactive_from(home, &self.policy)
            }
        }
    }

    fn falls_due(&mut self, place: Place, timer: Timer, at: DateTime<Utc>) -> Option<Finding> {
        let Watched { id, watch, .. } = &mut self.devices[place];
        let watch = watch.as_mut()?;
        match timer {
            Timer::Offline => {
                watch.goes_offline();
                Some(Finding::Offline {
                    elder: watch.elder,
                    device: id.clone(),
                    at,
                })
            }
            // One that is not heard waits for its next signal.
            Timer::Inactivity if !watch.is_heard(at, &self.policy) => None,
            Timer::Inactivity => self.becomes_inactive(place, at),
        }
    }

    fn becomes_inactive(&mut self, place: Place, at: DateTime<Utc>) -> Option<Finding> {
        let Watched { id, watch, .. } = &self.devices[place];
        let watch = watch.as_ref()?;
        let home = self.homes.entry(watch.elder).or_default();
        let since = watch.dry_since(home);
        home.inactive = true;
        Some(Finding::Inactive {
            elder: watch.elder,
            device: id.clone(),
            since,
            at,
        })
    }

    /// Waits for what may fall due at a device.
    fn wait(&mut self, place: Place) {
        if let Some(at) = self.instant(place, Timer::Offline) {
            self.enqueue(at, place, Timer::Offline);
        }
        // What fell due while the meter was not heard comes with its next signal.
        if let Some(at) = self.instant(place, Timer::Inactivity)
            && at > self.now
        {
            self.enqueue(at, place, Timer::Inactivity);
        }
    }

    fn wait_for_meters(&mut self, elder: ElderId) {
        let meters = self.homes.get(&elder).map(|home| home.meters.clone());
        for meter in meters.iter().flatten() {
            if let Some(&place) = self.places.get(meter) {
                self.wait(place);
            }
        }
    }

    fn enqueue(&mut self, at: DateTime<Utc>, place: Place, timer: Timer) {
        if !std::mem::replace(&mut self.devices[place].queued[timer as usize], true) {
            self.queue.insert((at, place, timer));
        }
    }
}
