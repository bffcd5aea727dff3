//! Every command changes what it says and nothing else, and a repeated one is answered as the first was, also by a registry that was started anew.

use crate::support::{
    self, Client, OTHER_VILLAGE, Running, another, contact, date, get, id_number, register,
    request_id, timestamp, wang_xiuying,
};
use proto::eldercare::{registry::v1 as pb, r#type::v1 as types};
use service::testing::reason;
use tonic::Code;

/// Calls a method twice (and again after a restart), and answers what it committed.
macro_rules! twice {
    ($requests:ident, $client:ident, $method:ident, $request:expr) => {{
        let request = $request;
        let first = $client.$method(request.clone()).await.unwrap().into_inner();
        let second = $client.$method(request.clone()).await.unwrap().into_inner();
        assert_eq!(first, second, stringify!($method));
        let committed = first.committed.clone().unwrap();
        assert!(committed.changed, stringify!($method));
        let answer = first.clone();
        $requests.push(Box::new(move |mut client: Client| {
            let (request, answer) = (request.clone(), answer.clone());
            Box::pin(async move {
                let repeated = client.$method(request.clone()).await.unwrap().into_inner();
                assert_eq!(
                    repeated, answer,
                    concat!(stringify!($method), " after a restart")
                );
                let mut other = request;
                other.another();
                let status = client.$method(other).await.unwrap_err();
                assert_eq!(status.code(), Code::InvalidArgument, stringify!($method));
                assert_eq!(reason(&status), "REQUEST_ID_REUSED", stringify!($method));
            })
        }));
        first
    }};
}

type Repeat = Box<dyn Fn(Client) -> std::pin::Pin<Box<dyn Future<Output = ()>>>>;

/// Makes a request into another one under the same id.
trait Another {
    fn another(&mut self);
}

macro_rules! another_by {
    ($($request:ident: $field:ident = $value:expr;)+) => {$(
        impl Another for pb::$request {
            fn another(&mut self) {
                self.$field = $value;
            }
        }
    )+};
}

another_by! {
    RegisterElderRequest: address = "别处".to_owned();
    UpdateElderRequest: on = date("2024-10-02");
    CorrectIdentityRequest: reason = "ANOTHER".to_owned();
    RelocateElderRequest: address = "别处".to_owned();
    RecordAssessmentRequest: source = "ANOTHER".to_owned();
    RecordHandicapRequest: grade = 4;
    RecordObservationRequest: observation = types::Observation::Bedridden.into();
    RecordCircumstanceRequest: circumstance = Some(types::Circumstance {
        kind: types::CircumstanceKind::Accident.into(),
        first_day: date("2024-10-24"),
        ..types::Circumstance::default()
    });
    EndCircumstanceRequest: last_day = date("2024-11-12");
    SetContactsRequest: contacts = Vec::new();
    RecordConsentRequest: by = types::ConsentGiver::Elder.into();
    RecordDeathRequest: on = date("2024-10-30");
    RecordMoveOutRequest: on = date("2024-10-30");
    ReinstateElderRequest: reason = "ANOTHER".to_owned();
}

#[tokio::test]
async fn every_command_is_carried_out_once() {
    let mut running = Running::new().await;
    let mut client = running.client();
    let mut repeats: Vec<Repeat> = Vec::new();
    let registered = twice!(repeats, client, register_elder, wang_xiuying());
    let elder_id = registered.elder_id.clone();

    twice!(
        repeats,
        client,
        update_elder,
        pb::UpdateElderRequest {
            request_id: request_id(),
            elder_id: elder_id.clone(),
            profile: Some(pb::ElderProfile {
                categories: vec![
                    types::Category::EmptyNest.into(),
                    types::Category::Disabled.into()
                ],
                remarks: "喜静".to_owned(),
                ..pb::ElderProfile::default()
            }),
            update_mask: Some(prost_types::FieldMask {
                paths: vec!["categories".to_owned(), "remarks".to_owned()]
            }),
            on: date("2024-10-15"),
            ..pb::UpdateElderRequest::default()
        }
    );
    twice!(
        repeats,
        client,
        correct_identity,
        pb::CorrectIdentityRequest {
            request_id: request_id(),
            elder_id: elder_id.clone(),
            name: "王秀瑛".to_owned(),
            id_number: id_number("1944-03-12", 2),
            reason: "TYPING_ERROR".to_owned(),
            ..pb::CorrectIdentityRequest::default()
        }
    );
    twice!(
        repeats,
        client,
        relocate_elder,
        pb::RelocateElderRequest {
            request_id: request_id(),
            elder_id: elder_id.clone(),
            on: date("2024-10-20"),
            division_code: OTHER_VILLAGE.to_owned(),
            address: "新美村下厝12号".to_owned(),
            ..pb::RelocateElderRequest::default()
        }
    );
    let mut item_scores = vec![3; 20];
    item_scores.extend([0; 6]);
    let assessed = twice!(
        repeats,
        client,
        record_assessment,
        pb::RecordAssessmentRequest {
            request_id: request_id(),
            elder_id: elder_id.clone(),
            assessed_on: date("2024-10-21"),
            source: "ASSESSMENT_AGENCY".to_owned(),
            item_scores,
            ..pb::RecordAssessmentRequest::default()
        }
    );
    assert_eq!(
        assessed.level,
        i32::from(types::CapabilityLevel::Moderate),
        "60 points"
    );
    twice!(
        repeats,
        client,
        record_handicap,
        pb::RecordHandicapRequest {
            request_id: request_id(),
            elder_id: elder_id.clone(),
            grade: 2,
            on: date("2024-10-22"),
            ..pb::RecordHandicapRequest::default()
        }
    );
    twice!(
        repeats,
        client,
        record_observation,
        pb::RecordObservationRequest {
            request_id: request_id(),
            elder_id: elder_id.clone(),
            observation: types::Observation::Dementia.into(),
            on: date("2024-10-23"),
            ..pb::RecordObservationRequest::default()
        }
    );
    let recorded = twice!(
        repeats,
        client,
        record_circumstance,
        pb::RecordCircumstanceRequest {
            request_id: request_id(),
            elder_id: elder_id.clone(),
            circumstance: Some(types::Circumstance {
                kind: types::CircumstanceKind::PoorHealth.into(),
                first_day: date("2024-10-24"),
                ..types::Circumstance::default()
            }),
            ..pb::RecordCircumstanceRequest::default()
        }
    );
    twice!(
        repeats,
        client,
        end_circumstance,
        pb::EndCircumstanceRequest {
            request_id: request_id(),
            elder_id: elder_id.clone(),
            circumstance_id: recorded.circumstance_id.clone(),
            last_day: date("2024-11-20"),
            ..pb::EndCircumstanceRequest::default()
        }
    );
    twice!(
        repeats,
        client,
        set_contacts,
        pb::SetContactsRequest {
            request_id: request_id(),
            elder_id: elder_id.clone(),
            contacts: vec![
                contact("李美兰", "女", "0595-71335677"),
                contact("王志明", "子", "")
            ],
            ..pb::SetContactsRequest::default()
        }
    );
    twice!(
        repeats,
        client,
        record_consent,
        pb::RecordConsentRequest {
            request_id: request_id(),
            elder_id: elder_id.clone(),
            state: types::ConsentState::Refused.into(),
            by: types::ConsentGiver::Supporter.into(),
            at: timestamp("2024-10-25T10:00:00+08:00"),
            ..pb::RecordConsentRequest::default()
        }
    );
    twice!(
        repeats,
        client,
        record_move_out,
        pb::RecordMoveOutRequest {
            request_id: request_id(),
            elder_id: elder_id.clone(),
            on: date("2024-10-26"),
            ..pb::RecordMoveOutRequest::default()
        }
    );
    twice!(
        repeats,
        client,
        reinstate_elder,
        pb::ReinstateElderRequest {
            request_id: request_id(),
            elder_id: elder_id.clone(),
            on: date("2024-10-27"),
            reason: "CAME_BACK".to_owned(),
            ..pb::ReinstateElderRequest::default()
        }
    );
    let died = twice!(
        repeats,
        client,
        record_death,
        pb::RecordDeathRequest {
            request_id: request_id(),
            elder_id: elder_id.clone(),
            on: date("2024-10-31"),
            ..pb::RecordDeathRequest::default()
        }
    );

    let elder = get(&mut client, &elder_id, &died.committed.unwrap().position).await;
    assert_eq!(
        (elder.name.as_str(), elder.id_number.clone()),
        ("王秀瑛", id_number("1944-03-12", 2))
    );
    assert_eq!((elder.age, elder.birth_date), (80, date("1944-03-12")));
    assert_eq!(
        elder.categories,
        [
            i32::from(types::Category::EmptyNest),
            types::Category::Disabled.into()
        ]
    );
    assert_eq!(
        (elder.assistance.len(), elder.remarks.as_str()),
        (1, "喜静")
    );
    assert_eq!(
        (elder.division_code.as_str(), elder.address.as_str()),
        (OTHER_VILLAGE, "新美村下厝12号")
    );
    assert_eq!(elder.position, None, "the new home's position is not known");
    assert_eq!(
        elder.capability.as_ref().unwrap().level(),
        types::CapabilityLevel::Moderate
    );
    assert_eq!((elder.handicap_grade, elder.observations.len()), (2, 2));
    assert_eq!(elder.circumstances.len(), 2);
    assert_eq!(elder.circumstances[1].last_day, date("2024-11-20"));
    let contacts: Vec<_> = elder
        .contacts
        .iter()
        .map(|one| (one.name.as_str(), one.call_order))
        .collect();
    assert_eq!(contacts, [("李美兰", 1), ("王志明", 2)]);
    assert_eq!(
        elder.consent.as_ref().unwrap().state(),
        types::ConsentState::Refused
    );
    assert_eq!(
        (elder.status(), elder.status_on),
        (types::ElderStatus::Deceased, date("2024-10-31"))
    );
    assert!(!elder.in_scope);

    let written = running.log.last_sequence().await.unwrap();
    running = running.restart().await;
    for repeat in &repeats {
        repeat(running.client()).await;
    }
    assert_eq!(
        running.log.last_sequence().await.unwrap(),
        written,
        "no repeated request wrote anything"
    );
    running.verify().await;
}

#[tokio::test]
async fn what_the_file_says_already_is_not_written_again() {
    let running = Running::new().await;
    let mut client = running.client();
    let request = wang_xiuying();
    let (elder_id, _) = register(&mut client, request.clone()).await;
    let contacts = pb::SetContactsRequest {
        request_id: request_id(),
        elder_id: elder_id.clone(),
        contacts: request.contacts.clone(),
        ..pb::SetContactsRequest::default()
    };
    let committed = client
        .set_contacts(contacts)
        .await
        .unwrap()
        .into_inner()
        .committed
        .unwrap();
    assert!(!committed.changed);
    // Where and how the elder lives is said as of a day: said again of a later one it is recorded, of the same day not.
    for says_something in [true, false] {
        let home = pb::RelocateElderRequest {
            request_id: request_id(),
            elder_id: elder_id.clone(),
            division_code: request.division_code.clone(),
            address: request.address.clone(),
            position: request.position,
            ..pb::RelocateElderRequest::default()
        };
        let committed = client.relocate_elder(home).await.unwrap().into_inner();
        assert_eq!(committed.committed.unwrap().changed, says_something);
        let profile = pb::UpdateElderRequest {
            request_id: request_id(),
            elder_id: elder_id.clone(),
            profile: Some(pb::ElderProfile {
                categories: request.categories.clone(),
                assistance: request.assistance.clone(),
                wanted_services: request.wanted_services.clone(),
                remarks: request.remarks.clone(),
            }),
            update_mask: Some(prost_types::FieldMask {
                paths: vec!["*".to_owned()],
            }),
            ..pb::UpdateElderRequest::default()
        };
        let committed = client.update_elder(profile).await.unwrap().into_inner();
        assert_eq!(committed.committed.unwrap().changed, says_something);
    }
    let identity = pb::CorrectIdentityRequest {
        request_id: request_id(),
        elder_id: elder_id.clone(),
        name: request.name.clone(),
        reason: "CHECK".to_owned(),
        ..pb::CorrectIdentityRequest::default()
    };
    let committed = client
        .correct_identity(identity)
        .await
        .unwrap()
        .into_inner()
        .committed
        .unwrap();
    assert!(!committed.changed);
    assert_eq!(running.log.last_sequence().await.unwrap(), 5);
}

#[tokio::test]
async fn an_old_etag_is_refused_and_a_current_one_is_taken() {
    let running = Running::new().await;
    let mut client = running.client();
    let (elder_id, position) = register(&mut client, wang_xiuying()).await;
    let etag = get(&mut client, &elder_id, &position).await.etag;
    let grade = |grade, etag: &str| pb::RecordHandicapRequest {
        request_id: request_id(),
        elder_id: elder_id.clone(),
        etag: etag.to_owned(),
        grade,
        ..pb::RecordHandicapRequest::default()
    };
    let committed = client
        .record_handicap(grade(1, &etag))
        .await
        .unwrap()
        .into_inner()
        .committed
        .unwrap();
    let status = client.record_handicap(grade(2, &etag)).await.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::Aborted, "ETAG_MISMATCH")
    );
    assert!(
        client
            .record_handicap(grade(2, &committed.etag))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn the_rules_refuse_with_their_reason() {
    let running = Running::new().await;
    let mut client = running.client();
    let (elder_id, _) = register(&mut client, wang_xiuying()).await;
    let nobody = pb::RecordHandicapRequest {
        request_id: request_id(),
        elder_id: request_id(),
        grade: 1,
        ..pb::RecordHandicapRequest::default()
    };
    let status = client.record_handicap(nobody).await.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::NotFound, "ELDER_NOT_FOUND")
    );
    let active = pb::ReinstateElderRequest {
        request_id: request_id(),
        elder_id: elder_id.clone(),
        reason: "MISTAKE".to_owned(),
        ..pb::ReinstateElderRequest::default()
    };
    let status = client.reinstate_elder(active).await.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::FailedPrecondition, "NOT_CLOSED")
    );
    let tomorrow = pb::RecordDeathRequest {
        request_id: request_id(),
        elder_id: elder_id.clone(),
        on: date("2024-11-02"),
        ..pb::RecordDeathRequest::default()
    };
    assert_eq!(
        client.record_death(tomorrow).await.unwrap_err().code(),
        Code::InvalidArgument
    );
    let taken = register(&mut client, another(9)).await.0;
    let correction = pb::CorrectIdentityRequest {
        request_id: request_id(),
        elder_id: taken,
        id_number: id_number("1950-03-12", 2),
        reason: "TYPING_ERROR".to_owned(),
        ..pb::CorrectIdentityRequest::default()
    };
    let status = client.correct_identity(correction).await.unwrap_err();
    assert_eq!(status.code(), Code::AlreadyExists);
    client
        .import_divisions(support::sample_divisions())
        .await
        .unwrap();
    let nowhere = pb::RelocateElderRequest {
        request_id: request_id(),
        elder_id,
        division_code: "350524100999".to_owned(),
        ..pb::RelocateElderRequest::default()
    };
    let status = client.relocate_elder(nowhere).await.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::FailedPrecondition, "DIVISION_UNKNOWN")
    );
}

#[tokio::test]
async fn a_corrected_number_frees_the_wrong_one() {
    let running = Running::new().await;
    let mut client = running.client();
    let (elder_id, _) = register(&mut client, wang_xiuying()).await;
    let correction = pb::CorrectIdentityRequest {
        request_id: request_id(),
        elder_id,
        id_number: id_number("1950-03-12", 4),
        reason: "TYPING_ERROR".to_owned(),
        ..pb::CorrectIdentityRequest::default()
    };
    client.correct_identity(correction).await.unwrap();
    assert!(
        client.register_elder(wang_xiuying()).await.is_ok(),
        "the rightful owner of the number"
    );
}
