//! What is erased from a stream lies in none of the server's files any more, and all else stays.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

use std::{
    fs,
    ops::RangeInclusive,
    path::{Path, PathBuf},
};

use async_nats::jetstream::{self, Context};
use backing_services::{Nats, testing};
use nats_streams::{Messages, erase, erase_each, erase_some, log, stream};

const SIGNALS: &str = "SIGNALS";

/// A server of the test's own, with the stream of signals.
struct Place {
    _nats: Nats,
    server: Context,
    folder: PathBuf,
}

impl Place {
    async fn new() -> Self {
        let mut folder = PathBuf::new();
        let nats = testing::own_nats_with(|options| folder.clone_from(&options.data_folder)).await;
        let client = async_nats::connect(nats.url()).await.unwrap();
        let server = jetstream::new(client);
        stream(SIGNALS).open(&server, 1, true).await.unwrap();
        Self {
            _nats: nats,
            server,
            folder: folder.join("jetstream"),
        }
    }

    /// A device says something; where it lies.
    async fn says(&self, device: &str, number: u64) -> u64 {
        let subject = format!("eldercare.signals.{device}");
        let secret = format!("{}, number {number}", secret(device));
        let sent = self.server.publish(subject, secret.into()).await.unwrap();
        sent.await.unwrap().sequence
    }

    /// Whether something that a device said lies in any file.
    fn knows(&self, device: &str) -> bool {
        let secret = secret(device);
        let lies = |file: &PathBuf| {
            let content = fs::read(file).unwrap_or_default();
            let mut parts = content.windows(secret.len());
            parts.any(|part| part == secret.as_bytes())
        };
        files_below(&self.folder).iter().any(lies)
    }

    /// The sequences that are there, of so many.
    async fn there(&self, among: RangeInclusive<u64>) -> Vec<u64> {
        let stream = self.server.get_stream(SIGNALS).await.unwrap();
        let mut there = Vec::new();
        for sequence in among {
            let message = stream.get_raw_message(sequence).await.ok();
            there.extend(message.map(|message| message.sequence));
        }
        there
    }
}

/// How all begins that a device says; it stands in no subject.
fn secret(device: &str) -> String {
    format!("where {device} is")
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else {
            files.push(path);
        }
    }
    files
}

/// All that lies on subjects up to a sequence.
fn lying(subjects: &str, through: u64) -> Messages<'_> {
    Messages {
        stream: SIGNALS,
        subjects,
        through,
    }
}

#[tokio::test]
async fn nothing_of_what_is_erased_lies_in_any_file_and_what_others_said_is_there() {
    let place = Place::new().await;
    for number in 1..=100 {
        place.says("SB0001", number).await;
        place.says("SB0002", number).await;
        place.says("SB0001.arrived", number).await;
    }
    assert!(place.knows("SB0001") && place.knows("SB0002") && place.knows("SB0001.arrived"));
    let of_one = lying("eldercare.signals.SB0001", u64::MAX);
    erase(&place.server, of_one).await.unwrap();
    assert!(!place.knows("SB0001"), "a purge would leave it there");
    let arrived = lying("eldercare.signals.SB0001.>", u64::MAX);
    erase(&place.server, arrived).await.unwrap();
    assert!(!place.knows("SB0001.arrived"));
    assert!(place.knows("SB0002"));
    let of_the_other: Vec<u64> = (1..=100).map(|number| 3 * number - 1).collect();
    assert_eq!(place.there(1..=300).await, of_the_other);
    // Once more does nothing.
    erase(&place.server, of_one).await.unwrap();
    assert_eq!(place.there(1..=300).await, of_the_other);
}

#[tokio::test]
async fn what_comes_later_than_it_is_asked_for_stays() {
    let place = Place::new().await;
    for number in 1..=6 {
        place.says("SB0001", number).await;
    }
    let first = lying("eldercare.signals.*", 4);
    erase(&place.server, first).await.unwrap();
    assert_eq!(place.there(1..=6).await, [5, 6]);
    assert!(place.knows("SB0001"));
}

#[tokio::test]
async fn what_is_broken_off_goes_on_with_the_next_call() {
    let place = Place::new().await;
    for number in 1..=50 {
        place.says("SB0001", number).await;
    }
    let all = lying("eldercare.signals.SB0001", 50);
    assert_eq!(erase_some(&place.server, all, 45).await, Ok(45));
    assert_eq!(place.there(1..=50).await, [46, 47, 48, 49, 50]);
    assert_eq!(erase_some(&place.server, all, 45).await, Ok(5));
    assert_eq!(erase_some(&place.server, all, 45).await, Ok(0));
    assert!(!place.knows("SB0001"));
}

#[tokio::test]
async fn single_messages_are_erased_once_whoever_asks_again() {
    let place = Place::new().await;
    for number in 1..=4 {
        place.says("SB0001", number).await;
    }
    erase_each(&place.server, SIGNALS, [2, 2, 4]).await.unwrap();
    assert_eq!(place.there(1..=4).await, [1, 3]);
    // What never was is gone as well.
    erase_each(&place.server, SIGNALS, [2, 4, 9]).await.unwrap();
    assert_eq!(place.there(1..=4).await, [1, 3]);
}

#[tokio::test]
async fn from_a_log_nothing_is_erased() {
    let place = Place::new().await;
    let registry = log("REGISTRY", "registry");
    let registry = registry.open(&place.server, 1, true).await.unwrap();
    let fact = place
        .server
        .publish("eldercare.registry.elder.one", "a fact".into());
    fact.await.unwrap().await.unwrap();
    let all = Messages {
        stream: "REGISTRY",
        subjects: "eldercare.registry.>",
        through: u64::MAX,
    };
    erase(&place.server, all).await.unwrap_err();
    erase_each(&place.server, "REGISTRY", [1])
        .await
        .unwrap_err();
    let fact = registry.get_raw_message(1).await.unwrap();
    assert_eq!(&fact.payload[..], b"a fact");
}
