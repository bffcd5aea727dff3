//! Stories of agreements, looks, credentials and erasures.

use elder_tables::testing::{Contract, Story, elder};
use eventlog::{RawEvent, Subject};
use proto::eldercare::sharing::v1 as pb;
use uuid::Uuid;

use super::{malformed, unknown};
use crate::support::{at, some_terms, timestamp};

pub(super) const CONTRACT: Contract = (
    "eldercare/sharing/v1/sharing_events.proto",
    &["BreakGlassReason"],
);

/// Of agreements that come and go, and of what they let others see.
pub(super) fn stories() -> Vec<Story> {
    vec![
        agreement(1),
        agreement(2),
        unreadable(),
        looks(),
        credentials(),
        erasures(),
    ]
}

fn told(aggregate: &str, of: &str, events: Vec<RawEvent>) -> (Subject, Vec<RawEvent>) {
    (Subject::new("sharing", aggregate, of).unwrap(), events)
}

fn id(number: u128) -> String {
    Uuid::from_u128(number).to_string()
}

fn proposed() -> RawEvent {
    RawEvent::of(&pb::AgreementProposed {
        terms: Some(some_terms()),
        proposed_by: "officer:proposer".to_owned(),
    })
}

fn approved(by: &str) -> RawEvent {
    RawEvent::of(&pb::AgreementApproved {
        approved_by: by.to_owned(),
    })
}

/// It is suspended and approved anew; the first one ends.
fn agreement(number: u128) -> Story {
    let of = |event| told("agreement", &id(number), vec![event]);
    let suspended = RawEvent::of(&pb::AgreementSuspended {
        reason: "MISUSE".to_owned(),
        suspended_by: "officer:guard".to_owned(),
    });
    let ended = RawEvent::of(&pb::AgreementEnded {
        reason: "OVER".to_owned(),
    });
    let mut story = vec![
        of(proposed()),
        of(approved("officer:one")),
        of(suspended.clone()),
        of(approved("officer:other")),
        of(malformed(suspended)),
    ];
    if number == 1 {
        story.push(of(ended));
    }
    story
}

/// What follows on a proposal that can't be read.
fn unreadable() -> Story {
    let of = |event| told("agreement", &id(3), vec![event]);
    vec![
        of(malformed(proposed())),
        told("agreement", "none", vec![proposed()]),
        of(approved("officer:one")),
        told("unheard", "1", vec![unknown("sharing")]),
    ]
}

fn look(caller: &str, elders: &[u128]) -> Option<pb::Look> {
    Some(pb::Look {
        caller: caller.to_owned(),
        department: "health".to_owned(),
        purpose: "test".to_owned(),
        method: "GetDossier".to_owned(),
        address: String::new(),
        at: timestamp(at("2024-10-01 09:00")),
        elder_ids: elders
            .iter()
            .map(|number| elder(*number).to_string())
            .collect(),
        fields: vec!["elder.name".to_owned()],
    })
}

/// Several in a record; one names an elder twice.
fn looks() -> Story {
    let accessed = |caller: &str, elders: &[u128]| {
        RawEvent::of(&pb::AccessRecorded {
            look: look(caller, elders),
        })
    };
    let provided = |elders: &[u128], agreements: &[u128]| {
        RawEvent::of(&pb::DataProvided {
            look: look("officer:doctor", elders),
            agreement_ids: agreements.iter().copied().map(id).collect(),
        })
    };
    let reason = elders::testing::sealed("test", &pb::BreakGlassReason::default());
    let broken = RawEvent::of(&pb::GlassBroken {
        look: look("officer:doctor", &[4]),
        reason: Some((&reason).into()),
    });
    let head = RawEvent::of(&pb::AuditHeadSigned {
        sequence: 1,
        head: vec![7_u8; 32].into(),
        key_id: "k1".to_owned(),
        signature: vec![8_u8; 64].into(),
    });
    vec![
        told(
            "looks",
            "one",
            vec![
                accessed("officer:reader", &[1, 2]),
                unknown("sharing"),
                provided(&[3, 3], &[1, 2]),
            ],
        ),
        told("break_glass", "one", vec![broken]),
        told("audit", "head", vec![head]),
        told("looks", "other", vec![provided(&[], &[])]),
        told("looks", "one", vec![accessed("officer:reader", &[4])]),
    ]
}

/// The second of two departments has none any more.
fn credentials() -> Story {
    let issued = |department: &str, credential: u128| {
        let event = RawEvent::of(&pb::FeedCredentialIssued {
            credential_id: id(credential),
            issued_by: "officer:one".to_owned(),
        });
        told("credential", department, vec![event])
    };
    let revoked = |department: &str, credential: u128| {
        let event = RawEvent::of(&pb::FeedCredentialRevoked {
            credential_id: id(credential),
            reason: "LOST".to_owned(),
        });
        told("credential", department, vec![event])
    };
    vec![
        issued("health", 11),
        issued("justice", 12),
        revoked("health", 11),
        issued("health", 13),
        revoked("justice", 12),
        issued("health", 14),
    ]
}

/// Departments are asked, one of them later; one confirms.
fn erasures() -> Story {
    let of = |event| told("erasure", &elder(4).to_string(), vec![event]);
    let asked = |departments: &[&str]| {
        RawEvent::of(&pb::TombstonesSent {
            departments: departments.iter().map(|name| (*name).to_owned()).collect(),
        })
    };
    let confirmed = RawEvent::of(&pb::ErasureConfirmed {
        department: "health".to_owned(),
        confirmed_by: "officer:doctor".to_owned(),
    });
    vec![
        of(asked(&["health", "justice"])),
        of(confirmed),
        of(asked(&["housing"])),
    ]
}
