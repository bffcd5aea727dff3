//! Small weeks of every kind: each plan holds, gives true reasons, repeats itself, and tiny ones can't be bettered.

use std::{num::NonZeroUsize, ops::ControlFlow};

use civic::{ElderId, GeoPosition, Set, Term, VillageCode, VisitMode};
use proptest::{collection::vec, option, prelude::*, sample::subsequence};
use visit_planning::{
    Duty, Effort, Interval, Pin, Plan, Reason, Visitor, VisitorIndex, Week, Workday, Workdays,
    baseline, needs_travel, plan, validator,
};

fn villages() -> impl Strategy<Value = VillageCode> {
    (1..4_u32).prop_map(|number| format!("35052410000{number}").parse().unwrap())
}

fn positions() -> impl Strategy<Value = GeoPosition> {
    (0..20_u32, 0..20_u32).prop_map(|(north, east)| {
        let degrees = |base: f64, steps: u32| base + f64::from(steps) / 100.0;
        GeoPosition::new(degrees(25.0, north), degrees(118.0, east)).unwrap()
    })
}

fn days() -> impl Strategy<Value = Workdays> {
    prop_oneof![
        2 => Just(Workdays::all()),
        1 => subsequence(Workday::ALL.to_vec(), 0..=5).prop_map(|days| days.into_iter().collect()),
    ]
}

fn modes() -> impl Strategy<Value = Set<VisitMode>> {
    prop_oneof![
        3 => Just(VisitMode::Home.into()),
        2 => Just(Set::all()),
        1 => subsequence(VisitMode::ALL.to_vec(), 0..=4).prop_map(|modes| modes.into_iter().collect()),
    ]
}

fn visitor(capacity: u16) -> impl Strategy<Value = Visitor> {
    (villages(), positions(), 0..=capacity, modes(), days()).prop_map(
        |(village, position, weekly_capacity, modes, days)| Visitor {
            village,
            position,
            weekly_capacity,
            modes,
            days,
        },
    )
}

fn duty(visitors: u32) -> impl Strategy<Value = Duty> {
    let somebody = move || (0..visitors).prop_map(VisitorIndex);
    let interval = prop_oneof![Just(Interval::Weekly), Just(Interval::Monthly)];
    let mode = option::of(prop::sample::select(VisitMode::ALL.to_vec()));
    let day = prop::sample::select(Workday::ALL.to_vec());
    let pin = (somebody(), day, mode).prop_map(|(visitor, day, mode)| Pin { visitor, day, mode });
    (
        (villages(), positions(), modes(), prop::bool::weighted(0.8)),
        (interval, days(), vec(somebody(), 0..3)),
        option::weighted(0.4, somebody()),
        option::weighted(0.15, pin),
    )
        .prop_map(|(who, when, usual, pin)| {
            let (village, position, modes, home_consent) = who;
            let (interval, days, pairings) = when;
            Duty {
                elder: ElderId(uuid::Uuid::nil()),
                village,
                position,
                modes,
                home_consent,
                interval,
                days,
                pairings,
                usual,
                pin,
                minutes: 20,
            }
        })
}

fn week(duties: usize, visitors: usize, capacity: u16) -> impl Strategy<Value = Week> {
    let visitors = vec(visitor(capacity), 1..=visitors);
    visitors.prop_flat_map(move |visitors| {
        let duties = vec(duty(visitors.len() as u32), 0..=duties);
        (duties, Just(visitors), any::<u64>()).prop_map(|(duties, visitors, seed)| Week {
            duties,
            visitors,
            seed,
        })
    })
}

fn planned(week: &Week, threads: usize) -> Plan {
    let effort = Effort {
        passes: 3,
        threads: NonZeroUsize::new(threads).unwrap(),
    };
    plan(week, effort, &mut |_| ControlFlow::Continue(())).unwrap()
}

/// All levels, in the planner's order; travel last.
type Levels = [u64; 6];

fn levels(plan: &Plan) -> Levels {
    [
        plan.score.unassigned.into(),
        plan.score.pairings_broken.into(),
        plan.score.other_village.into(),
        plan.weekly_unassigned.into(),
        plan.visitors_changed.into(),
        plan.score.travel_metres,
    ]
}

/// The best levels of all plans there are, found by trying each duty on each visitor and day.
struct Trial<'w> {
    week: &'w Week,
    /// For each visitor and set of duties, as bits, the shortest way.
    ways: Vec<Vec<u64>>,
    /// For each visitor and day the duties, as bits.
    given: Vec<[usize; 5]>,
    travels: Vec<Vec<bool>>,
    best: Levels,
}

