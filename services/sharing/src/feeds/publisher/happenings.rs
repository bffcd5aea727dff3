//! What records of logs lead to: an event on each feed that covers its elder and may hear of it, and tombstones.

use std::collections::{BTreeMap, BTreeSet};

use civic::ElderId;
use eventlog::Record;
use prost::Name as _;
use proto::eldercare::registry::v1 as registry;
use readmodel::ReaderFailed;
use uuid::Uuid;

use super::super::changes::changes;
use super::super::documents::{self, Known};
use super::super::message::{Message, Own, Source};
use super::super::shown::Shown;
use super::super::standing::{Feed, Standing};
use super::comparison::{covering, known, left};
use super::outgoing::Unit;
use super::{Publisher, Turn, Waiting};
use crate::document::Document;
use crate::elders_table;
use crate::products::ProductName;

/// What happened to one document, as a record of a log tells it.
struct Happening<'a> {
    /// The log, by its place among all.
    log: usize,
    source: Source<'a>,
    /// Which document of the record it is, from 1 on.
    nth: u64,
    product: ProductName,
    key: Uuid,
    elder: ElderId,
    shown: Shown,
}

impl Publisher {
    /// What records lead to, in their order.
    pub(super) async fn what_follows(
        &self,
        turn: &mut Turn,
        waiting: &[Waiting],
    ) -> Result<Vec<Unit>, ReaderFailed> {
        let happenings = self.happenings(turn, waiting).await?;
        let mut units = Vec::new();
        let mut elders: BTreeSet<ElderId> = happenings.iter().map(|one| one.elder).collect();
        for (elder, record) in waiting.iter().filter_map(erased) {
            elders.remove(&elder);
            units.extend(self.tombstones(turn, elder, record).await?);
        }
        if elders.is_empty() {
            return Ok(units);
        }
        let ids: Vec<ElderId> = elders.iter().copied().collect();
        let facts = elders_table::facts_of_all(&self.sharing.pool, &ids).await?;
        let mut known = known(turn, facts);
        self.unseal(&turn.standing, &mut known).await?;
        // What is about to be told as what happened need not be told as what was there.
        let happened = Happened::of(&happenings);
        units.extend(self.compare(turn, &elders, &known, &happened).await?);
        units.extend(self.events(turn, &happenings, &known).await?);
        Ok(units)
    }

