//! The shortest way from home past a day's doors and back.

use civic::GeoPosition;

/// Up to so many doors the shortest way is found among all ways; beyond that it is bettered until no exchange helps.
pub(crate) const EXACT: usize = 12;

/// Metres from place to place, each leg rounded to the metre.
#[derive(Debug)]
pub(crate) struct Legs {
    doors: usize,
    // Row and column 0 are home.
    metres: Vec<u32>,
}

impl Legs {
    pub(crate) fn new(home: GeoPosition, doors: &[GeoPosition]) -> Self {
        let places: Vec<GeoPosition> = [home].iter().chain(doors).copied().collect();
        let metres = places
            .iter()
            .flat_map(|from| places.iter().map(|to| from.metres_to(to).round() as u32))
            .collect();
        Self {
            doors: doors.len(),
            metres,
        }
    }

    fn home_to(&self, door: usize) -> u64 {
        u64::from(self.metres[door + 1])
    }

    fn between(&self, a: usize, b: usize) -> u64 {
        u64::from(self.metres[(a + 1) * (self.doors + 1) + b + 1])
    }

    fn length(&self, order: &[usize]) -> u64 {
        let (Some(first), Some(last)) = (order.first(), order.last()) else {
            return 0;
        };
        let inner = order.windows(2).map(|leg| self.between(leg[0], leg[1]));
        self.home_to(*first) + inner.sum::<u64>() + self.home_to(*last)
    }
}

/// For each set of at most `most` optional doors, as bits, the length of the shortest way past all
/// fixed doors and these, in metres. The doors of `legs` are the optional ones, then the fixed ones.
pub(crate) fn lengths_by_set(legs: &Legs, optional: usize, most: usize) -> Vec<u64> {
    let fixed = legs.doors - optional;
    let sets = 0..1_usize << optional;
    if legs.doors <= EXACT {
        let fixed_bits = ((1_usize << fixed) - 1) << optional;
        let ends = shortest_ends(legs, most + fixed);
        return sets
            .map(|set| close(legs, &ends, set | fixed_bits))
            .collect();
    }
    sets.map(|set| {
        if set.count_ones() as usize > most {
            return u64::MAX;
        }
        let doors = (0..legs.doors).filter(|door| *door >= optional || set & (1 << door) != 0);
        legs.length(&better(legs, doors.collect()))
    })
    .collect()
}

/// The doors of `legs` in the order of the shortest way found, and its length in metres. Of a way and its
/// reverse, the one that begins with the door named first.
pub(crate) fn shortest(legs: &Legs) -> (Vec<usize>, u64) {
    let mut order = if legs.doors <= EXACT {
        exact_order(legs)
    } else {
        better(legs, (0..legs.doors).collect())
    };
    if order.first() > order.last() {
        order.reverse();
    }
    let length = legs.length(&order);
    (order, length)
}

/// For each set of at most `most` doors and each last door in it, the shortest way from home that
/// ends there (dynamic programming over sets, Held and Karp 1962).
fn shortest_ends(legs: &Legs, most: usize) -> Vec<u64> {
    let doors = legs.doors;
    let mut ends = vec![u64::MAX; (1 << doors) * doors];
    for door in 0..doors {
        ends[(1 << door) * doors + door] = legs.home_to(door);
    }
    for set in 1_usize..1 << doors {
        if set.count_ones() as usize >= most {
            continue;
        }
        for last in 0..doors {
            let so_far = ends[set * doors + last];
            if so_far == u64::MAX {
                continue;
            }
            for next in (0..doors).filter(|next| set & (1 << next) == 0) {
                let end = &mut ends[(set | 1 << next) * doors + next];
                *end = (*end).min(so_far + legs.between(last, next));
            }
        }
    }
    ends
}

/// The shortest way past a set of doors and back home.
fn close(legs: &Legs, ends: &[u64], set: usize) -> u64 {
    if set == 0 {
        return 0;
    }
    (0..legs.doors)
        .map(|last| ends[set * legs.doors + last].saturating_add(legs.home_to(last)))
        .min()
        .unwrap_or(u64::MAX)
}

