//! Messages of our own log that can't be read, where approved orders are looked at again: each is parked once, where an operator
//! sees it, and all others go on. What could not be said is said by a program that can read them.

use std::time::Duration;

use civic::OrderCode;
use claims::order::Order;
use claims::programme::{Defined, Programme};
use claims::settlements::{Event, Settlements};
use eventlog::{Aggregate as _, Delivery, MemoryLog, RawEvent, Record, Repository};
use futures::StreamExt as _;
use proto::eldercare::claims::v1 as pb;
use readmodel::parked;
use tokio::time::timeout;

use crate::holds::{approved, held, no_longer_poor};
use crate::restarts::{copied, rewritten};
use crate::support::{Ground, Running, order};

/// After so long a reader counts as stopped.
const PATIENCE: Duration = Duration::from_secs(30);

/// The orders against which later facts stand, by their numbers, once all are looked at again.
async fn looked_at(running: &Running) -> Vec<String> {
    let held = timeout(PATIENCE, held(running)).await;
    let mut held = held.expect("the reader goes on");
    held.sort();
    held
}

/// What was passed by: the sequence and the subject of each message.
async fn passed_by(running: &Running) -> Vec<(u64, String)> {
    let pool = running.app.pool();
    let parked = parked::list(&pool, Some("claims on_elder_facts"), 0, 10).await;
    let parked = parked.unwrap().into_iter();
    parked.map(|one| (one.sequence, one.subject)).collect()
}

/// Of how many orders something could not be said.
async fn unsaid(running: &Running) -> i64 {
    let count = sqlx::query_scalar("SELECT count(*) FROM claims_kept.unsaid");
    count.fetch_one(&running.app.pool()).await.unwrap()
}

/// Our own log with another message in the place of one.
async fn with_another(ground: &Ground, another: &Delivery) -> MemoryLog {
    let put = |delivery: Delivery| {
        let here = delivery.sequence() == another.sequence();
        Some(if here { another.clone() } else { delivery })
    };
    rewritten(ground, put).await
}

/// The record by which the insurance was defined, in forms that a program can't read: no record, an event that it does not know,
/// and a definition that makes no sense to it.
fn spoilt(defined: &Record) -> [Delivery; 3] {
    let with = |event: RawEvent| {
        Delivery::Record(Record {
            events: vec![event],
            ..defined.clone()
        })
    };
    let event = &defined.events[0];
    let nonsense = Defined {
        definition: "a definition of tomorrow".to_owned(),
        ..Programme::decode(event).unwrap()
    };
    [
        Delivery::Unreadable {
            sequence: defined.sequence,
            subject: defined.subject.to_string(),
            reason: String::new(),
            payload: "no record".into(),
        },
        with(RawEvent {
            event_type: "eldercare.claims.v1.ProgrammePraised".to_owned(),
            ..event.clone()
        }),
        with(Programme::encode(&nonsense)),
    ]
}

#[tokio::test]
async fn an_order_is_looked_at_again_whatever_was_said_of_it_that_cannot_be_read() {
    let ground = Ground::at("2024-03-01 09:00");
    let (running, elder, caregiver) = approved(&ground).await;
    let other = running.insured().await;
    let served = order("C", other, &caregiver, "2024-02-25 09:00");
    assert_eq!(running.told(&served).await, "APPROVED");
    let key = claims::order::key("P01", "B").to_string();
    let subject = Repository::<Order>::subject(&key).unwrap();
    let unreadable = ground
        .memory
        .write_unreadable(subject.as_str(), "no record");
    let parked = [(unreadable, subject.to_string())];
    let both = [
        "B ON_HOLD NOT_ALIVE_OR_PRESENT",
        "C ON_HOLD NOT_ALIVE_OR_PRESENT",
    ];
    ground.dies(elder, "2024-02-15").await;
    ground.dies(other, "2024-02-15").await;
    assert_eq!(looked_at(&running).await, both);
    assert_eq!(passed_by(&running).await, parked);
    // It is met again with each fact.
    ground.dies(elder, "2024-02-14").await;
    assert_eq!(looked_at(&running).await, both);
    assert_eq!(passed_by(&running).await, parked);
    running.stop().await;
}

#[tokio::test]
async fn settlements_that_cannot_be_read_keep_no_order_of_another_provider_from_being_held() {
    let ground = Ground::at("2024-03-01 09:00");
    let (running, elder, _) = approved(&ground).await;
    running.contract("P02", "LTCI").await.unwrap();
    let caregiver = running.caregiver("P02").await;
    let served = pb::ServiceOrder {
        provider_id: "P02".to_owned(),
        ..order("C", elder, &caregiver, "2024-02-25 09:00")
    };
    assert_eq!(running.told(&served).await, "APPROVED");
    let subject = Repository::<Settlements>::subject("LTCI-P01").unwrap();
    let unreadable = ground
        .memory
        .write_unreadable(subject.as_str(), "no record");
    ground.dies(elder, "2024-02-15").await;
    assert_eq!(
        looked_at(&running).await,
        ["C ON_HOLD NOT_ALIVE_OR_PRESENT"]
    );
    let parked = [(unreadable, subject.to_string())];
    assert_eq!(passed_by(&running).await, parked);
    running.stop().await;
}

