//! The course of an order: handed in once, appealed in time, decided by somebody else.

use std::sync::LazyLock;

use civic::{LocalDay, NotSettledReason};
use claims::codec::purpose;
use claims::order::{Command, Event, Order, Refusal, Submitted, key};
use decider::testing::{given, given_nothing};
use elders::testing;
use proto::eldercare::claims::v1 as pb;

use crate::people::day;
use crate::submitted::{file, order};

const CLERK: &str = "officer:clerk";
const APPELLANT: &str = "officer:appellant";
const REVIEWER: &str = "officer:reviewer";

/// The last day for an appeal.
fn last_day() -> LocalDay {
    day("2024-05-25")
}

/// Sealed once: the same text sealed again is another ciphertext.
static HANDED_IN: LazyLock<Box<Submitted>> = LazyLock::new(|| {
    let mut order = order("A", "2024-05-10 09:00");
    order.submitted_by = CLERK.to_owned();
    order.appeal_until = last_day();
    Box::new(order)
});

fn submit() -> Command {
    Command::Submit(HANDED_IN.clone())
}

fn submitted() -> Event {
    Event::Submitted(HANDED_IN.clone())
}

fn says() -> vault::Sealed<pb::AppealStatement> {
    let text = "家属可作证".to_owned();
    testing::sealed(purpose::STATEMENT, &pb::AppealStatement { text })
}

fn appeal(
    abnormal: bool,
    today: LocalDay,
    statement: &vault::Sealed<pb::AppealStatement>,
) -> Command {
    Command::Appeal {
        abnormal,
        today,
        by: APPELLANT.to_owned(),
        statement: statement.clone(),
        evidence: vec![file("new")],
    }
}

fn filed(statement: &vault::Sealed<pb::AppealStatement>) -> Event {
    Event::AppealFiled {
        statement: statement.clone(),
        evidence: vec![file("new")],
        by: APPELLANT.to_owned(),
    }
}

fn decide(accept: bool, by: &str) -> Command {
    Command::Decide {
        accept,
        by: by.to_owned(),
        key: key("P01", "A"),
    }
}

fn accepted() -> Event {
    Event::AppealAccepted {
        by: REVIEWER.to_owned(),
    }
}

fn refused() -> [Event; 2] {
    let refused = Event::AppealRefused {
        by: REVIEWER.to_owned(),
    };
    [refused, not_settled(NotSettledReason::AppealRefused)]
}

fn not_settled(reason: NotSettledReason) -> Event {
    Event::NotSettled {
        key: key("P01", "A"),
        reason,
    }
}

fn expire(today: LocalDay) -> Command {
    Command::Expire {
        today,
        key: key("P01", "A"),
    }
}

#[test]
fn an_order_is_handed_in_once() {
    given_nothing::<Order>().when(submit()).then([submitted()]);
    given::<Order>([submitted()])
        .when(submit())
        .then_refused(Refusal::AlreadySubmitted);
}

#[test]
fn the_key_is_made_of_provider_and_number_and_of_nothing_else() {
    assert_eq!(key("P01", "A"), HANDED_IN.key());
    assert_ne!(key("P01", "A"), key("P02", "A"));
    assert_ne!(key("P01", "A"), key("P01", "B"));
    assert_ne!(key("P01", "1A"), key("P011", "A"));
    // Keys are in the log for ever.
    assert_eq!(
        key("P01", "O000001").to_string(),
        "3901cac6-08ef-5342-a158-3dfcb43268e0"
    );
}

#[test]
fn what_was_never_handed_in_is_not_appealed_decided_or_expired() {
    let statement = says();
    for command in [
        appeal(true, last_day(), &statement),
        decide(true, REVIEWER),
        decide(false, REVIEWER),
        expire(day("2025-01-01")),
    ] {
        given_nothing::<Order>()
            .when(command)
            .then_refused(Refusal::Unknown);
    }
}

#[test]
fn an_appeal_is_filed_until_the_last_day_and_not_on_the_next() {
    let statement = says();
    given::<Order>([submitted()])
        .when(appeal(true, last_day(), &statement))
        .then([filed(&statement)]);
    given::<Order>([submitted()])
        .when(appeal(true, last_day().next(), &statement))
        .then_refused(Refusal::TooLate);
}

