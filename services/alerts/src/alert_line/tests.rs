//! The life of alerts, told as examples.

use chrono::TimeDelta;
use decider::testing::{given, given_nothing};

use super::*;
use crate::alert_policy::AlertPolicy;

fn at(minute: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_731_254_400 + minute * 60, 0).unwrap()
}

fn press(number: u128, minute: i64) -> Raised {
    let kind = AlertKind::Sos;
    Raised {
        alert: Uuid::from_u128(number),
        kind,
        elder: ElderId(Uuid::nil()),
        village: "350524100001".parse().ok(),
        at: at(minute),
        cause: Cause::Signal(source(SignalKind::Press, number)),
        levels: AlertPolicy::default().levels(kind, at(minute)),
    }
}

fn source(kind: SignalKind, number: u128) -> Source {
    Source {
        device: "SB0001".parse().unwrap(),
        device_kind: DeviceKind::SosButton,
        signal: number.to_string(),
        kind,
        sequence: 7,
    }
}

fn silence(kind: AlertKind, number: u128, minute: i64) -> Raised {
    Raised {
        kind,
        cause: Cause::Silence {
            device: meter(),
            device_kind: DeviceKind::WaterMeter,
            since: at(minute - 720),
        },
        levels: AlertPolicy::default().levels(kind, at(minute)),
        ..press(number, minute)
    }
}

fn meter() -> DeviceId {
    "WM0001".parse().unwrap()
}

const ONE: Uuid = Uuid::from_u128(1);

fn raised() -> Event {
    Event::Raised(press(1, 0))
}

fn acknowledged(minute: i64) -> Event {
    Event::Acknowledged {
        alert: ONE,
        at: at(minute),
    }
}

fn resolved(outcome: AlertOutcome, minute: i64) -> Event {
    Event::Resolved {
        alert: ONE,
        outcome,
        at: at(minute),
    }
}

fn reached(level: u8, minute: i64) -> Event {
    Event::Escalated {
        alert: ONE,
        level,
        at: at(minute),
    }
}

fn escalate(until: DateTime<Utc>) -> Command {
    Command::Escalate { alert: ONE, until }
}

fn acknowledge(alert: Uuid, minute: i64) -> Command {
    Command::Acknowledge {
        alert,
        at: at(minute),
    }
}

#[test]
fn one_is_open_at_a_time_and_further_signals_join_it() {
    given_nothing::<AlertLine>()
        .when(Command::Raise(press(1, 0)))
        .then([raised()]);
    given::<AlertLine>([raised()])
        .when(Command::Raise(press(2, 1)))
        .then([Event::Joined {
            alert: ONE,
            joined_as: Uuid::from_u128(2),
            cause: press(2, 1).cause,
            at: at(1),
        }]);
    // Also one that is dated before the end of the last one, and comes after it.
    given::<AlertLine>([raised(), resolved(AlertOutcome::Assisted, 30)])
        .when(Command::Raise(press(2, 1)))
        .then([Event::Raised(press(2, 1))]);
}

#[test]
fn a_request_that_joined_is_answered_with_what_it_joined() {
    let asked = Raised {
        cause: Cause::Request,
        ..press(2, 1)
    };
    let line = AlertLine::default().evolve_all(&[raised()]);
    let events = line.decide(&Command::Raise(asked)).unwrap();
    let line = line.evolve_all(&events);
    assert_eq!(line.raised_by(Uuid::from_u128(2)), ONE);
    assert_eq!(line.raised_by(ONE), ONE);
    // Also when the next one is open.
    let line = line.evolve_all(&[
        resolved(AlertOutcome::Assisted, 2),
        Event::Raised(press(3, 3)),
    ]);
    assert_eq!(line.raised_by(Uuid::from_u128(2)), ONE);
}

#[test]
fn what_falls_due_while_one_is_open_neither_raises_nor_joins() {
    let again = |number, minute| silence(AlertKind::Inactivity, number, minute);
    given::<AlertLine>([Event::Raised(again(1, 0))])
        .when(Command::Raise(again(2, 60)))
        .then_nothing();
}

#[test]
fn levels_are_reached_in_their_order_also_late() {
    given::<AlertLine>([raised()])
        .when(escalate(at(2)))
        .then([reached(1, 2)]);
    given::<AlertLine>([raised()])
        .when(escalate(at(2) - TimeDelta::nanoseconds(1)))
        .then_nothing();
    given::<AlertLine>([raised()])
        .when(escalate(at(90)))
        .then([reached(1, 2), reached(2, 5)]);
    given::<AlertLine>([raised(), reached(1, 2)])
        .when(escalate(at(90)))
        .then([reached(2, 5)]);
    given::<AlertLine>([raised(), acknowledged(1)])
        .when(escalate(at(90)))
        .then_nothing();
    given::<AlertLine>([raised(), resolved(AlertOutcome::Assisted, 1)])
        .when(escalate(at(90)))
        .then_nothing();
}

