//! Every event survives its bytes, whatever stands in it; what is no event is refused.

use std::fmt::Debug;

use chrono::{DateTime, Utc};
use civic::{
    DepositKind, ElderId, ElderStatus, EvidenceKind, Fen, LocalDay, NotSettledReason, OrderCode,
};
use elders::testing::{day, instant, sealed, village, word, words};
use eventlog::{Aggregate, RawEvent};
use proptest::prelude::*;
use proto::eldercare::claims::v1 as pb;
use proto::eldercare::r#type::v1 as types;
use uuid::Uuid;

use super::purpose;
use crate::adjudication::{self, Runs, Year};
use crate::caregiver::{self, Caregiver, Listed};
use crate::enrolment::{self, Enrolments, Spell, Whose};
use crate::fund::{self, Fund};
use crate::judging::{Evidence, JudgedFacts};
use crate::order::{self, Order, Submitted};
use crate::programme::{Defined, Programme};
use crate::provider::{self, Contract, Provider};
use crate::settlements::{self, Line, Settlements};

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

fn evidence() -> impl Strategy<Value = Vec<Evidence>> {
    let file = (
        word::<EvidenceKind>(),
        prop::collection::vec(any::<u8>(), 8..64),
    )
        .prop_map(|(kind, hash)| Evidence { kind, hash });
    prop::collection::vec(file, 0..4)
}

fn facts() -> impl Strategy<Value = JudgedFacts> {
    (
        (any::<u64>(), any::<u16>(), word::<ElderStatus>(), word()),
        (words(), 0_u8..5, texts(), prop::option::of(any::<i64>())),
    )
        .prop_map(|((registry_sequence, age, status, capability), rest)| {
            let (assistance, handicap_grade, entitled_by, metres_from_home) = rest;
            JudgedFacts {
                registry_sequence,
                age,
                status,
                capability,
                assistance,
                handicap_grade,
                entitled_by,
                metres_from_home,
            }
        })
}

fn submitted() -> impl Strategy<Value = Submitted> {
    let names = (texts(), texts(), texts(), numbers(), elders(), ids());
    let service = (
        instant(),
        instant(),
        prop::collection::vec(texts(), 0..4),
        evidence(),
    );
    let judged = (
        words::<OrderCode>(),
        facts(),
        village(),
        any::<i64>(),
        amounts(),
    );
    let rest = (texts(), day(), any::<i64>());
    (names, service, judged, rest).prop_map(|(names, service, judged, rest)| {
        let (provider, number, programme, version, elder, caregiver) = names;
        let (check_in_at, check_out_at, items, evidence) = service;
        let (codes, facts, village, units, amount) = judged;
        let (submitted_by, appeal_until, units_a_year) = rest;
        Submitted {
            provider,
            number,
            programme,
            version,
            elder,
            caregiver,
            check_in_at,
            check_out_at,
            check_in: place(),
            items,
            evidence,
            codes,
            facts,
            village,
            units,
            amount,
            submitted_by,
            appeal_until,
            units_a_year,
        }
    })
}

fn place() -> vault::Sealed<pb::CheckInPlace> {
    let position = Some(types::GeoPosition {
        latitude: 25.0,
        longitude: 117.0,
    });
    sealed(purpose::CHECK_IN, &pb::CheckInPlace { position })
}

fn statement() -> vault::Sealed<pb::AppealStatement> {
    let text = "家属可作证".to_owned();
    sealed(purpose::STATEMENT, &pb::AppealStatement { text })
}

fn spells() -> impl Strategy<Value = (Whose, Spell)> {
    (texts(), elders(), ids(), day(), day()).prop_map(
        |(programme, elder, enrolment, first, last)| {
            let spell = Spell {
                enrolment,
                first,
                last,
            };
            (Whose { programme, elder }, spell)
        },
    )
}

