//! Feeds in a test: what lies on them, and what somebody holds who did all that they say.

use std::collections::BTreeMap;
use std::time::Duration;

use async_nats::jetstream::message::StreamMessage;
use civic::ElderId;
use proto::eldercare::sharing::v1 as pb;
use proto::eldercare::sharing::v1::query_feed_request::Start;
use serde_json::Value;
use service::Claims;

use super::{Ground, Running, fields, grant, terms};

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

/// `product Event` of each event, sorted.
pub(crate) fn sorted_names(events: &[pb::FeedEvent]) -> Vec<String> {
    let mut names = named(events);
    names.sort();
    names
}

/// The same of what tells of an elder.
pub(crate) fn of_elder(events: &[pb::FeedEvent], elder: ElderId) -> Vec<String> {
    let events = events
        .iter()
        .filter(|one| one.elder_id == elder.to_string());
    sorted_names(&events.cloned().collect::<Vec<_>>())
}

/// The document that an event bears.
pub(crate) fn of_event(one: &pb::FeedEvent) -> Value {
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
