//! Who works elsewhere learns nothing of an elder by the id: each method answers as for an id that nobody has heard of.

use crate::support::{
    Client, OTHER_VILLAGE, Running, VILLAGE, another, date, id_number, register, request_id,
    timestamp,
};
use proto::eldercare::{registry::v1 as pb, r#type::v1 as types};
use service::testing::{AskedFor, anybody_of, every_method_is_asked};

/// The town of `VILLAGE`.
const TOWN: &str = "350524100";

/// The methods that name divisions, pages and rows, and BatchGetElders, which passes by what it can't answer.
const OTHERS: [&str; 10] = [
    "RegisterElder",
    "BatchGetElders",
    "ListElders",
    "SearchElders",
    "ListDuplicates",
    "ImportSurvey",
    "ExportSummary",
    "GetStatistics",
    "ImportDivisions",
    "ListDivisions",
];

/// Asks by every method for an elder; `own` is one whom the caller knows, with the ID number of `another(3)`. What a method
/// tells of an etag, of a rule or of that number it would tell too early.
async fn asked_for(client: &mut Client, elder_id: &str, own: &str) -> AskedFor {
    let mut asked = AskedFor::new(elder_id);
    macro_rules! ask {
        ($($method:ident: $request:expr,)+) => {$(
            asked.heard(stringify!($method), client.$method($request).await);
        )+};
    }
    macro_rules! about {
        ($request:ident $(, $field:ident: $value:expr)* $(,)?) => {
            pb::$request {
                request_id: request_id(),
                elder_id: elder_id.to_owned(),
                $($field: $value,)*
                ..Default::default()
            }
        };
    }
    macro_rules! pair {
        ($request:ident, $one:ident, $other:ident) => {
            |one: &str, other: &str| pb::$request {
                request_id: request_id(),
                $one: one.to_owned(),
                $other: other.to_owned(),
                reason: "SAME_HOME".to_owned(),
            }
        };
    }
    let code = || "CLERICAL_ERROR".to_owned();
    let report = pair!(ReportDuplicateRequest, elder_id, other_elder_id);
    let dismiss = pair!(DismissDuplicateRequest, elder_id, other_elder_id);
    let merge = pair!(MergeEldersRequest, surviving_elder_id, merged_elder_id);
    let unmerge = pair!(UnmergeEldersRequest, surviving_elder_id, merged_elder_id);
    let get = |view: pb::ElderView| pb::GetElderRequest {
        elder_id: elder_id.to_owned(),
        view: view.into(),
        ..Default::default()
    };
    let profile = pb::ElderProfile {
        categories: vec![types::Category::LivingAlone.into()],
        ..Default::default()
    };
    let blow = types::Circumstance {
        kind: types::CircumstanceKind::Accident.into(),
        first_day: date("2024-10-20"),
        last_day: date("2024-11-10"),
        ..Default::default()
    };
    ask! {
        get_elder: get(pb::ElderView::Full),
        get_elder: get(pb::ElderView::Facts),
        get_elder: pb::GetElderRequest {
            as_of: timestamp("2024-11-01T09:00:00+08:00"),
            ..get(pb::ElderView::Full)
        },
        get_elder_history: pb::GetElderHistoryRequest {
            elder_id: elder_id.to_owned(),
            ..Default::default()
        },
        export_elder_form: pb::ExportElderFormRequest {
            elder_id: elder_id.to_owned(),
            ..Default::default()
        },
        update_elder: about!(
            UpdateElderRequest,
            profile: Some(profile),
            update_mask: Some(prost_types::FieldMask { paths: vec!["categories".to_owned()] }),
        ),
        correct_identity: about!(CorrectIdentityRequest, name: "林更正".to_owned(), reason: code()),
        correct_identity: about!(
            CorrectIdentityRequest,
            id_number: id_number("1944-07-01", 3),
            reason: code(),
        ),
        relocate_elder: about!(RelocateElderRequest, division_code: VILLAGE.to_owned()),
        relocate_elder: about!(RelocateElderRequest, division_code: OTHER_VILLAGE.to_owned()),
        record_assessment: about!(
            RecordAssessmentRequest,
            assessed_on: date("2024-09-01"),
            source: "ASSESSMENT_AGENCY".to_owned(),
            level: types::CapabilityLevel::Mild.into(),
        ),
        record_handicap: about!(RecordHandicapRequest, grade: 2),
        record_handicap: about!(RecordHandicapRequest, grade: 2, etag: service::etag(1)),
        record_handicap: about!(RecordHandicapRequest, grade: 2, on: date("1940-01-01")),
        record_observation: about!(
            RecordObservationRequest,
            observation: types::Observation::MobilityImpaired.into(),
        ),
        record_circumstance: about!(RecordCircumstanceRequest, circumstance: Some(blow)),
        end_circumstance: about!(EndCircumstanceRequest, circumstance_id: request_id()),
        set_contacts: about!(SetContactsRequest),
        record_consent: about!(
            RecordConsentRequest,
            state: types::ConsentState::Refused.into(),
        ),
        record_death: about!(RecordDeathRequest, on: date("2024-10-31")),
        record_move_out: about!(RecordMoveOutRequest),
        reinstate_elder: about!(ReinstateElderRequest, reason: code()),
        erase_elder: about!(EraseElderRequest, reason: code()),
        report_duplicate: report(elder_id, own),
        report_duplicate: report(own, elder_id),
        dismiss_duplicate: dismiss(elder_id, own),
        merge_elders: merge(own, elder_id),
        merge_elders: merge(elder_id, own),
        unmerge_elders: unmerge(own, elder_id),
    }
    asked
}

#[tokio::test]
async fn an_elder_of_elsewhere_is_as_unknown_as_one_who_never_was() {
    let running = Running::new().await;
    let mut everybody = running.client();
    let (own, _) = register(&mut everybody, another(3)).await;
    let of_elsewhere = |person| pb::RegisterElderRequest {
        division_code: OTHER_VILLAGE.to_owned(),
        ..another(person)
    };
    let (elsewhere, _) = register(&mut everybody, of_elsewhere(5)).await;
    let (erased, _) = register(&mut everybody, of_elsewhere(7)).await;
    let erasure = pb::EraseElderRequest {
        request_id: request_id(),
        elder_id: erased.clone(),
        reason: "REQUEST_OF_THE_PERSON".to_owned(),
        ..Default::default()
    };
    everybody.erase_elder(erasure.clone()).await.unwrap();
    let (merged, _) = register(&mut everybody, of_elsewhere(9)).await;
    let merging = pb::MergeEldersRequest {
        request_id: request_id(),
        surviving_elder_id: elsewhere.clone(),
        merged_elder_id: merged.clone(),
        reason: "ONE_PERSON".to_owned(),
    };
    everybody.merge_elders(merging.clone()).await.unwrap();
    let written = running.log.last_sequence().await.unwrap();

    let mut officer = running.clients.of(&anybody_of(TOWN));
    let unknown = asked_for(&mut officer, &request_id(), &own).await;
    for elder_id in [&elsewhere, &merged, &erased] {
        let told = asked_for(&mut officer, elder_id, &own).await;
        told.is_told_as(&unknown);
    }
    let service = "eldercare.registry.v1.RegistryService";
    every_method_is_asked(service, &[&unknown], &OTHERS);

    // In a batch they are missing alike.
    let elder_ids = vec![unknown.id(), elsewhere, merged, erased];
    let batch = pb::BatchGetEldersRequest {
        elder_ids: elder_ids.clone(),
        ..Default::default()
    };
    let batch = officer.batch_get_elders(batch).await.unwrap().into_inner();
    assert_eq!((batch.elders, batch.missing_elder_ids), (vec![], elder_ids));

    // Nor does it help to know which requests others have made.
    let nobody = pb::EraseElderRequest {
        elder_id: unknown.id(),
        ..erasure.clone()
    };
    let mut of_nobody = AskedFor::new(unknown.id());
    of_nobody.heard("erase_elder", officer.erase_elder(nobody).await);
    for request in [
        erasure.clone(),
        pb::EraseElderRequest {
            reason: "OTHER".to_owned(),
            ..erasure.clone()
        },
    ] {
        let mut repeated = AskedFor::new(request.elder_id.clone());
        repeated.heard("erase_elder", officer.erase_elder(request).await);
        repeated.is_told_as(&of_nobody);
    }
    let mut repeated = AskedFor::new(merging.merged_elder_id.clone());
    repeated.heard("merge_elders", officer.merge_elders(merging).await);
    repeated.is_told_as(&of_nobody);
    assert_eq!(running.log.last_sequence().await.unwrap(), written);
    // To those who work where the elder lived, the request is answered again.
    let mut there = running.clients.of(&anybody_of("350524101"));
    assert!(there.erase_elder(erasure).await.is_ok());
    assert_eq!(running.log.last_sequence().await.unwrap(), written);
}
