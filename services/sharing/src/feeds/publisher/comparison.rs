//! What is so, compared with what was told: who has come into a feed, who has left it, and whom time alone has changed.

use std::collections::{BTreeMap, BTreeSet};

use civic::{ElderId, LocalDay};
use elders::{Facts, FactsOnDay};
use readmodel::ReaderFailed;
use service::person_keys;
use uuid::Uuid;

use super::super::documents::{self, Known};
use super::super::index::Told;
use super::super::message::{Message, Own};
use super::super::standing::{Feed, Standing};
use super::super::unreadable::{self, Page};
use super::happenings::Happened;
use super::outgoing::Unit;
use super::{Publisher, Sweep, Turn};
use crate::cut::{CutDocument, cut};
use crate::document::Document;
use crate::products::ProductName;

/// How many elders are compared in one go.
const ELDERS: i64 = 100;

/// How feeds stand to elders, by the feeds' numbers.
type ToldByElder = BTreeMap<ElderId, BTreeMap<i64, Told>>;

impl Publisher {
    /// Compares some more of everybody.
    pub(super) async fn sweep_some(&self, turn: &mut Turn) -> Result<(), ReaderFailed> {
        let Some(sweep) = turn.sweep else {
            return Ok(());
        };
        if sweep.after.is_none() {
            self.look_again(turn).await?;
        }
        let mut unreadable = BTreeSet::new();
        let page = match turn.index.feeds.is_empty() {
            true => Page::default(),
            false => {
                let db = &mut turn.reading;
                unreadable::page(db, sweep.after, ELDERS, &mut unreadable).await?
            }
        };
        if page.last.is_some() {
            turn.sweep = Some(Sweep { after: page.last });
            self.pass_by(turn, &unreadable).await?;
            let elders: BTreeSet<ElderId> = page.facts.iter().map(|(elder, _)| *elder).collect();
            let facts = page.facts.into_iter();
            let facts: BTreeMap<ElderId, Facts> = facts
                .filter_map(|(elder, facts)| Some((elder, facts?)))
                .collect();
            let changed = changed_by_time(&facts, turn.positions.swept, turn.day);
            // Most hold what there is, and need no key.
            let known = known(turn, facts);
            let mut units = self.older(turn, &changed, &known).await?;
            let (told, nothing) = (turn.index.told(&elders).await?, Happened::default());
            let compared = self.compare(turn, &elders, &told, &known, &nothing);
            units.extend(compared.await?);
            return self.publish(turn, units, &[]).await;
        }
        self.end_of_sweep(turn).await
    }

    /// All who were there have been compared.
    async fn end_of_sweep(&self, turn: &mut Turn) -> Result<(), ReaderFailed> {
        let now = self.sharing.clock.now();
        let begun = turn.index.feeds.iter();
        let begun = begun.filter(|(_, kept)| !kept.ended && !kept.complete);
        let complete: Vec<Unit> = begun
            .map(|(feed, _)| Message::own(feed, Own::CaughtUp, None, now).into())
            .collect();
        let (swept, left_out) = (Some(turn.day), self.left_out_still().await?);
        let positions = &mut turn.positions;
        let says_more = positions.swept != swept || positions.left_out != left_out;
        (positions.swept, positions.left_out) = (swept, left_out);
        match complete.is_empty() && says_more {
            true => self.publish_batch(turn, vec![]).await?,
            false => self.publish(turn, complete, &[]).await?,
        }
        turn.index.aged(self.stream.first_sequence().await?).await?;
        turn.sweep = None;
        Ok(())
    }

    /// Compares whom feeds tell of with whom they told of, and says what was missing. What happened to a document just now is
    /// left out: it is told as that.
    pub(super) async fn compare(
        &self,
        turn: &mut Turn,
        elders: &BTreeSet<ElderId>,
        told: &ToldByElder,
        known: &BTreeMap<ElderId, Known>,
        happened: &Happened,
    ) -> Result<Vec<Unit>, ReaderFailed> {
        let (mut units, entering) = self.come_and_gone(turn, elders, told, known).await?;
        if !entering.is_empty() {
            let shared = self.shared(turn, entering, known, happened).await?;
            units.extend(shared);
        }
        Ok(units)
    }

    /// That elders have left feeds that bore something about them; and the feeds that have not told all there is of whom they
    /// cover.
    async fn come_and_gone(
        &self,
        turn: &mut Turn,
        elders: &BTreeSet<ElderId>,
        told: &ToldByElder,
        known: &BTreeMap<ElderId, Known>,
    ) -> Result<(Vec<Unit>, BTreeMap<ElderId, Vec<Feed>>), ReaderFailed> {
        let now = self.sharing.clock.now();
        let nobody = BTreeMap::new();
        let (mut units, mut gone) = (Vec::new(), Vec::new());
        let mut entering = BTreeMap::new();
        for elder in elders {
            let told = told.get(elder).unwrap_or(&nobody);
            let covering: Vec<&Feed> = match known.get(elder) {
                Some(known) => covering(&turn.standing, &known.facts).collect(),
                None => vec![],
            };
            for (id, of_feed) in told {
                let feed = turn.index.feeds.by_id(*id);
                let Some((feed, _)) = feed.filter(|(_, kept)| !kept.ended) else {
                    continue;
                };
                if covering.contains(&feed) {
                    continue;
                }
                if of_feed.held {
                    let message = Message::own(feed, Own::Withdrawn, Some(*elder), now);
                    units.push(Unit::from(message));
                } else if of_feed.all {
                    // It never heard that there was somebody.
                    gone.push((*id, *elder));
                }
            }
            let told_all = |feed: &&Feed| {
                let kept = turn.index.feeds.get(feed);
                let told = kept.and_then(|kept| told.get(&kept.id));
                told.is_some_and(|told| told.all)
            };
            let new = covering.into_iter().filter(|feed| !told_all(feed));
            let new: Vec<Feed> = new.cloned().collect();
            if !new.is_empty() {
                entering.insert(*elder, new);
            }
        }
        turn.index.something_to_tell(&gone).await?;
        Ok((units, entering))
    }

