//! Caregivers come onto a provider's list once, and leave it once or earlier.

use claims::caregiver::{Caregiver, Command, Event, Listed, Refusal};
use claims::codec::purpose;
use decider::testing::{given, given_nothing};
use elders::testing;
use proto::eldercare::claims::v1 as pb;

use crate::people::day;

fn listed(last: Option<&str>) -> Listed {
    let name = pb::CaregiverName {
        name: "陈护理".to_owned(),
    };
    Listed {
        provider: "P01".to_owned(),
        name: testing::sealed(purpose::CAREGIVER, &name),
        first: day("2024-01-01"),
        last: last.map(day),
    }
}

fn retire(last: &str) -> Command {
    Command::Retire(day(last))
}

#[test]
fn somebody_is_registered_once() {
    let open = listed(None);
    given_nothing::<Caregiver>()
        .when(Command::Register(open.clone()))
        .then([Event::Registered(open.clone())]);
    given::<Caregiver>([Event::Registered(open.clone())])
        .when(Command::Register(open))
        .then_refused(Refusal::AlreadyRegistered);
}

#[test]
fn nobody_leaves_a_list_before_they_came_or_later_than_was_said() {
    let retired = || Event::Retired(day("2024-06-30"));
    given::<Caregiver>([Event::Registered(listed(None))])
        .when(retire("2024-06-30"))
        .then([retired()]);
    given::<Caregiver>([Event::Registered(listed(None))])
        .when(retire("2024-01-01"))
        .then([Event::Retired(day("2024-01-01"))]);
    given::<Caregiver>([Event::Registered(listed(None))])
        .when(retire("2023-12-31"))
        .then_refused(Refusal::BeforeFirst);
    for later in ["2024-06-30", "2024-07-01"] {
        given::<Caregiver>([Event::Registered(listed(None)), retired()])
            .when(retire(later))
            .then_refused(Refusal::NotEarlier);
        given::<Caregiver>([Event::Registered(listed(Some("2024-06-30")))])
            .when(retire(later))
            .then_refused(Refusal::NotEarlier);
    }
    given::<Caregiver>([Event::Registered(listed(None)), retired()])
        .when(retire("2024-06-29"))
        .then([Event::Retired(day("2024-06-29"))]);
    given_nothing::<Caregiver>()
        .when(retire("2024-06-30"))
        .then_refused(Refusal::Unknown);
}
