//! Who visits whom: the best that the domain's order allows before any way is measured, found exactly.
//!
//! Duties are units that flow to visitors with room. A duty can go straight to a visitor the elder
//! knows. To all others it goes through its kind (same open modes, same days, same village), for
//! within the village one is as good as the other, as is one outside; so the whole county is a small
//! problem, whose best answer is in whole numbers.

use std::collections::BTreeMap;

use civic::{Set, VillageCode, VisitMode};

use crate::{
    prepared::Prepared,
    solver::{Answer, Model, SolverFault, Sum, Var, total},
    supply::Supply,
    week::Interval,
    workday::Workdays,
};

/// Steps of the search beyond the first answer. Flows have whole-numbered best answers, so hardly any is needed.
const NODES: u64 = 2_000;

/// For each free duty its visitor, or none.
pub(crate) type Given = Vec<Option<usize>>;

/// Modes and days that duties have in common.
type Kind = (Set<VisitMode>, Workdays);

/// Duties that are alike to everybody whom the elders don't know.
#[derive(Default)]
struct Pool {
    /// What flows in.
    inlets: Sum,
    /// What flows to a visitor.
    outlets: Vec<(usize, Var)>,
}

/// What is counted, in this order, each as small as the ones before allow.
#[derive(Default)]
struct Levels {
    unassigned: Sum,
    pairings_broken: Sum,
    other_village: Sum,
    weekly_unassigned: Sum,
    visitors_changed: Sum,
}

/// Gives each free duty to a visitor: as few left over as can be, then as few pairings broken, then as few
/// visitors from another village; among these, monthly duties are left over rather than weekly ones, and the
/// visitor of the last plan is kept.
pub(crate) fn assign(prepared: &Prepared<'_>) -> Result<Given, SolverFault> {
    let mut network = Network {
        prepared,
        model: Model::default(),
        supply: Supply::default(),
        levels: Levels::default(),
        ways: Vec::new(),
        villages: BTreeMap::new(),
        county: BTreeMap::new(),
    };
    for at in &prepared.free {
        network.add(*at);
    }
    network.join_villages();
    network.join_county();
    std::mem::take(&mut network.supply).limit(&mut network.model, &prepared.room);
    let values = network.solve()?;
    Ok(network.read(&values))
}

struct Network<'p, 'w> {
    prepared: &'p Prepared<'w>,
    model: Model,
    supply: Supply,
    levels: Levels,
    /// For each free duty: to visitors the elder knows, and to its kind.
    ways: Vec<(Vec<(usize, Var)>, Var)>,
    villages: BTreeMap<(Kind, VillageCode), Pool>,
    county: BTreeMap<Kind, Pool>,
}

impl Network<'_, '_> {
    fn add(&mut self, at: usize) {
        let duty = self.prepared.duty(at);
        let left = self.model.var(1);
        self.levels.unassigned.push((left, 1.0));
        if duty.interval == Interval::Weekly {
            self.levels.weekly_unassigned.push((left, 1.0));
        }
        let mut somewhere = vec![(left, 1.0)];
        let mut known = Vec::new();
        for visitor in self.prepared.known_to(duty) {
            let var = self.model.var(1);
            let shortfall = self.prepared.shortfall(duty, visitor);
            if shortfall.breaks_pairing {
                self.levels.pairings_broken.push((var, 1.0));
            }
            if shortfall.other_village {
                self.levels.other_village.push((var, 1.0));
            }
            if shortfall.changes_visitor {
                self.levels.visitors_changed.push((var, 1.0));
            }
            self.supply.take(visitor, duty.days, var);
            somewhere.push((var, 1.0));
            known.push((visitor, var));
        }
        let pooled = self.model.var(1);
        if !duty.pairings.is_empty() {
            self.levels.pairings_broken.push((pooled, 1.0));
        }
        if duty.usual.is_some() {
            self.levels.visitors_changed.push((pooled, 1.0));
        }
        somewhere.push((pooled, 1.0));
        self.model.exactly(somewhere, 1);
        self.ways.push((known, pooled));
        let kind = (duty.open_modes(), duty.days);
        let pool = self.villages.entry((kind, duty.village)).or_default();
        pool.inlets.push((pooled, 1.0));
    }