#[test]
fn a_level_that_falls_due_with_the_acknowledgement_is_not_reached() {
    given::<AlertLine>([raised()])
        .when(acknowledge(ONE, 2))
        .then([acknowledged(2)]);
    // What was due before is, whoever was down then.
    given::<AlertLine>([raised()])
        .when(acknowledge(ONE, 5))
        .then([reached(1, 2), acknowledged(5)]);
    given::<AlertLine>([raised()])
        .when(Command::Resolve {
            alert: ONE,
            outcome: AlertOutcome::FalseAlarm,
            at: at(6),
        })
        .then([
            reached(1, 2),
            reached(2, 5),
            resolved(AlertOutcome::FalseAlarm, 6),
        ]);
}

#[test]
fn who_sends_somebody_has_taken_it_on() {
    let dispatch = Command::Dispatch {
        alert: ONE,
        at: at(1),
    };
    let dispatched = Event::Dispatched {
        alert: ONE,
        at: at(1),
    };
    given::<AlertLine>([raised()])
        .when(dispatch.clone())
        .then([acknowledged(1), dispatched.clone()]);
    given::<AlertLine>([raised(), acknowledged(1)])
        .when(dispatch)
        .then([dispatched]);
    let whose = Uuid::from_u128(77);
    given::<AlertLine>([raised()])
        .when(Command::Assign {
            alert: ONE,
            recipient: whose,
            at: at(1),
        })
        .then([
            acknowledged(1),
            Event::Assigned {
                alert: ONE,
                recipient: whose,
                at: at(1),
            },
        ]);
}

#[test]
fn what_is_over_is_over() {
    let over = || [raised(), resolved(AlertOutcome::Assisted, 1)];
    given::<AlertLine>([raised(), acknowledged(0)])
        .when(acknowledge(ONE, 1))
        .then_refused(Refusal::AlreadyAcknowledged);
    given::<AlertLine>(over())
        .when(acknowledge(ONE, 1))
        .then_refused(Refusal::AlreadyResolved);
    given::<AlertLine>([raised()])
        .when(acknowledge(Uuid::from_u128(9), 1))
        .then_refused(Refusal::Unknown);
    given::<AlertLine>([raised()])
        .when(Command::Resolve {
            alert: ONE,
            outcome: AlertOutcome::SelfCleared,
            at: at(1),
        })
        .then_refused(Refusal::OutcomeOfDevices);
}

#[test]
fn a_device_that_is_heard_again_ends_its_silence_also_where_somebody_had_closed_it() {
    let offline = silence(AlertKind::DeviceOffline, 1, 0);
    let went = Event::WentOffline {
        device: meter(),
        at: at(0),
    };
    let came = Event::CameOnline {
        device: meter(),
        at: at(40),
    };
    let clear = Command::Clear {
        device: meter(),
        at: at(40),
    };
    given_nothing::<AlertLine>()
        .when(Command::Raise(offline.clone()))
        .then([went.clone(), Event::Raised(offline.clone())]);
    let told = [went, Event::Raised(offline)];
    given::<AlertLine>(told.clone())
        .when(clear.clone())
        .then([came.clone(), resolved(AlertOutcome::SelfCleared, 40)]);
    given::<AlertLine>(told)
        .and([resolved(AlertOutcome::NoOneHome, 30)])
        .when(clear.clone())
        .then([came]);
    given_nothing::<AlertLine>().when(clear).then_nothing();
}

#[test]
fn a_missed_visit_is_told_at_its_hour_and_not_before() {
    // Midnight of the day after the period: 08:30 is 510 minutes later.
    let missed = Raised {
        kind: AlertKind::VisitMissed,
        cause: Cause::MissedVisit {
            first: "2024-11-04".parse().unwrap(),
            last: "2024-11-10".parse().unwrap(),
            campaign: None,
        },
        levels: AlertPolicy::default().levels(AlertKind::VisitMissed, at(0)),
        ..press(1, 0)
    };
    assert_eq!(missed.level_at_once(), None);
    given::<AlertLine>([Event::Raised(missed.clone())])
        .when(escalate(at(509)))
        .then_nothing();
    given::<AlertLine>([Event::Raised(missed)])
        .when(escalate(at(510 + 1_440)))
        .then([reached(0, 510), reached(1, 510 + 1_440)]);
}

#[test]
fn lines_are_known_by_their_names() {
    for name in [
        "SOS-0192d1a8-0000-7000-8000-000000000001",
        "DEVICE_OFFLINE-WM-00_1",
        "DEVICE_FAULT-SB0001",
    ] {
        assert_eq!(name.parse::<LineId>().unwrap().to_string(), name);
    }
    for wrong in ["", "SOS", "SOS-WM0001", "DEVICE_FAULT-a.b", "FLOOD-SB0001"] {
        assert_eq!(wrong.parse::<LineId>(), Err(LineIdError), "{wrong}");
    }
}
