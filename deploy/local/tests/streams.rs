//! What an operator does for a cluster's log server: its streams, and its users, who are kept apart.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

use std::{path::Path, process::Command, time::Duration};

use async_nats::{
    ConnectOptions,
    jetstream::{self, Context, context::ContextBuilder, stream::Config},
};
use backing_services::{Nats, testing};
use eldercare::{keys::Keys, servers::SERVICES};
use futures::future::join_all;
use rand::{RngCore as _, SeedableRng as _, rngs::StdRng};
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

/// A message that cannot be made smaller.
fn a_megabyte(seed: u64) -> Vec<u8> {
    let mut bytes = vec![0; 1 << 20];
    StdRng::seed_from_u64(seed).fill_bytes(&mut bytes);
    bytes
}

/// A server with the launcher's users, where something lies in each log and one key in the vault; in the log of visits more than
/// the server sends at once.
async fn guarded_and_written_to() -> (Nats, Keys) {
    let (nats, keys) = guarded().await;
    let operator = connect(&nats, &keys, "streams").await;
    nats_streams::apply(&operator, 1).await.unwrap();
    for service in SERVICES {
        let server = connect(&nats, &keys, service).await;
        let mut messages = vec![(
            format!("eldercare.{service}.elder.trial"),
            b"trial".to_vec(),
        )];
        match service {
            "registry" => messages.push(("eldercare.vault.key.trial".to_owned(), b"key".to_vec())),
            "visits" => messages.extend((0..12).map(|number| {
                let subject = format!("eldercare.visits.trial.{number}");
                (subject, a_megabyte(number))
            })),
            _ => {}
        }
        for (subject, body) in messages {
            let sent = server.publish(subject, body.into()).await.unwrap();
            sent.await.unwrap();
        }
    }
    (nats, keys)
}

/// What `backup` says, come in as the user of backups.
fn backup(nats: &Nats, keys: &Keys, folder: &Path, how: &[&str]) -> Value {
    let password = keys.nats_passwords().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_eldercare"))
        .arg("backup")
        .arg(folder)
        .args(how)
        .args(["--output", "json", "--nats"])
        .arg(nats.url())
        .env("ELDERCARE_NATS__USER", "backup")
        .env("ELDERCARE_NATS__PASSWORD", password("backup"))
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
async fn the_user_of_backups_may_take_one() {
    let (nats, keys) = guarded_and_written_to().await;
    let folder = tempfile::tempdir().unwrap();
    let outcome = backup(&nats, &keys, folder.path(), &[]);
    let streams = outcome["backup"]["streams"].as_array().unwrap();
    assert_eq!(streams.len(), nats_streams::declared().streams.len());
    let visits = streams.iter().find(|stream| stream["name"] == "VISITS");
    assert_eq!(visits.unwrap()["messages"], 13);
    // The second time it looks whether the log is the one of before.
    let noted = backup(&nats, &keys, folder.path(), &["--erasures-only"]);
    assert_eq!(noted["backup"], Value::Null);
    assert_eq!(noted["erasures"]["erased"], 0);
    // Only where keys came meanwhile a backup looks at them.
    let server = connect(&nats, &keys, "backup").await;
    let vault = server.get_stream("VAULT").await.unwrap();
    assert_eq!(&vault.get_raw_message(1).await.unwrap().payload[..], b"key");
}

/// Sees that somebody can look at the stream of keys, and change nothing about it.
async fn changes_nothing(user: &str) {
    let (nats, keys) = guarded().await;
    let operator = connect(&nats, &keys, "streams").await;
    nats_streams::apply(&operator, 1).await.unwrap();
    let server = connect(&nats, &keys, user).await;
    let vault = server.get_stream("VAULT").await.unwrap();
    let config = vault.cached_info().config.clone();
    let write = async {
        let sent = server.publish("eldercare.vault.key.trial", "trial".into());
        sent.await.unwrap().await.is_ok()
    };
    let purge = async { vault.purge().await.is_ok() };
    let restore = async {
        let subject = "STREAM.RESTORE.VAULT".to_owned();
        let nothing = json!({});
        let request = server.request::<_, _, Value>(subject, &nothing);
        request.await.is_ok()
    };
    let (written, purged, restored, taken_out, changed, removed) = tokio::join!(
        write,
        purge,
        restore,
        vault.delete_message(1),
        server.update_stream(&config),
        server.delete_stream("VAULT"),
    );
    assert!(!written && !purged && !restored, "{user}");
    assert!(
        taken_out.is_err() && changed.is_err() && removed.is_err(),
        "{user}"
    );
}

#[tokio::test]
async fn the_user_of_backups_changes_nothing() {
    changes_nothing("backup").await;
}

#[tokio::test]
async fn the_user_of_maintenance_changes_nothing() {
    changes_nothing("maintenance").await;
}