impl<'w> Trial<'w> {
    fn best(week: &'w Week) -> Levels {
        let ways = week.visitors.iter().map(|visitor| {
            let sets = 0..1_usize << week.duties.len();
            sets.map(|set| shortest_way(week, visitor.position, visitor.position, set))
                .collect()
        });
        let travels = week.visitors.iter().map(|visitor| {
            let duties = week.duties.iter();
            duties
                .map(|duty| mode(duty, visitor).is_some_and(needs_travel))
                .collect()
        });
        let mut trial = Self {
            week,
            ways: ways.collect(),
            travels: travels.collect(),
            given: vec![[0; 5]; week.visitors.len()],
            best: [u64::MAX; 6],
        };
        trial.fill(0, [0; 6]);
        trial.best
    }

    fn fill(&mut self, at: usize, so_far: Levels) {
        if so_far[..5] > self.best[..5] {
            return;
        }
        let Some(duty) = self.week.duties.get(at) else {
            let travel = (0..self.week.visitors.len())
                .flat_map(|visitor| self.given[visitor].map(|duties| (visitor, duties)))
                .map(|(visitor, duties)| {
                    let bits = (0..self.week.duties.len()).filter(|bit| duties & (1 << bit) != 0);
                    let doors = bits.filter(|bit| self.travels[visitor][*bit]);
                    self.ways[visitor][doors.map(|bit| 1 << bit).sum::<usize>()]
                })
                .sum();
            let all = [
                so_far[0], so_far[1], so_far[2], so_far[3], so_far[4], travel,
            ];
            self.best = self.best.min(all);
            return;
        };
        for (index, visitor) in self.week.visitors.iter().enumerate() {
            if mode(duty, visitor).is_none() {
                continue;
            }
            let own = VisitorIndex(index as u32);
            let mut then = so_far;
            then[1] += u64::from(!duty.pairings.is_empty() && !duty.pairings.contains(&own));
            then[2] += u64::from(duty.village != visitor.village);
            then[4] += u64::from(duty.usual.is_some_and(|usual| usual != own));
            for day in duty.days.intersection(visitor.days) {
                let held = self.given[index].map(usize::count_ones);
                let fifth = u32::from(visitor.weekly_capacity).div_ceil(5);
                if held[day.at()] < fifth
                    && held.iter().sum::<u32>() < u32::from(visitor.weekly_capacity)
                {
                    self.given[index][day.at()] |= 1 << at;
                    self.fill(at + 1, then);
                    self.given[index][day.at()] &= !(1 << at);
                }
            }
        }
        let mut left = so_far;
        left[0] += 1;
        left[3] += u64::from(duty.interval == Interval::Weekly);
        self.fill(at + 1, left);
    }
}

fn mode(duty: &Duty, visitor: &Visitor) -> Option<VisitMode> {
    duty.mode_with(visitor)
}

fn shortest_way(week: &Week, home: GeoPosition, from: GeoPosition, set: usize) -> u64 {
    if set == 0 {
        return from.metres_to(&home).round() as u64;
    }
    (0..week.duties.len())
        .filter(|bit| set & (1 << bit) != 0)
        .map(|bit| {
            let door = week.duties[bit].position;
            from.metres_to(&door).round() as u64 + shortest_way(week, home, door, set & !(1 << bit))
        })
        .min()
        .unwrap()
}

proptest! {
    #[test]
    fn every_plan_holds_and_is_no_worse_than_the_nearest_visitor(week in week(24, 6, 12)) {
        let plan = planned(&week, 2);
        prop_assert_eq!(validator::breaches(&week, &plan), []);
        let nearest = baseline::nearest_visitor(&week).unwrap();
        prop_assert_eq!(validator::breaches(&week, &nearest), []);
        prop_assert!(levels(&plan)[..3] <= levels(&nearest)[..3]);
    }

    #[test]
    fn a_plan_is_the_same_however_many_threads_make_it(week in week(30, 8, 10)) {
        prop_assert_eq!(planned(&week, 1), planned(&week, 3));
    }

    #[test]
    fn no_plan_of_a_tiny_week_is_better(mut week in week(4, 2, 6)) {
        for duty in &mut week.duties {
            duty.pin = None;
        }
        let plan = planned(&week, 1);
        let best = Trial::best(&week);
        prop_assert_eq!(&levels(&plan)[..5], &best[..5]);
        prop_assert!(levels(&plan)[5] >= best[5]);
        // Where nothing has to be given up, the way is the shortest too.
        let full = |reason: Reason| matches!(reason, Reason::CapacityExhausted);
        if best[1] == 0 && !plan.unassigned.iter().any(|left| full(left.reason)) {
            prop_assert_eq!(levels(&plan)[5], best[5]);
        }
    }
}
