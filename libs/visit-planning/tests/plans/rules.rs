//! One rule at a time: what the planner does about it, and that the validator sees it broken.

use std::ops::ControlFlow;

use civic::{ElderId, GeoPosition, Set, VisitMode};
use visit_planning::{
    Assignment, Duty, DutyIndex, Effort, Interval, Pin, PinConflict, Plan, PlanFault, Reason,
    Unassigned, Visitor, VisitorIndex, Week, WeekFault, Workday, Workdays, plan,
    validator::{Breach, breaches},
};

const HERE: &str = "350524100001";
const THERE: &str = "350524100002";

/// A place so many kilometres, or so, east of the middle of things.
fn east(kilometres: f64) -> GeoPosition {
    GeoPosition::new(25.0, 118.0 + kilometres / 100.0).unwrap()
}

fn visitor(village: &str, kilometres: f64, weekly_capacity: u16) -> Visitor {
    Visitor {
        village: village.parse().unwrap(),
        position: east(kilometres),
        weekly_capacity,
        modes: Set::all(),
        days: Workdays::all(),
    }
}

fn duty(kilometres: f64) -> Duty {
    Duty {
        elder: ElderId(uuid::Uuid::nil()),
        village: HERE.parse().unwrap(),
        position: east(kilometres),
        modes: VisitMode::Home.into(),
        home_consent: true,
        interval: Interval::Weekly,
        days: Workdays::all(),
        pairings: vec![],
        usual: None,
        pin: None,
        minutes: 30,
    }
}

fn pinned(visitor: u32, day: Workday, mode: Option<VisitMode>) -> Duty {
    let visitor = VisitorIndex(visitor);
    Duty {
        pin: Some(Pin { visitor, day, mode }),
        ..duty(1.0)
    }
}

fn week(visitors: Vec<Visitor>, duties: Vec<Duty>) -> Week {
    Week {
        duties,
        visitors,
        seed: 7,
    }
}

