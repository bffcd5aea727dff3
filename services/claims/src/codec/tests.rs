//! Every event survives its bytes, whatever stands in it; what is no event is refused.

mod money;
mod order;
mod register;
mod runs;

use std::fmt::Debug;

use civic::{ElderId, Fen, LocalDay};
use eventlog::{Aggregate, RawEvent};
use proptest::prelude::*;
use proto::eldercare::r#type::v1 as types;
use uuid::Uuid;

use crate::adjudication::Runs;
use crate::caregiver::Caregiver;
use crate::enrolment::Enrolments;
use crate::fund::Fund;
use crate::order::Order;
use crate::programme::Programme;
use crate::provider::Provider;
use crate::settlements::Settlements;

fn survives<A: Aggregate>(event: &A::Event)
where
    A::Event: PartialEq + Debug,
{
    let raw = A::encode(event);
    // Events are known by the names of their messages for ever.
    assert!(
        raw.event_type.starts_with("eldercare.claims.v1."),
        "{raw:?}"
    );
    assert_eq!(A::decode(&raw).as_ref(), Ok(event));
}

fn ids() -> impl Strategy<Value = Uuid> {
    any::<u128>().prop_map(Uuid::from_u128)
}

fn elders() -> impl Strategy<Value = ElderId> {
    ids().prop_map(ElderId)
}

fn amounts() -> impl Strategy<Value = Fen> {
    any::<i64>().prop_map(Fen)
}

/// As callers write them: nothing, letters, or anything at all.
fn texts() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "[A-Z0-9-]{1,32}", ".{0,40}"]
}

/// Numbers as messages bear them.
fn numbers() -> impl Strategy<Value = u32> {
    0..=i32::MAX.cast_unsigned()
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

fn some_day() -> LocalDay {
    "2024-05-10".parse().unwrap()
}

const NO_DAY: types::Date = types::Date {
    year: 2024,
    month: 2,
    day: 30,
};

/// What each aggregate's stream may hold.
const EVENTS: &[(&str, &[&str])] = &[
    ("programme", &["ProgrammeDefined"]),
    (
        "enrolment",
        &["PersonEnrolled", "PremiumCharged", "EnrolmentEnded"],
    ),
    ("provider", &["ProviderContracted", "ContractEnded"]),
    ("caregiver", &["CaregiverRegistered", "CaregiverRetired"]),
    (
        "order",
        &[
            "OrderSubmitted",
            "AppealFiled",
            "AppealAccepted",
            "AppealRefused",
            "OrderNotSettled",
        ],
    ),
    (
        "adjudication",
        &[
            "OrderApproved",
            "OrderHeldAbnormal",
            "EntitlementConsumed",
            "EntitlementReleased",
            "PremiumsBooked",
            "OrderNotSettled",
        ],
    ),
    ("fund", &["FundDeposited", "FundReserved", "FundPaid"]),
    (
        "settlements",
        &[
            "SettlementDrafted",
            "SettlementConfirmed",
            "SettlementPaid",
            "SettlementAdjusted",
            "OrderPutOnHold",
            "OrderHoldEnded",
            "RecoveryListed",
        ],
    ),
];

/// What is wrong with a message of this name, for an aggregate; nothing where it is an event of it.
fn fault<A: Aggregate>(event_type: &str, data: &[u8]) -> Option<String> {
    let raw = RawEvent {
        event_type: event_type.to_owned(),
        data: data.to_vec().into(),
    };
    A::decode(&raw).err().map(|error| error.to_string())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn bytes_that_are_anything_never_stop_a_reader(bytes in prop::collection::vec(any::<u8>(), 0..96)) {
        for event_type in EVENTS.iter().flat_map(|(_, names)| *names) {
            let raw = RawEvent { event_type: format!("eldercare.claims.v1.{event_type}"), data: bytes.clone().into() };
            let _ = (Order::decode(&raw), Runs::decode(&raw), Fund::decode(&raw), Settlements::decode(&raw));
            let _ = (Programme::decode(&raw), Enrolments::decode(&raw), Provider::decode(&raw), Caregiver::decode(&raw));
        }
    }
}

#[test]
fn events_of_another_aggregate_are_unknown() {
    fn check<A: Aggregate>() {
        for (aggregate, names) in EVENTS {
            for name in *names {
                // The name alone decides whether it is looked at.
                let full = format!("eldercare.claims.v1.{name}");
                let told = fault::<A>(&full, &[0xff]).unwrap();
                let own = *aggregate == A::NAME
                    || (*name == "OrderNotSettled" && A::NAME == "adjudication")
                    || (*name == "OrderNotSettled" && A::NAME == "order");
                assert_eq!(
                    !told.contains("unknown"),
                    own,
                    "{} of {}: {told}",
                    name,
                    A::NAME
                );
            }
        }
        for name in [
            "",
            "OrderSubmitted",
            "eldercare.claims.v2.OrderSubmitted",
            "eldercare.registry.v1.ElderRegistered",
            "eldercare.claims.v1.OrderPraised",
        ] {
            assert!(fault::<A>(name, &[]).unwrap().contains("unknown"), "{name}");
        }
    }
    check::<Programme>();
    check::<Enrolments>();
    check::<Provider>();
    check::<Caregiver>();
    check::<Order>();
    check::<Runs>();
    check::<Fund>();
    check::<Settlements>();
}
