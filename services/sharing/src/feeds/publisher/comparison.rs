//! What is so, compared with what was told: who has come into a feed, who has left it, and whom time alone has changed.

use std::collections::{BTreeMap, BTreeSet};

use civic::{DivisionCode, ElderId, LocalDay};
use elders::{Facts, FactsOnDay};
use futures::StreamExt as _;
use futures::stream;
use readmodel::ReaderFailed;

use super::super::documents::{self, Known};
use super::super::index::Kept;
use super::super::message::{Message, Own};
use super::super::standing::{Feed, Standing};
use super::happenings::Happened;
use super::outgoing::Unit;
use super::{Publisher, Sweep, Turn};
use crate::cut::{CutDocument, cut};
use crate::document::Document;
use crate::elders_table;
use crate::products::ProductName;

/// How many elders are compared in one go.
const ELDERS: i64 = 100;
/// How many keys are fetched at once.
const KEYS_AT_ONCE: usize = 16;

impl Publisher {
    /// Compares some more of everybody.
    pub(super) async fn sweep_some(&self, turn: &mut Turn) -> Result<(), ReaderFailed> {
        let Some(sweep) = turn.sweep else {
            return Ok(());
        };
        let nothing_ever = turn.index.feeds.is_empty();
        let page = match nothing_ever {
            true => vec![],
            false => elders_table::page(&self.sharing.pool, sweep.after, ELDERS).await?,
        };
        if let Some((last, _)) = page.last() {
            turn.sweep = Some(Sweep { after: Some(*last) });
            let elders: BTreeSet<ElderId> = page.iter().map(|(elder, _)| *elder).collect();
            let facts = page.into_iter();
            let facts: BTreeMap<ElderId, Facts> = facts
                .filter_map(|(elder, facts)| Some((elder, facts?)))
                .collect();
            let changed = changed_by_time(&facts, turn.swept, turn.day);
            // Most hold what there is, and need no key.
            let known = known(turn, facts);
            let mut units = self.older(turn, &changed, &known).await?;
            let nothing = Happened::default();
            units.extend(self.compare(turn, &elders, &known, &nothing).await?);
            return self.publish(turn, units, &[]).await;
        }
        let now = self.sharing.clock.now();
        let begun = turn.index.feeds.iter();
        let begun = begun.filter(|(_, kept)| !kept.ended && !kept.complete);
        let complete: Vec<Unit> = begun
            .map(|(feed, _)| Message::own(feed, Own::CaughtUp, None, now).into())
            .collect();
        self.publish(turn, complete, &[]).await?;
        turn.index.aged(self.stream.first_sequence().await?).await?;
        turn.sweep = None;
        turn.swept = Some(turn.day);
        Ok(())
    }

    /// Compares whom feeds tell of with whom they told of, and says what was missing. What happened to a document just now is
    /// left out: it is told as that.
    pub(super) async fn compare(
        &self,
        turn: &mut Turn,
        elders: &BTreeSet<ElderId>,
        known: &BTreeMap<ElderId, Known>,
        happened: &Happened,
    ) -> Result<Vec<Unit>, ReaderFailed> {
        let now = self.sharing.clock.now();
        let told = turn.index.told(elders).await?;
        let feeds = turn.index.feeds.iter();
        let by_id: BTreeMap<i64, (&Feed, &Kept)> =
            feeds.map(|(feed, kept)| (kept.id, (feed, kept))).collect();
        let nobody = BTreeMap::new();
        let mut units: Vec<Unit> = Vec::new();
        let mut entering: BTreeMap<ElderId, Vec<&Feed>> = BTreeMap::new();
        let mut products = BTreeSet::new();
        for elder in elders {
            let told = told.get(elder).unwrap_or(&nobody);
            let holds = |feed: &Feed| {
                let kept = turn.index.feeds.get(feed);
                kept.is_some_and(|kept| told.get(&kept.id).copied().unwrap_or(false))
            };
            let covering: Vec<&Feed> = match known.get(elder) {
                Some(known) => covering(&turn.standing, &known.facts).collect(),
                None => vec![],
            };
            let held = told.iter().filter(|(_, holds)| **holds);
            for (feed, kept) in held.filter_map(|(id, _)| by_id.get(id)) {
                if !kept.ended && !covering.contains(feed) {
                    let message = Message::own(feed, Own::Withdrawn, Some(*elder), now);
                    units.push(message.into());
                }
            }
            let new: Vec<&Feed> = covering.into_iter().filter(|feed| !holds(feed)).collect();
            if !new.is_empty() {
                products.extend(new.iter().map(|feed| feed.product));
                entering.insert(*elder, new);
            }
        }
        if entering.is_empty() {
            return Ok(units);
        }
        let mut entered: BTreeMap<ElderId, Known> = known
            .iter()
            .filter(|(elder, _)| entering.contains_key(elder))
            .map(|(elder, known)| (*elder, known.clone()))
            .collect();
        self.unseal(&turn.standing, &mut entered).await?;
        let documents = documents::all_of(&self.sharing.pool, &entered, &products).await?;
        let mut nothing = Vec::new();
        for (elder, feeds) in entering {
            let documents = documents.get(&elder).map_or(&[][..], Vec::as_slice);
            for feed in feeds {
                let (mut unit, mut later) = (Unit::default(), false);
                for document in documents.iter().filter(|one| one.product == feed.product) {
                    if happened.tell(&turn.standing, feed, document) {
                        later = true;
                    } else if let Some(left) = left(&turn.standing, feed, document) {
                        unit.messages.push(Message::shared(feed, &left, now));
                    }
                }
                if !unit.messages.is_empty() {
                    units.push(unit);
                } else if !later && let Some(kept) = turn.index.feeds.get(feed) {
                    nothing.push((kept.id, elder));
                }
            }
        }
        turn.index.nothing_to_tell(&nothing).await?;
        Ok(units)
    }

