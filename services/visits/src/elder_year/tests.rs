//! What an elder's year decides, rule by rule.

use decider::testing::{given, given_nothing};

use super::*;

const ELDER: ElderId = ElderId(Uuid::from_u128(1));
const RECORD: Uuid = Uuid::from_u128(2);

fn recorded() -> Box<Recorded> {
    Box::new(Recorded {
        record: RECORD,
        elder: ELDER,
        visitor: Uuid::from_u128(3),
        mode: VisitMode::Home,
        result: VisitResult::Met,
        start: "2024-10-08T09:00:00+08:00".parse().unwrap(),
        end: "2024-10-08T09:30:00+08:00".parse().unwrap(),
        services: ServiceKind::DailyCare.into(),
        signed: true,
        check_in: None,
        remarks: None,
        photos: vec![[7; 32]],
        village: "350524100001".parse().unwrap(),
    })
}

fn record(doubts: Set<Doubt>) -> Command {
    Command::Record {
        recorded: recorded(),
        doubts,
        findings: vec![],
    }
}

fn doubted<const N: usize>(doubts: [Doubt; N]) -> Event {
    Event::Doubted {
        record: RECORD,
        doubts: doubts.into(),
    }
}

fn week() -> Period {
    "2024-W41".parse().unwrap()
}

fn missed() -> Missed {
    Missed {
        elder: ELDER,
        period: week(),
        tier: "PRIORITY".to_owned(),
        village: "350524100001".parse().unwrap(),
        blocked_by_consent: false,
    }
}

fn met(late: bool) -> Event {
    Event::DutyMet {
        elder: ELDER,
        period: week(),
        record: RECORD,
        late,
    }
}

#[test]
fn a_record_is_kept_once() {
    given_nothing::<ElderYear>()
        .when(record(Set::new()))
        .then([Event::Recorded(recorded())]);
    given::<ElderYear>([Event::Recorded(recorded())])
        .when(record(Set::new()))
        .then_nothing();
}

#[test]
fn what_is_doubtful_by_itself_says_so_at_once() {
    given_nothing::<ElderYear>()
        .when(record(Doubt::TooShort.into()))
        .then([Event::Recorded(recorded()), doubted([Doubt::TooShort])]);
}

#[test]
fn earlier_records_add_their_doubts() {
    let doubt = |doubts: Set<Doubt>| Command::Doubt {
        record: RECORD,
        doubts,
    };
    given::<ElderYear>([Event::Recorded(recorded()), doubted([Doubt::TooShort])])
        .when(doubt(Doubt::Overlap.into()))
        .then([doubted([Doubt::Overlap])]);
    given::<ElderYear>([Event::Recorded(recorded()), doubted([Doubt::Overlap])])
        .when(doubt(Doubt::Overlap.into()))
        .then_nothing();
    given_nothing::<ElderYear>()
        .when(doubt(Doubt::Overlap.into()))
        .then_nothing();
}

#[test]
fn the_first_decision_of_a_supervisor_holds() {
    let (confirm, reject) = (
        Command::Confirm { record: RECORD },
        Command::Reject { record: RECORD },
    );
    let doubtful = [Event::Recorded(recorded()), doubted([Doubt::Overlap])];
    let confirmed = Event::Confirmed { record: RECORD };
    let rejected = Event::Rejected { record: RECORD };
    given::<ElderYear>(doubtful.clone())
        .when(confirm.clone())
        .then([confirmed.clone()]);
    given::<ElderYear>(doubtful.clone())
        .when(reject.clone())
        .then([rejected.clone()]);
    given::<ElderYear>(doubtful.clone())
        .and([confirmed])
        .when(reject)
        .then_refused(Refusal::AlreadyDecided);
    given::<ElderYear>(doubtful)
        .and([rejected])
        .when(confirm.clone())
        .then_refused(Refusal::AlreadyDecided);
    given::<ElderYear>([Event::Recorded(recorded())])
        .when(confirm.clone())
        .then_refused(Refusal::NotDoubtful);
    given_nothing::<ElderYear>()
        .when(confirm)
        .then_refused(Refusal::RecordUnknown);
}

#[test]
fn a_duty_is_settled_once() {
    let settle_met = Command::SettleMet {
        elder: ELDER,
        period: week(),
        record: RECORD,
    };
    given_nothing::<ElderYear>()
        .when(settle_met.clone())
        .then([met(false)]);
    given_nothing::<ElderYear>()
        .when(Command::SettleMissed(missed()))
        .then([Event::Missed(missed())]);
    given::<ElderYear>([Event::Missed(missed())])
        .when(settle_met)
        .then_nothing();
    given::<ElderYear>([met(false)])
        .when(Command::SettleMissed(missed()))
        .then_nothing();
}

#[test]
fn a_missed_duty_is_met_late_once() {
    let meet = Command::MeetLate {
        elder: ELDER,
        period: week(),
        record: RECORD,
    };
    given::<ElderYear>([Event::Missed(missed())])
        .when(meet.clone())
        .then([met(true)]);
    given::<ElderYear>([Event::Missed(missed()), met(true)])
        .when(meet.clone())
        .then_nothing();
    given::<ElderYear>([met(false)])
        .when(meet.clone())
        .then_nothing();
    given_nothing::<ElderYear>().when(meet).then_nothing();
}

#[test]
fn a_finding_opens_a_referral_that_is_closed_once() {
    let finding = Finding {
        kind: FindingKind::HousingHazard,
        note: None,
    };
    let opened = Event::ReferralOpened {
        referral: referral(RECORD, 0),
        record: RECORD,
        finding: finding.clone(),
    };
    let close = Command::CloseReferral {
        referral: referral(RECORD, 0),
        outcome: ReferralOutcome::Solved,
    };
    let closed = Event::ReferralClosed {
        referral: referral(RECORD, 0),
        outcome: ReferralOutcome::Solved,
    };
    given_nothing::<ElderYear>()
        .when(Command::Record {
            recorded: recorded(),
            doubts: Set::new(),
            findings: vec![finding],
        })
        .then([Event::Recorded(recorded()), opened.clone()]);
    given::<ElderYear>([opened.clone()])
        .when(close.clone())
        .then([closed.clone()]);
    given::<ElderYear>([opened, closed])
        .when(close.clone())
        .then_refused(Refusal::ReferralClosed);
    given_nothing::<ElderYear>()
        .when(close)
        .then_refused(Refusal::ReferralUnknown);
}

#[test]
fn a_year_is_named_by_elder_and_year() {
    assert_eq!(
        ElderYear::id(ELDER, "2024-10-08".parse().unwrap()),
        "00000000-0000-0000-0000-000000000001-2024"
    );
}
