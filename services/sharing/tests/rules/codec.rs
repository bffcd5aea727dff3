//! Every event survives its bytes, whatever stands in it; what is no event is refused.

use std::fmt::Debug;

use chrono::{DateTime, Utc};
use civic::{DivisionCode, ElderId};
use elders::testing::{day, instant, sealed, village};
use eventlog::{Aggregate, RawEvent};
use proptest::prelude::*;
use proto::eldercare::sharing::v1 as pb;
use sharing::agreement::{self, Agreement, Terms};
use sharing::codec::{CONTEXT, purpose};
use sharing::cut::{Cut, Grants};
use sharing::look::{
    AuditHeads, BrokenGlass, GlassBroken, HeadSigned, Look, LookKind, Looks, Recorded,
};
use sharing::products::{ProductName, product};
use uuid::Uuid;

#[track_caller]
fn survives<A: Aggregate>(event: &A::Event)
where
    A::Event: PartialEq + Debug,
{
    let raw = A::encode(event);
    // Events are known by the names of their messages for ever.
    assert!(
        raw.event_type.starts_with("eldercare.sharing.v1."),
        "{raw:?}"
    );
    assert_eq!(A::decode(&raw).as_ref(), Ok(event));
}

fn ids() -> impl Strategy<Value = Uuid> {
    any::<u128>().prop_map(Uuid::from_u128)
}

/// As callers write them: nothing, letters, or anything at all.
fn texts() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "[A-Z0-9-]{1,32}", ".{0,40}"]
}

fn grants() -> impl Strategy<Value = Grants> {
    let one = (
        prop::sample::select(ProductName::ALL),
        0..99_usize,
        prop::bool::ANY,
    );
    prop::collection::vec(one, 0..30).prop_map(|granted| {
        let mut grants = Grants::default();
        for (name, place, plain) in granted {
            let fields = product(name).fields;
            let cut = if plain { Cut::Plain } else { Cut::Masked };
            grants.grant(name, fields[place % fields.len()].name, cut);
        }
        grants
    })
}

fn terms() -> impl Strategy<Value = Terms> {
    let divisions = prop::collection::btree_set(village().prop_map(DivisionCode::from), 0..5);
    (texts(), texts(), texts(), grants(), divisions, day()).prop_map(
        |(department, purpose, legal_basis, products, divisions, until)| Terms {
            department,
            purpose,
            legal_basis,
            products,
            divisions,
            until,
        },
    )
}

fn looks() -> impl Strategy<Value = Look> {
    (
        (texts(), texts(), texts(), texts(), texts()),
        instant(),
        prop::collection::vec(ids().prop_map(ElderId), 0..6),
        prop::collection::vec(texts(), 0..6),
    )
        .prop_map(|(words, at, elders, fields)| {
            let (caller, department, purpose, method, address) = words;
            Look {
                caller,
                department,
                purpose,
                method,
                address,
                at,
                elders,
                fields,
            }
        })
}

fn reason(text: String) -> vault::Sealed<pb::BreakGlassReason> {
    sealed(purpose::BREAK_GLASS_REASON, &pb::BreakGlassReason { text })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn agreements_survive(terms in terms(), by in texts(), reason in texts()) {
        survives::<Agreement>(&agreement::Event::Proposed { terms, by: by.clone() });
        survives::<Agreement>(&agreement::Event::Approved { by: by.clone() });
        survives::<Agreement>(&agreement::Event::Suspended { reason: reason.clone(), by });
        survives::<Agreement>(&agreement::Event::Ended { reason });
    }

    #[test]
    fn looks_survive(look in looks(), agreements in prop::collection::vec(ids(), 0..4), text in texts()) {
        survives::<Looks>(&Recorded::Access(look.clone()));
        survives::<Looks>(&Recorded::Provided { look: look.clone(), agreements });
        survives::<BrokenGlass>(&GlassBroken { look, reason: reason(text) });
    }

    #[test]
    fn heads_survive(
        sequence in 0..=i64::MAX.cast_unsigned(),
        head in any::<[u8; 32]>(),
        key in texts(),
        halves in any::<[[u8; 32]; 2]>(),
    ) {
        let signature = std::array::from_fn(|place| halves[place / 32][place % 32]);
        survives::<AuditHeads>(&HeadSigned { sequence, head, key, signature });
    }

    #[test]
    fn no_bytes_are_a_reason_to_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        event_type in prop::sample::select(EVENTS),
    ) {
        let raw = RawEvent { event_type: format!("eldercare.sharing.v1.{event_type}"), data: bytes.into() };
        let _ = (Agreement::decode(&raw), Looks::decode(&raw));
        let _ = (BrokenGlass::decode(&raw), AuditHeads::decode(&raw));
    }
}

const EVENTS: &[&str] = &[
    "AgreementProposed",
    "AgreementApproved",
    "AgreementSuspended",
    "AgreementEnded",
    "AccessRecorded",
    "DataProvided",
    "GlassBroken",
    "AuditHeadSigned",
];

#[test]
fn subjects_stay_as_they_are() {
    fn names<A: Aggregate>() -> (&'static str, &'static str) {
        (A::CONTEXT, A::NAME)
    }
    assert_eq!(names::<Agreement>(), (CONTEXT, "agreement"));
    assert_eq!(names::<Looks>(), (CONTEXT, "looks"));
    assert_eq!(names::<BrokenGlass>(), (CONTEXT, "break_glass"));
    assert_eq!(names::<AuditHeads>(), (CONTEXT, "audit"));
    for kind in LookKind::ALL {
        assert_eq!(LookKind::parse(kind.name()), Some(*kind));
    }
}

