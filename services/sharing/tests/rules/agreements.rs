//! The course of an agreement: proposed by one officer, approved by another, suspended, ended.

use civic::LocalDay;
use decider::testing::{given, given_nothing};
use sharing::agreement::{Agreement, Command, Event, Refusal, State, Terms};
use sharing::cut::{Cut, Grants};
use sharing::products::ProductName;

const CLERK: &str = "officer:clerk";
const HEAD: &str = "officer:head";
const GUARD: &str = "officer:guard";

fn day(text: &str) -> LocalDay {
    text.parse().unwrap()
}

fn last_day() -> LocalDay {
    day("2024-12-31")
}

fn some_day() -> LocalDay {
    day("2024-05-10")
}

/// Health sees the names of one town, masked.
fn terms() -> Terms {
    let mut products = Grants::default();
    products.grant(ProductName::Elder, "name", Cut::Masked);
    Terms {
        department: "health".to_owned(),
        purpose: "家庭医生签约".to_owned(),
        legal_basis: "川民〔2023〕100号".to_owned(),
        products,
        divisions: ["350524100".parse().unwrap()].into(),
        until: last_day(),
    }
}

fn propose() -> Command {
    Command::Propose {
        terms: terms(),
        by: CLERK.to_owned(),
        today: last_day(),
    }
}

fn approve(by: &str, today: LocalDay) -> Command {
    let by = by.to_owned();
    Command::Approve { by, today }
}

fn suspend(by: &str) -> Command {
    Command::Suspend {
        reason: "LEAK".to_owned(),
        by: by.to_owned(),
    }
}

fn end() -> Command {
    Command::End {
        reason: "NO_NEED".to_owned(),
    }
}

fn proposed() -> Event {
    Event::Proposed {
        terms: terms(),
        by: CLERK.to_owned(),
    }
}

fn approved() -> Event {
    Event::Approved {
        by: HEAD.to_owned(),
    }
}

fn suspended() -> Event {
    Event::Suspended {
        reason: "LEAK".to_owned(),
        by: GUARD.to_owned(),
    }
}

fn ended() -> Event {
    Event::Ended {
        reason: "NO_NEED".to_owned(),
    }
}

#[test]
fn an_agreement_is_proposed_once() {
    given_nothing::<Agreement>()
        .when(propose())
        .then([proposed()]);
    for events in [
        vec![proposed()],
        vec![proposed(), approved()],
        vec![proposed(), ended()],
    ] {
        given::<Agreement>(events)
            .when(propose())
            .then_refused(Refusal::AlreadyProposed);
    }
}

#[test]
fn what_nobody_proposed_is_not_approved_suspended_or_ended() {
    for command in [approve(HEAD, some_day()), suspend(HEAD), end()] {
        given_nothing::<Agreement>()
            .when(command)
            .then_refused(Refusal::Unknown);
    }
}

#[test]
fn another_officer_approves_until_the_last_day_and_not_on_the_next() {
    given::<Agreement>([proposed()])
        .when(approve(CLERK, some_day()))
        .then_refused(Refusal::OwnProposal);
    for today in [some_day(), last_day()] {
        given::<Agreement>([proposed()])
            .when(approve(HEAD, today))
            .then([approved()]);
    }
    given::<Agreement>([proposed()])
        .when(approve(HEAD, last_day().next()))
        .then_refused(Refusal::Over);
}

#[test]
fn an_agreement_in_force_is_not_approved_again() {
    let in_force = || given::<Agreement>([proposed(), approved()]);
    in_force()
        .when(approve(HEAD, some_day()))
        .then_refused(Refusal::AlreadyInForce);
    in_force()
        .when(approve(HEAD, last_day().next()))
        .then_refused(Refusal::Over);
}

#[test]
fn only_what_is_in_force_is_suspended() {
    given::<Agreement>([proposed(), approved()])
        .when(suspend(GUARD))
        .then([suspended()]);
    for events in [vec![proposed()], vec![proposed(), approved(), suspended()]] {
        given::<Agreement>(events)
            .when(suspend(GUARD))
            .then_refused(Refusal::NotInForce);
    }
}

#[test]
fn a_suspension_is_lifted_by_who_neither_suspended_nor_proposed() {
    let suspended = || given::<Agreement>([proposed(), approved(), suspended()]);
    suspended()
        .when(approve(GUARD, some_day()))
        .then_refused(Refusal::OwnSuspension);
    suspended()
        .when(approve(CLERK, some_day()))
        .then_refused(Refusal::OwnProposal);
    suspended()
        .when(approve(HEAD, last_day().next()))
        .then_refused(Refusal::Over);
    suspended()
        .when(approve(HEAD, some_day()))
        .then([approved()]);
    // And may be suspended anew.
    suspended()
        .and([approved()])
        .when(suspend(HEAD))
        .then([Event::Suspended {
            reason: "LEAK".to_owned(),
            by: HEAD.to_owned(),
        }]);
}

#[test]
fn an_agreement_ends_from_anywhere_and_for_good() {
    for events in [
        vec![proposed()],
        vec![proposed(), approved()],
        vec![proposed(), approved(), suspended()],
    ] {
        given::<Agreement>(events.clone())
            .when(end())
            .then([ended()]);
        for command in [approve(HEAD, some_day()), suspend(GUARD), end()] {
            given::<Agreement>(events.clone())
                .and([ended()])
                .when(command)
                .then_refused(Refusal::Ended);
        }
    }
}

/// How an agreement stands on its last day and on the next: it grants something only while it is in force.
#[track_caller]
fn stands(events: &[Event], last: State, next: State) {
    let agreement = given::<Agreement>(events.to_vec()).state();
    for (day, state) in [(last_day(), last), (last_day().next(), next)] {
        assert_eq!(agreement.state_on(day), Some(state), "{day}");
    }
}

#[test]
fn an_agreement_grants_something_only_while_it_is_in_force() {
    stands(&[proposed()], State::Proposed, State::Proposed);
    stands(&[proposed(), approved()], State::InForce, State::Expired);
    stands(
        &[proposed(), approved(), suspended()],
        State::Suspended,
        State::Expired,
    );
    stands(
        &[proposed(), approved(), suspended(), approved()],
        State::InForce,
        State::Expired,
    );
    stands(
        &[proposed(), approved(), ended()],
        State::Ended,
        State::Ended,
    );
    let nothing = given_nothing::<Agreement>().state();
    assert_eq!(nothing.state_on(some_day()), None);
}

#[test]
fn terms_cover_what_lies_in_their_divisions() {
    let covers = |code: &str| terms().covers(&code.parse().unwrap());
    assert!(covers("350524100"));
    assert!(covers("350524100001"));
    assert!(!covers("350524101001"));
    assert!(!covers("350524"));
}
