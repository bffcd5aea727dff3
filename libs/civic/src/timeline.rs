//! What held when: facts that hold from a day on, until a later one takes their place.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::LocalDay;

/// The values of one fact over time, each holding from a key on: a [`LocalDay`], or an instant (consents).
///
/// Of two facts the one with the later key prevails from there on, whichever was recorded first; of two with the same
/// key, the one recorded later. A fact without a key holds since ever.
///
/// Serde writes a list of pairs `[from, value]`, the earliest first, where `from` may be null.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Timeline<T, K = LocalDay> {
    // Strictly ascending by `from`; `None`, since ever, comes first.
    entries: Vec<(Option<K>, T)>,
}

impl<T, K: Ord + Copy> Timeline<T, K> {
    /// Nothing is known for any time.
    #[must_use]
    pub const fn new() -> Self {
        Self { entries: Vec::new() }
    }

    /// One value that has held since ever.
    #[must_use]
    pub fn since_ever(value: T) -> Self {
        Self { entries: vec![(None, value)] }
    }

    /// Records that the value holds from a key on; `None` is since ever.
    pub fn record(&mut self, from: Option<K>, value: T) {
        match self.entries.binary_search_by_key(&from, |(from, _)| *from) {
            Ok(same) => self.entries[same].1 = value,
            Err(place) => self.entries.insert(place, (from, value)),
        }
    }

    /// The value that holds then; none before the first one known.
    #[must_use]
    pub fn at(&self, when: K) -> Option<&T> {
        let later = self.entries.partition_point(|(from, _)| *from <= Some(when));
        self.entries[..later].last().map(|(_, value)| value)
    }

    /// The value that holds in the end.
    #[must_use]
    pub fn latest(&self) -> Option<&T> {
        self.entries.last().map(|(_, value)| value)
    }

    /// The first key after `when` from which another value holds.
    #[must_use]
    pub fn changes_after(&self, when: K) -> Option<K>
    where
        T: PartialEq,
    {
        let now = self.at(when);
        let later = self.entries.partition_point(|(from, _)| *from <= Some(when));
        self.entries[later..].iter().find(|(_, value)| Some(value) != now).and_then(|(from, _)| *from)
    }

    /// All entries, the earliest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (Option<K>, &T)> + ExactSizeIterator {
        self.entries.iter().map(|(from, value)| (*from, value))
    }

    /// Whether nothing is known for any time.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl<T, K> Default for Timeline<T, K> {
    fn default() -> Self {
        Self { entries: Vec::new() }
    }
}

/// Records the facts in the given order.
impl<T, K: Ord + Copy> FromIterator<(Option<K>, T)> for Timeline<T, K> {
    fn from_iter<I: IntoIterator<Item = (Option<K>, T)>>(facts: I) -> Self {
        let mut timeline = Self::new();
        for (from, value) in facts {
            timeline.record(from, value);
        }
        timeline
    }
}

impl<T: Serialize, K: Serialize> Serialize for Timeline<T, K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(&self.entries)
    }
}

impl<'de, T: Deserialize<'de>, K: Deserialize<'de> + Ord + Copy> Deserialize<'de> for Timeline<T, K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Recorded anew, so that the order holds whatever was written.
        Ok(Vec::<(Option<K>, T)>::deserialize(deserializer)?.into_iter().collect())
    }
}
