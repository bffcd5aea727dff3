//! Feeds over a real server: what comes out, to whom, once, and what is taken back.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_nats::jetstream::message::StreamMessage;
use civic::ElderId;
use eventlog::Position;
use proto::eldercare::sharing::v1 as pb;
use proto::eldercare::sharing::v1::query_feed_request::Start;
use proto::eldercare::sharing::v1::subscribe_feed_response::What;
use readmodel::parked;
use serde_json::Value;
use service::Claims;
use tokio::time::timeout;
use tonic::Code;
use uuid::Uuid;

use super::support::{
    COUNTY, Ground, OTHER_VILLAGE, Running, TOWN, VILLAGE, approver, at, doctor, fields, grant,
    guard, id, keys, looks_by, officer, refused, terms,
};

/// The longest that a test waits for what comes about by itself.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What health is granted: names masked, tiers, when visits were and what they came to.
pub(crate) fn granted() -> pb::AgreementTerms {
    terms(&[
        grant("elder", &["elder_id", "status"], &["name"]),
        grant("tier", &["tier", "since"], &[]),
        grant("visit", &["record_id", "start_time", "result"], &[]),
    ])
}

impl Running {
    /// All that lies on the feeds of a caller's department by now, in its order.
    pub(crate) async fn feed(&self, caller: &Claims) -> Vec<pb::FeedEvent> {
        self.feed_from(caller, 7, None).await
    }

    /// The same from somewhere on, in pages of this size.
    pub(crate) async fn feed_from(
        &self,
        caller: &Claims,
        page_size: i32,
        mut start: Option<Start>,
    ) -> Vec<pb::FeedEvent> {
        self.settled().await;
        let mut client = self.client_of(caller);
        let mut events = Vec::new();
        loop {
            let request = pb::QueryFeedRequest {
                page_size,
                start,
                ..Default::default()
            };
            let page = client.query_feed(request).await.unwrap().into_inner();
            events.extend(page.events);
            if page.caught_up {
                return events;
            }
            start = Some(Start::AfterPosition(page.next_position));
        }
    }

    /// How far the feeds have come.
    pub(crate) async fn end_of_feeds(&self, caller: &Claims) -> Start {
        self.settled().await;
        let request = pb::QueryFeedRequest::default();
        let mut client = self.client_of(caller);
        let mut page = client.query_feed(request).await.unwrap().into_inner();
        while !page.caught_up {
            let request = pb::QueryFeedRequest {
                start: Some(Start::AfterPosition(page.next_position)),
                ..Default::default()
            };
            page = client.query_feed(request).await.unwrap().into_inner();
        }
        Start::AfterPosition(page.next_position)
    }
}

/// `product Event` of each event.
pub(crate) fn named(events: &[pb::FeedEvent]) -> Vec<String> {
    let events = events.iter();
    events
        .map(|one| format!("{} {}", one.product, one.event))
        .collect()
}

fn of_event(one: &pb::FeedEvent) -> Value {
    let document = pb::Document {
        fields: one.fields.clone(),
        ..Default::default()
    };
    fields(&document)
}

/// What somebody holds who did all that the events say: documents by product and key, each with its elder.
pub(crate) fn held(events: &[pb::FeedEvent]) -> BTreeMap<(String, String), (String, Value)> {
    let mut held: BTreeMap<(String, String), (String, Value)> = BTreeMap::new();
    for one in events {
        match one.event.as_str() {
            "FeedBegun" | "FeedEnded" => held.retain(|(product, _), _| *product != one.product),
            "ElderWithdrawn" | "ElderErased" if one.source == "/eldercare/sharing" => {
                held.retain(|(product, _), (elder, _)| {
                    *product != one.product || *elder != one.elder_id
                });
            }
            "FeedCaughtUp" => {}
            _ => {
                let key = (one.product.clone(), one.key.clone());
                match one.fields {
                    Some(_) => held.insert(key, (one.elder_id.clone(), of_event(one))),
                    None => held.remove(&key),
                };
            }
        }
    }
    held
}

