//! What operators are told is what the contract says, all of it and nothing else; and a request can be followed from its call to whoever
//! is told of it.

mod contract;
mod following;

use std::collections::BTreeSet;

use integration_tests::{
    Setup, System,
    agreements::{agreed, doctor, feed, grant, terms},
    an_elder,
    callers::gateway,
    claiming::{PROGRAMME, an_order, approved, enrolled, programme, provider, standing_in_words},
    homes::{a_call, a_signal, device, raised, recipient, say},
    new_id,
    visiting::{a_visit, in_words, record, visitor},
};
use proto::eldercare::{
    alerts::v1::{RecipientRole, SignalKind},
    claims::v1::{ServiceOrder, SubmitOrderRequest},
    registry::v1::{EraseElderRequest, GetElderRequest},
    visits::v1::RecordVisitRequest,
};
use service::testing::collector::Collector;
use tokio::time::timeout;

use self::{
    contract::Contract,
    following::{PATIENCE, hangs_together, is_fed, leads_to, passes, traced},
};

/// The traces of requests.
const REGISTRATION: &str = "0af7651916cd43dd8448eb211c80319c";
const HELP: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const VISIT: &str = "5b8efff798038103d269b633813fc60c";
const ORDER: &str = "a3ce929d0e0e47364bf92f3577b34da6";
const ERASURE: &str = "80e1afed08e019fc1110464cfa66635c";

/// Whom the county's insurance pays for, and who serves.
struct Insured {
    caregiver: String,
    elder: String,
}

impl Insured {
    async fn prepared(system: &System) -> Self {
        programme(system, PROGRAMME).await;
        let caregiver = provider(system, "P01").await;
        let elder = enrolled(system, "陈阿财").await;
        Self { caregiver, elder }
    }

    /// An order in which nothing is wrong.
    fn order(&self, number: &str, start: &str) -> ServiceOrder {
        an_order(["P01", number], &self.caregiver, &self.elder, start)
    }
}

/// A few calls of every service, and what follows from them.
async fn everybody_does_something(system: &mut System, insured: &Insured) {
    let (elder, known) = system.registered(an_elder("林月娥")).await;
    let shown = GetElderRequest {
        elder_id: elder.clone(),
        min_position: known.clone(),
        ..GetElderRequest::default()
    };
    system.registry().get_elder(shown).await.unwrap();
    system.tier(&elder, &known).await.unwrap();

    device(system, "button-1", &elder).await;
    let mut pressed = a_signal("button-1");
    pressed.kind = SignalKind::Press.into();
    let gateway = system.caller(&gateway());
    say(gateway.alerts(), vec![a_signal("button-1"), pressed])
        .await
        .unwrap();
    let another = system.register(an_elder("林秀兰")).await;
    raised(system, &a_call(&another)).await;

    let she = visitor(system, "王网格").await;
    // Levels fall due, and a day begins.
    system.advance_to("2024-10-03T12:00:00+08:00").await;
    let visit = a_visit(&she, &elder, "2024-10-02T09:00:00+08:00");
    let outcomes = record(system, &[visit], &known).await.unwrap();
    assert_eq!(in_words(&outcomes[0]), "COUNTED");
    approved(system, &[insured.order("2", "2024-10-02T09:00:00+08:00")]).await;

    feed(system.caller(&doctor()).sharing()).await;
    // What is no record at all, as no program of ours writes it.
    let subject = format!("eldercare.registry.elder.{}", new_id());
    let client = system.client().await;
    client.publish(subject, "no record".into()).await.unwrap();
    client.flush().await.unwrap();
    system.settled().await;
}

/// A registration goes through all read models, to the tier and to the department: the elder, and where the registration stands.
async fn a_registration_is_followed(system: &System, collector: &Collector) -> (String, String) {
    let request = traced(REGISTRATION, an_elder("林月娥"));
    let registered = system.registry().register_elder(request).await.unwrap();
    let registered = registered.into_inner();
    passes(
        collector,
        REGISTRATION,
        &[
            "eldercare.registry.v1.RegistryService/RegisterElder",
            "append",
            "project registry_elders",
            "project tiering_facts",
            "react tiering evaluator",
            "project tiering_tiers",
            "project visits_elders",
            "project visits_cards",
            "project alerts_elders",
            "project alerts_cards",
            "project claims_elders",
            "project sharing_elders",
            "project sharing_cards",
            "project sharing_tiers",
            "publish sharing_feeds",
        ],
    )
    .await;
    hangs_together(collector, REGISTRATION).await;
    (registered.elder_id, registered.committed.unwrap().position)
}

/// A call for help goes on to whoever is told, and to the department; of another one before that nobody could be told.
async fn a_call_for_help_is_followed(system: &System, collector: &Collector, elder: &str) {
    let lonely = system.register(an_elder("陈秀英")).await;
    raised(system, &a_call(&lonely)).await;
    system.settled().await;
    recipient(system, RecipientRole::DutyCentre, "值守中心").await;
    let request = traced(HELP, a_call(elder));
    system.alerts().raise_alert(request).await.unwrap();
    passes(
        collector,
        HELP,
        &[
            "eldercare.alerts.v1.AlertService/RaiseAlert",
            "append",
            "project alerts_board",
            "project sharing_alerts",
            "react alerts telling",
            "notice",
            "publish sharing_feeds",
        ],
    )
    .await;
    let told = ["append", "notice"];
    leads_to(collector, HELP, "react alerts telling", &told).await;
    hangs_together(collector, HELP).await;
}

