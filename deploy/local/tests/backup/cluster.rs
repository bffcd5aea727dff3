//! A cluster's log server, backed up and put back by its address.

use std::{process::Command, sync::Arc};

use async_nats::jetstream::{self, Context};
use backing_services::{Nats, testing};
use serde_json::Value;
use uuid::Uuid;
use vault::{JetStreamKeyStore, KeyRing, KeyStream, Mode, Vault, VaultOptions};

use crate::{desk::text, held::held_by};

/// A key-encryption key of another cluster.
const ANOTHER: &str = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=";

/// A command of a cluster's operator with settings of one machine: the exit code, what it printed, and what it complained of.
fn command(arguments: &[&str], settings: &[(&str, &str)]) -> (Option<i32>, Value, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_eldercare"))
        .args(arguments)
        .args(["--output", "json"])
        .env("ELDERCARE_AUTH__MODE", "local")
        .envs(settings.iter().copied())
        .output()
        .unwrap();
    let printed = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), printed, told)
}

fn done(arguments: &[&str]) -> Value {
    let (code, printed, told) = command(arguments, &[]);
    assert_eq!(code, Some(0), "{arguments:?}: {told}");
    printed
}

async fn server_of(nats: &Nats) -> Context {
    jetstream::new(async_nats::connect(nats.url()).await.unwrap())
}

/// A server with all streams, messages in each, and gaps where messages are deleted from.
async fn written_to() -> Nats {
    let nats = testing::own_nats().await;
    done(&["streams", "apply", "--nats", &nats.url()]);
    write(server_of(&nats).await).await;
    nats
}

/// Writes messages into all streams, and deletes some where that is allowed.
async fn write(server: Context) {
    for subject in [
        "eldercare.registry.trial.one",
        "eldercare.tiering.trial.one",
        "eldercare.visits.trial.one",
        "eldercare.alerts.trial.one",
        "eldercare.claims.trial.one",
        "eldercare.sharing.trial.one",
        "eldercare.signals.WM-0001",
        "feed.health.elder.350524.DocumentShared",
        "access.registry",
    ] {
        for number in 0..5 {
            let body = format!("{number} of {subject}");
            let sent = server.publish(subject, body.into()).await.unwrap();
            sent.await.unwrap();
        }
    }
    let feeds = server.get_stream("FEEDS").await.unwrap();
    feeds.delete_message(2).await.unwrap();
    feeds.delete_message(5).await.unwrap();
    let store = JetStreamKeyStore::open(server, KeyStream::default()).await;
    let ring = KeyRing::local_default(Mode::Local).unwrap();
    let vault = Vault::new(Arc::new(store.unwrap()), ring, VaultOptions::default());
    for person in 1..=3 {
        vault.create(Uuid::from_u128(person)).await.unwrap();
    }
    vault.erase(Uuid::from_u128(2)).await.unwrap();
}

#[tokio::test]
async fn a_clusters_streams_come_back_where_there_are_none() {
    let ground = tempfile::tempdir().unwrap();
    let backups = ground.path().join("backups");
    let backups = backups.to_str().unwrap();
    let was = written_to().await;
    let outcome = done(&["backup", backups, "--nats", &was.url()]);
    let folder = text(&outcome["backup"]["folder"]);

    let becomes = testing::own_nats().await;
    let url = becomes.url();
    let restore = ["restore", folder, "--nats", &url];
    let restored = done(&restore);
    assert_eq!(restored["into"], url.as_str());
    let before = held_by(&server_of(&was).await).await;
    let after = held_by(&server_of(&becomes).await).await;
    assert_eq!(after, before);
    assert_eq!(before["FEEDS"].messages.len(), 3);
    assert_eq!(before["FEEDS"].last_sequence, 5);
    assert_eq!(before["VAULT"].messages.len(), 2);
    done(&["streams", "check", "--nats", &url]);
    let (code, _, told) = command(&restore, &[]);
    assert_eq!(code, Some(1));
    assert!(told.contains("has a stream"), "{told}");
}

#[tokio::test]
async fn keys_that_do_not_open_are_told_before_anything_is_served() {
    let ground = tempfile::tempdir().unwrap();
    let backups = ground.path().join("backups");
    let was = written_to().await;
    let outcome = done(&["backup", backups.to_str().unwrap(), "--nats", &was.url()]);
    let folder = text(&outcome["backup"]["folder"]);
    let becomes = testing::own_nats().await;
    let restore = ["restore", folder, "--nats", &becomes.url()];
    let (code, _, told) = command(&restore, &[("ELDERCARE_VAULT__KEK", ANOTHER)]);
    assert_eq!(code, Some(1));
    assert!(told.contains("do not open"), "{told}");
    assert!(!told.contains(ANOTHER), "{told}");
    let registry = server_of(&becomes).await.get_stream("REGISTRY").await;
    assert!(registry.is_err(), "without it no service starts");
}

#[tokio::test]
async fn signals_that_could_not_be_erased_before_come_back_so_that_they_can() {
    let ground = tempfile::tempdir().unwrap();
    let backups = ground.path().join("backups");
    let was = testing::own_nats().await;
    let server = server_of(&was).await;
    let mut denying = nats_streams::stream("SIGNALS").config(1);
    denying.deny_delete = true;
    denying.deny_purge = false;
    server.create_stream(denying).await.unwrap();
    // It makes all others, and tells that this one is otherwise.
    let (code, ..) = command(&["streams", "apply", "--nats", &was.url()], &[]);
    assert_eq!(code, Some(1));
    write(server.clone()).await;
    let before = held_by(&server).await;
    assert_eq!(before["SIGNALS"].messages.len(), 5);
    let outcome = done(&["backup", backups.to_str().unwrap(), "--nats", &was.url()]);

    let becomes = testing::own_nats().await;
    let url = becomes.url();
    let folder = text(&outcome["backup"]["folder"]);
    done(&["restore", folder, "--nats", &url]);
    assert_eq!(held_by(&server_of(&becomes).await).await, before);
    done(&["streams", "check", "--nats", &url]);
    // By what lies in its files it is so as well, and not by what it was told alone.
    becomes.restart().await.unwrap();
    done(&["streams", "check", "--nats", &url]);
    let server = server_of(&becomes).await;
    let of_a_device = nats_streams::Messages {
        stream: "SIGNALS",
        subjects: "eldercare.signals.WM-0001",
        through: u64::MAX,
    };
    nats_streams::erase(&server, of_a_device).await.unwrap();
    let left = held_by(&server).await;
    let left = &left["SIGNALS"];
    assert!(left.messages.is_empty(), "{left:?}");
    assert_eq!(left.last_sequence, 5);
}
