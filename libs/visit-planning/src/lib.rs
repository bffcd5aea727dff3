//! Plans a week of visits: which visitor goes to which elder, on which day, and in which order.
//!
//! Pure: no I/O, no clock. What goes in is a [`Week`], what comes out a [`Plan`]; [`plan`] makes the one
//! from the other, the same one every time. [`due_in_week`] picks the monthly visits that fall to a week,
//! [`Centres`] places people whose home is not known, [`validator::breaches`] checks any plan,
//! [`baseline::nearest_visitor`] is what a plan has to beat.
//!
//! # The order
//!
//! Hard rules are never broken (domain, section 3 "Planning"): the mode fits visitor and elder, the weekly
//! capacity, at most a fifth of it (rounded up) on a day, consent for HOME. Then plans are compared by
//! duties left unassigned, pairings broken, visitors from another village, and travel, in this order
//! ([`Score`]). Two wishes come between the last two, where they cost nothing that people were promised:
//!
//! 1. Of equally many duties left over, rather monthly ones than weekly ones: a monthly one has weeks to come.
//! 2. *Continuity*: the visitor of the last plan stays ([`Duty::usual`]). A pairing is the stronger form of it,
//!    and decides before. Continuity never costs a duty, a pairing or a village; it may cost metres, for an
//!    elder who opens the door to a known face is worth a detour. A caller who wants the shortest way instead
//!    leaves `usual` empty.
//!
//! # Modes
//!
//! A call or a meeting on line needs no way, so by the order above it is planned wherever elder and visitor
//! allow it, before a visit at home. Whoever wants elders in good health to be seen too, narrows [`Duty::modes`].
//! An encounter can't be arranged; it is planned only for want of anything else, with its way.
//!
//! # How
//!
//! - The levels above travel are settled exactly for the whole division: duties flow to visitors, level
//!   after level, as an integer programme whose best answer is whole by its form.
//! - Then visitors who could take each other's duties form a cluster. A small cluster is solved exactly: all
//!   routes that each visitor could walk on a day are counted out with their shortest lengths, and the solver
//!   picks the shortest choice that leaves the levels above as they are. A large one is solved part by part in
//!   the same way, in passes, until nothing gets shorter.
//! - The solver is `microlp` (pure Rust), behind the one file `solver.rs`. Its work is bounded in steps, never in
//!   time. A general vehicle-routing metaheuristic was looked at too (`vrp-core`): it hashes jobs by their
//!   address in memory and steers by measured durations, so it does not repeat itself for a seed; and with
//!   pairings the routes are so short that the best choice can be proven.
//!
//! Clusters are worked on by several threads; which thread takes which changes nothing.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests may unwrap"))]

mod assignment;
mod centre;
mod cluster;
mod load;
mod monthly;
mod neighbourhood;
mod plan;
mod planner;
mod prepared;
mod search;
mod solver;
mod supply;
mod tour;
mod week;
mod workday;

pub mod baseline;
pub mod validator;

pub use centre::Centres;
pub use load::{Load, Spread, VisitorLoad};
pub use monthly::{MonthlyDuty, WeeklyShare, due_in_week};
pub use plan::{Assignment, ByDay, PinConflict, Plan, Reason, Score, Unassigned};
pub use planner::{Effort, PlanFault, Progress, Stage, plan};
pub use solver::SolverFault;
pub use week::{
    Duty, DutyIndex, Interval, Pin, Visitor, VisitorIndex, Week, WeekFault, daily_capacity,
    needs_travel, preferred,
};
pub use workday::{Workday, Workdays};
