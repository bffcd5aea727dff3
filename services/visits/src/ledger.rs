//! The ledger of what every visitor recorded: which records are in doubt by the records that stand in the log before them.
//!
//! Rule: section 3, "Recording". Earlier means earlier in the log, pending and rejected ones included.

use std::collections::BTreeMap;
use std::ops::Bound;

use chrono::{DateTime, TimeDelta, Utc};
use civic::{Doubt, ElderId, GeoPosition, LocalDay, Set};

/// Nobody travels faster, in a straight line from check-in to check-in.
pub const FASTEST_KM_AN_HOUR: f64 = 80.0;
/// More records of a visitor on one day are in doubt.
pub const MOST_A_DAY: usize = 40;

/// What the ledger keeps of a record.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Entry {
    /// The elder.
    pub elder: ElderId,
    /// When the visit began.
    pub start: DateTime<Utc>,
    /// When it ended.
    pub end: DateTime<Utc>,
    /// Where the visitor checked in, if it can be told.
    pub check_in: Option<GeoPosition>,
}

/// The records of one visitor, by start.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Timeline {
    entries: BTreeMap<DateTime<Utc>, Vec<Entry>>,
    longest: TimeDelta,
}

impl Timeline {
    /// Adds a record.
    pub fn add(&mut self, entry: Entry) {
        self.longest = self.longest.max(entry.end - entry.start);
        self.entries.entry(entry.start).or_default().push(entry);
    }

    /// The doubts that these earlier records raise about a further one.
    #[must_use]
    pub fn doubts(&self, entry: &Entry) -> Set<Doubt> {
        let mut doubts = Set::new();
        if self.overlaps(entry) {
            doubts.insert(Doubt::Overlap);
        }
        if self.travels_too_fast(entry) {
            doubts.insert(Doubt::ImpossibleTravel);
        }
        let day = LocalDay::of(entry.start);
        let of_the_day: usize = self
            .entries
            .range(day.start()..day.end())
            .map(|(_, entries)| entries.len())
            .sum();
        if of_the_day >= MOST_A_DAY {
            doubts.insert(Doubt::ImplausibleVolume);
        }
        doubts
    }

    /// With another elder for more than zero seconds of the same time.
    fn overlaps(&self, entry: &Entry) -> bool {
        let earliest = entry.start.checked_sub_signed(self.longest);
        let earliest = earliest.unwrap_or(DateTime::<Utc>::MIN_UTC);
        self.entries
            .range(earliest..=entry.end)
            .flat_map(|(_, entries)| entries)
            .any(|other| {
                other.elder != entry.elder
                    && entry.end.min(other.end) > entry.start.max(other.start)
            })
    }

    /// From or to a neighbour in time; several of one instant are all neighbours.
    fn travels_too_fast(&self, entry: &Entry) -> bool {
        let Some(here) = &entry.check_in else {
            return false;
        };
        let too_fast = |there: &Entry| {
            there.check_in.as_ref().is_some_and(|place| {
                let metres = here.metres_to(place);
                let seconds = (entry.start - there.start).abs().as_seconds_f64();
                if seconds == 0.0 {
                    metres > 0.0
                } else {
                    metres * 3.6 > FASTEST_KM_AN_HOUR * seconds
                }
            })
        };
        let checked_in = |(_, entries): &(&DateTime<Utc>, &Vec<Entry>)| {
            entries.iter().any(|other| other.check_in.is_some())
        };
        let at_once = self.entries.get(&entry.start);
        let before = self.entries.range(..entry.start).rev().find(checked_in);
        let later = (Bound::Excluded(entry.start), Bound::Unbounded);
        let after = self.entries.range(later).find(checked_in);
        at_once
            .into_iter()
            .chain(before.map(|(_, entries)| entries))
            .chain(after.map(|(_, entries)| entries))
            .flatten()
            .any(too_fast)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        format!("2024-10-08T{text}+08:00").parse().unwrap()
    }

    /// A place so many metres north of a village.
    fn metres_north(metres: f64) -> Option<GeoPosition> {
        Some(GeoPosition::new(25.0 + metres / 111_194.926_644_558_74, 117.0).unwrap())
    }

    fn entry(elder: u128, start: &str, end: &str) -> Entry {
        Entry {
            elder: ElderId(Uuid::from_u128(elder)),
            start: at(start),
            end: at(end),
            check_in: None,
        }
    }

    fn checked_in(elder: u128, start: &str, metres: f64) -> Entry {
        Entry {
            check_in: metres_north(metres),
            ..entry(elder, start, start)
        }
    }

    #[track_caller]
    fn check<const N: usize>(
        earlier: impl IntoIterator<Item = Entry>,
        entry: Entry,
        expected: [Doubt; N],
    ) {
        let mut timeline = Timeline::default();
        earlier.into_iter().for_each(|entry| timeline.add(entry));
        assert_eq!(timeline.doubts(&entry), Set::from(expected));
    }

    #[test]
    fn a_visitor_cannot_be_with_two_elders_at_a_time() {
        let earlier = [entry(1, "09:00:00", "09:30:00")];
        check(earlier, entry(2, "09:29:59", "10:00:00"), [Doubt::Overlap]);
        check(earlier, entry(2, "08:00:00", "11:00:00"), [Doubt::Overlap]);
        check(earlier, entry(2, "09:10:00", "09:11:00"), [Doubt::Overlap]);
    }

