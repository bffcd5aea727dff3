//! Visitors who could take each other's duties, with these duties: the part of a county that is planned on its own.

use std::collections::BTreeMap;

use civic::GeoPosition;

use crate::{
    assignment::Given,
    prepared::{Prepared, Shortfall},
    supply::lay_on_days,
    week::needs_travel,
    workday::WORKDAYS,
};

/// So many of the nearest visitors are thought of for a duty that no visitor of its own can take.
const NEAREST: usize = 6;

/// Duties that are given to somebody, and who else could have them.
#[derive(Debug, Default)]
pub(crate) struct Cluster {
    /// By their place in the week, ascending.
    pub(crate) duties: Vec<usize>,
    /// By their place in the week, ascending.
    pub(crate) visitors: Vec<usize>,
    /// For each duty the visitors who may have it, ascending; its own is among them.
    pub(crate) candidates: Vec<Vec<usize>>,
    /// For each duty its visitor and day.
    pub(crate) visits: Vec<Visit>,
}

/// By whom and on which day a duty is met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Visit {
    pub(crate) visitor: usize,
    pub(crate) day: usize,
}

/// The doors that pins put on each visitor's days.
pub(crate) type PinnedDoors = Vec<[Vec<GeoPosition>; WORKDAYS]>;

pub(crate) fn pinned_doors(prepared: &Prepared<'_>) -> PinnedDoors {
    let mut doors: PinnedDoors = vec![Default::default(); prepared.week.visitors.len()];
    for pinned in &prepared.pinned {
        if needs_travel(pinned.mode) {
            let position = prepared.duty(pinned.duty).position;
            doors[pinned.visitor][pinned.day.at()].push(position);
        }
    }
    doors
}

/// Splits what is given into clusters that share no visitor. Duties that are given to nobody stay out.
pub(crate) fn clusters(prepared: &Prepared<'_>, given: &Given) -> Vec<Cluster> {
    let left = room_left(prepared, given);
    let mut joined = Joined::new(prepared.week.visitors.len());
    let mut taken = Vec::new();
    for (at, given) in prepared.free.iter().zip(given) {
        if let Some(own) = *given {
            let candidates = candidates(prepared, *at, own, left[own] == 0);
            for other in &candidates {
                joined.join(own, *other);
            }
            taken.push((*at, own, candidates));
        }
    }
    let mut by_root: BTreeMap<usize, (Cluster, Vec<usize>)> = BTreeMap::new();
    for (at, own, candidates) in taken {
        let (cluster, owns) = by_root.entry(joined.root(own)).or_default();
        cluster.duties.push(at);
        cluster.candidates.push(candidates);
        owns.push(own);
    }
    for visitor in 0..prepared.week.visitors.len() {
        if let Some((cluster, _)) = by_root.get_mut(&joined.root(visitor)) {
            cluster.visitors.push(visitor);
        }
    }
    let clusters = by_root.into_values().map(|(mut cluster, owns)| {
        cluster.give(prepared, &owns);
        cluster
    });
    clusters.collect()
}

/// What room the assignment leaves to each visitor.
fn room_left(prepared: &Prepared<'_>, given: &Given) -> Vec<usize> {
    let room = prepared.room.iter();
    let mut left: Vec<usize> = room
        .map(|room| room.week.min(room.day.iter().sum()))
        .collect();
    for visitor in given.iter().flatten() {
        left[*visitor] = left[*visitor].saturating_sub(1);
    }
    left
}

/// Who may have this duty: the visitors whom the elder knows; and where that is not the end of it, because
/// none of them has it or their time is short, the village's and the nearest ones too.
fn candidates(prepared: &Prepared<'_>, at: usize, own: usize, short: bool) -> Vec<usize> {
    let duty = prepared.duty(at);
    let mut candidates = prepared.known_to(duty);
    let content = candidates.contains(&own)
        && !short
        && prepared.shortfall(duty, own) == Shortfall::default();
    if !content {
        let mut others: Vec<(u64, usize)> = (0..prepared.week.visitors.len())
            .filter(|visitor| prepared.can(duty, *visitor))
            .map(|visitor| (prepared.metres(duty, visitor), visitor))
            .collect();
        others.sort_unstable();
        let of_village = |visitor: &usize| prepared.week.visitors[*visitor].village == duty.village;
        let others = others.into_iter().map(|(_, visitor)| visitor).enumerate();
        let near = others.filter(|(rank, visitor)| *rank < NEAREST || of_village(visitor));
        candidates.extend(near.map(|(_, visitor)| visitor));
    }
    candidates.push(own);
    candidates.sort_unstable();
    candidates.dedup();
    candidates
}

impl Cluster {
    /// Gives each duty to its visitor, on days that can hold them.
    pub(crate) fn give(&mut self, prepared: &Prepared<'_>, visitor_of: &[usize]) {
        let mut visits = vec![None; self.duties.len()];
        for visitor in &self.visitors {
            let own: Vec<usize> = (0..self.duties.len())
                .filter(|place| visitor_of[*place] == *visitor)
                .collect();
            let days: Vec<_> = own
                .iter()
                .map(|place| prepared.duty(self.duties[*place]).days)
                .collect();
            let laid = lay_on_days(&days, &prepared.room[*visitor], *visitor)
                .expect("an assignment never gives a visitor more than the days hold");
            for (place, day) in own.into_iter().zip(laid) {
                visits[place] = Some(Visit {
                    visitor: *visitor,
                    day,
                });
            }
        }
        self.visits = visits
            .into_iter()
            .collect::<Option<_>>()
            .expect("each duty's visitor is one of the cluster's");
    }
}

/// Sets of visitors that only ever grow together.
struct Joined(Vec<usize>);

impl Joined {
    fn new(count: usize) -> Self {
        Self((0..count).collect())
    }

    fn root(&mut self, of: usize) -> usize {
        let mut root = of;
        while self.0[root] != root {
            self.0[root] = self.0[self.0[root]];
            root = self.0[root];
        }
        root
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        self.0[a.max(b)] = a.min(b);
    }
}
