//! Feeds after losses: of the publisher in the middle of something, of the database, of the stream itself.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream;
use async_nats::jetstream::message::StreamMessage;
use chrono::TimeDelta;
use eventlog::RawEvent;
use proto::eldercare::claims::v1 as claims;
use proto::eldercare::sharing::v1 as pb;
use sharing::feeds::stream::FeedStream;
use tokio::time::{sleep, timeout};

use super::support::feeds::{PATIENCE, granted, held, lying, named, of_elder};
use super::support::{
    FAR_VILLAGE, Ground, OTHER_VILLAGE, Running, VILLAGE, at, date, doctor, grant, guard, terms,
};

/// Before it is looked again.
const AGAIN: Duration = Duration::from_millis(50);
/// How many messages one batch bears, its position aside.
const BATCH: usize = 999;

/// The last token of a message's subject: the event, or `position`.
fn event_of(message: &StreamMessage) -> &str {
    message.subject.rsplit('.').next().unwrap_or_default()
}

/// Who is named by a message of a feed.
fn elder_of(message: &StreamMessage) -> Option<&str> {
    message.headers.get("ce-elderid").map(|id| id.as_str())
}

/// What lay in the stream when a publisher died once it had written so many of an event, and the position that covers them.
fn until(messages: Vec<StreamMessage>, event: &str, count: usize) -> Vec<StreamMessage> {
    let mut seen = 0;
    let mut messages = messages.into_iter();
    let mut there = Vec::new();
    for message in messages.by_ref() {
        seen += usize::from(event_of(&message) == event);
        let is_position = event_of(&message) == "position";
        there.push(message);
        if seen >= count && is_position {
            break;
        }
    }
    assert_eq!(seen, count, "batches are otherwise");
    assert!(messages.next().is_some(), "nothing is left to come");
    there
}

/// Makes the stream anew, and puts these messages there.
async fn put_back(ground: &Ground, messages: Vec<StreamMessage>) {
    let client = ground.nats().await;
    let server = jetstream::new(client.clone());
    server.delete_stream("FEEDS").await.unwrap();
    FeedStream::open(client, 1, true).await.unwrap();
    for message in messages {
        let mut headers = HeaderMap::new();
        for (name, values) in message.headers.iter() {
            let text: &str = name.as_ref();
            // These were for the server.
            if !text.starts_with("Nats-") {
                headers.insert(name.clone(), values[0].clone());
            }
        }
        let (subject, body) = (message.subject, message.payload);
        let stored = server.publish_with_headers(subject, headers, body).await;
        stored.unwrap().await.unwrap();
    }
}

/// The keys of an event's documents, in the order in which they came.
fn keys(events: &[pb::FeedEvent], event: &str) -> Vec<String> {
    let of_it = events.iter().filter(|one| one.event == event);
    of_it.map(|one| one.key.clone()).collect()
}

#[track_caller]
fn each_once(keys: &[String], expected: &BTreeSet<String>) {
    assert_eq!(keys.len(), expected.len());
    assert_eq!(&keys.iter().cloned().collect::<BTreeSet<_>>(), expected);
}

async fn settlement(ground: &Ground, event: RawEvent) {
    let events = vec![event];
    ground.claim("settlements", "LTCI-P01", events).await;
}