    /// The documents of elders on feeds that have not told all of them.
    async fn shared(
        &self,
        turn: &mut Turn,
        entering: BTreeMap<ElderId, Vec<Feed>>,
        known: &BTreeMap<ElderId, Known>,
        happened: &Happened,
    ) -> Result<Vec<Unit>, ReaderFailed> {
        let now = self.sharing.clock.now();
        let mut entered: BTreeMap<ElderId, Known> = known
            .iter()
            .filter(|(elder, _)| entering.contains_key(elder))
            .map(|(elder, known)| (*elder, known.clone()))
            .collect();
        self.unseal(&turn.standing, &mut entered).await?;
        let products = entering.values().flatten().map(|feed| feed.product);
        let products: BTreeSet<ProductName> = products.collect();
        let (db, mut unreadable) = (&mut turn.reading, BTreeSet::new());
        let documents = documents::all_of(db, &entered, &products, &mut unreadable).await?;
        self.pass_by(turn, &unreadable).await?;
        let (mut units, mut nothing) = (Vec::new(), Vec::new());
        for (elder, feeds) in entering {
            let documents = documents.get(&elder).into_iter().flatten();
            let mut documents: Vec<&(Uuid, Document)> = documents.collect();
            documents.sort_by_key(|(key, _)| *key);
            for feed in feeds {
                // Of many documents some may have come out before the last publisher died.
                let told = turn.positions.told_through(&feed, elder);
                let left_to_tell = documents.iter().filter(|(key, document)| {
                    document.product == feed.product && told.is_none_or(|told| *key > told)
                });
                let (mut messages, mut later) = (Vec::new(), false);
                for (key, document) in left_to_tell {
                    if happened.tell(&turn.standing, &feed, *key) {
                        later = true;
                    } else if let Some(left) = left(&turn.standing, &feed, document) {
                        messages.push(Message::shared(&feed, &left, now));
                    }
                }
                if !messages.is_empty() {
                    units.push(Unit::snapshot(&feed, elder, messages));
                    continue;
                }
                turn.positions.finish(&feed, Some(elder));
                if !later && let Some(kept) = turn.index.feeds.get(&feed) {
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
        let (db, mut unreadable) = (&mut turn.reading, BTreeSet::new());
        let documents = documents::all_of(db, &changed, &only, &mut unreadable).await?;
        self.pass_by(turn, &unreadable).await?;
        let mut units = Vec::new();
        for (elder, documents) in &documents {
            let (Some(known), Some(told)) = (changed.get(elder), told.get(elder)) else {
                continue;
            };
            let feeds = covering(&turn.standing, &known.facts);
            for feed in feeds.filter(|feed| feed.product == ProductName::Elder) {
                let kept = turn.index.feeds.get(feed);
                let told = kept.and_then(|kept| told.get(&kept.id));
                if told.is_none_or(|told| !told.all) {
                    continue;
                }
                let left = documents
                    .iter()
                    .filter_map(|(_, one)| left(&turn.standing, feed, one));
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
        let sealed: Vec<Uuid> = sealed.map(|(elder, _)| elder.as_uuid()).collect();
        let keys = self.sharing.keys.vault.keys(&sealed).await;
        let keys =
            keys.map_err(|away| ReaderFailed::because(person_keys::away(&away).message()))?;
        for (person, key) in keys {
            if let Some(known) = known.get_mut(&ElderId(person)) {
                known.key = Some(key);
            }
        }
        Ok(())
    }
}

/// Whose file time alone has changed since a day: a birthday, or a move that was told before its day. Where nobody knows of which
/// day it is what they hold, that may be everybody.
fn changed_by_time(
    facts: &BTreeMap<ElderId, Facts>,
    since: Option<LocalDay>,
    today: LocalDay,
) -> BTreeSet<ElderId> {
    if since.is_some_and(|since| since >= today) {
        return BTreeSet::new();
    }
    let changed = facts.iter().filter(|(_, facts)| {
        since.is_none_or(|since| {
            let before = FactsOnDay {
                day: today,
                ..facts.on(since)
            };
            before != facts.on(today)
        })
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
) -> impl Iterator<Item = &'a Feed> + use<'a> {
    standing.covering(&facts.village().division())
}
