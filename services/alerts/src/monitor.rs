//! Judges signals in the order of their arrival, and what falls due between them: which alerts there should be.
//!
//! It is a pure value: the instants come with the signals and from whoever moves its time. What comes of a finding the alert's
//! own line decides ([`crate::alert_line`]); of what happens there the monitor is told what it rests on.
//!
//! Rule: section 4.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use civic::{AlertKind, DeviceKind, ElderId, VillageCode};

use crate::alert_line::{Cause, Source};
use crate::alert_policy::{AlertPolicy, Policies};
use crate::signal::{DeviceId, Signal};
use crate::watched_device::{Home, WatchedDevice};

/// What follows from a signal, or from time that passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Whose home it is about.
    pub elder: ElderId,
    /// Which device.
    pub device: DeviceId,
    /// When it was: of a signal, or when it fell due.
    pub at: DateTime<Utc>,
    /// What.
    pub what: What,
}

/// What follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// Something raises an alert of a kind, or joins the one that is open.
    Raises(AlertKind, Cause),
    /// A signal is noted in the course of an open alert of a kind.
    Noted(AlertKind, Source),
    /// A device that was off line is heard.
    HeardAgain,
}

/// What is waited for at a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Inactivity,
    Offline,
}

/// A device's number while it is watched.
type Place = usize;

#[derive(Clone, Debug)]
struct Slot {
    id: DeviceId,
    /// None once it is retired, until the place is taken anew.
    watch: Option<WatchedDevice>,
    /// For which instant each timer stands in the queue.
    queued: [Option<DateTime<Utc>>; 2],
}

/// All devices, all homes, and what falls due at them.
///
/// A timer stands in the queue at or before the instant that it waits for: a signal moves that instant and leaves the
/// queue alone, and whoever is woken too early goes to sleep again.
#[derive(Clone, Debug)]
pub struct Monitor {
    policies: Policies,
    /// Up to here everything was judged.
    now: DateTime<Utc>,
    places: HashMap<DeviceId, Place>,
    devices: Vec<Slot>,
    /// Places of devices that are retired.
    free: Vec<Place>,
    homes: HashMap<ElderId, Home>,
    queue: BTreeSet<(DateTime<Utc>, Place, Timer)>,
}

impl Monitor {
    /// One that watches nothing yet, from an instant on.
    #[must_use]
    pub fn new(policies: Policies, now: DateTime<Utc>) -> Self {
        Self {
            policies,
            now,
            places: HashMap::new(),
            devices: Vec::new(),
            free: Vec::new(),
            homes: HashMap::new(),
            queue: BTreeSet::new(),
        }
    }

