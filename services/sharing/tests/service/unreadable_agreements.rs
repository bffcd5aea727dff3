//! An agreement whose row can't be read grants nothing, hinders no other, and is seen.

use proto::eldercare::sharing::v1 as pb;
use readmodel::{parked, rebuild};
use sharing::book_table::BookTable;
use sqlx::AssertSqlSafe;
use tokio::time::{Duration, sleep, timeout};
use uuid::Uuid;

use crate::support::feeds::{PATIENCE, of_event};
use crate::support::{Ground, Running, doctor, grant, guard, in_words, some_terms, terms};

/// Before it is looked again.
const AGAIN: Duration = Duration::from_millis(50);

/// Writes into the row of an agreement what nobody can read.
async fn garbled(running: &Running, agreement: &str) {
    sqlx::query("UPDATE sharing_book.agreement SET terms = $2 WHERE agreement_id = $1")
        .bind(agreement.parse::<Uuid>().unwrap())
        .bind(vec![0xff_u8; 9])
        .execute(&running.app.pool())
        .await
        .unwrap();
}

/// Has the database count from now on how often terms are read: those of this agreement, and all others.
async fn count_readings(running: &Running, agreement: &str) {
    let counting = format!(
        "CREATE SEQUENCE sharing_book.readings; \
         CREATE SEQUENCE sharing_book.readings_of_others; \
         CREATE FUNCTION sharing_book.read(agreement uuid, terms bytea) RETURNS bytea STABLE LANGUAGE plpgsql AS $$ \
         BEGIN \
             IF agreement = '{agreement}' THEN PERFORM nextval('sharing_book.readings'); \
             ELSE PERFORM nextval('sharing_book.readings_of_others'); END IF; \
             RETURN terms; \
         END $$; \
         ALTER TABLE sharing_book.agreement RENAME TO agreement_behind; \
         CREATE VIEW sharing_book.agreement AS \
             SELECT agreement_id, sequence, department, stage, sharing_book.read(agreement_id, terms) AS terms, last_day \
             FROM sharing_book.agreement_behind"
    );
    sqlx::raw_sql(AssertSqlSafe(counting))
        .execute(&running.app.pool())
        .await
        .unwrap();
}

/// How often a sequence was counted on.
async fn readings(running: &Running, sequence: &str) -> i64 {
    let counted = format!(
        "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM sharing_book.{sequence}"
    );
    sqlx::query_scalar(AssertSqlSafe(counted))
        .fetch_one(&running.app.pool())
        .await
        .unwrap()
}

/// What is parked of agreements.
async fn parked_rows(running: &Running) -> Vec<String> {
    let parked = parked::list(&running.app.pool(), Some("sharing_agreements"), 0, 10).await;
    let parked = parked.unwrap().into_iter();
    parked.map(|one| one.event_type).collect()
}

#[tokio::test]
async fn an_agreement_that_cannot_be_read_grants_nothing_and_hinders_no_other() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let elder = ground.known_to_all().await;
    let sex = terms(&[grant("elder", &["sex"], &[])]);
    let broken = running.agreed(&sex).await;
    let sound = running.agreed(&some_terms()).await;
    let told = running.dossier(&doctor(), elder).await.unwrap();
    assert_eq!(in_words(&told), ["elder: name* sex", "tier: tier"]);

    garbled(&running, &broken).await;
    // Terms are read anew where other agreements are in force.
    let status = terms(&[grant("elder", &["status"], &[])]);
    let other = running.agreed(&status).await;
    let told = running.dossier(&doctor(), elder).await.unwrap();
    assert_eq!(in_words(&told), ["elder: name* status", "tier: tier"]);
    assert!(!told.agreement_ids.contains(&broken));
    let all = pb::FindEldersRequest::default();
    let found = running.find(&doctor(), all).await.unwrap();
    assert_eq!(found.elders.len(), 1);
    assert_eq!(parked_rows(&running).await, [format!("agreement {broken}")]);
    // It is found, and can be ended.
    let listed = running.agreement(&doctor(), &broken).await.unwrap();
    assert_eq!(listed.state(), pb::AgreementState::InForce);
    assert_eq!(listed.terms, None);

    // What could be read is remembered all the same, and not read again.
    garbled(&running, &sound).await;
    let told = running.dossier(&doctor(), elder).await.unwrap();
    assert_eq!(in_words(&told), ["elder: name* status", "tier: tier"]);

    // It stays parked until it is found to be readable.
    let made_anew = rebuild(&running.app.pool(), running.app.log(), BookTable, |_| {}).await;
    made_anew.unwrap();
    assert_eq!(parked_rows(&running).await, [format!("agreement {broken}")]);
    let told = running.dossier(&doctor(), elder).await.unwrap();
    assert_eq!(in_words(&told), ["elder: name* sex status", "tier: tier"]);
    assert_eq!(parked_rows(&running).await, [""; 0]);
    running.end_as(&guard(), &other).await.unwrap();
    let told = running.dossier(&doctor(), elder).await.unwrap();
    assert_eq!(in_words(&told), ["elder: name* sex", "tier: tier"]);
    running.stop().await;
}

#[tokio::test]
async fn feeds_read_again_and_again_only_what_cannot_be_read() {
    let ground = Ground::at("2024-03-01 09:10").with_feeds().await;
    let running = ground.start().await;
    ground.known_to_all().await;
    let broken = running
        .agreed(&terms(&[grant("elder", &["sex"], &[])]))
        .await;
    let pool = running.app.pool();
    let (id, rows) = (broken.parse::<Uuid>().unwrap(), "sharing_book.agreement");
    let terms_of = format!("SELECT terms FROM {rows} WHERE agreement_id = $1");
    let sound: Vec<u8> = sqlx::query_scalar(AssertSqlSafe(terms_of))
        .bind(id)
        .fetch_one(&pool)
        .await
        .unwrap();
    garbled(&running, &broken).await;
    // Feeds come about anew where other agreements are in force.
    running.agreed(&some_terms()).await;
    running
        .agreed(&terms(&[grant("elder", &["status"], &[])]))
        .await;
    let tells_sex = async || {
        let told = running.feed(&doctor()).await;
        let files = told.iter().filter(|one| one.product == "elder");
        let mut files = files.filter(|one| one.event == "DocumentShared");
        files.any(|one| of_event(one).get("sex").is_some())
    };
    assert!(!tells_sex().await);
    count_readings(&running, &broken).await;
    let read_again = async {
        while readings(&running, "readings").await == 0 {
            sleep(AGAIN).await;
        }
    };
    let read_again = timeout(PATIENCE, read_again).await;
    read_again.expect("it is looked whether it can be read");
    assert_eq!(readings(&running, "readings_of_others").await, 0);

    // Once it can be it counts again.
    sqlx::query("UPDATE sharing_book.agreement_behind SET terms = $2 WHERE agreement_id = $1")
        .bind(id)
        .bind(sound)
        .execute(&pool)
        .await
        .unwrap();
    let told = async {
        while !tells_sex().await {
            sleep(AGAIN).await;
        }
    };
    let told = timeout(PATIENCE, told).await;
    told.expect("what it grants is told");
    running.stop().await;
}
