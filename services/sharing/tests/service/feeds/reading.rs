//! Who has read feeds by gRPC: what is on record is what was told, of each elder just that, before it was told.

use std::collections::{BTreeMap, BTreeSet};

use civic::ElderId;
use eventlog::{Fault, Position};
use proto::eldercare::sharing::v1 as pb;
use proto::eldercare::sharing::v1::subscribe_feed_request::Start;
use proto::eldercare::sharing::v1::subscribe_feed_response::What;
use service::Claims;
use sharing::look::{Look, Recorded};
use sharing::products::{ProductName, product};
use tonic::{Code, Status};
use uuid::Uuid;

use crate::support::feeds::{granted, sorted_names};
use crate::support::{
    COUNTY, Client, FAR_VILLAGE, Ground, OTHER_TOWN, OTHER_VILLAGE, Running, TOWN, at, callers,
    doctor, grant, guard, looks_at, officer, reader, refused, some_terms, terms,
};

/// Who was told of, and which personal fields.
type Told = BTreeMap<String, BTreeSet<String>>;

/// What events tell of whom, by the catalogue.
fn told_by<'a>(events: impl IntoIterator<Item = &'a pb::FeedEvent>) -> Told {
    let mut told = Told::new();
    for event in events {
        if event.elder_id.is_empty() {
            continue;
        }
        let fields = told.entry(event.elder_id.clone()).or_default();
        let catalogue = product(ProductName::parse(&event.product).unwrap());
        let told = event.fields.iter().flat_map(|told| told.fields.keys());
        for name in told.filter(|name| catalogue.field(name).unwrap().personal()) {
            let masked = event.masked.contains(name);
            let how = if masked { ":masked" } else { "" };
            fields.insert(format!("{}.{name}{how}", event.product));
        }
    }
    told
}

/// The looks of a caller that are on record, with the agreements.
async fn looks_of(ground: &Ground, caller: &str) -> Vec<(Look, Vec<Uuid>)> {
    let looks = ground.looks().await.into_iter();
    let looks = looks.filter_map(|one| match one {
        Recorded::Provided { look, agreements } => Some((look, agreements)),
        Recorded::Access(_) => None,
    });
    looks.filter(|(look, _)| look.caller == caller).collect()
}

/// What looks say of whom.
fn told_by_looks(looks: &[(Look, Vec<Uuid>)]) -> Told {
    let mut told = Told::new();
    for (look, _) in looks {
        for elder in &look.elders {
            let fields = told.entry(elder.to_string()).or_default();
            fields.extend(look.fields.iter().cloned());
        }
    }
    told
}

/// From the beginning of all feeds.
fn all() -> pb::SubscribeFeedRequest {
    pb::SubscribeFeedRequest {
        start: Some(Start::AfterPosition(Position::new("FEEDS", 0).to_string())),
        ..Default::default()
    }
}

/// All events up to the mark that there are no more.
async fn up_to_the_mark(
    told: &mut tonic::Streaming<pb::SubscribeFeedResponse>,
) -> Result<Vec<pb::FeedEvent>, Status> {
    let mut events = Vec::new();
    loop {
        match told.message().await?.unwrap().what.unwrap() {
            What::Event(event) => events.push(event),
            What::CaughtUp(_) => return Ok(events),
        }
    }
}

/// All events in one page.
async fn page(client: &mut Client) -> Result<Vec<pb::FeedEvent>, Status> {
    let request = pb::QueryFeedRequest {
        page_size: 500,
        ..Default::default()
    };
    let page = client.query_feed(request).await?.into_inner();
    assert!(page.caught_up);
    Ok(page.events)
}

