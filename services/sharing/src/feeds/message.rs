//! What a feed bears: CloudEvents in binary mode, as the document `proto/feeds.asyncapi.yaml` describes them.

use async_nats::HeaderMap;
use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use civic::ElderId;
use eventlog::{Position, Record};
use serde_json::json;
use uuid::Uuid;

use super::standing::{Feed, Fields, Granted};
use crate::cut::CutDocument;

/// What a feed says by itself, beside what happened in the services.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Own {
    /// It is told anew: whoever reads it forgets what was told by it before.
    Begun,
    /// A document that was there before.
    Shared,
    /// All that was there when it began is told.
    CaughtUp,
    /// An elder lives in the division no longer: the elder's documents of the product are to be forgotten.
    Withdrawn,
    /// An elder is erased: the elder's documents are to be erased, and that is to be confirmed.
    Erased,
    /// Nothing is told by it any more.
    Ended,
}

impl Own {
    const ALL: [Self; 6] = [
        Self::Begun,
        Self::Shared,
        Self::CaughtUp,
        Self::Withdrawn,
        Self::Erased,
        Self::Ended,
    ];

    /// The name in subjects.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Begun => "FeedBegun",
            Self::Shared => "DocumentShared",
            Self::CaughtUp => "FeedCaughtUp",
            Self::Withdrawn => "ElderWithdrawn",
            Self::Erased => "ElderErased",
            Self::Ended => "FeedEnded",
        }
    }

    /// The one of that name; none where it is an event of a service.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|own| own.name() == name)
    }
}

/// The headers, beside those of CloudEvents that every consumer knows.
pub(crate) mod header {
    /// The event's id.
    pub(crate) const ID: &str = "ce-id";
    /// Where it happened.
    pub(crate) const SOURCE: &str = "ce-source";
    /// When.
    pub(crate) const TIME: &str = "ce-time";
    /// The document's key.
    pub(crate) const SUBJECT: &str = "ce-subject";
    /// The elder.
    pub(crate) const ELDER: &str = "ce-elderid";
    /// Where the source event stands.
    pub(crate) const POSITION: &str = "ce-position";
    /// The masked fields.
    pub(crate) const MASKED: &str = "ce-masked";
}

/// The versions of attributes that all messages have.
const SPEC_VERSION: &str = "1.0";
const JSON: &str = "application/json";
/// Where a feed's own events happen.
const OURSELVES: &str = "/eldercare/sharing";
/// What the types of a feed's own events begin with.
const OWN_TYPES: &str = "eldercare.sharing.v1.feed";

/// A message of a feed, ready to be published.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    /// The feed.
    pub(crate) feed: Feed,
    /// The event, as the subject ends with it.
    pub(crate) event: String,
    /// Whom it is about.
    pub(crate) elder: Option<ElderId>,
    /// Which personal fields it tells, as looks name them.
    pub(crate) told: Vec<String>,
    /// As it goes over the wire.
    pub(crate) headers: HeaderMap,
    /// The document, or nothing.
    pub(crate) body: Bytes,
}

/// A message of a feed as it lies in the stream.
#[derive(Clone, Debug)]
pub(crate) struct Lying {
    /// Its sequence.
    pub(crate) sequence: u64,
    /// The feed.
    pub(crate) feed: Feed,
    /// The event.
    pub(crate) event: String,
    /// Its headers.
    pub(crate) headers: HeaderMap,
    /// Its body.
    pub(crate) body: Bytes,
}

/// What a feed's `FeedBegun` says.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct BegunBody {
    /// The fields that it tells.
    pub(crate) fields: Fields,
    /// By which agreements.
    pub(crate) agreement_ids: Vec<Uuid>,
    /// Whether what lay there before may stay no longer.
    #[serde(default)]
    pub(crate) narrowed: bool,
}

/// An event of a service, as a feed tells of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source<'a> {
    /// The log.
    pub(crate) stream: &'a str,
    /// The record.
    pub(crate) record: &'a Record,
    /// The event's place in it.
    pub(crate) event: usize,
}

impl Message {
    /// That an event of a service changed a document; without one, that there is none any more.
    ///
    /// None where the event's place lies outside the record.
    pub(crate) fn of_source(
        feed: &Feed,
        source: Source<'_>,
        key: Uuid,
        elder: ElderId,
        document: Option<&CutDocument>,
    ) -> Option<Self> {
        let Source {
            stream,
            record,
            event,
        } = source;
        let event_type = &record.events.get(event)?.event_type;
        let name = event_type.rsplit('.').next()?;
        let product = feed.product.name();
        let metadata = &record.metadata;
        let mut headers = headers(
            feed,
            &format!("{}/{event}/{product}/{key}", metadata.id),
            &format!("/eldercare/{}", record.subject.context()),
            event_type,
            metadata.time,
        );
        headers.insert(header::SUBJECT, key.to_string());
        headers.insert(header::ELDER, elder.to_string());
        let position = Position::new(stream, record.sequence);
        headers.insert(header::POSITION, position.to_string());
        if let Some(traceparent) = &metadata.traceparent {
            headers.insert("traceparent", traceparent.as_str());
        }
        Some(Self::with(feed, name, Some(elder), headers, document))
    }

