//! A request that is sent again gets its first answer and changes nothing, however late; the same id with another request is refused.

use std::{collections::BTreeSet, future::Future, pin::Pin};

use integration_tests::{
    System, an_elder, contracts, county, date, each_once, id_number, new_id, reason, timestamp,
    wrong_fields,
};
use proto::eldercare::{
    registry::v1 as registry,
    tiering::v1::PublishPolicyRequest,
    r#type::v1::{
        Assistance, CapabilityLevel, Category, Circumstance, CircumstanceKind, ConsentGiver,
        ConsentState, Contact, Observation,
    },
};
use tonic::{Code, Status};

type Answer<'a> = Pin<Box<dyn Future<Output = Result<Vec<u8>, Status>> + 'a>>;

type Call = Box<dyn for<'a> Fn(&'a System) -> Answer<'a>>;

/// A command with the same request id for another request.
struct Case {
    method: &'static str,
    send: Call,
    /// None where no other request could be about the same thing.
    send_other: Option<Call>,
    /// What of the answer is told again however late: all of it, unless it says where things stand by now.
    lasting: fn(&[u8]) -> Vec<u8>,
}

/// The call of a method with a request; `$other` is the same request made into another one.
macro_rules! case {
    ($client:ident . $method:ident ($request:expr)) => {
        Case {
            method: stringify!($method),
            send: case!(@send $client.$method($request)),
            send_other: None,
            lasting: <[u8]>::to_vec,
        }
    };
    ($client:ident . $method:ident ($request:expr), |$other:ident| $change:expr) => {{
        let request = $request;
        let mut $other = request.clone();
        $change;
        let other = $other;
        assert_eq!(request.request_id, other.request_id);
        assert_ne!(request, other, "it must be another request");
        Case {
            method: stringify!($method),
            send: case!(@send $client.$method(request)),
            send_other: Some(case!(@send $client.$method(other))),
            lasting: <[u8]>::to_vec,
        }
    }};
    (@send $client:ident . $method:ident ($request:expr)) => {{
        let request = $request;
        Box::new(move |system: &System| -> crate::retries::Answer<'_> {
            let request = request.clone();
            Box::pin(async move {
                let answer = system.$client().$method(request).await?;
                Ok(prost::Message::encode_to_vec(&answer.into_inner()))
            })
        })
    }};
}

mod alerts;
mod claims;
mod visits;

const REASON: &str = "SAME_PERSON";

