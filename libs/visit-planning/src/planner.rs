//! Plans a week: who visits whom, on which day, in which order.

use std::{
    cmp::Reverse,
    num::NonZeroUsize,
    ops::ControlFlow,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
};

use civic::Term;

use crate::{
    assignment,
    cluster::{self, Cluster, PinnedDoors},
    plan::{Assignment, Plan, Reason, Unassigned},
    prepared::{Prepared, Taken},
    search::{Chance, Search},
    solver::SolverFault,
    tour::{self, Legs},
    week::{DutyIndex, VisitorIndex, Week, WeekFault, needs_travel},
    workday::Workday,
};

/// How hard to search. Counted in passes and never in time, so that a slow machine makes the same plan as a fast one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effort {
    /// Passes over the clusters that are too large to be solved at once; each ends early when nothing gets shorter.
    pub passes: u32,
    /// How many clusters are worked on at a time. Changes nothing about the plan.
    pub threads: NonZeroUsize,
}

impl Default for Effort {
    fn default() -> Self {
        Self {
            passes: 4,
            threads: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
        }
    }
}

/// How far a plan is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What is being done.
    pub stage: Stage,
    /// Duties done with in this stage.
    pub done: usize,
    /// Duties that the stage is about.
    pub of: usize,
}

/// The two halves of planning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Who visits whom.
    Assigning,
    /// On which day, and in which order.
    Routing,
}

/// Why there is no plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PlanFault {
    /// The week contradicts itself.
    #[error(transparent)]
    Week(#[from] WeekFault),
    /// The solver gave up.
    #[error(transparent)]
    Solver(#[from] SolverFault),
}

/// Plans the week.
///
/// `progress` is called on this thread from time to time. When it answers [`ControlFlow::Break`], the search
/// ends early with a plan that breaks no rule and is as good on all levels above travel; when it does
/// so by a clock, the plan may differ from run to run.
///
/// # Errors
///
/// When the week names unknown visitors, or the solver has no answer.
pub fn plan(
    week: &Week,
    effort: Effort,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<Plan, PlanFault> {
    week.check()?;
    let prepared = Prepared::new(week);
    let free = prepared.free.len();
    let mut step = |stage, done, of| progress(Progress { stage, done, of });
    let stopped = AtomicBool::new(step(Stage::Assigning, 0, free).is_break());
    let given = assignment::assign(&prepared)?;
    stopped.fetch_or(
        step(Stage::Assigning, free, free).is_break(),
        Ordering::Relaxed,
    );
    let mut clusters = cluster::clusters(&prepared, &given);
    let routed = given.iter().flatten().count();
    search_all(&prepared, &mut clusters, effort, &stopped, &mut |done| {
        step(Stage::Routing, done, routed)
    });
    let left = prepared.free.iter().zip(&given);
    let left = left.filter(|(_, given)| given.is_none());
    let left = left.map(|(at, _)| Unassigned {
        duty: DutyIndex(*at as u32),
        reason: Reason::CapacityExhausted,
    });
    let unassigned = prepared.unassigned.iter().copied().chain(left).collect();
    let routes = in_routes(week, taken(&prepared, &clusters));
    Ok(Plan::new(week, routes, unassigned))
}

/// Searches the clusters, several at a time. Each has its own chance, so that it matters to none who works on which.
fn search_all(
    prepared: &Prepared<'_>,
    clusters: &mut [Cluster],
    effort: Effort,
    stopped: &AtomicBool,
    step: &mut dyn FnMut(usize) -> ControlFlow<()>,
) {
    let pinned = cluster::pinned_doors(prepared);
    // The largest first, so that no thread is left alone with it at the end.
    clusters.sort_by_key(|cluster| Reverse(cluster.duties.len()));
    let cells: Vec<Mutex<&mut Cluster>> = clusters.iter_mut().map(Mutex::new).collect();
    let next = AtomicUsize::new(0);
    let (finished, finishes) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..effort.threads.get().min(cells.len()) {
            let finished = finished.clone();
            scope.spawn(|| {
                let finished = finished;
                while let Some(cell) = cells.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let mut cluster = cell
                        .lock()
                        .expect("each cluster is taken by one thread, once");
                    search_one(prepared, &pinned, &mut cluster, effort.passes, stopped);
                    // Nobody listens any more only when the caller is gone.
                    let _ = finished.send(cluster.duties.len());
                }
            });
        }
        drop(finished);
        let mut done = 0;
        for duties in finishes {
            done += duties;
            if step(done).is_break() {
                stopped.store(true, Ordering::Relaxed);
            }
        }
    });
}

fn search_one(
    prepared: &Prepared<'_>,
    pinned: &PinnedDoors,
    cluster: &mut Cluster,
    passes: u32,
    stopped: &AtomicBool,
) {
    let first = cluster.duties.first().copied().unwrap_or(0);
    let mut search = Search {
        prepared,
        pinned,
        cluster,
        chance: Chance::new(prepared.week.seed ^ ((first as u64) << 32)),
    };
    search.shorten(passes, &|| !stopped.load(Ordering::Relaxed));
}

/// Everything that is given, pins and clusters together.
fn taken(prepared: &Prepared<'_>, clusters: &[Cluster]) -> Vec<Taken> {
    let week = prepared.week;
    let mut taken = prepared.pinned.clone();
    for cluster in clusters {
        let visits = cluster.duties.iter().zip(&cluster.visits);
        taken.extend(visits.map(|(at, visit)| {
            Taken {
                duty: *at,
                visitor: visit.visitor,
                day: Workday::ALL[visit.day],
                mode: week.duties[*at]
                    .mode_with(&week.visitors[visit.visitor])
                    .expect("only visitors who fit are candidates"),
            }
        }));
    }
    taken
}

/// Puts each day in order: the shortest way from door to door, then the calls.
pub(crate) fn in_routes(week: &Week, mut taken: Vec<Taken>) -> Vec<Assignment> {
    taken.sort_by_key(|visit| (visit.visitor, visit.day, visit.duty));
    taken
        .chunk_by(|a, b| (a.visitor, a.day) == (b.visitor, b.day))
        .flat_map(|day| in_order(week, day))
        .collect()
}

fn in_order(week: &Week, day: &[Taken]) -> Vec<Assignment> {
    let (visits, calls): (Vec<Taken>, Vec<Taken>) =
        day.iter().partition(|visit| needs_travel(visit.mode));
    let home = week.visitors[day[0].visitor].position;
    let doors: Vec<_> = visits
        .iter()
        .map(|visit| week.duties[visit.duty].position)
        .collect();
    let (order, _) = tour::shortest(&Legs::new(home, &doors));
    order
        .into_iter()
        .map(|at| visits[at])
        .chain(calls)
        .zip(1..)
        .map(|(visit, place)| Assignment {
            duty: DutyIndex(visit.duty as u32),
            visitor: VisitorIndex(visit.visitor as u32),
            day: visit.day,
            mode: visit.mode,
            place,
        })
        .collect()
}
