//! Stories of alerts and of those who are told, of devices, absences, recipients and rules.

use eventlog::{RawEvent, Subject};
use proto::eldercare::alerts::v1 as pb;

use super::{
    COUNTY, OTHER_VILLAGE, Story, VILLAGE, at, date, id, malformed, sealed, subject, unknown,
};

/// The lines: of an elder, and of a device.
const SOS: &str = "SOS";
const OFFLINE: &str = "DEVICE_OFFLINE";

/// Of alerts that come to an end and follow each other; of what can't be read, and what follows on it.
pub fn stories() -> Vec<Story> {
    vec![
        called(1),
        called(2),
        unreadable(),
        offline("meter-1"),
        offline("meter-2"),
        device(),
        homes(),
        registers(),
    ]
}

fn line(kind: &str, of: &str, events: Vec<RawEvent>) -> (Subject, Vec<RawEvent>) {
    (subject("alerts", "line", &format!("{kind}-{of}")), events)
}

fn notices(kind: &str, of: &str, events: Vec<RawEvent>) -> (Subject, Vec<RawEvent>) {
    (
        subject("alerts", "notices", &format!("{kind}-{of}")),
        events,
    )
}

fn request() -> pb::alert_raised::Cause {
    pb::alert_raised::Cause::Request(pb::RequestCause {})
}

fn signal() -> pb::SignalCause {
    pb::SignalCause {
        device_id: "button-1".to_owned(),
        device_kind: pb::DeviceKind::SosButton.into(),
        signal_id: "s-1".to_owned(),
        signal_kind: pb::SignalKind::Press.into(),
        sequence: 9,
    }
}

/// An alert that reaches its first level at once where it has levels.
fn raised(
    alert: u128,
    elder: u128,
    (kind, severity): (pb::AlertKind, pb::Severity),
    cause: pb::alert_raised::Cause,
) -> RawEvent {
    let due = |level, text: &str| pb::LevelDue {
        level,
        at: at(text),
        roles: vec![pb::RecipientRole::GridWorker.into()],
    };
    let levels = if severity == pb::Severity::Low {
        vec![]
    } else {
        vec![due(0, "2024-10-01T09:00:00"), due(1, "2024-10-01T09:02:00")]
    };
    RawEvent::of(&pb::AlertRaised {
        alert_id: id(alert),
        kind: kind.into(),
        severity: severity.into(),
        elder_id: id(elder),
        division_code: VILLAGE.to_owned(),
        raised_at: at("2024-10-01T09:00:00"),
        cause: Some(cause),
        levels,
    })
}

fn joined(alert: u128, cause: pb::signal_joined::Cause) -> RawEvent {
    RawEvent::of(&pb::SignalJoined {
        alert_id: id(alert),
        at: at("2024-10-01T09:01:00"),
        cause: Some(cause),
        joined_as: id(alert + 500),
    })
}

fn escalated(alert: u128, level: i32) -> RawEvent {
    RawEvent::of(&pb::AlertEscalated {
        alert_id: id(alert),
        level,
        at: at("2024-10-01T09:02:00"),
    })
}

fn acknowledged(alert: u128, when: &str) -> RawEvent {
    RawEvent::of(&pb::AlertAcknowledged {
        alert_id: id(alert),
        at: at(when),
    })
}

fn assigned(alert: u128, recipient: u128) -> RawEvent {
    RawEvent::of(&pb::AlertAssigned {
        alert_id: id(alert),
        recipient_id: id(recipient),
        at: at("2024-10-01T09:04:00"),
    })
}

fn dispatched(alert: u128, when: &str) -> RawEvent {
    RawEvent::of(&pb::HelpDispatched {
        alert_id: id(alert),
        at: at(when),
    })
}

fn arrived(alert: u128, when: &str) -> RawEvent {
    RawEvent::of(&pb::HelpArrived {
        alert_id: id(alert),
        at: at(when),
    })
}

fn resolved(alert: u128, outcome: pb::AlertOutcome) -> RawEvent {
    RawEvent::of(&pb::AlertResolved {
        alert_id: id(alert),
        outcome: outcome.into(),
        at: at("2024-10-01T09:30:00"),
    })
}

fn sent(alert: u128, channel: pb::NoticeChannel, when: &str) -> RawEvent {
    RawEvent::of(&pb::NoticeSent {
        notice_id: id(alert + 600),
        alert_id: id(alert),
        level: 0,
        recipient_id: id(61),
        role: pb::RecipientRole::GridWorker.into(),
        channel: channel.into(),
        attempt: 2,
        at: at(when),
        reference: "R-1".to_owned(),
        alerts: 1,
    })
}