#[tokio::test]
async fn a_word_on_a_programme_that_cannot_be_read_leaves_its_versions_what_they_were() {
    let ground = Ground::at("2024-03-01 09:00");
    let (running, elder, _) = approved(&ground).await;
    running.settled().await;
    let subject = Repository::<Programme>::subject("LTCI").unwrap();
    ground
        .memory
        .write_unreadable(subject.as_str(), "no record");
    // A program that begins anew remembers none of them.
    let (ground, database) = running.stop().await;
    let running = ground.start_on(database).await;
    ground.record(elder, &[no_longer_poor("2024-02-19")]).await;
    assert_eq!(looked_at(&running).await, ["B ON_HOLD NOT_ENTITLED"]);
    assert!(passed_by(&running).await.is_empty());
    running.stop().await;
}

#[tokio::test]
async fn an_order_whose_programme_cannot_be_read_is_asked_all_else_and_the_rest_once_it_can() {
    let ground = Ground::at("2024-03-01 09:00");
    let (running, elder, _) = approved(&ground).await;
    let (ground, _) = running.stop().await;
    let subject = Repository::<Programme>::subject("LTCI").unwrap();
    let defined = ground.own.read(&subject, 0).await.unwrap().remove(0);
    ground.dies(elder, "2024-02-15").await;
    ground.record(elder, &[no_longer_poor("2024-02-19")]).await;
    for form in spoilt(&defined) {
        let ground = ground.with_own(with_another(&ground, &form).await);
        let running = ground.start().await;
        let held = ["B ON_HOLD NOT_ALIVE_OR_PRESENT"];
        assert_eq!(looked_at(&running).await, held);
        let parked = [(defined.sequence, subject.to_string())];
        assert_eq!(passed_by(&running).await, parked);
        // Whether the elder was entitled to the other one is not known either.
        assert_eq!(unsaid(&running).await, 2);
        let (ground, database) = running.stop().await;
        let readable = with_another(&ground, &Delivery::Record(defined.clone())).await;
        let ground = ground.with_own(readable);
        let end = ground.end().await;
        let running = ground.start_on(database).await;
        let mut said = ground.own.subscribe(end).await.unwrap();
        let said = timeout(PATIENCE, said.next()).await;
        said.expect("it is said").unwrap().unwrap();
        let held = ["B ON_HOLD NOT_ENTITLED NOT_ALIVE_OR_PRESENT"];
        assert_eq!(looked_at(&running).await, held);
        assert_eq!(unsaid(&running).await, 0);
        running.stop().await;
    }
}

#[tokio::test]
async fn what_could_not_be_said_is_said_once_settlements_can_be_read() {
    let ground = Ground::at("2024-03-01 09:00");
    let (running, elder, _) = approved(&ground).await;
    running.settled().await;
    let readable = copied(&ground, |_| true).await;
    let subject = Repository::<Settlements>::subject("LTCI-P01").unwrap();
    let unreadable = ground
        .memory
        .write_unreadable(subject.as_str(), "no record");
    let died = ground.dies(elder, "2024-02-15").await;
    assert_eq!(looked_at(&running).await, Vec::<String>::new());
    assert_eq!(unsaid(&running).await, 1);
    assert_eq!(ground.end().await, unreadable);
    let (ground, database) = running.stop().await;
    // To the next program the message is a word on another order.
    let ground = ground.with_own(readable);
    let on_hold = Event::PutOnHold {
        order: claims::order::key("P01", "Z"),
        codes: OrderCode::ProviderInvalid.into(),
        left: None,
        registry_sequence: 1,
    };
    let events = vec![Settlements::encode(&on_hold)];
    service::testing::write(&*ground.own, subject.clone(), ground.metadata(), events).await;
    assert_eq!(ground.end().await, unreadable);
    let running = ground.start_on(database).await;
    let mut said = ground.own.subscribe(unreadable).await.unwrap();
    let said = timeout(PATIENCE, said.next()).await;
    said.expect("it is said").unwrap().unwrap();
    let held = ["B ON_HOLD NOT_ALIVE_OR_PRESENT"];
    assert_eq!(looked_at(&running).await, held);
    // It is still the death that has led to it.
    let records = ground.own.read(&subject, unreadable).await.unwrap();
    let answers = records[0].metadata.answers.as_ref().unwrap();
    assert_eq!(answers.to_string(), died);
    // Once the reader goes on, nothing is left to be said.
    ground.dies(elder, "2024-02-14").await;
    assert_eq!(looked_at(&running).await, held);
    assert_eq!(unsaid(&running).await, 0);
    running.stop().await;
}
