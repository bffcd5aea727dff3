//! The commands of claims, each of which is carried out once however often it is sent.

use integration_tests::{
    Setup, System,
    claiming::{
        DEFINITION, PRICE, PROGRAMME, a_caregiver, a_contract, a_grant, a_person, a_programme,
        a_video, an_enrolment, an_order, are_answered_again, caregiver, enrol, enrolment_in_words,
        in_words, order, provider, standing_in_words, submit, submit_alone,
    },
    date, each_once, new_id, reason, wrong_fields,
};
use prost::Message;
use proto::eldercare::{
    claims::v1::{
        self as pb, AdjustSettlementRequest, AppealOrderRequest, ConfirmSettlementRequest,
        DecideAppealRequest, DecideHoldRequest, DefineProgrammeRequest, DraftSettlementRequest,
        EndContractRequest, EndEnrolmentRequest, Enrolment, OrderSubmitted, PersonEnrolled,
        RecordPaymentRequest, RetireCaregiverRequest, ServiceOrder, SubmitOrdersResponse,
    },
    registry::v1::RecordDeathRequest,
};
use tonic::Code;

use super::{Case, carried_out_once, crash, each_command_has_a_case, each_is_answered_as_before};

const PROVIDER: &str = "P01";

/// What the commands are about.
struct Ground {
    /// Of another provider.
    contract: String,
    /// On the list besides the one who serves.
    caregiver: String,
    /// Of somebody who needs no service.
    enrolment: Enrolment,
}

/// What lasts of an answer that tells where a settlement stands by now: its number, and the position.
fn settled(settlement: Option<pb::Settlement>, position: &str) -> Vec<u8> {
    let number = settlement.map(|settlement| settlement.number);
    format!("{number:?} at {position}").into_bytes()
}

fn decoded<M: Message + Default>(answer: &[u8]) -> M {
    M::decode(answer).unwrap()
}

/// One case for each command, in an order in which all of them can be carried out. Of the orders of the provider, 1 is
/// approved, 2 is abnormal, and 3 is on hold.
fn cases(ground: &Ground) -> Vec<Case> {
    let request_id = new_id;
    let (programme_code, provider_id) = (|| PROGRAMME.to_owned(), || PROVIDER.to_owned());
    let total_fen = 3 * PRICE;
    vec![
        case!(claims.define_programme(a_programme("HOMECARE")), |other| {
            other.definition.push_str("# another\n");
        }),
        case!(
            claims.contract_provider(a_contract("P03", PROGRAMME)),
            |other| other.contract.as_mut().unwrap().name = "另一机构".to_owned()
        ),
        case!(
            claims.end_contract(EndContractRequest {
                request_id: request_id(),
                provider_id: "P02".to_owned(),
                contract_id: ground.contract.clone(),
                last_day: Some(date("2024-12-31")),
            }),
            |other| other.last_day = Some(date("2024-11-30"))
        ),
        case!(
            claims.register_caregiver(a_caregiver(PROVIDER, "周护理")),
            |other| other.caregiver.as_mut().unwrap().name = "周另外".to_owned()
        ),
        case!(
            claims.retire_caregiver(RetireCaregiverRequest {
                request_id: request_id(),
                caregiver_id: ground.caregiver.clone(),
                last_day: Some(date("2024-10-31")),
            }),
            |other| other.last_day = Some(date("2024-10-30"))
        ),
        case!(
            claims.end_enrolment(EndEnrolmentRequest {
                request_id: request_id(),
                programme_code: programme_code(),
                elder_id: ground.enrolment.elder_id.clone(),
                enrolment_id: ground.enrolment.enrolment_id.clone(),
                last_day: Some(date("2024-10-31")),
            }),
            |other| other.last_day = Some(date("2024-10-30"))
        ),
        case!(claims.fund_deposit(a_grant(PRICE)), |other| {
            other.amount_fen += 1;
        }),
        case!(
            claims.appeal_order(AppealOrderRequest {
                request_id: request_id(),
                provider_id: provider_id(),
                order_id: "2".to_owned(),
                statement: "视频已补传".to_owned(),
                evidence: vec![a_video("the appeal")],
            }),
            |other| other.statement = "视频另行补传".to_owned()
        ),
        Case {
            lasting: |answer| decoded::<pb::DecideAppealResponse>(answer).position.into(),
            ..case!(
                review.decide_appeal(DecideAppealRequest {
                    request_id: request_id(),
                    provider_id: provider_id(),
                    order_id: "2".to_owned(),
                    decision: pb::AppealDecision::Accept.into(),
                }),
                |other| other.decision = pb::AppealDecision::Refuse.into()
            )
        },
        Case {
            lasting: |answer| decoded::<pb::DecideHoldResponse>(answer).position.into(),
            ..case!(
                review.decide_hold(DecideHoldRequest {
                    request_id: request_id(),
                    provider_id: provider_id(),
                    order_id: "3".to_owned(),
                    decision: pb::HoldDecision::Keep.into(),
                    etag: String::new(),
                }),
                |other| other.decision = pb::HoldDecision::Withdraw.into()
            )
        },
        Case {
            lasting: |answer| {
                let answer: pb::DraftSettlementResponse = decoded(answer);
                settled(answer.settlement, &answer.position)
            },
            ..case!(
                claims.draft_settlement(DraftSettlementRequest {
                    request_id: request_id(),
                    programme_code: programme_code(),
                    provider_id: provider_id(),
                    month_of: Some(date("2024-10-01")),
                }),
                |other| other.month_of = Some(date("2024-10-02"))
            )
        },
        Case {
            lasting: |answer| {
                let answer: pb::ConfirmSettlementResponse = decoded(answer);
                settled(answer.settlement, &answer.position)
            },
            ..case!(
                review.confirm_settlement(ConfirmSettlementRequest {
                    request_id: request_id(),
                    programme_code: programme_code(),
                    provider_id: provider_id(),
                    number: 1,
                    total_fen,
                }),
                |other| other.total_fen = 0
            )
        },
        Case {
            lasting: |answer| {
                let answer: pb::RecordPaymentResponse = decoded(answer);
                settled(answer.settlement, &answer.position)
            },
            ..case!(
                review.record_payment(RecordPaymentRequest {
                    request_id: request_id(),
                    programme_code: programme_code(),
                    provider_id: provider_id(),
                    number: 1,
                    amount_fen: total_fen,
                    paid_on: Some(date("2024-10-01")),
                    reference: "转账1".to_owned(),
                }),
                |other| other.reference = "转账2".to_owned()
            )
        },
        case!(
            review.adjust_settlement(AdjustSettlementRequest {
                request_id: request_id(),
                programme_code: programme_code(),
                provider_id: provider_id(),
                number: 1,
                amount_fen: -1,
                order_id: "1".to_owned(),
                reason: "多付一分".to_owned(),
            }),
            |other| other.amount_fen = -2
        ),
    ]
}

