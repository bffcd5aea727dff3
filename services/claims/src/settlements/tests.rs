//! Settlements given what happened, when something is asked.

use decider::testing::{given, given_nothing};
use proptest::prelude::*;

use super::*;

fn month(text: &str) -> CalendarMonth {
    format!("{text}-01").parse::<LocalDay>().unwrap().month()
}

fn line(order: u128) -> Line {
    Line {
        order: Uuid::from_u128(order),
        amount: Fen(20_000),
    }
}

fn drafted(number: u32, of: &str, orders: &[u128]) -> Event {
    Event::Drafted {
        number,
        month: month(of),
        lines: orders.iter().copied().map(line).collect(),
        adjustments: vec![],
        total: Fen(20_000 * i64::try_from(orders.len()).unwrap()),
    }
}

fn draft(of: &str, orders: &[u128]) -> Command {
    Command::Draft {
        month: month(of),
        approved: orders.iter().copied().map(line).collect(),
        most: 1_000,
    }
}

fn paid(number: u32, amount: i64) -> Event {
    Event::Paid {
        number,
        amount: Fen(amount),
        paid_on: "2024-02-05".parse().unwrap(),
        reference: "V1".to_owned(),
    }
}

#[test]
fn an_order_is_in_one_settlement() {
    given_nothing::<Settlements>()
        .when(draft("2024-01", &[1, 2]))
        .then([drafted(1, "2024-01", &[1, 2])]);
    // A draft is drafted anew.
    given::<Settlements>([drafted(1, "2024-01", &[1])])
        .when(draft("2024-01", &[1, 2]))
        .then([drafted(1, "2024-01", &[1, 2])]);
    // What is confirmed stays: the rest goes into another one of the month.
    let confirmed = Event::Confirmed { number: 1 };
    given::<Settlements>([drafted(1, "2024-01", &[1]), confirmed.clone()])
        .when(draft("2024-01", &[1, 2]))
        .then([drafted(2, "2024-01", &[2])]);
    given::<Settlements>([drafted(1, "2024-01", &[1]), confirmed])
        .when(draft("2024-01", &[1]))
        .then_refused(Refusal::NothingToSettle);
}

#[test]
fn what_was_seen_is_what_is_confirmed_and_paid() {
    let confirm = |total| Command::Confirm {
        number: 1,
        total: Fen(total),
    };
    given::<Settlements>([drafted(1, "2024-01", &[1])])
        .when(confirm(20_001))
        .then_refused(Refusal::TotalChanged);
    let pay = |amount| Command::Pay {
        number: 1,
        amount: Fen(amount),
        paid_on: "2024-02-05".parse().unwrap(),
        reference: "V1".to_owned(),
    };
    given::<Settlements>([drafted(1, "2024-01", &[1])])
        .when(pay(20_000))
        .then_refused(Refusal::NotConfirmed);
    let confirmed = [drafted(1, "2024-01", &[1]), Event::Confirmed { number: 1 }];
    given::<Settlements>(confirmed.clone())
        .when(confirm(20_000))
        .then_refused(Refusal::NotADraft);
    given::<Settlements>(confirmed.clone())
        .when(pay(20_000))
        .then([paid(1, 20_000)]);
    given::<Settlements>([confirmed.to_vec(), vec![paid(1, 20_000)]].concat())
        .when(pay(20_000))
        .then_refused(Refusal::NotConfirmed);
}

#[test]
fn corrections_go_into_a_later_settlement() {
    let adjust = Command::Adjust {
        adjustment: Uuid::from_u128(77),
        number: 1,
        amount: Fen(-20_000),
        order: Some(Uuid::from_u128(1)),
        reason: "死亡后服务".to_owned(),
    };
    let adjusted = Event::Adjusted {
        adjustment: Uuid::from_u128(77),
        number: 1,
        amount: Fen(-20_000),
        order: Some(Uuid::from_u128(1)),
        reason: "死亡后服务".to_owned(),
    };
    given::<Settlements>([drafted(1, "2024-01", &[1])])
        .when(adjust.clone())
        .then_refused(Refusal::NotPaid);
    let history = vec![
        drafted(1, "2024-01", &[1]),
        Event::Confirmed { number: 1 },
        paid(1, 20_000),
    ];
    given::<Settlements>(history.clone())
        .when(adjust)
        .then([adjusted.clone()]);
    given::<Settlements>([history, vec![adjusted]].concat())
        .when(draft("2024-02", &[3]))
        .then([Event::Drafted {
            number: 2,
            month: month("2024-02"),
            lines: vec![line(3)],
            adjustments: vec![Uuid::from_u128(77)],
            total: Fen(0),
        }]);
}

