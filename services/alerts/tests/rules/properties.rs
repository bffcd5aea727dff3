//! Whatever comes in whatever order: no call for help is lost, and none opens two alerts; repetitions and restarts change nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use alerts::alert_line::{AlertLine, Cause, Command, Event, LineId, Raised};
use alerts::alert_policy::{AlertPolicy, Policies};
use alerts::monitor::{Monitor, What};
use alerts::signal::{DeviceId, Signal};
use chrono::{DateTime, TimeDelta, Utc};
use civic::{AlertKind, AlertOutcome, DeviceKind, ElderId, Severity, SignalKind};
use decider::Decider as _;
use proptest::prelude::*;
use uuid::Uuid;

fn start() -> DateTime<Utc> {
    "2024-11-11T00:00:00+08:00".parse().unwrap()
}

fn elder(number: usize) -> ElderId {
    ElderId(Uuid::from_u128(number as u128 + 1))
}

/// Two homes with a device of each kind.
fn devices() -> Vec<(DeviceId, DeviceKind, ElderId)> {
    let in_home = |home: usize| {
        DeviceKind::ALL.iter().map(move |kind| {
            let id = format!("{}-{home}", kind.name());
            (id.parse().unwrap(), *kind, elder(home))
        })
    };
    (0..2).flat_map(in_home).collect()
}

/// Signals of two days, in the order in which they were sent.
fn signals() -> impl Strategy<Value = Vec<Signal>> {
    let all = devices();
    let one = (
        0..all.len(),
        prop::sample::select(SignalKind::ALL),
        0_i64..2_880,
        0_i64..60,
    );
    prop::collection::vec(one, 0..120).prop_map(move |mut sent| {
        sent.sort_by_key(|(_, _, minute, second)| (*minute, *second));
        let signal =
            |(number, (place, kind, minute, second)): (usize, (usize, SignalKind, i64, i64))| {
                let at = start() + TimeDelta::minutes(minute) + TimeDelta::seconds(second);
                Signal {
                    id: number.to_string(),
                    device: all[place].0.clone(),
                    kind,
                    device_time: at,
                    arrived_at: at,
                    litres: Some(1.0),
                    sequence: number as u64 + 1,
                }
            };
        sent.into_iter().enumerate().map(signal).collect()
    })
}

/// Each arrives up to ten minutes later than it was sent.
fn shuffled(signals: Vec<Signal>, delays: &[i64]) -> Vec<Signal> {
    let mut late: Vec<Signal> = signals
        .into_iter()
        .zip(delays.iter().cycle())
        .map(|(signal, delay)| Signal {
            arrived_at: signal.device_time + TimeDelta::seconds(*delay),
            ..signal
        })
        .collect();
    late.sort_by_key(|signal| signal.arrived_at);
    late
}

/// Monitor and lines, as the service puts them together.
struct World {
    monitor: Monitor,
    lines: HashMap<LineId, AlertLine>,
    /// Requests that were answered: what is done again is recognised by them.
    requests: BTreeSet<(LineId, String)>,
    log: Vec<(LineId, Event)>,
}

impl World {
    fn new() -> Self {
        let mut monitor = Monitor::new(Policies::default(), start());
        for (id, kind, elder) in devices() {
            monitor.register(id, kind, elder, start());
        }
        Self {
            monitor,
            lines: HashMap::new(),
            requests: BTreeSet::new(),
            log: Vec::new(),
        }
    }

    fn restart(&mut self) {
        self.monitor = crate::gone_on(&self.monitor);
    }

    fn hear(&mut self, signal: &Signal) {
        for finding in self.monitor.hear(signal) {
            let (device, elder, at) = (finding.device, finding.elder, finding.at);
            let (line, command, request) = match finding.what {
                What::Raises(kind, cause) => {
                    let request = match &cause {
                        Cause::Signal(source) => format!("{device} {}", source.signal),
                        Cause::Silence { .. } | Cause::MissedVisit { .. } | Cause::Request => {
                            format!("{device} {at}")
                        }
                    };
                    let raised = Raised {
                        alert: Uuid::new_v5(
                            &Uuid::NAMESPACE_OID,
                            format!("{kind} {request}").as_bytes(),
                        ),
                        kind,
                        elder,
                        village: None,
                        at,
                        cause,
                        levels: AlertPolicy::default().levels(kind, at),
                    };
                    (
                        LineId::of(kind, elder, &device),
                        Command::Raise(raised),
                        request,
                    )
                }
                What::Noted(kind, source) => {
                    let request = format!("noted {device} {}", source.signal);
                    (
                        LineId::of(kind, elder, &device),
                        Command::Note { source, at },
                        request,
                    )
                }
                What::HeardAgain => {
                    let request = format!("heard {device} {at}");
                    let line = LineId::of(AlertKind::DeviceOffline, elder, &device);
                    (line, Command::Clear { device, at }, request)
                }
            };
            if self.requests.contains(&(line.clone(), request.clone())) {
                continue;
            }
            let known = self.lines.entry(line.clone()).or_default();
            let events = known.decide(&command).unwrap();
            *known = std::mem::take(known).evolve_all(&events);
            if !events.is_empty() {
                self.requests.insert((line.clone(), request));
            }
            self.log
                .extend(events.into_iter().map(|event| (line.clone(), event)));
        }
    }

