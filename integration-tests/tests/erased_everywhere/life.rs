//! A person with a presence in every service, and a neighbour of whom nothing is to go.

use integration_tests::{
    System,
    agreements::{DEPARTMENT, agreed, credential, grant, terms},
    an_elder,
    callers::gateway,
    claiming::{
        self, PROGRAMME, a_person, an_enrolment, an_order, enrol, enrolment_in_words, programme,
        provider, submit,
    },
    county::COUNTY,
    homes::{a_call, a_signal, device, raised, recipient, say},
    new_id,
    secrets::Secrets,
    visiting::{a_visit, in_words, record, start_visiting, visitor},
};
use proto::eldercare::{
    alerts::v1::{GeoPoint, RecipientRole, Signal, SignalKind},
    claims::v1::AppealOrderRequest,
    registry::v1::{GetKeysRequest, RegisterElderRequest},
    r#type::v1::{Contact, GeoPosition},
    visits::v1::{AnswerReferralRequest, FindingKind, FoundProblem, ListReferralsRequest},
};
use service::Claims;

/// Who serves for pay, and whose orders these are.
pub(super) const PROVIDER: &str = "P01";

/// Where the home is, where the visitor checked in, and where the caregiver did; and where somebody else lives.
const HOME: [f64; 2] = [25.061_234_567_89, 118.187_654_321_09];
const AT_THE_DOOR: [f64; 2] = [25.061_244_567_81, 118.187_644_321_03];
const AT_THE_BED: [f64; 2] = [25.061_254_567_83, 118.187_634_321_07];
const NEXT_DOOR: [f64; 2] = [25.061_264_567_87, 118.187_624_321_01];

/// What somebody wrote about the person.
const FINDING: &str = "阁楼木梯朽坏";
const ANSWER: &str = "已报镇村镇建设站";
const VISIT: &str = "说儿媳下月从外地回来";
const STATEMENT: &str = "护理员当日已补传视频";
/// Why a supervisor opened the whole dossier.
pub(super) const REASON: &str = "老人在家中晕倒，须立即联系家属送医";

/// The person, and under which names each service knows something.
pub(super) struct Life {
    pub(super) person: RegisterElderRequest,
    pub(super) elder: String,
    pub(super) neighbour: String,
    pub(super) device: String,
    pub(super) device_beside: String,
    pub(super) alert: String,
    /// All that is personal, and the keys under which it is sealed.
    pub(super) secrets: Secrets,
}

/// Somebody of the department who answers for it.
pub(super) fn supervisor() -> Claims {
    Claims::officer("test-supervisor", DEPARTMENT)
        .division(COUNTY)
        .role("supervisor")
        .purpose("急救")
}

fn at([latitude, longitude]: [f64; 2]) -> GeoPosition {
    GeoPosition {
        latitude,
        longitude,
    }
}

fn person() -> RegisterElderRequest {
    RegisterElderRequest {
        address: "梧桐巷三十七号后院".to_owned(),
        position: Some(at(HOME)),
        remarks: "左耳听力弱，喜欢听南音".to_owned(),
        contacts: vec![Contact {
            name: "欧阳小满".to_owned(),
            relation: "女儿".to_owned(),
            phone: "13959951234".to_owned(),
            ..Contact::default()
        }],
        ..a_person("欧阳望舒")
    }
}

impl Life {
    /// Everything that happened.
    pub(super) async fn lived(system: &mut System) -> Self {
        agree(system).await;
        let person = person();
        let (elder, known) = system.registered(person.clone()).await;
        let neighbour = system.register(an_elder("邻居甲")).await;
        let (device, device_beside) = ("SB0001".to_owned(), "SB0002".to_owned());
        watched(system, [(&device, &elder), (&device_beside, &neighbour)]).await;
        let alert = raised(system, &a_call(&elder)).await;
        start_visiting(system, "2024-09-30").await;
        system.advance_to("2024-10-03T12:00:00+08:00").await;
        visited(system, [&elder, &neighbour], &known).await;
        served(system, &elder, &known).await;
        system.settled().await;
        let secrets = secrets(system, &person, &elder).await;
        Self {
            person,
            elder,
            neighbour,
            device,
            device_beside,
            alert,
            secrets,
        }
    }
}

/// The department is granted all that there is, and has what its feeds are read with.
async fn agree(system: &System) {
    let granted = vec![
        grant(
            "elder",
            &["elder_id", "name", "id_number", "address", "contacts"],
            &[],
        ),
        grant("tier", &["tier"], &[]),
        grant("visit", &["start_time", "result", "remarks"], &[]),
        grant("alert", &["kind"], &[]),
        grant("order", &["order_id", "state"], &[]),
        grant("enrolment", &["enrolment_id"], &[]),
    ];
    agreed(system, terms(granted)).await;
    credential(system).await;
}

