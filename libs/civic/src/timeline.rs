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
        Self {
            entries: Vec::new(),
        }
    }

    /// One value that has held since ever.
    #[must_use]
    pub fn since_ever(value: T) -> Self {
        Self {
            entries: vec![(None, value)],
        }
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
        let later = self
            .entries
            .partition_point(|(from, _)| *from <= Some(when));
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
        let later = self
            .entries
            .partition_point(|(from, _)| *from <= Some(when));
        self.entries[later..]
            .iter()
            .find(|(_, value)| Some(value) != now)
            .and_then(|(from, _)| *from)
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
        Self {
            entries: Vec::new(),
        }
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

impl<'de, T: Deserialize<'de>, K: Deserialize<'de> + Ord + Copy> Deserialize<'de>
    for Timeline<T, K>
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Recorded anew, so that the order holds whatever was written.
        Ok(Vec::<(Option<K>, T)>::deserialize(deserializer)?
            .into_iter()
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use chrono::{DateTime, Utc};
    use proptest::prelude::*;

    use super::*;

    fn day(text: &str) -> LocalDay {
        text.parse().unwrap()
    }

    fn facts(facts: &[(&str, char)]) -> Timeline<char> {
        facts
            .iter()
            .map(|(from, value)| (from.parse().ok(), *value))
            .collect()
    }

    #[test]
    fn nothing_holds_before_the_first_fact() {
        let timeline = facts(&[("2024-10-01", 'a')]);
        assert_eq!(timeline.at(day("2024-09-30")), None);
        assert_eq!(timeline.at(day("2024-10-01")), Some(&'a'));
        assert_eq!(
            timeline.changes_after(day("2024-09-01")),
            Some(day("2024-10-01"))
        );
        assert_eq!(Timeline::<char>::new().latest(), None);
    }

    #[test]
    fn a_fact_without_a_day_holds_since_ever() {
        let timeline = facts(&[("2024-10-01", 'b'), ("", 'a')]);
        assert_eq!(timeline.at(LocalDay::MIN), Some(&'a'));
        assert_eq!(timeline.at(day("2024-10-01")), Some(&'b'));
        assert_eq!(Timeline::<_>::since_ever('a').at(LocalDay::MIN), Some(&'a'));
    }

    #[test]
    fn of_two_facts_the_later_day_prevails_whichever_was_recorded_first() {
        let one = facts(&[("2024-10-01", 'a'), ("2024-11-01", 'b')]);
        let other = facts(&[("2024-11-01", 'b'), ("2024-10-01", 'a')]);
        assert_eq!(one, other);
        assert_eq!(other.at(day("2024-12-01")), Some(&'b'));
        assert_eq!(other.latest(), Some(&'b'));
    }

    #[test]
    fn of_two_facts_of_one_day_the_one_recorded_later_prevails() {
        assert_eq!(
            facts(&[("2024-10-01", 'a'), ("2024-10-01", 'b')]).at(day("2024-10-01")),
            Some(&'b')
        );
        assert_eq!(facts(&[("", 'a'), ("", 'b')]), Timeline::since_ever('b'));
    }

    #[test]
    fn only_another_value_is_a_change() {
        let timeline = facts(&[
            ("", 'a'),
            ("2024-10-01", 'a'),
            ("2024-11-01", 'b'),
            ("2024-12-01", 'b'),
        ]);
        assert_eq!(
            timeline.changes_after(day("2024-01-01")),
            Some(day("2024-11-01"))
        );
        assert_eq!(
            timeline.changes_after(day("2024-10-31")),
            Some(day("2024-11-01"))
        );
        assert_eq!(timeline.changes_after(day("2024-11-01")), None);
    }

    #[test]
    fn facts_may_hold_from_an_instant() {
        let nine: DateTime<Utc> = "2024-10-01T09:00:00+08:00".parse().unwrap();
        let ten: DateTime<Utc> = "2024-10-01T10:00:00+08:00".parse().unwrap();
        let mut consent = Timeline::<_, DateTime<Utc>>::since_ever('u');
        consent.record(Some(ten), 'g');
        assert_eq!(
            (consent.at(nine), consent.at(ten)),
            (Some(&'u'), Some(&'g'))
        );
    }

    #[test]
    fn serde_writes_pairs_and_restores_their_order() {
        let timeline = facts(&[("2024-10-01", 'b'), ("", 'a')]);
        let json = serde_json::to_string(&timeline).unwrap();
        assert_eq!(json, r#"[[null,"a"],["2024-10-01","b"]]"#);
        assert_eq!(
            serde_json::from_str::<Timeline<char>>(&json).unwrap(),
            timeline
        );
        assert_eq!(
            serde_json::from_str::<Timeline<char>>(r#"[["2024-10-01","b"],[null,"a"]]"#).unwrap(),
            timeline
        );
    }

    fn a_key() -> impl Strategy<Value = Option<LocalDay>> {
        proptest::option::weighted(
            0.9,
            (19_900..20_000).prop_map(|days| LocalDay::from_epoch_days(days).unwrap()),
        )
    }

    proptest! {
        #[test]
        fn facts_of_distinct_days_give_the_same_answers_in_any_order(
            (one, other) in proptest::collection::btree_map(a_key(), 0_u8..4, 0..20)
                .prop_map(|facts| facts.into_iter().collect::<Vec<_>>())
                .prop_flat_map(|facts| (Just(facts.clone()), Just(facts).prop_shuffle())),
        ) {
            prop_assert_eq!(one.into_iter().collect::<Timeline<_>>(), other.into_iter().collect::<Timeline<_>>());
        }

        #[test]
        fn the_answers_are_those_of_a_search_through_all_facts(
            facts in proptest::collection::vec((a_key(), 0_u8..4), 0..30),
            days in 19_890_i32..20_010,
        ) {
            let today = LocalDay::from_epoch_days(days).unwrap();
            let timeline: Timeline<_> = facts.iter().copied().collect();
            let prevailing: BTreeMap<_, _> = facts.into_iter().collect();
            let now = prevailing.range(..=Some(today)).next_back().map(|(_, value)| value);
            prop_assert_eq!(timeline.at(today), now);

            let change = (1..200).map(|distance| today.plus_days(distance)).find(|day| timeline.at(*day) != now);
            prop_assert_eq!(timeline.changes_after(today), change);
        }
    }
}