#[tokio::test]
async fn each_event_comes_out_once_whenever_the_publisher_dies_and_whatever_it_forgets() {
    let mut ground = Ground::at("2024-03-01 09:10").with_feeds().await;
    let mut running = ground.start().await;
    let mut elders = Vec::new();
    for _ in 0..4 {
        elders.push(ground.known_to_all().await);
    }
    running.agreed(&granted()).await;
    let from = running.end_of_feeds(&doctor()).await;
    let mut expected = BTreeSet::new();
    for round in 0..6 {
        for elder in &elders {
            let starts = [at("2024-03-01 08:00"), at("2024-03-01 08:30")];
            expected.extend(ground.visited(*elder, &starts).await);
        }
        // Stopped with whatever it was about to publish, and now and then with the loss of all that it knew.
        let database;
        (ground, database) = running.stop().await;
        running = match round % 2 {
            0 => ground.start_on(database).await,
            _ => ground.start().await,
        };
    }
    let events = running.feed_from(&doctor(), 50, Some(from)).await;
    let recorded: Vec<&pb::FeedEvent> = events
        .iter()
        .filter(|one| one.event == "VisitRecorded")
        .collect();
    let keys: Vec<&String> = recorded.iter().map(|one| &one.key).collect();
    assert_eq!(keys.len(), expected.len());
    assert_eq!(keys.into_iter().cloned().collect::<BTreeSet<_>>(), expected);
    let ids: BTreeSet<&String> = recorded.iter().map(|one| &one.id).collect();
    assert_eq!(ids.len(), recorded.len());
    // Nothing was taken back or told as new for all that.
    let others = named(&events)
        .into_iter()
        .filter(|name| name != "visit VisitRecorded");
    assert_eq!(others.collect::<Vec<_>>(), [""; 0]);
    running.stop().await;
}

#[tokio::test]
async fn an_elder_with_more_documents_than_a_batch_bears_is_told_of_to_the_end() {
    let ground = Ground::at("2024-03-01 09:10").with_feeds().await;
    let running = ground.start().await;
    let elder = ground.elder().await;
    let mut visits = BTreeSet::new();
    for number in 0..11 {
        let first = at("2024-01-01 00:00") + TimeDelta::days(number);
        let starts: Vec<_> = (0..100)
            .map(|minute| first + TimeDelta::minutes(minute))
            .collect();
        visits.extend(ground.visited(elder, &starts).await);
    }
    running
        .agreed(&terms(&[grant("visit", &["record_id"], &[])]))
        .await;
    let (ground, _) = running.stop().await;
    // The publisher died between two batches.
    let there = until(lying(&ground).await, "DocumentShared", BATCH);
    put_back(&ground, there).await;
    let running = ground.start().await;
    let told = running.feed_from(&doctor(), 500, None).await;
    each_once(&keys(&told, "DocumentShared"), &visits);
    let (first, last) = (told.first().unwrap(), told.last().unwrap());
    assert_eq!(
        (first.event.as_str(), last.event.as_str()),
        ("FeedBegun", "FeedCaughtUp")
    );
    assert_eq!(told.len(), visits.len() + 2);
    // It is done for good.
    let (ground, database) = running.stop().await;
    let running = ground.start_on(database).await;
    assert_eq!(running.feed_from(&doctor(), 500, None).await, told);
    running.stop().await;
}

#[tokio::test]
async fn what_a_settlement_changed_comes_out_once_whatever_becomes_of_its_other_orders() {
    let ground = Ground::at("2024-03-01 09:10").with_feeds().await;
    let running = ground.start().await;
    let elder = ground.elder().await;
    let mut orders = BTreeSet::new();
    for number in 0..BATCH + 6 {
        let number = number.to_string();
        orders.insert(ground.ordered(elder, &number, "2024-02-12 09:00").await);
    }
    running
        .agreed(&terms(&[grant("order", &["order_key", "state"], &[])]))
        .await;
    let line = |order: &String| claims::SettlementLine {
        order_key: order.clone(),
        amount_fen: 20_000,
    };
    let drafted = claims::SettlementDrafted {
        number: 1,
        lines: orders.iter().map(line).collect(),
        ..Default::default()
    };
    settlement(&ground, RawEvent::of(&drafted)).await;
    let paid = claims::SettlementPaid {
        number: 1,
        paid_on: date("2024-03-01"),
        ..Default::default()
    };
    settlement(&ground, RawEvent::of(&paid)).await;
    running.settled().await;
    let (ground, _) = running.stop().await;
    // The publisher died within the record; meanwhile an order leaves the settlement.
    let there = until(lying(&ground).await, "SettlementPaid", BATCH);
    put_back(&ground, there).await;
    let held_back = claims::OrderPutOnHold {
        order_key: orders.first().unwrap().clone(),
        settlement_number: 1,
        ..Default::default()
    };
    settlement(&ground, RawEvent::of(&held_back)).await;
    let running = ground.start().await;
    let told = running.feed_from(&doctor(), 500, None).await;
    each_once(&keys(&told, "SettlementPaid"), &orders);
    running.stop().await;
}

