//! Plans are taken, changed by people, and never ask more of anybody than the capacity allows.

use decider::testing::{given, given_nothing};

use super::*;

const ANNA: Uuid = Uuid::from_u128(101);
const BERTA: Uuid = Uuid::from_u128(102);

fn monday() -> LocalDay {
    "2024-10-14".parse().unwrap()
}

fn plan_id() -> PlanId {
    PlanId {
        county: "350524".parse().unwrap(),
        week: "2024-W42".parse().unwrap(),
    }
}

fn elder(number: u128) -> ElderId {
    ElderId(Uuid::from_u128(number))
}

fn visit(visitor: Uuid, day: LocalDay, place: u16) -> PlannedVisit {
    PlannedVisit {
        visitor,
        day,
        place,
        mode: VisitMode::Home,
        pinned: false,
    }
}

fn in_village(village: &str, slot: Slot) -> Entry {
    Entry {
        village: village.parse().unwrap(),
        slot,
    }
}

fn entry(slot: Slot) -> Entry {
    in_village("350524100001", slot)
}

fn planned_for<const N: usize>(division: &str, entries: [(u128, Entry); N]) -> Planned {
    Planned {
        plan: plan_id(),
        division: division.parse().unwrap(),
        seed: 7,
        entries: entries
            .into_iter()
            .map(|(number, entry)| (elder(number), entry))
            .collect(),
    }
}

fn planned<const N: usize>(entries: [(u128, Slot); N]) -> Event {
    let entries = entries.map(|(number, slot)| (number, entry(slot)));
    Event::Planned(Box::new(planned_for("350524100", entries)))
}

/// Anna sees the first, second and third elder on Monday.
fn a_full_monday() -> Event {
    planned([1, 2, 3].map(|number| {
        let place = u16::try_from(number).unwrap();
        (number, Slot::Visit(visit(ANNA, monday(), place)))
    }))
}

fn take(planned: Planned, capacity: u16) -> Command {
    Command::Plan {
        planned: Box::new(planned),
        capacities: [(ANNA, capacity), (BERTA, capacity)].into(),
    }
}

fn adjust(number: u128, adjustment: Adjustment) -> Command {
    Command::Adjust {
        plan: plan_id(),
        elder: elder(number),
        adjustment,
    }
}

fn adjusted(number: u128, change: Change) -> Event {
    Event::Adjusted {
        plan: plan_id(),
        elder: elder(number),
        change,
    }
}

fn fit() -> Fit {
    Fit {
        modes: VisitMode::Home.into(),
        home_consent: true,
        days: Workdays::all(),
        visitor_modes: VisitMode::Home.into(),
        visitor_days: Workdays::all(),
        capacity: 15,
    }
}

fn to(visitor: Uuid, day: LocalDay, place: Option<u16>) -> Adjustment {
    to_with(visitor, day, place, fit())
}

fn to_with(visitor: Uuid, day: LocalDay, place: Option<u16>, fit: Fit) -> Adjustment {
    Adjustment::Move {
        visitor,
        day,
        place,
        fit,
    }
}

fn pinned(visit: PlannedVisit) -> PlannedVisit {
    PlannedVisit {
        pinned: true,
        ..visit
    }
}

fn after<const N: usize>(events: [Event; N]) -> WeekPlan {
    events
        .iter()
        .fold(WeekPlan::default(), |plan, event| plan.evolve(event))
}

/// Who is visited on a visitor's day, in order.
fn day_of(plan: &WeekPlan, visitor: Uuid, day: LocalDay) -> Vec<(u16, u128)> {
    let mut day: Vec<_> = plan
        .visits()
        .filter(|(_, visit)| (visit.visitor, visit.day) == (visitor, day))
        .map(|(elder, visit)| (visit.place, elder.as_uuid().as_u128()))
        .collect();
    day.sort_unstable();
    day
}

#[test]
fn a_week_is_planned_and_planned_again() {
    let first = planned_for(
        "350524100",
        [(1, entry(Slot::Visit(visit(ANNA, monday(), 1))))],
    );
    given_nothing::<WeekPlan>()
        .when(take(first.clone(), 5))
        .then([Event::Planned(Box::new(first.clone()))]);
    let again = planned_for(
        "350524100",
        [(2, entry(Slot::Visit(visit(ANNA, monday(), 1))))],
    );
    given::<WeekPlan>([Event::Planned(Box::new(first.clone()))])
        .when(take(again.clone(), 5))
        .then([Event::Planned(Box::new(again.clone()))]);
    let plan = after([first, again].map(|planned| Event::Planned(Box::new(planned))));
    assert_eq!(plan.entry(elder(1)), None);
    assert_eq!(plan.entries().len(), 1);
}

#[test]
fn towns_share_their_visitors_and_nobody_gets_too_much_of_both() {
    let theirs = planned_for(
        "350524101",
        [(
            9,
            in_village("350524101001", Slot::Visit(visit(ANNA, monday(), 1))),
        )],
    );
    let ours = planned_for(
        "350524100",
        [(1, entry(Slot::Visit(visit(ANNA, monday(), 2))))],
    );
    let given_theirs = || given::<WeekPlan>([Event::Planned(Box::new(theirs.clone()))]);
    // A capacity of five is one visit a day.
    given_theirs()
        .when(take(ours.clone(), 5))
        .then_refused(Refusal::DayFull);
    given_theirs()
        .when(take(ours.clone(), 1))
        .then_refused(Refusal::WeekFull);
    given_theirs()
        .when(take(ours.clone(), 6))
        .then([Event::Planned(Box::new(ours.clone()))]);
    let plan = after([theirs, ours].map(|planned| Event::Planned(Box::new(planned))));
    assert_eq!(day_of(&plan, ANNA, monday()), [(1, 9), (2, 1)]);
    let within = plan.within("350524100".parse().unwrap());
    assert_eq!(
        within.map(|(elder, _)| elder).collect::<Vec<_>>(),
        [elder(1)]
    );
}

