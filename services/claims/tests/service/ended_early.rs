//! Enrolments, contracts and listings that end earlier than was known: what was approved for the days after it is looked at
//! again, as it is for facts about the elder.

use civic::ElderId;
use proto::eldercare::claims::v1 as pb;

use crate::holds::{decide, held};
use crate::support::{Ground, LTCI, Running, date, id, order, short_order};

/// An insured elder with the approved orders `A` of 10 and `B` of 20 February, and what they rest on.
struct Served {
    running: Running,
    elder: ElderId,
    enrolment: String,
    contract: String,
    caregiver: String,
}

/// What ends.
#[derive(Clone, Copy, Debug)]
enum What {
    Enrolment,
    Contract,
    Listing,
}

const EACH: [(What, &str); 3] = [
    (What::Enrolment, "NOT_ENROLLED"),
    (What::Contract, "PROVIDER_INVALID"),
    (What::Listing, "PROVIDER_INVALID"),
];

impl Served {
    async fn on(ground: &Ground) -> Self {
        let running = ground.start().await;
        running.define("LTCI", LTCI).await.unwrap();
        running.granted("LTCI", 100_000).await;
        let contract = running.contract("P01", "LTCI").await.unwrap();
        let caregiver = running.caregiver("P01").await;
        let elder = ground.elder().await;
        let enrolment = running.enrolled(elder).await;
        for (number, start) in [("A", "2024-02-10 09:00"), ("B", "2024-02-20 09:00")] {
            let order = order(number, elder, &caregiver, start);
            assert_eq!(running.told(&order).await, "APPROVED");
        }
        Self {
            running,
            elder,
            enrolment,
            contract,
            caregiver,
        }
    }

    /// Gives something a last day.
    async fn ends(&self, what: What, last: &str) {
        let mut client = self.running.client();
        match what {
            What::Enrolment => {
                let end = pb::EndEnrolmentRequest {
                    request_id: id(),
                    programme_code: "LTCI".to_owned(),
                    elder_id: self.elder.to_string(),
                    enrolment_id: self.enrolment.clone(),
                    last_day: date(last),
                };
                client.end_enrolment(end).await.unwrap();
            }
            What::Contract => {
                let end = pb::EndContractRequest {
                    request_id: id(),
                    provider_id: "P01".to_owned(),
                    contract_id: self.contract.clone(),
                    last_day: date(last),
                };
                client.end_contract(end).await.unwrap();
            }
            What::Listing => {
                let retire = pb::RetireCaregiverRequest {
                    request_id: id(),
                    caregiver_id: self.caregiver.clone(),
                    last_day: date(last),
                };
                client.retire_caregiver(retire).await.unwrap();
            }
        }
    }
}

#[tokio::test]
async fn orders_after_the_end_wait_for_a_reviewer_and_those_of_its_day_do_not() {
    for (what, code) in EACH {
        let ground = Ground::at("2024-03-01 09:00");
        let served = Served::on(&ground).await;
        let running = &served.running;
        assert_eq!(running.draft("P01", "2024-03-01").await.unwrap().orders, 2);
        served.ends(what, "2024-02-20").await;
        assert_eq!(held(running).await, Vec::<String>::new(), "{what:?}");
        served.ends(what, "2024-02-19").await;
        assert_eq!(held(running).await, [format!("B ON_HOLD {code}")]);
        // It stays approved, and leaves the settlement.
        assert_eq!(running.standing("B").await, "APPROVED");
        let left = running.settlement("P01", 1).await.settlement.unwrap();
        assert_eq!((left.orders, left.total_fen), (1, 20_000), "{what:?}");
        let decided = decide(running, "reviewer", "B", true).await;
        assert_eq!(decided.unwrap(), "NOT_SETTLED: WITHDRAWN");
        assert_eq!(running.fund("LTCI").await.reserved_fen, 20_000);
        served.running.stop().await;
    }
}

#[tokio::test]
async fn what_was_paid_for_the_days_after_the_end_is_to_come_back() {
    for (what, code) in EACH {
        let ground = Ground::at("2024-03-01 09:00");
        let served = Served::on(&ground).await;
        let running = &served.running;
        let draft = running.draft("P01", "2024-03-01").await.unwrap();
        let confirmed = running.confirm(&draft).await.unwrap();
        running.pay(&confirmed).await.unwrap();
        served.ends(what, "2024-02-15").await;
        assert_eq!(held(running).await, [format!("B FOR_RECOVERY {code}")]);
        served.running.stop().await;
    }
}

#[tokio::test]
async fn what_ends_between_submission_and_approval_holds_the_order_too() {
    for (what, code) in EACH {
        let ground = Ground::at("2024-03-01 09:00");
        let served = Served::on(&ground).await;
        let running = &served.running;
        let short = short_order("C", served.elder, &served.caregiver, "2024-02-25 09:00");
        running.told(&short).await;
        running.appeal("C").await.unwrap();
        served.ends(what, "2024-02-22").await;
        assert_eq!(held(running).await, Vec::<String>::new(), "{what:?}");
        assert_eq!(
            running.decide("C", true).await.unwrap(),
            "APPROVED DURATION_SHORT"
        );
        assert_eq!(held(running).await, [format!("C ON_HOLD {code}")]);
        served.running.stop().await;
    }
}

#[tokio::test]
async fn an_order_that_was_approved_in_spite_of_an_end_is_not_held_by_it() {
    let ground = Ground::at("2024-03-01 09:00");
    let served = Served::on(&ground).await;
    let running = &served.running;
    served.ends(What::Contract, "2024-02-24").await;
    let after = order("C", served.elder, &served.caregiver, "2024-02-25 09:00");
    assert_eq!(running.told(&after).await, "ABNORMAL_OPEN PROVIDER_INVALID");
    running.appeal("C").await.unwrap();
    running.decide("C", true).await.unwrap();
    // The same code for another reason says nothing new; another code does.
    served.ends(What::Listing, "2024-02-23").await;
    assert_eq!(held(running).await, Vec::<String>::new());
    served.ends(What::Enrolment, "2024-02-22").await;
    assert_eq!(held(running).await, ["C ON_HOLD NOT_ENROLLED"]);
    served.running.stop().await;
}

#[tokio::test]
async fn all_that_stands_against_an_order_is_said_together_and_what_a_reviewer_has_seen_not_again()
{
    let ground = Ground::at("2024-03-01 09:00");
    let served = Served::on(&ground).await;
    let running = &served.running;
    ground.dies(served.elder, "2024-02-15").await;
    assert_eq!(held(running).await, ["B ON_HOLD NOT_ALIVE_OR_PRESENT"]);
    decide(running, "reviewer", "B", false).await.unwrap();
    assert_eq!(held(running).await, Vec::<String>::new());
    // The later end says what the death had said already, too.
    served.ends(What::Enrolment, "2024-02-16").await;
    let told = held(running).await;
    assert_eq!(told, ["B ON_HOLD NOT_ENROLLED NOT_ALIVE_OR_PRESENT"]);
    decide(running, "reviewer", "B", false).await.unwrap();
    served.ends(What::Enrolment, "2024-02-14").await;
    ground.dies(served.elder, "2024-02-14").await;
    assert_eq!(held(running).await, Vec::<String>::new());
    // Nor without the database, from which all of it is found once more.
    let end = ground.end().await;
    let (ground, _) = served.running.stop().await;
    let running = ground.start().await;
    assert_eq!(held(&running).await, Vec::<String>::new());
    let standing = running.order("B").await.standing.unwrap();
    assert_eq!(standing.hold(), pb::HoldState::Kept);
    assert_eq!(ground.end().await, end);
    running.stop().await;
}
