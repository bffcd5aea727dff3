//! How good a plan is: its figures beside those of going to the nearest each time, and how the work is spread.

use proto::eldercare::visits::v1::{LoadSpread, PlanFigures, PlanReport};
use serde::Serialize;

/// How good a plan is, and what going to the nearest each time would come to.
#[derive(Debug, Serialize)]
pub struct Quality {
    /// The plan.
    pub plan: Figures,
    /// Each visit to the nearest visitor who has time.
    pub nearest_visitor: Figures,
    /// Given to nobody, and no later week can make up for it.
    pub weekly_unassigned: i32,
    /// Elders who see another visitor than before.
    pub visitors_changed: i32,
    /// How the work is spread over all visitors of the county, those of other divisions' plans too.
    pub load: Option<Spread>,
}

/// What plans are compared by, in this order; less is better.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Figures {
    /// Visits given to nobody.
    pub unassigned: i32,
    /// Visits of paired elders given to somebody else.
    pub pairings_broken: i32,
    /// Visits given to a visitor from another village.
    pub other_village: i32,
    /// Metres from door to door and back.
    pub travel_metres: i64,
}

/// How the work is spread, in visits out of the capacity.
#[derive(Debug, Serialize)]
pub struct Spread {
    /// Visitors without any visit.
    pub idle: i32,
    /// Visitors whose capacity is used up.
    pub full: i32,
    /// The middle visitor's share, in percent.
    pub median_percent: f64,
    /// Nine of ten visitors have at most this share, in percent.
    pub ninth_decile_percent: f64,
    /// The largest share, in percent.
    pub most_percent: f64,
    /// The standard deviation, in percent.
    pub deviation_percent: f64,
    /// Visits on each day, Monday to Friday.
    pub by_day: Vec<i32>,
}

impl Quality {
    /// How good a plan is, as it was told.
    pub fn of(report: PlanReport) -> Self {
        Self {
            plan: report.plan.map(Figures::of).unwrap_or_default(),
            nearest_visitor: report.nearest_visitor.map(Figures::of).unwrap_or_default(),
            weekly_unassigned: report.weekly_unassigned,
            visitors_changed: report.visitors_changed,
            load: report.load.map(Spread::of),
        }
    }
}

impl Figures {
    fn of(figures: PlanFigures) -> Self {
        Self {
            unassigned: figures.unassigned,
            pairings_broken: figures.pairings_broken,
            other_village: figures.other_village,
            travel_metres: figures.travel_metres,
        }
    }
}

impl Spread {
    fn of(load: LoadSpread) -> Self {
        Self {
            idle: load.idle,
            full: load.full,
            median_percent: load.median_percent,
            ninth_decile_percent: load.ninth_decile_percent,
            most_percent: load.most_percent,
            deviation_percent: load.deviation_percent,
            by_day: load.by_day,
        }
    }
}

impl Quality {
    pub(super) fn text(&self) -> String {
        let told = |figures: &Figures| {
            format!(
                "{} unassigned, {} pairings broken, {} from another village, {:.1} km",
                figures.unassigned,
                figures.pairings_broken,
                figures.other_village,
                metres(figures.travel_metres) / 1e3
            )
        };
        format!(
            "\n计划 plan: {}\n就近 nearest visitor: {}",
            told(&self.plan),
            told(&self.nearest_visitor)
        )
    }
}

#[expect(clippy::cast_precision_loss, reason = "a way to look at")]
fn metres(metres: i64) -> f64 {
    metres as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_are_compared_in_the_order_of_the_domain() {
        let shorter = Figures {
            travel_metres: 1,
            ..Figures::default()
        };
        let with_one_left = Figures {
            unassigned: 1,
            ..Figures::default()
        };
        assert!(shorter < with_one_left);
    }
}