#[tokio::test]
async fn a_feed_begins_with_what_there_is_and_goes_on_with_what_happens() {
    let ground = Ground::at("2024-03-01 09:10").with_feeds().await;
    let running = ground.start().await;
    let elder = ground.known_to_all().await;
    let elsewhere = ground.elder_in("350525100001").await;
    running.agreed(&granted()).await;
    let begun = running.feed(&doctor()).await;
    let mut names = named(&begun);
    names.sort();
    assert_eq!(
        names,
        [
            "elder DocumentShared",
            "elder FeedBegun",
            "elder FeedCaughtUp",
            "tier DocumentShared",
            "tier FeedBegun",
            "tier FeedCaughtUp",
            "visit DocumentShared",
            "visit FeedBegun",
            "visit FeedCaughtUp",
        ]
    );
    assert!(begun.iter().all(|one| one.division_code == COUNTY));
    let shared = begun
        .iter()
        .find(|one| one.product == "elder" && one.event == "DocumentShared");
    let shared = shared.unwrap();
    assert_eq!(shared.masked, ["name"]);
    let expected = serde_json::json!({
        "elder_id": elder.to_string(), "status": "ACTIVE", "name": "王**",
    });
    assert_eq!(of_event(shared), expected);

    let from = running.end_of_feeds(&doctor()).await;
    let visit = ground.visited(elder, &[at("2024-03-01 09:00")]).await;
    ground.visited(elsewhere, &[at("2024-03-01 09:00")]).await;
    ground.alerted(elder, "2024-03-01 09:05").await;
    let changed = ground.tiered(elder, "GENERAL", "2024-03-01").await;
    let after = running.feed_from(&doctor(), 100, Some(from)).await;
    let mut names = named(&after);
    names.sort();
    assert_eq!(names, ["tier TierAssigned", "visit VisitRecorded"]);
    let recorded = after.iter().find(|one| one.product == "visit").unwrap();
    assert_eq!(recorded.key, visit[0]);
    assert_eq!(recorded.elder_id, elder.to_string());
    assert_eq!(recorded.source, "/eldercare/visits");
    let expected = serde_json::json!({
        "record_id": visit[0], "start_time": "2024-03-01T09:00:00+08:00", "result": "MET",
    });
    assert_eq!(of_event(recorded), expected);
    let tier = after.iter().find(|one| one.product == "tier").unwrap();
    assert_eq!(tier.source_position, changed);
    assert_eq!(of_event(tier)["tier"], "GENERAL");
    running.stop().await;
}

#[tokio::test]
async fn what_a_feed_bears_is_on_record_before() {
    let ground = Ground::at("2024-03-01 09:10").with_feeds().await;
    let running = ground.start().await;
    let elder = ground.known_to_all().await;
    let agreement = running.agreed(&granted()).await;
    let supervisor = officer("chief", "civil_affairs", "*", &["supervisor"]);
    let looks = running
        .history(&supervisor, looks_by("department:health"), 0)
        .await
        .unwrap();
    let told: Vec<_> = looks.iter().map(|one| one.look.clone().unwrap()).collect();
    assert!(!told.is_empty());
    for (look, recorded) in told.iter().zip(&looks) {
        assert_eq!(look.elder_ids, [elder.to_string()]);
        assert_eq!(look.purpose, "家庭医生签约");
        assert_eq!(look.method, "Feed");
        assert_eq!(recorded.agreement_ids, std::slice::from_ref(&agreement));
    }
    let fields: BTreeSet<&String> = told.iter().flat_map(|look| &look.fields).collect();
    assert_eq!(
        fields.into_iter().collect::<Vec<_>>(),
        ["elder.name:masked"]
    );
    running.stop().await;
}