fn planned(week: &Week) -> Plan {
    let plan = plan(week, Effort::default(), &mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!(breaches(week, &plan), []);
    plan
}

/// Each duty's visitor, for a plan that leaves none over.
fn visitors_of(week: &Week) -> Vec<u32> {
    let plan = planned(week);
    let mut given = plan.assignments;
    given.sort_by_key(|given| given.duty);
    assert_eq!(given.len(), week.duties.len());
    given.iter().map(|given| given.visitor.0).collect()
}

fn reasons_of(week: &Week) -> Vec<(u32, Reason)> {
    let left = planned(week).unassigned;
    left.iter().map(|left| (left.duty.0, left.reason)).collect()
}

#[test]
fn a_paired_visitor_goes_before_one_of_the_village_and_that_one_before_a_nearer_one() {
    let visitors = vec![
        visitor(THERE, 1.0, 5),
        visitor(HERE, 5.0, 5),
        visitor(THERE, 9.0, 5),
    ];
    let paired = Duty {
        pairings: vec![VisitorIndex(2)],
        ..duty(1.0)
    };
    assert_eq!(
        visitors_of(&week(visitors, vec![paired, duty(1.0)])),
        [2, 1]
    );
}

#[test]
fn the_visitor_of_the_last_plan_goes_before_a_nearer_one_but_not_before_the_village() {
    let visitors = vec![
        visitor(HERE, 1.0, 5),
        visitor(HERE, 5.0, 5),
        visitor(THERE, 9.0, 5),
    ];
    let usual = |visitor| Duty {
        usual: Some(VisitorIndex(visitor)),
        ..duty(1.0)
    };
    let week = week(visitors, vec![usual(1), usual(2)]);
    assert_eq!(visitors_of(&week), [1, 0]);
    assert_eq!(planned(&week).visitors_changed, 1);
}

#[test]
fn a_call_goes_before_a_visit_and_an_encounter_after_all() {
    let mode = |modes: Set<VisitMode>| {
        let duty = Duty { modes, ..duty(1.0) };
        planned(&week(vec![visitor(HERE, 0.0, 5)], vec![duty])).assignments[0].mode
    };
    assert_eq!(mode(Set::all()), VisitMode::Phone);
    let no_call = [VisitMode::Encounter, VisitMode::Home];
    assert_eq!(mode(no_call.into()), VisitMode::Home);
    assert_eq!(mode(VisitMode::Encounter.into()), VisitMode::Encounter);
}

#[test]
fn without_consent_an_elder_in_good_health_is_called_and_another_is_talked_with() {
    let refused = |modes| Duty {
        modes,
        home_consent: false,
        ..duty(1.0)
    };
    let blocked = refused(VisitMode::Home.into());
    let paired = Duty {
        pairings: vec![VisitorIndex(1)],
        ..blocked.clone()
    };
    let visitors = vec![visitor(HERE, 0.0, 5), visitor(THERE, 0.0, 5)];
    let week = week(visitors, vec![refused(Set::all()), blocked, paired]);
    let talk = |visitor| Reason::ConsentMissing {
        talk_by: Some(VisitorIndex(visitor)),
    };
    assert_eq!(reasons_of(&week), [(1, talk(0)), (2, talk(1))]);
}

#[test]
fn where_the_village_has_no_visitor_the_nearest_of_another_talks() {
    let blocked = Duty {
        modes: VisitMode::Home.into(),
        home_consent: false,
        ..duty(1.0)
    };
    let away = Visitor {
        days: Workdays::new(),
        ..visitor(HERE, 1.0, 5)
    };
    let visitors = vec![visitor(THERE, 9.0, 5), visitor(THERE, 3.0, 5), away];
    let talk_by = Some(VisitorIndex(1));
    assert_eq!(
        reasons_of(&week(visitors, vec![blocked])),
        [(0, Reason::ConsentMissing { talk_by })]
    );
}

#[test]
fn what_nobody_can_meet_is_listed_with_the_reason() {
    let caller = Visitor {
        modes: VisitMode::Phone.into(),
        ..visitor(HERE, 0.0, 5)
    };
    assert_eq!(
        reasons_of(&week(vec![caller], vec![duty(1.0)])),
        [(0, Reason::NoVisitorForMode)]
    );
    let on_monday = Visitor {
        days: Workday::Monday.into(),
        ..visitor(HERE, 0.0, 5)
    };
    let on_friday = Duty {
        days: Workday::Friday.into(),
        ..duty(1.0)
    };
    assert_eq!(
        reasons_of(&week(vec![on_monday], vec![on_friday])),
        [(0, Reason::NoVisitorOnDays)]
    );
}

#[test]
fn where_time_is_short_a_monthly_visit_waits_rather_than_a_weekly_one() {
    let monthly = Duty {
        interval: Interval::Monthly,
        ..duty(0.1)
    };
    let duties = vec![monthly.clone(), duty(9.0), monthly, duty(8.0)];
    let reasons = reasons_of(&week(vec![visitor(HERE, 0.0, 2)], duties));
    assert_eq!(
        reasons,
        [
            (0, Reason::CapacityExhausted),
            (2, Reason::CapacityExhausted)
        ]
    );
}

#[test]
fn a_pin_is_kept_though_another_visitor_is_nearer_and_the_others_go_around_it() {
    let visitors = vec![visitor(HERE, 1.0, 5), visitor(THERE, 9.0, 1)];
    let duties = vec![
        duty(9.0),
        pinned(1, Workday::Wednesday, Some(VisitMode::Home)),
    ];
    let week = week(visitors, duties);
    assert_eq!(visitors_of(&week), [0, 1]);
}

#[test]
fn a_pin_that_would_break_a_rule_is_listed_with_that_rule() {
    let visitors = vec![
        visitor(HERE, 0.0, 1),
        Visitor {
            days: Workday::Tuesday.into(),
            ..visitor(HERE, 0.0, 5)
        },
    ];
    let monday = Workday::Monday;
    let duties = vec![
        pinned(0, monday, None),
        pinned(0, Workday::Friday, None),
        pinned(1, monday, None),
        pinned(1, Workday::Tuesday, Some(VisitMode::Phone)),
        Duty {
            home_consent: false,
            ..pinned(1, Workday::Tuesday, None)
        },
        Duty {
            days: monday.into(),
            ..pinned(1, Workday::Tuesday, None)
        },
    ];
    let conflicts = [
        PinConflict::Capacity,
        PinConflict::VisitorDay,
        PinConflict::Mode,
        PinConflict::Consent,
        PinConflict::DutyDay,
    ];
    let expected: Vec<_> = (1..).zip(conflicts.map(Reason::PinImpossible)).collect();
    assert_eq!(reasons_of(&week(visitors, duties)), expected);
}

#[test]
fn a_week_that_names_an_unknown_visitor_is_refused() {
    let fault = |duty: Duty| {
        let week = week(vec![visitor(HERE, 0.0, 5)], vec![duty]);
        plan(&week, Effort::default(), &mut |_| ControlFlow::Continue(()))
    };
    let nobody = VisitorIndex(1);
    let paired = Duty {
        pairings: vec![nobody],
        ..duty(1.0)
    };
    assert_eq!(fault(paired), Err(PlanFault::Week(WeekFault::Pairings(0))));
    let usual = Duty {
        usual: Some(nobody),
        ..duty(1.0)
    };
    assert_eq!(fault(usual), Err(PlanFault::Week(WeekFault::Usual(0))));
    let pinned = pinned(1, Workday::Monday, None);
    assert_eq!(fault(pinned), Err(PlanFault::Week(WeekFault::Pin(0))));
}

/// What the validator says of a plan for two duties and one visitor, once the week and the plan are spoiled.
fn spoiled(spoil: impl FnOnce(&mut Week, &mut Plan)) -> Vec<Breach> {
    let mut week = week(vec![visitor(HERE, 0.0, 10)], vec![duty(1.0), duty(2.0)]);
    let mut plan = planned(&week);
    spoil(&mut week, &mut plan);
    breaches(&week, &plan)
}

/// The duty on which the spoiled rule is broken: the first assignment's.
fn first(plan: &Plan) -> usize {
    plan.assignments[0].duty.at()
}

#[test]
fn the_validator_sees_every_rule_broken() {
    let mut at = 0;
    let mut breaks = |spoil: &dyn Fn(&mut Week, &mut Plan), breach: &dyn Fn(usize) -> Breach| {
        let found = spoiled(|week, plan| {
            at = first(plan);
            spoil(week, plan);
        });
        let expected = breach(at);
        assert!(found.contains(&expected), "{expected:?} not in {found:?}");
    };
    breaks(&|_, plan| plan.assignments[0].duty = DutyIndex(9), &|_| {
        Breach::Unknown
    });
    let left_out = |_: &mut Week, plan: &mut Plan| {
        plan.assignments.remove(0);
    };
    breaks(&left_out, &Breach::NotOnce);
    let twice = |_: &mut Week, plan: &mut Plan| plan.assignments.push(plan.assignments[0]);
    breaks(&twice, &Breach::NotOnce);
    let by_phone = |_: &mut Week, plan: &mut Plan| plan.assignments[0].mode = VisitMode::Phone;
    breaks(&by_phone, &Breach::ModeOfElder);
    let only_calls =
        |week: &mut Week, _: &mut Plan| week.visitors[0].modes = VisitMode::Phone.into();
    breaks(&only_calls, &Breach::ModeOfVisitor);
    let refuse = |week: &mut Week, plan: &mut Plan| week.duties[first(plan)].home_consent = false;
    breaks(&refuse, &Breach::Consent);
    let no_day = |week: &mut Week, plan: &mut Plan| week.duties[first(plan)].days = Set::new();
    breaks(&no_day, &Breach::DutyDay);
    breaks(
        &|week, _| week.visitors[0].days = Set::new(),
        &Breach::VisitorDay,
    );
    breaks(&|week, _| week.visitors[0].weekly_capacity = 1, &|_| {
        Breach::WeekOver(0)
    });
    let three_of_ten = |week: &mut Week, plan: &mut Plan| {
        week.duties.push(duty(3.0));
        plan.assignments.push(Assignment {
            duty: DutyIndex(2),
            place: 3,
            ..plan.assignments[1]
        });
    };
    breaks(&three_of_ten, &|_| Breach::DayOver(0, Workday::Monday));
    let gap = |_: &mut Week, plan: &mut Plan| plan.assignments[1].place = 3;
    breaks(&gap, &|_| Breach::Places(0, Workday::Monday));
    breaks(&|_, plan| plan.assignments.reverse(), &|_| {
        Breach::OutOfOrder
    });
    let pin = |week: &mut Week, plan: &mut Plan| {
        week.duties[first(plan)].pin = Some(Pin {
            visitor: VisitorIndex(0),
            day: Workday::Friday,
            mode: None,
        });
    };
    breaks(&pin, &Breach::PinLost);
    breaks(&|_, plan| plan.score.travel_metres -= 1, &|_| Breach::Score);
    breaks(&|_, plan| plan.visitors_changed += 1, &|_| Breach::Figures);
    for reason in [
        Reason::CapacityExhausted,
        Reason::NoVisitorForMode,
        Reason::NoVisitorOnDays,
        Reason::ConsentMissing { talk_by: None },
        Reason::PinImpossible(PinConflict::Capacity),
    ] {
        let leave = |_: &mut Week, plan: &mut Plan| {
            let duty = plan.assignments.remove(0).duty;
            plan.unassigned.push(Unassigned { duty, reason });
        };
        breaks(&leave, &Breach::ReasonUntrue);
    }
}
