//! Some visitors' weeks laid anew: out of all ways in which these visits could be joined to routes, the shortest choice.
//!
//! Each route that a visitor could walk on a day, past any set of the free duties, is one column with
//! its shortest length. The solver picks columns so that each duty is in one, days and weeks hold what
//! they can, and no level above travel gets worse. What it proves is the shortest way there is.

use civic::GeoPosition;

use crate::{
    cluster::{Cluster, PinnedDoors, Visit},
    prepared::{Prepared, Shortfall},
    solver::{Model, Sum, Var, total},
    tour::{self, Legs, lengths_by_set},
    workday::WORKDAYS,
};

/// The most routes that one choice is made from.
const ROUTES: usize = 2_500;

/// The most free doors that routes of one visitor and day are made from.
const DOORS: usize = 11;

/// The most free doors on a day on which so many others stay that ways are not counted out any more.
const AMONG_MANY: usize = 3;

/// Steps of the search for one choice. What it leaves unsettled, the next pass tries from another side.
const NODES: u64 = 80;

/// The free duties of some visitors, and the days they can be laid on.
pub(crate) struct Neighbourhood<'c, 'p, 'w> {
    prepared: &'p Prepared<'w>,
    cluster: &'c Cluster,
    /// The visitors, each with the visits that the week can still hold.
    visitors: Vec<(usize, usize)>,
    /// By their place in the cluster.
    free: Vec<usize>,
    spans: Vec<Span>,
}

/// Days of one visitor that are alike: as much room, no doors that stay, the same duties possible.
struct Span {
    visitor: usize,
    days: Vec<usize>,
    /// Visits that each of the days can still hold.
    room: usize,
    /// Doors that stay where they are.
    doors: Vec<GeoPosition>,
    /// The free duties that can be here, by their place in the cluster: with a way, and without.
    visits: Vec<usize>,
    calls: Vec<usize>,
}

/// A variable of the choice: the span it puts duties on, and which ones.
struct Column {
    span: usize,
    what: What,
    var: Var,
}

enum What {
    /// Past a set of the span's doors, as bits.
    Route(usize),
    /// One duty without a way, by its place in the cluster.
    Call(usize),
}

/// What a choice comes to.
pub(crate) struct Choice {
    /// For each free duty that may have moved, by its place in the cluster, where it is now.
    pub(crate) visits: Vec<(usize, Visit)>,
    /// Metres saved.
    pub(crate) saved: u64,
    /// Whether nothing shorter exists for these visitors and free duties.
    pub(crate) proven: bool,
}

impl<'c, 'p, 'w> Neighbourhood<'c, 'p, 'w> {
    /// The visitors' weeks, with these of their duties free and the others left where they are.
    pub(crate) fn new(
        prepared: &'p Prepared<'w>,
        pinned: &PinnedDoors,
        cluster: &'c Cluster,
        visitors: &[usize],
        free: Vec<usize>,
    ) -> Self {
        let mut is_free = vec![false; cluster.duties.len()];
        for place in &free {
            is_free[*place] = true;
        }
        let mut neighbourhood = Self {
            prepared,
            cluster,
            visitors: Vec::new(),
            free,
            spans: Vec::new(),
        };
        for visitor in visitors {
            neighbourhood.span_days(*visitor, &pinned[*visitor], &is_free);
        }
        neighbourhood
    }

