//! Events survive the wire, and their bytes never change.

use civic::{Doubt, FindingKind, ReferralOutcome, ServiceKind, VisitMode, VisitResult};
use eventlog::{Aggregate as _, RawEvent};
use uuid::Uuid;

use super::*;
use crate::elder_year::{self, ElderYear, Finding, Missed, Recorded};
use crate::visitor::Visitor;

const ELDER: ElderId = ElderId(Uuid::from_u128(1));
const RECORD: Uuid = Uuid::from_u128(2);

fn some_recorded() -> elder_year::Event {
    elder_year::Event::Recorded(Box::new(Recorded {
        record: RECORD,
        elder: ELDER,
        visitor: Uuid::from_u128(3),
        mode: VisitMode::Phone,
        result: VisitResult::NotAtHome,
        start: "2024-10-08T09:00:00+08:00".parse().unwrap(),
        end: "2024-10-08T09:30:00+08:00".parse().unwrap(),
        services: [ServiceKind::DailyCare, ServiceKind::Other].into(),
        signed: true,
        check_in: None,
        remarks: None,
        photos: vec![[7; 32]],
        village: "350524100001".parse().unwrap(),
    }))
}

#[test]
fn events_of_a_year_survive_the_wire() {
    let week: Period = "2024-W41".parse().unwrap();
    let events = [
        some_recorded(),
        elder_year::Event::Doubted {
            record: RECORD,
            doubts: [Doubt::Overlap, Doubt::TooShort].into(),
        },
        elder_year::Event::Confirmed { record: RECORD },
        elder_year::Event::Rejected { record: RECORD },
        elder_year::Event::DutyMet {
            elder: ELDER,
            period: "2024-10".parse().unwrap(),
            record: RECORD,
            late: true,
        },
        elder_year::Event::Missed(Missed {
            elder: ELDER,
            period: week,
            tier: "PRIORITY".to_owned(),
            village: "350524100001".parse().unwrap(),
            blocked_by_consent: true,
        }),
        elder_year::Event::ReferralOpened {
            referral: Uuid::from_u128(4),
            record: RECORD,
            finding: Finding {
                kind: FindingKind::FraudRisk,
                note: None,
            },
        },
        elder_year::Event::ReferralClosed {
            referral: Uuid::from_u128(4),
            outcome: ReferralOutcome::Solved,
        },
    ];
    for event in events {
        assert_eq!(ElderYear::decode(&ElderYear::encode(&event)), Ok(event));
    }
}

#[test]
fn the_bytes_of_a_record_never_change() {
    let raw = ElderYear::encode(&some_recorded());
    assert_eq!(raw.event_type, "eldercare.visits.v1.VisitRecorded");
    let mut golden = b"\x0a\x2400000000-0000-0000-0000-000000000002\
          \x12\x2400000000-0000-0000-0000-000000000001\
          \x1a\x2400000000-0000-0000-0000-000000000003\
          \x20\x02\x28\x02\x32\x06\x08\x90\x88\x92\xb8\x06\x3a\x06\x08\x98\x96\x92\xb8\x06\x42\x02\x03\x09\x48\x01\x62\x20"
        .to_vec();
    golden.extend([7; 32]);
    golden.extend(b"\x6a\x0c350524100001");
    assert_eq!(raw.data.as_ref(), golden);
}

#[test]
fn what_is_no_event_is_not_read() {
    let raw = |event_type: &str, data: &'static [u8]| RawEvent {
        event_type: event_type.to_owned(),
        data: data.into(),
    };
    assert!(matches!(
        ElderYear::decode(&raw("eldercare.visits.v1.Other", b"")),
        Err(DecodeError::UnknownType(_))
    ));
    assert!(matches!(
        ElderYear::decode(&raw("eldercare.visits.v1.VisitRecorded", b"\xff")),
        Err(DecodeError::Malformed(_))
    ));
    assert!(matches!(
        Visitor::decode(&raw("eldercare.visits.v1.VisitorRetired", b"")),
        Err(DecodeError::Malformed(_))
    ));
}
