//! All that services answer who are asked about the person.

use integration_tests::{
    System,
    agreements::{doctor, feed},
    claiming::PROGRAMME,
    county::COUNTY,
    date, new_id,
    workbook::unpacked,
};
use prost::Message;
use proto::eldercare::{
    alerts::v1::{GetAlertRequest, ListAlertsRequest, ListDevicesRequest},
    claims::v1::{
        GetEntitlementRequest, GetOrderRequest, ListAppealsRequest, ListEnrolmentsRequest,
        ListOrdersRequest, OrderFilter,
    },
    registry::v1::{
        ExportElderFormRequest, GetElderHistoryRequest, GetElderRequest, GetKeysRequest,
        SearchEldersRequest,
    },
    sharing::v1::{
        BreakGlassRequest, ExportAuditRequest, FindEldersRequest, GetAccessHistoryRequest,
        GetDossierRequest, get_access_history_request::Whose as Looks,
    },
    tiering::v1::{ExplainTierRequest, GetTierRequest},
    visits::v1::{
        ExportRecordsRequest, GetElderVisitsRequest, ListReferralsRequest,
        export_records_request::Whose as Records,
    },
};
use tonic::{Response, Status, Streaming};

use super::life::{Life, PROVIDER, REASON, supervisor};

/// What tells something personal while the person is known.
pub(super) const PERSONAL: [&str; 16] = [
    "GetElder",
    "SearchElders",
    "ExportElderForm",
    "GetKeys",
    "GetElderVisits",
    "ExportRecords of the elder",
    "ExportRecords of the county",
    "ListReferrals",
    "GetOrder",
    "ListAppeals",
    "GetDossier",
    "GetDossier of the department",
    "BreakGlass",
    "FindElders",
    "QueryFeed",
    "GetAccessHistory",
];

/// What answers that there is no such elder, once there is none.
pub(super) const REFUSED: [&str; 8] = [
    "GetElder",
    "ExportElderForm",
    "GetTier",
    "GetElderVisits",
    "ExportRecords of the elder",
    "GetDossier",
    "GetDossier of the department",
    "BreakGlass",
];

