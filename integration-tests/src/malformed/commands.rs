//! Malformed commands to the registry: each would change a file, a pair of files, or the table of divisions.

use proto::eldercare::{registry::v1 as registry, r#type::v1 as types};
use rand::{Rng as _, seq::IndexedRandom as _};

use super::{Break, Known, Maker, maker, wrong_values::*};
use crate::{an_elder, county, date, days::timestamp, elders::VILLAGE, new_id};

/// The three fields that begin every command about one elder, and what follows them.
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

/// Two elders, and the reason.
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
pub(super) fn commands(known: &Known) -> Vec<Maker> {
    use registry::*;
    let elder = || known.elder.clone();
    let two = |path, valid: MergeEldersRequest| {
        maker(
            path,
            valid,
            pair!(MergeEldersRequest, surviving_elder_id, merged_elder_id),
        )
    };
    let merge = MergeEldersRequest {
        request_id: new_id(),
        surviving_elder_id: elder(),
        merged_elder_id: known.other.clone(),
        reason: "SAME_PERSON".to_owned(),
    };
    let report = ReportDuplicateRequest {
        request_id: new_id(),
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
                request_id: new_id(),
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
                request_id: new_id(),
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
                request_id: new_id(),
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
                request_id: new_id(),
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
                request_id: new_id(),
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
                request_id: new_id(),
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
                request_id: new_id(),
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
                request_id: new_id(),
                elder_id: elder(),
                circumstance_id: new_id(),
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
                request_id: new_id(),
                elder_id: elder(),
                ..SetContactsRequest::default()
            },
            addressed!(SetContactsRequest: "contacts" => |m, r| m.contacts = no_contacts(r)),
        ),
        maker(
            "/eldercare.registry.v1.RegistryService/RecordConsent",
            RecordConsentRequest {
                request_id: new_id(),
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
                request_id: new_id(),
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
                request_id: new_id(),
                elder_id: elder(),
                ..Default::default()
            },
            addressed!(RecordMoveOutRequest: "on" => |m, r| m.on = no_date(r)),
        ),
        maker(
            "/eldercare.registry.v1.RegistryService/ReinstateElder",
            ReinstateElderRequest {
                request_id: new_id(),
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
                request_id: new_id(),
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
                request_id: new_id(),
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
