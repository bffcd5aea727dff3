//! What operators are told is what the contract says, all of it and nothing else; and a request can be followed from its call to whoever
//! is told of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::Duration,
};

use async_nats::jetstream::stream::Stream;
use integration_tests::{
    Setup, System,
    agreements::{agreed, doctor, feed, grant, terms},
    an_elder,
    callers::gateway,
    claiming::{an_order, approved, enrolled, programme, provider},
    homes::{a_call, a_signal, device, raised, recipient, say},
    new_id,
    visiting::{a_visit, in_words, record, visitor},
};
use proto::eldercare::{
    alerts::v1::{RecipientRole, SignalKind},
    registry::v1::{EraseElderRequest, GetElderRequest},
};
use serde::Deserialize;
use service::testing::collector::{Collector, SentMetric, SentSpan};
use tokio::time::timeout;
use tonic::Request;

/// The longest that a story waits for what comes about by itself.
const PATIENCE: Duration = Duration::from_secs(60);

/// The span of whoever calls.
const CALLER: &str = "b7ad6b7169203331";

/// What operators are told, as `deploy/observability/telemetry.yaml` says it.
#[derive(Debug, Deserialize)]
struct Contract {
    resource: BTreeMap<String, String>,
    attributes: BTreeMap<String, Attribute>,
    metrics: Vec<Metric>,
    spans: Vec<Span>,
}

#[derive(Debug, Deserialize)]
struct Attribute {
    /// All that there are; none where something else keeps them few.
    #[serde(default)]
    values: BTreeSet<String>,
}

#[derive(Debug, Deserialize)]
struct Metric {
    name: String,
    instrument: String,
    unit: String,
    attributes: BTreeSet<String>,
    #[serde(default)]
    rare: bool,
}

#[derive(Debug, Deserialize)]
struct Span {
    name: String,
    kind: String,
    attributes: BTreeSet<String>,
}

impl Contract {
    fn read() -> Self {
        let file = "../deploy/observability/telemetry.yaml";
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        serde_saphyr::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
    }

    /// What was sent of attributes that may not be.
    fn foreign(
        &self,
        allowed: &BTreeSet<String>,
        sent: &BTreeMap<String, BTreeSet<String>>,
    ) -> Vec<String> {
        let of_one = |(name, values): (&String, &BTreeSet<String>)| {
            let known = self.attributes.get(name).filter(|_| allowed.contains(name));
            let Some(known) = known else {
                return vec![name.clone()];
            };
            let others = values.difference(&known.values);
            let others = others.filter(|_| !known.values.is_empty());
            others.map(|value| format!("{name} = {value}")).collect()
        };
        sent.iter().flat_map(of_one).collect()
    }

    /// What is wrong with a metric that was sent.
    fn faults_of(&self, sent: &SentMetric) -> Vec<String> {
        let Some(known) = self.metrics.iter().find(|known| known.name == sent.name) else {
            return vec![format!("{} is not in the contract", sent.name)];
        };
        let mut faults = self.foreign(&known.attributes, &sent.attributes);
        if (known.unit.as_str(), known.instrument.as_str()) != (sent.unit.as_str(), sent.instrument)
        {
            faults.push(format!("{} of {}", sent.instrument, sent.unit));
        }
        let of_it = faults.into_iter();
        of_it
            .map(|fault| format!("{}: {fault}", sent.name))
            .collect()
    }

    /// What is wrong with a span that was sent.
    fn faults_of_span(&self, sent: &SentSpan) -> Vec<String> {
        let is_it = |known: &&Span| {
            let (before, after) = match known.name.split_once('<') {
                Some((before, rest)) => (before, rest.split_once('>').unwrap().1),
                None => (known.name.as_str(), ""),
            };
            let open = known.name.contains('<') || sent.name == known.name;
            let named = sent.name.starts_with(before) && sent.name.ends_with(after);
            known.kind == sent.kind && open && named
        };
        let Some(known) = self.spans.iter().find(is_it) else {
            return vec![format!(
                "{} {} is not in the contract",
                sent.kind, sent.name
            )];
        };
        let faults = self
            .foreign(&known.attributes, &sent.attributes)
            .into_iter();
        faults
            .map(|fault| format!("{}: {fault}", sent.name))
            .collect()
    }
}

/// A request in a trace of the caller's own.
fn traced<T>(trace: &str, request: T) -> Request<T> {
    let mut request = Request::new(request);
    let traceparent = format!("00-{trace}-{CALLER}-01");
    let metadata = request.metadata_mut();
    metadata.insert("traceparent", traceparent.parse().unwrap());
    request
}