fn years() -> impl Strategy<Value = Year> {
    (texts(), elders(), 2_000..2_100).prop_map(|(programme, elder, year)| Year {
        programme,
        elder,
        year,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn orders_survive(submitted in submitted(), evidence in evidence(), by in texts(), key in ids()) {
        survives::<Order>(&order::Event::Submitted(Box::new(submitted)));
        survives::<Order>(&order::Event::AppealFiled { statement: statement(), evidence, by: by.clone() });
        survives::<Order>(&order::Event::AppealAccepted { by: by.clone() });
        survives::<Order>(&order::Event::AppealRefused { by });
        for reason in NotSettledReason::ALL {
            survives::<Order>(&order::Event::NotSettled { key, reason: *reason });
        }
    }

    #[test]
    fn verdicts_survive(
        order in ids(),
        year in years(),
        provider in texts(),
        day in day(),
        amount in amounts(),
        units in any::<i64>(),
        codes in words::<OrderCode>(),
        conflicts in prop::collection::vec((word::<OrderCode>(), ids()), 0..6),
        premiums in numbers(),
    ) {
        use adjudication::Event;
        let Year { programme, elder, .. } = year.clone();
        for on_appeal in [true, false] {
            survives::<Runs>(&Event::Approved {
                order,
                programme: programme.clone(),
                provider: provider.clone(),
                elder,
                day,
                amount,
                on_appeal,
            });
        }
        survives::<Runs>(&Event::Held { order, codes, conflicts });
        survives::<Runs>(&Event::Consumed { order, year: year.clone(), units });
        survives::<Runs>(&Event::Released { order, year, units });
        survives::<Runs>(&Event::PremiumsBooked { programme, amount, premiums });
        for reason in NotSettledReason::ALL {
            survives::<Runs>(&Event::NotSettled { order, reason: *reason });
        }
    }

    #[test]
    fn registers_survive(
        (whose, spell) in spells(),
        text in texts(),
        day in day(),
        last in prop::option::of(day()),
        year in any::<i32>(),
        amount in amounts(),
        version in numbers(),
    ) {
        survives::<Programme>(&Defined {
            version,
            division: "350524".parse().unwrap(),
            effective_from: day,
            definition: text.clone(),
        });
        let enrolment = spell.enrolment;
        survives::<Enrolments>(&enrolment::Event::Enrolled { whose: whose.clone(), spell, basis: text.clone() });
        survives::<Enrolments>(&enrolment::Event::Charged { whose: whose.clone(), enrolment, year, amount });
        survives::<Enrolments>(&enrolment::Event::Ended { whose, enrolment, last: day });
        survives::<Provider>(&provider::Event::Contracted(Contract {
            provider: text.clone(),
            contract: enrolment,
            programme: text.clone(),
            name: text.clone(),
            first: day,
            last,
        }));
        survives::<Provider>(&provider::Event::Ended { provider: text.clone(), contract: enrolment, last: day });
        let name = sealed(purpose::CAREGIVER, &pb::CaregiverName { name: text.clone() });
        survives::<Caregiver>(&caregiver::Event::Registered(Listed { provider: text, name, first: day, last }));
        survives::<Caregiver>(&caregiver::Event::Retired(day));
    }

    #[test]
    fn money_survives(
        amount in amounts(),
        reserved in amounts(),
        count in numbers(),
        text in texts(),
        day in day(),
        lines in prop::collection::vec((ids(), amounts()), 0..6),
        adjustments in prop::collection::vec(ids(), 0..4),
        order in prop::option::of(ids()),
        adjustment in ids(),
    ) {
        for kind in DepositKind::ALL {
            survives::<Fund>(&fund::Event::Deposited { kind: *kind, amount, reference: text.clone(), persons: count });
        }
        survives::<Fund>(&fund::Event::Reserved { amount, orders: count });
        survives::<Fund>(&fund::Event::Paid { provider: text.clone(), number: count, amount, reserved });
        let lines = lines.into_iter().map(|(order, amount)| Line { order, amount }).collect();
        survives::<Settlements>(&settlements::Event::Drafted {
            number: count,
            month: day.month(),
            lines,
            adjustments,
            total: amount,
        });
        survives::<Settlements>(&settlements::Event::Confirmed { number: count });
        survives::<Settlements>(&settlements::Event::Paid {
            number: count,
            amount,
            paid_on: day,
            reference: text.clone(),
        });
        survives::<Settlements>(&settlements::Event::Adjusted {
            adjustment,
            number: count,
            amount,
            order,
            reason: text,
        });
    }

    #[test]
    fn holds_survive(
        order in ids(),
        codes in words::<OrderCode>(),
        number in 1..=i32::MAX.cast_unsigned(),
        amount in amounts(),
        registry_sequence in any::<u64>(),
        by in texts(),
    ) {
        use settlements::Event;
        for left in [None, Some(number)] {
            survives::<Settlements>(&Event::PutOnHold { order, codes, left, registry_sequence });
        }
        for withdrawn in [true, false] {
            survives::<Settlements>(&Event::HoldEnded { order, withdrawn, by: by.clone() });
        }
        survives::<Settlements>(&Event::RecoveryListed { order, codes, number, amount, registry_sequence });
    }

    #[test]
    fn bytes_that_are_anything_never_stop_a_reader(bytes in prop::collection::vec(any::<u8>(), 0..96)) {
        for event_type in EVENTS.iter().flat_map(|(_, names)| *names) {
            let raw = RawEvent { event_type: format!("eldercare.claims.v1.{event_type}"), data: bytes.clone().into() };
            let _ = (Order::decode(&raw), Runs::decode(&raw), Fund::decode(&raw), Settlements::decode(&raw));
            let _ = (Programme::decode(&raw), Enrolments::decode(&raw), Provider::decode(&raw), Caregiver::decode(&raw));
        }
    }
}

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

fn some_time() -> DateTime<Utc> {
    "2024-05-10T09:00:00+08:00".parse().unwrap()
}

const NO_DAY: types::Date = types::Date {
    year: 2024,
    month: 2,
    day: 30,
};

fn some_order() -> order::Event {
    order::Event::Submitted(Box::new(Submitted {
        provider: "P01".to_owned(),
        number: "A".to_owned(),
        programme: "LTCI".to_owned(),
        version: 1,
        elder: ElderId(Uuid::from_u128(1)),
        caregiver: Uuid::from_u128(2),
        check_in_at: some_time(),
        check_out_at: some_time(),
        check_in: place(),
        items: vec![],
        evidence: vec![Evidence {
            kind: EvidenceKind::Video,
            hash: vec![7; 32],
        }],
        codes: OrderCode::DurationShort.into(),
        facts: JudgedFacts {
            registry_sequence: 1,
            age: 74,
            status: ElderStatus::Active,
            capability: civic::CapabilityLevel::Severe,
            assistance: civic::Assistance::MinimumLiving.into(),
            handicap_grade: 2,
            entitled_by: "HANDICAP_1_2".to_owned(),
            metres_from_home: Some(7),
        },
        village: "350524100001".parse().unwrap(),
        units: 1,
        amount: Fen(20_000),
        submitted_by: "officer:clerk".to_owned(),
        appeal_until: some_day(),
        units_a_year: 12,
    }))
}

#[test]
fn malformed_orders_are_refused() {
    refused::<Order, pb::OrderSubmitted>(
        &some_order(),
        &[
            |order| order.programme_version = -1,
            |order| order.elder_id = "17".to_owned(),
            |order| order.caregiver_id.clear(),
            |order| order.check_in_at = None,
            |order| order.check_out_at = None,
            |order| order.check_in_at.as_mut().unwrap().nanos = -1,
            |order| order.check_in = None,
            |order| order.evidence[0].kind = 0,
            |order| order.evidence[0].kind = 99,
            |order| order.codes = vec![99],
            |order| order.codes = vec![0],
            |order| order.facts = None,
            |order| order.facts.as_mut().unwrap().age = -1,
            |order| order.facts.as_mut().unwrap().status = 0,
            |order| order.facts.as_mut().unwrap().capability = 99,
            |order| order.facts.as_mut().unwrap().assistance = vec![99],
            |order| order.facts.as_mut().unwrap().handicap_grade = 256,
            |order| order.division_code = "350524".to_owned(),
            |order| order.appeal_until = None,
            |order| order.appeal_until = Some(NO_DAY),
        ],
    );
    let filed = order::Event::AppealFiled {
        statement: statement(),
        evidence: vec![],
        by: "officer:clerk".to_owned(),
    };
    refused::<Order, pb::AppealFiled>(
        &filed,
        &[
            |appeal| appeal.statement = None,
            |appeal| appeal.evidence.push(pb::Evidence::default()),
        ],
    );
    let never = order::Event::NotSettled {
        key: Uuid::from_u128(1),
        reason: NotSettledReason::NoAppeal,
    };
    refused::<Order, pb::OrderNotSettled>(
        &never,
        &[
            |order| order.order_key = "A".to_owned(),
            |order| order.reason = 0,
            |order| order.reason = 99,
        ],
    );
}

#[test]
fn malformed_verdicts_are_refused() {
    use adjudication::Event;
    let order = Uuid::from_u128(1);
    let year = Year {
        programme: "LTCI".to_owned(),
        elder: ElderId(Uuid::from_u128(2)),
        year: 2024,
    };
    let approved = Event::Approved {
        order,
        programme: "LTCI".to_owned(),
        provider: "P01".to_owned(),
        elder: year.elder,
        day: some_day(),
        amount: Fen(20_000),
        on_appeal: false,
    };
    refused::<Runs, pb::OrderApproved>(
        &approved,
        &[
            |verdict| verdict.order_key.clear(),
            |verdict| verdict.elder_id.clear(),
            |verdict| verdict.service_day = None,
        ],
    );
    let held = Event::Held {
        order,
        codes: OrderCode::DuplicateService.into(),
        conflicts: vec![(OrderCode::DuplicateService, order)],
    };
    refused::<Runs, pb::OrderHeldAbnormal>(
        &held,
        &[
            |verdict| verdict.order_key.clear(),
            |verdict| verdict.codes = vec![0],
            |verdict| verdict.conflicts[0].code = 0,
            |verdict| verdict.conflicts[0].order_key.clear(),
        ],
    );
    let consumed = Event::Consumed {
        order,
        year: year.clone(),
        units: 1,
    };
    refused::<Runs, pb::EntitlementConsumed>(
        &consumed,
        &[
            |verdict| verdict.order_key.clear(),
            |verdict| verdict.elder_id.clear(),
        ],
    );
    let released = Event::Released {
        order,
        year,
        units: 1,
    };
    refused::<Runs, pb::EntitlementReleased>(&released, &[|verdict| verdict.elder_id.clear()]);
    let booked = Event::PremiumsBooked {
        programme: "LTCI".to_owned(),
        amount: Fen(30_000),
        premiums: 1,
    };
    refused::<Runs, pb::PremiumsBooked>(&booked, &[|verdict| verdict.premiums = -1]);
}

#[test]
fn malformed_registers_are_refused() {
    let defined = Defined {
        version: 1,
        division: "350524".parse().unwrap(),
        effective_from: some_day(),
        definition: String::new(),
    };
    refused::<Programme, pb::ProgrammeDefined>(
        &defined,
        &[
            |programme| programme.version = -1,
            |programme| programme.division_code = "35052".to_owned(),
            |programme| programme.effective_from = Some(NO_DAY),
        ],
    );
    let (whose, id) = (
        Whose {
            programme: "LTCI".to_owned(),
            elder: ElderId(Uuid::from_u128(2)),
        },
        Uuid::from_u128(3),
    );
    let enrolled = enrolment::Event::Enrolled {
        whose: whose.clone(),
        spell: Spell {
            enrolment: id,
            first: some_day(),
            last: some_day(),
        },
        basis: "LOW_INCOME".to_owned(),
    };
    refused::<Enrolments, pb::PersonEnrolled>(
        &enrolled,
        &[
            |enrolled| enrolled.elder_id.clear(),
            |enrolled| enrolled.enrolment_id.clear(),
            |enrolled| enrolled.first_day = None,
            |enrolled| enrolled.last_day = None,
        ],
    );
    let charged = enrolment::Event::Charged {
        whose: whose.clone(),
        enrolment: id,
        year: 2024,
        amount: Fen(30_000),
    };
    refused::<Enrolments, pb::PremiumCharged>(&charged, &[|charged| charged.enrolment_id.clear()]);
    let ended = enrolment::Event::Ended {
        whose,
        enrolment: id,
        last: some_day(),
    };
    refused::<Enrolments, pb::EnrolmentEnded>(&ended, &[|ended| ended.last_day = None]);
    let contracted = provider::Event::Contracted(Contract {
        provider: "P01".to_owned(),
        contract: id,
        programme: "LTCI".to_owned(),
        name: "禾康".to_owned(),
        first: some_day(),
        last: None,
    });
    refused::<Provider, pb::ProviderContracted>(
        &contracted,
        &[
            |contract| contract.contract_id.clear(),
            |contract| contract.first_day = None,
            |contract| contract.last_day = Some(NO_DAY),
        ],
    );
    let listed = caregiver::Event::Registered(Listed {
        provider: "P01".to_owned(),
        name: sealed(purpose::CAREGIVER, &pb::CaregiverName::default()),
        first: some_day(),
        last: None,
    });
    refused::<Caregiver, pb::CaregiverRegistered>(
        &listed,
        &[
            |listed| listed.name = None,
            |listed| listed.first_day = None,
            |listed| listed.last_day = Some(NO_DAY),
        ],
    );
    let retired = caregiver::Event::Retired(some_day());
    refused::<Caregiver, pb::CaregiverRetired>(&retired, &[|retired| retired.last_day = None]);
}

#[test]
fn malformed_money_is_refused() {
    let deposited = fund::Event::Deposited {
        kind: DepositKind::Grant,
        amount: Fen(1),
        reference: String::new(),
        persons: 0,
    };
    refused::<Fund, pb::FundDeposited>(
        &deposited,
        &[
            |deposit| deposit.kind = 0,
            |deposit| deposit.kind = 99,
            |deposit| deposit.persons = -1,
        ],
    );
    let reserved = fund::Event::Reserved {
        amount: Fen(1),
        orders: 1,
    };
    refused::<Fund, pb::FundReserved>(&reserved, &[|reserved| reserved.orders = -1]);
    let paid = fund::Event::Paid {
        provider: "P01".to_owned(),
        number: 1,
        amount: Fen(1),
        reserved: Fen(1),
    };
    refused::<Fund, pb::FundPaid>(&paid, &[|paid| paid.settlement_number = -1]);
    let id = Uuid::from_u128(3);
    let drafted = settlements::Event::Drafted {
        number: 1,
        month: some_day().month(),
        lines: vec![Line {
            order: id,
            amount: Fen(1),
        }],
        adjustments: vec![id],
        total: Fen(1),
    };
    refused::<Settlements, pb::SettlementDrafted>(
        &drafted,
        &[
            |draft| draft.number = -1,
            |draft| draft.month = None,
            |draft| draft.lines[0].order_key.clear(),
            |draft| draft.adjustment_ids[0].clear(),
        ],
    );
    let paid = settlements::Event::Paid {
        number: 1,
        amount: Fen(1),
        paid_on: some_day(),
        reference: "V1".to_owned(),
    };
    refused::<Settlements, pb::SettlementPaid>(
        &paid,
        &[|paid| paid.number = -1, |paid| paid.paid_on = None],
    );
    let adjusted = settlements::Event::Adjusted {
        adjustment: id,
        number: 1,
        amount: Fen(1),
        order: Some(id),
        reason: String::new(),
    };
    refused::<Settlements, pb::SettlementAdjusted>(
        &adjusted,
        &[
            |adjusted| adjusted.adjustment_id.clear(),
            |adjusted| adjusted.corrected_number = -1,
            |adjusted| adjusted.order_key = "A".to_owned(),
        ],
    );
    let on_hold = settlements::Event::PutOnHold {
        order: id,
        codes: OrderCode::NotEntitled.into(),
        left: Some(1),
        registry_sequence: 9,
    };
    refused::<Settlements, pb::OrderPutOnHold>(
        &on_hold,
        &[
            |hold| hold.order_key.clear(),
            |hold| hold.codes = vec![0],
            |hold| hold.settlement_number = -1,
        ],
    );
    let ended = settlements::Event::HoldEnded {
        order: id,
        withdrawn: true,
        by: "officer:reviewer".to_owned(),
    };
    refused::<Settlements, pb::OrderHoldEnded>(&ended, &[|ended| ended.order_key.clear()]);
    let listed = settlements::Event::RecoveryListed {
        order: id,
        codes: OrderCode::NotEntitled.into(),
        number: 1,
        amount: Fen(1),
        registry_sequence: 9,
    };
    refused::<Settlements, pb::RecoveryListed>(
        &listed,
        &[
            |listed| listed.order_key.clear(),
            |listed| listed.codes = vec![99],
            |listed| listed.settlement_number = -1,
        ],
    );
}
