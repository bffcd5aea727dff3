//! How a plan spreads the work over visitors and days, for the people who look at it; the planner does not weigh it.

use crate::{
    plan::{Assignment, ByDay},
    week::Week,
    workday::WORKDAYS,
};

/// The work that a plan gives to each visitor.
#[derive(Debug, Clone, PartialEq)]
pub struct Load {
    /// One for each visitor of the week, in its order.
    pub visitors: Vec<VisitorLoad>,
}

/// The work of one visitor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct VisitorLoad {
    /// The weekly capacity, in visits.
    pub capacity: u16,
    /// Visits on each day.
    pub by_day: ByDay,
    /// How long these visits take, in minutes, ways not included.
    pub minutes: u32,
}

/// Load in a few figures. Shares are visits out of the capacity, in percent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// Visitors without any visit.
    pub idle: usize,
    /// Visitors whose capacity is used up.
    pub full: usize,
    /// The middle visitor's share.
    pub median_percent: f64,
    /// Nine of ten visitors have at most this share.
    pub ninth_decile_percent: f64,
    /// The largest share.
    pub most_percent: f64,
    /// The standard deviation of the shares.
    pub deviation_percent: f64,
    /// Visits on each day of the week, of all visitors.
    pub by_day: [u32; WORKDAYS],
}

impl VisitorLoad {
    /// Visits in the week.
    #[must_use]
    pub fn visits(&self) -> u16 {
        self.by_day.iter().sum()
    }
}

impl Load {
    /// The load of a plan.
    pub(crate) fn of(week: &Week, assignments: &[Assignment]) -> Self {
        let mut visitors: Vec<VisitorLoad> = week
            .visitors
            .iter()
            .map(|visitor| VisitorLoad {
                capacity: visitor.weekly_capacity,
                ..VisitorLoad::default()
            })
            .collect();
        for given in assignments {
            let load = &mut visitors[given.visitor.at()];
            load.by_day[given.day.at()] += 1;
            load.minutes += u32::from(week.duties[given.duty.at()].minutes);
        }
        Self { visitors }
    }

    /// The load in a few figures, over the visitors who have any capacity; none when nobody has.
    #[must_use]
    pub fn spread(&self) -> Option<Spread> {
        let mut percents: Vec<f64> = self
            .visitors
            .iter()
            .filter(|load| load.capacity > 0)
            .map(|load| 100.0 * f64::from(load.visits()) / f64::from(load.capacity))
            .collect();
        percents.sort_by(f64::total_cmp);
        let last = percents.len().checked_sub(1)?;
        let mean = percents.iter().sum::<f64>() / percents.len() as f64;
        let squares = percents.iter().map(|percent| (percent - mean).powi(2));
        let variance = squares.sum::<f64>() / percents.len() as f64;
        let mut by_day = [0; WORKDAYS];
        for load in &self.visitors {
            for (total, visits) in by_day.iter_mut().zip(load.by_day) {
                *total += u32::from(visits);
            }
        }
        Some(Spread {
            idle: percents.iter().filter(|percent| **percent == 0.0).count(),
            full: percents.iter().filter(|percent| **percent >= 100.0).count(),
            median_percent: percents[last / 2],
            ninth_decile_percent: percents[last * 9 / 10],
            most_percent: percents[last],
            deviation_percent: variance.sqrt(),
            by_day,
        })
    }
}
