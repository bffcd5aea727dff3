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
use super::super::positions::{ChangeName, Place, Positions};
use super::super::shown::Shown;
use super::super::standing::{Feed, Standing};
use super::super::unreadable::{Unreadable, facts_of};
use super::comparison::{covering, known, left};
use super::outgoing::Unit;
use super::{Publisher, Turn, Waiting};
use crate::products::ProductName;

/// What happened to one document, as a record of a log tells it.
struct Happening<'a> {
    /// The log, by its place among all.
    log: usize,
    source: Source<'a>,
    product: ProductName,
    key: Uuid,
    elder: ElderId,
    shown: Shown,
}

impl Happening<'_> {
    /// How far its log is done once it is told.
    fn place(&self) -> Place {
        let change = ChangeName {
            event: self.source.event,
            key: self.key,
        };
        Place::within(self.source.record.sequence, change)
    }

    /// Whether it came out before the last publisher died: it does not come again.
    fn is_out(&self, positions: &Positions) -> bool {
        positions.has_passed(self.source.stream, self.place())
    }
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
        if waiting.iter().any(|one| erased(one).is_some()) {
            // Whoever was told of them is asked to erase that.
            self.read_models_hold_all_of(&self.sharing.logs.own).await?;
        }
        for (elder, record) in waiting.iter().filter_map(erased) {
            elders.remove(&elder);
            units.extend(self.tombstones(turn, elder, record).await?);
        }
        if elders.is_empty() {
            return Ok(units);
        }
        let ids: Vec<ElderId> = elders.iter().copied().collect();
        let mut unreadable = BTreeSet::new();
        let (facts, told) = tokio::try_join!(
            facts_of(&mut turn.reading, &ids, &mut unreadable),
            turn.index.told(&elders),
        )?;
        // Where they live nobody knows: they neither come nor go.
        elders.retain(|elder| !unreadable.contains(&Unreadable::file(*elder)));
        self.pass_by(turn, &unreadable).await?;
        let mut known = known(turn, facts);
        self.unseal(&turn.standing, &mut known).await?;
        // What is about to be told as what happened need not be told as what was there.
        let happened = Happened::of(&happenings, &turn.positions);
        let compared = self.compare(turn, &elders, &told, &known, &happened);
        units.extend(compared.await?);
        units.extend(self.events(turn, &happenings, &known).await?);
        Ok(units)
    }

    /// What happened to documents, in the order of the records; nothing where nobody listens. With it, it is known where elders
    /// live by all that stands in the registry's log.
    async fn happenings<'a>(
        &'a self,
        turn: &mut Turn,
        waiting: &'a [Waiting],
    ) -> Result<Vec<Happening<'a>>, ReaderFailed> {
        if turn.index.feeds.have_ended() {
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
        if all.is_empty() {
            return Ok(vec![]);
        }
        let resolving = async {
            let resolved = documents::resolve(&mut turn.reading, &all).await;
            resolved.map_err(ReaderFailed::from)
        };
        let homes = self.read_models_hold_all_of(&self.sharing.logs.registry);
        let (resolved, ()) = tokio::try_join!(resolving, homes)?;
        let mut happenings: Vec<Happening<'a>> = Vec::with_capacity(resolved.len());
        for one in resolved {
            let (log, record) = of[one.change];
            let event = record.events.get(one.event);
            happenings.push(Happening {
                log,
                source: Source {
                    stream: logs[log].stream(),
                    record,
                    event: one.event,
                },
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
        turn: &mut Turn,
        happenings: &[Happening<'_>],
        known: &BTreeMap<ElderId, Known>,
    ) -> Result<Vec<Unit>, ReaderFailed> {
        let mut wanted: BTreeMap<ProductName, BTreeSet<Uuid>> = BTreeMap::new();
        for one in happenings {
            if known.contains_key(&one.elder) {
                wanted.entry(one.product).or_default().insert(one.key);
            }
        }
        let mut unreadable = BTreeSet::new();
        let documents = documents::by_key(&mut turn.reading, &wanted, known, &mut unreadable);
        let documents = documents.await?;
        self.pass_by(turn, &unreadable).await?;
        let mut units = Vec::new();
        for one in happenings {
            if one.is_out(&turn.positions) {
                continue;
            }
            let Some(known) = known.get(&one.elder) else {
                continue;
            };
            let row = Unreadable {
                product: one.product,
                key: one.key,
                elder: one.elder,
            };
            if unreadable.contains(&row) {
                // Without its row it would seem to be gone.
                continue;
            }
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
            units.push(Unit::change(messages.collect(), one.log, one.place()));
        }
        Ok(units)
    }

    /// That an elder is erased, on every feed that ever bore something about the elder, and on no other: there it would tell that
    /// there was somebody. On record, with whom it is asked to confirm, before.
    async fn tombstones(
        &self,
        turn: &mut Turn,
        elder: ElderId,
        record: &Record,
    ) -> Result<Vec<Unit>, ReaderFailed> {
        let told = turn.index.told(&BTreeSet::from([elder])).await?;
        let told = told.into_values().flatten();
        let carried = told.filter(|(_, told)| told.carried).map(|(feed, _)| feed);
        let carried: BTreeSet<i64> = carried.collect();
        // They came out before the last publisher died.
        let out = turn.index.tombstones(elder).await?;
        let feeds = &turn.index.feeds;
        let named = |id: &i64| feeds.by_id(*id).map(|(feed, _)| feed);
        let departments = carried.iter().filter_map(named);
        let departments = departments.map(|feed| feed.department.clone()).collect();
        self.sharing
            .ask_to_erase(elder, departments, record)
            .await
            .map_err(ReaderFailed::because)?;
        let now = self.sharing.clock.now();
        let tombstones = carried.difference(&out).filter_map(named);
        Ok(tombstones
            .map(|feed| Message::own(feed, Own::Erased, Some(elder), now).into())
            .collect())
    }
}

/// Documents to which something has just happened that is not told yet, each with what these events show.
#[derive(Default)]
pub(super) struct Happened(BTreeMap<(ProductName, Uuid), Vec<Shown>>);

impl Happened {
    /// What came out already is told no more as what happened: a feed that has begun since tells it as what was there.
    fn of(happenings: &[Happening<'_>], positions: &Positions) -> Self {
        let mut happened = Self::default();
        for one in happenings.iter().filter(|one| !one.is_out(positions)) {
            let events = happened.0.entry((one.product, one.key)).or_default();
            events.push(one.shown);
        }
        happened
    }

    /// Whether they tell of a document on a feed of its product.
    pub(super) fn tell(&self, standing: &Standing, feed: &Feed, key: Uuid) -> bool {
        let events = self.0.get(&(feed.product, key));
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

#[cfg(test)]
mod tests {
    use eventlog::{RawEvent, Subject};
    use proto::eldercare::claims::v1 as claims;

    use super::*;
    use crate::agreement::testing::terms;
    use crate::cut::Cut;

    const CLAIMS: &str = "CLAIMS";

    /// Who is granted the states of a county's orders.
    fn standing() -> Standing {
        let terms = terms(&["350524"], &[(ProductName::Order, "state", Cut::Plain)]);
        Standing::of(&[(Uuid::nil(), terms)])
    }

    /// A settlement that is paid.
    fn paid() -> Record {
        let now = "2024-10-01T09:00:00+08:00".parse().unwrap();
        Record {
            sequence: 7,
            subject: Subject::parse("eldercare.claims.settlements.LTCI-P01").unwrap(),
            metadata: service::testing::metadata(now, "350524100001"),
            events: vec![RawEvent::of(&claims::SettlementPaid::default())],
        }
    }

    /// That an order was paid by it.
    fn of_order(record: &Record, key: u128) -> Happening<'_> {
        Happening {
            log: 4,
            source: Source {
                stream: CLAIMS,
                record,
                event: 0,
            },
            product: ProductName::Order,
            key: Uuid::from_u128(key),
            elder: ElderId(Uuid::from_u128(1)),
            shown: Shown::by(&record.events[0].event_type),
        }
    }

    #[test]
    fn what_came_out_before_is_what_was_there_to_a_feed_that_has_begun_since() {
        let (standing, record) = (standing(), paid());
        let (feed, _) = standing.iter().next().unwrap();
        let happenings = [2, 4, 6].map(|key| of_order(&record, key));
        let told_later = |positions: &Positions| {
            let happened = Happened::of(&happenings, positions);
            let keys = happenings.iter().map(|one| one.key);
            let later = keys.filter(|key| happened.tell(&standing, feed, *key));
            later.map(|key| key.as_u128()).collect::<Vec<_>>()
        };
        let mut positions = Positions::default();
        positions.pass(CLAIMS, Place::after(6));
        assert_eq!(told_later(&positions), [2, 4, 6]);
        // The publisher died between two batches of the record, and an agreement changed meanwhile.
        positions.pass(CLAIMS, happenings[1].place());
        assert_eq!(told_later(&positions), [6]);
        positions.pass(CLAIMS, Place::after(7));
        assert_eq!(told_later(&positions), [0; 0]);
    }
}
