//! What goes out: on record before it does, and in batches of the stream, in which what belongs together stays together.

use civic::ElderId;
use readmodel::ReaderFailed;

use super::super::message::{Lying, Message, Own};
use super::super::positions::{Place, Positions};
use super::super::standing::Feed;
use super::{POSITIONS, Publisher, Turn};
use crate::look::{Look, Recorded};
use crate::look_groups::groups;

/// How many messages one batch of the stream bears, its position aside: the server takes 1,000.
const MOST: usize = 999;
/// By which method looks by feeds come about.
const METHOD: &str = "Feed";

/// What comes out together or not at all, as far as one batch bears it.
#[derive(Default)]
pub(super) struct Unit {
    /// What comes out.
    messages: Vec<Message>,
    /// The place of a log among all, and how far it is then done.
    done: Option<(usize, Place)>,
    /// The feed and the elder of whose documents these are all there are, in the order of their keys.
    snapshot: Option<(Feed, ElderId)>,
    /// Whether the rest comes with the next batch.
    unfinished: bool,
}

impl From<Message> for Unit {
    /// What comes out by itself.
    fn from(message: Message) -> Self {
        Self {
            messages: vec![message],
            ..Self::default()
        }
    }
}

impl Unit {
    /// What a change brings, and how far its log is done with it; the log by its place among all.
    pub(super) fn change(messages: Vec<Message>, log: usize, place: Place) -> Self {
        Self {
            messages,
            done: Some((log, place)),
            ..Self::default()
        }
    }

    /// All documents of an elder on a feed that are not told yet, in the order of their keys.
    pub(super) fn snapshot(feed: &Feed, elder: ElderId, messages: Vec<Message>) -> Self {
        Self {
            messages,
            snapshot: Some((feed.clone(), elder)),
            ..Self::default()
        }
    }

    /// Parts that one batch bears each; mostly it is one.
    fn parts(self) -> impl Iterator<Item = Self> {
        let Self {
            messages,
            mut done,
            snapshot,
            ..
        } = self;
        let mut messages = messages.into_iter().peekable();
        std::iter::from_fn(move || {
            messages.peek()?;
            let part = messages.by_ref().take(MOST).collect();
            let last = messages.peek().is_none();
            Some(Self {
                messages: part,
                done: done.take_if(|_| last),
                snapshot: snapshot.clone(),
                unfinished: !last,
            })
        })
    }

    /// What of elders' documents is told in part once this has come out.
    fn leaves(&self, positions: &mut Positions) {
        for message in &self.messages {
            match message.says() {
                Some(Own::Begun | Own::Ended) => positions.finish(&message.feed, None),
                Some(Own::Withdrawn | Own::Erased) => {
                    positions.finish(&message.feed, message.elder);
                }
                Some(Own::Shared | Own::CaughtUp) | None => {}
            }
        }
        let Some((feed, elder)) = &self.snapshot else {
            return;
        };
        let through = self.messages.last().and_then(Message::key);
        match through.filter(|_| self.unfinished) {
            Some(through) => positions.leave_unfinished(feed, *elder, through),
            None => positions.finish(feed, Some(*elder)),
        }
    }
}

impl Publisher {
    /// Puts on record what is about to go out, and publishes it; with the last of it these records of logs are done.
    pub(super) async fn publish(
        &self,
        turn: &mut Turn,
        units: Vec<Unit>,
        done: &[(usize, u64)],
    ) -> Result<(), ReaderFailed> {
        let (mut batch, mut size) = (Vec::new(), 0);
        for unit in units.into_iter().flat_map(Unit::parts) {
            if size + unit.messages.len() > MOST {
                self.publish_batch(turn, std::mem::take(&mut batch)).await?;
                size = 0;
            }
            size += unit.messages.len();
            batch.push(unit);
        }
        for (log, sequence) in done {
            self.done(turn, *log, Place::after(*sequence));
        }
        match batch.is_empty() {
            true => Ok(()),
            false => self.publish_batch(turn, batch).await,
        }
    }

