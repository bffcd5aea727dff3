//! What earlier records say about an order, and the verdict.

use chrono::TimeDelta;
use civic::{EvidenceKind, Fen, NotSettledReason, OrderCode as Code, Set};
use claims::adjudication::{Appealed, Days, Earlier, Event, Run, Year};
use claims::judging::Evidence;
use claims::order::Submitted;
use uuid::Uuid;

use crate::people::{at, day};
use crate::submitted::{
    caregiver, codes_of, days, elder, file, in_order, key, order, order_with, spell,
};

fn year(number: i32) -> Year {
    Year {
        programme: "LTCI".to_owned(),
        elder: elder(1),
        year: number,
    }
}

/// An order whose appeal is accepted.
fn appealed(number: &str) -> Appealed {
    Appealed {
        order: key(number),
        year: year(2024),
        provider: "P01".to_owned(),
        day: day("2024-05-10"),
        units: 1,
        quota: 12,
        amount: Fen(20_000),
    }
}

/// The codes of one order alone.
fn alone(earlier: &Earlier, order: &Submitted) -> Vec<Code> {
    codes_of(&mut earlier.clone(), std::slice::from_ref(order)).remove(0)
}

#[test]
fn a_good_order_is_approved_and_takes_its_part_of_entitlement_and_fund() {
    let mut run = Run::default();
    in_order().judge(&order("A", "2024-05-10 09:00"), &mut run);
    assert_eq!(
        run.events,
        [
            Event::Approved {
                order: key("A"),
                programme: "LTCI".to_owned(),
                provider: "P01".to_owned(),
                elder: elder(1),
                day: day("2024-05-10"),
                amount: Fen(20_000),
                on_appeal: false,
            },
            Event::Consumed {
                order: key("A"),
                year: year(2024),
                units: 1,
            },
        ]
    );
    assert_eq!(run.reserved, [("LTCI".to_owned(), (Fen(20_000), 1))].into());
    assert_eq!(run.finish(), run.events);
}

#[test]
fn what_content_and_facts_said_stands_beside_what_earlier_records_say() {
    let late = order_with("A", "2024-05-10 09:00", |order| {
        order.codes = Set::from([Code::DurationShort, Code::LateSubmission]);
        order.elder = elder(9);
    });
    let mut run = Run::default();
    in_order().judge(&late, &mut run);
    let held = Event::Held {
        order: key("A"),
        codes: Set::from([Code::NotEnrolled, Code::DurationShort, Code::LateSubmission]),
        conflicts: vec![],
    };
    assert_eq!(run.events, [held]);
    assert!(run.reserved.is_empty());
}

#[test]
fn an_elder_is_enrolled_from_the_first_day_to_the_last() {
    let mut earlier = in_order();
    let spells = vec![
        spell("2024-03-01", "2024-06-30"),
        spell("2024-09-01", "2024-12-31"),
    ];
    earlier.registers.enrolments = [(("LTCI".to_owned(), elder(1)), spells)].into();
    for (on, enrolled) in [
        ("2024-02-29", false),
        ("2024-03-01", true),
        ("2024-06-30", true),
        ("2024-07-01", false),
        ("2024-08-31", false),
        ("2024-09-01", true),
        ("2024-12-31", true),
        ("2025-01-01", false),
    ] {
        let codes = alone(&earlier, &order("A", &format!("{on} 09:00")));
        assert_eq!(codes.is_empty(), enrolled, "{on}: {codes:?}");
        assert!(codes.iter().all(|code| *code == Code::NotEnrolled));
    }
    // Enrolled in another programme is not enrolled in this one.
    let other = order_with("A", "2024-03-01 09:00", |order| {
        order.programme = "HOMECARE".to_owned()
    });
    assert!(alone(&earlier, &other).contains(&Code::NotEnrolled));
}

#[test]
fn an_enrolment_that_never_began_holds_on_no_day() {
    let mut earlier = in_order();
    let spells = vec![spell("2024-03-01", "2024-02-29")];
    earlier.registers.enrolments = [(("LTCI".to_owned(), elder(1)), spells)].into();
    for on in ["2024-02-29", "2024-03-01"] {
        let codes = alone(&earlier, &order("A", &format!("{on} 09:00")));
        assert_eq!(codes, [Code::NotEnrolled], "{on}");
    }
}