#[test]
fn events_of_another_aggregate_are_unknown() {
    fn check<A: Aggregate>(own: &[&str])
    where
        A::Event: Debug,
    {
        for name in EVENTS {
            // The name alone decides whether it is looked at.
            let raw = RawEvent {
                event_type: format!("eldercare.sharing.v1.{name}"),
                data: vec![0xff_u8].into(),
            };
            let told = A::decode(&raw).unwrap_err().to_string();
            assert_eq!(
                !told.contains("unknown"),
                own.contains(name),
                "{name}: {told}"
            );
        }
        for name in [
            "",
            "Look",
            "AgreementEnded",
            "eldercare.sharing.v2.AgreementEnded",
        ] {
            let raw = RawEvent {
                event_type: name.to_owned(),
                data: Vec::<u8>::new().into(),
            };
            let told = A::decode(&raw).unwrap_err().to_string();
            assert!(told.contains("unknown"), "{name}: {told}");
        }
    }
    check::<Agreement>(&EVENTS[..4]);
    check::<Looks>(&EVENTS[4..6]);
    check::<BrokenGlass>(&EVENTS[6..7]);
    check::<AuditHeads>(&EVENTS[7..]);
}

fn some_time() -> DateTime<Utc> {
    "2024-05-10T09:00:00+08:00".parse().unwrap()
}

fn some_look() -> Look {
    Look {
        caller: "officer:li".to_owned(),
        department: "health".to_owned(),
        purpose: "家庭医生签约".to_owned(),
        method: "GetDossier".to_owned(),
        address: String::new(),
        at: some_time(),
        elders: vec![ElderId(Uuid::from_u128(1))],
        fields: vec!["elder.name:masked".to_owned()],
    }
}

fn some_terms() -> Terms {
    let mut products = Grants::default();
    products.grant(ProductName::Elder, "name", Cut::Masked);
    Terms {
        department: "health".to_owned(),
        purpose: String::new(),
        legal_basis: String::new(),
        products,
        divisions: ["350524".parse().unwrap()].into(),
        until: "2024-12-31".parse().unwrap(),
    }
}

/// Whether a message is refused, after a change to a good one.
#[track_caller]
fn refused<A, M>(event: &A::Event, changes: &[fn(&mut M)])
where
    A: Aggregate,
    A::Event: Debug,
    M: prost::Message + prost::Name + Default,
{
    for (place, change) in changes.iter().enumerate() {
        let mut message = M::decode(A::encode(event).data).unwrap();
        change(&mut message);
        let outcome = A::decode(&RawEvent::of(&message));
        assert!(
            outcome.is_err(),
            "change {place} of {}: {outcome:?}",
            M::full_name()
        );
    }
}

#[test]
fn malformed_terms_are_refused() {
    let proposed = agreement::Event::Proposed {
        terms: some_terms(),
        by: "officer:clerk".to_owned(),
    };
    refused::<Agreement, pb::AgreementProposed>(
        &proposed,
        &[
            |proposed| proposed.terms = None,
            |proposed| proposed.terms.as_mut().unwrap().until = None,
            |proposed| proposed.terms.as_mut().unwrap().division_codes[0].push('1'),
            |proposed| proposed.terms.as_mut().unwrap().products[0].product.clear(),
            |proposed| {
                let product = &mut proposed.terms.as_mut().unwrap().products[0];
                product.fields[0].field = "wealth".to_owned();
            },
            |proposed| proposed.terms.as_mut().unwrap().products[0].fields[0].cut = 0,
            |proposed| proposed.terms.as_mut().unwrap().products[0].fields[0].cut = 99,
        ],
    );
}

#[test]
fn malformed_looks_and_heads_are_refused() {
    let provided = Recorded::Provided {
        look: some_look(),
        agreements: vec![Uuid::from_u128(2)],
    };
    refused::<Looks, pb::DataProvided>(
        &provided,
        &[
            |provided| provided.look = None,
            |provided| provided.look.as_mut().unwrap().at = None,
            |provided| provided.look.as_mut().unwrap().elder_ids[0].clear(),
            |provided| provided.agreement_ids[0].clear(),
        ],
    );
    refused::<Looks, pb::AccessRecorded>(
        &Recorded::Access(some_look()),
        &[|accessed| accessed.look = None],
    );
    let broken = GlassBroken {
        look: some_look(),
        reason: reason("家属报失联，急需上门".to_owned()),
    };
    refused::<BrokenGlass, pb::GlassBroken>(
        &broken,
        &[|broken| broken.look = None, |broken| broken.reason = None],
    );
    let signed = HeadSigned {
        sequence: 17,
        head: [7; 32],
        key: "k1".to_owned(),
        signature: [9; 64],
    };
    refused::<AuditHeads, pb::AuditHeadSigned>(
        &signed,
        &[
            |signed| signed.sequence = -1,
            |signed| signed.head = vec![7_u8; 31].into(),
            |signed| signed.signature = vec![9_u8; 65].into(),
        ],
    );
}

#[test]
fn bytes_in_the_log_stay_readable() {
    let ended = agreement::Event::Ended {
        reason: "NO_NEED".to_owned(),
    };
    assert_eq!(
        Agreement::encode(&ended),
        RawEvent {
            event_type: "eldercare.sharing.v1.AgreementEnded".to_owned(),
            data: b"\x0a\x07NO_NEED".to_vec().into(),
        }
    );
    let signed = HeadSigned {
        sequence: 17,
        head: [7; 32],
        key: "k1".to_owned(),
        signature: [9; 64],
    };
    let mut bytes = b"\x08\x11\x12\x20".to_vec();
    bytes.extend([7_u8; 32]);
    bytes.extend(b"\x1a\x02k1\x22\x40");
    bytes.extend([9_u8; 64]);
    assert_eq!(AuditHeads::encode(&signed).data, bytes);
}
