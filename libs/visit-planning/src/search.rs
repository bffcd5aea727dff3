//! Shortens the ways of a cluster: at once where it is small, else part by part, as often as that helps.

use crate::{
    cluster::{Cluster, PinnedDoors},
    neighbourhood::{Choice, Neighbourhood},
    prepared::Prepared,
    solver::{Model, Sum, Var},
    supply::Supply,
};

/// A part takes in up to so many visitors.
const TOGETHER: usize = 4;

/// Steps of the search for who goes where, before any route is laid.
const NODES: u64 = 200;

/// Numbers that look like chance and are the same for the same seed (SplitMix64, Steele and others 2014).
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound.max(1) as u64) as usize
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            items.swap(at, self.below(at + 1));
        }
    }
}

/// A cluster being shortened.
pub(crate) struct Search<'s, 'w> {
    pub(crate) prepared: &'s Prepared<'w>,
    pub(crate) pinned: &'s PinnedDoors,
    pub(crate) cluster: &'s mut Cluster,
    pub(crate) chance: Chance,
}

impl Search<'_, '_> {
    /// Shortens the cluster's ways in at most `passes` passes; `go_on` is asked before each part.
    pub(crate) fn shorten(&mut self, passes: u32, go_on: &dyn Fn() -> bool) {
        if !go_on() {
            return;
        }
        let all = (0..self.cluster.duties.len()).collect();
        let whole = self.neighbourhood(&self.cluster.visitors, all);
        if whole.is_small() {
            let choice = whole.choose();
            let proven = choice.as_ref().is_some_and(|choice| choice.proven);
            self.apply(choice);
            if proven {
                return;
            }
        } else {
            self.draw_near();
        }
        let near = self.neighbours();
        for _ in 0..passes {
            let mut saved = 0;
            let mut order: Vec<usize> = (0..self.cluster.visitors.len()).collect();
            self.chance.shuffle(&mut order);
            for first in order {
                if !go_on() {
                    return;
                }
                saved += self.shorten_around(&near, first);
            }
            if saved == 0 {
                return;
            }
        }
    }

    fn neighbourhood(&self, visitors: &[usize], free: Vec<usize>) -> Neighbourhood<'_, '_, '_> {
        Neighbourhood::new(self.prepared, self.pinned, self.cluster, visitors, free)
    }

    fn apply(&mut self, choice: Option<Choice>) -> u64 {
        let Some(choice) = choice else { return 0 };
        for (place, visit) in choice.visits {
            self.cluster.visits[place] = visit;
        }
        choice.saved
    }

    /// For each visitor of the cluster the others who share a duty with it, nearest first, by their place in the cluster.
    fn neighbours(&self) -> Vec<Vec<usize>> {
        let visitors = &self.cluster.visitors;
        let mut near: Vec<Vec<usize>> = vec![Vec::new(); visitors.len()];
        for candidates in &self.cluster.candidates {
            let places = candidates.iter().map(|visitor| {
                let place = visitors.binary_search(visitor);
                place.expect("a candidate is one of the cluster's visitors")
            });
            let places: Vec<usize> = places.collect();
            for of in &places {
                near[*of].extend(places.iter().filter(|other| *other != of));
            }
        }
        let position = |place: usize| self.prepared.week.visitors[visitors[place]].position;
        for (of, others) in near.iter_mut().enumerate() {
            others.sort_by_cached_key(|other| {
                let metres = position(of).metres_to(&position(*other)).round() as u64;
                (metres, *other)
            });
            others.dedup();
        }
        near
    }

    /// Lays a few visitors' weeks anew, around one of them.
    fn shorten_around(&mut self, near: &[Vec<usize>], first: usize) -> u64 {
        let mut others: Vec<usize> = near[first].iter().copied().take(2 * TOGETHER).collect();
        self.chance.shuffle(&mut others);
        others.truncate(TOGETHER - 1);
        let group = [first].into_iter().chain(others);
        let visitors: Vec<usize> = group.map(|place| self.cluster.visitors[place]).collect();
        let mut free: Vec<usize> = (0..self.cluster.duties.len())
            .filter(|place| visitors.contains(&self.cluster.visits[*place].visitor))
            .collect();
        let Some(centre) = self.pick(&free, self.cluster.visitors[first]) else {
            return 0;
        };
        // The nearest around one door stay free, the farther ones stay where they are.
        let centre = self.prepared.duty(self.cluster.duties[centre]).position;
        free.sort_by_cached_key(|place| {
            let duty = self.prepared.duty(self.cluster.duties[*place]);
            let visitor = self.cluster.visits[*place].visitor;
            let metres = centre.metres_to(&duty.position).round() as u64;
            (self.prepared.travels(duty, visitor), metres, *place)
        });
        loop {
            let part = self.neighbourhood(&visitors, free.clone());
            if part.is_small() {
                let choice = part.choose();
                return self.apply(choice);
            }
            free.pop();
        }
    }

    /// One of the duties, rather of this visitor.
    fn pick(&mut self, free: &[usize], own: usize) -> Option<usize> {
        let free_of = |place: &&usize| self.cluster.visits[**place].visitor == own;
        let of_own: Vec<usize> = free.iter().filter(free_of).copied().collect();
        let from = if of_own.is_empty() { free } else { &of_own };
        (!from.is_empty()).then(|| from[self.chance.below(from.len())])
    }

    /// Gives duties to near visitors where the levels above travel allow it, as a first answer for a cluster
    /// that is too large to be laid at once. When the solver has no answer, the cluster stays as it is.
    fn draw_near(&mut self) {
        let prepared = self.prepared;
        let mut model = Model::default();
        let mut supply = Supply::default();
        let mut cost = Sum::new();
        let mut levels = [Sum::new(), Sum::new(), Sum::new()];
        let mut reached = [0; 3];
        let mut ways: Vec<Vec<(usize, Var)>> = Vec::new();
        for (place, candidates) in self.cluster.candidates.iter().enumerate() {
            let duty = prepared.duty(self.cluster.duties[place]);
            let own = self.cluster.visits[place].visitor;
            let mut ways_of = Vec::new();
            for visitor in candidates {
                let var = model.var(1);
                let shortfall = prepared.shortfall(duty, *visitor);
                let short = [
                    shortfall.breaks_pairing,
                    shortfall.other_village,
                    shortfall.changes_visitor,
                ];
                for (level, short) in short.into_iter().enumerate() {
                    if short {
                        levels[level].push((var, 1.0));
                        reached[level] += usize::from(*visitor == own);
                    }
                }
                if prepared.travels(duty, *visitor) {
                    cost.push((var, prepared.metres(duty, *visitor) as f64));
                }
                supply.take(*visitor, duty.days, var);
                ways_of.push((*visitor, var));
            }
            model.exactly(ways_of.iter().map(|(_, var)| (*var, 1.0)).collect(), 1);
            ways.push(ways_of);
        }
        for (sum, reached) in levels.into_iter().zip(reached) {
            model.at_most(sum, reached);
        }
        supply.limit(&mut model, &prepared.room);
        let Ok(answer) = model.minimise(&cost, None, NODES) else {
            return;
        };
        let chosen = ways.iter().zip(&self.cluster.visits).map(|(ways, visit)| {
            let chosen = ways.iter().find(|(_, var)| answer.values[*var] > 0);
            chosen.map_or(visit.visitor, |(visitor, _)| *visitor)
        });
        let visitor_of: Vec<usize> = chosen.collect();
        self.cluster.give(prepared, &visitor_of);
    }
}