#[test]
fn contracts_and_lists_of_caregivers_hold_from_the_first_day_to_the_last() {
    let around = [
        ("2024-02-29", false),
        ("2024-03-01", true),
        ("2024-06-30", true),
        ("2024-07-01", false),
    ];
    let some: Days = days("2024-03-01", Some("2024-06-30"));
    let mut contracted = in_order();
    let contract = [(Uuid::from_u128(1), some)];
    let of = ("P01".to_owned(), "LTCI".to_owned());
    contracted.registers.contracts = [(of, contract.into())].into();
    let mut listed = in_order();
    let list = ("P01".to_owned(), some);
    listed.registers.caregivers = [(caregiver(1), list)].into();
    for earlier in [contracted, listed] {
        for (on, valid) in around {
            let codes = alone(&earlier, &order("A", &format!("{on} 09:00")));
            assert_eq!(codes.is_empty(), valid, "{on}");
            assert!(codes.iter().all(|code| *code == Code::ProviderInvalid));
        }
    }
}

#[test]
fn the_later_of_two_contracts_counts_too() {
    let mut earlier = in_order();
    let contracts = [
        (Uuid::from_u128(1), days("2023-01-01", Some("2023-12-31"))),
        (Uuid::from_u128(2), days("2024-05-01", None)),
    ];
    let of = ("P01".to_owned(), "LTCI".to_owned());
    earlier.registers.contracts = [(of, contracts.into())].into();
    assert_eq!(alone(&earlier, &order("A", "2023-12-31 09:00")), []);
    assert_eq!(
        alone(&earlier, &order("A", "2024-04-30 09:00")),
        [Code::ProviderInvalid]
    );
    assert_eq!(alone(&earlier, &order("A", "2024-05-01 09:00")), []);
}

#[test]
fn a_caregiver_serves_for_the_provider_on_whose_list_they_are() {
    let mut earlier = in_order();
    let contract = [(Uuid::from_u128(2), days("2023-01-01", None))];
    let other = ("P02".to_owned(), "LTCI".to_owned());
    earlier.registers.contracts.insert(other, contract.into());
    let of_p02 = order_with("A", "2024-05-10 09:00", |order| {
        order.provider = "P02".to_owned()
    });
    assert_eq!(alone(&earlier, &of_p02), [Code::ProviderInvalid]);
    let of_nobody = order_with("A", "2024-05-10 09:00", |order| {
        order.caregiver = caregiver(9)
    });
    assert_eq!(alone(&earlier, &of_nobody), [Code::ProviderInvalid]);
    // A contract for another programme is none for this one.
    let of_other = ("P01".to_owned(), "HOMECARE".to_owned());
    let contracts = earlier
        .registers
        .contracts
        .remove(&("P01".to_owned(), "LTCI".to_owned()));
    earlier
        .registers
        .contracts
        .insert(of_other, contracts.unwrap());
    assert_eq!(
        alone(&earlier, &order("A", "2024-05-10 09:00")),
        [Code::ProviderInvalid]
    );
}

#[test]
fn a_file_shows_one_service_only_whatever_its_kind_and_whatever_became_of_the_other() {
    // Given an order that was never approved.
    let first = order_with("A", "2024-05-10 09:00", |order| order.elder = elder(9));
    let mut again = order_with("B", "2024-06-10 09:00", |order| {
        order.evidence = vec![Evidence {
            kind: EvidenceKind::Photo,
            ..file("A")
        }];
    });
    let mut earlier = in_order();
    let told = codes_of(&mut earlier, &[first, again.clone()]);
    assert_eq!(told, [vec![Code::NotEnrolled], vec![Code::EvidenceReused]]);
    // The file counts as that of the first order for ever.
    again.number = "C".to_owned();
    again.check_in_at += TimeDelta::days(30);
    again.check_out_at += TimeDelta::days(30);
    let mut run = Run::default();
    earlier.judge(&again, &mut run);
    let held = Event::Held {
        order: key("C"),
        codes: Code::EvidenceReused.into(),
        conflicts: vec![(Code::EvidenceReused, key("A"))],
    };
    assert_eq!(run.events, [held]);
}

#[test]
fn a_file_may_stand_twice_in_one_order() {
    let twice = order_with("A", "2024-05-10 09:00", |order| {
        order.evidence = vec![file("A"), file("A")];
    });
    assert_eq!(alone(&in_order(), &twice), []);
}