#[tokio::test]
async fn an_erasure_reaches_all_that_lies_there_also_once_the_database_is_lost() {
    let ground = Ground::at("2024-03-01 09:10").with_feeds().await;
    let running = ground.start().await;
    let (gone, elder) = (ground.known_to_all().await, ground.known_to_all().await);
    running.agreed(&granted()).await;
    ground.moves(gone, FAR_VILLAGE, "2024-03-01").await;
    running.settled().await;
    // The feed of files begins anew with more than before, and what lies there stays.
    running
        .agreed(&terms(&[grant("elder", &["sex"], &[])]))
        .await;
    let (ground, _) = running.stop().await;
    // Its first beginning ages out.
    let messages = lying(&ground).await;
    let mut begun = messages
        .iter()
        .filter(|one| one.subject.as_str() == "feed.health.elder.350524.FeedBegun");
    let (first, last) = (begun.next().unwrap(), begun.next().unwrap());
    assert!(messages.iter().any(|one| {
        let before = one.sequence < last.sequence;
        before && elder_of(one) == Some(gone.to_string().as_str())
    }));
    let server = jetstream::new(ground.nats().await);
    let stream = server.get_stream("FEEDS").await.unwrap();
    stream.delete_message(first.sequence).await.unwrap();

    let running = ground.start().await;
    ground.is_erased(gone).await;
    ground.is_erased(elder).await;
    let told = running.feed(&doctor()).await;
    let tombstones = ["elder ElderErased", "tier ElderErased", "visit ElderErased"];
    for erased in [gone, elder] {
        assert_eq!(of_elder(&told, erased), tombstones);
    }
    for message in lying(&ground).await {
        let names_somebody = elder_of(&message).is_some();
        assert!(!names_somebody || event_of(&message) == "ElderErased");
    }
    running.stop().await;
}

#[tokio::test]
async fn what_an_ended_feed_told_is_taken_away_also_without_its_beginning_and_the_database() {
    let ground = Ground::at("2024-03-01 09:10").with_feeds().await;
    let running = ground.start().await;
    let elder = ground.known_to_all().await;
    let agreement = running.agreed(&granted()).await;
    let before = lying(&ground).await;
    running.suspend_as(&guard(), &agreement).await.unwrap();
    running.settled().await;
    let after = lying(&ground).await;
    let (ground, _) = running.stop().await;
    // The publisher died once the feeds had ended, before what they told was taken away.
    let end = before.last().unwrap().sequence;
    let mut there = before;
    there.retain(|one| event_of(one) != "FeedBegun");
    assert!(there.iter().any(|one| elder_of(one).is_some()));
    there.extend(after.into_iter().filter(|one| one.sequence > end));
    put_back(&ground, there).await;

    let running = ground.start().await;
    let left = lying(&ground).await;
    let events: BTreeSet<&str> = left.iter().map(event_of).collect();
    assert_eq!(events, BTreeSet::from(["FeedEnded", "position"]));
    // Whoever was told of the elder is asked to erase what is left of that.
    ground.is_erased(elder).await;
    running.settled().await;
    let left = lying(&ground).await;
    let named: Vec<&str> = left
        .iter()
        .filter(|one| elder_of(one) == Some(elder.to_string().as_str()))
        .map(event_of)
        .collect();
    assert_eq!(named, ["ElderErased"; 3]);
    running.stop().await;
}