#[tokio::test]
async fn what_is_on_record_of_each_elder_is_what_the_reader_was_told() {
    let ground = Ground::at("2024-03-01 09:10").with_feeds().await;
    let running = ground.start().await;
    let (known, plain) = (ground.known_to_all().await, ground.elder().await);
    let far = ground.elder_in(OTHER_VILLAGE).await;
    let in_county = running
        .agreed(&terms(&[
            grant("elder", &["elder_id"], &["name"]),
            grant("tier", &["tier", "reasons"], &[]),
            grant("visit", &["record_id"], &["remarks"]),
        ]))
        .await;
    let town = pb::AgreementTerms {
        division_codes: vec![TOWN.to_owned()],
        ..terms(&[grant("elder", &["capability"], &[])])
    };
    let in_town = running.agreed(&town).await;
    running.advance("2024-03-01 09:20");
    // In pages, of which each may tell a part of what is told of somebody.
    let events = running.feed(&doctor()).await;
    let looks = looks_of(&ground, "officer:doctor").await;
    let told = told_by(&events);
    assert_eq!(told_by_looks(&looks), told);
    let in_words = |elder: ElderId| told[&elder.to_string()].iter().collect::<Vec<_>>();
    assert_eq!(in_words(far), ["elder.name:masked"]);
    assert_eq!(in_words(plain), ["elder.capability", "elder.name:masked"]);
    assert_eq!(
        in_words(known),
        [
            "elder.capability",
            "elder.name:masked",
            "tier.reasons",
            "visit.remarks:masked"
        ]
    );
    for (look, agreements) in &looks {
        assert_eq!(look.department, "health");
        assert_eq!(look.purpose, "家庭医生签约");
        assert_eq!(look.method, "QueryFeed");
        assert_eq!(look.address, "127.0.0.1");
        assert_eq!(look.at, at("2024-03-01 09:20"));
        // By which agreement which of them was told.
        let by_town = look.fields.iter().any(|field| field == "elder.capability");
        let expected = if by_town { &in_town } else { &in_county };
        let agreements = agreements.iter().map(Uuid::to_string);
        assert_eq!(
            agreements.collect::<Vec<_>>(),
            std::slice::from_ref(expected)
        );
    }
    // What the publisher gave the department stands beside it, of each elder just that too.
    let given = looks_of(&ground, "department:health").await;
    assert_eq!(told_by_looks(&given), told);
    running.stop().await;
}

#[tokio::test]
async fn who_has_read_a_feed_stands_in_the_history_of_the_elder() {
    let ground = Ground::at("2024-03-01 09:10").with_feeds().await;
    let running = ground.start().await;
    let elder = ground.elder().await;
    let agreement = running.agreed(&some_terms()).await;
    let mut client = running.client_of(&doctor());
    page(&mut client).await.unwrap();
    let mut told = client.subscribe_feed(all()).await.unwrap().into_inner();
    up_to_the_mark(&mut told).await.unwrap();
    let looks = running.history(&reader(), looks_at(elder), 0).await;
    let looks = looks.unwrap();
    assert_eq!(
        callers(&looks),
        ["officer:doctor", "officer:doctor", "department:health"]
    );
    let methods = looks.iter().map(|one| one.look.as_ref().unwrap());
    let methods: Vec<&str> = methods.map(|look| look.method.as_str()).collect();
    assert_eq!(methods, ["SubscribeFeed", "QueryFeed", "Feed"]);
    for look in looks {
        assert_eq!(look.kind(), pb::LookKind::Provided);
        assert_eq!(look.agreement_ids, std::slice::from_ref(&agreement));
        assert_eq!(look.look.unwrap().fields, ["elder.name:masked"]);
    }
    running.stop().await;
}

#[tokio::test]
async fn a_subscriber_is_told_nothing_that_is_not_on_record_yet_and_each_new_event_is() {
    let ground = Ground::at("2024-03-01 09:10").with_feeds().await;
    let running = ground.start().await;
    let elder = ground.known_to_all().await;
    let agreement = running.agreed(&granted()).await;
    let mut client = running.client_of(&doctor());
    let mut told = client.subscribe_feed(all()).await.unwrap().into_inner();
    let mut events = Vec::new();
    loop {
        match told.message().await.unwrap().unwrap().what.unwrap() {
            What::Event(event) => events.push(event),
            What::CaughtUp(_) => break,
        }
        let on_record = told_by_looks(&looks_of(&ground, "officer:doctor").await);
        for (elder, fields) in told_by(&events) {
            assert!(fields.is_subset(&on_record[&elder]), "{events:?}");
        }
    }
    let before = looks_of(&ground, "officer:doctor").await.len();
    let visits = ground.visited(elder, &[at("2024-03-01 09:00")]).await;
    let What::Event(event) = told.message().await.unwrap().unwrap().what.unwrap() else {
        panic!("a mark that is not the first one");
    };
    assert_eq!(event.key, visits[0]);
    let looks = looks_of(&ground, "officer:doctor").await;
    assert_eq!(looks.len(), before + 1);
    assert_eq!(looks[before].0.method, "SubscribeFeed");
    assert_eq!(looks[before].0.elders, [elder]);
    assert_eq!(looks[before].0.address, "127.0.0.1");

    // What is told no longer is not on record as told.
    running.suspend_as(&guard(), &agreement).await.unwrap();
    running.settled().await;
    ground.visited(elder, &[at("2024-03-01 09:05")]).await;
    running.settled().await;
    assert_eq!(looks_of(&ground, "officer:doctor").await.len(), before + 1);
    running.stop().await;
}

