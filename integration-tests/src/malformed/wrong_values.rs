//! Values that are none: no id, no day, no place, no policy.

use proto::eldercare::r#type::v1 as types;
use rand::{Rng as _, rngs::StdRng, seq::IndexedRandom as _};
use uuid::Uuid;

use crate::{date, timestamp};

pub(super) fn garbage(random: &mut StdRng, most: usize) -> String {
    const LETTERS: &[char] = &[
        'x', 'Y', '!', '"', '<', '&', ';', '\'', '\\', '%', '*', '王', '😀', 'é', '/', ' ',
        '\u{202E}',
    ];
    // Never of digits and hyphens alone: that might be right somewhere.
    let length = random.random_range(1..=most);
    (0..length)
        .map(|_| *LETTERS.choose(random).expect("not empty"))
        .collect()
}

pub(super) fn no_uuid(random: &mut StdRng) -> String {
    match random.random_range(0..5) {
        0 => String::new(),
        1 => Uuid::nil().to_string(),
        2 => format!("{}0", Uuid::from_u128(random.random())),
        3 => Uuid::from_u128(random.random())
            .to_string()
            .replace('-', "_"),
        _ => garbage(random, 5_000),
    }
}

/// The same where none at all would do.
pub(super) fn wrong_uuid(random: &mut StdRng) -> String {
    let id = no_uuid(random);
    if id.is_empty() {
        garbage(random, 50)
    } else {
        id
    }
}

pub(super) fn no_division(random: &mut StdRng) -> String {
    match random.random_range(0..4) {
        0 => "35052".to_owned(),
        1 => "3505241000011".to_owned(),
        2 => "-35052410000".to_owned(),
        _ => garbage(random, 500),
    }
}

/// No village, though perhaps another division.
pub(super) fn no_village(random: &mut StdRng) -> String {
    if random.random() {
        "350524100".to_owned()
    } else {
        no_division(random)
    }
}

pub(super) fn no_date(random: &mut StdRng) -> Option<types::Date> {
    let [year, month, day] = *[
        [2024, 13, 1],
        [2024, 0, 1],
        [2023, 2, 29],
        [2024, 4, 31],
        [0, 1, 1],
        [10_000, 1, 1],
        [-5, 5, 5],
        [i32::MAX, i32::MAX, i32::MAX],
        [i32::MIN, 1, 1],
        [0, 0, 0],
    ]
    .choose(random)
    .expect("not empty");
    Some(types::Date { year, month, day })
}

pub(super) fn no_instant(random: &mut StdRng) -> Option<prost_types::Timestamp> {
    let (seconds, nanos) = *[
        (i64::MAX, 0),
        (i64::MIN, 0),
        (1_700_000_000, -1),
        (1_700_000_000, 1_000_000_000),
        (4_102_444_800, 0),
    ]
    .choose(random)
    .expect("not empty");
    Some(prost_types::Timestamp { seconds, nanos })
}

/// No instant at all. One to come is an instant, though perhaps the rules refuse it.
pub(super) fn no_time(random: &mut StdRng) -> Option<prost_types::Timestamp> {
    let none = prost_types::Timestamp {
        seconds: i64::MAX,
        nanos: 0,
    };
    let to_come = timestamp("2100-01-01T00:00:00Z");
    no_instant(random)
        .filter(|at| *at != to_come)
        .or(Some(none))
}

/// The number of no word of any list.
pub(super) fn no_word(random: &mut StdRng) -> i32 {
    *[-1, 10, 99, i32::MAX, i32::MIN]
        .choose(random)
        .expect("not empty")
}

pub(super) fn no_name(random: &mut StdRng) -> String {
    match random.random_range(0..5) {
        0 => String::new(),
        1 => " \u{3000}\t ".to_owned(),
        2 => "长".repeat(random.random_range(65..5_000)),
        3 => "林\u{7}月娥".to_owned(),
        _ => "\0\0\0".to_owned(),
    }
}

pub(super) fn no_id_number(random: &mut StdRng) -> String {
    match random.random_range(0..6) {
        0 => String::new(),
        1 => "35052419491001".to_owned(),
        2 => "350524194913010243".to_owned(),
        3 => "99999999999999999".to_owned(),
        4 => format!(
            "3505241949100102{}",
            "4".repeat(random.random_range(3..2_000))
        ),
        _ => garbage(random, 2_000),
    }
}