    /// The files of elders whom time alone has changed, on each feed that holds them.
    async fn older(
        &self,
        turn: &mut Turn,
        changed: &BTreeSet<ElderId>,
        known: &BTreeMap<ElderId, Known>,
    ) -> Result<Vec<Unit>, ReaderFailed> {
        let told = turn.index.told(changed).await?;
        let mut changed: BTreeMap<ElderId, Known> = known
            .iter()
            .filter(|(elder, _)| told.contains_key(elder))
            .map(|(elder, known)| (*elder, known.clone()))
            .collect();
        if changed.is_empty() {
            return Ok(vec![]);
        }
        self.unseal(&turn.standing, &mut changed).await?;
        let now = self.sharing.clock.now();
        let only = BTreeSet::from([ProductName::Elder]);
        let documents = documents::all_of(&self.sharing.pool, &changed, &only).await?;
        let mut units = Vec::new();
        for (elder, documents) in &documents {
            let (Some(known), Some(told)) = (changed.get(elder), told.get(elder)) else {
                continue;
            };
            let feeds = covering(&turn.standing, &known.facts);
            for feed in feeds.filter(|feed| feed.product == ProductName::Elder) {
                let kept = turn.index.feeds.get(feed);
                if kept.is_none_or(|kept| told.get(&kept.id) != Some(&true)) {
                    continue;
                }
                let left = documents
                    .iter()
                    .filter_map(|one| left(&turn.standing, feed, one));
                units.extend(left.map(|left| Unit::from(Message::shared(feed, &left, now))));
            }
        }
        Ok(units)
    }

    /// The keys of elders of whom some feed tells what is sealed.
    pub(super) async fn unseal(
        &self,
        standing: &Standing,
        known: &mut BTreeMap<ElderId, Known>,
    ) -> Result<(), ReaderFailed> {
        let sealed = known.iter().filter(|(_, known)| {
            // Of these alone something is sealed.
            let sealed =
                |feed: &Feed| matches!(feed.product, ProductName::Elder | ProductName::Visit);
            known.key.is_none() && covering(standing, &known.facts).any(sealed)
        });
        let sealed: Vec<ElderId> = sealed.map(|(elder, _)| *elder).collect();
        let mut keys = stream::iter(sealed)
            .map(|elder| async move { (elder, self.sharing.keys.key(elder.as_uuid()).await) })
            .buffer_unordered(KEYS_AT_ONCE);
        while let Some((elder, key)) = keys.next().await {
            let key = key.map_err(|status| ReaderFailed::because(status.message()))?;
            if let Some(known) = known.get_mut(&elder) {
                known.key = key;
            }
        }
        Ok(())
    }
}

/// Whose file time alone has changed since a day: a birthday, or a move that was told before its day.
fn changed_by_time(
    facts: &BTreeMap<ElderId, Facts>,
    since: Option<LocalDay>,
    today: LocalDay,
) -> BTreeSet<ElderId> {
    let Some(since) = since.filter(|since| *since < today) else {
        return BTreeSet::new();
    };
    let changed = facts.iter().filter(|(_, facts)| {
        let before = FactsOnDay {
            day: today,
            ..facts.on(since)
        };
        before != facts.on(today)
    });
    changed.map(|(elder, _)| *elder).collect()
}

/// What is known of elders whom some feed covers, without their keys.
pub(super) fn known(turn: &Turn, facts: BTreeMap<ElderId, Facts>) -> BTreeMap<ElderId, Known> {
    let covered = facts.into_iter().filter_map(|(elder, facts)| {
        let facts = facts.on(turn.day);
        covering(&turn.standing, &facts).next()?;
        Some((elder, Known { facts, key: None }))
    });
    covered.collect()
}

/// What is left of a document on a feed.
pub(super) fn left(standing: &Standing, feed: &Feed, document: &Document) -> Option<CutDocument> {
    cut(document, &standing.get(feed)?.grants)
}

/// The feeds that tell of an elder.
pub(super) fn covering<'a>(
    standing: &'a Standing,
    facts: &FactsOnDay,
) -> impl Iterator<Item = &'a Feed> {
    let division: DivisionCode = facts.village().division();
    let feeds: Vec<&Feed> = standing.covering(&division).collect();
    feeds.into_iter()
}
