//! The course of a department's credential: issued, replaced, revoked.

use decider::testing::{given, given_nothing};
use sharing::credential::{Command, Credential, Event, Refusal};
use uuid::Uuid;

const OFFICER: &str = "officer:clerk";

fn issue(credential: u128) -> Command {
    Command::Issue {
        credential: Uuid::from_u128(credential),
        by: OFFICER.to_owned(),
    }
}

fn revoke() -> Command {
    Command::Revoke {
        reason: "LEAKED".to_owned(),
    }
}

fn issued(credential: u128) -> Event {
    Event::Issued {
        credential: Uuid::from_u128(credential),
        by: OFFICER.to_owned(),
    }
}

fn revoked(credential: u128) -> Event {
    Event::Revoked {
        credential: Uuid::from_u128(credential),
        reason: "LEAKED".to_owned(),
    }
}

#[test]
fn a_new_credential_takes_the_place_of_the_one_before() {
    given_nothing::<Credential>()
        .when(issue(1))
        .then([issued(1)]);
    given::<Credential>([issued(1)])
        .when(issue(2))
        .then([issued(2)]);
    given::<Credential>([issued(1)]).when(issue(1)).then([]);
    let state = given::<Credential>([issued(1), issued(2)]).state();
    assert_eq!(state.current, Some(Uuid::from_u128(2)));
}

#[test]
fn what_is_revoked_is_the_one_that_is_good() {
    given::<Credential>([issued(1), issued(2)])
        .when(revoke())
        .then([revoked(2)]);
    given::<Credential>([issued(1), revoked(1)])
        .when(issue(3))
        .then([issued(3)]);
}

#[test]
fn what_nobody_has_is_not_revoked() {
    given_nothing::<Credential>()
        .when(revoke())
        .then_refused(Refusal::NothingToRevoke);
    given::<Credential>([issued(1), revoked(1)])
        .when(revoke())
        .then_refused(Refusal::NothingToRevoke);
}
