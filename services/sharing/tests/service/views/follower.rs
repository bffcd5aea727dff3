//! A department that follows its feeds over NATS, and does what they say.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;

use async_nats::jetstream::consumer::{DeliverPolicy, pull};
use async_nats::jetstream::{self, Message};
use futures::StreamExt as _;
use serde_json::{Map, Value};

use super::agreed::Feed;
use super::left::Left;
use super::truth::in_order;

/// A document that somebody holds, with whom it is about.
type Held = (String, Left);

/// A department, and what it holds.
pub(super) struct Follower {
    department: &'static str,
    /// Up to where it has read.
    read: u64,
    held: BTreeMap<Feed, BTreeMap<String, Held>>,
}

impl Follower {
    /// A department that holds nothing yet.
    pub(super) fn of(department: &'static str) -> Self {
        Self {
            department,
            read: 0,
            held: BTreeMap::new(),
        }
    }

    /// Reads on to where its feeds have come.
    pub(super) async fn reads_on(&mut self, server: &async_nats::Client) {
        let context = jetstream::new(server.clone());
        let stream = context.get_stream("FEEDS").await.unwrap();
        let from_there = pull::OrderedConfig {
            filter_subject: format!("feed.{}.>", self.department),
            deliver_policy: DeliverPolicy::ByStartSequence {
                start_sequence: self.read + 1,
            },
            ..Default::default()
        };
        let mut consumer = stream.create_consumer(from_there).await.unwrap();
        let waiting = consumer.info().await.unwrap().num_pending;
        let waiting = usize::try_from(waiting).unwrap();
        let messages = consumer.messages().await.unwrap();
        let mut messages = pin!(messages.take(waiting));
        while let Some(message) = messages.next().await {
            self.hears(&message.unwrap());
        }
    }

    fn hears(&mut self, message: &Message) {
        let sequence = message.info().unwrap().stream_sequence;
        assert!(sequence > self.read, "{sequence} after {}", self.read);
        self.read = sequence;
        let tokens: Vec<&str> = message.subject.split('.').collect();
        let [_feed, _department, product, division, event] = tokens[..] else {
            panic!("{} names no feed", message.subject);
        };
        let feed = (product.to_owned(), division.to_owned());
        let header = |name: &str| {
            let headers = message.headers.as_ref().unwrap();
            let value = headers.get(name).map(|value| value.as_str().to_owned());
            value.unwrap_or_default()
        };
        let held = self.held.entry(feed).or_default();
        match event {
            "FeedBegun" | "FeedEnded" => held.clear(),
            "FeedCaughtUp" => {}
            "ElderWithdrawn" | "ElderErased" => {
                let gone = header("ce-elderid");
                held.retain(|_, (elder, _)| *elder != gone);
            }
            _ if message.payload.is_empty() => {
                held.remove(&header("ce-subject"));
            }
            _ => {
                let fields: Map<String, Value> = serde_json::from_slice(&message.payload).unwrap();
                let masked = header("ce-masked");
                let masked = masked.split(',').filter(|field| !field.is_empty());
                let left = Left {
                    fields: in_order(fields),
                    masked: masked.map(str::to_owned).collect::<BTreeSet<_>>(),
                };
                held.insert(header("ce-subject"), (header("ce-elderid"), left));
            }
        }
    }

    /// What it holds by each feed that told of something.
    pub(super) fn holds(&self) -> BTreeMap<Feed, BTreeMap<String, Held>> {
        let feeds = self.held.iter().filter(|(_, held)| !held.is_empty());
        feeds
            .map(|(feed, held)| (feed.clone(), held.clone()))
            .collect()
    }
}
