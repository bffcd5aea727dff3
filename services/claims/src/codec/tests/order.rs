//! What is handed in: orders and the appeals against them.

use chrono::{DateTime, Utc};
use civic::{ElderId, ElderStatus, EvidenceKind, Fen, NotSettledReason, OrderCode};
use elders::testing::{day, instant, sealed, village, word, words};
use proptest::prelude::*;
use proto::eldercare::claims::v1 as pb;
use proto::eldercare::r#type::v1 as types;
use uuid::Uuid;

use super::{NO_DAY, amounts, elders, ids, numbers, refused, some_day, survives, texts};
use crate::codec::purpose;
use crate::judging::{Evidence, JudgedFacts};
use crate::order::{self, Order, Submitted};

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
}

fn some_time() -> DateTime<Utc> {
    "2024-05-10T09:00:00+08:00".parse().unwrap()
}

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
