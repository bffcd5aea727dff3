//! Plans weeks of the sample county and prints time, score and load beside the nearest-visitor baseline.
//!
//! `cargo run --release -p visit-planning --example plan_sample_county`
#![allow(clippy::unwrap_used, reason = "an example may unwrap")]

#[path = "../tests/plans/sample_county/mod.rs"]
mod sample_county;

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
    num::NonZeroUsize,
    ops::ControlFlow,
    time::Instant,
};

use sample_county::County;
use visit_planning::{Effort, Plan, Score, Week, baseline, plan, validator};

fn main() {
    let county = County::read();
    compare("2024-W40", &county.october("2024-W40", |_| true));
    let week = county.october("2024-W42", |_| true);
    compare("2024-W42", &week);
    let mut strangers = week.clone();
    for duty in &mut strangers.duties {
        duty.pairings.clear();
    }
    compare("2024-W42 without any pairing", &strangers);
    let mut short = week;
    for visitor in &mut short.visitors {
        visitor.weekly_capacity /= 4;
    }
    compare("2024-W42 with a quarter of the capacity", &short);
}

fn compare(name: &str, week: &Week) {
    let capacity = week
        .visitors
        .iter()
        .map(|visitor| u32::from(visitor.weekly_capacity));
    println!(
        "{name}: {} duties, {} visitors, capacity {}",
        week.duties.len(),
        week.visitors.len(),
        capacity.sum::<u32>()
    );
    let started = Instant::now();
    let nearest = baseline::nearest_visitor(week).unwrap();
    show("nearest visitor", week, &nearest, started);
    let effort = Effort {
        threads: NonZeroUsize::new(2).unwrap(),
        ..Effort::default()
    };
    let started = Instant::now();
    let mut said = 0;
    let planned = plan(week, effort, &mut |progress| {
        if started.elapsed().as_secs() > said {
            said = started.elapsed().as_secs();
            let (done, of) = (progress.done, progress.of);
            println!(
                "    {:?} {done}/{of} after {:.1?}",
                progress.stage,
                started.elapsed()
            );
        }
        ControlFlow::Continue(())
    });
    show("plan", week, &planned.unwrap(), started);
}

fn show(name: &str, week: &Week, plan: &Plan, started: Instant) {
    let elapsed = started.elapsed();
    let Score {
        unassigned,
        pairings_broken,
        other_village,
        travel_metres,
    } = plan.score;
    let kilometres = travel_metres as f64 / 1000.0;
    println!(
        "  {name:<15} {elapsed:>8.2?}: unassigned {unassigned}, pairings broken {pairings_broken}, \
         other village {other_village}, travel {kilometres:.1} km, breaches {}",
        validator::breaches(week, plan).len(),
    );
    // The same on every run, and on every machine.
    let mut fingerprint = DefaultHasher::new();
    format!("{:?}", plan.assignments).hash(&mut fingerprint);
    println!("    fingerprint {:016x}", fingerprint.finish());
    let mut reasons = BTreeMap::new();
    for left in &plan.unassigned {
        *reasons.entry(left.reason.name()).or_insert(0) += 1;
    }
    println!("    {reasons:?} {:?}", plan.load.spread().unwrap());
}