#[tokio::test]
async fn who_moves_in_is_told_of_and_who_moves_out_is_withdrawn() {
    let ground = Ground::at("2024-03-01 09:10").with_feeds().await;
    let running = ground.start().await;
    let inside = ground.known_to_all().await;
    let outside = ground.elder_in(OTHER_VILLAGE).await;
    let visits = ground.visited(outside, &[at("2024-02-01 09:00")]).await;
    let town = pb::AgreementTerms {
        division_codes: vec![TOWN.to_owned()],
        ..granted()
    };
    running.agreed(&town).await;
    let from = running.end_of_feeds(&doctor()).await;
    ground.moves(inside, OTHER_VILLAGE, "2024-03-01").await;
    ground.moves(outside, VILLAGE, "2024-03-01").await;
    // From tomorrow on.
    ground.moves(inside, VILLAGE, "2024-03-02").await;
    let moved = running.feed_from(&doctor(), 100, Some(from.clone())).await;
    let left: BTreeSet<String> = moved
        .iter()
        .filter(|one| one.event == "ElderWithdrawn")
        .map(|one| one.product.clone())
        .collect();
    assert_eq!(left.len(), 3, "{moved:?}");
    let all = running.feed(&doctor()).await;
    let keys: Vec<(String, String)> = held(&all).into_keys().collect();
    let expected = [
        ("elder".to_owned(), outside.to_string()),
        ("visit".to_owned(), visits[0].clone()),
    ];
    assert_eq!(keys, expected);

    running.advance("2024-03-02 00:00");
    let all = running.feed(&doctor()).await;
    let back: Vec<_> = held(&all)
        .into_iter()
        .filter(|(_, (elder, _))| *elder == inside.to_string())
        .map(|((product, _), _)| product)
        .collect();
    assert_eq!(back, ["elder", "tier", "visit"]);
    running.stop().await;
}

#[tokio::test]
async fn an_agreement_that_is_suspended_takes_its_feeds_back_and_they_begin_anew_after_it() {
    let ground = Ground::at("2024-03-01 09:10").with_feeds().await;
    let running = ground.start().await;
    let elder = ground.known_to_all().await;
    let agreement = running.agreed(&granted()).await;
    assert!(!held(&running.feed(&doctor()).await).is_empty());
    running.suspend_as(&guard(), &agreement).await.unwrap();
    assert_eq!(named(&running.feed(&doctor()).await), [""; 0]);
    ground.visited(elder, &[at("2024-03-01 09:00")]).await;
    // Nothing that was told lies in the stream any more, and nothing new has come there.
    let lying: Vec<String> = lying(&ground)
        .await
        .iter()
        .map(|message| message.subject.to_string())
        .filter(|subject| subject.starts_with("feed."))
        .collect();
    assert!(
        lying.iter().all(|subject| subject.ends_with(".FeedEnded")),
        "{lying:?}"
    );
    running.approve_as(&approver(), &agreement).await.unwrap();
    let anew = running.feed(&doctor()).await;
    assert_eq!(held(&anew).len(), 4, "{anew:?}");
    assert!(named(&anew).contains(&"visit FeedBegun".to_owned()));
    running.stop().await;
}

#[tokio::test]
async fn less_that_is_granted_is_told_anew_and_more_is_told_beside() {
    let ground = Ground::at("2024-03-01 09:10").with_feeds().await;
    let running = ground.start().await;
    ground.known_to_all().await;
    running.agreed(&granted()).await;
    let more = terms(&[grant("elder", &["name", "sex"], &[])]);
    let more = running.agreed(&more).await;
    let told = held(&running.feed(&doctor()).await);
    let elder = told.iter().find(|((product, _), _)| product == "elder");
    let (_, (_, document)) = elder.unwrap();
    assert_eq!(document["name"], "王秀英");
    assert_eq!(document["sex"], "FEMALE");
    running.end_as(&guard(), &more).await.unwrap();
    let left = running.feed(&doctor()).await;
    let documents = left.iter().filter(|one| one.fields.is_some());
    for document in documents.filter(|one| one.product == "elder") {
        assert_eq!(of_event(document)["name"], "王**");
    }
    running.stop().await;
}

