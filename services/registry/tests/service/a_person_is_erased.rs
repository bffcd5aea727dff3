//! An erased elder is gone: from searches and lists, from the vault, for good; and the ID number is free for another file.

use crate::support::{
    self, Client, Running, another, get, id_number, register, request_id, wang_xiuying,
};
use eventlog::Position;
use proto::eldercare::registry::v1 as pb;
use service::{Claims, testing::reason};
use tonic::Code;
use uuid::Uuid;
use vault::KeyError;

fn erasure(elder_id: &str) -> pb::EraseElderRequest {
    pb::EraseElderRequest {
        request_id: request_id(),
        elder_id: elder_id.to_owned(),
        reason: "REQUEST_OF_THE_PERSON".to_owned(),
        ..pb::EraseElderRequest::default()
    }
}

async fn found(client: &mut Client, min_position: &str) -> usize {
    let by_number = pb::SearchEldersRequest {
        id_number: id_number("1950-03-12", 2),
        min_position: min_position.to_owned(),
        ..pb::SearchEldersRequest::default()
    };
    let by_name = pb::SearchEldersRequest {
        name: "王秀英".to_owned(),
        division_code: "350524".to_owned(),
        min_position: min_position.to_owned(),
        ..pb::SearchEldersRequest::default()
    };
    let by_number = client
        .search_elders(by_number)
        .await
        .unwrap()
        .into_inner()
        .elders
        .len();
    by_number
        + client
            .search_elders(by_name)
            .await
            .unwrap()
            .into_inner()
            .elders
            .len()
}

#[tokio::test]
async fn an_erased_elder_is_found_no_more_and_can_be_registered_as_another() {
    let running = Running::new().await;
    let mut client = running.client();
    let request = wang_xiuying();
    let (elder_id, position) = register(&mut client, request.clone()).await;
    let (stays, _) = register(&mut client, another(3)).await;
    assert_eq!(found(&mut client, &position).await, 2);

    let erase = erasure(&elder_id);
    let first = client
        .erase_elder(erase.clone())
        .await
        .unwrap()
        .into_inner();
    let position = first.committed.clone().unwrap().position;
    assert_eq!(found(&mut client, &position).await, 0);
    let person = Uuid::try_parse(&elder_id).unwrap();
    assert!(
        running.vault.keys(&[person]).await.unwrap().is_empty(),
        "the key is gone"
    );
    let gone = pb::GetElderRequest {
        elder_id: elder_id.clone(),
        ..pb::GetElderRequest::default()
    };
    assert_eq!(
        client.get_elder(gone.clone()).await.unwrap_err().code(),
        Code::NotFound
    );
    let then = pb::GetElderRequest {
        as_of: support::timestamp("2024-11-01T09:00:00+08:00"),
        ..gone
    };
    assert_eq!(
        client.get_elder(then).await.unwrap_err().code(),
        Code::NotFound
    );

    assert_eq!(
        client
            .erase_elder(erase.clone())
            .await
            .unwrap()
            .into_inner(),
        first
    );
    let grade = pb::RecordHandicapRequest {
        request_id: request_id(),
        elder_id: elder_id.clone(),
        grade: 1,
        ..pb::RecordHandicapRequest::default()
    };
    let status = client.record_handicap(grade).await.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::FailedPrecondition, "ELDER_ERASED")
    );

    // A late retry of the registration is answered as it was, and makes no new key.
    let retried = client
        .register_elder(request.clone())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(retried.elder_id, elder_id);
    assert!(running.vault.keys(&[person]).await.unwrap().is_empty());
    let (again, position) = register(
        &mut client,
        pb::RegisterElderRequest {
            request_id: request_id(),
            ..request
        },
    )
    .await;
    assert_ne!(again, elder_id);
    assert_eq!(found(&mut client, &position).await, 2);

    let running = running.restart().await;
    let mut client = running.client();
    assert_eq!(client.erase_elder(erase).await.unwrap().into_inner(), first);
    assert_eq!(get(&mut client, &stays, "").await.name, "陈建国3");
    running.verify().await;
    readmodel::rebuild(
        &running.pool,
        running.log.clone(),
        rebuilt(&running),
        |_| {},
    )
    .await
    .unwrap();
    assert_eq!(found(&mut client, "").await, 2);
}

