//! Whole weeks of the sample county: the plan holds, beats the nearest visitor, keeps pins and repeats itself.

use std::{num::NonZeroUsize, ops::ControlFlow};

use crate::sample_county::County;
use civic::VillageCode;
use visit_planning::{
    Assignment, Effort, Pin, Plan, Progress, Reason, Stage, Week, baseline, plan, validator,
};

fn planned(week: &Week, threads: usize) -> Plan {
    let effort = Effort {
        threads: NonZeroUsize::new(threads).unwrap(),
        ..Effort::default()
    };
    let plan = plan(week, effort, &mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!(validator::breaches(week, &plan), []);
    plan
}

/// One town's week, after the first month's share was cut.
fn town(code: &str) -> Week {
    let town = code.parse().unwrap();
    County::read().october("2024-W42", |village: VillageCode| village.town() == town)
}

#[test]
fn a_week_of_the_county_leaves_out_only_whom_consent_blocks_and_beats_the_nearest_visitor() {
    let week = County::read().october("2024-W42", |_| true);
    let nearest = baseline::nearest_visitor(&week).unwrap();
    assert_eq!(validator::breaches(&week, &nearest), []);
    let plan = planned(&week, 2);
    println!("plan    {:?}\n        {:?}", plan.score, plan.load.spread());
    println!(
        "nearest {:?}\n        {:?}",
        nearest.score,
        nearest.load.spread()
    );
    assert!(plan.score < nearest.score);
    let blocked = |reason: Reason| matches!(reason, Reason::ConsentMissing { .. });
    assert!(plan.unassigned.iter().all(|left| blocked(left.reason)));
    // Made by any number of threads, it is the same plan.
    assert_eq!(planned(&week, 1), plan);
}

#[test]
fn a_week_between_two_months_lays_the_months_visits_on_the_months_days() {
    let week = County::read().october("2024-W40", |_| true);
    let plan = planned(&week, 2);
    assert!(plan.score < baseline::nearest_visitor(&week).unwrap().score);
}

#[test]
fn a_plan_made_again_keeps_its_pins_and_the_visitors_people_know() {
    let mut week = town("350524101");
    for duty in &mut week.duties {
        duty.pairings.clear();
    }
    let first = planned(&week, 2);
    // Another seed would lay ways anew; each elder keeps the visitor all the same.
    week.seed += 1;
    for given in &first.assignments {
        week.duties[given.duty.at()].usual = Some(given.visitor);
    }
    let pinned: Vec<Assignment> = first.assignments.iter().step_by(5).copied().collect();
    for given in &pinned {
        week.duties[given.duty.at()].pin = Some(Pin {
            visitor: given.visitor,
            day: given.day,
            mode: Some(given.mode),
        });
    }
    let again = planned(&week, 2);
    assert_eq!(again.score.unassigned, first.score.unassigned);
    assert_eq!(again.visitors_changed, 0);
    for given in pinned {
        let of_duty = again.assignments.iter().find(|now| now.duty == given.duty);
        let now = of_duty.unwrap();
        assert_eq!(
            (now.visitor, now.day, now.mode),
            (given.visitor, given.day, given.mode)
        );
    }
}

#[test]
fn progress_counts_up_and_a_caller_who_breaks_off_gets_a_plan_that_holds() {
    let week = town("350524102");
    let mut seen: Vec<Progress> = Vec::new();
    let whole = plan(&week, Effort::default(), &mut |progress| {
        seen.push(progress);
        ControlFlow::Continue(())
    })
    .unwrap();
    assert!(seen.is_sorted_by_key(|progress| (progress.stage, progress.done)));
    let last = seen.last().unwrap();
    assert_eq!(last.stage, Stage::Routing);
    assert_eq!((last.done, last.of), (whole.assignments.len(), last.done));
    let cut = plan(&week, Effort::default(), &mut |_| ControlFlow::Break(())).unwrap();
    assert_eq!(validator::breaches(&week, &cut), []);
    assert_eq!(cut.score.unassigned, whole.score.unassigned);
    assert_eq!(cut.score.pairings_broken, whole.score.pairings_broken);
    assert_eq!(cut.score.other_village, whole.score.other_village);
    assert!(cut.score >= whole.score);
}