    #[test]
    fn times_that_only_touch_do_not_overlap() {
        let earlier = [entry(1, "09:00:00", "09:30:00")];
        check(earlier, entry(2, "09:30:00", "10:00:00"), []);
        check(earlier, entry(2, "08:30:00", "09:00:00"), []);
        check(earlier, entry(2, "09:10:00", "09:10:00"), []);
    }

    #[test]
    fn the_same_elder_may_be_visited_twice_at_a_time() {
        let earlier = [entry(1, "09:00:00", "09:30:00")];
        check(earlier, entry(1, "09:10:00", "09:40:00"), []);
    }

    #[test]
    fn a_long_visit_is_found_behind_shorter_ones() {
        let earlier = [
            entry(1, "06:00:00", "12:00:00"),
            entry(1, "09:00:00", "09:10:00"),
        ];
        check(earlier, entry(2, "11:00:00", "11:10:00"), [Doubt::Overlap]);
    }

    #[test]
    fn nobody_travels_faster_than_80_kilometres_an_hour() {
        // A quarter of an hour: 20 km.
        let earlier = [checked_in(1, "09:00:00", 0.0)];
        check(earlier, checked_in(2, "09:15:00", 19_999.0), []);
        check(
            earlier,
            checked_in(2, "09:15:00", 20_001.0),
            [Doubt::ImpossibleTravel],
        );
    }

    #[test]
    fn the_neighbour_after_counts_as_the_one_before() {
        let later = [checked_in(1, "09:15:00", 20_001.0)];
        check(
            later,
            checked_in(2, "09:00:00", 0.0),
            [Doubt::ImpossibleTravel],
        );
    }

    #[test]
    fn only_neighbours_in_time_are_compared_and_records_without_check_in_skipped() {
        let earlier = [
            checked_in(1, "09:00:00", 0.0),
            checked_in(2, "09:14:00", 18_600.0),
            entry(3, "09:14:30", "09:14:40"),
        ];
        // From 09:00 it would be 79.6 km/h and more; from its neighbour it is 60 or 96.
        check(earlier, checked_in(4, "09:15:00", 19_600.0), []);
        check(
            earlier,
            checked_in(4, "09:15:00", 20_200.0),
            [Doubt::ImpossibleTravel],
        );
        check(earlier, checked_in(4, "09:15:00", 19_900.0), []);
        check(earlier, entry(4, "09:15:00", "09:16:00"), []);
    }

    #[test]
    fn two_places_at_one_instant_are_impossible_and_hide_no_neighbour() {
        let earlier = [checked_in(1, "09:00:00", 0.0)];
        check(
            earlier,
            checked_in(2, "09:00:00", 1.0),
            [Doubt::ImpossibleTravel],
        );
        check(earlier, checked_in(2, "09:00:00", 0.0), []);
        let earlier = [
            checked_in(1, "08:45:00", 30_000.0),
            checked_in(2, "09:00:00", 0.0),
        ];
        check(
            earlier,
            checked_in(3, "09:00:00", 0.0),
            [Doubt::ImpossibleTravel],
        );
    }

    #[test]
    fn the_41st_record_of_a_day_is_in_doubt() {
        let record = |minute: u128| {
            let start = at("08:00:00") + TimeDelta::minutes(i64::try_from(minute).unwrap() * 10);
            Entry {
                elder: ElderId(Uuid::from_u128(minute)),
                start,
                end: start,
                check_in: None,
            }
        };
        check((0..39).map(record), record(39), []);
        check((0..40).map(record), record(40), [Doubt::ImplausibleVolume]);
        let mut yesterday = record(0);
        yesterday.start -= TimeDelta::days(1);
        check((0..40).map(record), yesterday, []);
    }

    proptest! {
        #[test]
        fn the_answer_does_not_hang_on_the_order_of_what_was_earlier(
            entries in proptest::collection::vec((0_u128..4, 0_i64..90, 0_i64..30, proptest::option::of(0.0_f64..40_000.0)), 1..12),
        ) {
            let entries: Vec<Entry> = entries
                .into_iter()
                .map(|(elder, start, minutes, place)| Entry {
                    elder: ElderId(Uuid::from_u128(elder)),
                    start: at("09:00:00") + TimeDelta::minutes(start),
                    end: at("09:00:00") + TimeDelta::minutes(start + minutes),
                    check_in: place.and_then(metres_north),
                })
                .collect();
            let (last, earlier) = entries.split_last().unwrap();
            let (mut one, mut other) = (Timeline::default(), Timeline::default());
            earlier.iter().for_each(|entry| one.add(*entry));
            earlier.iter().rev().for_each(|entry| other.add(*entry));
            prop_assert_eq!(one.doubts(last), other.doubts(last));

            let overlaps = earlier.iter().any(|other| {
                other.elder != last.elder && last.end.min(other.end) > last.start.max(other.start)
            });
            prop_assert_eq!(one.doubts(last).contains(Doubt::Overlap), overlaps);
        }
    }
}