/// A method, and its answer as it goes over the wire.
type Answer = (&'static str, Result<Vec<u8>, Status>);

/// The answers of all services.
pub(super) async fn answers(system: &System, life: &Life) -> Vec<Answer> {
    let mut answers = of_registry(system, life).await;
    answers.extend(of_tiering(system, life).await);
    answers.extend(of_visits(system, life).await);
    answers.extend(of_alerts(system, life).await);
    answers.extend(of_claims(system, life).await);
    answers.extend(of_sharing(system, life).await);
    answers
}

fn bytes<M: Message>(answer: Result<Response<M>, Status>) -> Result<Vec<u8>, Status> {
    answer.map(|answer| answer.into_inner().encode_to_vec())
}

/// All messages of a stream.
async fn whole<M>(answer: Result<Response<Streaming<M>>, Status>) -> Result<Vec<M>, Status> {
    let mut coming = answer?.into_inner();
    let mut messages = Vec::new();
    while let Some(message) = coming.message().await? {
        messages.push(message);
    }
    Ok(messages)
}

fn encoded<M: Message>(messages: &[M]) -> Vec<u8> {
    messages.iter().flat_map(Message::encode_to_vec).collect()
}

async fn of_registry(system: &System, life: &Life) -> Vec<Answer> {
    let mut registry = system.registry();
    let elder_id = || life.elder.clone();
    let get = GetElderRequest {
        elder_id: elder_id(),
        ..GetElderRequest::default()
    };
    let search = SearchEldersRequest {
        id_number: life.person.id_number.clone(),
        ..SearchEldersRequest::default()
    };
    let history = GetElderHistoryRequest {
        elder_id: elder_id(),
        ..GetElderHistoryRequest::default()
    };
    let form = ExportElderFormRequest {
        elder_id: elder_id(),
        ..ExportElderFormRequest::default()
    };
    let keys = GetKeysRequest {
        elder_ids: vec![elder_id()],
    };
    let form = registry.export_elder_form(form).await;
    vec![
        ("GetElder", bytes(registry.get_elder(get).await)),
        ("SearchElders", bytes(registry.search_elders(search).await)),
        (
            "GetElderHistory",
            bytes(registry.get_elder_history(history).await),
        ),
        (
            "ExportElderForm",
            form.map(|form| unpacked(&form.into_inner().workbook)),
        ),
        (
            "GetKeys",
            bytes(system.service().vault().get_keys(keys).await),
        ),
    ]
}

async fn of_tiering(system: &System, life: &Life) -> Vec<Answer> {
    let mut tiering = system.tiering();
    let tier = GetTierRequest {
        elder_id: life.elder.clone(),
        ..GetTierRequest::default()
    };
    let explain = ExplainTierRequest {
        elder_id: life.elder.clone(),
        ..ExplainTierRequest::default()
    };
    vec![
        ("GetTier", bytes(tiering.get_tier(tier).await)),
        ("ExplainTier", bytes(tiering.explain_tier(explain).await)),
    ]
}

async fn of_visits(system: &System, life: &Life) -> Vec<Answer> {
    let mut visits = system.visits();
    let of_elder = GetElderVisitsRequest {
        elder_id: life.elder.clone(),
        ..GetElderVisitsRequest::default()
    };
    let referrals = ListReferralsRequest {
        division_code: COUNTY.to_owned(),
        include_closed: true,
        ..ListReferralsRequest::default()
    };
    let mut answers = vec![
        (
            "GetElderVisits",
            bytes(visits.get_elder_visits(of_elder).await),
        ),
        (
            "ListReferrals",
            bytes(visits.list_referrals(referrals).await),
        ),
    ];
    for (method, whose) in [
        (
            "ExportRecords of the elder",
            Records::ElderId(life.elder.clone()),
        ),
        (
            "ExportRecords of the county",
            Records::DivisionCode(COUNTY.to_owned()),
        ),
    ] {
        let export = ExportRecordsRequest {
            whose: Some(whose),
            first_day: Some(date("2024-10-01")),
            last_day: Some(date("2024-10-31")),
            min_position: String::new(),
        };
        let pieces = whole(visits.export_records(export).await).await;
        let book = pieces.map(|pieces| {
            let book: Vec<u8> = pieces.into_iter().flat_map(|piece| piece.chunk).collect();
            unpacked(&book)
        });
        answers.push((method, book));
    }
    answers
}

async fn of_alerts(system: &System, life: &Life) -> Vec<Answer> {
    let mut alerts = system.alerts();
    let one = GetAlertRequest {
        alert_id: life.alert.clone(),
        ..GetAlertRequest::default()
    };
    let all = ListAlertsRequest {
        division_code: COUNTY.to_owned(),
        ..ListAlertsRequest::default()
    };
    let devices = ListDevicesRequest {
        division_code: COUNTY.to_owned(),
        ..ListDevicesRequest::default()
    };
    vec![
        ("GetAlert", bytes(alerts.get_alert(one).await)),
        ("ListAlerts", bytes(alerts.list_alerts(all).await)),
        ("ListDevices", bytes(alerts.list_devices(devices).await)),
    ]
}

async fn of_claims(system: &System, life: &Life) -> Vec<Answer> {
    let mut claims = system.claims();
    let one = GetOrderRequest {
        provider_id: PROVIDER.to_owned(),
        order_id: "2".to_owned(),
        ..GetOrderRequest::default()
    };
    let all = ListOrdersRequest {
        filter: Some(OrderFilter {
            division_code: COUNTY.to_owned(),
            ..OrderFilter::default()
        }),
        ..ListOrdersRequest::default()
    };
    let appeals = ListAppealsRequest {
        division_code: COUNTY.to_owned(),
        ..ListAppealsRequest::default()
    };
    let enrolments = ListEnrolmentsRequest {
        division_code: COUNTY.to_owned(),
        programme_code: PROGRAMME.to_owned(),
        ..ListEnrolmentsRequest::default()
    };
    let entitlement = GetEntitlementRequest {
        programme_code: PROGRAMME.to_owned(),
        elder_id: life.elder.clone(),
        ..GetEntitlementRequest::default()
    };
    vec![
        ("GetOrder", bytes(claims.get_order(one).await)),
        ("ListOrders", bytes(claims.list_orders(all).await)),
        ("ListAppeals", bytes(claims.list_appeals(appeals).await)),
        (
            "ListEnrolments",
            bytes(claims.list_enrolments(enrolments).await),
        ),
        (
            "GetEntitlement",
            bytes(claims.get_entitlement(entitlement).await),
        ),
    ]
}

async fn of_sharing(system: &System, life: &Life) -> Vec<Answer> {
    let (mut officers, mut doctors) = (system.sharing(), system.caller(&doctor()).sharing());
    let dossier = || GetDossierRequest {
        elder_id: life.elder.clone(),
        ..GetDossierRequest::default()
    };
    let glass = BreakGlassRequest {
        request_id: new_id(),
        elder_id: life.elder.clone(),
        reason: REASON.to_owned(),
        ..BreakGlassRequest::default()
    };
    let mut answering = system.caller(&supervisor()).sharing();
    let broken = bytes(answering.break_glass(glass).await);
    // The history tells of it.
    system.settled().await;
    let find = FindEldersRequest::default();
    let looks = GetAccessHistoryRequest {
        whose: Some(Looks::ElderId(life.elder.clone())),
        ..GetAccessHistoryRequest::default()
    };
    let audit = officers.export_audit(ExportAuditRequest::default()).await;
    vec![
        ("BreakGlass", broken),
        ("GetDossier", bytes(officers.get_dossier(dossier()).await)),
        (
            "GetDossier of the department",
            bytes(doctors.get_dossier(dossier()).await),
        ),
        ("FindElders", bytes(doctors.find_elders(find).await)),
        ("QueryFeed", Ok(encoded(&feed(doctors.clone()).await))),
        (
            "GetAccessHistory",
            bytes(officers.get_access_history(looks).await),
        ),
        (
            "ExportAudit",
            whole(audit).await.map(|records| encoded(&records)),
        ),
    ]
}