#[tokio::test]
async fn an_erased_elder_is_taken_out_of_the_feeds_and_each_department_confirms() {
    let ground = Ground::at("2024-03-01 09:10").with_feeds().await;
    let running = ground.start().await;
    let elder = ground.known_to_all().await;
    let other = ground.known_to_all().await;
    running.agreed(&granted()).await;
    ground.visited(elder, &[at("2024-03-01 09:00")]).await;
    assert_eq!(held(&running.feed(&doctor()).await).len(), 7);
    ground.is_erased(elder).await;
    let after = running.feed(&doctor()).await;
    let of_elder: Vec<pb::FeedEvent> = after
        .iter()
        .filter(|one| one.elder_id == elder.to_string())
        .cloned()
        .collect();
    let mut names = named(&of_elder);
    names.sort();
    assert_eq!(
        names,
        ["elder ElderErased", "tier ElderErased", "visit ElderErased"]
    );
    let held = held(&after);
    assert!(held.values().all(|(one, _)| *one == other.to_string()));
    assert_eq!(held.len(), 3);

    let outstanding = pb::ListErasuresRequest {
        outstanding: true,
        ..Default::default()
    };
    let mut client = running.client_of(&doctor());
    let listed = client.list_erasures(outstanding.clone()).await.unwrap();
    let receipts = listed.into_inner().receipts;
    assert_eq!(receipts.len(), 1);
    assert_eq!(receipts[0].elder_id, elder.to_string());
    assert_eq!(receipts[0].department, "health");
    assert!(receipts[0].confirmed_at.is_none());
    let confirm = |elder: ElderId| pb::ConfirmErasureRequest {
        request_id: id(),
        elder_id: elder.to_string(),
    };
    let privacy = officer("privacy", "health", COUNTY, &["privacy_officer"]);
    let mut privacy = running.client_of(&privacy);
    let nobody = privacy.confirm_erasure(confirm(other)).await;
    refused(nobody, Code::NotFound, "ERASURE_NOT_FOUND");
    let finance = officer("head", "finance", COUNTY, &["supervisor"]);
    let mut finance = running.client_of(&finance);
    let not_asked = finance.confirm_erasure(confirm(elder)).await;
    refused(not_asked, Code::NotFound, "ERASURE_NOT_FOUND");
    privacy.confirm_erasure(confirm(elder)).await.unwrap();
    let again = privacy.confirm_erasure(confirm(elder)).await;
    refused(again, Code::FailedPrecondition, "ALREADY_CONFIRMED");
    running.settled().await;
    let listed = client.list_erasures(outstanding).await.unwrap();
    assert_eq!(listed.into_inner().receipts, []);
    let all = client.list_erasures(pb::ListErasuresRequest::default());
    let receipts = all.await.unwrap().into_inner().receipts;
    assert_eq!(receipts[0].confirmed_by, "officer:privacy");
    running.stop().await;
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
async fn what_a_department_holds_by_its_feeds_is_what_its_dossiers_tell() {
    let ground = Ground::at("2024-03-01 09:10").with_feeds().await;
    let running = ground.start().await;
    let mut elders = vec![ground.known_to_all().await];
    running.agreed(&granted()).await;
    for (number, village) in [VILLAGE, OTHER_VILLAGE, "350525100001", VILLAGE]
        .into_iter()
        .enumerate()
    {
        let elder = ground.elder_in(village).await;
        ground.tiered(elder, "GENERAL", "2024-02-01").await;
        if number % 2 == 0 {
            ground
                .visited(elder, &[at("2024-02-20 09:00"), at("2024-02-21 09:00")])
                .await;
        }
        elders.push(elder);
    }
    ground.moves(elders[1], "350525100001", "2024-02-28").await;
    ground.moves(elders[3], OTHER_VILLAGE, "2024-02-28").await;
    ground.is_erased(elders[4]).await;
    let held = held(&running.feed(&doctor()).await);
    for elder in elders {
        let by_feed: BTreeMap<(String, String), Value> = held
            .iter()
            .filter(|(_, (one, _))| *one == elder.to_string())
            .map(|(key, (_, document))| (key.clone(), document.clone()))
            .collect();
        let dossier = running.dossier(&doctor(), elder).await;
        let by_dossier: BTreeMap<(String, String), Value> = match &dossier {
            Ok(dossier) => {
                let documents = dossier.documents.iter();
                documents
                    .map(|one| ((one.product.clone(), one.key.clone()), fields(one)))
                    .collect()
            }
            Err(_nobody) => BTreeMap::new(),
        };
        assert_eq!(by_feed, by_dossier);
        if let Ok(dossier) = dossier {
            assert_eq!(keys(&dossier, "elder"), [elder.to_string()]);
        }
    }
    running.stop().await;
}

#[tokio::test]
async fn a_subscriber_is_told_what_there_is_then_a_mark_then_what_happens() {
    let ground = Ground::at("2024-03-01 09:10").with_feeds().await;
    let running = ground.start().await;
    let elder = ground.known_to_all().await;
    running.agreed(&granted()).await;
    let mut client = running.client_of(&doctor());
    let request = pb::SubscribeFeedRequest {
        product: "visit".to_owned(),
        start: Some(
            proto::eldercare::sharing::v1::subscribe_feed_request::Start::AfterPosition(
                Position::new("FEEDS", 0).to_string(),
            ),
        ),
        ..Default::default()
    };
    let told = client.subscribe_feed(request).await.unwrap();
    let mut told = told.into_inner();
    let mut names = Vec::new();
    loop {
        match told.message().await.unwrap().unwrap().what.unwrap() {
            What::Event(event) => names.push(event.event),
            What::CaughtUp(position) => {
                assert!(position.starts_with("FEEDS:"));
                break;
            }
        }
    }
    assert_eq!(names, ["FeedBegun", "DocumentShared", "FeedCaughtUp"]);
    let visits = ground.visited(elder, &[at("2024-03-01 09:00")]).await;
    let next = told.message().await.unwrap().unwrap().what.unwrap();
    let What::Event(event) = next else {
        panic!("a mark that is not the first one");
    };
    assert_eq!(
        (event.event.as_str(), &event.key),
        ("VisitRecorded", &visits[0])
    );
    running.stop().await;
}

#[tokio::test]
async fn nobody_reads_feeds_of_another_department_or_of_divisions_beyond_their_own() {
    let ground = Ground::at("2024-03-01 09:10").with_feeds().await;
    let running = ground.start().await;
    ground.known_to_all().await;
    running.agreed(&granted()).await;
    for stranger in [
        officer("clerk", "finance", COUNTY, &["viewer"]).purpose("test"),
        officer("doctor", "health", TOWN, &["viewer"]).purpose("test"),
        officer("doctor", "health", "350525", &["viewer"]).purpose("test"),
    ] {
        assert_eq!(running.feed(&stranger).await, []);
    }
    assert!(!running.feed(&doctor()).await.is_empty());
    running.stop().await;
}

#[tokio::test]
async fn a_feed_that_told_nothing_of_an_elder_tells_of_no_end_either() {
    let ground = Ground::at("2024-03-01 09:10").with_feeds().await;
    let running = ground.start().await;
    // Nobody but the registry knows anything of them.
    let (erased, moving) = (ground.elder().await, ground.elder().await);
    running.agreed(&granted()).await;
    let from = running.end_of_feeds(&doctor()).await;
    ground.is_erased(erased).await;
    ground.moves(moving, "350525100001", "2024-03-01").await;
    let after = running.feed_from(&doctor(), 100, Some(from)).await;
    let mut names = named(&after);
    names.sort();
    assert_eq!(names, ["elder ElderErased", "elder ElderWithdrawn"]);
    // Who comes back with something is told of, also where there was nothing to tell before.
    let from = running.end_of_feeds(&doctor()).await;
    ground.visited(moving, &[at("2024-03-01 09:00")]).await;
    // Of the visit nothing is told while the elder lives elsewhere.
    running.settled().await;
    ground.moves(moving, VILLAGE, "2024-03-01").await;
    let after = running.feed_from(&doctor(), 100, Some(from)).await;
    let mut names = named(&after);
    names.sort();
    assert_eq!(names, ["elder DocumentShared", "visit DocumentShared"]);
    running.stop().await;
}

#[tokio::test]
async fn rows_that_cannot_be_read_are_passed_by_and_made_up_for_once_they_can_be() {
    let ground = Ground::at("2024-03-01 09:10").with_feeds().await;
    let running = ground.start().await;
    let (unknown, known) = (ground.known_to_all().await, ground.known_to_all().await);
    let visits = ground.visited(known, &[at("2024-02-20 09:00")]).await;
    running.settled().await;
    let pool = running.app.pool();
    let (person, visit): (Uuid, Uuid) = (unknown.as_uuid(), visits[0].parse().unwrap());
    let facts: Vec<u8> =
        sqlx::query_scalar("SELECT facts FROM sharing_elders.elder WHERE elder_id = $1")
            .bind(person)
            .fetch_one(&pool)
            .await
            .unwrap();
    let write_facts = async |facts: &[u8]| {
        sqlx::query("UPDATE sharing_elders.elder SET facts = $2 WHERE elder_id = $1")
            .bind(person)
            .bind(facts.to_vec())
            .execute(&pool)
            .await
            .unwrap();
    };
    let write_mode = async |mode: i32| {
        sqlx::query("UPDATE sharing_visits.record SET mode = $2 WHERE record_id = $1")
            .bind(visit)
            .bind(mode)
            .execute(&pool)
            .await
            .unwrap();
    };
    write_facts([0xff].as_slice()).await;
    write_mode(99).await;

    let agreed = timeout(PATIENCE, running.agreed(&granted())).await;
    agreed.expect("the rest is told");
    ground.visited(unknown, &[at("2024-03-01 09:00")]).await;
    let other = ground.visited(known, &[at("2024-03-01 09:00")]).await;
    let told = running.feed(&doctor()).await;
    assert!(told.iter().any(|one| one.key == other[0]), "{told:?}");
    let of_whom: BTreeSet<String> = held(&told).into_values().map(|(elder, _)| elder).collect();
    assert_eq!(of_whom, BTreeSet::from([known.to_string()]));
    // The file, the tier and two of three visits.
    assert_eq!(held(&told).len(), 4);
    let parked = parked::list(&pool, Some("sharing_feeds"), 0, 10).await;
    let parked = parked.unwrap();
    let rows: BTreeSet<&str> = parked.iter().map(|one| one.event_type.as_str()).collect();
    let (file, record) = (format!("elder {person}"), format!("visit {visit}"));
    assert_eq!(rows, BTreeSet::from([file.as_str(), record.as_str()]));
    assert!(parked.iter().all(|one| one.payload.is_empty()));

    write_facts(facts.as_slice()).await;
    write_mode(0).await;
    running.advance("2024-03-02 00:00");
    let held = held(&running.feed(&doctor()).await);
    let of = |elder: ElderId| {
        let documents = held.values();
        documents
            .filter(|(one, _)| *one == elder.to_string())
            .count()
    };
    // The file, the tier and all visits, also the one that was recorded meanwhile.
    assert_eq!((of(unknown), of(known)), (4, 5));
    let left = parked::count(&pool, Some("sharing_feeds")).await;
    assert_eq!(left.unwrap(), 0);
    running.stop().await;
}

/// All messages that lie in the stream, in their order.
pub(crate) async fn lying(ground: &Ground) -> Vec<StreamMessage> {
    let context = async_nats::jetstream::new(ground.nats().await);
    let stream = context.get_stream("FEEDS").await.unwrap();
    let info = stream.get_info().await.unwrap();
    let mut messages = Vec::new();
    for sequence in info.state.first_sequence..=info.state.last_sequence {
        // Some are taken away.
        messages.extend(stream.get_raw_message(sequence).await.ok());
    }
    messages
}
