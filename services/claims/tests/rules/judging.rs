//! What an order's own content and the elder's facts say about it, each code at its very boundary.

use chrono::{DateTime, TimeDelta, Utc};
use civic::{
    Assistance, CapabilityLevel, ElderStatus, EvidenceKind, Fen, GeoPosition, OrderCode as Code,
};
use claims::definition::Definition;
use claims::judging::{self, Evidence, Judged, Service};
use elders::Facts;
use elders::event::{Event, Merge};
use proptest::prelude::*;
use uuid::Uuid;

use crate::people::{ELDER, HOMECARE, LTCI, after, at, day, definition, facts, grade};

/// An order that nothing stands against: two hours on 10 May 2024, handed in on the same day.
struct Case {
    definition: Option<Definition>,
    service: Service,
    facts: Facts,
    home: Option<GeoPosition>,
    submitted_at: DateTime<Utc>,
}

fn home() -> GeoPosition {
    GeoPosition::new(25.0, 117.0).unwrap()
}

/// A home on the equator, from where a step in latitude is finer than a hair.
fn on_the_equator() -> GeoPosition {
    GeoPosition::new(0.0, 117.0).unwrap()
}

/// The last places north or south of the equator that are so many metres from it at most, and the very next ones.
fn around(metres: f64, side: f64) -> (GeoPosition, GeoPosition) {
    let home = on_the_equator();
    let at = |latitude: f64| GeoPosition::new(side * latitude, 117.0).unwrap();
    let mut latitude = (metres / 6_371_000_f64).to_degrees();
    while at(latitude).metres_to(&home) <= metres {
        latitude = latitude.next_up();
    }
    while at(latitude).metres_to(&home) > metres {
        latitude = latitude.next_down();
    }
    (at(latitude), at(latitude.next_up()))
}

/// A place so many metres north of home, and not a hair more.
fn north_of_home(metres: f64) -> GeoPosition {
    let mut latitude = 25.0 + (metres / 6_371_000_f64).to_degrees();
    loop {
        let place = GeoPosition::new(latitude, 117.0).unwrap();
        if place.metres_to(&home()) <= metres {
            return place;
        }
        latitude = latitude.next_down();
    }
}

fn file(kind: EvidenceKind, number: u8) -> Evidence {
    Evidence {
        kind,
        hash: vec![number; 32],
    }
}

impl Case {
    fn good() -> Self {
        let items = ["VITAL_SIGNS", "HEALTH_GUIDANCE", "SAFETY_CHECK", "BATHING"];
        Self {
            definition: Some(definition(LTCI)),
            service: Service {
                check_in_at: at("2024-05-10 09:00:00"),
                check_out_at: at("2024-05-10 11:00:00"),
                place: home(),
                items: items.map(str::to_owned).to_vec(),
                evidence: vec![file(EvidenceKind::Video, 1)],
            },
            facts: facts(|_| {}),
            home: Some(home()),
            submitted_at: at("2024-05-10 12:00:00"),
        }
    }

    /// The same with a change.
    fn with(change: impl FnOnce(&mut Self)) -> Self {
        let mut case = Self::good();
        change(&mut case);
        case
    }

    fn judged(&self) -> Judged {
        judging::judge(
            self.definition.as_ref(),
            &self.service,
            &self.facts,
            17,
            self.home.as_ref(),
            self.submitted_at,
        )
    }

    fn codes(&self) -> Vec<Code> {
        self.judged().codes.iter().collect()
    }
}

#[track_caller]
fn assert_codes(change: impl FnOnce(&mut Case), codes: &[Code]) {
    assert_eq!(Case::with(change).codes(), codes);
}

#[test]
fn a_good_order_has_no_code_and_says_what_it_costs() {
    let judged = Case::good().judged();
    assert!(judged.codes.is_empty(), "{:?}", judged.codes);
    assert_eq!((judged.units, judged.units_a_year), (1, 12));
    assert_eq!(judged.amount, Fen(20_000));
    assert_eq!(judged.appeal_until, day("2024-05-25"));
    let facts = judged.facts;
    assert_eq!(facts.registry_sequence, 17);
    assert_eq!(facts.age, 74);
    assert_eq!(facts.status, ElderStatus::Active);
    assert_eq!(facts.capability, CapabilityLevel::Severe);
    assert_eq!(facts.assistance, Assistance::MinimumLiving.into());
    assert_eq!(facts.handicap_grade, 0);
    assert_eq!(facts.entitled_by, "LOW_INCOME");
    assert_eq!(facts.metres_from_home, Some(0));
}