fn exact_order(legs: &Legs) -> Vec<usize> {
    let doors = legs.doors;
    let ends = shortest_ends(legs, doors);
    let mut order: Vec<usize> = Vec::with_capacity(doors);
    let mut set = (1_usize << doors) - 1;
    // Backwards from home: the last door is the one from which the whole is shortest.
    while set != 0 {
        let way_on = |door: usize| match order.last() {
            None => legs.home_to(door),
            Some(next) => legs.between(door, *next),
        };
        let last = (0..doors)
            .filter(|door| set & (1 << door) != 0)
            .min_by_key(|door| ends[set * doors + door].saturating_add(way_on(*door)))
            .expect("a set that is not empty has a door");
        order.push(last);
        set &= !(1 << last);
    }
    order.reverse();
    order
}

/// A way that no reversal of a stretch and no move of a single door makes shorter, from the nearest door on.
fn better(legs: &Legs, mut left: Vec<usize>) -> Vec<usize> {
    let mut order: Vec<usize> = Vec::with_capacity(left.len());
    while let Some(at) = (0..left.len()).min_by_key(|at| match order.last() {
        None => legs.home_to(left[*at]),
        Some(last) => legs.between(*last, left[*at]),
    }) {
        order.push(left.remove(at));
    }
    let mut length = legs.length(&order);
    loop {
        let before = length;
        for from in 0..order.len() {
            for to in 0..order.len() {
                let mut reversed = order.clone();
                reversed[from.min(to)..=from.max(to)].reverse();
                let mut moved = order.clone();
                let door = moved.remove(from);
                moved.insert(to, door);
                for candidate in [reversed, moved] {
                    let new = legs.length(&candidate);
                    if new < length {
                        (order, length) = (candidate, new);
                    }
                }
            }
        }
        if length == before {
            return order;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(count: usize) -> Vec<GeoPosition> {
        (0..count)
            .map(|at| {
                let (north, east) = ((at * 7919 % 101) as f64, (at * 104_729 % 103) as f64);
                GeoPosition::new(25.0 + north / 1000.0, 118.0 + east / 1000.0).unwrap()
            })
            .collect()
    }

    fn all_orders(left: &mut Vec<usize>, order: &mut Vec<usize>, see: &mut impl FnMut(&[usize])) {
        if left.is_empty() {
            see(order);
        }
        for at in 0..left.len() {
            let door = left.remove(at);
            order.push(door);
            all_orders(left, order, see);
            order.pop();
            left.insert(at, door);
        }
    }

    #[test]
    fn no_order_of_the_doors_is_shorter() {
        let doors = places(8);
        let legs = Legs::new(doors[0], &doors[1..]);
        let (order, length) = shortest(&legs);
        assert_eq!(legs.length(&order), length);
        let mut best = u64::MAX;
        all_orders(&mut (0..7).collect(), &mut Vec::new(), &mut |order| {
            best = best.min(legs.length(order));
        });
        assert_eq!(length, best);
    }

    #[test]
    fn lengths_of_sets_are_those_of_their_shortest_ways() {
        let doors = places(8);
        let legs = Legs::new(doors[0], &doors[1..]);
        // Five optional doors, two fixed ones.
        let lengths = lengths_by_set(&legs, 5, 5);
        for (set, length) in lengths.iter().enumerate() {
            let chosen: Vec<GeoPosition> = (0..7)
                .filter(|door| *door >= 5 || set & (1 << door) != 0)
                .map(|door| doors[door + 1])
                .collect();
            assert_eq!(*length, shortest(&Legs::new(doors[0], &chosen)).1);
        }
    }

    #[test]
    fn many_doors_get_a_way_that_is_hardly_longer_than_the_shortest() {
        let doors = places(12);
        let legs = Legs::new(doors[0], &doors[1..]);
        let found = legs.length(&better(&legs, (0..11).collect()));
        let best = shortest(&legs).1;
        assert!(found >= best && found * 10 <= best * 12);
        let many = places(30);
        let (mut order, _) = shortest(&Legs::new(many[0], &many[1..]));
        order.sort_unstable();
        assert_eq!(order, (0..29).collect::<Vec<_>>());
    }

    #[test]
    fn a_day_without_doors_needs_no_way() {
        let home = places(1)[0];
        assert_eq!(shortest(&Legs::new(home, &[])), (vec![], 0));
        assert_eq!(lengths_by_set(&Legs::new(home, &[]), 0, 0), [0]);
    }
}
