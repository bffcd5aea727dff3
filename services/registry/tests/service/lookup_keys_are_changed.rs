//! The key of lookups is changed: nobody is registered twice, everybody is found, and no key that was used may be missing.

use crate::support::{Client, Ground, Running, another, register, request_id, wang_xiuying};
use proto::eldercare::registry::v1 as pb;
use service::testing::reason;
use service::{Secret, Settings};
use tonic::Code;

/// Settings with this key as the current one, and those before it.
fn keys(current: u8, before: &[u8]) -> impl FnOnce(&mut Settings) {
    let secret = |byte: u8| Secret::new(hex(byte));
    let name = |byte: u8| format!("index_{byte}");
    let before = before.iter().map(|byte| (name(*byte), secret(*byte)));
    let previous = before.collect();
    move |settings| {
        settings.vault.index_key = Some(secret(current));
        settings.vault.index_key_id = name(current);
        settings.vault.previous_index_keys = previous;
    }
}

fn hex(byte: u8) -> String {
    format!("{byte:02x}").repeat(32)
}

async fn by_number(client: &mut Client, id_number: &str) -> Vec<String> {
    search(
        client,
        pb::SearchEldersRequest {
            id_number: id_number.to_owned(),
            ..Default::default()
        },
    )
    .await
}

async fn by_name(client: &mut Client, name: &str) -> Vec<String> {
    search(
        client,
        pb::SearchEldersRequest {
            name: name.to_owned(),
            division_code: "350524".to_owned(),
            ..Default::default()
        },
    )
    .await
}

async fn search(client: &mut Client, request: pb::SearchEldersRequest) -> Vec<String> {
    let found = client.search_elders(request).await.unwrap().into_inner();
    found
        .elders
        .into_iter()
        .map(|elder| elder.elder_id)
        .collect()
}

async fn restarted(running: Running, settings: impl FnOnce(&mut Settings)) -> Running {
    running.stop().await.start_with(settings).await.unwrap()
}

#[tokio::test]
async fn nothing_is_lost_when_the_key_is_changed() {
    let running = Ground::new().await.start_with(keys(1, &[])).await.unwrap();
    let mut client = running.client();
    let wang = wang_xiuying();
    let (wang_id, _) = register(&mut client, wang.clone()).await;
    let grade = pb::RecordHandicapRequest {
        request_id: request_id(),
        elder_id: wang_id.clone(),
        grade: 2,
        ..Default::default()
    };
    let graded = client
        .record_handicap(grade.clone())
        .await
        .unwrap()
        .into_inner();

    // The read model is made anew under the new key; everything is found before and after.
    let running = restarted(running, keys(2, &[1])).await;
    let mut client = running.client();
    assert_eq!(
        by_number(&mut client, &wang.id_number).await,
        std::slice::from_ref(&wang_id)
    );
    assert_eq!(
        by_name(&mut client, "王秀英").await,
        std::slice::from_ref(&wang_id)
    );
    running.verify().await;

    // One ID number, one elder.
    let twice = pb::RegisterElderRequest {
        request_id: request_id(),
        ..wang.clone()
    };
    let status = client.register_elder(twice).await.unwrap_err();
    assert_eq!(status.code(), Code::AlreadyExists, "{status:?}");

    // Retries get their first answers; the same ids with other bodies are refused.
    let again = client
        .register_elder(wang.clone())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(again.elder_id, wang_id);
    let again = client
        .record_handicap(grade.clone())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(again, graded);
    let other = pb::RecordHandicapRequest { grade: 1, ..grade };
    let status = client.record_handicap(other).await.unwrap_err();
    assert_eq!(reason(&status), "REQUEST_ID_REUSED");

    // New files stand under the new key, and are found after it was changed in its turn.
    let chen = another(3);
    let (chen_id, _) = register(&mut client, chen.clone()).await;
    let running = restarted(running, keys(3, &[1, 2])).await;
    let mut client = running.client();
    for (id_number, id) in [(&wang.id_number, &wang_id), (&chen.id_number, &chen_id)] {
        assert_eq!(
            by_number(&mut client, id_number).await,
            std::slice::from_ref(id)
        );
    }
    // Erased under a former key, registered again under the new one.
    let erase = pb::EraseElderRequest {
        request_id: request_id(),
        elder_id: wang_id.clone(),
        reason: "REQUEST_OF_THE_PERSON".to_owned(),
        ..Default::default()
    };
    client.erase_elder(erase).await.unwrap();
    let anew = pb::RegisterElderRequest {
        request_id: request_id(),
        ..wang.clone()
    };
    let (anew, _) = register(&mut client, anew).await;
    assert_ne!(anew, wang_id);
    running.verify().await;
    running.stop().await;
}

#[tokio::test]
async fn the_registry_does_not_start_without_a_key_that_was_used() {
    let running = Ground::new().await.start_with(keys(1, &[])).await.unwrap();
    register(&mut running.client(), wang_xiuying()).await;
    let nats = std::sync::Arc::clone(&running.ground.nats);
    let again = |ground: &Ground| Ground {
        nats: std::sync::Arc::clone(&nats),
        database: ground.database.clone(),
        issuer: std::sync::Arc::clone(&ground.issuer),
        clock: ground.clock.clone(),
    };
    let ground = running.stop().await;

    let refused = again(&ground).start_with(keys(2, &[])).await.err().unwrap();
    let told = format!("{refused:#}");
    assert!(
        told.contains("`index_1`") && told.contains("previous_index_keys"),
        "{told}"
    );
    assert!(!told.contains(&hex(2)));
    // Another key under the old name is as good as none.
    let renamed = again(&ground).start_with(|settings| {
        keys(2, &[])(settings);
        settings.vault.index_key_id = "index_1".to_owned();
    });
    let told = format!("{:#}", renamed.await.err().unwrap());
    assert!(told.contains("`index_1`"), "{told}");
    // Nothing was spoilt by the attempts.
    again(&ground)
        .start_with(keys(2, &[1]))
        .await
        .unwrap()
        .stop()
        .await;
}
