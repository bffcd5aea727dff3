//! A rolling update: the next version of each service stands beside the one that runs, and takes its place, while callers are at
//! work. These call as the published service configuration has it, and no call fails for good; whatever one version writes the
//! other one reads, or passes by.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use eventlog::{RawEvent, Subject};
use integration_tests::{
    Setup, System, an_elder, at, date,
    elders::VILLAGE,
    load::{Load, Manner},
    new_id,
    process::{Part, Process},
    published::Published,
};
use prost::Message as _;
use proto::eldercare::registry::v1::{GetElderRequest, RecordAssessmentRequest};
use service::testing::{metadata, write};
/// A type of event that only the next version knows.
const UNKNOWN: &str = "NoveltySeen";

/// A field that only the next version knows.
#[derive(Clone, PartialEq, prost::Message)]
struct Novelty {
    #[prost(string, tag = "15000")]
    said: String,
}

/// An elder who was assessed, and whom nobody else asks about.
async fn assessed(system: &System) -> String {
    let elder = system.register(an_elder("林甲")).await;
    let assessment = RecordAssessmentRequest {
        request_id: new_id(),
        elder_id: elder.clone(),
        assessed_on: Some(date("2024-09-30")),
        source: "ASSESSMENT_AGENCY".to_owned(),
        item_scores: vec![1; 26],
        ..RecordAssessmentRequest::default()
    };
    let mut registry = system.registry();
    registry.record_assessment(assessment).await.unwrap();
    elder
}

/// What the next version writes: the elder's assessment once more, with a field that this one does not know, and in each log an
/// event of a type that it does not know.
async fn something_new(system: &System, elder: &str) {
    let novelty = Novelty {
        said: "new".to_owned(),
    };
    let novelty = novelty.encode_to_vec();
    let records = system.records_of("registry", "elder", elder).await;
    let mut events = records.into_iter().flat_map(|record| record.events);
    let assessment = events.rfind(|event| !event.event_type.ends_with(UNKNOWN));
    let assessment = assessment.expect("the elder was assessed");
    let more = RawEvent {
        data: [&assessment.data[..], &novelty].concat().into(),
        ..assessment
    };
    append(system, ("registry", "elder", elder), more).await;
    for (context, aggregate, id) in [
        ("registry", "elder", elder),
        // The policies are all that visits read of tiering.
        ("tiering", "policy", "novelty"),
        ("visits", "novelty", "novelty"),
        ("alerts", "novelty", "novelty"),
        ("claims", "novelty", "novelty"),
        ("sharing", "novelty", "novelty"),
    ] {
        let unknown = RawEvent {
            event_type: format!("eldercare.{context}.v1.{UNKNOWN}"),
            data: novelty.clone().into(),
        };
        append(system, (context, aggregate, id), unknown).await;
    }
}

async fn append(system: &System, (context, aggregate, id): (&str, &str, &str), event: RawEvent) {
    let subject = Subject::new(context, aggregate, id).unwrap();
    let written = metadata(at("2024-10-01T09:00:00+08:00"), VILLAGE);
    let log = system.log(context).await;
    write(log.as_ref(), subject, written, vec![event]).await;
}

/// Each read model of a part has passed by what it does not know, and nothing else.
async fn passes_by_what_is_new(system: &mut System, part: Part) {
    let read_models: BTreeSet<String> = system.versions(part).await.into_keys().collect();
    let passed_by = system.passed_by(part).await.into_iter();
    let (by, types): (BTreeSet<_>, BTreeSet<_>) = passed_by
        .filter(|(read_model, _)| read_models.contains(read_model))
        .unzip();
    assert_eq!(by, read_models, "{part}");
    assert!(
        types.iter().all(|one| one.ends_with(UNKNOWN)),
        "{part}: {types:?}"
    );
}

/// What one version writes, the other one reads.
async fn read_each_other(system: &System, next: &Process) {
    let callers =
        [system.running(Part::Elders), next].map(|one| system.officer_at(Part::Elders, one));
    for (writes, reads) in [(0, 1), (1, 0)] {
        let mut registry = callers[writes].registry();
        let registered = registry.register_elder(an_elder("林乙")).await.unwrap();
        let registered = registered.into_inner();
        let asked = GetElderRequest {
            elder_id: registered.elder_id,
            min_position: registered.committed.unwrap().position,
            ..GetElderRequest::default()
        };
        callers[reads].registry().get_elder(asked).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_versions_side_by_side_answer_everybody_and_read_what_either_writes() {
    let mut system = System::start_with(Setup {
        own_postgres: true,
        rolling: true,
        ..Setup::with_sharing()
    })
    .await;
    // Somewhere else the next version has begun to write.
    let elder = assessed(&system).await;
    something_new(&system, &elder).await;
    system.settled().await;
    for part in Part::ALL {
        passes_by_what_is_new(&mut system, part).await;
    }

    let manner = Manner::Published(Arc::new(Published::read()));
    let mut load = Load::begin_as(&system, manner).await;
    load.goes_on().await;
    for part in Part::ALL {
        let before = system.versions(part).await.into_iter();
        let raised: BTreeMap<_, _> = before.map(|(name, version)| (name, version + 1)).collect();
        let next = system.start_next(part).await;
        let ready_by = system.versions(part).await;
        assert_eq!(ready_by, raised, "{part} was ready before its tables were");
        something_new(&system, &elder).await;
        if part == Part::Elders {
            read_each_other(&system, &next).await;
        }
        load.goes_on().await;
        system.replace(part, next).await;
        load.goes_on().await;
        println!("{part}: the next version has taken over");
    }
    assert!(system.is_running());

    let told = load.end().await;
    println!("{} commands and looks were answered", told.len());
    println!("{} tries were refused before", told.refused().count());
    system.settled().await;
    told.holds(&system).await;
    for part in Part::ALL {
        passes_by_what_is_new(&mut system, part).await;
    }
    system.verify().await;
}