/// One case for each command, in an order in which all of them can be carried out. The elders are registered already,
/// `closed` has moved out, `circumstance` is one of `elder`'s.
fn cases(elder: &str, others: [&str; 4], circumstance: &str) -> Vec<Case> {
    let [one, twin, closed, doomed] = others;
    let (request_id, elder_id, etag) = (new_id, || elder.to_owned(), String::new);
    vec![
        case!(
            registry.import_divisions(registry::ImportDivisionsRequest {
                request_id: request_id(),
                divisions: {
                    let mut divisions = county::divisions();
                    divisions[1].name = "凤城".to_owned();
                    divisions
                },
            }),
            |other| other.divisions.truncate(20)
        ),
        case!(registry.register_elder(an_elder("周重复")), |other| {
            other.name = "周另外".to_owned()
        }),
        case!(
            registry.update_elder(registry::UpdateElderRequest {
                request_id: request_id(),
                elder_id: elder_id(),
                etag: etag(),
                profile: Some(registry::ElderProfile {
                    categories: vec![Category::EmptyNest.into()],
                    assistance: vec![Assistance::MinimumLiving.into()],
                    ..Default::default()
                }),
                update_mask: Some(prost_types::FieldMask {
                    paths: vec!["categories".to_owned(), "assistance".to_owned()]
                }),
                on: None,
            }),
            |other| other.on = Some(date("2024-09-30"))
        ),
        case!(
            registry.correct_identity(registry::CorrectIdentityRequest {
                request_id: request_id(),
                elder_id: elder_id(),
                etag: etag(),
                name: "周更正".to_owned(),
                id_number: id_number(integration_tests::day("1940-05-05"), 7),
                reason: "TYPING_ERROR".to_owned(),
            }),
            |other| other.id_number = String::new()
        ),
        case!(
            registry.relocate_elder(registry::RelocateElderRequest {
                request_id: request_id(),
                elder_id: elder_id(),
                etag: etag(),
                on: Some(date("2024-09-30")),
                division_code: county::villages("350524101")[0].code.clone(),
                address: "新屋1号".to_owned(),
                position: None,
            }),
            |other| other.address = "新屋2号".to_owned()
        ),
        case!(
            registry.record_assessment(registry::RecordAssessmentRequest {
                request_id: request_id(),
                elder_id: elder_id(),
                etag: etag(),
                assessed_on: Some(date("2024-09-30")),
                source: "ASSESSMENT_AGENCY".to_owned(),
                item_scores: vec![3; 26],
                ..Default::default()
            }),
            |other| {
                other.item_scores.clear();
                other.level = CapabilityLevel::Mild.into();
            }
        ),
        case!(
            registry.record_handicap(registry::RecordHandicapRequest {
                request_id: request_id(),
                elder_id: elder_id(),
                etag: etag(),
                grade: 2,
                on: None,
            }),
            |other| other.grade = 1
        ),
        case!(
            registry.record_observation(registry::RecordObservationRequest {
                request_id: request_id(),
                elder_id: elder_id(),
                etag: etag(),
                observation: Observation::Dementia.into(),
                on: None,
                ended: false,
            }),
            |other| other.ended = true
        ),
        case!(
            registry.record_circumstance(registry::RecordCircumstanceRequest {
                request_id: request_id(),
                elder_id: elder_id(),
                etag: etag(),
                circumstance: Some(Circumstance {
                    kind: CircumstanceKind::Accident.into(),
                    first_day: Some(date("2024-09-01")),
                    ..Default::default()
                }),
            }),
            |other| other.circumstance.as_mut().unwrap().first_day = Some(date("2024-09-02"))
        ),
        case!(
            registry.end_circumstance(registry::EndCircumstanceRequest {
                request_id: request_id(),
                elder_id: elder_id(),
                etag: etag(),
                circumstance_id: circumstance.to_owned(),
                last_day: None,
            }),
            |other| other.last_day = Some(date("2024-10-05"))
        ),
        case!(
            registry.set_contacts(registry::SetContactsRequest {
                request_id: request_id(),
                elder_id: elder_id(),
                etag: etag(),
                contacts: vec![Contact {
                    name: "周小明".to_owned(),
                    relation: "子".to_owned(),
                    phone: "13900001111".to_owned(),
                    ..Default::default()
                }],
            }),
            |other| other.contacts[0].phone = "13900002222".to_owned()
        ),
        case!(
            registry.record_consent(registry::RecordConsentRequest {
                request_id: request_id(),
                elder_id: elder_id(),
                etag: etag(),
                state: ConsentState::Refused.into(),
                by: ConsentGiver::Elder.into(),
                at: Some(timestamp("2024-09-30T08:00:00+08:00")),
            }),
            |other| other.by = ConsentGiver::Supporter.into()
        ),
        case!(
            registry.reinstate_elder(registry::ReinstateElderRequest {
                request_id: request_id(),
                elder_id: closed.to_owned(),
                etag: etag(),
                on: None,
                reason: "CAME_BACK".to_owned(),
            }),
            |other| other.reason = "RECORDED_IN_ERROR".to_owned()
        ),
        case!(
            registry.record_move_out(registry::RecordMoveOutRequest {
                request_id: request_id(),
                elder_id: closed.to_owned(),
                etag: etag(),
                on: Some(date("2024-10-02")),
            }),
            |other| other.on = Some(date("2024-10-03"))
        ),
        case!(
            registry.report_duplicate(registry::ReportDuplicateRequest {
                request_id: request_id(),
                elder_id: one.to_owned(),
                other_elder_id: twin.to_owned(),
                reason: REASON.to_owned(),
            }),
            |other| other.reason = "SAME_PHONE".to_owned()
        ),
        case!(
            registry.dismiss_duplicate(registry::DismissDuplicateRequest {
                request_id: request_id(),
                elder_id: one.to_owned(),
                other_elder_id: twin.to_owned(),
                reason: "TWO_PERSONS".to_owned(),
            }),
            |other| other.reason = REASON.to_owned()
        ),
        case!(
            registry.merge_elders(registry::MergeEldersRequest {
                request_id: request_id(),
                surviving_elder_id: one.to_owned(),
                merged_elder_id: twin.to_owned(),
                reason: REASON.to_owned(),
            }),
            |other| other.reason = "SAME_PHONE".to_owned()
        ),
        case!(
            registry.unmerge_elders(registry::UnmergeEldersRequest {
                request_id: request_id(),
                surviving_elder_id: one.to_owned(),
                merged_elder_id: twin.to_owned(),
                reason: "TWO_PERSONS".to_owned(),
            }),
            |other| other.reason = REASON.to_owned()
        ),
        case!(
            registry.record_death(registry::RecordDeathRequest {
                request_id: request_id(),
                elder_id: doomed.to_owned(),
                etag: etag(),
                on: Some(date("2024-09-30")),
            }),
            |other| other.on = Some(date("2024-09-29"))
        ),
        case!(
            registry.erase_elder(registry::EraseElderRequest {
                request_id: request_id(),
                elder_id: doomed.to_owned(),
                etag: etag(),
                reason: "ASKED_BY_FAMILY".to_owned(),
            }),
            |other| other.reason = "RETENTION_ENDED".to_owned()
        ),
        case!(
            tiering.publish_policy(PublishPolicyRequest {
                request_id: request_id(),
                division_code: county::COUNTY.to_owned(),
                yaml: include_str!("../../libs/tier-policy/policies/default.yaml").to_owned(),
            }),
            |other| other.yaml.push_str("\n# another\n")
        ),
    ]
}

