//! Enrolments, contracts and listings that end earlier than was known: what was approved for the days after it is looked at
//! again, as it is for facts about the elder.

use civic::{ElderId, OrderCode};
use claims::enrolment::{self, Enrolments, Whose};
use claims::provider::{Event, Provider};
use claims::settlements::{self, Settlements};
use eventlog::{Aggregate, Metadata, Position, Repository};
use proto::eldercare::claims::v1 as pb;
use sqlx::{Connection as _, PgConnection};
use uuid::Uuid;

use crate::holds::{decide, held, held_orders};
use crate::support::{
    Ground, LTCI, Running, day, end_of_contract, end_of_enrolment, order, outcome_in_words,
    retirement, short_order,
};

/// An insured elder with the approved orders `A` of 10 and `B` of 20 February, and what they rest on.
struct Served {
    running: Running,
    elder: ElderId,
    enrolment: String,
    contract: String,
    caregiver: String,
}

/// The trace of what was kept before.
const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

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
                let end = end_of_enrolment(self.elder, &self.enrolment, last);
                client.end_enrolment(end).await.unwrap();
            }
            What::Contract => {
                let end = end_of_contract("P01", &self.contract, last);
                client.end_contract(end).await.unwrap();
            }
            What::Listing => {
                let retire = retirement(&self.caregiver, last);
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
        running.paid("P01", "2024-03-01").await;
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

#[tokio::test]
async fn what_is_found_before_a_reviewer_decides_or_the_money_is_back_is_said_with_the_rest() {
    for (paid, state) in [(false, "ON_HOLD"), (true, "FOR_RECOVERY")] {
        let ground = Ground::at("2024-03-01 09:00");
        let served = Served::on(&ground).await;
        let running = &served.running;
        if paid {
            running.paid("P01", "2024-03-01").await;
        }
        served.ends(What::Contract, "2024-02-15").await;
        assert_eq!(held(running).await, [format!("B {state} PROVIDER_INVALID")]);
        let since = held_orders(running).await[0].held_at;
        running.advance("2024-03-02 09:00").await;
        ground.dies(served.elder, "2024-02-16").await;
        let both = format!("B {state} NOT_ALIVE_OR_PRESENT PROVIDER_INVALID");
        assert_eq!(held(running).await, [both]);
        // It has its place in the list since the first of it.
        assert_eq!(held_orders(running).await[0].held_at, since);
        served.running.stop().await;
    }
}

/// An end that was recorded while nobody looked.
struct End {
    position: Position,
    metadata: Metadata,
}

impl End {
    async fn on<A: Aggregate>(ground: &Ground, id: &str, ended: &A::Event) -> Self {
        let (subject, metadata) = (Repository::<A>::subject(id).unwrap(), ground.metadata());
        let events = vec![A::encode(ended)];
        let position =
            service::testing::write(&*ground.own, subject, metadata.clone(), events).await;
        Self {
            position: position.parse().unwrap(),
            metadata,
        }
    }

    /// Of the contract of `P01`.
    async fn of_contract(ground: &Ground, contract: Uuid, last: &str) -> Self {
        let ended = Event::Ended {
            provider: "P01".to_owned(),
            contract,
            last: day(last),
        };
        Self::on::<Provider>(ground, "P01", &ended).await
    }

    /// Keeps it as whoever led before: they had read of it, and had looked at the orders up to one of this number, or at none.
    async fn kept(
        &self,
        db: &mut PgConnection,
        (contract, elder): (Option<Uuid>, Option<ElderId>),
        last: &str,
        looked_at: &str,
    ) {
        let sequence = self.position.sequence.cast_signed();
        let read = "UPDATE claims_kept.progress SET second = $1 WHERE reader = 'on_elder_facts'";
        let read = sqlx::query(read).bind(sequence);
        read.execute(&mut *db).await.unwrap();
        sqlx::query(
            "INSERT INTO claims_kept.ended \
                 (sequence, place, provider_id, contract_id, programme, elder_id, last_day, \
                  record_id, correlation_id, traceparent, looked_at) \
             VALUES ($1, 0, CASE WHEN $2::uuid IS NOT NULL THEN 'P01' END, $2, \
                 CASE WHEN $3::uuid IS NOT NULL THEN 'LTCI' END, $3, $4::text::date, $5, $6, $7, \
                 coalesce((SELECT sequence FROM claims_book.service_order WHERE number = $8), 0))",
        )
        .bind(sequence)
        .bind(contract)
        .bind(elder.map(|elder| elder.as_uuid()))
        .bind(last)
        .bind(self.metadata.id)
        .bind(self.metadata.correlation_id)
        .bind(TRACE)
        .bind(looked_at)
        .execute(db)
        .await
        .unwrap();
    }
}

/// Settlements of `P01`, as they were told what stands against orders.
async fn told(ground: &Ground) -> Vec<Metadata> {
    let subject = Repository::<Settlements>::subject("LTCI-P01").unwrap();
    let records = ground.own.read(&subject, 0).await.unwrap();
    records.into_iter().map(|record| record.metadata).collect()
}

#[tokio::test]
async fn of_a_large_contract_the_orders_after_its_end_wait_page_after_page_and_another_end_one_page()
 {
    let ground = Ground::at("2024-03-01 09:00");
    let served = Served::on(&ground).await;
    let running = &served.running;
    let mut orders = Vec::new();
    let mut insured = (served.elder, served.enrolment.clone());
    // Beside A and B, at whose hours the caregiver is with nobody else.
    for hour in [5, 7, 12, 14, 16] {
        let elder = ground.elder().await;
        insured = (elder, running.enrolled(elder).await);
        for on in 1..=11 {
            let (number, start) = (
                format!("{hour}-{on}"),
                format!("2024-02-{on:02} {hour:02}:00"),
            );
            orders.push(order(&number, elder, &served.caregiver, &start));
        }
    }
    let (many, last) = orders.split_at(53);
    for outcome in running.stream(many).await {
        assert_eq!(outcome_in_words(&outcome), "APPROVED", "{outcome:?}");
    }
    for one in last {
        assert_eq!(running.told(one).await, "APPROVED");
    }
    let contract: Uuid = served.contract.parse().unwrap();
    let (ground, database) = served.running.stop().await;
    let of_contract = End::of_contract(&ground, contract, "2024-02-01").await;
    let (elder, enrolment) = insured;
    let ended = enrolment::Event::Ended {
        whose: Whose {
            programme: "LTCI".to_owned(),
            elder,
        },
        enrolment: enrolment.parse().unwrap(),
        last: day("2024-02-10"),
    };
    let of_enrolment = End::on::<Enrolments>(&ground, &format!("LTCI-{elder}"), &ended).await;
    // The contract's end has the first turn, and is behind the other one even after its first page.
    let mut db = PgConnection::connect(&database).await.unwrap();
    let (whole, whom) = ((Some(contract), None), (None, Some(elder)));
    of_contract.kept(&mut db, whole, "2024-02-01", "").await;
    of_enrolment
        .kept(&mut db, whom, "2024-02-10", "16-10")
        .await;
    let running = ground.start_on(database).await;
    let mut held: Vec<_> = held_orders(&running)
        .await
        .into_iter()
        .map(|one| one.standing.unwrap().order_id)
        .collect();
    held.sort();
    let mut expected: Vec<_> = ["A", "B"].map(str::to_owned).to_vec();
    let after = orders.into_iter().map(|order| order.order_id);
    expected.extend(after.filter(|number| !number.ends_with("-1")));
    expected.sort();
    assert_eq!(held, expected);
    // A page of 50, the one order after the enrolment, and what is left.
    let told = told(&ground).await;
    let causes: Vec<_> = told.iter().map(|one| one.causation_id).collect();
    let mut pages = vec![Some(of_contract.metadata.id); 52];
    pages[50] = Some(of_enrolment.metadata.id);
    assert_eq!(causes, pages);
    running.stop().await;
}

#[tokio::test]
async fn whoever_leads_after_a_broken_connection_goes_on_with_the_page_at_which_it_broke() {
    let ground = Ground::at("2024-03-01 09:00");
    let served = Served::on(&ground).await;
    let contract: Uuid = served.contract.parse().unwrap();
    let (ground, database) = served.running.stop().await;
    let end = End::of_contract(&ground, contract, "2024-02-01").await;
    let mut db = PgConnection::connect(&database).await.unwrap();
    let whole = (Some(contract), None);
    end.kept(&mut db, whole, "2024-02-01", "A").await;
    let running = ground.start_on(database).await;
    assert_eq!(held(&running).await, ["B ON_HOLD PROVIDER_INVALID"]);
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM claims_kept.ended")
        .fetch_one(&mut db)
        .await
        .unwrap();
    assert_eq!(left, 0);
    // It is still the end that has led to it, and its trace that goes on.
    let followed = told(&ground).await.pop().unwrap();
    assert_eq!(followed.causation_id, Some(end.metadata.id));
    assert_eq!(followed.correlation_id, end.metadata.correlation_id);
    assert_eq!(followed.traceparent.as_deref(), Some(TRACE));
    assert_eq!(followed.answers, Some(end.position));
    running.stop().await;
}

#[tokio::test]
async fn what_a_hold_of_a_former_version_does_not_tell_is_found_when_a_reviewer_keeps_the_order() {
    let ground = Ground::at("2024-03-01 09:00");
    let served = Served::on(&ground).await;
    let elder = served.elder;
    // An approval that is still to be looked at would be asked all.
    served.running.settled().await;
    let (ground, database) = served.running.stop().await;
    // The order was on hold for its provider's sake when the death was read, and nothing was said of that.
    let subject = Repository::<Settlements>::subject("LTCI-P01").unwrap();
    let on_hold = settlements::Event::PutOnHold {
        order: claims::order::key("P01", "B"),
        codes: OrderCode::ProviderInvalid.into(),
        left: None,
        registry_sequence: 1,
    };
    let events = vec![Settlements::encode(&on_hold)];
    service::testing::write(&*ground.own, subject, ground.metadata(), events).await;
    let died: Position = ground.dies(elder, "2024-02-15").await.parse().unwrap();
    let mut db = PgConnection::connect(&database).await.unwrap();
    sqlx::query("UPDATE claims_kept.progress SET first = $1 WHERE reader = 'on_elder_facts'")
        .bind(died.sequence.cast_signed())
        .execute(&mut db)
        .await
        .unwrap();
    let running = ground.start_on(database).await;
    assert_eq!(held(&running).await, ["B ON_HOLD PROVIDER_INVALID"]);
    decide(&running, "reviewer", "B", false).await.unwrap();
    assert_eq!(held(&running).await, ["B ON_HOLD NOT_ALIVE_OR_PRESENT"]);
    decide(&running, "reviewer", "B", false).await.unwrap();
    assert_eq!(held(&running).await, Vec::<String>::new());
    running.stop().await;
}