    /// One that goes on where another one was at an instant.
    #[must_use]
    pub fn restored(
        policies: Policies,
        now: DateTime<Utc>,
        devices: impl IntoIterator<Item = (DeviceId, WatchedDevice)>,
        homes: HashMap<ElderId, Home>,
    ) -> Self {
        let mut monitor = Self::new(policies, now);
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
    pub fn devices(&self) -> impl Iterator<Item = (&DeviceId, &WatchedDevice)> {
        let all = self.devices.iter();
        all.filter_map(|one| Some((&one.id, one.watch.as_ref()?)))
    }

    /// Some of them, by the places that they have while the monitor lives.
    pub fn devices_in(
        &self,
        places: std::ops::Range<usize>,
    ) -> impl Iterator<Item = (&DeviceId, &WatchedDevice)> {
        let some = self.devices.get(places).unwrap_or_default().iter();
        some.filter_map(|one| Some((&one.id, one.watch.as_ref()?)))
    }

    /// How many places there are.
    #[must_use]
    pub fn places(&self) -> usize {
        self.devices.len()
    }

    /// A device that is watched.
    #[must_use]
    pub fn device(&self, device: &DeviceId) -> Option<&WatchedDevice> {
        let place = self.places.get(device)?;
        self.devices[*place].watch.as_ref()
    }

    /// Their homes.
    #[must_use]
    pub fn homes(&self) -> &HashMap<ElderId, Home> {
        &self.homes
    }

    /// Which policy holds where.
    #[must_use]
    pub fn policies(&self) -> &Policies {
        &self.policies
    }

    /// The earliest instant at which something may fall due.
    #[must_use]
    pub fn due(&self) -> Option<DateTime<Utc>> {
        self.queue.first().map(|(at, _, _)| *at)
    }

    /// Watches a device from an instant on.
    pub fn register(
        &mut self,
        device: DeviceId,
        kind: DeviceKind,
        elder: ElderId,
        at: DateTime<Utc>,
    ) {
        // It may have stood in another home.
        self.retire(&device);
        let home = self.homes.entry(elder).or_default();
        home.devices.push(device.clone());
        self.add(device, WatchedDevice::new(kind, elder, at));
    }

    fn add(&mut self, id: DeviceId, watch: WatchedDevice) {
        let watched = Slot {
            id: id.clone(),
            watch: Some(watch),
            queued: [None; 2],
        };
        let place = match self.free.pop() {
            Some(place) => {
                self.devices[place] = watched;
                place
            }
            None => {
                self.devices.push(watched);
                self.devices.len() - 1
            }
        };
        self.places.insert(id, place);
        self.wait(place);
    }

    /// A device is in another home from an instant on: what was heard there says nothing of this one.
    pub fn moves(&mut self, device: &DeviceId, elder: ElderId, at: DateTime<Utc>) {
        let watch = self.device(device);
        if let Some(kind) = watch
            .filter(|watch| watch.elder != elder)
            .map(|watch| watch.kind)
        {
            self.register(device.clone(), kind, elder, at);
        }
    }

    /// Watches a device no more.
    pub fn retire(&mut self, device: &DeviceId) {
        let Some(place) = self.places.remove(device) else {
            return;
        };
        let watched = &mut self.devices[place];
        for (timer, queued) in [Timer::Inactivity, Timer::Offline]
            .into_iter()
            .zip(watched.queued)
        {
            if let Some(at) = queued {
                self.queue.remove(&(at, place, timer));
            }
        }
        let watch = watched.watch.take();
        self.free.push(place);
        if let Some(watch) = watch
            && let Some(home) = self.homes.get_mut(&watch.elder)
        {
            home.devices.retain(|one| one != device);
        }
    }

    /// Nobody is at home from now on.
    pub fn away(&mut self, elder: ElderId) {
        self.homes.entry(elder).or_default().away = true;
    }

    /// Somebody is at home again, since an instant.
    pub fn back(&mut self, elder: ElderId, at: DateTime<Utc>) {
        let home = self.homes.entry(elder).or_default();
        home.away = false;
        home.back_at = home.back_at.max(Some(at));
        self.wait_for_meters(elder);
    }

    /// An inactivity of a home was resolved at an instant.
    pub fn inactivity_resolved(&mut self, elder: ElderId, at: DateTime<Utc>) {
        let home = self.homes.entry(elder).or_default();
        home.inactive = false;
        home.resolved_at = home.resolved_at.max(Some(at));
        self.wait_for_meters(elder);
    }

    /// An inactivity of a home was raised, as the log says.
    pub fn inactivity_raised(&mut self, elder: ElderId) {
        self.homes.entry(elder).or_default().inactive = true;
    }

    /// A device is off line or heard again, as the log says.
    pub fn told_of(&mut self, device: &DeviceId, offline: bool) {
        if let Some(&place) = self.places.get(device)
            && let Some(watch) = &mut self.devices[place].watch
        {
            watch.told(offline);
            self.wait(place);
        }
    }

    /// Nothing is known of what was heard before an instant: no silence counts from earlier.
    pub fn counts_from(&mut self, at: DateTime<Utc>) {
        self.now = self.now.max(at);
        for place in 0..self.devices.len() {
            if let Some(watch) = &mut self.devices[place].watch {
                watch.counts_from(at);
            }
        }
        self.queue.clear();
        for place in 0..self.devices.len() {
            self.devices[place].queued = [None; 2];
            self.wait(place);
        }
    }

    /// A home is in this village now.
    pub fn lives_in(&mut self, elder: ElderId, village: Option<VillageCode>) {
        let home = self.homes.entry(elder).or_default();
        if home.village != village {
            home.village = village;
            self.wait_for_all_of(elder);
        }
    }

    /// Other rules hold from now on.
    pub fn judge_by(&mut self, policies: Policies) {
        self.policies = policies;
        self.queue.clear();
        for place in 0..self.devices.len() {
            self.devices[place].queued = [None; 2];
            self.wait_anew(place);
        }
    }

    /// Lets time pass up to an instant, included: what fell due by then, in its order.
    pub fn pass(&mut self, until: DateTime<Utc>) -> Vec<Finding> {
        let mut findings = Vec::new();
        while self.due().is_some_and(|due| due <= until)
            && let Some((at, place, timer)) = self.queue.pop_first()
        {
            self.devices[place].queued[timer as usize] = None;
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
        let finding = |at, what| Finding {
            elder: watch.elder,
            device: signal.device.clone(),
            at,
            what,
        };
        let source = || Source {
            device: signal.device.clone(),
            device_kind: watch.kind,
            signal: signal.id.clone(),
            kind: signal.kind,
            sequence: signal.sequence,
        };
        let raises = watch.raises(signal.kind).map(|kind| {
            let what = What::Raises(kind, Cause::Signal(source()));
            finding(signal.time(), what)
        });
        let home = self.homes.get(&watch.elder);
        let inactive = home.is_some_and(|home| home.inactive);
        let noted = watch
            .is_noted_in(signal)
            .filter(|kind| *kind != AlertKind::Inactivity || inactive)
            .map(|kind| finding(signal.time(), What::Noted(kind, source())));
        let heard_again = finding(signal.arrived_at, What::HeardAgain);
        findings.extend(watch.hear(signal).then_some(heard_again));
        findings.extend(raises);
        findings.extend(noted);
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

    fn policy_of(&self, watch: &WatchedDevice) -> &AlertPolicy {
        let home = self.homes.get(&watch.elder);
        self.policies
            .of(home.and_then(|home| home.village.as_ref()))
    }

    /// What a timer waits for.
    fn instant(&self, place: Place, timer: Timer) -> Option<DateTime<Utc>> {
        let watch = self.devices[place].watch.as_ref()?;
        let policy = self.policy_of(watch);
        match timer {
            Timer::Offline => watch.offline_from(policy),
            Timer::Inactivity => {
                let nobody = Home::default();
                let home = self.homes.get(&watch.elder).unwrap_or(&nobody);
                watch.inactive_from(home, policy)
            }
        }
    }

    fn falls_due(&mut self, place: Place, timer: Timer, at: DateTime<Utc>) -> Option<Finding> {
        let watch = self.devices[place].watch.as_ref()?;
        let policy = self.policy_of(watch);
        match timer {
            Timer::Offline => {
                let offline_after = policy.offline_after;
                let Slot { id, watch, .. } = &mut self.devices[place];
                let watch = watch.as_mut()?;
                watch.goes_offline();
                let cause = Cause::Silence {
                    device: id.clone(),
                    device_kind: watch.kind,
                    since: at - offline_after,
                };
                Some(Finding {
                    elder: watch.elder,
                    device: id.clone(),
                    at,
                    what: What::Raises(AlertKind::DeviceOffline, cause),
                })
            }
            // One that is not heard waits for its next signal.
            Timer::Inactivity if !watch.is_heard(at, policy) => None,
            Timer::Inactivity => self.becomes_inactive(place, at),
        }
    }

    fn becomes_inactive(&mut self, place: Place, at: DateTime<Utc>) -> Option<Finding> {
        let Slot { id, watch, .. } = &self.devices[place];
        let watch = watch.as_ref()?;
        let home = self.homes.entry(watch.elder).or_default();
        let cause = Cause::Silence {
            device: id.clone(),
            device_kind: watch.kind,
            since: watch.dry_since(home),
        };
        home.inactive = true;
        Some(Finding {
            elder: watch.elder,
            device: id.clone(),
            at,
            what: What::Raises(AlertKind::Inactivity, cause),
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

    /// As [`Monitor::wait`], where other rules hold than when the last signal came: by these a heard meter may be overdue.
    fn wait_anew(&mut self, place: Place) {
        self.wait(place);
        let watch = self.devices[place].watch.as_ref();
        if watch.is_some_and(|watch| watch.is_heard(self.now, self.policy_of(watch)))
            && let Some(at) = self.instant(place, Timer::Inactivity)
        {
            self.enqueue(at, place, Timer::Inactivity);
        }
    }

    fn wait_for_meters(&mut self, elder: ElderId) {
        for place in self.places_of(elder) {
            self.wait(place);
        }
    }

    fn places_of(&self, elder: ElderId) -> Vec<Place> {
        let devices = self.homes.get(&elder).map(|home| &home.devices);
        let devices = devices.into_iter().flatten();
        devices
            .filter_map(|device| self.places.get(device).copied())
            .collect()
    }

    fn wait_for_all_of(&mut self, elder: ElderId) {
        for place in self.places_of(elder) {
            self.wait_anew(place);
        }
    }

    fn enqueue(&mut self, at: DateTime<Utc>, place: Place, timer: Timer) {
        let queued = &mut self.devices[place].queued[timer as usize];
        match *queued {
            Some(earlier) if earlier <= at => {}
            later => {
                *queued = Some(at);
                if let Some(later) = later {
                    self.queue.remove(&(later, place, timer));
                }
                self.queue.insert((at, place, timer));
            }
        }
    }
}
