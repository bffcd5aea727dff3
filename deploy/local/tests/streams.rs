//! What an operator does for a cluster's log server: its streams, and its users, who are kept apart.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

use std::{process::Command, time::Duration};

use async_nats::{
    ConnectOptions,
    jetstream::{self, Context, context::ContextBuilder, stream::Config},
};
use backing_services::{Nats, testing};
use eldercare::{keys::Keys, servers::SERVICES};
use futures::future::join_all;
use serde_json::{Value, json};

/// What `streams` says of each stream, and whether it ends well.
fn streams(nats: &Nats, command: &str) -> (Vec<Value>, bool) {
    let output = Command::new(env!("CARGO_BIN_EXE_eldercare"))
        .args(["streams", command, "--output", "json", "--nats"])
        .arg(nats.url())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    let mut said: Value = serde_json::from_slice(&output.stdout).expect(&told);
    let well = output.status.success();
    assert_eq!(said["well"], well);
    let Value::Array(streams) = said["streams"].take() else {
        panic!("{said}");
    };
    assert_eq!(streams.len(), nats_streams::declared().streams.len());
    (streams, well)
}

fn all_are(state: &str, streams: &[Value]) -> bool {
    streams.iter().all(|stream| stream["state"] == state)
}

fn feeds(streams: &[Value]) -> &Value {
    streams
        .iter()
        .find(|stream| stream["name"] == "FEEDS")
        .unwrap()
}

/// Has somebody keep feeds for another time.
async fn keep_feeds_for(server: &Context, age: Duration) {
    let found = server.get_stream("FEEDS").await.unwrap();
    let changed = Config {
        max_age: age,
        ..found.cached_info().config.clone()
    };
    server.update_stream(&changed).await.unwrap();
}

#[tokio::test]
async fn an_operator_makes_the_streams_once_and_is_told_what_is_otherwise() {
    let nats = testing::own_nats().await;
    let (absent, well) = streams(&nats, "check");
    assert!(all_are("ABSENT", &absent) && !well);
    let (made, well) = streams(&nats, "apply");
    assert!(all_are("MADE", &made) && well);
    for command in ["apply", "check"] {
        let (there, well) = streams(&nats, command);
        assert!(all_are("AS_DECLARED", &there) && well, "{command}");
    }

    let server = jetstream::new(async_nats::connect(nats.url()).await.unwrap());
    keep_feeds_for(&server, Duration::from_secs(3_600)).await;
    let (otherwise, well) = streams(&nats, "check");
    let deviation = json!({
        "name": "FEEDS",
        "state": "DEVIATING",
        "deviations": [{ "setting": "max_age", "found": "3600s", "declared": "34560000s" }],
    });
    assert!(!well);
    assert_eq!(*feeds(&otherwise), deviation);
    let (changed, well) = streams(&nats, "apply");
    assert_eq!(feeds(&changed)["state"], "CHANGED");
    assert!(well);

    keep_feeds_for(&server, Duration::ZERO).await;
    let (refused, well) = streams(&nats, "apply");
    assert_eq!(feeds(&refused)["state"], "DEVIATING");
    assert!(!well, "what is kept for longer would be lost");
}

/// A server with the launcher's users.
async fn guarded() -> (Nats, Keys) {
    let keys = Keys::generate();
    let users = keys.server_access().unwrap().server_configuration();
    let nats = testing::own_nats_with(|options| options.configuration = users).await;
    (nats, keys)
}

async fn connect(nats: &Nats, keys: &Keys, user: &str) -> Context {
    let password = keys.nats_passwords().unwrap();
    let options = ConnectOptions::with_user_and_password(user.to_owned(), password(user));
    let client = options
        .custom_inbox_prefix(nats_access::inbox_prefix(user))
        .connect(nats.url())
        .await
        .unwrap();
    // A refusal is told to the connection alone: whoever asks waits in vain.
    ContextBuilder::new()
        .timeout(Duration::from_secs(1))
        .build(client)
}

#[tokio::test]
async fn each_service_writes_to_its_own_log_and_to_no_other() {
    let (nats, keys) = guarded().await;
    let operator = connect(&nats, &keys, "streams").await;
    nats_streams::apply(&operator, 1).await.unwrap();
    let writing = SERVICES.map(async |writer| {
        let server = connect(&nats, &keys, writer).await;
        let written = SERVICES.map(async |owner| {
            let subject = format!("eldercare.{owner}.trial.{writer}");
            let sent = server.publish(subject, "trial".into()).await.unwrap();
            (owner, sent.await.is_ok())
        });
        (writer, join_all(written).await)
    });
    for (writer, written) in join_all(writing).await {
        for (owner, stored) in written {
            assert_eq!(stored, writer == owner, "{writer} to the log of {owner}");
        }
    }
}

#[tokio::test]
async fn no_service_makes_changes_or_removes_a_stream() {
    let (nats, keys) = guarded().await;
    let operator = connect(&nats, &keys, "streams").await;
    nats_streams::apply(&operator, 1).await.unwrap();
    let registry = nats_streams::log("REGISTRY", "registry").config(1);
    let asking = SERVICES.map(async |service| {
        let server = connect(&nats, &keys, service).await;
        let (made, changed, removed) = tokio::join!(
            server.create_stream(&registry),
            server.update_stream(&registry),
            server.delete_stream("REGISTRY"),
        );
        (service, made.is_ok(), changed.is_ok(), removed.is_ok())
    });
    for (service, made, changed, removed) in join_all(asking).await {
        assert!(!made && !changed && !removed, "{service}");
    }
    assert!(operator.delete_stream("REGISTRY").await.is_err());
}
