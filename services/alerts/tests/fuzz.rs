//! What devices may send, and what rules of alerts may say, as nobody means it: read, passed by or refused, and no watch stops.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

use std::cell::{Cell, RefCell};

use alerts::{
    alert_policy::{AlertPolicy, Policies},
    codec::{read_policy, write_policy},
    monitor::Monitor,
    signal::DeviceId,
    signals::{Arrived, subject_of},
};
use chrono::{DateTime, TimeDelta, Utc};
use civic::{AlertKind, DeviceKind, ElderId};
use fuzzing::assert_untold;
use prost::Message as _;
use proto::eldercare::alerts::v1 as pb;
use serde_json::Value;
use uuid::Uuid;

const SIGNALS: [&str; 4] = [
    r#"{"signal_id":"398396d12","kind":"HEARTBEAT","device_time":"2024-11-11T00:01:00+08:00"}"#,
    r#"{"signal_id":"1","kind":"PRESS","latitude":25.0631,"longitude":118.1867,"battery":0.83}"#,
    r#"{"signal_id":"f-17","kind":"FLOW","device_time":"2024-11-11T06:30:00.125+08:00","litres":12.5}"#,
    r#"{"signal_id":"水","kind":"ALARM","device_time":null,"litres":null}"#,
];

fn start() -> DateTime<Utc> {
    "2024-11-11T08:00:00+08:00".parse().unwrap()
}

fn device() -> DeviceId {
    "SB0001".parse().unwrap()
}

/// A home with one device, which is watched.
fn watched() -> Monitor {
    let mut monitor = Monitor::new(Policies::default(), start());
    monitor.register(
        device(),
        DeviceKind::ALL[0],
        ElderId(Uuid::from_u128(7)),
        start(),
    );
    monitor
}

/// Hands bodies to the watch, one each second: how many were signals.
fn heard(tried: impl FnOnce(&dyn Fn(&str))) -> u32 {
    let (watch, count, sequence) = (RefCell::new(watched()), Cell::new(0), Cell::new(0));
    tried(&|body: &str| {
        sequence.set(sequence.get() + 1);
        let at = start() + TimeDelta::seconds(i64::try_from(sequence.get()).unwrap());
        let subject = subject_of(&device());
        let arrived = Arrived::read(sequence.get(), &subject, Some(at), None, body.as_bytes());
        assert_eq!(arrived.sequence(), sequence.get());
        let Arrived::Signal(signal) = arrived else {
            return;
        };
        count.set(count.get() + 1);
        assert_eq!((&signal.device, signal.arrived_at), (&device(), at));
        assert!((1..=64).contains(&signal.id.chars().count()));
        assert!(signal.time() <= at + alerts::signal::CLOCK_AHEAD);
        for finding in watch.borrow_mut().hear(&signal) {
            assert_eq!(finding.device, device());
        }
        assert_eq!(watch.borrow().now(), at);
    });
    count.get()
}

#[test]
fn signals_of_any_bytes_are_heard_or_passed_by() {
    let count = heard(|target| fuzzing::text(&SIGNALS, 3_000, target));
    assert!(count > 300, "only {count} were signals");
}

#[test]
fn signals_of_any_tree_are_heard_or_passed_by() {
    let trees: [Value; 4] = SIGNALS.map(|signal| serde_json::from_str(signal).unwrap());
    let count = heard(|target| fuzzing::documents(&trees, 3_000, target));
    assert!(count > 300, "only {count} were signals");
}

#[test]
fn subjects_and_times_of_arrival_are_read_or_the_message_is_passed_by() {
    let subjects = [
        "eldercare.signals.SB0001.arrived",
        "eldercare.signals.SB0001",
    ];
    fuzzing::text(&subjects, 1_000, |subject| {
        let said = Some("2024-11-11T08:00:00+08:00");
        let arrived = Arrived::read(1, subject, Some(start()), said, SIGNALS[0].as_bytes());
        if let Arrived::Signal(signal) = arrived {
            assert!(subject.contains(signal.device.as_str()));
            assert_eq!(signal.arrived_at, start());
        }
    });
    let times = [
        "2024-11-11T08:00:00+08:00",
        "2024-11-11T00:00:00.123456789Z",
    ];
    fuzzing::text(&times, 1_000, |said| {
        let subject = subjects[0];
        let _either = Arrived::read(1, subject, None, Some(said), SIGNALS[1].as_bytes());
    });
}

#[test]
fn ids_of_devices_are_read_as_they_are_written_or_refused() {
    fuzzing::text(&["WM-00_1", "SB0001"], 1_000, |text| {
        match text.parse::<DeviceId>() {
            Ok(device) => assert_eq!(device.to_string(), text),
            Err(error) if text.len() > 5 => assert_untold(&error.to_string(), &[text]),
            Err(_) => {}
        }
    });
}

#[test]
fn rules_of_any_bytes_are_read_or_refused_and_those_that_make_sense_give_levels() {
    let sample = write_policy(&AlertPolicy::default()).encode_to_vec();
    let sensible = Cell::new(0);
    fuzzing::bytes(&[&sample], 3_000, |encoded| {
        let Ok(message) = pb::AlertPolicy::decode(encoded) else {
            return;
        };
        let Ok(policy) = read_policy(&message) else {
            return;
        };
        assert_eq!(read_policy(&write_policy(&policy)).unwrap(), policy);
        if policy.check().is_err() {
            return;
        }
        sensible.set(sensible.get() + 1);
        for kind in AlertKind::ALL {
            let levels = policy.levels(*kind, start());
            assert!(
                levels.is_sorted_by_key(|level| level.at),
                "{kind}: {levels:?}"
            );
        }
    });
    assert!(sensible.get() > 100, "only {} made sense", sensible.get());
}
