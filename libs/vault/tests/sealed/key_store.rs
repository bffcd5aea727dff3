//! What every store of keys must do, be it in memory or on JetStream.

use std::{collections::HashMap, sync::Arc};

use crate::support::over_every_store;
use async_nats::jetstream::stream::Config;
use bytes::Bytes;
use futures::future::join_all;
use vault::{
    Entry, JetStreamKeyStore, KeyStore, KeyStream, OpenStoreError, PersonId, PutError, StoredKey,
};

over_every_store!(
    a_key_is_stored_once,
    a_key_is_replaced_only_where_it_is_the_expected_one,
    a_destroyed_key_is_gone_and_cannot_be_replaced,
    of_several_messages_the_last_counts,
    many_writers_at_once_each_get_their_answer,
    one_of_many_writers_for_a_person_wins,
    a_store_is_read_in_pages,
    what_stands_before_a_divider_can_be_dropped,
);

type Store = Arc<dyn KeyStore>;

fn body(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

async fn conflicts(store: &Store, person: PersonId, expected: u64) {
    let refused = store.put(person, expected, body("refused")).await;
    assert!(matches!(refused, Err(PutError::Conflict)), "{refused:?}");
}

async fn a_key_is_stored_once(store: Store) {
    let person = PersonId::now_v7();
    assert_eq!(store.last(person).await.unwrap(), None);
    assert_eq!(store.last_of(&[person]).await.unwrap(), []);
    let sequence = store.put(person, 0, body("key")).await.unwrap();
    let stored = StoredKey {
        person,
        sequence,
        wrapped: body("key"),
    };
    assert_eq!(store.last(person).await.unwrap(), Some(stored.clone()));
    assert_eq!(
        store.last_of(&[person]).await.unwrap(),
        std::slice::from_ref(&stored)
    );

    conflicts(&store, person, 0).await;
    assert_eq!(store.last(person).await.unwrap(), Some(stored));
    assert_eq!(store.count().await.unwrap(), 1);
}

async fn a_key_is_replaced_only_where_it_is_the_expected_one(store: Store) {
    let person = PersonId::now_v7();
    let first = store.put(person, 0, body("first")).await.unwrap();
    conflicts(&store, person, first + 1).await;
    let second = store.put(person, first, body("second")).await.unwrap();
    assert!(second > first);
    conflicts(&store, person, first).await;
    assert_eq!(
        store.last(person).await.unwrap().unwrap().wrapped,
        body("second")
    );
}

async fn a_destroyed_key_is_gone_and_cannot_be_replaced(store: Store) {
    let (person, other) = (PersonId::now_v7(), PersonId::now_v7());
    let kept = store.put(other, 0, body("kept")).await.unwrap();
    let sequence = store.put(person, 0, body("key")).await.unwrap();
    store.destroy(sequence).await.unwrap();
    assert_eq!(store.last(person).await.unwrap(), None);
    assert_eq!(store.last_of(&[person]).await.unwrap(), []);
    // What a rotation that read the key before would do.
    conflicts(&store, person, sequence).await;
    // Twice is as once, and what never was is gone already.
    store.destroy(sequence).await.unwrap();
    store.destroy(sequence + 100).await.unwrap();
    assert_eq!(store.last(other).await.unwrap().unwrap().sequence, kept);
    assert_eq!(store.count().await.unwrap(), 1);
}

async fn of_several_messages_the_last_counts(store: Store) {
    let person = PersonId::now_v7();
    let first = store.put(person, 0, body("first")).await.unwrap();
    let second = store.put(person, first, body("second")).await.unwrap();
    let both = store.last_of(&[person, PersonId::now_v7()]).await.unwrap();
    assert_eq!(
        both,
        [StoredKey {
            person,
            sequence: second,
            wrapped: body("second")
        }]
    );
    store.destroy(second).await.unwrap();
    assert_eq!(store.last(person).await.unwrap().unwrap().sequence, first);
    store.destroy(first).await.unwrap();
    assert_eq!(store.last(person).await.unwrap(), None);
}

async fn many_writers_at_once_each_get_their_answer(store: Store) {
    let persons: Vec<_> = (0..1_500).map(|_| PersonId::now_v7()).collect();
    let answers = join_all(
        persons
            .iter()
            .map(|person| store.put(*person, 0, body(&person.to_string()))),
    )
    .await;
    let sequences: HashMap<_, _> = persons
        .iter()
        .zip(answers)
        .map(|(person, answer)| (*person, answer.unwrap()))
        .collect();
    let stored = store.last_of(&persons).await.unwrap();
    assert_eq!(stored.len(), persons.len());
    for key in stored {
        assert_eq!(key.sequence, sequences[&key.person]);
        assert_eq!(key.wrapped, body(&key.person.to_string()));
    }
}

async fn one_of_many_writers_for_a_person_wins(store: Store) {
    // Others write at the same time, so that a gathered batch holds some of each.
    let person = PersonId::now_v7();
    let racing = (0..64).map(|writer| {
        let (store, text) = (Arc::clone(&store), writer.to_string());
        tokio::spawn(async move {
            let other = store.put(PersonId::now_v7(), 0, body("other")).await;
            assert!(other.is_ok(), "{other:?}");
            store
                .put(person, 0, body(&text))
                .await
                .map(|sequence| (sequence, body(&text)))
        })
    });
    let mut winners = Vec::new();
    for racer in join_all(racing).await {
        match racer.unwrap() {
            Ok(winner) => winners.push(winner),
            Err(PutError::Conflict) => {}
            Err(PutError::Unavailable(error)) => panic!("{error}"),
        }
    }
    let [(sequence, wrapped)] = winners.try_into().unwrap();
    assert_eq!(
        store.last(person).await.unwrap(),
        Some(StoredKey {
            person,
            sequence,
            wrapped
        })
    );
    assert_eq!(store.count().await.unwrap(), 65);
}

async fn a_store_is_read_in_pages(store: Store) {
    assert_eq!(store.scan(0, 10).await.unwrap(), []);
    let mut written = Vec::new();
    for index in 0..25 {
        let person = PersonId::now_v7();
        let wrapped = body(&index.to_string());
        let sequence = store.put(person, 0, wrapped.clone()).await.unwrap();
        written.push(StoredKey {
            person,
            sequence,
            wrapped,
        });
    }
    // Gaps at the beginning, in the middle and at the end.
    for gone in [24, 13, 12, 0] {
        store.destroy(written.remove(gone).sequence).await.unwrap();
    }
    let (mut read, mut after) = (Vec::new(), 0);
    loop {
        let page = store.scan(after, 10).await.unwrap();
        let Some(last) = page.last() else { break };
        after = last.sequence();
        assert!(page.len() <= 10);
        read.extend(page.into_iter().map(|entry| match entry {
            Entry::Key(stored) => stored,
            Entry::Divider { .. } => panic!("no divider was written"),
        }));
    }
    assert_eq!(read, written);
}

async fn what_stands_before_a_divider_can_be_dropped(store: Store) {
    let (before, after) = (PersonId::now_v7(), PersonId::now_v7());
    store.put(before, 0, body("before")).await.unwrap();
    store.divide().await.unwrap();
    let kept = store.put(after, 0, body("after")).await.unwrap();
    let entries = store.scan(0, 1_000).await.unwrap();
    let complete: Vec<_> = entries
        .iter()
        .filter(|entry| matches!(entry, Entry::Divider { complete: true, .. }))
        .map(Entry::sequence)
        .collect();
    assert_eq!(complete, [kept - 1]);
    store.drop_before(kept).await.unwrap();
    assert_eq!(store.last(before).await.unwrap(), None);
    assert_eq!(store.last(after).await.unwrap().unwrap().sequence, kept);
    assert_eq!(store.count().await.unwrap(), 1);
}

/// A stream of the test's own, and where it would be.
async fn own_stream() -> (async_nats::jetstream::Context, KeyStream, Config) {
    let nats = backing_services::testing::nats().await;
    let context = async_nats::jetstream::new(async_nats::connect(nats.url()).await.unwrap());
    let own = uuid::Uuid::now_v7().simple();
    let settings = KeyStream {
        name: format!("VAULT-{own}"),
        subjects: format!("test.{own}"),
        ..KeyStream::default()
    };
    let fit = Config {
        name: settings.name.clone(),
        subjects: vec![format!("{}.*", settings.subjects)],
        allow_direct: true,
        allow_atomic_publish: true,
        ..Config::default()
    };
    (context, settings, fit)
}

#[tokio::test]
async fn a_stream_that_could_lose_or_spread_keys_or_keep_them_for_ever_is_refused() {
    type Change = fn(&mut Config);
    let changes: [(Change, &str); 6] = [
        (|config| config.deny_delete = true, "deny_delete"),
        (|config| config.deny_purge = true, "deny_purge"),
        (
            |config| config.max_age = std::time::Duration::from_secs(3_600),
            "max_age",
        ),
        (|config| config.max_messages = 1_000, "max_msgs"),
        (|config| config.allow_message_ttl = true, "allow_msg_ttl"),
        (
            |config| config.subjects.push(format!("{}.more", config.name)),
            "subjects",
        ),
    ];
    for (change, expected) in changes {
        let (context, settings, mut made) = own_stream().await;
        change(&mut made);
        context.create_stream(made).await.unwrap();
        let opened = JetStreamKeyStore::open(context, settings.clone()).await;
        match opened.map(|_| ()) {
            Err(OpenStoreError::Unfit { stream, deviations }) => {
                let deviating: Vec<_> = deviations.iter().map(|one| one.setting).collect();
                assert_eq!((stream, deviating), (settings.name, vec![expected]));
            }
            other => panic!("{expected}: {other:?}"),
        }
    }
}

#[test]
fn keys_lie_where_it_is_declared() {
    let (declared, keys) = (nats_streams::stream("VAULT"), KeyStream::default());
    assert_eq!(declared.name(), keys.name);
    assert_eq!(declared.subjects(), [format!("{}.*", keys.subjects)]);
}

#[tokio::test]
async fn a_stream_is_made_only_by_who_is_to_make_it() {
    let (context, settings, fit) = own_stream().await;
    let not_to_make = KeyStream {
        create: false,
        ..settings.clone()
    };
    let opened = JetStreamKeyStore::open(context.clone(), not_to_make.clone()).await;
    assert!(matches!(opened.map(|_| ()), Err(OpenStoreError::Absent(name)) if name == fit.name));
    assert!(
        context.get_stream(&fit.name).await.is_err(),
        "nothing was made"
    );
    context.create_stream(fit).await.unwrap();
    JetStreamKeyStore::open(context, not_to_make).await.unwrap();
}