fn failed(alert: u128) -> RawEvent {
    RawEvent::of(&pb::NoticeFailed {
        notice_id: id(alert + 600),
        alert_id: id(alert),
        level: 0,
        recipient_id: id(61),
        role: pb::RecipientRole::GridWorker.into(),
        channel: pb::NoticeChannel::Sms.into(),
        attempt: 1,
        at: at("2024-10-01T09:00:05"),
        reason: "UNREACHABLE".to_owned(),
        given_up: false,
        alerts: 1,
    })
}

/// Help comes, and is called for again; of the second elder nobody is told for long.
fn called(elder: u128) -> Story {
    let kind = (pb::AlertKind::Sos, pb::Severity::Critical);
    let (first, second) = (100 * elder + 1, 100 * elder + 2);
    let of = id(elder);
    let told = |events| line(SOS, &of, events);
    let noted = RawEvent::of(&pb::SignalNoted {
        alert_id: id(second),
        at: at("2024-10-02T09:05:00"),
        signal: Some(signal()),
    });
    let requested = RawEvent::of(&pb::AlertRequested {
        kind: pb::AlertKind::Sos.into(),
        elder_id: of.clone(),
    });
    let pressed = pb::alert_raised::Cause::Signal(signal());
    let again = pb::signal_joined::Cause::Signal(signal());
    let mut story = vec![
        told(vec![raised(first, elder, kind, pressed)]),
        notices(SOS, &of, vec![failed(first)]),
        notices(
            SOS,
            &of,
            vec![sent(
                first,
                pb::NoticeChannel::Record,
                "2024-10-01T09:00:06",
            )],
        ),
        told(vec![joined(first, again.clone())]),
        told(vec![escalated(first, 1), unknown("alerts")]),
    ];
    if elder == 1 {
        let channel = pb::NoticeChannel::Sms;
        let early = sent(first, channel, "2024-10-01T09:00:10");
        let late = sent(first, channel, "2024-10-01T09:00:20");
        story.push(notices(SOS, &of, vec![early, failed(first)]));
        story.push(notices(SOS, &of, vec![late]));
    }
    story.extend([
        told(vec![acknowledged(first, "2024-10-01T09:03:00")]),
        told(vec![assigned(first, 61), assigned(first, 62)]),
        told(vec![dispatched(first, "2024-10-01T09:05:00")]),
        told(vec![malformed(arrived(first, "2024-10-01T09:06:00"))]),
        told(vec![arrived(first, "2024-10-01T09:15:00")]),
        told(vec![
            resolved(first, pb::AlertOutcome::Assisted),
            unknown("alerts"),
        ]),
        (
            subject("alerts", "request", &id(100 * elder)),
            vec![requested],
        ),
        told(vec![
            raised(second, elder, kind, request()),
            joined(second, again),
        ]),
        told(vec![noted]),
        told(vec![dispatched(second, "2024-10-02T09:05:00")]),
        told(vec![acknowledged(second, "2024-10-02T09:06:00")]),
    ]);
    story
}

/// Of an alert whose beginning can't be read nobody can be told.
fn unreadable() -> Story {
    let kind = (pb::AlertKind::VisitMissed, pb::Severity::Notice);
    let missed = pb::MissedVisit {
        first_day: date("2024-09-23"),
        last_day: date("2024-09-29"),
        campaign_id: String::new(),
    };
    let cause = pb::alert_raised::Cause::MissedVisit(missed.clone());
    let again = pb::signal_joined::Cause::MissedVisit(missed);
    let of = id(3);
    let told = |events| line("VISIT_MISSED", &of, events);
    let beginning = raised(301, 3, kind, cause.clone());
    vec![
        told(vec![malformed(beginning)]),
        notices(
            "VISIT_MISSED",
            &of,
            vec![sent(301, pb::NoticeChannel::Sms, "2024-10-01T09:00:10")],
        ),
        told(vec![joined(301, again)]),
        told(vec![resolved(301, pb::AlertOutcome::FalseAlarm)]),
        told(vec![raised(302, 3, kind, cause)]),
        (subject("alerts", "unheard", "1"), vec![unknown("alerts")]),
        told(vec![escalated(302, 0)]),
    ]
}