    /// What happened to documents, in the order of the records; nothing where nobody listens.
    async fn happenings<'a>(
        &'a self,
        turn: &Turn,
        waiting: &'a [Waiting],
    ) -> Result<Vec<Happening<'a>>, ReaderFailed> {
        if turn.index.feeds.values().all(|kept| kept.ended) {
            return Ok(vec![]);
        }
        let logs = self.sharing.logs.all();
        let (mut all, mut of) = (Vec::new(), Vec::new());
        for one in waiting {
            let Some(record) = &one.record else { continue };
            for change in changes(logs[one.log].stream(), record) {
                of.push((one.log, record));
                all.push(change);
            }
        }
        let resolved = documents::resolve(&self.sharing.pool, &all).await?;
        let mut happenings: Vec<Happening<'a>> = Vec::with_capacity(resolved.len());
        for one in resolved {
            let (log, record) = of[one.change];
            let before = happenings.last().filter(|before| {
                before.log == log && before.source.record.sequence == record.sequence
            });
            let nth = before.map_or(1, |before| before.nth + 1);
            let event = record.events.get(one.event);
            happenings.push(Happening {
                log,
                source: Source {
                    stream: logs[log].stream(),
                    record,
                    event: one.event,
                },
                nth,
                product: one.product,
                key: one.key,
                elder: one.elder,
                shown: Shown::by(event.map_or("", |event| &event.event_type)),
            });
        }
        Ok(happenings)
    }

    /// The events of records, each on each feed that covers its elder and may hear of it.
    async fn events(
        &self,
        turn: &Turn,
        happenings: &[Happening<'_>],
        known: &BTreeMap<ElderId, Known>,
    ) -> Result<Vec<Unit>, ReaderFailed> {
        let mut wanted: BTreeMap<ProductName, BTreeSet<Uuid>> = BTreeMap::new();
        for one in happenings {
            if known.contains_key(&one.elder) {
                wanted.entry(one.product).or_default().insert(one.key);
            }
        }
        let documents = documents::by_key(&self.sharing.pool, &wanted, known).await?;
        let mut units = Vec::new();
        for one in happenings {
            let done = (one.source.record.sequence - 1, one.nth);
            if turn.positions.0.get(one.source.stream) >= Some(&done) {
                // It came out before the last publisher died.
                continue;
            }
            let Some(known) = known.get(&one.elder) else {
                continue;
            };
            let document = documents.get(&(one.product, one.key));
            let feeds = covering(&turn.standing, &known.facts);
            let feeds = feeds.filter(|feed| feed.product == one.product);
            let messages = feeds.filter_map(|feed| {
                if !one.shown.is_heard_on(&turn.standing, feed) {
                    return None;
                }
                let left = document.and_then(|document| left(&turn.standing, feed, document));
                Message::of_source(feed, one.source, one.key, one.elder, left.as_ref())
            });
            units.push(Unit {
                messages: messages.collect(),
                done: Some((one.log, done)),
            });
        }
        Ok(units)
    }

    /// That an elder is erased, on every feed that ever told of the elder; on record, with whom it is asked to confirm, before.
    async fn tombstones(
        &self,
        turn: &mut Turn,
        elder: ElderId,
        record: &Record,
    ) -> Result<Vec<Unit>, ReaderFailed> {
        let told = turn.index.told(&BTreeSet::from([elder])).await?;
        let told = told.get(&elder).cloned().unwrap_or_default();
        let carried = turn.index.feeds.iter();
        let carried: Vec<&Feed> = carried
            .filter(|(_, kept)| told.contains_key(&kept.id))
            .map(|(feed, _)| feed)
            .collect();
        let departments = carried.iter().map(|feed| feed.department.clone());
        let departments: BTreeSet<String> = departments.collect();
        self.sharing
            .ask_to_erase(elder, departments, record)
            .await
            .map_err(ReaderFailed::because)?;
        let now = self.sharing.clock.now();
        let tombstones = carried.iter();
        Ok(tombstones
            .map(|feed| Message::own(feed, Own::Erased, Some(elder), now).into())
            .collect())
    }
}

/// Documents to which something has just happened, each with what these events show.
#[derive(Default)]
pub(super) struct Happened(BTreeMap<(ProductName, Uuid), Vec<Shown>>);

impl Happened {
    fn of(happenings: &[Happening<'_>]) -> Self {
        let mut happened = Self::default();
        for one in happenings {
            let events = happened.0.entry((one.product, one.key)).or_default();
            events.push(one.shown);
        }
        happened
    }

    /// Whether they tell of a document on a feed.
    pub(super) fn tell(&self, standing: &Standing, feed: &Feed, document: &Document) -> bool {
        let events = self.0.get(&(document.product, key_of(document)));
        let mut events = events.into_iter().flatten();
        events.any(|shown| shown.is_heard_on(standing, feed))
    }
}

/// The elder whose erasure a record tells of.
pub(super) fn erased(waiting: &Waiting) -> Option<(ElderId, &Record)> {
    let record = waiting.record.as_ref()?;
    let tells = record.tells_of(&registry::ElderErased::full_name());
    let elder = tells.then(|| record.subject.id().parse().ok()).flatten()?;
    Some((elder, record))
}

/// The key of a document, which is a UUID of all products; one that is none is told of nowhere else.
fn key_of(document: &Document) -> Uuid {
    document.key.parse().unwrap_or(Uuid::nil())
}