#[test]
fn two_hours_are_long_enough_and_a_second_less_is_not() {
    assert_codes(|_| {}, &[]);
    assert_codes(
        |case| case.service.check_out_at = at("2024-05-10 10:59:59"),
        &[Code::DurationShort],
    );
    assert_codes(
        |case| case.service.check_out_at = at("2024-05-10 11:00:00") - TimeDelta::microseconds(1),
        &[Code::DurationShort],
    );
}

#[test]
fn half_an_hour_of_home_care_is_long_enough() {
    let home_care = |end: &str| {
        Case::with(|case| {
            case.definition = Some(definition(HOMECARE));
            case.service.check_out_at = at(end);
            case.service.items = vec!["COOKING".to_owned()];
            case.service.evidence = vec![file(EvidenceKind::Photo, 1)];
        })
    };
    let judged = home_care("2024-05-10 09:30:00").judged();
    assert!(judged.codes.is_empty());
    assert_eq!(
        (judged.units, judged.amount, judged.units_a_year),
        (30, Fen(2_000), 2_880)
    );
    assert_eq!(
        home_care("2024-05-10 09:29:59").codes(),
        [Code::DurationShort]
    );
    // Seconds beyond a full minute are neither used up nor paid for.
    let judged = home_care("2024-05-10 09:31:59").judged();
    assert_eq!((judged.units, judged.amount), (31, Fen(2_066)));
}

#[test]
fn five_hundred_metres_from_home_pass_and_ten_centimetres_more_do_not() {
    let from_home = |metres| Case::with(|case| case.service.place = north_of_home(metres)).judged();
    let judged = from_home(500.0);
    assert!(judged.codes.is_empty());
    assert_eq!(judged.facts.metres_from_home, Some(500));
    let judged = from_home(500.1);
    assert_eq!(judged.codes, Code::LocationMismatch.into());
    // Rounded up, so that what is told is never within the limit.
    assert_eq!(judged.facts.metres_from_home, Some(501));
}

#[test]
fn five_hundred_metres_are_not_too_far_and_the_next_number_is() {
    assert!(!judging::is_too_far(500.0));
    assert!(!judging::is_too_far(500_f64.next_down()));
    assert!(judging::is_too_far(500_f64.next_up()));
}

#[test]
fn the_last_place_within_five_hundred_metres_passes_and_the_very_next_one_does_not() {
    for side in [1.0, -1.0] {
        let (within, beyond) = around(500.0, side);
        let metres = |place: &GeoPosition| place.metres_to(&on_the_equator());
        // They are as near to the limit as numbers can be.
        assert!(500.0 - metres(&within) < 1e-9 && metres(&beyond) - 500.0 < 1e-9);
        let told = |place: GeoPosition| {
            Case::with(|case| {
                case.home = Some(on_the_equator());
                case.service.place = place;
            })
            .judged()
        };
        let judged = told(within);
        assert!(judged.codes.is_empty(), "{side}");
        assert_eq!(judged.facts.metres_from_home, Some(500));
        let judged = told(beyond);
        assert_eq!(judged.codes, Code::LocationMismatch.into(), "{side}");
        assert_eq!(judged.facts.metres_from_home, Some(501));
    }
}

#[test]
fn where_no_home_is_known_any_place_passes() {
    let judged = Case::with(|case| {
        case.home = None;
        case.service.place = GeoPosition::new(-25.0, -63.0).unwrap();
    });
    let judged = judged.judged();
    assert!(judged.codes.is_empty());
    assert_eq!(judged.facts.metres_from_home, None);
}

#[test]
fn the_thirtieth_day_is_in_time_and_the_thirty_first_is_late() {
    assert_codes(|case| case.submitted_at = at("2024-06-09 23:59:59"), &[]);
    assert_codes(
        |case| case.submitted_at = at("2024-06-10 00:00:00"),
        &[Code::LateSubmission],
    );
}