/// Each command of these services has a case of its own, but for one that is tried apart.
fn each_command_has_a_case(services: &[&str], cases: &[Case], apart: &[&str]) {
    let methods = services
        .iter()
        .flat_map(|service| contracts::methods(service));
    let commands: BTreeSet<String> = methods
        .filter(|method| method.is_command)
        .map(|method| method.function())
        .collect();
    let tried = cases
        .iter()
        .map(|case| case.method)
        .chain(apart.iter().copied());
    assert_eq!(each_once(tried.map(str::to_owned)), commands);
}

/// Carries each command out and sends it again at once: its answers.
async fn carried_out_once(system: &System, cases: &[Case]) -> Vec<Vec<u8>> {
    let mut answers = Vec::with_capacity(cases.len());
    for Case { method, send, .. } in cases {
        let before = system.written().await;
        let answer = send(system)
            .await
            .unwrap_or_else(|status| panic!("{method}: {status}"));
        let after = system.written().await;
        assert_ne!(before, after, "{method} wrote nothing");
        assert_eq!(send(system).await.unwrap(), answer, "{method}");
        let now = system.written().await;
        assert_eq!(now, after, "{method} was carried out twice");
        answers.push(answer);
    }
    answers
}

async fn each_is_answered_as_before(system: &System, cases: &[Case], answers: &[Vec<u8>]) {
    assert_eq!(cases.len(), answers.len());
    let before = system.written().await;
    for (case, answer) in cases.iter().zip(answers) {
        let again = (case.send)(system)
            .await
            .unwrap_or_else(|status| panic!("{}: {status}", case.method));
        let (again, answer) = ((case.lasting)(&again), (case.lasting)(answer));
        assert_eq!(again, answer, "{} answered otherwise", case.method);
        let Some(send_other) = &case.send_other else {
            continue;
        };
        let refused = send_other(system).await.expect_err(case.method);
        assert_eq!(
            refused.code(),
            Code::InvalidArgument,
            "{}: {refused}",
            case.method
        );
        assert_eq!(
            reason(&refused),
            "REQUEST_ID_REUSED",
            "{}: {refused}",
            case.method
        );
        assert_eq!(wrong_fields(&refused), ["request_id"], "{}", case.method);
    }
    let now = system.written().await;
    assert_eq!(now, before, "a retry wrote something");
}

