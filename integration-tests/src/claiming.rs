//! Care and claims in few words: a programme, who serves for it, who is enrolled, what is handed in and what becomes of it,
//! settlements and the fund.

use chrono::TimeDelta;
use futures::stream;
use proto::eldercare::{
    claims::v1::{
        self as pb, Caregiver, ConfirmSettlementRequest, Contract, ContractProviderRequest,
        DefineProgrammeRequest, DraftSettlementRequest, EnrolPersonsRequest, EnrolPersonsResponse,
        Enrolment, Evidence, FundDepositRequest, GetEntitlementRequest, GetEntitlementResponse,
        GetFundRequest, GetFundResponse, GetOrderRequest, GetOrderResponse, OrderStanding,
        RecordPaymentRequest, RegisterCaregiverRequest, ServiceOrder, Settlement,
        SubmitOrderRequest, SubmitOrderResponse, SubmitOrdersRequest, SubmitOrdersResponse,
    },
    registry::v1::RegisterElderRequest,
    r#type::v1::GeoPosition,
};
use tonic::Status;

use crate::{System, an_elder, at, callers::Care, county::COUNTY, date, new_id};

/// The programme of these stories: long-term care insurance.
pub const PROGRAMME: &str = "LTCI";

/// What a service costs, in fen.
pub const PRICE: i64 = 20_000;

/// The services of a calendar year.
pub const A_YEAR: i64 = 12;

/// The insurance as counties have it, but for the premium: the stories say what comes into the fund.
pub const DEFINITION: &str = "\
name: 长期护理险
effective_from: 2024-01-01
premium_fen: 0
enrolment:
  - rule: HANDICAP_1_2
    when: handicap_grade in [1, 2]
    source: 安溪县长期护理险
entitlement:
  - rule: HANDICAP_1_2
    when: handicap_grade in [1, 2]
quota:
  services: 12
least_minutes: 120
price:
  fen_a_service: 20000
items:
  base: {VITAL_SIGNS: 生命体征监测, HEALTH_GUIDANCE: 健康指导}
  optional: {BATHING: 助浴, HAIRDRESSING: 理发}
  rule: ALL_BASE_AND_ONE_OPTIONAL
evidence: {VIDEO: 1}
submission_days: 30
appeal_days: 15
";

/// A programme of the county, to be defined.
pub fn a_programme(code: &str) -> DefineProgrammeRequest {
    DefineProgrammeRequest {
        request_id: new_id(),
        programme_code: code.to_owned(),
        division_code: COUNTY.to_owned(),
        definition: DEFINITION.to_owned(),
    }
}

/// Defines a programme.
pub async fn programme(system: &System, code: &str) {
    let defined = system.claims().define_programme(a_programme(code)).await;
    defined.unwrap();
}

/// A provider's contract for a programme, to be concluded.
pub fn a_contract(provider: &str, programme: &str) -> ContractProviderRequest {
    ContractProviderRequest {
        request_id: new_id(),
        contract: Some(Contract {
            provider_id: provider.to_owned(),
            programme_code: programme.to_owned(),
            name: format!("禾康护理{provider}"),
            first_day: Some(date("2024-01-01")),
            last_day: None,
        }),
    }
}

/// Somebody who serves for a provider, to be registered.
pub fn a_caregiver(provider: &str, name: &str) -> RegisterCaregiverRequest {
    RegisterCaregiverRequest {
        request_id: new_id(),
        caregiver: Some(Caregiver {
            provider_id: provider.to_owned(),
            name: name.to_owned(),
            first_day: Some(date("2024-01-01")),
            last_day: None,
        }),
    }
}

/// Registers somebody who serves for a provider: the id.
pub async fn caregiver(system: &System, provider: &str) -> String {
    let caregiver = a_caregiver(provider, "王护理");
    let registered = system.claims().register_caregiver(caregiver).await;
    registered.unwrap().into_inner().caregiver_id
}

