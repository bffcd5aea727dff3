//! The one door to the mathematical solver: whole numbers, linear limits, something to make as small as possible.
//!
//! Everything else speaks of [`Model`], so that another solver can take the place
//! of the one behind it without any rule noticing.

use microlp::{
    ComparisonOp, OptimizationDirection, Problem, SolutionStatus, SolveOptions, SolveOutcome,
    Variable,
};

/// A variable of a [`Model`].
pub(crate) type Var = usize;

/// A sum of variables, each with its weight. A limit names each variable once.
pub(crate) type Sum = Vec<(Var, f64)>;

/// What is asked: variables in whole numbers from nought, and limits on sums of them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Model {
    most: Vec<i32>,
    limits: Vec<Limit>,
}

#[derive(Debug, Clone)]
struct Limit {
    sum: Sum,
    is: ComparisonOp,
    bound: f64,
}

/// How far a solve got.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    /// A value for each variable.
    pub(crate) values: Vec<i64>,
    /// Whether nothing better exists.
    pub(crate) proven: bool,
}

/// The solver found no answer where there is one: numbers out of its reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the solver gave no answer")]
pub struct SolverFault;

impl Model {
    /// A variable from 0 to `most`.
    pub(crate) fn var(&mut self, most: usize) -> Var {
        self.most.push(i32::try_from(most).unwrap_or(i32::MAX));
        self.most.len() - 1
    }

    /// The sum is at most the bound.
    pub(crate) fn at_most(&mut self, sum: Sum, bound: usize) {
        self.limit(sum, ComparisonOp::Le, bound);
    }

    /// The sum is exactly the bound.
    pub(crate) fn exactly(&mut self, sum: Sum, bound: usize) {
        self.limit(sum, ComparisonOp::Eq, bound);
    }

    fn limit(&mut self, sum: Sum, is: ComparisonOp, bound: usize) {
        if sum.is_empty() {
            return;
        }
        let bound = bound as f64;
        self.limits.push(Limit { sum, is, bound });
    }

    /// Makes the cost as small as possible. `start` is an answer to be bettered, `nodes` bounds the
    /// work in steps of the search, never in time, so that the answer is always the same.
    pub(crate) fn minimise(
        &self,
        cost: &Sum,
        start: Option<&[i64]>,
        nodes: u64,
    ) -> Result<Answer, SolverFault> {
        let mut costs = vec![0.0; self.most.len()];
        for (var, weight) in cost {
            costs[*var] += weight;
        }
        let mut problem = Problem::new(OptimizationDirection::Minimize);
        let vars: Vec<Variable> = self
            .most
            .iter()
            .zip(costs)
            .map(|(most, cost)| problem.add_integer_var(cost, (0, *most)))
            .collect();
        for limit in &self.limits {
            let sum = limit.sum.iter().map(|(var, weight)| (vars[*var], *weight));
            problem.add_constraint(sum, limit.is, limit.bound);
        }
        let mut options = SolveOptions::default();
        options.node_limit = Some(nodes);
        options.warm_start = start.map(|values| {
            let pairs = vars.iter().zip(values);
            pairs.map(|(var, value)| (*var, *value as f64)).collect()
        });
        match problem.solve_with(options) {
            Ok(SolveOutcome::Solution(solution)) => Ok(Answer {
                proven: solution.status() == SolutionStatus::Optimal,
                values: vars
                    .iter()
                    .map(|var| solution.var_value(*var).round() as i64)
                    .collect(),
            }),
            Ok(SolveOutcome::Interrupted(_)) | Err(_) => Err(SolverFault),
        }
    }
}

/// What a sum comes to.
pub(crate) fn total(sum: &Sum, values: &[i64]) -> i64 {
    sum.iter()
        .map(|(var, weight)| *weight as i64 * values[*var])
        .sum()
}
