//! Feeds that begin, or begin anew, while somebody reads by gRPC: each message is told once, from the beginning on.

use std::collections::BTreeSet;

use async_nats::jetstream;
use chrono::TimeDelta;
use eventlog::Position;
use proto::eldercare::sharing::v1 as pb;
use proto::eldercare::sharing::v1::subscribe_feed_response::What;
use tokio::time::timeout;
use tonic::Code;

use crate::support::feeds::{PATIENCE, named, of_event};
use crate::support::{Client, Ground, Running, approver, at, doctor, grant, guard, refused, terms};

/// What is told up to an event of this name, which is told too.
async fn told_until(
    told: &mut tonic::Streaming<pb::SubscribeFeedResponse>,
    name: &str,
) -> Vec<pb::FeedEvent> {
    let telling = async {
        let mut events: Vec<pb::FeedEvent> = Vec::new();
        while named(&events).last().is_none_or(|last| last != name) {
            if let What::Event(event) = told.message().await.unwrap().unwrap().what.unwrap() {
                events.push(event);
            }
        }
        events
    };
    let told = timeout(PATIENCE, telling).await;
    told.unwrap_or_else(|_elapsed| panic!("it is not told: {name}"))
}

/// The same by one question after the other, from a position on.
async fn asked_until(client: &mut Client, mut from: String, name: &str) -> Vec<pb::FeedEvent> {
    use pb::query_feed_request::Start;
    let asking = async {
        let mut events: Vec<pb::FeedEvent> = Vec::new();
        while named(&events).last().is_none_or(|last| last != name) {
            let request = pb::QueryFeedRequest {
                start: Some(Start::AfterPosition(from)),
                page_size: 1,
                ..Default::default()
            };
            let page = client.query_feed(request).await.unwrap().into_inner();
            events.extend(page.events);
            from = page.next_position;
        }
        events
    };
    let told = timeout(PATIENCE, asking).await;
    told.unwrap_or_else(|_elapsed| panic!("it is not told: {name}"))
}

/// Somebody who follows what comes out from now on, and is told so.
async fn follows(client: &mut Client) -> tonic::Streaming<pb::SubscribeFeedResponse> {
    let request = pb::SubscribeFeedRequest::default();
    let mut told = client.subscribe_feed(request).await.unwrap().into_inner();
    let first = told.message().await.unwrap().unwrap().what.unwrap();
    assert!(matches!(first, What::CaughtUp(_)));
    told
}

/// A beginning, the file of each elder once, and the mark.
#[track_caller]
fn from_the_beginning(events: &[pb::FeedEvent], elders: usize) {
    let names = named(events);
    assert_eq!(names.len(), elders + 2, "{names:?}");
    assert_eq!(names.first().unwrap(), "elder FeedBegun");
    assert_eq!(names.last().unwrap(), "elder FeedCaughtUp");
    let shared = events.iter().filter(|one| one.event == "DocumentShared");
    let keys: BTreeSet<&String> = shared.map(|one| &one.key).collect();
    assert_eq!(keys.len(), elders);
}

/// Three elders of whose tiers health is told; an agreement of their files is proposed.
async fn proposed(ground: &Ground) -> (Running, String) {
    let running = ground.start().await;
    for _ in 0..3 {
        ground.known_to_all().await;
    }
    running
        .agreed(&terms(&[grant("tier", &["tier"], &[])]))
        .await;
    let files = terms(&[grant("elder", &["elder_id"], &["name"])]);
    let proposed = running.propose(&files).await.unwrap();
    running.settled().await;
    (running, proposed)
}

#[tokio::test]
async fn a_feed_that_begins_while_somebody_follows_is_told_from_its_beginning() {
    let ground = Ground::at("2024-03-01 09:10").with_feeds().await;
    let (running, proposed) = proposed(&ground).await;
    let mut client = running.client_of(&doctor());
    let mut told = follows(&mut client).await;
    running.approve_as(&approver(), &proposed).await.unwrap();
    let events = told_until(&mut told, "elder FeedCaughtUp").await;
    from_the_beginning(&events, 3);
    running.stop().await;
}

#[tokio::test]
async fn a_feed_that_begins_while_somebody_asks_again_and_again_is_told_from_its_beginning() {
    let ground = Ground::at("2024-03-01 09:10").with_feeds().await;
    let (running, proposed) = proposed(&ground).await;
    let mut client = running.client_of(&doctor());
    let request = pb::QueryFeedRequest {
        page_size: 500,
        ..Default::default()
    };
    let page = client.query_feed(request).await.unwrap().into_inner();
    assert!(page.caught_up);
    let approver = approver();
    let (events, approved) = tokio::join!(
        asked_until(&mut client, page.next_position, "elder FeedCaughtUp"),
        running.approve_as(&approver, &proposed),
    );
    approved.unwrap();
    from_the_beginning(&events, 3);
    running.stop().await;
}

#[tokio::test]
async fn the_first_feed_of_a_department_is_told_to_whoever_asked_before_there_was_one() {
    let ground = Ground::at("2024-03-01 09:10").with_feeds().await;
    let running = ground.start().await;
    ground.elder().await;
    let files = terms(&[grant("elder", &["elder_id"], &["name"])]);
    let proposed = running.propose(&files).await.unwrap();
    running.settled().await;
    let mut client = running.client_of(&doctor());
    let approver = approver();
    let (events, approved) = tokio::join!(
        asked_until(&mut client, "FEEDS:0".to_owned(), "elder FeedCaughtUp"),
        running.approve_as(&approver, &proposed),
    );
    approved.unwrap();
    from_the_beginning(&events, 1);
    running.stop().await;
}