    /// Somebody resolves whatever is open.
    fn resolve_all(&mut self, at: DateTime<Utc>) {
        let lines: Vec<LineId> = self.lines.keys().cloned().collect();
        for line in lines {
            let known = self.lines.entry(line.clone()).or_default();
            let Some(open) = known.open().map(|open| open.raised.clone()) else {
                continue;
            };
            let outcome = AlertOutcome::Assisted;
            let command = Command::Resolve {
                alert: open.alert,
                outcome,
                at,
            };
            let events = known.decide(&command).unwrap();
            *known = std::mem::take(known).evolve_all(&events);
            if line.kind == AlertKind::Inactivity {
                self.monitor.inactivity_resolved(open.elder, at);
            }
            self.log
                .extend(events.into_iter().map(|event| (line.clone(), event)));
        }
    }

    /// How often each critical signal raised or joined an alert.
    fn critical(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for (line, event) in &self.log {
            if line.kind.severity() != Severity::Critical {
                continue;
            }
            let cause = if let Event::Raised(raised) = event {
                Some(&raised.cause)
            } else if let Event::Joined { cause, .. } = event {
                Some(cause)
            } else {
                None
            };
            if let Some(Cause::Signal(source)) = cause {
                *counts.entry(source.signal.clone()).or_default() += 1;
            }
        }
        counts
    }
}

/// The critical ones among signals: those that have to come out once each.
fn expected(signals: &[Signal]) -> BTreeMap<String, usize> {
    let kinds: HashMap<DeviceId, DeviceKind> = devices()
        .into_iter()
        .map(|(id, kind, _)| (id, kind))
        .collect();
    let critical = signals.iter().filter(|signal| {
        let detects = matches!(
            kinds[&signal.device],
            DeviceKind::SmokeDetector | DeviceKind::GasDetector | DeviceKind::FallDetector
        );
        signal.kind == SignalKind::Press || (signal.kind == SignalKind::Alarm && detects)
    });
    critical.map(|signal| (signal.id.clone(), 1)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_call_for_help_is_lost_and_none_is_opened_twice(
        signals in signals(),
        delays in prop::collection::vec(0_i64..600, 1..40),
        resolved_after in prop::collection::btree_set(0_usize..120, 0..6),
    ) {
        let expected = expected(&signals);
        let mut world = World::new();
        for (signal, number) in shuffled(signals, &delays).iter().zip(0..) {
            world.hear(signal);
            if resolved_after.contains(&number) {
                world.resolve_all(signal.arrived_at);
            }
        }
        prop_assert_eq!(world.critical(), expected);
        let mut open: BTreeMap<LineId, i32> = BTreeMap::new();
        for (line, event) in &world.log {
            let change =
                i32::from(matches!(event, Event::Raised(_))) - i32::from(matches!(event, Event::Resolved { .. }));
            let count = open.entry(line.clone()).or_default();
            *count += change;
            prop_assert!((0..=1).contains(count), "{} are open on {line}", count);
        }
    }

    #[test]
    fn repetitions_and_restarts_change_nothing(
        signals in signals(),
        repeated_after in prop::collection::vec(0_usize..6, 1..40),
        restart_every in 1_usize..30,
    ) {
        let mut plain = World::new();
        for signal in &signals {
            plain.hear(signal);
        }
        // Each comes again with one of the next few.
        let mut disturbed: Vec<Signal> = signals.clone();
        for ((signal, place), after) in signals.iter().zip(0..).zip(repeated_after.iter().cycle()) {
            if let Some(later) = signals.get(place + after) {
                disturbed.push(Signal { arrived_at: later.arrived_at, ..signal.clone() });
            }
        }
        disturbed.sort_by_key(|signal| signal.arrived_at);
        let mut world = World::new();
        for (signal, number) in disturbed.iter().zip(1_usize..) {
            world.hear(signal);
            if number.is_multiple_of(restart_every) {
                world.restart();
            }
        }
        prop_assert_eq!(world.log, plain.log);
    }
}
