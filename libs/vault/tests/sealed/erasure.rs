//! After an erasure not one byte of the person's key is left in the files of the NATS server.

use std::{fs, path::Path, sync::Arc};

use crate::support::{open, ring, vault};
use backing_services::{Nats, testing};
use prost::Message as _;
use proto::eldercare::r#type::v1::WrappedKey;
use vault::{Gather, KeyStore, KeyStream, PersonId};

/// How many files hold the bytes. The server is stopped first, so that nothing is still in its memory alone.
async fn files_with(nats: &Nats, folder: &Path, wanted: &[u8]) -> usize {
    nats.stop().await;
    let found = count(folder, wanted);
    nats.restart().await.unwrap();
    found
}

fn count(folder: &Path, wanted: &[u8]) -> usize {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            if path.is_dir() {
                count(&path, wanted)
            } else {
                let content = fs::read(&path).unwrap();
                usize::from(content.windows(wanted.len()).any(|window| window == wanted))
            }
        })
        .sum()
}

async fn store(nats: &Nats, gather: Gather) -> Arc<dyn KeyStore> {
    let settings = KeyStream {
        gather,
        ..KeyStream::default()
    };
    Arc::new(open(&nats.url(), settings).await)
}

/// The secret part of the wrapped key, under whatever key-encryption key.
async fn wrapped(store: &Arc<dyn KeyStore>, person: PersonId) -> Vec<u8> {
    let stored = store.last(person).await.unwrap().unwrap();
    WrappedKey::decode(stored.wrapped)
        .unwrap()
        .ciphertext
        .to_vec()
}

async fn an_erased_key_leaves_no_bytes(gather: Gather) {
    let folder = tempfile::tempdir().unwrap();
    let nats =
        testing::own_nats_with(|options| options.store = Some(folder.path().to_owned())).await;
    let folder = folder.path();
    let people: Vec<_> = (0..300).map(|_| PersonId::now_v7()).collect();
    let (erased, other) = (people[150], people[151]);

    let keys = store(&nats, gather).await;
    vault(&keys, ring(&["old"]))
        .create_all(&people)
        .await
        .unwrap();
    let old = wrapped(&keys, erased).await;
    // Where the old wrappings end, and the new ones begin.
    let last_old = wrapped(&keys, people[299]).await;
    assert_eq!(files_with(&nats, folder, &old).await, 1);

    // A rotation leaves nothing of the old wrapping.
    let keys = store(&nats, gather).await;
    vault(&keys, ring(&["old"]))
        .rotate(ring(&["new", "old"]), |_| {})
        .await
        .unwrap();
    let (new, kept) = (wrapped(&keys, erased).await, wrapped(&keys, other).await);
    assert_ne!(old, new);
    assert_eq!(files_with(&nats, folder, &old).await, 0);
    assert_eq!(files_with(&nats, folder, &last_old).await, 0);
    assert_eq!(files_with(&nats, folder, &new).await, 1);

    // An erasure leaves nothing of the new one, and harms nobody else.
    let keys = store(&nats, gather).await;
    vault(&keys, ring(&["new"])).erase(erased).await.unwrap();
    assert_eq!(files_with(&nats, folder, &new).await, 0);
    assert_eq!(files_with(&nats, folder, &kept).await, 1);
    let keys = store(&nats, gather).await;
    assert_eq!(
        vault(&keys, ring(&["new"]))
            .keys(&people)
            .await
            .unwrap()
            .len(),
        people.len() - 1
    );
}

#[tokio::test]
async fn an_erased_key_leaves_no_bytes_in_the_servers_files() {
    an_erased_key_leaves_no_bytes(Gather::Never).await;
}

#[tokio::test]
async fn an_erased_key_that_was_written_in_a_batch_leaves_no_bytes_in_the_servers_files() {
    an_erased_key_leaves_no_bytes(Gather::Always).await;
}