/// Contracts a provider for a programme, for which one person serves: that person's id.
pub async fn provider_of(system: &System, provider: &str, programme: &str) -> String {
    let contract = a_contract(provider, programme);
    system.claims().contract_provider(contract).await.unwrap();
    caregiver(system, provider).await
}

/// The same for the programme of these stories.
pub async fn provider(system: &System, provider: &str) -> String {
    provider_of(system, provider, PROGRAMME).await
}

/// Somebody who may be enrolled and is entitled, and of whose home no position is known; to be registered.
pub fn a_person(name: &str) -> RegisterElderRequest {
    RegisterElderRequest {
        handicap_grade: 2,
        ..an_elder(name)
    }
}

/// An elder's enrolment for what there is of 2024.
pub fn an_enrolment(programme: &str, elder: &str) -> Enrolment {
    Enrolment {
        enrolment_id: new_id(),
        programme_code: programme.to_owned(),
        elder_id: elder.to_owned(),
        first_day: Some(date("2024-01-01")),
        last_day: None,
    }
}

/// Sends enrolments in one stream: an outcome for each.
///
/// # Errors
/// Why the stream ended before.
pub async fn enrol(
    mut claims: Care,
    enrolments: &[Enrolment],
    min_position: &str,
) -> Result<Vec<EnrolPersonsResponse>, Status> {
    let sent = enrolments.iter().map(|enrolment| EnrolPersonsRequest {
        enrolment: Some(enrolment.clone()),
        min_position: min_position.to_owned(),
    });
    let sent: Vec<_> = sent.collect();
    let mut answers = claims.enrol_persons(stream::iter(sent)).await?.into_inner();
    let mut outcomes = Vec::new();
    while let Some(outcome) = answers.message().await? {
        outcomes.push(outcome);
    }
    Ok(outcomes)
}

/// Registers somebody and enrols them: the id.
pub async fn enrolled_in(system: &System, programme: &str, name: &str) -> String {
    let (elder, known) = system.registered(a_person(name)).await;
    let enrolment = an_enrolment(programme, &elder);
    let outcomes = enrol(system.claims(), &[enrolment], &known).await.unwrap();
    assert_eq!(enrolment_in_words(&outcomes[0]), "ENROLLED");
    elder
}

/// The same in the programme of these stories.
pub async fn enrolled(system: &System, name: &str) -> String {
    enrolled_in(system, PROGRAMME, name).await
}

/// The outcome of an enrolment in words.
pub fn enrolment_in_words(outcome: &EnrolPersonsResponse) -> String {
    let name = outcome.outcome().as_str_name();
    let words = [
        plain(name, "ENROLMENT_OUTCOME_KIND_"),
        &outcome.reason,
        &outcome.field,
    ];
    joined(words)
}

/// The order of a service of two hours, beginning at an instant such as `2024-09-20T09:00:00+08:00`, in which nothing is wrong.
pub fn an_order(
    [provider, number]: [&str; 2],
    caregiver: &str,
    elder: &str,
    start: &str,
) -> ServiceOrder {
    let start = at(start);
    ServiceOrder {
        provider_id: provider.to_owned(),
        order_id: number.to_owned(),
        programme_code: PROGRAMME.to_owned(),
        programme_version: 0,
        elder_id: elder.to_owned(),
        caregiver_id: caregiver.to_owned(),
        check_in_at: Some(eldercare::wire::timestamp(start)),
        check_out_at: Some(eldercare::wire::timestamp(start + TimeDelta::hours(2))),
        check_in: Some(GeoPosition {
            latitude: 25.06,
            longitude: 118.18,
        }),
        items: ["VITAL_SIGNS", "HEALTH_GUIDANCE", "BATHING"]
            .map(str::to_owned)
            .to_vec(),
        evidence: vec![a_video(&format!("{provider} {number}"))],
    }
}

/// A video that shows nothing but what it is said to be of.
pub fn a_video(of: &str) -> Evidence {
    Evidence {
        kind: pb::EvidenceKind::Video.into(),
        hash: format!("video of {of}").into_bytes().into(),
    }
}