#[tokio::test]
async fn that_somebody_has_left_or_is_erased_is_on_record_too() {
    let ground = Ground::at("2024-03-01 09:10").with_feeds().await;
    let running = ground.start().await;
    let (erased, moving) = (ground.elder().await, ground.elder().await);
    running.agreed(&some_terms()).await;
    let from = running.end_of_feeds(&doctor()).await;
    let before = looks_of(&ground, "officer:doctor").await.len();
    ground.is_erased(erased).await;
    ground.moves(moving, FAR_VILLAGE, "2024-03-01").await;
    let events = running.feed_from(&doctor(), 100, Some(from)).await;
    assert_eq!(
        sorted_names(&events),
        ["elder ElderErased", "elder ElderWithdrawn"]
    );
    let looks = looks_of(&ground, "officer:doctor").await;
    let expected = [erased, moving].map(|elder| (elder.to_string(), BTreeSet::new()));
    assert_eq!(told_by_looks(&looks[before..]), Told::from(expected));
    running.stop().await;
}

#[tokio::test]
async fn many_messages_leave_few_looks() {
    let ground = Ground::at("2024-03-01 09:10").with_feeds().await;
    let running = ground.start().await;
    for _ in 0..180 {
        ground.elder().await;
    }
    let names = [grant("elder", &["elder_id"], &["name"])];
    running.agreed(&terms(&names)).await;
    let mut client = running.client_of(&doctor());
    let events = page(&mut client).await.unwrap();
    let told = told_by(&events);
    assert_eq!((events.len(), told.len()), (182, 180));
    let looks = looks_of(&ground, "officer:doctor").await;
    assert_eq!((looks.len(), told_by_looks(&looks)), (1, told.clone()));
    // They come to a subscriber as they can be read.
    let mut following = client.subscribe_feed(all()).await.unwrap().into_inner();
    let followed = up_to_the_mark(&mut following).await.unwrap();
    assert_eq!(followed, events);
    let all_looks = looks_of(&ground, "officer:doctor").await;
    let looks = &all_looks[1..];
    assert_eq!(told_by_looks(looks), told);
    assert!(looks.len() <= 18, "{} looks", looks.len());
    running.stop().await;
}

#[tokio::test]
async fn what_the_log_does_not_take_is_not_told() {
    let ground = Ground::at("2024-03-01 09:10").with_feeds().await;
    let running = ground.start().await;
    ground.known_to_all().await;
    running.agreed(&some_terms()).await;
    running.settled().await;
    let mut client = running.client_of(&doctor());
    for (fault, on_record) in [(Fault::BeforeWriting, 0), (Fault::AfterWriting, 1)] {
        ground.memory.fail_next(fault);
        let refused = page(&mut client).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unavailable);
        let looks = looks_of(&ground, "officer:doctor").await;
        assert_eq!(looks.len(), on_record);
    }
    ground.memory.fail_next(Fault::BeforeWriting);
    let mut told = client.subscribe_feed(all()).await.unwrap().into_inner();
    let refused = told.message().await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    assert_eq!(looks_of(&ground, "officer:doctor").await.len(), 1);
    // Afterwards all goes on.
    let events = page(&mut client).await.unwrap();
    let mut told = client.subscribe_feed(all()).await.unwrap().into_inner();
    assert_eq!(up_to_the_mark(&mut told).await.unwrap(), events);
    running.stop().await;
}

/// What becomes of both questions, and of the second one by its first word.
async fn both(running: &Running, caller: &Claims) -> [Result<usize, Status>; 2] {
    let mut client = running.client_of(caller);
    let queried = page(&mut client).await;
    let subscribed = match client.subscribe_feed(all()).await {
        Ok(told) => up_to_the_mark(&mut told.into_inner()).await,
        Err(refused) => Err(refused),
    };
    [
        queried.map(|events| events.len()),
        subscribed.map(|events| events.len()),
    ]
}

#[tokio::test]
async fn who_is_refused_or_told_of_nobody_leaves_no_record() {
    let ground = Ground::at("2024-03-01 09:10").with_feeds().await;
    let running = ground.start().await;
    ground.known_to_all().await;
    running.agreed(&granted()).await;
    let written = ground.written().await;
    let nobody = officer("nobody", "health", COUNTY, &[]);
    for outcome in both(&running, &nobody).await {
        refused(outcome, Code::PermissionDenied, "ACTION_NOT_PERMITTED");
    }
    let silent = Claims::officer("doctor", "health").division(COUNTY);
    for outcome in both(&running, &silent.role("viewer")).await {
        refused(outcome, Code::PermissionDenied, "PURPOSE_REQUIRED");
    }
    for elsewhere in [
        officer("clerk", "finance", COUNTY, &["viewer"]),
        officer("doctor", "health", OTHER_TOWN, &["viewer"]),
    ] {
        for outcome in both(&running, &elsewhere).await {
            assert_eq!(outcome.unwrap(), 0);
        }
    }
    assert_eq!(ground.written().await, written);
    running.stop().await;
}
