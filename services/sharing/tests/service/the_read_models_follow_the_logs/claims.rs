//! Stories of orders, settlements, funds and enrolments.

use civic::OrderCode;
use elder_tables::testing::{Contract, Story, elder};
use elders::terms::WireTerm as _;
use eventlog::{RawEvent, Subject};
use proto::eldercare::claims::v1 as pb;
use uuid::Uuid;

use super::{malformed, unknown};
use crate::support::{OTHER_VILLAGE, VILLAGE, at, date, timestamp};

pub(super) const CONTRACT: Contract = (
    "eldercare/claims/v1/claims_events.proto",
    &["CaregiverName", "CheckInPlace", "AppealStatement"],
);

const PROVIDER: &str = "P01";

/// Of orders that are paid, held, appealed and not settled, in two programmes.
pub(super) fn stories() -> Vec<Story> {
    vec![
        orders("LTCI", 1_000),
        orders("MEALS", 2_000),
        enrolments(),
        programmes(),
        registers(),
    ]
}

fn id(number: u128) -> String {
    Uuid::from_u128(number).to_string()
}

fn told(aggregate: &str, of: &str, events: Vec<RawEvent>) -> (Subject, Vec<RawEvent>) {
    (Subject::new("claims", aggregate, of).unwrap(), events)
}

/// A run of the adjudicator.
fn run(events: Vec<RawEvent>) -> (Subject, Vec<RawEvent>) {
    told("adjudication", "orders", events)
}

fn submitted(programme: &str, village: &str, amount_fen: i64, check_in: &str) -> RawEvent {
    RawEvent::of(&pb::OrderSubmitted {
        provider_id: PROVIDER.to_owned(),
        order_id: format!("{amount_fen}"),
        programme_code: programme.to_owned(),
        programme_version: 1,
        elder_id: elder(1).to_string(),
        check_in_at: timestamp(at(check_in)),
        check_out_at: timestamp(at(check_in)),
        division_code: village.to_owned(),
        units: 1,
        amount_fen,
        ..Default::default()
    })
}

fn approved(order: u128) -> RawEvent {
    RawEvent::of(&pb::OrderApproved {
        order_key: id(order),
        ..Default::default()
    })
}

fn abnormal(order: u128, code: OrderCode) -> RawEvent {
    RawEvent::of(&pb::OrderHeldAbnormal {
        order_key: id(order),
        codes: vec![code.wire()],
        conflicts: vec![],
    })
}

fn not_settled(order: u128) -> RawEvent {
    RawEvent::of(&pb::OrderNotSettled {
        order_key: id(order),
        reason: pb::NotSettledReason::AppealRefused.into(),
    })
}

fn consumed(programme: &str, order: u128) -> RawEvent {
    RawEvent::of(&pb::EntitlementConsumed {
        order_key: id(order),
        programme_code: programme.to_owned(),
        elder_id: elder(1).to_string(),
        year: 2024,
        units: 2,
    })
}

fn released(programme: &str, order: u128) -> RawEvent {
    RawEvent::of(&pb::EntitlementReleased {
        order_key: id(order),
        programme_code: programme.to_owned(),
        elder_id: elder(1).to_string(),
        year: 2024,
        units: 2,
    })
}

fn drafted(number: i32, orders: &[u128]) -> RawEvent {
    let lines = orders.iter().map(|order| pb::SettlementLine {
        order_key: id(*order),
        amount_fen: 0,
    });
    RawEvent::of(&pb::SettlementDrafted {
        number,
        month: date("2024-10-01"),
        lines: lines.collect(),
        ..Default::default()
    })
}

fn confirmed(number: i32) -> RawEvent {
    RawEvent::of(&pb::SettlementConfirmed {
        number,
        confirmed_on: date("2024-10-08"),
    })
}

fn paid(number: i32, on: &str) -> RawEvent {
    RawEvent::of(&pb::SettlementPaid {
        number,
        amount_fen: 4_000,
        paid_on: date(on),
        reference: "V1".to_owned(),
    })
}