#[test]
fn an_order_that_was_not_held_is_not_appealed() {
    given::<Order>([submitted()])
        .when(appeal(false, last_day(), &says()))
        .then_refused(Refusal::NotAbnormal);
    given::<Order>([submitted()])
        .when(appeal(false, last_day().next(), &says()))
        .then_refused(Refusal::NotAbnormal);
}

#[test]
fn there_is_one_appeal_whatever_became_of_it() {
    let statement = says();
    let again = || appeal(true, last_day(), &statement);
    given::<Order>([submitted(), filed(&statement)])
        .when(again())
        .then_refused(Refusal::AlreadyAppealed);
    given::<Order>([submitted(), filed(&statement), accepted()])
        .when(again())
        .then_refused(Refusal::AlreadyAppealed);
    given::<Order>([submitted(), filed(&statement)])
        .and(refused())
        .when(again())
        .then_refused(Refusal::AlreadyAppealed);
}

#[test]
fn a_reviewer_accepts_or_refuses_once() {
    let appealed = || [submitted(), filed(&says())];
    given::<Order>(appealed())
        .when(decide(true, REVIEWER))
        .then([accepted()]);
    given::<Order>(appealed())
        .when(decide(false, REVIEWER))
        .then(refused());
    for again in [true, false] {
        given::<Order>(appealed())
            .and([accepted()])
            .when(decide(again, REVIEWER))
            .then_refused(Refusal::AlreadyDecided);
        given::<Order>(appealed())
            .and(refused())
            .when(decide(again, REVIEWER))
            .then_refused(Refusal::AlreadyDecided);
    }
    given::<Order>([submitted()])
        .when(decide(true, REVIEWER))
        .then_refused(Refusal::NotAppealed);
}

#[test]
fn nobody_decides_on_an_order_that_they_handed_in_or_on_an_appeal_that_they_filed() {
    for person in [CLERK, APPELLANT] {
        for accept in [true, false] {
            given::<Order>([submitted(), filed(&says())])
                .when(decide(accept, person))
                .then_refused(Refusal::SamePerson);
        }
    }
}

#[test]
fn an_order_without_an_appeal_is_never_paid_from_the_day_after_the_last_one_on() {
    given::<Order>([submitted()])
        .when(expire(last_day()))
        .then([]);
    let expired = not_settled(NotSettledReason::NoAppeal);
    given::<Order>([submitted()])
        .when(expire(last_day().next()))
        .then([expired.clone()]);
    // Late rather than never, and once.
    given::<Order>([submitted()])
        .when(expire(day("2025-01-01")))
        .then([expired.clone()]);
    given::<Order>([submitted(), expired])
        .when(expire(day("2025-01-01")))
        .then([]);
}

#[test]
fn time_does_nothing_to_an_order_with_an_appeal() {
    let statement = says();
    let late = day("2025-01-01");
    given::<Order>([submitted(), filed(&statement)])
        .when(expire(late))
        .then([]);
    given::<Order>([submitted(), filed(&statement), accepted()])
        .when(expire(late))
        .then([]);
    given::<Order>([submitted(), filed(&statement)])
        .and(refused())
        .when(expire(late))
        .then([]);
    // However late the reviewer is.
    given::<Order>([submitted(), filed(&statement)])
        .when(decide(true, REVIEWER))
        .then([accepted()]);
}

#[test]
fn after_the_time_is_over_an_appeal_is_too_late_even_where_clocks_disagree() {
    let expired = || given::<Order>([submitted(), not_settled(NotSettledReason::NoAppeal)]);
    for today in [last_day(), last_day().next()] {
        expired()
            .when(appeal(true, today, &says()))
            .then_refused(Refusal::TooLate);
    }
    expired()
        .when(decide(true, REVIEWER))
        .then_refused(Refusal::NotAppealed);
}

#[test]
fn what_the_adjudicator_says_of_the_entitlement_changes_nothing_of_the_appeal() {
    // It stands in the adjudicator's runs; the order's own stream never holds it, and would not mind.
    let over = not_settled(NotSettledReason::QuotaExceeded);
    let state = given::<Order>([submitted(), filed(&says()), accepted(), over]).state();
    assert!(!state.expired);
}
