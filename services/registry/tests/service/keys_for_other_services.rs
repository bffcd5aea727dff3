//! Another service opens what it may see with keys from the registry, remembers few of them, and loses those of the erased.

use std::{sync::Arc, time::Duration};

use crate::support::{Running, another, get, register, request_id, wang_xiuying};
use elders::purpose;
use proto::eldercare::registry::v1 as pb;
use service::{
    Claims, Settings,
    elder_keys::{self, Erasures},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use vault::{KeyError, Unavailable, Vault};

fn visits() -> Claims {
    Claims::system("visits", "platform")
        .role("service")
        .division("*")
        .purpose("visits")
}

/// The settings of another service, known to the registry by these claims.
fn settings_of(running: &Running, claims: &Claims) -> Settings {
    let mut settings = Settings::default();
    settings
        .peers
        .insert("registry".to_owned(), running.clients.endpoint());
    settings.auth.service_token = Some(service::settings::Secret::new(
        running.clients.token(claims),
    ));
    settings
}

fn id(elder_id: &str) -> Uuid {
    elder_id.parse().unwrap()
}

async fn erase(running: &Running, elder_id: &str) {
    let erase = pb::EraseElderRequest {
        request_id: request_id(),
        elder_id: elder_id.to_owned(),
        reason: "REQUEST_OF_THE_PERSON".to_owned(),
        ..pb::EraseElderRequest::default()
    };
    running.client().erase_elder(erase).await.unwrap();
}

/// Asks until the answer is that the elder is erased.
async fn forgotten(vault: &Vault, elder: Uuid) {
    let forgetting = async {
        while !matches!(vault.key(elder).await, Err(KeyError::Erased)) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), forgetting)
        .await
        .expect("the key is dropped");
}

#[tokio::test]
async fn a_name_is_opened_with_a_key_from_the_registry_until_the_elder_is_erased() {
    let running = Running::new().await;
    let mut client = running.client();
    let (elder_id, position) = register(&mut client, wang_xiuying()).await;
    let (stays, _) = register(&mut client, another(3)).await;
    get(&mut client, &elder_id, &position).await;
    let vault = elder_keys::of_registry(&settings_of(&running, &visits())).unwrap();
    let erasures = Erasures::from_now(vault.clone(), Arc::clone(&running.log)).await;
    let stopped = CancellationToken::new();
    let following = tokio::spawn(erasures.run(stopped.clone()));

    let subject = eventlog::Subject::new("registry", "elder", &elder_id).unwrap();
    let record = running.log.read(&subject, 0).await.unwrap().remove(0);
    let elders::Event::Registered(registered) = elders::codec::decode(&record.events[0]).unwrap()
    else {
        panic!("the first event of a file is the registration");
    };
    let key = vault.key(id(&elder_id)).await.unwrap();
    let identity: pb::Identity = key
        .open(purpose::IDENTITY, id(&elder_id), &registered.identity)
        .unwrap();
    assert_eq!(identity.name, "王秀英");
    assert_eq!(
        vault
            .keys(&[id(&elder_id), id(&stays)])
            .await
            .unwrap()
            .len(),
        2
    );

    erase(&running, &elder_id).await;
    forgotten(&vault, id(&elder_id)).await;
    let left = vault.keys(&[id(&elder_id), id(&stays)]).await.unwrap();
    assert_eq!(left.into_keys().collect::<Vec<_>>(), [id(&stays)]);
    // A service that remembers nothing learns the same from the registry.
    let fresh = elder_keys::of_registry(&settings_of(&running, &visits())).unwrap();
    assert!(matches!(
        fresh.key(id(&elder_id)).await,
        Err(KeyError::Erased)
    ));
    stopped.cancel();
    following.await.unwrap();
    running.stop().await;
}

#[tokio::test]
async fn no_more_keys_are_remembered_than_is_configured() {
    let running = Running::new().await;
    let mut elders = Vec::new();
    for person in 1..=20 {
        let (elder_id, _) = register(&mut running.client(), another(person)).await;
        elders.push(id(&elder_id));
    }
    let mut settings = settings_of(&running, &visits());
    settings.vault.remembered_keys = 5;
    let vault = elder_keys::of_registry(&settings).unwrap();
    for _ in 0..2 {
        assert_eq!(vault.keys(&elders).await.unwrap().len(), 20);
        assert!(vault.remembered() <= 5, "{vault:?}");
    }
    running.stop().await;
}

#[tokio::test]
async fn who_may_not_have_keys_is_refused() {
    let running = Running::new().await;
    let (elder_id, _) = register(&mut running.client(), wang_xiuying()).await;
    let officer = service::testing::anybody();
    let elsewhere = Claims {
        divisions: vec!["110101".to_owned()],
        ..visits()
    };
    let silent = Claims {
        purpose: None,
        ..visits()
    };
    for claims in [officer, elsewhere, silent] {
        let vault = elder_keys::of_registry(&settings_of(&running, &claims)).unwrap();
        let refused = vault.key(id(&elder_id)).await;
        assert!(
            matches!(refused, Err(KeyError::Unavailable(Unavailable::Refused(_)))),
            "{refused:?}"
        );
    }
    let mut nobody = settings_of(&running, &visits());
    nobody.auth.service_token = None;
    let vault = elder_keys::of_registry(&nobody).unwrap();
    assert!(matches!(
        vault.keys(&[id(&elder_id)]).await,
        Err(Unavailable::Refused(_))
    ));
    running.stop().await;
}

#[tokio::test]
async fn while_the_registry_is_down_nobody_is_taken_for_erased() {
    let running = Running::new().await;
    let (known, _) = register(&mut running.client(), wang_xiuying()).await;
    let (unknown, _) = register(&mut running.client(), another(3)).await;
    let settings = settings_of(&running, &visits());
    let vault = elder_keys::of_registry(&settings).unwrap();
    vault.key(id(&known)).await.unwrap();
    running.stop().await;
    assert!(vault.key(id(&known)).await.is_ok(), "it is remembered");
    let away = vault.key(id(&unknown)).await;
    assert!(
        matches!(away, Err(KeyError::Unavailable(Unavailable::Source(_)))),
        "{away:?}"
    );
}

#[tokio::test]
async fn a_service_without_the_address_of_the_registry_does_not_start() {
    let error = elder_keys::of_registry(&Settings::default()).unwrap_err();
    assert!(error.to_string().contains("peers.registry"), "{error}");
}