fn on_hold(order: u128) -> RawEvent {
    RawEvent::of(&pb::OrderPutOnHold {
        order_key: id(order),
        codes: vec![OrderCode::NotEntitled.wire()],
        settlement_number: 1,
        registry_sequence: 7,
    })
}

fn hold_ended(order: u128) -> RawEvent {
    RawEvent::of(&pb::OrderHoldEnded {
        order_key: id(order),
        withdrawn: false,
        decided_by: "reviewer".to_owned(),
    })
}

fn deposited(amount_fen: i64) -> RawEvent {
    RawEvent::of(&pb::FundDeposited {
        kind: pb::DepositKind::Grant.into(),
        amount_fen,
        ..Default::default()
    })
}

fn reserved(amount_fen: i64) -> RawEvent {
    RawEvent::of(&pb::FundReserved {
        amount_fen,
        orders: 1,
    })
}

fn fund_paid(settlement_number: i32) -> RawEvent {
    RawEvent::of(&pb::FundPaid {
        provider_id: PROVIDER.to_owned(),
        settlement_number,
        amount_fen: 3_900,
        reserved_fen: 4_000,
    })
}

/// Of five orders one can't be read; one leaves its settlement for another one, one is not settled after an appeal.
fn orders(programme: &str, first: u128) -> Story {
    let [plain, appealed, lost, held, unreadable] = [1, 2, 3, 4, 5].map(|nth| first + nth);
    let order = |of: u128, events| told("order", &id(of), events);
    let settlements = format!("{programme}-{PROVIDER}");
    let settled = |events| told("settlements", &settlements, events);
    let fund = |events| told("fund", programme, events);
    let come = |village, amount, day| submitted(programme, village, amount, day);
    let appeal = || RawEvent::of(&pb::AppealFiled::default());
    let accepted = RawEvent::of(&pb::AppealAccepted::default());
    let refused = RawEvent::of(&pb::AppealRefused::default());
    let recovery = RawEvent::of(&pb::RecoveryListed {
        order_key: id(plain),
        codes: vec![OrderCode::NotAliveOrPresent.wire()],
        settlement_number: 1,
        amount_fen: 2_000,
        registry_sequence: 9,
    });
    let adjusted = RawEvent::of(&pb::SettlementAdjusted {
        adjustment_id: id(first + 9),
        corrected_number: 1,
        amount_fen: -100,
        order_key: id(plain),
        reason: "RECOVERED".to_owned(),
    });
    let premiums = RawEvent::of(&pb::PremiumsBooked {
        programme_code: programme.to_owned(),
        amount_fen: 100,
        premiums: 1,
    });
    let submitted_last = come(VILLAGE, 5_000, "2024-10-01 09:00");
    vec![
        fund(vec![deposited(100_000)]),
        order(plain, vec![come(VILLAGE, 2_000, "2024-09-30 23:59")]),
        order(unreadable, vec![malformed(submitted_last)]),
        order(
            appealed,
            vec![come(OTHER_VILLAGE, 3_000, "2024-10-01 00:00")],
        ),
        run(vec![
            approved(plain),
            consumed(programme, plain),
            abnormal(appealed, OrderCode::QuotaExceeded),
            approved(unreadable),
        ]),
        order(lost, vec![come(VILLAGE, 4_000, "2024-10-01 09:00")]),
        fund(vec![reserved(2_000)]),
        order(held, vec![come(VILLAGE, 6_000, "2024-10-02 09:00")]),
        run(vec![
            abnormal(lost, OrderCode::NotEnrolled),
            premiums,
            unknown("claims"),
            approved(held),
            consumed(programme, held),
        ]),
        order(appealed, vec![appeal()]),
        order(lost, vec![appeal()]),
        order(appealed, vec![accepted]),
        order(lost, vec![refused, unknown("claims")]),
        run(vec![
            approved(appealed),
            consumed(programme, appealed),
            not_settled(lost),
            released(programme, held),
        ]),
        fund(vec![reserved(3_000), malformed(reserved(1))]),
        settled(vec![drafted(1, &[plain, appealed, held])]),
        settled(vec![drafted(1, &[plain, held])]),
        settled(vec![on_hold(held)]),
        settled(vec![confirmed(1)]),
        settled(vec![hold_ended(held)]),
        settled(vec![drafted(2, &[appealed]), malformed(confirmed(2))]),
        fund(vec![fund_paid(1)]),
        settled(vec![drafted(2, &[appealed, held]), paid(1, "2024-10-09")]),
        settled(vec![recovery]),
        settled(vec![adjusted]),
        fund(vec![reserved(-500)]),
        settled(vec![confirmed(2)]),
        settled(vec![paid(2, "2024-10-08")]),
        fund(vec![fund_paid(2), deposited(50_000)]),
    ]
}