/// There is a button for help in both homes, and both are pressed.
async fn watched(system: &System, homes: [(&String, &String); 2]) {
    recipient(system, RecipientRole::DutyCentre, "值守中心").await;
    let mut pressed = Vec::new();
    for ((button, elder), [latitude, longitude]) in homes.into_iter().zip([HOME, NEXT_DOOR]) {
        device(system, button, elder).await;
        pressed.push(Signal {
            kind: SignalKind::Press.into(),
            position: Some(GeoPoint {
                latitude,
                longitude,
            }),
            ..a_signal(button)
        });
    }
    let gateway = system.caller(&gateway());
    let receipt = say(gateway.alerts(), pressed).await.unwrap();
    assert!(receipt.refused.is_empty(), "{receipt:?}");
    system.settled().await;
}

/// Both are visited; of the person much is written down, and a department has answered.
async fn visited(system: &System, [elder, neighbour]: [&String; 2], known: &str) {
    let she = visitor(system, "王网格").await;
    let mut visit = a_visit(&she, elder, "2024-10-02T09:00:00+08:00");
    visit.remarks = VISIT.to_owned();
    visit.check_in = Some(at(AT_THE_DOOR));
    visit.findings = vec![FoundProblem {
        kind: FindingKind::HousingHazard.into(),
        note: FINDING.to_owned(),
    }];
    let beside = a_visit(&she, neighbour, "2024-10-02T13:00:00+08:00");
    let outcomes = record(system, &[visit, beside], known).await.unwrap();
    for outcome in &outcomes {
        assert_eq!(in_words(outcome), "COUNTED");
    }
    let found = ListReferralsRequest {
        division_code: COUNTY.to_owned(),
        min_position: outcomes[1].position.clone(),
        ..ListReferralsRequest::default()
    };
    let found = system.visits().list_referrals(found).await;
    let referral = found.unwrap().into_inner().referrals.remove(0);
    let answer = AnswerReferralRequest {
        request_id: new_id(),
        referral_id: referral.referral_id,
        answer: ANSWER.to_owned(),
        min_position: String::new(),
    };
    system.visits().answer_referral(answer).await.unwrap();
}

/// The person is enrolled, and was served twice; the second time the evidence is missing, and the provider appeals.
async fn served(system: &System, elder: &str, known: &str) {
    programme(system, PROGRAMME).await;
    let caregiver = provider(system, PROVIDER).await;
    let enrolment = an_enrolment(PROGRAMME, elder);
    let enrolled = enrol(system.claims(), &[enrolment], known).await.unwrap();
    assert_eq!(enrolment_in_words(&enrolled[0]), "ENROLLED");
    let order = |number: &str, start: &str| {
        let mut order = an_order([PROVIDER, number], &caregiver, elder, start);
        order.check_in = Some(at(AT_THE_BED));
        order
    };
    let paid = order("1", "2024-09-20T09:00:00+08:00");
    let mut unproven = order("2", "2024-09-21T09:00:00+08:00");
    unproven.evidence.clear();
    let outcomes = submit(system.claims(), &[paid, unproven], "").await;
    let outcomes = outcomes.unwrap();
    let told: Vec<_> = outcomes.iter().map(claiming::in_words).collect();
    assert_eq!(told, ["APPROVED", "ABNORMAL_OPEN EVIDENCE_MISSING"]);
    let appeal = AppealOrderRequest {
        request_id: new_id(),
        provider_id: PROVIDER.to_owned(),
        order_id: "2".to_owned(),
        statement: STATEMENT.to_owned(),
        evidence: vec![],
    };
    system.claims().appeal_order(appeal).await.unwrap();
}

/// What was personal, and the key of it, as the vault holds it and as services get it.
async fn secrets(system: &System, person: &RegisterElderRequest, elder: &str) -> Secrets {
    let vault = system.jetstream().await.get_stream("VAULT").await.unwrap();
    let subject = format!("eldercare.vault.key.{elder}");
    let wrapped = vault.get_last_raw_message_by_subject(&subject).await;
    let wrapped = wrapped.expect("the vault has a key of the person").payload;
    let asked = GetKeysRequest {
        elder_ids: vec![elder.to_owned()],
    };
    let keys = system.service().vault().get_keys(asked).await.unwrap();
    let key = keys.into_inner().keys.remove(0).key;
    let contact = &person.contacts[0];
    let words = [
        person.name.as_str(),
        &person.id_number,
        &person.address,
        &person.remarks,
        &contact.name,
        &contact.phone,
        FINDING,
        ANSWER,
        VISIT,
        STATEMENT,
        REASON,
    ];
    let degrees = [HOME, AT_THE_DOOR, AT_THE_BED].concat();
    let keys = [&wrapped[wrapped.len() - 32..], &key[..]];
    Secrets::of(&words, &degrees, &keys)
}
