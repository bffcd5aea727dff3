//! Settlements given what happened, when something is asked.

use std::collections::HashSet;

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

fn confirmed(number: u32) -> Event {
    Event::Confirmed {
        number,
        on: Some("2024-02-05".parse().unwrap()),
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
    let confirmed = confirmed(1);
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
        today: "2024-02-05".parse().unwrap(),
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
    let confirmed = [drafted(1, "2024-01", &[1]), confirmed(1)];
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
fn nothing_is_paid_before_the_day_on_which_it_was_confirmed() {
    let pay = |on: &str| Command::Pay {
        number: 1,
        amount: Fen(20_000),
        paid_on: on.parse().unwrap(),
        reference: "V1".to_owned(),
    };
    given::<Settlements>([drafted(1, "2024-01", &[1]), confirmed(1)])
        .when(pay("2024-02-04"))
        .then_refused(Refusal::PaidBeforeConfirmed);
    given::<Settlements>([drafted(1, "2024-01", &[1]), confirmed(1)])
        .when(pay("2024-02-05"))
        .then([paid(1, 20_000)]);
    // Of those that were confirmed before it was told when, nothing is known.
    let untold = Event::Confirmed {
        number: 1,
        on: None,
    };
    given::<Settlements>([drafted(1, "2024-01", &[1]), untold])
        .when(pay("2024-02-05"))
        .then([paid(1, 20_000)]);
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
    let history = vec![drafted(1, "2024-01", &[1]), confirmed(1), paid(1, 20_000)];
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

const DEAD: OrderCode = OrderCode::NotAliveOrPresent;
const NO_CONTRACT: OrderCode = OrderCode::ProviderInvalid;

fn doubt_by<const N: usize>(order: u128, codes: [OrderCode; N]) -> Command {
    Command::Doubt {
        order: Uuid::from_u128(order),
        codes: codes.into(),
        registry_sequence: 9,
    }
}

fn doubt(order: u128) -> Command {
    doubt_by(order, [DEAD])
}

fn on_hold_by<const N: usize>(order: u128, codes: [OrderCode; N], left: Option<u32>) -> Event {
    Event::PutOnHold {
        order: Uuid::from_u128(order),
        codes: codes.into(),
        left,
        registry_sequence: 9,
    }
}

fn on_hold(order: u128, left: Option<u32>) -> Event {
    on_hold_by(order, [DEAD], left)
}

/// The order 1, by the first settlement.
fn listed_by<const N: usize>(codes: [OrderCode; N]) -> Event {
    Event::RecoveryListed {
        order: Uuid::from_u128(1),
        codes: codes.into(),
        number: 1,
        amount: Fen(20_000),
        registry_sequence: 9,
    }
}

fn decided(order: u128, withdrawn: bool) -> Event {
    Event::HoldEnded {
        order: Uuid::from_u128(order),
        withdrawn,
        by: "officer:reviewer".to_owned(),
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
    let history = [
        drafted(1, "2024-01", &[1, 2]),
        on_hold(1, Some(1)),
        decided(1, false),
    ];
    given::<Settlements>(history)
        .when(draft("2024-01", &[1, 2]))
        .then([drafted(1, "2024-01", &[1, 2])]);
}

#[test]
fn what_is_found_against_an_order_on_hold_is_decided_upon_with_the_rest() {
    let by_the_contract = on_hold_by(1, [NO_CONTRACT], None);
    let by_both = on_hold_by(1, [NO_CONTRACT, DEAD], None);
    // Whether the reader finds the death alone, or says both: what was said before stays.
    for found in [doubt(1), doubt_by(1, [NO_CONTRACT, DEAD])] {
        given::<Settlements>([by_the_contract.clone()])
            .when(found)
            .then([by_both.clone()]);
    }
    let waiting = vec![by_the_contract, by_both];
    for told_again in [doubt(1), doubt_by(1, [NO_CONTRACT]), doubt_by(1, [])] {
        given::<Settlements>(waiting.clone())
            .when(told_again)
            .then([]);
    }
    given::<Settlements>(waiting.clone())
        .when(draft("2024-01", &[1]))
        .then_refused(Refusal::NothingToSettle);
    // One word of the reviewer is about both.
    for told_again in [doubt(1), doubt_by(1, [NO_CONTRACT, DEAD])] {
        given::<Settlements>(waiting.clone())
            .and([decided(1, false)])
            .when(told_again)
            .then([]);
    }
}

#[test]
fn a_reviewer_who_says_what_was_read_decides_upon_nothing_else() {
    let decide = |read: Option<Set<OrderCode>>| Command::Decide {
        order: Uuid::from_u128(1),
        withdraw: false,
        by: "officer:reviewer".to_owned(),
        read: read.map(version),
    };
    let first = on_hold_by(1, [NO_CONTRACT], None);
    let waiting = given::<Settlements>([first, on_hold_by(1, [NO_CONTRACT, DEAD], None)]);
    for read in [Set::from([NO_CONTRACT]), Set::from([DEAD]), Set::new()] {
        waiting
            .clone()
            .when(decide(Some(read)))
            .then_refused(Refusal::HoldChanged);
    }
    for read in [Some(Set::from([NO_CONTRACT, DEAD])), None] {
        waiting.clone().when(decide(read)).then([decided(1, false)]);
    }
    // Once it is decided there is nothing to be read again.
    for read in [NO_CONTRACT, DEAD] {
        waiting
            .clone()
            .and([decided(1, false)])
            .when(decide(Some(read.into())))
            .then_refused(Refusal::NotOnHold);
    }
}

#[test]
fn what_is_found_once_a_reviewer_has_kept_an_order_has_it_wait_again() {
    let kept = [on_hold_by(1, [NO_CONTRACT], None), decided(1, false)];
    given::<Settlements>(kept.clone())
        .and([drafted(1, "2024-01", &[1])])
        .when(doubt_by(1, [NO_CONTRACT, DEAD]))
        .then([on_hold_by(1, [NO_CONTRACT, DEAD], Some(1))]);
    // Confirmed is not paid.
    given::<Settlements>(kept)
        .and([drafted(1, "2024-01", &[1]), confirmed(1)])
        .when(doubt_by(1, [NO_CONTRACT, DEAD]))
        .then([on_hold_by(1, [NO_CONTRACT, DEAD], Some(1))]);
}

#[test]
fn nothing_follows_for_an_order_whose_approval_is_withdrawn() {
    given::<Settlements>([on_hold_by(1, [NO_CONTRACT], None), decided(1, true)])
        .when(doubt_by(1, [NO_CONTRACT, DEAD]))
        .then([]);
}

#[test]
fn a_confirmed_total_that_an_order_has_left_is_not_paid() {
    let pay = Command::Pay {
        number: 1,
        amount: Fen(40_000),
        paid_on: "2024-02-05".parse().unwrap(),
        reference: "V1".to_owned(),
    };
    let confirmed = confirmed(1);
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
    let history = vec![drafted(1, "2024-01", &[1]), confirmed(1), paid(1, 20_000)];
    given::<Settlements>(history.clone())
        .when(doubt(1))
        .then([listed_by([DEAD])]);
    given::<Settlements>(history)
        .and([listed_by([DEAD])])
        .when(doubt(1))
        .then([]);
}

#[test]
fn what_is_found_against_an_order_that_is_to_be_recovered_is_said_with_the_rest() {
    let paid = [
        drafted(1, "2024-01", &[1]),
        confirmed(1),
        paid(1, 20_000),
        listed_by([NO_CONTRACT]),
    ];
    let by_both = listed_by([NO_CONTRACT, DEAD]);
    given::<Settlements>(paid.clone())
        .when(doubt(1))
        .then([by_both.clone()]);
    // Its money may be back by then, and stays so.
    let back = Event::Adjusted {
        adjustment: Uuid::from_u128(71),
        number: 1,
        amount: Fen(-20_000),
        order: Some(Uuid::from_u128(1)),
        reason: "x".to_owned(),
    };
    let recovered = given::<Settlements>(paid).and([back]);
    recovered.clone().when(doubt(1)).then([by_both.clone()]);
    let state = recovered.and([by_both]).state();
    let expected = Hold {
        state: HoldState::Recovered,
        codes: Set::from([NO_CONTRACT, DEAD]),
    };
    assert_eq!(state.holds[&Uuid::from_u128(1)], expected);
}

#[test]
fn an_order_is_for_recovery_until_what_was_paid_for_it_is_back() {
    let order = Uuid::from_u128(1);
    let listed = listed_by([DEAD]);
    let adjusted = |id, amount, order| Event::Adjusted {
        adjustment: Uuid::from_u128(id),
        number: 1,
        amount: Fen(amount),
        order,
        reason: "x".to_owned(),
    };
    let paid = vec![
        drafted(1, "2024-01", &[1, 2]),
        confirmed(1),
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
        given::<Settlements>([drafted(1, "2024-01", &[1, 2]), confirmed(1)])
            .when(some(approved))
            .then([drafted(2, "2024-01", &[3, 4])]);
    }
}

#[test]
fn no_more_comes_back_than_was_paid_for_the_orders() {
    let history = [drafted(1, "2024-01", &[1]), confirmed(1), paid(1, 20_000)];
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

#[test]
fn no_more_is_given_back_than_was_taken_back_about_the_same() {
    let (one, other) = (Some(Uuid::from_u128(1)), Some(Uuid::from_u128(2)));
    let taken = |id, amount, order| Event::Adjusted {
        adjustment: Uuid::from_u128(id),
        number: 1,
        amount: Fen(amount),
        order,
        reason: "x".to_owned(),
    };
    let history = vec![
        drafted(1, "2024-01", &[1, 2]),
        confirmed(1),
        paid(1, 40_000),
        taken(71, -5_000, one),
        taken(72, -300, None),
    ];
    for (amount, order, may) in [
        (5_000, one, true),
        (5_001, one, false),
        (1, other, false),
        (300, None, true),
        (301, None, false),
        (-15_000, one, true),
    ] {
        let adjust = Command::Adjust {
            adjustment: Uuid::from_u128(77),
            number: 1,
            amount: Fen(amount),
            order,
            reason: "x".to_owned(),
        };
        let decided = given::<Settlements>(history.clone()).when(adjust);
        if may {
            decided.then([taken(77, amount, order)]);
        } else {
            decided.then_refused(Refusal::MoreThanTakenBack);
        }
    }
}

fn found() -> impl Strategy<Value = OrderCode> {
    proptest::sample::select(vec![DEAD, NO_CONTRACT, OrderCode::NotEnrolled])
}

fn commands() -> impl Strategy<Value = Command> {
    prop_oneof![
        (1_u128..20, found()).prop_map(|(order, code)| doubt_by(order, [code])),
        (1_u128..20, any::<bool>()).prop_map(|(order, withdraw)| Command::Decide {
            order: Uuid::from_u128(order),
            withdraw,
            by: "officer:reviewer".to_owned(),
            read: None,
        }),
        (1_u32..4, proptest::collection::vec(1_u128..20, 0..6))
            .prop_map(|(of, orders)| { draft(&format!("2024-0{of}"), &orders) }),
        (1_u32..5, 0_i64..6).prop_map(|(number, orders)| Command::Confirm {
            number,
            total: Fen(20_000 * orders),
            today: "2024-02-05".parse().unwrap(),
        }),
        (1_u32..5, 0_i64..6).prop_map(|(number, orders)| Command::Pay {
            number,
            amount: Fen(20_000 * orders),
            paid_on: "2024-02-05".parse().unwrap(),
            reference: "V".to_owned(),
        }),
        (1_u32..5, 0_u128..3, any::<bool>()).prop_map(|(number, id, back)| Command::Adjust {
            adjustment: Uuid::from_u128(1_000 + id),
            number,
            amount: Fen(if back { -20_000 } else { 20_000 }),
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

/// What becomes of a few orders of one month.
#[derive(Clone, Copy, Debug)]
enum Course {
    Found(u128, OrderCode),
    Decided { order: u128, withdraw: bool },
    Drafted,
    Confirmed,
    Paid,
}

impl Course {
    /// As it is asked of the last settlement, which is confirmed and paid as it stands.
    fn asked(self, state: &Settlements) -> Command {
        let number = u32::try_from(state.settlements.len()).unwrap();
        let total = state.get(number).map_or(Fen::ZERO, |last| last.total);
        match self {
            Self::Found(order, code) => doubt_by(order, [code]),
            Self::Decided { order, withdraw } => Command::Decide {
                order: Uuid::from_u128(order),
                withdraw,
                by: "officer:reviewer".to_owned(),
                read: None,
            },
            Self::Drafted => draft("2024-01", &[1, 2, 3]),
            Self::Confirmed => Command::Confirm {
                number,
                total,
                today: "2024-02-05".parse().unwrap(),
            },
            Self::Paid => Command::Pay {
                number,
                amount: total,
                paid_on: "2024-02-05".parse().unwrap(),
                reference: "V".to_owned(),
            },
        }
    }
}

fn courses() -> impl Strategy<Value = Course> {
    prop_oneof![
        2 => (1_u128..4, found()).prop_map(|(order, code)| Course::Found(order, code)),
        2 => (1_u128..4, prop::bool::weighted(0.2))
            .prop_map(|(order, withdraw)| Course::Decided { order, withdraw }),
        1 => Just(Course::Drafted),
        1 => Just(Course::Confirmed),
        1 => Just(Course::Paid),
    ]
}

proptest! {
    #[test]
    fn no_order_is_paid_before_all_that_was_found_against_it_is_decided_upon(
        courses in proptest::collection::vec(courses(), 1..80),
    ) {
        let mut state = Settlements::default();
        let mut found: BTreeMap<Uuid, Set<OrderCode>> = BTreeMap::new();
        let mut seen: BTreeMap<Uuid, Set<OrderCode>> = BTreeMap::new();
        for course in courses {
            let command = course.asked(&state);
            let Ok(events) = state.decide(&command) else {
                continue;
            };
            match &command {
                Command::Doubt { order, codes, .. } => {
                    found.entry(*order).or_default().extend(*codes);
                }
                Command::Decide { order, .. } => {
                    seen.entry(*order).or_default().extend(state.holds[order].codes);
                }
                Command::Pay { number, .. } => {
                    for line in &state.get(*number).unwrap().lines {
                        let against = found.get(&line.order).copied().unwrap_or_default();
                        let seen = seen.get(&line.order).copied().unwrap_or_default();
                        prop_assert!(against.is_subset(&seen), "{against:?} {seen:?}");
                    }
                }
                Command::Draft { .. } | Command::Confirm { .. } | Command::Adjust { .. } => {}
            }
            state = state.evolve_all(&events);
            // Whoever asks is told all that nobody has decided upon.
            for (order, against) in &found {
                let hold = state.holds[order];
                let seen = seen.get(order).copied().unwrap_or_default();
                let told = hold.codes.union(seen);
                prop_assert!(hold.state == HoldState::Withdrawn || against.is_subset(&told));
            }
        }
    }
}