    /// Each kind of duty in a village can go to the village's visitors, or out of it.
    fn join_villages(&mut self) {
        for ((kind, village), mut pool) in std::mem::take(&mut self.villages) {
            self.join(kind, &mut pool, |of| of == village);
            let out = self.model.var(pool.inlets.len());
            self.levels.other_village.push((out, 1.0));
            self.balance(&pool, Some(out));
            let county = self.county.entry(kind).or_default();
            county.inlets.push((out, 1.0));
            self.villages.insert((kind, village), pool);
        }
    }

    /// What goes out of a village can go to anybody who fits.
    fn join_county(&mut self) {
        for (kind, mut pool) in std::mem::take(&mut self.county) {
            self.join(kind, &mut pool, |_| true);
            self.balance(&pool, None);
            self.county.insert(kind, pool);
        }
    }

    fn join(&mut self, (modes, days): Kind, pool: &mut Pool, holds: impl Fn(VillageCode) -> bool) {
        for (at, visitor) in self.prepared.week.visitors.iter().enumerate() {
            let room = self.prepared.room[at].on(days);
            let fits = !modes.intersection(visitor.modes).is_empty();
            if fits && room > 0 && holds(visitor.village) {
                let var = self.model.var(room);
                self.supply.take(at, days, var);
                pool.outlets.push((at, var));
            }
        }
    }

    /// What flows in flows out.
    fn balance(&mut self, pool: &Pool, out: Option<Var>) {
        let inlets = pool.inlets.iter().map(|(var, _)| (*var, -1.0));
        let outlets = pool.outlets.iter().map(|(_, var)| *var).chain(out);
        let sum = inlets.chain(outlets.map(|var| (var, 1.0))).collect();
        self.model.exactly(sum, 0);
    }

    /// Level after level, two at a time, so that no weight outgrows what the solver can tell apart.
    fn solve(&mut self) -> Result<Vec<i64>, SolverFault> {
        let levels = std::mem::take(&mut self.levels);
        let stages = [
            [levels.unassigned, levels.pairings_broken],
            [levels.other_village, levels.weekly_unassigned],
            [levels.visitors_changed, Sum::new()],
        ];
        let above = (self.prepared.free.len() + 1) as f64;
        let mut best: Option<Vec<i64>> = None;
        for [upper, lower] in stages {
            let nought = |values: &Vec<i64>| total(&upper, values) + total(&lower, values) == 0;
            if !best.as_ref().is_some_and(nought) {
                let weighed = upper.iter().map(|(var, weight)| (*var, weight * above));
                let cost: Sum = weighed.chain(lower.iter().copied()).collect();
                let Answer { values, .. } = self.model.minimise(&cost, best.as_deref(), NODES)?;
                best = Some(values);
            }
            if let Some(values) = &best {
                for level in [upper, lower] {
                    let reached = usize::try_from(total(&level, values)).unwrap_or(0);
                    self.model.at_most(level, reached);
                }
            }
        }
        best.ok_or(SolverFault)
    }

    fn read(&self, values: &[i64]) -> Given {
        let mut given: Given = Vec::new();
        let mut pooled: BTreeMap<(Kind, VillageCode), Vec<usize>> = BTreeMap::new();
        for (place, (known, pool)) in self.ways.iter().enumerate() {
            let chosen = known.iter().find(|(_, var)| values[*var] > 0);
            given.push(chosen.map(|(visitor, _)| *visitor));
            if values[*pool] > 0 {
                let duty = self.prepared.duty(self.prepared.free[place]);
                let kind = (duty.open_modes(), duty.days);
                pooled.entry((kind, duty.village)).or_default().push(place);
            }
        }
        let mut elsewhere: BTreeMap<Kind, Vec<usize>> = BTreeMap::new();
        for (key, duties) in pooled {
            let left = hand_out(duties, &self.villages[&key], values, &mut given);
            elsewhere.entry(key.0).or_default().extend(left);
        }
        for (kind, duties) in elsewhere {
            hand_out(duties, &self.county[&kind], values, &mut given);
        }
        given
    }
}

/// Gives duties to the pool's visitors, as many to each as the answer says; returns the others.
fn hand_out(duties: Vec<usize>, pool: &Pool, values: &[i64], given: &mut Given) -> Vec<usize> {
    let mut duties = duties.into_iter();
    for (visitor, var) in &pool.outlets {
        let share = usize::try_from(values[*var]).unwrap_or(0);
        for place in duties.by_ref().take(share) {
            given[place] = Some(*visitor);
        }
    }
    duties.collect()
}