#[test]
fn the_day_of_service_is_the_local_day_of_check_in() {
    // Seventeen hours after midnight in London it is the next day here.
    let overnight = |submitted: &str| {
        Case::with(|case| {
            case.service.check_in_at = "2024-05-09T16:00:00Z".parse().unwrap();
            case.service.check_out_at = "2024-05-09T18:00:00Z".parse().unwrap();
            case.submitted_at = at(submitted);
        })
    };
    assert_eq!(
        overnight("2024-05-10 12:00:00").service.day(),
        day("2024-05-10")
    );
    assert_eq!(overnight("2024-06-09 23:59:59").codes(), []);
    // One that ends after midnight belongs to the day on which it began.
    let until_morning = Case::with(|case| {
        case.service.check_in_at = at("2024-05-09 23:59:59");
        case.service.check_out_at = at("2024-05-10 02:00:00");
        case.submitted_at = at("2024-06-09 00:00:00");
    });
    assert_eq!(until_morning.codes(), [Code::LateSubmission]);
}

#[test]
fn an_appeal_may_be_filed_until_the_fifteenth_day_after_submission() {
    let case = Case::with(|case| case.submitted_at = at("2024-05-20 23:59:59"));
    assert_eq!(case.judged().appeal_until, day("2024-06-04"));
}

#[test]
fn whoever_dies_on_the_day_of_service_was_alive_before_it() {
    for gone in [|on| Event::Died { on }, |on| Event::MovedOut { on }] {
        let on = |on: &str| Case::with(|case| case.facts = after(facts(|_| {}), &[gone(day(on))]));
        assert_eq!(on("2024-05-11").codes(), []);
        assert_eq!(on("2024-05-10").codes(), []);
        assert_eq!(on("2024-05-09").codes(), [Code::NotAliveOrPresent]);
        assert_eq!(on("2020-01-01").codes(), [Code::NotAliveOrPresent]);
    }
}

#[test]
fn whoever_came_back_is_present_again() {
    let back = |on: &str| {
        let events = [
            Event::MovedOut {
                on: day("2024-03-01"),
            },
            Event::Reinstated {
                on: day(on),
                reason: "RETURNED".to_owned(),
            },
        ];
        Case::with(|case| case.facts = after(facts(|_| {}), &events))
    };
    assert_eq!(back("2024-05-10").codes(), []);
    assert_eq!(back("2024-05-11").codes(), [Code::NotAliveOrPresent]);
}

#[test]
fn a_handicap_entitles_at_any_age_and_low_income_from_sixty_on() {
    let born = |birth: &str, handicap: Option<u8>| {
        let case = Case::with(|case| {
            case.facts = facts(|person| {
                person.birth_date = day(birth);
                person.handicap_grade = handicap.and_then(grade);
            });
        });
        let judged = case.judged();
        (judged.facts.entitled_by, judged.codes.iter().collect())
    };
    let none: Vec<Code> = vec![];
    let not_entitled = || (String::new(), vec![Code::NotEntitled]);
    // Sixty on the day of service, and a day before that.
    assert_eq!(
        born("1964-05-10", None),
        ("LOW_INCOME".to_owned(), none.clone())
    );
    assert_eq!(born("1964-05-11", None), not_entitled());
    for birth in ["2010-01-01", "1964-05-11", "1930-01-01"] {
        assert_eq!(
            born(birth, Some(2)),
            ("HANDICAP_1_2".to_owned(), none.clone())
        );
    }
    assert_eq!(born("2010-01-01", Some(3)), not_entitled());
}

#[test]
fn low_income_entitles_from_moderate_capability_on() {
    let with = |level: CapabilityLevel, assistance: Assistance| {
        Case::with(|case| {
            case.facts = facts(|person| {
                person.capability.level = level;
                person.assistance = assistance.into();
            });
        })
        .codes()
    };
    for assistance in [Assistance::MinimumLiving, Assistance::ExtremePoverty] {
        for level in [
            CapabilityLevel::Unassessed,
            CapabilityLevel::Intact,
            CapabilityLevel::Mild,
        ] {
            assert_eq!(with(level, assistance), [Code::NotEntitled], "{level:?}");
        }
        for level in [
            CapabilityLevel::Moderate,
            CapabilityLevel::Severe,
            CapabilityLevel::Total,
        ] {
            assert_eq!(with(level, assistance), [], "{level:?}");
        }
    }
    assert_eq!(
        with(CapabilityLevel::Total, Assistance::MinimumLivingMarginal),
        [Code::NotEntitled]
    );
}