#[test]
fn each_earlier_order_is_told_once_however_many_files_it_shares() {
    let mut earlier = in_order();
    let first = order_with("A", "2024-05-10 09:00", |order| {
        order.evidence = vec![file("1"), file("3")];
    });
    let second = order_with("B", "2024-05-11 09:00", |order| {
        order.evidence = vec![file("2")]
    });
    codes_of(&mut earlier, &[first, second]);
    let all = order_with("C", "2024-05-12 09:00", |order| {
        order.evidence = vec![file("1"), file("2"), file("3")];
    });
    let mut run = Run::default();
    earlier.judge(&all, &mut run);
    let held = Event::Held {
        order: key("C"),
        codes: Code::EvidenceReused.into(),
        conflicts: vec![
            (Code::EvidenceReused, key("A")),
            (Code::EvidenceReused, key("B")),
        ],
    };
    assert_eq!(run.events, [held]);
}

#[test]
fn a_caregiver_cannot_be_with_two_elders_at_a_time() {
    let first = order("A", "2024-05-10 09:00");
    let with_another = |start: &str| order_with("B", start, |order| order.elder = elder(2));
    for (start, overlaps) in [
        ("2024-05-10 07:00", false),
        ("2024-05-10 07:01", true),
        ("2024-05-10 09:00", true),
        ("2024-05-10 10:59", true),
        // What only touches does not overlap.
        ("2024-05-10 11:00", false),
    ] {
        let told = codes_of(&mut in_order(), &[first.clone(), with_another(start)]);
        let expected: &[Code] = if overlaps {
            &[Code::CaregiverOverlap]
        } else {
            &[]
        };
        assert_eq!(told, [&[], expected], "{start}");
    }
}

#[test]
fn an_elder_is_not_served_twice_at_a_time_whoever_comes() {
    let first = order("A", "2024-05-10 09:00");
    let by_another = |start: &str| order_with("B", start, |order| order.caregiver = caregiver(2));
    for (start, overlaps) in [
        ("2024-05-10 07:00", false),
        ("2024-05-10 10:59", true),
        ("2024-05-10 11:00", false),
    ] {
        let told = codes_of(&mut in_order(), &[first.clone(), by_another(start)]);
        let expected: &[Code] = if overlaps {
            &[Code::DuplicateService]
        } else {
            &[]
        };
        assert_eq!(told, [&[], expected], "{start}");
    }
    // By the same caregiver it is a duplicate, and no overlap of elders.
    let told = codes_of(&mut in_order(), &[first, order("B", "2024-05-10 10:00")]);
    assert_eq!(told[1], [Code::DuplicateService]);
}

#[test]
fn orders_stand_against_later_ones_in_the_order_of_the_log_not_of_service() {
    let afternoon = order("A", "2024-05-10 14:00");
    let told = codes_of(
        &mut in_order(),
        &[
            afternoon,
            order_with("B", "2024-05-10 13:00", |order| order.elder = elder(2)),
            order("C", "2024-05-10 12:30"),
        ],
    );
    assert_eq!(
        told,
        [
            vec![],
            vec![Code::CaregiverOverlap],
            vec![Code::CaregiverOverlap, Code::DuplicateService],
        ]
    );
}

#[test]
fn orders_that_were_held_stand_against_later_ones_too() {
    let held = order_with("A", "2024-05-10 09:00", |order| {
        order.codes = Code::DurationShort.into();
    });
    let told = codes_of(&mut in_order(), &[held, order("B", "2024-05-10 10:00")]);
    assert_eq!(told[1], [Code::DuplicateService]);
}

#[test]
fn a_handful_of_earlier_orders_explains_a_code() {
    let mut earlier = in_order();
    for number in 0..9 {
        let one = order_with(&number.to_string(), "2024-05-10 09:00", |order| {
            order.caregiver = caregiver(2);
        });
        codes_of(&mut earlier, &[one]);
    }
    let mut run = Run::default();
    earlier.judge(&order("A", "2024-05-10 09:00"), &mut run);
    let Event::Held { conflicts, .. } = &run.events[0] else {
        panic!("{:?}", run.events);
    };
    let first: Vec<_> = (0..5)
        .map(|number| (Code::DuplicateService, key(&number.to_string())))
        .collect();
    assert_eq!(*conflicts, first);
}