/// The record of a visit goes to the examiner, and to the department.
async fn a_visit_is_followed(
    system: &System,
    collector: &Collector,
    (elder, known): (&str, String),
) {
    let she = visitor(system, "王网格").await;
    let request = RecordVisitRequest {
        record: Some(a_visit(&she, elder, "2024-09-30T09:00:00+08:00")),
        min_position: known,
    };
    let recorded = system.visits().record_visit(traced(VISIT, request)).await;
    let outcome = recorded.unwrap().into_inner().outcome.unwrap();
    assert!(!outcome.position.is_empty(), "{}", in_words(&outcome));
    passes(
        collector,
        VISIT,
        &[
            "eldercare.visits.v1.VisitService/RecordVisit",
            "append",
            "project visits_book",
            "react visits on_visit_recorded",
            "project sharing_visits",
            "publish sharing_feeds",
        ],
    )
    .await;
    hangs_together(collector, VISIT).await;
}

/// An order goes to the adjudicator; its verdict goes through the read models once more, and to the department.
async fn an_order_is_followed(system: &System, collector: &Collector, insured: &Insured) {
    let request = SubmitOrderRequest {
        order: Some(insured.order("1", "2024-09-20T09:00:00+08:00")),
        min_position: String::new(),
    };
    let submitted = system.claims().submit_order(traced(ORDER, request)).await;
    let standing = submitted.unwrap().into_inner().standing.unwrap();
    assert_eq!(standing_in_words(&standing), "APPROVED");
    let (call, adjudicator) = (
        "eldercare.claims.v1.ClaimsService/SubmitOrder",
        "react claims adjudicator",
    );
    let taken_in = [
        "append",
        "project claims_book",
        "project sharing_claims",
        "publish sharing_feeds",
    ];
    leads_to(collector, ORDER, call, &taken_in).await;
    leads_to(collector, ORDER, call, &[adjudicator]).await;
    leads_to(collector, ORDER, adjudicator, &taken_in).await;
    hangs_together(collector, ORDER).await;
}

/// An erasure is answered by a reactor of another service.
async fn an_erasure_is_followed(system: &System, collector: &Collector, elder: String) {
    let request = EraseElderRequest {
        request_id: new_id(),
        elder_id: elder,
        reason: "ASKED_BY_ELDER".to_owned(),
        ..EraseElderRequest::default()
    };
    let request = traced(ERASURE, request);
    system.registry().erase_elder(request).await.unwrap();
    let reactors = ["react on_elder_erased", "react alerts_on_elder_erased"];
    passes(collector, ERASURE, &reactors).await;
}

/// All metrics of the contract have come, and neither a metric nor a span that it does not know.
async fn is_as_the_contract_says(collector: &Collector) {
    let contract = Contract::read();
    let expected: BTreeSet<&str> = contract
        .metrics
        .iter()
        .filter(|metric| !metric.rare)
        .map(|metric| metric.name.as_str())
        .collect();
    let missing = |collector: &Collector| {
        let mut missing = expected.clone();
        for metric in collector.metrics() {
            missing.remove(metric.name.as_str());
        }
        missing
    };
    let all = collector.until(|collector| missing(collector).is_empty().then_some(()));
    let all = timeout(PATIENCE, all).await;
    assert!(all.is_ok(), "not sent: {:?}", missing(collector));
    let sent = collector.metrics();
    let faults = sent.iter().flat_map(|metric| contract.faults_of(metric));
    assert_eq!(faults.collect::<BTreeSet<_>>(), BTreeSet::new());
    let sent = collector.spans();
    let faults = sent.iter().flat_map(|span| contract.faults_of_span(span));
    assert_eq!(faults.collect::<BTreeSet<_>>(), BTreeSet::new());
    let resources = collector.resources();
    assert!(!resources.is_empty());
    for resource in resources {
        for name in contract.resource.keys() {
            assert!(resource.contains_key(name), "{name} in {resource:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_are_told_what_the_contract_says_and_requests_can_be_followed() {
    let collector = Collector::serve();
    let mut system = System::start_with(Setup {
        collector: Some(collector.endpoint()),
        ..Setup::with_sharing()
    })
    .await;
    let granted = vec![
        grant("elder", &["elder_id"], &["name"]),
        grant("visit", &["start_time", "result"], &[]),
        grant("alert", &["kind"], &[]),
        grant("order", &["order_id", "state"], &[]),
    ];
    agreed(&system, terms(granted)).await;
    let insured = Insured::prepared(&system).await;
    system.settled().await;

    let (elder, known) = a_registration_is_followed(&system, &collector).await;
    a_call_for_help_is_followed(&system, &collector, &elder).await;
    a_visit_is_followed(&system, &collector, (elder.as_str(), known)).await;
    an_order_is_followed(&system, &collector, &insured).await;
    system.settled().await;
    let mut feeds = system.jetstream().await.get_stream("FEEDS").await.unwrap();
    for (trace, event) in [
        (REGISTRATION, "ElderRegistered"),
        (HELP, "AlertRaised"),
        (VISIT, "VisitRecorded"),
        (ORDER, "OrderSubmitted"),
        (ORDER, "OrderApproved"),
    ] {
        let fed = is_fed(&mut feeds, trace, event).await;
        assert!(fed, "{event} is not on a feed in its trace");
    }
    an_erasure_is_followed(&system, &collector, elder).await;

    everybody_does_something(&mut system, &insured).await;
    is_as_the_contract_says(&collector).await;
}