fn doubt(order: u128) -> Command {
    Command::Doubt {
        order: Uuid::from_u128(order),
        codes: Set::from([OrderCode::NotAliveOrPresent]),
        registry_sequence: 9,
    }
}

fn on_hold(order: u128, left: Option<u32>) -> Event {
    Event::PutOnHold {
        order: Uuid::from_u128(order),
        codes: Set::from([OrderCode::NotAliveOrPresent]),
        left,
        registry_sequence: 9,
    }
}

#[test]
fn an_order_on_hold_leaves_its_settlement_until_a_reviewer_keeps_it() {
    given::<Settlements>([drafted(1, "2024-01", &[1, 2])])
        .when(doubt(1))
        .then([on_hold(1, Some(1))]);
    // Told once more, nothing follows.
    given::<Settlements>([drafted(1, "2024-01", &[1, 2]), on_hold(1, Some(1))])
        .when(doubt(1))
        .then([]);
    given::<Settlements>([drafted(1, "2024-01", &[1, 2]), on_hold(1, Some(1))])
        .when(draft("2024-01", &[1, 2]))
        .then([]);
    let kept = Event::HoldEnded {
        order: Uuid::from_u128(1),
        withdrawn: false,
        by: "officer:reviewer".to_owned(),
    };
    given::<Settlements>([drafted(1, "2024-01", &[1, 2]), on_hold(1, Some(1)), kept])
        .when(draft("2024-01", &[1, 2]))
        .then([drafted(1, "2024-01", &[1, 2])]);
}

#[test]
fn a_confirmed_total_that_an_order_has_left_is_not_paid() {
    let pay = Command::Pay {
        number: 1,
        amount: Fen(40_000),
        paid_on: "2024-02-05".parse().unwrap(),
        reference: "V1".to_owned(),
    };
    let confirmed = Event::Confirmed { number: 1 };
    given::<Settlements>([
        drafted(1, "2024-01", &[1, 2]),
        confirmed,
        on_hold(1, Some(1)),
    ])
    .when(pay)
    .then_refused(Refusal::TotalChanged);
}

#[test]
fn what_was_paid_already_is_listed_for_recovery_once() {
    let history = vec![
        drafted(1, "2024-01", &[1]),
        Event::Confirmed { number: 1 },
        paid(1, 20_000),
    ];
    let listed = Event::RecoveryListed {
        order: Uuid::from_u128(1),
        codes: Set::from([OrderCode::NotAliveOrPresent]),
        number: 1,
        amount: Fen(20_000),
        registry_sequence: 9,
    };
    given::<Settlements>(history.clone())
        .when(doubt(1))
        .then([listed.clone()]);
    given::<Settlements>([history, vec![listed]].concat())
        .when(doubt(1))
        .then([]);
}

#[test]
fn an_order_is_for_recovery_until_what_was_paid_for_it_is_back() {
    let order = Uuid::from_u128(1);
    let listed = Event::RecoveryListed {
        order,
        codes: Set::from([OrderCode::NotAliveOrPresent]),
        number: 1,
        amount: Fen(20_000),
        registry_sequence: 9,
    };
    let adjusted = |id, amount, order| Event::Adjusted {
        adjustment: Uuid::from_u128(id),
        number: 1,
        amount: Fen(amount),
        order,
        reason: "x".to_owned(),
    };
    let paid = vec![
        drafted(1, "2024-01", &[1, 2]),
        Event::Confirmed { number: 1 },
        paid(1, 40_000),
    ];
    let state = |events: &[Event]| {
        let settlements = Settlements::default().evolve_all(&paid).evolve_all(events);
        settlements.holds[&order].state
    };
    let about = Some(order);
    for (events, expected) in [
        (vec![listed.clone()], HoldState::ForRecovery),
        (
            vec![listed.clone(), adjusted(71, -19_999, about)],
            HoldState::ForRecovery,
        ),
        // In two parts.
        (
            vec![
                listed.clone(),
                adjusted(71, -19_999, about),
                adjusted(72, -1, about),
            ],
            HoldState::Recovered,
        ),
        // What is about another order, or about none, takes nothing of this one back.
        (
            vec![
                listed.clone(),
                adjusted(71, -20_000, Some(Uuid::from_u128(2))),
                adjusted(72, -20_000, None),
            ],
            HoldState::ForRecovery,
        ),
        // Undone.
        (
            vec![
                listed.clone(),
                adjusted(71, -20_000, about),
                adjusted(72, 1, about),
            ],
            HoldState::ForRecovery,
        ),
        // Taken back before anybody knew of the fact.
        (
            vec![adjusted(71, -20_000, about), listed.clone()],
            HoldState::Recovered,
        ),
    ] {
        assert_eq!(state(&events), expected, "{events:?}");
    }
    // Nothing more follows from further facts.
    given::<Settlements>([paid, vec![listed, adjusted(71, -20_000, about)]].concat())
        .when(doubt(1))
        .then([]);
}