/// Orders on the first days of each month, from a month on.
fn monthly(from: u32, count: u32) -> Vec<Submitted> {
    let months = (0..count).map(|number| (from + number / 20, number % 20 + 1));
    months
        .map(|(month, day)| {
            order(
                &format!("{month}-{day}"),
                &format!("2024-{month:02}-{day:02} 09:00"),
            )
        })
        .collect()
}

#[test]
fn the_twelfth_service_of_a_year_passes_and_the_thirteenth_does_not() {
    let told = codes_of(&mut in_order(), &monthly(1, 13));
    assert!(told[..12].iter().all(Vec::is_empty), "{told:?}");
    assert_eq!(told[12], [Code::QuotaExceeded]);
}

#[test]
fn the_year_is_that_of_the_service_day_here() {
    let mut earlier = in_order();
    earlier.used.insert(year(2024), 12);
    let on = |start: &str| alone(&earlier, &order("A", start));
    assert_eq!(on("2023-12-31 23:59"), []);
    assert_eq!(on("2024-01-01 00:00"), [Code::QuotaExceeded]);
    assert_eq!(on("2024-12-31 23:59"), [Code::QuotaExceeded]);
    // Midnight here, not in London.
    assert_eq!(on("2025-01-01 00:00"), []);
}

#[test]
fn only_approved_orders_use_the_entitlement_up() {
    let mut orders = monthly(1, 12);
    for order in &mut orders[..6] {
        order.codes = Code::DurationShort.into();
    }
    let mut earlier = in_order();
    codes_of(&mut earlier, &orders);
    assert_eq!(earlier.used, [(year(2024), 6)].into());
    let told = codes_of(&mut earlier, &monthly(3, 7));
    assert!(told[..6].iter().all(Vec::is_empty));
    assert_eq!(told[6], [Code::QuotaExceeded]);
}

#[test]
fn the_entitlement_is_judged_only_where_nothing_else_stands_against_an_order() {
    let mut earlier = in_order();
    earlier.used.insert(year(2024), 12);
    let short = order_with("A", "2024-05-10 09:00", |order| {
        order.codes = Code::DurationShort.into();
    });
    assert_eq!(alone(&earlier, &short), [Code::DurationShort]);
    let doubled = codes_of(
        &mut earlier,
        &[
            order("B", "2024-05-10 09:00"),
            order("C", "2024-05-10 10:00"),
        ],
    );
    assert_eq!(doubled, [[Code::QuotaExceeded], [Code::DuplicateService]]);
}

#[test]
fn entitlements_of_elders_and_programmes_are_apart() {
    let mut earlier = in_order();
    earlier.used.insert(year(2024), 12);
    let other_elder = order_with("A", "2024-05-10 09:00", |order| order.elder = elder(2));
    assert_eq!(alone(&earlier, &other_elder), []);
    let of = ("HOMECARE".to_owned(), elder(1));
    earlier
        .registers
        .enrolments
        .insert(of, vec![spell("2024-01-01", "2024-12-31")]);
    let contract = [(Uuid::from_u128(2), days("2023-01-01", None))];
    let of = ("P01".to_owned(), "HOMECARE".to_owned());
    earlier.registers.contracts.insert(of, contract.into());
    let other_programme = order_with("A", "2024-05-10 09:00", |order| {
        order.programme = "HOMECARE".to_owned();
    });
    assert_eq!(alone(&earlier, &other_programme), []);
}

#[test]
fn minutes_are_used_up_to_the_last_one() {
    let minutes = |number: &str, start: &str, minutes: i64| {
        order_with(number, start, |order| {
            order.units = minutes;
            order.units_a_year = 2_880;
            order.check_out_at = order.check_in_at + TimeDelta::minutes(minutes);
        })
    };
    let mut earlier = in_order();
    earlier.used.insert(year(2024), 2_820);
    let told = codes_of(
        &mut earlier,
        &[
            minutes("A", "2024-05-10 09:00", 61),
            minutes("B", "2024-05-11 09:00", 30),
            minutes("C", "2024-05-12 09:00", 31),
            minutes("D", "2024-05-13 09:00", 30),
            minutes("E", "2024-05-14 09:00", 1),
        ],
    );
    let over = vec![Code::QuotaExceeded];
    // A shorter one may still pass where a longer one did not.
    assert_eq!(told, [over.clone(), vec![], over.clone(), vec![], over]);
    assert_eq!(earlier.used[&year(2024)], 2_880);
}