#[tokio::test]
async fn whom_time_alone_changed_while_the_database_was_lost_is_told_of() {
    let ground = Ground::at("2024-03-01 09:10").with_feeds().await;
    let running = ground.start().await;
    let (within, away, stays) = (
        ground.elder().await,
        ground.elder().await,
        ground.elder().await,
    );
    let files = terms(&[grant("elder", &["elder_id", "division_code"], &[])]);
    running.agreed(&files).await;
    ground.moves(within, OTHER_VILLAGE, "2024-03-03").await;
    ground.moves(away, FAR_VILLAGE, "2024-03-03").await;
    let before = running.feed(&doctor()).await;
    assert_eq!(held(&before).len(), 3);
    let (ground, _) = running.stop().await;
    ground.clock.advance_to(at("2024-03-03 08:00")).unwrap();
    let running = ground.start().await;
    let told = running.feed(&doctor()).await;
    let lives: BTreeMap<String, String> = held(&told)
        .into_values()
        .map(|(elder, file)| (elder, file["division_code"].as_str().unwrap().to_owned()))
        .collect();
    let expected = BTreeMap::from([
        (within.to_string(), OTHER_VILLAGE.to_owned()),
        (stays.to_string(), VILLAGE.to_owned()),
    ]);
    assert_eq!(lives, expected);
    // Who has not changed is not told of again.
    assert_eq!(of_elder(&told, stays), of_elder(&before, stays));
    running.stop().await;
}

/// All that lies on the feeds, once they have caught up.
async fn caught_up(running: &Running, feeds: usize) -> Vec<pb::FeedEvent> {
    let mut client = running.client_of(&doctor());
    let telling = async {
        loop {
            let request = pb::QueryFeedRequest {
                page_size: 100,
                ..Default::default()
            };
            // Without a stream there is no answer.
            if let Ok(page) = client.query_feed(request).await {
                let page = page.into_inner();
                if keys(&page.events, "FeedCaughtUp").len() == feeds {
                    return page.events;
                }
            }
            sleep(AGAIN).await;
        }
    };
    timeout(PATIENCE, telling).await.expect("they catch up")
}

#[tokio::test]
async fn a_stream_that_is_lost_is_begun_anew_by_the_process_that_runs() {
    let ground = Ground::at("2024-03-01 09:10").with_feeds().await;
    let running = ground.start().await;
    let elder = ground.known_to_all().await;
    running.agreed(&granted()).await;
    let before = caught_up(&running, 3).await;
    // Nothing happens that would have to be published.
    let server = jetstream::new(ground.nats().await);
    server.delete_stream("FEEDS").await.unwrap();
    let anew = caught_up(&running, 3).await;
    assert_eq!(held(&anew), held(&before));
    let ids = |events: &[pb::FeedEvent]| -> BTreeSet<String> {
        events.iter().map(|one| one.id.clone()).collect()
    };
    assert!(ids(&anew).is_disjoint(&ids(&before)));
    let visits = ground.visited(elder, &[at("2024-03-01 09:00")]).await;
    let told = running.feed(&doctor()).await;
    assert_eq!(keys(&told, "VisitRecorded"), visits);
    running.stop().await;
}

#[tokio::test]
async fn an_erasure_that_was_recorded_when_the_stream_was_lost_is_asked_for() {
    let ground = Ground::at("2024-03-01 09:10").with_feeds().await;
    let running = ground.start().await;
    let (elder, other) = (ground.known_to_all().await, ground.known_to_all().await);
    running.agreed(&granted()).await;
    let (ground, database) = running.stop().await;
    let server = jetstream::new(ground.nats().await);
    server.delete_stream("FEEDS").await.unwrap();
    ground.is_erased(elder).await;
    let visits = ground.visited(other, &[at("2024-03-01 09:00")]).await;
    let running = ground.start_on(database).await;
    let told = running.feed(&doctor()).await;
    assert_eq!(keys(&told, "VisitRecorded"), visits);
    // The new feeds never told of the elder.
    assert_eq!(of_elder(&told, elder), [""; 0]);
    let mut client = running.client_of(&doctor());
    let listed = client.list_erasures(pb::ListErasuresRequest::default());
    let receipts = listed.await.unwrap().into_inner().receipts;
    let asked: Vec<(&str, &str)> = receipts
        .iter()
        .map(|one| (one.elder_id.as_str(), one.department.as_str()))
        .collect();
    assert_eq!(asked, [(elder.to_string().as_str(), "health")]);
    running.stop().await;
}