#[test]
fn a_settlement_takes_so_many_orders_and_the_next_one_the_rest() {
    let some = |approved: &[u128]| Command::Draft {
        month: month("2024-01"),
        approved: approved.iter().copied().map(line).collect(),
        most: 2,
    };
    given_nothing::<Settlements>()
        .when(some(&[1, 2, 3, 4, 5]))
        .then([drafted(1, "2024-01", &[1, 2])]);
    // Whether those of the first one are among them or not.
    for approved in [&[1, 2, 3, 4, 5][..], &[3, 4, 5]] {
        given::<Settlements>([
            drafted(1, "2024-01", &[1, 2]),
            Event::Confirmed { number: 1 },
        ])
        .when(some(approved))
        .then([drafted(2, "2024-01", &[3, 4])]);
    }
}

#[test]
fn no_more_comes_back_than_was_paid_for_the_orders() {
    let history = [
        drafted(1, "2024-01", &[1]),
        Event::Confirmed { number: 1 },
        paid(1, 20_000),
    ];
    let adjust = Command::Adjust {
        adjustment: Uuid::from_u128(77),
        number: 1,
        amount: Fen(-20_001),
        order: None,
        reason: "x".to_owned(),
    };
    given::<Settlements>(history)
        .when(adjust)
        .then_refused(Refusal::MoreThanPaid);
}

fn commands() -> impl Strategy<Value = Command> {
    prop_oneof![
        (1_u128..20).prop_map(doubt),
        (1_u128..20, any::<bool>()).prop_map(|(order, withdraw)| Command::Decide {
            order: Uuid::from_u128(order),
            withdraw,
            by: "officer:reviewer".to_owned(),
        }),
        (1_u32..4, proptest::collection::vec(1_u128..20, 0..6))
            .prop_map(|(of, orders)| { draft(&format!("2024-0{of}"), &orders) }),
        (1_u32..5, 0_i64..6).prop_map(|(number, orders)| Command::Confirm {
            number,
            total: Fen(20_000 * orders),
        }),
        (1_u32..5, 0_i64..6).prop_map(|(number, orders)| Command::Pay {
            number,
            amount: Fen(20_000 * orders),
            paid_on: "2024-02-05".parse().unwrap(),
            reference: "V".to_owned(),
        }),
        (1_u32..5, 0_u128..3).prop_map(|(number, id)| Command::Adjust {
            adjustment: Uuid::from_u128(1_000 + id),
            number,
            amount: Fen(20_000),
            order: None,
            reason: "x".to_owned(),
        }),
    ]
}

proptest! {
    #[test]
    fn no_order_is_in_two_settlements_and_no_adjustment_is_borne_twice(
        commands in proptest::collection::vec(commands(), 1..60),
    ) {
        let mut state = Settlements::default();
        for command in &commands {
            if let Ok(events) = state.decide(command) {
                state = state.evolve_all(&events);
            }
            let mut orders = HashSet::new();
            let mut adjustments = HashSet::new();
            for settlement in &state.settlements {
                for line in &settlement.lines {
                    prop_assert!(orders.insert(line.order));
                }
                for adjustment in &settlement.adjustments {
                    prop_assert!(adjustments.insert(*adjustment));
                }
                let borne = settlement.adjustments.iter().map(|id| state.adjustments[id].amount.0);
                prop_assert_eq!(settlement.total.0, settlement.orders_total().0 + borne.sum::<i64>());
            }
        }
    }
}