/// Two elders are enrolled, one of whom leaves and comes back.
fn enrolments() -> Story {
    let enrolled = |number: u128, enrolment: u128, first: &str| {
        let programme_code = "LTCI".to_owned();
        let charged = RawEvent::of(&pb::PremiumCharged {
            programme_code: programme_code.clone(),
            elder_id: elder(number).to_string(),
            enrolment_id: id(enrolment),
            year: 2024,
            amount_fen: 100,
        });
        let enrolled = RawEvent::of(&pb::PersonEnrolled {
            programme_code,
            elder_id: elder(number).to_string(),
            enrolment_id: id(enrolment),
            first_day: date(first),
            last_day: date("2024-12-31"),
            basis: "AGE".to_owned(),
        });
        [enrolled, charged]
    };
    let ended = |number: u128, enrolment: u128, last: &str| {
        RawEvent::of(&pb::EnrolmentEnded {
            programme_code: "LTCI".to_owned(),
            elder_id: elder(number).to_string(),
            enrolment_id: id(enrolment),
            last_day: date(last),
        })
    };
    let of = |number: u128, events| told("enrolment", &format!("LTCI-{}", elder(number)), events);
    let [unreadable, charged] = enrolled(3, 3_003, "2024-01-01");
    vec![
        of(1, enrolled(1, 3_001, "2024-01-01").to_vec()),
        of(2, enrolled(2, 3_002, "2024-01-01").to_vec()),
        of(1, vec![ended(1, 3_001, "2024-10-31")]),
        of(3, vec![malformed(unreadable), charged]),
        of(1, vec![ended(1, 3_001, "2024-09-30")]),
        of(3, vec![ended(3, 3_003, "2024-09-30")]),
        of(1, enrolled(1, 3_004, "2024-10-01").to_vec()),
    ]
}

/// Versions of a programme, of which one can't be read.
fn programmes() -> Story {
    let defined = |version, definition: &str| {
        let event = RawEvent::of(&pb::ProgrammeDefined {
            version,
            division_code: "350524".to_owned(),
            effective_from: date("2024-01-01"),
            definition: definition.to_owned(),
        });
        told("programme", "LTCI", vec![event])
    };
    vec![
        defined(1, "quota: {services: 12}"),
        defined(2, "quota: {}"),
        defined(3, "quota: {minutes: 600}"),
    ]
}

/// Providers and caregivers, of whom nothing is kept, and what nobody knows.
fn registers() -> Story {
    let contracted = RawEvent::of(&pb::ProviderContracted::default());
    let ended = RawEvent::of(&pb::ContractEnded::default());
    let registered = RawEvent::of(&pb::CaregiverRegistered::default());
    let retired = RawEvent::of(&pb::CaregiverRetired::default());
    let caregiver = id(8_000);
    vec![
        told("provider", PROVIDER, vec![contracted]),
        told("caregiver", &caregiver, vec![registered]),
        told("unheard", "1", vec![unknown("claims")]),
        told("caregiver", &caregiver, vec![retired]),
        told("provider", PROVIDER, vec![ended]),
    ]
}
