//! A week of the sample county: every alert that follows from its signals, with what joined it, the levels that were reached and
//! how it ended, is as an independent program has it.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use alerts::alert_line::{AlertLine, Command, Event, LineId, Raised};
use alerts::alert_policy::{AlertPolicy, Policies};
use alerts::monitor::{Finding, Monitor, What};
use alerts::signal::{DeviceId, Signal};
use chrono::{DateTime, SecondsFormat, Utc};
use civic::{AlertKind, AlertOutcome, DeviceKind, ElderId, SHANGHAI};
use decider::Decider as _;
use serde_json::{Value, json};
use uuid::Uuid;

type Instant = DateTime<Utc>;

fn read(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/local/data/anxi");
    std::fs::read_to_string(folder.join(name)).unwrap()
}

fn lines(name: &str) -> Vec<Value> {
    let read = read(name);
    read.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn instant(value: &Value) -> Instant {
    value.as_str().unwrap().parse().unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// As the set writes instants.
fn told(at: Instant) -> Value {
    let digits = if at.timestamp_subsec_micros() == 0 {
        SecondsFormat::Secs
    } else {
        SecondsFormat::Micros
    };
    json!(at.with_timezone(&SHANGHAI).to_rfc3339_opts(digits, false))
}

/// The devices of the set, and whose they are.
struct Devices {
    elders: BTreeMap<String, ElderId>,
    all: Vec<(DeviceId, DeviceKind, ElderId)>,
}

impl Devices {
    fn read() -> Self {
        let mut devices = Self {
            elders: BTreeMap::new(),
            all: Vec::new(),
        };
        for row in read("devices.csv").lines().skip(1) {
            let cells: Vec<&str> = row.split(',').collect();
            let elder = devices.elder(cells[2]);
            let (id, kind) = (cells[0].parse().unwrap(), cells[1].parse().unwrap());
            devices.all.push((id, kind, elder));
        }
        devices
    }

    fn elder(&mut self, id_number: &str) -> ElderId {
        let next = ElderId(Uuid::from_u128(self.elders.len() as u128 + 1));
        *self.elders.entry(id_number.to_owned()).or_insert(next)
    }

    fn kind(&self, device: &DeviceId) -> DeviceKind {
        let mut all = self.all.iter();
        all.find(|(id, _, _)| id == device).unwrap().1
    }
}

/// Something that happens at an instant.
#[derive(Clone)]
enum Step {
    Signal(Signal),
    Away(ElderId),
    Back(ElderId),
    Act(Value),
}

/// Monitor, lines and levels, as the service puts them together.
struct World {
    policy: AlertPolicy,
    monitor: Monitor,
    lines: HashMap<LineId, AlertLine>,
    /// What happened on which line, in the order in which it was written.
    log: Vec<(LineId, Event)>,
    next: u128,
}

impl World {
    fn new(devices: &Devices, from: Instant) -> Self {
        let policy = AlertPolicy::default();
        let mut monitor = Monitor::new(Policies::default(), from);
        for (id, kind, elder) in &devices.all {
            monitor.register(id.clone(), *kind, *elder, from);
        }
        Self {
            policy,
            monitor,
            lines: HashMap::new(),
            log: Vec::new(),
            next: 0,
        }
    }

    /// The process ends, and another one goes on from what was kept.
    fn restart(&mut self) {
        self.monitor = crate::gone_on(&self.monitor);
    }

    fn step(&mut self, at: Instant, step: &Step) {
        if let Step::Signal(signal) = step {
            let findings = self.monitor.hear(signal);
            return self.follow(findings);
        }
        let findings = self.monitor.pass(at);
        self.follow(findings);
        match step {
            Step::Signal(_) => {}
            Step::Away(elder) => self.monitor.away(*elder),
            Step::Back(elder) => self.monitor.back(*elder, at),
            Step::Act(act) => self.act(at, act),
        }
    }

    fn follow(&mut self, findings: Vec<Finding>) {
        for Finding {
            elder,
            device,
            at,
            what,
        } in findings
        {
            let alert = Uuid::from_u128(self.next);
            self.next += 1;
            match what {
                What::Raises(kind, cause) => {
                    let raised = Raised {
                        alert,
                        kind,
                        elder,
                        village: None,
                        at,
                        cause,
                        levels: self.policy.levels(kind, at),
                    };
                    self.decide(LineId::of(kind, elder, &device), &Command::Raise(raised));
                }
                What::HeardAgain => {
                    let line = LineId::of(AlertKind::DeviceOffline, elder, &device);
                    self.decide(line, &Command::Clear { device, at });
                }
                What::Noted(kind, source) => {
                    let line = LineId::of(kind, elder, &device);
                    self.decide(line, &Command::Note { source, at });
                }
            }
        }
    }

    fn act(&mut self, at: Instant, act: &Value) {
        let kind: AlertKind = text(&act["kind"]).parse().unwrap();
        let raised_at = instant(&act["alert_raised_at"]);
        let elder = ElderId(Uuid::from_u128(act["elder"].as_u64().unwrap().into()));
        let device = act["device_id"].as_str();
        let (line, alert) = self
            .log
            .iter()
            .find_map(|(line, event)| {
                let Event::Raised(raised) = event else {
                    return None;
                };
                let of = raised.cause.device().map(|(device, _)| device.as_str());
                let meant = (raised.kind, raised.elder, raised.at) == (kind, elder, raised_at)
                    && (device.is_none() || of == device);
                meant.then(|| (line.clone(), raised.alert))
            })
            .unwrap_or_else(|| panic!("nobody raised what was answered: {act}"));
        let command = match text(&act["action"]) {
            "ACKNOWLEDGED" => Command::Acknowledge { alert, at },
            "DISPATCHED" => Command::Dispatch { alert, at },
            _ => Command::Resolve {
                alert,
                outcome: text(&act["outcome"]).parse().unwrap(),
                at,
            },
        };
        self.decide(line, &command);
    }

    fn decide(&mut self, line: LineId, command: &Command) {
        let known = self.lines.entry(line.clone()).or_default();
        let events = known.decide(command).unwrap();
        *known = std::mem::take(known).evolve_all(&events);
        for event in events {
            if let (AlertKind::Inactivity, Event::Resolved { at, .. }) = (line.kind, &event) {
                let open = self.lines[&line].newest().unwrap();
                self.monitor.inactivity_resolved(open.raised.elder, *at);
            }
            self.log.push((line.clone(), event));
        }
    }

    fn end(&mut self, at: Instant) {
        let findings = self.monitor.pass(at);
        self.follow(findings);
        let all: Vec<LineId> = self.lines.keys().cloned().collect();
        for line in all {
            if let Some(open) = self.lines[&line].open() {
                let alert = open.raised.alert;
                self.decide(line, &Command::Escalate { alert, until: at });
            }
        }
    }

    /// The alerts as the set tells them.
    fn alerts(&self, devices: &Devices) -> Vec<Value> {
        let id_numbers: HashMap<ElderId, &String> = devices
            .elders
            .iter()
            .map(|(number, elder)| (*elder, number))
            .collect();
        let mut alerts: BTreeMap<Uuid, Value> = BTreeMap::new();
        for (_, event) in &self.log {
            match event {
                Event::Raised(raised) => {
                    let (device, _) = raised.cause.device().unwrap();
                    let first = raised.level_at_once();
                    let first = first.map(|level| json!({"level": level, "at": told(raised.at)}));
                    let alert = json!({
                        "elder": id_numbers[&raised.elder],
                        "kind": raised.kind,
                        "device_id": device.as_str(),
                        "device_kind": devices.kind(device),
                        "severity": raised.severity(),
                        "raised_at": told(raised.at),
                        "joined": 0,
                        "acknowledged_at": null,
                        "closed_at": null,
                        "outcome": null,
                        "levels": first.into_iter().collect::<Vec<_>>(),
                    });
                    alerts.insert(raised.alert, alert);
                }
                Event::Joined { alert, .. } => {
                    let joined = &mut alerts.get_mut(alert).unwrap()["joined"];
                    *joined = json!(joined.as_u64().unwrap() + 1);
                }
                Event::Escalated { alert, level, at } => {
                    let levels = &mut alerts.get_mut(alert).unwrap()["levels"];
                    let reached = json!({"level": level, "at": told(*at)});
                    levels.as_array_mut().unwrap().push(reached);
                }
                Event::Acknowledged { alert, at } => {
                    alerts.get_mut(alert).unwrap()["acknowledged_at"] = told(*at);
                }
                Event::Resolved { alert, outcome, at } => {
                    let alert = alerts.get_mut(alert).unwrap();
                    alert["closed_at"] = told(*at);
                    alert["outcome"] = json!(outcome);
                }
                Event::WentOffline { .. }
                | Event::CameOnline { .. }
                | Event::Noted { .. }
                | Event::Assigned { .. }
                | Event::Dispatched { .. }
                | Event::Arrived { .. } => {}
            }
        }
        sorted(alerts.into_values().collect())
    }
}

fn sorted(mut alerts: Vec<Value>) -> Vec<Value> {
    alerts.sort_by_key(|alert| {
        ["raised_at", "kind", "elder", "device_id"].map(|key| text(&alert[key]).to_owned())
    });
    alerts
}

/// The week as it happened.
fn week(devices: &mut Devices) -> Vec<(Instant, Step)> {
    let mut steps: Vec<(Instant, Step)> = Vec::new();
    for spell in lines("away.ndjson") {
        let elder = devices.elder(text(&spell["id_number"]));
        steps.push((instant(&spell["from"]), Step::Away(elder)));
        if !spell["to"].is_null() {
            steps.push((instant(&spell["to"]), Step::Back(elder)));
        }
    }
    for mut act in lines("acknowledgements.ndjson") {
        let elder = devices.elder(text(&act["id_number"]));
        act["elder"] = json!(u64::try_from(elder.as_uuid().as_u128()).unwrap());
        steps.push((instant(&act["at"]), Step::Act(act)));
    }
    for line in lines("signals.ndjson") {
        let arrived_at = instant(&line["arrived_at"]);
        let signal = Signal {
            id: text(&line["signal_id"]).to_owned(),
            device: text(&line["device_id"]).parse().unwrap(),
            kind: text(&line["kind"]).parse().unwrap(),
            device_time: instant(&line["device_time"]),
            arrived_at,
            litres: line["litres"].as_f64(),
            sequence: 0,
        };
        steps.push((arrived_at, Step::Signal(signal)));
    }
    // What people do goes before what arrives at the same instant; the order of arrival stays.
    steps.sort_by_key(|(at, _)| *at);
    steps
}

/// Each signal comes again with a later one.
fn repeated(steps: Vec<(Instant, Step)>) -> Vec<(Instant, Step)> {
    let later = steps[9..].iter().map(|(at, _)| *at);
    let again: Vec<_> = steps
        .iter()
        .zip(later)
        .filter_map(|((_, step), arrived_at)| match step {
            Step::Signal(signal) => {
                let again = Signal {
                    arrived_at,
                    ..signal.clone()
                };
                Some((arrived_at, Step::Signal(again)))
            }
            Step::Away(_) | Step::Back(_) | Step::Act(_) => None,
        })
        .collect();
    let mut all = steps;
    all.extend(again);
    all.sort_by_key(|(at, _)| *at);
    all
}

/// Plays the week, disturbed; the process restarts after each so many steps, if any.
fn played(
    disturbed: impl Fn(Vec<(Instant, Step)>) -> Vec<(Instant, Step)>,
    restart_after: Option<usize>,
) -> (Vec<Value>, Value) {
    let expected: Value = serde_json::from_str(&read("expected/alerts.json")).unwrap();
    let mut devices = Devices::read();
    let steps = disturbed(week(&mut devices));
    let first = instant(&lines("signals.ndjson")[0]["arrived_at"]);
    let midnight = civic::LocalDay::of(first).start();
    let mut world = World::new(&devices, midnight);
    for (number, (at, step)) in steps.iter().enumerate() {
        world.step(*at, step);
        if restart_after.is_some_and(|every| number % every == 0) {
            world.restart();
        }
    }
    world.end(instant(&expected["evaluated_at"]));
    (world.alerts(&devices), expected)
}

#[test]
fn every_alert_of_the_week_is_as_expected() {
    let (alerts, expected) = played(|week| week, None);
    let expected = sorted(expected["alerts"].as_array().unwrap().clone());
    for (found, expected) in alerts.iter().zip(&expected) {
        assert_eq!(found, expected);
    }
    assert_eq!(alerts.len(), expected.len());
    let self_cleared = |alert: &&Value| alert["outcome"] == json!(AlertOutcome::SelfCleared);
    assert!(alerts.iter().any(|alert| self_cleared(&alert)));
}

#[test]
fn restarts_and_repetitions_change_nothing() {
    let (plain, _) = played(|week| week, None);
    let (restarted, _) = played(|week| week, Some(307));
    assert_eq!(plain, restarted);
    let (disturbed, _) = played(repeated, Some(5_000));
    assert_eq!(plain, disturbed);
}