#[tokio::test]
async fn of_who_was_erased_nothing_is_told_of_any_time() {
    let running = Running::new().await;
    let mut client = running.client();
    let (elder_id, _) = register(&mut client, wang_xiuying()).await;
    let later = support::instant("2024-11-03T09:00:00+08:00");
    running.ground.clock.advance_to(later).unwrap();
    let before = |view: pb::ElderView| pb::GetElderRequest {
        elder_id: elder_id.clone(),
        as_of: support::timestamp("2024-11-02T09:00:00+08:00"),
        view: view.into(),
        ..pb::GetElderRequest::default()
    };
    assert!(client.get_elder(before(pb::ElderView::Facts)).await.is_ok());
    client.erase_elder(erasure(&elder_id)).await.unwrap();
    for view in [pb::ElderView::Facts, pb::ElderView::Full] {
        let status = client.get_elder(before(view)).await.unwrap_err();
        assert_eq!(status.code(), Code::NotFound);
    }
}

/// What is personal in a file's history and can be read.
async fn personal_history(client: &mut Client, elder_id: &str) -> Vec<String> {
    let history = pb::GetElderHistoryRequest {
        elder_id: elder_id.to_owned(),
        ..pb::GetElderHistoryRequest::default()
    };
    let answer = client.get_elder_history(history).await.unwrap();
    let changes = answer.into_inner().changes.into_iter();
    changes
        .flat_map(|change| change.fields)
        .filter(|field| field.personal && !field.value.is_empty())
        .map(|field| field.field)
        .collect()
}

#[tokio::test]
async fn what_one_replica_has_erased_another_opens_no_more_with_what_it_remembers() {
    let running = Running::new().await;
    let other = running.beside().await;
    let (elder_id, _) = register(&mut running.client(), wang_xiuying()).await;
    let visits = Claims::system("visits", "platform")
        .role("service")
        .division("*")
        .purpose("visits");
    let handed_out = async || {
        let wanted = pb::GetKeysRequest {
            elder_ids: vec![elder_id.clone()],
        };
        let answer = other.clients.vault_of(&visits).get_keys(wanted).await;
        answer.unwrap().into_inner().keys.len()
    };
    assert_eq!(handed_out().await, 1);
    assert_eq!(other.vault.remembered(), 1);
    let told = personal_history(&mut other.client(), &elder_id).await;
    assert!(told.contains(&"name".to_owned()), "{told:?}");

    let erased = running.client().erase_elder(erasure(&elder_id)).await;
    let committed = erased.unwrap().into_inner().committed.unwrap();
    // Whatever the replica remembers yet: the history asks the log first.
    let told = personal_history(&mut other.client(), &elder_id).await;
    assert!(told.is_empty(), "{told:?}");
    let position: Position = committed.position.parse().unwrap();
    other.forgotten.reaches(position.sequence).await;
    assert_eq!(handed_out().await, 0);
    let person = Uuid::try_parse(&elder_id).unwrap();
    let key = other.vault.key(person).await;
    assert!(matches!(key, Err(KeyError::Erased)), "{key:?}");
    other.stop().await;
    running.stop().await;
}

/// Two replicas are asked under one request id, in the same moment, for two elders, of whom one may be registered.
#[tokio::test]
async fn a_registration_refused_on_one_replica_takes_no_key_from_the_other() {
    let running = Running::new().await;
    let taken = wang_xiuying();
    register(&mut running.client(), taken.clone()).await;
    let other = running.beside().await;
    for person in 0..24 {
        let right = another(100 + person);
        let wrong = pb::RegisterElderRequest {
            request_id: right.request_id.clone(),
            ..taken.clone()
        };
        let (mut here, mut there) = (running.client(), other.client());
        let (registered, refused) =
            tokio::join!(here.register_elder(right), there.register_elder(wrong));
        let registered = registered.unwrap().into_inner();
        assert!(refused.is_err());
        let position = registered.committed.unwrap().position;
        // The other replica has to ask the vault.
        let elder = get(&mut other.client(), &registered.elder_id, &position).await;
        assert_eq!(elder.name, format!("陈建国{}", 100 + person));
        let person = Uuid::try_parse(&registered.elder_id).unwrap();
        running.vault.forget(person);
        assert_eq!(running.vault.keys(&[person]).await.unwrap().len(), 1);
    }
    other.stop().await;
}