/// Waits until a trace has spans of these names, and returns all of it.
async fn followed(collector: &Collector, trace: &str, names: &[&str]) -> Vec<SentSpan> {
    let of_it = |collector: &Collector| {
        let mut spans = collector.spans();
        spans.retain(|span| span.trace == trace);
        spans
    };
    let missing = |spans: &[SentSpan]| {
        let there: BTreeSet<&str> = spans.iter().map(|span| span.name.as_str()).collect();
        let missing = names.iter().filter(|name| !there.contains(*name));
        missing.map(|name| (*name).to_owned()).collect::<Vec<_>>()
    };
    let whole = collector.until(|collector| {
        let spans = of_it(collector);
        missing(&spans).is_empty().then_some(spans)
    });
    match timeout(PATIENCE, whole).await {
        Ok(spans) => spans,
        Err(_elapsed) => {
            let spans = of_it(collector);
            let there: BTreeSet<&str> = spans.iter().map(|span| span.name.as_str()).collect();
            panic!("{:?} are not among {there:?}", missing(&spans));
        }
    }
}

/// Each span but those of the caller's own children is part of another one that was sent.
fn hangs_together(spans: &[SentSpan]) {
    let ids: BTreeSet<&str> = spans.iter().map(|span| span.id.as_str()).collect();
    for span in spans {
        let of_another = ids.contains(span.parent.as_str());
        assert!(of_another || span.parent == CALLER, "{span:?}");
    }
    let calls = spans.iter().filter(|span| span.parent == CALLER);
    assert_eq!(calls.count(), 1, "the call alone is the caller's child");
}

/// Whether a message of a feed goes on in this trace.
async fn is_fed(feeds: &mut Stream, trace: &str) -> bool {
    let last = feeds.info().await.unwrap().state.last_sequence;
    for sequence in 1..=last {
        let Ok(message) = feeds.get_raw_message(sequence).await else {
            continue;
        };
        let traceparent = message.headers.get("traceparent");
        if traceparent.is_some_and(|header| header.as_str().contains(trace)) {
            return true;
        }
    }
    false
}

/// A few calls of every service, and what follows from them.
async fn everybody_does_something(system: &mut System) {
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

    programme(system, "LTCI").await;
    let caregiver = provider(system, "P01").await;
    let insured = enrolled(system, "陈阿财").await;
    let order = an_order(
        ["P01", "1"],
        &caregiver,
        &insured,
        "2024-10-02T09:00:00+08:00",
    );
    approved(system, &[order]).await;

    feed(system.caller(&doctor()).sharing()).await;
    // What is no record at all, as no program of ours writes it.
    let subject = format!("eldercare.registry.elder.{}", new_id());
    let client = system.client().await;
    client.publish(subject, "no record".into()).await.unwrap();
    client.flush().await.unwrap();
    system.settled().await;
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
        grant("alert", &["kind"], &[]),
    ];
    agreed(&system, terms(granted)).await;
    system.settled().await;

    // A registration goes through all read models, to the tier and to the department.
    let registration = "0af7651916cd43dd8448eb211c80319c";
    let request = traced(registration, an_elder("林月娥"));
    let elder = system.registry().register_elder(request).await.unwrap();
    let elder = elder.into_inner().elder_id;
    let spans = followed(
        &collector,
        registration,
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
    hangs_together(&spans);

    // A call for help goes on to whoever is told, and to the department; of another one before that nobody could be told.
    let lonely = system.register(an_elder("陈秀英")).await;
    raised(&system, &a_call(&lonely)).await;
    system.settled().await;
    recipient(&system, RecipientRole::DutyCentre, "值守中心").await;
    let help = "4bf92f3577b34da6a3ce929d0e0e4736";
    let request = traced(help, a_call(&elder));
    system.alerts().raise_alert(request).await.unwrap();
    let spans = followed(
        &collector,
        help,
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
    hangs_together(&spans);
    let telling = spans
        .iter()
        .find(|span| span.name == "react alerts telling");
    let telling = telling.unwrap().id.as_str();
    let told = |span: &&SentSpan| span.parent == telling;
    let names: BTreeSet<_> = spans.iter().filter(told).map(|span| &*span.name).collect();
    assert!(
        names.is_superset(&BTreeSet::from(["append", "notice"])),
        "{names:?}"
    );
    system.settled().await;
    let mut feeds = system.jetstream().await.get_stream("FEEDS").await.unwrap();
    assert!(is_fed(&mut feeds, registration).await);
    assert!(is_fed(&mut feeds, help).await);

    // An erasure is answered by a reactor of another service.
    let erasure = "80e1afed08e019fc1110464cfa66635c";
    let request = EraseElderRequest {
        request_id: new_id(),
        elder_id: elder,
        reason: "ASKED_BY_ELDER".to_owned(),
        ..EraseElderRequest::default()
    };
    let request = traced(erasure, request);
    system.registry().erase_elder(request).await.unwrap();
    followed(
        &collector,
        erasure,
        &["react on_elder_erased", "react alerts_on_elder_erased"],
    )
    .await;

    everybody_does_something(&mut system).await;
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
    assert!(all.is_ok(), "not sent: {:?}", missing(&collector));
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