/// Hands in one order by itself.
///
/// # Errors
/// Why it is refused.
pub async fn submit_alone(
    mut claims: Care,
    order: &ServiceOrder,
) -> Result<SubmitOrderResponse, Status> {
    let request = SubmitOrderRequest {
        order: Some(order.clone()),
        min_position: String::new(),
    };
    Ok(claims.submit_order(request).await?.into_inner())
}

/// The messages of a stream that hands in orders.
pub fn messages(orders: &[ServiceOrder], min_position: &str) -> Vec<SubmitOrdersRequest> {
    let message = |order: &ServiceOrder| SubmitOrdersRequest {
        order: Some(order.clone()),
        min_position: min_position.to_owned(),
    };
    orders.iter().map(message).collect()
}

/// Hands in orders in one stream, none of which is judged before the position is taken into account: an outcome for each.
///
/// # Errors
/// Why the stream ended before.
pub async fn submit(
    mut claims: Care,
    orders: &[ServiceOrder],
    min_position: &str,
) -> Result<Vec<SubmitOrdersResponse>, Status> {
    let sent = stream::iter(messages(orders, min_position));
    let mut answers = claims.submit_orders(sent).await?.into_inner();
    let mut outcomes = Vec::new();
    while let Some(outcome) = answers.message().await? {
        outcomes.push(outcome);
    }
    Ok(outcomes)
}

/// Hands in orders that will all be approved: the position from which on they are.
pub async fn approved(system: &System, orders: &[ServiceOrder]) -> String {
    let outcomes = submit(system.claims(), orders, "").await.unwrap();
    for outcome in &outcomes {
        assert_eq!(in_words(outcome), "APPROVED", "{outcome:?}");
    }
    outcomes.last().unwrap().position.clone()
}

/// Orders that were handed in again are answered as the first time, and nothing is written for them.
pub fn are_answered_again(again: &[SubmitOrdersResponse], first: &[SubmitOrdersResponse]) {
    assert_eq!(again.len(), first.len(), "each order has an outcome");
    for (again, first) in again.iter().zip(first) {
        let repeated = SubmitOrdersResponse {
            repeated_order: true,
            ..first.clone()
        };
        assert_eq!(again, &repeated, "what was told before is told otherwise");
    }
}

/// The outcome of an order in words: where it stands, or why it is none.
pub fn in_words(outcome: &SubmitOrdersResponse) -> String {
    match &outcome.standing {
        Some(standing) => standing_in_words(standing),
        None => joined(["INVALID", &outcome.invalid_reason, &outcome.invalid_field]),
    }
}

/// Where an order stands in words: its state, its codes, why it is not settled, and whether a later fact stands against it.
pub fn standing_in_words(standing: &OrderStanding) -> String {
    let mut words = vec![plain(standing.state().as_str_name(), "ORDER_STATE_")];
    words.extend(codes_in_words(standing.codes()));
    if standing.not_settled_reason != 0 {
        let reason = standing.not_settled_reason().as_str_name();
        words.push(plain(reason, "NOT_SETTLED_REASON_"));
    }
    if standing.hold != 0 {
        words.push(plain(standing.hold().as_str_name(), "HOLD_STATE_"));
    }
    words.join(" ")
}

/// Codes in words.
pub fn codes_in_words(codes: impl Iterator<Item = pb::OrderCode>) -> Vec<&'static str> {
    codes
        .map(|code| plain(code.as_str_name(), "ORDER_CODE_"))
        .collect()
}

fn plain<'name>(name: &'name str, prefix: &str) -> &'name str {
    name.strip_prefix(prefix).unwrap_or(name)
}

fn joined<const N: usize>(words: [&str; N]) -> String {
    let words = words.into_iter().filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ")
}

/// An order with all that is known of it, once the position is taken into account.
pub async fn order(
    system: &System,
    [provider, number]: [&str; 2],
    min_position: &str,
) -> GetOrderResponse {
    let request = GetOrderRequest {
        provider_id: provider.to_owned(),
        order_id: number.to_owned(),
        min_position: min_position.to_owned(),
    };
    let order = system.claims().get_order(request).await;
    order.unwrap().into_inner()
}