pub(super) fn no_position(random: &mut StdRng) -> String {
    match random.random_range(0..6) {
        0 => "REGISTRY".to_owned(),
        1 => "REGISTRY:".to_owned(),
        2 => "REGISTRY:-1".to_owned(),
        3 => "REGISTRY:99999999999999999999999".to_owned(),
        // The log of keys is nobody's to wait for.
        4 => "VAULT:1".to_owned(),
        _ => garbage(random, 1_000),
    }
}

pub(super) fn no_token(random: &mut StdRng) -> String {
    match random.random_range(0..3) {
        0 => "AAAA".to_owned(),
        1 => "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo".to_owned(),
        _ => garbage(random, 5_000),
    }
}

pub(super) fn no_etag(random: &mut StdRng) -> String {
    if random.random() {
        "-1".to_owned()
    } else {
        garbage(random, 500)
    }
}

pub(super) fn no_code(random: &mut StdRng) -> String {
    match random.random_range(0..4) {
        0 => String::new(),
        1 => "in words".to_owned(),
        2 => "A".repeat(random.random_range(65..2_000)),
        _ => garbage(random, 60),
    }
}

pub(super) fn no_page(random: &mut StdRng) -> i32 {
    *[-1, i32::MIN].choose(random).expect("not empty")
}

pub(super) fn too_long(random: &mut StdRng) -> String {
    "文".repeat(random.random_range(1_001..20_000))
}

pub(super) fn no_ids(random: &mut StdRng) -> Vec<String> {
    match random.random_range(0..3) {
        0 => Vec::new(),
        1 => (0..1_001)
            .map(|_| Uuid::from_u128(random.random()).to_string())
            .collect(),
        _ => (0..random.random_range(1..300))
            .map(|_| no_uuid(random))
            .collect(),
    }
}

pub(super) fn no_contacts(random: &mut StdRng) -> Vec<types::Contact> {
    let contact = types::Contact {
        name: "林海".to_owned(),
        relation: "子".to_owned(),
        phone: "13800138000".to_owned(),
        ..types::Contact::default()
    };
    match random.random_range(0..7) {
        0 => vec![contact; 21],
        1 => vec![
            types::Contact {
                supporter: true,
                ..contact
            };
            2
        ],
        2 => vec![
            types::Contact {
                call_order: 3,
                ..contact
            };
            2
        ],
        3 => vec![types::Contact {
            phone: "12".to_owned(),
            ..contact
        }],
        4 => vec![types::Contact {
            name: no_name(random),
            ..contact
        }],
        5 => vec![types::Contact {
            relation: "很".repeat(33),
            ..contact
        }],
        _ => vec![types::Contact {
            call_order: -1,
            ..contact
        }],
    }
}

pub(super) fn no_circumstance(random: &mut StdRng) -> types::Circumstance {
    let valid = types::Circumstance {
        kind: types::CircumstanceKind::Accident.into(),
        first_day: Some(date("2024-09-01")),
        ..types::Circumstance::default()
    };
    match random.random_range(0..6) {
        0 => types::Circumstance { kind: 0, ..valid },
        1 => types::Circumstance {
            kind: no_word(random),
            ..valid
        },
        2 => types::Circumstance {
            first_day: None,
            ..valid
        },
        3 => types::Circumstance {
            last_day: Some(date("2024-08-31")),
            ..valid
        },
        4 => types::Circumstance {
            circumstance_id: Uuid::nil().to_string(),
            ..valid
        },
        _ => types::Circumstance {
            first_day: no_date(random),
            ..valid
        },
    }
}

/// Nobody can lie here.
pub(super) fn no_place(random: &mut StdRng) -> Option<types::GeoPosition> {
    let (latitude, longitude) = *[
        (91.0, 0.0),
        (0.0, 181.0),
        (f64::NAN, 0.0),
        (0.0, f64::INFINITY),
        (-1e300, 1e300),
    ]
    .choose(random)
    .expect("not empty");
    Some(types::GeoPosition {
        latitude,
        longitude,
    })
}

/// A policy that is none: no YAML, too long, of the wrong form, or with conditions that can't be.
pub(super) fn no_policy(random: &mut StdRng) -> String {
    match random.random_range(0..7) {
        0 => String::new(),
        1 => "a: [".to_owned(),
        2 => "#".repeat(70_000),
        3 => "tiers: 7".to_owned(),
        4 => garbage(random, 2_000),
        5 => "title: x\ntiers:\n  - tier: PRIORITY\n    title: x\n    interval: WEEKLY\n    rules:\n      - rule: A\n        when: age +\n        source: x\nmodes: []\n".to_owned(),
        _ => "a: &a [x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nd: [*c, *c]\n".to_owned(),
    }
}