    pub(super) async fn publish_batch(
        &self,
        turn: &mut Turn,
        units: Vec<Unit>,
    ) -> Result<(), ReaderFailed> {
        let looks = self.looks(turn, &units);
        let recorded = self.sharing.recorder.record_all(looks).await;
        recorded.map_err(|status| ReaderFailed::because(status.message()))?;
        // Whatever ended a feed while this was put together has ended it before it is told.
        let mut messages = units.iter().flat_map(|unit| &unit.messages);
        if messages.any(|message| !message.body.is_empty()) && !self.stands(turn).await? {
            return Err(ReaderFailed::because(
                "what is agreed has changed: what was put together is not told",
            ));
        }
        let mut messages = Vec::new();
        for unit in units {
            if let Some((log, place)) = unit.done {
                self.done(turn, log, place);
            }
            unit.leaves(&mut turn.positions);
            messages.extend(unit.messages);
        }
        let published = self.stream.publish(&messages, &turn.positions, turn.fence);
        let last = published.await?;
        let first = last - messages.len() as u64;
        let lying: Vec<Lying> = messages
            .into_iter()
            .zip(first..)
            .map(|(message, sequence)| message.at(sequence))
            .collect();
        let reached = self.published(&turn.positions, turn.is_swept());
        turn.index.take(&lying, last, reached).await?;
        turn.fence = last;
        turn.silent = 0;
        turn.positions_left -= 1;
        if turn.positions_left == 0 {
            self.stream.purge_positions().await?;
            turn.positions_left = POSITIONS;
        }
        Ok(())
    }

    /// The looks that are about to be told: to each department by the agreements of the feeds, and of each elder just what is told.
    fn looks(&self, turn: &Turn, units: &[Unit]) -> Vec<Recorded> {
        let messages = units.iter().flat_map(|unit| &unit.messages);
        let told = messages.filter_map(|message| {
            let granted = turn.standing.get(&message.feed)?;
            let elder = message.elder.filter(|_| !message.body.is_empty())?;
            let department = message.feed.department.as_str();
            let by = (department, &granted.agreements, &granted.purposes);
            Some((by, elder, message.told.clone()))
        });
        let at = self.sharing.clock.now();
        let looks = groups(told).into_iter().map(|group| {
            let (department, agreements, purposes) = group.by;
            let purposes: Vec<&str> = purposes.iter().map(String::as_str).collect();
            let look = Look {
                caller: format!("department:{department}"),
                department: department.to_owned(),
                purpose: purposes.join("；"),
                method: METHOD.to_owned(),
                address: String::new(),
                at,
                elders: vec![],
                fields: vec![],
            };
            Recorded::Provided {
                look: group.within(&look),
                agreements: agreements.iter().copied().collect(),
            }
        });
        looks.collect()
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use uuid::Uuid;

    use super::*;
    use crate::cut::CutDocument;
    use crate::document::Fields;
    use crate::products::ProductName;

    const ELDER: ElderId = ElderId(Uuid::from_u128(1));

    fn feed() -> Feed {
        Feed {
            department: "health".to_owned(),
            product: ProductName::Visit,
            division: "350524".parse().unwrap(),
        }
    }

    fn shared(key: u128) -> Message {
        let document = CutDocument {
            product: ProductName::Visit,
            key: Uuid::from_u128(key).to_string(),
            elder: ELDER,
            fields: Fields::new(),
            masked: vec![],
            told: vec![],
        };
        Message::shared(&feed(), &document, DateTime::UNIX_EPOCH)
    }

    fn own(own: Own, elder: Option<ElderId>) -> Unit {
        Message::own(&feed(), own, elder, DateTime::UNIX_EPOCH).into()
    }

    #[test]
    fn what_one_batch_does_not_hold_is_known_by_the_last_key_that_is_told() {
        let feed = feed();
        let unit = Unit::snapshot(&feed, ELDER, (1..=2_000).map(shared).collect());
        let mut positions = Positions::default();
        let parts = unit.parts().map(|part| {
            part.leaves(&mut positions);
            let through = positions.told_through(&feed, ELDER);
            (part.messages.len(), through.map(|key| key.as_u128()))
        });
        let parts: Vec<_> = parts.collect();
        assert_eq!(parts, [(999, Some(999)), (999, Some(1_998)), (2, None)]);
    }

    #[test]
    fn a_change_is_done_with_the_last_part_of_what_it_brings() {
        let unit = Unit::change((1..=1_000).map(shared).collect(), 2, Place::after(7));
        let done: Vec<_> = unit.parts().map(|part| part.done).collect();
        assert_eq!(done, [None, Some((2, Place::after(7)))]);
    }

    #[test]
    fn what_is_taken_back_is_told_from_its_beginning_again() {
        let (feed, other) = (feed(), ElderId(Uuid::from_u128(2)));
        let mut positions = Positions::default();
        let key = Uuid::from_u128(7);
        positions.leave_unfinished(&feed, ELDER, key);
        positions.leave_unfinished(&feed, other, key);
        own(Own::CaughtUp, None).leaves(&mut positions);
        Unit::from(shared(8)).leaves(&mut positions);
        assert_eq!(positions.unfinished().count(), 2);
        own(Own::Withdrawn, Some(ELDER)).leaves(&mut positions);
        assert_eq!(positions.told_through(&feed, ELDER), None);
        assert_eq!(positions.told_through(&feed, other), Some(key));
        own(Own::Begun, None).leaves(&mut positions);
        assert_eq!(positions.unfinished().count(), 0);
    }
}