#[tokio::test]
async fn what_a_feed_that_begins_anew_tells_more_of_is_told_by_each_document_after_its_beginning() {
    let ground = Ground::at("2024-03-01 09:10").with_feeds().await;
    let (running, proposed) = proposed(&ground).await;
    running.approve_as(&approver(), &proposed).await.unwrap();
    let sex = terms(&[grant("elder", &["sex"], &[])]);
    let more = running.propose(&sex).await.unwrap();
    running.settled().await;
    let mut client = running.client_of(&doctor());
    let mut told = follows(&mut client).await;
    running.approve_as(&approver(), &more).await.unwrap();
    let events = told_until(&mut told, "elder FeedCaughtUp").await;
    from_the_beginning(&events, 3);
    for one in events.iter().filter(|one| one.event == "DocumentShared") {
        assert_eq!(of_event(one)["sex"], "FEMALE");
    }
    running.stop().await;
}

#[tokio::test]
async fn a_position_beyond_the_end_is_refused_and_passes_nothing_by() {
    let ground = Ground::at("2024-03-01 09:10").with_feeds().await;
    let (running, _) = proposed(&ground).await;
    let mut client = running.client_of(&doctor());
    let beyond = Position::new("FEEDS", 1_000_000).to_string();
    let queried = pb::QueryFeedRequest {
        start: Some(pb::query_feed_request::Start::AfterPosition(beyond.clone())),
        ..Default::default()
    };
    let outcome = client.query_feed(queried).await;
    refused(outcome, Code::FailedPrecondition, "POSITION_BEYOND_FEEDS");
    let subscribed = pb::SubscribeFeedRequest {
        start: Some(pb::subscribe_feed_request::Start::AfterPosition(beyond)),
        ..Default::default()
    };
    let outcome = client.subscribe_feed(subscribed).await.map(drop);
    refused(outcome, Code::FailedPrecondition, "POSITION_BEYOND_FEEDS");
    running.stop().await;
}

/// All that comes out after a position.
fn after(position: String) -> pb::SubscribeFeedRequest {
    use pb::subscribe_feed_request::Start;
    pb::SubscribeFeedRequest {
        start: Some(Start::AfterPosition(position)),
        ..Default::default()
    }
}

#[tokio::test]
async fn whoever_follows_a_stream_that_is_lost_is_told_to_begin_anew() {
    let ground = Ground::at("2024-03-01 09:10").with_feeds().await;
    let running = ground.start().await;
    let elder = ground.known_to_all().await;
    running
        .agreed(&terms(&[grant("tier", &["tier"], &[])]))
        .await;
    let visits = terms(&[grant("visit", &["record_id"], &[])]);
    let ended = running.agreed(&visits).await;
    let first = at("2024-03-01 08:00");
    let starts: Vec<_> = (0..40).map(|one| first + TimeDelta::minutes(one)).collect();
    ground.visited(elder, &starts).await;
    running.end_as(&guard(), &ended).await.unwrap();
    running.settled().await;
    let mut client = running.client_of(&doctor());
    let request = after("FEEDS:0".to_owned());
    let mut told = client.subscribe_feed(request).await.unwrap().into_inner();
    let reached = loop {
        if let What::CaughtUp(position) = told.message().await.unwrap().unwrap().what.unwrap() {
            break position;
        }
    };
    let server = jetstream::new(ground.nats().await);
    server.delete_stream("FEEDS").await.unwrap();
    // What is told by another stream begins where this one had been long ago.
    let ending = async { while matches!(told.message().await, Ok(Some(_))) {} };
    let ending = timeout(PATIENCE, ending).await;
    ending.expect("it does not go on as if nothing had been");
    let asking = async {
        loop {
            let asked = client
                .subscribe_feed(after(reached.clone()))
                .await
                .map(drop);
            // Until there is another one nobody is answered.
            if !matches!(&asked, Err(status) if status.code() == Code::Unavailable) {
                return asked;
            }
        }
    };
    let asked = timeout(PATIENCE, asking).await.expect("it is answered");
    refused(asked, Code::FailedPrecondition, "POSITION_BEYOND_FEEDS");
    running.stop().await;
}

#[tokio::test]
async fn what_came_out_since_an_instant_is_told_and_nothing_where_nothing_did() {
    use pb::query_feed_request::Start;
    let ground = Ground::at("2024-03-01 09:10").with_feeds().await;
    let running = ground.start().await;
    ground.known_to_all().await;
    running
        .agreed(&terms(&[grant("tier", &["tier"], &[])]))
        .await;
    let mut client = running.client_of(&doctor());
    let mut told = Vec::new();
    // Of time as the server has it: from its beginning on, and after its end.
    for seconds in [0, 253_402_300_799] {
        let since = prost_types::Timestamp { seconds, nanos: 0 };
        let request = pb::QueryFeedRequest {
            start: Some(Start::StartTime(since)),
            page_size: 500,
            ..Default::default()
        };
        let page = client.query_feed(request).await.unwrap().into_inner();
        assert!(page.caught_up);
        told.push(page);
    }
    let expected = ["tier FeedBegun", "tier DocumentShared", "tier FeedCaughtUp"];
    assert_eq!(named(&told[0].events), expected);
    assert_eq!(told[1].events, []);
    // From there on nothing that comes is passed by, and nothing comes twice.
    let reached = |page: &pb::QueryFeedResponse| page.next_position.parse::<Position>().unwrap();
    assert!(reached(&told[1]).sequence >= reached(&told[0]).sequence);
    running.stop().await;
}