    fn span_days(
        &mut self,
        visitor: usize,
        pinned: &[Vec<GeoPosition>; WORKDAYS],
        is_free: &[bool],
    ) {
        let (prepared, cluster) = (self.prepared, self.cluster);
        let mut held = [0; WORKDAYS];
        let mut doors = pinned.clone();
        for (place, visit) in cluster.visits.iter().enumerate() {
            if visit.visitor == visitor && !is_free[place] {
                let duty = prepared.duty(cluster.duties[place]);
                held[visit.day] += 1;
                if prepared.travels(duty, visitor) {
                    doors[visit.day].push(duty.position);
                }
            }
        }
        let room = prepared.room[visitor];
        let left = room.week - held.iter().sum::<usize>();
        self.visitors.push((visitor, left));
        for (day, doors) in doors.into_iter().enumerate() {
            let room = (room.day[day] - held[day]).min(left);
            if room == 0 {
                continue;
            }
            let possible = self.free.iter().copied().filter(|place| {
                let duty = prepared.duty(cluster.duties[*place]);
                cluster.candidates[*place].contains(&visitor)
                    && duty.days.iter().any(|open| open.at() == day)
            });
            let (visits, calls): (Vec<usize>, Vec<usize>) = possible.partition(|place| {
                prepared.travels(prepared.duty(cluster.duties[*place]), visitor)
            });
            let like = self.spans.iter_mut().find(|span| {
                span.visitor == visitor
                    && span.doors.is_empty()
                    && doors.is_empty()
                    && span.room == room
                    && span.visits == visits
                    && span.calls == calls
            });
            match like {
                Some(span) => span.days.push(day),
                None => self.spans.push(Span {
                    visitor,
                    days: vec![day],
                    room,
                    doors,
                    visits,
                    calls,
                }),
            }
        }
    }

    /// Whether the routes can be counted out.
    pub(crate) fn is_small(&self) -> bool {
        let mut routes = 0;
        for span in &self.spans {
            // Among doors that stay, sets are few enough that each way is still found exactly, or nearly so.
            let doors = match span.doors.len() {
                0 => DOORS,
                stay => tour::EXACT.saturating_sub(stay).max(AMONG_MANY),
            };
            if span.visits.len() > doors {
                return false;
            }
            let mut sets = 1;
            for size in 1..=span.room.min(span.visits.len()) {
                sets = sets * (span.visits.len() + 1 - size) / size;
                routes += sets;
            }
        }
        routes <= ROUTES
    }

    /// The shortest choice of routes; none when the solver finds no answer, and all stays as it is.
    pub(crate) fn choose(&self) -> Option<Choice> {
        let mut model = Model::default();
        let mut cost = Sum::new();
        let mut start: Vec<i64> = Vec::new();
        let mut columns: Vec<Column> = Vec::new();
        for (at, span) in self.spans.iter().enumerate() {
            for (set, metres) in self.routes(span) {
                let var = model.var(1);
                start.push(i64::from(self.is_walked(span, set)));
                cost.push((var, metres as f64));
                columns.push(Column {
                    span: at,
                    what: What::Route(set),
                    var,
                });
            }
            for place in &span.calls {
                let var = model.var(1);
                let visit = self.cluster.visits[*place];
                let here = visit.visitor == span.visitor && span.days.contains(&visit.day);
                start.push(i64::from(here));
                columns.push(Column {
                    span: at,
                    what: What::Call(*place),
                    var,
                });
            }
        }
        self.limit(&mut model, &columns);
        self.limit_levels(&mut model, &columns);
        let answer = model.minimise(&cost, Some(&start), NODES).ok()?;
        let saved = total(&cost, &start) - total(&cost, &answer.values);
        let saved = u64::try_from(saved).unwrap_or(0);
        let visits = if saved > 0 {
            self.read(&answer.values, &columns)
        } else {
            Vec::new()
        };
        Some(Choice {
            visits,
            saved,
            proven: answer.proven,
        })
    }

    /// Each set of free doors that a day of the span can hold, with the metres that it adds to the day.
    fn routes(&self, span: &Span) -> Vec<(usize, u64)> {
        let home = self.prepared.week.visitors[span.visitor].position;
        let free = span.visits.iter();
        let free = free.map(|place| self.prepared.duty(self.cluster.duties[*place]).position);
        let doors: Vec<GeoPosition> = free.chain(span.doors.iter().copied()).collect();
        let most = span.room.min(span.visits.len());
        let lengths = lengths_by_set(&Legs::new(home, &doors), span.visits.len(), most);
        (1..lengths.len())
            .filter(|set| set.count_ones() as usize <= most)
            .map(|set| (set, lengths[set].saturating_sub(lengths[0])))
            .collect()
    }

    /// Whether exactly this set is what the visitor now goes to on one of the span's days.
    fn is_walked(&self, span: &Span, set: usize) -> bool {
        span.days.iter().any(|day| {
            let here = span.on(*day);
            span.visits.iter().enumerate().all(|(bit, place)| {
                (self.cluster.visits[*place] == here) == (set & (1 << bit) != 0)
            })
        })
    }

