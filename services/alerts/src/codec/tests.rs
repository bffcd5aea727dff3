//! Every event survives its bytes, whatever stands in it; what is no event is refused.

use chrono::{DateTime, TimeDelta, Utc};
use civic::{
    AlertKind, AlertOutcome, AwayReason, DeviceKind, ElderId, NoticeChannel, RecipientRole,
    SignalKind,
};
use eventlog::{Aggregate, RawEvent};
use proptest::prelude::*;
use uuid::Uuid;

use crate::absence::{self, Absence};
use crate::alert_line::{AlertLine, Cause, Event, Raised, Source};
use crate::alert_policy::{AlertPolicy, LevelDue};
use crate::alert_request::{AlertRequest, Requested};
use crate::attempts::{Attempt, Notices, Outcome};
use crate::device::{self, Device};
use crate::division_policy::{DivisionPolicy, Published};
use crate::signal::DeviceId;

fn survives<A: Aggregate>(event: &A::Event)
where
    A::Event: PartialEq + std::fmt::Debug,
{
    assert_eq!(A::decode(&A::encode(event)).as_ref(), Ok(event));
}

fn ids() -> impl Strategy<Value = Uuid> {
    any::<u128>().prop_map(Uuid::from_u128)
}

fn instants() -> impl Strategy<Value = DateTime<Utc>> {
    (0_i64..4_000_000_000, 0_u32..1_000_000)
        .prop_map(|(seconds, micros)| DateTime::from_timestamp(seconds, micros * 1_000).unwrap())
}

fn devices() -> impl Strategy<Value = DeviceId> {
    "[A-Za-z0-9_-]{1,64}".prop_map(|id| id.parse().unwrap())
}

fn sources() -> impl Strategy<Value = Source> {
    let kinds = prop::sample::select(DeviceKind::ALL);
    let says = prop::sample::select(SignalKind::ALL);
    (devices(), kinds, ".{1,64}", says, any::<u64>()).prop_map(
        |(device, device_kind, signal, kind, sequence)| Source {
            device,
            device_kind,
            signal,
            kind,
            sequence,
        },
    )
}

fn causes() -> impl Strategy<Value = Cause> {
    let silences = (devices(), prop::sample::select(DeviceKind::ALL), instants()).prop_map(
        |(device, device_kind, since)| Cause::Silence {
            device,
            device_kind,
            since,
        },
    );
    let missed =
        (0..20_000_i32, 0..40_i64, prop::option::of(ids())).prop_map(|(first, days, campaign)| {
            let first = civic::LocalDay::from_epoch_days(first).unwrap();
            Cause::MissedVisit {
                first,
                last: first.plus_days(days),
                campaign,
            }
        });
    prop_oneof![
        sources().prop_map(Cause::Signal),
        silences,
        missed,
        Just(Cause::Request)
    ]
}

fn raised() -> impl Strategy<Value = Raised> {
    let kinds = prop::sample::select(AlertKind::ALL);
    let villages = prop::option::of(Just("350524100001".parse().unwrap()));
    (ids(), kinds, ids(), villages, instants(), causes()).prop_map(
        |(alert, kind, elder, village, at, cause)| Raised {
            alert,
            kind,
            elder: ElderId(elder),
            village,
            at,
            cause,
            levels: AlertPolicy::default().levels(kind, at),
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn alerts_survive(raised in raised(), source in sources(), alert in ids(), other in ids(), at in instants(), level in 0_u8..8) {
        survives::<AlertLine>(&Event::WentOffline { device: source.device.clone(), at });
        survives::<AlertLine>(&Event::CameOnline { device: source.device.clone(), at });
        survives::<AlertLine>(&Event::Joined { alert, joined_as: other, cause: Cause::Signal(source.clone()), at });
        survives::<AlertLine>(&Event::Noted { alert, source, at });
        survives::<AlertLine>(&Event::Raised(raised));
        survives::<AlertLine>(&Event::Escalated { alert, level, at });
        survives::<AlertLine>(&Event::Acknowledged { alert, at });
        survives::<AlertLine>(&Event::Assigned { alert, recipient: other, at });
        survives::<AlertLine>(&Event::Dispatched { alert, at });
        survives::<AlertLine>(&Event::Arrived { alert, at });
        for outcome in AlertOutcome::ALL {
            survives::<AlertLine>(&Event::Resolved { alert, outcome: *outcome, at });
        }
    }

    #[test]
    fn attempts_survive(notice in ids(), alert in ids(), recipient in ids(), at in instants(), number in 1_u32..100) {
        for (role, channel) in RecipientRole::ALL.iter().zip(NoticeChannel::ALL) {
            for outcome in [
                Outcome::Sent { reference: None },
                Outcome::Sent { reference: Some("A-17".to_owned()) },
                Outcome::Failed { reason: "TIMEOUT".to_owned(), given_up: true },
            ] {
                survives::<Notices>(&Attempt { notice, alert, level: 2, recipient, role: *role, channel: *channel, number, at, alerts: 3, outcome });
            }
        }
    }

    #[test]
    fn what_is_no_event_is_refused(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        for event_type in ["eldercare.alerts.v1.AlertRaised", "eldercare.alerts.v1.NoticeSent", "eldercare.alerts.v1.DeviceRegistered"] {
            let raw = RawEvent { event_type: event_type.to_owned(), data: bytes.clone().into() };
            prop_assert!(AlertLine::decode(&raw).is_err() || event_type.ends_with("AlertRaised"));
            let _ = (Notices::decode(&raw), Device::decode(&raw));
        }
    }
}

#[test]
fn devices_absences_and_rules_survive() {
    for kind in DeviceKind::ALL {
        for maintainer in [None, Some(Uuid::from_u128(5))] {
            survives::<Device>(&device::Event::Registered(device::Registered {
                kind: *kind,
                elder: ElderId(Uuid::from_u128(1)),
                maintainer,
                credential: Uuid::from_u128(2),
                village: "350524100001".parse().ok(),
            }));
            survives::<Device>(&device::Event::Updated {
                elder: ElderId(Uuid::from_u128(1)),
                maintainer,
                village: None,
            });
        }
    }
    survives::<Device>(&device::Event::Retired);
    for reason in AwayReason::ALL {
        survives::<Absence>(&absence::Event::Marked(*reason));
    }
    survives::<Absence>(&absence::Event::Ended);
    for kind in AlertKind::ALL {
        survives::<AlertRequest>(&Requested {
            kind: *kind,
            elder: ElderId(Uuid::from_u128(1)),
        });
    }
    survives::<DivisionPolicy>(&Published {
        division: "350524".parse().unwrap(),
        version: 3,
        policy: AlertPolicy {
            unheard_after: TimeDelta::milliseconds(7_200_500),
            ..AlertPolicy::default()
        },
    });
}

#[test]
fn levels_stand_in_the_event() {
    let at = DateTime::UNIX_EPOCH;
    let raised = Raised {
        alert: Uuid::from_u128(1),
        kind: AlertKind::Sos,
        elder: ElderId(Uuid::from_u128(2)),
        village: None,
        at,
        cause: Cause::Request,
        levels: vec![LevelDue {
            level: 0,
            at,
            roles: RecipientRole::DutyCentre.into(),
        }],
    };
    survives::<AlertLine>(&Event::Raised(raised));
}
