//! How far the publisher has come (发布进度), as the message `feeds.position` says: in each log, in what one batch did not hold,
//! and in its rounds of everybody; and of whom something was left out ([`left_out`]). It stands in `FEEDS`, so that a publisher
//! that finds an empty database goes on just there.

mod left_out;

use std::collections::BTreeMap;

use civic::{ElderId, LocalDay};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub(crate) use self::left_out::LeftOut;

use super::standing::Feed;

/// A change of a record, by its name: it stays the same whatever becomes of the record's other changes meanwhile. In a record
/// they come in the order of their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct ChangeName {
    /// The place of the event among those of the record.
    pub(crate) event: usize,
    /// The document: of an event all are of one product.
    pub(crate) key: Uuid,
}

/// How far it has come in one log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Place {
    /// The last record that is done.
    pub(crate) done: u64,
    /// The last change of the next record that is told; none where none is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) within: Option<ChangeName>,
}

impl Place {
    /// All of a record is done.
    pub(crate) const fn after(sequence: u64) -> Self {
        Self {
            done: sequence,
            within: None,
        }
    }

    /// A record is done up to a change, this one included.
    pub(crate) const fn within(sequence: u64, change: ChangeName) -> Self {
        Self {
            done: sequence.saturating_sub(1),
            within: Some(change),
        }
    }
}

/// An elder's documents on a feed that are told in part, in the order of their keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Unfinished {
    feed: Feed,
    elder: ElderId,
    /// What comes up to here is told.
    through: Uuid,
}

/// How far the publisher has come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written")]
pub(crate) struct Positions {
    /// In each log.
    logs: BTreeMap<String, Place>,
    /// What one batch did not hold: mostly nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unfinished: Vec<Unfinished>,
    /// What feeds tell of elders whom time alone changes is of this day at least.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) swept: Option<LocalDay>,
    /// Of whom something was left out that could not be read: mostly of nobody.
    #[serde(skip_serializing_if = "LeftOut::is_nobody")]
    pub(crate) left_out: LeftOut,
}

/// The forms in which positions were ever written.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Now {
        logs: BTreeMap<String, Place>,
        #[serde(default)]
        unfinished: Vec<Unfinished>,
        #[serde(default)]
        swept: Option<LocalDay>,
        #[serde(default)]
        left_out: LeftOut,
    },
    /// The record done last, and a count of the next one's changes, which names none: these are told once more.
    Counted(BTreeMap<String, (u64, u64)>),
}

impl From<Written> for Positions {
    fn from(written: Written) -> Self {
        match written {
            Written::Now {
                logs,
                unfinished,
                swept,
                left_out,
            } => Self {
                logs,
                unfinished,
                swept,
                left_out,
            },
            Written::Counted(logs) => {
                let logs = logs.into_iter();
                let logs = logs.map(|(log, (done, _changes))| (log, Place::after(done)));
                Self {
                    logs: logs.collect(),
                    ..Self::default()
                }
            }
        }
    }
}

impl Positions {
    /// Nothing is done, and what is told from now on is of this day at least.
    pub(crate) fn on(day: LocalDay) -> Self {
        Self {
            swept: Some(day),
            ..Self::default()
        }
    }

    /// The last record of a log that is done; 0 before the first one.
    pub(crate) fn done(&self, stream: &str) -> u64 {
        self.logs.get(stream).map_or(0, |place| place.done)
    }

    /// Whether this is done of a log.
    pub(crate) fn has_passed(&self, stream: &str, place: Place) -> bool {
        self.logs.get(stream).is_some_and(|now| *now >= place)
    }

    /// This is done of a log; what lies further back is done already.
    pub(crate) fn pass(&mut self, stream: &str, place: Place) {
        let now = self.logs.entry(stream.to_owned()).or_default();
        *now = place.max(*now);
    }

    /// Up to which key an elder's documents are told on a feed, where only some are. Of whom something was left out, it may lie
    /// before that key.
    pub(crate) fn told_through(&self, feed: &Feed, elder: ElderId) -> Option<Uuid> {
        if self.left_out.has(elder) {
            return None;
        }
        let mut unfinished = self.unfinished.iter();
        let found = unfinished.find(|one| one.elder == elder && one.feed == *feed);
        found.map(|one| one.through)
    }

    /// Of whom which feeds have told in part.
    pub(crate) fn unfinished(&self) -> impl Iterator<Item = (&Feed, ElderId)> {
        self.unfinished.iter().map(|one| (&one.feed, one.elder))
    }

    /// An elder's documents are told on a feed up to a key, and the rest is still to come.
    pub(crate) fn leave_unfinished(&mut self, feed: &Feed, elder: ElderId, through: Uuid) {
        self.finish(feed, Some(elder));
        self.unfinished.push(Unfinished {
            feed: feed.clone(),
            elder,
            through,
        });
    }

    /// Nothing more is to come of an elder's documents on a feed, or of anybody's.
    pub(crate) fn finish(&mut self, feed: &Feed, elder: Option<ElderId>) {
        let concerned =
            |one: &Unfinished| one.feed == *feed && elder.is_none_or(|elder| one.elder == elder);
        self.unfinished.retain(|one| !concerned(one));
    }

    /// All documents of an elder are to be told, also where some were.
    pub(crate) fn tell_from_the_beginning(&mut self, elder: ElderId) {
        self.unfinished.retain(|one| one.elder != elder);
    }
}