fn rebuilt(running: &Running) -> registry::registry_elders::RegistryElders {
    registry::registry_elders::RegistryElders::new(running.vault.clone(), running.index.clone())
}

#[tokio::test]
async fn a_key_that_outlived_a_crash_is_destroyed_by_the_reactor() {
    let running = Running::new().await;
    let mut client = running.client();
    let (elder_id, _) = register(&mut client, wang_xiuying()).await;
    client.erase_elder(erasure(&elder_id)).await.unwrap();
    let person = Uuid::try_parse(&elder_id).unwrap();
    // As if the process had died between the record and the destruction, before the reactor got there.
    let ground = running.stop().await;
    let pool = sqlx::PgPool::connect(&ground.database).await.unwrap();
    sqlx::query("DELETE FROM readmodel.checkpoint WHERE projection = 'on_elder_erased'")
        .execute(&pool)
        .await
        .unwrap();
    let client = async_nats::connect(ground.nats.url()).await.unwrap();
    let store = vault::JetStreamKeyStore::open(
        async_nats::jetstream::new(client),
        vault::KeyStream::default(),
    )
    .await
    .unwrap();
    let ring = vault::KeyRing::local_default(vault::Mode::Local).unwrap();
    let vault = vault::Vault::new(
        std::sync::Arc::new(store),
        ring,
        vault::VaultOptions::default(),
    );
    vault.create(person).await.unwrap();
    let running = ground.start().await;
    assert!(running.vault.keys(&[person]).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_refused_registration_leaves_no_key() {
    let running = Running::new().await;
    let mut client = running.client();
    register(&mut client, wang_xiuying()).await;
    let attempts = (0..12).map(|_| {
        let mut client = running.client();
        async move { client.register_elder(another(7)).await }
    });
    let outcomes = futures::future::join_all(attempts).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    let client = async_nats::connect(running.ground.nats.url())
        .await
        .unwrap();
    let vault = async_nats::jetstream::new(client)
        .get_stream("VAULT")
        .await
        .unwrap();
    assert_eq!(
        vault.cached_info().state.messages,
        2,
        "a key for each of the two elders"
    );
}

#[tokio::test]
async fn an_erasure_holds_though_the_vault_is_put_back_to_before_it() {
    let running = Running::new().await;
    let mut client = running.client();
    let (elder_id, _) = register(&mut client, wang_xiuying()).await;
    let (stays, _) = register(&mut client, another(3)).await;
    let subject = format!("eldercare.vault.key.{elder_id}");
    let nats = async_nats::connect(running.ground.nats.url())
        .await
        .unwrap();
    let streams = async_nats::jetstream::new(nats);
    let vault = streams.get_stream("VAULT").await.unwrap();
    let before = vault
        .get_last_raw_message_by_subject(&subject)
        .await
        .unwrap();
    client.erase_elder(erasure(&elder_id)).await.unwrap();
    let gone = vault.get_last_raw_message_by_subject(&subject).await;
    assert!(gone.is_err(), "the key is destroyed");
    let ground = running.stop().await;

    // The backup of the vault is older than the erasure; log and database are not.
    let restored = streams
        .publish(subject.clone(), before.payload)
        .await
        .unwrap();
    restored.await.unwrap();
    let running = ground.start().await;
    let gone = vault.get_last_raw_message_by_subject(&subject).await;
    assert!(
        gone.is_err(),
        "the key is destroyed again before anything is served"
    );
    let persons = [&elder_id, &stays].map(|id| Uuid::try_parse(id).unwrap());
    let keys = running.vault.keys(&persons).await.unwrap();
    assert_eq!(keys.into_keys().collect::<Vec<_>>(), [persons[1]]);
    running.stop().await;
}
