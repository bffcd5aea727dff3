//! Orders on their way to the adjudicator, and what came before them, in few words.

use chrono::TimeDelta;
use civic::{Assistance, CapabilityLevel, ElderId, ElderStatus, EvidenceKind, Fen, OrderCode, Set};
use claims::adjudication::{Days, Earlier, Event, Run};
use claims::codec::purpose;
use claims::enrolment::Spell;
use claims::judging::{Evidence, JudgedFacts};
use claims::order::Submitted;
use elders::testing;
use proto::eldercare::claims::v1 as pb;
use uuid::Uuid;

use crate::people::{at, day};

pub(crate) fn elder(number: u128) -> ElderId {
    ElderId(Uuid::from_u128(number))
}

pub(crate) fn caregiver(number: u128) -> Uuid {
    Uuid::from_u128(0xca_0000 + number)
}

/// The key of an order of provider P01.
pub(crate) fn key(number: &str) -> Uuid {
    claims::order::key("P01", number)
}

/// A file that no other order has but one of the same number.
pub(crate) fn file(number: &str) -> Evidence {
    Evidence {
        kind: EvidenceKind::Video,
        hash: format!("file-of-{number}").into_bytes(),
    }
}

/// Two hours of the first caregiver with the first elder, with nothing in doubt.
pub(crate) fn order(number: &str, start: &str) -> Submitted {
    let start = at(&format!("{start}:00"));
    Submitted {
        provider: "P01".to_owned(),
        number: number.to_owned(),
        programme: "LTCI".to_owned(),
        version: 1,
        elder: elder(1),
        caregiver: caregiver(1),
        check_in_at: start,
        check_out_at: start + TimeDelta::hours(2),
        check_in: testing::sealed(purpose::CHECK_IN, &pb::CheckInPlace::default()),
        items: vec!["BATHING".to_owned()],
        evidence: vec![file(number)],
        codes: Set::new(),
        facts: JudgedFacts {
            registry_sequence: 1,
            age: 74,
            status: ElderStatus::Active,
            capability: CapabilityLevel::Severe,
            assistance: Assistance::MinimumLiving.into(),
            handicap_grade: 0,
            entitled_by: "LOW_INCOME".to_owned(),
            metres_from_home: None,
        },
        village: "350524100001".parse().unwrap(),
        units: 1,
        amount: Fen(20_000),
        submitted_by: "officer:clerk".to_owned(),
        appeal_until: day("2024-12-31"),
        units_a_year: 12,
    }
}

/// The same with a change.
pub(crate) fn order_with(
    number: &str,
    start: &str,
    change: impl FnOnce(&mut Submitted),
) -> Submitted {
    let mut order = order(number, start);
    change(&mut order);
    order
}

pub(crate) fn spell(first: &str, last: &str) -> Spell {
    Spell {
        enrolment: Uuid::from_u128(1),
        first: day(first),
        last: day(last),
    }
}

pub(crate) fn days(first: &str, last: Option<&str>) -> Days {
    Days {
        first: day(first),
        last: last.map(day),
    }
}

/// Two elders are enrolled for 2023 to 2025, and provider P01 has an open contract and two caregivers.
pub(crate) fn in_order() -> Earlier {
    let mut earlier = Earlier::default();
    for number in 1..=2 {
        let spells = vec![spell("2023-01-01", "2025-12-31")];
        let whose = ("LTCI".to_owned(), elder(number));
        earlier.registers.enrolments.insert(whose, spells);
        let listed = ("P01".to_owned(), days("2023-01-01", None));
        earlier
            .registers
            .caregivers
            .insert(caregiver(number), listed);
    }
    let contract = [(Uuid::from_u128(1), days("2023-01-01", None))];
    let of = ("P01".to_owned(), "LTCI".to_owned());
    earlier.registers.contracts.insert(of, contract.into());
    earlier
}

/// What becomes of orders, one after the other in one run: `[]` where nothing stands against one.
pub(crate) fn codes_of(earlier: &mut Earlier, orders: &[Submitted]) -> Vec<Vec<OrderCode>> {
    let mut run = Run::default();
    for order in orders {
        earlier.judge(order, &mut run);
    }
    codes_in(&run)
}

/// The verdicts of a run.
pub(crate) fn codes_in(run: &Run) -> Vec<Vec<OrderCode>> {
    let verdicts = run.events.iter().filter_map(|event| match event {
        Event::Approved { .. } => Some(vec![]),
        Event::Held { codes, .. } => Some(codes.iter().collect()),
        Event::Consumed { .. }
        | Event::Released { .. }
        | Event::PremiumsBooked { .. }
        | Event::NotSettled { .. } => None,
    });
    verdicts.collect()
}
