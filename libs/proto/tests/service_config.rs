//! The published gRPC service configuration says of each method of the contracts how long it may take and whether it is called
//! again, and nothing that would do harm.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use prost::Message as _;
use prost_types::FileDescriptorSet;
use serde_json::Value;

/// Seconds that a service gives a unary call at the most, whatever its caller asks for (`grpc.max_deadline`).
const LONGEST_CALL: u64 = 60;

/// The attempts that gRPC makes at the most, whatever a configuration asks for.
const MOST_ATTEMPTS: u64 = 5;

/// How the name of a method begins that changes nothing.
const READING: [&str; 9] = [
    "BatchGet", "Count", "Explain", "Export", "Find", "Get", "List", "Query", "Search",
];

/// Commands that know a retry by what they carry: the id of the record, the number of the order, the persons, the instant.
const KNOWN_OTHERWISE: [&str; 4] = ["AdvanceClock", "CreateKeys", "RecordVisit", "SubmitOrder"];

/// A method of the contracts.
struct Method {
    name: String,
    streams: bool,
    bears_a_request_id: bool,
}

/// All methods, by their full names.
fn methods() -> BTreeMap<String, Method> {
    let contracts = FileDescriptorSet::decode(proto::FILE_DESCRIPTOR_SET).unwrap();
    let mut with_request_id = BTreeSet::new();
    for contract in &contracts.file {
        for message in &contract.message_type {
            let mut fields = message.field.iter();
            if fields.any(|field| field.name() == "request_id") {
                with_request_id.insert(format!(".{}.{}", contract.package(), message.name()));
            }
        }
    }
    let mut methods = BTreeMap::new();
    for contract in &contracts.file {
        for service in &contract.service {
            for method in &service.method {
                let (package, service) = (contract.package(), service.name());
                let full_name = format!("{package}.{service}/{}", method.name());
                let described = Method {
                    name: method.name().to_owned(),
                    streams: method.client_streaming() || method.server_streaming(),
                    bears_a_request_id: with_request_id.contains(method.input_type()),
                };
                methods.insert(full_name, described);
            }
        }
    }
    methods
}

fn configuration() -> Value {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto/service-config.json");
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
}

/// What is configured for each method.
fn configured() -> BTreeMap<String, Value> {
    let mut configured = BTreeMap::new();
    for methods in configuration()["methodConfig"].as_array().unwrap() {
        for name in methods["name"].as_array().unwrap() {
            let (service, method) = (&name["service"], &name["method"]);
            let full_name = format!("{}/{}", service.as_str().unwrap(), method.as_str().unwrap());
            let twice = configured.insert(full_name.clone(), methods.clone());
            assert_eq!(twice, None, "{full_name} is there twice");
        }
    }
    configured
}

fn seconds(configured: &Value) -> Option<u64> {
    let text = configured.get("timeout")?.as_str().unwrap();
    Some(text.strip_suffix('s').unwrap().parse().unwrap())
}

#[test]
fn each_method_of_the_contracts_stands_in_it_once_and_nothing_else() {
    let named: Vec<String> = configured().into_keys().collect();
    let there: Vec<String> = methods().into_keys().collect();
    assert_eq!(named, there);
}

#[test]
fn calls_have_a_timeout_that_the_services_grant() {
    let configured = configured();
    for (full_name, method) in methods() {
        if !method.streams {
            let timeout = seconds(&configured[&full_name]);
            let timeout = timeout.unwrap_or_else(|| panic!("{full_name} has no timeout"));
            assert!((1..=LONGEST_CALL).contains(&timeout), "{full_name}");
        }
    }
}

#[test]
fn calls_are_made_again_where_nobody_answered_and_on_no_other_word() {
    let configured = configured();
    for (full_name, method) in methods() {
        if !method.streams {
            let again = &configured[&full_name]["retryPolicy"];
            // A stale etag is ABORTED, and too much work RESOURCE_EXHAUSTED, with the time to wait: neither is for blind retries.
            let codes = serde_json::json!(["UNAVAILABLE"]);
            assert_eq!(again["retryableStatusCodes"], codes, "{full_name}");
            let attempts = again["maxAttempts"].as_u64().unwrap();
            assert!((2..=MOST_ATTEMPTS).contains(&attempts), "{full_name}");
        }
    }
}

#[test]
fn what_is_called_again_reads_or_bears_what_a_retry_is_known_by() {
    for (full_name, method) in methods() {
        let name = method.name.as_str();
        let reads = READING.iter().any(|verb| name.starts_with(verb));
        let known = method.bears_a_request_id || KNOWN_OTHERWISE.contains(&name);
        assert!(method.streams || reads || known, "{full_name}");
    }
}

#[test]
fn streams_are_begun_anew_by_nobody_but_their_callers() {
    let configured = configured();
    for (full_name, method) in methods() {
        if method.streams {
            let configured = &configured[&full_name];
            assert_eq!(configured.get("retryPolicy"), None, "{full_name}");
        }
    }
}

#[test]
fn whoever_waits_for_a_connection_gives_up_in_the_end() {
    for (full_name, configured) in configured() {
        let waits = configured.get("waitForReady").is_some();
        assert!(!waits || seconds(&configured).is_some(), "{full_name}");
    }
}

#[test]
fn a_system_that_is_away_is_not_worn_down() {
    let throttling = &configuration()["retryThrottling"];
    let tokens = throttling["maxTokens"].as_u64().unwrap();
    let ratio = throttling["tokenRatio"].as_f64().unwrap();
    assert!((1..=1000).contains(&tokens), "{tokens}");
    assert!(ratio > 0.0 && ratio < 1.0, "{ratio}");
}