#[test]
fn an_entitlement_that_cannot_be_counted_is_used_up() {
    let mut earlier = in_order();
    earlier.used.insert(year(2024), i64::MAX);
    assert_eq!(
        alone(&earlier, &order("A", "2024-05-10 09:00")),
        [Code::QuotaExceeded]
    );
}

#[test]
fn an_accepted_appeal_approves_while_the_entitlement_bears_it() {
    let mut earlier = in_order();
    earlier.used.insert(year(2024), 11);
    let mut run = Run::default();
    earlier.accept(appealed("A"), &mut run);
    earlier.accept(appealed("B"), &mut run);
    assert_eq!(
        run.events,
        [
            Event::Approved {
                order: key("A"),
                programme: "LTCI".to_owned(),
                provider: "P01".to_owned(),
                elder: elder(1),
                day: day("2024-05-10"),
                amount: Fen(20_000),
                on_appeal: true,
            },
            Event::Consumed {
                order: key("A"),
                year: year(2024),
                units: 1,
            },
            Event::NotSettled {
                order: key("B"),
                reason: NotSettledReason::QuotaExceeded,
            },
        ]
    );
    assert_eq!(run.reserved, [("LTCI".to_owned(), (Fen(20_000), 1))].into());
}

#[test]
fn an_appeal_that_is_accepted_takes_from_orders_that_come_after() {
    let mut earlier = in_order();
    earlier.used.insert(year(2024), 11);
    let mut run = Run::default();
    earlier.accept(appealed("A"), &mut run);
    earlier.judge(&order("B", "2024-05-12 09:00"), &mut run);
    assert_eq!(
        crate::submitted::codes_in(&run),
        [vec![], vec![Code::QuotaExceeded]]
    );
}

#[test]
fn what_a_withdrawn_approval_had_taken_is_free_again() {
    let mut earlier = in_order();
    earlier.used.insert(year(2024), 12);
    let mut run = Run::default();
    earlier.withdraw(appealed("A"), &mut run);
    let released = Event::Released {
        order: key("A"),
        year: year(2024),
        units: 1,
    };
    let never = Event::NotSettled {
        order: key("A"),
        reason: NotSettledReason::Withdrawn,
    };
    assert_eq!(run.events, [released, never]);
    assert_eq!(
        run.reserved,
        [("LTCI".to_owned(), (Fen(-20_000), 1))].into()
    );
    // Another order may have it in the same run: what is reserved comes to nothing.
    earlier.judge(&order("B", "2024-05-12 09:00"), &mut run);
    assert_eq!(crate::submitted::codes_in(&run), [vec![]]);
    assert_eq!(run.reserved, [("LTCI".to_owned(), (Fen(0), 2))].into());
}

#[test]
fn premiums_of_a_run_are_summed_up_by_programme_and_told_first() {
    let mut run = Run::default();
    in_order().judge(&order("A", "2024-05-10 09:00"), &mut run);
    for programme in ["LTCI", "OTHER", "LTCI"] {
        run.charge(programme, Fen(30_000));
    }
    let told = run.finish();
    assert_eq!(
        told[..2],
        [
            Event::PremiumsBooked {
                programme: "LTCI".to_owned(),
                amount: Fen(60_000),
                premiums: 2,
            },
            Event::PremiumsBooked {
                programme: "OTHER".to_owned(),
                amount: Fen(30_000),
                premiums: 1,
            },
        ]
    );
    assert_eq!(told[2..], run.events);
}

#[test]
fn a_run_in_which_nothing_happened_says_nothing() {
    assert_eq!(Run::default().finish(), []);
}

#[test]
fn moments_count_to_the_microsecond() {
    let first = order("A", "2024-05-10 09:00");
    let just = TimeDelta::microseconds(1);
    let after = order_with("B", "2024-05-10 11:00", |order| order.check_in_at -= just);
    let told = codes_of(&mut in_order(), &[first, after]);
    assert_eq!(told[1], [Code::DuplicateService]);
    assert_eq!(
        order("A", "2024-05-10 09:00").check_in_at,
        at("2024-05-10 09:00:00")
    );
}
