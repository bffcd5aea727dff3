//! What a call leaves behind beside its answer: an access record, whatever the log leaves out, and records in its trace. In a process of its own: a process has one telemetry.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

#[path = "service/support/mod.rs"]
mod support;

use proto::eldercare::registry::v1 as pb;
use serde_json::Value;
use service::{
    Telemetry,
    settings::{self, AccessLog},
};
use support::{Running, get, register, request_id, sample, sample_divisions, wang_xiuying};
use tonic::Request;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const WORKBOOK: &str = "350524100-凤城镇.xlsx";

/// One test for all: a process has one telemetry.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_are_recorded_and_an_import_is_one_trace() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.ndjson");
    let telemetry = settings::Telemetry {
        // Nobody listens there: spans are made all the same.
        otlp_endpoint: Some("http://127.0.0.1:9".to_owned()),
        log_filter: Some("error".to_owned()),
        access_log: Some(AccessLog::File(path.clone())),
        ..settings::Telemetry::default()
    };
    let _telemetry = Telemetry::start(&telemetry, "registry").unwrap();
    let running = Running::new().await;
    let mut client = running.client();

    let wang = wang_xiuying();
    let (elder_id, position) = register(&mut client, wang.clone()).await;
    let before = std::fs::read_to_string(&path).unwrap();
    get(&mut client, &elder_id, &position).await;
    let after = std::fs::read_to_string(&path).unwrap();
    let written = after.strip_prefix(&before).unwrap();
    let lines: Vec<_> = written.lines().collect();
    let [line] = lines.as_slice() else {
        panic!("one read, one record: {lines:?}");
    };
    let record: Value = serde_json::from_str(line).unwrap();
    let told = ["target", "action", "caller", "department", "purpose", "ids"]
        .map(|field| record[field].as_str().unwrap());
    assert_eq!(
        told,
        [
            "access",
            "GetElder",
            "officer:test-officer",
            "civil_affairs",
            "test",
            &elder_id
        ]
    );
    assert!(record["timestamp"].is_string());
    for personal in ["王", "秀英", &wang.id_number, "13811178935", "先声社区"] {
        assert!(!after.contains(personal), "{after}");
    }

    client.import_divisions(sample_divisions()).await.unwrap();
    let file = std::fs::read(sample("survey").join(WORKBOOK)).unwrap();
    let options = pb::import_survey_request::Part::Options(pb::ImportSurveyOptions {
        import_id: request_id(),
        town_code: "350524100".to_owned(),
        dry_run: false,
        update: false,
    });
    let chunks = file
        .chunks(60_000)
        .map(|chunk| pb::import_survey_request::Part::Chunk(chunk.to_vec().into()));
    let messages: Vec<_> = std::iter::once(options)
        .chain(chunks)
        .map(|part| pb::ImportSurveyRequest { part: Some(part) })
        .collect();
    let mut request = Request::new(tokio_stream::iter(messages));
    let traceparent = format!("00-{TRACE}-b7ad6b7169203331-01");
    request
        .metadata_mut()
        .insert("traceparent", traceparent.parse().unwrap());
    let written = running.log.last_sequence().await.unwrap();
    let mut answers = client.import_survey(request).await.unwrap().into_inner();
    while answers.message().await.unwrap().is_some() {}

    let last = running.log.last_sequence().await.unwrap();
    assert!(last > written, "something was imported");
    let mut seen = written;
    let mut deliveries = running.log.subscribe(written).await.unwrap();
    while seen < last {
        let batch = futures::StreamExt::next(&mut deliveries).await.unwrap();
        for delivery in batch.unwrap() {
            seen = delivery.sequence();
            let eventlog::Delivery::Record(record) = delivery else {
                panic!("message {seen} can't be read");
            };
            let trace = record.metadata.traceparent.unwrap();
            assert_eq!(&trace[3..35], TRACE, "record {seen}");
        }
    }
    running.stop().await;
}