#[test]
fn a_merged_file_is_entitled_to_nothing() {
    let merge = |merged| Merge {
        surviving: civic::ElderId(Uuid::from_u128(7)),
        merged,
        reason: "SAME_PERSON".to_owned(),
    };
    let case = Case::with(|case| {
        case.facts = after(facts(|_| {}), &[Event::Merged(merge(ELDER))]);
    });
    assert_eq!(case.codes(), [Code::NotEntitled]);
    let other = civic::ElderId(Uuid::from_u128(8));
    let case = Case::with(|case| {
        case.facts = after(facts(|_| {}), &[Event::Merged(merge(other))]);
    });
    assert_eq!(case.codes(), []);
}

#[test]
fn evidence_is_counted_by_different_files_of_its_kind() {
    let two_videos = LTCI.replace("VIDEO: 1", "VIDEO: 2, PHOTO: 1");
    let with = |evidence: &[(EvidenceKind, u8)]| {
        Case::with(|case| {
            case.definition = Some(definition(&two_videos));
            let files = evidence.iter();
            case.service.evidence = files.map(|(kind, number)| file(*kind, *number)).collect();
        })
        .codes()
    };
    use EvidenceKind::{Photo, Video};
    assert_eq!(with(&[(Video, 1), (Video, 2), (Photo, 3)]), []);
    for less in [
        &[][..],
        &[(Video, 1), (Video, 2)],
        &[(Video, 1), (Photo, 3)],
        // The same file twice is one.
        &[(Video, 1), (Video, 1), (Photo, 3)],
    ] {
        assert_eq!(with(less), [Code::EvidenceMissing], "{less:?}");
    }
}

#[test]
fn where_no_version_holds_nobody_is_entitled_and_nothing_is_paid() {
    let case = Case::with(|case| {
        case.definition = None;
        case.service.check_out_at = case.service.check_in_at;
        case.service.items = vec![];
        case.service.evidence = vec![];
        case.submitted_at = at("2025-05-10 12:00:00");
    });
    let judged = case.judged();
    assert_eq!(judged.codes, Code::NotEntitled.into());
    assert_eq!((judged.units, judged.units_a_year), (0, 0));
    assert_eq!(judged.amount, Fen::ZERO);
    assert_eq!(judged.appeal_until, day("2025-05-10"));
    assert_eq!(judged.facts.entitled_by, "");
}

#[test]
fn all_codes_that_apply_are_given_in_their_order() {
    let case = Case::with(|case| {
        case.service.place = north_of_home(9_000.0);
        case.service.check_out_at = at("2024-05-10 09:05:00");
        case.service.items = vec!["GARDENING".to_owned()];
        case.service.evidence = vec![];
        case.facts = after(
            facts(|person| person.assistance = Assistance::FiveVeterans.into()),
            &[Event::Died {
                on: day("2024-01-01"),
            }],
        );
        case.submitted_at = at("2024-12-31 09:00:00");
    });
    assert_eq!(
        case.codes(),
        [
            Code::NotEntitled,
            Code::NotAliveOrPresent,
            Code::DurationShort,
            Code::ItemsInvalid,
            Code::LocationMismatch,
            Code::EvidenceMissing,
            Code::LateSubmission,
        ]
    );
}

proptest! {
    #[test]
    fn each_code_stands_for_itself(
        short in any::<bool>(),
        items in any::<bool>(),
        far in any::<bool>(),
        evidence in any::<bool>(),
        dead in any::<bool>(),
        poor in any::<bool>(),
        late in any::<bool>(),
    ) {
        let case = Case::with(|case| {
            if short {
                case.service.check_out_at = case.service.check_in_at;
            }
            if items {
                case.service.items.clear();
            }
            if far {
                case.service.place = north_of_home(1_000.0);
            }
            if evidence {
                case.service.evidence.clear();
            }
            case.facts = facts(|person| {
                if !poor {
                    person.assistance = civic::Set::new();
                }
            });
            if dead {
                case.facts = after(case.facts.clone(), &[Event::Died { on: day("2024-05-01") }]);
            }
            if late {
                case.submitted_at = at("2024-06-10 00:00:00");
            }
        });
        let expected = [
            (!poor, Code::NotEntitled),
            (dead, Code::NotAliveOrPresent),
            (short, Code::DurationShort),
            (items, Code::ItemsInvalid),
            (far, Code::LocationMismatch),
            (evidence, Code::EvidenceMissing),
            (late, Code::LateSubmission),
        ];
        let expected: Vec<Code> = expected
            .into_iter()
            .filter_map(|(applies, code)| applies.then_some(code))
            .collect();
        prop_assert_eq!(case.codes(), expected);
    }
}