#[cfg(test)]
mod tests {
    use crate::products::ProductName;

    use super::*;

    const ELDER: ElderId = ElderId(Uuid::from_u128(1));

    fn feed(product: ProductName) -> Feed {
        Feed {
            department: "health".to_owned(),
            product,
            division: "350524".parse().unwrap(),
        }
    }

    fn change(event: usize, key: u128) -> ChangeName {
        ChangeName {
            event,
            key: Uuid::from_u128(key),
        }
    }

    #[test]
    fn a_change_keeps_its_name_whatever_becomes_of_those_before_it() {
        let mut positions = Positions::default();
        positions.pass("CLAIMS", Place::after(6));
        // Of the changes 1, 3, 5 and 7 of an event, two were told; then 1 was taken away.
        positions.pass("CLAIMS", Place::within(7, change(0, 3)));
        let left = [3, 5, 7].map(|key| change(0, key));
        let left = left.into_iter().filter(|change| {
            let place = Place::within(7, *change);
            !positions.has_passed("CLAIMS", place)
        });
        assert_eq!(left.collect::<Vec<_>>(), [change(0, 5), change(0, 7)]);
        assert!(!positions.has_passed("CLAIMS", Place::within(7, change(1, 2))));
        assert_eq!(positions.done("CLAIMS"), 6);
        positions.pass("CLAIMS", Place::after(7));
        assert!(positions.has_passed("CLAIMS", Place::within(7, change(9, 9))));
        // What is told late of a record further back moves nothing back.
        positions.pass("CLAIMS", Place::within(5, change(0, 1)));
        assert_eq!(positions.done("CLAIMS"), 7);
        assert!(!positions.has_passed("VISITS", Place::after(0)));
    }

    #[test]
    fn what_is_told_in_part_is_known_until_it_is_told_or_taken_back() {
        let (visits, orders) = (feed(ProductName::Visit), feed(ProductName::Order));
        let (key, other) = (Uuid::from_u128(7), ElderId(Uuid::from_u128(2)));
        let mut positions = Positions::default();
        positions.leave_unfinished(&visits, ELDER, Uuid::nil());
        positions.leave_unfinished(&visits, ELDER, key);
        positions.leave_unfinished(&visits, other, key);
        positions.leave_unfinished(&orders, ELDER, key);
        assert_eq!(positions.told_through(&visits, ELDER), Some(key));
        assert_eq!(positions.unfinished().count(), 3);
        positions.finish(&visits, Some(ELDER));
        assert_eq!(positions.told_through(&visits, ELDER), None);
        assert_eq!(positions.told_through(&visits, other), Some(key));
        positions.finish(&visits, None);
        let left: Vec<_> = positions.unfinished().collect();
        assert_eq!(left, [(&orders, ELDER)]);
        positions.tell_from_the_beginning(other);
        assert_eq!(positions.told_through(&orders, ELDER), Some(key));
        positions.left_out.add(ELDER);
        assert_eq!(positions.told_through(&orders, ELDER), None);
        positions.left_out = LeftOut::default();
        positions.tell_from_the_beginning(ELDER);
        assert_eq!(positions, Positions::default());
    }

    #[test]
    fn a_position_reads_back_as_it_was_written() {
        let mut positions = Positions::default();
        positions.pass("REGISTRY", Place::after(12));
        positions.pass("CLAIMS", Place::within(5, change(2, 3)));
        positions.leave_unfinished(&feed(ProductName::Visit), ELDER, Uuid::from_u128(7));
        positions.swept = Some("2024-03-01".parse().unwrap());
        positions.left_out.add(ELDER);
        let text = serde_json::to_string(&positions).unwrap();
        assert_eq!(
            text,
            concat!(
                r#"{"logs":{"CLAIMS":{"done":4,"within":{"event":2,"key":"00000000-0000-0000-0000-000000000003"}},"#,
                r#""REGISTRY":{"done":12}},"unfinished":[{"feed":"health.visit.350524","#,
                r#""elder":"00000000-0000-0000-0000-000000000001","through":"00000000-0000-0000-0000-000000000007"}],"#,
                r#""swept":"2024-03-01","left_out":{"elders":["00000000-0000-0000-0000-000000000001"]}}"#
            )
        );
        assert_eq!(serde_json::from_str::<Positions>(&text).unwrap(), positions);
        let bare = serde_json::to_string(&Positions::default()).unwrap();
        assert_eq!(bare, r#"{"logs":{}}"#);
    }

    #[test]
    fn positions_that_counted_changes_can_still_be_read() {
        let text = r#"{"CLAIMS":[5,2],"REGISTRY":[12,0]}"#;
        let positions: Positions = serde_json::from_str(text).unwrap();
        assert_eq!(positions.done("CLAIMS"), 5);
        assert_eq!(positions.done("REGISTRY"), 12);
        assert!(!positions.has_passed("CLAIMS", Place::within(6, change(0, 1))));
        assert_eq!(positions.swept, None);
    }

    #[test]
    fn positions_of_before_left_nobody_out() {
        let text = r#"{"logs":{"CLAIMS":{"done":5}},"swept":"2024-03-01"}"#;
        let positions: Positions = serde_json::from_str(text).unwrap();
        assert_eq!(positions.done("CLAIMS"), 5);
        assert!(positions.left_out.is_nobody());
    }
}