/// What an elder may still have of 2024.
pub async fn entitlement(
    system: &System,
    elder: &str,
    min_position: &str,
) -> GetEntitlementResponse {
    let request = GetEntitlementRequest {
        programme_code: PROGRAMME.to_owned(),
        elder_id: elder.to_owned(),
        on: None,
        min_position: min_position.to_owned(),
    };
    let entitlement = system.claims().get_entitlement(request).await;
    entitlement.unwrap().into_inner()
}

/// What the fund of a programme holds.
pub async fn fund_of(system: &System, programme: &str, min_position: &str) -> GetFundResponse {
    let request = GetFundRequest {
        programme_code: programme.to_owned(),
        min_position: min_position.to_owned(),
    };
    system
        .claims()
        .get_fund(request)
        .await
        .unwrap()
        .into_inner()
}

/// The same of the programme of these stories: what came in, what is reserved, what is paid, what is there.
pub async fn fund(system: &System, min_position: &str) -> [i64; 4] {
    let fund = fund_of(system, PROGRAMME, min_position).await;
    [
        fund.in_fen,
        fund.reserved_fen,
        fund.paid_fen,
        fund.balance_fen,
    ]
}

/// A grant that comes into the fund, to be recorded.
pub fn a_grant(amount_fen: i64) -> FundDepositRequest {
    FundDepositRequest {
        request_id: new_id(),
        programme_code: PROGRAMME.to_owned(),
        amount_fen,
        kind: pb::DepositKind::Grant.into(),
        reference: "财社〔2024〕7号".to_owned(),
    }
}

/// Records that money came into the fund.
pub async fn grant(system: &System, amount_fen: i64) {
    let grant = a_grant(amount_fen);
    system.claims().fund_deposit(grant).await.unwrap();
}

/// What was approved in October 2024 of a provider, to be put together.
pub fn a_draft(provider: &str) -> DraftSettlementRequest {
    DraftSettlementRequest {
        request_id: new_id(),
        programme_code: PROGRAMME.to_owned(),
        provider_id: provider.to_owned(),
        month_of: Some(date("2024-10-01")),
    }
}

/// Drafts a provider's settlement.
pub async fn drafted(system: &System, provider: &str) -> Settlement {
    let drafted = system.claims().draft_settlement(a_draft(provider)).await;
    drafted.unwrap().into_inner().settlement.unwrap()
}

/// That a settlement is fixed as it was read, to be said.
pub fn a_confirmation(settlement: &Settlement) -> ConfirmSettlementRequest {
    ConfirmSettlementRequest {
        request_id: new_id(),
        programme_code: settlement.programme_code.clone(),
        provider_id: settlement.provider_id.clone(),
        number: settlement.number,
        total_fen: settlement.total_fen,
    }
}

/// That a settlement was paid, to be recorded.
pub fn a_payment(settlement: &Settlement) -> RecordPaymentRequest {
    RecordPaymentRequest {
        request_id: new_id(),
        programme_code: settlement.programme_code.clone(),
        provider_id: settlement.provider_id.clone(),
        number: settlement.number,
        amount_fen: settlement.total_fen,
        paid_on: Some(date("2024-10-01")),
        reference: format!("转账{}", settlement.number),
    }
}

/// Drafts a provider's settlement, and fixes it.
pub async fn confirmed(system: &System, provider: &str) -> Settlement {
    let confirmation = a_confirmation(&drafted(system, provider).await);
    let confirmed = system.claims().confirm_settlement(confirmation).await;
    confirmed.unwrap().into_inner().settlement.unwrap()
}

/// The same, and has it paid.
pub async fn paid(system: &System, provider: &str) -> Settlement {
    let payment = a_payment(&confirmed(system, provider).await);
    let paid = system.claims().record_payment(payment).await;
    paid.unwrap().into_inner().settlement.unwrap()
}
