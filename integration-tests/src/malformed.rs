//! Requests that are wrong, thousands of them, always the same ones: valid requests of every method in which something was broken.

use std::borrow::Cow;

use bytes::{BufMut as _, Bytes, BytesMut};
use prost::Message;
use proto::eldercare::{registry::v1 as registry, tiering::v1 as tiering, r#type::v1 as types};
use rand::{Rng as _, rngs::StdRng, seq::IndexedRandom as _};
use uuid::Uuid;

use crate::{an_elder, county, date, days::timestamp, elders::VILLAGE};

/// A malformed request.
#[derive(Clone, Debug)]
pub struct Malformed {
    /// The method's path.
    pub path: &'static str,
    /// The messages, one unless the method takes a stream.
    pub messages: Vec<Bytes>,
    /// What is wrong with it, for the test's own output.
    pub wrong: Cow<'static, str>,
    /// Whether the refusal must name the fields.
    pub names_fields: bool,
}

/// What a valid request may speak of.
#[derive(Clone, Debug)]
pub struct Known {
    /// An elder of the registry.
    pub elder: String,
    /// Another one.
    pub other: String,
    /// A policy that could be published.
    pub policy: &'static str,
}

/// Breaks something in a request.
type Break<M> = (&'static str, fn(&mut M, &mut StdRng));

/// Makes one malformed request of a method.
pub type Maker = Box<dyn Fn(&mut StdRng) -> Malformed>;

fn maker<M: Message + Clone + 'static>(
    path: &'static str,
    valid: M,
    breaks: &'static [Break<M>],
) -> Maker {
    Box::new(move |random| {
        // One in six is broken below the fields, as bytes.
        if random.random_ratio(1, 6) {
            let (wrong, body) = broken_bytes(valid.encode_to_vec(), random);
            return Malformed {
                path,
                messages: vec![body],
                wrong: wrong.into(),
                names_fields: false,
            };
        }
        let mut request = valid.clone();
        let (wrong, break_it) = breaks
            .choose(random)
            .expect("each method has something to be broken");
        break_it(&mut request, random);
        // Where no two of them mend each other, sometimes a second thing too: all that is wrong is told at once.
        if path.ends_with("RegisterElder") && random.random() {
            breaks.choose(random).expect("as above").1(&mut request, random);
        }
        let messages = vec![Bytes::from(request.encode_to_vec())];
        Malformed {
            path,
            messages,
            wrong: (*wrong).into(),
            names_fields: true,
        }
    })
}

/// Bytes that are no message of any method: field 1 is a text or a message in all of them, and never a number.
fn broken_bytes(valid: Vec<u8>, random: &mut StdRng) -> (&'static str, Bytes) {
    let mut body = BytesMut::from(valid.as_slice());
    let wrong = match random.random_range(0..6) {
        0 => {
            body.put_slice(&[0x0A, 4, 0xFF, 0xFE, 0xC0, 0x80]);
            "a text that is no UTF-8, or a message that is none"
        }
        1 => {
            body.put_slice(&[0x0A, 0x7F, 1]);
            "a field that is longer than the message"
        }
        2 => {
            body.put_slice(&[0x08, 0x96, 0x01]);
            "a number where a text must be"
        }
        3 => {
            body.put_slice(&[0x00, 0x01]);
            "a field numbered 0"
        }
        4 => {
            body.put_slice(&[
                0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F,
            ]);
            "a length of many exabytes"
        }
        _ => {
            body.put_slice(&[0x0F; 3]);
            "a wire type that there isn't"
        }
    };
    (wrong, body.freeze())
}

fn garbage(random: &mut StdRng, most: usize) -> String {
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

fn no_uuid(random: &mut StdRng) -> String {
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

fn no_division(random: &mut StdRng) -> String {
    match random.random_range(0..4) {
        0 => "35052".to_owned(),
        1 => "3505241000011".to_owned(),
        2 => "-35052410000".to_owned(),
        _ => garbage(random, 500),
    }
}

/// No village, though perhaps another division.
fn no_village(random: &mut StdRng) -> String {
    if random.random() {
        "350524100".to_owned()
    } else {
        no_division(random)
    }
}

fn no_date(random: &mut StdRng) -> Option<types::Date> {
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

fn no_instant(random: &mut StdRng) -> Option<prost_types::Timestamp> {
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

/// The number of no word of any list.
fn no_word(random: &mut StdRng) -> i32 {
    *[-1, 10, 99, i32::MAX, i32::MIN]
        .choose(random)
        .expect("not empty")
}

fn no_name(random: &mut StdRng) -> String {
    match random.random_range(0..5) {
        0 => String::new(),
        1 => " \u{3000}\t ".to_owned(),
        2 => "长".repeat(random.random_range(65..5_000)),
        3 => "林\u{7}月娥".to_owned(),
        _ => "\0\0\0".to_owned(),
    }
}

fn no_id_number(random: &mut StdRng) -> String {
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

fn no_position(random: &mut StdRng) -> String {
    match random.random_range(0..6) {
        0 => "REGISTRY".to_owned(),
        1 => "REGISTRY:".to_owned(),
        2 => "REGISTRY:-1".to_owned(),
        3 => "REGISTRY:99999999999999999999999".to_owned(),
        4 => "VISITS:1".to_owned(),
        _ => garbage(random, 1_000),
    }
}

fn no_token(random: &mut StdRng) -> String {
    match random.random_range(0..3) {
        0 => "AAAA".to_owned(),
        1 => "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo".to_owned(),
        _ => garbage(random, 5_000),
    }
}

fn no_etag(random: &mut StdRng) -> String {
    if random.random() {
        "-1".to_owned()
    } else {
        garbage(random, 500)
    }
}

fn no_code(random: &mut StdRng) -> String {
    match random.random_range(0..4) {
        0 => String::new(),
        1 => "in words".to_owned(),
        2 => "A".repeat(random.random_range(65..2_000)),
        _ => garbage(random, 60),
    }
}

fn no_page(random: &mut StdRng) -> i32 {
    *[-1, i32::MIN].choose(random).expect("not empty")
}

fn too_long(random: &mut StdRng) -> String {
    "文".repeat(random.random_range(1_001..20_000))
}

fn no_ids(random: &mut StdRng) -> Vec<String> {
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

fn no_contacts(random: &mut StdRng) -> Vec<types::Contact> {
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

fn no_circumstance(random: &mut StdRng) -> types::Circumstance {
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
fn no_place(random: &mut StdRng) -> Option<types::GeoPosition> {
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
fn no_policy(random: &mut StdRng) -> String {
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

/// The three fields that begin every command about one elder.
macro_rules! breaks {
    ($kind:ty: $($wrong:literal => $change:expr),* $(,)?) => {{
        const BREAKS: &[Break<$kind>] = &[$(($wrong, $change)),*];
        BREAKS
    }};
}

macro_rules! addressed {
    ($kind:ty: $($wrong:literal => $change:expr),* $(,)?) => {
        breaks!($kind:
            "request_id" => |m, r| m.request_id = no_uuid(r),
            "elder_id" => |m, r| m.elder_id = no_uuid(r),
            "etag" => |m, r| m.etag = no_etag(r),
            $($wrong => $change),*
        )
    };
}

macro_rules! pair {
    ($kind:ty, $one:ident, $other:ident) => {
        breaks!($kind:
            "request_id" => |m, r| m.request_id = no_uuid(r),
            "one elder" => |m, r| m.$one = no_uuid(r),
            "the other elder" => |m, r| m.$other = no_uuid(r),
            "the same elder twice" => |m, _| m.$other = m.$one.clone(),
            "reason" => |m, r| m.reason = no_code(r),
        )
    };
}

/// Commands of the registry.
fn commands(known: &Known) -> Vec<Maker> {
    use registry::*;
    let id = || Uuid::new_v4().to_string();
    let elder = || known.elder.clone();
    let two = |path, valid: MergeEldersRequest| {
        maker(
            path,
            valid,
            pair!(MergeEldersRequest, surviving_elder_id, merged_elder_id),
        )
    };
    let merge = MergeEldersRequest {
        request_id: id(),
        surviving_elder_id: elder(),
        merged_elder_id: known.other.clone(),
        reason: "SAME_PERSON".to_owned(),
    };
    let report = ReportDuplicateRequest {
        request_id: id(),
        elder_id: elder(),
        other_elder_id: known.other.clone(),
        reason: "SAME_PERSON".to_owned(),
    };
    let two_reported = |path, valid: ReportDuplicateRequest| {
        maker(
            path,
            valid,
            pair!(ReportDuplicateRequest, elder_id, other_elder_id),
        )
    };
    vec![
        maker(
            "/eldercare.registry.v1.RegistryService/RegisterElder",
            an_elder("林正确"),
            breaks!(RegisterElderRequest:
                "request_id" => |m, r| m.request_id = no_uuid(r),
                "name" => |m, r| m.name = no_name(r),
                "id_number" => |m, r| m.id_number = no_id_number(r),
                "division_code" => |m, r| m.division_code = no_village(r),
                "address" => |m, r| m.address = too_long(r),
                "position" => |m, r| m.position = no_place(r),
                "categories" => |m, r| m.categories = vec![1, no_word(r)],
                "a category that never appears" => |m, _| m.categories = vec![0],
                "assistance" => |m, r| m.assistance = vec![no_word(r); 1_000],
                "level" => |m, r| m.capability.as_mut().expect("there").level = no_word(r),
                "assessed_on" => |m, r| m.capability.as_mut().expect("there").assessed_on = no_date(r),
                "assessed in the future" => |m, _| m.capability.as_mut().expect("there").assessed_on = Some(date("2030-01-01")),
                "source" => |m, _| m.capability.as_mut().expect("there").source = "in words".to_owned(),
                "observations" => |m, r| m.observations = vec![no_word(r)],
                "handicap_grade" => |m, r| m.handicap_grade = *[-1, 5, i32::MAX].choose(r).expect("not empty"),
                "circumstances" => |m, r| m.circumstances = vec![no_circumstance(r)],
                "too many circumstances" => |m, r| m.circumstances = vec![no_circumstance(r); 500],
                "contacts" => |m, r| m.contacts = no_contacts(r),
                "consent" => |m, r| m.consent.as_mut().expect("there").state = no_word(r),
                "consent at no instant" => |m, r| m.consent.as_mut().expect("there").at = no_instant(r).filter(|at| at.seconds != 4_102_444_800).or(Some(prost_types::Timestamp { seconds: 0, nanos: -1 })),
                "wanted_services" => |m, r| m.wanted_services = vec![no_word(r)],
                "remarks" => |m, r| m.remarks = too_long(r),
            ),
        ),
        maker(
            "/eldercare.registry.v1.RegistryService/UpdateElder",
            UpdateElderRequest {
                request_id: id(),
                elder_id: elder(),
                profile: Some(ElderProfile {
                    categories: vec![2],
                    ..ElderProfile::default()
                }),
                update_mask: Some(prost_types::FieldMask {
                    paths: vec!["categories".to_owned()],
                }),
                ..UpdateElderRequest::default()
            },
            addressed!(UpdateElderRequest:
                "no mask" => |m, _| m.update_mask = None,
                "a mask of nothing" => |m, _| m.update_mask = Some(prost_types::FieldMask::default()),
                "a mask of a field that there isn't" => |m, r| m.update_mask = Some(prost_types::FieldMask { paths: vec![garbage(r, 200)] }),
                "a mask of a field that it may not name" => |m, _| m.update_mask = Some(prost_types::FieldMask { paths: vec!["id_number".to_owned()] }),
                "categories" => |m, r| m.profile.as_mut().expect("there").categories = vec![no_word(r)],
                "on" => |m, r| m.on = no_date(r),
            ),
        ),
        maker(
            "/eldercare.registry.v1.RegistryService/CorrectIdentity",
            CorrectIdentityRequest {
                request_id: id(),
                elder_id: elder(),
                name: "林更正".to_owned(),
                reason: "TYPING_ERROR".to_owned(),
                ..CorrectIdentityRequest::default()
            },
            addressed!(CorrectIdentityRequest:
                "nothing to correct" => |m, _| m.name.clear(),
                "name" => |m, r| m.name = "长".repeat(r.random_range(65..5_000)),
                "id_number" => |m, r| m.id_number = garbage(r, 2_000),
                "reason" => |m, r| m.reason = no_code(r),
            ),
        ),
        maker(
            "/eldercare.registry.v1.RegistryService/RelocateElder",
            RelocateElderRequest {
                request_id: id(),
                elder_id: elder(),
                division_code: VILLAGE.to_owned(),
                address: "新屋".to_owned(),
                ..RelocateElderRequest::default()
            },
            addressed!(RelocateElderRequest:
                "on" => |m, r| m.on = no_date(r),
                "division_code" => |m, r| m.division_code = no_village(r),
                "address" => |m, r| m.address = too_long(r),
                "position" => |m, r| m.position = no_place(r),
            ),
        ),
        maker(
            "/eldercare.registry.v1.RegistryService/RecordAssessment",
            RecordAssessmentRequest {
                request_id: id(),
                elder_id: elder(),
                assessed_on: Some(date("2024-09-01")),
                source: "ASSESSMENT_AGENCY".to_owned(),
                level: types::CapabilityLevel::Mild.into(),
                ..RecordAssessmentRequest::default()
            },
            addressed!(RecordAssessmentRequest:
                "assessed_on" => |m, r| m.assessed_on = no_date(r),
                "no assessed_on" => |m, _| m.assessed_on = None,
                "assessed in the future" => |m, _| m.assessed_on = Some(date("2030-01-01")),
                "source" => |m, r| m.source = no_code(r),
                "level" => |m, r| m.level = no_word(r),
                "neither level nor scores" => |m, _| m.level = 0,
                "both level and scores" => |m, _| m.item_scores = vec![0; 26],
                "too few scores" => |m, r| { m.level = 0; m.item_scores = vec![1; r.random_range(1..26)]; },
                "too many scores" => |m, r| { m.level = 0; m.item_scores = vec![1; r.random_range(27..5_000)]; },
                "a score out of range" => |m, _| { m.level = 0; m.item_scores = vec![5; 26]; },
                "scores of over 90" => |m, _| { m.level = 0; m.item_scores = vec![4; 26]; },
                "scores that overflow" => |m, _| { m.level = 0; m.item_scores = vec![i32::MAX; 26]; },
            ),
        ),
        maker(
            "/eldercare.registry.v1.RegistryService/RecordHandicap",
            RecordHandicapRequest {
                request_id: id(),
                elder_id: elder(),
                grade: 2,
                ..RecordHandicapRequest::default()
            },
            addressed!(RecordHandicapRequest:
                "grade" => |m, r| m.grade = *[-1, 5, i32::MIN].choose(r).expect("not empty"),
                "on" => |m, r| m.on = no_date(r),
            ),
        ),
        maker(
            "/eldercare.registry.v1.RegistryService/RecordObservation",
            RecordObservationRequest {
                request_id: id(),
                elder_id: elder(),
                observation: 1,
                ..RecordObservationRequest::default()
            },
            addressed!(RecordObservationRequest:
                "no observation" => |m, _| m.observation = 0,
                "observation" => |m, r| m.observation = no_word(r),
                "on" => |m, r| m.on = no_date(r),
            ),
        ),
        maker(
            "/eldercare.registry.v1.RegistryService/RecordCircumstance",
            RecordCircumstanceRequest {
                request_id: id(),
                elder_id: elder(),
                circumstance: Some(types::Circumstance {
                    kind: 1,
                    first_day: Some(date("2024-09-01")),
                    ..types::Circumstance::default()
                }),
                ..RecordCircumstanceRequest::default()
            },
            addressed!(RecordCircumstanceRequest:
                "no circumstance" => |m, _| m.circumstance = None,
                "circumstance" => |m, r| m.circumstance = Some(no_circumstance(r)),
            ),
        ),
        maker(
            "/eldercare.registry.v1.RegistryService/EndCircumstance",
            EndCircumstanceRequest {
                request_id: id(),
                elder_id: elder(),
                circumstance_id: id(),
                ..EndCircumstanceRequest::default()
            },
            addressed!(EndCircumstanceRequest:
                "circumstance_id" => |m, r| m.circumstance_id = no_uuid(r),
                "last_day" => |m, r| m.last_day = no_date(r),
            ),
        ),
        maker(
            "/eldercare.registry.v1.RegistryService/SetContacts",
            SetContactsRequest {
                request_id: id(),
                elder_id: elder(),
                ..SetContactsRequest::default()
            },
            addressed!(SetContactsRequest: "contacts" => |m, r| m.contacts = no_contacts(r)),
        ),
        maker(
            "/eldercare.registry.v1.RegistryService/RecordConsent",
            RecordConsentRequest {
                request_id: id(),
                elder_id: elder(),
                state: 2,
                by: 1,
                at: Some(timestamp("2024-09-01T08:00:00+08:00")),
                ..RecordConsentRequest::default()
            },
            addressed!(RecordConsentRequest:
                "neither granted nor refused" => |m, r| m.state = *[0, 1].choose(r).expect("not empty"),
                "state" => |m, r| m.state = no_word(r),
                "by" => |m, r| m.by = no_word(r),
                "at" => |m, r| m.at = no_instant(r),
            ),
        ),
        maker(
            "/eldercare.registry.v1.RegistryService/RecordDeath",
            RecordDeathRequest {
                request_id: id(),
                elder_id: elder(),
                on: Some(date("2024-09-01")),
                ..Default::default()
            },
            addressed!(RecordDeathRequest:
                "no day" => |m, _| m.on = None,
                "on" => |m, r| m.on = no_date(r),
                "a day to come" => |m, _| m.on = Some(date("2024-10-02")),
            ),
        ),
        maker(
            "/eldercare.registry.v1.RegistryService/RecordMoveOut",
            RecordMoveOutRequest {
                request_id: id(),
                elder_id: elder(),
                ..Default::default()
            },
            addressed!(RecordMoveOutRequest: "on" => |m, r| m.on = no_date(r)),
        ),
        maker(
            "/eldercare.registry.v1.RegistryService/ReinstateElder",
            ReinstateElderRequest {
                request_id: id(),
                elder_id: elder(),
                reason: "CAME_BACK".to_owned(),
                ..Default::default()
            },
            addressed!(ReinstateElderRequest:
                "on" => |m, r| m.on = no_date(r),
                "reason" => |m, r| m.reason = no_code(r),
            ),
        ),
        maker(
            "/eldercare.registry.v1.RegistryService/EraseElder",
            EraseElderRequest {
                request_id: id(),
                elder_id: elder(),
                reason: "ASKED".to_owned(),
                ..Default::default()
            },
            addressed!(EraseElderRequest: "reason" => |m, r| m.reason = no_code(r)),
        ),
        two(
            "/eldercare.registry.v1.RegistryService/MergeElders",
            merge.clone(),
        ),
        two(
            "/eldercare.registry.v1.RegistryService/UnmergeElders",
            merge,
        ),
        two_reported(
            "/eldercare.registry.v1.RegistryService/ReportDuplicate",
            report.clone(),
        ),
        two_reported(
            "/eldercare.registry.v1.RegistryService/DismissDuplicate",
            report,
        ),
        maker(
            "/eldercare.registry.v1.RegistryService/ImportDivisions",
            ImportDivisionsRequest {
                request_id: id(),
                divisions: county::divisions()[..3].to_vec(),
            },
            breaks!(ImportDivisionsRequest:
                "request_id" => |m, r| m.request_id = no_uuid(r),
                "no divisions" => |m, _| m.divisions.clear(),
                "code" => |m, r| m.divisions[1].code = no_division(r),
                "name" => |m, r| m.divisions[2].name = no_name(r),
                "parent" => |m, r| m.divisions[2].parent = garbage(r, 100),
                "a code twice" => |m, _| m.divisions[2] = m.divisions[1].clone(),
                "another county's" => |m, _| { m.divisions[1].code = "350525100".to_owned(); m.divisions[1].parent = "350525".to_owned(); },
                "no county" => |m, _| { m.divisions.remove(0); },
            ),
        ),
    ]
}

/// Questions to the registry.
fn questions(known: &Known) -> Vec<Maker> {
    use registry::*;
    let elder = || known.elder.clone();
    let county = || county::COUNTY.to_owned();
    vec![
        maker(
            "/eldercare.registry.v1.RegistryService/GetElder",
            GetElderRequest {
                elder_id: elder(),
                ..Default::default()
            },
            breaks!(GetElderRequest:
                "elder_id" => |m, r| m.elder_id = no_uuid(r),
                "as_of" => |m, r| m.as_of = no_instant(r),
                "min_position" => |m, r| m.min_position = no_position(r),
                "view" => |m, r| m.view = no_word(r),
            ),
        ),
        maker(
            "/eldercare.registry.v1.RegistryService/BatchGetElders",
            BatchGetEldersRequest {
                elder_ids: vec![elder()],
                ..Default::default()
            },
            breaks!(BatchGetEldersRequest:
                "elder_ids" => |m, r| m.elder_ids = no_ids(r),
                "min_position" => |m, r| m.min_position = no_position(r),
                "view" => |m, r| m.view = no_word(r),
            ),
        ),
        maker(
            "/eldercare.registry.v1.RegistryService/ListElders",
            ListEldersRequest {
                division_code: county(),
                ..Default::default()
            },
            breaks!(ListEldersRequest:
                "no division" => |m, _| m.division_code.clear(),
                "division_code" => |m, r| m.division_code = no_division(r),
                "categories" => |m, r| m.categories = vec![no_word(r)],
                "assistance" => |m, r| m.assistance = vec![no_word(r)],
                "capabilities" => |m, r| m.capabilities = vec![no_word(r)],
                "statuses" => |m, r| m.statuses = vec![no_word(r)],
                "page_size" => |m, r| m.page_size = no_page(r),
                "page_token" => |m, r| m.page_token = no_token(r),
                "min_position" => |m, r| m.min_position = no_position(r),
                "view" => |m, r| m.view = no_word(r),
            ),
        ),
        maker(
            "/eldercare.registry.v1.RegistryService/SearchElders",
            SearchEldersRequest {
                name: "林正确".to_owned(),
                division_code: county(),
                ..Default::default()
            },
            breaks!(SearchEldersRequest:
                "nothing to search by" => |m, _| m.name.clear(),
                "two things to search by" => |m, _| m.id_number = "350524194910010243".to_owned(),
                "no division" => |m, _| m.division_code.clear(),
                "division_code" => |m, r| m.division_code = no_division(r),
                "id_number" => |m, r| { m.name.clear(); m.id_number = no_id_number(r); },
                "name" => |m, r| m.name = no_name(r),
                "page_size" => |m, r| m.page_size = no_page(r),
                "page_token" => |m, r| m.page_token = no_token(r),
                "min_position" => |m, r| m.min_position = no_position(r),
            ),
        ),
        maker(
            "/eldercare.registry.v1.RegistryService/GetElderHistory",
            GetElderHistoryRequest {
                elder_id: elder(),
                ..Default::default()
            },
            breaks!(GetElderHistoryRequest:
                "elder_id" => |m, r| m.elder_id = no_uuid(r),
                "page_size" => |m, r| m.page_size = no_page(r),
                "page_token" => |m, r| m.page_token = no_token(r),
            ),
        ),
        maker(
            "/eldercare.registry.v1.RegistryService/ListDuplicates",
            ListDuplicatesRequest {
                division_code: county(),
                ..Default::default()
            },
            breaks!(ListDuplicatesRequest:
                "division_code" => |m, r| m.division_code = no_division(r),
                "state" => |m, r| m.state = no_word(r),
                "page_size" => |m, r| m.page_size = no_page(r),
                "page_token" => |m, r| m.page_token = no_token(r),
                "min_position" => |m, r| m.min_position = no_position(r),
            ),
        ),
        maker(
            "/eldercare.registry.v1.RegistryService/ExportSummary",
            ExportSummaryRequest {
                division_code: county(),
                ..Default::default()
            },
            breaks!(ExportSummaryRequest:
                "division_code" => |m, r| m.division_code = no_division(r),
                "on" => |m, r| m.on = no_date(r),
                "a day to come" => |m, _| m.on = Some(date("2024-10-02")),
                "min_position" => |m, r| m.min_position = no_position(r),
            ),
        ),
        maker(
            "/eldercare.registry.v1.RegistryService/ExportElderForm",
            ExportElderFormRequest {
                elder_id: elder(),
                ..Default::default()
            },
            breaks!(ExportElderFormRequest:
                "elder_id" => |m, r| m.elder_id = no_uuid(r),
                "min_position" => |m, r| m.min_position = no_position(r),
            ),
        ),
        maker(
            "/eldercare.registry.v1.RegistryService/GetStatistics",
            GetStatisticsRequest {
                division_code: county(),
                ..Default::default()
            },
            breaks!(GetStatisticsRequest:
                "division_code" => |m, r| m.division_code = no_division(r),
                "min_position" => |m, r| m.min_position = no_position(r),
            ),
        ),
        maker(
            "/eldercare.registry.v1.RegistryService/ListDivisions",
            ListDivisionsRequest::default(),
            breaks!(ListDivisionsRequest:
                "division_code" => |m, r| m.division_code = no_division(r),
                "min_position" => |m, r| m.min_position = no_position(r),
            ),
        ),
    ]
}

/// Requests to tiering.
fn of_tiering(known: &Known) -> Vec<Maker> {
    use tiering::*;
    let elder = || known.elder.clone();
    let county = || county::COUNTY.to_owned();
    vec![
        maker(
            "/eldercare.tiering.v1.TieringService/GetTier",
            GetTierRequest {
                elder_id: elder(),
                ..Default::default()
            },
            breaks!(GetTierRequest:
                "elder_id" => |m, r| m.elder_id = no_uuid(r),
                "min_position" => |m, r| m.min_position = no_position(r),
            ),
        ),
        maker(
            "/eldercare.tiering.v1.TieringService/BatchGetTiers",
            BatchGetTiersRequest {
                elder_ids: vec![elder()],
                ..Default::default()
            },
            breaks!(BatchGetTiersRequest:
                "elder_ids" => |m, r| m.elder_ids = no_ids(r),
                "min_position" => |m, r| m.min_position = no_position(r),
            ),
        ),
        maker(
            "/eldercare.tiering.v1.TieringService/ListTiers",
            ListTiersRequest {
                division_code: county(),
                ..Default::default()
            },
            breaks!(ListTiersRequest:
                "division_code" => |m, r| m.division_code = no_division(r),
                "page_size" => |m, r| m.page_size = no_page(r),
                "page_token" => |m, r| m.page_token = no_token(r),
                "min_position" => |m, r| m.min_position = no_position(r),
            ),
        ),
        maker(
            "/eldercare.tiering.v1.TieringService/CountTiers",
            CountTiersRequest {
                division_code: county(),
                ..Default::default()
            },
            breaks!(CountTiersRequest:
                "division_code" => |m, r| m.division_code = no_division(r),
                "min_position" => |m, r| m.min_position = no_position(r),
            ),
        ),
        maker(
            "/eldercare.tiering.v1.TieringService/ExplainTier",
            ExplainTierRequest {
                elder_id: elder(),
                ..Default::default()
            },
            breaks!(ExplainTierRequest:
                "elder_id" => |m, r| m.elder_id = no_uuid(r),
                "on" => |m, r| m.on = no_date(r),
                "a day to come" => |m, _| m.on = Some(date("2024-10-02")),
                "min_position" => |m, r| m.min_position = no_position(r),
            ),
        ),
        maker(
            "/eldercare.tiering.v1.TieringService/PublishPolicy",
            PublishPolicyRequest {
                request_id: Uuid::new_v4().to_string(),
                division_code: county(),
                yaml: known.policy.to_owned(),
            },
            breaks!(PublishPolicyRequest:
                "request_id" => |m, r| m.request_id = no_uuid(r),
                "division_code" => |m, r| m.division_code = no_division(r),
                "a village" => |m, _| m.division_code = VILLAGE.to_owned(),
                "yaml" => |m, r| m.yaml = no_policy(r),
            ),
        ),
        maker(
            "/eldercare.tiering.v1.TieringService/SimulatePolicy",
            SimulatePolicyRequest {
                division_code: county(),
                yaml: known.policy.to_owned(),
                ..Default::default()
            },
            breaks!(SimulatePolicyRequest:
                "division_code" => |m, r| m.division_code = no_division(r),
                "yaml" => |m, r| m.yaml = no_policy(r),
                "min_position" => |m, r| m.min_position = no_position(r),
            ),
        ),
        maker(
            "/eldercare.tiering.v1.TieringService/GetPolicy",
            GetPolicyRequest {
                division_code: county(),
                ..Default::default()
            },
            breaks!(GetPolicyRequest:
                "division_code" => |m, r| m.division_code = no_division(r),
                "version" => |m, _| m.version = -1,
                "min_position" => |m, r| m.min_position = no_position(r),
            ),
        ),
        maker(
            "/eldercare.tiering.v1.TieringService/ListPolicies",
            ListPoliciesRequest::default(),
            breaks!(ListPoliciesRequest:
                "division_code" => |m, r| m.division_code = no_division(r),
                "page_size" => |m, r| m.page_size = no_page(r),
                "page_token" => |m, r| m.page_token = no_token(r),
                "min_position" => |m, r| m.min_position = no_position(r),
            ),
        ),
        maker(
            "/eldercare.tiering.v1.TieringService/WatchTiers",
            WatchTiersRequest {
                division_code: county(),
                ..Default::default()
            },
            breaks!(WatchTiersRequest:
                "division_code" => |m, r| m.division_code = no_division(r),
                "after_position" => |m, r| m.after_position = no_position(r),
                "a position of another log" => |m, _| m.after_position = "REGISTRY:1".to_owned(),
            ),
        ),
    ]
}

/// Makers for every method that reads one message.
pub fn makers(known: &Known) -> Vec<Maker> {
    let mut makers = commands(known);
    makers.extend(questions(known));
    makers.extend(of_tiering(known));
    makers
}