#[test]
fn a_visit_moves_into_another_day_and_those_behind_it_make_room() {
    let tuesday = monday().next();
    let before = || [a_full_monday()];
    let new = pinned(visit(ANNA, tuesday, 1));
    given::<WeekPlan>(before())
        .when(adjust(1, to(ANNA, tuesday, None)))
        .then([adjusted(1, Change::Moved(new))]);
    let [planned] = before();
    let plan = after([planned, adjusted(1, Change::Moved(new))]);
    assert_eq!(day_of(&plan, ANNA, monday()), [(1, 2), (2, 3)]);
    assert_eq!(day_of(&plan, ANNA, tuesday), [(1, 1)]);
}

#[test]
fn a_visit_moves_within_its_day() {
    let last = pinned(visit(ANNA, monday(), 3));
    given::<WeekPlan>([a_full_monday()])
        .when(adjust(1, to(ANNA, monday(), Some(40))))
        .then([adjusted(1, Change::Moved(last))]);
    let plan = after([a_full_monday(), adjusted(1, Change::Moved(last))]);
    assert_eq!(day_of(&plan, ANNA, monday()), [(1, 2), (2, 3), (3, 1)]);
    let first = pinned(visit(ANNA, monday(), 1));
    let plan = after([a_full_monday(), adjusted(3, Change::Moved(first))]);
    assert_eq!(day_of(&plan, ANNA, monday()), [(1, 3), (2, 1), (3, 2)]);
    // Said again, it changes nothing.
    given::<WeekPlan>([a_full_monday(), adjusted(1, Change::Moved(last))])
        .when(adjust(1, to(ANNA, monday(), None)))
        .then_nothing();
}

#[test]
fn a_move_that_breaks_a_rule_is_refused_with_the_first_one() {
    let refused = |adjustment, refusal| {
        given::<WeekPlan>([a_full_monday()])
            .when(adjust(1, adjustment))
            .then_refused(refusal);
    };
    let sunday = monday().prev();
    refused(to(BERTA, sunday, None), Refusal::DayNotOpen);
    let moved = |fit: Fit| to_with(BERTA, monday(), None, fit);
    let nowhere = Workdays::new();
    refused(
        moved(Fit {
            days: nowhere,
            ..fit()
        }),
        Refusal::DayNotOpen,
    );
    refused(
        moved(Fit {
            visitor_days: nowhere,
            ..fit()
        }),
        Refusal::VisitorNotActive,
    );
    refused(
        moved(Fit {
            visitor_modes: VisitMode::Phone.into(),
            ..fit()
        }),
        Refusal::ModeNotAllowed,
    );
    refused(
        moved(Fit {
            home_consent: false,
            ..fit()
        }),
        Refusal::ConsentRequired,
    );
    refused(
        moved(Fit {
            capacity: 0,
            ..fit()
        }),
        Refusal::WeekFull,
    );
    // Two others are with Anna on Monday, and two a day is all that a capacity of ten allows.
    let full = Fit {
        capacity: 10,
        ..fit()
    };
    refused(to_with(ANNA, monday(), None, full), Refusal::DayFull);
    given::<WeekPlan>([a_full_monday()])
        .when(adjust(7, to(ANNA, monday(), None)))
        .then_refused(Refusal::NotInPlan);
}

#[test]
fn a_pinned_visit_can_be_released() {
    given::<WeekPlan>([a_full_monday()])
        .when(adjust(2, Adjustment::Pin))
        .then([adjusted(2, Change::Pinned)]);
    let pinned = || [a_full_monday(), adjusted(2, Change::Pinned)];
    given::<WeekPlan>(pinned())
        .when(adjust(2, Adjustment::Pin))
        .then_nothing();
    given::<WeekPlan>(pinned())
        .when(adjust(2, Adjustment::Release))
        .then([adjusted(2, Change::Released)]);
    let [planned, pin] = pinned();
    let plan = after([planned, pin, adjusted(2, Change::Released)]);
    assert_eq!(plan, after([a_full_monday()]));
    let talk = planned_talk();
    given::<WeekPlan>([talk])
        .when(adjust(1, Adjustment::Pin))
        .then_refused(Refusal::NoVisit);
}

fn planned_talk() -> Event {
    planned([(
        1,
        Slot::Talk {
            visitor: ANNA,
            day: monday(),
        },
    )])
}

#[test]
fn a_visit_that_is_left_out_gives_its_place_to_those_behind_it() {
    let away = Change::Skipped(SkipReason::Away);
    given::<WeekPlan>([a_full_monday()])
        .when(adjust(1, Adjustment::Skip(SkipReason::Away)))
        .then([adjusted(1, away)]);
    given::<WeekPlan>([a_full_monday(), adjusted(1, away)])
        .when(adjust(1, Adjustment::Skip(SkipReason::Away)))
        .then_nothing();
    let plan = after([a_full_monday(), adjusted(1, away)]);
    assert_eq!(day_of(&plan, ANNA, monday()), [(1, 2), (2, 3)]);
    let plan = after([
        a_full_monday(),
        adjusted(1, away),
        adjusted(1, Change::Released),
    ]);
    assert_eq!(
        plan.entry(elder(1)).unwrap().slot,
        Slot::Unplanned(UnplannedReason::AwaitsPlanning)
    );
}