/// A device is silent, is heard again; the second one is silent once more.
fn offline(device: &str) -> Story {
    let (number, second) = match device {
        "meter-1" => (401, false),
        _ => (411, true),
    };
    let kind = (pb::AlertKind::DeviceOffline, pb::Severity::Low);
    let silence = || {
        pb::alert_raised::Cause::Silence(pb::SilenceCause {
            device_id: device.to_owned(),
            device_kind: pb::DeviceKind::WaterMeter.into(),
            since: at("2024-09-30T09:00:00"),
        })
    };
    let went = RawEvent::of(&pb::DeviceWentOffline {
        device_id: device.to_owned(),
        at: at("2024-10-01T09:00:00"),
    });
    let came = RawEvent::of(&pb::DeviceCameOnline {
        device_id: device.to_owned(),
        at: at("2024-10-01T10:00:00"),
    });
    let told = |events| line(OFFLINE, device, events);
    let mut story = vec![
        told(vec![went.clone(), raised(number, 1, kind, silence())]),
        told(vec![came, resolved(number, pb::AlertOutcome::SelfCleared)]),
    ];
    if second {
        story.push(told(vec![went, raised(number + 1, 1, kind, silence())]));
    }
    story
}

/// A device that is given to another elder, and one that is registered anew; of one the registration can't be read.
fn device() -> Story {
    let told = |device: &str, events| (subject("alerts", "device", device), events);
    let registered = |elder: u128| {
        RawEvent::of(&pb::DeviceRegistered {
            kind: pb::DeviceKind::WaterMeter.into(),
            elder_id: id(elder),
            maintainer_id: String::new(),
            credential_id: id(elder + 700),
            division_code: VILLAGE.to_owned(),
        })
    };
    let updated = |elder: u128| {
        RawEvent::of(&pb::DeviceUpdated {
            elder_id: id(elder),
            maintainer_id: id(61),
            division_code: OTHER_VILLAGE.to_owned(),
        })
    };
    let retired = || RawEvent::of(&pb::DeviceRetired {});
    vec![
        told("meter-1", vec![registered(1)]),
        told("meter-2", vec![registered(2)]),
        told("meter-3", vec![malformed(registered(3))]),
        told("meter-1", vec![updated(2)]),
        told("meter-2", vec![retired()]),
        told("meter-3", vec![updated(1)]),
        told("meter-2", vec![registered(1)]),
        told("meter-1", vec![unknown("alerts"), updated(3)]),
        told("meter-3", vec![retired()]),
        told("meter-2", vec![updated(2), unknown("alerts")]),
        told("meter-1", vec![retired()]),
    ]
}

/// Who is away, and back, and away for another reason.
fn homes() -> Story {
    let told = |elder: u128, event| (subject("alerts", "home", &id(elder)), vec![event]);
    let marked = |reason: pb::AwayReason| {
        RawEvent::of(&pb::AwayMarked {
            reason: reason.into(),
        })
    };
    let ended = || RawEvent::of(&pb::AwayEnded {});
    vec![
        told(1, marked(pb::AwayReason::Hospital)),
        told(2, marked(pb::AwayReason::Travel)),
        told(1, ended()),
        told(2, ended()),
        told(1, malformed(marked(pb::AwayReason::Hospital))),
        told(1, marked(pb::AwayReason::Family)),
    ]
}

/// Recipients and rules, and what is put right of them.
fn registers() -> Story {
    let recipient = |number: u128, division: &str, active| {
        let event = RawEvent::of(&pb::RecipientRegistered {
            role: pb::RecipientRole::GridWorker.into(),
            division_code: division.to_owned(),
            active,
            details: sealed(&pb::RecipientDetails::default()),
        });
        (subject("alerts", "recipient", &id(number)), vec![event])
    };
    let seconds = |seconds| Some(prost_types::Duration { seconds, nanos: 0 });
    let published = |version, notice_minute| {
        RawEvent::of(&pb::AlertPolicyPublished {
            division_code: COUNTY.to_owned(),
            version,
            policy: Some(pb::AlertPolicy {
                inactive_after: seconds(43_200),
                unheard_after: seconds(7_200),
                offline_after: seconds(86_400),
                critical: vec![pb::EscalationLevel {
                    after: seconds(0),
                    roles: vec![pb::RecipientRole::DutyCentre.into()],
                }],
                high: vec![],
                notice: vec![],
                notice_minute,
                gather_low: seconds(60),
                contact_channels: vec![pb::NoticeChannel::Sms.into()],
            }),
        })
    };
    let policy = |event| (subject("alerts", "policy", COUNTY), vec![event]);
    vec![
        recipient(61, COUNTY, true),
        policy(published(1, 510)),
        recipient(62, VILLAGE, true),
        recipient(61, VILLAGE, false),
        policy(malformed(published(2, 530))),
        policy(published(3, 540)),
    ]
}