/// Repeated orders are answered with where they stand, and the same number with another order is refused.
async fn orders_are_answered_as_they_stand(
    system: &System,
    orders: &[ServiceOrder],
    first: &[SubmitOrdersResponse],
    stands: &[&str],
) {
    let before = system.written().await;
    let again = submit(system.claims(), orders, "").await.unwrap();
    let told: Vec<_> = again.iter().map(in_words).collect();
    assert_eq!(told, stands);
    for ((order, again), first) in orders.iter().zip(&again).zip(first) {
        assert!(again.repeated_order);
        assert_eq!(again.position, first.position);
        let alone = submit_alone(system.claims(), order).await.unwrap();
        assert!(alone.repeated_order);
        assert_eq!(
            (alone.standing, alone.position),
            (again.standing.clone(), again.position.clone())
        );
        let other = ServiceOrder {
            items: vec![],
            ..order.clone()
        };
        let refused = submit_alone(system.claims(), &other).await.unwrap_err();
        assert_eq!(
            (refused.code(), reason(&refused).as_str()),
            (Code::InvalidArgument, "ORDER_ID_REUSED")
        );
        assert_eq!(wrong_fields(&refused), ["order.order_id"]);
        let in_a_stream = submit(system.claims(), &[other], "").await.unwrap();
        assert_eq!(
            in_words(&in_a_stream[0]),
            "INVALID ORDER_ID_REUSED order.order_id"
        );
    }
    let now = system.written().await;
    assert_eq!(now, before, "a retry wrote something");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_of_claims_is_carried_out_once_however_often_it_is_sent() {
    let mut system = System::start_with(Setup::with_claims()).await;
    let with_premium = DefineProgrammeRequest {
        definition: DEFINITION.replace("premium_fen: 0", "premium_fen: 30000"),
        ..a_programme(PROGRAMME)
    };
    let defined = system.claims().define_programme(with_premium).await;
    defined.unwrap();
    let she = provider(&system, PROVIDER).await;
    let contract = a_contract("P02", PROGRAMME);
    let contract = system.claims().contract_provider(contract).await.unwrap();
    let mut elders = Vec::new();
    let mut known = String::new();
    for name in ["周甲", "周乙", "周丙"] {
        let (elder, position) = system.registered(a_person(name)).await;
        elders.push(elder);
        known = position;
    }
    let enrolments: Vec<_> = elders
        .iter()
        .map(|elder| an_enrolment(PROGRAMME, elder))
        .collect();
    let enrolled = enrol(system.claims(), &enrolments, &known).await.unwrap();
    for outcome in &enrolled {
        assert_eq!(enrolment_in_words(outcome), "ENROLLED");
        assert_eq!(outcome.premium_fen, 30_000);
    }
    let [well, dead] = [0, 1].map(|place: usize| elders[place].as_str());
    let mut orders = [
        an_order([PROVIDER, "1"], &she, well, "2024-09-20T08:00:00+08:00"),
        an_order([PROVIDER, "2"], &she, well, "2024-09-21T08:00:00+08:00"),
        an_order([PROVIDER, "3"], &she, dead, "2024-09-22T08:00:00+08:00"),
    ];
    orders[1].evidence.clear();
    let submitted = submit(system.claims(), &orders, "").await.unwrap();
    let death = RecordDeathRequest {
        request_id: new_id(),
        elder_id: dead.to_owned(),
        on: Some(date("2024-09-15")),
        ..RecordDeathRequest::default()
    };
    system.registry().record_death(death).await.unwrap();
    system.settled().await;
    let stands = [
        "APPROVED",
        "ABNORMAL_OPEN EVIDENCE_MISSING",
        "APPROVED ON_HOLD",
    ];
    orders_are_answered_as_they_stand(&system, &orders, &submitted, &stands).await;
    let ground = Ground {
        contract: contract.into_inner().contract_id,
        caregiver: caregiver(&system, PROVIDER).await,
        enrolment: enrolments[2].clone(),
    };
    let cases = cases(&ground);
    each_command_has_a_case(&["eldercare.claims.v1.ClaimsService"], &cases, &[]);

    // Each at once after it was carried out.
    let answers = carried_out_once(&system, &cases).await;
    let all_as_before = async |system: &System| {
        each_is_answered_as_before(system, &cases, &answers).await;
        let stands = ["APPROVED", "APPROVED EVIDENCE_MISSING", "APPROVED KEPT"];
        orders_are_answered_as_they_stand(system, &orders, &submitted, &stands).await;
        let before = system.written().await;
        let again = enrol(system.claims(), &enrolments, "").await.unwrap();
        assert_eq!(again, enrolled);
        let mut other = enrolments[0].clone();
        other.first_day = Some(date("2024-02-01"));
        let other = enrol(system.claims(), &[other], "").await.unwrap();
        let other = enrolment_in_words(&other[0]);
        assert!(other.starts_with("INVALID REQUEST_ID_REUSED"), "{other}");
        let now = system.written().await;
        assert_eq!(now, before, "a retry wrote something");
    };
    // After everything else has happened to the same orders and settlements.
    all_as_before(&system).await;
    // After a crash.
    crash(&mut system).await;
    all_as_before(&system).await;
    let submitted = system.events::<OrderSubmitted>("claims").await;
    let submitted = each_once(submitted.into_iter().map(|event| event.order_id));
    assert_eq!(submitted.len(), orders.len());
    let enrolled = system.events::<PersonEnrolled>("claims").await;
    let enrolled = each_once(enrolled.into_iter().map(|event| event.enrolment_id));
    assert_eq!(enrolled.len(), enrolments.len());
    system.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_and_commands_about_somebody_who_was_erased_since_are_answered_as_before() {
    let system = System::start_with(Setup::with_claims()).await;
    integration_tests::claiming::programme(&system, PROGRAMME).await;
    let she = provider(&system, PROVIDER).await;
    let (elder, known) = system.registered(a_person("周丁")).await;
    let enrolment = an_enrolment(PROGRAMME, &elder);
    let enrolled = enrol(system.claims(), std::slice::from_ref(&enrolment), &known).await;
    let enrolled = enrolled.unwrap();
    let mut handed_in = an_order([PROVIDER, "1"], &she, &elder, "2024-09-20T08:00:00+08:00");
    handed_in.evidence.clear();
    let orders = [handed_in];
    let submitted = submit(system.claims(), &orders, "").await.unwrap();
    let appeal = AppealOrderRequest {
        request_id: new_id(),
        provider_id: PROVIDER.to_owned(),
        order_id: "1".to_owned(),
        statement: "视频已补传".to_owned(),
        evidence: vec![],
    };
    let appealed = system.claims().appeal_order(appeal.clone()).await.unwrap();
    let decide = DecideAppealRequest {
        request_id: new_id(),
        provider_id: PROVIDER.to_owned(),
        order_id: "1".to_owned(),
        decision: pb::AppealDecision::Accept.into(),
    };
    let decided = system.review().decide_appeal(decide.clone()).await.unwrap();
    let told = submit(system.claims(), &orders, "").await.unwrap();
    are_answered_again(
        &told,
        &[SubmitOrdersResponse {
            standing: decided.get_ref().standing.clone(),
            ..submitted[0].clone()
        }],
    );
    system.erase(&elder).await;
    system.settled().await;
    let again = system.review().decide_appeal(decide).await.unwrap();
    assert_eq!(again.into_inner(), decided.into_inner());
    assert_eq!(submit(system.claims(), &orders, "").await.unwrap(), told);
    let again = enrol(system.claims(), &[enrolment], "").await.unwrap();
    assert_eq!(again, enrolled);
    // What was said is nobody's to read any more; that it was said stays.
    let kept = order(&system, [PROVIDER, "1"], "").await;
    assert_eq!(
        standing_in_words(&kept.standing.unwrap()),
        "APPROVED EVIDENCE_MISSING"
    );
    assert_eq!(kept.appeal.unwrap().statement, "");
    assert!(kept.order.unwrap().check_in.is_none());
    let again = system.claims().appeal_order(appeal).await.unwrap();
    assert_eq!(again.into_inner(), appealed.into_inner());
}