    /// A document that was there before.
    pub(crate) fn shared(feed: &Feed, document: &CutDocument, now: DateTime<Utc>) -> Self {
        let mut headers = own_headers(feed, Own::Shared, now);
        headers.insert(header::SUBJECT, document.key.as_str());
        headers.insert(header::ELDER, document.elder.to_string());
        let name = Own::Shared.name();
        Self::with(feed, name, Some(document.elder), headers, Some(document))
    }

    /// That the feed is told anew, and what of.
    pub(crate) fn begun(
        feed: &Feed,
        granted: &Granted,
        narrowed: bool,
        now: DateTime<Utc>,
    ) -> Self {
        let body = json!(BegunBody {
            fields: granted.fields(feed.product),
            agreement_ids: granted.agreements.iter().copied().collect(),
            narrowed,
        });
        Self {
            body: body.to_string().into(),
            ..Self::own(feed, Own::Begun, None, now)
        }
    }

    /// Something else that a feed says by itself.
    pub(crate) fn own(feed: &Feed, own: Own, elder: Option<ElderId>, now: DateTime<Utc>) -> Self {
        let mut headers = own_headers(feed, own, now);
        if let Some(elder) = elder {
            headers.insert(header::ELDER, elder.to_string());
        }
        Self::with(feed, own.name(), elder, headers, None)
    }

    fn with(
        feed: &Feed,
        event: &str,
        elder: Option<ElderId>,
        mut headers: HeaderMap,
        document: Option<&CutDocument>,
    ) -> Self {
        let mut body = Bytes::new();
        let mut told = Vec::new();
        if let Some(document) = document {
            // A map of JSON values is always written.
            body = serde_json::to_vec(&document.fields)
                .unwrap_or_default()
                .into();
            told.clone_from(&document.told);
            if !document.masked.is_empty() {
                headers.insert(header::MASKED, document.masked.join(","));
            }
        }
        Self {
            feed: feed.clone(),
            event: event.to_owned(),
            elder,
            told,
            headers,
            body,
        }
    }

    /// The subject.
    pub(crate) fn subject(&self) -> String {
        self.feed.subject(&self.event)
    }

    /// What the feed says with it by itself; none where it is an event of a service.
    pub(crate) fn says(&self) -> Option<Own> {
        own(&self.event, &self.headers)
    }

    /// The key of the document; none where it bears none.
    pub(crate) fn key(&self) -> Option<Uuid> {
        value(&self.headers, header::SUBJECT).parse().ok()
    }

    /// The same as it lies in the stream.
    pub(crate) fn at(self, sequence: u64) -> Lying {
        Lying {
            sequence,
            feed: self.feed,
            event: self.event,
            headers: self.headers,
            body: self.body,
        }
    }
}

impl Lying {
    /// What a header says; nothing where it is missing.
    pub(crate) fn header(&self, name: &str) -> &str {
        value(&self.headers, name)
    }

    /// What the feed says with it by itself; none where it is an event of a service.
    pub(crate) fn says(&self) -> Option<Own> {
        own(&self.event, &self.headers)
    }

    /// Whom it is about.
    pub(crate) fn elder(&self) -> Option<ElderId> {
        self.header(header::ELDER).parse().ok()
    }
}

fn value<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).map_or("", |value| value.as_str())
}

/// An event of a service may have the same name.
fn own(event: &str, headers: &HeaderMap) -> Option<Own> {
    Own::parse(event).filter(|_| value(headers, header::SOURCE) == OURSELVES)
}

fn own_headers(feed: &Feed, own: Own, now: DateTime<Utc>) -> HeaderMap {
    let id = Uuid::now_v7().to_string();
    let event_type = format!("{OWN_TYPES}.{}", own.name());
    headers(feed, &id, OURSELVES, &event_type, now)
}

fn headers(
    feed: &Feed,
    id: &str,
    source: &str,
    event_type: &str,
    time: DateTime<Utc>,
) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("ce-specversion", SPEC_VERSION);
    headers.insert(header::ID, id);
    headers.insert(header::SOURCE, source);
    headers.insert("ce-type", event_type);
    headers.insert(
        header::TIME,
        time.to_rfc3339_opts(SecondsFormat::Micros, true),
    );
    headers.insert("ce-product", feed.product.name());
    headers.insert("ce-division", feed.division.as_str());
    headers.insert("content-type", JSON);
    headers
}