/// The services and the log's server crash, and come back with databases that know nothing.
async fn crash(system: &mut System) {
    system.kill().await;
    system.nats().kill().await;
    system.nats().restart().await.unwrap();
    system.lose_databases().await;
    system.restart().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_is_carried_out_once_however_often_it_is_sent() {
    let mut system = System::start().await;
    let elder = system.register(an_elder("周重来")).await;
    let names = ["周甲", "周乙", "周丙", "周丁"];
    let mut others = Vec::new();
    for name in names {
        others.push(system.register(an_elder(name)).await);
    }
    let circumstance = registry::RecordCircumstanceRequest {
        request_id: new_id(),
        elder_id: elder.clone(),
        circumstance: Some(Circumstance {
            kind: CircumstanceKind::PoorHealth.into(),
            first_day: Some(date("2024-09-01")),
            ..Default::default()
        }),
        ..Default::default()
    };
    let circumstance = system
        .registry()
        .record_circumstance(circumstance)
        .await
        .unwrap()
        .into_inner();
    let move_out = registry::RecordMoveOutRequest {
        request_id: new_id(),
        elder_id: others[2].clone(),
        on: Some(date("2024-09-01")),
        ..Default::default()
    };
    system.registry().record_move_out(move_out).await.unwrap();
    let others = [0, 1, 2, 3].map(|place: usize| others[place].as_str());
    let cases = cases(&elder, others, &circumstance.circumstance_id);
    let services = [
        "eldercare.registry.v1.RegistryService",
        "eldercare.tiering.v1.TieringService",
    ];
    each_command_has_a_case(&services, &cases, &[]);

    // Each at once after it was carried out.
    let answers = carried_out_once(&system, &cases).await;
    // After everything else has happened to the same elders.
    each_is_answered_as_before(&system, &cases, &answers).await;
    // After a crash.
    crash(&mut system).await;
    each_is_answered_as_before(&system, &cases, &answers).await;
    system.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_command_leaves_no_trace_and_is_decided_afresh() {
    let system = System::start().await;
    let elder = an_elder("钱将来");
    let unknown_village = registry::RegisterElderRequest {
        division_code: "350524100999".to_owned(),
        ..elder.clone()
    };
    let before = system.last_sequence("registry").await;
    let refused = system
        .registry()
        .register_elder(unknown_village)
        .await
        .unwrap_err();
    assert_eq!(
        (refused.code(), reason(&refused).as_str()),
        (Code::FailedPrecondition, "DIVISION_UNKNOWN")
    );
    assert_eq!(system.last_sequence("registry").await, before);
    // The same id with the village put right.
    let registered = system
        .registry()
        .register_elder(elder)
        .await
        .unwrap()
        .into_inner();
    let stale = registry::RecordHandicapRequest {
        request_id: new_id(),
        elder_id: registered.elder_id,
        etag: registered.committed.unwrap().etag,
        grade: 2,
        ..Default::default()
    };
    let handicap = |grade| registry::RecordHandicapRequest {
        request_id: new_id(),
        grade,
        ..stale.clone()
    };
    system
        .registry()
        .record_handicap(handicap(3))
        .await
        .unwrap();
    let refused = system
        .registry()
        .record_handicap(handicap(2))
        .await
        .unwrap_err();
    assert_eq!(
        (refused.code(), reason(&refused).as_str()),
        (Code::Aborted, "ETAG_MISMATCH")
    );
}