    /// The duties that a column puts somewhere, by their place in the cluster.
    fn duties_of(&self, column: &Column) -> Vec<usize> {
        match column.what {
            What::Call(place) => vec![place],
            What::Route(set) => {
                let visits = self.spans[column.span].visits.iter().enumerate();
                let of_set = visits.filter(|(bit, _)| set & (1 << bit) != 0);
                of_set.map(|(_, place)| *place).collect()
            }
        }
    }

    /// Each duty once, and no more than days and weeks hold.
    fn limit(&self, model: &mut Model, columns: &[Column]) {
        let mut once: Vec<Sum> = vec![Sum::new(); self.cluster.duties.len()];
        let mut routes: Vec<Sum> = vec![Sum::new(); self.spans.len()];
        let mut load: Vec<Sum> = vec![Sum::new(); self.spans.len()];
        for column in columns {
            let duties = self.duties_of(column);
            load[column.span].push((column.var, duties.len() as f64));
            for place in duties {
                once[place].push((column.var, 1.0));
            }
            match column.what {
                What::Route(_) => routes[column.span].push((column.var, 1.0)),
                What::Call(_) => {}
            }
        }
        for place in &self.free {
            model.exactly(std::mem::take(&mut once[*place]), 1);
        }
        for (visitor, left) in &self.visitors {
            let of_visitor = self.spans.iter().zip(&load);
            let of_visitor = of_visitor.filter(|(span, _)| span.visitor == *visitor);
            let week = of_visitor.flat_map(|(_, load)| load.iter().copied());
            model.at_most(week.collect(), *left);
        }
        for ((span, routes), load) in self.spans.iter().zip(routes).zip(load) {
            model.at_most(routes, span.days.len());
            model.at_most(load, span.days.len() * span.room);
        }
    }

    /// No level above travel gets worse than it is.
    fn limit_levels(&self, model: &mut Model, columns: &[Column]) {
        let levels: [fn(Shortfall) -> bool; 3] = [
            |shortfall| shortfall.breaks_pairing,
            |shortfall| shortfall.other_village,
            |shortfall| shortfall.changes_visitor,
        ];
        for level in levels {
            let falls_short = |place: usize, visitor: usize| {
                let duty = self.prepared.duty(self.cluster.duties[place]);
                level(self.prepared.shortfall(duty, visitor))
            };
            let now = |place: &&usize| falls_short(**place, self.cluster.visits[**place].visitor);
            let reached = self.free.iter().filter(now).count();
            let mut sum = Sum::new();
            for column in columns {
                let visitor = self.spans[column.span].visitor;
                let duties = self.duties_of(column).into_iter();
                let count = duties.filter(|place| falls_short(*place, visitor)).count();
                if count > 0 {
                    sum.push((column.var, count as f64));
                }
            }
            model.at_most(sum, reached);
        }
    }

    /// Lays the chosen routes and calls on the days of their spans.
    fn read(&self, values: &[i64], columns: &[Column]) -> Vec<(usize, Visit)> {
        let mut visits = Vec::new();
        for (at, span) in self.spans.iter().enumerate() {
            let chosen = columns
                .iter()
                .filter(|column| column.span == at && values[column.var] > 0);
            // Different visitors begin on different days, so that the county's week is spread.
            let mut days = span.days.clone();
            days.rotate_left(span.visitor % span.days.len());
            let mut held = vec![0; days.len()];
            let mut routes = 0;
            // A span's routes stand before its calls, which fill what these leave.
            for column in chosen {
                let slot = match column.what {
                    What::Route(_) => {
                        routes += 1;
                        routes - 1
                    }
                    What::Call(_) => (0..days.len())
                        .min_by_key(|slot| held[*slot])
                        .expect("a span has a day"),
                };
                for place in self.duties_of(column) {
                    held[slot] += 1;
                    visits.push((place, span.on(days[slot])));
                }
            }
        }
        visits
    }
}

impl Span {
    fn on(&self, day: usize) -> Visit {
        Visit {
            visitor: self.visitor,
            day,
        }
    }
}
